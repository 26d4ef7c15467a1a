"""The instructions of a program as columns: read once, then summed, searched and interpreted as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from mho.mapping.blocks import Run
from mho.once import once
from mho.program.instructions import Activate, Gather, Groups, Orders, Transfer, Vector, Write
from mho.program.program import Program
from mho.program.work import flow, index_bytes, order_bytes, write_bytes

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WRITE, ACTIVATE, COMBINE, VECTOR, LOAD, STORE, FETCH, GATHER = range(8)
"""Kinds of instructions; a transfer is one of three."""

KINDS = ("write", "activate", "combine", "vector", "load", "store", "fetch", "gather")
"""What a kind is called, by its number."""

TOTALS = ("rows", "columns", "places", "arrays", "drives", "inputs", "sums", "updates", "readings", "shifted")
LATE = ("arrays", "drives", "columns", "sums")
_TOTALS, _LATE = attrgetter(*TOTALS), attrgetter(*LATE)
NO_BLOCKS = (0, 0)
"""The run of an instruction that names no blocks."""


@dataclass(frozen=True, eq=False)
class InstructionColumns:
    """One array a property, shape (instructions,): what an instruction has none of is 0 there.

    kind: WRITE ... STORE; layer; copy; first_block, last_block: a run of the mapping's blocks; first_window, last_window: a run
    of windows; the last ones excluded; copies: how many from `copy` on, 1 of what is no activation; share: the part of its
    layer's rows that an instruction makes or moves, 1 where it names none; per_inference: how often it happens for an inference,
    1 / batch of what a stream in segments has once a round; release; size: bytes of a transfer. Instruction i
    names the ranges of groups `ranges[range_starts[i] : range_starts[i + 1]]`, shape (ranges, 2), and waits for those of `after`
    likewise (`after_starts`).
    cells: those of each place of its blocks. moved_bytes: what a write fetches, level changes and index; order_bytes: its orders;
    index_bytes: the index that each window of an activation reads. runs, late: by name, the totals over the run of blocks
    (`mapping.blocks.Totals`).
    orders: of each write whose blocks are not all in place, its orders of rows, of columns and of cells.
    """

    kind: npt.NDArray[np.int8]
    layer: Integers
    copy: Integers
    first_block: Integers
    last_block: Integers
    first_window: Integers
    last_window: Integers
    copies: Integers
    share: Floats
    per_inference: Floats
    release: npt.NDArray[np.bool_]
    size: Integers
    range_starts: Integers
    ranges: Integers
    after_starts: Integers
    after: Integers
    cells: Integers
    moved_bytes: Floats
    order_bytes: Floats
    index_bytes: Floats
    runs: dict[str, Integers]
    late: dict[str, Integers]
    orders: dict[int, tuple[Orders, Orders, Orders]]

    @property
    def windows(self) -> Integers:
        """The number of windows that an activation serves."""
        return self.last_window - self.first_window

    @property
    def turns(self) -> Floats:
        """The times of a window from the first turn of an activation to the one that follows its last: windows / copies."""
        return self.windows / self.copies

    @cached_property
    def group_counts(self) -> Integers:
        """The number of groups that an instruction names."""
        ends = np.concatenate([[0], np.cumsum(self.ranges[:, 1] - self.ranges[:, 0])])
        return np.diff(ends[self.range_starts])

    def of(self, *kinds: int) -> Integers:
        """Return the places of all instructions of these kinds, in order."""
        wanted = np.zeros(len(KINDS), dtype=np.bool_)
        wanted[list(kinds)] = True
        return np.flatnonzero(wanted[self.kind])

    def ranges_of(self, place: int) -> Groups:
        """Return the ranges of groups that an instruction names."""
        ranges = self.ranges[self.range_starts[place] : self.range_starts[place + 1]].tolist()
        return tuple((first, last) for first, last in ranges)

    def ordered(self, place: int) -> tuple[Orders, Orders, Orders]:
        """Return the orders of rows, of columns and of cells of a write, none where its blocks are in place."""
        return self.orders.get(place, ((), (), ()))

    def groups(self, places: Integers) -> tuple[Integers, Integers]:
        """Return the groups that instructions name, in their order, and beside each the instruction that names it."""
        firsts, counts = self.range_starts[places], self.range_starts[places + 1] - self.range_starts[places]
        begins, ends = self.ranges[counted(firsts, counts)].T
        return counted(begins, ends - begins), np.repeat(places, self.group_counts[places])


def counted(firsts: Integers, counts: Integers) -> Integers:
    """Return for each first number so many numbers from it on, one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(firsts - ends + counts, counts)


