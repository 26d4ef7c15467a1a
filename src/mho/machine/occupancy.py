"""How many groups are in use over time: being written, computing, or holding weights that wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.timing import Timing
from mho.program import Activate, Program, Write
from mho.program.instructions import size

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Occupancy:
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


def _held(program: Program, timing: Timing) -> list[tuple[float, float, int]]:
    """Return (from, to, groups) for every stretch in which groups hold one block."""
    groups = program.chip.groups
    begin = np.full(groups, np.nan)
    end = np.full(groups, np.nan)
    stretches: list[tuple[float, float, int]] = []

    def close(part: slice) -> None:
        known = ~np.isnan(begin[part])
        if not known.any():
            return
        pairs = np.stack([begin[part][known], end[part][known]], axis=1)
        if (pairs == pairs[0]).all():
            stretches.append((float(pairs[0, 0]), float(pairs[0, 1]), len(pairs)))
            return
        unique, counts = np.unique(pairs, axis=0, return_counts=True)
        stretches.extend((float(a), float(b), int(n)) for (a, b), n in zip(unique, counts, strict=True))

    for i, instruction in enumerate(program.instructions):
        if isinstance(instruction, Write):
            for first, last in instruction.groups:
                part = slice(first, last)
                close(part)
                begin[part] = timing.starts[i]
                end[part] = timing.ends[i]
        elif isinstance(instruction, Activate):
            until = timing.ends[i] if instruction.release else timing.latency_s
            for first, last in instruction.groups:
                end[first:last] = np.maximum(end[first:last], until)
    close(slice(0, groups))
    return stretches


def occupancy(program: Program, timing: Timing) -> Occupancy:
    """Measure how a program fills its chip over one inference."""
    spans: dict[str, list[tuple[float, float, int]]] = {
        "held": _held(program, timing),
        "write": [],
        "compute": [],
    }
    for i, instruction in enumerate(program.instructions):
        if isinstance(instruction, Write | Activate):
            kind = "write" if isinstance(instruction, Write) else "compute"
            spans[kind].append((float(timing.starts[i]), float(timing.ends[i]), size(instruction.groups)))
    edges = {0.0, timing.latency_s}
    edges.update(t for found in spans.values() for a, b, _ in found for t in (a, b) if 0.0 <= t <= timing.latency_s)
    times = np.array(sorted(edges))
    steps = {}
    for kind, found in spans.items():
        change = np.zeros(len(times) + 1, dtype=np.int64)
        for begin, end, count in found:
            if end > 0.0:
                change[np.searchsorted(times, max(begin, 0.0))] += count
                change[np.searchsorted(times, end)] -= count
        steps[kind] = np.cumsum(change[:-1])
    held, writing = steps["held"], steps["write"]
    # Several activations may run on one group at once only where they serve the same block: count the group once.
    computing = np.minimum(steps["compute"], held - writing)
    lasting = np.diff(times)
    area = float((held[:-1] * lasting).sum())
    mean = area / (program.chip.groups * timing.latency_s) if timing.latency_s else 0.0
    return Occupancy(times, writing, computing, held - writing - computing, int(held.max(initial=0)), mean)
