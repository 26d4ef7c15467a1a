"""ONNX operators: products, normalisations and reductions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mho.errors import NetworkError
from mho.network import contraction
from mho.network.composites import log_sum_exp, variance
from mho.network.geometry import along, axis_of
from mho.network.layers import Array
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value, text, turned
from mho.network.types import REAL


def _gemm(builder: OnnxBuilder, node: Node) -> str:
    """Append alpha A B + beta C."""
    attributes = node.attributes
    sides: list[str | Array] = []
    for index, key in enumerate(("transA", "transB")):
        side = builder.operand(node.get(index))
        if attributes.get(key, 0):
            side = builder.swap(side, 0, 1, "transpose") if isinstance(side, str) else turned(side)
        sides.append(side)
    left, right = sides
    alpha, beta, added = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0)), node.get(2)
    if alpha != 1.0:
        left, right = (
            (_scaled(builder, left, alpha), right)
            if isinstance(left, Array)
            else (left, _scaled(builder, right, alpha))
        )
    if added is None or beta == 0.0:
        return contraction.matmul(builder, left, right)
    bias = builder.operand(added)
    if beta != 1.0:
        bias = _scaled(builder, bias, beta)
    if isinstance(bias, str) or (isinstance(left, str) and isinstance(right, str)):
        return builder.elementwise("add", contraction.matmul(builder, left, right), builder.named(bias), "sum")
    return contraction.matmul(builder, left, right, bias)


def _scaled(builder: OnnxBuilder, value: str | Array, factor: float) -> str | Array:
    """A tensor or a weight times a number; a code's scale takes the factor."""
    if isinstance(value, str):
        return builder.scale_shift(value, factor, 0.0, "scale")
    if value.code is not None and factor > 0:
        return replace(value, code=replace(value.code, scale=value.code.scale * factor))
    return builder.array(np.asarray(value.real() * factor, dtype=np.float32))


def _matmul(builder: OnnxBuilder, node: Node) -> str:
    return contraction.matmul(builder, builder.operand(node.get(0)), builder.operand(node.get(1)))


def _einsum(builder: OnnxBuilder, node: Node) -> str:
    return contraction.einsum(builder, text(node.attributes["equation"]), [builder.operand(v) for v in node.inputs])


def _batch_normalization(builder: OnnxBuilder, node: Node) -> str:
    if node.attributes.get("training_mode", 0):
        raise NetworkError("training mode is not known")
    names = ("scale", "offset", "mean", "variance")
    weight, bias, mean, spread = (node.needed(i, f"the {name}").astype(np.float64) for i, name in enumerate(names, 1))
    scale = weight / np.sqrt(spread + float(node.attributes.get("epsilon", 1e-5)))
    return builder.channel_affine(node.tensor(), builder.array(scale), builder.array(bias - mean * scale))


def _layer_normalization(builder: OnnxBuilder, node: Node) -> str:
    x, rms = node.tensor(), node.operator == "RMSNormalization"
    rank = len(builder.shape(x))
    axes = rank - axis_of(int(node.attributes.get("axis", -1)), rank)
    scale = _stretched(builder, node.get(1), builder.shape(x)[rank - axes :])
    offset = None if rms else _stretched(builder, node.get(2), builder.shape(x)[rank - axes :])
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    return builder.normalise(x, "rms" if rms else "layer", epsilon, scale, offset, axes=axes)


def _stretched(builder: OnnxBuilder, value: Value, shape: tuple[int, ...]) -> Array | None:
    """A scale that may be broadcast to the normalised axes."""
    if value is None:
        return None
    array = builder.array(value)
    return array if array.shape == shape else builder.array(np.broadcast_to(array.real(), shape).astype(np.float32))


