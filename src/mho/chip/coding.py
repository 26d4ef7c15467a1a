"""How a weight code is held by the cells of its weight: as which levels, and what each cell then counts for.

Codes are the unsigned numbers of the integer arithmetic, 0 to 2**bits - 1. A product of inputs x with a column of codes w is

    sum of x w  =  sum over the weight's cells of significance x (sum of x levels)  +  base x (sum of x)

- offset: the digits of the code in base L, the levels of a cell (2**b where they are all that b bits name). The zero point says
  which code stands for 0, so this is the biased form of ISAAC (Shafiee et al., ISCA 2016, section V) and that of ARAS.
- flipped (ISAAC, section V): the same digits, but where those of a column of cells sum to more than half of what they could, each
  cell holds L - 1 less its digit. The sum of a column then never exceeds half of its range, which saves a bit of the ADC. The
  digital side turns such a sum S back into (L - 1) x (sum of x) - S; the sum of x comes from one more column of each array,
  the unit column.
- differential: with s = code - 2**(bits - 1), the digits of max(s, 0) in positive cells and those of max(-s, 0) in negative
  ones, each beside its counterpart. The difference of the two currents of such a pair is converted at once.
- sign_magnitude: pairs as well, but of codes from 1 on, so that |s| has a bit less than the code (7 bits and sign of 8): where
  bits divide evenly, a pair of cells less. The code 0 has no cells; symmetric codes never take it.
- twos_complement: s in two's complement, the sign bit in a cell of its own, at level 0 or 1, and the digits of the other bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

CodingName = Literal["offset", "flipped", "differential", "sign_magnitude", "twos_complement"]
CODINGS: tuple[CodingName, ...] = get_args(CodingName)


@dataclass(frozen=True)
class Coding:
    """One coding, for weights of `weight_bits` (at most 16) in cells of `cell_bits` (at most 8).

    `cell_levels`: levels of a cell, which `cell_bits` name; None where they are all that these bits can name. `stacked`: the cells
    of a pair lie in one column, in rows side by side that are driven with opposite voltages (Wan et al., Nature 608, 2022).

    coding = Coding("differential", 8, 2)
    coding.cells, coding.significance, coding.base      8, (64, -64, 16, -16, 4, -4, 1, -1), 128
    coding.levels(codes)                                uint8, shape (*codes.shape, 8)
    """

    name: CodingName
    weight_bits: int
    cell_bits: int
    cell_levels: int | None = None
    stacked: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for what is no coding, and for sizes that a code or a level does not fit."""
        if self.name not in CODINGS or not 1 <= self.weight_bits <= 16 or not 1 <= self.cell_bits <= 8:
            raise ValueError(f"no coding {self.name!r} of {self.weight_bits}-bit weights in {self.cell_bits}-bit cells")
        if self.cell_levels == 1 << self.cell_bits:
            object.__setattr__(self, "cell_levels", None)
        if self.cell_levels is not None and (
            self.inverts or self.cell_levels < 2 or (self.cell_levels - 1).bit_length() != self.cell_bits
        ):
            raise ValueError(f"no coding {self.name!r} in {self.cell_bits}-bit cells of {self.cell_levels} levels")
        if self.stacked and not self.pairs:
            raise ValueError(f"coding {self.name!r} has no pairs")

    @property
    def cells(self) -> int:
        """Cells of a weight."""
        return len(self.significance)

    @property
    def cell_rows(self) -> int:
        """Rows of an array that the cells of a weight take: two where pairs lie in adjacent rows."""
        return 1 + self.stacked

    @property
    def cell_columns(self) -> int:
        """Columns of an array that the cells of a weight take."""
        return self.cells // self.cell_rows

    @property
    def highest(self) -> int:
        """The highest level of a cell, L - 1."""
        return (self.cell_levels or 1 << self.cell_bits) - 1

    @property
    def cell_text(self) -> str:
        """Say what a cell holds: "2 bits", or "5 levels" where bits name more."""
        return f"{self.cell_bits} bits" if self.cell_levels is None else f"{self.cell_levels} levels"

    @property
    def signed(self) -> bool:
        """True if cells hold the code less half its range."""
        return self.name in ("differential", "sign_magnitude", "twos_complement")

    @property
    def least_code(self) -> int:
        """The least code that cells can hold."""
        return int(self.name == "sign_magnitude")

    @property
    def base(self) -> int:
        """What is added to every weight that the cells show; the code that is at level 0 in all of them."""
        return 1 << (self.weight_bits - 1) if self.signed else 0

    @property
    def pairs(self) -> bool:
        """True if cells 2k and 2k + 1 of a weight are a pair, a positive and a negative one that are converted at once."""
        return self.name in ("differential", "sign_magnitude")

    @property
    def inverts(self) -> bool:
        """True if columns of cells may be stored inverted, so that each array has a unit column."""
        return self.name == "flipped"

    @property
    def unit_columns(self) -> int:
        """Columns of an array besides those of its weights: one that sums its inputs, where others may be inverted."""
        return int(self.inverts)

    @property
    def columns_at_once(self) -> int:
        """Columns that one conversion takes: the two of a pair that lies side by side, or one."""
        return 2 if self.pairs and not self.stacked else 1

    def conversions(self, columns: int) -> int:
        """Return the conversions that an array of so many columns of weights needs in an input-bit step."""
        return -(-columns // self.columns_at_once) + self.unit_columns

    def fullest(self, rows: int, driven: int | None = None) -> int:
        """Return the most levels that a column of cells, or either one of a pair, can hold together.

        `rows` hold weights, of `driven` ones (None: all of them do). A column that may be inverted holds at most half of what all
        driven cells could (ISAAC, section V).
        """
        most = rows * int(self.table.max())
        return min(most, (rows if driven is None else driven) * self.highest // 2) if self.inverts else most

    def adc_bits(self, largest: int) -> int:
        """Return the bits of an ADC that tells all sums up to `largest` apart: with a sign for the differences of pairs."""
        return max(largest.bit_length(), 1) + self.pairs

    @property
    def movable(self) -> bool:
        """True if the cells of a weight are alike, digits of its code that fill them, so that they may change places."""
        return self.name == "offset" and self.cell_levels is None and self.weight_bits % self.cell_bits == 0

    @property
    def low_digit(self) -> bool:
        """True if the least significant cell of a weight is to hold the lowest bits of its code, as many as it can name."""
        return self.cell_levels is None and bool(
            (self.table[:, -1] == np.arange(len(self.table)) % (self.highest + 1)).all()
        )

    @cached_property
    def significance(self) -> tuple[int, ...]:
        """What a level of each cell counts for, the most significant cell first."""
        # Numbers that digits tell apart: of codes, of two's complement without its sign, of magnitudes with or without the largest.
        numbers = (1 << self.weight_bits) if not self.signed else self.base + (self.name == "differential")
        values = [1] if numbers > 1 or self.pairs else []
        while values and values[-1] * (self.highest + 1) < numbers:
            values.append(values[-1] * (self.highest + 1))
        digits = tuple(values[::-1])
        if self.pairs:
            return tuple(sign * digit for digit in digits for sign in (1, -1))
        return (-self.base, *digits) if self.name == "twos_complement" else digits

    @cached_property
    def table(self) -> npt.NDArray[np.uint8]:
        """The levels of every code before any inversion, shape (2**weight_bits, cells); a code without cells has the next one's."""
        codes = np.arange(1 << self.weight_bits)
        signed = np.maximum(codes, self.least_code) - self.base
        if self.pairs:
            digits = [np.maximum(np.sign(value) * signed, 0) // abs(value) for value in self.significance]
        elif self.name == "twos_complement":
            low = signed & (self.base - 1)
            digits = [(signed < 0).astype(np.int64), *(low // value for value in self.significance[1:])]
        else:
            digits = [codes // value for value in self.significance]
        return (np.stack(digits, axis=-1) % (self.highest + 1)).astype(np.uint8)

    def levels(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return the levels that stand for codes, shape (*codes.shape, cells), the most significant cell first.

        Inversions of columns are not in it: they follow from a whole block (`mho.mapping.coding`).
        """
        levels: npt.NDArray[np.uint8] = self.table[codes]
        return levels


coding_of = lru_cache(maxsize=256)(Coding)
"""Equal codings are one, so that its table is made once, for all chips and layers."""
