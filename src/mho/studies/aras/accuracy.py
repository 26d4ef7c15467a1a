"""Table III: accuracy lost by partial weight reuse, on the networks of which there are trained weights and samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.studies.aras.paper import NETWORKS, printed
from mho.studies.aras.pulses import NO_DATA
from mho.studies.chapter import Chapter
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

TEXT = (
    "Points of top-1 accuracy lost against the same 8-bit network without reuse, on all labelled samples that there "
    "are (the "
    "paper: top-1 on ImageNet, F1 on SQuAD). A negative loss is a gain. The paper's own networks have no trained "
    "weights here."
)
ABSENT = "No trained weights of this network can be had here; accuracy is only told from real weights and real samples."


def accuracy(work: Work, real: Costs) -> Chapter:
    """List the paper's losses, and measure those of the real networks."""
    chapter = Chapter("table-3", "Table III: accuracy lost", "Section VI", TEXT)
    if not work.settings.quick:
        for name in NETWORKS:
            paper = printed("accuracy-lost").get(name)
            chapter.add(
                "lost",
                name,
                "accuracy lost by partial weight reuse",
                "points",
                None,
                paper=paper,
                note=ABSENT,
                network=name,
            )
    if not real:
        chapter.add(
            "lost", "real", "accuracy lost by partial weight reuse, real networks", "points", None, note=NO_DATA
        )
    for series, variant, what in (
        ("lost", "auto", "a common centre"),
        ("lost-narrow", "narrow", "a common centre, least significant cells narrowed"),
    ):
        losses = []
        for name, runs in real.items():
            before, after = runs["none"], runs[variant]
            losses.append(100 * (before["right"] - after["right"]) / before["samples"])
            note = (
                f"{before['right']} of {before['samples']} right without reuse, {after['right']} with; centre chosen "
                f"on "
                f"{after['judges']}{', the very samples that are counted' if after['judged_on_the_same'] else ''}."
            )
            chapter.add(series, name, f"accuracy lost, {what}", "points", losses[-1], note=note, network=name)
        if losses:
            chapter.add(
                series,
                "mean",
                f"accuracy lost, {what}, mean of {counted(len(losses), 'network')}",
                "points",
                mean(losses),
            )
    columns = {"lost": "a common centre", "lost-narrow": "and least cells narrowed (ours)"}
    chapter.plot("table-3-real", "Accuracy lost on real networks", "points of top-1 accuracy", (*real, "mean"), columns)
    chapter.table(
        "Accuracy lost, points", "network", (*NETWORKS, "real", *real, "mean"), columns, {"real": "real networks"}
    )
    return chapter
