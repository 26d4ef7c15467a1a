"""`adaptive` (ours): copies of layers chosen to minimise time, by searching on the planner of `overlap`.

ARAS replicates layers by a rule (section V-B). Here the planner itself is the judge: a plan with given copies is made, and
its end is what is minimised. The search starts from the trade-off of the lower bound, copies = x sqrt(M t / (b W)) for a
range of x (docs/bound.md), and goes on by changing one layer's copies at a time, then two neighbours', as long as that
helps. It knows no randomness: the same task gives the same schedule. The effort is counted in planned instructions, so that a
deep network is searched as long as a shallow one, and the outcome does not depend on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mho.schedule.builder import Builder, Task
from mho.schedule.planner import Planner

EFFORT = 1_000_000
"""Instructions planned in all; the plan that uses up the last of them is still finished."""

STARTS = 12
"""Points tried on the curve of the lower bound's trade-off."""

REACH = 4
"""How far apart, in matrix layers, two layers may be that exchange a copy."""

Copies = Mapping[int, int]


class _Search:
    """The best copies so far, and what is left of the effort."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.left = EFFORT
        self.most = {layer.index: layer.windows for layer in task.mapping.layers}
        self.best: dict[int, int] = {}
        self.end_s, self.builder = self._plan({})

    def _plan(self, copies: Copies) -> tuple[float, Builder]:
        planner = Planner(self.task, copies)
        builder = planner.run()
        self.left -= len(builder.instructions)
        return planner.end_s, builder

    def hopeless(self, copies: Copies) -> bool:
        """Whether copies do not fit where all weights stay on the chip, or writing them alone takes longer than the best."""
        total = sum(layer.blocks * copies.get(layer.index, 1) for layer in self.task.mapping.layers)
        if self.task.resident:
            return total > self.task.chip.groups
        return total * self.task.chip.array_write_time_s >= self.end_s * self.task.chip.groups

    def attempt(self, copies: dict[int, int]) -> bool:
        """Plan with other copies; keep them if they are better."""
        if self.left <= 0 or copies == self.best or self.hopeless(copies):
            return False
        end_s, builder = self._plan(copies)
        if end_s >= self.end_s * (1 - 1e-9):
            return False
        self.best, self.end_s, self.builder = copies, end_s, builder
        return True


def _starts(search: _Search) -> Iterator[dict[int, int]]:
    """Yield copies on the curve on which the lower bound trades computing against writing."""
    layers = search.task.mapping.layers
    pull = {layer.index: float(np.sqrt(layer.windows / layer.blocks)) for layer in layers}
    highest = max(layer.windows / pull[layer.index] for layer in layers)
    for x in np.geomspace(1 / max(pull.values()), highest, STARTS):
        yield {i: int(min(max(round(float(x) * each), 1), search.most[i])) for i, each in pull.items()}


def _changes(count: int, most: int) -> list[int]:
    """Return other numbers of copies to try for one layer."""
    near = (count + 1, count - 1, count * 2, count // 2, count + max(1, count // 4), count - max(1, count // 4))
    return [each for each in dict.fromkeys(near) if 1 <= each <= most and each != count]


def _improve(search: _Search) -> bool:
    """Change one layer's copies at a time, those that compute longest first; say whether anything helped."""
    helped = False
    layers = search.task.mapping.layers
    order = sorted(layers, key=lambda layer: -layer.windows / search.best.get(layer.index, 1))
    for layer in order:
        for count in _changes(search.best.get(layer.index, 1), search.most[layer.index]):
            if search.attempt({**search.best, layer.index: count}):
                helped = True
                break
        if search.left <= 0:
            break
    return helped


def _exchange(search: _Search) -> bool:
    """Give one layer a copy more and a near one a copy less; say whether anything helped."""
    helped = False
    layers = search.task.mapping.layers
    for place, layer in enumerate(layers):
        for other in layers[max(place - REACH, 0) : place + REACH + 1]:
            more, less = search.best.get(layer.index, 1) + 1, search.best.get(other.index, 1) - 1
            if other is not layer and less >= 1 and more <= search.most[layer.index]:
                helped |= search.attempt({**search.best, layer.index: more, other.index: less})
        if search.left <= 0:
            break
    return helped


def adaptive(task: Task) -> Builder:
    """Return the best schedule found; never one planned to be slower than `overlap`."""
    search = _Search(task)
    if task.mapping.layers:
        for copies in _starts(search):
            search.attempt(copies)
        while search.left > 0 and (_improve(search) or _exchange(search)):
            pass
    return search.builder
