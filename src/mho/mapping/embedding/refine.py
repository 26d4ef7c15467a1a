"""Moving and swapping rows between groups for as long as bags touch fewer groups.

What is lowered is the probabilistic fanout of Kabiljo et al. (Social Hash Partitioner, VLDB 2017): a bag costs the groups
that it is expected to touch where each of its rows is asked for with probability `chance` alone, sum over groups of 1 - (1 -
chance)^(its rows there), over chance. With chance 1 that is the number of groups the bag touches. Below 1 it looks past the
bags of the history: rows that are often, but not always, asked for together are drawn together too.

How many rows each bag has in each group is kept up to date, move by move, in as much memory as there are look-ups.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.bags import Bags, Floats
from mho.network.trace.trace import Indices, Offsets

LEAST_GAIN = 1e-9
EVICTED = 6
"""Rows of a full group that are kept in mind as the cheapest to put elsewhere."""
AIMS = 3
"""Groups that a row is kept in mind for, to be swapped with a row that would leave them."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _fill(
    starts: Offsets, members: Indices, group: Indices, slots: Indices, slot_group: Indices, slot_count: Indices
) -> None:
    """Count the rows of each bag in each group it touches; groups of a bag stand from its start on."""
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
                slot_count[at] = 0
                used += 1
            slot_count[at] += 1
        slots[bag] = used


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _change(
    row: int,
    to: int,
    group: Indices,
    starts: Offsets,
    weights: Floats,
    row_starts: Offsets,
    row_bags: Indices,
    slots: Indices,
    slot_group: Indices,
    slot_count: Indices,
    steps: Floats,
) -> float:
    """What moving a row costs; negative is a gain."""
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
                there = slot_count[at]
            elif g == home:
                here = slot_count[at]
        change += weights[bag] * (steps[there] - steps[here - 1])
    return change


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _move(
    row: int,
    to: int,
    group: Indices,
    size: Indices,
    starts: Offsets,
    row_starts: Offsets,
    row_bags: Indices,
    slots: Indices,
    slot_group: Indices,
    slot_count: Indices,
) -> None:
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
            slot_count[there] += 1
            slot_count[here] -= 1
            if slot_count[here] == 0:
                slot_group[here] = slot_group[low + used - 1]
                slot_count[here] = slot_count[low + used - 1]
                slots[bag] = used - 1
        elif slot_count[here] == 1:
            slot_group[here] = to
        else:
            slot_count[here] -= 1
            slot_group[low + used] = to
            slot_count[low + used] = 1
            slots[bag] = used + 1
    group[row] = to
    size[home] -= 1
    size[to] += 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _pass(
    order: Indices,
    group: Indices,
    size: Indices,
    height: int,
    starts: Offsets,
    weights: Floats,
    row_starts: Offsets,
    row_bags: Indices,
    slots: Indices,
    slot_group: Indices,
    slot_count: Indices,
    steps: Floats,
    mind: Indices,
    mind_cost: Floats,
    pair_key: Offsets,
    pair_row: Indices,
    pair_cost: Floats,
) -> float:
    """Visit rows in an order, and move or swap each to where it gains most; returns the gain.

    `mind` and `mind_cost` (groups, EVICTED): rows that are cheap to put elsewhere, and at most what that costs. `pair_key`,
    `pair_row`, `pair_cost` (a power of two): for a pair of groups the row that goes from the first to the second most
    cheaply.
    """
    groups = len(size)
    score = np.zeros(groups)
    touched = np.empty(groups, dtype=np.int32)
    mask = len(pair_key) - 1
    aim = np.empty(AIMS, dtype=np.int32)
    aim_change = np.empty(AIMS)
    gained = 0.0
    for row in order:
        first, last = row_starts[row], row_starts[row + 1]
        home = group[row]
        found = 0
        stay = 0.0
        strange = 0.0
        for i in range(first, last):
            bag = row_bags[i]
            weight = weights[bag]
            strange += weight
            low = starts[bag]
            for at in range(low, low + slots[bag]):
                g = slot_group[at]
                if g == home:
                    stay += weight * steps[slot_count[at] - 1]
                else:
                    if score[g] == 0.0:
                        touched[found] = g
                        found += 1
                    score[g] += weight * (steps[0] - steps[slot_count[at]]) + 1e-300
        strange *= steps[0]
        room = -1
        room_change = -LEAST_GAIN
        for k in range(AIMS):
            aim[k] = -1
            aim_change[k] = np.inf
        for k in range(found):
            g = touched[k]
            change = strange - stay - score[g]
            score[g] = 0.0
            if size[g] < height:
                if change < room_change or (change == room_change and g < room):
                    room = g
                    room_change = change
            elif change < aim_change[AIMS - 1]:
                j = AIMS - 1
                while j > 0 and change < aim_change[j - 1]:
                    aim[j] = aim[j - 1]
                    aim_change[j] = aim_change[j - 1]
                    j -= 1
                aim[j] = g
                aim_change[j] = change
        done = False
        for k in range(AIMS):
            to = aim[k]
            if to < 0 or aim_change[k] >= room_change or aim_change[k] >= -LEAST_GAIN:
                break
            # The row may go to a full group if another leaves it: one that would come here, or one of its cheapest.
            key = np.int64(to) * groups + home
            slot = (key * 0x9E3779B97F4A7C1 >> 20) & mask
            for c in range(EVICTED + 1):
                if c == 0:
                    if pair_key[slot] != key:
                        continue
                    other = pair_row[slot]
                    cost = pair_cost[slot]
                else:
                    other = mind[to, c - 1]
                    cost = mind_cost[to, c - 1]
                if other < 0 or other == row or group[other] != to or aim_change[k] + cost >= room_change:
                    continue
                # A bag with both rows does not change: so the two moves, each by itself, cost at most what both together cost.
                back = _change(
                    other, home, group, starts, weights, row_starts, row_bags, slots, slot_group, slot_count, steps
                )
                if aim_change[k] + back >= room_change:
                    continue
                _move(row, to, group, size, starts, row_starts, row_bags, slots, slot_group, slot_count)
                back = _change(
                    other, home, group, starts, weights, row_starts, row_bags, slots, slot_group, slot_count, steps
                )
                if aim_change[k] + back < room_change:
                    _move(other, home, group, size, starts, row_starts, row_bags, slots, slot_group, slot_count)
                    gained -= aim_change[k] + back
                    done = True
                    break
                _move(row, home, group, size, starts, row_starts, row_bags, slots, slot_group, slot_count)
            if done:
                break
        if done:
            continue
        if room >= 0:
            _move(row, room, group, size, starts, row_starts, row_bags, slots, slot_group, slot_count)
            gained -= room_change
            continue
        # It stays, and is kept in mind for swaps.
        cost = strange - stay
        worst = 0
        for c in range(EVICTED):
            if mind[home, c] < 0 or group[mind[home, c]] != home or mind[home, c] == row:
                mind_cost[home, c] = np.inf
            if mind_cost[home, c] > mind_cost[home, worst]:
                worst = c
        if cost < mind_cost[home, worst]:
            mind[home, worst] = row
            mind_cost[home, worst] = cost
        for k in range(AIMS):
            to = aim[k]
            if to < 0:
                break
            key = np.int64(home) * groups + to
            slot = (key * 0x9E3779B97F4A7C1 >> 20) & mask
            if (
                pair_key[slot] != key
                or group[pair_row[slot]] != home
                or aim_change[k] < pair_cost[slot]
                or pair_row[slot] == row
            ):
                pair_key[slot] = key
                pair_row[slot] = row
                pair_cost[slot] = aim_change[k]
    return gained


