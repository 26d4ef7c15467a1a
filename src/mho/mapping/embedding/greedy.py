"""Grouping as the ReCross paper does it (arXiv 2509.10627; section unknown: only its wording is at hand).

The most frequent row that has no group begins one; then the row without a group that was looked up most often together with the
rows of the group (the sum over them) joins it, until the group is full. Of equal ones the more frequent joins, then the one of the
lower number. Where nothing is left that was ever looked up with the group, the most frequent row without a group joins.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.bags import Bags, turned
from mho.network.trace.trace import Indices, Offsets

LONGEST = 4096
"""Of longer bags only so many rows, the most frequent, are neighbours of each other: else time grows with the square of length."""


ONE = 1 << 32
"""A look-up in a heap's key; the lower half of a key is MOST less the rank, so that the lower rank is the larger key."""
MOST = ONE - 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def rise(heap: Offsets, place: Indices, at: int) -> None:
    """Let a key rise in a heap, the largest first; `place` says where the key of each rank is."""
    key = heap[at]
    while at > 0 and heap[(at - 1) >> 1] < key:
        heap[at] = heap[(at - 1) >> 1]
        place[MOST - (heap[at] & MOST)] = at
        at = (at - 1) >> 1
    heap[at] = key
    place[MOST - (key & MOST)] = at


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def first(heap: Offsets, place: Indices, size: int) -> int:
    """Take the largest of `size` keys out of a heap; returns its rank, whose place is then -1."""
    taken: int = MOST - (heap[0] & MOST)
    place[taken] = -1
    at, below = 0, 1
    # The larger key below moves up as far as there is one; into the place that is left rises the last key.
    while below < size - 1:
        if below + 1 < size - 1 and heap[below + 1] > heap[below]:
            below += 1
        heap[at] = heap[below]
        place[MOST - (heap[at] & MOST)] = at
        at, below = below, 2 * below + 1
    if size > 1:
        heap[at] = heap[size - 1]
        rise(heap, place, at)
    return taken


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _greedy(
    starts: Offsets, ranks: Indices, rank_starts: Offsets, rank_bags: Indices, height: int, longest: int, group: Indices
) -> None:
    """Fill in the group of each rank; ranks count rows from the most frequent on, and stand rising in each bag.

    A rank's place is -1 where it is not in the heap, -2 where it has a group.
    """
    rows = len(group)
    heap = np.empty(rows, dtype=np.int64)
    place = np.full(rows, -1, dtype=np.int32)
    size = 0
    seed = 0
    for joined in range(rows):
        if joined % height == 0:
            for k in range(size):
                place[MOST - (heap[k] & MOST)] = -1
            size = 0
        if size:
            chosen = first(heap, place, size)
            size -= 1
        else:
            while place[seed] == -2:
                seed += 1
            chosen = seed
        place[chosen] = -2
        group[chosen] = joined // height
        if (joined + 1) % height == 0:
            continue
        for i in range(rank_starts[chosen], rank_starts[chosen + 1]):
            bag = rank_bags[i]
            low = starts[bag]
            for at in range(low, min(starts[bag + 1], low + longest)):
                rank = ranks[at]
                where = place[rank]
                if where == -2:
                    continue
                if where < 0:
                    where = size
                    heap[where] = MOST - rank
                    size += 1
                heap[where] += ONE
                rise(heap, place, where)


def greedy(bags: Bags, height: int, longest: int = LONGEST) -> npt.NDArray[np.int32]:
    """Return the group of each row: int32 (rows,), filled one after another."""
    order = np.argsort(-bags.frequency, kind="stable")
    rank = np.empty(bags.rows, dtype=np.int32)
    rank[order] = np.arange(bags.rows, dtype=np.int32)
    # Sorted by turning the bags over twice, which takes linear time.
    rank_starts, rank_bags = turned(bags.starts, rank[bags.members], bags.rows)
    _, ranks = turned(rank_starts, rank_bags, bags.count)
    group = np.full(bags.rows, -1, dtype=np.int32)
    _greedy(bags.starts, ranks, rank_starts, rank_bags, height, longest, group)
    return group[rank]
