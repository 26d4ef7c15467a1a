"""Bodies become streams: the least rings that delay nobody, what waits for what so that they suffice, and an order.

How the bodies of successive inferences interlock is what the machine itself finds of them with room for all rows; each tensor then
gets a ring of as many rows as were alive at once (`rings`), and whoever makes a row waits for those that read what it overwrites.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.machine.streaming import StreamTiming, time_rounds, time_stream
from mho.mapping.blocks import Run
from mho.network.layers import Embedding
from mho.program.instructions import Activate, Instruction, Transfer
from mho.program.program import BufferUse, Program, Stream
from mho.schedule.body import Body, Stay
from mho.schedule.builder import InstructionBuilder
from mho.schedule.interval import CLOSE
from mho.schedule.rings import Kept, Strip, fitted, place_rings, ring_waits, rows_kept

ROOM = (1.0, 0.95, 0.85, 0.7)
"""Parts of all buffers that rings are made to fill: banks that are free at different times may not hold what fits together."""


def settled(
    body: Body, writes: Sequence[Instruction], interval_s: float, batch: int, paces_s: Sequence[float] = ()
) -> InstructionBuilder:
    """Return a body as a stream with the least rings that delay nobody, or those for which there is room; `writes` belong to the
    setup.

    `paces_s`: of each part, how much time it has for an inference.
    """
    timing, interval_s = roomy(body, writes, interval_s, batch, paces_s)
    uses, waits = _rings(body, timing)
    return _ordered(body, writes, timing, uses, waits, interval_s, batch)


def roomy(
    body: Body, writes: Sequence[Instruction], interval_s: float, batch: int, paces_s: Sequence[float]
) -> tuple[StreamTiming, float]:
    """Return how the bodies of inferences interlock where all rows have room, and the interval at which they do."""
    program = _roomy(body, writes, interval_s, batch)
    if batch > 1:
        return time_rounds(program, _paced(body, paces_s)), interval_s
    timing = time_stream(program)
    # Where ports hold windows up, inferences cannot come as fast as groups could take them.
    while timing.interval_s > interval_s * (1 + CLOSE):
        interval_s = timing.interval_s
        timing = time_stream(_roomy(body, writes, interval_s, batch))
    return timing, interval_s


def placed(held: Iterable[tuple[int, Run, int]]) -> dict[int, Stay]:
    """Return where blocks are, of which each layer holds so many copies, one after another; two layers share what both have."""
    copies: dict[Run, int] = {}
    for _, blocks, count in (held := list(held)):
        copies[blocks] = max(count, copies.get(blocks, 0))
    group, stays = 0, {}
    for blocks, count in copies.items():
        stays[blocks] = Stay(blocks, count, group)
        group += (blocks[1] - blocks[0]) * count
    return {index: stays[blocks] for index, blocks, _ in held}


def _paced(body: Body, paces_s: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return how much longer instructions would take if no part took inferences in faster than it can go on with them.

    With room for all rows a fast branch of a network would run ahead of a slow one by all inferences of a round.
    """
    late = np.zeros(len(body.instructions))
    chip, mapping = body.task.chip, body.task.mapping.by_index

    def alone(place: int) -> float:
        each = body.instructions[place]
        if isinstance(each, Activate):
            return (each.windows[1] - each.windows[0]) / each.copies * mapping[each.layer].window_s
        return each.size / chip.memory.bandwidth if isinstance(each, Transfer) else 0.0

    layers = body.task.network.layers
    # What comes into a part from outside: what is loaded or looked up, and what reads tensors of parts before.
    chains = [(part, life.made.places) for (_, _, part), life in body.lives.items() if life.loaded]
    chains += [
        (_part_of(body, step), made.places) for step, made in body.made.items() if isinstance(layers[step], Embedding)
    ]
    for (_, _, part), life in body.lives.items():
        for reader in life.readers.values():
            if reader.part > part:
                chains.append((reader.part, reader.places))
    for part, places in chains:
        for place in places:
            late[place] = max(0.0, paces_s[part] / len(places) - alone(place))
    return late


def _roomy(body: Body, writes: Sequence[Instruction], interval_s: float, batch: int) -> Program:
    """Return a stream with room for all rows, in the order of the body."""
    setup = len(writes)
    moved = tuple(replace(each, after=tuple(place + setup for place in each.after)) for each in body.instructions)
    builder = InstructionBuilder(body.task)
    builder.instructions, builder.setup = [*writes, *moved], setup
    builder.rings = tuple(
        BufferUse(body.place[name], size, (), 0, body.place[name], body.flow.rows(name))
        for name, size in body.stored.items()
    )
    again = tuple((first + setup, last + setup, 1) for first, last in body.again)
    brackets = tuple((first + setup, last + setup) for first, last in body.brackets)
    builder.stream = Stream(interval_s, again, batch, brackets if len(brackets) > 1 else ())
    return body.task.program(builder)


