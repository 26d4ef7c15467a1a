"""Filling tables: the writes that bring rows into the cells of every instance of a layout, before anything is served."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.seats import Seats
from mho.mapping.embedding.tables import with_tables
from mho.mapping.mapping import Mapping
from mho.network.builder import Builder
from mho.network.graph import Network
from mho.network.layers import Array
from mho.once import once
from mho.program.instructions import Gather, Groups, Write, members
from mho.program.program import Program
from mho.strategy.strategy import Strategy


def instance_groups(seats: Seats, offset: int = 0) -> Groups:
    """Return the groups of all instances, one instance after another, the chip's from number `offset` on."""
    return ranges(seats.groups + offset, seats.span)


def ranges(firsts: npt.NDArray[np.int64], span: int) -> Groups:
    """Return groups [first, first + span) for each of some firsts, neighbours joined."""
    joined: list[tuple[int, int]] = []
    for first in firsts.tolist():
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], first + span
        else:
            joined.append((first, first + span))
    return tuple(joined)


@once
def seats_of(program: Program) -> Seats:
    """Return where the tables of a program sit, as the groups that it gathers from say; tiles are counted from the first of them.

    ProgramError where it gathers no rows.
    """
    tables, chip = program.mapping.tables, program.chip
    gather = next((each for each in program.instructions if isinstance(each, Gather)), None)
    if tables is None or gather is None:
        raise ProgramError(f"{program.network.name} gathers no rows of tables")
    tiles = np.fromiter(members(gather.groups), np.int64)[:: tables.blocks.span] // chip.tile.groups
    placed = (tiles - tiles.min()).astype(np.int32)
    return Seats(tables.blocks.layout, chip, tables.blocks.columns, placed)


def table_writes(layer: int, first: int, seats: Seats, offset: int = 0) -> Iterator[Write]:
    """Yield the writes of all instances, copy after copy, each of neighbouring bundles: `layer` is the first that looks rows up,
    `first` the number of the first block of the tables, and the groups are those from `offset` on.
    """
    layout, span = seats.layout, seats.span
    for copy in range(int(layout.copies.max())):
        for begin, end in _runs(layout, copy):
            groups = seats.groups[layout.first[begin:end] + copy] + offset
            yield Write(layer, (first + begin * span, first + end * span), copy, ranges(groups, span), ())


def _runs(layout: Layout, copy: int) -> Iterator[tuple[int, int]]:
    """Yield runs [begin, end) of bundles that have a copy of this number."""
    have = np.flatnonzero(layout.copies > copy)
    for _, run in groupby(enumerate(have.tolist()), key=lambda pair: pair[1] - pair[0]):
        bundles = [bundle for _, bundle in run]
        yield bundles[0], bundles[-1] + 1


def filling(seats: Seats) -> Program:
    """Return a program that does nothing but fill the arrays of a layout with rows whose numbers are not known."""
    builder = Builder()
    builder.scope = "tables"
    rows = builder.input((1, 1), "rows", type="int32")
    bags = builder.embedding_bag(rows, Array((seats.layout.rows, seats.dimension)))
    network = Network(name="tables", layers=tuple(builder.layers.values()), outputs=(bags,), origin="shapes alone")
    mapping = with_tables(Mapping("bundles", (), ()), network, seats.blocks)
    writes = tuple(table_writes(1, 0, seats))
    return Program(seats.chip, network, None, mapping, Strategy(), writes, len(writes), ())
