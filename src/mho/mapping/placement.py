"""How a block can sit in a group so that it changes little of what it overwrites: costs, and the cheapest assignments.

Rows of a group share nothing but their order, columns nothing but theirs, so that which row of a block overwrites which row
of the group is an assignment problem, and so is which column overwrites which. Costs are compared for all pairs at once:
`row_steps` in the level steps that writing a row takes (its slowest cell in each phase, in each array; ARAS section III-B),
`distances` in a price of the changes of all its cells, such as their pulses. Digits of a weight may change places too: the most
significant digit of bell-shaped weights is nearly always in the middle, and met by one that is evenly spread it hardly ever
asks for a change over the full range.

Levels have the shape (rows, weight columns, cells per weight) throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Costs = npt.NDArray[np.float64]

TURNS = 5
"""Turns in which arrays are weighed anew."""

SHARPNESS = 8.0
"""Rate at which a slow array gains weight."""

PACKED_LEVELS = 8
"""Up to so many levels, changes are found by comparing bits of thresholds; beyond, by subtracting levels."""


@dataclass(frozen=True, slots=True, eq=False)
class Sitting:
    """The places of the rows, columns and digits of a block in its group."""

    rows: Places
    columns: Places
    cells: Places

    def shown(self, block: Levels) -> Levels:
        """Return the levels of a block as its cells show them, cell by cell of each weight."""
        return block[..., np.argsort(self.cells)]

    def index(self) -> tuple[Places, Places]:
        """Return where the block sits in the levels of its group."""
        return self.rows[:, None], self.columns[None, :]


def in_place(height: int, width: int, cells: int) -> Sitting:
    """Return the places that the mapping gives, without change."""
    return Sitting(np.arange(height), np.arange(width), np.arange(cells))


def spread(width: int, arrays: int, per_array: int) -> Places:
    """Share the columns of a block out evenly among all arrays of its group: fewer cells in a row, fewer slow ones."""
    order = np.arange(width)
    return order if width >= arrays * per_array else order % arrays * per_array + order // arrays


def _packed(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Pack (rows, cells) bits into words, shape (words, rows)."""
    rows, cells = bits.shape
    padded = np.zeros((rows, -(-cells // 64) * 64), dtype=bool)
    padded[:, :cells] = bits
    return np.ascontiguousarray(np.packbits(padded, axis=1).view(np.uint64).T)


def _steps(old: Levels, new: Levels, levels: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the largest rise and fall, (H, R), of each new row of cells (H, cells) over each old one (R, cells)."""
    up = np.zeros((len(new), len(old)), dtype=np.uint8)
    down = up.copy()
    if levels > PACKED_LEVELS:
        for i, row in enumerate(new.astype(np.int16)):
            change = row - old
            up[i], down[i] = change.max(axis=1, initial=0), (-change).max(axis=1, initial=0)
    else:
        for steps, to, by in ((up, new, old), (down, old, new)):
            # A cell of `to` is at least d levels above that of `by` where for some a it is at a + d or more, the other at a
            # or less.
            above = [_packed(to >= t) for t in range(1, levels)]
            below = [_packed(by <= a) for a in range(levels - 1)]
            for d in range(1, levels):
                apart = np.zeros((len(to), len(by)), dtype=np.uint64)
                for a in range(levels - d):
                    for high, low in zip(above[a + d - 1], below[a], strict=True):
                        apart |= high[:, None] & low[None, :]
                steps += (apart if to is new else apart.T) != 0
    return up, down


def _took(up: npt.NDArray[Any], down: npt.NDArray[Any], phases: int) -> npt.NDArray[Any]:
    """Return the steps that a row takes: one phase after the other, or both at once."""
    took: npt.NDArray[Any] = up + down if phases > 1 else np.maximum(up, down)
    return took


def row_steps(old: Levels, new: Levels, array: Places, levels: int, phases: int) -> Costs:
    """Return the level steps of writing each row of a block over each row of cells, in each array, shape (arrays, H, R).

    `old` are the levels of all rows in the block's columns, (R, W, cells), `new` the block's, (H, W, cells), `array` the array
    that each column sits in.
    """
    costs = []
    for each in np.unique(array):
        inside = array == each
        before, after = (side[:, inside].reshape(len(side), -1) for side in (old, new))
        costs.append(_took(*_steps(before, after, levels), phases))
    return np.array(costs, dtype=np.float64)


def following_steps(
    old: Levels, block: Levels, columns: Places, after: Sitting, shown: Levels, array: Places, levels: int, phases: int
) -> WriteCosts:
    """Return the level steps of the write that follows a block, for each row of that block (H) in each row of the group (R).

    `old` are the levels of the group before the block, (R, C, cells), `block` its levels as shown, `columns` where its columns
    sit; `shown` are those of the block that follows, which sits as `after` says. What a row costs where the block
    does not come is `always` there, and the costs say how much more or less it is.
    """
    place = np.full(old.shape[1], -1)
    place[columns] = np.arange(len(columns))
    place = place[after.columns]
    before = old[after.rows[:, None], after.columns[None, :]]
    costs, always = [], []
    for number in np.unique(array):
        shared, rest = (place >= 0) & (array == number), (place < 0) & (array == number)
        rises, falls = _steps(_flat(block[:, place[shared]]), _flat(shown[:, shared]), levels)
        left = _changes(before[:, rest], shown[:, rest])
        took = _took(np.maximum(rises, left[0][:, None]), np.maximum(falls, left[1][:, None]), phases).astype(
            np.float64
        )
        without = _took(*_changes(before[:, array == number], shown[:, array == number]), phases)
        cost = np.zeros((len(block), len(old)))
        cost[:, after.rows] = took.T - without
        costs.append(cost)
        always.append(without.sum())
    return WriteCosts(np.array(costs), np.array(always, dtype=np.float64))


def _flat(levels: Levels) -> Levels:
    return levels.reshape(len(levels), -1)


def _changes(old: Levels, new: Levels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the largest rise and fall of each row where new levels come over old ones, shape (rows,)."""
    change = _flat(new).astype(np.int64) - _flat(old)
    return change.max(axis=1, initial=0), (-change).max(axis=1, initial=0)


def following_distances(
    old: Levels, block: Levels, columns: Places, after: Sitting, shown: Levels, price: Costs
) -> Costs:
    """Return (H, R) as following_steps does, in the price of all cells' changes, less that where the block does not come."""
    place = np.full(old.shape[1], -1)
    place[columns] = np.arange(len(columns))
    place = place[after.columns]
    shared = place >= 0
    before = old[after.rows[:, None], after.columns[None, shared]]
    without = price[np.abs(_flat(shown[:, shared]).astype(np.int64) - _flat(before))].sum(axis=1)
    cost = np.zeros((len(block), len(old)))
    cost[:, after.rows] = distances(block[:, place[shared]], shown[:, shared], price).T - without
    return cost


def distances(old: Levels, new: Levels, price: Costs) -> Costs:
    """Return the price of all changes where each new row of cells (H, ...) comes over each old one (R, ...), shape (H, R).

    `price` is that of a change by 0, 1, .. levels.
    """
    levels = np.arange(len(price))
    before, after = _flat(old), _flat(new)
    costs = np.zeros((len(new), len(old)), dtype=np.float32)
    for level in levels:
        # What each cell would cost that is to come to this level, met by those that do.
        costs += (after == level).astype(np.float32) @ price[np.abs(levels - level)].astype(np.float32)[before].T
    return costs.astype(np.float64)


def cheapest(costs: Costs) -> Places:
    """Return for each row of costs (H, R), H <= R, the column that it takes, so that the sum is least."""
    # Whoever places nothing should not wait for this import.
    from scipy.optimize import linear_sum_assignment

    rows, places = linear_sum_assignment(costs)
    columns: Places = places[np.argsort(rows)]
    return columns


@dataclass(frozen=True, slots=True, eq=False)
class WriteCosts:
    """The costs of one write, by array: `costs`, shape (arrays, H, R), of each row in each place, and `always`, (arrays,)."""

    costs: Costs
    always: Costs


def balanced(writes: list[WriteCosts]) -> Places:
    """Assign rows to places so that the sum over writes of the costs of their slowest array is small.

    The means over arrays are assigned first; then, in turns, slow arrays weigh more. The best turn counts.
    """
    weights = [np.ones(len(write.always)) / len(write.always) for write in writes]
    best, least = None, np.inf
    for _ in range(TURNS if any(len(write.always) > 1 for write in writes) else 1):
        total = sum(np.tensordot(weight, write.costs, axes=1) for weight, write in zip(weights, writes, strict=True))
        places = cheapest(np.asarray(total))
        taken = [write.always + write.costs[:, np.arange(len(places)), places].sum(axis=1) for write in writes]
        slowest = float(sum(write.max() for write in taken))
        if slowest < least:
            best, least = places, slowest
        for weight, write in zip(weights, taken, strict=True):
            mean = write.mean()
            if mean > 0:
                weight *= np.exp(SHARPNESS * (write - mean) / mean)
                weight /= weight.sum()
    assert best is not None
    return best


def digit_order(meetings: list[tuple[Levels, Levels]], price: Costs) -> Places:
    """Choose the cell of each digit so that changes are cheap whatever the rows that meet, by shares of levels alone.

    `meetings` are pairs of levels, (.., cells) and (.., digits), of which the digits come over these cells, or the other way
    round. `price` is what a change by 0, 1, .. levels costs.
    """
    levels = len(price)
    cost = price[np.abs(np.arange(levels)[:, None] - np.arange(levels)[None, :])]
    total = sum(_shares(digits, levels) @ cost @ _shares(cells, levels).T for cells, digits in meetings)
    return cheapest(np.asarray(total))


def _shares(old: Levels, levels: int) -> Costs:
    """Return how often each cell of a weight is at each level, shape (cells, levels)."""
    flat = old.reshape(-1, old.shape[-1])
    return np.array([np.bincount(flat[:, cell], minlength=levels) / len(flat) for cell in range(flat.shape[1])])
