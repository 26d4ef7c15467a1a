"""What writing does to the cells: which change their level, by how many pulses, how often each is worn.

With weights known, every cell of the chip is followed: the level changes that a write carries (`program/deltas.py`) are
those that are counted, charged and worn here, and those that functional execution adds to the cells. With shapes alone,
expected changes are charged (see `expected`). Both follow the chip in its steady state, one inference after another: the
cells at the start are as the inference before left them. The setup, which happens once, starts from cells at level 0.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mho.machine.changes import Wear, WriteCount
from mho.machine.expected import expected_wear
from mho.once import once
from mho.program import Program
from mho.program.columns import WRITE, columns, round_of
from mho.program.deltas import Change, Deltas, Levels

Integers = npt.NDArray[np.int64]
Counters = npt.NDArray[np.unsignedinteger]


class _Cells:
    """Counts of what writes do to the cells, from the very level changes that they carry, and of each cell's changes."""

    def __init__(self, program: Program) -> None:
        chip, grid = program.chip, program.mapping.grid
        self.stacked = chip.coding.stacked
        self.phases = chip.array.write_phases
        self.deltas = Deltas(program)
        # A cell changes at most once a write; a narrow counter keeps what is followed small.
        few = len(columns(program).of(WRITE)) < 2**16
        self.counter, self.shape = np.uint16 if few else np.uint32, (grid.rows, grid.columns)
        # Of the groups that an inference writes alone: most of a chip that holds its network are not.
        self.worn: defaultdict[int, Counters] = defaultdict(lambda: np.zeros(self.shape, dtype=self.counter))

    def write(self, number: int, *, wearing: bool) -> WriteCount:
        """Count what a write changes, and the steps of its slowest array; wear the cells, if asked."""
        # Compiled code takes a while to import.
        from mho.machine.compiled import compared

        counts, slowest = np.zeros(3, dtype=np.int64), 0
        for change in self.deltas.write(number):
            old, new, ends = _by_array(change)
            if self.stacked:
                old, new, ends = _row_by_row(old), _row_by_row(new), ends // 2
            differ, apart, took = compared(old, new, ends, self.phases)
            counts += (new.size, differ, apart)
            slowest = max(slowest, int(took))
            if wearing:
                self.worn[change.group][change.place.index] += change.old != change.new
        addressed, changed, steps = counts.tolist()
        return WriteCount(addressed, changed, steps, slowest)


@lru_cache(maxsize=1024)
def _ends(columns: int, per_array: int) -> Integers:
    """Return where the columns of each array end, of so many that stand one after another."""
    return np.minimum(np.arange(per_array, columns + per_array, per_array), columns)


def _row_by_row(levels: Levels) -> Levels:
    """Return levels (rows of weights, columns of cells) as rows of the array: negative cells of pairs below the positive ones."""
    return np.concatenate([levels[:, 0::2], levels[:, 1::2]])


def _by_array(change: Change) -> tuple[Levels, Levels, Integers]:
    """Return the levels before and after, array after array, and where the columns of each array end."""
    place, old, new = change.place, change.old, change.new
    if isinstance(place.index[1], slice):
        return np.ascontiguousarray(old), new, _ends(new.shape[1], place.grid.per_array)
    array = place.lines // place.grid.per_array
    order = np.argsort(array, kind="stable")
    array = array[order]
    ends = np.append(np.flatnonzero(array[1:] != array[:-1]) + 1, len(array))
    return np.ascontiguousarray(old[:, order]), np.ascontiguousarray(new[:, order]), ends


def _followed(program: Program) -> tuple[dict[int, WriteCount], _Cells]:
    """Follow every cell into its steady state: what each write does, and the cells that one inference from there has worn."""
    cells = _Cells(program)
    writes = columns(program).of(WRITE).tolist()
    counts = {number: cells.write(number, wearing=False) for number in writes if number < program.setup}
    inference = [number for number in writes if number >= program.setup]
    for number in inference:
        cells.deltas.note(number)
    counts.update({number: cells.write(number, wearing=True) for number in inference})
    return counts, cells


def cell_changes(program: Program) -> tuple[dict[int, WriteCount], Counters]:
    """Follow every cell into its steady state: what each write does, and how often one inference from there changes each cell.

    The changes have shape (groups, rows, columns of cells): those of all groups of the chip, also where nothing is written.
    """
    counts, cells = _followed(program)
    changes = np.zeros((program.chip.groups, *cells.shape), dtype=cells.counter)
    for group, worn in cells.worn.items():
        changes[group] = worn
    return counts, changes


def overwritten(program: Program) -> WriteCount:
    """Count what the writes of one inference in steady state change in all; which cells are worn is left out."""
    cells, writes = _Cells(program), columns(program).of(WRITE).tolist()
    for number in writes:
        cells.deltas.note(number)
    counts = [cells.write(number, wearing=False) for number in writes if number >= program.setup]
    sums = (sum(getattr(count, name) for count in counts) for name in ("addressed", "changed", "steps"))
    return WriteCount(*sums)


def _exact(program: Program) -> Wear:
    """Count one inference in steady state, every cell followed."""
    counts, cells = _followed(program)
    changed = sum(count.changed for i, count in counts.items() if i >= program.setup)
    worst = max((float(worn.max()) for worn in cells.worn.values()), default=0.0)
    # What a cell of a group sees when the groups take turns.
    turns = np.zeros(cells.shape, dtype=np.int64)
    for worn in cells.worn.values():
        turns += worn
    return Wear(counts, changed / program.chip.cells, worst, float(turns.max()) / program.chip.groups, True)


@once
def wear(program: Program) -> Wear:
    """Count the writes of a program in steady state: cell by cell where the weights are known, else as expected.

    Each write counts whole; cells take those of an inference, which has its share of what its round writes once.
    """
    worn = expected_wear(program) if program.quantised is None else _exact(program)
    batch = round_of(program)
    if batch == 1:
        return worn
    mean, most, levelled = (each / batch for each in (worn.per_cell_mean, worn.per_cell_max, worn.per_cell_levelled))
    return Wear(worn.counts, mean, most, levelled, worn.exact)
