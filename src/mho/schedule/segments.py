"""Segments: a network that a chip cannot hold, planned so that B inferences stream through each part of it that the chip holds.

A segment is a run of portions (`portions`) that lies on the chip with c copies of each. Its B inferences take an interval T each:
copies are the fewest with which portion l is busy for ceil(M / c) t <= T, and T is no less than the vector unit's time of the
segment, and the memory's of what it moves. Then the next takes its place. With w = max(W, bytes written / bandwidth)

    run   = B T + fill,    fill = sum over its portions but the last of lead x ceil(M / c) t
    phase = max(run, W, (bytes written next + bytes moved) / bandwidth)     where the next one's groups are free beside its own,
            run + w of the next                                              where they are not
    period = sum of the phases,    rate = B / period.

Of the tensors that cross from one to the next, B times their bytes, what the buffer does not keep is stored and loaded again.
Cuts, intervals and which writes are hidden are chosen together, by dynamic programming over segments by their ends: the
optimum of this model, exactly, on chips of at most LEVELS groups, and anywhere among plans that hide no write. On larger chips
segments beside which others are written have the intervals of LEVELS shares of the groups. The write of the first segment follows
the last of the batch before, hidden where it happens to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mho.schedule.interval import CLOSE, Held, least_interval
from mho.schedule.portions import Floats, Integers, Portions, Room

Number = TypeVar("Number", np.int64, np.float64)

LEVELS = 64
"""Shares of the groups for which segments that are written beside others are tried."""


@dataclass(frozen=True)
class Segment:
    """Portions [first, last) on the chip together, `copies` of each in `groups` groups from `start` on; `hidden` if it is written
    while the one before runs. Times in s: of an inference, of all B with filling, of the write alone, and from the end of the one
    before it to its own, `phase_s`: what of its write is not hidden, and its run. Bytes of a batch: written, and moved.
    """

    first: int
    last: int
    copies: tuple[int, ...]
    start: int
    groups: int
    hidden: bool
    interval_s: float
    fill_s: float
    run_s: float
    write_s: float
    phase_s: float
    written_bytes: float
    moved_bytes: float


@dataclass(frozen=True)
class SegmentPlan:
    """Segments for batches of `batch` inferences: the period of a batch in s, and the bytes of a batch that the buffer cannot keep
    between segments (stored once and loaded once).
    """

    batch: int
    segments: tuple[Segment, ...]
    period_s: float
    spilled_bytes: float

    @property
    def rate(self) -> float:
        """Inferences a second."""
        return self.batch / self.period_s

    @property
    def written_bytes(self) -> float:
        """Bytes that writing a batch's segments fetches."""
        return sum(segment.written_bytes for segment in self.segments)


def least_period(portions: Portions, room: Room, batch: int) -> float:
    """Return a lower bound in s on the period of a batch where every weight is written once a batch or more, whatever the schedule.

    Each portion fills its groups while one copy is written and its windows are served; each is fetched once; the vector unit and
    the memory serve every inference.
    """
    groups = portions.groups * (room.write_s + batch * portions.windows * portions.window_s)
    moved = portions.write_bytes.sum() + batch * portions.moved_bytes.sum()
    return float(max(groups.sum() / room.groups, moved / room.bandwidth, batch * portions.vector_s.sum()))


def resident_interval(portions: Portions, room: Room) -> tuple[float, tuple[int, ...]] | None:
    """Return the least interval in s with all portions on the chip, and the copies of each; None where it does not hold them."""
    if portions.groups.sum() > room.groups:
        return None
    weights = [
        Held(int(groups), (int(windows),), (float(window_s),))
        for groups, windows, window_s in zip(portions.groups, portions.windows, portions.window_s, strict=True)
    ]
    floor_s = max(portions.vector_s.sum(), portions.moved_bytes.sum() / room.bandwidth)
    return least_interval(weights, room.groups, float(floor_s))


@dataclass(frozen=True, eq=False)
class Offers:
    """All segments that are worth a try, in arrays of one length, ordered by `first`.

    `choice`: the place of the interval in a table; the rest as in `Segment`, `need` being its groups.
    """

    first: Integers
    last: Integers
    choice: Integers
    need: Integers
    interval_s: Floats
    run_s: Floats
    written: Floats
    moved: Floats


