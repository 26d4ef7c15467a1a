"""`stream` (ours): inferences in flight, windows that flow, at the least interval that the chip's groups allow.

Copies of each weight are chosen exactly for the least interval (`interval`); windows are dealt to them in turn, and start when the
rows that they need are there (`body`). How the bodies of successive inferences interlock is what the machine itself finds of them
with room for all rows; each tensor then gets a ring of as many rows as were alive at once (`rings`), and whoever makes a row waits
for those that read what it overwrites, which delays nobody.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.machine.streaming import StreamTiming, time_rounds, time_stream
from mho.mapping import Mapper
from mho.mapping.blocks import Run
from mho.network.layers import Embedding, Input
from mho.number import Sampled
from mho.program.instructions import Activate, Instruction, Transfer, Write
from mho.program.operands import buffer_rate, input_bytes, result_bytes
from mho.program.program import BufferUse, Program, Stream
from mho.program.work import buffer_bytes, layer_seconds, sources, transfer_bytes, write_bytes
from mho.schedule.body import Body, Part
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.interval import CLOSE, Held, least_interval, spare_copies
from mho.schedule.portions import portions_of
from mho.schedule.rings import place_rings, ring_waits, rows_kept
from mho.schedule.segments import least_period, period_s, plan_segments
from mho.schedule.stages import Residency, Schedule
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

HASTE = 1e-3
"""Part of a planned interval at which rounds are begun to see how fast they can follow one another."""


@choice("schedule", "stream")
class Streaming(Schedule):
    """Inferences in flight at the least interval, windows that start as soon as the rows they need are there."""

    pieces: int = setting(
        default=32,
        least=1,
        most=65536,
        metavar="N",
        help="The most activations of a layer in schedule stream: more of them shorten an inference, and its rings.",
    )
    batch: int = setting(
        default=16,
        option="round",
        least=1,
        most=65536,
        metavar="N",
        help="Inferences for which schedule stream writes each part of a network once, where the whole does not fit, or is slower.",
    )
    flows = True

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse what holds no stream: several samples at once, layers one after another, sums of a basis."""
        yield from super().refusals(subject, chip, strategy)
        if subject.net.batch != 1:
            yield self.refuse(
                f"streams inferences of one sample each; {subject.net.name} takes {subject.net.batch} at once",
                helps="load it with batch 1; --round gives the inferences for which a part of a network is written once",
            )
        if chip.spec.layer_order == "sequential":
            yield self.refuse(
                f"lets windows flow; chip {chip.name} computes one layer at a time (layer_order: sequential)",
                bound="layer_order",
                helps="take layer_order dataflow",
            )
        if not strategy.get(Residency).stays:
            yield self.refuse("needs weights that stay on the chip", bound="residency", helps="take residency auto")
        if strategy.get(Mapper).streams:
            yield self.refuse("deals windows to copies of weights; a basis has none", bound="mapping")

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the instructions, in order, and how they go on."""
        if not task.resident:
            return in_segments(task, self.pieces, self.batch)
        staying = resident(task, self.pieces)
        assert staying.stream is not None
        # Copies of all weights at once may be too few, though all weights fit. Fetching each once a round bounds what else there
        # is.
        written = sum(write_bytes(layer.blocks, (0, layer.count), task.chip) for layer in task.mapping.first_users)
        if (
            self.batch == 1
            or written / self.batch / task.chip.memory.bandwidth + moved_s(task) > staying.stream.interval_s
        ):
            return staying
        if least_period(*portions_of(task), self.batch) / self.batch > staying.stream.interval_s:
            return staying
        try:
            turning = in_segments(task, self.pieces, self.batch)
        except MappingError:
            return staying
        assert turning.stream is not None
        return min(staying, turning, key=lambda builder: builder.stream.interval_s if builder.stream else math.inf)


def resident(task: Task, pieces: int) -> InstructionBuilder:
    """Return the stream of a network whose weights the chip holds; MappingError where it has no room for rows."""
    weights = [
        Held(users[0].count, tuple(user.windows for user in users), tuple(user.window_s for user in users))
        for users in task.mapping.users.values()
    ]
    interval_s, copies = least_interval(weights, task.chip.groups, floor_s(task))
    copies = spare_copies(weights, copies, task.chip.groups)
    runs = dict(zip(task.mapping.users, copies, strict=True))
    part = Part(0, len(task.network.layers), runs, _first_groups(task, runs))
    writes = [
        Write(users[0].index, run, copy, ((begin, begin + users[0].count),), ())
        for run, users in task.mapping.users.items()
        for copy, begin in enumerate(
            range(part.first_group[run], part.first_group[run] + runs[run] * users[0].count, users[0].count)
        )
    ]
    return _settled(Body(task, (part,), pieces), writes, interval_s, 1)


def in_segments(task: Task, pieces: int, batch: int) -> InstructionBuilder:
    """Return the stream of a network that the chip holds a part of at a time, in rounds of `batch` inferences.

    MappingError where a layer is larger than the chip, or rows find no room.
    """
    layer = max(task.mapping.layers, key=lambda layer: layer.count)
    if layer.count > task.chip.groups:
        raise MappingError(
            f"schedule stream holds whole layers; {layer.name!r} of {task.network.name} fills {layer.count} groups, and "
            f"{task.chip.name} has {task.chip.groups}; take a larger chip, or another schedule"
        )
    portions, room = portions_of(task)
    segments = plan_segments(portions, room, batch)
    if len(segments) == 1:
        raise MappingError(
            f"{task.network.name} has no segments: the chip holds it, and nothing is gained by writing it again"
        )
    parts = []
    for segment in segments:
        here = task.mapping.layers[segment.first : segment.last]
        runs: dict[Run, int] = {}
        for layer, copies in zip(here, segment.copies, strict=True):
            runs[layer.run] = max(copies, runs.get(layer.run, 1))
        first, last = int(portions.place[segment.first]), int(portions.place[segment.last])
        parts.append(Part(first, last, runs, _first_groups(task, runs)))
    # What rows between running layers take is known only when they have been timed.
    ported_s = port_s(task)
    paces_s = [
        max(segment.interval_s, float(ported_s[part.first : part.last].sum()))
        for segment, part in zip(segments, parts, strict=True)
    ]
    shares = (1, 1 / 2, 1 / 4, 0)
    choices = dict.fromkeys(_spilled(task, parts, room.buffer_bytes * share, batch) for share in shares)
    for spilled in choices:
        try:
            hasty = _settled(Body(task, parts, pieces, spilled), (), HASTE * period_s(segments) / batch, batch, paces_s)
            return _timed(task, hasty)
        except MappingError as error:
            refused = error
    raise MappingError(
        f"{refused}; a round of fewer inferences (--round) keeps fewer rows" if batch > 1 else f"{refused}"
    )


def _timed(task: Task, hasty: InstructionBuilder) -> InstructionBuilder:
    """Return a stream whose rounds begin as soon as they can with the interval that comes of it."""
    assert hasty.stream is not None
    hasty.stream = replace(hasty.stream, interval_s=time_stream(task.program(hasty)).interval_s)
    return hasty


def _spilled(task: Task, parts: Sequence[Part], free: float, batch: int) -> frozenset[int]:
    """Return the tensors that later parts load: the largest of those for whose rows of a whole round `free` bytes have no room."""
    network, stored, source = task.network, buffer_bytes(task.network, task.coded), sources(task.network)
    last: dict[int, int] = {}
    for index, layer in enumerate(network.layers):
        for name in layer.inputs:
            last[source[name]] = index
    spilled: set[int] = set()
    for part in parts[1:]:
        crossing = [
            (batch * stored[network.layers[maker].name], maker)
            for maker, until in last.items()
            if maker < part.first <= until and network.layers[maker].name in stored and maker not in spilled
        ]
        left = free
        for size, maker in sorted(crossing):
            left -= size
            if left < 0:
                spilled.add(maker)
    return frozenset(spilled)


def _first_groups(task: Task, copies: Mapping[Run, int]) -> dict[Run, int]:
    """Return the first group of each weight's copies, one weight after another."""
    firsts, group = {}, 0
    for run, count in copies.items():
        firsts[run] = group
        group += task.mapping.users[run][0].count * count
    return firsts


