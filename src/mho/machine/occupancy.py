"""How many groups are in use over time: being written, computing, or holding weights that wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.timing import Timing
from mho.program import Program
from mho.program.columns import ACTIVATE, GATHER, WRITE, columns
from mho.shown import Shown

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Occupancy(Shown):
    """Groups in use, as steps: from times_s[i] on, `writing[i]` + `computing[i]` + `waiting[i]` groups hold something.

    Shapes (n,). `peak` is the most groups in use at once, `mean` the fraction of the chip's groups in use, averaged over
    the inference. A group is in use from the start of its write to the end of the last activation before its next write.
    """

    times_s: Times
    writing: npt.NDArray[np.int64]
    computing: npt.NDArray[np.int64]
    waiting: npt.NDArray[np.int64]
    peak: int
    mean: float


Spans = tuple[Times, Times, npt.NDArray[np.int64]]
"""Stretches of time as arrays: from, to, how many groups."""


def _held(program: Program, timing: Timing) -> Spans:
    """Return every stretch in which a group holds one block: from its write to the end of the last activation before the next."""
    table = columns(program)
    until = np.where(table.release | (table.kind == WRITE), timing.ends, timing.latency_s)
    groups, users = table.groups(table.of(WRITE, ACTIVATE, GATHER))
    order = np.argsort(groups, kind="stable")
    groups, users = groups[order], users[order]
    writes = np.flatnonzero(table.kind[users] == WRITE)
    if not len(writes):
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)
    # What a group is written over is no longer held, said or not.
    last = np.append(groups[writes[1:]] != groups[writes[:-1]], True)
    ends = np.where(last, np.maximum.reduceat(until[users], writes), np.maximum.reduceat(timing.ends[users], writes))
    return timing.starts[users[writes]], ends, np.ones(len(writes), dtype=np.int64)


def _busy(program: Program, timing: Timing, *kinds: int) -> Spans:
    """Return every stretch in which an instruction of these kinds is under way."""
    table = columns(program)
    chosen = table.of(*kinds)
    return timing.starts[chosen], timing.ends[chosen], table.group_counts[chosen]


def occupancy(program: Program, timing: Timing) -> Occupancy:
    """Measure how a program fills its chip over one inference."""
    spans = {
        "held": _held(program, timing),
        "write": _busy(program, timing, WRITE),
        "compute": _busy(program, timing, ACTIVATE, GATHER),
    }
    edges = np.concatenate(
        [[0.0, timing.latency_s], *(side for begin, end, _ in spans.values() for side in (begin, end))]
    )
    times = np.unique(edges[(edges >= 0.0) & (edges <= timing.latency_s)])
    steps = {}
    for kind, (begin, end, count) in spans.items():
        within = end > 0.0
        change = np.zeros(len(times) + 1, dtype=np.int64)
        np.add.at(change, np.searchsorted(times, np.maximum(begin[within], 0.0)), count[within])
        np.add.at(change, np.searchsorted(times, end[within]), -count[within])
        steps[kind] = np.cumsum(change[:-1])
    in_use, writing = steps["held"], steps["write"]
    # Several activations may run on one group at once only where they serve the same block: count the group once.
    computing = np.minimum(steps["compute"], in_use - writing)
    lasting = np.diff(times)
    area = float((in_use[:-1] * lasting).sum())
    mean = area / (program.chip.groups * timing.latency_s) if timing.latency_s else 0.0
    return Occupancy(times, writing, computing, in_use - writing - computing, int(in_use.max(initial=0)), mean)
