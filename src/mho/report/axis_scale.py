"""Where the values of an axis stand on a drawing, and its round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mho.report.sections import Axis
from mho.report.svg import round_step


@dataclass(frozen=True)
class AxisScale:
    """Where values of an axis stand between two places on the drawing, and its round ticks."""

    axis: Axis
    start: float
    end: float

    @property
    def ends(self) -> tuple[float, float]:
        """The axis' ends; a logarithmic one that is too short for ticks is widened."""
        low, high = self.axis.low, self.axis.high
        if self.axis.log and high < 2 * low:
            middle = math.sqrt(low * high)
            return middle / 1.5, middle * 1.5
        return low, high

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high = self.ends
        share = math.log(value / low) / math.log(high / low) if self.axis.log else (value - low) / (high - low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self, most: int) -> list[float]:
        """Return round numbers within: even steps, or powers of ten, of which some are left out, or 2 and 5 times them too."""
        low, high = self.ends

        def holds(value: float) -> bool:
            return low * (1 - 1e-9) <= value <= high * (1 + 1e-9)

        if self.axis.log:
            powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
            inside = [power for power in powers if holds(power)]
            if len(inside) > most:
                return inside[:: -(-len(inside) // most)]
            finer = sorted(digit * power for power in powers for digit in (1, 2, 5) if holds(digit * power))
            if len(finer) >= 3:
                return finer if len(finer) <= most else inside
        step = round_step(high - low, most)
        return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
