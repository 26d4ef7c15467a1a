"""Blocks: what fills groups of arrays, whatever the technique that put it there.

A kind of blocks says how large each block is, what its cells hold, which inputs drive which of its rows, turn by turn, and what
the sums of its columns count for in the outputs. Everything else - schedules, time, energy, wear, execution, legality - asks here
and never for the kind. `mapping/dense.py` has blocks of whole weights, `mapping/digits.py` blocks of digits,
`mapping/embedding/bundles.py` bundles of the rows of embedding tables.

A *place* is where a block puts one number: all cells of a weight, or one cell with a digit of it (`mapping/shape.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mho.mapping.coding import block_levels
from mho.mapping.shape import GroupShape
from mho.number.coded import QuantisedMatrix

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]
Run = tuple[int, int]
"""Blocks [first, last)."""


@dataclass(frozen=True, slots=True)
class Late:
    """Counts of events in steps beyond those of a plain input, each times its number of such steps (see `Totals`)."""

    arrays: int = 0
    drives: int = 0
    columns: int = 0
    sums: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a run of blocks, of what one window asks for.

    rows: driven rows; columns: columns of places, as often as they are converted in a step; places: places set by a write; arrays:
    arrays read; drives: rows driven, counted once for each array; inputs: distinct inputs that are read from the buffer; sums:
    partial sums; updates: how often these are added to in a step; readings: arrays, as often as their columns are converted in a
    step; late: what prolonged inputs add; shifted: rows whose inputs are shifted. Rows that are not driven together take turns, in
    each of which columns are converted.
    """

    blocks: int
    rows: int
    columns: int
    places: int
    arrays: int
    drives: int
    inputs: int
    sums: int
    updates: int
    readings: int
    late: Late = Late()
    shifted: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Rows and columns of a block that are driven and converted together; a block of several turns is activated once in each.

    `rows` and `columns` are places in the block; `columns` is None where all of them are converted. `late`: input bits by which
    shifted inputs are longer than plain ones.
    """

    rows: Indices | slice
    columns: Indices | None
    late: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """The inputs that drive the rows of a block in one of its turns, as one byte each, or as two, the lower first.

    `inputs`: uint8 (vectors, height) each, the second of `turn.late` bits. `number` tells turns apart; None where there is one.
    """

    turn: Turn
    inputs: tuple[Bytes, ...]
    width: int
    number: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """What an index memory says of one turn of a block, integers row by row of a table.

    `rows` (driven rows, 4): place in the group, matrix, input, and by how much this is shifted to the left. `columns` (columns, 4):
    place, matrix, output, and what a unit of the column's sum counts for. `totals` (outputs, 3): matrix, output, and what a unit of
    the sum of its rectangle's inputs counts for; `rectangles`: how many are driven together.
    """

    rows: IntArray
    columns: IntArray
    totals: IntArray
    rectangles: int


@dataclass(frozen=True)
class Fullest:
    """The most `levels` that a column can hold together, and the most `rows` that are driven at once.

    A sum counts level x input steps: that of a column whose rows are all driven highest is the sum of its cells' levels times
    2^dac_bits - 1. What a column *can* hold depends on the rows of the fullest block, the levels of a cell and the coding; of
    squeezed layers, on the rows of each rectangle of digits and the bits that they may have.
    """

    levels: int
    rows: int


class Blocks(ABC):
    """The blocks of one weight, `matrices` matrices of `rows` x `columns`: `count` blocks that fill a group of this `shape` each.

    blocks.heights, blocks.widths, blocks.arrays        int64 (count,): rows, columns of places, arrays of each block
    blocks.totals((first, last))                        events of one window through a run of blocks
    blocks.laid(i, matrix)                              codes in the places of block i
    blocks.drives(i, x), blocks.splice(i, ...)          what drives its rows, and where the sums of its columns go
    """

    matrices: int
    rows: int
    columns: int
    shape: GroupShape
    evenly_read: ClassVar[bool] = False
    """True if every input drives as many rows as any other, counted over all blocks."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of blocks: groups that one copy fills."""

    @property
    @abstractmethod
    def heights(self) -> IntArray:
        """Used rows of each block, shape (count,)."""

    @property
    @abstractmethod
    def widths(self) -> IntArray:
        """Used columns of places of each block, shape (count,)."""

    @property
    @abstractmethod
    def fills(self) -> FloatArray:
        """Share of each block's places that hold a number of the weight, shape (count,)."""

    @property
    @abstractmethod
    def occupied(self) -> int:
        """Places, of all blocks, that hold a number of the weight: what must be fetched at the least to write them all."""

    @abstractmethod
    def totals(self, run: Run) -> Totals:
        """Sum the events of one window over a run of blocks."""

    @abstractmethod
    def turns(self, index: int) -> tuple[Turn, ...]:
        """Return what is driven and converted together in block `index`, turn by turn."""

    @abstractmethod
    def laid(self, index: int, matrix: QuantisedMatrix) -> Bytes:
        """Return the codes in the places of block `index`, uint8 (height, width).

        Where no weight sits is the code whose cells are at level 0 (`Coding.base`): it adds nothing to any sum.
        """

    @abstractmethod
    def drives(self, index: int, x: Bytes) -> Iterator[Drive]:
        """Yield, turn by turn, what drives block `index` for inputs x, uint8 (matrices, runs, windows, rows)."""

    @abstractmethod
    def splice(self, index: int, number: int | None, sums: FloatArray, x: Bytes, out: FloatArray) -> None:
        """Add the sums of a turn's columns, (runs x windows, columns), to `out`, (matrices, runs, windows, outputs).

        `number` is that of the `Drive`, x the inputs given to `drives`.
        """

    def rectangle(self, index: int) -> tuple[int, slice, slice] | None:
        """Return the matrix, the inputs and the outputs of block `index`, where it is a rectangle of one matrix that is driven and
        summed up as it stands; else None.
        """
        return None

    @abstractmethod
    def beside(self, matrix: QuantisedMatrix) -> IntArray:
        """Return what a unit of input adds to the sums of codes beside what cells hold; broadcasts to (matrices, outputs)."""

    @abstractmethod
    def assembled(self, read: Iterable[tuple[int, FloatArray]], matrix: QuantisedMatrix) -> FloatArray | None:
        """Return the weights (matrices, rows, outputs) that the cells of all blocks hold together.

        `read` yields the number of each block and what its places were read as, (height, width). None where cells that belong
        to other matrices add to their sums.
        """

    @abstractmethod
    def fullest(self) -> Fullest:
        """Return what the fullest column can hold, whatever the weights."""

    @abstractmethod
    def reads(self, index: int, order: Sequence[int] = ()) -> IntArray:
        """Count, for one window through block `index` with its columns in places `order` (empty: in place): arrays read, rows
        driven in them, and both weighted by the steps that prolonged inputs add, shape (4,).
        """

    def entries(self, index: int) -> tuple[int, int]:
        """Return how many inputs and columns of block `index` an index memory must name; none where they follow from its place."""
        return 0, 0

    def named(self, index: int) -> tuple[Named, ...]:
        """Return what an index memory says of block `index`, turn by turn; nothing where rows and columns follow from its place."""
        return ()

    def index_bits(self, run: Run, index_bits: int, shift_bits: int) -> int:
        """Return the bits that tell the groups of a run of blocks where inputs come from and where columns go.

        `index_bits` name an input or an output, `shift_bits` the shift of a row.
        """
        return 0

    def after(self, run: Run) -> int:
        """Return the digital operations that one window takes after the sums of a run of blocks have been added up."""
        return 0

    @abstractmethod
    def slowest(self, plain: int) -> tuple[int, int]:
        """Return the turns of the slowest block, and the steps that prolonged inputs add to them; `plain` are those of one."""

    @abstractmethod
    def converted(self) -> int:
        """Return the most columns of places that one array converts in a turn."""

    @cached_property
    def places(self) -> IntArray:
        """Places that writing each block sets, shape (count,)."""
        return self.heights * self.widths

    @cached_property
    def arrays(self) -> IntArray:
        """Arrays of the group that each block uses, shape (count,)."""
        return -(-self.widths // self.shape.per_array)

    def held_levels(self, matrix: QuantisedMatrix) -> int:
        """Return the most levels that the weights make any column hold together; of pairs, the fuller one."""
        most = 0
        for index in range(self.count):
            levels, _ = block_levels(self.laid(index, matrix), self.shape.coding)
            for turn in self.turns(index):
                driven = levels[turn.rows] if turn.columns is None else levels[turn.rows][:, turn.columns]
                for first in range(0, len(driven), self.shape.rows_at_once):
                    together = driven[first : first + self.shape.rows_at_once]
                    most = max(most, int(together.sum(axis=0, dtype=np.uint32).max(initial=0)))
        return most

    def check(self, index: int) -> None:
        """Raise IndexError where there is no block `index`."""
        if not 0 <= index < self.count:
            raise IndexError(f"block {index} of {self.count}")