def steps_of(chance: float, longest: int) -> Floats:
    """Return what the (c + 1)-th row of a bag in a group adds to its cost, for c from 0 to longest: (1 - chance)^c."""
    return np.power(1.0 - chance, np.arange(longest + 1, dtype=np.float64))


def objective(bags: Bags, group: npt.NDArray[np.int32], chance: float = 1.0) -> float:
    """Return the sum over bags of their weight times the groups they touch, or are expected to (see above)."""
    slots = np.zeros(bags.count, dtype=np.int32)
    slot_group, slot_count = np.empty_like(bags.members), np.empty_like(bags.members)
    if not bags.count:
        return 0.0
    _fill(bags.starts, bags.members, group, slots, slot_group, slot_count)
    longest = int(np.diff(bags.starts).max(initial=0))
    cost = np.concatenate([[0.0], np.cumsum(steps_of(chance, longest))])
    lengths = np.diff(bags.starts)
    used = np.arange(len(bags.members)) - np.repeat(bags.starts[:-1], lengths) < np.repeat(slots, lengths)
    each = np.where(used, cost[np.where(used, slot_count, 0)], 0.0)
    return float((each * np.repeat(bags.weights, lengths)).sum())


def _order(generator: np.random.Generator, rows: Indices, group: Indices, groups: int, near: bool) -> Indices:
    """Draw an order of rows; group by group if what one touches is to be near what the last one touched."""
    drawn = generator.permutation(rows)
    if not near:
        return drawn
    return drawn[np.argsort(generator.permutation(groups)[group[drawn]], kind="stable")]


def refine(
    bags: Bags,
    group: npt.NDArray[np.int32],
    groups: int,
    height: int,
    *,
    chance: float = 1.0,
    passes: int = 30,
    seed: int = 0,
    least: float = 1e-3,
    near: bool = False,
) -> tuple[npt.NDArray[np.int32], float]:
    """Return better groups of the rows that bags have, and what the objective fell by.

    `group` int32 (rows,): a group below `groups` for each row that is in a bag, at most `height` in each; others are not
    looked at. Passes end where one gains less than a share `least` of the objective.
    """
    group = group.copy()
    slots = np.zeros(bags.count, dtype=np.int32)
    slot_group, slot_count = np.empty_like(bags.members), np.empty_like(bags.members)
    _fill(bags.starts, bags.members, group, slots, slot_group, slot_count)
    row_starts, row_bags = bags.turned
    steps = steps_of(chance, int(np.diff(bags.starts).max(initial=0)))
    rows = np.flatnonzero(bags.frequency).astype(np.int32)
    size = np.bincount(group[rows], minlength=groups).astype(np.int32)
    mind, mind_cost = np.full((groups, EVICTED), -1, dtype=np.int32), np.full((groups, EVICTED), np.inf)
    pairs = 1 << max(4, int(np.ceil(np.log2(AIMS * max(len(rows), 1)))))
    pair_key, pair_row, pair_cost = np.full(pairs, -1), np.zeros(pairs, dtype=np.int32), np.zeros(pairs)
    generator = np.random.default_rng(seed)
    start = objective(bags, group, chance)
    total = 0.0
    for _ in range(passes):
        gained = _pass(
            _order(generator, rows, group, groups, near),
            group,
            size,
            height,
            bags.starts,
            bags.weights,
            row_starts,
            row_bags,
            slots,
            slot_group,
            slot_count,
            steps,
            mind,
            mind_cost,
            pair_key,
            pair_row,
            pair_cost,
        )
        total += gained
        if gained <= least * start:
            break
    return group, total
