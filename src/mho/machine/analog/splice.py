"""Blocks of digits, driven and spliced: which inputs drive which rows, and what sums of cell columns count for in outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.columns import Columns
from mho.mapping.pieces import Piece, Pieces

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]


def columns_of(pieces: Sequence[Piece]) -> Indices:
    """Return the cell columns that pieces convert, by their places in the block."""
    return np.concatenate([np.arange(piece.left, piece.left + piece.width) for piece in pieces])


def driven_by(pieces: Sequence[Piece], height: int, x: Bytes) -> list[Bytes]:
    """Return what drives the rows of a block in one turn, (windows, height), as one byte of each input, or as two, the lower first.

    x: uint8 (matrices, runs, windows, K). Inputs of rows that are shifted otherwise than others of their piece are shifted to the
    left.
    """
    runs, windows = x.shape[1:3]
    low: Bytes = np.zeros((runs * windows, height), dtype=np.uint8)
    high: Bytes | None = None
    for piece in pieces:
        place = slice(piece.top, piece.top + piece.height)
        part = np.ascontiguousarray(x[piece.matrix][:, :, piece.rows]).reshape(runs * windows, piece.height)
        if piece.late:
            wide = part.astype(np.uint16) << piece.shifts
            high = np.zeros_like(low) if high is None else high
            high[:, place] = wide >> 8
            part = (wide & 255).astype(np.uint8)
        low[:, place] = part
    return [low] if high is None else [low, high]


def splice(
    pieces: Sequence[Piece], columns: Indices, made: FloatArray, x: Bytes, served: slice, raw: FloatArray
) -> None:
    """Add to raw (matrices, runs, windows, N) what the columns of one turn give, made (runs x served windows, columns).

    x: uint8 (matrices, runs, windows, K), of whose windows `served` were driven.
    """
    runs = x.shape[1]
    place = {int(column): at for at, column in enumerate(columns)}
    for piece in pieces:
        first = place[piece.left] if piece.width else 0
        # The columns of an output stand together. They are added one after another, so that no sum depends on its batch.
        begins = np.flatnonzero(np.diff(piece.outputs, prepend=-1))
        outputs, counts = piece.outputs[begins], np.diff(begins, append=piece.width)
        factors, sums = piece.factors * float(behind(piece)), np.zeros((len(made), len(outputs)))
        for digit in range(int(counts.max(initial=0))):
            which = np.flatnonzero(counts > digit)
            columns_here = begins[which] + digit
            sums[:, which] += made[:, first + columns_here] * factors[columns_here]
        raw[piece.matrix][:, served, outputs] += sums.reshape(runs, -1, len(outputs))
        corrected, offsets = piece.corrected
        if len(corrected):
            driven = x[piece.matrix][:, served][:, :, piece.rows].astype(np.int64) << piece.shifts.astype(np.int64)
            raw[piece.matrix][:, served, corrected] -= driven.sum(axis=2)[..., None] * offsets.astype(np.int64)


def behind(piece: Piece) -> int:
    """What the sums of a piece count for whose rows are all shifted alike: they are shifted behind the array."""
    return 1 if piece.late or not piece.height else 1 << int(piece.shifts[0])


def spliced_weights(
    tiling: Pieces, read: Mapping[int, Columns], zero: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], int] | None:
    """Put what was read from blocks together: (matrices, K, N) codes, and the finest fixed point of any.

    None where a turn drives rows through cells that belong to another piece and hold something.
    """
    found = np.zeros((tiling.matrices, tiling.rows, tiling.columns))
    finest = 0
    for index, columns in read.items():
        linear, finest = columns.linear(), max(finest, columns.shift)
        for pieces in tiling.block(index).turns:
            for piece in pieces:
                across = slice(piece.left, piece.left + piece.width)
                for other in pieces:
                    if other is not piece and linear[other.top : other.top + other.height, across].any():
                        return None
                part = linear[piece.top : piece.top + piece.height, across] * piece.factors
                outputs, which = np.unique(piece.outputs, return_inverse=True)
                sums = np.zeros((piece.height, len(outputs)))
                np.add.at(sums.T, which, part.T)
                at = np.searchsorted(outputs, piece.corrected[0])
                extra = np.setdiff1d(piece.corrected[0], outputs)
                assert not len(extra)
                sums[:, at] -= piece.corrected[1]
                scaled = sums * (1 << piece.shifts.astype(np.int64))[:, None]
                found[piece.matrix][np.ix_(piece.rows, outputs)] += scaled
    matrices, _, outputs_all = found.shape
    return found + np.broadcast_to(zero, (matrices, outputs_all))[:, None, :], finest
