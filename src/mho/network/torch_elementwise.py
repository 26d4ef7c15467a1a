"""ATen operators that act on each element: arithmetic, activations, masks with known conditions."""

from __future__ import annotations

import math
from typing import Any

import torch

from mho.errors import NetworkError
from mho.network.builder import LOWEST
from mho.network.torch_builder import Call, Handler, TorchBuilder


def _number(value: Any) -> float | None:
    """A Python number, or a tensor of one known element; None for anything else."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_meta and value.dim() == 0:
        return float(value.detach())
    return None


def _activation(function: str, **names: tuple[str, float]) -> Handler:
    """A handler whose parameters come from arguments: parameter=(argument, default)."""

    def handle(builder: TorchBuilder, call: Call) -> str:
        values = {}
        for key, (argument, default) in names.items():
            found = call.get(argument)
            values[key] = default if found is None else float(found)
        return builder.activation(_first(call), function, values)

    return handle


def _first(call: Call) -> str:
    value = next(iter(call.arguments.values()))
    if not isinstance(value, str):
        raise NetworkError("the first operand must depend on an input")
    return value


def _fixed(function: str, **values: float) -> Handler:
    return lambda builder, call: builder.activation(_first(call), function, values)


def _gelu(builder: TorchBuilder, call: Call) -> str:
    return builder.activation(_first(call), "gelu_tanh" if call["approximate"] == "tanh" else "gelu")


def _elu(builder: TorchBuilder, call: Call) -> str:
    if call["scale"] != 1 or call["input_scale"] != 1:
        raise NetworkError("elu with a scale is not known")
    return builder.activation(_first(call), "elu", {"alpha": call["alpha"]})


def _selu(builder: TorchBuilder, call: Call) -> str:
    """Scale * elu(x, alpha), with the two constants of Klambauer et al. (2017), Self-normalizing networks."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return builder.scale_shift(builder.activation(_first(call), "elu", {"alpha": alpha}, "elu"), scale, 0.0)


def _softplus(builder: TorchBuilder, call: Call) -> str:
    if call["beta"] != 1:
        raise NetworkError("softplus with beta other than 1 is not known")
    return builder.activation(_first(call), "softplus")


def _log_sigmoid(builder: TorchBuilder, call: Call) -> str:
    turned = builder.activation(_first(call), "negate", part="negate")
    return builder.activation(builder.activation(turned, "softplus", part="softplus"), "negate")


def _prelu(builder: TorchBuilder, call: Call) -> str:
    """max(x, 0) + slope[c] * min(x, 0)."""
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
    return builder.activation(_first(call), "clip", {"low": low, "high": high})


def _arithmetic(function: str, *, reverse: bool = False) -> Handler:
    """Two operands, one of which may be a number: add and subtract scale the second by `alpha`."""

    def handle(builder: TorchBuilder, call: Call) -> str:
        left, right, alpha = call["self"], call["other"], call.get("alpha", 1)
        if call.get("rounding_mode") is not None:
            raise NetworkError("division with rounding is not known")
        if reverse:
            left, right = right, left
        if alpha != 1:
            if reverse:
                raise NetworkError("rsub with alpha other than 1 is not known")
            right = builder.scale_shift(right, alpha, 0.0, "alpha") if isinstance(right, str) else right * alpha
        a, b = _number(left), _number(right)
        if b is not None and isinstance(left, str):
            return _broadcast(builder, _with_number(builder, function, left, b, turned=False), call)
        if a is not None and isinstance(right, str):
            return _broadcast(builder, _with_number(builder, function, right, a, turned=True), call)
        return builder.elementwise(function, builder.tensor(left), builder.tensor(right))

    return handle


def _broadcast(builder: TorchBuilder, x: str, call: Call) -> str:
    return x if builder.shape(x) == call.shape else builder.expand(x, call.shape, "expand")


