"""What a chip and its analog side do to the products of a layer, as far as training follows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import AnalogError, OptionError, choices
from mho.machine.analog.sensing import Sensing
from mho.machine.analog.spec import Analog
from mho.mapping.shape import weights_shape

GRADIENTS = ("unclipped", "plain")
"""How gradients pass the ADC; see `crossbar`."""
TRAINING = 0x7EA1
"""What the draws of training are keyed by: three numbers, so that no draw is one of `mho.execute`, whose keys have two."""


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
        self.sensing.check()
        if self.chip.array_weights_per_row < 1:
            raise AnalogError(f"chip {self.chip.name}: an array has too few columns for a single weight")

    @cached_property
    def sensing(self) -> Sensing:
        """How the ADCs see the cells."""
        return Sensing(self.chip, weights_shape(self.chip), self.analog)

    @property
    def calibrates(self) -> bool:
        """Whether the range of the ADC depends on what columns give."""
        return self.analog.adc.bits != "ideal" and self.analog.adc.range == "calibrated"

    def seen(
        self, levels: npt.NDArray[np.uint8], layer: int, number: int | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Program cells (..., cells) and return what ADCs see of them; see `Sensing.seen`.

        Another draw for each layer and pass `number`; None for ideal cells.
        """
        sensing = self.sensing
        if number is None:
            return sensing.seen(levels.astype(np.float64))[0], None
        conducted = sensing.programmed(levels, (TRAINING, layer, number), seed=self.seed)
        return sensing.seen(np.asarray(conducted, dtype=np.float64) - sensing.below)
