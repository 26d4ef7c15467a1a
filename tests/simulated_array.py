"""A systolic array simulated cycle by cycle: the oracle of the closed form, small and slow on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.systolic import Systolic
from mho.machine.systolic.folds import Dataflow

Matrix = npt.NDArray[np.int64]


@dataclass
class Simulated:
    """A product computed cycle by cycle: its result, the cycles, and what was counted on the way."""

    result: Matrix
    cycles: int = 0
    macs: int = 0
    stationary_hops: int = 0
    streamed_reads: int = 0


def stationary_fold(held: Matrix, stream: Matrix, rows: int, columns: int, told: Simulated) -> Matrix:
    """Compute stream (T x k) by held (k x n) in an array of rows x columns that keeps `held`, one clock edge after another."""
    (length, used_rows), used_columns = stream.shape, held.shape[1]
    kept: list[list[int | None]] = [[None] * columns for _ in range(rows)]
    for cycle in range(rows):
        # The row for the bottom goes in first; what is in the array moves down by a row.
        entering = rows - 1 - cycle
        top = list(held[entering]) + [None] * (columns - used_columns) if entering < used_rows else [None] * columns
        kept = [top, *kept[:-1]]
        told.stationary_hops += sum(value is not None for line in kept for value in line)
    told.cycles += rows
    moving: list[list[int | None]] = [[None] * columns for _ in range(rows)]
    sums = np.zeros((rows, columns), dtype=np.int64)
    left: list[list[int]] = [[] for _ in range(columns)]
    cycle = 0
    while any(len(column) < length for column in left):
        entering_column = [
            int(stream[cycle - row, row]) if row < used_rows and 0 <= cycle - row < length else None
            for row in range(rows)
        ]
        told.streamed_reads += sum(value is not None for value in entering_column)
        moving = [[entering_column[row], *moving[row][:-1]] for row in range(rows)]
        above = np.vstack([np.zeros((1, columns), dtype=np.int64), sums[:-1]])
        for row in range(rows):
            for column in range(columns):
                value, weight = moving[row][column], kept[row][column]
                sums[row, column] = above[row, column]
                if value is not None and weight is not None:
                    sums[row, column] += value * weight
                    told.macs += 1
        for column in range(columns):
            # The sum of streamed vector t is in the last row of a column this many cycles after t entered row 0.
            if 0 <= cycle - (rows - 1) - column < length:
                left[column].append(int(sums[rows - 1, column]))
        cycle += 1
    told.cycles += cycle
    return np.array(left, dtype=np.int64).T[:, :used_columns]


def summing_fold(left: Matrix, right: Matrix, rows: int, columns: int, told: Simulated) -> Matrix:
    """Compute left (m x T) by right (T x n) in an array of rows x columns whose cells keep their sums."""
    (used_rows, length), used_columns = left.shape, right.shape[1]
    along: list[list[int | None]] = [[None] * columns for _ in range(rows)]
    down: list[list[int | None]] = [[None] * columns for _ in range(rows)]
    sums = np.zeros((rows, columns), dtype=np.int64)
    done = np.zeros((rows, columns), dtype=np.int64)
    cycle = 0
    while done.min() < length:
        into_rows = [
            (int(left[row, cycle - row]) if row < used_rows else 0) if 0 <= cycle - row < length else None
            for row in range(rows)
        ]
        into_columns = [
            (int(right[cycle - column, column]) if column < used_columns else 0)
            if 0 <= cycle - column < length
            else None
            for column in range(columns)
        ]
        along = [[into_rows[row], *along[row][:-1]] for row in range(rows)]
        down = [into_columns, *down[:-1]]
        told.streamed_reads += sum(value is not None for value in into_rows[:used_rows])
        for row in range(rows):
            for column in range(columns):
                one, other = along[row][column], down[row][column]
                assert (one is None) == (other is None), "operands must meet"
                if one is not None and other is not None:
                    sums[row, column] += one * other
                    done[row, column] += 1
                    told.macs += row < used_rows and column < used_columns
        cycle += 1
    told.cycles += cycle
    return sums[:used_rows, :used_columns]


def parts(length: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))


def simulate(inputs: Matrix, weights: Matrix, rows: int, columns: int, dataflow: Dataflow) -> Simulated:
    """Compute inputs (M x K) by weights (K x N), fold after fold."""
    told = Simulated(np.zeros((len(inputs), weights.shape[1]), dtype=np.int64))
    if dataflow == "output":
        for m in parts(len(inputs), rows):
            for n in parts(weights.shape[1], columns):
                told.result[m, n] = summing_fold(inputs[m], weights[:, n], rows, columns, told)
        return told
    held, stream = (weights, inputs) if dataflow == "weight" else (inputs.T, weights.T)
    sums = np.zeros((len(stream), held.shape[1]), dtype=np.int64)
    for k in parts(len(held), rows):
        for n in parts(held.shape[1], columns):
            sums[:, n] += stationary_fold(held[k, n], stream[:, k], rows, columns, told)
    told.result[:] = sums if dataflow == "weight" else sums.T
    return told


def small_array(rows: int = 2, columns: int = 2, **changes: Any) -> Systolic:
    """Preset tpu-like with a small array; keys are written with a double underscore for the dot."""
    values = {"rows": rows, "columns": columns} | {key.replace("__", "."): value for key, value in changes.items()}
    return Systolic.load("tpu-like").override(values, source="worked out by hand")
