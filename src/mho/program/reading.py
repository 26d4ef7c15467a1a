"""Programs read from files: everything in a file is checked against what the program's own layers need.

Types are those that the fields of layers, codes and instructions declare (`program/typed.py`), shapes those that follow from the
layers' operands (`network/shapes.py`, `number/coded.py`); the format is `program/storage.py`'s. Nothing is executed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MhoError, ProgramError
from mho.files.archive import opened, read_array
from mho.files.text import parse_json
from mho.mapping import mapped_by
from mho.mapping.embedding.bundles import BundleBlocks
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.tables import bags_of, with_tables
from mho.mapping.shape import weights_shape
from mho.network.graph import Network, check_shapes
from mho.network.layers import LAYER_KINDS, Affine, Array, Layer, MatrixLayer
from mho.number.alignment import Alignment
from mho.number.basis import BasisCoding
from mho.number.bits import BYTES
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.number.coefficients import Coefficients
from mho.number.squeeze import Squeeze
from mho.program.instructions import KINDS, Instruction
from mho.program.program import BufferUse, Program, Stream
from mho.program.storage import FORMAT
from mho.program.typed import shown, typed
from mho.strategy.strategy import Strategy


class _Reader:
    """The arrays of a file while it is read, and what is made of them once: weights by their layers, matrices by their numbers."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.weights: dict[str, Array] = {}
        self.matrices: dict[tuple[int | None, ...], QuantisedMatrix] = {}
        self._got: dict[int, npt.NDArray[Any]] = {}

    def get(self, number: Any, what: str) -> npt.NDArray[Any]:
        """Return the array of a number, the same one however often it is asked for."""
        number = typed(number, int, what)
        if number not in self._got:
            self._got[number] = read_array(self.archive, f"arrays/{number}.npy")
        return self._got[number]

    def weight(self, owner: str, what: str) -> Array:
        """Return the weight of an earlier layer."""
        if owner not in self.weights:
            raise ProgramError(f"{what} is of {shown(owner)}, no layer before it that has weights")
        return self.weights[owner]


