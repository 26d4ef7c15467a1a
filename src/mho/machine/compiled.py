"""Loops in compiled code: the cells that `cells` compares, and the groups' last two blocks of `expected`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@njit(cache=True)  # type: ignore[untyped-decorator]
def compared(old: Bytes, new: Bytes, ends: Integers, phases: int) -> tuple[np.int64, np.int64, np.int64]:
    """Return how many cells change their level, by how many steps in all, and the steps that the slowest array takes.

    `old` and `new` are levels, (rows, columns of cells), of arrays side by side, whose columns end before `ends`. A row takes the
    steps of its slowest cell in each phase (ARAS section III-B); with one phase, of its slowest cell.
    """
    changed = steps = slowest = first = np.int64(0)
    for end in ends:
        took = np.int64(0)
        for row in range(len(new)):
            rise = fall = np.int64(0)
            # One row of one array at a time, so that its cells are compared many at once.
            before, after = old[row, first:end], new[row, first:end]
            for column in range(len(after)):
                change = np.int64(after[column]) - np.int64(before[column])
                rise, fall = max(rise, change), max(fall, -change)
                changed += change != 0
                steps += abs(change)
            took += rise + fall if phases > 1 else max(rise, fall)
        slowest = max(slowest, took)
        first = end
    return changed, steps, slowest


@njit(cache=True)  # type: ignore[untyped-decorator]
def _rewrite(owners: Integers, shapes: Floats, group: int, owner: int, block: Floats, places: Floats) -> None:
    """Write a block to a group that remembers two; add to `places` where a weight comes over a weight, and over or under level 0.

    `owners` (2, groups) and `shapes` (2, groups, 5), the newest block first; blocks and `places` as for `rewritten`.
    """
    height, wide, fill, cells, kind = block
    top_height, top_width, top_fill = shapes[0, group, 0], shapes[0, group, 1] / cells, shapes[0, group, 2]
    width, own = wide / cells, int(kind)
    blank = len(places) // 2
    if owners[0, group] != owner:
        area = height * width
        covered = min(height, top_height) * min(width, top_width)
        # Beyond the newest block lies the one before it, which is the same block if it comes back.
        beyond = 0.0 if owners[1, group] == owner else area - covered
        top = int(shapes[0, group, 4])
        if top_height == height and top_width == width and top_fill == fill and top == own:
            places[top] += fill * covered
        else:
            places[top] += top_fill * fill * covered
            _edge(places[blank:], own, top, fill, top_fill, covered)
        under = shapes[1, group, 2] if owners[1, group] >= 0 else 0.0
        below = int(shapes[1, group, 4])
        places[below] += under * fill * beyond
        _edge(places[blank:], own, below, fill, under, beyond)
        if top_height <= height and top_width <= width:
            owners[1, group] = -1
            shapes[1, group] = 0.0
        else:
            owners[1, group] = owners[0, group]
            shapes[1, group] = shapes[0, group]
    owners[0, group] = owner
    shapes[0, group] = block


@njit(cache=True)  # type: ignore[untyped-decorator]
def _edge(places: Floats, own: int, other: int, fill: float, under: float, area: float) -> None:
    """Add the places of an area where a weight comes over level 0, and, to those of what lies under it, level 0 over a weight."""
    if own == other:
        places[own] += ((1 - under) * fill + under * (1 - fill)) * area
    else:
        places[own] += (1 - under) * fill * area
        places[other] += under * (1 - fill) * area


@njit(cache=True)  # type: ignore[untyped-decorator]
def rewritten(
    writes: Integers,
    owner: Integers,
    block: Integers,
    range_starts: Integers,
    ranges: Integers,
    blocks: Floats,
    codings: int,
    setup: int,
    groups: int,
) -> tuple[Floats, Floats]:
    """Follow the groups into their steady state: a setup and two inferences.

    `writes` are the places of writes in the program; `owner` has for each a number of its first block that tells block and copy;
    `block`, for each instruction, its first block, a row of `blocks` (height, width in cells, share of weights, cells of a weight,
    number of its coding). Returns for each write its places where a weight comes over a weight of each coding, and then where one
    of each coding comes over or under level 0, shape (writes, 2 x codings), and how often each group receives another block in
    the last inference, shape (groups,).
    """
    owners = np.full((2, groups), -1, dtype=np.int64)
    shapes = np.zeros((2, groups, 5))
    places, added, worn = np.zeros((len(writes), 2 * codings)), np.zeros(2 * codings), np.zeros(groups)
    for turn in range(2):
        for w in range(len(writes)):
            i = writes[w]
            if turn and i < setup:
                continue
            places[w] = 0.0
            which = 0
            for r in range(range_starts[i], range_starts[i + 1]):
                for group in range(ranges[r, 0], ranges[r, 1]):
                    if turn and owners[0, group] != owner[w] + which:
                        worn[group] += 1
                    added[:] = 0.0
                    _rewrite(owners, shapes, group, owner[w] + which, blocks[block[i] + which], added)
                    places[w] += added
                    which += 1
    return places, worn
