"""Section VII-F: what the techniques cost."""

from __future__ import annotations

from mho.studies.aras.measure import Costs, Runs, papers, weighted
from mho.studies.aras.paper import PAPER, SCHEDULES, given
from mho.studies.chapter import Chapter
from mho.studies.work import Work

KIBIBYTE = 1024
RUNS = {"aras": "replication", "adaptive": "adaptive"}


def overheads(work: Work, costs: Costs) -> Chapter:
    """Set overheads beside the paper's."""
    chapter, names = PAPER.chapter("overheads"), weighted(work)
    for schedule, run in RUNS.items():
        quantity = f"weights written more by {SCHEDULES[schedule]} than by overlap"
        for name in names:
            added = _added(costs[name], run)
            note = "" if added is not None else PAPER.says("fits")
            chapter.add(f"weights/{schedule}", name, quantity, "%", added, note=note, network=name)
        paper = given(work, "weights-written", "mean") if schedule == "aras" else None
        because = dict.fromkeys(("higher", "lower"), _copies(papers(work), costs))
        absent = PAPER.says("one-fits")
        chapter.mean(f"weights/{schedule}", papers(work), quantity, "%", paper=paper, because=because, absent=absent)
    _chip(work, chapter, costs[names[0]])
    columns, members = {f"weights/{schedule}": SCHEDULES[schedule] for schedule in RUNS}, (*names, "mean")
    chapter.plot("overheads-weights", "Weights written more than by overlap", "%", members, columns)
    chapter.table("Weights written more than by overlap, %", "network", members, columns)
    return chapter


def _added(runs: Runs, run: str) -> float | None:
    plain, copied = runs["banks"]["writes"]["addressed"], runs[run]["writes"]["addressed"]
    return 100 * (copied / plain - 1) if plain else None


def _chip(work: Work, chapter: Chapter, runs: Runs) -> None:
    before, after = runs["baseline"], runs["banks"]
    added = after["buffer_bytes"] - before["buffer_bytes"]
    for series, quantity, unit, ours in (
        ("buffer", "global buffer added by banks of unequal size", "KiB", added / KIBIBYTE),
        ("buffer-part", "global buffer added, of the baseline's", "%", 100 * added / before["buffer_bytes"]),
    ):
        paper = given(work, series.replace("buffer", "buffer-added"), "chip")
        chapter.add(series, "chip", quantity, unit, ours, paper=paper)
    area = 100 * (after["area_m2"] / before["area_m2"] - 1)
    note = PAPER.says("area", ours=PAPER.says("area-kept" if area < 1.5 else "area-exceeded"))
    chapter.add("area", "chip", "chip area added by banks of unequal size", "%", area, note=note)


def _copies(names: tuple[str, ...], costs: Costs) -> str:
    """Say where the copies are."""
    added = {name: _added(costs[name], "replication") or 0.0 for name in names}
    return PAPER.says("copies", added=", ".join(f"{name} {value:.1f}%" for name, value in added.items()))
