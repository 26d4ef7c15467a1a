"""Numbers that belong to a network: how integers stand for reals, and weights of which the shape or the values are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, WeightError
from mho.network.geometry import along

LARGEST = float(np.finfo(np.float32).max)
"""The largest magnitude of a weight or scale; products of a few of them stay in the range of float64."""
WIDEST = 2**32
"""No integer of a code lies farther from 0."""


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine code, by which integers stand for real numbers: real = scale * (code - zero), low <= code <= high.

    `scale` and `zero` have shape () for one code per tensor, or (n,) for one per channel along `axis`.
    """

    scale: npt.NDArray[np.float64]
    zero: npt.NDArray[np.int64]
    low: int
    high: int
    axis: int | None = None

    def __post_init__(self) -> None:
        """Refuse scales that are not positive and finite, zeros out of range, and an empty range."""
        object.__setattr__(self, "scale", np.asarray(self.scale, dtype=np.float64))
        object.__setattr__(self, "zero", np.asarray(self.zero, dtype=np.int64))
        if self.low >= self.high:
            raise NetworkError(f"an affine code needs low < high, not {self.low}..{self.high}")
        if not (np.all(self.scale > 0) and np.all(self.scale <= LARGEST)):
            raise NetworkError("an affine code needs positive finite scales, in the range of float32")
        if self.scale.shape != self.zero.shape:
            raise NetworkError(f"scale has shape {self.scale.shape} and zero point {self.zero.shape}; they must agree")
        if max(-self.low, self.high) > WIDEST or np.any(self.zero > WIDEST) or np.any(self.zero < -WIDEST):
            raise NetworkError("integers and zero points of an affine code have at most 32 bits")
        if (self.scale.ndim == 0) != (self.axis is None):
            raise NetworkError("a code per channel needs an axis, a code per tensor has none")


@dataclass(frozen=True, eq=False, repr=False)
class Array:
    """A weight or constant: its shape, and its values where they are known.

    `values` are real numbers, or integers that `code` explains (a file that came quantised).
    """

    shape: tuple[int, ...]
    values: npt.NDArray[Any] | None = None
    code: Affine | None = None

    def __post_init__(self) -> None:
        """Refuse values of another shape or that are no numbers, values that are not finite, and a code that does not fit."""
        code = self.code
        if code is not None and code.axis is not None and code.scale.shape != self.shape[code.axis : code.axis + 1]:
            raise WeightError(f"{code.scale.size} scales along axis {code.axis} do not fit a weight of {self.shape}")
        if self.values is None:
            return
        if self.values.dtype.kind not in ("iu" if code is not None else "fiub"):
            kind = "integers with a code" if code is not None else "real numbers"
            raise WeightError(f"a weight of shape {self.shape} holds {self.values.dtype}, not {kind}")
        if tuple(self.values.shape) != self.shape:
            raise WeightError(f"values of shape {tuple(self.values.shape)} given for a weight of shape {self.shape}")
        # A comparison with NaN is false.
        ends = (
            (float(self.values.min()), float(self.values.max()))
            if self.values.dtype.kind == "f" and self.values.size
            else ()
        )
        if not all(-LARGEST <= end <= LARGEST for end in ends):
            what = "not finite (NaN or infinity), or beyond the range of float32"
            raise WeightError(f"a weight of shape {self.shape} holds values that are {what}")

    def __repr__(self) -> str:
        """Say the shape, and whether values are known; the values themselves would flood any message."""
        return f"Array({self.shape}, {'shape alone' if self.values is None else self.values.dtype})"

    @classmethod
    def of(cls, values: npt.NDArray[Any], code: Affine | None = None) -> Array:
        """Wrap known values."""
        return cls(tuple(int(n) for n in values.shape), values, code)

    @classmethod
    def filled(cls, shape: tuple[int, ...], value: float = 0.0, *, known: bool = True) -> Array:
        """Return one number everywhere, or the shape alone where values are not known."""
        return cls(shape, np.full(shape, value, dtype=np.float32) if known else None)

    @property
    def known(self) -> bool:
        """Return whether the values are known."""
        return self.values is not None

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)

    def equals(self, value: float) -> bool:
        """Return True if every value is known, real and equals `value`."""
        return self.values is not None and self.code is None and bool(np.all(self.values == value))

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Return what tells weights apart: those of equal keys are one, the same view of the same memory with the same code.

        Equal numbers elsewhere in memory are another weight, and so are others of which only the shape is known.
        """
        if self.values is None:
            return (id(self),)
        memory = self.values.__array_interface__
        code = self.code
        coded = () if code is None else (code.scale.tobytes(), code.zero.tobytes(), code.low, code.high, code.axis)
        return memory["data"][0], self.values.strides, self.shape, memory["typestr"], *coded

    @cached_property
    def _arrangements(self) -> dict[tuple[object, ...], Array]:
        return {}

    def arranged(self, order: Sequence[int], shape: tuple[int, ...]) -> Array:
        """Permute the axes (axis i of the result is axis order[i]), then reshape, the code with the values.

        The first axis of `shape` joins the first of the permuted axes; a code along any of these becomes one along axis 0.
        Asked for twice it is the same array, and so one weight. Raises NetworkError for a code along another axis.
        """
        key = (tuple(order), shape)
        if key not in self._arrangements:
            self._arrangements[key] = self._arranged(order, shape)
        return self._arrangements[key]

    def _arranged(self, order: Sequence[int], shape: tuple[int, ...]) -> Array:
        values = None if self.values is None else self.values.transpose(order).reshape(shape)
        code = self.code
        if code is None or code.axis is None:
            return Array(shape, values, code)
        sizes = [self.shape[axis] for axis in order]
        place = list(order).index(code.axis)
        joined = next((n for n in range(place + 1, len(sizes) + 1) if math.prod(sizes[:n]) == shape[0]), None)
        if joined is None:
            raise NetworkError(f"weight codes along axis {code.axis} of {self.shape}, which is no axis of outputs")
        scale, zero = (
            np.broadcast_to(along(each, place, joined), sizes[:joined]).reshape(-1) for each in (code.scale, code.zero)
        )
        return Array(shape, values, Affine(scale, zero, code.low, code.high, axis=0))

    def real(self) -> npt.NDArray[np.float64]:
        """Return the values as real numbers; raise WeightError where only the shape is known."""
        if self.values is None:
            raise WeightError(f"a weight of shape {self.shape} has no values: this network was loaded by shape alone")
        if self.code is None:
            return self.values.astype(np.float64)
        scale, zero = self.code.scale, self.code.zero
        if self.code.axis is not None:
            scale, zero = (along(array, self.code.axis, len(self.shape)) for array in (scale, zero))
        return scale * (self.values.astype(np.int64) - zero)


def computed(function: Callable[..., npt.NDArray[Any]], shape: tuple[int, ...], *arrays: Array) -> Array:
    """Apply a function to the real values of known arrays; where any has a shape alone, the result has one alone."""
    if any(array.values is None for array in arrays):
        return Array(shape)
    return Array.of(function(*(array.real() for array in arrays)).astype(np.float32))
