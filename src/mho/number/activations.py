"""The functions of one element each, in float64. One formula a line; these lines define the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
Function = Callable[[FloatArray, Mapping[str, float]], FloatArray]


def _softplus(x: FloatArray) -> FloatArray:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


FUNCTIONS: Mapping[str, Function] = {
    "relu": lambda x, p: np.maximum(x, 0.0),
    "clip": lambda x, p: np.minimum(np.maximum(x, p["low"]), p["high"]),
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
    "negate": lambda x, p: -x,
    "absolute": lambda x, p: np.abs(x),
    "power": lambda x, p: np.power(x, p["exponent"]),
    "sine": lambda x, p: np.sin(x),
    "cosine": lambda x, p: np.cos(x),
    "scale_shift": lambda x, p: x * p["scale"] + p["shift"],
}
"""x is contiguous float64; p holds the layer's parameters. The names are those of
layers.Activation.FUNCTIONS.
"""
