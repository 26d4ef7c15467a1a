"""Simulated annealing of groups: rows change places, at first also where that costs something (Kirkpatrick et al., Science 1983).

A row is drawn, and a row of one of its bags; the first goes to the group of the second, against a row drawn there if the
group is full or the drawn wordline is taken. What is lowered is the probabilistic fanout (`fanout`). Rows that bags share do
not profit from an exchange: so the sum of what the two moves cost, each by itself, is at most what both cost together, and
most exchanges are turned down without being tried.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.mapping.embedding.bags import Bags
from mho.mapping.embedding.fanout import History
from mho.network.trace.trace import Indices, Offsets

MOST_BYTES = 1 << 30
"""Most memory for the counts of each bag's rows in each group: beyond it a trace is too large to be annealed."""

HOT, COLD = 0.06, 0.004
"""First and last temperature over the mean number of bags of a row: what a move costs goes with that number."""
MOST_MOVES = 4000
"""For each row; more gain next to nothing."""
STRANGE = 0.1
"""Share of the groups that are drawn among all instead of from the row's bags."""

Counts = npt.NDArray[np.unsignedinteger[Any]]


class RowSeats(NamedTuple):
    """The group of each row, the row on each wordline of a group, the wordline of each row, and the rows of each group."""

    group: Indices
    resident: Indices
    place: Indices
    size: Indices


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _cost(row: int, home: int, to: int, there: int, here: int, change: float, history: History, count: Counts) -> float:
    """Add to `change` what moving a row costs; of its bags' counts `there` and `here` are taken off first."""
    _, _, weights, row_starts, row_bags, steps = history
    for i in range(row_starts[row], row_starts[row + 1]):
        bag = row_bags[i]
        change += weights[bag] * (steps[count[bag, to] - there] - steps[count[bag, home] - here])
    return change


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _count_moved(row: int, to: int, home: int, history: History, count: Counts) -> None:
    _, _, _, row_starts, row_bags, _ = history
    for i in range(row_starts[row], row_starts[row + 1]):
        bag = row_bags[i]
        count[bag, to] += 1
        count[bag, home] -= 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _sit(row: int, to: int, wordline: int, seating: RowSeats) -> None:
    group, resident, place, _ = seating
    resident[to, wordline] = row
    place[row] = wordline
    group[row] = to


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _anneal(
    generator: np.random.Generator,
    moves: int,
    hot: float,
    cold: float,
    rows: Indices,
    seating: RowSeats,
    history: History,
    count: Counts,
) -> float:
    """Draw moves, at temperatures that fall from `hot` to `cold`, and follow some; returns the objective's change."""
    group, resident, place, size = seating
    starts, members, _, row_starts, row_bags, _ = history
    groups, height = resident.shape
    changed = 0.0
    temperature = hot
    for move in range(moves):
        if move % 1024 == 0:
            temperature = hot * (cold / hot) ** (move / moves)
        row = rows[int(generator.random() * len(rows))]
        home = group[row]
        first, last = row_starts[row], row_starts[row + 1]
        if generator.random() >= STRANGE:
            bag = row_bags[first + int(generator.random() * (last - first))]
            to = group[members[starts[bag] + int(generator.random() * (starts[bag + 1] - starts[bag]))]]
        else:
            to = int(generator.random() * groups)
        if to == home:
            continue
        wordline = int(generator.random() * height)
        other = resident[to, wordline] if wordline < size[to] else -1
        limit = -temperature * np.log(1.0 - generator.random())
        change = _cost(row, home, to, 0, 1, 0.0, history, count)
        if other >= 0:
            change = _cost(other, to, home, 0, 1, change, history, count)
        if change > limit:
            continue
        _count_moved(row, to, home, history, count)
        if other < 0:
            size[home] -= 1
            _sit(resident[home, size[home]], home, place[row], seating)
            _sit(row, to, size[to], seating)
            size[to] += 1
            changed += change
            continue
        # What the first move costs, and what the second costs after it.
        change = _cost(other, to, home, 0, 1, _cost(row, home, to, 1, 0, 0.0, history, count), history, count)
        if change > limit:
            _count_moved(row, home, to, history, count)
            continue
        _count_moved(other, home, to, history, count)
        _sit(other, home, place[row], seating)
        _sit(row, to, wordline, seating)
        changed += change
    return changed


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _counts(starts: Offsets, members: Indices, group: Indices, count: Counts) -> None:
    for bag in range(len(starts) - 1):
        for i in range(starts[bag], starts[bag + 1]):
            count[bag, group[members[i]]] += 1


def _kind(bags: Bags, height: int) -> np.dtype[Any]:
    """Return the smallest integers that count the rows a bag may have in a group."""
    return np.min_scalar_type(min(height, int(np.diff(bags.starts).max(initial=0))))


def fits(bags: Bags, groups: int, height: int) -> bool:
    """Say whether annealing takes no more memory than MOST_BYTES for its counts."""
    return _kind(bags, height).itemsize * bags.count * groups <= MOST_BYTES


def anneal(
    bags: Bags,
    group: npt.NDArray[np.int32],
    groups: int,
    height: int,
    *,
    chance: float,
    moves: int,
    seed: int,
) -> tuple[npt.NDArray[np.int32], float]:
    """Return other groups of the rows that bags have, and what the objective changed by.

    `moves`: how many are drawn, at most MOST_MOVES for each row. Raises OptionError where the trace is too large (`fits`).
    """
    if not fits(bags, groups, height):
        raise OptionError(
            f"{bags.count} bags in {groups} groups are too many to be annealed: the counts of each bag's rows in each group would "
            f"take more than {MOST_BYTES >> 20} MiB; use method 'refine'"
        )
    group = group.copy()
    rows = np.flatnonzero(bags.frequency).astype(np.int32)
    if groups < 2 or not len(rows):
        return group, 0.0
    order = rows[np.argsort(group[rows], kind="stable")]
    size = np.bincount(group[rows], minlength=groups).astype(np.int32)
    resident = np.full((groups, height), -1, dtype=np.int32)
    place = np.zeros(bags.rows, dtype=np.int32)
    place[order] = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
    resident[group[order], place[order]] = order
    count = np.zeros((bags.count, groups), dtype=_kind(bags, height))
    _counts(bags.starts, bags.members, group, count)
    scale = float((bags.weights * np.diff(bags.starts)).sum()) / len(rows)
    changed = _anneal(
        np.random.default_rng(seed),
        min(moves, MOST_MOVES * len(rows)),
        HOT * scale,
        COLD * scale,
        rows,
        RowSeats(group, resident, place, size),
        History.of(bags, chance),
        count,
    )
    return group, float(changed)
