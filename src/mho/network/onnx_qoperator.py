"""Operators on codes, as onnxruntime's quantizer writes them (QOperator): QLinearConv, QLinearMatMul, and those of the domain
com.microsoft.

Each is a float operator between DequantizeLinear and QuantizeLinear, and is read as that: its operands by their codes, its
result with a code. The sums are exact; onnxruntime scales them in float32, mho in float64, so that a result half-way between
two integers may be rounded the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mho.errors import NetworkError
from mho.network.layers import Array
from mho.network.onnx_builder import AnyArray, Codes, Handler, Node, OnnxBuilder, Value
from mho.network.onnx_codes import Stated
from mho.network.onnx_elementwise import ELEMENTWISE
from mho.network.onnx_matrix import MATRIX
from mho.network.onnx_movement import MOVEMENT
from mho.network.onnx_quantised import coded, reals
from mho.network.onnx_window import WINDOW
from mho.network.types import REAL


@dataclass(frozen=True)
class _Form:
    """The places of an operator's inputs: `operands` are places of integers, followed by scale and zero point; `output` that of the
    result's scale; `plain` inputs are passed on as they are, in front.
    """

    operator: str
    operands: tuple[int, ...]
    output: int
    plain: tuple[int, ...] = ()


FORMS = {
    "QLinearConv": _Form("Conv", (0, 3), 6),
    "QLinearMatMul": _Form("MatMul", (0, 3), 6),
    "QGemm": _Form("Gemm", (0, 3), 7),
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearWhere": _Form("Where", (1, 4), 7, (0,)),
    "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
    "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
    "QLinearSoftmax": _Form("Softmax", (0,), 3),
    "QLinearAveragePool": _Form("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3),
    "QLinearReduceMean": _Form("ReduceMean", (0,), 3),
}
_OUTPUTS = {"QLinearConv": 0, "QLinearMatMul": -1, "QGemm": -1}
"""The axis of the outputs of a known matrix, along which its scales may lie."""
_FLOAT: dict[str, Handler] = {**MATRIX, **WINDOW, **ELEMENTWISE, **MOVEMENT}
_BIAS = {"QLinearConv": 8, "QGemm": 6}


def _by_form(builder: OnnxBuilder, node: Node) -> Value:
    """Append an operator of one of the `FORMS`."""
    form = FORMS[node.operator]
    if node.attributes.get("channels_last", 0):
        raise NetworkError("channels last are not known")
    axis = _OUTPUTS.get(node.operator, 1)
    if node.operator == "QGemm":
        axis = 0 if node.attributes.get("transB", 0) else 1
    operands = [
        reals(builder, node.get(place), node.known(place + 1), node.known(place + 2), axis if i else 1)
        for i, place in enumerate(form.operands)
    ]
    inputs = [*(node.get(place) for place in form.plain), *operands, *_bias(node, operands)]
    opset, attributes = node.opset, dict(node.attributes)
    if node.operator == "QLinearSoftmax":
        opset = int(attributes.pop("opset"))
    if node.operator == "QLinearReduceMean":
        opset = 13  # axes are an attribute
    plain = replace(node, operator=form.operator, inputs=tuple(inputs), opset=opset, attributes=attributes)
    return _result(builder, plain, node.known(form.output), node.known(form.output + 1), node)


def _bias(node: Node, operands: Sequence[Value]) -> list[Value]:
    """Return the bias, integers of 32 bits whose scale is that of the sums: input scale x weight scale."""
    place = _BIAS.get(node.operator)
    bias = None if place is None else node.known(place)
    if bias is None:
        return []
    scale = node.needed(1, "a scale").astype(np.float64) * node.needed(4, "a scale").astype(np.float64)
    return [Stated.of(scale, None, "int32", bias.shape, -1).weight(bias)]


def _concatenate(builder: OnnxBuilder, node: Node) -> Value:
    """Append QLinearConcat: scale and zero point of the result, then integers, scale and zero point of each part."""
    parts = [
        reals(builder, node.get(place), node.known(place + 1), node.known(place + 2))
        for place in range(2, len(node.inputs), 3)
    ]
    plain = replace(node, operator="Concat", inputs=tuple(parts))
    return _result(builder, plain, node.known(0), node.known(1), node)


def _result(builder: OnnxBuilder, plain: Node, scale: AnyArray | None, zero: AnyArray | None, node: Node) -> Value:
    """Compute the float operator, and give its result a code; reals where the file gives none (QGemm)."""
    if plain.operator in ("Conv", "MatMul", "Gemm") and isinstance(plain.get(0), Array):
        raise NetworkError("a matrix operator on known integers alone is not known")
    result = _only(_FLOAT[plain.operator](builder, plain))
    if scale is None and node.operator == "QGemm":
        return result
    tensor = builder.convert(builder.named(result), REAL, "real")
    return coded(builder, tensor, Stated.of(scale, zero, "uint8", builder.shape(tensor)))


def _integer_product(builder: OnnxBuilder, node: Node) -> Value:
    """Append MatMulInteger or ConvInteger: sums of (a - a zero) (b - b zero) as integers; codes of a that a file prescribes."""
    value, weight = node.get(0), node.get(1)
    if not isinstance(weight, np.ndarray):
        raise NetworkError("the second operand must be known when the file is read")
    zero, axis = node.known(3), 0 if node.operator == "ConvInteger" else -1
    ones = np.ones(() if zero is None or zero.size == 1 else zero.shape)
    weights = Stated.of(ones, zero, weight.dtype.name, weight.shape, axis).weight(weight)
    if isinstance(value, Codes):
        stated = value.stated
        value_zero = node.known(2)
        if not np.array_equal(stated.zero, 0 if value_zero is None else value_zero.astype(np.int64).reshape(())):
            raise NetworkError("codes are read with another zero point than they were written with")
        x, scale = value.tensor, float(stated.scale)
    else:
        tensor = reals(builder, value, np.ones(()), node.known(2))
        if not isinstance(tensor, str):
            raise NetworkError("a matrix operator on known integers alone is not known")
        x, scale = tensor, 1.0
    operator = "Conv" if node.operator == "ConvInteger" else "MatMul"
    product = _only(_FLOAT[operator](builder, replace(node, operator=operator, inputs=(x, weights))))
    counted = builder.scale_shift(builder.named(product), 1.0 / scale, 0.0, "counted")
    return builder.convert(builder.activation(counted, "round", part="whole"), "int32", "sums")


def _only(result: Value | tuple[Value, ...]) -> Value:
    """Return the one value that an operator makes."""
    return result[0] if isinstance(result, tuple) else result


QOPERATORS: dict[str, Handler] = {
    **dict.fromkeys(FORMS, _by_form),
    "QLinearConcat": _concatenate,
    **dict.fromkeys(("MatMulInteger", "ConvInteger"), _integer_product),
}
