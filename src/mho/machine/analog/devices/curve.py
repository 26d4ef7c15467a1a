"""A number that may depend on the state of a cell: constant, polynomial, or points joined by straight lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """The conductances in siemens between which a cell's levels lie; `off_s` is 0 for an infinite on/off ratio."""

    on_s: float
    off_s: float

    @property
    def range_s(self) -> float:
        """Return the range of conductances between off and on, in siemens."""
        return self.on_s - self.off_s

    @property
    def pedestal(self) -> float:
        """Return the conductance of a cell that is off, as a share of the range."""
        return self.off_s / self.range_s


@dataclass(frozen=True)
class Curve:
    """A number as a function of the state x, which is 0 for a cell that is off and 1 for one that is on.

    `values`: the constant; the coefficients, lowest order first; or the values at the arguments `at`, which increase. The
    argument is x, or where `per_s` is given the conductance divided by so many siemens.

    `unit`: "range", shares of on - off; "conductance", shares of the cell's own conductance; "siemens", with `factor` the
    siemens of one unit; "log", added to a logarithm; "number", a number without unit.
    """

    form: Literal["constant", "polynomial", "points"]
    values: tuple[float, ...]
    unit: Literal["range", "conductance", "siemens", "log", "number"]
    at: tuple[float, ...] = ()
    per_s: float | None = None
    factor: float = 1.0

    @property
    def zero(self) -> bool:
        """Say whether the number is 0 in every state."""
        return not any(self.values)

    def argument(self, state: FloatArray, window: Window) -> FloatArray:
        """Return what the polynomial or the points are a function of, for states of any shape."""
        if self.per_s is None:
            return state
        return (window.off_s + state * window.range_s) / self.per_s

    def __call__(self, state: FloatArray, window: Window) -> FloatArray:
        """Return the numbers at states of any shape: conductances as shares of the range, others as they are."""
        if self.form == "constant":
            numbers = np.full(state.shape, self.values[0])
        elif self.form == "points":
            numbers = np.interp(self.argument(state, window), self.at, self.values)
        else:
            numbers = np.polynomial.polynomial.polyval(self.argument(state, window), self.values)
        if self.unit == "conductance":
            numbers = numbers * (state + window.pedestal)
        elif self.unit == "siemens":
            numbers = numbers * (self.factor / window.range_s)
        return np.asarray(numbers, dtype=np.float64)


NO_SHARE, NOTHING = Curve("constant", (0.0,), "range"), Curve("constant", (0.0,), "number")
"""What is 0 in every state: a share of the range, and a number."""
