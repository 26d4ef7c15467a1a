"""Figure 15: energy by configuration and kind, and what each technique saves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mho.studies.aras.measure import ALL, papers, weighted
from mho.studies.aras.paper import printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

KINDS = ("compute", "write", "static", "memory")
TEXT = (
    "Energy of one inference, normalised to the baseline's of the same network. Configurations as in Section VI: "
    "baseline "
    "(15 equal banks, overlap), B (banks of unequal size, chosen by integer program), BR (with replication by "
    "Algorithm 1), BRW "
    "(with partial weight reuse), and ours (adaptive, with all of that; copies searched for time, or for energy). "
    "Weights are "
    "seeded, hence synthetic. A saving is in percent of the baseline's energy, so that savings add up."
)
STEPS = {
    "banks": ("baseline", "banks", "bank selection (B)"),
    "replication": ("banks", "replication", "replication (R)"),
    "reuse": ("replication", "reuse", "partial weight reuse (W)"),
    "all": ("baseline", "reuse", "all three (BRW)"),
    "adaptive": ("baseline", "adaptive", "ours"),
    "frugal": ("baseline", "frugal", "ours, for energy"),
}


def energy(work: Work, costs: Costs) -> Chapter:
    """Set the energy of each configuration, and what each step saves, beside the paper's means."""
    chapter = Chapter("figure-15", "Figure 15: energy", "Section VII-C", TEXT)
    names = weighted(work)
    for name in names:
        runs = costs[name]
        base = runs["baseline"]["energy_j"]
        chapter.add("joules", name, "energy of an inference, baseline", "J", base, network=name)
        for configuration in ALL:
            found = runs[configuration.name]
            what = f"energy of {configuration.label}, of the baseline's"
            chapter.add(configuration.name, name, what, "", found["energy_j"] / base, network=name)
            for kind in KINDS:
                series = f"{configuration.name}/{kind}"
                chapter.add(series, name, f"{what}: {kind}", "", found["kinds_j"][kind] / base, network=name)
        for step, (_, _, label) in STEPS.items():
            chapter.add(f"saving/{step}", name, f"saved by {label}", "%", _saved(runs, step), network=name)
    _means(chapter, papers(work), costs, compared=not work.settings.quick)
    stacks = {each.name: each.label for each in ALL}
    chapter.stacked(
        "figure-15-energy", "Energy by configuration", "of the baseline's energy", names, stacks, KINDS, 1.0
    )
    steps = {f"saving/{step}": STEPS[step][2] for step in STEPS}
    chapter.plot("figure-15-savings", "Energy saved", "% of the baseline's energy", (*papers(work), "mean"), steps)
    chapter.turned("Saved, % of the baseline's energy", "by", steps, (*names, "mean", "largest"))
    chapter.table(
        "Energy of each configuration, of the baseline's", "network", names, {"joules": "baseline, J", **stacks}
    )
    for configuration in ALL:
        columns = {f"{configuration.name}/{kind}": kind for kind in KINDS}
        chapter.table(f"{configuration.label}: kinds, of the baseline's energy", "network", names, columns)
    return chapter


def _saved(runs: Mapping[str, Mapping[str, Any]], step: str) -> float:
    before, after, _ = STEPS[step]
    saved: float = 100 * (runs[before]["energy_j"] - runs[after]["energy_j"]) / runs["baseline"]["energy_j"]
    return saved


def _means(chapter: Chapter, names: tuple[str, ...], costs: Costs, *, compared: bool) -> None:
    over = f"mean of {counted(len(names), 'network')}"
    for step, (_, _, label) in STEPS.items():
        saved = mean(_saved(costs[name], step) for name in names)
        paper = printed(f"saving-{step}").get("mean") if compared and step in _REASONS else None
        note = "" if paper is None else why(saved, paper, lower=_less(step, names, costs))
        chapter.add(f"saving/{step}", "mean", f"saved by {label}, {over}", "%", saved, paper=paper, note=note)
    largest = max(_saved(costs[name], "all") for name in names)
    paper = printed("saving-largest").get("largest") if compared else None
    note = "" if paper is None else why(largest, paper, lower=_less("all", names, costs))
    chapter.add("saving/all", "largest", "saved by all three (BRW), largest", "%", largest, paper=paper, note=note)


def _by_kind(step: str, names: tuple[str, ...], costs: Costs) -> dict[str, float]:
    """Return the mean change of each kind of energy in a step, in % of the baseline's energy."""
    before, after, _ = STEPS[step]
    return {
        kind: math.fsum(
            100
            * (costs[name][after]["kinds_j"][kind] - costs[name][before]["kinds_j"][kind])
            / costs[name]["baseline"]["energy_j"]
            for name in names
        )
        / len(names)
        for kind in KINDS
    }


def _share(kind: str, names: tuple[str, ...], costs: Costs) -> float:
    """Return the mean part that a kind has in the baseline's energy, in %."""
    parts = [100 * costs[name]["baseline"]["kinds_j"][kind] / costs[name]["baseline"]["energy_j"] for name in names]
    return math.fsum(parts) / len(parts)


def _less(step: str, names: tuple[str, ...], costs: Costs) -> str:
    """Say what a step changed, kind by kind, and why that saves less than in the paper."""
    changes = ", ".join(f"{kind} {change:+.1f}%" for kind, change in _by_kind(step, names, costs).items())
    return f"By kind, in % of the baseline's energy: {changes}. {_REASONS[step](names, costs)}"


def _banks(names: tuple[str, ...], costs: Costs) -> str:
    leaks = [100 * costs[name]["baseline"]["buffer_static_j"] / costs[name]["baseline"]["energy_j"] for name in names]
    text = (
        f"The baseline's buffer, its unused banks gated, leaks only {math.fsum(leaks) / len(leaks):.1f}% of its energy, so "
        "choosing banks can save little of it."
    )
    if _by_kind("banks", names, costs)["compute"] > 0.1:
        text += " Against that stands that a byte costs more in a larger bank (2 MiB, not 256 KiB)."
    return text


def _replication(names: tuple[str, ...], costs: Costs) -> str:
    return (
        f"Static energy is {_share('static', names, costs):.0f}% of our baseline's, so shorter runs save less (the "
        f"paper says that it "
        "is quite high in CNNs, and gives no figure); BERT has no copies; and each copy is written, and fetched from "
        "memory."
    )


def _reuse(names: tuple[str, ...], costs: Costs) -> str:
    return (
        f"Writing is {_share('write', names, costs):.0f}% of our baseline's energy, where the paper's 11% for 17% "
        f"fewer pulses mean about "
        "65%; and synthetic weights save fewer pulses than the paper's (Figure 13)."
    )


def _all(names: tuple[str, ...], costs: Costs) -> str:
    return (
        f"Memory, which no technique saves, is {_share('memory', names, costs):.0f}% of our baseline's energy, and "
        f"the paper does not "
        "name it; the rest is told for each technique."
    )


_REASONS = {"banks": _banks, "replication": _replication, "reuse": _reuse, "all": _all}
