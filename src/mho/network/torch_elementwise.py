"""ATen operators that act on each element: arithmetic, activations, masks with known conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from mho.errors import NetworkError
from mho.network.activations import with_number
from mho.network.builder import LOWEST
from mho.network.composites import PLAIN, Step, celu, chain, scale, selu
from mho.network.torch_builder import Call, Handler, TorchBuilder, Value, type_name
from mho.network.types import BOOL, REAL, promoted


def _number(value: Any) -> float | None:
    """Return a Python number, or the one known element of a tensor, as a number; None for anything else."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta and value.dim() == 0:
        return float(value.detach())
    return None


def _first(call: Call) -> str:
    value = next(iter(call.arguments.values()))
    if not isinstance(value, str):
        raise NetworkError("the first operand must depend on an input")
    return value


def _activation(function: str, **parameters: float | tuple[str, float]) -> Handler:
    """Return a handler whose parameters are numbers, or come from arguments: parameter=(argument, default)."""

    def value(call: Call, parameter: float | tuple[str, float]) -> float:
        if not isinstance(parameter, tuple):
            return parameter
        argument = call.get(parameter[0])
        return parameter[1] if argument is None else float(argument)

    def handle(builder: TorchBuilder, call: Call) -> str:
        values = {key: value(call, parameter) for key, parameter in parameters.items()}
        return builder.activation(_first(call), function, values)

    return handle


def _chain(*steps: Step) -> Handler:
    return lambda builder, call: chain(builder, _first(call), *steps)


def _gelu(builder: TorchBuilder, call: Call) -> str:
    return builder.activation(_first(call), "gelu_tanh" if call["approximate"] == "tanh" else "gelu")


def _elu(builder: TorchBuilder, call: Call) -> str:
    if call["scale"] != 1 or call["input_scale"] != 1:
        raise NetworkError("elu with a scale is not known")
    return builder.activation(_first(call), "elu", {"alpha": call["alpha"]})


def _softplus(builder: TorchBuilder, call: Call) -> str:
    if call["beta"] != 1 or call["threshold"] < 20:
        raise NetworkError("softplus with beta other than 1, or linear from a threshold below 20 on, is not known")
    return builder.activation(_first(call), "softplus")


def _round(builder: TorchBuilder, call: Call) -> str:
    if call.get("decimals", 0) != 0:
        raise NetworkError("rounding to decimals is not known; known: to whole numbers")
    return builder.activation(_first(call), "round")


def _prelu(builder: TorchBuilder, call: Call) -> str:
    """Append max(x, 0) + slope[c] * min(x, 0)."""
    x, weight = call["self"], call["weight"]
    slope = _number(weight.reshape(())) if weight.numel() == 1 and not weight.is_meta else None
    if slope is not None:
        return builder.activation(x, "leaky_relu", {"slope": slope})
    channels = builder.shape(x)[1]
    positive = builder.activation(x, "relu", part="relu")
    negative = builder.activation(x, "clip", {"low": -math.inf, "high": 0.0}, "clip")
    scale, offset = weight.expand(channels), torch.zeros(channels, device=weight.device)
    scaled = builder.channel_affine(negative, builder.weight(scale), builder.weight(offset), 1, "slope")
    return builder.elementwise("add", positive, scaled)


def _glu(builder: TorchBuilder, call: Call) -> str:
    x, axis = call["self"], call["dim"]
    half = builder.shape(x)[axis] // 2
    gate = builder.activation(builder.slice(x, axis, half, 2 * half, part="gate"), "sigmoid", part="sigmoid")
    return builder.elementwise("multiply", builder.slice(x, axis, 0, half, part="value"), gate)


def _power(builder: TorchBuilder, call: Call) -> str:
    exponent = _number(call["exponent"])
    if exponent is None or not isinstance(call["self"], str):
        raise NetworkError("only powers with a known exponent are known")
    return builder.activation(call["self"], "power", {"exponent": exponent})


def _clamp(builder: TorchBuilder, call: Call) -> str:
    low = _number(call.get("min")) if call.get("min") is not None else -math.inf
    high = _number(call.get("max")) if call.get("max") is not None else math.inf
    if low is None or high is None:
        raise NetworkError("only clamping to known numbers is known")
    # Integers clamped to a fraction are reals.
    x = builder.convert(_first(call), type_name(call.meta.dtype), "type")
    return builder.activation(x, "clip", {"low": low, "high": high})


