"""`aras`: the overlapped schedule with ARAS's adaptive replication (section V-B, Algorithm 1).

Whenever groups are free, Algorithm 1 says which of the next layers are written into them, and in how many copies. Its body
is not in the text that we have; what follows is its wording, with our reading where the wording leaves room:

- only convolutions are replicated (the paper speaks of nothing else), and never into more copies than they have windows;
- a layer of which a part is already on the chip keeps to one copy, as its parts could not have different numbers of them;
- the pool is first given out without delaying any layer, which is the state that lines 6 to 17 start from;
- "the computation latency of all the candidate layers, except layer i" is their sum, as layers compute one after another;
- "slowest" is the layer that computes longest with the copies it has, among those of which a further copy fits the pool;
- groups that no copy can use are offered to the next layers at once, delayed ones too: free resources are always written (section
  IV-C). Where the memory cannot take more, the copies last decided on wait, and are not decided on again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mho.mapping import LayerMapping
from mho.network.layers import Convolution
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.planner import Planner
from mho.schedule.stages import Schedule
from mho.strategy.choice import choice


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layer that is not yet written: the groups that a copy fills, its windows, and the most copies that it may have."""

    blocks: int
    windows: int
    most: int = 1


def _shared_out(candidates: Sequence[Candidate], free: int) -> list[int]:
    """Give the groups that one copy of each candidate leaves to the slowest, a copy at a time (Algorithm 1, line 10)."""
    copies = [1] * len(candidates)
    left = free - sum(candidate.blocks for candidate in candidates)
    slowest: list[tuple[float, int]] = [(-candidate.windows, place) for place, candidate in enumerate(candidates)]
    heapq.heapify(slowest)
    while left and slowest:
        place = slowest[0][1]
        each = candidates[place]
        # The pool only shrinks: a layer whose copy does not fit now never will.
        if each.blocks <= left and copies[place] < each.most:
            left -= each.blocks
            copies[place] += 1
            heapq.heapreplace(slowest, (-each.windows / copies[place], place))
        else:
            heapq.heappop(slowest)
    return copies


def replication(candidates: Sequence[Candidate], free: int, most_windows: float) -> list[int]:
    """Say how many copies of each of the next layers are written into `free` groups, by ARAS's Algorithm 1.

    `candidates` are the unwritten layers in order, `most_windows` how many windows are computed in the time of one write.
    The answer names the first layers only, as many as are written now; [] says that a part of the first is (lines 2-3).
    ValueError for no candidates or no groups.
    """
    if not candidates or free < 1:
        raise ValueError("Algorithm 1 needs free groups and a layer to write")
    fitting, used = 0, 0
    while fitting < len(candidates) and used + candidates[fitting].blocks <= free:
        used += candidates[fitting].blocks
        fitting += 1
    if fitting < 2:
        # Lines 2 to 5: a part of the layer, or the layer alone in as many copies as fit.
        return _shared_out(candidates[:fitting], free) if fitting else []
    while True:
        copies = _shared_out(candidates[:fitting], free)
        others = zip(candidates[1:fitting], copies[1:], strict=True)
        if fitting == 1 or sum(-(-each.windows // count) for each, count in others) <= most_windows:
            return copies
        # The last layer is delayed: its groups join the pool.
        fitting -= 1


def _candidate(task: Task, layer: LayerMapping) -> Candidate:
    replicated = isinstance(task.network.layers[layer.index], Convolution)
    # Windows that take more steps than a plain one count as so many more; those of all layers that use the blocks count.
    windows = -(-task.served_windows(layer) * layer.steps // task.chip.readout.all_steps)
    return Candidate(layer.count, windows, task.most_copies(layer) if replicated else 1)


def replicates(task: Task) -> bool:
    """Return whether any layer may have a copy more; else ARAS's schedule is the overlapped one."""
    return any(_candidate(task, layer).most > 1 for layer in task.writers)


class _Replicating(Planner):
    """The overlapping planner, asking Algorithm 1 what to bind whenever groups are free."""

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The layers that blocks are written for, in order."""
        return [_candidate(self.task, layer) for layer in self.task.writers]

    def order(self) -> Iterator[tuple[LayerMapping, int]]:
        """Yield the copies that Algorithm 1 chooses, each time for the groups that are free then."""
        layers = self.task.writers
        # A write takes this many windows' time, however many groups are written (section V-B).
        most_windows = self.task.chip.array_write_time_s / self.task.chip.window_time_s
        first = 0
        while first < len(layers):
            # No more than the chip's groups can be candidates, each filling at least one.
            ahead = self.candidates[first : first + self.pool.free]
            # Where only a part of the next layer fits, the rest follows in whatever comes free.
            for count in replication(ahead, self.pool.free, most_windows) or [1]:
                self.copies[layers[first].index] = count
                for copy in range(count):
                    yield layers[first], copy
                first += 1


def aras(task: Task) -> InstructionBuilder:
    """Return ARAS's schedule; where the whole network fits the chip, all groups are given to the slowest layers."""
    planner = _Replicating(task)
    if task.resident and task.writers:
        counts = _shared_out(planner.candidates, task.chip.groups)
        planner.copies = {layer.index: count for layer, count in zip(task.writers, counts, strict=True)}
    return planner.run()


@choice("schedule", "aras", papers=("aras",))
class Replicated(Schedule):
    """The overlapped schedule, with the copies of layers that ARAS's Algorithm 1 gives."""

    def plan(self, task: Task) -> InstructionBuilder:
        """Return ARAS's schedule."""
        return aras(task)
