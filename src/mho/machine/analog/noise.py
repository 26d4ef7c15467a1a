"""Noise that is new at every conversion: read noise of the cells, and what an ADC's effective bits leave out.

Each conversion has a number of its own (sample, window, input-bit step, column), and its noise is a function of that number and
a key alone, so that it depends neither on the order of execution nor on how samples are batched.

The normal deviate is the sum of four quantiles, each chosen by 12 bits of a 64-bit hash of the number, divided by 2. Its mean is 0
and its variance 1 exactly; the fourth cumulant of such a sum is a quarter of that of one term.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import ndtri

QUANTILES = 1 << 12
CONVERSIONS = 0x0C0
"""What the draws of conversions are keyed by."""


@lru_cache(maxsize=1)
def quantiles() -> npt.NDArray[np.float64]:
    """Return the middles of QUANTILES equally likely parts of a normal distribution, scaled to variance 1."""
    middles = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    return np.asarray(middles / np.sqrt(np.mean(middles**2)))


def key(seed: int, layer: int, block: int, group: int) -> np.uint64:
    """Return the key of a block's conversions in a group."""
    sources = np.random.SeedSequence(seed, spawn_key=(CONVERSIONS, layer, block, group))
    return np.uint64(sources.generate_state(1, np.uint64)[0])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _hash(number: Any) -> Any:
    """Mix the bits of a 64-bit number (the finalizer of SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@njit(cache=True)  # type: ignore[untyped-decorator]
def add_normal(sums: Any, spread: Any, numbers: Any, key: Any, table: Any) -> None:
    """Add to sums (windows, columns) normal noise of spread (windows, columns).

    numbers: uint64 (windows,), the number of each window's first conversion; the next columns follow it.
    """
    mask = np.uint64(table.size - 1)
    for w in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            bits = _hash(_hash(numbers[w] + np.uint64(j)) ^ key)
            drawn = table[bits & mask]
            drawn += table[(bits >> np.uint64(12)) & mask]
            drawn += table[(bits >> np.uint64(24)) & mask]
            drawn += table[(bits >> np.uint64(36)) & mask]
            sums[w, j] += 0.5 * drawn * spread[w, j]
