"""How the columns of an array are read for one input vector: what is driven when, what is converted, and how long that takes.

An input vector is driven in *passes*, one after another, and each pass in *steps*, at the end of which every column is converted
once. A step takes as many *pulses* of the drivers as its bits ask for: the DAC's bits each, or, where pulses are all alike
(`array.drive: unary`, charge integrated; Wan et al., Nature 608, 2022, Methods), 2^n - 1 for n bits.

Inputs that may be negative are driven as `array.input_coding` says: `offset`, as plain codes, whose zero point the digital side
takes out; `two_passes`, the positive ones and then the negative ones, whose sums are subtracted; `twos_complement`, the bit that
counts negative in a pass of its own; `signed`, rows driven with either sign at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from mho.units import exact

if TYPE_CHECKING:
    from mho.chip.chip import Chip
    from mho.chip.coding import Coding
    from mho.chip.spec import ArraySpec


@dataclass(frozen=True)
class Readout:
    """How the columns of a layer's blocks are read on a chip.

    `bits`: of an input's magnitude; `signed`: inputs that may be negative are driven otherwise than as plain codes. `adc_bits`:
    those that a conversion resolves. `conversions`: of the fullest array in a step. `turns`: how often the steps are taken
    for one input vector, for rows that are not driven together. `late`: steps and pulses, of all turns, that shifted inputs add.
    """

    chip: Chip
    bits: int
    adc_bits: int
    conversions: int
    signed: bool = False
    turns: int = 1
    late: int = 0

    @property
    def passes(self) -> tuple[int, ...]:
        """The bits of each pass."""
        if not self.signed:
            return (self.bits,)
        return {"two_passes": (self.bits, self.bits), "twos_complement": (self.bits, 1)}.get(
            self.chip.array.input_coding or "offset", (self.bits,)
        )

    def step_bits(self, bits: int) -> int:
        """Return the input bits that each step of a pass of `bits` takes, the last perhaps fewer.

        Where charge is integrated over several bits, a pass takes the fewest steps, as equal as can be.
        """
        array = self.chip.array
        if array.integrated_bits is None:
            return array.dac_bits
        return -(-bits // -(-bits // array.integrated_bits))

    @cached_property
    def steps(self) -> int:
        """Input steps of one turn: conversions of a column."""
        return sum(-(-bits // self.step_bits(bits)) for bits in self.passes)

    @cached_property
    def pulses(self) -> int:
        """Pulses of the drivers in one turn."""
        array, pulses = self.chip.array, 0
        for bits in self.passes:
            size = self.step_bits(bits)
            for first in range(0, bits, size):
                own = min(size, bits - first)
                pulses += 2**own - 1 if array.drive == "unary" else -(-own // array.dac_bits)
        return pulses

    @property
    def all_steps(self) -> int:
        """Input steps of one input vector, turns and shifted inputs included."""
        return self.turns * self.steps + self.late

    @cached_property
    def share(self) -> Fraction:
        """The part of a whole conversion's time and energy that one of `adc_bits` takes.

        That is b of the B steps of a successive approximation, or 2^b of the 2^B of a ramp. Of a ramp with a sign both are half as
        many, the first of which tells the sign (Wan et al., Nature 608, 2022: 2^(b-1) - 1 steps take charge away).
        """
        array, bits = self.chip.array, self.adc_bits
        return Fraction(bits, array.adc_bits) if array.adc_kind != "ramp" else Fraction(2**bits, 2**array.adc_bits)

    @cached_property
    def step_s(self) -> float:
        """Time of an input step: the conversions that each ADC makes, and the overhead of the array for each pulse."""
        array = self.chip.array
        conversions = -(-self.conversions // array.adcs) * self.share
        overhead = exact(array.step_overhead_s) * Fraction(self.pulses, self.steps)
        return float(conversions * exact(array.adc_period_s) + overhead)

    @cached_property
    def window_s(self) -> float:
        """Time of one input vector through one copy of a layer."""
        return _times(self.step_s, self.all_steps)

    @property
    def highest(self) -> int:
        """The largest input that a row gets in a step."""
        return (1 << max(min(bits, self.step_bits(bits)) for bits in self.passes)) - 1

    @property
    def both_signs(self) -> bool:
        """True if rows are driven with either sign at once, so that sums have a sign."""
        return self.signed and self.chip.array.input_coding == "signed"

    def bits_for(self, coding: Coding, levels: int) -> int:
        """Return the bits of an ADC that tells all sums of columns apart which hold so many `levels` together."""
        bits = coding.adc_bits(levels * self.highest)
        return bits + int(self.both_signs and not coding.pairs)


@lru_cache(maxsize=4096)
def _times(seconds: float, steps: int) -> float:
    """Multiply the decimal number that a time is printed as."""
    return float(steps * exact(seconds))


def early_note(array: ArraySpec) -> str:
    """Say what is assumed of conversions that resolve fewer bits than the ADC has; see `Readout.share`."""
    ramp = array.adc_kind == "ramp"
    part, why = (
        ("2^b / 2^B", "a ramp, a level a step") if ramp else ("b / B", "successive approximation, one bit a step")
    )
    return f"assumption: an ADC that converts b of its B bits takes {part} of the time and energy of a whole conversion ({why})"


def reading_notes(array: ArraySpec) -> Iterator[str]:
    """Yield what is assumed of how an array is read, where its file says that it is read otherwise than whole and plainly."""
    if array.adc_modes == "every":
        yield early_note(array)
    if (array.rows_parallel or array.rows) < array.rows:
        yield (
            "assumption: rows that take turns are driven, and an array is read, once in all turns together; columns are sampled "
            "and converted in each"
        )
    if array.input_coding == "signed":
        yield "assumption: driving a row with either sign costs what driving it with one does"
    elif array.drives_signs:
        yield "assumption: each pass of inputs that may be negative drives, reads and converts as one of plain codes of its bits"
    if array.integrated_bits is not None:
        yield "assumption: summing the charge of several pulses before a conversion costs nothing beside component integrator"
