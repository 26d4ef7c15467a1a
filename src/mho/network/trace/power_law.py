"""A discrete power law fitted to counts by maximum likelihood.

Source: Clauset, Shalizi, Newman, Power-law distributions in empirical data, SIAM Review 51 (2009), section 3:
p(x) = x^-alpha / zeta(alpha, x_min) for whole x >= x_min. alpha maximises the likelihood (eq. 3.5), x_min minimises the greatest
distance D between the two cumulative distributions from x_min on (eq. 3.9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_VALUES = 50
"""Counts that a fit takes, at the least: with fewer any line fits (their section 3.3 warns below about 50)."""
MOST_STARTS = 100
"""Values tried for x_min: all, where there are no more, else so many of them evenly spread in the logarithm."""
EXPONENTS = (1.01, 12.0)
"""Between which alpha is sought."""


@dataclass(frozen=True)
class PowerLaw:
    """`alpha`: the exponent of the counts; `least`: x_min; `distance`: D; `share`: of the counts that are at least x_min."""

    alpha: float
    least: int
    distance: float
    share: float

    @property
    def zipf(self) -> float:
        """Return the exponent of frequency over rank that belongs to alpha: 1 / (alpha - 1)."""
        return 1 / (self.alpha - 1)


def fit(values: npt.NDArray[np.int64], number: npt.NDArray[np.int64]) -> PowerLaw | None:
    """Fit counts: `number` of them have each of `values`, which rise from 1 on. None where fewer than 50 counts, or all equal."""
    from scipy.special import zeta

    total = int(number.sum())
    above = np.cumsum(number[::-1])[::-1]
    starts = np.flatnonzero(above >= LEAST_VALUES)
    starts = starts[starts < len(values) - 1]
    if not len(starts):
        return None
    if len(starts) > MOST_STARTS:
        places = np.geomspace(1, values[starts[-1]], MOST_STARTS)
        starts = starts[np.unique(np.clip(np.searchsorted(values[starts], places), 0, len(starts) - 1))]
    logs = np.cumsum((number * np.log(values))[::-1])[::-1]
    best: PowerLaw | None = None
    for start in starts.tolist():
        least, count = int(values[start]), int(above[start])
        alpha = _likeliest(count, float(logs[start]), least)
        tail = values[start:]
        whole = zeta(alpha, least)
        reached = above[start:] / count
        beyond = np.append(reached[1:], 0.0)
        # Both are steps: they differ most at a value that occurs, or just after it.
        distance = max(
            float(np.abs(reached - zeta(alpha, tail) / whole).max()),
            float(np.abs(beyond - zeta(alpha, tail + 1) / whole).max()),
        )
        if best is None or distance < best.distance:
            best = PowerLaw(alpha, least, distance, count / total)
    return best


def _likeliest(count: int, logs: float, least: int) -> float:
    """Return the alpha of the greatest likelihood, of `count` counts with a sum of logarithms `logs`."""
    from scipy.optimize import minimize_scalar
    from scipy.special import zeta

    optimum = minimize_scalar(
        lambda alpha: count * np.log(zeta(alpha, least)) + alpha * logs,
        bounds=EXPONENTS,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(optimum.x)
