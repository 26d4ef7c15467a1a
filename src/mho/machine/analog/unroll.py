"""The way into the arrays and out of them, compiled: inputs laid out as windows, and sums as the layer's output.

`network.windows` and `number.reference.accumulate` say what is right; these give the same, faster.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from mho.network.layers import Convolution, MatrixLayer
from mho.network.windows import assemble, padded, windows

AnyArray = npt.NDArray[Any]


@intrinsic  # type: ignore[untyped-decorator]
def _move(typing: Any, target: Any, source: Any) -> Any:
    """Copy four bytes from one address (int64) to another."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        word = ir.IntType(32).as_pointer()
        to, at = (builder.inttoptr(address, word) for address in arguments)
        builder.store(builder.load(at, align=1), to, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@njit(cache=True)  # type: ignore[untyped-decorator]
def _unroll_lines(x: Any, kh: Any, kw: Any, sy: Any, sx: Any, dy: Any, apart: Any, out: Any) -> None:
    """Lay out windows of bytes whose kernels are at most four places wide: a line of a kernel is copied at once.

    Windows lie `apart` bytes from one another. Four bytes are copied for fewer: what is too much is overwritten by the next
    line. `out` has four bytes to spare.
    """
    groups, samples, rows, columns, length = out[1]
    lines = length // kw
    channels = lines // kh
    sources = np.empty(lines, dtype=np.int64)
    for c in range(channels):
        for d in range(kh):
            sources[c * kh + d] = c * x.strides[1] + d * dy * x.strides[2]
    target = out[0].ctypes.data
    for g in range(groups):
        for b in range(samples):
            base = x.ctypes.data + b * x.strides[0] + g * channels * x.strides[1]
            for y in range(rows):
                for w in range(columns):
                    at = base + y * sy * x.strides[2] + w * sx
                    for k in range(lines):
                        _move(target + k * kw, at + sources[k])
                    target += apart


@njit(cache=True)  # type: ignore[untyped-decorator]
def _unroll(x: Any, kernel: Any, stride: Any, dilation: Any, out: Any) -> None:
    """Lay out windows of x (samples, groups x channels, height, width): out (groups, samples, rows, columns, K)."""
    groups, samples, rows, columns, length = out.shape
    kh, kw = kernel
    for b in range(samples):
        for g in range(groups):
            for y in range(rows):
                for w in range(columns):
                    place = out[g, b, y, w]
                    k = 0
                    for c in range(length // (kh * kw)):
                        image = x[b, g * (length // (kh * kw)) + c]
                        for dy in range(kh):
                            line = image[y * stride[0] + dy * dilation[0]]
                            for dx in range(kw):
                                place[k] = line[w * stride[1] + dx * dilation[1]]
                                k += 1


def unrolled(layer: MatrixLayer, codes: AnyArray, zero: int, apart: int = 1) -> tuple[AnyArray, npt.NDArray[np.int64]]:
    """Return a layer's input codes as windows (matrices, W, K), as `windows` does, and the sum of each, (matrices, W).

    Windows begin at multiples of `apart` bytes; what lies between them is anything.
    """
    length = -(-layer.rows // apart) * apart
    if not isinstance(layer, Convolution):
        x = np.ascontiguousarray(windows(layer, codes, zero))
        sums = x.sum(axis=2, dtype=np.int64)
        if length == layer.rows:
            return x, sums
        filled = np.zeros((*x.shape[:2], length), dtype=x.dtype)
        filled[..., : layer.rows] = x
        return filled[..., : layer.rows], sums
    image = np.ascontiguousarray(padded(layer, codes, zero))
    (kh, kw), (sy, sx), (dy, dx) = layer.kernel, layer.stride, layer.dilation
    shape = (layer.groups, len(image), layer.shape[2], layer.shape[3], layer.rows)
    wide = (*shape[:4], length)
    # A line is read four bytes at a time, the last one of the image too.
    if image.dtype == np.uint8 and kw <= 4 and (dx == 1 or kw == 1):
        spare = np.empty(image.size + 4, dtype=np.uint8)
        spare[: image.size] = image.ravel()
        flat = np.empty(math.prod(wide) + 4, dtype=np.uint8)
        _unroll_lines(spare[: image.size].reshape(image.shape), kh, kw, sy, sx, dy, length, (flat, shape))
        out = flat[: math.prod(wide)].reshape(wide)
    else:
        out = np.empty(wide, dtype=image.dtype)
        _unroll(image, layer.kernel, layer.stride, layer.dilation, out[..., : layer.rows])
    # The sum of a window is that of its places in the sum of the channels.
    merged = image.reshape(len(image), layer.groups, -1, *image.shape[2:]).sum(axis=2, dtype=np.int64)
    sums = np.zeros((len(image), layer.groups, *layer.shape[2:]), dtype=np.int64)
    height, width = layer.shape[2:]
    for y in range(0, kh * dy, dy):
        for w in range(0, kw * dx, dx):
            sums += merged[:, :, y : y + (height - 1) * sy + 1 : sy, w : w + (width - 1) * sx + 1 : sx]
    matrices = layer.groups
    x = out.reshape(matrices, -1, length)[..., : layer.rows]
    return x, np.ascontiguousarray(sums.transpose(1, 0, 2, 3)).reshape(matrices, -1)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _settle(raw: Any, inputs: Any, zeros: Any, constant: Any, out: Any) -> None:
    """Write out (samples, groups, N, places) = raw (groups, samples, places, N) - zeros (groups, N) x inputs + constant."""
    groups, samples, places, width = raw.shape
    few = 16
    for b in range(samples):
        for g in range(groups):
            for first in range(0, places, few):
                last = min(first + few, places)
                for n in range(width):
                    target = out[b, g, n]
                    for p in range(first, last):
                        target[p] = (raw[g, b, p, n] - zeros[g, n] * inputs[g, b, p]) + constant[g, n]


def settled(
    layer: MatrixLayer, raw: AnyArray, inputs: npt.NDArray[np.int64], zeros: AnyArray, constant: AnyArray, samples: int
) -> npt.NDArray[np.float64]:
    """Correct sums of codes for zero points, and arrange them as the layer's output, in float64.

    raw (matrices, W, N) sums of codes; inputs (matrices, W) sums of inputs; zeros (matrices, N) what is taken away for each
    unit of input, constant (matrices, N) what is added.
    """
    if not isinstance(layer, Convolution):
        acc = raw - zeros[:, None, :] * inputs[..., None] + constant[:, None, :]
        return assemble(layer, acc.astype(np.float64), samples)
    groups, _, width = raw.shape
    places = layer.shape[2] * layer.shape[3]
    out = np.empty((samples, groups, width, places))
    _settle(
        raw.reshape(groups, samples, places, width), inputs.reshape(groups, samples, places),
        np.ascontiguousarray(zeros, dtype=np.float64), np.ascontiguousarray(constant, dtype=np.float64), out,
    )  # fmt: skip
    return out.reshape(samples, groups * width, layer.shape[2], layer.shape[3])
