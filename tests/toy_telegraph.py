"""A device law in a file of its own: random telegraph noise, as docs/extending.md shows how one is added."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mho.machine.analog.devices.curve import Curve, FloatArray, Window
from mho.machine.analog.devices.fields import Curved, Plain
from mho.machine.analog.devices.law import Cells, Law, Writes


class Telegraph(Law):
    """A trap in some cells, which is full or empty: while it is full the cell conducts less, by `amplitude`.

    Which cells have one is drawn for each chip. It is full half of the time: a read finds the mean, with a deviation of half
    the amplitude.
    """

    number: ClassVar[int] = 0x7E1E

    share: Annotated[float, Plain(0, 1, share=True), Field(description="share of cells that have a trap")]
    amplitude: Annotated[Curve, Curved(share=True), Field(description="what a full trap takes away")]

    @property
    def exact(self) -> bool:
        """True if no cell has a trap, or traps take nothing away."""
        return not self.share or self.amplitude.zero

    @property
    def quiet(self) -> bool:
        """True if reads are exact."""
        return self.exact

    def differs(self, age_s: float, writes: Writes) -> bool:
        """Return True if some cells have a trap and some do not."""
        return not self.exact

    def conducts(self, conductance: FloatArray, cells: Cells) -> FloatArray:
        """Take half of the amplitude from cells with a trap."""
        if self.exact:
            return conductance
        trapped = cells.draws.uniform(self.number) < self.share
        amplitude = self.amplitude(cells.states, cells.window) * cells.steps
        return np.maximum(conductance - trapped * amplitude[cells.levels] / 2, 0.0)

    def read_sigma(self, states: FloatArray, window: Window) -> FloatArray | None:
        """Return the deviation of a read, over cells with and without a trap."""
        return None if self.exact else np.sqrt(self.share) * self.amplitude(np.clip(states, 0, 1), window) / 2
