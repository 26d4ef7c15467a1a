"""Slicing: the digits of weights sliced over cell columns, what is empty left out, the rest packed (SME; packing ours).

A weight is a signed integer; where the network was squeezed (`number.squeeze`), that of a shifted row is stored shifted right. Each
digit of b bits (b-bit cells; a bit plane for b = 1) of an output's weights is a cell column of its own. Rows and columns without a
digit other than 0 take no cells. Which digits there are depends on how signs are told, and what takes fewer columns is taken, for
each output and each block of rows:

- by an offset: the least weight is taken from all, so that none is negative;
- by pairs: positive and negative weights have columns of their own.

The top digits of all weights, which few have, may be kept apart, plane by plane and sign by sign, in arrays of their own with their
own rows; the rest then spans fewer digits. They are wherever that takes fewer groups. Rows of one shift share blocks where that
takes no more of them: their sums are shifted instead of their inputs, in no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.mapping.blocks import Bytes
from mho.mapping.digits import DigitBlock, Digits
from mho.mapping.folding import fold
from mho.mapping.shape import GroupShape
from mho.number.coded import QuantisedMatrix
from mho.number.squeeze import Squeeze

Weights = npt.NDArray[np.int16]
Indices = npt.NDArray[np.intp]
NEVER = 255
"""More columns than any weight has digits."""
CHUNK = 1 << 22
"""Weights that are looked at together."""


@dataclass(frozen=True, eq=False)
class _Section:
    """Outputs whose rows are shifted alike: `rows` of one matrix in order of their `shifts`, cut at `edges`.

    `weights` (rows, outputs): the integers that are stored.
    """

    matrix: int
    outputs: Indices
    rows: Indices
    shifts: Bytes
    edges: Indices
    weights: Weights


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of low digits of a section, per block of rows and output, shape (row blocks, outputs).

    `offset`: taken from the weights where `by_offset`; `bits`, shape (2, row blocks, outputs): the bits that occur, of offset or
    positive weights, and of negative ones; `counts`: columns.
    """

    by_offset: npt.NDArray[np.bool_]
    offset: npt.NDArray[np.int16]
    bits: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int64]


def layer_blocks(
    matrix: QuantisedMatrix, squeeze: Squeeze | None, shape: GroupShape, packing: str = "diagonal", turns: int = 1
) -> tuple[DigitBlock, ...]:
    """Return the blocks of one layer in groups of `shape`; see the module. There is at least one."""
    weights = matrix.centred
    shifts, tile = (None, weights.shape[2]) if squeeze is None else (squeeze.shifts, squeeze.tile)
    # Matrices whose tiles are narrower than they are are mapped each by itself.
    one_tile = shifts is None or shifts.shape[2] == 1
    if packing == "diagonal" and weights.shape[0] > 1 and weights.shape[1] <= shape.rows and one_tile:
        blocks = _diagonal(weights, shifts, shape)
    else:
        blocks = [
            DigitBlock((part,))
            for m in range(weights.shape[0])
            for part in _matrix_digits(weights, m, None if shifts is None else shifts[m], tile, shape)
        ]
    if turns > 1:
        blocks = fold(blocks, shape, turns)
    return tuple(blocks) or (DigitBlock((_nothing(),)),)


def _nothing() -> Digits:
    """Return the digits of a layer all of whose weights are 0: one cell, so that there is something to activate."""
    none = np.zeros(1, dtype=np.int32)
    return Digits(
        0, np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.uint8), none, np.ones(1, dtype=np.int8),
        np.zeros(1, dtype=np.uint8), np.ones(1, dtype=np.uint8), 8, np.zeros(1, dtype=np.int16),
        (none[:0], np.zeros(0, dtype=np.int16)),
    )  # fmt: skip


