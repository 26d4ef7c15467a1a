"""How many groups are in use over time: being written, computing, or holding weights that wait."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from mho.machine.timing import Timing
from mho.program import Activate, Program, Write
from mho.program.instructions import indices, size
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
    """Return every stretch in which a group holds one block."""
    begin = np.full(program.chip.groups, np.nan)
    end = np.full(program.chip.groups, np.nan)
    stretches: dict[tuple[float, float], int] = {}

    def close(groups: npt.NDArray[np.int64]) -> None:
        first, last = begin[groups], end[groups]
        if (first == first[0]).all() and (last == last[0]).all():
            pairs = [((float(first[0]), float(last[0])), len(groups))]
        else:
            unique, counts = np.unique(np.stack([first, last]), axis=1, return_counts=True)
            pairs = list(zip(zip(*unique.tolist(), strict=True), counts.tolist(), strict=True))
        for pair, count in pairs:
            stretches[pair] = stretches.get(pair, 0) + count

    for i, instruction in enumerate(program.instructions):
        if isinstance(instruction, Write):
            groups = indices(instruction.groups)
            close(groups)
            begin[groups] = timing.starts[i]
            end[groups] = timing.ends[i]
        elif isinstance(instruction, Activate):
            groups = indices(instruction.groups)
            until = timing.ends[i] if instruction.release else timing.latency_s
            end[groups] = np.maximum(end[groups], until)
    close(np.arange(program.chip.groups))
    known = [(first, last, count) for (first, last), count in stretches.items() if not isnan(first)]
    first, last, count = (np.array(side) for side in zip(*known, strict=True)) if known else (np.zeros(0),) * 3
    return first, last, count.astype(np.int64)


def _busy(program: Program, timing: Timing, kind: type[Write] | type[Activate]) -> Spans:
    """Return every stretch in which an instruction of a kind is under way."""
    chosen = [i for i, instruction in enumerate(program.instructions) if isinstance(instruction, kind)]
    counts = [size(each.groups) for each in program.instructions if isinstance(each, kind)]
    return timing.starts[chosen], timing.ends[chosen], np.array(counts, dtype=np.int64)


def occupancy(program: Program, timing: Timing) -> Occupancy:
    """Measure how a program fills its chip over one inference."""
    spans = {
        "held": _held(program, timing),
        "write": _busy(program, timing, Write),
        "compute": _busy(program, timing, Activate),
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
    held, writing = steps["held"], steps["write"]
    # Several activations may run on one group at once only where they serve the same block: count the group once.
    computing = np.minimum(steps["compute"], held - writing)
    lasting = np.diff(times)
    area = float((held[:-1] * lasting).sum())
    mean = area / (program.chip.groups * timing.latency_s) if timing.latency_s else 0.0
    return Occupancy(times, writing, computing, held - writing - computing, int(held.max(initial=0)), mean)
