"""Do the layers of a network fit one another? The shape of each layer's tensor, worked out from its operands' shapes.

The importers build layers that fit; a network that is described from outside (a program's file) is checked here before
anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from mho.errors import NetworkError
from mho.network.arrays import Array
from mho.network.geometry import window_count
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    ChannelAffine,
    Concatenate,
    Constant,
    Convert,
    Convolution,
    CumulativeSum,
    Elementwise,
    Embedding,
    Expand,
    Gather,
    GroupedLinear,
    Interleave,
    Layer,
    Linear,
    MatrixProduct,
    Normalise,
    Pad,
    Pool,
    Reduce,
    Resample,
    Reshape,
    Select,
    Slice,
    Softmax,
    Take,
    Transpose,
)

Shape = tuple[int, ...]
Rule = Callable[[Any, Sequence[Shape]], Shape]


def check_shapes(network: Network) -> None:
    """Raise NetworkError where a layer's shape, or that of its weights, is not what its kind makes of its operands."""
    for layer in network.layers:
        operands = [network.by_name[name].shape for name in layer.inputs]
        try:
            shape = RULES[type(layer)](layer, operands) if type(layer) in RULES else layer.shape
        except (ValueError, IndexError):
            given = " and ".join(map(str, operands)) or "nothing"
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) cannot read {given}") from None
        if shape != layer.shape:
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) makes {shape}, not {layer.shape}")


def _need(condition: bool) -> None:
    """Raise ValueError, which `check_shapes` turns into words that name the layer."""
    if not condition:
        raise ValueError


def _fits(array: Array | None, shape: Shape) -> None:
    _need(array is None or array.shape == shape)


def _windows(layer: Convolution | Pool, image: Shape, kernel: tuple[int, int]) -> Shape:
    """Windows along height and width."""
    _need(len(image) == 4 and min(*kernel, *layer.stride, *layer.dilation) >= 1 and min(layer.padding) >= 0)
    top, left, bottom, right = layer.padding
    sides = zip(image[2:], kernel, layer.stride, (top + bottom, left + right), layer.dilation, strict=True)
    return tuple(window_count(*side) for side in sides)


def _convolution(layer: Convolution, operands: Sequence[Shape]) -> Shape:
    (image,) = operands
    groups, outputs = layer.convolution_groups, layer.weight.shape[0]
    _need(len(layer.weight.shape) == 4 and groups >= 1 and outputs % groups == 0)
    _need(image[1] == layer.weight.shape[1] * groups)
    _fits(layer.bias, (outputs,))
    return (image[0], outputs, *_windows(layer, image, layer.kernel))


def _linear(layer: Linear, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    _need(len(layer.weight.shape) == 2 and shape[-1] == layer.rows)
    _fits(layer.bias, (layer.columns,))
    return (*shape[:-1], layer.columns)


def _grouped_linear(layer: GroupedLinear, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    outputs = layer.weight.shape[0]
    _need(len(layer.weight.shape) == 2 and layer.groups >= 1 and outputs % layer.groups == 0)
    _need(shape[-1] == layer.groups * layer.rows)
    _fits(layer.bias, (outputs,))
    return (*shape[:-1], outputs)


def _product(layer: MatrixProduct, operands: Sequence[Shape]) -> Shape:
    left, right = operands
    _need(left[-1] == right[-2] == layer.inner)
    return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])


def _embedding(layer: Embedding, operands: Sequence[Shape]) -> Shape:
    _need(len(layer.table.shape) == 2)
    return (*operands[0], layer.table.shape[1])


def _pool(layer: Pool, operands: Sequence[Shape]) -> Shape:
    (image,) = operands
    _need(layer.function in ("maximum", "average"))
    return (*image[:2], *_windows(layer, image, layer.kernel))


