"""Reductions, running sums and softmax, in one order of summation.

A sum depends on the order of its terms. Here every sum runs over terms that lie side by side in memory (numpy
adds these pairwise, in an order fixed by their number alone). So a sample's result does not depend on what other
samples are computed beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import Shape, need
from mho.network.layer import AlongAxis, AnyArray, Layer, real
from mho.network.rows import Needed, Streamed, Streams


def row_sums(rows: AnyArray) -> AnyArray:
    """Sum over the last axis in the order described above, in the type of what is summed; the axis is kept with length 1."""
    return np.add.reduce(np.ascontiguousarray(rows), axis=-1, keepdims=True, dtype=rows.dtype)


def _mean(rows: AnyArray) -> AnyArray:
    mean = row_sums(rows)[..., 0] / rows.shape[-1]
    return np.asarray(mean if rows.dtype.kind == "f" else np.trunc(mean).astype(rows.dtype))


REDUCED: Mapping[str, Callable[[AnyArray], AnyArray]] = {
    "mean": _mean,
    "sum": lambda rows: row_sums(rows)[..., 0],
    "product": lambda rows: np.multiply.reduce(rows, axis=-1, dtype=rows.dtype),
    "maximum": lambda rows: rows.max(axis=-1),
    "minimum": lambda rows: rows.min(axis=-1),
    "argmax": lambda rows: rows.argmax(axis=-1),
    "argmin": lambda rows: rows.argmin(axis=-1),
    "argmax_last": lambda rows: rows.shape[-1] - 1 - rows[..., ::-1].argmax(axis=-1),
    "argmin_last": lambda rows: rows.shape[-1] - 1 - rows[..., ::-1].argmin(axis=-1),
}
"""Reductions of rows over their last axis."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduce(Layer):
    """`function` over `axes` (counted from 0): "mean", "sum", "product", "maximum", "minimum"; over one axis the place of an
    extreme: "argmax", "argmin" (the first one where there are several), "argmax_last", "argmin_last".
    """

    function: str
    axes: tuple[int, ...]
    keep: bool

    kind: ClassVar[str] = "reduce"
    passes: ClassVar[bool] = True

    def result_type(self, operands: Sequence[str]) -> str:
        """Places are integers; all else keeps its type."""
        return "int64" if self.function.startswith("arg") else operands[0]

    def made_shape(self, operands: Sequence[Shape]) -> Shape:
        """Return the operand's shape without the axes, or with 1 in their places."""
        (shape,) = operands
        need(self.function in REDUCED and (len(self.axes) == 1 or not self.function.startswith("arg")))
        need(len(set(self.axes)) == len(self.axes) and all(0 <= axis < len(shape) for axis in self.axes))
        return tuple(
            1 if axis in self.axes else n for axis, n in enumerate(shape) if self.keep or axis not in self.axes
        )

    def operations(self, operands: Sequence[Shape]) -> int:
        """Count the elements that are reduced."""
        return math.prod(operands[0])

    def extends(self, operands: Sequence[tuple[Shape, bool]]) -> bool:
        """Return True if axis 0 is not reduced."""
        return 0 not in self.axes

    def streams(self, operands: Sequence[Streamed]) -> Streams:
        """Row by row along an axis that is not reduced; all rows for the one row that is left of one that is."""
        (x,) = operands
        if x.axis is None or self.keep:
            return x.axis, (x.all if x.axis in self.axes else x.same,)
        if x.axis in self.axes:
            return None, (x.all,)
        return x.axis - sum(axis < x.axis for axis in self.axes), (x.same,)

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Reduce; a mean is the sum divided by the count, cut off towards zero for integers."""
        x, axes = operands[0], tuple(sorted(self.axes))
        if self.function not in REDUCED:
            raise NetworkError(f"layer {self.name!r}: unknown reduction {self.function!r}")
        count = math.prod(x.shape[axis] for axis in axes)
        left = [axis for axis in range(x.ndim) if axis not in axes]
        shape = [x.shape[axis] for axis in left]
        rows = np.ascontiguousarray(x.transpose(*left, *axes)).reshape(*shape, count)
        result = REDUCED[self.function](rows)
        if self.keep:
            result = result.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])
        return np.asarray(result)


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativeSum(AlongAxis):
    """Sums of all elements up to each along one axis, from the last one back if `reverse`, without itself if `exclusive`."""

    exclusive: bool = False
    reverse: bool = False

    kind: ClassVar[str] = "cumulative sum"
    keeps_type: ClassVar[bool] = True

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """Sum up along the axis, one element after the other."""
        x = np.moveaxis(operands[0], self.axis, 0)
        x = x[::-1] if self.reverse else x
        sums = np.cumsum(x, axis=0, dtype=x.dtype)
        if self.exclusive:
            sums = np.concatenate([np.zeros_like(sums[:1]), sums[:-1]])
        return np.moveaxis(sums[::-1] if self.reverse else sums, 0, self.axis)

    def along_rows(self, x: Streamed) -> Needed:
        """Row r sums the rows up to r, or from r on."""
        return Needed(x.size, behind=x.size) if self.reverse else Needed(x.size, before=-x.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(AlongAxis):
    """exp(x - max) / sum over one axis, counted from 0."""

    kind: ClassVar[str] = "softmax"
    passes: ClassVar[bool] = True
    work: ClassVar[int] = 5
    """Maximum, subtract, exponential, sum, divide."""

    def compute(self, operands: Sequence[AnyArray], factor: int) -> AnyArray:
        """exp(x - max) / sum(exp(x - max)) over the axis."""
        rows = np.ascontiguousarray(np.moveaxis(real(operands[0]), self.axis, -1))
        powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
        return np.moveaxis(powers / row_sums(powers), -1, self.axis)
