"""Transposed convolution as ordinary convolutions, one for each phase of its output.

With stride s an output at place o meets only the kernel places k with k d = o + padding (mod s), d the dilation. So the
outputs fall into s_y x s_x phases, each a convolution of stride 1 with its own part of the kernel, turned round: each weight
is held once, and no input is multiplied by a zero that was stuffed in (Shi et al. 2016, Is the deconvolution layer the same
as a convolutional layer?; phases in ReRAM: Zhang et al. 2019, RED). The phases are then interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.builder import Builder

MOST_PHASES = 1024
"""Phases of a layer, each a convolution of its own: FCN-32s has 32 x 32, WaveGlow 256."""


@dataclass(frozen=True)
class Phase:
    """One phase of an axis: what the outputs r, r + stride, ... read.

    `taps` of the kernel starting at `first`, `step` apart, meet inputs `dilation` apart; `before` and `after` are the zeros
    around the input, or where negative the inputs left out.
    """

    count: int
    first: int
    step: int
    taps: int
    dilation: int
    before: int
    after: int


def phases(size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """Return the phases of an axis: `size` inputs, `outputs`, of which `padding` more are cut off in front.

    An output o = i stride + k dilation - padding sums over the inputs i and kernel places k. Taps is 0 where nothing is met.
    """
    _check(stride, min(stride, outputs))
    shared = math.gcd(dilation, stride)
    result = []
    for place in range(min(stride, outputs)):
        count = -(-(outputs - place) // stride)
        meeting = [k for k in range(kernel) if (place + padding - k * dilation) % stride == 0]
        if not meeting:
            result.append(Phase(count, 0, 1, 0, 1, 0, 0))
            continue
        first, apart = meeting[0], dilation // shared
        # The output of place q reads the inputs q + newest - apart t, t = 0 ... taps - 1.
        newest = (place + padding - first * dilation) // stride
        before, after = apart * (len(meeting) - 1) - newest, count - 1 + newest - (size - 1)
        reached = before > -size and after > -size
        result.append(
            Phase(count, first, stride // shared, len(meeting) if reached else 0, apart, before, after)
        )  # fmt: skip
    return result


def _check(stride: object, count: int) -> None:
    if count > MOST_PHASES:
        raise NetworkError(f"a stride of {stride} makes {count} phases; at most {MOST_PHASES} are known")


def transposed_convolution(
    builder: Builder,
    x: str,
    weight: Array,
    bias: Array | None,
    *,
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> str:
    """Append a transposed convolution of (B, C, H, W) with weights (C, N / groups, kh, kw) to an image of `size`.

    `padding` is what is cut off in front of either axis. Raises NetworkError for shapes that do not fit.
    """
    batch, channels, *have = builder.shape(x)
    kernel = turned_round(weight, channels, groups)
    axes = [phases(have[i], size[i], weight.shape[2 + i], stride[i], padding[i], dilation[i]) for i in range(2)]
    _check(stride, len(axes[0]) * len(axes[1]))
    if not all(any(phase.taps for phase in axis) for axis in axes):
        return builder.expand(offsets(builder, kernel.shape[0], bias), (batch, kernel.shape[0], *size))
    alone = len(axes[0]) == len(axes[1]) == 1
    parts = []
    for i, row in enumerate(axes[0]):
        for j, column in enumerate(axes[1]):
            part = None if alone else f"phase_{i}_{j}"
            parts.append(_phase(builder, x, kernel, bias, (row, column), groups, part))
    if alone:
        return parts[0]
    return builder.interleave(parts, (len(axes[0]), len(axes[1])), (batch, kernel.shape[0], *size))


def offsets(builder: Builder, outputs: int, bias: Array | None) -> str:
    """Append the bias as an image of one place, (1, N, 1, 1)."""
    shape = (1, outputs, 1, 1)
    if bias is None:
        return builder.constant(Array.of(np.zeros(shape, dtype=np.float32)), "bias")
    values = None if bias.values is None else bias.real().reshape(shape).astype(np.float32)
    return builder.constant(Array(shape, values), "bias")


def turned_round(weight: Array, channels: int, groups: int) -> Array:
    """Write weights (C, N / groups, kh, kw) as those of a convolution, (N, C / groups, kh, kw), kernels as they were."""
    _, columns, *kernel = weight.shape
    shape = (groups, channels // groups, columns, *kernel)
    code = weight.code
    if code is not None and code.axis is not None:
        code = replace(code, axis=code.axis + 1)
    apart = Array(shape, None if weight.values is None else weight.values.reshape(shape), code)
    return apart.arranged((0, 2, 1, *range(3, len(shape))), (groups * columns, channels // groups, *kernel))


def _phase(
    builder: Builder, x: str, kernel: Array, bias: Array | None, axes: Sequence[Phase], groups: int, part: str | None
) -> str:
    """Append the convolution of one phase of both axes; a phase that meets no input holds the bias alone."""
    if any(axis.taps == 0 for axis in axes):
        shape = (1, kernel.shape[0], *(axis.count for axis in axes))
        return builder.expand(offsets(builder, kernel.shape[0], bias), shape, part)
    for axis, cut in enumerate(axes):
        low, high = max(0, -cut.before), max(0, -cut.after)
        if low or high:
            x = builder.slice(x, 2 + axis, low, builder.shape(x)[2 + axis] - high, part="cut")
    taps = tuple(slice(axis.first, axis.first + axis.step * (axis.taps - 1) + 1, axis.step) for axis in axes)
    shape = (*kernel.shape[:2], *(axis.taps for axis in axes))
    values = None if kernel.values is None else kernel.values[:, :, taps[0], taps[1]][:, :, ::-1, ::-1]
    before, after = ([max(0, getattr(axis, side)) for axis in axes] for side in ("before", "after"))
    return builder.convolution(
        x,
        Array(shape, values, kernel.code),
        bias,
        padding=(before[0], before[1], after[0], after[1]),
        dilation=(axes[0].dilation, axes[1].dilation),
        groups=groups,
        part=part,
    )