def _matrix_digits(weights: Weights, m: int, shifts: Bytes | None, tile: int, shape: GroupShape) -> list[Digits]:
    """Return the digits of matrix m, each for a group: outputs all together or array by array, whichever takes fewer."""
    columns = weights.shape[2]
    everything = [np.arange(columns)]
    together = _planned(
        weights[m], m, _alike(shifts, tile, columns) if shifts is not None else everything, shifts, tile, shape
    )
    if shifts is None and columns > shape.per_array and not weights[m].all():
        apart = [
            np.arange(first, min(first + shape.per_array, columns)) for first in range(0, columns, shape.per_array)
        ]
        # Outputs apart have rows of their own: fewer, where whole kernels of an input are pruned for some outputs only.
        if any(_rows(weights[m], part) < _rows(weights[m], everything[0]) for part in apart):
            by_array = _planned(weights[m], m, apart, None, tile, shape)
            return min(together, by_array, key=lambda parts: (len(parts), sum(part.width for part in parts)))
    return together


def _rows(weights: Weights, outputs: Indices) -> int:
    """Count the rows that some of the outputs need."""
    return int(weights[:, outputs].any(axis=1).sum())


def _alike(shifts: Bytes, tile: int, columns: int) -> list[Indices]:
    """Gather outputs whose rows are shifted alike; shifts (K, tiles)."""
    kinds: dict[bytes, list[Indices]] = {}
    for t in range(shifts.shape[1]):
        outputs = np.arange(t * tile, min((t + 1) * tile, columns))
        kinds.setdefault(shifts[:, t].tobytes(), []).append(outputs)
    return [np.concatenate(parts) for parts in kinds.values()]


