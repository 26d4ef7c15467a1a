"""The one defined arithmetic of every layer that is not a crossbar's: float64, each operation written down
once.

A network is imported for a batch, but may be run on several such batches at once: the first axis of every
tensor that depends on an input is then longer by the factor samples / batch (see `batching`). Results do not
depend on what is run together: every sum has one order (see `reductions`), and a product of two activations
is either exact (integer codes) or evaluated matrix by matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, NumberError
from mho.network.activations import FUNCTIONS
from mho.network.layers import (
    Activation,
    Array,
    ChannelAffine,
    Concatenate,
    Constant,
    Convert,
    CumulativeSum,
    Elementwise,
    Embedding,
    Expand,
    Gather,
    Interleave,
    Layer,
    MatrixLayer,
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
from mho.network.products import real_products
from mho.network.rearranged import interleave, resample
from mho.network.reductions import normalise, pool, reduce, softmax
from mho.network.types import REAL, type_of

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


def _quotient(x: AnyArray, y: AnyArray) -> AnyArray:
    """Divide; integers cut off towards zero, and by zero give 0."""
    if x.dtype.kind not in "iu" or y.dtype.kind not in "iu":
        return np.asarray(np.true_divide(x, y))
    whole = np.asarray(np.floor_divide(x, y))
    inexact = np.remainder(x, y) != 0
    return np.where(inexact & ((x < 0) != (y < 0)), whole + 1, whole).astype(whole.dtype)


def _power(x: AnyArray, y: AnyArray) -> AnyArray:
    """Raise; an integer base stays an integer."""
    if x.dtype.kind not in "iu":
        return np.asarray(np.power(x, y.astype(np.float64)))
    if y.dtype.kind in "iu" and not (y < 0).any():
        return np.asarray(np.power(x, y)).astype(x.dtype)
    return np.asarray(np.power(x.astype(np.float64), y)).astype(x.dtype)


ELEMENTWISE: dict[str, Callable[[AnyArray, AnyArray], AnyArray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _quotient,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": _power,
    "modulo": np.mod,
    "remainder": np.fmod,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "greater": np.greater,
    "greater_or_equal": np.greater_equal,
}


def apply(layer: Layer, operands: Sequence[AnyArray], samples: int, batch: int = 1) -> AnyArray:
    """Compute a layer that is neither an input nor a matrix layer.

    `operands` are float64 where they are reals, else of their own type; `samples` is the number of samples run together and
    `batch` the number that the network was imported for. Returns float64, or the type of `Layer.result_type`. Raise
    NumberError for an index outside what it looks up.
    """
    if layer.moves_only:
        return move(layer, operands[0], samples // batch)
    if type(layer) not in _COMPUTED:
        raise NetworkError(f"layer {layer.name!r} ({layer.kind}) is no vector layer")
    with np.errstate(all="ignore"):  # infinities and NaN as IEEE 754 says
        return _COMPUTED[type(layer)](layer, operands)


def evaluate(layers: Iterable[Layer], given: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Compute layers in order from the tensors that are given, matrix layers on their real weights."""
    values = dict(given)
    for layer in layers:
        if layer.name in values:
            continue
        operands = [values[name] for name in layer.inputs]
        if isinstance(layer, MatrixLayer):
            values[layer.name] = real_products(layer, operands[0])
        else:
            values[layer.name] = apply(layer, operands, 1)
    return values


def _activation(layer: Activation, operands: Sequence[AnyArray]) -> AnyArray:
    x = operands[0]
    if layer.function not in Activation.EXACT:
        x = real(x)
    return np.asarray(FUNCTIONS[layer.function](np.asarray(x, order="C"), layer.parameters))


def _channel_affine(layer: ChannelAffine, operands: Sequence[AnyArray]) -> AnyArray:
    shape = [1] * operands[0].ndim
    shape[layer.axis] = -1
    return np.asarray(operands[0] * layer.scale.real().reshape(shape) + layer.offset.real().reshape(shape))


def _pad(layer: Pad, operands: Sequence[AnyArray]) -> AnyArray:
    widths = tuple(zip(layer.before, layer.after, strict=True))
    return np.pad(operands[0], widths, constant_values=layer.value)


def _convert(layer: Convert, operands: Sequence[AnyArray]) -> AnyArray:
    return real(operands[0]) if layer.type == REAL else operands[0].astype(layer.type)


def _gather(layer: Gather, operands: Sequence[AnyArray]) -> AnyArray:
    """See `layers.Gather`."""
    values, places = operands[0], whole(layer, operands[1])
    if layer.function == "points":
        depth, lead = places.shape[-1], places.shape[: layer.axis]
        reach = np.array(values.shape[layer.axis : layer.axis + depth])
        places = _within(layer, places, reach)
        own = tuple(np.indices((*lead, *places.shape[layer.axis : -1]))[: layer.axis])
        return np.asarray(values[(*own, *np.moveaxis(places, -1, 0))])
    places = _within(layer, places, np.array(values.shape[layer.axis]))
    if layer.function == "rows":
        return np.asarray(np.take(values, places, axis=layer.axis))
    others = np.indices(places.shape)
    at = tuple(places if axis == layer.axis else others[axis] for axis in range(places.ndim))
    return np.asarray(values[at])


