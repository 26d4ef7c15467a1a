"""The input vectors of a matrix layer (im2col), and the way back from its products to its output."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from mho.errors import NumberError
from mho.network.layers import Convolution, Linear, MatrixLayer

AnyArray = npt.NDArray[Any]


def windows(layer: MatrixLayer, x: AnyArray, fill: int) -> AnyArray:
    """Arrange a matrix layer's input as its input vectors: shape (groups, W, K), of x's type.

    A convolution's input (B, C, H, W) gives W = B x output height x output width windows, ordered (sample, y,
    x), and K ordered (channel of the group, kernel row, kernel column); padding takes the value `fill`, the
    code of real zero. A linear layer's input (..., groups K) gives (groups, product of the leading axes, K), without a
    copy where x is contiguous.
    """
    if isinstance(layer, Linear):
        return x.reshape(-1, layer.groups, layer.rows).transpose(1, 0, 2)
    if not isinstance(layer, Convolution):
        raise NumberError(f"layer {layer.name!r} ({layer.kind}) has no windows")
    view = window_view(layer, padded(layer, x, fill))  # (B, groups, C, kh, kw, oh, ow)
    samples, groups, channels, kh, kw, height, width = view.shape
    return view.transpose(1, 0, 5, 6, 2, 3, 4).reshape(groups, samples * height * width, channels * kh * kw)


def assemble(layer: MatrixLayer, y: AnyArray, samples: int) -> AnyArray:
    """Arrange products (groups, W, N) as the layer's output; `samples` is the length of its first axis.

    A convolution gives (samples, groups x N, output height, output width), a linear layer its leading axes
    and groups x N.
    """
    if isinstance(layer, Convolution):
        height, width = layer.shape[2], layer.shape[3]
        parts = y.reshape(layer.groups, samples, height, width, layer.columns)
        return parts.transpose(1, 0, 4, 2, 3).reshape(samples, layer.groups * layer.columns, height, width)
    rows = y.transpose(1, 0, 2)
    if len(layer.shape) == 1:
        return rows.reshape(layer.shape)
    return rows.reshape(samples, *layer.shape[1:])


def padded(layer: Convolution, x: AnyArray, fill: float) -> AnyArray:
    """Surround the input with `fill` as the layer's padding says; the same array where it has none."""
    top, left, bottom, right = layer.padding
    if not any(layer.padding):
        return x
    samples, channels, height, width = x.shape
    result = np.full((samples, channels, top + height + bottom, left + width + right), fill, dtype=x.dtype)
    result[:, :, top : top + height, left : left + width] = x
    return result


def window_view(layer: Convolution, x: AnyArray) -> AnyArray:
    """View a padded input as windows, without a copy: (B, groups, C / groups, kh, kw, output height, output width)."""
    height, width = layer.shape[2], layer.shape[3]
    (kh, kw), (sy, sx), (dy, dx) = layer.kernel, layer.stride, layer.dilation
    needed = ((height - 1) * sy + (kh - 1) * dy + 1, (width - 1) * sx + (kw - 1) * dx + 1)
    channels = layer.weight.shape[1]
    if x.shape[1] != layer.groups * channels or x.shape[2] < needed[0] or x.shape[3] < needed[1]:
        raise NumberError(
            f"layer {layer.name!r} reads (samples, {layer.groups * channels}, {needed[0]}, {needed[1]}) "
            f"with its padding, not {x.shape}"
        )
    b, c, h, w = x.strides
    return as_strided(
        x,
        (x.shape[0], layer.groups, channels, kh, kw, height, width),
        (b, c * channels, c, h * dy, w * dx, h * sy, w * sx),
        writeable=False,
    )
