"""`basis`: windows are dealt to instances of a basis that is written once, while coefficients arrive (BasisN); the rest overlaps.

Where all blocks fit the chip they are written in the setup, and as many instances of the basis as there is room for. Where they do
not, one instance is, and the layers that have weights of their own share the other groups as `overlap` has it.

The input vectors of a layer on the basis, windows x parts, are dealt to the instances in equal shares. Its coefficients come from
main memory while the layers before are computed, as far ahead as their buffer has room; where it cannot hold two of a layer's
stretches of parts at once, the layer is cut into more of them, and all instances take the windows of one stretch after another.
Where it holds those of all layers, they are fetched in the setup, and stay.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mho.mapping import LayerMapping
from mho.mapping.combination import SUM_BYTES, Combination
from mho.network.layers import Input
from mho.program.work import transfer_bytes
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.planner import BoundBlocks, Planner
from mho.schedule.stages import Residency, Schedule
from mho.strategy.choice import choice


@choice("schedule", "basis", papers=("basisn",))
class BasisSchedule(Schedule):
    """Windows dealt to all instances of a basis, whose coefficients are fetched ahead; other layers as `overlap` has them."""

    streams = True

    def idle(self, task: Task) -> Iterator[str]:
        """Say where no layer is on a basis."""
        if not task.mapping.combining:
            yield "schedule 'basis' plans as 'overlap' does: no layer is on a basis"

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the schedule."""
        return _Dealing(task).run()


def stretches(combination: Combination, room: int) -> list[tuple[int, int]]:
    """Cut a layer's input vectors into runs of whole parts whose coefficients fit so many bytes, or are those of a single part."""
    until, cuts = combination.until, [0]
    for part in range(1, combination.parts):
        if until[part + 1] - until[cuts[-1]] > room:
            cuts.append(part)
    ends = [*cuts[1:], combination.parts]
    return [(first * combination.windows, last * combination.windows) for first, last in zip(cuts, ends, strict=True)]


