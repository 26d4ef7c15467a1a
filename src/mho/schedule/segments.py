"""Segments: a network that a chip cannot hold, or in too few copies, planned so that B inferences stream through each part of it.

A segment is a run of layers (`portions`) that lies on the chip with c copies of each. Its B inferences take an interval T each:
copies are the fewest with which a layer is busy for ceil(M / c) t <= T, and T is no less than the vector unit's time of the
segment, and the memory's of what it moves. Then the next is written in its place:

    run    = B T + fill,    fill = sum over its layers but the last of lead x ceil(M / c) t
    write  = max(W, bytes written / bandwidth)
    period = sum over the segments of write and run,    rate = B / period.

Tensors that cross from one to the next are taken to be stored and loaded again where B times their bytes find no room in the
buffer; what of them stays is chosen later (`spills`). Cuts and
intervals are chosen together, by dynamic programming over segments by their ends: the optimum of this model, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.schedule.interval import CLOSE
from mho.schedule.portions import Floats, Integers, Portions, Room


@dataclass(frozen=True)
class Segment:
    """Layers [first, last) on the chip together, `copies` of each in `groups` groups.

    Times in s: of an inference, of all B with filling, and of the write. Bytes of a batch: written, and moved beside that.
    """

    first: int
    last: int
    copies: tuple[int, ...]
    groups: int
    interval_s: float
    run_s: float
    write_s: float
    written_bytes: float
    moved_bytes: float


def least_period(portions: Portions, room: Room, batch: int) -> float:
    """Return a lower bound in s on the period of a batch where every weight is written once a batch or more, whatever the schedule.

    Each layer fills its groups while one copy is written and its windows are served; each is fetched once; the vector unit and the
    memory serve every inference.
    """
    groups = portions.groups * (room.write_s + batch * portions.windows * portions.window_s)
    moved = portions.write_bytes.sum() + batch * portions.moved_bytes.sum()
    return float(max(groups.sum() / room.groups, moved / room.bandwidth, batch * portions.vector_s.sum()))


class Choices:
    """The intervals at which a layer needs another number of copies, and what each of them takes of every run of layers."""

    def __init__(self, portions: Portions, room: Room, batch: int) -> None:
        if (portions.groups > room.groups).any():
            raise ValueError(f"a layer fills more than all {room.groups} groups")
        if batch < 1:
            raise ValueError(f"a batch has 1 inference or more, not {batch}")
        self.room, self.batch = room, batch
        windows, window_s = portions.windows, portions.window_s
        self.interval_s = _intervals(portions)
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = np.floor(self.interval_s[:, None] * (1 + 4 * CLOSE) / window_s)
        turns = np.where(window_s > 0, np.minimum(turns, windows), windows)
        # A layer that cannot keep an interval, however many its copies, needs more than all groups.
        copies = np.where(turns >= 1, -(-windows // np.maximum(turns, 1)), room.groups + 1)
        self.copies: Integers = copies.astype(np.int64)
        busy_s = np.where(turns >= 1, -(-windows // self.copies) * window_s, 0.0)
        self.need = _sums(self.copies * portions.groups)
        self.written = _sums(self.copies * portions.write_bytes)
        self.filled = _sums(portions.lead * busy_s)
        self.vector_s, self.own = _sums(portions.vector_s[None])[0], _sums(portions.moved_bytes[None])[0]
        self.over = np.where(batch * portions.crossing > room.buffer_bytes, batch * portions.crossing, 0.0)

    def best(self, first: int, last: int) -> Segment | None:
        """Return the segment of a run of layers that takes least time; None where the chip does not hold it."""
        room, batch = self.room, self.batch
        moved = float(batch * (self.own[last] - self.own[first]) + self.over[first] + self.over[last])
        floor_s = max(float(self.vector_s[last] - self.vector_s[first]), moved / batch / room.bandwidth)
        # The fewest copies that keep the least interval that there can be, and those of longer ones.
        low = max(int(np.searchsorted(self.interval_s, floor_s * (1 + CLOSE), side="right")) - 1, 0)
        need = self.need[low:, last] - self.need[low:, first]
        fits = low + np.flatnonzero(need <= room.groups)
        if not len(fits):
            return None
        interval_s = np.maximum(self.interval_s[fits], floor_s)
        run_s = batch * interval_s + self.filled[fits, last - 1] - self.filled[fits, first]
        written = self.written[fits, last] - self.written[fits, first]
        write_s = np.maximum(room.write_s, written / room.bandwidth)
        best = int((run_s + write_s).argmin())
        place = int(fits[best])
        return Segment(
            first=first,
            last=last,
            copies=tuple(self.copies[place, first:last].tolist()),
            groups=int(self.need[place, last] - self.need[place, first]),
            interval_s=float(interval_s[best]),
            run_s=float(run_s[best]),
            write_s=float(write_s[best]),
            written_bytes=float(written[best]),
            moved_bytes=moved,
        )


def plan_segments(portions: Portions, room: Room, batch: int) -> tuple[Segment, ...]:
    """Return the best segments for batches of B inferences, in order. ValueError for a layer that the chip does not hold."""
    choices, count = Choices(portions, room, batch), len(portions)
    least, chosen = np.full(count + 1, np.inf), list[Segment | None]([None] * (count + 1))
    least[0] = 0.0
    for last in range(1, count + 1):
        for first in range(last - 1, -1, -1):
            segment = choices.best(first, last)
            if segment is None:
                break
            total = least[first] + segment.write_s + segment.run_s
            if total < least[last]:
                least[last], chosen[last] = total, segment
    segments: list[Segment] = []
    while count:
        segment = chosen[count]
        assert segment is not None
        segments.append(segment)
        count = segment.first
    return tuple(reversed(segments))


def period_s(segments: Sequence[Segment]) -> float:
    """Return the time in s from one batch to the next."""
    return sum(segment.write_s + segment.run_s for segment in segments)


def _sums(values: npt.NDArray[np.int64] | Floats) -> Floats:
    """Return the sums of all before each place along the last axis, and of all; exact for whole numbers."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)


def _intervals(portions: Portions) -> Floats:
    """Return all times for which a layer is busy with some number of copies, ascending and apart by more than rounding."""
    times = [np.zeros(1)]
    for windows, window_s in {(int(m), float(t)) for m, t in zip(portions.windows, portions.window_s, strict=True)}:
        # ceil(M / c) takes every value up to the root of M, and above it those of c up to that root.
        few = np.arange(1, int(windows**0.5) + 2)
        times.append(np.unique(np.concatenate([np.minimum(few, windows), -(-windows // few)])) * window_s)
    found = np.unique(np.concatenate(times))
    return found[np.diff(found, append=np.inf) > 2 * CLOSE * found]
