"""Programs written to files: a zip of `program.json` and one `.npy` file an array, format mho.program/5 (docs/program.md).

Nothing in it is executable: no pickle is written, and none is read. Files are read by `program/reading.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.files.archive import write_arrays
from mho.files.writing import write_whole
from mho.mapping.embedding.layout import Layout
from mho.network.layers import Affine, Array, Layer, MatrixLayer
from mho.number.basis import BasisCoding
from mho.number.bits import BYTES
from mho.number.coded import QuantisedMatrix, QuantisedTable
from mho.number.squeeze import Squeeze
from mho.program.instructions import NAMES
from mho.program.program import BufferUse, Program, Stream

FORMAT = "mho.program/5"


class _Arrays:
    """The arrays of a file, by number, while it is written."""

    def __init__(self) -> None:
        self.kept: list[npt.NDArray[Any]] = []
        self._given: dict[int, tuple[int, npt.NDArray[Any]]] = {}

    def put(self, array: npt.NDArray[Any]) -> int:
        """Keep an array, once however often it is given; return its number."""
        if id(array) not in self._given:
            self._given[id(array)] = len(self.kept), array
            self.kept.append(np.asarray(array, order="C"))
        return self._given[id(array)][0]


def _affine(code: Affine) -> dict[str, Any]:
    return {
        "scale": code.scale.tolist(), "zero": code.zero.tolist(), "low": code.low, "high": code.high, "axis": code.axis,
    }  # fmt: skip


def _layer(layer: Layer, owners: Mapping[str, str], arrays: _Arrays) -> dict[str, Any]:
    """Describe a layer; real weights of matrix layers are left out where the program holds their codes.

    A weight that belongs to another layer (`owners`) is that layer's name.
    """
    record: dict[str, Any] = {"kind": layer.kind}
    for item in fields(layer):
        value = getattr(layer, item.name)
        if item.name == "weight" and owners.get(layer.name, layer.name) != layer.name:
            record[item.name] = owners[layer.name]
        elif isinstance(value, Array):
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
            "layers": [_layer(layer, network.owners, arrays) for layer in network.layers],
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
            # Bits are written where they are not 8.
            **({"input_bits": dict(quantised.input_bits)} if quantised.input_bits else {}),
            **({} if quantised.requantise is None else {"requantise": quantised.requantise}),
            **({} if quantised.basis is None else {"basis": _basis(quantised.basis, arrays)}),
        },
        "strategy": program.strategy.to_dict(),
        "setup": program.setup,
        "notes": list(program.notes),
        "buffers": [_use(use) for use in program.buffers],
        **({} if program.mapping.tables is None else {"tables": _layout(program.mapping.tables.blocks.layout, arrays)}),
        **({} if program.stream is None else {"stream": _stream(program.stream)}),
        "instructions": [
            {
                "do": NAMES[type(each)],
                **{item.name: value for item in fields(each) if (value := getattr(each, item.name)) != item.default},
            }
            for each in program.instructions
        ],
    }


def _layout(layout: Layout, arrays: _Arrays) -> dict[str, Any]:
    return {
        "rows": layout.rows, "height": layout.height, "method": layout.method, "options": dict(layout.options),
        **{name: arrays.put(getattr(layout, name)) for name in ("starts", "members", "copies")},
    }  # fmt: skip


def _stream(stream: Stream) -> dict[str, Any]:
    rounds = {"batch": stream.batch, "segments": stream.segments} if stream.segments else {}
    return {"interval_s": stream.interval_s, "again": stream.again, **rounds}


def _use(use: BufferUse) -> list[Any]:
    ring = [] if use.rows is None else [use.rows, list(use.parts), *([] if use.of is None else [list(use.of)])]
    return [use.layer, use.size, list(use.banks), use.spilled, use.last, *ring]


def _matrix(matrix: QuantisedMatrix, arrays: _Arrays) -> dict[str, Any]:
    return {
        "codes": arrays.put(matrix.codes),
        "scale": arrays.put(matrix.scale),
        "zero": arrays.put(matrix.zero),
        "bias": None if matrix.bias is None else arrays.put(matrix.bias),
        **({} if matrix.bits == BYTES.weights else {"bits": matrix.bits}),
    }


def _squeeze(squeeze: Squeeze, arrays: _Arrays) -> dict[str, Any]:
    return {
        "top": squeeze.top, "tile": squeeze.tile, "shifts": arrays.put(squeeze.shifts), "dropped": squeeze.dropped,
    }  # fmt: skip


def _basis(coding: BasisCoding, arrays: _Arrays) -> dict[str, Any]:
    return {
        "cells": arrays.put(coding.cells), "levels": coding.levels, "bits": coding.bits, "nonzeros": coding.nonzeros,
        "coefficients": {
            name: {"values": arrays.put(each.values), "places": arrays.put(each.places)}
            for name, each in coding.coefficients.items()
        },
        **{flag: True for flag in ("powers", "units") if getattr(coding, flag)},
    }  # fmt: skip


def _table(table: QuantisedTable, arrays: _Arrays) -> dict[str, Any]:
    return {"codes": arrays.put(table.codes), "code": _affine(table.code)}


def save(program: Program, path: str | Path) -> None:
    """Write a program to a file, whole or not at all. OutputError where that fails."""
    arrays = _Arrays()
    text = json.dumps(_encode(program, arrays), separators=(",", ":"))

    members = {f"arrays/{number}": array for number, array in enumerate(arrays.kept)}
    write_whole(Path(path), lambda stream: write_arrays(stream, members, {"program.json": text}))


def digest(program: Program, *, values_only: bool = False) -> str:
    """Return the SHA-256 in hexadecimal of what a program's file would hold.

    `values_only`: of network and codes alone, so of what is computed, on whatever chip and by whatever schedule.
    """
    arrays = _Arrays()
    record = _encode(program, arrays)
    if values_only:
        record = {key: record[key] for key in ("network", "quantised")}
    digest = hashlib.sha256(json.dumps(record, separators=(",", ":")).encode())
    for array in arrays.kept:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
