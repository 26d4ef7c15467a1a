"""Cell changes as expected values, for networks known by shapes alone.

Weight codes are taken to be independent and normal around the middle of their range (`CODE_SPREAD`). A place that holds a
weight and receives another changes by what two such codes differ on average; one that holds level 0 (a blank cell, or
one off a block's diagonal) by what a code differs from 0. Weights of different bits meet cell by cell, as they lie where the
places of both begin together; how arrays end is left out. Each group remembers the last two blocks that were written to it,
with their extents, so that a block which comes back only pays for what was overwritten in between; what lies beyond
both is charged as if it held other weights. Which columns a block inverts (coding `flipped`) is expected for blocks as high as an
array. Against codes that really follow the distribution, whole blocks come within 1 %,
random mixes of partial blocks within about 11 % (tests/test_machine_wear.py).
"""

from __future__ import annotations

from functools import lru_cache
from math import lcm

import numpy as np
import numpy.typing as npt

from mho.chip.coding import Coding
from mho.machine.changes import Wear, WriteCount
from mho.mapping import Mapping
from mho.once import once
from mho.program import Program
from mho.program.columns import WRITE, columns

CODE_SPREAD = 8.0
"""Assumed weight codes of networks known by shape alone: normal around the middle code, the whole range being this many
standard deviations, a bell as in ARAS Figure 11."""

EXPECTED_NOTE = (
    "network known by shapes alone: cell changes are expected values between independent weights whose {codes} are normal "
    f"around the middle of the range, which is {CODE_SPREAD:g} standard deviations wide"
)
MIXED_NOTE = (
    "; weights of different bits are taken to lie over one another with the first cells of their places together"
)

Floats = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def _shares(coding: Coding, rows: int) -> tuple[Floats, ...]:
    """Return for each cell of a weight how often it is at each level, shape (levels,); where the coding inverts columns, they are
    taken to be `rows` cells high.
    """
    codes = len(coding.table)
    code = np.arange(codes)
    chance = np.exp(-0.5 * ((code - (codes - 1) / 2) / ((codes - 1) / CODE_SPREAD)) ** 2)
    chance /= chance.sum()
    shares: list[Floats] = []
    for cell in range(coding.cells):
        share = np.bincount(coding.table[:, cell], weights=chance, minlength=coding.highest + 1).astype(np.float64)
        shares.append(_shown(share, rows) if coding.inverts else share)
    return tuple(shares)


@lru_cache(maxsize=256)
def expected_change(coding: Coding, rows: int, under: Coding | None = None) -> tuple[tuple[float, float], ...]:
    """Return the expected (cells changed, level steps) of a weight that overwrites another weight, and level 0.

    Weights are independent, so that a cell's two levels are, too. `under` is the coding of what is overwritten, where it is
    another one: the mean over how its cells can lie under those of the weight. Columns that are inverted are `rows` cells high.
    """
    level = np.arange(coding.highest + 1)
    apart = np.abs(level[:, None] - level[None, :])
    weight, blank = [0.0, 0.0], [0.0, 0.0]
    over, below = _shares(coding, rows), _shares(under or coding, rows)
    turns = lcm(len(over), len(below)) // len(over)
    for cell in range(turns * len(over)):
        share, other = over[cell % len(over)], below[cell % len(below)]
        for i, price in enumerate((apart > 0, apart)):
            weight[i] += float(share @ price @ other) / turns
            blank[i] += float(share @ price[0]) / turns
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
    """Return height, width in cells, share of weights, cells of a weight and number of the coding of all blocks of a mapping, shape
    (blocks, 5).
    """
    kinds = _codings(mapping)
    layers = [np.zeros((0, 5))]
    for weight in mapping.weights:
        blocks, coding = weight.blocks, weight.blocks.shape.coding
        cells, kind = np.full(blocks.count, coding.cells), np.full(blocks.count, kinds.index(coding))
        layers.append(np.stack([blocks.heights, blocks.widths * cells, blocks.fills, cells, kind], axis=1))
    return np.concatenate(layers)


@once
def _codings(mapping: Mapping) -> tuple[Coding, ...]:
    return tuple(dict.fromkeys(shape.coding for shape in mapping.shapes))


def _prices(codings: tuple[Coding, ...], kind: int, rows: int) -> Floats:
    """Return what a place of this coding costs, of each kind that `rewritten` counts: cells changed and level steps, shape
    (2, 2 x codings).
    """
    coding = codings[kind]
    weights = [expected_change(coding, rows, under)[0] for under in codings]
    # Level 0 that comes over a weight of another coding changes the cells of that one.
    blanks = [np.array(expected_change(each, rows)[1]) * (coding.cells / each.cells) for each in codings]
    return np.ascontiguousarray(np.concatenate([np.array(weights), np.array(blanks)]).T)


def expected_wear(program: Program) -> Wear:
    """Charge expected changes wherever a group receives another block than it held."""
    # Compiled code takes a while to import.
    from mho.machine.compiled import rewritten

    chip, table, codings = program.chip, columns(program), _codings(program.mapping)
    writes, blocks = table.of(WRITE), _block_table(program.mapping)
    # Copy and block in one number.
    owners = (table.copy[writes] << 40) + table.first_block[writes]
    places, worn = rewritten(
        writes, owners, table.first_block, table.range_starts, table.ranges, blocks, len(codings), program.setup, chip.groups
    )  # fmt: skip
    addressed = table.runs["places"][writes] * table.cells[writes]
    changed, steps = np.zeros(len(writes)), np.zeros(len(writes))
    for kind in range(len(codings)):
        mine = blocks[table.first_block[writes], 4] == kind
        changed[mine], steps[mine] = (places[mine] @ prices for prices in _prices(codings, kind, chip.array.rows))
    counts = {
        i: WriteCount(*count)
        for i, *count in zip(*(column.tolist() for column in (writes, addressed, changed, steps)), strict=True)
    }
    total = float(changed[writes >= program.setup].sum())
    return Wear(counts, total / chip.cells, float(worn.max(initial=0.0)), float(worn.mean()), False)


def expected_note(mapping: Mapping) -> str:
    """Say what the expected values rest on."""
    bits = sorted({coding.weight_bits for coding in _codings(mapping)} or {8})
    codes = f"{bits[0]}-bit codes" if len(bits) == 1 else f"codes, of {bits[0]} to {bits[-1]} bits,"
    return EXPECTED_NOTE.format(codes=codes) + (MIXED_NOTE if len(bits) > 1 else "")
