"""Activations that add up a few rows of an array: the resolution their sums need, and the time they take.

An ADC that switches converts bit by bit (successive approximation; for a ramp see `Readout.share`): a conversion of b of its B bits
takes b / B of a whole one's time and energy. That is an assumption on the safe side: left out are the first steps, which move the
largest capacitors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.units import exact

if TYPE_CHECKING:
    from mho.chip.chip import Chip


def shares_adcs(chip: Chip) -> bool:
    """Return whether groups take turns at ADCs."""
    return chip.lookup is not None and chip.lookup.groups_per_adc > 1


def adc_sets(chip: Chip) -> int:
    """Return the sets of ADCs of a tile: one for each group, or fewer where groups share them."""
    return -(-chip.tile.groups // (1 if chip.lookup is None else chip.lookup.groups_per_adc))


@dataclass(frozen=True, eq=False)
class Reading:
    """What an activation of n rows needs on a chip, for look-ups whose weights have `weight_bits` (1: they only count).

    `dimension`: features of a row; only columns that hold one are converted, those of the fullest array one after another.
    `steps`: the weights are streamed as many bits a step as the DACs take. Of `bits`, `conversion_s` and `seconds` entry n is for
    n rows, 0 to `most_rows`. `longest`: the most look-ups of a bag, which the sums of arrays and tiles have to hold; those of a
    whole array at least. OptionError where the ADCs cannot tell apart the levels of a single cell.
    """

    chip: Chip
    dimension: int
    weight_bits: int = 1
    longest: int = 1

    def __post_init__(self) -> None:
        """Refuse what no ADC of this chip could convert."""
        if self.dimension < 1:
            raise OptionError(f"rows of embeddings have at least 1 feature, not {self.dimension}")
        if not 1 <= self.weight_bits <= self.chip.input_bits:
            raise OptionError(f"weights of look-ups have 1 to {self.chip.input_bits} bits, not {self.weight_bits}")
        if not self.most_rows:
            raise OptionError(
                f"chip {self.chip.name!r}: ADCs of {self.chip.array.adc_bits} bits cannot read a cell of "
                f"{self.chip.coding.cell_text} driven by {self.drive}; at least {self.needed(1)} bits"
            )

    @property
    def sum_bytes(self) -> int:
        """Bytes of a feature of a sum: they hold the longest bag's, of codes up to 255, with the largest weights."""
        largest = 255 * ((1 << self.weight_bits) - 1) * max(self.longest, self.chip.weight_rows)
        return -(-largest.bit_length() // 8)

    @property
    def fullest(self) -> int:
        """Conversions of a step in the array that holds most features."""
        chip = self.chip
        features = min(self.dimension, chip.array_weights_per_row)
        return chip.coding.conversions(features * chip.coding.cell_columns)

    @property
    def drive(self) -> int:
        """The largest input that a row gets in a step."""
        return (1 << min(self.weight_bits, self.chip.array.dac_bits)) - 1

    @property
    def steps(self) -> int:
        """Input steps of an activation."""
        return -(-self.weight_bits // self.chip.array.dac_bits)

    def needed(self, rows: int) -> int:
        """Return the bits that hold any sum of so many cells: 0 to rows x drive x highest level, and a sign for pairs.

        Where columns may be inverted, they hold at most half of what all their rows could (ISAAC, section V).
        """
        highest = self.drive * (self.chip.levels - 1)
        largest = rows * highest
        if self.chip.coding.inverts:
            largest = min(largest, self.chip.array.rows * highest // 2)
        return int(largest).bit_length() + self.chip.coding.pairs

    @cached_property
    def most_rows(self) -> int:
        """The most rows that are driven at once and whose sum the ADC always holds; more take several activations."""
        limit = self.chip.rows_at_once
        if self.chip.lookup is not None:
            limit = min(limit, self.chip.lookup.most_rows)
        return max(n for n in range(limit + 1) if not n or self.needed(n) <= self.chip.array.adc_bits)

    @cached_property
    def bits(self) -> npt.NDArray[np.int64]:
        """Bits that an ADC resolves for n rows; 0 for none."""
        full, modes = self.chip.array.adc_bits, "fixed" if self.chip.lookup is None else self.chip.lookup.adc_modes
        bits = np.full(self.most_rows + 1, full, dtype=np.int64)
        if modes == "every":
            bits[:] = [self.needed(n) for n in range(self.most_rows + 1)]
        elif modes == "switch":
            bits[1] = self.needed(1)
        bits[0] = 0
        return bits

    @cached_property
    def shares(self) -> tuple[Fraction, ...]:
        """The part of a whole conversion's time and energy that one for n rows takes; 0 for none. See `Readout.share`."""
        whole = self.chip.readout
        return tuple(replace(whole, adc_bits=bits).share if bits else Fraction(0) for bits in self.bits.tolist())

    @cached_property
    def conversion_s(self) -> npt.NDArray[np.float64]:
        """Time for which a set of ADCs is busy with one step of n rows."""
        chip = self.chip
        conversions = -(-self.fullest // chip.array.adcs)
        period = conversions * exact(chip.array.adc_period_s)
        return np.array([float(period * share) for share in self.shares])

    @cached_property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Time of an activation of n rows with ADCs at hand: of each step overhead and conversions."""
        times = self.steps * (self.chip.array.step_overhead_s + self.conversion_s)
        times[0] = 0.0
        return np.asarray(times, dtype=np.float64)
