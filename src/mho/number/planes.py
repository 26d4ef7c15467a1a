"""Weights for few bit planes: in each block of rows, each output takes as many planes as it needs most (ours).

Stored as U = W - the least W of its block and output, a weight needs the planes in which some U of its block and output has a
bit. If W takes values low + 2^shift {0..2^b - 1} only, these are at most b planes, whatever low and shift are. Where b = 0 all
weights of a block and output are the same and nothing is stored. Here b, shift and low are chosen: planes go where one more
lowers the squared error of outputs most (reverse water-filling, over errors as they are), low and the step between levels by
least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError

FloatArray = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.int64]

LIMIT = 127
"""The largest magnitude of an integer weight."""
MOST = 7
"""The most planes of a block and output."""
BEYOND = 3
"""Planes of a block and output beyond the mean that are considered; with 4 more, errors are a 256th of the mean's."""
STARTS, ROUNDS = (1.0, 0.75), 10
"""Shares of the range of weights from which levels are fitted, and how often."""
PHASES = 16
"""Scales in an octave that are tried where blocks share one."""
BLOCK = 1 << 18
"""Weights whose levels are fitted at once."""


@dataclass(frozen=True)
class Planes:
    """Bit planes that a layer's weights may take: `planes`, 0 to 7, on average over outputs and blocks of `rows` rows.

    Planes(2.5)                      on average 2.5 planes, in blocks of 128 rows       "planes:2.5"
    Planes(2.5, rows=64)             in blocks of 64 rows                                "planes:2.5:64"
    Planes.parse("planes:2.5")       the same by name, as `str` gives it

    A layer takes at most planes x blocks x outputs cell columns, blocks and outputs of all groups together.
    """

    planes: float
    rows: int = 128

    def __post_init__(self) -> None:
        """Raise NumberError for planes outside 0..7 and blocks of no row."""
        if isinstance(self.planes, bool) or not 0 <= self.planes <= MOST:
            raise NumberError(f"weights take 0 to {MOST} planes on average, not {self.planes!r}")
        if isinstance(self.rows, bool) or not isinstance(self.rows, int) or self.rows < 1:
            raise NumberError(f"a block has at least one row, not {self.rows!r}")

    @classmethod
    def parse(cls, text: str) -> Planes:
        """Return what has that name ("planes:2.5:128"). Raises OptionError for a name that means no planes."""
        kind, *numbers = text.split(":")
        try:
            if kind != "planes" or not 1 <= len(numbers) <= 2:
                raise ValueError
            return cls(float(numbers[0]), *map(int, numbers[1:]))
        except ValueError:
            raise OptionError(
                f"no planes {text!r}: 'planes', how many and, if not 128, rows, as in 'planes:2.5'"
            ) from None
        except NumberError as error:
            raise OptionError(f"no planes {text!r}: {error}") from None

    def __str__(self) -> str:
        """Return the name, from which `parse` makes the same."""
        return f"planes:{self.planes:g}" + ("" if self.rows == 128 else f":{self.rows}")

    def blocks(self, K: int) -> int:
        """Return how many blocks K rows make."""
        return -(-K // self.rows)


@dataclass(frozen=True, eq=False)
class Levels:
    """The integers that weights may take: low + 2^shift {0..2^planes - 1}, by block and output, (groups, blocks, N) each.

    `scale` (groups, N): the real number that 1 stands for. `rows`: rows of a block. All levels are -127 to 127.
    """

    scale: FloatArray
    low: IntegerArray
    shift: IntegerArray
    planes: IntegerArray
    rows: int

    def __post_init__(self) -> None:
        """Raise NumberError for levels beyond 8 bits and sign."""
        if self.low.size and (self.low.min() < -LIMIT or self.high.max() > LIMIT or self.shift.min() < 0):
            raise NumberError(f"levels reach from {self.low.min()} to {self.high.max()}, beyond {LIMIT}")

    @property
    def high(self) -> IntegerArray:
        """The highest level of each block and output."""
        return self.low + ((1 << self.planes) - 1 << self.shift)

    def __call__(self, rows: npt.NDArray[np.intp], first: int, values: FloatArray) -> FloatArray:
        """Round one row of every group to the nearest level of its block and output: see `compensation.Rounding`."""
        place = np.arange(len(rows)), rows // self.rows, slice(first, first + values.shape[1])
        low, step = self.low[place], np.exp2(self.shift[place])
        return np.asarray(low + step * np.clip(np.rint((values - low) / step), 0, np.exp2(self.planes[place]) - 1))


def levelled(real: FloatArray, form: Planes, importance: FloatArray) -> Levels:
    """Choose the levels of weights: `real` (groups, K, N), `importance` (groups, K) of a weight's squared error.

    1. For each block and output and each number of planes, low and step of least error (alternately the nearest levels and
    least squares). 2. Planes to the blocks and outputs whose error they lower most, until all are given.
    3. A scale for each output, on which the steps of its blocks, all powers of two, lie nearest those wanted; low again.
    """
    groups, K, N = real.shape
    most = min(MOST, math.ceil(form.planes) + BEYOND)
    blocks = form.blocks(K)
    fits = np.zeros((3, most + 1, groups, blocks, N))
    tiles = _parts(groups, K, N)
    for tile in tiles:
        weights, squares = _blocked(real[tile[0], :, tile[1]], importance[tile[0]], form)
        for planes in range(most + 1):
            fits[(slice(None), planes, tile[0], slice(None), tile[1])] = _fitted(weights, squares, planes)
    total = math.floor(form.planes * groups * blocks * N)
    counts = allocated(fits[2].reshape(most + 1, -1), total).reshape(groups, blocks, N)
    step, low, error = (np.take_along_axis(fit, counts[None], axis=0)[0] for fit in fits)
    scale, shift = _common(step, low, error, counts)
    # Where the step is not the one that was fitted, the levels keep their middle, then low is fitted again.
    top = np.exp2(counts) - 1
    wanted = scale[:, None] * np.exp2(shift)
    low = low + (step - wanted) * top / 2
    for tile in tiles:
        weights, squares = _blocked(real[tile[0], :, tile[1]], importance[tile[0]], form)
        place = tile[0], slice(None), tile[1]
        low[place] = _low(weights, squares, wanted[place], low[place], top[place])
    most_low = LIMIT - ((1 << counts) - 1 << shift)
    whole = np.clip(np.rint(low / scale[:, None]), -LIMIT, most_low).astype(np.int64)
    return Levels(scale, whole, shift, counts, form.rows)


def allocated(errors: FloatArray, total: int) -> IntegerArray:
    """Hand out at most `total` planes so that the sum of errors is small: `errors` (most + 1, cells) for 0 to most planes each.

    Planes go in order of what they gain. Where a further plane of a cell gains more than the one before, both count as their mean
    (the least concave function above the gains), so that the order is kept. Returns (cells,).
    """
    errors = np.minimum.accumulate(errors, axis=0)
    most, cells = errors.shape[0] - 1, errors.shape[1]
    gains = np.empty((most, cells))
    for place in range(1, most + 1):
        best = np.full(cells, np.inf)
        for start in range(place):
            means = [(errors[start] - errors[stop]) / (stop - start) for stop in range(place, most + 1)]
            best = np.minimum(best, np.max(means, axis=0))
        gains[place - 1] = best
    # Gains fall with the place, and equal ones come by place: a cell's planes are taken from the first on.
    taken = np.argsort(-gains.ravel(), kind="stable")[: max(total, 0)]
    taken = taken[gains.ravel()[taken] > 0]
    return np.bincount(taken % cells, minlength=cells).astype(np.int64)


def _parts(groups: int, K: int, N: int) -> list[tuple[slice, slice]]:
    """Return the groups and outputs that are fitted at once."""
    wide = max(BLOCK // K, 1)
    high = max(wide // N, 1)
    return [
        (slice(group, group + high), slice(first, first + wide))
        for group in range(0, groups, high)
        for first in range(0, N, wide)
    ]


def _blocked(real: FloatArray, importance: FloatArray, form: Planes) -> tuple[FloatArray, FloatArray]:
    """Arrange rows in blocks: weights (groups, blocks, rows, N), importance (groups, blocks, rows, 1).

    The last block is filled with rows that do not count.
    """
    groups, K, N = real.shape
    blocks = form.blocks(K)
    rows = K if blocks == 1 else form.rows
    place = np.arange(blocks * rows)
    weights = real[:, np.minimum(place, K - 1)].reshape(groups, blocks, rows, N)
    counting = np.where(place < K, importance[:, np.minimum(place, K - 1)], 0.0)
    return weights, counting.reshape(groups, blocks, rows, 1)


def _fitted(weights: FloatArray, squares: FloatArray, planes: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit 2^planes levels low + step {0, 1, ...}: step, low and the weighted squared error, (groups, blocks, N) each."""
    total = squares.sum(axis=2)
    share = squares / np.where(total > 0, total, 1.0)[:, :, None]
    mean = (share * weights).sum(axis=2)
    least, largest = weights.min(axis=2), weights.max(axis=2)
    top = 2**planes - 1
    if not planes:
        error = (squares * (weights - mean[:, :, None]) ** 2).sum(axis=2)
        return np.zeros_like(mean), mean, error
    best = mean, mean, np.full(mean.shape, np.inf)
    for start in STARTS:
        step = (largest - least) * (start / top)
        step = np.where(step > 0, step, 1.0)
        low = (least + largest - step * top) / 2
        for _ in range(ROUNDS):
            level = _level(weights, step, low, top)
            middle = (share * level).sum(axis=2)
            level -= middle[:, :, None]
            spread, along = (share * level**2).sum(axis=2), (share * level * weights).sum(axis=2)
            fits = (spread > 0) & (along > 0)
            step = np.where(fits, along / np.where(fits, spread, 1.0), step)
            low = mean - step * middle
        error = weights - low[:, :, None] - step[:, :, None] * _level(weights, step, low, top)
        fit = step, low, (squares * error**2).sum(axis=2)
        step, low, error = (np.where(fit[2] < best[2], new, old) for new, old in zip(fit, best, strict=True))
        best = step, low, error
    return best


def _low(weights: FloatArray, squares: FloatArray, step: FloatArray, low: FloatArray, top: FloatArray) -> FloatArray:
    """Fit the lowest level where the step between levels is given."""
    total = squares.sum(axis=2)
    share = squares / np.where(total > 0, total, 1.0)[:, :, None]
    for _ in range(ROUNDS):
        level = _level(weights, step, low, top[:, :, None])
        low = np.where(total > 0, (share * (weights - step[:, :, None] * level)).sum(axis=2), low)
    return low


def _level(weights: FloatArray, step: FloatArray, low: FloatArray, top: FloatArray | int) -> FloatArray:
    """Return the number of the nearest level of each weight, 0 to top."""
    level = weights - low[:, :, None]
    level /= step[:, :, None]
    np.rint(level, out=level)
    return np.asarray(np.clip(level, 0, top, out=level))


def _common(
    step: FloatArray, low: FloatArray, error: FloatArray, planes: IntegerArray
) -> tuple[FloatArray, IntegerArray]:
    """Choose a scale for each output (groups, N) and shifts (groups, blocks, N): scale x 2^shift near the steps wanted.

    The scale is as small as the levels allow, in one of the `PHASES` of an octave: that in which the steps, in octaves, are
    nearest, weighed by the errors.
    """
    top = np.exp2(planes) - 1
    reach = np.maximum(np.abs(low), np.abs(low + step * top)).max(axis=1)
    used = reach > 0
    octaves = np.log2(np.where(planes > 0, step, 1.0))
    least = np.log2(np.where(used, reach, 1.0) / LIMIT)
    best = np.full(reach.shape, np.inf)
    chosen = np.zeros(reach.shape)
    for phase in np.arange(PHASES) / PHASES:
        here = np.ceil(least - phase) + phase
        away = octaves - here[:, None]
        away -= np.maximum(np.rint(away), 0.0)
        cost = (np.where(planes > 0, error, 0.0) * away**2).sum(axis=1)
        better = cost < best
        best, chosen = np.where(better, cost, best), np.where(better, here, chosen)
    highest = np.floor(np.log2(2 * LIMIT / np.maximum(top, 1.0)))
    shift = np.where(planes > 0, np.clip(np.rint(octaves - chosen[:, None]), 0, highest), 0)
    return np.where(used, np.exp2(chosen), 1.0), shift.astype(np.int64)


__all__ = ["Levels", "Planes", "allocated", "levelled"]