def _with_number(builder: TorchBuilder, function: str, x: str, c: float, *, turned: bool) -> str:
    match function, turned:
        case "add", _:
            return builder.scale_shift(x, 1.0, c)
        case "subtract", False:
            return builder.scale_shift(x, 1.0, -c)
        case "subtract", True:
            return builder.scale_shift(x, -1.0, c)
        case "multiply", _:
            return builder.scale_shift(x, c, 0.0)
        case "divide", False:
            if c == 0:
                raise NetworkError("division by zero")
            return builder.scale_shift(x, 1.0 / c, 0.0)
        case "divide", True:
            return builder.scale_shift(builder.activation(x, "reciprocal", part="reciprocal"), c, 0.0)
        case "maximum", _:
            return builder.activation(x, "clip", {"low": c, "high": math.inf})
        case _:
            return builder.activation(x, "clip", {"low": -math.inf, "high": c})


def _masked_fill(builder: TorchBuilder, call: Call) -> str:
    """X where the known mask is false, a number elsewhere: x * keep + fill."""
    value = _number(call["value"])
    if not isinstance(call["self"], str) or not isinstance(call["mask"], torch.Tensor) or value is None:
        raise NetworkError("a mask must be known and its filling a number")
    return _select(builder, call["self"], ~call["mask"], value)


def _where(builder: TorchBuilder, call: Call) -> str:
    condition, left, right = call["condition"], call["self"], call["other"]
    if not isinstance(condition, torch.Tensor):
        raise NetworkError("a condition computed from an input is not known")
    if isinstance(left, str) and not isinstance(right, str):
        number = _number(right)
        if number is not None:
            return _select(builder, left, condition, number)
    if isinstance(right, str) and not isinstance(left, str):
        number = _number(left)
        if number is not None:
            return _select(builder, right, ~condition, number)
    first = builder.elementwise("multiply", builder.tensor(left), builder.tensor(condition), "keep")
    second = builder.elementwise("multiply", builder.tensor(right), builder.tensor(~condition), "keep")
    return builder.elementwise("add", first, second)


def _select(builder: TorchBuilder, x: str, keep: torch.Tensor, value: float) -> str:
    value = max(value, LOWEST)
    kept = builder.elementwise("multiply", x, builder.tensor(keep), "keep")
    if value == 0:
        return kept
    # Where only the shape of the mask is known, so is that of the filling.
    return builder.elementwise("add", kept, builder.tensor((~keep).to(torch.float32) * value), None)


def _square(builder: TorchBuilder, call: Call) -> str:
    return builder.activation(_first(call), "power", {"exponent": 2.0})


def _cast(builder: TorchBuilder, call: Call) -> str:
    x: str = call["self"]
    kind = getattr(call.meta, "dtype", torch.float32)
    source = builder.layers[x]
    while source.moves_only:
        source = builder.layers[source.inputs[0]]
    if not kind.is_floating_point and not getattr(source, "integers", False):
        raise NetworkError(f"a conversion of an activation to {kind} is not known")
    return x


ELEMENTWISE: dict[str, Handler] = {
    "relu": _fixed("relu"),
    "relu6": _fixed("clip", low=0.0, high=6.0),
    "hardtanh": _activation("clip", low=("min_val", -1.0), high=("max_val", 1.0)),
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max"), _clamp),
    "leaky_relu": _activation("leaky_relu", slope=("negative_slope", 0.01)),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "hardsigmoid": _fixed("hard_sigmoid", alpha=1.0 / 6.0, beta=0.5),
    "hardswish": _fixed("hard_swish"),
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "prelu": _prelu,
    "glu": _glu,
    "pow": _power,
    "square": _square,
    "rsqrt": _fixed("reciprocal_sqrt"),
    "neg": _fixed("negate"),
    "abs": _fixed("absolute"),
    "sin": _fixed("sine"),
    "cos": _fixed("cosine"),
    **{name: _fixed(name) for name in ("sigmoid", "tanh", "silu", "mish", "erf", "exp", "log", "sqrt", "reciprocal")},
    "add": _arithmetic("add"),
    "sub": _arithmetic("subtract"),
    "rsub": _arithmetic("subtract", reverse=True),
    "mul": _arithmetic("multiply"),
    "div": _arithmetic("divide"),
    "maximum": _arithmetic("maximum"),
    "minimum": _arithmetic("minimum"),
    "masked_fill": _masked_fill,
    "where": _where,
    "to": _cast,
    "_to_copy": _cast,
    "type_as": _cast,
}
