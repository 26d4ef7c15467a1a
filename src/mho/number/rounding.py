"""Coding real numbers in one compiled pass: the same numbers as `affine.encode` gives in several."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)  # type: ignore[untyped-decorator]
def encode_flat(real: Any, scale: Any, zero: Any, low: Any, high: Any, codes: Any) -> Any:
    """Write clip(rint(real / scale) + zero, low, high) of float64 values into codes; False where a value is NaN."""
    fine = True
    for i in range(real.size):
        step = np.rint(real[i] / scale) + zero
        fine &= step == step
        codes[i] = min(max(step, low), high)
    return fine
