"""The overlapping planner: writing of coming layers overlaps computing, in ARAS's manner (section IV, Figures 8 and 9).

Whenever groups are free, the next blocks that are not yet written, in layer order, are bound to them: part of a layer,
a layer, or several. A run of blocks is activated as soon as it is written and its layer may start; when it has served
all windows its groups are free again, whether or not the rest of the layer has been written yet. So a layer larger
than the chip runs in parts, and writing never waits for more than it needs.

Where the memory cannot feed all groups at once, new writes wait until those under way no longer fill it (ARAS section III-B:
bandwidth limits the simultaneous writing of APUs). More would not write faster, and would take from the layers that come first.

A layer may have several copies (ARAS section V-B), each of which serves an equal share of its windows; they are bound one
after another, as if they were more blocks of the layer.

Layers that share weights run through the same blocks one after another, as they start, where these stay (`holding`).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mho.mapping import LayerMapping
from mho.program.instructions import Groups
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.pool import GroupPool


@dataclass(slots=True)
class BoundBlocks:
    """A run of blocks bound to groups by one write, ready at a planned time.

    `waiting` counts the layers that are still to run through it; `last` is the instruction that used its groups last, and
    `ready_s` when that has ended, as planned.
    """

    layer: LayerMapping
    copy: int
    blocks: tuple[int, int]
    groups: Groups
    waiting: int
    last: int
    ready_s: float


class PieceRun(NamedTuple):
    """A layer's windows through a piece; `release`: the last that it serves."""

    layer: LayerMapping
    piece: BoundBlocks
    release: bool


class Written(NamedTuple):
    """The end of a write, which gives its share of the memory, in byte/s, back."""

    rate: float


@dataclass(slots=True)
class Progress:
    """How far one matrix layer is: its activations, how many blocks have served its windows, and until when the port of the global
    buffer is busy with their inputs.
    """

    activations: list[int] = field(default_factory=list)
    served: int = 0
    fed_s: float = 0.0