def _group_normalization(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    channels = builder.shape(x)[1]
    groups = channels if node.operator == "InstanceNormalization" else int(node.attributes["num_groups"])
    scale, offset = builder.array(node.get(1)), builder.array(node.get(2))
    if scale.shape != (channels,):  # operator set 18 has one scale for each group
        scale, offset = (
            builder.array(np.repeat(array.real(), channels // groups).astype(np.float32)) for array in (scale, offset)
        )
    return builder.normalise(x, "group", float(node.attributes.get("epsilon", 1e-5)), scale, offset, groups=groups)


def _axes(builder: OnnxBuilder, node: Node) -> list[int]:
    """Axes of a reduction: all where none are given, unless the node says that none means none."""
    axes = node.integers(1, "axes")
    if axes or node.attributes.get("noop_with_empty_axes", 0):
        return axes or []
    return list(range(len(builder.shape(node.tensor()))))


def _reduce(builder: OnnxBuilder, node: Node) -> str:
    """Append a reduction of the elements, their magnitudes, squares or exponentials, and what is made of it."""
    x, axes = node.tensor(), _axes(builder, node)
    keep = bool(node.attributes.get("keepdims", 1))
    kind = node.operator.removeprefix("Reduce")
    if kind == "LogSumExp" and axes:
        return log_sum_exp(builder, x, axes, keep=keep)
    if kind in ("L1", "L2", "SumSquare", "LogSumExp"):
        before = {"L1": "absolute", "LogSumExp": "exp"}.get(kind)
        x = builder.activation(x, before, part=before) if before else builder.elementwise("multiply", x, x, "square")
    function = {"Mean": "mean", "Max": "maximum", "Min": "minimum", "Prod": "product"}.get(kind, "sum")
    after = {"L2": "sqrt", "LogSum": "log", "LogSumExp": "log"}.get(kind)
    if axes:
        x = builder.reduce(x, function, axes, keep=keep, part=function if after else None)
    if after is None:
        return x
    type_before = builder.types[x]
    return builder.convert(builder.activation(x, after), type_before, "whole")


def _place(builder: OnnxBuilder, node: Node) -> str:
    """ArgMax, ArgMin."""
    last = "_last" if node.attributes.get("select_last_index", 0) else ""
    axis, keep = int(node.attributes.get("axis", 0)), bool(node.attributes.get("keepdims", 1))
    return builder.reduce(node.tensor(), node.operator.lower() + last, [axis], keep=keep)


def _hardmax(builder: OnnxBuilder, node: Node) -> str:
    """1 at the first largest element of an axis (before operator set 13 of all axes from it on), 0 elsewhere."""
    x = node.tensor()
    shape = builder.shape(x)
    axis = axis_of(int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)), len(shape))
    if node.opset < 13:
        x, axis = builder.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])), "flat"), 1
    places = along(np.arange(builder.shape(x)[axis]), axis, len(builder.shape(x)))
    largest = builder.reduce(x, "argmax", [axis], keep=True, part="place")
    hot = builder.elementwise("equal", largest, builder.named(places), "equal")
    return builder.reshape(builder.convert(hot, REAL), shape, "reshape")


def _lp_normalization(builder: OnnxBuilder, node: Node) -> str:
    """X / its norm along one axis, 0 where that is 0."""
    x, axis, p = node.tensor(), int(node.attributes.get("axis", -1)), int(node.attributes.get("p", 2))
    size = builder.activation(x, "absolute", part="size") if p == 1 else builder.elementwise("multiply", x, x, "square")
    norm = builder.reduce(size, "sum", [axis], keep=True, part="sum")
    norm = norm if p == 1 else builder.activation(norm, "sqrt", part="norm")
    zero = builder.named(np.zeros((), dtype=np.float32))
    empty = builder.elementwise("equal", norm, zero, "empty")
    return builder.select(empty, zero, builder.elementwise("divide", x, norm, "quotient"))


def _mean_variance(builder: OnnxBuilder, node: Node) -> str:
    """(x - mean) / (standard deviation + 1e-9) over axes, as the operator's function body has it."""
    x, axes = node.tensor(), [int(n) for n in node.attributes.get("axes", (0, 2, 3))]
    centred, square = variance(builder, x, axes, keep=True)
    deviation = builder.activation(square, "sqrt", part="sqrt")
    return builder.elementwise("divide", centred, builder.scale_shift(deviation, 1.0, 1e-9, "deviation"))


def _softmax(builder: OnnxBuilder, node: Node) -> str:
    """Append a softmax over one axis; before operator set 13 over all axes from one on."""
    x = node.tensor()
    shape = builder.shape(x)
    axis = axis_of(int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)), len(shape))
    log = node.operator == "LogSoftmax"
    if node.opset >= 13 or axis == len(shape) - 1:
        result = builder.softmax(x, axis, "softmax" if log else None)
    else:
        flat = builder.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])), "flat")
        result = builder.reshape(builder.softmax(flat, 1, "softmax"), shape, "reshape")
    return builder.activation(result, "log") if log else result


REDUCTIONS = ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")
MATRIX: dict[str, Handler] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "BatchNormalization": _batch_normalization,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _layer_normalization),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization"), _group_normalization),
    **dict.fromkeys([f"Reduce{kind}" for kind in REDUCTIONS], _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _place),
    "Hardmax": _hardmax,
    "LpNormalization": _lp_normalization,
    "MeanVarianceNormalization": _mean_variance,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
}
