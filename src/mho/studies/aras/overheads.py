"""Section VII-F: what the techniques cost."""

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

TEXT = "Weights written more because of copies, and what the banks of unequal size add to the chip."
KIBIBYTE = 1024


def overheads(work: Work, costs: Costs) -> Chapter:
    """Set overheads beside the paper's."""
    chapter = Chapter("overheads", "Overheads", "Section VII-F", TEXT)
    names = weighted(work)
    compared = not work.settings.quick
    for schedule, run, label in (("aras", "replication", "aras"), ("adaptive", "adaptive", "adaptive (ours)")):
        for name in names:
            added = _added(costs[name], run)
            note = "" if added is not None else "The whole network fits the chip: no inference writes."
            chapter.add(f"weights/{schedule}", name, f"weights written more by {label} than by overlap", "%", added,
                        note=note, network=name)  # fmt: skip
        added = mean(_added(costs[name], run) for name in papers(work))
        paper = printed("weights-written").get("mean") if compared and schedule == "aras" else None
        reason = _copies(papers(work), costs) if paper is not None else ""
        note = why(added, paper, higher=reason, lower=reason)
        if added is None:
            note = "A network of the mean fits the chip: no inference writes."
        quantity = f"weights written more by {label} than by overlap, mean of {counted(len(papers(work)), 'network')}"
        chapter.add(f"weights/{schedule}", "mean", quantity, "%", added, paper=paper, note=note)
    _chip(chapter, costs[names[0]], compared=compared)
    columns = {"weights/aras": "aras", "weights/adaptive": "adaptive (ours)"}
    chapter.plot("overheads-weights", "Weights written more than by overlap", "%", (*names, "mean"), columns)
    chapter.table("Weights written more than by overlap, %", "network", (*names, "mean"), columns)
    return chapter


def _added(runs: Mapping[str, Mapping[str, Any]], run: str) -> float | None:
    plain, copied = runs["banks"]["writes"]["addressed"], runs[run]["writes"]["addressed"]
    return 100 * (copied / plain - 1) if plain else None


def _chip(chapter: Chapter, runs: Mapping[str, Mapping[str, Any]], *, compared: bool) -> None:
    before, after = runs["baseline"], runs["banks"]
    added = after["buffer_bytes"] - before["buffer_bytes"]
    part = 100 * added / before["buffer_bytes"]
    area = 100 * (after["area_m2"] / before["area_m2"] - 1)
    given = printed("buffer-added").get("chip") if compared else None
    chapter.add("buffer", "chip", "global buffer added by banks of unequal size", "KiB", added / KIBIBYTE, paper=given)
    given = printed("buffer-added-part").get("chip") if compared else None
    chapter.add("buffer-part", "chip", "global buffer added, of the baseline's", "%", part, paper=given)
    limit = "The paper gives a limit, less than 1.5%, and no figure; ours "
    note = limit + ("keeps it." if area < 1.5 else "exceeds it: our buffer is a larger part of the chip.")
    chapter.add("area", "chip", "chip area added by banks of unequal size", "%", area, note=note)


def _copies(names: tuple[str, ...], costs: Costs) -> str:
    """Say where the copies are."""
    added = {name: _added(costs[name], "replication") or 0.0 for name in names}
    listed = ", ".join(f"{name} {value:.1f}%" for name, value in added.items())
    return (
        f"By network: {listed}. Algorithm 1 is rebuilt from the text of Section V-B, and copies reach as far as its "
        f"wording goes."
    )
