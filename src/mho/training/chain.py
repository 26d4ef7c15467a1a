"""What a chip and its analog side do to the products of a layer, as far as training follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import AnalogError, OptionError, choices
from mho.machine.analog.converter import Converter, converter
from mho.machine.analog.spec import Analog
from mho.mapping.sums import Fullest

GRADIENTS = ("unclipped", "plain")
"""How gradients pass the ADC; see `crossbar`."""
TRAINING = 0x7EA1
"""What the draws of training are keyed by: three numbers, so that no draw is one of `mho.execute`, whose keys have two."""
EXACT_FLOAT32 = 2**24


@dataclass(frozen=True)
class Chain:
    """A chip and its analog side. AnalogError naming the key where training cannot follow them."""

    chip: Chip
    analog: Analog
    gradient: str = "unclipped"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what would otherwise be left out silently."""
        adc = self.analog.adc
        if self.gradient not in GRADIENTS:
            raise OptionError(f"unknown gradient {self.gradient!r}; {choices(self.gradient, GRADIENTS)}")
        if self.analog.wires is not None:
            raise AnalogError(
                "wires: training does not follow the resistance of wires; leave wires out of the analog side"
            )
        for key, value in (("gain_error", adc.gain_error), ("offset_error", adc.offset_error)):
            if value:
                raise AnalogError(
                    f"adc.{key}: training does not follow what differs between ADCs; it must be 0, not {value}"
                )
        self.analog.device.check(self.cell_bits, age_s=self.analog.age_s, writes=self.analog.writes)
        if self.chip.array_weights_per_row < 1:
            raise AnalogError(f"chip {self.chip.name}: an array has too few columns for a single weight")

    @property
    def cell_bits(self) -> int:
        """Bits of a cell."""
        return int(self.chip.array.cell_bits)

    @property
    def dac_bits(self) -> int:
        """Bits of an input step."""
        return int(self.chip.array.dac_bits)

    @property
    def slices(self) -> int:
        """Conversions for each weight column and input step."""
        return self.chip.coding.cells // (2 if self.chip.coding.pairs else 1)

    @cached_property
    def significance(self) -> tuple[int, ...]:
        """What a level of each slice counts for."""
        given = self.chip.coding.significance
        return given[0::2] if self.chip.coding.pairs else given

    @cached_property
    def below(self) -> float:
        """Conductance of a cell at level 0, in levels."""
        return float(self.analog.device.pedestal(self.cell_bits))

    @cached_property
    def pedestal(self) -> float:
        """What the ADC sees of it: nothing where a reference column or the other cell of a pair takes it away."""
        return 0.0 if self.chip.coding.pairs or self.analog.pedestal == "analog" else self.below

    @cached_property
    def exact_in_float32(self) -> bool:
        """Whether float32 adds the ideal sum of a column exactly."""
        array = self.chip.array
        largest: int = int(array.rows) * (self.chip.levels - 1) * (2**self.dac_bits - 1)
        return largest < EXACT_FLOAT32

    @property
    def calibrates(self) -> bool:
        """Whether the range of the ADC depends on what columns give."""
        return self.analog.adc.bits != "ideal" and self.analog.adc.range == "calibrated"

    def converter(self, limits: Sequence[float] | None, column: Fullest) -> Converter:
        """Return the converter of a layer of this fullest `column`; `limits`, one a slice, where its range is calibrated."""
        analog = self.analog
        if limits is not None:
            analog = analog.model_copy(update={"limits": {"layer": tuple(limits)}})
        return converter(analog, self.chip, "layer", self.slices, self.chip.coding.pairs, self.pedestal, column=column)

    def conductances(self, levels: npt.NDArray[np.uint8], layer: int, number: int) -> npt.NDArray[np.float64]:
        """Program cells: what they conduct in levels, less the pedestal; another draw for each layer and pass `number`."""
        programmed = self.analog.device.program(
            levels,
            self.cell_bits,
            (TRAINING, layer, number),
            seed=self.seed,
            age_s=self.analog.age_s,
            writes=self.analog.writes,
        )
        return np.asarray(programmed, dtype=np.float64) - self.below

    def read_variance(self, conductances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """Return the variance of read noise of each cell in level^2, None for none; takes conductances less the pedestal."""
        sigma = np.asarray(self.analog.device.read_sigma(conductances + self.below, self.cell_bits))
        return np.broadcast_to(np.square(sigma), conductances.shape) if np.any(sigma) else None
