"""Rings: how many rows of each tensor a stream keeps, where, and what must have read a row before another takes its place.

Row r of inference n, of R, has number x = n R + r. A ring of k rows keeps row x where row x - k was, so whatever makes x waits for
all that reads x - k. The k chosen is the least with which nothing waits that did not wait in a stream with room for all: the most
rows there from the oldest that is still read to the newest that is being made. Where the buffers have no room for so many, the
largest rings are shortened, down to the rows of one inference.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.machine.streaming import StreamTiming
from mho.program.instructions import Rows
from mho.program.program import BufferUse
from mho.program.work import sources
from mho.schedule.body import Life, Made, Reader
from mho.schedule.builder import Task

Times = npt.NDArray[np.float64]
Strip = tuple[int, int]
"""A layer whose tensor is stored, and the first of the rows of it that a ring is about."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A ring: its rows, the fewest that it may be shortened to, the bytes of one, and the parts in which it is, first and last.

    `of`: the rows of the tensor that it is for; None: all.
    """

    rows: int
    least: int
    row_bytes: Fraction
    first: int
    last: int
    of: Rows | None = None

    @property
    def bytes(self) -> int:
        """The bytes that it takes."""
        return -int(-self.row_bytes * self.rows // 1)

    @property
    def short(self) -> Kept:
        """The ring with the fewest rows."""
        return replace(self, rows=self.least)

    def within(self, size: float) -> Kept:
        """Return the ring with as many rows as are no more than `size` bytes, or the fewest."""
        return replace(self, rows=min(self.rows, max(self.least, int(size / self.row_bytes))))

    def joined(self, other: Kept) -> Kept:
        """Return a ring that serves for two."""
        rows, least = max(self.rows, other.rows), max(self.least, other.least)
        return replace(
            self, rows=rows, least=least, first=min(self.first, other.first), last=max(self.last, other.last)
        )


def rows_kept(life: Life, timing: StreamTiming) -> int:
    """Return the rows of a tensor's ring, as a stream with room for all was timed."""
    made, readers = life.made, tuple(life.readers.values())
    rows, inferences = made.ends[-1], len(timing.starts)
    births = timing.starts[:, made.places]
    if life.loaded and readers:
        births = _in_time(made, readers, timing)
    read = np.full((inferences, rows), -np.inf)
    for reader in readers:
        ended = timing.ends[:, reader.places]
        for number, (first, last) in enumerate(reader.rows):
            np.maximum(read[:, first:last], ended[:, number : number + 1], out=read[:, first:last])
    # A row lives until it is made, at least; and a row that is read is there until all before it have been.
    for number, (first, last) in enumerate(zip([0, *made.ends], made.ends, strict=False)):
        np.maximum(read[:, first:last], timing.ends[:, made.places[number]][:, None], out=read[:, first:last])
    gone = np.maximum.accumulate(read.ravel())
    newest = (np.arange(inferences) * rows)[:, None] + np.array(made.ends)
    # What is read until the very time at which another row is begun needs room beside it.
    oldest = np.searchsorted(gone, births, side="left")
    return int((newest - oldest).max(initial=1))


def _in_time(made: Made, readers: Sequence[Reader], timing: StreamTiming) -> Times:
    """Return when rows are loaded at the latest: while what reads before them does so."""
    births = np.full((len(timing.starts), len(made.places)), np.inf)
    for reader in readers:
        needed = [last for _, last in reader.rows]
        for piece, begin in enumerate([0, *made.ends[:-1]]):
            # The first that needs a row of this piece, and the one before, of the inference before where it is the first of all.
            first = bisect_right(needed, begin)
            if first == len(needed):
                continue
            before = timing.starts[:, reader.places[first - 1]]
            if first == 0:
                before = np.concatenate([timing.starts[:1, reader.places[0]], before[:-1]])
            births[:, piece] = np.minimum(births[:, piece], before)
    # What nobody reads is there when it is loaded.
    return np.where(np.isinf(births), timing.starts[:, made.places], births)


def ring_waits(life: Life, kept: int) -> list[tuple[int, int, int]]:
    """Return who must wait for whom so that no row is overwritten before it is read: (instruction, place, distance)."""
    made = life.made
    rows = made.ends[-1]
    waits = []
    for reader in life.readers.values():
        begins = [first for first, _ in reader.rows]
        known = (-1, rows + kept)
        for place, end in zip(made.places, made.ends, strict=True):
            distance, row = divmod(-(end - 1 - kept), rows)
            distance, row = (distance, 0) if row == 0 else (distance + 1, rows - row)
            number = bisect_right(begins, row) - 1
            if number < 0:
                number, distance = len(begins) - 1, distance + 1
            # Later instructions of one layer wait for its earlier ones, and so for what these waited for.
            if known[1] == distance and known[0] == number:
                continue
            known = number, distance
            waits.append((place, reader.places[number], distance))
    return waits


def fitted(rings: Mapping[Strip, Kept], room: float) -> dict[Strip, Kept]:
    """Return rings that take no more than `room` bytes in any part, where that can be: the largest shortened to one size.

    Whoever makes rows for a shorter ring waits for readers more often.
    """
    found = dict(rings)
    for part in range(1 + max((ring.last for ring in rings.values()), default=0)):
        here = [strip for strip, ring in found.items() if ring.first <= part <= ring.last]

        def taken(level: float, here: Sequence[Strip] = here) -> int:
            return sum(found[strip].within(level).bytes for strip in here)

        low, high = 0, max((found[strip].bytes for strip in here), default=0)
        if taken(high) <= room:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if taken(middle) <= room else (low, middle)
        found.update({strip: found[strip].within(low) for strip in here})
    return found


def place_rings(task: Task, rings: Mapping[Strip, Kept], near: Mapping[int, Sequence[int]]) -> tuple[BufferUse, ...]:
    """Return where rings live; `near`: the banks that are best for each tensor.

    The largest come first, each in the emptiest bank near by that holds it, else spread over the emptiest ones. MappingError where
    they find no room.
    """
    banks, network = task.chip.buffer.banks, task.network
    free = np.tile(np.array(banks, dtype=np.int64), (1 + max((ring.last for ring in rings.values()), default=0), 1))
    last_reader, source = {}, sources(network)
    for index, layer in enumerate(network.layers):
        for name in layer.inputs:
            last_reader[source[name]] = index
    uses = {}
    for strip, ring in sorted(rings.items(), key=lambda item: (-item[1].bytes, item[0])):
        (index, _), size, here = strip, ring.bytes, free[ring.first : ring.last + 1]
        room = here.min(axis=0)
        close = sorted(near.get(index, ()), key=lambda bank: (-room[bank], bank))
        whole = [bank for bank in close if room[bank] >= size][:1]
        left, parts = size, []
        others = sorted(set(range(len(banks))) - set(close), key=lambda bank: (-room[bank], bank))
        for bank in whole or [*close, *others]:
            part = int(min(left, room[bank]))
            if part:
                parts.append((bank, part))
                here[:, bank] -= part
                left -= part
            if not left:
                break
        if left:
            total = sum(ring.bytes for ring in rings.values())
            raise MappingError(
                f"a stream of {network.name} keeps {total} bytes of rows, and the buffers of chip {task.chip.name} hold "
                f"{sum(banks)}"
            )
        until = max(index, last_reader.get(index, index))
        uses[strip] = BufferUse(
            index,
            size,
            tuple(bank for bank, _ in parts),
            0,
            until,
            ring.rows,
            tuple(part for _, part in parts),
            ring.of,
        )
    return tuple(uses[strip] for strip in sorted(uses))
