"""The one defined arithmetic of every layer that is not a crossbar's: float64, each operation written down
once.

A network is imported for a batch, but may be run on several such batches at once: the first axis of every
tensor that depends on an input is then longer by the factor samples / batch (see `batching`). Results do not
depend on what is run together: every sum has one order (see `reductions`), and a product of two activations
is either exact (integer codes) or evaluated matrix by matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NetworkError, NumberError
from mho.network.layers import (
    Activation,
    Array,
    ChannelAffine,
    Concatenate,
    Constant,
    Elementwise,
    Embedding,
    Expand,
    Interleave,
    Layer,
    MatrixProduct,
    Normalise,
    Pad,
    Pool,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Take,
    Transpose,
)
from mho.network.rearranged import interleave
from mho.number.activations import FUNCTIONS
from mho.number.reductions import normalise, pool, reduce, softmax

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

ELEMENTWISE = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def apply(layer: Layer, operands: Sequence[AnyArray], samples: int, batch: int = 1) -> AnyArray:
    """Compute a layer that is neither an input nor a matrix layer.

    `operands` are float64 (indices of an Embedding may be integers); `samples` is the number of samples run
    together and `batch` the number that the network was imported for. Returns float64; a layer that only
    moves values returns its operand's type. Raise NumberError for an index outside an Embedding's table.
    """
    if layer.moves_only:
        return move(layer, operands[0], samples // batch)
    match layer:
        case Constant():
            return layer.value.real()
        case Activation():
            with np.errstate(over="ignore"):  # exp of a large number is infinity, as IEEE 754 says
                return FUNCTIONS[layer.function](np.ascontiguousarray(operands[0]), layer.parameters)
        case Elementwise():
            if layer.function not in ELEMENTWISE:
                raise NetworkError(f"layer {layer.name!r}: unknown elementwise function {layer.function!r}")
            return np.asarray(ELEMENTWISE[layer.function](operands[0], operands[1]))
        case ChannelAffine():
            shape = [1] * operands[0].ndim
            shape[layer.axis] = -1
            return operands[0] * layer.scale.real().reshape(shape) + layer.offset.real().reshape(shape)
        case Normalise():
            return normalise(layer, np.ascontiguousarray(operands[0]))
        case Softmax():
            return softmax(operands[0], layer.axis)
        case Reduce():
            return reduce(layer, operands[0])
        case Pool():
            return pool(layer, operands[0])
        case Pad():
            widths = tuple(zip(layer.before, layer.after, strict=True))
            return np.pad(operands[0], widths, constant_values=layer.value)
        case Concatenate():
            return concatenate(layer, operands)
        case Interleave():
            return interleave(layer, operands)
        case Embedding():
            return look_up(layer, layer.table, operands[0])
        case MatrixProduct():
            return np.asarray(np.matmul(np.ascontiguousarray(operands[0]), np.ascontiguousarray(operands[1])))
        case _:
            raise NetworkError(f"layer {layer.name!r} ({layer.kind}) is no vector layer")


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
            part = (slice(None),) * layer.axis + (slice(layer.start, layer.stop, layer.step),)
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
    found = np.asarray(given).astype(np.int64)
    rows = layer.table.shape[0]
    if given.dtype.kind == "f" and not np.array_equal(found, given):
        raise NumberError(f"layer {layer.name!r} looks up indices that are not whole numbers")
    if found.size and not (found.min() >= 0 and found.max() < rows):
        raise NumberError(
            f"layer {layer.name!r} looks up indices from {found.min()} to {found.max()}; "
            f"its table has rows 0 to {rows - 1}"
        )
    return found


def look_up(layer: Embedding, table: Array, given: AnyArray) -> FloatArray:
    """Take rows of a table by index."""
    taken = indices(layer, given)
    if table.values is None or table.code is not None:
        return np.asarray(table.real()[taken])
    return np.asarray(table.values[taken].astype(np.float64))
