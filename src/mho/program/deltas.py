"""What a write brings: level changes, worked out from the program alone.

Writes carry deltas, the new level less the current one, computed offline; the chip adds them (ARAS section III-B). Here
they are computed by following in symbols which blocks each group holds, in the program's order: no cell is kept, only
the rectangles that were written, newest last. A block leaves the rest of its group as it was. The codes that a write finds
are painted from those rectangles when they are asked for, block by block, so that a network of any size takes little
memory. Blank cells are at level 0.

Dependencies order all writes to one group (program/legality), so that the program's order is the chip's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from mho.chip.coding import Coding
from mho.errors import ProgramError
from mho.mapping.coding import inverted_columns, shown_codes
from mho.program.columns import columns
from mho.program.instructions import Orders, members
from mho.program.program import Program

Codes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.int16]
Places = npt.NDArray[np.intp]


@lru_cache(maxsize=4096)
def _in_place(size: int) -> Places:
    return np.arange(size)


@dataclass(frozen=True, eq=False)
class Rectangle:
    """A block of the mapping in a group.

    Row i of the block sits on row rows[i] of the group, column j on weight column columns[j], digit k of each weight on cell
    cells[k] of its cells (empty: in place).
    """

    block: int
    rows: Places
    columns: Places
    cells: tuple[int, ...] = ()

    @cached_property
    def in_place(self) -> bool:
        """True if rows and columns sit where they stand in the block."""
        return all(
            side is _in_place(len(side)) or bool((side == _in_place(len(side))).all())
            for side in (self.rows, self.columns)
        )

    @cached_property
    def index(self) -> tuple[slice, slice] | tuple[Places, Places]:
        """Where the block's codes sit in the codes of its group."""
        if self.in_place:
            return slice(len(self.rows)), slice(len(self.columns))
        return self.rows[:, None], self.columns[None, :]

    @cached_property
    def extent(self) -> tuple[int, int]:
        """The rows and the columns that it covers, as sets of bits."""
        if self.in_place:
            return (1 << len(self.rows)) - 1, (1 << len(self.columns)) - 1
        return sum(1 << int(row) for row in self.rows), sum(1 << int(column) for column in self.columns)

    def hides(self, other: Rectangle) -> bool:
        """Return True if nothing can be seen of another rectangle that was written before."""
        return all(not below & ~above for below, above in zip(other.extent, self.extent, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What writing one block does: the codes that its place in `group` held, and those that it brings, both (height, width).

    Codes are as the cells show them: the first cell the most significant digit, whatever digit it really holds, and inverted
    columns as they are stored. What is blank shows the code whose cells are at level 0 (`Coding.base`).
    """

    group: int
    place: Rectangle
    old: Codes
    new: Codes


def _places(orders: Orders, which: int, size: int) -> Places:
    """Return where the rows (or columns) of block `which` of a run sit, shape (size,)."""
    order = orders[which] if orders else ()
    return np.array(order, dtype=np.intp) if order else _in_place(size)


@lru_cache(maxsize=64)
def recoded(order: tuple[int, ...], bits: int) -> Codes:
    """Return for each code the one that its cells show when digit k sits on cell order[k], shape (256,)."""
    levels = Coding("offset", bits * len(order), bits).table.astype(np.int16)
    shifts = bits * (len(order) - 1 - np.array(order))
    codes: Codes = (levels << shifts).sum(axis=1).astype(np.uint8)
    return codes


def rectangle(program: Program, number: int, which: int) -> Rectangle:
    """Return where block `which` of the run of write `number` sits in its group."""
    table = columns(program)
    block = int(table.first_block[number]) + which
    weight = program.mapping.weight_of(block)
    height, width = (int(side[block - weight.first]) for side in (weight.blocks.heights, weight.blocks.widths))
    rows, across, cells = table.ordered(number)
    return Rectangle(block, _places(rows, which, height), _places(across, which, width), cells[which] if cells else ())


class Deltas:
    """Follows what the groups of a chip hold, write by write, from blank cells on.

    deltas = Deltas(program)
    for change in deltas.write(number): ...      each block's codes before and after, and the write is noted
    deltas.note(number)                          only noted
    deltas.levels(change)                        the level changes themselves

    Writes are given by their places in the program.

    Raises ProgramError where the program has no weights.
    """

    def __init__(self, program: Program) -> None:
        if program.quantised is None:
            raise ProgramError(f"{program.network.name} was compiled from shapes alone: there are no levels to follow")
        self.program = program
        self.matrices = program.quantised.matrices
        self.shape = program.mapping.shape
        self.rectangles: list[tuple[Rectangle, ...]] = [()] * program.chip.groups
        self._paper = np.zeros((self.shape.rows, self.shape.columns), dtype=np.uint8)

    def write(self, number: int) -> Iterator[Change]:
        """Yield the change of each block of a write, in the order of its groups, and note it."""
        for group, place in self._places(number):
            new = self._codes(place)
            yield Change(group, place, self.under(group, place), new)
            self._put(group, place)

    def note(self, number: int) -> None:
        """Note a write whose changes nobody asks for."""
        for group, place in self._places(number):
            self._put(group, place)

    def under(self, group: int, place: Rectangle) -> Codes:
        """Return the codes that a group holds where a rectangle would sit, shape (height, width)."""
        rectangles = self.rectangles[group]
        if len(rectangles) == 1 and rectangles[0].in_place and place.in_place and rectangles[0].hides(place):
            return self._codes(rectangles[0])[place.index]
        return self.codes(group)[place.index].copy()

    def codes(self, group: int) -> Codes:
        """Return all codes that a group holds, shape (rows, columns), blank where nothing was written; valid
        until the next call.
        """
        self._paper[...] = self.shape.coding.base
        for rectangle in self.rectangles[group]:
            self._paper[rectangle.index] = self._codes(rectangle)
        return self._paper

    def levels(self, change: Change) -> Levels:
        """Return the level changes of a block's cells, shape (height, width, cells per weight)."""
        coding = self.shape.coding
        return coding.levels(change.new).astype(np.int16) - coding.levels(change.old)

    def inverted(self, place: Rectangle) -> npt.NDArray[np.bool_] | None:
        """Return which columns of cells a block stores inverted, shape (width, cells); None where the coding inverts none."""
        return inverted_columns(self._laid(place), self.shape.coding)

    def _places(self, number: int) -> Iterator[tuple[int, Rectangle]]:
        for which, group in enumerate(members(columns(self.program).ranges_of(number))):
            yield group, rectangle(self.program, number, which)

    def _put(self, group: int, place: Rectangle) -> None:
        self.rectangles[group] = (*(older for older in self.rectangles[group] if not place.hides(older)), place)

    def _laid(self, place: Rectangle) -> Codes:
        weight = self.program.mapping.weight_of(place.block)
        return weight.blocks.laid(place.block - weight.first, self.matrices[weight.name])

    def _codes(self, place: Rectangle) -> Codes:
        codes = shown_codes(self._laid(place), self.shape.coding)
        return recoded(place.cells, self.program.chip.array.cell_bits)[codes] if place.cells else codes
