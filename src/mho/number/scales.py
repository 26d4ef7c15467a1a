"""The step of weights on a grid: which real number the integer 1 stands for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.number.affine import SMALLEST
from mho.number.coded import QuantisedMatrix
from mho.number.grid import Grid, halves

FloatArray = npt.NDArray[np.float64]

FACTORS = np.geomspace(1.0, 0.3, 41)
"""Scales that are tried, as shares of the one that lays the largest weight on the largest magnitude: 3 % apart."""
BLOCK = 1 << 20
"""Weights that are rounded at once."""


def fitted(real: FloatArray, grid: Grid, per_channel: bool, importance: FloatArray | None = None) -> FloatArray:
    """Choose the scales by search that lose the least on a grid.

    `real` (groups, K, N), `importance` (groups, K) of a weight's squared error, None for 1. Returns, of `FACTORS`, the
    scale of the least sum of squared errors, one an output (groups, N), or () for one in all; 1 where all weights are 0.
    """
    largest = np.abs(real).max(axis=1)
    if not per_channel:
        largest = np.full(largest.shape, largest.max())
    base = np.where(largest > 0, np.maximum(largest / max(grid.largest, 1), SMALLEST), 1.0)
    errors = np.zeros((len(FACTORS), *base.shape))
    groups, K, N = real.shape
    wide, high = max(BLOCK // K, 1), max(BLOCK // (K * N), 1)
    for group in range(0, groups, high):
        for first in range(0, N, wide):
            tile = slice(group, group + high), slice(first, first + wide)
            weights = real[tile[0], :, tile[1]]
            weighing = None if importance is None else importance[tile[0], :, None]
            for place, factor in enumerate(FACTORS):
                scale = np.maximum(base[tile] * factor, SMALLEST)[:, None, :]
                magnitude = np.abs(weights) / scale
                squares = ((magnitude - grid.table[halves(magnitude, grid.limit)]) * scale) ** 2
                errors[place][tile] = (squares if weighing is None else squares * weighing).sum(axis=1)
    if per_channel:
        best = FACTORS[errors.argmin(axis=0)]
        return np.asarray(np.where(largest > 0, np.maximum(base * best, SMALLEST), 1.0))
    if not largest.any():
        return np.asarray(1.0)
    best = FACTORS[errors.sum(axis=(1, 2)).argmin()]
    return np.asarray(np.maximum(base.flat[0] * best, SMALLEST))


def kept(matrix: QuantisedMatrix, bits: int) -> FloatArray:
    """Keep the scales of codes: as they are where the integers fit `bits` bits, else doubled as often as they need it.

    Integers may lie one step beyond the bits: those of two's complement reach 2^(bits - 1), and the grid clips them. Where a
    layer has a scale for each output, each is doubled for itself.
    """
    axes = None if matrix.scale.ndim == 0 else 1
    largest = np.abs(matrix.centred.astype(np.int64)).max(axis=axes)
    doublings = np.zeros(np.shape(largest), dtype=np.int64)
    for power in range(1, 17):
        doublings += np.rint(largest / 2.0 ** (power - 1)) > 2 ** (bits - 1)
    return np.asarray(matrix.scale * 2.0**doublings)


__all__ = ["fitted", "kept"]
