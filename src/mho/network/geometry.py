"""Shapes, and where the windows of an axis lie: counting of axes, windows and overhangs."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError

Shape = tuple[int, ...]

LONGEST = 1 << 22
"""Elements of an axis that is written down place by place; a line of 4 million pixels is longer than any image."""


class ShapeError(ValueError):
    """Raised where operands do not fit a layer; the text says why, where their shapes alone do not."""


def need(condition: bool, why: str = "") -> None:
    """Raise ShapeError where a condition does not hold."""
    if not condition:
        raise ShapeError(why)


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that several have together, as numpy has it; raise ShapeError where they have none."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None


def replaced(shape: Shape, axis: int, *lengths: int) -> Shape:
    """Return a shape with other lengths in the place of one axis."""
    return (*shape[:axis], *lengths, *shape[axis + 1 :])


def along(values: npt.NDArray[Any], axis: int, rank: int) -> npt.NDArray[Any]:
    """Arrange values (n,) along one axis of so many, so that they broadcast."""
    return values.reshape([-1 if place == axis else 1 for place in range(rank)])


def bounded(size: int, what: str) -> int:
    """Return a length; NetworkError where it is empty or too long to be written down."""
    if not 1 <= size <= LONGEST:
        raise NetworkError(f"{what} of {size:,} elements is not known; known: 1 to {LONGEST:,}")
    return size


def axis_of(axis: int, rank: int) -> int:
    """Count an axis from 0."""
    if not -rank <= axis < rank:
        raise NetworkError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the number of windows along one axis: floor((n + padding - dilation (k - 1) - 1) / stride) + 1."""
    return (size + padding - dilation * (kernel - 1) - 1) // stride + 1


@lru_cache(maxsize=4096)
def reach(count: int, kernel: int, stride: int, dilation: int) -> npt.NDArray[np.int64]:
    """Return how many places along an axis the first n windows reach together, shape (count + 1,), n from 0 on."""
    places, reached = np.zeros((count - 1) * stride + (kernel - 1) * dilation + 1, dtype=np.bool_), [0]
    for window in range(count):
        places[window * stride : window * stride + (kernel - 1) * dilation + 1 : dilation] = True
        reached.append(int(np.count_nonzero(places)))
    return np.array(reached, dtype=np.int64)


def windows_of(
    image: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> Shape:
    """Return the windows along height and width of (B, C, H, W); raise ShapeError for no image or no window geometry."""
    need(len(image) == 4, f"a two-dimensional layer needs (batch, channels, height, width), not {image}")
    need(min(*kernel, *stride, *dilation) >= 1 and min(padding) >= 0)
    top, left, bottom, right = padding
    sides = zip(image[2:], kernel, stride, (top + bottom, left + right), dilation, strict=True)
    return tuple(window_count(*side) for side in sides)


def overhang(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Return the extra padding behind an axis that makes floor division count the windows of `ceil_mode`.

    The last window must start inside the axis or its front padding (torch.nn.MaxPool2d, note on ceil_mode).
    """
    reach = dilation * (kernel - 1) + 1
    count = -(-(size + before + after - reach) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max(0, (count - 1) * stride + reach - (size + before + after))


def adaptive_windows(have: int, want: int) -> list[range]:
    """Return the windows of an adaptive pooling on an axis: from floor(i n / o) to ceil((i + 1) n / o)."""
    return [range(i * have // want, -(-(i + 1) * have // want)) for i in range(want)]


def regular_windows(have: int, want: int) -> tuple[int, int] | None:
    """Return kernel and stride of an adaptive pooling, None where its windows are of unequal sizes or distances."""
    windows = adaptive_windows(have, want)
    kernels = {len(window) for window in windows}
    strides = {after.start - before.start for before, after in itertools.pairwise(windows)} or {1}
    return (kernels.pop(), strides.pop()) if len(kernels) == len(strides) == 1 and 0 not in strides else None
