"""Functions that both standards have and that are several layers here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mho.errors import NetworkError, choices
from mho.network.builder import Builder
from mho.network.geometry import Shape, bounded

PLAIN: Mapping[str, str] = {
    "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "mish": "mish", "erf": "erf", "exp": "exp", "log": "log",
    "sqrt": "sqrt", "reciprocal": "reciprocal", "neg": "negate", "abs": "absolute", "sin": "sine", "cos": "cosine",
    "tan": "tangent", "asin": "arcsine", "acos": "arccosine", "atan": "arctangent", "sinh": "hyperbolic_sine",
    "cosh": "hyperbolic_cosine", "asinh": "area_sine", "acosh": "area_cosine", "atanh": "area_tangent", "floor": "floor",
    "ceil": "ceiling", "sign": "sign", "softsign": "softsign",
}  # fmt: skip
"""Functions of one element without parameters by torch's name; ONNX's begins with a capital."""
PADDINGS = ("constant", "reflect", "edge", "wrap")
"""By a value; by mirroring at the edge element; by repeating it; by going round."""
Step = tuple[str, Mapping[str, float], str | None]
"""A function of one element, its parameters, and the part of the scope that it is called by."""


def chain(builder: Builder, x: str, *steps: Step) -> str:
    """Append functions of one element, each of what the one before it makes."""
    for function, parameters, part in steps:
        x = builder.activation(x, function, parameters, part)
    return x


def scale(factor: float, shift: float = 0.0) -> dict[str, float]:
    """Return the parameters of x * factor + shift."""
    return {"scale": factor, "shift": shift}


def celu(builder: Builder, x: str, alpha: float) -> str:
    """Append max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    steps: tuple[Step, ...] = (
        ("scale_shift", scale(1.0 / alpha), "scale"), ("elu", {"alpha": 1.0}, "elu"), ("scale_shift", scale(alpha), None),
    )  # fmt: skip
    return chain(builder, x, *steps)


def selu(builder: Builder, x: str, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> str:
    """Append gamma elu(x, alpha), with the two constants of Klambauer et al. (2017), Self-normalizing networks."""
    return chain(builder, x, ("elu", {"alpha": alpha}, "elu"), ("scale_shift", scale(gamma), None))


def log_sum_exp(builder: Builder, x: str, axes: Sequence[int], *, keep: bool) -> str:
    """Append the largest + log of the sum of exp(x - largest)."""
    largest = builder.reduce(x, "maximum", axes, keep=True, part="maximum")
    powers = builder.activation(builder.elementwise("subtract", x, largest, "less"), "exp", part="exp")
    total = builder.activation(builder.reduce(powers, "sum", axes, keep=keep, part="sum"), "log", part="log")
    return builder.elementwise("add", total, builder.reshape(largest, builder.shape(total), "largest"))


def variance(builder: Builder, x: str, axes: Sequence[int], *, keep: bool) -> tuple[str, str]:
    """Append x - mean over axes, and the mean of its squares; return both."""
    mean = builder.reduce(x, "mean", axes, keep=True, part="mean")
    centred = builder.elementwise("subtract", x, mean, "centred")
    square = builder.elementwise("multiply", centred, centred, "square")
    return centred, builder.reduce(square, "mean", axes, keep=keep, part="variance")


def rearranged(builder: Builder, x: str, apart: Shape, order: Sequence[int], shape: Shape) -> str:
    """Append values whose axes are taken apart, permuted, and joined to a shape again."""
    return builder.reshape(builder.transpose(builder.reshape(x, apart, "apart"), order, "transpose"), shape)


def repeated(builder: Builder, x: str, apart: Sequence[int], wide: Sequence[int], shape: Sequence[int]) -> str:
    """Append values repeated along axes of length 1 that they are given first (`apart`, then `wide`), joined to a shape."""
    return builder.reshape(builder.expand(builder.reshape(x, apart, "apart"), wide, "expand"), shape)


def tiled(builder: Builder, x: str, shape: Sequence[int], repeats: Sequence[int]) -> str:
    """Append values of a shape, whole axes repeated: a new axis of the repeats before each, joined with it afterwards."""
    pairs = list(zip(shape, repeats, strict=True))
    apart, wide = [size for n, _ in pairs for size in (1, n)], [size for n, r in pairs for size in (r, n)]
    return repeated(builder, x, apart, wide, [n * r for n, r in pairs])


def local_response(
    builder: Builder, x: str, size: int, alpha: float, beta: float, bias: float, *, more_before: bool
) -> str:
    """Append x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012, 3.3).

    Channels are axis 1. Of an even number of neighbours one more lies behind a channel (ONNX), or before it (torch).
    """
    shape = builder.shape(x)
    rows = (shape[0], 1, shape[1], math.prod(shape[2:]))
    short, long = (size - 1) // 2, size // 2
    before, behind = (long, short) if more_before else (short, long)
    square = builder.activation(x, "power", {"exponent": 2.0}, "square")
    means = builder.pool(
        builder.reshape(square, rows, "rows"), "average", (size, 1), (1, 1), (before, 0, behind, 0), part="mean"
    )
    scale = builder.scale_shift(builder.reshape(means, shape, "image"), alpha, bias, "scale")
    return builder.elementwise("multiply", x, builder.activation(scale, "power", {"exponent": -beta}, "power"))


def pad(
    builder: Builder, x: str, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
) -> str:
    """Append a padding. All modes but "constant" move values only (`Take`)."""
    if mode not in PADDINGS:
        raise NetworkError(f"padding mode {mode!r} is not known; {choices(mode, PADDINGS)}")
    for axis, (front, behind) in enumerate(zip(before, after, strict=True)):
        low, high = max(0, -front), max(0, -behind)
        if low or high:
            x = builder.slice(x, axis, low, builder.shape(x)[axis] - high, part="cut")
    widths = [(max(0, front), max(0, behind)) for front, behind in zip(before, after, strict=True)]
    if mode == "constant":
        return builder.pad(x, [front for front, _ in widths], [behind for _, behind in widths], value=value)
    wide = [axis for axis, width in enumerate(widths) if any(width)]
    for axis in wide:
        bounded(builder.shape(x)[axis] + sum(widths[axis]), "a padded axis")
        places = np.pad(np.arange(builder.shape(x)[axis]), widths[axis], mode=mode)  # type: ignore[call-overload]
        x = builder.take(x, axis, places.tolist(), None if axis == wide[-1] else f"axis_{axis}")
    return x
