"""What the page draws: timeline, occupancy and layers of a report as plain data, small enough to embed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mho.machine.bandwidth import bandwidth
from mho.machine.bill import KINDS
from mho.machine.timing import Timing
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, GATHER, LOAD, STORE, VECTOR, WRITE, columns

if TYPE_CHECKING:
    from mho.machine.report import Report

BARS = 20_000
"""Bars that a page embeds at the most; beyond, neighbours are united."""
STEPS = 12_000
"""Steps of occupancy and of the memory's rate that a page embeds at the most; beyond, they are averaged."""
BARS_OF = {WRITE: 0, ACTIVATE: 1, GATHER: 1, COMBINE: 2, VECTOR: 2, LOAD: 3, FETCH: 3, STORE: 4}
"""The row of the timeline for each kind of instruction: writes, computing, the vector unit, loads and stores."""
FINEST = 1 << 17
"""The first part of the timeline over which neighbours are united, if they must be: far below a pixel."""
SMALL = 1e-3
"""A layer outside the crossbars with less than this part of energy and time is drawn with others like it."""


def short(value: float) -> float:
    """Round to nine significant digits, which is more than a screen shows."""
    return float(f"{value:.9g}")


@dataclass(slots=True)
class TimelineBar:
    """A stretch of the timeline: `count` instructions of one kind in one row; `layer` -1: of several.

    `detail` of a single instruction: (bytes) of a transfer, (first block, last, copy) of a write, these and
    (first window, last) of an activation, the last ones excluded; nothing where there are several.
    """

    kind: int
    layer: int
    start: float
    end: float
    count: int = 1
    groups: int = 0
    detail: tuple[int, ...] = ()


def _bars(program: Program, timing: Timing) -> Iterator[TimelineBar]:
    """Yield a bar for each instruction, in order."""
    table = columns(program)
    sides = (
        table.kind, table.layer, timing.starts, timing.ends, table.group_counts, table.first_block, table.last_block, table.copy,
        table.first_window, table.last_window, table.size,
    )  # fmt: skip
    for kind, layer, start, end, groups, first, last, copy, *windows, size in zip(
        *(side.tolist() for side in sides), strict=True
    ):
        detail: tuple[int, ...] = ()
        if kind in (WRITE, ACTIVATE):
            detail = (*program.mapping.weight_of(first).within((first, last)), copy)
            detail += tuple(windows) if kind == ACTIVATE else ()
        elif kind in (LOAD, STORE, FETCH):
            detail = (size,)
        yield TimelineBar(BARS_OF[kind], layer, start, end, groups=groups, detail=detail)


def _unite(bars: Iterable[TimelineBar], gap: float) -> list[TimelineBar]:
    """Unite bars of one row that touch, or are less than `gap` seconds apart. They come sorted by start."""
    united: list[TimelineBar] = []
    for bar in bars:
        last = united[-1] if united else None
        if last is not None and bar.start - last.end <= gap:
            layer = last.layer if bar.layer == last.layer else -1
            united[-1] = TimelineBar(
                bar.kind,
                layer,
                last.start,
                max(last.end, bar.end),
                last.count + bar.count,
                max(last.groups, bar.groups),
            )
        else:
            united.append(bar)
    return united


def bars(report: Report, most: int = BARS) -> tuple[list[TimelineBar], float | None]:
    """Return the bars of a timeline by start, and the gap in s below which neighbours are united, or None.

    Instructions that start and end together for one layer (the copies of a replicated one) are one anyway.
    """
    program, timing = report.program, report.timing
    together: dict[tuple[int, int, float, float], TimelineBar] = {}
    for bar in _bars(program, timing):
        same = together.setdefault((bar.kind, bar.layer, bar.start, bar.end), bar)
        if same is not bar:
            same.count, same.groups, same.detail = same.count + 1, same.groups + bar.groups, ()
    distinct = sorted(together.values(), key=lambda bar: (bar.start, bar.end, bar.kind, bar.layer))
    if len(distinct) <= most:
        return distinct, None
    rows: dict[tuple[int, int], list[TimelineBar]] = {}
    for bar in distinct:
        rows.setdefault((bar.kind, bar.layer if bar.kind < 2 else -1), []).append(bar)
    gap = (timing.latency_s + timing.setup_s) / FINEST
    united = distinct
    # Each row is one bar in the end, so this ends; it stops where all fit or nothing is left to unite.
    while len(united) > max(most, len(rows)):
        united = [bar for row in rows.values() for bar in _unite(row, gap)]
        gap *= 2
    return sorted(united, key=lambda bar: (bar.start, bar.end, bar.kind, bar.layer)), gap / 2


