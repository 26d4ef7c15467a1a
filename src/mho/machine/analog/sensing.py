"""What the ADCs see of cells: conductances less what a reference takes away, and of differential pairs the differences.

A *slice* is what is converted of each weight: a column of cells, or of pairs of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import AnalogError
from mho.machine.analog.spec import Analog
from mho.mapping import GroupShape

FloatArray = npt.NDArray[np.float64]
ADC_ERRORS = 0x0ADC
"""Key of the random draws of ADCs."""


@dataclass(frozen=True, eq=False)
class Sensing:
    """The view that the ADCs of a chip have of the cells of groups of this `shape`."""

    chip: Chip
    shape: GroupShape
    analog: Analog

    def check(self) -> None:
        """Raise DeviceError for ages, writes and cells about which the device says nothing, AnalogError for no reference column."""
        analog = self.analog
        if self.reference and self.pairs:
            raise AnalogError(
                "pedestal: the cells of a pair are each other's reference; reference is for other codings"
            )
        if self.reference and self.chip.array.reference is None:
            raise AnalogError(
                f"pedestal: chip {self.chip.name} has no reference column; give it one (array.reference: column), or take analog"
            )
        analog.device.check(self.chip.array.cell_bits, age_s=analog.age_s, writes=analog.writes)

    @property
    def pairs(self) -> bool:
        """Say whether the ADCs convert differences of two cells, so that codes have a sign."""
        return self.shape.coding.pairs

    @cached_property
    def significance(self) -> tuple[int, ...]:
        """Return the weight of a level of each slice in the sum, the most significant slice first."""
        return self.shape.coding.significance[:: 2 if self.pairs else 1]

    @property
    def slices(self) -> int:
        """Conversions for each weight and input step."""
        return len(self.significance)

    @property
    def reference(self) -> bool:
        """Say whether a column of each array takes the pedestal away."""
        return self.analog.pedestal == "reference"

    @cached_property
    def below(self) -> float:
        """Return the conductance of a cell at level 0, in levels."""
        return self.analog.device.pedestal(self.chip.array.cell_bits, self.chip.levels - 1)

    @property
    def pedestal(self) -> float:
        """Return what the ADC sees of it: 0 where a reference column or the other cell of a pair takes it away."""
        return self.below if self.analog.pedestal == "digital" and not self.pairs else 0.0

    def faults(self, shape: tuple[int, ...], key: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return which cells at a place are stuck; see `Device.faults`."""
        return self.analog.device.faults(shape, key, seed=self.analog.seed, writes=self.analog.writes)

    def programmed(
        self, levels: npt.NDArray[Any], key: tuple[int, ...], *, seed: int | None = None, **faults: Any
    ) -> FloatArray:
        """Return what cells conduct after a write, in levels; see `Device.program`. `seed`: in place of the analog side's."""
        analog, bits = self.analog, self.chip.array.cell_bits
        how = {"seed": analog.seed if seed is None else seed, "age_s": analog.age_s, "writes": analog.writes, **faults}
        return analog.device.program(levels, bits, key, steps=self.chip.levels - 1, **how)

    def read_sigma(self, conductances: FloatArray) -> FloatArray:
        """Return the deviation of a read of cells that conduct so much, all in levels."""
        return self.analog.device.read_sigma(conductances, self.chip.array.cell_bits, self.chip.levels - 1)

    def seen(self, above: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Return what ADCs see, in levels (..., slices), of cells (..., cells) that conduct so many levels above off.

        The second is the variance of their read noise in level^2, None for none.
        """
        sigma = self.read_sigma(above + self.below)
        variance = np.broadcast_to(np.square(sigma), above.shape) if np.any(sigma) else None
        if not self.pairs:
            return above + self.pedestal, variance
        spread = None if variance is None else variance[..., 0::2] + variance[..., 1::2]
        return above[..., 0::2] - above[..., 1::2], spread

    def adc_errors(
        self, group: int, columns: npt.NDArray[np.intp], arrays: int, converted: int | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return gain and offset of the ADC behind each of the weight `columns` of a group, (columns, slices) each.

        They are drawn once for each ADC of the group's `arrays`, which share the `converted` columns of an array; None for those of
        full rows of weights.
        """
        adc, adcs, per_array = self.analog.adc, self.chip.array.adcs, self.shape.per_array
        if not (adc.gain_error or adc.offset_error):
            return np.ones((len(columns), self.slices)), np.zeros((len(columns), self.slices))
        source = np.random.SeedSequence(self.analog.seed, spawn_key=(ADC_ERRORS, group))
        draws = np.random.Generator(np.random.Philox(source)).standard_normal((2, arrays, adcs))
        array, place = np.divmod(columns[:, None], per_array)
        converter = (place * self.slices + np.arange(self.slices)) * adcs // (converted or per_array * self.slices)
        return 1.0 + adc.gain_error * draws[0, array, converter], adc.offset_error * draws[1, array, converter]
