"""ATen operators that are several layers: norms, deviations, similarities, products over chosen axes."""

from __future__ import annotations

import math

from mho.errors import NetworkError
from mho.network.composites import log_sum_exp, variance
from mho.network.contraction import Operand, contract
from mho.network.torch_builder import Call, Handler, TorchBuilder


def _norm(builder: TorchBuilder, call: Call) -> str:
    """Append the 1-norm, the 2-norm, or the largest magnitude."""
    x: str = call["self"]
    order, axes = call.get("ord", call.get("p", 2)), call.axes(len(builder.shape(x)))
    order = 2.0 if order is None else float(order)
    if order == 2.0:
        total = builder.reduce(builder.elementwise("multiply", x, x, "square"), "sum", axes, keep=call.keep, part="sum")
        return builder.activation(total, "sqrt")
    if order not in (1.0, math.inf):
        raise NetworkError(f"a norm of order {order:g} is not known; known: 1, 2, infinity")
    size = builder.activation(x, "absolute", part="size")
    return builder.reduce(size, "sum" if order == 1.0 else "maximum", axes, keep=call.keep)


def _log_sum_exp(builder: TorchBuilder, call: Call) -> str:
    return log_sum_exp(builder, call["self"], call.axes(len(builder.shape(call["self"]))), keep=call.keep)


def _deviation(builder: TorchBuilder, call: Call) -> str:
    """Append the mean square of x - mean, times n / (n - correction); std is its root."""
    x: str = call["self"]
    axes = call.axes(len(builder.shape(x)))
    count = math.prod(builder.shape(x)[axis] for axis in axes)
    unbiased = call.get("correction", 1 if call.get("unbiased", True) else 0)
    correction = 1.0 if unbiased is None else float(unbiased)
    if count <= correction:
        raise NetworkError(f"a variance of {count} elements with correction {correction:g} does not exist")
    square, root = variance(builder, x, axes, keep=call.keep)[1], call.operator == "std"
    result = builder.scale_shift(square, count / (count - correction), 0.0, "corrected" if root else None)
    return builder.activation(result, "sqrt") if root else result


def _cosine(builder: TorchBuilder, call: Call) -> str:
    """Append x . y / (max(|x|, eps) max(|y|, eps)) along an axis."""
    x, y = builder.tensor(call["x1"]), builder.tensor(call["x2"])
    axis, eps = int(call["dim"]), float(call["eps"])
    lengths = []
    for name, tensor in (("x", x), ("y", y)):
        square = builder.elementwise("multiply", tensor, tensor, f"{name}_square")
        length = builder.activation(builder.reduce(square, "sum", [axis], keep=True, part="sum"), "sqrt", part="length")
        limited = builder.activation(length, "clip", {"low": eps, "high": math.inf}, "clip")
        lengths.append(builder.elementwise("divide", tensor, limited, f"{name}_unit"))
    return builder.reduce(builder.elementwise("multiply", lengths[0], lengths[1], "product"), "sum", [axis], keep=False)


def _tensordot(builder: TorchBuilder, call: Call) -> str:
    """Append sums over pairs of axes: those that tensordot tells, the last ones of inner, none of outer."""
    sides = [builder.operand(call[key]) for key in ("self", "vec2" if "vec2" in call.arguments else "other")]
    first, second = ([f"{side} {i}" for i in range(len(builder.shape_of(x)))] for side, x in enumerate(sides))
    pairs = (
        [(-1, -1)]
        if call.operator == "inner"
        else zip(call.get("dims_self", ()), call.get("dims_other", ()), strict=True)
    )
    for i, j in pairs:
        second[int(j)] = first[int(i)]
    result = tuple(label for label in (*first, *second) if (label in first) != (label in second))
    return contract(builder, (Operand(sides[0], tuple(first)), Operand(sides[1], tuple(second))), result)


def _combined(builder: TorchBuilder, call: Call) -> str:
    """Append addcmul or addcdiv: x + value * a * b, or a / b."""
    function = "multiply" if call.operator == "addcmul" else "divide"
    result = builder.elementwise(function, builder.tensor(call["tensor1"]), builder.tensor(call["tensor2"]), function)
    return builder.elementwise(
        "add", builder.tensor(call["self"]), builder.scale_shift(result, float(call["value"]), 0.0, "scale")
    )


def _lerp(builder: TorchBuilder, call: Call) -> str:
    """Append x + weight * (end - x)."""
    x, weight = builder.tensor(call["self"]), call["weight"]
    apart = builder.elementwise("subtract", builder.tensor(call["end"]), x, "apart")
    if isinstance(weight, int | float):
        moved = builder.scale_shift(apart, float(weight), 0.0, "moved")
    else:
        moved = builder.elementwise("multiply", apart, builder.tensor(weight), "moved")
    return builder.elementwise("add", x, moved)


SUMS: dict[str, Handler] = {
    **dict.fromkeys(("linalg_vector_norm", "norm"), _norm),
    "logsumexp": _log_sum_exp,
    **dict.fromkeys(("var", "std"), _deviation),
    "cosine_similarity": _cosine,
    **dict.fromkeys(("tensordot", "inner", "outer", "ger"), _tensordot),
    **dict.fromkeys(("addcmul", "addcdiv"), _combined),
    "lerp": _lerp,
}
