"""Time and energy beside other designs, processors and memories, and idea by idea."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mho.studies.chapter import Chapter, Measured, why
from mho.studies.recross.paper import PAPER

LABELS = PAPER.labels("designs")


def figure(service: Mapping[str, Any], what: str) -> float:
    """Return the mean time of a batch, or the energy of a query."""
    return float(service["batch_s"]["mean"] if what == "time" else service["query_j"])


def gain(services: Mapping[str, Any], of: str, over: str, what: str) -> float:
    """Return by how many times a design takes less than another."""
    return figure(services[over], what) / figure(services[of], what)


def against(measured: Measured, real: tuple[str, ...]) -> Chapter:
    """Set every design's time and energy side by side, and the gains beside the paper's."""
    chapter = PAPER.chapter("against")
    for name, runs in measured.items():
        for design, label in LABELS.items():
            service = runs[design]
            for series, quantity, unit, value in (
                ("time", "time of a batch, mean", "s", service["batch_s"]["mean"]),
                ("p99", "time of a batch, 99th percentile", "s", service["batch_s"]["p99"]),
                ("energy", "energy of a query", "J", service["query_j"]),
                ("parts", "activations of a bag", "activations", service["per_bag"]),
                ("area", "area", "m²", service["area_m2"]),
                ("bound", "time over its lower bound", "times", service["bound_ratio"]),
            ):
                chapter.add(f"{series}/{design}", name, f"{quantity}, {label}", unit, value, network=name)
    _gains(chapter, measured, real)
    chapter.tables(PAPER.labels("figures"), "trace", list(measured), LABELS)
    return chapter


SIDES = {
    (what, over): (PAPER.says(f"{what}-{over}-higher"), PAPER.says(f"{what}-{over}-lower"))
    for what, over in (
        ("time", "nmars"), ("time", "nmars-whole"), ("energy", "nmars"), ("energy", "nmars-whole"), ("energy", "naive"),
    )
}  # fmt: skip
"""Why a gain is above the paper's, and why below, by what is gained and over what."""
PAIRS = PAPER.labels("gains")
"""Gains that are told: of which design, over which."""


def _gains(chapter: Chapter, measured: Measured, real: tuple[str, ...]) -> None:
    for what in ("time", "energy"):
        for pair, label in PAIRS.items():
            of, over = pair.split("/")
            series, quantity = f"{what}-gain/{pair}", f"times less {what}, {label}"
            for name, runs in measured.items():
                chapter.add(series, name, quantity, "times", gain(runs, of, over, what), network=name)
            if real:
                gains = [gain(measured[name], of, over, what) for name in real]
                mean = float(np.exp(np.mean([np.log(factor) for factor in gains])))
                key = {"nmars": what, "nmars-whole": what, "naive": "energy_naive" if what == "energy" else ""}.get(
                    over
                )
                paper = PAPER.printed(key).get("mean") if key else None
                higher, lower = SIDES.get((what, over), ("", ""))
                note = why(mean, paper, higher=higher, lower=lower)
                chapter.add(series, "mean", f"{quantity}, mean of real traces", "times", mean, paper=paper, note=note)
        title, members = f"Times less {what}", (*measured, *(["mean"] if real else []))
        chapter.table(title, "trace", members, {f"{what}-gain/{pair}": label for pair, label in PAIRS.items()})
        drawn = {f"{what}-gain/{pair}": label for pair, label in PAIRS.items() if pair.endswith(("nmars", "naive"))}
        chapter.plot(f"against-{what}", title, "times", members, drawn, 1.0)


STAGES = {"published": ("groups", "copies", "modes"), "ours": ("groups", "copies", "modes", "tiles")}
"""What is added to the naive mapping."""


def ideas(measured: Measured) -> Chapter:
    """Show what each of the three ideas adds."""
    chapter, ways = PAPER.chapter("ideas"), {"published": "as published", "ours": "ours"}
    for name, runs in measured.items():
        for way, label in ways.items():
            base, *added = runs[way]
            for stage, design in zip(STAGES[way], added, strict=True):
                for what in ("time", "energy"):
                    less = figure(base, what) / figure(design, what)
                    quantity = f"times less {what} than naive with {design['name']}, {label}"
                    chapter.add(f"{what}/{way}/{stage}", name, quantity, "times", less, network=name)
    for what in ("time", "energy"):
        columns = {
            f"{what}/{way}/{stage}": f"{stage if stage == 'groups' else '+ ' + stage}, {label}"
            for way, label in ways.items()
            for stage in STAGES[way]
        }
        chapter.table(f"Times less {what} than naive", "trace", list(measured), columns)
        chapter.plot(f"ideas-{what}", f"Times less {what} than naive", "times", list(measured), columns, 1.0)
    return chapter


PROCESSORS = {"cpu": "embedding_bag here", "gpu": "GPU memory (roofline)", "dram": "DRAM channel (roofline)"}


def processors(measured: Measured, designs: Measured) -> Chapter:
    """Set ours beside processors and memories."""
    chapter, paper = PAPER.chapter("processors"), PAPER.printed("processors").get("mean")
    because = {side: PAPER.says(f"processors-{side}") for side in ("higher", "lower")}
    for name, runs in measured.items():
        ours = designs[name]["ours"]
        for which, label in PROCESSORS.items():
            longer = runs[which]["batch_s"] / figure(ours, "time")
            chapter.add(f"time/{which}", name, f"times as long, {label}", "times", longer, network=name)
            if "query_j" in runs[which]:
                more = runs[which]["query_j"] / figure(ours, "energy")
                quantity = f"times the energy of a query, {label}"
                note = why(more, paper, **because)
                chapter.add(f"energy/{which}", name, quantity, "times", more, paper=paper, note=note, network=name)
    chapter.tables(
        {"time": "Times as long as ours", "energy": "Times the energy of ours"}, "trace", list(measured), PROCESSORS
    )
    return chapter