@once
def columns(program: Program) -> InstructionColumns:
    """Return the instructions of a program as columns."""
    rows: list[tuple[int, ...]] = []
    ranges: list[tuple[int, int]] = []
    after: list[int] = []
    orders: dict[int, tuple[Orders, Orders, Orders]] = {}
    # A run of blocks is written, and activated once or more.
    runs: dict[Run, int] = {NO_BLOCKS: 0}
    shares: dict[int, float] = {}
    layers = program.network.layers
    for place, each in enumerate(program.instructions):
        size = copy = first_window = last_window = release = 0
        copies = 1
        groups: Groups = ()
        blocks = NO_BLOCKS
        if isinstance(each, Activate):
            kind, copy, blocks, groups, release = ACTIVATE, each.copy, each.blocks, each.groups, each.release
            (first_window, last_window), copies = each.windows, each.copies
        elif isinstance(each, Write):
            kind, copy, blocks, groups = WRITE, each.copy, each.blocks, each.groups
            if each.rows or each.columns or each.cells:
                orders[place] = each.rows, each.columns, each.cells
        elif isinstance(each, Gather):
            kind, blocks, groups = GATHER, each.blocks, each.groups
        elif isinstance(each, Transfer):
            kind, size = KINDS.index(each.direction), each.size
        else:
            kind = VECTOR if isinstance(each, Vector) else COMBINE
        if not isinstance(each, Activate | Write | Gather) and each.rows is not None:
            shares[place] = (each.rows[1] - each.rows[0]) / flow(program.network).rows(layers[each.layer].name)
        ranges.extend(groups)
        after.extend(each.after)
        run = runs.setdefault(blocks, len(runs))
        windows = first_window, last_window
        counts = len(groups), len(each.after)
        rows.append((kind, each.layer, copy, copies, *blocks, *windows, release, size, run, *counts))
    return _columns(program, rows, shares, list(runs), ranges, after, orders)


@once
def made(program: Program) -> tuple[Integers, Integers]:
    """Return what makes results outside arrays' windows, in order: instructions that combine, compute or gather, and the layer of
    each; one that gathers stands once for every layer of bags.
    """
    table, tables = columns(program), program.mapping.tables
    places = table.of(COMBINE, VECTOR, GATHER)
    counts = np.where(table.kind[places] == GATHER, 1 if tables is None else len(tables.layers), 1)
    layers = np.repeat(table.layer[places], counts)
    if tables is not None:
        gathered = np.repeat(table.kind[places] == GATHER, counts)
        layers[gathered] = np.tile(tables.layers, int(np.count_nonzero(table.kind[places] == GATHER)))
    return np.repeat(places, counts), layers


def round_of(program: Program) -> int:
    """Return the inferences of a round, for which weights are written once: 1 of what is no stream, or one whose weights stay."""
    return 1 if program.stream is None else program.stream.batch


def per_inference(program: Program) -> Floats:
    """Return how often each instruction happens for an inference, shape (instructions,): once, or once a round of several."""
    often, stream = np.ones(len(program.instructions)), program.stream
    if stream is not None and stream.batch > 1:
        often[program.setup :] = 1 / stream.batch
        for first, last in stream.segments:
            often[first:last] = 1.0
    return often


def _columns(
    program: Program,
    rows: list[tuple[int, ...]],
    shares: dict[int, float],
    runs: list[Run],
    ranges: list[tuple[int, int]],
    after: list[int],
    orders: dict[int, tuple[Orders, Orders, Orders]],
) -> InstructionColumns:
    """Turn what was read of each instruction into arrays; `runs` are the different runs of blocks, the first of none."""
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 13).T.copy()
    kind, layer, copy, copies, first_block, last_block, first_window, last_window, *rest = table
    release, size, run, spans, waits = rest
    share = np.ones(len(rows))
    share[list(shares)] = list(shares.values())
    totals, cells, moved, index = _runs(program, runs)
    writes, activations = kind == WRITE, kind == ACTIVATE
    order_bytes_of = np.zeros(len(rows))
    for place, order in orders.items():
        order_bytes_of[place] = order_bytes(order, program.mapping.weight_of(int(first_block[place])).blocks.shape)
    sums = totals[:, run] * (writes | activations)
    return InstructionColumns(
        kind=kind.astype(np.int8),
        layer=layer,
        copy=copy,
        first_block=first_block,
        last_block=last_block,
        first_window=first_window,
        last_window=last_window,
        copies=copies,
        share=share,
        per_inference=per_inference(program),
        release=release.astype(np.bool_),
        size=size,
        range_starts=np.concatenate([[0], np.cumsum(spans)]),
        ranges=np.array(ranges, dtype=np.int64).reshape(-1, 2),
        after_starts=np.concatenate([[0], np.cumsum(waits)]),
        after=np.array(after, dtype=np.int64),
        cells=cells[run] * (writes | activations),
        moved_bytes=moved[run] * writes,
        order_bytes=order_bytes_of,
        index_bytes=index[run] * activations,
        runs=dict(zip(TOTALS, sums, strict=False)),
        late=dict(zip(LATE, sums[len(TOTALS) :], strict=True)),
        orders=orders,
    )


def _runs(program: Program, runs: list[Run]) -> tuple[Integers, Integers, Floats, Floats]:
    """Return the totals of runs of blocks, shape (totals, runs), the cells of a place of each, the bytes that writing each fetches,
    and those of its index.

    The first run is of no blocks, and has none of all that.
    """
    mapping, chip = program.mapping, program.chip
    totals, moved, index = np.zeros((len(TOTALS) + len(LATE), len(runs)), np.int64), [0.0], [0.0]
    cells = np.zeros(len(runs), np.int64)
    for number, each in enumerate(runs[1:], 1):
        blocks, run = mapping.located(each)
        run_totals = blocks.totals(run)
        totals[:, number] = *_TOTALS(run_totals), *_LATE(run_totals.late)
        cells[number] = blocks.shape.cells
        moved.append(write_bytes(blocks, run, chip))
        index.append(index_bytes(blocks, run, chip))
    return totals, cells, np.array(moved), np.array(index)
