"""A plan's end without the plan: what the overlapping planner would arrive at, for given copies, in compiled code.

The planner's rule in numbers: free groups wait in the order in which they came free; the layers take them in turn, each
copy's blocks those that wait longest; blocks bound together are written and ready together; a run serves its share of the
windows from when it is ready and its layer may start; then its groups are free again. Runs that are ready as their layer starts
take as long as the port of the global buffer takes for all their inputs, if that is longer; later ones pass the port after them.
The memory is taken to keep up. Where it does not, and on chips that compute several layers at once, this is an estimate, and the
planner decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.schedule.builder import Task

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEVER = 1e300
"""The end of a plan that cannot be carried out: more copies than a chip holds that keeps all its weights."""


@dataclass(frozen=True, eq=False)
class Instance:
    """A task in numbers, per matrix layer in order.

    `blocks`, `windows` and `window_s`, the time of a window in s; `gap_s` the time before each layer in which others run
    (inputs arriving, vector layers, the layer before being combined), after the layer before has served its windows; `port_s` the
    time that the global buffer's port takes for its inputs; `most` copies. `writer`: the layer whose blocks it uses, itself where
    they are written for it; `last`: whether it is the last that uses them. Then the time after the last layer's windows, the chip's
    groups, the time of a write in s, and whether all weights stay on the chip.
    """

    blocks: Integers
    windows: Integers
    window_s: Floats
    gap_s: Floats
    port_s: Floats
    most: Integers
    writer: Integers
    last: npt.NDArray[np.bool_]
    after_s: float
    groups: int
    write_s: float
    resident: bool


def instance(task: Task) -> Instance:
    """Put a task in numbers."""
    gaps, waited = [], 0.0
    for step in task.steps:
        if step in task.mapping.by_index:
            gaps.append(waited)
            waited = 0.0
        waited += task.vector_time_s(step)
    layers = task.mapping.layers
    place = {layer.index: at for at, layer in enumerate(layers)}
    most = {layer.index: task.most_copies(layer) for layer in task.writers}
    return Instance(
        np.array([layer.count for layer in layers], dtype=np.int64),
        np.array([layer.windows for layer in layers], dtype=np.int64),
        np.array([layer.window_s for layer in layers], dtype=np.float64),
        np.array(gaps),
        np.array([task.port_s[layer.index] for layer in layers]),
        np.array([most.get(layer.index, 1) for layer in layers], dtype=np.int64),
        np.array([place[task.writer[layer.index]] for layer in layers], dtype=np.int64),
        np.array([task.served[task.writer[layer.index]][-1] is layer for layer in layers], dtype=np.bool_),
        waited,
        task.chip.groups,
        task.chip.array_write_time_s,
        task.resident,
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _resident_end(
    blocks: Integers,
    windows: Integers,
    window_s: Floats,
    gap_s: Floats,
    port_s: Floats,
    copies: Integers,
    writer: Integers,
    fixed: tuple[float, int, float, bool],
) -> float:
    """Return the planned end in s where all weights stay on the chip, or NEVER where they do not fit."""
    end, taken = 0.0, 0
    for layer in range(len(blocks)):
        if writer[layer] == layer:
            taken += blocks[layer] * copies[layer]
        count = copies[writer[layer]]
        end += gap_s[layer] + max((windows[layer] + count - 1) // count * window_s[layer], port_s[layer])
    return end + fixed[0] if taken <= fixed[1] else NEVER


@njit(cache=True)  # type: ignore[untyped-decorator]
def _early(times: Floats, counts: Integers, most: int, write_s: float, until: float) -> int:
    """Count the groups, up to `most`, that are written by a time; they come free in this order."""
    early = 0
    for k in range(len(times)):
        if times[k] + write_s > until or early >= most:
            break
        early += counts[k]
    return min(early, most)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _given(times: Floats, counts: Integers, head: int, tail: int, done: float, taken: int) -> tuple[int, int]:
    """Let groups wait from a time on, in the order of time; return where those that wait begin and end."""
    if tail == len(times):
        for i in range(head, tail):
            times[i - head], counts[i - head] = times[i], counts[i]
        head, tail = 0, tail - head
    place = tail
    while place > head and times[place - 1] > done:
        times[place], counts[place] = times[place - 1], counts[place - 1]
        place -= 1
    times[place], counts[place] = done, taken
    return head, tail + 1


def _planned_end(
    blocks: Integers,
    windows: Integers,
    window_s: Floats,
    gap_s: Floats,
    port_s: Floats,
    copies: Integers,
    uses: tuple[Integers, npt.NDArray[np.bool_]],
    fixed: tuple[float, int, float, bool],
    times: Floats,
    counts: Integers,
) -> tuple[float, int]:
    """Return the planned end in s and the runs of blocks placed; `times` and `counts` are room for the waiting groups."""
    after_s, groups, write_s, resident = fixed
    writer, last = uses
    end, placed = 0.0, 0
    head, tail = 0, 1
    times[0], counts[0] = 0.0, groups
    if resident:
        return _resident_end(blocks, windows, window_s, gap_s, port_s, copies, writer, fixed), len(blocks)
    # When the blocks of a layer that stay have been written.
    ready = np.zeros(len(blocks))
    for layer in range(len(blocks)):
        started = end + gap_s[layer]
        count = copies[writer[layer]]
        serving = (windows[layer] + count - 1) // count * window_s[layer]
        left = blocks[layer] * count
        end = started
        # Of a block's inputs, where they hold anybody up; until when the port has to do with those ready as the layer starts.
        passing = port_s[layer] / (blocks[layer] * min(count, windows[layer])) if port_s[layer] > serving else 0.0
        early = _early(times[head:tail], counts[head:tail], left, write_s, started) if passing > 0 else 0
        fed = started + early * passing
        while left > 0:
            if writer[layer] != layer:
                # What has been written is used again, and given back as one run.
                taken, done = left, max(started, ready[writer[layer]]) + max(serving, port_s[layer])
                left = 0
            elif head == tail:
                return NEVER, placed
            else:
                taken = min(left, counts[head])
                free = times[head]
                left -= taken
                counts[head] -= taken
                if counts[head] == 0:
                    head += 1
                ready[layer] = max(ready[layer], free + write_s)
                done = max(started, free + write_s) + serving
                if passing > 0:
                    if free + write_s > started:
                        fed = max(fed, free + write_s) + passing * taken
                    done = max(done, fed)
            end = max(end, done)
            if not last[layer]:
                continue
            head, tail = _given(times, counts, head, tail, done, taken)
            placed += 1
    return end + after_s, placed


planned_end = njit(cache=True)(_planned_end)


def room(groups: int) -> tuple[Floats, Integers]:
    """Make the room that planned_end needs: each waiting run has at least one group."""
    return np.empty(2 * groups + 2), np.empty(2 * groups + 2, dtype=np.int64)
