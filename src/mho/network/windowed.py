"""Convolutions and pooling over one, two or three axes, as the two-dimensional layers that they are made of.

Over one axis it is an image of height 1. Over three, a convolution is one of images: the depth of its kernel joins the
channels (each output slice reads the slices that its kernel covers, so each weight is held once, and windows are those of
the volume); a pooling is one of images followed by one along depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.composites import pad
from mho.network.geometry import adaptive_windows, bounded, regular_windows, window_count
from mho.network.transposed import offsets, phases, transposed_convolution

Sizes = Sequence[int]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """The geometry of windows: stride, padding in front and behind, and dilation, one number for each axis."""

    stride: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilation: tuple[int, ...]

    def of(self, *axes: int) -> Geometry:
        """Return the geometry of some axes; -1 is one without any window."""
        parts = ((self.stride, 1), (self.before, 0), (self.after, 0), (self.dilation, 1))
        return Geometry(*(tuple(none if i < 0 else values[i] for i in axes) for values, none in parts))

    @property
    def image(self) -> tuple[Pair, tuple[int, int, int, int], Pair]:
        """Return stride, padding (top, left, bottom, right) and dilation over two axes, or over one and a height of 1."""
        whole = self if len(self.stride) == 2 else self.of(-1, 0)
        (top, left), (bottom, right) = whole.before, whole.after
        return (whole.stride[0], whole.stride[1]), (top, left, bottom, right), (whole.dilation[0], whole.dilation[1])


def _check(builder: Builder, x: str, rank: int, what: str, most: int = 3) -> None:
    shape = builder.shape(x)
    if not 1 <= rank <= most or len(shape) != rank + 2:
        raise NetworkError(
            f"{what} over {rank} axes of a tensor of shape {shape} is not known; known: one to {most} axes behind batch "
            "and channels"
        )


def lifted(builder: Builder, x: str) -> str:
    """Append a sequence (B, C, L) as an image of height 1."""
    batch, channels, length = builder.shape(x)
    return builder.reshape(x, (batch, channels, 1, length), "reshape")


def lowered(builder: Builder, x: str) -> str:
    """Append an image of height 1 as a sequence."""
    batch, channels, _, length = builder.shape(x)
    return builder.reshape(x, (batch, channels, length), "reshape")


def convolution(builder: Builder, x: str, weight: Array, bias: Array | None, geometry: Geometry, groups: int) -> str:
    """Append a convolution of (B, C, ...) with weights (N, C / groups, ...)."""
    rank = len(weight.shape) - 2
    _check(builder, x, rank, "a convolution")
    if rank == 3:
        return _volume(builder, x, weight, bias, geometry, groups)
    stride, padding, dilation = geometry.image
    if rank == 1:
        x, weight = lifted(builder, x), weight.arranged(range(3), (*weight.shape[:2], 1, weight.shape[2]))
    output = builder.convolution(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return lowered(builder, output) if rank == 1 else output


def _volume(builder: Builder, x: str, weight: Array, bias: Array | None, geometry: Geometry, groups: int) -> str:
    """Slices of depth, each with those that its kernel covers as more channels, are a batch of images."""
    outputs, inputs, deep, *kernel = weight.shape
    (step, *_), (front, *_), (back, *_), (apart, *_) = (
        geometry.stride,
        geometry.before,
        geometry.after,
        geometry.dilation,
    )
    if front or back:
        x = builder.pad(x, (0, 0, front, 0, 0), (0, 0, back, 0, 0), part="pad")
    batch, _, depth, *_ = builder.shape(x)
    count = window_count(depth, deep, step, 0, apart)
    if count < 1:
        raise NetworkError(f"a kernel {deep} deep does not fit {depth} slices")
    images = _images(builder, x, deep, count, step, apart)
    flat = weight.arranged(range(5), (outputs, inputs * deep, *kernel))
    stride, padding, dilation = geometry.of(1, 2).image
    output = builder.convolution(images, flat, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    high, wide = builder.shape(output)[2:]
    apart_again = builder.reshape(output, (batch, count, outputs, high, wide), "volume")
    return builder.transpose(apart_again, (0, 2, 1, 3, 4), "volume")


def _images(builder: Builder, x: str, deep: int, count: int, step: int, apart: int) -> str:
    """Append the slices that a kernel covers as more channels of images: (B, C, D, H, W) to (B count, C deep, H, W)."""
    batch, channels, _, height, width = builder.shape(x)
    slices = []
    for tap in range(deep):
        start = tap * apart
        window = builder.slice(x, 2, start, start + (count - 1) * step + 1, step, part="slices")
        slices.append(builder.reshape(window, (batch, channels, 1, count, height, width), "slices"))
    joined = builder.concatenate(slices, 2, "kernel") if deep > 1 else slices[0]
    turned = builder.transpose(joined, (0, 3, 1, 2, 4, 5), "images")
    return builder.reshape(turned, (batch * count, channels * deep, height, width), "images")


def transposed(
    builder: Builder, x: str, weight: Array, bias: Array | None, geometry: Geometry, size: Sizes, groups: int
) -> str:
    """Append a transposed convolution of (B, C, ...) with weights (C, N / groups, ...) to an image of `size`."""
    rank = len(weight.shape) - 2
    _check(builder, x, rank, "a transposed convolution")
    if rank == 3:
        return _transposed_volume(builder, x, weight, bias, geometry, size, groups)
    stride, (top, left, _, _), dilation = geometry.image
    if rank == 1:
        x, weight = lifted(builder, x), _heightened(weight)
    output = transposed_convolution(
        builder, x, weight, bias, size=(1, size[0]) if rank == 1 else (size[0], size[1]), stride=stride,
        padding=(top, left), dilation=dilation, groups=groups,
    )  # fmt: skip
    return lowered(builder, output) if rank == 1 else output


def _transposed_volume(
    builder: Builder, x: str, weight: Array, bias: Array | None, geometry: Geometry, size: Sizes, groups: int
) -> str:
    """Append a transposed convolution of images for each phase of depth; the slices that a phase reads are its channels."""
    batch, channels, depth = builder.shape(x)[:3]
    deep, (high, wide), outputs = weight.shape[2], size[1:], weight.shape[1] * groups
    stride, (top, left, _, _), dilation = geometry.of(1, 2).image
    parts = []
    for phase in phases(depth, size[0], deep, geometry.stride[0], geometry.before[0], geometry.dilation[0]):
        if not phase.taps:
            parts.append(
                builder.expand(offsets(builder, outputs, bias), (1, outputs, phase.count, high * wide), "phase")
            )
            continue
        none = (0, 0)
        padded = pad(builder, x, (*none, phase.before, *none), (*none, phase.after, *none))
        images = _images(builder, padded, phase.taps, phase.count, 1, phase.dilation)
        shape = (channels * phase.taps, weight.shape[1], *weight.shape[3:])
        taps = range(phase.first, phase.first + phase.step * phase.taps, phase.step)[::-1]
        values = None if weight.values is None else weight.values[:, :, list(taps)].swapaxes(1, 2).reshape(shape)
        image = transposed_convolution(
            builder, images, Array(shape, values, weight.code), bias, size=(high, wide), stride=stride,
            padding=(top, left), dilation=dilation, groups=groups,
        )  # fmt: skip
        flat = builder.reshape(image, (batch, phase.count, outputs, high * wide), "columns")
        parts.append(builder.transpose(flat, (0, 2, 1, 3), "columns"))
    woven = parts[0]
    if len(parts) > 1:
        woven = builder.interleave(parts, (len(parts), 1), (batch, outputs, size[0], high * wide), "depth")
    elif builder.shape(woven)[0] != batch:
        woven = builder.expand(woven, (batch, *builder.shape(woven)[1:]), "depth")
    return builder.reshape(woven, (batch, outputs, *size), "reshape")


def fold(builder: Builder, x: str, image: Sizes, kernel: Sizes, geometry: Geometry) -> str:
    """Append windows (B, C x kernel, windows) added up to the image that they lie in (col2im): a sum of elements, axis by axis."""
    batch, rows, _ = builder.shape(x)
    rank = len(kernel)
    padded = [n + a + b for n, a, b in zip(image, geometry.before, geometry.after, strict=True)]
    counts = [
        window_count(n, k, s, 0, d)
        for n, k, s, d in zip(padded, kernel, geometry.stride, geometry.dilation, strict=True)
    ]
    channels = rows // math.prod(kernel)
    for n in image:
        bounded(n, "an axis of the image")
    x = builder.reshape(x, (batch, channels, *kernel, *counts), "windows")
    x = builder.transpose(x, (0, 1, *(axis for i in range(rank) for axis in (2 + i, 2 + rank + i))), "windows")
    x = builder.reshape(x, (batch, channels, *(k * n for k, n in zip(kernel, counts, strict=True))), "windows")
    for axis in range(rank):
        before, step, apart = geometry.before[axis], geometry.stride[axis], geometry.dilation[axis]
        meeting: list[list[int]] = [[] for _ in range(image[axis])]
        for k in range(kernel[axis]):
            for i in range(counts[axis]):
                place = i * step + k * apart - before
                if 0 <= place < image[axis]:
                    meeting[place].append(k * counts[axis] + i)
        longest = max(1, *map(len, meeting))
        places = [row + [0] * (longest - len(row)) for row in meeting]
        weights = [[1.0] * len(row) + [0.0] * (longest - len(row)) for row in meeting]
        x = builder.resample(x, 2 + axis, places, weights, None if axis == rank - 1 else f"axis_{axis}")
    return x


def _heightened(weight: Array) -> Array:
    """Give a kernel of one axis a height of 1."""
    shape = (*weight.shape[:2], 1, weight.shape[2])
    return Array(shape, None if weight.values is None else weight.values.reshape(shape), weight.code)


def pool(
    builder: Builder, x: str, function: str, kernel: Sizes, geometry: Geometry, *, count_padding: bool, ceil: bool
) -> str:
    """Append a pooling ("maximum" or "average") over all axes behind the channels."""
    rank = len(kernel)
    _check(builder, x, rank, "pooling")

    def flat(image: str, high: int, wide: int, window: Geometry, name: str | None) -> str:
        stride, padding, dilation = window.image
        return builder.pool(
            image, function, (high, wide), stride, padding, dilation=dilation, count_padding=count_padding, ceil=ceil, part=name,
        )  # fmt: skip

    if rank == 2:
        return flat(x, kernel[0], kernel[1], geometry, None)
    if rank == 1:
        return lowered(builder, flat(lifted(builder, x), 1, kernel[0], geometry, None))
    batch, channels, depth, height, width = builder.shape(x)
    idle = (kernel[1], kernel[2]) == (1, 1) and geometry.of(1, 2) == Geometry((1, 1), (0, 0), (0, 0), (1, 1))
    if not idle:
        images = builder.reshape(
            builder.transpose(x, (0, 2, 1, 3, 4), "images"), (batch * depth, channels, height, width), "images"
        )
        pooled = flat(images, kernel[1], kernel[2], geometry.of(1, 2), "image")
        height, width = builder.shape(pooled)[2:]
        x = builder.transpose(
            builder.reshape(pooled, (batch, depth, channels, height, width), "volume"), (0, 2, 1, 3, 4), "volume"
        )
    columns = builder.reshape(x, (batch, channels, depth, height * width), "columns")
    pooled = flat(columns, kernel[0], 1, geometry.of(0, -1), None)
    return builder.reshape(pooled, (batch, channels, builder.shape(pooled)[2], height, width), "reshape")


def adaptive_pool(builder: Builder, x: str, function: str, size: Sequence[int | None]) -> str:
    """Append a pooling to a given size, None keeping that of an axis: windows from floor(i n / o) to ceil((i + 1) n / o)."""
    have = builder.shape(x)[2:]
    rank = len(size)
    _check(builder, x, rank, "pooling")
    want = [n if m is None else bounded(m, "a pooled axis") for n, m in zip(have, size, strict=True)]
    if set(want) == {1}:
        return builder.reduce(x, "mean" if function == "average" else "maximum", range(2, 2 + rank), keep=True)
    grown = [m if n == 1 else n for n, m in zip(have, want, strict=True)]
    if grown != list(have):
        x = builder.expand(x, (*builder.shape(x)[:2], *grown), part="expand" if grown != want else None)
        if grown == want:
            return x
    windows = [regular_windows(n, m) for n, m in zip(grown, want, strict=True)]
    regular = [window for window in windows if window is not None]
    if len(regular) == rank:
        none, ones = (0,) * rank, (1,) * rank
        geometry = Geometry(tuple(step for _, step in regular), none, none, ones)
        return pool(builder, x, function, [n for n, _ in regular], geometry, count_padding=True, ceil=False)
    for axis, (n, m) in enumerate(zip(grown, want, strict=True)):
        x = _uneven(
            builder, x, function, 2 + axis, adaptive_windows(n, m), None if axis == rank - 1 else f"axis_{axis}"
        )
    return x


def _uneven(builder: Builder, x: str, function: str, axis: int, windows: Sequence[range], part: str | None) -> str:
    """Append a pooling of one axis over windows of any size: a short one weighs its last element by 0, or counts it twice."""
    longest = max(map(len, windows))
    places = [[min(window.start + i, window.stop - 1) for i in range(longest)] for window in windows]
    if function == "average":
        weights = [[1.0 / len(window) if i < len(window) else 0.0 for i in range(longest)] for window in windows]
        return builder.resample(x, axis, places, weights, part)
    shape = builder.shape(x)
    elements = builder.take(x, axis, [place for row in places for place in row], "windows")
    apart = builder.reshape(elements, (*shape[:axis], len(windows), longest, *shape[axis + 1 :]), "windows")
    return builder.reduce(apart, "maximum", (axis + 1,), keep=False, part=part)


def same_padding(
    sizes: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, *, upper: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the padding before and behind of auto_pad SAME_UPPER or SAME_LOWER: outputs = ceil(size / stride)."""
    needed = [
        (-(-n // s) - 1) * s + d * (k - 1) + 1 - n for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    small = tuple(max(total, 0) // 2 for total in needed)
    large = tuple(max(total, 0) - half for total, half in zip(needed, small, strict=True))
    return (small, large) if upper else (large, small)
