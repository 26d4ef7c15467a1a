"""QuantizeLinear and DequantizeLinear, and what other exporters write for them: where a file keeps weights as integers and
prescribes codes for activations.

A pair of them on an activation makes no layer. It gives the tensor a code; if other nodes read the same tensor without that
code, or with another one, an explicit copy of the tensor bears it. Codes that cannot be stored so (one a channel, or of 16
bits) are spelled out: the vector unit computes with reals that it rounds to the file's steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto, helper

from mho.errors import NetworkError
from mho.network.layers import Array, Input
from mho.network.onnx_builder import AnyArray, Codes, Handler, Node, OnnxBuilder, Value, text
from mho.network.onnx_codes import RANGES, Stated
from mho.network.types import REAL


class Coder(Protocol):
    """A handler that gives codes; `shared`: what it reads has readers that take no code."""

    def __call__(self, builder: OnnxBuilder, node: Node, *, shared: bool) -> Value:
        """Return the integers, or the reals that they stand for."""


def dequantize(builder: OnnxBuilder, node: Node) -> Value:
    """Turn integers into reals: a weight with a code, or the tensor that codes stand for."""
    value, scale, zero = node.get(0), node.known(1), node.known(2)
    _refuse_blocks(node)
    return reals(builder, value, scale, zero, int(node.attributes.get("axis", 1)))


def reals(builder: OnnxBuilder, value: Value, scale: AnyArray | None, zero: AnyArray | None, axis: int = 1) -> Value:
    """Return what integers stand for; see `dequantize`."""
    if isinstance(value, Array):
        raise NetworkError("reals cannot be dequantised")
    if isinstance(value, Codes):
        if Stated.of(scale, zero, value.stated.kind, builder.shape(value.tensor), axis).same(value.stated):
            return value.tensor
        value = builder.named(value)
    if isinstance(value, np.ndarray):
        stated, integers = Stated.of(scale, zero, value.dtype.name, value.shape, axis), value
        how = (stated.scale.tobytes(), stated.zero.tobytes(), stated.kind, stated.axis)
        return builder.once((id(integers), *how), integers, lambda: stated.weight(integers))
    if value is None:
        raise NetworkError("an input is missing")
    source = builder.layers[value]
    while source.moves_only:
        source = builder.layers[source.inputs[0]]
    kind = source.type if isinstance(source, Input) else builder.types[value]
    stated = Stated.of(scale, zero, kind, builder.shape(value), axis)
    if isinstance(source, Input) and stated.coded and source.type in ("int8", "uint8"):
        earlier = builder.input_codes.setdefault(source.name, stated)
        if not stated.same(earlier):
            raise NetworkError(f"input {source.name!r} is read with two different codes")
        if stated.scale <= 0:
            raise NetworkError(f"input {source.name!r} has a scale of {float(stated.scale)}; known: positive ones")
        for name in {value, source.name}:
            builder.give_code(name, stated.affine)
        return value
    if builder.types[value] == REAL:
        raise NetworkError("reals cannot be dequantised")
    tensor = builder.reals_of(value, stated)
    if stated.kind in ("int16", "uint16"):
        builder.wide[tensor] = stated.kind
    return tensor


def quantize(builder: OnnxBuilder, node: Node, *, shared: bool) -> Value:
    """Turn reals into integers: the code goes to the tensor, or to a copy of it if `shared` with readers of the reals."""
    scale, zero, axis = node.known(1), node.known(2), int(node.attributes.get("axis", 1))
    _refuse_blocks(node)
    kind = "uint8"
    if node.attributes.get("output_dtype"):
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(int(node.attributes["output_dtype"]))).name
    value = node.get(0)
    if isinstance(value, Array):
        value = value.real()
    if isinstance(value, np.ndarray):
        stated = Stated.of(scale, zero, kind, value.shape, axis)
        return np.asarray(stated.integers(value).astype(_numpy(stated.kind)))
    tensor = builder.convert(node.tensor(0), REAL, "real")
    stated = Stated.of(scale, zero, kind, builder.shape(tensor), axis)
    return coded(builder, tensor, stated, shared=shared)


def coded(builder: OnnxBuilder, tensor: str, stated: Stated, *, shared: bool = False) -> Value:
    """Give a tensor of reals a code; return the integers."""
    if np.any(stated.scale == 0):
        raise NetworkError("a scale of 0 leaves no steps to round to")
    if not stated.coded:
        return builder.integers_of(tensor, stated)
    earlier = builder.stated.get(tensor)
    if earlier is not None and earlier.same(stated) and (earlier.low, earlier.high) == (stated.low, stated.high):
        return Codes(tensor, stated)
    if shared or tensor in builder.codes:
        tensor = builder.scale_shift(tensor, 1.0, 0.0)
    return _bearing(builder, tensor, stated)


def _bearing(builder: OnnxBuilder, tensor: str, stated: Stated) -> Codes:
    """Prescribe a tensor's code; return the integers."""
    builder.stated[tensor] = stated
    builder.give_code(tensor, stated.affine)
    return Codes(tensor, stated)


