"""Moving and swapping rows between groups for as long as bags touch fewer groups.

What is lowered is the probabilistic fanout (`fanout`). With a chance below 1 it looks past the bags of the history: rows that are
often, but not always, asked for together are drawn together too.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.bags import Bags, Floats
from mho.mapping.embedding.fanout import Counts, History, cost_of_move, move, objective
from mho.network.trace.trace import Indices, Offsets

LEAST_GAIN = 1e-9
EVICTED = 6
"""Rows of a full group that are kept in mind as the cheapest to put elsewhere."""
AIMS = 3
"""Groups that a row is kept in mind for, to be swapped with a row that would leave them."""


class Places(NamedTuple):
    """The group of each row, and the rows of each group."""

    group: Indices
    size: Indices


class Aims(NamedTuple):
    """The AIMS full groups, or -1, where a row gains most, and what moving there changes."""

    group: Indices
    change: Floats


class Mind(NamedTuple):
    """EVICTED rows of each group that are cheap to put elsewhere, and the most that it costs to put one there."""

    row: Indices
    cost: Floats


class Pairs(NamedTuple):
    """For a pair of groups the row that goes from the first to the second most cheaply; a table of a power of two of places."""

    key: Offsets
    row: Indices
    cost: Floats


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _score(
    row: int, home: int, history: History, counts: Counts, score: Floats, touched: Indices
) -> tuple[int, float, float]:
    """Fill in what each group that the row's bags touch, but its own, would save.

    Returns how many groups these are, what the row saves at home, and what it costs in a group that no bag touches.
    """
    starts, _, weights, row_starts, row_bags, steps = history
    slots, slot_group, slot_count = counts
    many = 0
    stay = 0.0
    strange = 0.0
    for i in range(row_starts[row], row_starts[row + 1]):
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
                    touched[many] = g
                    many += 1
                score[g] += weight * (steps[0] - steps[slot_count[at]]) + 1e-300
    return many, stay, strange * steps[0]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _aim(
    many: int, touched: Indices, score: Floats, leaving: float, size: Indices, height: int, aims: Aims
) -> tuple[int, float]:
    """Return the group with room where the row gains most, or -1, and what moving there changes; clear the scores.

    `aims` are filled in.
    """
    aim, change = aims
    room = -1
    room_change = -LEAST_GAIN
    for k in range(AIMS):
        aim[k] = -1
        change[k] = np.inf
    for k in range(many):
        g = touched[k]
        moved = leaving - score[g]
        score[g] = 0.0
        if size[g] < height:
            if moved < room_change or (moved == room_change and g < room):
                room = g
                room_change = moved
        elif moved < change[AIMS - 1]:
            j = AIMS - 1
            while j > 0 and moved < change[j - 1]:
                aim[j] = aim[j - 1]
                change[j] = change[j - 1]
                j -= 1
            aim[j] = g
            change[j] = moved
    return room, room_change


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _slot(key: int, places: int) -> int:
    """Return the place of a pair of groups among so many, a power of two."""
    return (key * 0x9E3779B97F4A7C1 >> 20) & (places - 1)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _swap(
    row: int,
    home: int,
    most: float,
    aims: Aims,
    places: Places,
    history: History,
    counts: Counts,
    mind: Mind,
    pairs: Pairs,
) -> float:
    """Swap the row with one of a full group, if both together change the objective by less than `most`; return the gain, or 0."""
    aim, change = aims
    group, size = places
    for k in range(AIMS):
        to = aim[k]
        if to < 0 or change[k] >= most or change[k] >= -LEAST_GAIN:
            break
        # The row may go to a full group if another leaves it: one that would come here, or one of its cheapest.
        key = np.int64(to) * len(size) + home
        slot = _slot(key, len(pairs.key))
        for c in range(EVICTED + 1):
            if c == 0:
                if pairs.key[slot] != key:
                    continue
                other, cost = pairs.row[slot], pairs.cost[slot]
            else:
                other, cost = mind.row[to, c - 1], mind.cost[to, c - 1]
            if other < 0 or other == row or group[other] != to or change[k] + cost >= most:
                continue
            # A bag with both rows does not change: so the two moves, each by itself, cost at most what both together cost.
            back = cost_of_move(other, home, group, history, counts)
            if change[k] + back >= most:
                continue
            move(row, to, group, size, history, counts)
            back = cost_of_move(other, home, group, history, counts)
            if change[k] + back < most:
                move(other, home, group, size, history, counts)
                return float(-(change[k] + back))
            move(row, home, group, size, history, counts)
    return 0.0


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _keep_in_mind(row: int, home: int, cost: float, aims: Aims, group: Indices, mind: Mind, pairs: Pairs) -> None:
    """Note a row that stays, for swaps with rows that come."""
    aim, change = aims
    worst = 0
    for c in range(EVICTED):
        if mind.row[home, c] < 0 or group[mind.row[home, c]] != home or mind.row[home, c] == row:
            mind.cost[home, c] = np.inf
        if mind.cost[home, c] > mind.cost[home, worst]:
            worst = c
    if cost < mind.cost[home, worst]:
        mind.row[home, worst] = row
        mind.cost[home, worst] = cost
    for k in range(AIMS):
        to = aim[k]
        if to < 0:
            break
        key = np.int64(home) * len(mind.row) + to
        slot = _slot(key, len(pairs.key))
        known = pairs.row[slot]
        if pairs.key[slot] != key or group[known] != home or change[k] < pairs.cost[slot] or known == row:
            pairs.key[slot] = key
            pairs.row[slot] = row
            pairs.cost[slot] = change[k]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _pass(
    order: Indices, places: Places, height: int, history: History, counts: Counts, mind: Mind, pairs: Pairs
) -> float:
    """Visit rows in an order, and move or swap each to where it gains most; returns the gain."""
    group, size = places
    score = np.zeros(len(size))
    touched = np.empty(len(size), dtype=np.int32)
    aims = Aims(np.empty(AIMS, dtype=np.int32), np.empty(AIMS))
    aim, change = aims
    gained = 0.0
    for row in order:
        home = group[row]
        many, stay, strange = _score(row, home, history, counts, score, touched)
        room, room_change = _aim(many, touched, score, strange - stay, size, height, aims)
        gain = 0.0
        if aim[0] >= 0 and change[0] < min(room_change, -LEAST_GAIN):
            gain = _swap(row, home, room_change, aims, places, history, counts, mind, pairs)
        if gain > 0.0:
            gained += gain
        elif room >= 0:
            move(row, room, group, size, history, counts)
            gained -= room_change
        else:
            _keep_in_mind(row, home, strange - stay, aims, group, mind, pairs)
    return gained


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
    history, counts = History.of(bags, chance), Counts.of(bags, group)
    rows = np.flatnonzero(bags.frequency).astype(np.int32)
    places = Places(group, np.bincount(group[rows], minlength=groups).astype(np.int32))
    mind = Mind(np.full((groups, EVICTED), -1, dtype=np.int32), np.full((groups, EVICTED), np.inf))
    slots = 1 << max(4, int(np.ceil(np.log2(AIMS * max(len(rows), 1)))))
    pairs = Pairs(np.full(slots, -1), np.zeros(slots, dtype=np.int32), np.zeros(slots))
    generator = np.random.default_rng(seed)
    start = objective(bags, group, chance)
    total = 0.0
    for _ in range(passes):
        order = _order(generator, rows, group, groups, near)
        gained = _pass(order, places, height, history, counts, mind, pairs)
        total += gained
        if gained <= least * start:
            break
    return group, total
