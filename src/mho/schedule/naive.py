"""`naive`: write a layer, compute it, then write the next (ARAS section IV-A, Figure 7).

A layer larger than the chip is cut into segments, each written and computed before the next is written. Layers that share weights
and follow one another find them written.
"""

from __future__ import annotations

from itertools import pairwise

from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.stages import Schedule
from mho.strategy.choice import choice


def naive(task: Task) -> InstructionBuilder:
    """Return the naive schedule."""
    builder = InstructionBuilder(task)
    # For each run of blocks where it is, and the last instruction that had to do with them.
    located = (
        {layer.run: (groups, written) for layer, _, groups, written in builder.write_all({})} if task.resident else {}
    )
    # The layers after which, of all with weights, comes one that has the same.
    followed = {one.index for one, other in pairwise(task.mapping.layers) if one.run == other.run}
    previous: int | None = None
    for step in task.steps:
        layer = task.mapping.by_index.get(step)
        if layer is None:
            previous = builder.vector(step)
            continue
        whole, windows = (0, layer.count), (0, layer.windows)
        activations: list[int] = []
        if layer.run in located:
            groups, before = located[layer.run]
            release = not task.resident and step not in followed
            activations.append(builder.activate(layer, whole, 0, windows, groups, before, release=release))
            located[layer.run] = groups, activations[-1]
        else:
            located.clear()
            for first in range(0, layer.count, task.chip.groups):
                blocks = (first, min(first + task.chip.groups, layer.count))
                groups = ((0, blocks[1] - blocks[0]),)
                after = {*builder.gate(step), *activations[-1:], *([] if previous is None else [previous])}
                written = builder.write(layer, blocks, 0, groups, tuple(sorted(after)))
                stays = blocks == whole and step in followed
                activations.append(builder.activate(layer, blocks, 0, windows, groups, written, release=not stays))
                if stays:
                    located[layer.run] = groups, activations[-1]
        previous = builder.combine(layer, tuple(activations))
    return builder


@choice("schedule", "naive", papers=("aras",))
class Naive(Schedule):
    """A layer is written, then computed, then the next."""

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the naive schedule."""
        return naive(task)
