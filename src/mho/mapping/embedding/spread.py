"""Copies of single rows: hot rows stand in several groups, so that bags find more of their rows together (ours; ReCross
copies whole groups).

A row that is alone in its group, as far as a bag goes, costs the bag a group. Extra groups are made of rows that are alone in
the same bags: a bag that finds s of them in the new group touches s - 1 groups fewer. Wordlines that are still free take
copies of rows that are alone where the group is touched anyway; some extra groups, or all, may take rows from the full ones
first, so that each has such wordlines. Then each look-up is given to a copy (`cover`), copies are moved as rows are in
`refine`, and copies that nothing uses make room for others; the best of these rounds is kept.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.mapping.embedding.area import instances_within
from mho.mapping.embedding.bags import Bags
from mho.mapping.embedding.cover import cover
from mho.mapping.embedding.greedy import MOST, ONE, first, rise
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.refine import refine
from mho.network.trace.trace import Indices, Offsets, Trace

Flags = npt.NDArray[np.bool_]
CHANCE = 0.7
"""For which copies are moved; see `refine`."""
ROOM = (0.0, 0.5, 1.0)
"""Shares of the extra groups that are tried as room for rows, so that every group has wordlines free for copies."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _alone(starts: Offsets, serving: Indices, groups: int, alone: Flags) -> None:
    """Say of each look-up whether no other of its bag is served by its group."""
    count = np.zeros(groups, dtype=np.int32)
    for bag in range(len(starts) - 1):
        for i in range(starts[bag], starts[bag + 1]):
            count[serving[i]] += 1
        for i in range(starts[bag], starts[bag + 1]):
            alone[i] = count[serving[i]] == 1
        for i in range(starts[bag], starts[bag + 1]):
            count[serving[i]] = 0


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _extra(
    starts: Offsets,
    members: Indices,
    row_starts: Offsets,
    row_places: Offsets,
    bag_of: Indices,
    alone: Flags,
    height: int,
    extra: int,
    chosen: Indices,
    sizes: Indices,
) -> int:
    """Fill in the rows of extra groups, and take their look-ups out of `alone`; returns how many groups save anything."""
    rows = len(row_starts) - 1
    singles = np.zeros(rows, dtype=np.int64)
    for i in range(len(members)):
        if alone[i]:
            singles[members[i]] += 1
    heap = np.empty(rows, dtype=np.int64)
    place = np.full(rows, -1, dtype=np.int32)
    inside = np.full(rows, -1, dtype=np.int32)
    touched = np.full(len(starts) - 1, -1, dtype=np.int32)
    # Seeds go by how often rows were alone before the first extra group; what is used up at the front is not looked at again.
    order = np.argsort(-singles, kind="mergesort")
    front = 0
    made = 0
    for new in range(extra):
        while front < rows and singles[order[front]] == 0:
            front += 1
        at_seed = front
        size = 0
        filled = 0
        saved = 0
        while filled < height:
            if size:
                saved += heap[0] >> 32
                row = first(heap, place, size)
                size -= 1
            else:
                while at_seed < rows and (inside[order[at_seed]] == new or singles[order[at_seed]] == 0):
                    at_seed += 1
                if at_seed == rows:
                    break
                row = order[at_seed]
            inside[row] = new
            chosen[new * height + filled] = row
            filled += 1
            for i in range(row_starts[row], row_starts[row + 1]):
                at = row_places[i]
                bag = bag_of[at]
                if not alone[at] or touched[bag] == new:
                    continue
                touched[bag] = new
                for j in range(starts[bag], starts[bag + 1]):
                    other = members[j]
                    if not alone[j] or inside[other] == new:
                        continue
                    where = place[other]
                    if where < 0:
                        where = size
                        heap[where] = MOST - other
                        size += 1
                    heap[where] += ONE
                    rise(heap, place, where)
        for k in range(size):
            place[MOST - (heap[k] & MOST)] = -1
        sizes[new] = filled
        if not saved:
            break
        made += 1
        for k in range(new * height, new * height + filled):
            for i in range(row_starts[chosen[k]], row_starts[chosen[k] + 1]):
                at = row_places[i]
                if not alone[at]:
                    continue
                bag = bag_of[at]
                both = 0
                for j in range(starts[bag], starts[bag + 1]):
                    if alone[j] and inside[members[j]] == new:
                        both += 1
                if both < 2:
                    continue
                for j in range(starts[bag], starts[bag + 1]):
                    if alone[j] and inside[members[j]] == new:
                        alone[j] = False
                        singles[members[j]] -= 1
    return made


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _wishes(
    starts: Offsets,
    serving: Indices,
    row_starts: Offsets,
    row_places: Offsets,
    bag_of: Indices,
    alone: Flags,
    size: Indices,
    height: int,
    best: Indices,
    gain: Offsets,
) -> None:
    """Fill in for each row the group with room that would spare most bags a group if the row stood there too, and how many."""
    score = np.zeros(len(size), dtype=np.int64)
    found = np.empty(len(size), dtype=np.int32)
    last = np.full(len(size), -1, dtype=np.int64)
    for row in range(len(row_starts) - 1):
        many = 0
        for i in range(row_starts[row], row_starts[row + 1]):
            at = row_places[i]
            if not alone[at]:
                continue
            bag = bag_of[at]
            for j in range(starts[bag], starts[bag + 1]):
                g = serving[j]
                if size[g] >= height or g == serving[at] or last[g] == at:
                    continue
                last[g] = at
                if score[g] == 0:
                    found[many] = g
                    many += 1
                score[g] += 1
        best[row] = -1
        gain[row] = 0
        for k in range(many):
            g = found[k]
            if score[g] > gain[row] or (score[g] == gain[row] and g < best[row]):
                best[row] = g
                gain[row] = score[g]
            score[g] = 0


