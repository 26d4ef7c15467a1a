"""Pooling, reductions, normalisation and softmax, in float64 and in one order of summation.

A sum depends on the order of its terms. Here every sum runs over terms that lie side by side in memory (numpy
adds these pairwise, in an order fixed by their number alone), or over the places of a pooling window in
row-major order. So a sample's result does not depend on what other samples are computed beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError
from mho.network.layers import Normalise, Pool, Reduce

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]


def row_sums(rows: AnyArray) -> AnyArray:
    """Sum over the last axis in the order described above, in the type of what is summed; the axis is kept with length 1."""
    return np.add.reduce(np.ascontiguousarray(rows), axis=-1, keepdims=True, dtype=rows.dtype)


def softmax(x: FloatArray, axis: int) -> FloatArray:
    """exp(x - max) / sum(exp(x - max)) over one axis."""
    rows = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return np.moveaxis(powers / row_sums(powers), -1, axis)


def reduce(layer: Reduce, x: AnyArray) -> AnyArray:
    """Reduce over `layer.axes`; a mean is the sum divided by the count, cut off towards zero for integers."""
    axes = tuple(sorted(layer.axes))
    count = math.prod(x.shape[axis] for axis in axes)
    left = [axis for axis in range(x.ndim) if axis not in axes]
    shape = [x.shape[axis] for axis in left]
    rows = np.ascontiguousarray(x.transpose(*left, *axes)).reshape(*shape, count)
    if layer.function not in REDUCED:
        raise NetworkError(f"layer {layer.name!r}: unknown reduction {layer.function!r}")
    result = REDUCED[layer.function](rows)
    if layer.keep:
        result = result.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])
    return np.asarray(result)


def _mean(rows: AnyArray) -> AnyArray:
    mean = row_sums(rows)[..., 0] / rows.shape[-1]
    return np.asarray(mean if rows.dtype.kind == "f" else np.trunc(mean).astype(rows.dtype))


REDUCED: Mapping[str, Callable[[AnyArray], AnyArray]] = {
    "mean": _mean,
    "sum": lambda rows: row_sums(rows)[..., 0],
    "product": lambda rows: np.multiply.reduce(rows, axis=-1, dtype=rows.dtype),
    "maximum": lambda rows: rows.max(axis=-1),
    "minimum": lambda rows: rows.min(axis=-1),
    "argmax": lambda rows: rows.argmax(axis=-1),
    "argmin": lambda rows: rows.argmin(axis=-1),
    "argmax_last": lambda rows: rows.shape[-1] - 1 - rows[..., ::-1].argmax(axis=-1),
    "argmin_last": lambda rows: rows.shape[-1] - 1 - rows[..., ::-1].argmin(axis=-1),
}
"""Reductions of rows over their last axis."""


def normalise(layer: Normalise, x: FloatArray) -> FloatArray:
    """Normalise by the input's own statistics: mean = sum / n, variance = sum((x - mean)^2) / n.

    "layer" and "group": (x - mean) / sqrt(variance + epsilon); "rms": x / sqrt(sum(x^2) / n + epsilon). Then
    * scale, then + offset, where given.
    """
    if layer.function == "group":
        rows = x.reshape(x.shape[0], layer.groups, -1)
        channels = (1, -1) + (1,) * (x.ndim - 2)
    else:
        rows = x.reshape(*x.shape[: x.ndim - layer.axes], -1)
        channels = x.shape[x.ndim - layer.axes :]
    count = rows.shape[-1]
    match layer.function:
        case "layer" | "group":
            centred = rows - row_sums(rows) / count
            result = centred / np.sqrt(row_sums(centred * centred) / count + layer.epsilon)
        case "rms":
            result = rows / np.sqrt(row_sums(rows * rows) / count + layer.epsilon)
        case _:
            raise NetworkError(f"layer {layer.name!r}: unknown normalisation {layer.function!r}")
    result = result.reshape(x.shape)
    if layer.scale is not None:
        result = result * layer.scale.real().reshape(channels)
    if layer.offset is not None:
        result = result + layer.offset.real().reshape(channels)
    return result


def pool(layer: Pool, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Maximum or average over windows, place by place of the kernel in row-major order.

    The average divides by the kernel's size, or by the elements that are not padding where `count_padding` is
    false. Windows that reach past the padding (an output size that was rounded up) see nothing there: such
    places count in neither case.
    """
    top, left, bottom, right = layer.padding
    height, width = layer.shape[2], layer.shape[3]
    reach = tuple(
        (n - 1) * stride + (kernel - 1) * dilation + 1
        for n, stride, kernel, dilation in zip((height, width), layer.stride, layer.kernel, layer.dilation, strict=True)
    )
    padded = (x.shape[2] + top + bottom, x.shape[3] + left + right)
    past = (max(0, reach[0] - padded[0]), max(0, reach[1] - padded[1]))
    widths = ((0, 0), (0, 0), (top, bottom + past[0]), (left, right + past[1]))

    def places(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        found = []
        for row in range(0, layer.kernel[0] * layer.dilation[0], layer.dilation[0]):
            for column in range(0, layer.kernel[1] * layer.dilation[1], layer.dilation[1]):
                rows = slice(row, row + (height - 1) * layer.stride[0] + 1, layer.stride[0])
                columns = slice(column, column + (width - 1) * layer.stride[1] + 1, layer.stride[1])
                found.append(values[:, :, rows, columns])
        return found

    def extended(values: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
        return np.pad(values, widths, constant_values=fill) if any(map(any, widths)) else values

    match layer.function:
        case "maximum":
            lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
            first, *others = places(extended(x, lowest))
            result = first.copy()
            for place in others:
                np.maximum(result, place, out=result)
            return result
        case "average":
            first, *others = places(extended(x.astype(np.float64, copy=False), 0.0))
            result = first.copy()
            for place in others:
                result += place
            counted = np.ones((1, 1, *(padded if layer.count_padding else x.shape[2:])))
            if layer.count_padding:
                counted = np.pad(counted, ((0, 0), (0, 0), (0, past[0]), (0, past[1])))
            else:
                counted = extended(counted, 0.0)
            result /= np.add.reduce(places(counted))
            return result
        case _:
            raise NetworkError(f"layer {layer.name!r}: unknown pooling {layer.function!r}")
