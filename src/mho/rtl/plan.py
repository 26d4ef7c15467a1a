"""What a chip's own file says of the digital side of one group: sizes, widths, and the cycles of a window.

A window is driven in passes (`mho.chip.readout`), a pass in steps, a step in turns, and in each of these the ADCs convert the
columns that they serve, one after another. ADC a serves `per_adc` conversions from a x per_adc on. A *lane* adds up what one ADC
gives, or what several give that read digits of the same weights at once; it has a *slot* for each weight of which it sees digits.

Every width is proven: it holds what its number can reach, from the rows, levels, bits and significances of the chip alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.chip.coding import Coding
from mho.chip.readout import Readout
from mho.errors import ChipError
from mho.rtl.slots import UNIT, Lane, Slot, lanes_of
from mho.units import exact

ACCUMULATOR_BITS = 32
"""As the accumulators of all presets have."""
HANDING = 4
"""Cycles that must lie between the last sum that an array hands on and the end of the next pass."""
MOST_CYCLES, MOST_PARTS = 4096, 8
"""The most cycles of the logic's clock that a conversion and the overhead of a step may take; and a conversion alone, where these
have no common measure."""


@dataclass(frozen=True)
class Combining:
    """What makes sums of outputs out of those of columns of digits, or of vectors of a basis: `lanes`, each with a list of up to
    `entries` products with factors of `factor_bits`, that add up `targets` outputs. `lists`: how many such lists are kept.
    `step`: what a level of a cell counts for. `index_bits`: of what says which input a row takes, 0 where rows are in order;
    `late`: bits by which inputs may be shifted.
    """

    targets: int
    lanes: int
    entries: int
    factor_bits: int
    lists: int = 1
    step: int = 1
    index_bits: int = 0
    late: int = 0


@dataclass(frozen=True)
class Plan:
    """The periphery of one group of a chip, for weights and inputs of so many bits.

    Plan.of(Chip.load("aras"))                     as the chip file has it, 8-bit weights and inputs
    Plan.of(chip, weight_bits=4, input_bits=6)     of a layer with other bits

    `resolving`: lanes take codes as wide as the fullest column's sum asks for, whatever bits the chip's ADCs have. `signed`: inputs
    may be negative, and are driven as `array.input_coding` says. `output_bits`: of the codes that are made. `words`: input codes
    that are loaded in a cycle. `combining`: what makes sums of outputs, where those of weights are not these; `input_bits` are then
    those of shifted inputs, and with an index of inputs each column holds digits of one place.
    """

    chip: Chip
    weight_bits: int = 8
    input_bits: int = 8
    signed: bool = False
    resolving: bool = True
    multiplier_bits: int = 24
    output_bits: int = 8
    combining: Combining | None = None

    @classmethod
    def of(cls, chip: Chip, weight_bits: int = 8, input_bits: int = 8, signed: bool = False, **more: Any) -> Plan:
        """Return the periphery, or raise ChipError for a chip that it cannot serve."""
        plan = cls(chip, weight_bits, input_bits, signed, **more)
        if plan.outputs < 1:
            raise ChipError(f"an array of chip {chip.name} has no room for a weight of {weight_bits} bits")
        return plan

    @property
    def indexed(self) -> bool:
        """True if an index says which input each row takes."""
        return self.combining is not None and self.combining.index_bits > 0

    @cached_property
    def coding(self) -> Coding:
        """How cells hold a weight, or a digit that is mapped by itself."""
        if self.indexed:
            return Coding("offset", self.weight_bits, self.weight_bits)
        return self.chip.coding_of(self.weight_bits)

    @cached_property
    def read(self) -> Readout:
        """How a full array is read."""
        rows = self.rows_at_once
        conversions = self.coding.conversions(self.chip.array.columns)
        if self.indexed:
            # The array has the unit column of whole weights all the same.
            conversions += self.chip.coding.unit_columns
        bits = self.chip.array.adc_bits
        return Readout(self.chip, self.input_bits, bits, conversions, self.signed, -(-self.rows // rows))

    @property
    def rows(self) -> int:
        """Rows of weights of an array."""
        return self.chip.array.rows // self.coding.cell_rows

    @property
    def rows_at_once(self) -> int:
        """Rows of weights that are driven together."""
        array = self.chip.array
        return max(min(array.rows, array.rows_parallel or array.rows) // self.coding.cell_rows, 1)

    @property
    def arrays(self) -> int:
        """Arrays of the group."""
        return self.chip.group.arrays

    @property
    def outputs(self) -> int:
        """Outputs of an array."""
        return self.chip.array.columns // self.coding.cell_columns

    @property
    def digits(self) -> int:
        """Conversions that a weight takes in a step."""
        return self.coding.cell_columns // self.coding.columns_at_once

    @property
    def conversions(self) -> int:
        """Conversions of an array in a step: of all columns, and of the unit column."""
        return self.read.conversions

    @property
    def per_adc(self) -> int:
        """Conversions that an ADC makes in a step."""
        return -(-self.conversions // self.adcs)

    @property
    def adcs(self) -> int:
        """ADCs of an array that have something to convert."""
        return min(self.chip.array.adcs, self.conversions)

    @cached_property
    def significances(self) -> tuple[int, ...]:
        """What a unit of each of a weight's conversions counts for; of pairs, of their difference."""
        return self.coding.significance[:: 2 if self.coding.pairs else 1]

    # Steps

    @property
    def turns(self) -> int:
        """Turns of rows that are not driven together."""
        return self.read.turns

    @cached_property
    def passes(self) -> tuple[tuple[str, int, int], ...]:
        """What each pass drives, its bits, and what its sums count for."""
        bits = self.read.passes
        if not self.signed or self.chip.array.input_coding in (None, "offset"):
            return (("code", bits[0], 1),)
        if self.chip.array.input_coding == "two_passes":
            return (("positive", bits[0], 1), ("negative", bits[1], -1))
        if self.chip.array.input_coding == "twos_complement":
            return (("low", bits[0], 1), ("sign", 1, -(1 << self.input_bits)))
        return (("both", bits[0], 1),)

    @cached_property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """The steps of each pass, and the bits of a step in it."""
        sizes = [self.read.step_bits(bits) for _, bits, _ in self.passes]
        return tuple((-(-bits // size), size) for (_, bits, _), size in zip(self.passes, sizes, strict=True))

    @property
    def drive_bits(self) -> int:
        """Bits that a row is driven with in a step, its sign left out."""
        return max(size for _, size in self.steps)

    @property
    def register_bits(self) -> int:
        """Bits of an input in the register from which rows are driven: whole steps."""
        return max(steps * size for steps, size in self.steps)

    @property
    def both_signs(self) -> bool:
        """True if rows are driven with either sign at once."""
        return self.passes[0][0] == "both"

    # Time

    @cached_property
    def _times(self) -> tuple[Fraction, Fraction]:
        """Time of a conversion, and the overhead of a step."""
        array, read = self.chip.array, self.read
        return exact(array.adc_period_s) * read.share, exact(array.step_overhead_s) * Fraction(read.pulses, read.steps)

    @cached_property
    def clock_s(self) -> Fraction:
        """Cycle of the logic: the longest that divides both a conversion and the overhead; where that is too short, the part of a
        conversion with which the overhead, rounded up, is longest by the least.
        """
        conversion, overhead = self._times
        both = conversion.denominator * overhead.denominator
        common = Fraction(math.gcd(int(conversion * both), int(overhead * both)), both)
        if (conversion + overhead) / common <= MOST_CYCLES:
            return common
        return min(
            (conversion / parts for parts in range(1, MOST_PARTS + 1)), key=lambda cycle: -(-overhead // cycle) * cycle
        )

    @property
    def conversion_cycles(self) -> int:
        """Cycles of a conversion."""
        return math.ceil(self._times[0] / self.clock_s)

    @property
    def overhead_cycles(self) -> int:
        """Cycles of a step before its first conversion."""
        return math.ceil(self._times[1] / self.clock_s)

    @property
    def step_cycles(self) -> int:
        """Cycles of a step in one turn."""
        return self.overhead_cycles + self.per_adc * self.conversion_cycles

    def pauses(self, number: int) -> int:
        """Return the cycles that a pass waits at its beginning: until the sums of the one before are handed on."""
        return max(self.drained + HANDING - self._busy(number), 0)

    def _busy(self, number: int) -> int:
        """Return the cycles of a pass that does not wait."""
        return self.steps[number][0] * self.turns * self.step_cycles

    @property
    def window_cycles(self) -> int:
        """Cycles from the start of a window to that of the next."""
        return sum(self._busy(number) + self.pauses(number) for number in range(len(self.passes)))

    @property
    def timed_cycles(self) -> Fraction:
        """What the timing model takes for a window, in cycles of the logic."""
        read = self.read
        return (self._times[0] * self.per_adc_timed + self._times[1]) * read.all_steps / self.clock_s

    @property
    def per_adc_timed(self) -> int:
        """Conversions of an ADC in a step as the timing model counts them."""
        return -(-self.conversions // self.chip.array.adcs)

    # Lanes

    @cached_property
    def code_range(self) -> tuple[int, int]:
        """The least and the greatest code of a conversion."""
        coding, array = self.coding, self.chip.array
        bits = self.read.bits_for(coding, self._fullest) if self.resolving else array.adc_bits
        if coding.pairs or self.both_signs:
            return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return 0, (1 << bits) - 1

    @property
    def _fullest(self) -> int:
        driven = min(self.rows, self.rows_at_once)
        return max(min(self.coding.fullest(self.rows), driven * self.coding.highest), driven * self.coding.unit_columns)

    @property
    def code_bits(self) -> int:
        """Bits of a conversion's code, a sign included where codes have one."""
        low, high = self.code_range
        return high.bit_length() + (low < 0)

    @property
    def most_steps(self) -> int:
        """What a code of every step of a pass and turn counts for together, at most."""
        return self.turns * max(sum(1 << (size * step) for step in range(steps)) for steps, size in self.steps)

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes of an array."""
        return tuple(lane for lane in lanes_of(self) if lane.slots)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of all lanes of an array, the unit column's left out, in the order in which they are handed on."""
        return tuple(slot for lane in self.lanes for slot in lane.slots if slot.output != UNIT)

    @cached_property
    def chains(self) -> tuple[tuple[Slot, ...], ...]:
        """The slots of an array as chains hand them on, one a cycle each: as few chains, with as many outputs each, as are done
        before the next pass is over.
        """
        shortest = min(map(self._busy, range(len(self.passes))))
        dealt: tuple[tuple[Slot, ...], ...] = ()
        for count in range(1, self.outputs + 1):
            each = -(-self.outputs // count)
            dealt = tuple(
                tuple(s for s in self.slots if first <= s.output < first + each)
                for first in range(0, self.outputs, each)
            )
            if max(map(len, dealt)) + HANDING <= shortest:
                break
        return dealt

    @property
    def drained(self) -> int:
        """Cycles that handing on the sums of an array takes."""
        return max(map(len, self.chains))

    @property
    def handed(self) -> int:
        """Outputs of a chain, at most."""
        return -(-self.outputs // len(self.chains))

    @property
    def takers(self) -> int:
        """Chains of all arrays, and accumulators behind them."""
        return self.arrays * len(self.chains)

    def dealt(self, values: Any, nothing: int = 0) -> Any:
        """Arrange (..., outputs of arrays, one after another) as (..., takers, handed), `nothing` where there is none."""
        full = np.full((*values.shape[:-1], self.arrays * self.outputs), nothing, dtype=np.int64)
        full[..., : values.shape[-1]] = values
        out = np.full((*values.shape[:-1], self.arrays, len(self.chains) * self.handed), nothing, dtype=np.int64)
        out[..., : self.outputs] = full.reshape(*values.shape[:-1], self.arrays, self.outputs)
        return out.reshape(*values.shape[:-1], self.takers, self.handed)

    # What follows

    @property
    def words(self) -> int:
        """Input codes that are loaded in a cycle: as many as the tile's port brings, or one where an index says which, and no fewer
        than a window needs.
        """
        port = 1 if self.indexed else max(self.chip.tile.buffer_port_bits // self.input_bits, 1)
        return min(self.rows, max(1 << (port.bit_length() - 1), -(-self.rows // self.window_cycles)))

    @property
    def loads(self) -> int:
        """Cycles that loading a window's inputs takes."""
        return -(-self.rows // self.words)

    @property
    def load_bits(self) -> int:
        """Bits of an input code as it is loaded, before it is shifted."""
        return self.input_bits - (self.combining.late if self.combining else 0)

    @cached_property
    def makers(self) -> int:
        """Requantisers: one for each chain, or behind lanes as few as hand on in time what these combine; each serves as many
        lanes. One where lists alone take longer than a window.
        """
        combining = self.combining
        if combining is None:
            return self.takers
        left = self.window_cycles - combining.entries
        shares = (n for n in range(1, combining.lanes + 1) if combining.lanes % n == 0)
        return next((n for n in shares if -(-combining.targets // n) < left), 1)

    @property
    def makes(self) -> int:
        """Outputs of each requantiser."""
        return -(-self.combining.targets // self.makers) if self.combining else self.handed

    @property
    def combined(self) -> int:
        """Cycles after the sums of a window are complete in which lanes combine them and hand on outputs, at the most."""
        return self.combining.entries + self.makes + 6 if self.combining else 0

    @property
    def waits(self) -> bool:
        """True if a window may wait until sums of those before are combined and handed on, which take longer than it."""
        return self.combining is not None and self.combining.entries + self.makes >= self.window_cycles

    @property
    def input_sum(self) -> int:
        """The largest sum of what a pass drives."""
        return self.rows * ((1 << self.input_bits) - 1)

    @property
    def coefficient(self) -> int:
        """The largest zero point, base and inversions of an output together, in magnitude."""
        return (1 << (self.weight_bits + 1)) - 1

    @property
    def most_blocks(self) -> int:
        """Blocks of rows whose sums an accumulator holds for sure."""
        block = self.rows * ((1 << self.input_bits) - 1) * ((1 << self.weight_bits) - 1)
        return ((1 << (ACCUMULATOR_BITS - 1)) - 1) // (2 * block)


__all__ = ["ACCUMULATOR_BITS", "Combining", "Plan"]
