"""Programs in files: a zip of `program.json` and one `.npy` file an array, format mho.program/1 (docs/program.md).

Nothing in it is executable: no pickle is written, and none is read.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MhoError, OutputError, ProgramError
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.layers import LAYER_KINDS, Affine, Array, Layer, MatrixLayer
from mho.number.coded import QuantisedMatrix, QuantisedNetwork, QuantisedTable
from mho.program.instructions import KINDS, NAMES, Instruction
from mho.program.program import BufferUse, Program

FORMAT = "mho.program/1"
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
            "codes": {name: _affine(code) for name, code in quantised.codes.items()},
            "matrices": {name: _matrix(matrix, arrays) for name, matrix in quantised.matrices.items()},
            "tables": {name: _table(table, arrays) for name, table in quantised.tables.items()},
        },
        "mapping": {"kind": program.mapping.kind, "packing": program.mapping.packing},
        "schedule": program.schedule,
        "setup": program.setup,
        "options": dict(program.options),
        "notes": list(program.notes),
        "buffers": [[use.layer, use.size, list(use.banks), use.spilled, use.last] for use in program.buffers],
        "instructions": [
            {"do": NAMES[type(each)], **{item.name: getattr(each, item.name) for item in fields(each)}}
            for each in program.instructions
        ],
    }


def _matrix(matrix: QuantisedMatrix, arrays: _Arrays) -> dict[str, Any]:
    return {
        "codes": arrays.put(matrix.codes),
        "scale": arrays.put(matrix.scale),
        "zero": arrays.put(matrix.zero),
        "bias": None if matrix.bias is None else arrays.put(matrix.bias),
    }


def _table(table: QuantisedTable, arrays: _Arrays) -> dict[str, Any]:
    return {"codes": arrays.put(table.codes), "code": _affine(table.code)}


def save(program: Program, path: str | Path) -> None:
    """Write a program to a file, beside it first and then renamed. OutputError where that fails."""
    arrays = _Arrays()
    text = json.dumps(_encode(program, arrays), separators=(",", ":"))
    target = Path(path)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    try:
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            # A fixed date keeps equal programs equal byte for byte.
            archive.writestr(zipfile.ZipInfo("program.json", (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
            for number, array in enumerate(arrays.kept):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, allow_pickle=False)
                name = zipfile.ZipInfo(f"arrays/{number}.npy", (1980, 1, 1, 0, 0, 0))
                archive.writestr(name, buffer.getvalue(), zipfile.ZIP_DEFLATED)
        os.replace(beside, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    finally:
        Path(beside).unlink(missing_ok=True)


class _Reader:
    """The arrays of a file while it is read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def get(self, number: int) -> npt.NDArray[Any]:
        with self.archive.open(f"arrays/{int(number)}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
            return array


def _tuples(value: Any) -> Any:
    """Turn lists within lists into tuples within tuples."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _read_affine(record: dict[str, Any]) -> Affine:
    return Affine(np.array(record["scale"]), np.array(record["zero"]), record["low"], record["high"], record["axis"])


def _read_layer(record: dict[str, Any], arrays: _Reader) -> Layer:
    kind = _LAYERS[record.pop("kind")]
    names = {item.name for item in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in record.items():
        if name not in names:
            raise KeyError(name)
        if isinstance(value, dict) and "shape" in value:
            code = None if value["code"] is None else _read_affine(value["code"])
            held = None if value["values"] is None else arrays.get(value["values"])
            values[name] = Array(tuple(value["shape"]), held, code)
        else:
            values[name] = _tuples(value)
    return kind(**values)


def _read_quantised(record: dict[str, Any], network: Network, arrays: _Reader) -> QuantisedNetwork:
    matrices = {
        name: QuantisedMatrix(
            arrays.get(each["codes"]),
            arrays.get(each["scale"]),
            arrays.get(each["zero"]),
            None if each["bias"] is None else arrays.get(each["bias"]),
        )
        for name, each in record["matrices"].items()
    }
    tables = {
        name: QuantisedTable(arrays.get(each["codes"]), _read_affine(each["code"]))
        for name, each in record["tables"].items()
    }
    return QuantisedNetwork(
        network=network,
        matrices=matrices,
        tables=tables,
        codes={name: _read_affine(each) for name, each in record["codes"].items()},
        per_channel=record["per_channel"],
        calibration=record["calibration"],
        offsets=record["offsets"],
        notes=tuple(record["notes"]),
    )


def _read_instruction(record: dict[str, Any]) -> Instruction:
    kind = KINDS[record.pop("do")]
    return kind(**{name: _tuples(value) for name, value in record.items()})


def _decode(record: dict[str, Any], arrays: _Reader) -> Program:
    chip = Chip.from_dict(record["chip"])
    described = record["network"]
    network = Network(
        described["name"],
        tuple(_read_layer(layer, arrays) for layer in described["layers"]),
        tuple(described["outputs"]),
        described["origin"],
        {name: _read_affine(code) for name, code in described["codes"].items()},
    )
    held = record["quantised"]
    return Program(
        chip=chip,
        network=network,
        quantised=None if held is None else _read_quantised(held, network, arrays),
        mapping=map_network(network, chip, mapping=record["mapping"]["kind"], packing=record["mapping"]["packing"]),
        schedule=record["schedule"],
        instructions=tuple(_read_instruction(each) for each in record["instructions"]),
        setup=record["setup"],
        buffers=tuple(BufferUse(a, b, tuple(banks), c, d) for a, b, banks, c, d in record["buffers"]),
        options=record["options"],
        notes=tuple(record["notes"]),
    )


def load(path: str | Path) -> Program:
    """Read a program. ProgramError where the file is missing, is no program, or is of another version."""
    try:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read("program.json"))
            if record.get("format") != FORMAT:
                raise ProgramError(f"{path}: format {record.get('format')!r} is not {FORMAT!r}")
            return _decode(record, _Reader(archive))
    except ProgramError:
        raise
    except MhoError as error:
        raise ProgramError(f"{path}: {error}") from None
    except OSError as error:
        raise ProgramError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise ProgramError(f"{path} is not a program file ({type(error).__name__}: {error})") from None
