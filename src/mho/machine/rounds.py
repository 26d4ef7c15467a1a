"""Parts of a network that a stream has on the chip one after another (`Stream.segments`), and what a round does in them.

A program without segments has one part, the whole network, all its instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.channels import MEMORY, channel_rates, passed_bytes
from mho.machine.streaming import time_stream
from mho.machine.timing import Timing
from mho.mapping import LayerMapping
from mho.mapping.blocks import Run
from mho.once import once
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, LOAD, STORE, VECTOR, WRITE, columns
from mho.program.stream_bound import crossing_bytes

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resident:
    """What the chip holds at a time: instructions [first, last) of every inference, behind the writes from `written` on.

    `copies`: of each run of blocks that is there; `users`: the layers that use it then.
    """

    written: int
    first: int
    last: int
    copies: Mapping[Run, int]
    users: Mapping[Run, tuple[LayerMapping, ...]]

    @property
    def groups(self) -> int:
        """The groups that its copies fill."""
        return sum((last - first) * copies for (first, last), copies in self.copies.items())


def parts_of_layers(program: Program) -> Integers:
    """Return in which part each layer computes, the last of several, shape (layers,); 0 for one that does not."""
    table, found = columns(program), np.zeros(len(program.network.layers), dtype=np.int64)
    for number, (first, last) in enumerate(_segments(program)):
        here = np.arange(first, last)
        found[table.layer[here[np.isin(table.kind[here], (ACTIVATE, COMBINE, VECTOR))]]] = number
    return found


def _segments(program: Program) -> tuple[tuple[int, int], ...]:
    """Return the instructions of each part that every inference has."""
    segments = () if program.stream is None else program.stream.segments
    return segments or ((program.setup, len(program.instructions)),)


@once
def residents(program: Program) -> tuple[Resident, ...]:
    """Return what the chip holds, part after part."""
    table, found = columns(program), []
    segments = _segments(program)
    written = 0
    for number, (first, last) in enumerate(segments):
        until = len(program.instructions) if number + 1 == len(segments) else last
        here = np.arange(written, until)
        places = here[np.isin(table.kind[here], (WRITE, ACTIVATE))]
        most: dict[Run, int] = {}
        users: dict[Run, dict[int, LayerMapping]] = {}
        for place in places.tolist():
            run = int(table.first_block[place]), int(table.last_block[place])
            most[run] = max(most.get(run, 0), int(table.copy[place] + table.copies[place]))
            if table.kind[place] == ACTIVATE:
                layer = int(table.layer[place])
                users.setdefault(run, {})[layer] = program.mapping.by_index[layer]
        used = {run: tuple(users[run][layer] for layer in sorted(users[run])) for run in sorted(users)}
        found.append(Resident(written, first, last, {run: most[run] for run in used}, used))
        written = until
    return tuple(found)


def ring_bytes(program: Program) -> Integers:
    """Return the bytes of rings in each bank of the buffer while each part runs, shape (parts, banks); where banks are tiles'
    buffers, in each tile.
    """
    kept = np.zeros((len(_segments(program)), len(program.chip.buffer.banks)), dtype=np.int64)
    for use, (first, last) in zip(program.buffers, ring_parts(program), strict=True):
        for bank, part in zip(use.banks, use.parts, strict=False):
            kept[first : last + 1, bank] += part
    return kept


def ring_parts(program: Program) -> list[tuple[int, int]]:
    """Return for each tensor that is kept the first and the last part in which it is: from where its rows are made, or loaded."""
    table, parts = columns(program), parts_of_layers(program)
    begun = np.full(len(parts), len(_segments(program)) - 1)
    for number, (first, last) in reversed(list(enumerate(_segments(program)))):
        here = np.arange(first, last)
        begun[table.layer[here[np.isin(table.kind[here], (COMBINE, VECTOR, LOAD))]]] = number
    return [(int(begun[use.layer]), int(max(begun[use.layer], parts[use.last]))) for use in program.buffers]


def memory_busy_s(program: Program, timing: Timing) -> float:
    """Return for how long an inference keeps the memory busy at full rate, in s, with its share of what its round moves once."""
    if program.stream is None or program.stream.batch == 1:
        return timing.memory_busy_s
    moved = (passed_bytes(program)[MEMORY] * columns(program).per_inference)[program.setup :]
    return float(moved.sum() / channel_rates(program.chip)[MEMORY])


def written_bytes(program: Program) -> float:
    """Return the bytes that an inference fetches to write weights; of a round its share."""
    table, writes = columns(program), columns(program).of(WRITE)
    writes = writes[writes >= program.setup]
    moved = (table.moved_bytes + table.order_bytes) * table.per_inference
    return float(moved[writes].sum())


def spilled_bytes(program: Program) -> float:
    """Return the bytes that an inference stores and loads between parts, beyond what any has to bring and to take away."""
    table, moves = columns(program), columns(program).of(LOAD, STORE)
    moves = moves[moves >= program.setup]
    moved = float((table.size * table.per_inference)[moves].sum())
    return max(moved - crossing_bytes(program.network, program.coded), 0.0)


def part_times_s(program: Program) -> list[tuple[float, float]]:
    """Return of each part how long a round in the steady state writes it, and how long the round's inferences are in it, in s."""
    assert program.stream is not None
    timing, table = time_stream(program), columns(program)
    begun = timing.watched.start
    inferences = slice(begun, begun + program.stream.batch)
    found = []
    for part in residents(program):
        writes = np.arange(max(part.written, program.setup), part.first)
        writes = writes[table.kind[writes] == WRITE] - program.setup
        run = slice(part.first - program.setup, part.last - program.setup)
        write_s = float(timing.ends[begun, writes].max() - timing.starts[begun, writes].min()) if len(writes) else 0.0
        run_s = float(timing.ends[inferences, run].max() - timing.starts[inferences, run].min())
        found.append((write_s, run_s))
    return found
