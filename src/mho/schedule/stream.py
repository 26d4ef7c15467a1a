"""`stream` (ours): inferences in flight, windows that flow, at the least interval that the chip's groups allow.

Copies of each weight are chosen exactly for the least interval (`interval`); windows are dealt to them in turn, and start when the
rows that they need are there (`body`). How the bodies of successive inferences interlock is what the machine itself finds of them
with room for all rows; each tensor then gets a ring of as many rows as were alive at once (`rings`), and whoever makes a row waits
for those that read what it overwrites, which delays nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.machine.streaming import StreamTiming, time_stream
from mho.mapping import Mapper
from mho.mapping.blocks import Run
from mho.network.layers import Embedding, Input
from mho.number import Sampled
from mho.program.instructions import Groups, Instruction, Write
from mho.program.operands import buffer_rate, input_bytes, result_bytes
from mho.program.program import BufferUse, Program, Stream
from mho.program.work import buffer_bytes, layer_seconds, transfer_bytes
from mho.schedule.body import Body, Reader
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.interval import CLOSE, Held, least_interval, spare_copies
from mho.schedule.rings import place_rings, ring_waits, rows_kept
from mho.schedule.stages import Residency, Schedule
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy


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
    flows = True

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse what holds no stream: several samples at once, layers one after another, sums of a basis."""
        yield from super().refusals(subject, chip, strategy)
        if subject.net.batch != 1:
            yield self.refuse(
                f"streams inferences of one sample each; {subject.net.name} takes {subject.net.batch} at once",
                helps="load it with batch 1",
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
        return streamed(task, self.pieces)


def streamed(task: Task, pieces: int) -> InstructionBuilder:
    """Return the stream of a network whose weights the chip holds; MappingError where it does not, or has no room for rows."""
    if not task.resident:
        raise MappingError(
            f"schedule stream needs the whole network on the chip: one copy of {task.network.name} fills {task.mapping.count} "
            f"groups, and {task.chip.name} has {task.chip.groups}; take a larger one (tiles=fit)"
        )
    weights = [
        Held(users[0].count, tuple(user.windows for user in users), tuple(user.window_s for user in users))
        for users in task.mapping.users.values()
    ]
    interval_s, copies = least_interval(weights, task.chip.groups, floor_s(task))
    copies = spare_copies(weights, copies, task.chip.groups)
    runs = dict(zip(task.mapping.users, copies, strict=True))
    writes, firsts = _written(task, runs)
    body = Body(task, runs, firsts, pieces)
    # Where ports hold windows up, inferences cannot come as fast as groups could take them.
    timing = time_stream(_roomy(task, writes, body, interval_s))
    while timing.interval_s > interval_s * (1 + CLOSE):
        interval_s = timing.interval_s
        timing = time_stream(_roomy(task, writes, body, interval_s))
    uses, waits = _rings(body, timing, firsts, runs)
    return _ordered(task, writes, body, timing, uses, waits, interval_s)


def floor_s(task: Task) -> float:
    """Return the time in s that the vector unit, the main memory and the port of the global buffer need for an inference,
    whichever is longest.
    """
    network, chip = task.network, task.chip
    moved = sum(transfer_bytes(layer, network, task.coded) for layer in network.layers if isinstance(layer, Input))
    moved += sum(layer.size for layer in network.layers if isinstance(layer, Embedding))
    moved += sum(transfer_bytes(network.by_name[name], network, task.coded) for name in network.results)
    passed = float(result_bytes(network, task.coded).sum())
    passed += sum(input_bytes(layer, network, chip, task.coded) for layer in task.mapping.layers)
    return max(float(layer_seconds(network, chip).sum()), moved / chip.memory.bandwidth, passed / buffer_rate(chip))


def _written(task: Task, copies: Mapping[Run, int]) -> tuple[list[Instruction], dict[Run, int]]:
    """Return the writes of all copies, and the first group of each weight's."""
    writes: list[Instruction] = []
    firsts, group = {}, 0
    for run, users in task.mapping.users.items():
        firsts[run] = group
        for copy in range(copies[run]):
            groups: Groups = ((group, group + users[0].count),)
            writes.append(Write(users[0].index, run, copy, groups, ()))
            group += users[0].count
    return writes, firsts


def _roomy(task: Task, writes: Sequence[Instruction], body: Body, interval_s: float) -> Program:
    """Return a stream with room for all rows, in the order of the body."""
    setup = len(writes)
    moved = tuple(replace(each, after=tuple(place + setup for place in each.after)) for each in body.instructions)
    builder = InstructionBuilder(task)
    builder.instructions, builder.setup = [*writes, *moved], setup
    builder.rings = tuple(
        BufferUse(body.place[name], size, (), 0, body.place[name], body.flow.rows(name))
        for name, size in buffer_bytes(task.network, task.coded).items()
    )
    builder.stream = Stream(interval_s, tuple((first + setup, last + setup, 1) for first, last in body.again))
    return task.program(builder)


def _rings(
    body: Body, timing: StreamTiming, firsts: Mapping[Run, int], copies: Mapping[Run, int]
) -> tuple[tuple[BufferUse, ...], list[tuple[int, int, int]]]:
    """Return the rings of all stored tensors, and what waits for what so that they suffice."""
    task = body.task
    readers: dict[int, list[Reader]] = {}
    near: dict[int, tuple[int, ...]] = {}
    for (step, _, _), reader in body.readers.items():
        readers.setdefault(reader.maker, []).append(reader)
        mapped = task.mapping.by_index.get(step)
        if mapped is not None and task.chip.buffer.in_tiles and reader.maker not in near:
            groups = range(firsts[mapped.run], firsts[mapped.run] + mapped.count * copies[mapped.run])
            tile = task.chip.tile.groups
            near[reader.maker] = tuple(range(groups.start // tile, -(-groups.stop // tile)))
    sizes, waits = {}, []
    for name, size in buffer_bytes(task.network, task.coded).items():
        index = body.place[name]
        rows = body.flow.rows(name)
        kept = rows_kept(body, index, readers.get(index, ()), timing)
        sizes[index] = kept, -(-size * kept // rows)
        waits += ring_waits(body, index, readers.get(index, ()), kept)
    return place_rings(task, sizes, near), waits


def _ordered(
    task: Task,
    writes: Sequence[Instruction],
    body: Body,
    timing: StreamTiming,
    uses: tuple[BufferUse, ...],
    waits: Sequence[tuple[int, int, int]],
    interval_s: float,
) -> InstructionBuilder:
    """Return the instructions in the order in which the steady stream begins them, each after all that it waits for."""
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
    ready = [(begun[place], place) for place in range(count) if not left[place]]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, place = heapq.heappop(ready)
        order.append(place)
        for follower in followers[place]:
            left[follower] -= 1
            if not left[follower]:
                heapq.heappush(ready, (begun[follower], follower))
    numbers = {place: setup + number for number, place in enumerate(order)}
    builder = InstructionBuilder(task)
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
    builder.stream = Stream(interval_s, tuple(sorted({(numbers[a], numbers[b], distance) for a, b, distance in again})))
    return builder
