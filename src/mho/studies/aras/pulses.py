"""Figure 13: write pulses with partial weight reuse, on synthetic and on real weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.aras.measure import papers, weighted
from mho.studies.aras.paper import printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

TEXT = (
    "Write pulses of one inference in steady state, as the program's own writes cost them, all copies and parts "
    "included, of "
    "those without reuse. Reuse alone is BRW against BR, the same instructions with other codes. BRW / baseline "
    "includes what the "
    "copies cost, of which the baseline makes none; so does ours / baseline, adaptive with reuse. The zoo's weights "
    "are seeded, "
    "hence synthetic; the real ones are trained networks of other kinds than the paper's, under schedule overlap on "
    "ARAS cut "
    "down so that each exceeds it about three times. Narrowed (ours): the least significant cells keep to half of "
    "their levels; placed "
    "(ours): rows and columns stand where they overwrite what is most alike."
)
NO_DATA = "No real data were given to this run (--data FOLDER, or MHO_DATA)."


def pulses(work: Work, costs: Costs, real: Costs) -> Chapter:
    """Set the pulses that reuse saves beside the paper's mean."""
    chapter = Chapter("figure-13", "Figure 13: write pulses", "Section VII-A", TEXT)
    names = weighted(work)
    for name in names:
        runs = {each: found["writes"]["pulses"] for each, found in costs[name].items()}
        for series, (after, before, what) in _SERIES.items():
            # A network that fits the chip is written once, and no inference writes.
            part = runs[after] / runs[before] if runs[before] else None
            note = "" if part is not None else "The whole network fits the chip: no inference writes."
            chapter.add(series, name, f"write pulses, {what}", "", part, note=note, network=name)
    _means(chapter, papers(work), costs, compared=not work.settings.quick)
    _real(chapter, real)
    members = (*names, "mean")
    labels = {"alone": "reuse alone", "copies": "BRW / baseline", "ours": "ours / baseline"}
    drawn = [each for each in members if all(row.ours is not None for row in _rows(chapter, each))]
    chapter.plot("figure-13-synthetic", "Write pulses, synthetic weights", "of those without reuse", drawn, labels, 1.0)
    real_labels = {
        "real": "a common centre",
        "real-narrow": "and least cells narrowed (ours)",
        "real-placed": "and placed (ours)",
    }
    chapter.plot(
        "figure-13-real", "Write pulses, real weights", "of those without reuse", (*real, "mean"), real_labels, 1.0
    )
    chapter.table("Pulses of those without reuse, synthetic weights", "network", members, labels)
    chapter.table("Pulses of those without reuse, real weights", "network", (*real, "mean"), real_labels)
    return chapter


_SERIES = {
    "alone": ("reuse", "replication", "reuse alone (BRW / BR)"),
    "copies": ("reuse", "baseline", "with all copies (BRW / baseline)"),
    "ours": ("adaptive", "baseline", "ours / baseline"),
}


def _rows(chapter: Chapter, member: str) -> list[Any]:
    found = [chapter.id(series, member) for series in _SERIES]
    return [chapter.rows[each] for each in found if each is not None]


def _means(chapter: Chapter, names: tuple[str, ...], costs: Costs, *, compared: bool) -> None:
    paper = printed("pulses-saved").get("mean") if compared else None
    over = f"mean of {counted(len(names), 'network')}"
    for series, (_, _, what) in _SERIES.items():
        part = mean(chapter.rows[f"figure-13/{series}/{name}"].ours for name in names)
        note = "" if part is not None else "A network of the mean fits the chip: no inference writes."
        chapter.add(series, "mean", f"write pulses, {what}, {over}", "", part, note=note)
        saved = None if part is None else 100 * (1 - part)
        given = paper if series == "alone" else None
        chapter.add(
            f"saved-{series}",
            "mean",
            f"write pulses saved, {what}, {over}",
            "%",
            saved,
            paper=given,
            note=why(saved, given, lower=_fewer(names, costs)) or note,
        )


def _fewer(names: tuple[str, ...], costs: Costs) -> str:
    """Say why synthetic weights save less than trained ones."""
    found = mean(costs[name]["baseline"]["spread"] for name in names)
    assert found is not None
    return (
        f"The weights are synthetic: drawn normal, their codes spread {found:.0f} levels (standard deviation) around a "
        "middle that all layers share anyhow. Large trained networks have a few large weights, so that the codes of the "
        "others lie closer together: those of the trained stages of ResNet-50 v2 spread 9 levels and save more than the "
        "paper's mean (docs/reuse.md)."
    )


def _real(chapter: Chapter, real: Costs) -> None:
    if not real:
        chapter.add("real", "mean", "write pulses, a common centre, real weights", "", None, note=NO_DATA)
        return
    for series, (variant, what) in _REAL.items():
        parts = []
        for name, runs in real.items():
            parts.append(runs[variant]["pulses"] / runs["none"]["pulses"])
            kept = f"{100 * runs[variant]['kept']:.0f}% of cells keep their level."
            note = kept if variant == "placed" else _how(runs[variant], kept)
            chapter.add(series, name, f"write pulses, {what}", "", parts[-1], note=note, network=name)
        over = f"mean of {counted(len(parts), 'network')}"
        chapter.add(series, "mean", f"write pulses, {what}, {over}", "", mean(parts))


_REAL = {
    "real": ("auto", "a common centre"),
    "real-narrow": ("narrow", "a common centre, least significant cells narrowed"),
    "real-placed": ("placed", "a common centre, least significant cells narrowed, rows and columns placed"),
}


def _how(found: Mapping[str, Any], kept: str) -> str:
    centre = "no shift" if found["centre"] is None else f"centre {found['centre']}"
    return (
        f"{counted(found['tiles'], 'tile')}, exceeded {found['exceeds']:.1f} times; {centre}, "
        f"{100 * found['clipped']:.2f}% of weights clipped, {kept}"
    )
