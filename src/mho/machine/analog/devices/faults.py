"""Cells that no longer obey: stuck since they were made, or at the end of their endurance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from mho.machine.analog.devices.curve import FloatArray

WORKS, STUCK_OFF, STUCK_ON = 0, 1, 2
"""What a fault map holds for each cell."""


@dataclass(frozen=True)
class Stuck:
    """Shares of cells that are stuck on and off from the beginning."""

    on_share: float
    off_share: float

    def find(self, uniform: FloatArray) -> npt.NDArray[np.uint8]:
        """Return the fault map, of the shape of the uniform numbers in [0, 1).

        The two ends of the interval are taken, so that each share alone decides which cells it takes.
        """
        found = np.zeros(uniform.shape, dtype=np.uint8)
        found[uniform < self.on_share] = STUCK_ON
        # At on + off = 1 rounding may let the two ends meet: the cell stays on, as at any smaller share off.
        found[(uniform >= 1.0 - self.off_share) & (found == WORKS)] = STUCK_OFF
        return found


@dataclass(frozen=True)
class Endurance:
    """Writes to failure, with a median and the standard deviation `spread` of their natural logarithm.

    lognormal: ln N is normal. weibull: shape k = pi / (sqrt(6) spread) and scale median / (ln 2)^(1/k), for ln N then has standard
    deviation pi / (sqrt(6) k) (Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1, chapter 21).
    A failed cell is what `mode` says.
    """

    kind: Literal["lognormal", "weibull"]
    median: float
    spread: float
    mode: Literal["stuck_on", "stuck_off"]

    def failed_share(self, writes: FloatArray) -> FloatArray:
        """Return the probability that a cell has failed after so many writes, for writes of any shape."""
        writes = np.asarray(writes, dtype=np.float64)
        if math.isinf(self.median):
            return np.zeros(writes.shape)
        if self.spread == 0:
            return np.where(writes >= self.median, 1.0, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            ratio = np.log(writes / self.median)
            if self.kind == "lognormal":
                return np.asarray(ndtr(ratio / self.spread))
            shape = math.pi / (math.sqrt(6.0) * self.spread)
            return np.asarray(-np.expm1(-math.log(2.0) * np.exp(shape * ratio)))

    @property
    def stuck(self) -> int:
        """What the fault map holds for a failed cell."""
        return STUCK_ON if self.mode == "stuck_on" else STUCK_OFF
