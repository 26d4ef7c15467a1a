"""ONNX operators that act on each element: arithmetic, activations, masks with known conditions."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.layers import Affine, Input
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value, type_name
from mho.network.onnx_quantised import RANGES
from mho.network.types import REAL


def _plain(function: str, **attributes: tuple[str, float]) -> Handler:
    """A handler of an activation whose parameters are attributes: parameter=(attribute, default)."""

    def handle(builder: OnnxBuilder, node: Node) -> str:
        values = {key: float(node.attributes.get(name, default)) for key, (name, default) in attributes.items()}
        return builder.activation(node.tensor(), function, values)

    return handle


def _binary(function: str) -> Handler:
    """Two operands, or more for those that may be chained."""

    def handle(builder: OnnxBuilder, node: Node) -> Value:
        if len(node.inputs) == 1:
            return node.inputs[0]
        total = builder.named(node.inputs[0])
        for value in node.inputs[1:-1]:
            total = builder.elementwise(function, total, builder.named(value), "part")
        return builder.elementwise(function, total, builder.named(node.inputs[-1]))

    return handle


def _power(builder: OnnxBuilder, node: Node) -> str:
    exponent = node.known(1)
    if exponent is None or exponent.size != 1:
        raise NetworkError("only powers with one known exponent are known")
    return builder.activation(node.tensor(), "power", {"exponent": float(exponent.reshape(()))})


def _clip(builder: OnnxBuilder, node: Node) -> str:
    low, high = node.number(1, "min", -math.inf), node.number(2, "max", math.inf)
    return builder.activation(node.tensor(), "clip", {"low": low, "high": high})


def _gelu(builder: OnnxBuilder, node: Node) -> str:
    approximate = node.attributes.get("approximate", b"none")
    return builder.activation(node.tensor(), "gelu_tanh" if approximate in (b"tanh", "tanh") else "gelu")


def _selu(builder: OnnxBuilder, node: Node) -> str:
    """Gamma (alpha (exp(x) - 1) below zero, x above); the defaults are those of the operator's definition."""
    alpha = float(node.attributes.get("alpha", 1.6732632423543772))
    gamma = float(node.attributes.get("gamma", 1.0507009873554805))
    return builder.scale_shift(builder.activation(node.tensor(), "elu", {"alpha": alpha}, "elu"), gamma, 0.0)


def _prelu(builder: OnnxBuilder, node: Node) -> str:
    """max(x, 0) + slope * min(x, 0)."""
    x, slope = node.tensor(), node.known(1)
    if slope is None:
        raise NetworkError("the slope must be given")
    if slope.size == 1:
        return builder.activation(x, "leaky_relu", {"slope": float(slope.reshape(()))})
    negative = builder.activation(x, "clip", {"low": -math.inf, "high": 0.0}, "clip")
    scaled = builder.elementwise("multiply", negative, builder.named(node.get(1)), "slope")
    return builder.elementwise("add", builder.activation(x, "relu", part="relu"), scaled)


def _where(builder: OnnxBuilder, node: Node) -> str:
    """Keep * a + (1 - keep) * b, with the condition known."""
    condition = node.known(0)
    if condition is None:
        raise NetworkError("the condition is missing")
    parts = []
    for value, keep in ((node.get(1), condition), (node.get(2), ~condition.astype(bool))):
        kept = keep.astype(np.float32)
        if isinstance(value, np.ndarray):
            # A product would turn an infinity times zero into NaN.
            chosen = np.where(keep, np.maximum(value, np.finfo(np.float32).min), 0.0).astype(np.float32)
            parts.append(None if not chosen.any() else builder.named(chosen))
        else:
            parts.append(builder.elementwise("multiply", builder.named(value), builder.named(kept), "keep"))
    if parts[0] is None or parts[1] is None:
        return parts[0] or parts[1] or builder.named(node.get(1))
    return builder.elementwise("add", parts[0], parts[1])


def _cast(builder: OnnxBuilder, node: Node) -> str:
    """To reals, integers or truths; integers of 8 bits read as reals are codes with scale 1."""
    x, to = node.tensor(), type_name(int(node.attributes["to"]))
    layer = builder.layers[x]
    while layer.moves_only:
        layer = builder.layers[layer.inputs[0]]
    if isinstance(layer, Input) and to == REAL and layer.type in ("int8", "uint8"):
        builder.codes.setdefault(x, Affine(np.array(1.0), np.array(0), *RANGES[layer.type]))
        builder.codes.setdefault(layer.name, builder.codes[x])
        return x
    return builder.convert(x, to)


def _same(builder: OnnxBuilder, node: Node) -> Value | tuple[Value, ...]:
    if node.operator == "Dropout":
        training = node.known(2)
        if training is not None and bool(training.any()):
            raise NetworkError("dropout in training mode is not known")
        return (node.get(0), *(None for _ in node.outputs[1:]))
    return node.get(0)


ELEMENTWISE: dict[str, Handler] = {
    "Relu": _plain("relu"),
    "LeakyRelu": _plain("leaky_relu", slope=("alpha", 0.01)),
    "Elu": _plain("elu", alpha=("alpha", 1.0)),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "HardSigmoid": _plain("hard_sigmoid", alpha=("alpha", 0.2), beta=("beta", 0.5)),
    "HardSwish": _plain("hard_swish"),
    "Softplus": _plain("softplus"),
    "Mish": _plain("mish"),
    "Erf": _plain("erf"),
    "Exp": _plain("exp"),
    "Log": _plain("log"),
    "Sqrt": _plain("sqrt"),
    "Reciprocal": _plain("reciprocal"),
    "Neg": _plain("negate"),
    "Abs": _plain("absolute"),
    "Sin": _plain("sine"),
    "Cos": _plain("cosine"),
    "Clip": _clip,
    "Gelu": _gelu,
    "Selu": _selu,
    "PRelu": _prelu,
    "Pow": _power,
    **dict.fromkeys(("Add", "Sum"), _binary("add")),
    "Sub": _binary("subtract"),
    "Mul": _binary("multiply"),
    "Div": _binary("divide"),
    "Max": _binary("maximum"),
    "Min": _binary("minimum"),
    "Where": _where,
    "Cast": _cast,
    **dict.fromkeys(("Identity", "Dropout"), _same),
}
