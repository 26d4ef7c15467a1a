"""Figure 13: write pulses with partial weight reuse, on synthetic and on real weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.aras.measure import Costs, papers, weighted
from mho.studies.aras.paper import PAPER, given
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

SERIES = {
    "alone": ("reuse", "replication", "reuse alone (BRW / BR)"),
    "copies": ("reuse", "baseline", "with all copies (BRW / baseline)"),
    "ours": ("adaptive", "baseline", "ours / baseline"),
}
"""On synthetic weights: the measurement, that which it is divided by, and what it is."""
REAL = {
    "real": ("auto", "a common centre"),
    "real-narrow": ("narrow", "a common centre, least significant cells narrowed"),
    "real-placed": ("placed", "a common centre, least significant cells narrowed, rows and columns placed"),
}
"""On real weights: the variant, and what it is."""


def pulses(work: Work, costs: Costs, real: Costs) -> Chapter:
    """Set the pulses that reuse saves beside the paper's mean."""
    chapter, names = PAPER.chapter("figure-13"), weighted(work)
    for name in names:
        runs = {configuration: run["writes"]["pulses"] for configuration, run in costs[name].items()}
        for series, (after, before, what) in SERIES.items():
            # A network that fits the chip is written once, and no inference writes.
            part = runs[after] / runs[before] if runs[before] else None
            note = "" if part is not None else PAPER.says("fits")
            chapter.add(series, name, f"write pulses, {what}", "", part, note=note, network=name)
    absent, spread = PAPER.says("one-fits"), mean(costs[name]["baseline"]["spread"] for name in papers(work))
    for series, (_, _, what) in SERIES.items():
        part = chapter.mean(series, papers(work), f"write pulses, {what}", "", absent=absent)
        saved = None if part is None else 100 * (1 - part)
        paper = given(work, "pulses-saved", "mean") if series == "alone" else None
        note = absent if saved is None else why(saved, paper, lower=PAPER.says("spread", levels=spread))
        quantity = f"write pulses saved, {what}, mean of {counted(len(papers(work)), 'network')}"
        chapter.add(f"saved-{series}", "mean", quantity, "%", saved, paper=paper, note=note)
    _real(chapter, real)
    members = (*names, "mean")
    labels = {"alone": "reuse alone", "copies": "BRW / baseline", "ours": "ours / baseline"}
    drawn = [member for member in members if None not in (chapter.ours(series, [member])[0] for series in SERIES)]
    chapter.plot("figure-13-synthetic", "Write pulses, synthetic weights", "of those without reuse", drawn, labels, 1.0)
    narrowed, placed = "and least cells narrowed (ours)", "and placed (ours)"
    trained, shown = {"real": "a common centre", "real-narrow": narrowed, "real-placed": placed}, (*real, "mean")
    chapter.plot("figure-13-real", "Write pulses, real weights", "of those without reuse", shown, trained, 1.0)
    chapter.table("Pulses of those without reuse, synthetic weights", "network", members, labels)
    chapter.table("Pulses of those without reuse, real weights", "network", shown, trained)
    return chapter


def _real(chapter: Chapter, real: Costs) -> None:
    if not real:
        note = PAPER.says("no-data")
        chapter.add("real", "mean", "write pulses, a common centre, real weights", "", None, note=note)
        return
    for series, (variant, what) in REAL.items():
        for name, runs in real.items():
            run = runs[variant]
            kept = f"{100 * run['kept']:.0f}% of cells keep their level."
            note = kept if variant == "placed" else _how(run, kept)
            part = run["pulses"] / runs["none"]["pulses"]
            chapter.add(series, name, f"write pulses, {what}", "", part, note=note, network=name)
        chapter.mean(series, tuple(real), f"write pulses, {what}", "")


def _how(run: Mapping[str, Any], kept: str) -> str:
    centre = "no shift" if run["centre"] is None else f"centre {run['centre']}"
    return (
        f"{counted(run['tiles'], 'tile')}, exceeded {run['exceeds']:.1f} times; {centre}, "
        f"{100 * run['clipped']:.2f}% of weights clipped, {kept}"
    )
