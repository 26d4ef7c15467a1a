"""Where the windows of an axis lie: counting of axes, windows and overhangs."""

from __future__ import annotations

import itertools

from mho.errors import NetworkError


def axis_of(axis: int, rank: int) -> int:
    """Count an axis from 0."""
    if not -rank <= axis < rank:
        raise NetworkError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


def window_count(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Windows along one axis: floor((n + padding - dilation (k - 1) - 1) / stride) + 1."""
    return (size + padding - dilation * (kernel - 1) - 1) // stride + 1


def overhang(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Extra padding behind an axis that makes floor division count the windows of `ceil_mode`.

    The last window must start inside the axis or its front padding (torch.nn.MaxPool2d, note on ceil_mode).
    """
    reach = dilation * (kernel - 1) + 1
    count = -(-(size + before + after - reach) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max(0, (count - 1) * stride + reach - (size + before + after))


def regular_windows(have: int, want: int) -> tuple[int, int]:
    """Kernel and stride of an adaptive pooling from `have` to `want` elements."""
    starts = [i * have // want for i in range(want)]
    kernels = {-(-(i + 1) * have // want) - start for i, start in enumerate(starts)}
    strides = {b - a for a, b in itertools.pairwise(starts)} or {1}
    if len(kernels) != 1 or len(strides) != 1 or 0 in strides:
        raise NetworkError(f"an adaptive pooling from {have} to {want} has windows of unequal sizes or distances")
    return kernels.pop(), strides.pop()