@dataclass(frozen=True, eq=False)
class Steps:
    """Series over time as steps: from times[i] until times[i + 1] each series has its i-th value."""

    times: list[float]
    series: dict[str, list[float]] = field(default_factory=dict)
    averaged_s: float | None = None


def steps(times: npt.NDArray[np.float64], series: dict[str, npt.NDArray[Any]], most: int = STEPS) -> Steps:
    """Thin out steps: equal neighbours become one; more than `most` become averages over equal stretches."""
    values = np.stack([np.asarray(each, dtype=np.float64) for each in series.values()])
    keep = np.concatenate([[True], (np.diff(values, axis=1) != 0).any(axis=0)])
    keep[-1] = True
    times, values = times[keep], values[:, keep]
    averaged = None
    if len(times) > most:
        edges = np.linspace(times[0], times[-1], most)
        area = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values[:, :-1] * np.diff(times), axis=1)], axis=1)
        at = np.stack([np.interp(edges, times, row) for row in area])
        values = np.concatenate([np.diff(at, axis=1) / np.diff(edges), values[:, -1:]], axis=1)
        averaged = float(edges[1] - edges[0])
        times = edges
    shown = {name: [short(v) for v in row] for name, row in zip(series, values.tolist(), strict=True)}
    return Steps([short(t) for t in times.tolist()], shown, averaged)


def _columns(shown: Sequence[TimelineBar]) -> dict[str, list[Any]]:
    return {
        "kind": [bar.kind for bar in shown],
        "layer": [bar.layer for bar in shown],
        "start": [short(bar.start) for bar in shown],
        "end": [short(bar.end) for bar in shown],
        "count": [bar.count for bar in shown],
        "groups": [bar.groups for bar in shown],
        "detail": [list(bar.detail) for bar in shown],
    }


def _by_layer(report: Report, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return energy by kind and time of each layer worth a bar of its own; the last sums up the others."""
    place = {layer.name: i for i, layer in enumerate(report.program.network.layers)}
    kinds = {kind: i for i, kind in enumerate(KINDS)}
    energy: dict[int, list[float]] = {}
    for entry in report.account.entries:
        energy.setdefault(entry.layer, [0.0] * len(KINDS))[kinds[entry.kind]] += entry.joules
    shown: dict[str, list[Any]] = {"name": [], "energy": [], "write": [], "compute": []}
    rest, others = np.zeros(len(KINDS)), 0
    total = report.energy_j

    def lasted(record: dict[str, Any], phase: str) -> float:
        start, end = record[f"{phase}_start_s"], record[f"{phase}_end_s"]
        # A setup's writes come before 0, once for all inferences: they are no part of this one.
        return 0.0 if start is None or start < 0 else float(end - start)

    for record in records:
        joules = energy.pop(place[record["name"]], [0.0] * len(KINDS))
        writing, computing = lasted(record, "write"), lasted(record, "compute")
        small = sum(joules) < SMALL * total and computing < SMALL * report.latency_s
        if record["k"] is None and small:
            others += 1
            rest += joules
            continue
        shown["name"].append(record["name"])
        shown["energy"].append([short(value) for value in joules])
        shown["write"].append(short(writing))
        shown["compute"].append(short(computing))
    for joules in energy.values():
        rest += joules
    if others or rest.any():
        shown["name"].append(f"{others} other layers")
        shown["energy"].append([short(value) for value in rest.tolist()])
        shown["write"].append(0)
        shown["compute"].append(0)
    return shown


def page_data(report: Report, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gather everything that the page's charts draw, and under "notes" what was united or averaged for it."""
    program, timing, filled = report.program, report.timing, report.occupancy
    shown, gap = bars(report)
    occupied = steps(
        filled.times_s,
        {"computing": filled.computing, "writing": filled.writing, "waiting": filled.waiting},
    )
    times, rates, _ = bandwidth(program, timing)
    flowing = steps(times, {"rate": rates})
    return {
        "latency": timing.latency_s,
        "setup": timing.setup_s,
        "names": [layer.name for layer in program.network.layers],
        "bars": _columns(shown),
        "gap": gap,
        "instructions": len(program.instructions),
        "occupancy": {"times": occupied.times, **occupied.series, "groups": program.chip.groups},
        "memory": {"times": flowing.times, **flowing.series, "bandwidth": program.chip.memory.bandwidth},
        "averaged": max((each.averaged_s for each in (occupied, flowing) if each.averaged_s), default=None),
        "kinds": list(KINDS),
        "layers": _by_layer(report, records),
        "table": [
            [
                *(record[key] for key in ("k", "n", "windows", "macs", "groups", "arrays", "copies")),
                *(
                    None if record[key] is None else short(record[key])
                    for key in ("write_start_s", "compute_start_s", "energy_j")
                ),
            ]
            for record in records
        ],
    }
