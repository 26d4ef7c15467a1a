"""Programs in files: a zip of `program.json` and one `.npy` file an array, format mho.program/3 (docs/program.md).

Nothing in it is executable: no pickle is written, and none is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MhoError, ProgramError
from mho.files.archive import opened, read_array, write_member
from mho.files.text import parse_json
from mho.files.writing import write_whole
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.layers import LAYER_KINDS, Affine, Array, Layer, MatrixLayer
from mho.number.alignment import Alignment
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.number.squeeze import Squeeze
from mho.program.instructions import KINDS, NAMES, ORDERS, Instruction
from mho.program.program import BufferUse, Program

FORMAT = "mho.program/3"
_LAYERS = {kind.kind: kind for kind in LAYER_KINDS}


class _Arrays:
    """The arrays of a file, by number, while it is written."""

    def __init__(self) -> None:
        self.kept: list[npt.NDArray[Any]] = []

    def put(self, array: npt.NDArray[Any]) -> int:
        self.kept.append(np.asarray(array, order="C"))
        return len(self.kept) - 1


def _affine(code: Affine) -> dict[str, Any]:
    return {
        "scale": code.scale.tolist(), "zero": code.zero.tolist(), "low": code.low, "high": code.high, "axis": code.axis,
    }  # fmt: skip


def _layer(layer: Layer, arrays: _Arrays) -> dict[str, Any]:
    """Describe a layer; real weights of matrix layers are left out where the program holds their codes."""
    record: dict[str, Any] = {"kind": layer.kind}
    for item in fields(layer):
        value = getattr(layer, item.name)
        if isinstance(value, Array):
            known = value.values is not None and not (
                isinstance(layer, MatrixLayer) and item.name in ("weight", "bias")
            )
            record[item.name] = {
                "shape": list(value.shape),
                "values": arrays.put(value.values) if known and value.values is not None else None,
                "code": None if value.code is None or not known else _affine(value.code),
            }
        else:
            record[item.name] = dict(value) if isinstance(value, Mapping) else value
    return record


def _encode(program: Program, arrays: _Arrays) -> dict[str, Any]:
    network, quantised = program.network, program.quantised
    return {
        "format": FORMAT,
        "chip": program.chip.to_dict(),
        "network": {
            "name": network.name,
            "origin": network.origin,
            "outputs": list(network.outputs),
            "returned": dict(network.returned),
            "codes": {name: _affine(code) for name, code in network.codes.items()},
            "layers": [_layer(layer, arrays) for layer in network.layers],
        },
        "quantised": None
        if quantised is None
        else {
            "per_channel": quantised.per_channel,
            "calibration": quantised.calibration,
            "offsets": dict(quantised.offsets),
            "notes": list(quantised.notes),
            "alignment": None if quantised.alignment is None else asdict(quantised.alignment),
            "codes": {name: _affine(code) for name, code in quantised.codes.items()},
            "matrices": {name: _matrix(matrix, arrays) for name, matrix in quantised.matrices.items()},
            "squeezes": {name: _squeeze(squeeze, arrays) for name, squeeze in quantised.squeezes.items()},
            "tables": {name: _table(table, arrays) for name, table in quantised.tables.items()},
        },
        "mapping": {"kind": program.mapping.kind, "packing": program.mapping.packing, "turns": program.mapping.turns},
        "schedule": program.schedule,
        "setup": program.setup,
        "options": dict(program.options),
        "notes": list(program.notes),
        "buffers": [[use.layer, use.size, list(use.banks), use.spilled, use.last] for use in program.buffers],
        "instructions": [
            {
                "do": NAMES[type(each)],
                **{item.name: getattr(each, item.name) for item in fields(each) if not _in_place(each, item.name)},
            }
            for each in program.instructions
        ],
    }


def _in_place(instruction: Instruction, key: str) -> bool:
    """Whether an operand says that all blocks sit in place: such orders are left out of the file."""
    return key in ORDERS and not getattr(instruction, key)


def _matrix(matrix: QuantisedMatrix, arrays: _Arrays) -> dict[str, Any]:
    return {
        "codes": arrays.put(matrix.codes),
        "scale": arrays.put(matrix.scale),
        "zero": arrays.put(matrix.zero),
        "bias": None if matrix.bias is None else arrays.put(matrix.bias),
    }


def _squeeze(squeeze: Squeeze, arrays: _Arrays) -> dict[str, Any]:
    return {
        "top": squeeze.top, "tile": squeeze.tile, "shifts": arrays.put(squeeze.shifts), "dropped": squeeze.dropped,
    }  # fmt: skip


def _table(table: QuantisedTable, arrays: _Arrays) -> dict[str, Any]:
    return {"codes": arrays.put(table.codes), "code": _affine(table.code)}


def save(program: Program, path: str | Path) -> None:
    """Write a program to a file, whole or not at all. OutputError where that fails."""
    arrays = _Arrays()
    text = json.dumps(_encode(program, arrays), separators=(",", ":"))

    def fill(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            write_member(archive, "program.json", text)
            for number, array in enumerate(arrays.kept):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                write_member(archive, f"arrays/{number}.npy", buffer.getvalue())

    write_whole(Path(path), fill)


def digest(program: Program, *, values_only: bool = False) -> str:
    """Return the SHA-256 in hexadecimal of what a program's file would hold.

    `values_only`: of network and codes alone, so of what is computed, on whatever chip and by whatever schedule.
    """
    arrays = _Arrays()
    record = _encode(program, arrays)
    if values_only:
        record = {key: record[key] for key in ("network", "quantised")}
    found = hashlib.sha256(json.dumps(record, separators=(",", ":")).encode())
    for array in arrays.kept:
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


class _Reader:
    """The arrays of a file while it is read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def get(self, number: int) -> npt.NDArray[Any]:
        return read_array(self.archive, f"arrays/{int(number)}.npy")


