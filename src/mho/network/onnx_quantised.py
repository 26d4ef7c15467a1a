"""QuantizeLinear and DequantizeLinear: where a file keeps weights as integers and prescribes codes for
activations.

A pair of them on an activation makes no layer. It gives the tensor a code; if other nodes read the same
tensor without that code, or with another one, an explicit copy of the tensor bears it.
"""

from __future__ import annotations

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import axis_of
from mho.network.layers import Affine, Array, Input
from mho.network.onnx_builder import AnyArray, Codes, Node, OnnxBuilder, Value

RANGES = {
    kind: (int(np.iinfo(kind).min), int(np.iinfo(kind).max)) for kind in ("int8", "uint8", "int16", "uint16", "int32")
}


def dequantize(builder: OnnxBuilder, node: Node) -> Value:
    """Integers to reals: a weight with a code, or the tensor that codes stand for."""
    value = node.get(0)
    if isinstance(value, Codes):
        code = _code(node, builder.shape(value.tensor), "int8")
        if not same_code(code, value.code, with_range=node.get(2) is not None):
            raise NetworkError("codes are read with another scale or zero point than they were written with")
        return value.tensor
    if isinstance(value, np.ndarray):
        code = _code(node, value.shape, str(value.dtype))
        if np.any(value < code.low) or np.any(value > code.high):
            raise NetworkError(f"the stored integers are not within {code.low}..{code.high}")
        return Array.of(value, code)
    if isinstance(value, str) and isinstance(builder.layers[value], Input):
        code = _code(node, builder.shape(value), "uint8")
        known = builder.codes.get(value)
        if known is not None and not same_code(code, known):
            raise NetworkError(f"input {value!r} is read with two different codes")
        builder.codes[value] = code
        return value
    raise NetworkError("only weights, inputs and quantised tensors can be dequantised")


def quantize(builder: OnnxBuilder, node: Node, *, shared: bool) -> Value:
    """Reals to integers: the code goes to the tensor, or to a copy of it if `shared` with readers of the
    reals.
    """
    value = node.get(0)
    if isinstance(value, Array):
        value = value.real()
    if isinstance(value, np.ndarray):
        return _quantised(value, _code(node, value.shape, "uint8"))
    tensor = node.tensor(0)
    code = _code(node, builder.shape(tensor), "uint8")
    known = builder.codes.get(tensor)
    if known is not None and same_code(code, known):
        return Codes(tensor, code)
    if known is not None or shared:
        tensor = builder.scale_shift(tensor, 1.0, 0.0)
    builder.codes[tensor] = code
    return Codes(tensor, code)


def _quantised(value: AnyArray, code: Affine) -> AnyArray:
    """Round half to even, as the operator is defined, and saturate."""
    scale, zero = code.scale, code.zero
    if code.axis is not None:
        along = [1] * value.ndim
        along[code.axis] = -1
        scale, zero = scale.reshape(along), zero.reshape(along)
    kind = next((kind for kind, limits in RANGES.items() if limits == (code.low, code.high)), "int32")
    # The operator divides in float32.
    ratio = np.rint(value.astype(np.float32) / scale.astype(np.float32)).astype(np.int64)
    codes: AnyArray = np.clip(ratio + zero, code.low, code.high).astype(kind)
    return codes


def integers(builder: OnnxBuilder, codes: Codes) -> str:
    """The integers themselves, which a network returns: round(x / scale) + zero, within the code's range."""
    code = codes.code
    if code.axis is not None:
        raise NetworkError("integers with a code per channel are not known as what a network returns")
    zero = int(code.zero)
    kind = next(kind for kind, limits in RANGES.items() if limits == (code.low, code.high))
    steps = builder.scale_shift(codes.tensor, 1.0 / float(code.scale), 0.0, "steps")
    whole = builder.activation(steps, "round", part="round")
    within = builder.activation(whole, "clip", {"low": code.low - zero, "high": code.high - zero}, "range")
    return builder.convert(builder.scale_shift(within, 1.0, zero, "zero"), kind)


def same_code(a: Affine, b: Affine, *, with_range: bool = True) -> bool:
    """Whether two codes give the same reals."""
    same = np.array_equal(a.scale, b.scale) and np.array_equal(a.zero, b.zero) and a.axis == b.axis
    return same and (not with_range or (a.low, a.high) == (b.low, b.high))


def _code(node: Node, shape: tuple[int, ...], kind: str) -> Affine:
    """The code of a node: inputs scale and zero point; the type of the integers says their range."""
    scale, zero = node.known(1), node.known(2)
    if scale is None:
        raise NetworkError("the scale is missing")
    if node.attributes.get("block_size"):
        raise NetworkError("codes for blocks of an axis are not known")
    if zero is not None:
        kind = str(zero.dtype)
    if kind not in RANGES:
        raise NetworkError(f"integers of type {kind} are not known; known: {', '.join(RANGES)}")
    scale = scale.astype(np.float64)
    zero = np.zeros(scale.shape, dtype=np.int64) if zero is None else zero.astype(np.int64)
    low, high = RANGES[kind]
    if scale.size == 1:
        return Affine(scale.reshape(()), zero.reshape(()), low, high)
    axis = axis_of(int(node.attributes.get("axis", 1)), len(shape))
    if scale.ndim != 1 or scale.shape[0] != shape[axis]:
        raise NetworkError(f"{scale.shape} scales do not fit axis {axis} of {shape}")
    return Affine(scale, zero, low, high, axis)