def _arithmetic(function: str, *, reverse: bool = False) -> Handler:
    """Return the handler of two operands, one of which may be a number: add and subtract scale the second by `alpha`."""

    def handle(builder: TorchBuilder, call: Call) -> str:
        left, right, alpha = call["self"], call["other"], call.get("alpha", 1)
        rounding = call.get("rounding_mode")
        kind = type_name(call.meta.dtype)
        if reverse:
            left, right = right, left
        if alpha != 1:
            if reverse:
                raise NetworkError("rsub with alpha other than 1 is not known")
            right = builder.scale_shift(right, alpha, 0.0, "alpha") if isinstance(right, str) else right * alpha
        if kind != REAL:
            return _exact(builder, function, left, right, kind, rounding)
        left, right = (builder.convert(side, REAL, "real") if isinstance(side, str) else side for side in (left, right))
        a, b = _number(left), _number(right)
        if b is not None and isinstance(left, str):
            result = _broadcast(builder, _with_number(builder, function, left, b, turned=False), call)
        elif a is not None and isinstance(right, str):
            result = _broadcast(builder, _with_number(builder, function, right, a, turned=True), call)
        else:
            result = builder.elementwise(function, builder.tensor(left), builder.tensor(right))
        return result if rounding is None else _rounded(builder, result, rounding)

    return handle


def _rounded(builder: TorchBuilder, x: str, rounding: str) -> str:
    if rounding == "floor":
        return builder.activation(x, "floor", part="floor")
    return builder.convert(builder.convert(x, "int64", "trunc"), REAL, "real")


def _exact(builder: TorchBuilder, function: str, left: Any, right: Any, kind: str, rounding: str | None) -> str:
    """Append arithmetic of integers and truths, in the type of the result; a quotient is rounded down or cut off."""
    a, b = (_typed(builder, side, kind) for side in (left, right))
    if function == "divide" and rounding == "floor":
        rest = builder.elementwise("modulo", a, b, "rest")
        a = builder.elementwise("subtract", a, rest, "whole")
    if kind == BOOL and function in ("add", "multiply"):
        function = "or" if function == "add" else "and"
    return builder.elementwise(function, a, b)


def _typed(builder: TorchBuilder, value: Any, kind: str) -> str:
    """Return an operand in a type: a tensor converted, a number as a constant."""
    if isinstance(value, str):
        return builder.convert(value, kind, kind)
    number = value if isinstance(value, torch.Tensor) else torch.tensor(value)
    return builder.tensor(number.to(torch.float32 if kind == REAL else getattr(torch, kind)))


def _paired(function: str, kind: Callable[[TorchBuilder, Call], str]) -> Handler:
    """Return the handler of two operands, one of which may be a number, in a type."""

    def handle(builder: TorchBuilder, call: Call) -> str:
        meeting = kind(builder, call)
        return builder.elementwise(function, *(_typed(builder, call[key], meeting) for key in ("self", "other")))

    return handle


def _compared(function: str) -> Handler:
    return _paired(function, _common)


def _logical(function: str) -> Handler:
    return _paired(function, lambda builder, call: BOOL)


def _bits(function: str) -> Handler:
    return _paired(function, lambda builder, call: type_name(call.meta.dtype))


def _common(builder: TorchBuilder, call: Call) -> str:
    """Return the type in which torch compares operands: reals where one is real; a number takes the tensor's kind."""
    sides = [call["self"], call["other"]]
    tensors = [side for side in sides if not isinstance(side, bool | int | float)]
    types = [builder.types[side] if isinstance(side, str) else type_name(side.dtype) for side in tensors]
    types += [REAL for side in sides if isinstance(side, float)]
    kind = promoted(types)
    return "int64" if kind == BOOL and any(type(side) is int for side in sides) else kind


def _not(builder: TorchBuilder, call: Call) -> str:
    x: str = call["self"]
    return builder.activation(builder.convert(x, BOOL, "truth") if call.operator == "logical_not" else x, "not")


def _broadcast(builder: TorchBuilder, x: str, call: Call) -> str:
    return x if builder.shape(x) == call.shape else builder.expand(x, call.shape, "expand")


def _with_number(builder: TorchBuilder, function: str, x: str, c: float, *, turned: bool) -> str:
    if function == "divide" and turned:
        return builder.scale_shift(builder.activation(x, "reciprocal", part="reciprocal"), c, 0.0)
    activation = with_number(function, c, turned=turned)
    if activation is None:
        raise NetworkError("division by zero")
    return builder.activation(x, *activation)


def _masked_fill(builder: TorchBuilder, call: Call) -> str:
    """Append x where the mask is false, and a number elsewhere."""
    return _chosen(builder, call["mask"], call["value"], call["self"], call)


def _chosen(builder: TorchBuilder, condition: Any, left: Any, right: Any, call: Call) -> str:
    """Append one operand where the condition is true, the other elsewhere; minus infinity is the lowest float32."""
    kind = type_name(call.meta.dtype)
    sides = [max(side, LOWEST) if isinstance(side, float) else side for side in (left, right)]
    selected = builder.select(_typed(builder, condition, BOOL), *(_typed(builder, side, kind) for side in sides))
    return _broadcast(builder, selected, call)


def _cast(builder: TorchBuilder, call: Call) -> str:
    """Append a conversion to reals, integers or truths; floating types are all reals."""
    return builder.convert(call["self"], type_name(getattr(call.meta, "dtype", torch.float32)))


