"""ONNX operators with weights, products, normalisations, pooling and reductions."""

from __future__ import annotations

import math

import numpy as np

from mho.errors import NetworkError
from mho.network.geometry import axis_of
from mho.network.layers import Array
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, Value, same_padding, turned

Sides = tuple[int, int, int, int]


def _lift(builder: OnnxBuilder, x: str) -> str:
    """A sequence (B, C, L) as an image of height 1."""
    batch, channels, length = builder.shape(x)
    return builder.reshape(x, (batch, channels, 1, length), "reshape")


def _geometry(
    builder: OnnxBuilder, node: Node, x: str, kernel: list[int]
) -> tuple[tuple[int, int], Sides, tuple[int, int]]:
    """Stride, padding and dilation of a window of one or two axes."""
    rank = len(kernel)
    given = node.attributes
    stride = [int(n) for n in given.get("strides", [1] * rank)]
    dilation = [int(n) for n in given.get("dilations", [1] * rank)]
    pads = [int(n) for n in given.get("pads", [0] * (2 * rank))]
    automatic = _text(given.get("auto_pad", "NOTSET"))
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        sizes = builder.shape(x)[2:]
        pads = same_padding(sizes, kernel, stride, dilation, upper=automatic == "SAME_UPPER")
    elif automatic == "VALID":
        pads = [0] * (2 * rank)
    elif automatic != "NOTSET":
        raise NetworkError(f"auto_pad {automatic!r} is not known")
    if rank == 1:
        return (1, stride[0]), (0, pads[0], 0, pads[1]), (1, dilation[0])
    return (stride[0], stride[1]), (pads[0], pads[1], pads[2], pads[3]), (dilation[0], dilation[1])


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _convolution(builder: OnnxBuilder, node: Node) -> str:
    x, weight, bias = node.tensor(), builder.array(node.get(1)), builder.optional(node.get(2))
    rank = len(weight.shape) - 2
    if rank not in (1, 2) or len(builder.shape(x)) != rank + 2:
        raise NetworkError(
            f"a convolution of {builder.shape(x)} by {weight.shape} is not known; known: one and two axes"
        )
    stride, padding, dilation = _geometry(builder, node, x, list(weight.shape[2:]))
    if rank == 1:
        shape = (*weight.shape[:2], 1, weight.shape[2])
        weight = Array(shape, None if weight.values is None else weight.values.reshape(shape), weight.code)
        x = _lift(builder, x)
    groups = int(node.attributes.get("group", 1))
    made = builder.convolution(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    if rank == 2:
        return made
    batch, channels, _, length = builder.shape(made)
    return builder.reshape(made, (batch, channels, length), "reshape")


def _gemm(builder: OnnxBuilder, node: Node) -> str:
    """Alpha A B + beta C, with B known."""
    x, given = node.tensor(), node.attributes
    alpha, beta = float(given.get("alpha", 1.0)), float(given.get("beta", 1.0))
    if given.get("transA", 0):
        x = builder.swap(x, 0, 1, "transpose")
    weight = builder.array(node.get(1))
    weight = weight if given.get("transB", 0) else turned(weight)
    if alpha != 1.0:
        if weight.code is not None:
            raise NetworkError("alpha other than 1 with quantised weights is not known")
        weight = builder.array(np.asarray(weight.real() * alpha, dtype=np.float32))
    constant = node.get(2)
    if constant is None or beta == 0.0:
        return builder.linear(x, weight)
    if beta != 1.0:
        constant = builder.array(np.asarray(builder.array(constant).real() * beta, dtype=np.float32))
    if not isinstance(constant, str):
        bias = builder.array(constant)
        if bias.shape == weight.shape[:1]:
            return builder.linear(x, weight, bias)
        constant = bias
    return builder.elementwise("add", builder.linear(x, weight, None, "product"), builder.named(constant))


def _matmul(builder: OnnxBuilder, node: Node) -> str:
    left, right = node.get(0), node.get(1)
    if isinstance(left, str) and not isinstance(right, str):
        weight = builder.array(right)
        if len(weight.shape) == 2:
            return builder.linear(left, turned(weight))
    elif isinstance(right, str) and not isinstance(left, str) and len(builder.shape(right)) >= 2:
        weight = builder.array(left)
        if len(weight.shape) == 2:
            columns = builder.swap(right, -1, -2, "transpose")
            return builder.swap(builder.linear(columns, weight, None), -1, -2, "transpose")
    return builder.product(builder.named(left), builder.named(right))


def _batch_normalization(builder: OnnxBuilder, node: Node) -> str:
    if node.attributes.get("training_mode", 0):
        raise NetworkError("training mode is not known")
    parts = [node.known(index) for index in range(1, 5)]
    if any(part is None for part in parts):
        raise NetworkError("scale, offset, mean and variance must be given")
    weight, bias, mean, variance = (np.asarray(part, dtype=np.float64) for part in parts)
    scale = weight / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
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


def _pool(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    kernel = [int(n) for n in node.attributes["kernel_shape"]]
    rank = len(kernel)
    if rank not in (1, 2) or len(builder.shape(x)) != rank + 2:
        raise NetworkError(f"pooling of {builder.shape(x)} over {rank} axes is not known; known: one and two axes")
    if len([name for name in node.outputs if name]) > 1:
        raise NetworkError("the indices of a maximum pooling are not known")
    stride, padding, dilation = _geometry(builder, node, x, kernel)
    made = builder.pool(
        _lift(builder, x) if rank == 1 else x,
        "maximum" if node.operator == "MaxPool" else "average",
        (1, kernel[0]) if rank == 1 else (kernel[0], kernel[1]),
        stride,
        padding,
        dilation=dilation,
        count_padding=bool(node.attributes.get("count_include_pad", 0)),
        ceil=bool(node.attributes.get("ceil_mode", 0)),
    )
    if rank == 2:
        return made
    batch, channels, _, length = builder.shape(made)
    return builder.reshape(made, (batch, channels, length), "reshape")


def _global_pool(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    function = "maximum" if node.operator == "GlobalMaxPool" else "mean"
    return builder.reduce(x, function, range(2, len(builder.shape(x))), keep=True)


def _reduce(builder: OnnxBuilder, node: Node) -> str:
    function = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "maximum", "ReduceMin": "minimum"}
    x, axes = node.tensor(), node.integers(1, "axes")
    if not axes:
        if node.attributes.get("noop_with_empty_axes", 0):
            return x
        axes = list(range(len(builder.shape(x))))
    return builder.reduce(x, function[node.operator], axes, keep=bool(node.attributes.get("keepdims", 1)))


def _softmax(builder: OnnxBuilder, node: Node) -> str:
    """Over one axis; before operator set 13 over all axes from one on."""
    x = node.tensor()
    shape = builder.shape(x)
    axis = axis_of(int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)), len(shape))
    log = node.operator == "LogSoftmax"
    if node.opset >= 13 or axis == len(shape) - 1:
        made = builder.softmax(x, axis, "softmax" if log else None)
    else:
        flat = builder.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])), "flat")
        made = builder.reshape(builder.softmax(flat, 1, "softmax"), shape, "reshape")
    return builder.activation(made, "log") if log else made


MATRIX: dict[str, Handler] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_normalization,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _layer_normalization),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization"), _group_normalization),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
}
