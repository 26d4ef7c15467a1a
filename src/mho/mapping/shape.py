"""What a group of arrays offers to a mapping: rows, columns of places, and the cells of each place.

A dense mapping puts a weight in a place: all its cells side by side. A squeezed one puts a digit in a place, which is one cell.
Whatever is counted, written, worn or read cell by cell goes by the group shape of the program's mapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from mho.chip import Chip
from mho.chip.coding import Coding


@dataclass(frozen=True)
class GroupShape:
    """A group of `rows` x `columns` places, `per_array` of which lie in a row of one array; `coding` says what their cells hold.

    `rows_parallel`: rows that are driven together at most; None for all.
    """

    coding: Coding
    rows: int
    columns: int
    per_array: int
    rows_parallel: int | None = None

    @cached_property
    def cells(self) -> int:
        """Cells of a place."""
        return self.coding.cells

    @property
    def rows_at_once(self) -> int:
        """Rows that are driven together at most."""
        return min(self.rows, self.rows_parallel or self.rows)


def weights_shape(chip: Chip, bits: int = 8) -> GroupShape:
    """Return the shape of a group for mappings that keep all cells of a weight, of so many bits, together."""
    coding = chip.coding_of(bits)
    per_array = chip.array.columns // coding.cell_columns
    together = None if chip.array.rows_parallel is None else chip.rows_at_once
    return _shape(coding, chip.weight_rows, chip.group.arrays * per_array, per_array, together)


_shape = lru_cache(maxsize=256)(GroupShape)
"""Equal shapes are one, so that what is known of it is found once, for all chips and layers."""


def digits_shape(chip: Chip) -> GroupShape:
    """Return the shape of a group for mappings that put one digit, of as many bits as a cell has, in each place."""
    bits = chip.array.cell_bits
    columns = chip.array.columns
    coding = Coding("offset", bits, bits)
    return GroupShape(coding, chip.array.rows, chip.group.arrays * columns, columns, chip.array.rows_parallel)