def clip_codes(builder: OnnxBuilder, codes: Codes, node: Node, *, shared: bool) -> Value:
    """Clip integers (as QuantizeLinear, Clip, DequantizeLinear say codes of few bits): the code has a narrower range."""
    low, high = node.number(1, "min", codes.stated.low), node.number(2, "max", codes.stated.high)
    stated = codes.stated.within(int(low), int(high))
    if stated.low >= stated.high:
        raise NetworkError(f"integers are clipped to {low:g}..{high:g}, which leaves at most one")
    tensor = builder.scale_shift(codes.tensor, 1.0, 0.0) if shared else codes.tensor
    return _bearing(builder, tensor, stated)


def move_codes(builder: OnnxBuilder, handler: Handler, node: Node) -> tuple[Value, ...]:
    """Move integers, or choose among them: the reals that they stand for are moved, and keep the code.

    Return nothing where the operator does more, or joins integers of different codes.
    """
    codes = [value for value in node.inputs if isinstance(value, Codes)]
    stated = codes[0].stated
    same = all(value.stated.same(stated) and value.stated.kind == stated.kind for value in codes)
    if not same or (node.operator == "Concat" and len(codes) < len(node.inputs)):
        return ()
    if node.operator in ("Resize", "Upsample") and text(node.attributes.get("mode", "nearest")) != "nearest":
        raise NetworkError("resizing integers is known for mode nearest")
    if np.any(stated.scale < 0) and node.operator in ("MaxPool", "GlobalMaxPool"):
        return ()
    inputs = [value.tensor if isinstance(value, Codes) else value for value in node.inputs]
    if node.operator == "Pad":
        inputs = [*inputs, *[None] * (3 - len(inputs))]
        filling = node.number(2, "", 0.0)
        inputs[2] = np.asarray(float(stated.scale) * (filling - int(stated.zero)))
    result = handler(builder, replace(node, inputs=tuple(inputs)))
    results = result if isinstance(result, tuple) else (result,)
    return tuple(_bearing(builder, item, stated) if isinstance(item, str) else item for item in results)


def _refuse_blocks(node: Node) -> None:
    if node.attributes.get("block_size"):
        raise NetworkError(
            "codes for blocks of an axis (block_size) are not known: the columns of a crossbar have one scale each; "
            "quantise per channel or per tensor"
        )


def _numpy(kind: str) -> Any:
    """Return numpy's type of that name; those of less than 8 bits are ml_dtypes's."""
    return np.dtype(helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(kind.upper())))


# QONNX ------------------------------------------------------------------------------------------------------