def rings_kept(body: Body, timing: StreamTiming) -> dict[Strip, Kept]:
    """Return the rings of all stored tensors with which nobody is delayed, as a stream with room for all was timed.

    What is loaded anew has one ring, of the most rows that it ever needs.
    """
    found: dict[Strip, Kept] = {}
    names = body.task.network.layers
    for (index, first, part), life in body.lives.items():
        name = names[index].name
        rows, last = (
            rows_kept(life, timing),
            max([part, *(each.part for each in life.readers.values())]),
        )
        # With room for all rows of an inference nothing waits for ever; what other parts read must stay for all of them.
        least = rows if last > part else min(rows, life.made.ends[-1])
        whole = body.flow.rows(name)
        ring = Kept(
            rows, least, Fraction(body.stored[name], whole), part, last, None if life.span == (0, whole) else life.span
        )
        strip = index, first
        found[strip] = found[strip].joined(ring) if strip in found else ring
    return found


def _rings(body: Body, timing: StreamTiming) -> tuple[tuple[BufferUse, ...], list[tuple[int, int, int]]]:
    """Return the rings of all stored tensors, and what waits for what so that they suffice."""
    task, rings = body.task, rings_kept(body, timing)
    near: dict[int, tuple[int, ...]] = {}
    for (index, _, _), life in body.lives.items():
        for reader in life.readers.values():
            mapped = task.mapping.by_index.get(reader.step)
            if mapped is not None and task.chip.buffer.in_tiles and index not in near:
                (begin, end), *_ = body.parts[reader.part].stays[reader.step].groups
                tile = task.chip.tile.groups
                near[index] = tuple(range(begin // tile, -(-end // tile)))
    for room in ROOM:
        fitting = fitted(rings, room * sum(task.chip.buffer.banks))
        try:
            uses = place_rings(task, fitting, near)
            break
        except MappingError:
            if room == ROOM[-1]:
                raise
    waits = [
        each for (*strip, _), life in body.lives.items() for each in ring_waits(life, fitting[strip[0], strip[1]].rows)
    ]
    return uses, waits


def _part_of(body: Body, step: int) -> int:
    """Return the part that a layer belongs to."""
    return next(number for number, part in enumerate(body.parts) if step < part.last)


def _ordered(
    body: Body,
    writes: Sequence[Instruction],
    timing: StreamTiming,
    uses: tuple[BufferUse, ...],
    waits: Sequence[tuple[int, int, int]],
    interval_s: float,
    batch: int,
) -> InstructionBuilder:
    """Return the instructions in the order in which the stream begins them, part by part, each after all that it waits for."""
    count, setup, begun = len(body.instructions), len(writes), timing.starts[timing.watched[-1]].tolist()
    before = [set(each.after) for each in body.instructions]
    for instruction, place, distance in waits:
        if not distance:
            before[instruction].add(place)
    followers: list[list[int]] = [[] for _ in range(count)]
    for place, waiting in enumerate(before):
        for other in waiting:
            followers[other].append(place)
    left = [len(waiting) for waiting in before]
    # Of each part first what is written, then what every inference has.
    edges = [0, *(bound for bracket in body.brackets for bound in bracket)]
    key = [(bisect_right(edges, place), begun[place], place) for place in range(count)]
    ready = [key[place] for place in range(count) if not left[place]]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        *_, place = heapq.heappop(ready)
        order.append(place)
        for follower in followers[place]:
            left[follower] -= 1
            if not left[follower]:
                heapq.heappush(ready, key[follower])
    numbers = {place: setup + number for number, place in enumerate(order)}
    builder = InstructionBuilder(body.task)
    builder.setup = setup
    builder.instructions = [
        *writes,
        *(
            replace(body.instructions[place], after=tuple(sorted(numbers[other] for other in before[place])))
            for place in order
        ),
    ]
    again = [(first, last, 1) for first, last in body.again] + [each for each in waits if each[2]]
    builder.rings = uses
    brackets = tuple((first + setup, last + setup) for first, last in body.brackets)
    builder.stream = Stream(
        interval_s,
        tuple(sorted({(numbers[a], numbers[b], distance) for a, b, distance in again})),
        batch,
        brackets if len(brackets) > 1 else (),
    )
    return builder
