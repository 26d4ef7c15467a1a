"""What writing does to the cells: which change their level, by how many pulses, how often each is worn.

With weights known, every cell of the chip is followed: a write changes a cell from the level that it really holds to
the level that it needs. With shapes alone, the expected change between two independent weights is charged, the weights'
codes following the distribution stated in `CODE_SPREAD`.

Both follow the chip in its steady state, one inference after another: the cells at the start are as the inference
before left them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import Tiling
from mho.program import Program, Write
from mho.program.instructions import indices, members

CODE_SPREAD = 8.0
"""Assumed weight codes of networks known by shape alone: normal around the middle code, the whole range being this many
standard deviations, a bell as in ARAS Figure 11."""


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What one write (or all of them) does: cells addressed, cells whose level changes, level steps in all."""

    addressed: float = 0.0
    changed: float = 0.0
    steps: float = 0.0

    def __add__(self, other: WriteCount) -> WriteCount:
        """Add up."""
        return WriteCount(self.addressed + other.addressed, self.changed + other.changed, self.steps + other.steps)


@dataclass(frozen=True, eq=False)
class Wear:
    """The writes of one inference: per instruction (setup included), and per cell of the chip.

    per_cell_mean: level changes per inference, averaged over all cells of the chip; per_cell_max: of the cell that
    changes most often. `exact` says whether they were followed cell by cell or expected.
    """

    counts: dict[int, WriteCount]
    per_cell_mean: float
    per_cell_max: float
    exact: bool


def digits(codes: npt.NDArray[np.uint8], chip: Chip) -> npt.NDArray[np.uint8]:
    """Split weight codes into cell levels, the most significant first: shape (..., cells per weight)."""
    count, bits = chip.cells_per_weight, chip.array.cell_bits
    shifts = bits * np.arange(count - 1, -1, -1, dtype=np.uint16)
    levels = np.empty((*codes.shape, count), dtype=np.uint8)
    levels[...] = (codes[..., None].astype(np.uint16) >> shifts) & (chip.levels - 1)
    return levels


def block_codes(codes: npt.NDArray[np.uint8], tiling: Tiling, index: int) -> npt.NDArray[np.uint8]:
    """Return the weight codes of a block as they sit in its group, shape (height, width), 0 off the diagonal.

    `codes` has shape (matrices, K, N).
    """
    block = tiling.block(index)
    part = codes[block.first : block.first + block.count, slice(*block.rows), slice(*block.columns)]
    laid = np.zeros((block.height, block.width), dtype=np.uint8)
    height, width = part.shape[1:]
    for i, matrix in enumerate(part):
        laid[i * height : (i + 1) * height, i * width : (i + 1) * width] = matrix
    return laid


@lru_cache(maxsize=8)
def _changes(count: int, bits: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each pair of codes (old * 256 + new): cells changed, level steps, and the changed cells as bits."""
    shifts = bits * np.arange(count - 1, -1, -1)
    levels = (np.arange(256)[:, None] >> shifts) & ((1 << bits) - 1)
    apart = np.abs(levels[:, None, :] - levels[None, :, :])
    mask = ((apart > 0) << np.arange(count)).sum(axis=-1)
    return (
        (apart > 0).sum(axis=-1).astype(np.uint8).ravel(),
        apart.sum(axis=-1).astype(np.uint8).ravel(),
        mask.astype(np.uint8).ravel(),
    )


class _Cells:
    """The codes that all groups hold, and how often each cell has changed."""

    def __init__(self, program: Program) -> None:
        chip = program.chip
        self.program = program
        shape = (chip.groups, chip.array.rows, chip.group_columns)
        self.codes = np.zeros(shape, dtype=np.uint8)
        self.worn = np.zeros((chip.cells_per_weight, *shape), dtype=np.uint16)
        self.tables = _changes(chip.cells_per_weight, chip.array.cell_bits)

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


@lru_cache(maxsize=8)
def expected_change(count: int, bits: int) -> tuple[float, float, float]:
    """Expect what overwriting one weight by another changes: cells, level steps, and the busiest cell's chance to change."""
    code = np.arange(256)
    weight = np.exp(-0.5 * ((code - 127.5) / (255 / CODE_SPREAD)) ** 2)
    both = np.outer(weight, weight).ravel() / weight.sum() ** 2
    changed, steps, mask = _changes(count, bits)
    most = max(float(both[(mask >> cell) & 1 == 1].sum()) for cell in range(count))
    return float(both @ changed), float(both @ steps), most


def _expected(program: Program) -> Wear:
    """Charge expected changes wherever a group receives another block than it held."""
    chip = program.chip
    changed, steps, most = expected_change(chip.cells_per_weight, chip.array.cell_bits)
    # What a group holds as one number: layer, copy and block in fields of their own.
    held = np.full(chip.groups, -1, dtype=np.int64)
    worn = np.zeros(chip.groups)
    counts: dict[int, WriteCount] = {}
    for turn in (0, 1):
        for i, instruction in enumerate(program.instructions):
            if not isinstance(instruction, Write) or (turn and i < program.setup):
                continue
            places = program.mapping.by_index[instruction.layer].tiling.places[slice(*instruction.blocks)]
            groups = indices(instruction.groups)
            new = (instruction.layer << 44 | instruction.copy << 28) + np.arange(*instruction.blocks)
            other = held[groups] != new
            held[groups] = new
            if turn or i < program.setup:
                moved = float(places[other].sum())
                counts[i] = WriteCount(float(places.sum()) * chip.cells_per_weight, moved * changed, moved * steps)
            if turn:
                worn[groups] += other * most
    total = sum(count.changed for i, count in counts.items() if i >= program.setup)
    return Wear(counts, total / chip.cells, float(worn.max(initial=0.0)), False)


def wear(program: Program) -> Wear:
    """Count the writes of a program in steady state: cell by cell where the weights are known, else as expected."""
    return _expected(program) if program.quantised is None else _exact(program)
