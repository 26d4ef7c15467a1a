"""Resizing images: where an output element comes from along each axis, and what it is worth.

Axis by axis, an output place has a coordinate in the input. The nearest element is then taken as it is (`Take`); linear
and cubic resizing weigh the elements around it (`Resample`), elements beyond an edge being those at the edge. Coordinates
and weights follow ONNX's definition of Resize, which names torch's too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, choices
from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.geometry import along, bounded

FloatArray = npt.NDArray[np.float64]

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_floor",
    "tf_crop_and_resize",
)  # fmt: skip
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple")
MODES = ("nearest", "linear", "cubic")


@dataclass(frozen=True)
class ResizedAxis:
    """One axis to resize: its number, input and output length, scale (output / input), and the region that is shown.

    The scale may differ from the ratio of the lengths, as where a length was rounded; `region` is (0, 1) but for cropping.
    """

    number: int
    size: int
    outputs: int
    scale: float
    region: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Resizing:
    """The rule of resizing: mode, coordinates, rounding to the nearest, cubic coefficient, and what lies outside.

    `exclude_outside` gives elements beyond an edge no weight; `extrapolation` is the value of places outside the input
    where a region is cropped.
    """

    mode: str
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    extrapolation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        for value, allowed in ((self.mode, MODES), (self.coordinates, COORDINATES), (self.nearest, NEAREST)):
            if value not in allowed:
                raise NetworkError(f"resizing {value!r} is not known; {choices(value, allowed)}")


def resize(builder: Builder, x: str, axes: Sequence[ResizedAxis], how: Resizing) -> str:
    """Append a resizing of several axes, one after the other."""
    changed = [axis for axis in axes if axis.outputs != axis.size or axis.scale != 1.0 or axis.region != (0.0, 1.0)]
    outside: list[npt.NDArray[np.bool_]] = []
    for axis in changed:
        bounded(axis.outputs, "a resized axis")
        at = coordinates(axis, how.coordinates)
        outside.append((at < 0) | (at > axis.size - 1))
        if how.mode == "nearest":
            x = builder.take(x, axis.number, nearest(axis, at, how.nearest), _part(axis, changed))
        else:
            places, weights = taps(axis, at, how)
            x = builder.resample(x, axis.number, places, weights, _part(axis, changed))
    if how.coordinates == "tf_crop_and_resize" and any(mask.any() for mask in outside):
        x = _outside(builder, x, changed, outside, how.extrapolation)
    return x


def _part(axis: ResizedAxis, axes: Sequence[ResizedAxis]) -> str | None:
    return None if axis is axes[-1] else f"axis_{axis.number}"


def _outside(builder: Builder, x: str, axes: Sequence[ResizedAxis], outside: Sequence[Any], value: float) -> str:
    """Put one value wherever a coordinate of any axis lies outside the input: keep * x + (1 - keep) * value."""
    shape = builder.shape(x)
    keep = np.ones([1] * len(shape), dtype=bool)
    for axis, mask in zip(axes, outside, strict=True):
        keep = keep & ~along(mask, axis.number, len(shape))
    inside = builder.elementwise("multiply", x, builder.constant(Array.of(keep.astype(np.float32)), "keep"), "kept")
    if value == 0.0:
        return inside
    return builder.elementwise("add", inside, builder.constant(Array.of((~keep * value).astype(np.float32)), "outside"))


def coordinates(axis: ResizedAxis, mode: str) -> FloatArray:
    """Return the coordinate in the input of each output place; in float32 precision, as both runtimes compute it."""
    place, scale = np.arange(axis.outputs, dtype=np.float32), np.float32(axis.scale)
    size, outputs, half = axis.size, axis.outputs, np.float32(0.5)
    last_input, last_output = np.float32(size - 1), np.float32(outputs - 1)
    match mode:
        case "half_pixel":
            at = (place + half) / scale - half
        case "half_pixel_symmetric":
            shown = scale * np.float32(size)
            at = np.float32(size / 2) * (1 - np.float32(outputs) / shown) + (place + half) / scale - half
        case "pytorch_half_pixel":
            at = (place + half) / scale - half if outputs > 1 else np.zeros(1, dtype=np.float32)
        case "align_corners":
            at = place * last_input / last_output if outputs > 1 else np.zeros(1, dtype=np.float32)
        case "half_pixel_floor":
            at = (place + half) / scale
        case "tf_crop_and_resize":
            start, end = map(np.float32, axis.region)
            if outputs > 1:
                at = start * last_input + place * (end - start) * last_input / last_output
            else:
                at = np.full(1, half * (start + end) * last_input, dtype=np.float32)
        case _:
            at = place / scale
    return np.asarray(at, dtype=np.float64)


def nearest(axis: ResizedAxis, at: FloatArray, rounding: str) -> list[int]:
    """Return the nearest element of each coordinate, within the axis."""
    match rounding:
        case "round_prefer_floor":
            place = np.ceil(at - 0.5)
        case "round_prefer_ceil":
            place = np.floor(at + 0.5)
        case "ceil":
            place = np.ceil(at)
        case "simple":  # operator set 10: up by the element before, down by the one behind
            place = np.ceil(at) if axis.scale < 1 else np.floor(at)
        case _:
            place = np.floor(at)
    return [int(n) for n in np.clip(place, 0, axis.size - 1)]


def taps(axis: ResizedAxis, at: FloatArray, how: Resizing) -> tuple[list[list[int]], list[list[float]]]:
    """Return for each output place the elements that it is made of, and their weights.

    Linear: 1 - r and r for the elements on either side, r from the first. Cubic: Keys (1981), equation 15, with a the
    cubic coefficient.
    """
    first = np.floor(at)
    r, a = at - first, how.cubic
    if how.mode == "linear":
        offsets, weights = np.array([0, 1]), np.stack([1 - r, r], axis=1)
    else:
        offsets = np.array([-1, 0, 1, 2])
        away = np.abs(offsets - r[:, None])
        near = (a + 2) * away**3 - (a + 3) * away**2 + 1
        far = a * away**3 - 5 * a * away**2 + 8 * a * away - 4 * a
        weights = np.where(away <= 1, near, np.where(away < 2, far, 0.0))
    places = first[:, None] + offsets
    if how.exclude_outside:
        weights = np.where((places < 0) | (places > axis.size - 1), 0.0, weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
    clipped = np.clip(places, 0, axis.size - 1).astype(int)
    return clipped.tolist(), weights.tolist()