def _within(layer: Layer, places: AnyArray, size: AnyArray) -> AnyArray:
    """Count places from the front; NumberError for those that do not exist."""
    if np.any(places < -size) or np.any(places >= size):
        raise NumberError(
            f"layer {layer.name!r} looks up places from {places.min()} to {places.max()} along axes of {size} elements"
        )
    return np.asarray(np.where(places < 0, places + size, places))


def _cumulative_sum(layer: CumulativeSum, operands: Sequence[AnyArray]) -> AnyArray:
    x = np.moveaxis(operands[0], layer.axis, 0)
    x = x[::-1] if layer.reverse else x
    sums = np.cumsum(x, axis=0, dtype=x.dtype)
    if layer.exclusive:
        sums = np.concatenate([np.zeros_like(sums[:1]), sums[:-1]])
    return np.moveaxis(sums[::-1] if layer.reverse else sums, 0, layer.axis)


_COMPUTED: Mapping[type[Layer], Callable[[Any, Sequence[AnyArray]], AnyArray]] = {
    Constant: lambda layer, operands: held(layer.value),
    Activation: _activation,
    Elementwise: lambda layer, operands: np.asarray(ELEMENTWISE[layer.function](operands[0], operands[1])),
    ChannelAffine: _channel_affine,
    Normalise: lambda layer, operands: normalise(layer, np.ascontiguousarray(real(operands[0]))),
    Softmax: lambda layer, operands: softmax(real(operands[0]), layer.axis),
    Reduce: lambda layer, operands: reduce(layer, operands[0]),
    Pool: lambda layer, operands: pool(layer, operands[0]),
    Pad: _pad,
    Concatenate: lambda layer, operands: concatenate(layer, operands),
    Interleave: lambda layer, operands: interleave(layer, operands),
    Resample: lambda layer, operands: resample(layer, real(operands[0])),
    Embedding: lambda layer, operands: look_up(layer, layer.table, operands[0]),
    MatrixProduct: lambda layer, operands: np.asarray(
        np.matmul(np.ascontiguousarray(operands[0]), np.ascontiguousarray(operands[1]))
    ),
    Convert: _convert,
    Select: lambda layer, operands: np.where(operands[0].astype(bool), operands[1], operands[2]),
    Gather: _gather,
    CumulativeSum: _cumulative_sum,
}
"""How each kind of layer is computed from its operands; those that only move values are in `move`."""


def real(x: AnyArray) -> FloatArray:
    """Return reals as they are, and integers and truths as reals."""
    return x.astype(np.float64, copy=False)


def held(value: Array) -> AnyArray:
    """Return a constant's values: reals as float64, others in their own type."""
    kind = type_of(value)
    return value.real() if kind == REAL or value.values is None else value.values.astype(kind, copy=False)


def move(layer: Layer, values: AnyArray, factor: int) -> AnyArray:
    """Move values of any type: Reshape, Transpose, Slice, Take, Expand. `factor` lengthens the first axis of a
    target shape.
    """
    match layer:
        case Reshape():
            if not layer.shape:
                return values.reshape(())
            return values.reshape(layer.shape[0] * factor, *layer.shape[1:])
        case Transpose():
            return values.transpose(layer.permutation)
        case Slice():
            stop = layer.stop if layer.stop >= 0 else None
            part = (slice(None),) * layer.axis + (slice(layer.start, stop, layer.step),)
            taken = values[part]
            return taken.reshape(taken.shape[: layer.axis] + taken.shape[layer.axis + 1 :]) if layer.drop else taken
        case Take():
            return np.take(values, layer.places, axis=layer.axis)
        case Expand():
            return np.broadcast_to(values, (layer.shape[0] * factor, *layer.shape[1:]))
        case _:
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) does more than move values")


def concatenate(layer: Concatenate, operands: Sequence[AnyArray]) -> AnyArray:
    """Join tensors along one axis; an operand with one sample is repeated for all of them."""
    if layer.axis == 0:
        return np.concatenate(operands, axis=0)
    longest = max(operand.shape[0] for operand in operands)
    return np.concatenate(
        [np.broadcast_to(operand, (longest, *operand.shape[1:])) for operand in operands], axis=layer.axis
    )


def indices(layer: Embedding, given: AnyArray) -> npt.NDArray[np.int64]:
    """Check the indices of an Embedding: whole numbers from 0 up to the rows of its table."""
    places, rows = whole(layer, given), layer.table.shape[0]
    if places.size and not (places.min() >= 0 and places.max() < rows):
        raise NumberError(
            f"layer {layer.name!r} looks up indices from {places.min()} to {places.max()}; "
            f"its table has rows 0 to {rows - 1}"
        )
    return places


def whole(layer: Layer, given: AnyArray) -> npt.NDArray[np.int64]:
    """Return places as integers; NumberError where they are not whole numbers."""
    places = np.asarray(given).astype(np.int64)
    if given.dtype.kind == "f" and not np.array_equal(places, given):
        raise NumberError(f"layer {layer.name!r} looks up indices that are not whole numbers")
    return places


def look_up(layer: Embedding, table: Array, given: AnyArray) -> FloatArray:
    """Take rows of a table by index."""
    taken = indices(layer, given)
    if table.values is None or table.code is not None:
        return np.asarray(table.real()[taken])
    return np.asarray(table.values[taken].astype(np.float64))