def _exactly(record: Any, keys: set[str], what: str) -> dict[str, Any]:
    """Refuse a record with a key too many or too few."""
    if not isinstance(record, dict) or set(record) != keys:
        odd = sorted(set(record) ^ keys) if isinstance(record, dict) else [type(record).__name__]
        raise ProgramError(f"{what} has keys {', '.join(sorted(keys))}; check {', '.join(map(str, odd))}")
    return record


def _whole(value: Any, what: str) -> Any:
    """Accept whole numbers, and lists of them within lists, as tuples."""
    if isinstance(value, list):
        return tuple(_whole(each, what) for each in value)
    if type(value) is not int:
        raise ProgramError(f"{what} needs whole numbers, not {value!r}")
    return value


def _tuples(value: Any) -> Any:
    """Turn lists within lists into tuples within tuples."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _read_affine(record: Any) -> Affine:
    _exactly(record, {"scale", "zero", "low", "high", "axis"}, "a code")
    return Affine(np.array(record["scale"]), np.array(record["zero"]), record["low"], record["high"], record["axis"])


def _read_layer(record: dict[str, Any], arrays: _Reader) -> Layer:
    kind = _LAYERS[record.pop("kind")]
    names = {item.name for item in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in record.items():
        if name not in names:
            raise KeyError(name)
        if isinstance(value, dict) and "shape" in value:
            _exactly(value, {"shape", "values", "code"}, f"array {name}")
            code = None if value["code"] is None else _read_affine(value["code"])
            held = None if value["values"] is None else arrays.get(value["values"])
            values[name] = Array(tuple(value["shape"]), held, code)
        else:
            values[name] = _tuples(value)
    return kind(**values)


def _read_quantised(record: Any, network: Network, arrays: _Reader) -> QuantisedNetwork:
    keys = {"per_channel", "calibration", "offsets", "notes", "alignment", "codes", "matrices", "squeezes", "tables"}
    _exactly(record, keys, "its quantised network")
    if set(record["matrices"]) != {layer.name for layer in network.matrix_layers}:
        raise ProgramError("the quantised matrices are not those of the network's layers")
    matrices = {
        name: QuantisedMatrix(
            arrays.get(each["codes"]),
            arrays.get(each["scale"]),
            arrays.get(each["zero"]),
            None if each["bias"] is None else arrays.get(each["bias"]),
        )
        for name, each in record["matrices"].items()
        if _exactly(each, {"codes", "scale", "zero", "bias"}, f"matrix {name}")
    }
    tables = {
        name: QuantisedTable(arrays.get(each["codes"]), _read_affine(each["code"]))
        for name, each in record["tables"].items()
        if _exactly(each, {"codes", "code"}, f"table {name}")
    }
    squeezes = {
        name: Squeeze(each["top"], each["tile"], arrays.get(each["shifts"]), each["dropped"])
        for name, each in record["squeezes"].items()
        if _exactly(each, {"top", "tile", "shifts", "dropped"}, f"squeeze {name}")
    }
    for name, squeeze in squeezes.items():
        _check_squeeze(name, squeeze, matrices)
    return QuantisedNetwork(
        network=network,
        matrices=matrices,
        tables=tables,
        codes={name: _read_affine(each) for name, each in record["codes"].items()},
        per_channel=record["per_channel"],
        calibration=record["calibration"],
        offsets=record["offsets"],
        notes=tuple(record["notes"]),
        alignment=None if record["alignment"] is None else Alignment(**record["alignment"]),
        squeezes=squeezes,
    )


def _check_squeeze(name: str, squeeze: Squeeze, matrices: Mapping[str, QuantisedMatrix]) -> None:
    """Refuse row shifts that are not those of a matrix whose weights are whole multiples of them."""
    if name not in matrices:
        raise ProgramError(f"rows of {name!r} are shifted, but it is no layer with weights")
    weights = matrices[name].centred
    if squeeze.shifts.shape != (*weights.shape[:2], -(-weights.shape[2] // squeeze.tile)):
        raise ProgramError(f"the row shifts of {name!r} have shape {squeeze.shifts.shape}, the weights {weights.shape}")
    shifts = squeeze.by_output(weights.shape[2])
    if ((weights >> shifts) << shifts != weights).any():
        raise ProgramError(f"{name!r} has weights that are no whole multiples of the shifts of their rows")


def _read_instruction(record: Any, number: int) -> Instruction:
    name = record.get("do") if isinstance(record, dict) else None
    if name not in KINDS:
        raise ProgramError(f"instruction {number} is {name!r}, none of {', '.join(KINDS)}")
    kind = KINDS[name]
    what = f"instruction {number} ({name})"
    keys = {"do", *(item.name for item in fields(kind))}
    operands = dict(_exactly(record, keys - {key for key in ORDERS if key not in record}, what))
    del operands["do"]
    given: dict[str, Any] = {}
    for key, value in operands.items():
        wanted: type = {"release": bool, "direction": str}.get(key, int)
        given[key] = value if type(value) is wanted and wanted is not int else _whole(value, f"{what}, {key},")
        if key in ORDERS and not _are_orders(given[key]):
            raise ProgramError(f"{what}, {key}, needs a list of places for each block, not {value!r:.60}")
        pairs = given[key] if key == "groups" else (given[key],) if key in ("blocks", "windows") else ()
        if any(not isinstance(pair, tuple) or len(pair) != 2 for pair in pairs):
            raise ProgramError(f"{what}, {key}, needs pairs (first, last), not {value!r}")
        if isinstance(given[key], tuple) != (key in ("groups", "blocks", "windows", "after", *ORDERS)):
            raise ProgramError(f"{what}, {key}, cannot be {value!r}")
    return kind(**given)


def _are_orders(value: Any) -> bool:
    """Whether a value is a list of lists of whole numbers."""
    return isinstance(value, tuple) and all(
        isinstance(order, tuple) and all(isinstance(place, int) for place in order) for order in value
    )


def _read_use(record: Any) -> BufferUse:
    layer, size, banks, spilled, last = _whole(record, "a buffer's use")
    if not isinstance(banks, tuple) or any(isinstance(each, tuple) for each in (layer, size, spilled, last, *banks)):
        raise ProgramError(f"a buffer's use is layer, size, banks, spilled, last; not {record!r}")
    return BufferUse(layer, size, banks, spilled, last)


def _decode(record: Any, arrays: _Reader) -> Program:
    _exactly(record, PROGRAM_KEYS, "a program")
    chip = Chip.from_dict(record["chip"])
    described = _exactly(record["network"], {"name", "origin", "outputs", "returned", "codes", "layers"}, "its network")
    network = Network(
        described["name"],
        tuple(_read_layer(layer, arrays) for layer in described["layers"]),
        tuple(described["outputs"]),
        described["origin"],
        {name: _read_affine(code) for name, code in described["codes"].items()},
        described["returned"],
    )
    held = record["quantised"]
    mapping = _exactly(record["mapping"], {"kind", "packing", "turns"}, "its mapping")
    quantised = None if held is None else _read_quantised(held, network, arrays)
    mapped = map_network(
        quantised or network, chip, mapping=mapping["kind"], packing=mapping["packing"], turns=mapping["turns"]
    )
    return Program(
        chip=chip,
        network=network,
        quantised=quantised,
        mapping=mapped,
        schedule=record["schedule"],
        instructions=tuple(_read_instruction(each, i) for i, each in enumerate(record["instructions"])),
        setup=_whole(record["setup"], "setup"),
        buffers=tuple(_read_use(each) for each in record["buffers"]),
        options=record["options"],
        notes=tuple(record["notes"]),
    )


PROGRAM_KEYS = {
    "format", "chip", "network", "quantised", "mapping", "schedule", "setup", "options", "notes", "buffers", "instructions",
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
                raise ProgramError(f"{path}: format {given!r} is not {FORMAT!r}")
            return _decode(record, _Reader(archive))
    except MhoError as error:
        raise ProgramError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (AttributeError, ArithmeticError, RecursionError) as error:
        raise ProgramError(f"{path}: not a program file ({type(error).__name__}: {error})") from None
