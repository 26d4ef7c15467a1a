"""`naive`: write a layer, compute it, then write the next (ARAS section IV-A, Figure 7).

A layer larger than the chip is cut into segments, each written and computed before the next is written.
"""

from __future__ import annotations

from mho.schedule.builder import Builder, Task


def naive(task: Task) -> Builder:
    """Return the naive schedule."""
    builder = Builder(task)
    placed = builder.write_all({}) if task.resident else []
    resident = {layer.index: (groups, written) for layer, _, groups, written in placed}
    previous: int | None = None
    for step in task.steps:
        layer = task.mapping.by_index.get(step)
        if layer is None:
            previous = builder.vector(step)
            continue
        activations: list[int] = []
        if task.resident:
            groups, written = resident[step]
            activations.append(builder.activate(layer, (0, layer.blocks), 0, (0, layer.windows), groups, written))
        else:
            for first in range(0, layer.blocks, task.chip.groups):
                blocks = (first, min(first + task.chip.groups, layer.blocks))
                groups = ((0, blocks[1] - blocks[0]),)
                before = {*builder.gate(step), *activations[-1:], *([] if previous is None else [previous])}
                written = builder.write(layer, blocks, 0, groups, tuple(sorted(before)))
                activations.append(builder.activate(layer, blocks, 0, (0, layer.windows), groups, written))
        previous = builder.combine(layer, tuple(activations))
    return builder
