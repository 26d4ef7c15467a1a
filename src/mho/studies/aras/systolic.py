"""Figures 16 and 17: speed and energy against a systolic array of the same area and memory."""

from __future__ import annotations

import math

from mho.studies.aras.measure import LARGE, Costs, Runs, papers, timed
from mho.studies.aras.paper import CHIPS, PAPER, RUNS, given
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work


def systolic_speed(work: Work, costs: Costs, arrays: Runs) -> Chapter:
    """Set the speed-ups over the systolic array beside the paper's."""
    chapter, names = PAPER.chapter("figure-16"), timed(work)
    for name in names:
        array = arrays[name]
        for schedule, run in RUNS.items():
            # A network known by shapes alone has no reuse, which takes no time either.
            cost = costs[name].get(run, costs[name]["replication"])
            factor = array["latency_s"] / cost["latency_s"]
            chapter.add(f"speed-up/{schedule}", name, f"speed-up of {CHIPS[schedule]}", "", factor, network=name)
        quantity = f"latency of the systolic array, {array['dataflow']}-stationary"
        chapter.add("array", name, quantity, "s", array["latency_s"], network=name)
        quantity = "part of the systolic array's time in layers that memory holds up"
        chapter.add("bound", name, quantity, "%", 100 * array["memory_bound"], network=name)
    waiting = math.fsum(100 * arrays[name]["memory_bound"] for name in papers(work)) / len(papers(work))
    flows = ", ".join(f"{name} {arrays[name]['dataflow']}" for name in papers(work))
    reason = PAPER.says("slower", flows=flows, held=waiting)
    _summary(work, chapter, "speed-up", "", "speed-up of {}", reason)
    series, members = {f"speed-up/{schedule}": CHIPS[schedule] for schedule in RUNS}, (*names, "mean", "largest")
    chapter.plot("figure-16", "Speed-up over the systolic array", "times as fast", members, series, 1.0)
    columns = {**series, "array": "systolic array", "bound": "its time in layers held up by memory, %"}
    labels = {name: f"{name} (shapes alone)" for name in LARGE}
    chapter.table("Speed-up over the systolic array", "network", members, columns, labels)
    return chapter


def systolic_energy(work: Work, costs: Costs, arrays: Runs) -> Chapter:
    """Set the energy saved against the systolic array beside the paper's."""
    chapter, names = PAPER.chapter("figure-17"), [name for name in timed(work) if name not in LARGE]
    for name in names:
        whole = arrays[name]["energy_j"]
        for schedule, run in RUNS.items():
            saved = 100 * (1 - costs[name][run]["energy_j"] / whole)
            chapter.add(f"saving/{schedule}", name, f"energy saved by {CHIPS[schedule]}", "%", saved, network=name)
        chapter.add("array", name, "energy of the systolic array", "J", whole, network=name)
        for kind, joules in arrays[name]["kinds_j"].items():
            quantity = f"energy of the systolic array: {kind}"
            chapter.add(f"array/{kind}", name, quantity, "%", 100 * joules / whole, network=name)
    _summary(work, chapter, "saving", "%", "energy saved by {}", _dearer(papers(work), costs, arrays))
    series, members = {f"saving/{schedule}": CHIPS[schedule] for schedule in RUNS}, (*names, "mean", "largest")
    chapter.plot("figure-17", "Energy saved against the systolic array", "% of its energy", members, series)
    columns = {
        "array": "systolic array",
        **{f"array/{kind}": f"its {kind}, %" for kind in ("compute", "memory", "static")},
    }
    chapter.table("Energy saved against the systolic array, %", "network", members, {**series, **columns})
    return chapter


def _summary(work: Work, chapter: Chapter, series: str, unit: str, text: str, reason: str) -> None:
    """Add mean and largest over the paper's networks; `reason` says why ours is lower."""
    for schedule in RUNS:
        values = chapter.ours(f"{series}/{schedule}", papers(work))
        for which, ours in (("mean", mean(values)), ("largest", max(value for value in values if value is not None))):
            theirs = given(work, f"systolic-{series}", which) if schedule == "aras" else None
            quantity = f"{text.format(CHIPS[schedule])}, {which} of {counted(len(values), 'network')}"
            note = why(ours, theirs, lower=reason)
            chapter.add(f"{series}/{schedule}", which, quantity, unit, ours, paper=theirs, note=note)


def _dearer(names: tuple[str, ...], costs: Costs, arrays: Runs) -> str:
    def shares_text(runs: Runs) -> str:
        parts = {
            kind: math.fsum(100 * runs[name]["kinds_j"][kind] / arrays[name]["energy_j"] for name in names) / len(names)
            for kind in next(iter(runs.values()))["kinds_j"]
        }
        return ", ".join(f"{kind} {part:.0f}%" for kind, part in parts.items())

    array, chip = (
        {name: runs[name] for name in names} for runs in (arrays, {each: costs[each]["reuse"] for each in names})
    )
    return PAPER.says("dearer", array=shares_text(array), chip=shares_text(chip))
