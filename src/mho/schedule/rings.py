"""Rings: how many rows of each tensor a stream keeps, where, and what must have read a row before another takes its place.

Row r of inference n, of R, has number x = n R + r. A ring of k rows keeps row x where row x - k was, so whatever makes x waits for
all that reads x - k. The k chosen is the least with which nothing waits that did not wait in a stream with room for all: the most
rows there from the oldest that is still read to the newest that is being made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.machine.streaming import StreamTiming
from mho.program.program import BufferUse
from mho.program.work import sources
from mho.schedule.body import Life, Made, Reader
from mho.schedule.builder import Task

Times = npt.NDArray[np.float64]


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


def place_rings(
    task: Task,
    sizes: Mapping[int, tuple[int, int]],
    near: Mapping[int, Sequence[int]],
    held: Mapping[int, tuple[int, int]],
) -> tuple[BufferUse, ...]:
    """Return where rings live: `sizes` gives for each tensor its rows and bytes, `near` the banks that are best for it, `held` the
    parts of the network, from the first to the last, that it is there for.

    The largest come first, each in the emptiest bank near by that holds it, else spread over the emptiest ones. MappingError where
    they find no room.
    """
    banks, network = task.chip.buffer.banks, task.network
    free = np.tile(np.array(banks, dtype=np.int64), (1 + max((last for _, last in held.values()), default=0), 1))
    last_reader, source = {}, sources(network)
    for index, layer in enumerate(network.layers):
        for name in layer.inputs:
            last_reader[source[name]] = index
    uses = {}
    for index, (rows, size) in sorted(sizes.items(), key=lambda item: (-item[1][1], item[0])):
        here = free[held[index][0] : held[index][1] + 1]
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
            total = sum(each for _, each in sizes.values())
            raise MappingError(
                f"a stream of {network.name} keeps {total} bytes of rows, and the buffers of chip {task.chip.name} hold "
                f"{sum(banks)}"
            )
        until = max(index, last_reader.get(index, index))
        uses[index] = BufferUse(
            index, size, tuple(bank for bank, _ in parts), 0, until, rows, tuple(part for _, part in parts)
        )
    return tuple(uses[index] for index in sorted(uses))
