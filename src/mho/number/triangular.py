"""Triangular factors and what is solved with them, compiled in one order of sums: the same on any processor.

A matrix H, symmetric and positive definite, is R R' with R upper triangular. For a quadratic form d' H d = |R' d|^2 the part j
of R' d depends on the parts 1..j of d alone: what the parts before leave can be made good from j on, and R[j, j] R[j, j]' is the
form of what then remains.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]

BLOCK = 64
"""Columns that are factored before what they take off is taken from all that follow."""
TILE = 1024
"""Columns that are updated together, so that they stay in a first-level cache."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _take(row: Any, factors: Any, others: Any) -> None:
    """Take factors (n,) x others (n, m) off row (m,), four at a time."""
    count = len(factors)
    whole = count - count % 4
    for k in range(0, whole, 4):
        a, b, c, d = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        first, second, third, fourth = others[k], others[k + 1], others[k + 2], others[k + 3]
        for j in range(len(row)):
            row[j] -= (a * first[j] + b * second[j]) + (c * third[j] + d * fourth[j])
    for k in range(whole, count):
        a, first = factors[k], others[k]
        for j in range(len(row)):
            row[j] -= a * first[j]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _lower(matrix: Any, block: int, tile: int) -> None:
    """Turn the lower triangle of a positive definite matrix into its Cholesky factor, in place."""
    count = len(matrix)
    for start in range(0, count, block):
        stop = min(start + block, count)
        for k in range(start, stop):
            pivot = np.sqrt(matrix[k, k])
            matrix[k, k] = pivot
            for i in range(k + 1, count):
                matrix[i, k] /= pivot
                value = matrix[i, k]
                for j in range(k + 1, min(stop, i + 1)):
                    matrix[i, j] -= value * matrix[j, k]
        panel = matrix[stop:, start:stop].T.copy()
        for low in range(stop, count, tile):
            for i in range(low, count):
                high = min(low + tile, i + 1)
                _take(matrix[i, low:high], matrix[i, start:stop], panel[:, low - stop : high - stop])


def upper_factor(matrix: FloatArray) -> FloatArray:
    """Return R, upper triangular, with R R' = a symmetric positive definite matrix."""
    reverse = matrix[::-1, ::-1].copy()
    _lower(reverse, BLOCK, TILE)
    return np.ascontiguousarray(np.tril(reverse)[::-1, ::-1])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _back(upper: Any, values: Any) -> None:
    """Solve R x = values (n, m) in place."""
    for i in range(len(upper) - 1, -1, -1):
        _take(values[i], upper[i, i + 1 :], values[i + 1 :])
        values[i] /= upper[i, i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _forward(upper: Any, values: Any, block: int) -> None:
    """Solve R' x = values (n, m) in place."""
    count = len(upper)
    for start in range(0, count, block):
        stop = min(start + block, count)
        columns = upper[start:stop, start:].T.copy()
        for i in range(start, count):
            inside = min(i, stop)
            _take(values[i], columns[i - start, : inside - start], values[start:inside])
            if i < stop:
                values[i] /= upper[i, i]


def made_good(upper: FloatArray, values: FloatArray) -> FloatArray:
    """Return x with R' x = values (n, m)."""
    solved = np.array(values, order="C")
    _forward(upper, solved, BLOCK)
    return solved


def solved(upper: FloatArray, values: FloatArray) -> FloatArray:
    """Return x with R R' x = values (n, m)."""
    solved = np.array(values, order="C")
    _back(upper, solved)
    _forward(upper, solved, BLOCK)
    return solved


__all__ = ["made_good", "solved", "upper_factor"]
