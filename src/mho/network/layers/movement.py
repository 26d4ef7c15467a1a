"""Layers that move values without changing them, and the border of a Pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import Shape, broadcast, need, replaced
from mho.network.layer import AlongAxis, AnyArray, Layer
from mho.network.rows import Needed, Streamed, Streams, reshaped, shifted, side_by_side


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Layer):
    """The same values in row-major order under another shape (`shape`)."""

    kind: ClassVar[str] = "reshape"
    moves_only: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape asked for, which has as many elements."""
        fits = math.prod(operands[0]) == self.size
        need(fits, f"a tensor of shape {operands[0]} cannot be given the shape {self.shape}")
        return self.shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Reshape; the first axis is longer by `factor`."""
        return operands[0].reshape((self.shape[0] * factor, *self.shape[1:]) if self.shape else ())

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True: row-major order keeps samples behind one another."""
        return True

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """The rows whose elements a row holds; all where the rows do not stay runs of elements."""
        return reshaped(operands[0], self.shape)

    def changes_nothing(self) -> bool:
        """Return True: both have one shape."""
        return True


@dataclass(frozen=True, kw_only=True, eq=False)
class Transpose(Layer):
    """Axes permuted: axis i of the output is axis permutation[i] of the input."""

    permutation: tuple[int, ...]

    kind: ClassVar[str] = "transpose"
    moves_only: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's axes in their new order."""
        (shape,) = operands
        every = sorted(self.permutation) == list(range(len(shape)))
        need(every, f"{self.permutation} is not a permutation of the axes of {shape}")
        return tuple(shape[axis] for axis in self.permutation)

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Permute the axes."""
        return operands[0].transpose(self.permutation)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 stays."""
        return self.permutation[0] == 0

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along the axis's new place."""
        (x,) = operands
        return None if x.axis is None else self.permutation.index(x.axis), (x.same,)

    def changes_nothing(self) -> bool:
        """Return True if every axis stays."""
        return self.permutation == tuple(range(len(self.shape)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice(AlongAxis):
    """Elements start, start + step, ... along one axis, below stop, or above it (-1: to the first) where step is negative.

    `drop` removes the axis, which then has length 1.
    """

    start: int
    stop: int
    step: int = 1
    drop: bool = False

    kind: ClassVar[str] = "slice"
    moves_only: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape with fewer elements along the axis, or without it."""
        (shape,) = operands
        need(0 <= self.axis < len(shape) and self.step != 0)
        places = range(self.start, self.stop, self.step)
        count = len(places)
        need(count == 1 or not self.drop, f"axis {self.axis} has length {count} and cannot be dropped")
        need(not count or (min(places[0], places[-1]) >= 0 and max(places[0], places[-1]) < shape[self.axis]))
        return replaced(shape, self.axis, *(() if self.drop else (count,)))

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Slice one axis."""
        stop = self.stop if self.stop >= 0 else None
        slices = operands[0][(slice(None),) * self.axis + (slice(self.start, stop, self.step),)]
        return slices.reshape(slices.shape[: self.axis] + slices.shape[self.axis + 1 :]) if self.drop else slices

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along another axis; along its own the rows that are kept. One that is dropped leaves its element as a row."""
        axis, needed = super().streams(operands)
        if self.drop and axis is not None and axis >= self.axis:
            axis = None if axis == self.axis else axis - 1
        return axis, needed

    def along_rows(self, x: Streamed) -> Needed:
        """Row r is row start + r step."""
        if self.step < 0:
            return x.listed((place,) for place in range(self.start, self.stop, self.step))
        return Needed(x.size, self.step, self.start, self.start)

    def changes_nothing(self) -> bool:
        """Return True for all elements, in order."""
        return self.step == 1 and not self.drop


@dataclass(frozen=True, kw_only=True, eq=False)
class Take(AlongAxis):
    """Elements of one axis at known places, in any order, any of them more than once.

    Nearest-neighbour resizing, padding by reflection, by the edge or by wrapping round, rolling and flipping are this: the
    address at which a value is read.
    """

    places: tuple[int, ...]

    kind: ClassVar[str] = "take"
    moves_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse places before the first element."""
        super().__post_init__()
        if min(self.places, default=-1) < 0:
            raise NetworkError(f"layer {self.name!r} takes no places, or places before the first element")

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape with as many elements along the axis as places."""
        (shape,) = operands
        fit = 0 <= self.axis < len(shape) and max(self.places) < shape[self.axis]
        need(fit, f"places {list(self.places[:8])} do not lie along axis {self.axis} of {shape}")
        return replaced(shape, self.axis, len(self.places))

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Take the elements at the places."""
        return np.take(operands[0], self.places, axis=self.axis)

    def along_rows(self, x: Streamed) -> Needed:
        """Row r is row places[r]."""
        return x.listed((place,) for place in self.places)


@dataclass(frozen=True, kw_only=True, eq=False)
class Expand(Layer):
    """The input broadcast to `shape`."""

    kind: ClassVar[str] = "expand"
    moves_only: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape asked for, to which the operand is broadcast."""
        fits = broadcast(operands[0], self.shape) == self.shape
        need(fits, f"a tensor of shape {operands[0]} cannot be broadcast to {self.shape}")
        return self.shape

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Broadcast; the first axis is longer by `factor`."""
        return np.broadcast_to(operands[0], (self.shape[0] * factor, *self.shape[1:]))

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 is not what is broadcast."""
        first = operands[0][0]
        return len(first) == len(self.shape) and first[0] == self.shape[0]

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row, or one row for all where rows are what is broadcast."""
        axis = shifted(operands[0], len(self.shape))
        return axis, side_by_side(operands, self.shape, axis)

    def changes_nothing(self) -> bool:
        """Return True: both have one shape."""
        return True


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Layer):
    """`before[i]` and `after[i]` elements of real `value` added along axis i."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    kind: ClassVar[str] = "pad"
    keeps_type: ClassVar[bool] = True

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape, longer by the borders."""
        widths = f"negative padding {self.before}, {self.after} is not known; slice instead"
        need(min(*self.before, *self.after, 0) >= 0, widths)
        return tuple(n + a + b for n, a, b in zip(operands[0], self.before, self.after, strict=True))

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Add the borders."""
        return np.pad(operands[0], tuple(zip(self.before, self.after, strict=True)), constant_values=self.value)

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 has no border."""
        return self.before[0] == self.after[0] == 0

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row behind the border."""
        (x,) = operands
        border = 0 if x.axis is None else self.before[x.axis]
        return x.axis, (Needed(x.size, 1, -border, -border) if x.axis is not None else x.all,)

    def carried(self) -> tuple[str, ...]:
        """Return the operand where the border is real zero, which every code has."""
        return self.inputs if self.value == 0.0 else ()

    def changes_nothing(self) -> bool:
        """Return True without borders."""
        return not any(self.before) and not any(self.after)
