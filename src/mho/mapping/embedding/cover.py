"""Which group serves each look-up of a bag: the fewest groups that hold all of its rows, found greedily.

Rows with one home settle their groups first. Of the rows that are left, those that a settled group holds too join it; then, as
long as rows are left, the group that holds most of them is taken (the greedy set cover of Chvatal, 1979), of equal ones the first.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Indices, Offsets


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _cover(
    offsets: Offsets,
    flat: Indices,
    starts: Offsets,
    homes: Indices,
    wordlines: Indices,
    groups: int,
    group: Indices,
    wordline: Indices,
    parts: Indices,
) -> None:
    settled = np.full(groups, -1, dtype=np.int64)
    count = np.zeros(groups, dtype=np.int32)
    for bag in range(len(offsets) - 1):
        low, high = offsets[bag], offsets[bag + 1]
        left = 0
        used = 0
        for i in range(low, high):
            row = flat[i]
            at = starts[row]
            if starts[row + 1] - at == 1:
                group[i] = homes[at]
                wordline[i] = wordlines[at]
                if settled[homes[at]] != bag:
                    settled[homes[at]] = bag
                    used += 1
            else:
                group[i] = -1
                left += 1
        best = -1
        while left:
            for i in range(low, high):
                if group[i] >= 0:
                    continue
                row = flat[i]
                for at in range(starts[row], starts[row + 1]):
                    if settled[homes[at]] == bag:
                        group[i] = homes[at]
                        wordline[i] = wordlines[at]
                        left -= 1
                        break
            if not left:
                break
            for i in range(low, high):
                if group[i] < 0:
                    row = flat[i]
                    for at in range(starts[row], starts[row + 1]):
                        count[homes[at]] += 1
            best = -1
            for i in range(low, high):
                if group[i] < 0:
                    row = flat[i]
                    for at in range(starts[row], starts[row + 1]):
                        g = homes[at]
                        if best < 0 or count[g] > count[best] or (count[g] == count[best] and g < best):
                            best = g
            for i in range(low, high):
                if group[i] < 0:
                    row = flat[i]
                    for at in range(starts[row], starts[row + 1]):
                        count[homes[at]] = 0
            settled[best] = bag
            used += 1
        parts[bag] = used


def cover(layout: Layout, offsets: Offsets, flat: Indices) -> tuple[Indices, Indices, Indices]:
    """Return the group and the wordline that serve each look-up, and the groups of each bag; all int32.

    A row that stands twice in a bag is served twice by one group, which takes an activation more (`mho.program.lookups`); that is
    not in the groups of the bag.
    """
    group = np.empty(len(flat), dtype=np.int32)
    wordline = np.empty(len(flat), dtype=np.int32)
    parts = np.zeros(len(offsets) - 1, dtype=np.int32)
    homes = layout.homes
    _cover(offsets, flat, homes.starts, homes.groups, homes.wordlines, layout.groups, group, wordline, parts)
    return group, wordline, parts


def groups_per_bag(layout: Layout, offsets: Offsets, flat: Indices) -> npt.NDArray[np.int32]:
    """Return how many groups each bag touches: int32 (bags,)."""
    return cover(layout, offsets, flat)[2]
