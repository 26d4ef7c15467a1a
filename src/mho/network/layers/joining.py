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

    def changes_nothing(self) -> bool:
        """Return True for one operand."""
        return len(self.inputs) == 1


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

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Weave the phases; an operand with one sample is repeated for all of them."""
        samples = max(operand.shape[0] for operand in operands)
        woven = np.empty((samples, *self.shape[1:]), dtype=np.result_type(*operands))
        for place, operand in enumerate(operands):
            row, column = divmod(place, self.columns)
            woven[:, :, row :: self.rows, column :: self.columns] = operand
        return woven
