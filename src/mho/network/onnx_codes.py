"""Codes as an ONNX file states them: scales of any sign, zero points, and the type of the integers.

real = scale * (integer - zero). A negative scale s is folded away: with m = low + high, integers q become m - q and zero
points z become m - z, which stay in the same range, and s becomes -s; the reals are the same. A scale of 0 makes all reals 0
(a dead channel): its integers become the zero point, its scale 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.arrays import Affine, Array
from mho.network.geometry import along, axis_of

AnyArray = npt.NDArray[Any]

RANGES: Mapping[str, tuple[int, int]] = {
    **{
        kind: (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
        for kind in ("int8", "uint8", "int16", "uint16", "int32")
    },
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (2, 4)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (2, 4)},
}
"""The integers of each type."""
CODED_BITS = 8
"""Tensors with codes of more bits are computed as reals, rounded to the file's steps."""


@dataclass(frozen=True, eq=False)
class Stated:
    """The code that a file states for integers of a `kind`; `scale` and `zero` () or (n,) along `axis`; low <= integer <= high."""

    scale: npt.NDArray[np.float64]
    zero: npt.NDArray[np.int64]
    kind: str
    low: int
    high: int
    axis: int | None = None

    @classmethod
    def of(
        cls, scale: AnyArray | None, zero: AnyArray | None, kind: str, shape: tuple[int, ...], axis: int = 1
    ) -> Stated:
        """Check scale and zero point for integers of a shape; the type of the zero point, where given, is theirs."""
        if scale is None:
            raise NetworkError("the scale is missing")
        kind = kind if zero is None else zero.dtype.name
        if kind not in RANGES:
            raise NetworkError(f"integers of type {kind} are not known; known: {', '.join(RANGES)}")
        steps = np.asarray(scale, dtype=np.float64)
        zeros = np.zeros(steps.shape, dtype=np.int64) if zero is None else zero.astype(np.int64)
        if not np.isfinite(steps).all():
            raise NetworkError("a scale is not finite")
        if zeros.size != steps.size and zeros.size != 1:
            raise NetworkError(f"{zeros.shape} zero points do not fit {steps.shape} scales")
        if steps.size == 1:
            return cls(steps.reshape(()), zeros.reshape(()), kind, *RANGES[kind])
        axis = axis_of(axis, len(shape))
        if steps.ndim != 1 or steps.shape[0] != shape[axis]:
            raise NetworkError(f"{steps.shape} scales do not fit axis {axis} of {shape}")
        return cls(steps, np.broadcast_to(zeros, steps.shape), kind, *RANGES[kind], axis)

    @property
    def coded(self) -> bool:
        """Return whether a tensor can be stored as these codes: one code for the whole tensor, of few bits."""
        return self.axis is None and self.high - self.low < 2**CODED_BITS

    @property
    def affine(self) -> Affine:
        """Return the code with positive scales."""
        turned = self.low + self.high - self.zero
        zero = np.where(self.scale < 0, turned, self.zero)
        return Affine(np.where(self.scale == 0, 1.0, np.abs(self.scale)), zero, self.low, self.high, self.axis)

    def weight(self, integers: AnyArray) -> Array:
        """Return known integers with the code of positive scales."""
        if integers.dtype.kind not in "iu" and integers.dtype.name not in RANGES:
            raise NetworkError(f"known values of type {integers.dtype} are no integers; known: {', '.join(RANGES)}")
        wide = integers.astype(np.int64)
        if wide.size and not (self.low <= wide.min() and wide.max() <= self.high):
            raise NetworkError(f"the stored integers are not within {self.low}..{self.high}")
        scale, zero = self.along(self.scale, wide.ndim), self.along(self.zero, wide.ndim)
        if np.any(scale == 0) and not (self.low <= self.zero.min() and self.zero.max() <= self.high):
            raise NetworkError("a scale is 0")
        wide = np.where(scale < 0, self.low + self.high - wide, np.where(scale == 0, zero, wide))
        return Array.of(np.asarray(wide).astype(_integer_type(self.low, self.high)), self.affine)

    def integers(self, reals: AnyArray) -> AnyArray:
        """Round to the nearest integers, halves to even, and saturate, as QuantizeLinear is defined (in float32)."""
        scale, zero = self.along(self.scale, reals.ndim), self.along(self.zero, reals.ndim)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.rint(reals.astype(np.float32) / scale.astype(np.float32))
        if np.isnan(ratio).any():
            raise NetworkError("a value that is not a number cannot be quantised")
        return np.asarray(np.clip(ratio + zero, self.low, self.high)).astype(_integer_type(self.low, self.high))

    def along(self, values: AnyArray, rank: int) -> AnyArray:
        """Arrange scales or zero points so that they broadcast along their axis."""
        return values if self.axis is None else along(values, self.axis, rank)

    def within(self, low: int, high: int) -> Stated:
        """Return the code of integers that are also clipped to low..high."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))

    def same(self, other: Stated) -> bool:
        """Return whether integers of both give the same reals."""
        return (
            np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
            and self.axis == other.axis
        )


def _integer_type(low: int, high: int) -> str:
    """Return the smallest type of numpy's that holds all integers."""
    return next(
        kind for kind in ("int8", "uint8", "int16", "uint16", "int32", "int64")
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )  # fmt: skip
