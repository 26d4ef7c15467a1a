"""Noise that is new at every conversion: read noise of the cells, and what an ADC's effective bits leave out.

Each conversion has a number of its own (sample, window, input-bit step, column), and its noise is a function of that number and
a key alone, so that it depends neither on the order of execution nor on how samples are batched.

The normal deviate is the sum of two quantiles, each chosen by 12 bits of a 64-bit hash of the number, divided by the square root of
2. Its mean is 0 and its variance 1 exactly, and it reaches 5.2 deviations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

QUANTILES = 1 << 12
HALF_ROOT = float(np.sqrt(0.5))
CONVERSIONS = 0x0C0
"""Key of the random draws of conversions."""


@lru_cache(maxsize=1)
def quantiles() -> npt.NDArray[np.float64]:
    """Return the middles of QUANTILES equally likely parts of a normal distribution, scaled to variance 1."""
    from scipy.special import ndtri

    middles = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    return np.asarray(middles / np.sqrt(np.mean(middles**2)))


def key(seed: int, layer: int, block: int, group: int) -> np.uint64:
    """Return the key of a block's conversions in a group."""
    sources = np.random.SeedSequence(seed, spawn_key=(CONVERSIONS, layer, block, group))
    return np.uint64(sources.generate_state(1, np.uint64)[0])


def following(key: np.uint64, number: int) -> np.uint64:
    """Return the key of a block's conversions in a further turn, or of a further byte of its inputs; its own for number 0."""
    if not number:
        return key
    return np.uint64(np.random.SeedSequence([int(key), number]).generate_state(1, np.uint64)[0])


@njit(cache=True)  # type: ignore[untyped-decorator]
def normal(number: Any, key: Any, table: Any) -> Any:
    """Return the normal deviate of a number (uint64): SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from seed `key`."""
    bits = key + number * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return (table[bits >> np.uint64(52)] + table[(bits >> np.uint64(40)) & np.uint64(QUANTILES - 1)]) * HALF_ROOT


@njit(cache=True)  # type: ignore[untyped-decorator]
def add_normal(sums: Any, spread: Any, numbers: Any, key: Any, table: Any) -> None:
    """Add to sums (windows, columns) normal noise of spread (windows, columns).

    numbers: uint64 (windows,), the number of each window's first conversion; the next columns follow it.
    """
    for w in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            sums[w, j] += spread[w, j] * normal(numbers[w] + np.uint64(j), key, table)
