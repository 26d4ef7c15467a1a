"""Conversion by conversion, as the hardware does it, in the plainest form: what every faster way must equal.

For each input-bit step the driven digits times the columns give integers (levels, or fixed-point conductances), which float64
adds exactly in any order; the ADC turns each into a code; codes are shifted by the step's significance and added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.analog.converter import codes

Bytes = npt.NDArray[np.uint8]


def planes(bits: int, input_bits: int) -> int:
    """Input-bit steps of a window with `bits` a step."""
    return -(-input_bits // bits)


def convert(
    x: Bytes,
    weights: npt.NDArray[np.int64],
    gain: npt.NDArray[np.float32],
    offset: npt.NDArray[np.float32],
    dac_bits: int,
    input_bits: int,
    low: int,
    high: int,
) -> tuple[npt.NDArray[np.int64], int]:
    """Convert windows x (windows, height) through columns weights (height, columns).

    Returns the codes of all steps, each times the significance of its step, added: (windows, columns); and how many of the
    conversions clipped.
    """
    total = np.zeros((len(x), weights.shape[1]), dtype=np.int64)
    clipped = 0
    wide = weights.astype(np.float64)
    for step in range(planes(dac_bits, input_bits)):
        digits: npt.NDArray[Any] = (x >> np.uint8(step * dac_bits)) & np.uint8(2**dac_bits - 1)
        found, over = codes(digits.astype(np.float64) @ wide, gain, offset, low, high)
        total += found << (step * dac_bits)
        clipped += over
    return total, clipped