def _topped(row: Indices, group: Indices, groups: int, height: int, bags: Bags) -> tuple[Indices, Indices]:
    """Put copies of rows on free wordlines, the most useful first; returns the row and the group of each place."""
    row_starts, row_places, bag_of = _places(bags)
    while True:
        size = np.bincount(group, minlength=groups).astype(np.int32)
        if (size >= height).all():
            return row, group
        serving = cover(_layout(row, group, groups, height, bags.rows), bags.starts, bags.members)[0]
        alone = np.zeros(len(bags.members), dtype=np.bool_)
        _alone(bags.starts, serving, groups, alone)
        best, gain = np.full(bags.rows, -1, dtype=np.int32), np.zeros(bags.rows, dtype=np.int64)
        _wishes(bags.starts, serving, row_starts, row_places, bag_of, alone, size, height, best, gain)
        wish = np.lexsort((np.arange(bags.rows), -gain))
        # Copies in use of each other's gains: half of the room at a time.
        # Cover may have passed over a copy that is there already.
        there = np.isin(wish * np.int64(groups) + best[wish], row * np.int64(groups) + group)
        wish = wish[(gain[wish] > 0) & ~there][: max(1, int((height - size).sum()) // 2)]
        order = wish[np.argsort(best[wish], kind="stable")]
        counts = np.bincount(best[order], minlength=groups)
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[rank < (height - size)[best[order]]]
        if not len(order):
            return row, group
        row = np.concatenate([row, order]).astype(np.int32)
        group = np.concatenate([group, best[order]]).astype(np.int32)


def _places(bags: Bags) -> tuple[Offsets, Offsets, Indices]:
    """Return where each row is looked up: places row_starts[r] to row_starts[r + 1], and the bag of each look-up."""
    places = np.argsort(bags.members, kind="stable")
    starts = np.concatenate([[0], np.cumsum(bags.frequency)]).astype(np.int64)
    return starts, places, np.repeat(np.arange(bags.count, dtype=np.int32), np.diff(bags.starts))


def _layout(row: Indices, group: Indices, groups: int, height: int, rows: int) -> Layout:
    order = np.lexsort((row, group))
    starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))]).astype(np.int64)
    return Layout(rows, height, starts, row[order].astype(np.int32), np.ones(groups, dtype=np.int32), "spread")