def _exactly(record: Any, keys: set[str], what: str, *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Refuse a record with a key too many or too few; `optional` ones may be there or not."""
    if isinstance(record, dict):
        keys = keys | (optional & set(record))
    if not isinstance(record, dict) or set(record) != keys:
        odd = sorted(set(record) ^ keys) if isinstance(record, dict) else [type(record).__name__]
        raise ProgramError(f"{what} has keys {', '.join(sorted(keys))}; check {', '.join(map(str, odd))}")
    return record


def _listed(value: Any, what: str) -> list[Any]:
    """Refuse anything but a list."""
    if not isinstance(value, list):
        raise ProgramError(f"{what} is a list, not {type(value).__name__}")
    return value


def _named(value: Any, what: str) -> dict[str, Any]:
    """Refuse anything but values by name."""
    if not isinstance(value, dict):
        raise ProgramError(f"{what} has values by name, not {type(value).__name__}")
    return value


def _items(record: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return list(_named(record[key], f"its {key}").items())


def _built(kind: type[Any], record: Mapping[str, Any], what: str, **given: Any) -> Any:
    """Build a data class of a record's values, each as its field declares, and of what is `given` ready."""
    hints = get_type_hints(kind)
    return kind(**{key: typed(value, hints[key], f"{what}, {key},") for key, value in record.items()}, **given)


def _read_affine(record: Any, what: str) -> Affine:
    _exactly(record, {"scale", "zero", "low", "high", "axis"}, f"the code of {what}")
    scale, zero = (
        typed(record[key], many if isinstance(record[key], list) else one, f"the code of {what}, {key},")
        for key, one, many in (("scale", float, tuple[float, ...]), ("zero", int, tuple[int, ...]))
    )
    rest = {key: record[key] for key in ("low", "high", "axis")}
    hints = get_type_hints(Affine)
    rest = {key: typed(value, hints[key], f"the code of {what}, {key},") for key, value in rest.items()}
    return Affine(np.array(scale, dtype=np.float64), np.array(zero, dtype=np.int64), **rest)


def _read_codes(record: Mapping[str, Any]) -> dict[str, Affine]:
    return {name: _read_affine(code, f"{name!r}") for name, code in _items(record, "codes")}


def _read_array(record: Any, what: str, arrays: _Reader) -> Array:
    if isinstance(record, str):
        return arrays.weight(record, what)
    _exactly(record, {"shape", "values", "code"}, what)
    code = None if record["code"] is None else _read_affine(record["code"], what)
    values = None if record["values"] is None else arrays.get(record["values"], what)
    return Array(typed(record["shape"], tuple[int, ...], f"{what}, shape,"), values, code)


def _read_layer(record: Any, arrays: _Reader, number: int) -> Layer:
    name = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in LAYER_KINDS:
        raise ProgramError(
            f"layer {number} is of no known kind; is the file of a newer mho, or of a plugin that is not here?"
        )
    kind = LAYER_KINDS[name]
    what = f"layer {number} ({name})"
    names = {item.name for item in fields(kind)}
    plain = dict(_exactly(record, names | {"kind"}, what))
    del plain["kind"]
    hints = get_type_hints(kind)
    arrays_of = {
        key: _read_array(plain.pop(key), f"{what}, {key},", arrays)
        for key in names
        if hints[key] in (Array, Array | None) and plain[key] is not None
    }
    layer: Layer = _built(kind, plain, what, **arrays_of)
    if isinstance(layer, MatrixLayer):
        arrays.weights[layer.name] = layer.weight
    return layer


def _read_matrix(record: Any, what: str, arrays: _Reader) -> QuantisedMatrix:
    """Read a matrix; those of equal numbers are one object."""
    _exactly(record, {"codes", "scale", "zero", "bias"}, what, optional=frozenset({"bits"}))
    bits = typed(record.get("bits", BYTES.weights), int, f"{what}, bits,")
    key = *(typed(record[field], int | None, f"{what}, {field},") for field in ("codes", "scale", "zero", "bias")), bits
    if key not in arrays.matrices:
        codes, scale, zero = (arrays.get(record[field], f"{what}, {field},") for field in ("codes", "scale", "zero"))
        bias = None if record["bias"] is None else arrays.get(record["bias"], f"{what}, bias,")
        arrays.matrices[key] = QuantisedMatrix(codes, scale, zero, bias, bits)
    return arrays.matrices[key]


def _read_table(record: Any, what: str, arrays: _Reader) -> QuantisedTable:
    _exactly(record, {"codes", "code"}, what)
    return QuantisedTable(arrays.get(record["codes"], f"{what}, codes,"), _read_affine(record["code"], what))


def _read_squeeze(record: Any, what: str, arrays: _Reader) -> Squeeze:
    content = dict(_exactly(record, {"top", "tile", "shifts", "dropped"}, what))
    shifts = arrays.get(content.pop("shifts"), f"{what}, shifts,")
    squeeze: Squeeze = _built(Squeeze, content, what, shifts=shifts)
    return squeeze


def _read_quantised(record: Any, network: Network, arrays: _Reader) -> QuantisedNetwork:
    plain = ("per_channel", "calibration", "offsets", "notes")
    keys = {*plain, "alignment", "codes", "matrices", "squeezes", "tables"}
    _exactly(record, keys, "its quantised network", optional=frozenset({"input_bits", "requantise", "basis"}))
    matrices = {name: _read_matrix(each, f"matrix {name}", arrays) for name, each in _items(record, "matrices")}
    tables = {name: _read_table(each, f"table {name}", arrays) for name, each in _items(record, "tables")}
    squeezes = {name: _read_squeeze(each, f"squeeze {name}", arrays) for name, each in _items(record, "squeezes")}
    for name, squeeze in squeezes.items():
        _check_squeeze(name, squeeze, matrices)
    alignment = record["alignment"]
    if alignment is not None:
        alignment = _built(
            Alignment, _exactly(alignment, {f.name for f in fields(Alignment)}, "alignment"), "alignment"
        )
    quantised: QuantisedNetwork = _built(
        QuantisedNetwork,
        {key: record[key] for key in (*plain, "input_bits", "requantise") if key in record},
        "its quantised network",
        network=network,
        matrices=matrices,
        tables=tables,
        codes=_read_codes(record),
        alignment=alignment,
        squeezes=squeezes,
        basis=_read_basis(record["basis"], network, arrays) if "basis" in record else None,
    )
    return quantised


def _read_basis(record: Any, network: Network, arrays: _Reader) -> BasisCoding:
    flags = {key for key in ("powers", "units") if isinstance(record, dict) and key in record}
    content = dict(_exactly(record, {"cells", "levels", "bits", "nonzeros", "coefficients", *flags}, "its basis"))
    cells = arrays.get(content.pop("cells"), "its basis, cells,")
    coefficients = {}
    layers = {layer.name for layer in network.matrix_layers}
    for name, each in _items(content, "coefficients"):
        what = f"the coefficients of {name}"
        if name not in layers:
            raise ProgramError(f"coefficients of {name!r} combine a basis, but it is no layer with weights")
        parts = {key: arrays.get(each[key], what) for key in _exactly(each, {"values", "places"}, what)}
        coefficients[name] = Coefficients(**parts, vectors=len(cells))
    del content["coefficients"]
    coding: BasisCoding = _built(BasisCoding, content, "its basis", cells=cells, coefficients=coefficients)
    return coding


def _check_squeeze(name: str, squeeze: Squeeze, matrices: Mapping[str, QuantisedMatrix]) -> None:
    """Refuse row shifts that are not those of a matrix.

    Whether its weights are whole multiples of them is asked by a mapping that uses them: weights that were aligned after they
    were squeezed need not be.
    """
    if name not in matrices:
        raise ProgramError(f"rows of {name!r} are shifted, but it is no layer with weights")
    weights = matrices[name].centred
    if squeeze.shifts.shape != (*weights.shape[:2], -(-weights.shape[2] // squeeze.tile)):
        raise ProgramError(f"the row shifts of {name!r} have shape {squeeze.shifts.shape}, the weights {weights.shape}")


def _read_instruction(record: Any, number: int) -> Instruction:
    name = record.get("do") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in KINDS:
        raise ProgramError(f"instruction {number} is {shown(name)}, none of {', '.join(KINDS)}")
    kind = KINDS[name]
    what = f"instruction {number} ({name})"
    optional = frozenset(item.name for item in fields(kind) if item.default is not MISSING)
    keys = {"do", *(item.name for item in fields(kind))}
    operands = dict(_exactly(record, keys - optional, what, optional=optional))
    del operands["do"]
    instruction: Instruction = _built(kind, operands, what)
    return instruction


def _read_use(record: Any) -> BufferUse:
    values = _listed(record, "a buffer's use")
    names = [item.name for item in fields(BufferUse)]
    whole = [item.name for item in fields(BufferUse) if item.default is MISSING]
    if len(values) not in (len(whole), len(names) - 1, len(names)):
        raise ProgramError(
            f"a buffer's use is {', '.join(whole)}, for a ring its {', '.join(names[len(whole) : -1])} too, for one of some rows "
            f"{names[-1]}, not {len(values)} values"
        )
    use: BufferUse = _built(BufferUse, dict(zip(names, values, strict=False)), "a buffer's use")
    return use


def _read_stream(record: Any) -> Stream:
    stream: Stream = _built(
        Stream,
        _exactly(record, {"interval_s", "again"}, "its stream", optional=frozenset({"batch", "segments"})),
        "its stream",
    )
    return stream


def _read_blocks(record: Any, network: Network, chip: Chip, arrays: _Reader) -> BundleBlocks:
    """Read where the rows of tables sit."""
    given = ("starts", "members", "copies")
    content = dict(_exactly(record, {"rows", "height", "method", "options", *given}, "its tables"))
    kept: dict[str, Any] = {name: arrays.get(content.pop(name), f"its tables, {name},") for name in given}
    for (name, array), kind in zip(kept.items(), (np.int64, np.int32, np.int32), strict=True):
        if array.dtype != kind or array.ndim != 1 or not array.size:
            raise ProgramError(f"its tables, {name}, are {np.dtype(kind)} in a row, not {array.dtype} {array.shape}")
    plain = {"options": _named(content.pop("options"), "its tables, options,")}
    hints = get_type_hints(Layout)
    values = {key: typed(value, hints[key], f"its tables, {key},") for key, value in content.items()}
    layout: Layout = Layout(**{**values, **kept, **plain})
    widths = {layer.table.shape[1] for layer in bags_of(network).values()}
    if len(widths) != 1 or layout.height > chip.weight_rows:
        raise ProgramError("its tables need layers of bags of one width, and groups no higher than arrays")
    return BundleBlocks(layout, widths.pop(), weights_shape(chip))


def _read_network(record: Any, arrays: _Reader) -> Network:
    _exactly(record, {"name", "origin", "outputs", "returned", "codes", "layers"}, "its network")
    layers = (_read_layer(each, arrays, i) for i, each in enumerate(_listed(record["layers"], "the list of layers")))
    network: Network = _built(
        Network,
        {key: record[key] for key in ("name", "origin", "outputs", "returned")},
        "its network",
        layers=tuple(layers),
        codes=_read_codes(record),
    )
    check_shapes(network)
    return network


def _decode(record: Any, arrays: _Reader) -> Program:
    _exactly(record, PROGRAM_KEYS, "a program", optional=frozenset({"stream", "tables"}))
    chip = Chip.from_dict(record["chip"])
    network = _read_network(record["network"], arrays)
    coded = record["quantised"]
    strategy = Strategy.from_dict(_named(record["strategy"], "its strategy"))
    quantised = None if coded is None else _read_quantised(coded, network, arrays)
    if quantised is not None:
        quantised = replace(quantised, coding=strategy.coding)
    mapping = mapped_by(strategy, quantised or network, chip)
    if "tables" in record:
        mapping = with_tables(mapping, network, _read_blocks(record["tables"], network, chip, arrays))
    program: Program = _built(
        Program,
        {key: record[key] for key in ("setup", "notes")},
        "a program",
        chip=chip,
        network=network,
        quantised=quantised,
        mapping=mapping,
        strategy=strategy,
        instructions=tuple(
            _read_instruction(entry, i) for i, entry in enumerate(_listed(record["instructions"], "its instructions"))
        ),
        buffers=tuple(_read_use(use) for use in _listed(record["buffers"], "its buffers")),
        stream=_read_stream(record["stream"]) if "stream" in record else None,
    )
    return program


PROGRAM_KEYS = {
    "format", "chip", "network", "quantised", "strategy", "setup", "notes", "buffers", "instructions",
}  # fmt: skip
MOST_TEXT = 2**26
"""Bytes of a program's instructions and layers as JSON: that of 70 billion weights on one chip has a tenth of them."""


def load(path: str | Path) -> Program:
    """Read a program. ProgramError where the file is missing, is no program, or is of another version."""
    try:
        with opened(Path(path), ProgramError, "program file") as archive:
            size = archive.getinfo("program.json").file_size
            if size > MOST_TEXT:
                raise ProgramError(f"{path}: its instructions have {size:,} bytes; a program has at most {MOST_TEXT:,}")
            record = parse_json(archive.read("program.json"))
            if not isinstance(record, dict) or record.get("format") != FORMAT:
                given = record.get("format") if isinstance(record, dict) else None
                raise ProgramError(f"{path}: format {shown(given)} is not {FORMAT!r}")
            return _decode(record, _Reader(archive))
    except MhoError as error:
        raise ProgramError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (AttributeError, ArithmeticError, RecursionError) as error:
        raise ProgramError(f"{path}: not a program file ({type(error).__name__}: {error})") from None
