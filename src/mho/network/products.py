"""Products of a matrix layer with all its windows, by BLAS: exact for integers, fast for reals.

An integer product is exact in floating point, whatever the order of summation, while the sum of the magnitudes of its terms
stays below 2^24 (float32) or 2^53 (float64). The bound is computed from the weights themselves, never assumed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from mho.errors import NumberError
from mho.network.layers import Convolution, MatrixLayer
from mho.network.windows import padded, window_view

AnyArray = npt.NDArray[Any]

BLOCK = 1 << 21
"""Bytes of unrolled windows that are multiplied at once (about the size of a second-level cache)."""


def exact_type(largest_sum: float) -> type[np.float32] | type[np.float64]:
    """Choose the floating-point type in which sums of magnitude up to `largest_sum` are exact; NumberError where none is."""
    if largest_sum <= 2.0**24:
        return np.float32
    if largest_sum <= 2.0**53:
        return np.float64
    raise NumberError(f"an integer sum of up to {largest_sum:g} is not exact in float64")


def multiply(layer: MatrixLayer, x: AnyArray, weight: AnyArray) -> AnyArray:
    """Multiply a layer's input by its matrices, weight (groups, K, N), in the type of `weight`; padding counts as 0.

    Returns the layer's output without scale and bias: (B, groups x N, height, width) or (..., groups x N).
    """
    if isinstance(layer, Convolution):
        return _convolve(layer, x, weight)
    rows = x.astype(weight.dtype, copy=False).reshape(-1, layer.groups, layer.rows)
    products = np.matmul(rows.transpose(1, 0, 2), weight)
    return np.asarray(products.transpose(1, 0, 2).reshape(*x.shape[:-1], layer.groups * layer.columns))


def add_bias(layer: MatrixLayer, y: AnyArray, bias: AnyArray | None) -> AnyArray:
    """Add a bias, one number for each output, to products in the layout of the layer's output."""
    if bias is None:
        return y
    y += bias.reshape(-1, 1, 1) if isinstance(layer, Convolution) else bias
    return y


def real_products(layer: MatrixLayer, x: AnyArray) -> AnyArray:
    """Compute a matrix layer on reals, in float64."""
    weight = np.ascontiguousarray(layer.matrix(layer.weight.real()))
    return add_bias(layer, multiply(layer, x, weight), None if layer.bias is None else layer.bias.real())


def _convolve(layer: Convolution, x: AnyArray, weight: AnyArray) -> AnyArray:
    """Convolve block by block of samples, so that the unrolled windows stay in cache."""
    samples = x.shape[0]
    height, width = layer.shape[2:]
    result = np.empty((samples, layer.groups * layer.columns, height, width), dtype=weight.dtype)
    per_sample = layer.groups * layer.rows * height * (width + layer.kernel[1]) * weight.dtype.itemsize
    step = max(1, BLOCK // per_sample)
    for start in range(0, samples, step):
        block = x[start : start + step]
        target = result[start : start + step]
        if layer.columns == 1 and layer.rows == math.prod(layer.kernel):
            _by_channel(layer, block, weight, target)
        elif layer.stride == (1, 1):
            _shifted(layer, block, weight, target)
        else:
            _unrolled(layer, block, weight, target)
    return result


def _surround(layer: Convolution, x: AnyArray, dtype: np.dtype[Any], extra: int) -> AnyArray:
    """Copy samples into zeros with the layer's padding, as (B, C, padded height x padded width + extra)."""
    top, left, bottom, right = layer.padding
    samples, channels, height, width = x.shape
    ph, pw = top + height + bottom, left + width + right
    flat = np.zeros((samples, channels, ph * pw + extra), dtype=dtype)
    image = flat[:, :, : ph * pw].reshape(samples, channels, ph, pw)
    image[:, :, top : top + height, left : left + width] = x
    return flat


def _shifted(layer: Convolution, x: AnyArray, weight: AnyArray, target: AnyArray) -> None:
    """Convolve with stride 1: a kernel place is a shift of the flattened padded image, so unrolling copies long runs of memory.

    The products at the right edge, whose windows wrap into the next row, are computed and dropped.
    """
    (kh, kw), (dy, dx) = layer.kernel, layer.dilation
    samples, channels = x.shape[:2]
    height, width = layer.shape[2:]
    groups, rows, columns = weight.shape
    pw = x.shape[3] + layer.padding[1] + layer.padding[3]
    if (kh, kw) == (1, 1) and not any(layer.padding):
        unrolled = np.ascontiguousarray(x, dtype=weight.dtype).reshape(samples, groups, rows, height * width)
        pw = width
    else:
        flat = _surround(layer, x, weight.dtype, extra=(kw - 1) * dx)
        b, c, item = flat.strides
        run = height * pw
        needed = run + ((kh - 1) * dy * pw + (kw - 1) * dx)
        if needed > flat.shape[2]:
            raise NumberError(f"layer {layer.name!r} makes {layer.shape}, more than its input {x.shape} reaches")
        view = as_strided(
            flat, (samples, channels, kh, kw, run), (b, c, dy * pw * item, dx * item, item), writeable=False
        )
        unrolled = view.reshape(samples, groups, rows, run)
    products = np.matmul(weight.transpose(0, 2, 1), unrolled)
    target[...] = products.reshape(samples, groups * columns, height, pw)[..., :width]


def _unrolled(layer: Convolution, x: AnyArray, weight: AnyArray, target: AnyArray) -> None:
    """Convolve with any stride: unroll the windows and multiply."""
    groups, rows, _ = weight.shape
    view = window_view(layer, padded(layer, x.astype(weight.dtype, copy=False), 0.0))
    unrolled = view.reshape(x.shape[0], groups, rows, -1)
    target[...] = np.matmul(weight.transpose(0, 2, 1), unrolled).reshape(target.shape)


def _by_channel(layer: Convolution, x: AnyArray, weight: AnyArray, target: AnyArray) -> None:
    """Convolve one input channel a group (depthwise): add up place by place of the kernel."""
    groups, rows, columns = weight.shape
    view = window_view(layer, padded(layer, x.astype(weight.dtype, copy=False), 0.0))
    height, width = layer.shape[2:]
    parts = target.reshape(x.shape[0], groups, columns, height, width)
    term = np.empty_like(parts)
    for place in range(rows):
        window = view[:, :, 0, place // layer.kernel[1], place % layer.kernel[1]][:, :, None]
        factor = weight[:, place][None, :, :, None, None]
        if place == 0:
            np.multiply(window, factor, out=parts)
        else:
            np.multiply(window, factor, out=term)
            parts += term