def _moved(layout: Layout, bags: Bags, seed: int) -> Layout:
    """Move copies to where the look-ups that they serve are served, and use the room of those that serve none."""
    serving, wordline, _ = cover(layout, bags.starts, bags.members)
    place = (layout.starts[serving] + wordline).astype(np.int32)
    group = np.repeat(np.arange(layout.groups, dtype=np.int32), np.diff(layout.starts))
    was, row = group, layout.members
    served = Bags(len(row), bags.starts, place, bags.weights)
    used = served.frequency > 0
    # Of a row that nothing looks up, the first place stays.
    first = np.zeros(len(row), dtype=np.bool_)
    first[np.unique(row, return_index=True)[1]] = True
    has = np.zeros(layout.rows, dtype=np.bool_)
    has[row[used]] = True
    idle = first & ~has[row]
    group, _ = refine(served, group, layout.groups, layout.height, chance=CHANCE, passes=10, seed=seed)
    # Two copies in one group are one.
    places = np.flatnonzero(used)
    keys = np.unique(group[places].astype(np.int64) * layout.rows + row[places])
    rows, groups = (keys % layout.rows).astype(np.int32), (keys // layout.rows).astype(np.int32)
    rows = np.concatenate([rows, row[idle]]).astype(np.int32)
    room = layout.height - np.bincount(groups, minlength=layout.groups)
    groups = np.concatenate([groups, _kept(was[idle], room)]).astype(np.int32)
    return _layout(
        *_topped(rows, groups, layout.groups, layout.height, bags), layout.groups, layout.height, layout.rows
    )


def _kept(group: Indices, room: npt.NDArray[np.int64]) -> Indices:
    """Return groups for rows that nothing looks up: their own as far as there is room, then whatever has room."""
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    stay = rank < room[group]
    left = room - np.bincount(group[stay], minlength=len(room))
    found = group.copy()
    found[~stay] = np.repeat(np.arange(len(room), dtype=np.int32), left)[: int((~stay).sum())]
    return found


def spread(layout: Layout, history: Trace, budget: float, *, rounds: int = 4, seed: int = 0) -> Layout:
    """Return a layout in which rows that are often alone in their groups stand in further groups too.

    `budget`: instances over the fewest groups that hold every row once, at most; what the layout takes already is kept, and
    what is left becomes extra groups, one copy each. Free wordlines are used in any case. `rounds`: how often copies are
    moved. The history's bags touch at most as many groups as before. OptionError for a budget below what the layout takes, or
    if the trace has other rows.
    """
    if history.total_rows != layout.rows:
        raise OptionError(f"the history has {history.total_rows} rows, the layout {layout.rows}")
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
        raise OptionError(f"rounds is a whole number from 0, not {rounds!r}")
    extra = instances_within(layout, budget) - layout.instances
    bags = Bags.of(history, least=2)
    if not bags.count:
        return layout
    # Rows that have copies already, or groups that have, are not moved.
    movable = bool((layout.copies == 1).all()) and len(layout.members) == layout.rows
    best = layout
    fewest = int(cover(layout, bags.starts, bags.members)[2].sum())
    for share in ROOM if movable and extra else (0.0,):
        tried = _widened(layout, bags, round(share * extra), seed)
        tried = _extended(tried, bags, layout.groups + extra - tried.groups)
        for turn in range(rounds + 1):
            touched = int(cover(tried, bags.starts, bags.members)[2].sum())
            if touched < fewest:
                best, fewest = tried, touched
            elif turn:
                break
            if turn < rounds and bool((layout.copies == 1).all()):
                tried = _moved(tried, bags, seed + turn)
    copies = np.ones(best.groups, dtype=np.int32)
    copies[: layout.groups] = layout.copies
    options = {**layout.options, "spread": float(budget), "rounds": rounds}
    return Layout(layout.rows, layout.height, best.starts, best.members, copies, layout.method, options)


def _widened(layout: Layout, bags: Bags, more: int, seed: int) -> Layout:
    """Spread rows that stand once each over more groups, so that all groups have room for copies."""
    if not more:
        return layout
    groups = layout.groups + more
    height = -(-layout.rows // groups)
    group = np.empty(layout.rows, dtype=np.int32)
    group[layout.members] = np.repeat(np.arange(layout.groups, dtype=np.int32), np.diff(layout.starts))
    order = np.lexsort((np.arange(layout.rows), -bags.frequency, group))
    sizes = np.diff(layout.starts)
    over = order[np.arange(layout.rows) - np.repeat(layout.starts[:-1], sizes) >= height]
    kept = np.minimum(np.concatenate([sizes, np.zeros(more, dtype=np.int64)]), height)
    group[over] = np.repeat(np.arange(groups, dtype=np.int32), height - kept)[::-1][: len(over)]
    group, _ = refine(bags, group, groups, height, chance=CHANCE, seed=seed)
    idle = np.flatnonzero(bags.frequency == 0)
    room = height - np.bincount(group[bags.frequency > 0], minlength=groups)
    group[idle] = np.repeat(np.arange(groups, dtype=np.int32), room)[: len(idle)]
    return _layout(np.arange(layout.rows, dtype=np.int32), group, groups, layout.height, layout.rows)


def _extended(layout: Layout, bags: Bags, extra: int) -> Layout:
    """Add groups of rows that are alone in the same bags, and copies on wordlines that are free."""
    height, groups = layout.height, layout.groups
    row = layout.members
    group = np.repeat(np.arange(groups, dtype=np.int32), np.diff(layout.starts))
    if extra:
        serving = cover(layout, bags.starts, bags.members)[0]
        alone = np.zeros(len(bags.members), dtype=np.bool_)
        _alone(bags.starts, serving, groups, alone)
        row_starts, row_places, bag_of = _places(bags)
        chosen, sizes = np.full(extra * height, -1, dtype=np.int32), np.zeros(extra, dtype=np.int32)
        made = int(
            _extra(bags.starts, bags.members, row_starts, row_places, bag_of, alone, height, extra, chosen, sizes)
        )
        new = np.flatnonzero(chosen[: made * height] >= 0)
        row = np.concatenate([row, chosen[new]]).astype(np.int32)
        group = np.concatenate([group, groups + new // height]).astype(np.int32)
        groups += made
    return _layout(*_topped(row, group, groups, height, bags), groups, height, layout.rows)