class _Coefficients:
    """The coefficients of a network on their way: fetched in the order of layers, as soon as their buffer has room.

    `come_s`: when those that were fetched last are there, in s, as planned; `kept`: by layer what fetched those that stay.
    """

    def __init__(self, task: Task, builder: InstructionBuilder) -> None:
        self.builder, self.bandwidth = builder, task.chip.memory.bandwidth
        part = task.chip.spec.basis
        self.room = 0 if part is None else part.buffer_bytes
        combinations = [(layer, layer.combination) for layer in task.mapping.combining if layer.combination]
        fit = sum(combination.size for _, combination in combinations) <= self.room
        self.stay = combinations if fit and task.strategy.get(Residency).stays else []
        self.kept: dict[int, int] = {}
        # What is in the buffer: bytes, the instructions after which they are not needed any more, and when that is, in s.
        self.held: deque[tuple[int, tuple[int, ...], float]] = deque()
        self.size, self.last = 0, -1
        inputs = (layer for layer in task.network.layers if isinstance(layer, Input))
        self.come_s = sum(transfer_bytes(layer, task.network, task.coded) for layer in inputs) / self.bandwidth
        self.following = deque(
            combination.fetched(windows)
            for _, combination in ([] if self.stay else combinations)
            for windows in stretches(combination, self.room // 2)
        )

    def keep(self) -> None:
        """Fetch those that stay, in the setup."""
        for layer, combination in self.stay:
            self.kept[layer.index] = self.builder.fetch(layer, combination.size, ())
        self.builder.setup += len(self.stay)

    def fetch(self, layer: LayerMapping, size: int) -> int:
        """Fetch coefficients after those that come before them, and when there is room; those that stay are there."""
        if layer.index in self.kept:
            self.come_s = 0.0
            return self.kept[layer.index]
        self.following.popleft()
        after = {self.last} if self.last >= 0 else set()
        while self.held and self.size + size > self.room:
            gone, users, until_s = self.held.popleft()
            self.size -= gone
            after.update(users)
            self.come_s = max(self.come_s, until_s)
        self.size += size
        self.come_s += size / self.bandwidth
        self.last = self.builder.fetch(layer, size, tuple(after))
        return self.last

    def next_s(self) -> float:
        """Return when those are there that follow the last ones; 0 if none do, or if the last ones must make room for them."""
        if not self.following:
            return 0.0
        size, start_s = self.size + self.following[0], self.come_s
        for gone, _, until_s in self.held:
            if size <= self.room:
                break
            size, start_s = size - gone, max(start_s, until_s)
        return start_s + self.following[0] / self.bandwidth if size <= self.room else 0.0

    def used(self, size: int, users: list[int], until_s: float) -> None:
        """Note who needs what was fetched last, and until when."""
        self.held.append((size, tuple(users), until_s))


def _copies(task: Task) -> dict[int, int]:
    """Share the groups of a chip that holds all blocks out: each time to what saves most time for each group of one copy more."""
    runs = {layer.index: layer for layer in task.writers}
    work = {index: sum(user.windows * user.window_s for user in task.served[index]) for index in runs}
    most = {index: task.most_copies(layer) for index, layer in runs.items()}
    copies, spare = dict.fromkeys(runs, 1), task.chip.groups - task.mapping.count

    def gain(index: int) -> tuple[float, int, int]:
        return -work[index] / (copies[index] * (copies[index] + 1) * runs[index].count), index, copies[index]

    waiting = [gain(index) for index in runs]
    heapq.heapify(waiting)
    while waiting:
        _, index, _ = heapq.heappop(waiting)
        if copies[index] < most[index] and runs[index].count <= spare:
            spare -= runs[index].count
            copies[index] += 1
            heapq.heappush(waiting, gain(index))
    return copies


@dataclass(frozen=True)
class _Passes:
    """The time in s that ports take for an input vector: the global buffer's for its inputs; its tile's for these and what it adds
    to the outputs (`vector_s`), and for the coefficients of a part, where all instances of a tile are at work.
    """

    input_s: float
    vector_s: float
    coefficients_s: float


class _Dealing(Planner):
    """A plan in which layers on a basis are dealt to its instances; all others are planned as ever."""

    def __init__(self, task: Task) -> None:
        copies = _copies(task) if task.resident else {}
        super().__init__(task, copies)
        self.coefficients = _Coefficients(task, self.builder)
        self.instances: list[BoundBlocks] = []
        self.done_s = 0.0
        # How long what follows the windows of a layer lasts before those of the next one on a basis.
        combining = [layer.index for layer in task.mapping.combining]
        self._between_s = {
            step: sum(task.vector_time_s(other) for other in task.steps if step <= other < after)
            for step, after in zip(combining, [*combining[1:], 0], strict=bool(combining))
        }

    def _prepared(self) -> None:
        self.coefficients.keep()

    def _add(self, piece: BoundBlocks) -> None:
        """Note a bound piece; one of a basis serves whichever layer comes."""
        if piece.layer.combination is None:
            super()._add(piece)
        else:
            self.instances.append(piece)

    def _start(self, step: int, now: float) -> None:
        layer = self.task.mapping.by_index.get(step)
        if layer is None or layer.combination is None:
            super()._start(step, now)
            return
        activations: list[int] = []
        self.done_s = max(self.done_s, now)
        room = self.coefficients.room // (1 if self.coefficients.stay else 2)
        for windows in stretches(layer.combination, room):
            size = layer.combination.fetched(windows)
            fetched = self.coefficients.fetch(layer, size)
            dealt = self._dealt(layer, layer.combination, windows, fetched)
            self.coefficients.used(size, dealt, self.done_s)
            activations += dealt
        combined = self.builder.combine(layer, tuple(activations))
        heapq.heappush(self.ends, (self.done_s + self.task.vector_time_s(step), combined, step))

    def _dealt(
        self, layer: LayerMapping, combination: Combination, windows: tuple[int, int], fetched: int
    ) -> list[int]:
        """Deal a range of windows to the instances."""
        cuts, activations, count = np.array(self._cuts(layer, combination, windows)), [], len(self.instances)
        until = np.concatenate([[0.0], np.cumsum(layer.lasting_s(cuts[:-1], cuts[1:]))])
        # Equal shares of the pieces, or of the time that they take: whichever is over first.
        places = np.arange(count + 1)
        timed = np.searchsorted(until, until[-1] * (1 + 1e-12) * places / count, side="right") - 1
        timed[0] = 0
        shares = min(((len(cuts) - 1) * places // count, timed), key=lambda split: np.diff(until[split]).max())
        ends = cuts[shares].tolist()
        for piece, begin, end in zip(self.instances, ends[:-1], ends[1:], strict=True):
            if begin == end:
                continue
            piece.last = self.builder.activate(
                layer, piece.blocks, piece.copy, (begin, end), piece.groups, piece.last, release=False, fetched=(fetched,)
            )  # fmt: skip
            activations.append(piece.last)
        return activations

    def _passes(self, layer: LayerMapping, combination: Combination) -> _Passes:
        """Return what ports take for a layer, on average over its parts."""
        task, tile = self.task, self.task.chip.tile
        clock = task.chip.frequency_hz / 8 * layer.count / tile.groups
        rows = layer.blocks.totals((0, layer.count)).rows * combination.driven_share * layer.bits.inputs / 8
        noc_s = 1 / (tile.noc_port_bits * clock)
        return _Passes(
            task.port_s[layer.index] / combination.vectors,
            max((rows + SUM_BYTES * combination.outputs) * noc_s, 2 * rows / (tile.buffer_port_bits * clock)),
            combination.size / combination.parts * noc_s,
        )

    def _cuts(self, layer: LayerMapping, combination: Combination, windows: tuple[int, int]) -> list[int]:
        """Cut a range of windows where it may be dealt: into the largest pieces, up to a batch, that cost no time.

        A coefficient serves the windows of one batch together. So pieces are as large as they can be without the range lasting
        longer than in the fastest, or than until what comes next can start, since its coefficients arrive later. It lasts as long
        as arrays, lanes and ports take: ports of tiles bring an instance its inputs and coefficients and take its sums away, and
        the global buffer's port feeds all instances.
        """
        part = self.task.chip.spec.basis
        assert part is not None
        first, last = windows
        parts, each = (last - first) // combination.windows, combination.windows
        passes, count = self._passes(layer, combination), len(self.instances)
        fed_s, in_tile = passes.input_s * (last - first), self.task.chip.tile.groups // layer.count

        def lasting(size: int) -> float:
            # Fewer pieces than instances are spread evenly over the tiles.
            pieces = parts * -(-each // size)
            busy = -(-min(pieces, count) * in_tile // count) / in_tile if in_tile else 1.0
            carried = busy * (size * passes.vector_s + passes.coefficients_s)
            return max(-(-pieces // count) * max(size * layer.window_s, carried), fed_s)

        began, sizes = max(self.done_s, self.coefficients.come_s), range(1, min(part.batch, each) + 1)
        slack = self.coefficients.next_s() - self._between_s[layer.index] * (last == combination.vectors)
        until = max(slack - began, min(map(lasting, sizes)))
        size = max(size for size in sizes if lasting(size) <= until)
        self.done_s = began + lasting(size)
        return [*(begin + piece for begin in range(first, last, each) for piece in range(0, each, size)), last]