def moved_s(task: Task) -> float:
    """Return the time in s that the main memory needs for the inputs and outputs of an inference, and what it looks up."""
    network = task.network
    moved = sum(transfer_bytes(layer, network, task.coded) for layer in network.layers if isinstance(layer, Input))
    moved += sum(layer.size for layer in network.layers if isinstance(layer, Embedding))
    moved += sum(transfer_bytes(network.by_name[name], network, task.coded) for name in network.results)
    return moved / task.chip.memory.bandwidth


def floor_s(task: Task) -> float:
    """Return the time in s that the vector unit, the main memory and the port of the global buffer need for an inference,
    whichever is longest.
    """
    return max(float(layer_seconds(task.network, task.chip).sum()), moved_s(task), float(port_s(task).sum()))


def port_s(task: Task) -> npt.NDArray[np.float64]:
    """Return the time in s that the port of the global buffer needs for each layer, shape (layers,)."""
    passed = result_bytes(task.network, task.coded).copy()
    for layer in task.mapping.layers:
        passed[layer.index] += input_bytes(layer, task.network, task.chip, task.coded)
    seconds: npt.NDArray[np.float64] = passed / buffer_rate(task.chip)
    return seconds


def _settled(
    body: Body, writes: Sequence[Instruction], interval_s: float, batch: int, paces_s: Sequence[float] = ()
) -> InstructionBuilder:
    """Return a body as a stream with the least rings that delay nobody; `writes` belong to the setup.

    `paces_s`: of each part, how much time it has for an inference.
    """
    program = _roomy(body, writes, interval_s, batch)
    if batch > 1:
        timing = time_rounds(program, _paced(body, paces_s))
    else:
        timing = time_stream(program)
        # Where ports hold windows up, inferences cannot come as fast as groups could take them.
        while timing.interval_s > interval_s * (1 + CLOSE):
            interval_s = timing.interval_s
            timing = time_stream(_roomy(body, writes, interval_s, batch))
    uses, waits = _rings(body, timing)
    return _ordered(body, writes, timing, uses, waits, interval_s, batch)


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
    chains = [(part, life.made.places) for (_, part), life in body.lives.items() if life.loaded]
    chains += [
        (_part_of(body, step), made.places) for step, made in body.made.items() if isinstance(layers[step], Embedding)
    ]
    for (_, part), life in body.lives.items():
        for reader in life.readers.values():
            if (own := _part_of(body, reader.step)) > part:
                chains.append((own, reader.places))
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


