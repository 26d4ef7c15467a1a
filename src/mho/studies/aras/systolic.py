"""Figures 16 and 17: speed and energy against a systolic array of the same area and memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mho.studies.aras.lifetime import LABELS, RUNS
from mho.studies.aras.measure import LARGE, papers, timed
from mho.studies.aras.paper import printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

SPEED = (
    "Latency of the TPU-like systolic array (64 x 64 multiply-accumulators, 4.5 MB of buffers, the same memory and "
    "clock, Table I; "
    "of its three dataflows the one that takes the least time) over that of the chip."
)
ENERGY = (
    "Energy saved against the same systolic array, whose components cost what the same ones cost the chip. A negative "
    "saving is "
    "energy lost."
)


def systolic_speed(work: Work, costs: Costs, arrays: Mapping[str, Mapping[str, Any]]) -> Chapter:
    """Set the speed-ups over the systolic array beside the paper's."""
    chapter = Chapter("figure-16", "Figure 16: speed against a TPU-like systolic array", "Section VII-E", SPEED)
    names = timed(work)
    for name in names:
        for schedule in RUNS:
            found = _run(costs, name, schedule)
            if found is None:
                continue
            factor = arrays[name]["latency_s"] / found["latency_s"]
            chapter.add(f"speed-up/{schedule}", name, f"speed-up of {LABELS[schedule]}", "", factor, network=name)
        chapter.add(
            "array", name, f"latency of the systolic array, {arrays[name]['dataflow']}-stationary", "s",
            arrays[name]["latency_s"], network=name,
        )  # fmt: skip
        bound = 100 * arrays[name]["memory_bound"]
        chapter.add(
            "bound", name, "part of the systolic array's time in layers that memory holds up", "%", bound, network=name
        )
    compared = not work.settings.quick
    given = printed("systolic-speed-up").values if compared else {}
    _summary(chapter, "speed-up", "", "speed-up of {}", papers(work), given, _slower(papers(work), arrays))
    series = {f"speed-up/{schedule}": LABELS[schedule] for schedule in RUNS}
    members = (*names, "mean", "largest")
    labels = {name: f"{name} (shapes alone)" for name in LARGE}
    chapter.plot("figure-16", "Speed-up over the systolic array", "times as fast", members, series, 1.0)
    columns = {**series, "array": "systolic array", "bound": "its time in layers held up by memory, %"}
    chapter.table("Speed-up over the systolic array", "network", members, columns, labels)
    return chapter


def systolic_energy(work: Work, costs: Costs, arrays: Mapping[str, Mapping[str, Any]]) -> Chapter:
    """Set the energy saved against the systolic array beside the paper's."""
    chapter = Chapter("figure-17", "Figure 17: energy against a TPU-like systolic array", "Section VII-E", ENERGY)
    names = [name for name in timed(work) if name not in LARGE]
    for name in names:
        for schedule in RUNS:
            found = _run(costs, name, schedule)
            assert found is not None
            saved = 100 * (1 - found["energy_j"] / arrays[name]["energy_j"])
            chapter.add(f"saving/{schedule}", name, f"energy saved by {LABELS[schedule]}", "%", saved, network=name)
        chapter.add("array", name, "energy of the systolic array", "J", arrays[name]["energy_j"], network=name)
        for kind, joules in arrays[name]["kinds_j"].items():
            part = 100 * joules / arrays[name]["energy_j"]
            chapter.add(f"array/{kind}", name, f"energy of the systolic array: {kind}", "%", part, network=name)
    compared = not work.settings.quick
    given = printed("systolic-saving").values if compared else {}
    _summary(chapter, "saving", "%", "energy saved by {}", papers(work), given, _dearer(papers(work), costs, arrays))
    series = {f"saving/{schedule}": LABELS[schedule] for schedule in RUNS}
    members = (*names, "mean", "largest")
    chapter.plot("figure-17", "Energy saved against the systolic array", "% of its energy", members, series)
    kinds = {f"array/{kind}": f"its {kind}, %" for kind in ("compute", "memory", "static")}
    chapter.table(
        "Energy saved against the systolic array, %", "network", members, {**series, "array": "systolic array", **kinds}
    )
    return chapter


def _run(costs: Costs, name: str, schedule: str) -> Mapping[str, Any] | None:
    """Return a network's run; one known by shapes alone has no reuse, which takes no time either."""
    runs = costs[name]
    return runs.get(RUNS[schedule], runs.get("replication"))


def _summary(
    chapter: Chapter,
    series: str,
    unit: str,
    text: str,
    names: tuple[str, ...],
    paper: Mapping[str, float],
    reason: str,
) -> None:
    """Add mean and largest over the paper's networks; `reason` says why ours is lower."""
    for schedule in RUNS:
        values = [chapter.rows[f"{chapter.part}/{series}/{schedule}/{name}"].ours for name in names]
        found = {"mean": mean(values), "largest": max(value for value in values if value is not None)}
        for which, ours in found.items():
            given = paper.get(which) if schedule == "aras" else None
            quantity = f"{text.format(LABELS[schedule])}, {which} of {counted(len(names), 'network')}"
            note = why(ours, given, lower=reason)
            chapter.add(f"{series}/{schedule}", which, quantity, unit, ours, paper=given, note=note)


def _slower(names: tuple[str, ...], arrays: Mapping[str, Mapping[str, Any]]) -> str:
    held = math.fsum(100 * arrays[name]["memory_bound"] for name in names) / len(names)
    flows = ", ".join(f"{name} {arrays[name]['dataflow']}" for name in names)
    return (
        "Our systolic array overlaps transfers with computing, and is given the fastest of three dataflows for each "
        f"network ({flows}); "
        f"memory holds it up for {held:.0f}% of its time on average. The paper tells neither its dataflow nor its "
        f"stalls. The array fetches "
        "8 bits a weight; crossbars fetch 12 bits of level changes, and then take 768 µs for each round of writes."
    )


def _dearer(names: tuple[str, ...], costs: Costs, arrays: Mapping[str, Mapping[str, Any]]) -> str:
    def told(runs: Mapping[str, Mapping[str, Any]]) -> str:
        kinds = next(iter(runs.values()))["kinds_j"]
        parts = (
            (
                kind,
                math.fsum(100 * runs[name]["kinds_j"][kind] / arrays[name]["energy_j"] for name in names) / len(names),
            )
            for kind in kinds
        )
        return ", ".join(f"{kind} {part:.0f}%" for kind, part in parts)

    chip = {name: costs[name]["reuse"] for name in names}
    return (
        "In % of the systolic array's energy, on average: the array itself "
        f"{told({name: arrays[name] for name in names})}; the chip "
        f"{told(chip)}. What crossbars save in computing they pay again for writing cells, and for fetching 12 bits a "
        f"weight instead of 8; "
        "component energies are those of public sources, as the paper's are not published."
    )
