"""A number that may depend on the state of a cell: constant, polynomial or other closed form, or points joined by lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


CLOSED: Mapping[str, Callable[[FloatArray, float, float], FloatArray]] = {
    "logarithm": lambda x, a, b: a + b * np.log(x),
    "power": lambda x, a, b: a * np.power(x, b),
    "saturation": lambda x, a, b: a * (1.0 - np.exp(-x / b)),
}
"""Closed forms of two numbers a and b: a + b ln x, a x^b, and a (1 - exp(-x / b))."""


@dataclass(frozen=True)
class Curve:
    """A number as a function of the state x, which is 0 for a cell that is off and 1 for one that is on.

    `values`: the constant; the coefficients, lowest order first; the values at the arguments `at`, which increase; or the two
    numbers of a closed form. The argument is x, or where `per_s` is given the conductance divided by so many siemens. `limits`:
    what is below or above them counts as them.

    `unit`: "range", shares of on - off; "conductance", shares of the cell's own conductance; "siemens", with `factor` the
    siemens of one unit; "log", added to a logarithm; "number", a number without unit.
    """

    form: Literal["constant", "polynomial", "points", "logarithm", "power", "saturation"]
    values: tuple[float, ...]
    unit: Literal["range", "conductance", "siemens", "log", "number"]
    at: tuple[float, ...] = ()
    per_s: float | None = None
    factor: float = 1.0
    limits: tuple[float, float] | None = None

    @property
    def zero(self) -> bool:
        """Say whether the number is 0 in every state."""
        # The second number of a power or of a saturation says how, not how much.
        amounts = self.values[:1] if self.form in ("power", "saturation") else self.values
        return not any(amounts) and (self.limits is None or self.limits[0] <= 0 <= self.limits[1])

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
        elif self.form in CLOSED:
            # What is infinite of a cell that does not conduct is cut to the limits.
            with np.errstate(divide="ignore"):
                numbers = CLOSED[self.form](self.argument(state, window), *self.values)
        else:
            numbers = np.polynomial.polynomial.polyval(self.argument(state, window), self.values)
        if self.limits is not None:
            numbers = np.clip(numbers, *self.limits)
        if self.unit == "conductance":
            numbers = numbers * (state + window.pedestal)
        elif self.unit == "siemens":
            numbers = numbers * (self.factor / window.range_s)
        return np.asarray(numbers, dtype=np.float64)


NO_SHARE, NOTHING = Curve("constant", (0.0,), "range"), Curve("constant", (0.0,), "number")
"""What is 0 in every state: a share of the range, and a number."""
