"""ATen operators that are several layers: norms, deviations, similarities, products over chosen axes."""

from __future__ import annotations

import math
from typing import Any

from mho.errors import NetworkError
from mho.network import contraction
from mho.network.composites import log_sum_exp, variance
from mho.network.torch_builder import Call, Handler, TorchBuilder


def _norm(builder: TorchBuilder, call: Call) -> str:
    """The 1-norm, the 2-norm, or the largest magnitude."""
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
    """The mean square of x - mean, times n / (n - correction); std is its root."""
    x: str = call["self"]
    axes = call.axes(len(builder.shape(x)))
    count = math.prod(builder.shape(x)[axis] for axis in axes)
    unbiased = call.get("correction", 1 if call.get("unbiased", True) else 0)
    correction = 1.0 if unbiased is None else float(unbiased)
    if count <= correction:
        raise NetworkError(f"a variance of {count} elements with correction {correction:g} does not exist")
    square, root = variance(builder, x, axes, keep=call.keep)[1], call.operator == "std"
    made = builder.scale_shift(square, count / (count - correction), 0.0, "corrected" if root else None)
    return builder.activation(made, "sqrt") if root else made


def _cosine(builder: TorchBuilder, call: Call) -> str:
    """X . y / (max(|x|, eps) max(|y|, eps)) along an axis."""
    x, y = builder.tensor(call["x1"]), builder.tensor(call["x2"])
    axis, eps = int(call["dim"]), float(call["eps"])
    lengths = []
    for name, tensor in (("x", x), ("y", y)):
        square = builder.elementwise("multiply", tensor, tensor, f"{name}_square")
        length = builder.activation(builder.reduce(square, "sum", [axis], keep=True, part="sum"), "sqrt", part="length")
        limited = builder.activation(length, "clip", {"low": eps, "high": math.inf}, "clip")
        lengths.append(builder.elementwise("divide", tensor, limited, f"{name}_unit"))
    return builder.reduce(builder.elementwise("multiply", lengths[0], lengths[1], "product"), "sum", [axis], keep=False)


def _operand(builder: TorchBuilder, value: Any) -> Any:
    return value if isinstance(value, str) else builder.weight(value)


def _rank(builder: TorchBuilder, value: Any) -> int:
    return len(builder.shape(value)) if isinstance(value, str) else value.dim()


def _tensordot(builder: TorchBuilder, call: Call) -> str:
    """Sums over pairs of axes, as an Einstein sum."""
    left, right = call["self"], call["other"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    first = [next(letters) for _ in range(_rank(builder, left))]
    second = [next(letters) for _ in range(_rank(builder, right))]
    for i, j in zip(call["dims_self"], call["dims_other"], strict=True):
        second[int(j)] = first[int(i)]
    shared = set(first) & set(second)
    result = [letter for letter in (*first, *second) if letter not in shared]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(result)}"
    return contraction.einsum(builder, equation, [_operand(builder, left), _operand(builder, right)])


def _inner(builder: TorchBuilder, call: Call) -> str:
    values = [_operand(builder, call["self"]), _operand(builder, call["other"])]
    letters = iter("abcdefghijklmnopqrstuvwxy")
    terms = ["".join(next(letters) for _ in range(_rank(builder, call[key]) - 1)) for key in ("self", "other")]
    return contraction.einsum(builder, f"{terms[0]}z,{terms[1]}z->{''.join(terms)}", values)


def _outer(builder: TorchBuilder, call: Call) -> str:
    return contraction.einsum(builder, "i,j->ij", [_operand(builder, call["self"]), _operand(builder, call["vec2"])])


def _combined(builder: TorchBuilder, call: Call) -> str:
    """Addcmul and addcdiv: x + value * a * b, or a / b."""
    function = "multiply" if call.operator == "addcmul" else "divide"
    made = builder.elementwise(function, builder.tensor(call["tensor1"]), builder.tensor(call["tensor2"]), function)
    return builder.elementwise(
        "add", builder.tensor(call["self"]), builder.scale_shift(made, float(call["value"]), 0.0, "scale")
    )


def _lerp(builder: TorchBuilder, call: Call) -> str:
    """X + weight * (end - x)."""
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
    "tensordot": _tensordot,
    "inner": _inner,
    **dict.fromkeys(("outer", "ger"), _outer),
    **dict.fromkeys(("addcmul", "addcdiv"), _combined),
    "lerp": _lerp,
}
