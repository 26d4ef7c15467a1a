"""Figure 14: speed-ups by replication, throughput, and how far from what cannot be passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.aras.measure import LARGE, papers, timed
from mho.studies.aras.paper import printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

TEXT = (
    "Time of one inference, batch 1. The speed-up of schedule aras (Algorithm 1) and of adaptive (ours) over overlap, "
    "the paper's baseline scheduler, which makes no copies. The paper's upper bound is the time to write every weight "
    "once "
    "with all groups of the chip, read as blocks / groups x array write time, not rounded. Our lower bound is proven "
    "for any "
    "schedule (docs/bound.md)."
)


def speed(work: Work, costs: Costs) -> Chapter:
    """Set speed-ups, throughputs and fractions of bounds beside the paper's."""
    chapter = Chapter("figure-14", "Figure 14: performance", "Section VII-B", TEXT)
    names = timed(work)
    for name in names:
        _network(chapter, name, costs[name])
    _means(chapter, papers(work), costs, compared=not work.settings.quick)
    labels = {name: f"{name} (shapes alone)" for name in LARGE}
    both = {"speed-up/aras": "aras", "speed-up/adaptive": "adaptive (ours)"}
    chapter.plot("figure-14-speed-up", "Speed-up over overlap", "times as fast", (*names, "mean"), both, 1.0)
    chapter.plot(
        "figure-14-throughput",
        "Throughput",
        "inferences a second",
        [name for name in names if name not in LARGE],
        {"throughput/overlap": "overlap", "throughput/aras": "aras", "throughput/adaptive": "adaptive (ours)"},
    )
    chapter.plot(
        "figure-14-bound",
        "Latency / proven lower bound (1 cannot be beaten)",
        "times the bound",
        names,
        {f"bound/{each}": label for each, label in _SCHEDULES.items()},
        1.0,
    )
    chapter.table("Speed-up over overlap", "network", (*names, "mean"), both, labels)
    columns = {f"throughput/{each}": label for each, label in _SCHEDULES.items()}
    chapter.table("Throughput, inferences a second", "network", names, columns, labels)
    columns = {f"fraction/{each}": label for each, label in _SCHEDULES.items()}
    chapter.turned("Part of the paper's upper bound of performance, %", "schedule", columns, (*names, "mean"))
    columns = {f"bound/{each}": label for each, label in _SCHEDULES.items()}
    chapter.table("Latency / our proven lower bound", "network", (*names, "mean"), columns, labels)
    return chapter


_SCHEDULES = {"overlap": "overlap", "aras": "aras", "adaptive": "adaptive (ours)"}
_RUNS = {"overlap": "banks", "aras": "replication", "adaptive": "adaptive"}


def _network(chapter: Chapter, name: str, runs: Mapping[str, Mapping[str, Any]]) -> None:
    plain = runs["banks"]["latency_s"]
    paper, reached = printed("speed-up"), printed("throughput")
    for schedule, run in _RUNS.items():
        found = runs[run]
        label = _SCHEDULES[schedule]
        if schedule != "overlap":
            factor = plain / found["latency_s"]
            given = paper.get(name) if schedule == "aras" else None
            note = why(factor, given, **_SPEED_UP)
            chapter.add(
                f"speed-up/{schedule}",
                name,
                f"speed-up of {label} over overlap",
                "",
                factor,
                paper=given,
                note=paper.note(name, note) if given is not None else "",
                network=name,
            )
        given = None if schedule == "overlap" else reached.get(name)
        chapter.add(
            f"throughput/{schedule}",
            name,
            f"throughput of {label}",
            "1/s",
            found["per_s"],
            paper=given,
            note=why(found["per_s"], given, **_faster(schedule, runs)),
            network=name,
        )
        chapter.add(
            f"fraction/{schedule}",
            name,
            f"part of the paper's upper bound reached by {label}",
            "%",
            100 * found["write_once_s"] / found["latency_s"],
            network=name,
        )
        chapter.add(
            f"bound/{schedule}",
            name,
            f"latency of {label} / proven lower bound",
            "",
            found["latency_s"] / found["bound_s"],
            network=name,
        )


def _means(chapter: Chapter, names: tuple[str, ...], costs: Costs, *, compared: bool) -> None:
    for schedule, run in _RUNS.items():
        label = _SCHEDULES[schedule]
        found = [costs[name][run] for name in names]
        if schedule != "overlap":
            factor = mean(costs[name]["banks"]["latency_s"] / costs[name][run]["latency_s"] for name in names)
            paper = printed("speed-up")
            given = paper.get("mean") if compared and schedule == "aras" else None
            note = paper.note("mean", why(factor, given, **_SPEED_UP)) if given is not None else ""
            quantity = f"speed-up of {label} over overlap, mean of {counted(len(names), 'network')}"
            chapter.add(f"speed-up/{schedule}", "mean", quantity, "", factor, paper=given, note=note)
        fraction = mean(100 * each["write_once_s"] / each["latency_s"] for each in found)
        key = {"overlap": "fraction-baseline", "aras": "fraction-aras"}.get(schedule)
        given = printed(key).get("mean") if compared and key is not None else None
        quantity = f"part of the paper's upper bound reached by {label}, mean of {counted(len(names), 'network')}"
        note = why(fraction, given, **_fraction_notes(names, costs)) if given is not None else ""
        chapter.add(f"fraction/{schedule}", "mean", quantity, "%", fraction, paper=given, note=note)
        ratio = mean(each["latency_s"] / each["bound_s"] for each in found)
        quantity = f"latency of {label} / proven lower bound, mean of {counted(len(names), 'network')}"
        chapter.add(f"bound/{schedule}", "mean", quantity, "", ratio)


_SPEED_UP = {
    "lower": (
        "Our overlap is faster than the paper's baseline: it charges a window 96 cycles and nothing else, and frees a "
        "group as "
        "soon as its own block has served all windows, where the paper frees a whole layer; so there is less to gain."
    ),
    "higher": (
        "Algorithm 1, rebuilt from the text of Section V-B, hides more computing behind writing here than in the "
        "paper's run, in which a "
        "window seems to cost more than 96 cycles."
    ),
}


def _faster(schedule: str, runs: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """Say why throughput is higher than the paper's: lower, there is no reason known."""
    plain, found = runs["banks"]["per_s"], runs[_RUNS[schedule]]["per_s"]
    text = (
        f"Overlap alone, without a copy, reaches {plain:.1f}/s here: a window is charged 96 cycles and nothing else (Table "
        "II), and a group is free once its own block has served all windows; the paper's runs seem to carry a cost a window "
        "that it does not disclose."
    )
    if schedule == "adaptive":
        text += f" Copies that are searched for make it {found / plain:.2f} times as fast; the paper has Algorithm 1."
    return {"higher": text}


def _fraction_notes(names: tuple[str, ...], costs: Costs) -> Mapping[str, str]:
    """Say what the paper's own throughputs are of this bound."""
    reached = printed("throughput")
    own = mean(
        None if (rate := reached.get(name)) is None else 100 * costs[name]["replication"]["write_once_s"] * rate
        for name in names
    )
    if own is None:
        return {}
    text = (
        f"By this reading of its bound the paper's own throughputs are {own:.0f}% of it on average, not 88%: its "
        f"bound must "
        "count more than the array writes of all weights, and does not say what."
    )
    return {"lower": text, "higher": text}
