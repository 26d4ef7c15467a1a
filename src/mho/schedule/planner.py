"""The overlapping planner: writing of coming layers overlaps computing, in ARAS's manner (section IV, Figures 8 and 9).

Whenever groups are free, the next blocks that are not yet written, in layer order, are bound to them: part of a layer,
a layer, or several. A run of blocks is activated as soon as it is written and its layer may start; when it has served
all windows its groups are free again, whether or not the rest of the layer has been written yet. So a layer larger
than the chip runs in parts, and writing never waits for more than it needs.

Where the memory cannot feed all groups at once, new writes wait until those under way no longer fill it (ARAS section III-B:
bandwidth limits the simultaneous writing of APUs). More would not write faster, and would take from the layers that come first.

A layer may have several copies (ARAS section V-B), each of which serves an equal share of its windows; they are bound one
after another, as if they were more blocks of the layer.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mho.mapping import LayerMapping
from mho.program.instructions import Groups
from mho.schedule.builder import Builder, Task
from mho.schedule.pool import Pool


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of blocks bound to groups by one write, ready at a planned time."""

    layer: LayerMapping
    copy: int
    blocks: tuple[int, int]
    groups: Groups
    written: int
    ready_s: float


@dataclass(frozen=True, slots=True)
class Written:
    """The end of a write, which gives its share of the memory, in byte/s, back."""

    rate: float


@dataclass(slots=True)
class Progress:
    """How far one matrix layer is."""

    started_s: float | None = None
    bound: list[Piece] = field(default_factory=list)
    activations: list[int] = field(default_factory=list)
    served: int = 0


class Planner:
    """The plan as a small event simulation: its times order the decisions, the machine measures what comes of them.

    `copies` says how many copies a layer (its place in network.layers) has, where not one. `end_s` is the planned end.
    """

    def __init__(self, task: Task, copies: Mapping[int, int] | None = None) -> None:
        self.task = task
        self.copies = dict(copies or {})
        self.end_s = 0.0
        self.builder = Builder(task)
        self.pool = Pool(task.chip.groups)
        self.progress = {layer.index: Progress() for layer in task.mapping.layers}
        self.queue = self.order()
        # The copy that is being bound, and the first of its blocks that is not.
        self.next: tuple[LayerMapping, int, int] | None = None
        self.missing = {step: len(task.waits[step]) for step in task.steps}
        self.followers: dict[int, list[int]] = {step: [] for step in task.steps}
        for step, before in task.waits.items():
            for other in before:
                self.followers[other].append(step)
        self.ends: list[tuple[float, int, Piece | Written | int]] = []
        self.always_fed = task.always_fed
        # Bytes a second that writes under way take from the memory; writes that ended while others waited for them.
        self.taken = 0.0
        self.blocked = False
        self.opened: list[int] = []

    def run(self) -> Builder:
        """Plan until every step has finished."""
        if self.task.resident:
            for layer, copy, groups, written in self.builder.write_all(self.copies):
                self.progress[layer.index].bound.append(Piece(layer, copy, (0, layer.blocks), groups, written, 0.0))
        self._bind(0.0)
        for step in [step for step, count in self.missing.items() if count == 0]:
            self._start(step, 0.0)
        while self.ends:
            now = self.end_s = self.ends[0][0]
            # Groups that come free together are bound together, so that layers are not cut up without need.
            while self.ends and self.ends[0][0] == now:
                _, instruction, ended = heapq.heappop(self.ends)
                if isinstance(ended, Piece):
                    self._served(ended, instruction, now)
                elif isinstance(ended, Written):
                    self.taken -= ended.rate
                    if self.blocked:
                        self.opened.append(instruction)
                else:
                    self._finished(ended, now)
            self._bind(now)
        return self.builder

    def order(self) -> Iterator[tuple[LayerMapping, int]]:
        """Yield every copy of every layer, in the order in which they are bound; asked only while groups are free."""
        for layer in self.task.mapping.layers:
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
            count = self._fed(layer, first, min(self.pool.free, layer.blocks - first))
            if not count:
                self.blocked, self.opened = True, before
                return
            blocks = (first, first + count)
            groups, users = self.pool.take(count)
            written = self.builder.write(layer, blocks, copy, groups, tuple(sorted({*users, *before})))
            if self.always_fed:
                ready_s = now + self.task.chip.array_write_time_s
            else:
                ready_s = now + self.task.write_estimate_s(layer, blocks)
                self.taken += (rate := self.task.write_rate(layer, blocks))
                heapq.heappush(self.ends, (ready_s, written, Written(rate)))
            piece = Piece(layer, copy, blocks, groups, written, ready_s)
            self.next = (layer, copy, blocks[1]) if blocks[1] < layer.blocks else None
            started = self.progress[layer.index].started_s
            if started is None:
                self.progress[layer.index].bound.append(piece)
            else:
                self._activate(piece, started)

    def _start(self, step: int, now: float) -> None:
        """Start a step all of whose predecessors have finished."""
        layer = self.task.mapping.by_index.get(step)
        if layer is None:
            instruction = self.builder.vector(step)
            heapq.heappush(self.ends, (now + self.task.vector_time_s(step), instruction, step))
            return
        progress = self.progress[step]
        progress.started_s = now
        for piece in progress.bound:
            self._activate(piece, now)

    def _activate(self, piece: Piece, started: float) -> None:
        copies = self.copies.get(piece.layer.index, 1)
        windows = (piece.layer.windows * piece.copy // copies, piece.layer.windows * (piece.copy + 1) // copies)
        instruction = self.builder.activate(piece.layer, piece.blocks, piece.copy, windows, piece.groups, piece.written)
        self.progress[piece.layer.index].activations.append(instruction)
        end = max(started, piece.ready_s) + (windows[1] - windows[0]) * piece.layer.window_s
        heapq.heappush(self.ends, (end, instruction, piece))

    def _served(self, piece: Piece, instruction: int, now: float) -> None:
        """Free the groups of a piece that has served all windows; finish its layer if it was the last."""
        if not self.task.resident:
            self.pool.give(piece.groups, instruction)
        progress = self.progress[piece.layer.index]
        progress.served += piece.blocks[1] - piece.blocks[0]
        if progress.served == piece.layer.blocks * self.copies.get(piece.layer.index, 1):
            combined = self.builder.combine(piece.layer, tuple(progress.activations))
            seconds = self.task.vector_time_s(piece.layer.index)
            if seconds > 0.0:
                heapq.heappush(self.ends, (now + seconds, combined, piece.layer.index))
            else:
                self._finished(piece.layer.index, now)

    def _finished(self, step: int, now: float) -> None:
        for follower in self.followers[step]:
            self.missing[follower] -= 1
            if not self.missing[follower]:
                self._start(follower, now)
