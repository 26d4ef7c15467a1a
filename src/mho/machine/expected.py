"""Cell changes as expected values, for networks known by shapes alone.

Weight codes are taken to be independent and normal around the middle of the range (`CODE_SPREAD`). A place that holds a
weight and receives another changes by what two such codes differ on average; one that holds level 0 (a blank cell, or
one off a block's diagonal) by what a code differs from 0. Each group remembers the last two blocks that were written to it,
with their extents, so that a block which comes back only pays for what was overwritten in between; what lies beyond
both is charged as if it held other weights. Which columns a block inverts (coding `flipped`) is expected for blocks as high as an
array. Against codes that really follow the distribution, whole blocks come within 1 %,
random mixes of partial blocks within about 11 % (tests/test_machine_wear.py).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mho.chip.coding import Coding
from mho.machine.changes import Wear, WriteCount
from mho.program import Program, Write
from mho.program.instructions import indices

CODE_SPREAD = 8.0
"""Assumed weight codes of networks known by shape alone: normal around the middle code, the whole range being this many
standard deviations, a bell as in ARAS Figure 11."""

EXPECTED_NOTE = (
    "network known by shapes alone: cell changes are expected values between independent weights whose 8-bit codes are normal "
    f"around the middle of the range, which is {CODE_SPREAD:g} standard deviations wide"
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@lru_cache(maxsize=8)
def expected_change(coding: Coding, rows: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Expect (cells changed, level steps) of a weight overwritten by another weight, and of level 0 overwritten by one.

    Weights are independent, so that a cell's two levels are, too. Where the coding inverts columns, they are taken to be
    `rows` cells high.
    """
    code = np.arange(256)
    chance = np.exp(-0.5 * ((code - 127.5) / (255 / CODE_SPREAD)) ** 2)
    chance /= chance.sum()
    level = np.arange(coding.highest + 1)
    apart = np.abs(level[:, None] - level[None, :])
    weight, blank = [0.0, 0.0], [0.0, 0.0]
    for cell in range(coding.cells):
        share: Floats = np.bincount(coding.table[:, cell], weights=chance, minlength=len(level)).astype(np.float64)
        if coding.inverts:
            share = _shown(share, rows)
        for i, price in enumerate((apart > 0, apart)):
            weight[i] += float(share @ price @ share)
            blank[i] += float(share @ price[0])
    return (weight[0], weight[1]), (blank[0], blank[1])


def _shown(share: Floats, rows: int) -> Floats:
    """Return how often a cell shows each level, where columns that sum to more than half are inverted.

    `share` is how often it is to hold each level, shape (levels,). With S the sum of the other rows - 1 cells of its column, a cell
    of digit d is inverted if S + d > rows x (levels - 1) / 2.
    """
    highest = len(share) - 1
    size = (rows - 1) * highest + 1
    # The distribution of the sum of independent cells is the power of one cell's in the transformed domain.
    sums = np.fft.irfft(np.fft.rfft(share, 2 * size) ** (rows - 1), 2 * size)[:size]
    below = np.concatenate([[0.0], np.cumsum(np.clip(sums, 0.0, None))])
    most = rows * highest // 2 - np.arange(highest + 1)
    kept = share * np.clip(below[np.clip(most + 1, 0, size)] / below[-1], 0.0, 1.0)
    shown: Floats = kept + (share - kept)[::-1]
    return shown