def _planned(
    weights: Weights, m: int, sections: list[Indices], shifts: Bytes | None, tile: int, shape: GroupShape
) -> list[Digits]:
    """Return the digits of one matrix (K, N) whose outputs are cut into sections."""
    parts: list[Digits] = []
    for outputs in sections:
        values = weights[:, outputs]
        by_row = np.zeros(len(values), dtype=np.uint8) if shifts is None else shifts[:, outputs[0] // tile]
        rows = np.flatnonzero(values.any(axis=1))
        if len(rows):
            rows = rows[np.argsort(by_row[rows], kind="stable")]
            moved = by_row[rows]
            kept = values[rows] >> moved[:, None].astype(np.int16)
            section = _Section(m, outputs, rows, moved, _edges(moved, shape.rows), kept)
            parts.extend(_section_digits(section, shape))
    return parts


def _edges(shifts: Bytes, most: int) -> Indices:
    """Cut rows, sorted by shift, into blocks of at most `most`, by shift where that takes no more; return where each begins."""
    starts = np.flatnonzero(np.diff(shifts, prepend=255))
    ends = np.append(starts[1:], len(shifts))
    apart = np.concatenate([np.arange(first, last, most) for first, last in zip(starts, ends, strict=True)])
    plain = np.arange(0, len(shifts), most)
    return apart if len(apart) == len(plain) else plain


def _section_digits(section: _Section, shape: GroupShape) -> Iterator[Digits]:
    """Yield the digits of a section, its top digits kept apart from the bit on that takes the fewest groups."""
    bits = shape.coding.cell_bits
    highest = int(np.abs(section.weights).max()).bit_length()
    signs = [np.maximum(section.weights, 0), np.maximum(-section.weights, 0)]
    across = [np.bitwise_or.reduce(magnitudes, axis=1) for magnitudes in signs]
    down = [np.bitwise_or.reduce(magnitudes, axis=0) for magnitudes in signs]
    best, split = _low_columns(section, highest, bits), highest
    fewest = _groups(best, shape)
    for low in range(highest - 1, -1, -1):
        top = _top_groups(across, down, low, highest, shape)
        # Top digits only take more groups the lower they begin.
        if top >= fewest:
            break
        columns = _low_columns(section, low, bits)
        if top + _groups(columns, shape) < fewest:
            best, split, fewest = columns, low, top + _groups(columns, shape)
    yield from _low_digits(section, best, split, shape)
    for position in range(split, highest, bits):
        for sign, rows, outputs in zip((1, -1), across, down, strict=True):
            yield from _top_digits(section, sign, position, rows, outputs, shape)


def _digit_table(bits: int) -> npt.NDArray[np.int64]:
    """Return for each set of bits that occur, below 2^10, how many digits of so many bits are needed to hold them."""
    sets = np.arange(1 << 10)
    digits = [(sets >> first & ((1 << bits) - 1)) > 0 for first in range(0, 10, bits)]
    counts: npt.NDArray[np.int64] = np.sum(digits, axis=0, dtype=np.int64)
    return counts


def _low_columns(section: _Section, low: int, bits: int) -> _Columns:
    """Choose, per block of rows and output, how signs are told below bit `low`."""
    table = _digit_table(bits)
    shape = (len(section.edges), len(section.outputs))
    offset = np.zeros(shape, dtype=np.int16)
    bits_used = np.zeros((2, *shape), dtype=np.int16)
    by_offset = np.zeros(shape, dtype=bool)
    counts = np.zeros(shape, dtype=np.int64)
    limits = np.append(section.edges, len(section.rows))
    together = max(1, CHUNK // (int(np.diff(limits).max()) * shape[1]))
    mask = (1 << low) - 1
    for first in range(0, shape[0], together):
        here = slice(first, min(first + together, shape[0]))
        rows = slice(limits[here.start], limits[here.stop])
        weights, edges = section.weights[rows], section.edges[here] - limits[here.start]
        if low < 8 and int(np.abs(weights).max(initial=0)) > mask:
            weights = np.sign(weights) * (np.abs(weights) & np.int16(mask))
        least = np.minimum.reduceat(weights, edges, axis=0)
        above = weights - np.repeat(least, np.diff(np.append(edges, len(weights))), axis=0)
        raised = np.bitwise_or.reduceat(above, edges, axis=0)
        positive = np.bitwise_or.reduceat(np.maximum(weights, 0), edges, axis=0)
        negative = np.bitwise_or.reduceat(np.maximum(-weights, 0), edges, axis=0)
        # An output whose weights are all one number other than 0 keeps columns: an offset alone is not held by any cell.
        offset_cost = np.where(raised == 0, NEVER, table[raised])
        pair_cost = table[positive] + table[negative]
        by_offset[here] = offset_cost < pair_cost
        offset[here] = np.where(by_offset[here], -least, 0)
        bits_used[0, here] = np.where(by_offset[here], raised, positive)
        bits_used[1, here] = np.where(by_offset[here], 0, negative)
        counts[here] = np.minimum(offset_cost, pair_cost)
    return _Columns(by_offset, offset, bits_used, counts)


def _groups(columns: _Columns, shape: GroupShape) -> int:
    """Count the groups that columns of low digits fill: those of a block of rows stand side by side."""
    return int((-(-columns.counts.sum(axis=1) // shape.columns)).sum())


def _top_groups(across: list[Weights], down: list[Weights], low: int, highest: int, shape: GroupShape) -> int:
    """Count the groups that the digits from bit `low` on fill, each plane and sign apart."""
    mask = shape.coding.highest
    groups = 0
    for position in range(low, highest, shape.coding.cell_bits):
        for rows, outputs in zip(across, down, strict=True):
            height, width = (int(((side >> position) & mask > 0).sum()) for side in (rows, outputs))
            groups += -(-height // shape.rows) * -(-width // shape.columns)
    return groups


def _low_digits(section: _Section, columns: _Columns, low: int, shape: GroupShape) -> Iterator[Digits]:
    """Yield the digits of low digits: the columns of each block of rows, output by output, cut where a group is full."""
    bits = shape.coding.cell_bits
    firsts = np.arange(0, 10, bits)
    limits = np.append(section.edges, len(section.rows))
    for i in range(len(section.edges)):
        # (outputs, signs, digits): which columns there are.
        occurs = (columns.bits[:, i].T[:, :, None] >> firsts & shape.coding.highest) > 0
        outputs, side, digit = np.nonzero(occurs)
        by_offset = columns.by_offset[i][outputs]
        signs = np.where(by_offset, 0, 1 - 2 * side).astype(np.int8)
        positions = firsts[digit].astype(np.uint8)
        # Pairs of low digits end where the top digits begin.
        widths = np.where(by_offset, bits, np.minimum(bits, low - positions.astype(np.int64)))
        masks = ((1 << widths) - 1).astype(np.uint8)
        begins = np.diff(outputs, prepend=-1) > 0
        rows = slice(limits[i], limits[i + 1])
        for first in range(0, len(outputs), shape.columns):
            here = slice(first, first + shape.columns)
            corrected = outputs[here][begins[here] & by_offset[here]]
            yield Digits(
                section.matrix, section.rows[rows], section.shifts[rows], section.outputs[outputs[here]].astype(np.int32),
                signs[here], positions[here], masks[here], low, columns.offset[i][outputs[here]],
                (section.outputs[corrected].astype(np.int32), columns.offset[i][corrected]),
            )  # fmt: skip


def _top_digits(
    section: _Section, sign: int, position: int, across: Weights, down: Weights, shape: GroupShape
) -> Iterator[Digits]:
    """Yield the digits of one plane of top digits of one sign: only rows and outputs that have any."""
    mask = shape.coding.highest
    rows = np.flatnonzero((across >> position) & mask)
    outputs = np.flatnonzero((down >> position) & mask)
    if not len(rows):
        return
    shifts = section.shifts[rows]
    edges = np.append(_edges(shifts, shape.rows), len(rows))
    for first, last in pairwise(edges):
        for begin in range(0, len(outputs), shape.columns):
            part = outputs[begin : begin + shape.columns]
            yield Digits(
                section.matrix, section.rows[rows[first:last]], shifts[first:last], section.outputs[part].astype(np.int32),
                np.full(len(part), sign, dtype=np.int8), np.full(len(part), position, dtype=np.uint8),
                np.full(len(part), mask, dtype=np.uint8), 0, np.zeros(len(part), dtype=np.int16),
                (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int16)),
            )  # fmt: skip


def _diagonal(weights: Weights, shifts: Bytes | None, shape: GroupShape) -> list[DigitBlock]:
    """Set small matrices along the diagonals of blocks, in order, as many as rows and columns allow."""
    matrices, rows, columns = weights.shape
    by_row = np.zeros((matrices, rows), dtype=np.uint8) if shifts is None else shifts[:, :, 0]
    stored = weights >> by_row[:, :, None].astype(np.int16)
    side_by_side = stored.transpose(1, 0, 2).reshape(rows, matrices * columns)
    every = _Section(
        0, np.arange(matrices * columns), np.arange(rows), by_row[0], np.zeros(1, dtype=np.intp), side_by_side
    )
    highest = int(np.abs(stored).max(initial=0)).bit_length()
    chosen = _low_columns(every, highest, shape.coding.cell_bits)
    alive: npt.NDArray[np.bool_] = np.any(stored, axis=2)
    blocks: list[DigitBlock] = []
    parts: list[Digits] = []
    top = left = 0
    for m in range(matrices):
        own = slice(m * columns, (m + 1) * columns)
        if not alive[m].any():
            continue
        inside = np.flatnonzero(alive[m])
        section = _Section(
            m, np.arange(columns), inside, by_row[m][inside], np.zeros(1, dtype=np.intp), stored[m][inside]
        )
        columns_here = _Columns(
            chosen.by_offset[:, own], chosen.offset[:, own], chosen.bits[:, :, own], chosen.counts[:, own]
        )
        for part in _low_digits(section, columns_here, highest, shape):
            if parts and (top + part.height > shape.rows or left + part.width > shape.columns):
                blocks.append(DigitBlock(tuple(parts)))
                parts, top, left = [], 0, 0
            parts.append(part.at(top, left, 0))
            top, left = top + part.height, left + part.width
    if parts:
        blocks.append(DigitBlock(tuple(parts)))
    return blocks