class Choices:
    """The intervals at which a portion needs another number of copies, and what each of them takes of every run of portions."""

    def __init__(self, portions: Portions, room: Room, batch: int) -> None:
        if (portions.groups > room.groups).any():
            raise ValueError(f"a portion fills more than all {room.groups} groups; cut it into smaller ones")
        if batch < 1:
            raise ValueError(f"a batch has 1 inference or more, not {batch}")
        self.portions, self.room, self.batch = portions, room, batch
        windows, window_s = portions.windows, portions.window_s
        self.interval_s = _intervals(portions)
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = np.floor(self.interval_s[:, None] * (1 + 4 * CLOSE) / window_s)
        turns = np.where(window_s > 0, np.minimum(turns, windows), windows)
        # A portion that cannot keep an interval, however many its copies, needs more than all groups.
        copies = np.where(turns >= 1, -(-windows // np.maximum(turns, 1)), room.groups + 1)
        self.copies = copies.astype(np.int64)
        self.busy_s = np.where(turns >= 1, -(-windows // self.copies) * window_s, 0.0)
        self.need = _sums(self.copies * portions.groups)
        self.written = _sums(self.copies * portions.write_bytes)
        self.filled = _sums(portions.lead * self.busy_s)
        self.vector_s, self.own = _sums(portions.vector_s[None])[0], _sums(portions.moved_bytes[None])[0]
        self.over = np.where(batch * portions.crossing > room.buffer_bytes, batch * portions.crossing, 0.0)
        self.over[[0, -1]] = 0.0

    def moved(self, first: int | Integers, last: int | Integers) -> Floats:
        """Return the bytes that segments move in a batch beside writes: their own, and what is spilled before and after."""
        own = self.batch * (self.own[last] - self.own[first])
        return np.asarray(own + self.over[first] + self.over[last], dtype=np.float64)

    def floor_s(self, first: int, last: int) -> float:
        """Return what an inference takes of the vector unit or the memory in a segment, whichever is longer, in s."""
        moved_s = float(self.moved(first, last)) / self.batch / self.room.bandwidth
        return max(float(self.vector_s[last] - self.vector_s[first]), moved_s)

    def at(self, first: int, last: int, limits: Integers) -> tuple[Integers, Floats]:
        """Return the least intervals of a segment within `limits` of groups, which ascend: places and times in s, none twice."""
        need = self.need[::-1, last] - self.need[::-1, first]
        places = len(need) - np.searchsorted(need, limits, side="right")
        places = np.unique(places[places < len(need)])
        interval_s = np.maximum(self.interval_s[places], self.floor_s(first, last))
        # A longer interval is kept by fewer copies.
        fewest = np.searchsorted(self.interval_s, interval_s * (1 + CLOSE), side="right") - 1
        fewest, kept = np.unique(fewest, return_index=True)
        return fewest, interval_s[kept]

    def offers(self, limits: Integers) -> Offers:
        """Return all segments, at the least intervals within any of `limits` of groups."""
        count, found = len(self.portions), []
        for begin in range(count):
            for end in range(begin + 1, count + 1):
                if self.need[-1, end] - self.need[-1, begin] > self.room.groups:
                    break
                choice, interval_s = self.at(begin, end, limits)
                found.append((np.full(len(choice), begin), np.full(len(choice), end), choice, interval_s))
        first, last, places, intervals = (np.concatenate(each) for each in zip(*found, strict=True))
        return Offers(
            first=first,
            last=last,
            choice=places,
            need=self.need[places, last] - self.need[places, first],
            interval_s=intervals,
            run_s=self.batch * intervals + self.filled[places, last - 1] - self.filled[places, first],
            written=self.written[places, last] - self.written[places, first],
            moved=self.moved(first, last),
        )


def plan_segments(portions: Portions, room: Room, batch: int, levels: int = LEVELS) -> SegmentPlan:
    """Return the best segments for batches of B inferences. ValueError for a portion that the chip does not hold."""
    choices = Choices(portions, room, batch)
    offers = choices.offers(np.unique(-(-room.groups * np.arange(1, levels + 1) // levels)))
    order, hidden = _shortest(offers, room, len(portions))
    return _planned(choices, offers, order, hidden)


def resident_plan(portions: Portions, room: Room, batch: int) -> SegmentPlan | None:
    """Return the plan that writes nothing, one segment that stays; None where the chip does not hold all portions."""
    found = resident_interval(portions, room)
    if found is None:
        return None
    interval_s, copies = found
    time_s, moved = batch * interval_s, batch * float(portions.moved_bytes.sum())
    groups = int((portions.groups * copies).sum())
    whole = Segment(0, len(portions), copies, 0, groups, False, interval_s, 0.0, time_s, 0.0, time_s, 0.0, moved)
    return SegmentPlan(batch, (whole,), time_s, 0.0)


def _sums(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return the sums of all before each place along the last axis, and of all."""
    return np.concatenate([np.zeros((len(values), 1), values.dtype), np.cumsum(values, axis=1)], axis=1)


def _intervals(portions: Portions) -> Floats:
    """Return all times for which a portion is busy with some number of copies, ascending and apart by more than rounding."""
    times = [np.zeros(1)]
    for windows, window_s in {(int(m), float(t)) for m, t in zip(portions.windows, portions.window_s, strict=True)}:
        # ceil(M / c) takes every value up to the root of M, and above it those of c up to that root.
        few = np.arange(1, int(windows**0.5) + 2)
        times.append(np.unique(np.concatenate([np.minimum(few, windows), -(-windows // few)])) * window_s)
    found = np.unique(np.concatenate(times))
    return found[np.diff(found, append=np.inf) > 2 * CLOSE * found]


def _shortest(offers: Offers, room: Room, count: int) -> tuple[list[int], list[bool]]:
    """Return the offers of the shortest way through all portions, in order, and which of them are written while another runs."""
    write_s = np.maximum(room.write_s, offers.written / room.bandwidth)
    since = np.where(offers.first == 0, write_s, np.inf)
    before = np.full(len(write_s), -1)
    hidden = np.zeros(len(write_s), dtype=bool)
    bounds = np.searchsorted(offers.first, np.arange(count + 1))
    ending = [np.flatnonzero(offers.last == cut) for cut in range(count + 1)]
    for cut in range(1, count):
        ends = ending[cut]
        ends = ends[np.isfinite(since[ends])]
        if not len(ends):
            continue
        begins = np.arange(bounds[cut], bounds[cut + 1])
        total = since[ends] + offers.run_s[ends]
        least = float(total.min())
        since[begins], before[begins] = least + write_s[begins], ends[total.argmin()]
        # Hiding a write is worth it only behind a run that ends before another one and the write would.
        late = total < least + write_s[begins].max()
        ends = ends[late & (since[ends] < least)]
        begins = begins[offers.need[begins] + offers.need[ends].min(initial=room.groups) <= room.groups]
        if not len(ends) or not len(begins):
            continue
        bytes_s = (offers.moved[ends][:, None] + offers.written[begins]) / room.bandwidth
        phase = np.maximum(np.maximum(offers.run_s[ends][:, None], room.write_s), bytes_s) + since[ends][:, None]
        phase[offers.need[ends][:, None] + offers.need[begins] > room.groups] = np.inf
        best = phase.argmin(axis=0)
        shorter = phase[best, np.arange(len(begins))]
        better = shorter < since[begins] * (1 - CLOSE)
        since[begins[better]], before[begins[better]] = shorter[better], ends[best[better]]
        hidden[begins[better]] = True
    last = ending[count]
    order = [int(last[(since[last] + offers.run_s[last]).argmin()])]
    while before[order[-1]] >= 0:
        order.append(int(before[order[-1]]))
    order.reverse()
    return order, [bool(hidden[each]) for each in order]


def _starts(needs: list[int], hidden: list[bool], groups: int) -> list[int] | None:
    """Return the first group of each segment, so that none written while another runs shares groups with it; None where the first
    would with the last. Neighbours lie at the two ends of the chip; where an odd number of them goes round, the last between.
    """
    sides = [0]
    for each in hidden[1:]:
        sides.append(sides[-1] ^ each)
    starts = [groups - need if side else 0 for need, side in zip(needs, sides, strict=True)]
    if not hidden[0] or sides[-1]:
        return starts
    if not all(hidden):
        # Where nothing overlaps the ends can be changed.
        change = max(number for number, each in enumerate(hidden) if not each)
        return starts[:change] + [
            groups - need - start for need, start in zip(needs[change:], starts[change:], strict=True)
        ]
    return [*starts[:-1], needs[0]] if needs[0] + needs[-2] + needs[-1] <= groups else None


def _planned(choices: Choices, offers: Offers, order: list[int], hidden: list[bool]) -> SegmentPlan:
    """Return chosen offers as a plan; the first is written while the last of the batch before runs, if they fit together."""
    room, needs = choices.room, offers.need[order].tolist()
    hidden[0] = len(order) > 1 and needs[0] + needs[-1] <= room.groups
    starts = _starts(needs, hidden, room.groups)
    if starts is None:
        hidden[0] = False
        starts = _starts(needs, hidden, room.groups)
    assert starts is not None
    segments: list[Segment] = []
    for number, each in enumerate(order):
        following = (number + 1) % len(order)
        first, last, place = int(offers.first[each]), int(offers.last[each]), int(offers.choice[each])
        run_s, written, moved = (float(of[each]) for of in (offers.run_s, offers.written, offers.moved))
        write_s = max(room.write_s, written / room.bandwidth)
        phase_s = run_s
        if hidden[following]:
            phase_s = max(run_s, room.write_s, (float(offers.written[order[following]]) + moved) / room.bandwidth)
        segments.append(
            Segment(
                first=first,
                last=last,
                copies=tuple(choices.copies[place, first:last].tolist()),
                start=starts[number],
                groups=needs[number],
                hidden=hidden[number],
                interval_s=float(offers.interval_s[each]),
                fill_s=run_s - choices.batch * float(offers.interval_s[each]),
                run_s=run_s,
                write_s=write_s,
                phase_s=phase_s if hidden[number] else phase_s + write_s,
                written_bytes=written,
                moved_bytes=moved,
            )
        )
    spilled = float(choices.over[[segment.first for segment in segments]].sum())
    return SegmentPlan(choices.batch, tuple(segments), sum(segment.phase_s for segment in segments), spilled)
