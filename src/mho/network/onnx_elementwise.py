"""ONNX operators that act on each element: arithmetic, activations, masks with known conditions."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.composites import PLAIN, celu, selu
from mho.network.layers import Affine, Input
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value, text, type_name
from mho.network.onnx_codes import RANGES
from mho.network.types import REAL


def _plain(function: str, **attributes: tuple[str, float]) -> Handler:
    """Return the handler of an activation whose parameters are attributes: parameter=(attribute, default)."""

    def handle(builder: OnnxBuilder, node: Node) -> str:
        values = {key: float(node.attributes.get(name, default)) for key, (name, default) in attributes.items()}
        return builder.activation(node.tensor(), function, values)

    return handle


def _binary(function: str) -> Handler:
    """Return the handler of two operands, or of more where the operator may be chained."""

    def handle(builder: OnnxBuilder, node: Node) -> Value:
        if len(node.inputs) == 1:
            return node.inputs[0]
        total = builder.named(node.inputs[0])
        for value in node.inputs[1:-1]:
            total = builder.elementwise(function, total, builder.named(value), "part")
        return builder.elementwise(function, total, builder.named(node.inputs[-1]))

    return handle


def _known_number(node: Node, index: int) -> float | None:
    """Return an input that is one known number; None for any other."""
    value = None if node.depends(index) else node.known(index)
    return None if value is None or value.size != 1 else float(value.reshape(()))


def _power(builder: OnnxBuilder, node: Node) -> str:
    """Append a power: one known exponent, or exponents of any kind; integers stay integers."""
    x, exponent = node.tensor(), _known_number(node, 1)
    if exponent is None or builder.types[x] != REAL:
        return builder.elementwise("power", x, node.tensor(1))
    return builder.activation(x, "power", {"exponent": exponent})


def _modulo(builder: OnnxBuilder, node: Node) -> str:
    function = "remainder" if node.attributes.get("fmod", 0) else "modulo"
    return builder.elementwise(function, node.tensor(0), node.tensor(1))


def _shift(builder: OnnxBuilder, node: Node) -> str:
    left = text(node.attributes["direction"]) == "LEFT"
    return builder.elementwise("shift_left" if left else "shift_right", node.tensor(0), node.tensor(1))


def _mean(builder: OnnxBuilder, node: Node) -> str:
    total = node.tensor()
    for index in range(1, len(node.inputs)):
        total = builder.elementwise("add", total, node.tensor(index), "part")
    return builder.scale_shift(total, 1.0 / len(node.inputs), 0.0)


def _swish(builder: OnnxBuilder, node: Node) -> str:
    """Append x sigmoid(alpha x)."""
    x, alpha = node.tensor(), float(node.attributes.get("alpha", 1.0))
    if alpha == 1.0:
        return builder.activation(x, "silu")
    gate = builder.activation(builder.scale_shift(x, alpha, 0.0, "scale"), "sigmoid", part="gate")
    return builder.elementwise("multiply", x, gate)


def _clip(builder: OnnxBuilder, node: Node) -> str:
    """Append min(max(x, low), high), where the limits are given, as numbers or as tensors."""
    x = node.tensor()
    if not node.depends(1) and not node.depends(2):
        low, high = node.number(1, "min", -math.inf), node.number(2, "max", math.inf)
        return builder.activation(x, "clip", {"low": low, "high": high})
    if node.get(1) is not None:
        x = builder.elementwise("maximum", x, node.tensor(1), None if node.get(2) is None else "low")
    return x if node.get(2) is None else builder.elementwise("minimum", x, node.tensor(2))


def _gelu(builder: OnnxBuilder, node: Node) -> str:
    approximate = node.attributes.get("approximate", b"none")
    return builder.activation(node.tensor(), "gelu_tanh" if approximate in (b"tanh", "tanh") else "gelu")


def _selu(builder: OnnxBuilder, node: Node) -> str:
    parameters = {key: float(node.attributes[key]) for key in ("alpha", "gamma") if key in node.attributes}
    return selu(builder, node.tensor(), **parameters)


def _prelu(builder: OnnxBuilder, node: Node) -> str:
    """Append max(x, 0) + slope * min(x, 0)."""
    x, slope = node.tensor(), _known_number(node, 1)
    if slope is not None and builder.types[x] == REAL:
        return builder.activation(x, "leaky_relu", {"slope": slope})
    negative = builder.activation(x, "clip", {"low": -math.inf, "high": 0.0}, "clip")
    slopes, shape = node.tensor(1), builder.shape(x)
    if len(shape) > 2 and builder.shape(slopes) == (shape[1],) != shape[-1:]:  # one a channel, as before operator set 7
        slopes = builder.reshape(slopes, (shape[1], *(1,) * (len(shape) - 2)), "channels")
    scaled = builder.elementwise("multiply", negative, slopes, "slope")
    return builder.elementwise("add", builder.activation(x, "relu", part="relu"), scaled)


def _cast(builder: OnnxBuilder, node: Node) -> str:
    """Append a conversion to reals, integers or truths; integers of 8 bits read as reals are codes with scale 1."""
    x = node.tensor()
    to = builder.types[node.tensor(1)] if node.operator == "CastLike" else type_name(int(node.attributes["to"]))
    layer = builder.layers[x]
    while layer.moves_only:
        layer = builder.layers[layer.inputs[0]]
    if isinstance(layer, Input) and to == REAL and layer.type in ("int8", "uint8"):
        code = builder.codes.get(layer.name, Affine(np.array(1.0), np.array(0), *RANGES[layer.type]))
        for name in {x, layer.name}:
            builder.give_code(name, code)
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
    **{name.capitalize(): _plain(function) for name, function in PLAIN.items()},
    "LeakyRelu": _plain("leaky_relu", slope=("alpha", 0.01)),
    "Elu": _plain("elu", alpha=("alpha", 1.0)),
    "HardSigmoid": _plain("hard_sigmoid", alpha=("alpha", 0.2), beta=("beta", 0.5)),
    "HardSwish": _plain("hard_swish"),
    "Softplus": _plain("softplus"),
    "Round": _plain("round"),
    **dict.fromkeys(("Not", "BitwiseNot"), _plain("not")),
    "IsNaN": _plain("is_nan"),
    "IsInf": _plain("is_infinite", positive=("detect_positive", 1.0), negative=("detect_negative", 1.0)),
    "ThresholdedRelu": _plain("threshold", threshold=("alpha", 1.0)),
    "Shrink": _plain("shrink", threshold=("lambd", 0.5), bias=("bias", 0.0)),
    "Celu": lambda builder, node: celu(builder, node.tensor(), float(node.attributes.get("alpha", 1.0))),
    "Swish": _swish,
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
    "Mean": _mean,
    "Mod": _modulo,
    "BitShift": _shift,
    **dict.fromkeys(("And", "BitwiseAnd"), _binary("and")),
    **dict.fromkeys(("Or", "BitwiseOr"), _binary("or")),
    **dict.fromkeys(("Xor", "BitwiseXor"), _binary("xor")),
    "Equal": _binary("equal"),
    "Less": _binary("less"),
    "LessOrEqual": _binary("less_or_equal"),
    "Greater": _binary("greater"),
    "GreaterOrEqual": _binary("greater_or_equal"),
    "Where": lambda builder, node: builder.select(*(node.tensor(index) for index in range(3))),
    **dict.fromkeys(("Cast", "CastLike"), _cast),
    **dict.fromkeys(("Identity", "Dropout"), _same),
}
