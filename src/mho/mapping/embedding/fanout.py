"""The probabilistic fanout of groups (Kabiljo et al., Social Hash Partitioner, VLDB 2017), kept up to date move by move.

A bag costs the groups that it is expected to touch where each of its rows is asked for with probability `chance` alone, sum over
groups of 1 - (1 - chance)^(its rows there), over chance. With chance 1 that is the number of groups the bag touches.

How many rows each bag has in each group takes as much memory as there are look-ups: the groups that bag b touches stand from
starts[b] on, `slots[b]` of them, in `group`, with their numbers of rows in `rows` (`Counts`).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.bags import Bags, Floats
from mho.network.trace.trace import Indices, Offsets


class History(NamedTuple):
    """Bags and their rows, the bags of each row, and what each further row of a bag in a group costs."""

    starts: Offsets
    members: Indices
    weights: Floats
    row_starts: Offsets
    row_bags: Indices
    steps: Floats

    @classmethod
    def of(cls, bags: Bags, chance: float) -> History:
        """Return that of bags: the (c + 1)-th row of a bag in a group adds (1 - chance)^c to its cost."""
        steps = np.power(1.0 - chance, np.arange(int(np.diff(bags.starts).max(initial=0)) + 1, dtype=np.float64))
        return cls(bags.starts, bags.members, bags.weights, *bags.turned, steps)


class Counts(NamedTuple):
    """The groups that each bag touches, from the bag's start on: how many, which, and with how many rows."""

    slots: Indices
    group: Indices
    rows: Indices

    @classmethod
    def of(cls, bags: Bags, group: Indices) -> Counts:
        """Count the rows of each bag in each group."""
        counts = cls(np.zeros(bags.count, dtype=np.int32), np.empty_like(bags.members), np.empty_like(bags.members))
        if bags.count:
            _fill(bags.starts, bags.members, group, counts)
        return counts


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _fill(starts: Offsets, members: Indices, group: Indices, counts: Counts) -> None:
    """Count the rows of each bag in each group it touches; groups of a bag stand from its start on."""
    slots, slot_group, slot_rows = counts
    where = np.full(group.max() + 1, -1, dtype=np.int64)
    for bag in range(len(starts) - 1):
        low = starts[bag]
        used = 0
        for i in range(low, starts[bag + 1]):
            g = group[members[i]]
            at = where[g]
            if at < low or at >= low + used or slot_group[at] != g:
                at = low + used
                where[g] = at
                slot_group[at] = g
                slot_rows[at] = 0
                used += 1
            slot_rows[at] += 1
        slots[bag] = used


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def cost_of_move(row: int, to: int, group: Indices, history: History, counts: Counts) -> float:
    """Return what moving a row costs; negative is a gain."""
    starts, _, weights, row_starts, row_bags, steps = history
    slots, slot_group, slot_rows = counts
    home = group[row]
    change = 0.0
    for i in range(row_starts[row], row_starts[row + 1]):
        bag = row_bags[i]
        low = starts[bag]
        there = 0
        here = 1
        for at in range(low, low + slots[bag]):
            g = slot_group[at]
            if g == to:
                there = slot_rows[at]
            elif g == home:
                here = slot_rows[at]
        change += weights[bag] * (steps[there] - steps[here - 1])
    return change


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def move(row: int, to: int, group: Indices, size: Indices, history: History, counts: Counts) -> None:
    """Move a row, and count anew."""
    starts, _, _, row_starts, row_bags, _ = history
    slots, slot_group, slot_rows = counts
    home = group[row]
    for i in range(row_starts[row], row_starts[row + 1]):
        bag = row_bags[i]
        low = starts[bag]
        used = slots[bag]
        here = -1
        there = -1
        for at in range(low, low + used):
            if slot_group[at] == home:
                here = at
            elif slot_group[at] == to:
                there = at
        if there >= 0:
            slot_rows[there] += 1
            slot_rows[here] -= 1
            if slot_rows[here] == 0:
                slot_group[here] = slot_group[low + used - 1]
                slot_rows[here] = slot_rows[low + used - 1]
                slots[bag] = used - 1
        elif slot_rows[here] == 1:
            slot_group[here] = to
        else:
            slot_rows[here] -= 1
            slot_group[low + used] = to
            slot_rows[low + used] = 1
            slots[bag] = used + 1
    group[row] = to
    size[home] -= 1
    size[to] += 1


def objective(bags: Bags, group: npt.NDArray[np.int32], chance: float = 1.0) -> float:
    """Return the sum over bags of their weight times the groups they touch, or are expected to (see above)."""
    counts = Counts.of(bags, group)
    cost = np.concatenate([[0.0], np.cumsum(History.of(bags, chance).steps)])
    lengths = np.diff(bags.starts)
    used = np.arange(len(bags.members)) - np.repeat(bags.starts[:-1], lengths) < np.repeat(counts.slots, lengths)
    costs = np.where(used, cost[np.where(used, counts.rows, 0)], 0.0)
    return float((costs * np.repeat(bags.weights, lengths)).sum())
