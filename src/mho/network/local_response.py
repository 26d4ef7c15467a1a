"""Local response normalisation, as AlexNet and GoogLeNet have it, in the vector layers that it is made of."""

from __future__ import annotations

import math

from mho.network.builder import Builder


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
