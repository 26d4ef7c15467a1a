"""Rows of tensors: which rows of its operands a layer needs to make a run of rows of its output.

A tensor's rows lie along one axis of its shape, its stream axis: height for images (B, C, H, W), tokens for sequences
(B, T, F). One without a stream axis is a single row: all of it. Ranges of rows are half-open, (first, last).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mho.network.geometry import Shape

Range = tuple[int, int]


@dataclass(frozen=True)
class Needed:
    """Rows of one operand, of `size` rows: output row r needs (r step + before) // per to (r step + behind) // per, both
    included, as far as they exist.
    """

    size: int
    step: int = 1
    before: int = 0
    behind: int = 0
    per: int = 1

    def rows(self, first: int, last: int) -> Range:
        """Return the rows needed for the output rows (first, last), first < last; the two are equal where none is."""
        low = min(max((first * self.step + self.before) // self.per, 0), self.size)
        high = min(max(((last - 1) * self.step + self.behind) // self.per + 1, 0), self.size)
        return low, max(low, high)


@dataclass(frozen=True)
class Listed(Needed):
    """Rows of one operand that follow no formula: output row r needs lows[r] to highs[r], both included.

    Both never fall: see `listed`.
    """

    lows: tuple[int, ...] = ()
    highs: tuple[int, ...] = ()

    def rows(self, first: int, last: int) -> Range:
        """Return the rows needed for the output rows (first, last), first < last."""
        return self.lows[first], self.highs[last - 1] + 1


@dataclass(frozen=True)
class Streamed:
    """A tensor: its shape, and which of its axes is the stream axis (None: it is one row)."""

    shape: Shape
    axis: int | None

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return 1 if self.axis is None else self.shape[self.axis]

    @property
    def same(self) -> Needed:
        """Each row of the output needs the same one."""
        return Needed(self.size)

    @property
    def all(self) -> Needed:
        """Each row of the output needs all rows."""
        return Needed(self.size, step=0, behind=self.size - 1)

    def windows(self, kernel: int, stride: int, padding: int, dilation: int) -> Needed:
        """Row r needs r s - p, r s - p + d, ... r s - p + (k - 1) d: those under a window."""
        return Needed(self.size, stride, -padding, (kernel - 1) * dilation - padding)

    def listed(self, places: Iterable[Sequence[int]]) -> Needed:
        """Row r needs places[r], and is made after the rows before it.

        So it needs no row below the least place of itself and those behind it, and waits for the greatest place of itself and
        those before it.
        """
        lows, highs = zip(*((min(row), max(row)) for row in places), strict=True)
        falling = tuple(itertools.accumulate(reversed(lows), min))
        return Listed(self.size, lows=falling[::-1], highs=tuple(itertools.accumulate(highs, max)))


Streams = tuple[int | None, tuple[Needed, ...]]
"""The stream axis of a layer's output, and what it needs of each operand."""


def stream_axis(operands: Sequence[Streamed], shape: Shape) -> int | None:
    """Return the stream axis of a result of this shape, to which operands are broadcast: that of the largest which has as many
    rows.
    """
    best: tuple[int, int | None] = (0, None)
    for operand in operands:
        axis = shifted(operand, len(shape))
        if axis is not None and operand.size == shape[axis] and math.prod(operand.shape) > best[0]:
            best = (math.prod(operand.shape), axis)
    return best[1]


def shifted(operand: Streamed, rank: int) -> int | None:
    """Return the stream axis of an operand as an axis of the result of this rank to which it is broadcast."""
    return None if operand.axis is None else operand.axis + rank - len(operand.shape)


def side_by_side(operands: Sequence[Streamed], shape: Shape, axis: int | None) -> tuple[Needed, ...]:
    """Return what a result needs whose row r is made of row r of all operands: all rows of one that is broadcast along `axis`,
    or has its rows along another.
    """
    return tuple(
        x.same if axis is not None and shifted(x, len(shape)) == axis and x.size == shape[axis] else x.all
        for x in operands
    )


def broadcast_rows(operands: Sequence[Streamed], shape: Shape) -> Streams:
    """Return the rows of a result whose elements are made of those at the same place in the operands, which are broadcast."""
    axis = stream_axis(operands, shape)
    return axis, side_by_side(operands, shape, axis)


def reshaped(x: Streamed, shape: Shape) -> Streams:
    """Return the rows of the same values in row-major order under another shape.

    The rows lie in runs of equal length behind as many elements as the axes before the stream axis have. So an axis behind
    as many elements can take them: row r of it needs the rows that its run touches. Where one row's elements would become
    rows themselves (a flattened sequence, a vector) there is no such axis.
    """
    if x.axis is None:
        return None, (x.all,)
    inner, before = math.prod(x.shape[x.axis + 1 :]), math.prod(x.shape[: x.axis])
    fitting = [axis for axis in range(len(shape)) if math.prod(shape[:axis]) == before]
    same = [axis for axis in fitting if shape[axis] == x.size]
    if not fitting:
        return None, (x.all,)
    axis = (same or fitting)[-1]
    run = math.prod(shape[axis + 1 :])
    if axis == len(shape) - 1 and before == 1 and run != inner:
        return None, (x.all,)
    return axis, (Needed(x.size, run, 0, run - 1, inner),)
