"""What writing does to the cells: which change their level, by how many pulses, how often each is worn.

With weights known, every cell of the chip is followed: the level changes that a write carries (`program/deltas.py`) are
those that are counted, charged and worn here, and those that functional execution adds to the cells. With shapes alone,
expected changes are charged (see `expected`). Both follow the chip in its steady state, one inference after another: the
cells at the start are as the inference before left them. The setup, which happens once, starts from cells at level 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.changes import Wear, WriteCount, level_changes, steepest_changes
from mho.machine.expected import expected_wear
from mho.program import Program
from mho.program.columns import WRITE, columns
from mho.program.deltas import Deltas, Rectangle
from mho.program.once import once


class _Cells:
    """Counts of what writes do to the cells, from the very level changes that they carry, and of each cell's changes."""

    def __init__(self, program: Program) -> None:
        chip, shape = program.chip, program.mapping.shape
        self.chip, self.shape = chip, shape
        self.deltas = Deltas(program)
        # A cell changes at most once a write; a narrow counter keeps what is followed small.
        few = len(columns(program).of(WRITE)) < 2**16
        sizes = (shape.cells, chip.groups, shape.rows, shape.columns)
        self.worn = np.zeros(sizes, dtype=np.uint16 if few else np.uint32)
        self.tables = level_changes(shape.coding)
        self.steepest = steepest_changes(shape.coding)
        self.codes = np.uint16(1 << shape.coding.weight_bits)

    def write(self, number: int, *, wearing: bool, rows: bool = True) -> WriteCount:
        """Count what a write changes; follow the slowest cell of each row and wear the cells, if asked."""
        cells = changed = steps = slowest = 0
        for change in self.deltas.write(number):
            pair: npt.NDArray[np.uint16] = change.old.astype(np.uint16) * self.codes + change.new
            cells += pair.size
            changed += int(self.tables[0].take(pair).sum(dtype=np.int64))
            steps += int(self.tables[1].take(pair).sum(dtype=np.int64))
            slowest = max(slowest, self._slowest(pair, change.place)) if rows else 0
            if wearing:
                mask = self.tables[2].take(pair)
                for cell in range(len(self.worn)):
                    self.worn[cell, change.group][change.place.index] += (mask >> cell) & 1
        return WriteCount(cells * self.shape.cells, changed, steps, slowest)

    def _slowest(self, pair: npt.NDArray[np.uint16], place: Rectangle) -> int:
        """Sum, for the slowest array of a group, the level steps that each row takes: its slowest cell in each phase."""
        by_column = np.ascontiguousarray(pair.T)
        rise, fall = (table.take(by_column) for table in self.steepest)
        array = place.columns // self.shape.per_array
        most = 0
        for number in range(int(array.max()) + 1):
            inside = array == number
            if inside.any():
                up, down = (phase[inside].max(axis=0).astype(np.int64) for phase in (rise, fall))
                rows = up + down if self.chip.array.write_phases > 1 else np.maximum(up, down)
                most = max(most, int(rows.sum()))
        return most


def cell_changes(program: Program) -> tuple[dict[int, WriteCount], npt.NDArray[np.unsignedinteger]]:
    """Follow every cell into its steady state: what each write does, and how often one inference from there changes each cell.

    The changes have shape (cells a weight, groups, rows, weight columns).
    """
    cells = _Cells(program)
    writes = columns(program).of(WRITE).tolist()
    counts = {number: cells.write(number, wearing=False) for number in writes if number < program.setup}
    inference = [number for number in writes if number >= program.setup]
    for number in inference:
        cells.deltas.note(number)
    counts.update({number: cells.write(number, wearing=True) for number in inference})
    return counts, cells.worn


def overwritten(program: Program) -> WriteCount:
    """Count what the writes of one inference in steady state change in all; which cells are worn, and the slowest, is left out.

    That takes a third of the time of `wear`.
    """
    cells, writes = _Cells(program), columns(program).of(WRITE).tolist()
    for number in writes:
        cells.deltas.note(number)
    counts = [cells.write(number, wearing=False, rows=False) for number in writes if number >= program.setup]
    sums = (sum(getattr(count, name) for count in counts) for name in ("addressed", "changed", "steps"))
    return WriteCount(*sums)


def _exact(program: Program) -> Wear:
    """Count one inference in steady state, every cell followed."""
    counts, worn = cell_changes(program)
    changed = sum(count.changed for i, count in counts.items() if i >= program.setup)
    worst = float(worn.max())
    # Shape (cells per weight, rows, columns): what a place in a group sees when the groups take turns.
    levelled = float(worn.sum(axis=1, dtype=np.int64).max()) / program.chip.groups
    return Wear(counts, changed / program.chip.cells, worst, levelled, True)


@once
def wear(program: Program) -> Wear:
    """Count the writes of a program in steady state: cell by cell where the weights are known, else as expected."""
    return expected_wear(program) if program.quantised is None else _exact(program)
