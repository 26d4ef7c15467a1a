"""Annealing of groups row by row, where rows pay for a place in a full group (ours).

A sweep visits all rows in a drawn order. Each goes to any group that its bags touch, or to one drawn among all, with a chance that
falls exponentially with what it would cost there over a temperature (a heat bath: R. J. Glauber, Journal of Mathematical Physics 4,
1963; drawn by E. J. Gumbel's variables, one for each group). What a row costs is the probabilistic fanout (`fanout`). Groups may
have more rows than they hold: each row beyond weighs PRESSURE, and a group that was too full for a sweep takes a price from all who
are in it or come, which falls again when there is room. As the temperature falls groups end up just full; the few rows that are
still too many go where there is room.

A sweep looks at each group of each bag of each row: its time goes with look-ups times the groups of a bag, its memory with
look-ups.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.bags import Bags, Floats
from mho.mapping.embedding.fanout import Counts, History, move, objective
from mho.network.trace.trace import Indices, Offsets

HOT, COLD = 0.03, 0.003
"""First and last temperature over the mean number of bags of a row: what a place costs goes with that number."""
PRESSURE = (0.004, 0.05)
"""What each row too many weighs, first and last, over the same number."""
PRICED = 0.5
"""How much of the weight of the rows too many a group's price rises by after a sweep; from 1 on prices would swing."""
DRAWN = 1 << 16
"""Gumbel variables that are drawn once; each row begins at another one."""

Group = npt.NDArray[np.int32]


class Annealed(NamedTuple):
    """The group of each row, what the objective changed by, and how many groups of bags were looked at: the work."""

    group: Group
    changed: float
    looked_at: int


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _sweep(
    order: Indices,
    places: tuple[Indices, Indices, Floats],
    height: int,
    history: History,
    counts: Counts,
    temperature: float,
    pressure: float,
    drawn: tuple[Floats, Offsets, Offsets],
    space: tuple[Floats, Indices],
) -> int:
    """Visit rows in an order, and put each into a group by chance; return how many groups of bags were looked at.

    `places`: the group of each row, the rows of each group, and its price. `drawn`: Gumbel variables, where in them each row
    begins, and a group for each row. `space`: zeros, and room for the number of a group, for each group.
    """
    group, size, price = places
    noise, begins, others = drawn
    score, near = space
    starts, _, weights, row_starts, row_bags, steps = history
    slots, slot_group, slot_rows = counts
    looked_at = 0
    for k in range(len(order)):
        row = order[k]
        home = group[row]
        # Marked as seen; of what follows no number is changed by so little.
        score[home] = score[others[k]] = 1e-300
        near[0] = home
        many = 1
        if others[k] != home:
            near[1] = others[k]
            many = 2
        for i in range(row_starts[row], row_starts[row + 1]):
            bag = row_bags[i]
            low = starts[bag]
            looked_at += slots[bag]
            for at in range(low, low + slots[bag]):
                g = slot_group[at]
                rows = slot_rows[at]
                if g == home:
                    rows -= 1
                if rows > 0:
                    if score[g] == 0.0:
                        near[many] = g
                        many += 1
                    score[g] += weights[bag] * (1.0 - steps[rows])
        best, most, at = home, -np.inf, begins[k]
        for j in range(many):
            g = near[j]
            over = size[g] - height
            if g != home:
                over += 1
            value = score[g] - price[g] - pressure * max(over, 0) + temperature * noise[(at + j) & (len(noise) - 1)]
            score[g] = 0.0
            if value > most:
                most = value
                best = g
        if best != home:
            move(row, best, group, size, history, counts)
    return looked_at


def _put_right(group: Group, rows: Indices, frequency: npt.NDArray[np.int64], groups: int, height: int) -> None:
    """Move the least frequent rows of groups that are too full to groups with room."""
    order = rows[np.lexsort((rows, -frequency[rows], group[rows]))]
    size = np.bincount(group[rows], minlength=groups)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    over = order[rank >= height]
    room = np.repeat(np.arange(groups, dtype=np.int32), np.maximum(height - size, 0))
    group[over] = room[: len(over)]


def anneal(bags: Bags, group: Group, groups: int, height: int, *, chance: float, sweeps: int, seed: int) -> Annealed:
    """Return other groups of the rows that bags have, at most `height` of them in each.

    `group` int32 (rows,): a group below `groups` for each row that is in a bag; others are not looked at.
    """
    group = group.copy()
    rows = np.flatnonzero(bags.frequency).astype(np.int32)
    if groups < 2 or not len(rows):
        return Annealed(group, 0.0, 0)
    history, counts = History.of(bags, chance), Counts.of(bags, group)
    before = objective(bags, group, chance)
    size, price = np.bincount(group[rows], minlength=groups).astype(np.int32), np.zeros(groups)
    generator = np.random.default_rng(seed)
    noise = generator.gumbel(size=DRAWN)
    space = np.zeros(groups), np.empty(groups, dtype=np.int32)
    scale = float((bags.weights * np.diff(bags.starts)).sum()) / len(rows)
    looked_at = 0
    for temperature, pressure in zip(
        scale * np.geomspace(HOT, COLD, sweeps), scale * np.geomspace(*PRESSURE, sweeps), strict=True
    ):
        begins, others = generator.integers(0, DRAWN, len(rows)), generator.integers(0, groups, len(rows))
        order, places = generator.permutation(rows), (group, size, price)
        looked_at += _sweep(
            order, places, height, history, counts, temperature, pressure, (noise, begins, others), space
        )
        price = np.maximum(price + PRICED * pressure * (size - height), 0.0)
    _put_right(group, rows, bags.frequency, groups, height)
    return Annealed(group, objective(bags, group, chance) - before, looked_at)
