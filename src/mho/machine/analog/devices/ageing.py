"""What time does to a programmed cell: drift as a power law, and relaxation that spreads cells around their conductance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mho.machine.analog.devices.curve import Curve, FloatArray, Window


@dataclass(frozen=True)
class Drift:
    """g(t) = g(t0) (t / t0)^-nu, each cell with its nu, normal with mean `nu` and standard deviation `nu_spread`.

    Before t0 nothing drifts. Both may depend on the programmed level.
    """

    t0_s: float
    nu: Curve
    nu_spread: Curve

    @property
    def exact(self) -> bool:
        """Whether nothing drifts, at any age."""
        return self.nu.zero and self.nu_spread.zero

    def factor(
        self, age_s: float, levels: np.ndarray, states: FloatArray, window: Window, normal: FloatArray
    ) -> FloatArray:
        """Return what conductances are multiplied by; states (L,) of the levels, one standard normal number a cell."""
        exponent = self.nu(states, window)[levels] + self.nu_spread(states, window)[levels] * normal
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(-math.log(age_s / self.t0_s) * exponent))


@dataclass(frozen=True)
class Relaxation:
    """A shift and a normal error that depend on the logarithm of time: at each of `times_s` its shift and sigma.

    Between two times both are straight lines in ln t. With one time there is a slope: sigma(t) = sigma + slope ln(t / t0). An age
    below the first time counts as the first time, for nothing was measured before. A cell keeps its one normal number,
    so that its error grows as the spread does.
    """

    times_s: tuple[float, ...]
    sigmas: tuple[Curve, ...]
    shifts: tuple[Curve, ...]
    sigma_slope: Curve | None = None
    shift_slope: Curve | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing relaxes, at any age."""
        slopes = [slope for slope in (self.sigma_slope, self.shift_slope) if slope is not None]
        return all(curve.zero for curve in (*self.sigmas, *self.shifts, *slopes))

    def at(self, age_s: float, states: FloatArray, window: Window) -> tuple[FloatArray, FloatArray]:
        """Return shift and sigma at an age, as shares of the range, each of the shape of the states."""
        elapsed = max(age_s, self.times_s[0])
        return (
            self._one(self.shifts, self.shift_slope, elapsed, states, window),
            self._one(self.sigmas, self.sigma_slope, elapsed, states, window),
        )

    def _one(
        self, curves: tuple[Curve, ...], slope: Curve | None, elapsed: float, states: FloatArray, window: Window
    ) -> FloatArray:
        if slope is not None:
            return curves[0](states, window) + slope(states, window) * math.log(elapsed / self.times_s[0])
        k = max(i for i, time in enumerate(self.times_s) if time <= elapsed)
        first = curves[k](states, window)
        if k + 1 == len(curves):
            return first
        share = math.log(elapsed / self.times_s[k]) / math.log(self.times_s[k + 1] / self.times_s[k])
        return first + share * (curves[k + 1](states, window) - first)