def quant(builder: OnnxBuilder, node: Node, *, shared: bool) -> Value:
    """Append Quant of QONNX and Brevitas: reals rounded to codes of any number of bits, and read as reals again."""
    mode = text(node.attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise NetworkError(f"rounding mode {mode} is not known; known: ROUND")
    scale, zero, width = (node.known(index) for index in (1, 2, 3))
    if scale is None or zero is None or width is None or width.size != 1 or not (_whole(width) and _whole(zero)):
        raise NetworkError("scale, zero point and a number of bits must be known, the latter two whole numbers")
    bits, signed, narrow = int(width.reshape(())), *(bool(node.attributes.get(key, 0)) for key in ("signed", "narrow"))
    if not 1 <= bits <= 32:
        raise NetworkError(f"codes of {bits} bits are not known; known: 1 to 32")
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    if low >= high:
        raise NetworkError(f"{bits} bits, signed and narrow, leave one code")
    value = node.get(0)
    shape = value.shape if isinstance(value, np.ndarray | Array) else builder.shape(node.tensor(0))
    stated = _quant_code(scale, zero.astype(np.int64), low, high, shape)
    if isinstance(value, np.ndarray | Array):
        values = value.real() if isinstance(value, Array) else value
        return stated.weight(stated.integers(values))
    result = coded(builder, node.tensor(0), stated, shared=shared)
    if isinstance(result, Codes):
        return result.tensor
    tensor = builder.reals_of(str(result), stated)
    builder.wide[tensor] = f"{bits} bits"
    return tensor


def _whole(values: AnyArray) -> bool:
    return bool(np.isfinite(values).all() and (np.rint(values) == values).all())


def _quant_code(scale: AnyArray, zero: AnyArray, low: int, high: int, shape: tuple[int, ...]) -> Stated:
    """Return a code whose scale and zero point broadcast to the tensor, and vary along one axis at most."""
    both = np.broadcast_shapes(scale.shape, zero.shape)
    full = (*(1,) * (len(shape) - len(both)), *both)
    varying = [axis for axis, n in enumerate(full) if n > 1]
    if len(varying) > 1:
        raise NetworkError(f"scales of shape {scale.shape} vary along more than one axis")
    flat = [np.broadcast_to(array, both).reshape(-1) for array in (scale, zero)]
    axis = varying[0] if varying else 0
    stated = Stated.of(flat[0], None, "int32", shape, axis)
    return replace(stated, zero=flat[1].reshape(stated.scale.shape), low=low, high=high)


def bipolar(builder: OnnxBuilder, node: Node, *, shared: bool) -> Value:
    """Append BipolarQuant: scale where a value is at least 0, -scale elsewhere."""
    value, scale = node.get(0), node.needed(1, "the scale")
    if isinstance(value, Array):
        value = value.real()
    if isinstance(value, np.ndarray):
        stated = _quant_code(scale, np.zeros((), dtype=np.int64), -1, 1, value.shape)
        return stated.weight(np.where(value >= 0, 1, -1))
    if scale.size != 1:
        raise NetworkError("activations have one scale")
    size = np.float32(scale.reshape(()))
    constants = [builder.named(np.array(number, dtype=np.float32)) for number in (0.0, size, -size)]
    positive = builder.elementwise("greater_or_equal", node.tensor(0), constants[0], "positive")
    signs = builder.select(positive, constants[1], constants[2])
    builder.give_code(signs, Stated(np.array(float(size)), np.array(0), "int8", -1, 1).affine)
    return signs


def _unknown(why: str) -> Handler:
    def refuse(builder: OnnxBuilder, node: Node) -> Value:
        raise NetworkError(why)

    return refuse


_AT_RUN_TIME = (
    "ranges of activations that are only known when the network runs (dynamic quantisation) are not known; quantise "
    "statically, on calibration samples, or give the float model"
)
REFUSED: dict[str, Handler] = {
    **dict.fromkeys(("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"), _unknown(_AT_RUN_TIME)),
    **dict.fromkeys(("MatMulNBits", "GatherBlockQuantized", "MatMulBnb4"), _unknown(
        "weight codes for blocks of an axis are not known; quantise per channel or per tensor, or give the float model"
    )),
    "MultiThreshold": _unknown(
        "the thresholds of FINN (MultiThreshold) are not known; give the file before FINN's transformations, with Quant nodes"
    ),
    "Trunc": _unknown("truncated codes (Trunc) are not known; known: Quant, BipolarQuant"),
}  # fmt: skip
"""Quantised operators that are refused by name."""

__all__ = ["RANGES", "REFUSED", "bipolar", "clip_codes", "coded", "dequantize", "quant", "quantize", "reals"]
