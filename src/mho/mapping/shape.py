"""What a group of arrays offers to a mapping: rows, columns of places, and the cells of each place.

A dense mapping puts a weight in a place: all its cells side by side. A squeezed one puts a digit in a place, which is one cell.
Whatever is counted, written, worn or read cell by cell goes by the group shape of the program's mapping.
"""

from __future__ import annotations

from dataclasses import dataclass

from mho.chip import Chip
from mho.chip.coding import Coding


@dataclass(frozen=True)
class GroupShape:
    """A group of `rows` x `columns` places, `per_array` of which lie in a row of one array; `coding` says what their cells hold."""

    coding: Coding
    rows: int
    columns: int
    per_array: int

    @property
    def cells(self) -> int:
        """Cells of a place."""
        return self.coding.cells


def weights_shape(chip: Chip) -> GroupShape:
    """Return the shape of a group for mappings that keep all cells of a weight together."""
    return GroupShape(chip.coding, chip.array.rows, chip.group_columns, chip.array_weights_per_row)


def digits_shape(chip: Chip) -> GroupShape:
    """Return the shape of a group for mappings that put one digit, of as many bits as a cell has, in each place."""
    bits = chip.array.cell_bits
    return GroupShape(
        Coding("offset", bits, bits), chip.array.rows, chip.group.arrays * chip.array.columns, chip.array.columns
    )
