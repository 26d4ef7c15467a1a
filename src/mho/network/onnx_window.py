"""ONNX operators that move a window: convolutions, transposed ones, pooling."""

from __future__ import annotations

import math
from dataclasses import replace

from mho.errors import NetworkError
from mho.network import windowed
from mho.network.onnx_builder import Handler, Node, OnnxBuilder, text
from mho.network.windowed import Geometry


def _geometry(builder: OnnxBuilder, node: Node, x: str, kernel: list[int]) -> Geometry:
    """Return stride, padding and dilation of a window, whose padding may follow from sizes."""
    stated, automatic = _stated(node, len(kernel)), text(node.attributes.get("auto_pad", "NOTSET"))
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        sizes, upper = builder.shape(x)[2:], automatic == "SAME_UPPER"
        before, after = windowed.same_padding(sizes, kernel, stated.stride, stated.dilation, upper=upper)
        return replace(stated, before=before, after=after)
    if automatic not in ("NOTSET", "VALID"):
        raise NetworkError(f"auto_pad {automatic!r} is not known")
    return stated


def _stated(node: Node, rank: int) -> Geometry:
    """Return stride, padding and dilation over some axes as a node states them."""

    def numbers(key: str, default: int, count: int) -> tuple[int, ...]:
        return tuple(int(n) for n in node.attributes.get(key, [default] * count))

    valid = text(node.attributes.get("auto_pad", "NOTSET")) == "VALID"
    pads = (0,) * (2 * rank) if valid else numbers("pads", 0, 2 * rank)
    return Geometry(numbers("strides", 1, rank), pads[:rank], pads[rank:], numbers("dilations", 1, rank))


def _convolution(builder: OnnxBuilder, node: Node) -> str:
    x, weight, bias = node.tensor(), builder.array(node.get(1)), builder.optional(node.get(2))
    geometry = _geometry(builder, node, x, list(weight.shape[2:]))
    return windowed.convolution(builder, x, weight, bias, geometry, int(node.attributes.get("group", 1)))


def _transposed(builder: OnnxBuilder, node: Node) -> str:
    """Append ConvTranspose; `output_shape` and SAME say how large the output is, and padding follows."""
    x, weight, attributes = node.tensor(), builder.array(node.get(1)), node.attributes
    rank, have = len(weight.shape) - 2, builder.shape(x)[2:]
    stated = _stated(node, rank)
    more = [int(n) for n in attributes.get("output_padding", [0] * rank)]
    automatic = text(attributes.get("auto_pad", "NOTSET"))
    full = [
        s * (n - 1) + m + (k - 1) * d + 1
        for s, n, m, k, d in zip(stated.stride, have, more, weight.shape[2:], stated.dilation, strict=True)
    ]
    size = [int(n) for n in attributes.get("output_shape", [])][-rank:]
    if not size and automatic.startswith("SAME"):
        size = [n * s for n, s in zip(have, stated.stride, strict=True)]
    if size:
        total = [max(0, n - m) for n, m in zip(full, size, strict=True)]
        before = tuple(n // 2 if automatic == "SAME_UPPER" else n - n // 2 for n in total)
    else:
        before = stated.before
        size = [n - a - b for n, a, b in zip(full, before, stated.after, strict=True)]
    if min(size) < 1:
        raise NetworkError(f"an output of {size} is empty")
    geometry = replace(stated, before=before, after=before)
    groups = int(attributes.get("group", 1))
    return windowed.transposed(builder, x, weight, builder.optional(node.get(2)), geometry, size, groups)


def _pool(builder: OnnxBuilder, node: Node) -> str:
    x, kernel = node.tensor(), [int(n) for n in node.attributes["kernel_shape"]]
    if len([name for name in node.outputs if name]) > 1:
        raise NetworkError("the indices of a maximum pooling are not known")
    return windowed.pool(
        builder,
        x,
        "maximum" if node.operator == "MaxPool" else "average",
        kernel,
        _geometry(builder, node, x, kernel),
        count_padding=bool(node.attributes.get("count_include_pad", 0)),
        ceil=bool(node.attributes.get("ceil_mode", 0)),
    )


def _global_pool(builder: OnnxBuilder, node: Node) -> str:
    x = node.tensor()
    function = "maximum" if node.operator == "GlobalMaxPool" else "mean"
    return builder.reduce(x, function, range(2, len(builder.shape(x))), keep=True)


def _power_pool(builder: OnnxBuilder, node: Node) -> str:
    """Append the p-th root of the sum of |x|^p over windows (LpPool), or over the whole image (GlobalLpPool)."""
    x, p = node.tensor(), float(node.attributes.get("p", 2))
    if node.attributes.get("ceil_mode", 0):
        raise NetworkError("a pooling by powers with ceil_mode is not known")
    size = builder.activation(x, "absolute", part="size")
    powers = builder.activation(size, "power", {"exponent": p}, "power")
    if node.operator == "GlobalLpPool":
        total = builder.reduce(powers, "sum", range(2, len(builder.shape(x))), keep=True, part="sum")
    else:
        kernel = [int(n) for n in node.attributes["kernel_shape"]]
        geometry = _geometry(builder, node, x, kernel)
        mean = windowed.pool(builder, powers, "average", kernel, geometry, count_padding=True, ceil=False)
        total = builder.scale_shift(mean, float(math.prod(kernel)), 0.0, "sum")
    return builder.activation(total, "power", {"exponent": 1.0 / p})


def _fold(builder: OnnxBuilder, node: Node) -> str:
    """Append Col2Im."""
    image, kernel = node.listed(1, "", "the image's shape"), node.listed(2, "", "the block's shape")
    return windowed.fold(builder, node.tensor(), image, kernel, _stated(node, len(kernel)))


WINDOW: dict[str, Handler] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("LpPool", "GlobalLpPool"), _power_pool),
    "Col2Im": _fold,
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
}