def _reduce(layer: Reduce, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    places = ("argmax", "argmin", "argmax_last", "argmin_last")
    _need(layer.function in ("mean", "sum", "product", "maximum", "minimum", *places))
    _need(layer.function not in places or len(layer.axes) == 1)
    _need(len(set(layer.axes)) == len(layer.axes) and all(0 <= axis < len(shape) for axis in layer.axes))
    kept = [1 if axis in layer.axes else n for axis, n in enumerate(shape) if layer.keep or axis not in layer.axes]
    return tuple(kept)


def _channel_affine(layer: ChannelAffine, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    _need(layer.axis >= 0)
    _fits(layer.scale, (shape[layer.axis],))
    _fits(layer.offset, (shape[layer.axis],))
    return shape


def _normalise(layer: Normalise, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    if layer.function == "group":
        _need(layer.groups >= 1 and shape[1] % layer.groups == 0)
        over = shape[1:2]
    else:
        _need(layer.function in ("layer", "rms") and 1 <= layer.axes <= len(shape))
        over = shape[len(shape) - layer.axes :]
    _fits(layer.scale, over)
    _fits(layer.offset, over)
    return shape


def _softmax(layer: Softmax, operands: Sequence[Shape]) -> Shape:
    _need(0 <= layer.axis < len(operands[0]))
    return operands[0]


def _concatenate(layer: Concatenate, operands: Sequence[Shape]) -> Shape:
    axis, first = layer.axis, operands[0]
    _need(0 <= axis < len(first))
    _need(len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in operands}) == 1)
    return (*first[:axis], sum(shape[axis] for shape in operands), *first[axis + 1 :])


def _reshape(layer: Layer, operands: Sequence[Shape]) -> Shape:
    _need(math.prod(operands[0]) == layer.size)
    return layer.shape


def _transpose(layer: Transpose, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    _need(sorted(layer.permutation) == list(range(len(shape))))
    return tuple(shape[axis] for axis in layer.permutation)


def _slice(layer: Slice, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    axis = layer.axis
    _need(0 <= axis < len(shape) and layer.step != 0)
    places = range(layer.start, layer.stop, layer.step)
    count = len(places)
    _need(count == 1 or not layer.drop)
    _need(min(places[0], places[-1]) >= 0 and max(places[0], places[-1]) < shape[axis])
    return (*shape[:axis], *(() if layer.drop else (count,)), *shape[axis + 1 :])


def _take(layer: Take, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    _need(0 <= layer.axis < len(shape) and max(layer.places) < shape[layer.axis])
    return (*shape[: layer.axis], len(layer.places), *shape[layer.axis + 1 :])


def _resample(layer: Resample, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    places = [place for row in layer.places for place in row]
    _need(0 <= layer.axis < len(shape) and min(places) >= 0 and max(places) < shape[layer.axis])
    return (*shape[: layer.axis], len(layer.places), *shape[layer.axis + 1 :])


def _interleave(layer: Interleave, operands: Sequence[Shape]) -> Shape:
    """Phase (i, j) holds the outputs whose height is i modulo rows and whose width is j modulo columns."""
    _need(len(layer.shape) == 4 and layer.rows >= 1 and layer.columns >= 1)
    for place, shape in enumerate(operands):
        row, column = divmod(place, layer.columns)
        high, wide = len(range(row, layer.shape[2], layer.rows)), len(range(column, layer.shape[3], layer.columns))
        _need(shape[0] in (1, layer.shape[0]) and shape[1:] == (layer.shape[1], high, wide))
    return layer.shape


def _pad(layer: Pad, operands: Sequence[Shape]) -> Shape:
    (shape,) = operands
    _need(min(*layer.before, *layer.after, 0) >= 0)
    return tuple(n + a + b for n, a, b in zip(shape, layer.before, layer.after, strict=True))


def _broadcast(_: Elementwise | Select, operands: Sequence[Shape]) -> Shape:
    return tuple(np.broadcast_shapes(*operands))


def _gather(layer: Gather, operands: Sequence[Shape]) -> Shape:
    shape, places = operands
    axis = layer.axis
    _need(0 <= axis < max(len(shape), 1))
    if layer.function == "rows":
        return (*shape[:axis], *places, *shape[axis + 1 :])
    if layer.function == "elements":
        _need(len(places) == len(shape) and all(places[i] <= n or i == axis for i, n in enumerate(shape)))
        return places
    _need(layer.function == "points" and places[:axis] == shape[:axis] and 1 <= places[-1] <= len(shape) - axis)
    return (*places[:-1], *shape[axis + places[-1] :])


def _cumulative_sum(layer: CumulativeSum, operands: Sequence[Shape]) -> Shape:
    _need(0 <= layer.axis < len(operands[0]))
    return operands[0]


def _expand(layer: Layer, operands: Sequence[Shape]) -> Shape:
    return tuple(np.broadcast_shapes(operands[0], layer.shape))


RULES: Mapping[type[Layer], Rule] = {
    Constant: lambda layer, _: cast(Constant, layer).value.shape,
    Convolution: _convolution,
    Linear: _linear,
    GroupedLinear: _grouped_linear,
    MatrixProduct: _product,
    Embedding: _embedding,
    Pool: _pool,
    Reduce: _reduce,
    ChannelAffine: _channel_affine,
    Normalise: _normalise,
    Activation: lambda _, operands: operands[0],
    Softmax: _softmax,
    Elementwise: _broadcast,
    Concatenate: _concatenate,
    Reshape: _reshape,
    Transpose: _transpose,
    Slice: _slice,
    Pad: _pad,
    Expand: _expand,
    Take: _take,
    Resample: _resample,
    Interleave: _interleave,
    Convert: lambda _, operands: operands[0],
    Select: _broadcast,
    Gather: _gather,
    CumulativeSum: _cumulative_sum,
}
"""What each kind of layer makes of the shapes of its operands; an input is told its own."""
