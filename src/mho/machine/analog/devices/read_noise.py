"""Read noise: every read of a cell finds its conductance with a new normal error."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from mho.machine.analog.devices.curve import Curve, FloatArray, Window
from mho.machine.analog.devices.fields import Curved
from mho.machine.analog.devices.law import Law, Writes


class ReadNoise(Law):
    """A normal error of each read of each cell."""

    sigma: Annotated[Curve, Curved(share=True), Field(description="standard deviation of one read")]

    @property
    def quiet(self) -> bool:
        """True if reads are exact."""
        return self.sigma.zero

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if there is noise."""
        return not self.sigma.zero

    def read_sigma(self, states: FloatArray, window: Window) -> FloatArray | None:
        """Return sigma at the states. A fit says nothing about cells outside the range: they are as noisy as those at its end."""
        if self.sigma.zero:
            return None
        return self.sigma(states if self.sigma.form == "constant" else np.clip(states, 0.0, 1.0), window)