def _floor_divide(builder: TorchBuilder, call: Call) -> Value:
    arguments = {**call.arguments, "rounding_mode": "floor"}
    return _arithmetic("divide")(builder, replace(call, arguments=arguments))


def _truncate(builder: TorchBuilder, call: Call) -> str:
    """Append the sign times the floor of the magnitude."""
    size = builder.activation(builder.activation(_first(call), "absolute", part="size"), "floor", part="floor")
    return builder.elementwise("multiply", builder.activation(_first(call), "sign", part="sign"), size)


def _threshold(builder: TorchBuilder, call: Call) -> str:
    """Append x above the threshold, and a value elsewhere."""
    x, limit, value = call["self"], float(call["threshold"]), float(call["value"])
    if value == 0.0:
        return builder.activation(x, "threshold", {"threshold": limit})
    above = builder.elementwise("greater", x, builder.tensor(torch.tensor(limit)), "above")
    return builder.select(above, x, builder.tensor(torch.tensor(value)))


ELEMENTWISE: dict[str, Handler] = {
    **{name: _activation(function) for name, function in PLAIN.items()},
    "hardswish": _activation("hard_swish"),
    "silu": _activation("silu"),
    "rsqrt": _activation("reciprocal_sqrt"),
    "isnan": _activation("is_nan"),
    "isinf": _activation("is_infinite", positive=1.0, negative=1.0),
    "square": _activation("power", exponent=2.0),
    "relu6": _activation("clip", low=0.0, high=6.0),
    "hardtanh": _activation("clip", low=("min_val", -1.0), high=("max_val", 1.0)),
    "leaky_relu": _activation("leaky_relu", slope=("negative_slope", 0.01)),
    "hardsigmoid": _activation("hard_sigmoid", alpha=1.0 / 6.0, beta=0.5),
    "softshrink": _activation("shrink", threshold=("lambd", 0.5), bias=("lambd", 0.5)),
    "hardshrink": _activation("shrink", threshold=("lambd", 0.5), bias=0.0),
    "log_sigmoid": _chain(("negate", {}, "negate"), ("softplus", {}, "softplus"), ("negate", {}, None)),
    "log2": _chain(("log", {}, "log"), ("scale_shift", scale(1.0 / math.log(2.0)), None)),
    "log10": _chain(("log", {}, "log"), ("scale_shift", scale(1.0 / math.log(10.0)), None)),
    "log1p": _chain(("scale_shift", scale(1.0, 1.0), "plus_one"), ("log", {}, None)),
    "expm1": _chain(("exp", {}, "exp"), ("scale_shift", scale(1.0, -1.0), None)),
    "exp2": _chain(("scale_shift", scale(math.log(2.0)), "scale"), ("exp", {}, None)),
    "celu": lambda builder, call: celu(builder, _first(call), float(call["alpha"])),
    "selu": lambda builder, call: selu(builder, _first(call)),
    "round": _round,
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), _clamp),
    "elu": _elu,
    "gelu": _gelu,
    "softplus": _softplus,
    "prelu": _prelu,
    "glu": _glu,
    "pow": _power,
    "trunc": _truncate,
    "threshold": _threshold,
    "add": _arithmetic("add"),
    "sub": _arithmetic("subtract"),
    "rsub": _arithmetic("subtract", reverse=True),
    "mul": _arithmetic("multiply"),
    "div": _arithmetic("divide"),
    "maximum": _arithmetic("maximum"),
    "minimum": _arithmetic("minimum"),
    "remainder": _bits("modulo"),
    "fmod": _bits("remainder"),
    "floor_divide": _floor_divide,
    **dict.fromkeys(("eq", "__eq__"), _compared("equal")),
    **dict.fromkeys(("ne", "not_equal"), _compared("not_equal")),
    **dict.fromkeys(("lt", "less"), _compared("less")),
    **dict.fromkeys(("le", "less_equal"), _compared("less_or_equal")),
    **dict.fromkeys(("gt", "greater"), _compared("greater")),
    **dict.fromkeys(("ge", "greater_equal"), _compared("greater_or_equal")),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    **dict.fromkeys(("logical_not", "bitwise_not"), _not),
    **dict.fromkeys(("bitwise_and", "__and__"), _bits("and")),
    **dict.fromkeys(("bitwise_or", "__or__"), _bits("or")),
    **dict.fromkeys(("bitwise_xor", "__xor__"), _bits("xor")),
    **dict.fromkeys(("bitwise_left_shift", "__lshift__"), _bits("shift_left")),
    **dict.fromkeys(("bitwise_right_shift", "__rshift__"), _bits("shift_right")),
    "masked_fill": _masked_fill,
    "where": lambda builder, call: _chosen(builder, call["condition"], call["self"], call["other"], call),
    **dict.fromkeys(("to", "_to_copy", "type_as"), _cast),
}