class _Held:
    """What each group holds: its last two blocks, newest first: block and copy (-1: none), height, width, share of weights."""

    def __init__(self, groups: int, rows: int, columns: int) -> None:
        self.whole = (rows, columns, 1.0)
        # As long as every block has filled its group, blocks tell all; the rest is brought up to date when needed.
        self.whole_only = True
        self.block = np.full((2, groups), -1, dtype=np.int64)
        self.height = np.zeros((2, groups), dtype=np.int64)
        self.width = np.zeros((2, groups), dtype=np.int64)
        self.fill = np.zeros((2, groups))

    def write(
        self, groups: Integers, block: Integers, shape: tuple[Integers, Integers, Floats]
    ) -> tuple[npt.NDArray[np.bool_], Floats, Floats, Floats]:
        """Write blocks of (height, width, fill); return where another block comes, and the places that meet each kind.

        The kinds: a weight over a weight, a weight over level 0, and level 0 over a weight.
        """
        height, width, fill = shape
        if self.whole_only:
            if (height == self.whole[0]).all() and (width == self.whole[1]).all() and (fill == 1.0).all():
                before = self.block[0, groups]
                self.block[0, groups] = block
                other = before != block
                whole = float(self.whole[0] * self.whole[1])
                return other, whole * (other & (before >= 0)), whole * (before < 0), np.zeros(len(block))
            self.whole_only = False
            held = self.block[0] >= 0
            self.height[0, held], self.width[0, held], self.fill[0, held] = self.whole
        top, low = (
            (self.block[i, groups], self.height[i, groups], self.width[i, groups], self.fill[i, groups]) for i in (0, 1)
        )
        area = height * width
        covered = np.minimum(height, top[1]) * np.minimum(width, top[2])
        # Beyond the newest block lies the one before it, which is the same block if it comes back.
        beyond = np.where(low[0] == block, 0, area - covered)
        aligned = (top[1] == height) & (top[2] == width) & (top[3] == fill)
        onto = [(covered, top[3], aligned), (beyond, np.where(low[0] >= 0, low[3], 0.0), np.zeros_like(aligned))]
        other = top[0] != block
        both = sum(np.where(same, fill, held * fill) * places for places, held, same in onto)
        rise = sum(np.where(same, 0.0, (1 - held) * fill) * places for places, held, same in onto)
        fall = sum(np.where(same, 0.0, held * (1 - fill)) * places for places, held, same in onto)
        hidden = (top[1] <= height) & (top[2] <= width)
        for place, (mine, old) in enumerate(zip((self.block, self.height, self.width, self.fill), top, strict=True)):
            under = np.where(hidden, (-1, 0, 0, 0.0)[place], old)
            mine[1, groups] = np.where(other, under, mine[1, groups])
        for mine, new in zip(
            (self.block, self.height, self.width, self.fill), (block, height, width, fill), strict=True
        ):
            mine[0, groups] = new
        return other, np.where(other, both, 0.0), np.where(other, rise, 0.0), np.where(other, fall, 0.0)


def expected_wear(program: Program) -> Wear:
    """Charge expected changes wherever a group receives another block than it held."""
    chip = program.chip
    weight, blank = expected_change(chip.coding, chip.array.rows)
    held = _Held(chip.groups, chip.array.rows, chip.group_columns)
    worn = np.zeros(chip.groups)
    counts: dict[int, WriteCount] = {}
    for turn in (0, 1):
        for i, instruction in enumerate(program.instructions):
            if not isinstance(instruction, Write) or (turn and i < program.setup):
                continue
            blocks, local = program.mapping.located(instruction.blocks)
            run = slice(*local)
            groups = indices(instruction.groups)
            # Copy and block in one number.
            block = (instruction.copy << 40) + np.arange(*instruction.blocks)
            other, both, rise, fall = held.write(
                groups, block, (blocks.heights[run], blocks.widths[run], blocks.fills[run])
            )
            if turn or i < program.setup:
                moved = float(both.sum()), float(rise.sum() + fall.sum())
                counts[i] = WriteCount(
                    blocks.totals(local).places * blocks.shape.cells,
                    moved[0] * weight[0] + moved[1] * blank[0],
                    moved[0] * weight[1] + moved[1] * blank[1],
                )
            if turn:
                worn[groups] += other
    total = sum(count.changed for i, count in counts.items() if i >= program.setup)
    return Wear(counts, total / chip.cells, float(worn.max(initial=0.0)), float(worn.mean()), False)
