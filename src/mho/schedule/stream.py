"""`stream` (ours): inferences in flight, windows that flow, at the least interval that the chip's groups allow.

Copies of each weight are chosen exactly for the least interval (`interval`); windows are dealt to them in turn, and start when the
rows that they need are there (`body`). How the bodies of successive inferences interlock is what the machine itself finds of them
with room for all rows; each tensor then gets a ring of as many rows as were alive at once (`rings`), and whoever makes a row waits
for those that read what it overwrites, which delays nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.machine.timing import time_program
from mho.mapping import Mapper
from mho.network.layers import Embedding, Input
from mho.number import Sampled
from mho.program.bound import lower_bound
from mho.program.instructions import Write
from mho.program.work import layer_seconds, transfer_bytes, write_bytes
from mho.schedule.adaptive import Adaptive
from mho.schedule.body import Body, Part
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.interval import Held, least_interval, spare_copies
from mho.schedule.portions import portions_of
from mho.schedule.segments import least_period
from mho.schedule.settled import placed, settled
from mho.schedule.stages import Banks, Residency, Schedule
from mho.schedule.turning import in_segments, port_s
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
            return or_alone(task, in_segments(task, self.pieces, self.batch))
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


def or_alone(task: Task, stream: InstructionBuilder) -> InstructionBuilder:
    """Return a stream, or the schedule `adaptive` of one inference after another, where that is faster: rounds of few inferences
    hold all of a network's parts only one after another, and it writes one while another computes.
    """
    assert stream.stream is not None
    least = lower_bound(task.network, task.mapping, task.chip, resident=False, coded=task.coded)
    if least.seconds >= stream.stream.interval_s:
        return stream
    stored = replace(task, buffers=task.strategy.get(Banks).placed(task))
    alone = Adaptive().plan(stored)
    latency_s = time_program(stored.program(alone)).latency_s
    if latency_s >= stream.stream.interval_s:
        return stream
    alone.rings = stored.buffers
    alone.notes.append(
        f"one inference after another, by schedule adaptive, {1 / latency_s:,.0f}/s: faster than in rounds of "
        f"{stream.stream.batch}, {1 / stream.stream.interval_s:,.0f}/s"
    )
    return alone


def resident(task: Task, pieces: int) -> InstructionBuilder:
    """Return the stream of a network whose weights the chip holds; MappingError where it has no room for rows."""
    weights = [
        Held(users[0].count, tuple(user.windows for user in users), tuple(user.window_s for user in users))
        for users in task.mapping.users.values()
    ]
    interval_s, copies = least_interval(weights, task.chip.groups, floor_s(task))
    copies = spare_copies(weights, copies, task.chip.groups)
    stays = placed(
        (user.index, user.run, count)
        for users, count in zip(task.mapping.users.values(), copies, strict=True)
        for user in users
    )
    part = Part(0, len(task.network.layers), stays, pieces)
    writes = [
        Write(users[0].index, run, copy, stay.copy_groups(copy), ())
        for run, users in task.mapping.users.items()
        for stay in (stays[users[0].index],)
        for copy in range(stay.copies)
    ]
    return settled(Body(task, (part,)), writes, interval_s, 1)


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
