"""Products of real matrices that are the same on any number of threads and on any processor.

BLAS adds up in an order of its own, which follows threads and processors, and the last digits of its sums with it; what is
decided by such sums, as which basis vector comes next, is then decided otherwise. Here operands are first rounded to a grid so
coarse that every partial sum of their products is a multiple of the products' grid that float64 holds: exact in any order
(pre-rounding: Rump, Ogita, Oishi, SIAM J. Sci. Comput. 2008; Demmel and Nguyen, ARITH 2013).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mho.network.layers import MatrixLayer
from mho.network.products import multiply

FloatArray = npt.NDArray[np.float64]

DIGITS = 53
"""Bits of the significand of float64."""


def gridded(values: npt.NDArray[np.floating], bits: int, axis: int | tuple[int, ...] | None = None) -> FloatArray:
    """Round to multiples of a power of two, of at most `bits` bits without sign: one power along `axis`, or one for all."""
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    step = np.ldexp(1.0, np.maximum(np.frexp(largest)[1] - bits, -900))
    return np.asarray(np.rint(values / step) * step, dtype=np.float64)


def product(left: FloatArray, right: FloatArray, bits: int | None = None) -> FloatArray:
    """Multiply (..., m, K) by (..., K, n), both rounded so that sums are exact: K of 1,000 leaves each operand 21 bits and sign.

    `bits`: what the magnitudes of integers on the left take; the right has the rest.
    """
    room = DIGITS - max(left.shape[-1] - 1, 0).bit_length()
    if bits is None:
        # Both alike, so that a matrix times its own transpose stays symmetric.
        return np.asarray(np.matmul(gridded(left, room // 2, axis=-1), gridded(right, room // 2, axis=-2)))
    return np.asarray(np.matmul(left, gridded(right, room - bits, axis=-2)))


def layer_products(layer: MatrixLayer, x: FloatArray, weight: FloatArray) -> FloatArray:
    """Multiply a layer's input by its matrices (groups, K, N), as `multiply` does, both rounded so that sums are exact."""
    bits = (DIGITS - math.ceil(math.log2(layer.rows))) // 2
    return np.asarray(multiply(layer, gridded(x, bits), np.ascontiguousarray(gridded(weight, bits, axis=1))))


__all__ = ["DIGITS", "gridded", "layer_products", "product"]
