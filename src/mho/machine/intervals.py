"""Intervals of confidence: of a mean over chips, and of a share of samples. They answer different questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """Mean of several numbers, their standard deviation, and half the interval of the mean; None where one number is all."""

    mean: float
    deviation: float | None
    half: float | None


def student(values: Sequence[float], confidence: float = CONFIDENCE) -> Mean:
    """Return the mean and its interval where the numbers are independent and normal ("Student", Biometrika 6, 1908).

    half = t s / sqrt(n), s the standard deviation with n - 1 in its denominator, t the quantile with n - 1 degrees of freedom.
    """
    from scipy.special import stdtrit

    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Mean(mean, None, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    quantile = float(stdtrit(count - 1, (1 + confidence) / 2))
    return Mean(mean, deviation, quantile * deviation / math.sqrt(count))


def wilson(share: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of a probability of which `share` of `count` trials came true (Wilson, JASA 22, 1927, eq. 1).

    It lies within 0 to 1, and has a width where the share is 0 or 1.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    weight = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # At a share of 0 or 1 the end is 0 or 1, but for rounding.
    return (0.0 if share == 0 else middle - half, 1.0 if share == 1 else middle + half)
