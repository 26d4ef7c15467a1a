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
from mho.mapping import Mapping
from mho.program import Program
from mho.program.columns import WRITE, columns
from mho.program.once import once

CODE_SPREAD = 8.0
"""Assumed weight codes of networks known by shape alone: normal around the middle code, the whole range being this many
standard deviations, a bell as in ARAS Figure 11."""

EXPECTED_NOTE = (
    "network known by shapes alone: cell changes are expected values between independent weights whose 8-bit codes are normal "
    f"around the middle of the range, which is {CODE_SPREAD:g} standard deviations wide"
)

Floats = npt.NDArray[np.float64]


@lru_cache(maxsize=8)
def expected_change(coding: Coding, rows: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the expected (cells changed, level steps) of a weight that overwrites another weight, and level 0.

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


@once
def _block_table(mapping: Mapping) -> Floats:
    """Return height, width and share of weights of all blocks of a mapping, shape (blocks, 3)."""
    layers = [
        np.stack([weight.blocks.heights, weight.blocks.widths, weight.blocks.fills], axis=1)
        for weight in mapping.weights
    ]
    return np.concatenate([np.zeros((0, 3)), *layers])


def expected_wear(program: Program) -> Wear:
    """Charge expected changes wherever a group receives another block than it held."""
    # Compiled code takes a while to import.
    from mho.machine.compiled import rewritten

    chip, table = program.chip, columns(program)
    weight, blank = expected_change(chip.coding, chip.array.rows)
    writes = table.of(WRITE)
    # Copy and block in one number.
    blocks = (table.copy[writes] << 40) + table.first_block[writes]
    places, worn = rewritten(
        writes,
        blocks,
        table.first_block,
        table.range_starts,
        table.ranges,
        _block_table(program.mapping),
        program.setup,
        chip.groups,
    )
    addressed = table.runs["places"][writes] * program.mapping.shape.cells
    changed = places @ np.array([weight[0], blank[0]])
    steps = places @ np.array([weight[1], blank[1]])
    counts = {
        i: WriteCount(*count)
        for i, *count in zip(*(column.tolist() for column in (writes, addressed, changed, steps)), strict=True)
    }
    total = float(changed[writes >= program.setup].sum())
    return Wear(counts, total / chip.cells, float(worn.max(initial=0.0)), float(worn.mean()), False)
