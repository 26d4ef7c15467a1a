"""Drift: the conductance of a programmed cell follows a power law of time."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mho.errors import DeviceError
from mho.machine.analog.devices.curve import NOTHING, Curve, FloatArray
from mho.machine.analog.devices.fields import Amount, Curved
from mho.machine.analog.devices.law import Cells, Law, Writes


class Drift(Law):
    """g(t) = g(t0) (t / t0)^-nu, each cell with its nu, normal with mean `nu` and standard deviation `nu_spread`.

    Before t0 nothing drifts. Both may depend on the programmed level.
    """

    number: ClassVar[int] = 0xDE04
    ages: ClassVar[bool] = True

    t0_s: Annotated[float, Amount("time", above=True), Field(description="time from which on cells drift")]
    nu: Annotated[Curve, Curved(("number",), signed=True), Field(description="exponent")]
    nu_spread: Annotated[Curve, Curved(("number",)), Field(description="its spread from cell to cell")] = NOTHING

    @property
    def exact(self) -> bool:
        """True if nothing drifts, at any age."""
        return self.nu.zero and self.nu_spread.zero

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if cells have begun to drift, each by another exponent."""
        return age_s > self.t0_s and not self.nu_spread.zero

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Multiply by (age / t0)^-nu. Raises DeviceError where that grows without limit."""
        if self.exact or cells.age_s <= self.t0_s:
            return conductance
        nu, spread = self.nu(cells.states, cells.window), self.nu_spread(cells.states, cells.window)
        exponent = nu[cells.levels] + spread[cells.levels] * cells.draws.normal(self.number)
        with np.errstate(over="ignore"):
            drifted = conductance * np.exp(-math.log(cells.age_s / self.t0_s) * exponent)
        if not np.all(np.isfinite(drifted)):
            raise DeviceError(f"{cells.device}: drift: conductances grow without limit within {cells.age_s:g} s")
        return np.asarray(drifted)
