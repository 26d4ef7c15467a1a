"""The step of weights, on a grid or in affine codes of few bits: which real number the integer 1 stands for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mho.number.affine import SMALLEST, fit_many
from mho.number.coded import QuantisedMatrix
from mho.number.grid import Grid, halves

FloatArray = npt.NDArray[np.float64]

FACTORS = np.geomspace(1.0, 0.3, 41)
"""Scales that are tried, as shares of the one that lays the largest weight on the largest magnitude: 3 % apart."""
FEW, FEW_FACTORS = 2, np.geomspace(1.0, 0.05, 101)
"""Bits up to which the best step may lie the largest weight far beyond the levels, and what is tried then, 3 % apart."""
BLOCK = 1 << 20
"""Weights that are rounded at once."""
BINS = 4096
"""Into how many bins more weights than these are counted, where they have one code."""


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
    for tile in _tiles(*real.shape):
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


def _tiles(groups: int, K: int, N: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of groups and outputs that hold about BLOCK weights each."""
    wide, high = max(BLOCK // K, 1), max(BLOCK // (K * N), 1)
    for group in range(0, groups, high):
        for first in range(0, N, wide):
            yield slice(group, group + high), slice(first, first + wide)


def thresholds(
    real: FloatArray, bits: int, symmetric: bool, per_channel: bool
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Choose the scales and zeros of affine codes by search over thresholds t, the range being [max(low, -t), min(high, t)].

    `real` (groups, K, N). Returns those of the least sum of squared errors, one an output (groups, N), or () for one in all.
    """
    counts: npt.NDArray[np.int64] | None = None
    if not per_channel:
        low, high = np.asarray(real.min()), np.asarray(real.max())
        values = real.reshape(1, -1, 1)
        if real.size > BINS:
            counts, edges = np.histogram(real, BINS)
            values = ((edges[:-1] + edges[1:]) / 2).reshape(1, -1, 1)
        low, high = low.reshape(1, 1), high.reshape(1, 1)
    else:
        values, low, high = real, real.min(axis=1), real.max(axis=1)
    best = np.full(low.shape, np.inf)
    scales, zeros = np.ones(low.shape), np.zeros(low.shape, dtype=np.int64)
    for tile in _tiles(*values.shape):
        weights = values[tile[0], :, tile[1]]
        for ends in _ranges(low[tile], high[tile], bits):
            scale, zero = fit_many(*ends, bits, symmetric)
            steps = np.clip(np.rint(weights / scale[:, None]) + zero[:, None], int(symmetric), 2**bits - 1)
            squares = (scale[:, None] * (steps - zero[:, None]) - weights) ** 2
            error = (squares if counts is None else squares * counts[:, None]).sum(axis=1)
            better = error < best[tile]
            for chosen, given in ((best, error), (scales, scale), (zeros, zero)):
                chosen[tile] = np.where(better, given, chosen[tile])
    return (scales, zeros) if per_channel else (scales.reshape(()), zeros.reshape(()))


def _ranges(low: FloatArray, high: FloatArray, bits: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield the ranges to try, the widest first; a code of 1 bit lies on one side of 0."""
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    largest = np.maximum(-low, high)
    for share in FEW_FACTORS if bits <= FEW else FACTORS:
        if bits == 1:
            yield np.zeros_like(low), share * high
            yield share * low, np.zeros_like(high)
        else:
            yield np.maximum(low, -share * largest), np.minimum(high, share * largest)


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


__all__ = ["fitted", "kept", "thresholds"]
