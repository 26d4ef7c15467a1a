"""How long each write must last at the least, worked out cell by cell: levels are kept, and set, not changed by deltas."""

from __future__ import annotations

import numpy as np

from mho.program.instructions import Write, members
from mho.program.program import Program


def least_write_s(program: Program) -> dict[int, float]:
    """Return for each write the least time in s that its cells take, with nobody else on the memory.

    Worst case: that of all rows at full range. Actual: of each row of an array its slowest cell in each phase (ARAS section
    III-B), summed over rows, the slowest array; an inference starts on the levels that the one before it left.
    """
    chip = program.chip
    writes = {i: each for i, each in enumerate(program.instructions) if isinstance(each, Write)}
    if chip.write_latency == "worst_case":
        return dict.fromkeys(writes, chip.array_write_time_s)
    if program.quantised is None:
        return dict.fromkeys(writes, 0.0)
    step_s = chip.array.pulse_s * chip.array.pulses_full_range / (chip.levels - 1)
    grid = program.mapping.grid
    cells = np.zeros((chip.groups, grid.rows, grid.columns), dtype=np.int16)
    least: dict[int, float] = {}
    for inference in range(2):
        for i, write in writes.items():
            if inference and i < program.setup:
                continue
            steps = [
                _rewritten(program, write, which, cells[group]) for which, group in enumerate(members(write.groups))
            ]
            least[i] = max(steps) * step_s
    return least


def _rewritten(program: Program, write: Write, which: int, cells: np.ndarray) -> int:
    """Set the cells of a group, (rows, columns of cells), to a block's levels, and return the steps of its slowest array."""
    chip, shape = program.chip, program.mapping.weight_of(write.blocks[0] + which).blocks.shape
    levels = _levels(program, write.blocks[0] + which)
    rows = list(write.rows[which] if write.rows else ()) or list(range(levels.shape[0]))
    columns = list(write.columns[which] if write.columns else ()) or list(range(levels.shape[1]))
    digits = list(write.cells[which] if write.cells else ()) or list(range(shape.cells))
    wide = program.mapping.grid.per_array
    lines = [
        column // shape.per_array * wide + column % shape.per_array * shape.cells + digit
        for column in columns
        for digit in digits
    ]
    before = cells.copy()
    cells[np.ix_(rows, lines)] = levels.reshape(len(rows), -1)
    change = cells - before
    slowest = 0
    for first in range(0, cells.shape[1], wide):
        array = change[:, first : first + wide]
        if chip.array.pairs == "rows":
            # The cells of a pair lie in two rows, which are written one after the other.
            array = array.reshape(len(array), -1, 2).swapaxes(1, 2).reshape(2 * len(array), -1)
        up, down = np.maximum(array.max(axis=1), 0), np.maximum(-array.min(axis=1), 0)
        took = up + down if chip.array.write_phases == 2 else np.maximum(up, down)
        slowest = max(slowest, int(took.sum()))
    return slowest


def _levels(program: Program, block: int) -> np.ndarray:
    """Work out the levels of a block's cells, int16 (height, width, cells)."""
    assert program.quantised is not None
    weight = program.mapping.weight_of(block)
    coding = weight.blocks.shape.coding
    codes = weight.blocks.laid(block - weight.first, program.quantised.held(weight.name))
    levels: np.ndarray = coding.levels(codes).astype(np.int16)
    if coding.inverts:
        # Columns of cells that sum to more than half of what they could hold are stored inverted (ISAAC, section V).
        turned = levels.sum(axis=0) > len(levels) * coding.highest / 2
        levels[:, turned] = coding.highest - levels[:, turned]
    return levels