def _rings(body: Body, timing: StreamTiming) -> tuple[tuple[BufferUse, ...], list[tuple[int, int, int]]]:
    """Return the rings of all stored tensors, and what waits for what so that they suffice.

    A tensor that is loaded anew has one ring, of the most rows that it ever needs.
    """
    task = body.task
    near: dict[int, tuple[int, ...]] = {}
    kept: dict[int, int] = {}
    held: dict[int, tuple[int, int]] = {}
    for (index, part), life in body.lives.items():
        kept[index] = max(kept.get(index, 0), rows_kept(life, timing))
        last = max([part, *(_part_of(body, reader.step) for reader in life.readers.values())])
        held[index] = held.get(index, (part, part))[0], max(last, held.get(index, (part, part))[1])
        for reader in life.readers.values():
            mapped = task.mapping.by_index.get(reader.step)
            if mapped is not None and task.chip.buffer.in_tiles and index not in near:
                own = body.parts[_part_of(body, reader.step)]
                begin, tile = own.first_group[mapped.run], task.chip.tile.groups
                end = begin + mapped.count * own.copies[mapped.run]
                near[index] = tuple(range(begin // tile, -(-end // tile)))
    waits = [each for (index, _), life in body.lives.items() for each in ring_waits(life, kept[index])]
    names = task.network.layers
    sizes = {
        index: (rows, -(-body.stored[names[index].name] * rows // body.flow.rows(names[index].name)))
        for index, rows in kept.items()
    }
    return place_rings(task, sizes, near, held), waits


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
