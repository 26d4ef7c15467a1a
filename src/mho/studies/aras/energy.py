"""Figure 15: energy by configuration and kind, and what each technique saves."""

from __future__ import annotations

import math

from mho.studies.aras.measure import ALL, Costs, Runs, papers, weighted
from mho.studies.aras.paper import PAPER, given
from mho.studies.chapter import Chapter, why
from mho.studies.work import Work

KINDS = ("compute", "write", "static", "memory")
STEPS = {
    "banks": ("baseline", "banks", "bank selection (B)"),
    "replication": ("banks", "replication", "replication (R)"),
    "reuse": ("replication", "reuse", "partial weight reuse (W)"),
    "all": ("baseline", "reuse", "all three (BRW)"),
    "adaptive": ("baseline", "adaptive", "ours"),
    "frugal": ("baseline", "frugal", "ours, for energy"),
}
"""From which configuration to which a saving is, and by what; the paper has the first four."""


def energy(work: Work, costs: Costs) -> Chapter:
    """Set the energy of each configuration, and what each step saves, beside the paper's means."""
    chapter, names = PAPER.chapter("figure-15"), weighted(work)
    for name in names:
        runs = costs[name]
        base = runs["baseline"]["energy_j"]
        chapter.add("joules", name, "energy of an inference, baseline", "J", base, network=name)
        for configuration in ALL:
            run = runs[configuration.name]
            what = f"energy of {configuration.label}, of the baseline's"
            chapter.add(configuration.name, name, what, "", run["energy_j"] / base, network=name)
            for kind in KINDS:
                series, part = f"{configuration.name}/{kind}", run["kinds_j"][kind] / base
                chapter.add(series, name, f"{what}: {kind}", "", part, network=name)
        for step, (_, _, label) in STEPS.items():
            chapter.add(f"saving/{step}", name, f"saved by {label}", "%", _saved(runs, step), network=name)
    _means(work, chapter, costs)
    stacks, steps = (
        {configuration.name: configuration.label for configuration in ALL},
        {f"saving/{step}": label for step, (_, _, label) in STEPS.items()},
    )
    of, members = "of the baseline's energy", (*names, "mean", "largest")
    chapter.plot("figure-15-energy", "Energy by configuration", of, names, stacks, 1.0, KINDS)
    chapter.plot("figure-15-savings", "Energy saved", f"% {of}", (*papers(work), "mean"), steps)
    chapter.table("Saved, % of the baseline's energy", "by", members, steps, turned=True)
    columns = {"joules": "baseline, J", **stacks}
    chapter.table("Energy of each configuration, of the baseline's", "network", names, columns)
    for configuration in ALL:
        columns = {f"{configuration.name}/{kind}": kind for kind in KINDS}
        chapter.table(f"{configuration.label}: kinds, of the baseline's energy", "network", names, columns)
    return chapter


def _saved(runs: Runs, step: str) -> float:
    before, after, _ = STEPS[step]
    saved: float = 100 * (runs[before]["energy_j"] - runs[after]["energy_j"]) / runs["baseline"]["energy_j"]
    return saved


def _means(work: Work, chapter: Chapter, costs: Costs) -> None:
    names = papers(work)
    for step, (_, _, label) in STEPS.items():
        paper = given(work, f"saving-{step}", "mean") if step in ("banks", "replication", "reuse", "all") else None
        because = {} if paper is None else {"lower": _less(step, names, costs)}
        chapter.mean(f"saving/{step}", names, f"saved by {label}", "%", paper=paper, because=because)
    largest = max(_saved(costs[name], "all") for name in names)
    paper = given(work, "saving-largest", "largest")
    note = "" if paper is None else why(largest, paper, lower=_less("all", names, costs))
    chapter.add("saving/all", "largest", "saved by all three (BRW), largest", "%", largest, paper=paper, note=note)


def _share(names: tuple[str, ...], costs: Costs, run: str, kind: str) -> float:
    """Return the mean part that a kind of a configuration's energy is of the baseline's energy, in %."""
    parts = [100 * costs[name][run]["kinds_j"][kind] / costs[name]["baseline"]["energy_j"] for name in names]
    return math.fsum(parts) / len(parts)


def _by_kind(step: str, names: tuple[str, ...], costs: Costs) -> dict[str, float]:
    """Return the mean change of each kind of energy in a step, in % of the baseline's energy."""
    before, after, _ = STEPS[step]

    def change(name: str, kind: str) -> float:
        changed: float = costs[name][after]["kinds_j"][kind] - costs[name][before]["kinds_j"][kind]
        return 100 * changed / float(costs[name]["baseline"]["energy_j"])

    return {kind: math.fsum(change(name, kind) for name in names) / len(names) for kind in KINDS}


def _less(step: str, names: tuple[str, ...], costs: Costs) -> str:
    """Say what a step changed, kind by kind, and why that saves less than in the paper."""
    changes = _by_kind(step, names, costs)
    bases = [costs[name]["baseline"] for name in names]
    values = {kind: _share(names, costs, "baseline", kind) for kind in KINDS}
    values["leaks"] = math.fsum(100 * base["buffer_static_j"] / base["energy_j"] for base in bases) / len(bases)
    listed = ", ".join(f"{kind} {change:+.1f}%" for kind, change in changes.items())
    text = f"{PAPER.says('saved', changes=listed)} {PAPER.says(f'saved-{step}', **values)}"
    return f"{text} {PAPER.says('saved-banks-larger')}" if step == "banks" and changes["compute"] > 0.1 else text
