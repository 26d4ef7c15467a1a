"""Layers that join several tensors into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import Shape, need, replaced
from mho.network.layer import AnyArray, Layer, aligned
from mho.network.rows import Needed, Streamed, Streams, broadcast_rows, side_by_side, stream_axis


@dataclass(frozen=True, kw_only=True, eq=False)
class Joining(Layer):
    """A layer whose output holds the values of all its operands."""

    arity: ClassVar[tuple[int, int]] = (1, 1_000_000)
    keeps_type: ClassVar[bool] = True

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 of the operands lines up."""
        return aligned(operands, self.shape)

    def carried(self) -> tuple[str, ...]:
        """Return all operands."""
        return self.inputs


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Joining):
    """Tensors joined along one axis, counted from 0."""

    axis: int

    kind: ClassVar[str] = "concatenate"

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape of the first, as long along the axis as all together."""
        axis, first = self.axis, operands[0]
        fit = 0 <= axis < len(first) and len({(len(shape), *replaced(shape, axis)) for shape in operands}) == 1
        need(fit, f"tensors of shapes {list(operands)} cannot be joined along axis {axis}")
        return replaced(first, axis, sum(shape[axis] for shape in operands))

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Join the tensors; an operand with one sample is repeated for all of them."""
        if self.axis == 0:
            return np.concatenate(operands, axis=0)
        longest = max(operand.shape[0] for operand in operands)
        return np.concatenate(
            [np.broadcast_to(operand, (longest, *operand.shape[1:])) for operand in operands], axis=self.axis
        )

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if it joins along another axis than 0 and axis 0 of the operands lines up."""
        return self.axis != 0 and super().extends(operands)

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along other axes than the one joined; along it each operand gives its part of the rows, and so do operands
        of one row each (the steps of a sequence), unless they are vectors.
        """
        axis = stream_axis([x for x in operands if x.axis != self.axis and x.size > 1], self.shape)
        if axis is None:
            steps = 2 < len(self.shape) > self.axis + 1 and all(x.axis is None for x in operands)
            parts = steps or any(x.axis == self.axis for x in operands)
            axis = self.axis if parts else stream_axis(operands, self.shape)
        if axis != self.axis:
            return axis, side_by_side(operands, self.shape, axis)
        needed, start = [], 0
        for x in operands:
            length, per = x.shape[self.axis], 1 if x.axis == self.axis else x.shape[self.axis]
            single = x.axis == self.axis or x.size == 1
            needed.append(Needed(x.size, 1, -start, -start, per) if single else x.all)
            start += length
        return axis, tuple(needed)

    def changes_nothing(self) -> bool:
        """Return True for one operand."""
        return len(self.inputs) == 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Join(Concatenate):
    """Tensors joined along one axis into one that has a code of its own, so that those it is made of keep theirs.

    What an operator reads of several others is told as finely as that operator asks for, whatever their ranges are and whoever
    else reads them. One operation an element, as a concatenation takes.
    """

    kind: ClassVar[str] = "join"

    def carried(self) -> tuple[str, ...]:
        """Return nothing: what is joined is coded anew."""
        return ()

    def changes_nothing(self) -> bool:
        """Return False: even one operand has another code."""
        return False


@dataclass(frozen=True, kw_only=True, eq=False)
class Interleave(Joining):
    """Images (B, C, h, w) woven into one: output (y, x) is that of input (y mod rows, x mod columns) at (y // rows, x // columns).

    Input i * columns + j holds the phase (i, j), so inputs may differ by one in height and width.
    """

    rows: int
    columns: int

    kind: ClassVar[str] = "interleave"

    def __post_init__(self) -> None:
        """Refuse a number of phases that is not rows x columns."""
        super().__post_init__()
        if len(self.inputs) != math.prod((self.rows, self.columns)):
            raise NetworkError(
                f"layer {self.name!r} weaves {len(self.inputs)} phases, not {self.rows} x {self.columns}"
            )

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the shape asked for: phase (i, j) has the outputs whose height is i mod rows and whose width is j mod columns."""
        need(len(self.shape) == 4 and self.rows >= 1 and self.columns >= 1)
        for place, shape in enumerate(operands):
            row, column = divmod(place, self.columns)
            high, wide = len(range(row, self.shape[2], self.rows)), len(range(column, self.shape[3], self.columns))
            need(shape[0] in (1, self.shape[0]) and shape[1:] == (self.shape[1], high, wide))
        return self.shape

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Output row y is row y // rows of the phases y mod rows, likewise for columns; other axes row by row."""
        ways = {2: self.rows, 3: self.columns}
        axis = max(operands, key=lambda x: math.prod(x.shape)).axis
        if axis not in ways:
            return broadcast_rows(operands, self.shape)
        needed = []
        for place, x in enumerate(operands):
            phase = place // self.columns if axis == 2 else place % self.columns
            # From the first output at or behind `first` that is of this phase to the last one before `last`.
            woven = Needed(x.size, 1, ways[axis] - 1 - phase, -phase, ways[axis])
            needed.append(woven if x.axis == axis else x.all)
        return axis, tuple(needed)

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Weave the phases; an operand with one sample is repeated for all of them."""
        samples = max(operand.shape[0] for operand in operands)
        woven = np.empty((samples, *self.shape[1:]), dtype=np.result_type(*operands))
        for place, operand in enumerate(operands):
            row, column = divmod(place, self.columns)
            woven[:, :, row :: self.rows, column :: self.columns] = operand
        return woven
