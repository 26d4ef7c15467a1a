"""The functions of one element each, in float64. One formula a line; these lines define the arithmetic."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

# scipy.special takes a while to import: `scipy` loads it where it is first used.
AnyArray = npt.NDArray[Any]
Function = Callable[..., AnyArray]


def _softplus(x: AnyArray) -> AnyArray:
    """Return log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _clip(x: AnyArray, low: float, high: float) -> AnyArray:
    """Return min(max(x, low), high); integers stay integers."""
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        low, high = (int(max(low, limits.min)), int(min(high, limits.max)))
    return np.minimum(np.maximum(x, low), high)


def _infinite(x: AnyArray, positive: float, negative: float) -> AnyArray:
    """Return where x is infinite, of the signs that are asked for."""
    return np.isinf(x) & np.where(x > 0, bool(positive), bool(negative))


def _shrink(x: AnyArray, threshold: float, bias: float) -> AnyArray:
    """Move x towards 0 by bias, and to 0 within the threshold."""
    return np.where(x < -threshold, x + bias, np.where(x > threshold, x - bias, 0.0))


FUNCTIONS: Mapping[str, Function] = {
    "relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "clip": _clip,
    "leaky_relu": lambda x, slope: np.where(x >= 0.0, x, slope * x),
    "elu": lambda x, alpha: np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    "sigmoid": lambda x: scipy.special.expit(x),
    "tanh": lambda x: np.tanh(x),
    "gelu": lambda x: 0.5 * x * (1.0 + scipy.special.erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x)))),
    "silu": lambda x: x * scipy.special.expit(x),
    "hard_sigmoid": lambda x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0.0), 1.0),
    "hard_swish": lambda x: x * np.minimum(np.maximum(x + 3.0, 0.0), 6.0) / 6.0,
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "erf": lambda x: scipy.special.erf(x),
    "exp": lambda x: np.exp(x),
    "log": lambda x: np.log(x),
    "sqrt": lambda x: np.sqrt(x),
    "reciprocal_sqrt": lambda x: 1.0 / np.sqrt(x),
    "reciprocal": lambda x: 1.0 / x,
    "negate": lambda x: np.negative(x),
    "absolute": lambda x: np.abs(x),
    "power": lambda x, exponent: np.power(x, exponent),
    "sine": lambda x: np.sin(x),
    "cosine": lambda x: np.cos(x),
    "tangent": lambda x: np.tan(x),
    "arcsine": lambda x: np.arcsin(x),
    "arccosine": lambda x: np.arccos(x),
    "arctangent": lambda x: np.arctan(x),
    "hyperbolic_sine": lambda x: np.sinh(x),
    "hyperbolic_cosine": lambda x: np.cosh(x),
    "area_sine": lambda x: np.arcsinh(x),
    "area_cosine": lambda x: np.arccosh(x),
    "area_tangent": lambda x: np.arctanh(x),
    "floor": lambda x: np.floor(x) if x.dtype.kind == "f" else x,
    "ceiling": lambda x: np.ceil(x) if x.dtype.kind == "f" else x,
    "round": lambda x: np.rint(x) if x.dtype.kind == "f" else x,
    "sign": lambda x: np.sign(x),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "threshold": lambda x, threshold: np.where(x > threshold, x, 0.0),
    "shrink": _shrink,
    "not": lambda x: np.invert(x),
    "is_nan": lambda x: np.isnan(x),
    "is_infinite": _infinite,
    "scale_shift": lambda x, scale, shift: x * scale + shift,
}
"""By name; x is contiguous float64, or of another type for those in layers.Activation.EXACT. What stands behind x are the
parameters of the layer.
"""
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)[1:] for name, function in FUNCTIONS.items()
}
"""Names of each function's parameters."""


def with_number(function: str, c: float, *, turned: bool) -> tuple[str, dict[str, float]] | None:
    """Return the function of x alone, and its parameters, that is function(x, c), or function(c, x) if `turned`; None for none."""
    match function, turned:
        case "maximum", _:
            return "clip", {"low": c, "high": math.inf}
        case "minimum", _:
            return "clip", {"low": -math.inf, "high": c}
        case "add", _:
            scale, shift = 1.0, c
        case "subtract", _:
            scale, shift = (-1.0, c) if turned else (1.0, -c)
        case "multiply", _:
            scale, shift = c, 0.0
        case "divide", False if c != 0.0:
            scale, shift = 1.0 / c, 0.0
        case _:
            return None
    return "scale_shift", {"scale": scale, "shift": shift}
