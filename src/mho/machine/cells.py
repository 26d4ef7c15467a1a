"""What writing does to the cells: which change their level, by how many pulses, how often each is worn.

With weights known, every cell of the chip is followed: a write changes a cell from the level that it really holds to
the level that it needs. With shapes alone, expected changes are charged (see `expected`). Both follow the chip in its
steady state, one inference after another: the cells at the start are as the inference before left them. The setup, which
happens once, starts from cells at level 0.
"""

from __future__ import annotations

import numpy as np

from mho.machine.changes import Wear, WriteCount, level_changes
from mho.machine.expected import expected_wear
from mho.mapping.layout import block_codes
from mho.program import Program, Write
from mho.program.instructions import members


class _Cells:
    """The codes that all groups hold, and how often each cell has changed."""

    def __init__(self, program: Program) -> None:
        chip = program.chip
        self.program = program
        shape = (chip.groups, chip.array.rows, chip.group_columns)
        self.codes = np.zeros(shape, dtype=np.uint8)
        # A cell changes at most once a write; a narrow counter keeps what is followed small.
        few = sum(isinstance(each, Write) for each in program.instructions) < 2**16
        self.worn = np.zeros((chip.cells_per_weight, *shape), dtype=np.uint16 if few else np.uint32)
        self.tables = level_changes(chip.cells_per_weight, chip.array.cell_bits)

    def write(self, instruction: Write, *, counted: bool, wearing: bool) -> WriteCount:
        """Apply a write to the cells; count what changes, and wear the cells, if asked."""
        assert self.program.quantised is not None
        layer = self.program.mapping.by_index[instruction.layer]
        codes = self.program.quantised.matrices[layer.name].codes
        cells = changed = steps = 0
        for index, group in zip(range(*instruction.blocks), members(instruction.groups), strict=True):
            new = block_codes(codes, layer.tiling, index)
            height, width = new.shape
            held = self.codes[group, :height, :width]
            if counted:
                pair = held.astype(np.uint16) << 8 | new
                cells += new.size
                changed += int(self.tables[0][pair].sum(dtype=np.int64))
                steps += int(self.tables[1][pair].sum(dtype=np.int64))
            if wearing:
                mask = self.tables[2][pair]
                for cell in range(len(self.worn)):
                    self.worn[cell, group, :height, :width] += (mask >> cell) & 1
            held[...] = new
        per_weight = self.program.chip.cells_per_weight
        return WriteCount(cells * per_weight, changed, steps)


def _exact(program: Program) -> Wear:
    """Follow every cell through two inferences and count the second."""
    cells = _Cells(program)
    writes = [(i, each) for i, each in enumerate(program.instructions) if isinstance(each, Write)]
    counts = {i: cells.write(each, counted=True, wearing=False) for i, each in writes if i < program.setup}
    inference = [(i, each) for i, each in writes if i >= program.setup]
    for _, each in inference:
        cells.write(each, counted=False, wearing=False)
    counts.update({i: cells.write(each, counted=True, wearing=True) for i, each in inference})
    changed = sum(counts[i].changed for i, _ in inference)
    return Wear(counts, changed / program.chip.cells, float(cells.worn.max()) if inference else 0.0, True)


def wear(program: Program) -> Wear:
    """Count the writes of a program in steady state: cell by cell where the weights are known, else as expected."""
    return expected_wear(program) if program.quantised is None else _exact(program)
