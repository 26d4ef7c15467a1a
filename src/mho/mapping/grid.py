"""The cells of a group, in rows and columns, whatever blocks put in them: where blocks of different shapes meet.

A place of a group (`mapping/shape.py`) is some cells side by side. Blocks whose weights have different bits have places of
different sizes; what they share, and what one leaves for the next to overwrite, are cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.mapping.shape import GroupShape

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class CellGrid:
    """The cells of a group that any of its blocks may use: `rows` rows of `arrays` times `per_array` columns of cells.

    Columns at the right of every array that are too few for one more place of any shape hold nothing, and are left out.
    """

    rows: int
    arrays: int
    per_array: int

    @property
    def columns(self) -> int:
        """Columns of cells of the whole group."""
        return self.arrays * self.per_array

    def lines(self, shape: GroupShape, places: Places) -> Places:
        """Return the columns of cells of columns of places, in the order of cells, shape (places, cells)."""
        array, place = np.divmod(places, shape.per_array)
        first = array * self.per_array + place * shape.cells
        lines: Places = first[:, None] + np.arange(shape.cells)
        return lines


def grid_of(shapes: Iterable[GroupShape]) -> CellGrid:
    """Return the cells that blocks of these shapes may use."""
    known = tuple(shapes)
    return CellGrid(
        max((shape.rows for shape in known), default=1),
        max((-(-shape.columns // shape.per_array) for shape in known), default=1),
        max((shape.per_array * shape.cells for shape in known), default=1),
    )
