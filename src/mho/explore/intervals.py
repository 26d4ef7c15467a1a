"""Intervals of confidence: of a mean over chips, and of a share of samples. They answer different questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def paired_loss(
    before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return the share of samples that is lost, and the interval of it over samples and chips.

    `before` (samples,) and `after` (chips, samples) say what was right: the same samples, so that only those count that changed
    sides. Over samples: the difference of paired shares with half a sample added to each of the four outcomes (Agresti and Min,
    Statistics in Medicine 24, 2005), which has a width also where no sample changed. Over chips: Student's t of the losses
    of the chips, where there are several. The two add as independent errors do.
    """
    from scipy.special import ndtri

    change = before.astype(np.float64) - after.mean(axis=0)
    count = len(before) + 2
    middle = float(change.sum()) / count
    variance = (float(np.square(change).sum()) + 1) / count - middle**2
    over_samples = float(ndtri((1 + confidence) / 2)) * math.sqrt(max(variance, 0.0) / count)
    over_chips = student((before.mean() - after.mean(axis=1)).tolist(), confidence).half or 0.0
    half = math.hypot(over_samples, over_chips)
    return float(change.mean()), middle - half, middle + half
