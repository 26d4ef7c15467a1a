"""Affine codes: real = scale * (code - zero).

The format and the choice of zero point are those of ARAS (Sec. V-C, equation 6): q = round(w / s) + z, where
the range contains zero, so that real zero (padding, a rectified activation, a pruned weight) has a code of
its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError
from mho.network.layers import Affine

FloatArray = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer[Any]]

LARGE = 1 << 14
"""Elements from which coding in one compiled pass is worth its call."""
NOT_A_NUMBER = "a value that is not a number (NaN) cannot be coded"
SMALLEST = float(np.finfo(np.float32).tiny)
"""Scales are never below this, so that dividing by one cannot overflow for values in the range of float32."""


def code_dtype(code: Affine) -> np.dtype[Any]:
    """Return the smallest integer type that holds every code from low to high."""
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32"):
        limits = np.iinfo(name)
        if limits.min <= code.low and code.high <= limits.max:
            return np.dtype(name)
    return np.dtype(np.int64)


def _along(values: npt.NDArray[Any], code: Affine, rank: int) -> npt.NDArray[Any]:
    """Arrange the scales or zeros of a code per channel so that they broadcast along its axis."""
    if code.axis is None:
        return values
    shape = [1] * rank
    shape[code.axis] = -1
    return values.reshape(shape)


def encode(real: npt.NDArray[Any], code: Affine) -> IntegerArray:
    """Code real numbers: clip(rint(real / scale) + zero, low, high), in float64, halves to even.

    Infinities take the end of the range. Raise NumberError where a value is not a number.
    """
    if code.axis is None and real.size >= LARGE and real.dtype == np.float64 and real.flags.c_contiguous:
        from mho.number.rounding import encode_flat

        codes = np.empty(real.shape, dtype=code_dtype(code))
        if not encode_flat(
            real.reshape(-1), float(code.scale), float(code.zero), code.low, code.high, codes.reshape(-1)
        ):
            raise NumberError(NOT_A_NUMBER)
        return codes
    scale, zero = _along(code.scale, code, real.ndim), _along(code.zero, code, real.ndim)
    steps = np.divide(real, scale, dtype=np.float64)
    steps = np.asarray(steps)
    np.rint(steps, out=steps)
    steps += zero
    np.clip(steps, code.low, code.high, out=steps)
    if steps.size and np.isnan(steps.min()):
        raise NumberError(NOT_A_NUMBER)
    return steps.astype(code_dtype(code))


def decode(codes: npt.NDArray[Any], code: Affine) -> FloatArray:
    """Return the real numbers that codes stand for: scale * (code - zero), in float64."""
    real = np.asarray(codes.astype(np.float64))
    real -= _along(code.zero, code, codes.ndim)
    real *= _along(code.scale, code, codes.ndim)
    return real


def rebase(code: Affine) -> Affine:
    """Shift a code so that it starts at 0: low' = 0, high' = high - low, zero' = zero - low. The reals
    stay the same.
    """
    if code.low == 0:
        return code
    return Affine(code.scale, code.zero - code.low, 0, code.high - code.low, code.axis)


def same_code(first: Affine | None, second: Affine | None) -> bool:
    """Return whether two codes give every integer the same meaning; no code is the same as no code."""
    if first is None or second is None or first is second:
        return first is second
    return (
        (first.low, first.high, first.axis) == (second.low, second.high, second.axis)
        and np.array_equal(first.scale, second.scale)
        and np.array_equal(first.zero, second.zero)
    )


def fit(minimum: float, maximum: float, bits: int = 8, symmetric: bool = False) -> Affine:
    """Choose an unsigned code of `bits` bits for reals from `minimum` to `maximum` that holds real 0 exactly.

    The range is first widened to contain 0. Then scale = (maximum - minimum) / (2^bits - 1) and zero =
    rint(-minimum / scale) (ARAS, equation 6). `symmetric`: zero = 2^(bits - 1) and scale = max(|minimum|,
    |maximum|) / (2^(bits - 1) - 1). A range of nothing but 0 takes scale 1; scales are never below the
    smallest normal float32. A code of 1 bit stands for 0 and for the end of the range that is farther from it: real 0 has a
    code, and zeros are whole numbers, so that no such code has both signs. Raise NumberError for a range that is empty or not
    finite, and for bits outside 1..16, or 2..16 where `symmetric`.
    """
    scale, zero = fit_many(np.asarray(minimum), np.asarray(maximum), bits, symmetric)
    return Affine(scale, zero, 0, 2**bits - 1)


def fit_centred(minimum: float, maximum: float, bits: int = 8) -> Affine:
    """Choose a code as `fit`, but one whose middle is 0 where the range has negative reals: -m to m, m = 2^(bits - 1) - 1 steps.

    So each sign takes a bit less than the code, as suits chips that drive inputs with a sign. One bit has no such middle.
    """
    if bits < 2 or minimum >= 0:
        return fit(minimum, maximum, bits)
    scale, _ = fit_many(np.asarray(minimum), np.asarray(maximum), bits, symmetric=True)
    middle = 2 ** (bits - 1) - 1
    return Affine(scale, np.asarray(middle), 0, 2 * middle)


def fit_many(
    minimum: npt.NDArray[Any], maximum: npt.NDArray[Any], bits: int = 8, symmetric: bool = False
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Choose the scales and zeros of `fit` for many ranges at once (arrays of one shape)."""
    fewest = 2 if symmetric else 1
    if not fewest <= bits <= 16:
        raise NumberError(f"{'symmetric codes' if symmetric else 'codes'} have {fewest} to 16 bits, not {bits}")
    if not (np.isfinite(minimum).all() and np.isfinite(maximum).all()):
        raise NumberError("a range that is not finite cannot be coded")
    if np.any(minimum > maximum):
        raise NumberError(f"a range from {float(np.max(minimum))} to {float(np.min(maximum))} is empty")
    low = np.minimum(np.asarray(minimum, dtype=np.float64), 0.0)
    high = np.maximum(np.asarray(maximum, dtype=np.float64), 0.0)
    if bits == 1:
        low, high = np.where(high >= -low, 0.0, low), np.where(high >= -low, high, 0.0)
    if symmetric:
        middle = 2 ** (bits - 1)
        width, steps = np.maximum(-low, high), middle - 1
    else:
        width, steps = high - low, 2**bits - 1
    scale = np.asarray(np.where(width > 0, np.maximum(width / steps, SMALLEST), 1.0))
    if symmetric:
        return scale, np.full(scale.shape, middle, dtype=np.int64)
    zero = np.clip(np.rint(-low / scale), 0, steps)
    return scale, np.asarray(zero.astype(np.int64))
