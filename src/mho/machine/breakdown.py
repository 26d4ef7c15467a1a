"""Where the time of an inference goes, layer by layer: what its end waited for, and what each layer did while it was under way.

Both are partitions, in the same parts (`PARTS`):
- ideal: arrays compute, at their full rate;
- vector_unit: combining, and layers outside the crossbars, at the unit's full rate;
- writing: cells are written, as fast as their arrays allow;
- memory: transfers, and by how much writes last longer than their arrays ask for, since what they fetch comes no faster;
- ports: by how much everything else lasts longer by itself, since the ports that its bytes pass cannot keep up;
- idle: nothing of the layer is under way, or its last windows end while other copies have none left (see `turns`).

The critical path is walked from the end of the last instruction backwards: before each instruction comes one that ended when it
began, which it waits for, or which kept the vector unit until then. So every moment of the latency belongs to one instruction, and
to its layer. Where several ended at once, the last of them in the program's order stands for all.

A layer is under way from its first write or computation in the inference to the end of its last. Each moment of that counts as the
first of these that the layer does: computes in arrays, computes in the vector unit, writes, transfers; else it is idle. What lasts
longer than by itself is slowed down evenly, and of several at once the mean counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.timing import Timing, program_tasks
from mho.machine.turns import Turned
from mho.network.layers import Constant
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, GATHER, KINDS, VECTOR, WRITE, columns
from mho.shown import Shown

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PARTS = ("ideal", "vector_unit", "writing", "memory", "ports", "idle")
"""What time is spent on, in this order."""
SPANS = ("critical_s", "under_way_s")
"""Of what time, in data: the latency, and what each layer is under way."""
IDEAL, UNIT, WRITING, MEMORY, PORTS, IDLE = range(len(PARTS))
DOES = {ACTIVATE: IDEAL, GATHER: IDEAL, COMBINE: UNIT, VECTOR: UNIT, WRITE: WRITING}
"""The part that each kind of instruction is by itself; transfers are memory."""
BY_KIND = np.array([DOES.get(kind, MEMORY) for kind in range(len(KINDS))])
HELD_FOR = np.array([PORTS, PORTS, MEMORY, MEMORY, PORTS, IDLE])
"""The part that what lasts longer than by itself is held up for, by the part that it is."""
CRUMB = 1e-12
"""What share of the latency nothing is held up by: rounding."""


@dataclass(frozen=True, eq=False, repr=False)
class Breakdown(Shown):
    """Where time goes, in s, shapes (layers, parts).

    `critical` sums to the latency. `under_way` sums, layer by layer, to how long each is under way.
    """

    critical: Floats
    under_way: Floats

    def to_dict(self, program: Program) -> dict[str, Any]:
        """Return it as JSON-ready data: `time` in docs/report.md."""
        records = [
            {"layer": layer.name, "critical_s": _told(on_path), "under_way_s": _told(spent)}
            for layer, on_path, spent in zip(program.network.layers, self.critical, self.under_way, strict=True)
            if on_path.any() or not isinstance(layer, Constant)
        ]
        return {"critical_s": _told(self.critical.sum(axis=0)), "layers": records}


def breakdown(program: Program, timing: Timing) -> Breakdown:
    """Measure where the time of one inference of a program goes."""
    table, turned = columns(program), program_tasks(program)
    # Of each task its layer, its part, and by how much it is held up.
    several = np.flatnonzero(table.copies > 1)
    more = len(timing.task_starts) - len(table.kind)
    layer = np.concatenate([table.layer, np.tile(table.layer[several], 2)[:more]])
    part = np.concatenate([BY_KIND[table.kind], np.full(more, IDLE)])
    lasted = timing.task_ends - timing.task_starts
    held = lasted - turned.tasks.lasts
    held[held < CRUMB * timing.latency_s] = 0.0
    critical = np.zeros((len(program.network.layers), len(PARTS)))
    path = np.array(list(_path(program, timing, turned)), dtype=np.int64)
    np.add.at(critical, (layer[path], part[path]), (lasted - held)[path])
    np.add.at(critical, (layer[path], HELD_FOR[part[path]]), held[path])
    return Breakdown(critical, _under_way(program, timing, held))


def _told(parts: Floats) -> dict[str, float]:
    return {"total": float(parts.sum()), **dict(zip(PARTS, parts.tolist(), strict=True))}


def _path(program: Program, timing: Timing, turned: Turned) -> Iterator[int]:
    """Yield the tasks that the end of an inference waits for, from the last one back to one that begins with the inference."""
    # Compiled code takes a while to import.
    from mho.machine.clock import VECTOR_UNIT

    starts, ends, setup = timing.task_starts, timing.task_ends, program.setup
    if timing.latency_s <= 0.0:
        return
    tasks = turned.tasks
    waits = np.repeat(np.arange(len(starts)), np.diff(tasks.after_starts))
    bound = np.full(len(starts), -1)
    met = ends[tasks.after] == starts[waits]
    np.maximum.at(bound, waits[met], tasks.after[met])
    served = np.flatnonzero(tasks.unit[setup:] == VECTOR_UNIT) + setup
    served = served[np.lexsort((ends[served], starts[served]))]
    queued = np.flatnonzero(bound[served[1:]] < 0)
    bound[served[1:][queued]] = served[queued]
    before = bound.tolist()
    at = int(turned.done[setup + np.argmax(timing.ends[setup:])])
    while starts[at] > 0.0:
        yield at
        at = before[at]
    yield at


def _under_way(program: Program, timing: Timing, held: Floats) -> Floats:
    """Return what each layer does while it is under way, shape (layers, parts); `held`: by how much each task is held up, in s."""
    table, count = columns(program), len(program.network.layers)
    begins, ends = np.full(count, np.inf), np.full(count, -np.inf)
    does = table.of(*DOES)
    does = does[does >= program.setup]
    np.minimum.at(begins, table.layer[does], timing.starts[does])
    np.maximum.at(ends, table.layer[does], timing.ends[does])
    # Stretches in which an instruction is under way, without what turns leave over, as far as its layer is.
    places = np.arange(program.setup, len(table.kind))
    first = np.maximum(timing.task_starts[places], begins[table.layer[places]])
    last = np.minimum(timing.task_ends[places], ends[table.layer[places]])
    places, first, last = (each[last > first] for each in (places, first, last))
    share = held[places] / (timing.task_ends - timing.task_starts)[places]
    layer, part, under_way = table.layer[places], BY_KIND[table.kind[places]], np.flatnonzero(begins <= ends)
    # All beginnings and ends, layer by layer in the order of time.
    times = np.concatenate([begins[under_way], first, last, ends[under_way]])
    whose = np.concatenate([under_way, layer, layer, under_way])
    order = np.lexsort((times, whose))
    times, whose = times[order], whose[order]
    lasts = np.where(whose[1:] == whose[:-1], np.diff(times), 0.0)
    spent, left = np.zeros((count, len(PARTS))), np.ones(len(lasts), dtype=np.bool_)
    none = np.zeros(len(under_way))
    for each in (IDEAL, UNIT, WRITING, MEMORY):
        # From each time on: how many instructions of the part are under way, and the sum of the shares that they are held up for.
        active, slowed = (
            np.cumsum(np.concatenate([none, change, -change, none])[order])[:-1]
            for change in ((part == each) * 1.0, (part == each) * share)
        )
        here = left & (active > 0)
        left &= ~here
        slow = lasts[here] * np.clip(slowed[here] / active[here], 0.0, 1.0)
        spent[:, each] += np.bincount(whose[:-1][here], lasts[here] - slow, count)
        spent[:, HELD_FOR[each]] += np.bincount(whose[:-1][here], slow, count)
    spent[:, IDLE] = np.bincount(whose[:-1][left], lasts[left], count)
    return spent