class Planner:
    """The plan as a small event simulation: its times order the decisions, the machine measures what comes of them.

    `copies` says how many copies a layer (its place in network.layers) has, where not one. `end_s` is the planned end.
    """

    def __init__(self, task: Task, copies: Mapping[int, int] | None = None) -> None:
        self.task = task
        self.copies = dict(copies or {})
        self.end_s = 0.0
        self.builder = InstructionBuilder(task)
        self.pool = GroupPool(task.chip.groups)
        self.progress = {layer.index: Progress() for layer in task.mapping.layers}
        # For each layer that blocks are written for, the pieces bound so far, and the layers that have started to use them.
        self.bound: dict[int, list[BoundBlocks]] = {layer.index: [] for layer in task.writers}
        self.started: dict[int, list[tuple[LayerMapping, float]]] = {layer.index: [] for layer in task.writers}
        self.queue = self.order()
        # The copy that is being bound, and the first of its blocks that is not.
        self.next: tuple[LayerMapping, int, int] | None = None
        self.missing = {step: len(task.waits[step]) for step in task.steps}
        self.followers: dict[int, list[int]] = {step: [] for step in task.steps}
        for step, before in task.waits.items():
            for other in before:
                self.followers[other].append(step)
        self.ends: list[tuple[float, int, PieceRun | Written | int]] = []
        self.always_fed, self.write_s = task.always_fed, task.chip.array_write_time_s
        # Bytes a second that writes under way take from the memory; writes that ended while others waited for them.
        self.taken = 0.0
        self.blocked = False
        self.opened: list[int] = []

    def run(self) -> InstructionBuilder:
        """Plan until every step has finished."""
        for layer, copy, groups, written in self.builder.write_all(self.copies) if self.task.pinned else ():
            if not self.task.resident:
                self.pool.take(layer.count)
            self._add(BoundBlocks(layer, copy, (0, layer.count), groups, 0, written, 0.0))
        self._prepared()
        self._bind(0.0)
        for step in [step for step, count in self.missing.items() if count == 0]:
            self._start(step, 0.0)
        while self.ends:
            now = self.end_s = self.ends[0][0]
            # Groups that come free together are bound together, so that layers are not cut up without need.
            while self.ends and self.ends[0][0] == now:
                _, instruction, ended = heapq.heappop(self.ends)
                if isinstance(ended, PieceRun):
                    self._served(ended, instruction, now)
                elif isinstance(ended, Written):
                    self.taken -= ended.rate
                    if self.blocked:
                        self.opened.append(instruction)
                else:
                    self._finished(ended, now)
            self._bind(now)
        return self.builder

    def _prepared(self) -> None:
        """Do what else belongs into the setup."""

    def order(self) -> Iterator[tuple[LayerMapping, int]]:
        """Yield every copy of every layer that is written in the inference, in the order of binding; asked only while groups are
        free.
        """
        for layer in self.task.writers:
            if layer.run in self.task.pinned:
                continue
            for copy in range(self.copies.get(layer.index, 1)):
                yield layer, copy

    def _unbound(self) -> tuple[LayerMapping, int, int] | None:
        """Return the copy that is being bound and its first unbound block; None where all are bound."""
        if self.next is None and not self.task.resident:
            following = next(self.queue, None)
            self.next = None if following is None else (*following, 0)
        return self.next

    def _fed(self, layer: LayerMapping, first: int, most: int) -> int:
        """Count the blocks, at most `most`, with which writes fill the memory; 0 if it is full."""
        if self.always_fed:
            return most
        left = self.task.chip.memory.bandwidth - self.taken
        if left <= 0.0:
            return 0
        if self.task.write_rate(layer, (first, first + most)) <= left:
            return most
        rates = range(1, most + 1)
        return 1 + bisect_left(rates, left, key=lambda n: self.task.write_rate(layer, (first, first + n)))

    def _bind(self, now: float) -> None:
        """Bind free groups to the next blocks that are not yet written."""
        before = self.opened
        self.opened, self.blocked = [], False
        while self.pool.free and (unbound := self._unbound()) is not None:
            layer, copy, first = unbound
            whole = layer.count
            count = self._fed(layer, first, min(self.pool.free, whole - first))
            if not count:
                self.blocked, self.opened = True, before
                return
            blocks = (first, first + count)
            groups, users = self.pool.take(count)
            after = tuple(sorted({*users, *before})) if before else users
            written = self.builder.write(layer, blocks, copy, groups, after)
            if self.always_fed:
                ready_s = now + self.write_s
            else:
                ready_s = now + self.task.write_estimate_s(layer, blocks)
                self.taken += (rate := self.task.write_rate(layer, blocks))
                heapq.heappush(self.ends, (ready_s, written, Written(rate)))
            self.next = (layer, copy, blocks[1]) if blocks[1] < whole else None
            self._add(BoundBlocks(layer, copy, blocks, groups, 0, written, ready_s))

    def _add(self, piece: BoundBlocks) -> None:
        """Note a bound piece, and run the layers through it that have started."""
        index = piece.layer.index
        copies = self.copies.get(index, 1)
        for user in self.task.served[index]:
            first, last = windows_of(user, piece.copy, copies)
            piece.waiting += last > first
        self.bound[index].append(piece)
        for user, started in self.started[index]:
            self._activate(user, piece, started)

    def _start(self, step: int, now: float) -> None:
        """Start a step all of whose predecessors have finished."""
        layer = self.task.mapping.by_index.get(step)
        if layer is None:
            instruction = self.builder.vector(step)
            heapq.heappush(self.ends, (now + self.task.vector_time_s(step), instruction, step))
            return
        writer = self.task.writer[step]
        self.started[writer].append((layer, now))
        early = sum(piece.blocks[1] - piece.blocks[0] for piece in self.bound[writer] if piece.ready_s <= now)
        self.progress[step].fed_s = now + self._passing_s(layer, early)
        for piece in self.bound[writer]:
            self._activate(layer, piece, now)

    def _activate(self, layer: LayerMapping, piece: BoundBlocks, started: float) -> None:
        windows = windows_of(layer, piece.copy, self.copies.get(piece.layer.index, 1))
        if windows[0] == windows[1]:
            return
        piece.waiting -= 1
        release = not piece.waiting and piece.layer.run not in self.task.pinned
        instruction = self.builder.activate(
            layer, piece.blocks, piece.copy, windows, piece.groups, piece.last, release=release
        )
        self.progress[layer.index].activations.append(instruction)
        piece.last = instruction
        progress = self.progress[layer.index]
        if piece.ready_s > started:
            passing_s = self._passing_s(layer, piece.blocks[1] - piece.blocks[0])
            progress.fed_s = max(progress.fed_s, piece.ready_s) + passing_s
        served_s = max(started, piece.ready_s) + (windows[1] - windows[0]) * layer.window_s
        piece.ready_s = max(served_s, progress.fed_s)
        heapq.heappush(self.ends, (piece.ready_s, instruction, PieceRun(layer, piece, release)))

    def _passing_s(self, layer: LayerMapping, blocks: int) -> float:
        """Return how long the inputs of so many blocks of a layer take to pass the port of the global buffer."""
        serving = min(self.copies.get(self.task.writer[layer.index], 1), layer.windows)
        return self.task.port_s[layer.index] * min(blocks / (layer.count * serving), 1.0)

    def _served(self, run: PieceRun, instruction: int, now: float) -> None:
        """Free the groups of a piece that has served all its layers; finish a layer if the piece was its last."""
        layer, piece = run.layer, run.piece
        if run.release:
            self.pool.give(piece.groups, instruction)
        progress = self.progress[layer.index]
        progress.served += piece.blocks[1] - piece.blocks[0]
        serving = min(self.copies.get(piece.layer.index, 1), layer.windows)
        if progress.served == layer.count * serving:
            combined = self.builder.combine(layer, tuple(progress.activations))
            seconds = self.task.vector_time_s(layer.index)
            if seconds > 0.0:
                heapq.heappush(self.ends, (now + seconds, combined, layer.index))
            else:
                self._finished(layer.index, now)

    def _finished(self, step: int, now: float) -> None:
        for follower in self.followers[step]:
            self.missing[follower] -= 1
            if not self.missing[follower]:
                self._start(follower, now)


def windows_of(layer: LayerMapping, copy: int, copies: int) -> tuple[int, int]:
    """Return the windows of a layer that one of its copies serves; none where there are more copies than windows."""
    return layer.windows * copy // copies, layer.windows * (copy + 1) // copies
