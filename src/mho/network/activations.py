"""The functions of one element each, in float64. One formula a line; these lines define the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Function = Callable[[AnyArray, Mapping[str, float]], AnyArray]


def _softplus(x: FloatArray) -> FloatArray:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _clip(x: AnyArray, p: Mapping[str, float]) -> AnyArray:
    """min(max(x, low), high); integers stay integers."""
    low, high = p["low"], p["high"]
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        low, high = (int(max(low, limits.min)), int(min(high, limits.max)))
    return np.minimum(np.maximum(x, low), high)


def _infinite(x: AnyArray, p: Mapping[str, float]) -> AnyArray:
    """Return where x is infinite, of the signs that are asked for."""
    return np.isinf(x) & np.where(x > 0, bool(p["positive"]), bool(p["negative"]))


FUNCTIONS: Mapping[str, Function] = {
    "relu": lambda x, p: np.maximum(x, x.dtype.type(0)),
    "clip": _clip,
    "leaky_relu": lambda x, p: np.where(x >= 0.0, x, p["slope"] * x),
    "elu": lambda x, p: np.where(x > 0.0, x, p["alpha"] * np.expm1(np.minimum(x, 0.0))),
    "sigmoid": lambda x, p: special.expit(x),
    "tanh": lambda x, p: np.tanh(x),
    "gelu": lambda x, p: 0.5 * x * (1.0 + special.erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x, p: 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x)))),
    "silu": lambda x, p: x * special.expit(x),
    "hard_sigmoid": lambda x, p: np.minimum(np.maximum(p["alpha"] * x + p["beta"], 0.0), 1.0),
    "hard_swish": lambda x, p: x * np.minimum(np.maximum(x + 3.0, 0.0), 6.0) / 6.0,
    "softplus": lambda x, p: _softplus(x),
    "mish": lambda x, p: x * np.tanh(_softplus(x)),
    "erf": lambda x, p: special.erf(x),
    "exp": lambda x, p: np.exp(x),
    "log": lambda x, p: np.log(x),
    "sqrt": lambda x, p: np.sqrt(x),
    "reciprocal_sqrt": lambda x, p: 1.0 / np.sqrt(x),
    "reciprocal": lambda x, p: 1.0 / x,
    "negate": lambda x, p: np.negative(x),
    "absolute": lambda x, p: np.abs(x),
    "power": lambda x, p: np.power(x, p["exponent"]),
    "sine": lambda x, p: np.sin(x),
    "cosine": lambda x, p: np.cos(x),
    "tangent": lambda x, p: np.tan(x),
    "arcsine": lambda x, p: np.arcsin(x),
    "arccosine": lambda x, p: np.arccos(x),
    "arctangent": lambda x, p: np.arctan(x),
    "hyperbolic_sine": lambda x, p: np.sinh(x),
    "hyperbolic_cosine": lambda x, p: np.cosh(x),
    "area_sine": lambda x, p: np.arcsinh(x),
    "area_cosine": lambda x, p: np.arccosh(x),
    "area_tangent": lambda x, p: np.arctanh(x),
    "floor": lambda x, p: np.floor(x) if x.dtype.kind == "f" else x,
    "ceiling": lambda x, p: np.ceil(x) if x.dtype.kind == "f" else x,
    "round": lambda x, p: np.rint(x) if x.dtype.kind == "f" else x,
    "sign": lambda x, p: np.sign(x),
    "softsign": lambda x, p: x / (1.0 + np.abs(x)),
    "threshold": lambda x, p: np.where(x > p["threshold"], x, 0.0),
    "shrink": lambda x, p: np.where(
        x < -p["threshold"], x + p["bias"], np.where(x > p["threshold"], x - p["bias"], 0.0)
    ),
    "not": lambda x, p: np.invert(x),
    "is_nan": lambda x, p: np.isnan(x),
    "is_infinite": _infinite,
    "scale_shift": lambda x, p: x * p["scale"] + p["shift"],
}
"""x is contiguous float64, or of another type for those in layers.Activation.EXACT; p holds the layer's parameters. The
names are those of layers.Activation.FUNCTIONS.
"""
