"""What is known when an ONNX file is read: structure in numpy, all else by the layers and the arithmetic of unknown values.

A node whose inputs are all known is built as layers over these inputs, in a builder of its own, and computed by
`arithmetic.evaluate`: in float64, rounded once to the file's type. So a known value is what the network would have computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mho.errors import NetworkError, WeightError
from mho.network.arithmetic import evaluate
from mho.network.layers import Array
from mho.network.onnx_builder import FLOAT_TYPES, AnyArray, Handler, Node, OnnxBuilder, Value
from mho.network.types import REAL


class _Known(OnnxBuilder):
    """A builder whose inputs are known values, of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.allow_empty = True
        self.scope = "known"

    def named(self, value: Value) -> str:
        if isinstance(value, np.ndarray):
            name = self.input(value.shape, type=REAL if value.dtype.kind == "f" else value.dtype.name)
            self.constants[name] = value
            return name
        return super().named(value)


def folded(handler: Handler, node: Node) -> tuple[Value, ...]:
    """Compute a node from known values by the layers that its handler makes of them."""
    builder = _Known()
    inputs = tuple(_plain(value) for value in node.inputs)
    floats = [value.dtype for value in inputs if value is not None and value.dtype.kind == "f"]
    kind = floats[0] if floats else np.dtype(np.float32)
    names = tuple(None if value is None else builder.named(value) for value in inputs)
    result = handler(builder, replace(node, inputs=names, builder=builder))
    results = result if isinstance(result, tuple) else (result,)
    known = builder.constants.items()
    constants = {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in known}
    values = evaluate(builder.layers.values(), constants)

    def value(name: Value) -> Value:
        if not isinstance(name, str):
            return name
        if name in builder.constants:
            return builder.constants[name]
        with np.errstate(over="ignore"):  # beyond the file's type is infinity, as IEEE 754 says
            return values[name].astype(kind if builder.types[name] == REAL else builder.types[name])

    return tuple(value(name) for name in results)


def _plain(value: Value) -> AnyArray | None:
    if isinstance(value, Array):
        return value.real().astype(np.float32)
    assert value is None or isinstance(value, np.ndarray)
    return value


def stored(tensor: Any, where: str) -> AnyArray:
    """Return the values of a stored tensor in the file's own type; bfloat16 becomes float32."""
    try:
        values: AnyArray = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever damaged bytes make of it
        raise NetworkError(f"{where} cannot be read ({error})") from error
    if tensor.data_type in FLOAT_TYPES and values.dtype.kind != "f":
        values = values.astype(np.float32)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise WeightError(f"{where} holds values that are not finite (NaN)")
    return values


def dense(tensor: Any, where: str) -> AnyArray:
    """Return the values of a sparse tensor, whose indices count elements, or are coordinates."""
    stored_values, indices = stored(tensor.values, where), stored(tensor.indices, where)
    values = np.zeros(tuple(tensor.dims), dtype=stored_values.dtype)
    if indices.ndim == 1:
        values.reshape(-1)[indices] = stored_values
    else:
        values[tuple(indices.T)] = stored_values
    return values


def _constant(node: Node) -> Value:
    (key, value), *more = node.attributes.items()
    if more or key in ("value_string", "value_strings"):
        raise NetworkError(f"constants of {key} are not known")
    if key == "sparse_value":
        return dense(value, "its value")
    if key == "value":
        return stored(value, "its value")
    return np.asarray(value, dtype=np.float32 if "float" in key else np.int64)


def _constant_of_shape(node: Node) -> Value:
    filling = node.attributes.get("value")
    value = np.zeros(1, dtype=np.float32) if filling is None else stored(filling, "its value")
    return np.full([int(n) for n in node.needed(0)], value.reshape(-1)[0])


def _range(node: Node) -> Value:
    """Start, start + delta ...: max(0, ceil((limit - start) / delta)) numbers."""
    start, limit, delta = (node.needed(index).reshape(()) for index in range(3))
    if delta == 0:
        raise NetworkError("a range with steps of 0 is not known")
    count = max(0, int(np.ceil((limit.astype(np.float64) - start) / delta)))
    return np.asarray(start + np.arange(count) * delta).astype(start.dtype)


def numpy_type(kind: int) -> np.dtype[Any]:
    """Return numpy's type of an ONNX tensor; NetworkError for one that numpy does not have."""
    known = kind in TensorProto.DataType.values() and kind not in (TensorProto.UNDEFINED, TensorProto.STRING)
    dtype: np.dtype[Any] | None = np.dtype(helper.tensor_dtype_to_np_dtype(kind)) if known else None
    if dtype is None or dtype.kind not in "fiub":
        raise NetworkError(f"values of type {TensorProto.DataType.Name(kind) if known else kind} are not known")
    return dtype


def _cast(node: Node) -> Value:
    value = node.needed(0)
    if node.operator == "CastLike":
        return value.astype(node.needed(1).dtype)
    kind = int(node.attributes["to"])
    if kind == TensorProto.BFLOAT16:  # to the nearest even of the upper 16 bits of a float32
        bits = value.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
    with np.errstate(all="ignore"):
        return value.astype(numpy_type(kind))


def _eye(node: Node) -> Value:
    value = node.needed(0)
    kind = node.attributes.get("dtype")
    dtype = value.dtype if kind is None else numpy_type(int(kind))
    rows, columns = value.shape
    return np.asarray(np.eye(rows, columns, k=int(node.attributes.get("k", 0)), dtype=dtype))


STRUCTURE: Mapping[str, Any] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "NonZero": lambda node: np.array(np.nonzero(np.atleast_1d(node.needed(0))), dtype=np.int64),
    "Cast": _cast,
    "CastLike": _cast,
    "EyeLike": _eye,
}
"""Operators whose result is known only where their inputs are."""
