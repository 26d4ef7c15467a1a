"""What a write brings: level changes, worked out from the program alone.

Writes carry deltas, the new level less the current one, computed offline; the chip adds them (ARAS section III-B). Here
they are computed by following in symbols which blocks each group holds, in the program's order: no cell is kept, only
the rectangles that were written, newest last. A block leaves the rest of its group as it was. The levels that a write finds
are painted from those rectangles when they are asked for, block by block, so that a network of any size takes little
memory. Blank cells are at level 0. Blocks of weights of different bits follow one another cell by cell.

Dependencies order all writes to one group (program/legality), so that the program's order is the chip's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip.coding import Coding
from mho.errors import ProgramError
from mho.mapping.coding import inverted_columns, shown_codes
from mho.mapping.grid import CellGrid
from mho.mapping.shape import GroupShape
from mho.program.columns import columns
from mho.program.instructions import Orders, members
from mho.program.program import Program

Codes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]


@lru_cache(maxsize=4096)
def _in_place(size: int) -> Places:
    return np.arange(size)


def _bits(places: slice | Places) -> int:
    """Return a set of places as the bits of a number; a slice begins at 0."""
    if isinstance(places, slice):
        return (1 << int(places.stop)) - 1
    mask = np.zeros(int(places.max()) + 1, dtype=np.bool_)
    mask[places] = True
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")


@dataclass(frozen=True, eq=False)
class Rectangle:
    """A block of the mapping in a group, cut for groups of this `shape`; `grid` are the cells of any group.

    Row i of the block sits on row rows[i] of the group, column j on column of places columns[j], digit k of each weight on cell
    cells[k] of its cells (empty: in place).
    """

    block: int
    rows: Places
    columns: Places
    cells: tuple[int, ...]
    shape: GroupShape
    grid: CellGrid

    @cached_property
    def in_place(self) -> bool:
        """True if rows and columns sit where they stand in the block."""
        return all(
            side is _in_place(len(side)) or bool((side == _in_place(len(side))).all())
            for side in (self.rows, self.columns)
        )

    @cached_property
    def lines(self) -> Places:
        """The columns of cells of the group that it covers, weight by weight, shape (width x cells,)."""
        return self.grid.lines(self.shape, self.columns).ravel()

    @cached_property
    def index(self) -> tuple[slice, slice] | tuple[Places, Places]:
        """Where the cells of the block sit among the cells of its group, (rows, columns of cells)."""
        height, width = len(self.rows), len(self.columns)
        full = self.shape.per_array * self.shape.cells == self.grid.per_array
        if self.in_place and (full or width <= self.shape.per_array):
            return slice(height), slice(width * self.shape.cells)
        return self.rows[:, None], self.lines[None, :]

    def weights(self, cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the block's part of an array of its group's cells, (rows, columns of cells): shape (height, width, cells)."""
        return cells[self.index].reshape(len(self.rows), len(self.columns), self.shape.cells)

    @cached_property
    def extent(self) -> tuple[int, int]:
        """The rows and the columns of cells that it covers, as sets of bits."""
        rows, lines = self.index
        return _bits(rows), _bits(lines)

    def hides(self, other: Rectangle) -> bool:
        """Return True if nothing can be seen of another rectangle that was written before."""
        return all(not below & ~above for below, above in zip(other.extent, self.extent, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What writing one block does: the levels that its cells in `group` were at, and those that it brings.

    Both are (height, width x cells): the cells of a weight side by side as they are in the array, whatever digit each holds,
    and inverted columns as they are stored.
    """

    group: int
    place: Rectangle
    old: Levels
    new: Levels

    @property
    def added(self) -> npt.NDArray[np.int16]:
        """The level changes themselves."""
        return self.new.astype(np.int16) - self.old


def _places(orders: Orders, which: int, size: int) -> Places:
    """Return where the rows (or columns) of block `which` of a run sit, shape (size,)."""
    order = orders[which] if orders else ()
    return np.array(order, dtype=np.intp) if order else _in_place(size)


@lru_cache(maxsize=64)
def _shown(coding: Coding, order: tuple[int, ...]) -> Levels:
    """Return the levels of each code's cells, digit k on cell order[k] (empty: in place), shape (codes, cells)."""
    levels = np.ascontiguousarray(coding.table[:, np.argsort(order)] if order else coding.table)
    # A row is looked up as one number where it has the size of one.
    size = levels.shape[1]
    return levels.view(f"u{size}") if size in (2, 4, 8) else levels


def _levels_of(codes: Codes, coding: Coding, order: tuple[int, ...]) -> Levels:
    """Return the levels of the cells that hold codes (height, width), shape (height, width x cells)."""
    taken: Levels = _shown(coding, order).take(codes, axis=0)
    return taken.view(np.uint8).reshape(len(codes), -1)


def rectangle(program: Program, number: int, which: int) -> Rectangle:
    """Return where block `which` of the run of write `number` sits in its group."""
    table = columns(program)
    block = int(table.first_block[number]) + which
    weight = program.mapping.weight_of(block)
    height, width = (int(side[block - weight.first]) for side in (weight.blocks.heights, weight.blocks.widths))
    rows, across, cells = table.ordered(number)
    sides = _places(rows, which, height), _places(across, which, width)
    return Rectangle(block, *sides, cells[which] if cells else (), weight.blocks.shape, program.mapping.grid)


class Deltas:
    """Follows what the groups of a chip hold, write by write, from blank cells on.

    deltas = Deltas(program)
    for change in deltas.write(number): ...      each block's levels before and after, and the write is noted
    deltas.note(number)                          only noted
    for group, place in deltas.places(number):   the same, block by block
        deltas.change(group, place); deltas.put(group, place)

    Writes are given by their places in the program.

    Raises ProgramError where the program has no weights.
    """

    def __init__(self, program: Program) -> None:
        if program.quantised is None:
            raise ProgramError(f"{program.network.name} was compiled from shapes alone: there are no levels to follow")
        self.program = program
        self.quantised = program.quantised
        self.rectangles: list[tuple[Rectangle, ...]] = [()] * program.chip.groups
        self._paper = np.zeros((program.mapping.grid.rows, program.mapping.grid.columns), dtype=np.uint8)

    def write(self, number: int) -> Iterator[Change]:
        """Yield the change of each block of a write, in the order of its groups, and note it."""
        for group, place in self.places(number):
            yield self.change(group, place)
            self.put(group, place)

    def change(self, group: int, place: Rectangle) -> Change:
        """Return what writing a block brings, which is not noted yet."""
        return Change(group, place, self.under(group, place), self._levels(place))

    def note(self, number: int) -> None:
        """Note a write whose changes nobody asks for."""
        for group, place in self.places(number):
            self.put(group, place)

    def under(self, group: int, place: Rectangle) -> Levels:
        """Return the levels of the cells of a group where a rectangle would sit, shape (height, width x cells)."""
        rectangles = self.rectangles[group]
        if len(rectangles) == 1 and isinstance(rectangles[0].index[0], slice) and rectangles[0].hides(place):
            return self._levels(rectangles[0])[place.index]
        return self.levels(group)[place.index].copy()

    def levels(self, group: int) -> Levels:
        """Return the levels of all cells of a group, shape (rows, columns of cells), 0 where nothing was written; valid
        until the next call.
        """
        self._paper[...] = 0
        for rectangle in self.rectangles[group]:
            self._paper[rectangle.index] = self._levels(rectangle)
        return self._paper

    def inverted(self, place: Rectangle) -> npt.NDArray[np.bool_] | None:
        """Return which columns of cells a block stores inverted, shape (width, cells); None where the coding inverts none."""
        return inverted_columns(self._laid(place), place.shape.coding)

    def places(self, number: int) -> Iterator[tuple[int, Rectangle]]:
        """Yield the group of each block of a write, and where it sits there."""
        for which, group in enumerate(members(columns(self.program).ranges_of(number))):
            yield group, rectangle(self.program, number, which)

    def put(self, group: int, place: Rectangle) -> None:
        """Note a block that is written."""
        self.rectangles[group] = (*(older for older in self.rectangles[group] if not place.hides(older)), place)

    def _laid(self, place: Rectangle) -> Codes:
        weight = self.program.mapping.weight_of(place.block)
        return weight.blocks.laid(place.block - weight.first, self.quantised.held(weight.name))

    def _levels(self, place: Rectangle) -> Levels:
        coding = place.shape.coding
        return _levels_of(shown_codes(self._laid(place), coding), coding, place.cells)
