"""Figure 14: speed-ups by replication, throughput, and how far from what cannot be passed."""

from __future__ import annotations

from collections.abc import Mapping

from mho.studies.aras.measure import LARGE, Costs, Runs, papers, timed
from mho.studies.aras.paper import PAPER, SCHEDULES, given, printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

RUNS = {"overlap": "banks", "aras": "replication", "adaptive": "adaptive"}
"""The measurements of schedules alone."""
FRACTION, BOUND = "part of the paper's upper bound reached by {}", "latency of {} / proven lower bound"
SPEED_UP = {side: PAPER.says(f"speed-up-{side}") for side in ("lower", "higher")}


def speed(work: Work, costs: Costs) -> Chapter:
    """Set speed-ups, throughputs and fractions of bounds beside the paper's."""
    chapter, names = PAPER.chapter("figure-14"), timed(work)
    for name in names:
        _network(chapter, name, costs[name])
    for schedule, label in SCHEDULES.items():
        _means(work, chapter, costs, schedule, label)
    labels, members = {name: f"{name} (shapes alone)" for name in LARGE}, (*names, "mean")
    both = {f"speed-up/{schedule}": SCHEDULES[schedule] for schedule in ("aras", "adaptive")}
    rates, parts, bounds = (
        {f"{series}/{schedule}": label for schedule, label in SCHEDULES.items()}
        for series in ("throughput", "fraction", "bound")
    )
    seen = [name for name in names if name not in LARGE]
    above = "Latency / proven lower bound (1 cannot be beaten)"
    chapter.plot("figure-14-speed-up", "Speed-up over overlap", "times as fast", members, both, 1.0)
    chapter.plot("figure-14-throughput", "Throughput", "inferences a second", seen, rates)
    chapter.plot("figure-14-bound", above, "times the bound", names, bounds, 1.0)
    chapter.table("Speed-up over overlap", "network", members, both, labels)
    chapter.table("Throughput, inferences a second", "network", names, rates, labels)
    chapter.table("Part of the paper's upper bound of performance, %", "schedule", members, parts, turned=True)
    chapter.table("Latency / our proven lower bound", "network", members, bounds, labels)
    return chapter


def _network(chapter: Chapter, name: str, runs: Runs) -> None:
    for schedule, run in RUNS.items():
        measured, label = runs[run], SCHEDULES[schedule]
        if schedule != "overlap":
            factor = runs["banks"]["latency_s"] / measured["latency_s"]
            theirs = printed("speed-up").get(name) if schedule == "aras" else None
            _speed_up(chapter, schedule, name, factor, theirs, network=name)
        theirs = None if schedule == "overlap" else printed("throughput").get(name)
        rate, note = measured["per_s"], why(measured["per_s"], theirs, higher=_faster(schedule, runs))
        quantity = f"throughput of {label}"
        chapter.add(f"throughput/{schedule}", name, quantity, "1/s", rate, paper=theirs, note=note, network=name)
        part = 100 * measured["write_once_s"] / measured["latency_s"]
        chapter.add(f"fraction/{schedule}", name, FRACTION.format(label), "%", part, network=name)
        ratio = measured["latency_s"] / measured["bound_s"]
        chapter.add(f"bound/{schedule}", name, BOUND.format(label), "", ratio, network=name)


def _speed_up(
    chapter: Chapter, schedule: str, member: str, factor: float | None, theirs: float | None, over: str = "",
    network: str | None = None,
) -> None:  # fmt: skip
    note = "" if theirs is None else printed("speed-up").note(member, why(factor, theirs, **SPEED_UP))
    quantity = f"speed-up of {SCHEDULES[schedule]} over overlap{over}"
    chapter.add(f"speed-up/{schedule}", member, quantity, "", factor, paper=theirs, note=note, network=network)


def _means(work: Work, chapter: Chapter, costs: Costs, schedule: str, label: str) -> None:
    names = papers(work)
    if schedule != "overlap":
        factor = mean(chapter.ours(f"speed-up/{schedule}", names))
        theirs = given(work, "speed-up", "mean") if schedule == "aras" else None
        _speed_up(chapter, schedule, "mean", factor, theirs, f", mean of {counted(len(names), 'network')}")
    key = {"overlap": "fraction-baseline", "aras": "fraction-aras"}.get(schedule)
    theirs = given(work, key, "mean") if key is not None else None
    because = {} if theirs is None else _fraction_notes(names, costs)
    chapter.mean(f"fraction/{schedule}", names, FRACTION.format(label), "%", paper=theirs, because=because)
    chapter.mean(f"bound/{schedule}", names, BOUND.format(label), "")


def _faster(schedule: str, runs: Runs) -> str:
    """Say why throughput is higher than the paper's: lower, there is no reason known."""
    plain, measured = runs["banks"]["per_s"], runs[RUNS[schedule]]["per_s"]
    text = PAPER.says("faster", per_s=plain)
    return f"{text} {PAPER.says('faster-adaptive', times=measured / plain)}" if schedule == "adaptive" else text


def _fraction_notes(names: tuple[str, ...], costs: Costs) -> Mapping[str, str]:
    """Say what the paper's own throughputs are of this bound."""
    reached = printed("throughput")
    own = mean(
        None if (rate := reached.get(name)) is None else 100 * costs[name]["replication"]["write_once_s"] * rate
        for name in names
    )
    return {} if own is None else dict.fromkeys(("lower", "higher"), PAPER.says("fraction", own=own))
