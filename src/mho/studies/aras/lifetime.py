"""Table IV: how long the cells live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.machine.endurance import SECONDS_PER_YEAR
from mho.studies.aras.measure import (
    ENDURANCE,
    ENDURANCE_REAL_TIME,
    REAL_TIME_ELSE_PER_S,
    REAL_TIME_PER_S,
    Costs,
    papers,
    weighted,
)
from mho.studies.aras.paper import CHIPS, PAPER, RUNS, given, printed
from mho.studies.chapter import Chapter, why
from mho.studies.work import Work

ROWS = {"real-time": "real time", "most": "highest throughput"}
TITLES = {"real-time": "Real time, 1e11 writes a cell", "most": "Highest throughput, 1e12 writes a cell"}


def lifetime(work: Work, costs: Costs) -> Chapter:
    """Set lifetimes beside Table IV."""
    chapter, names = PAPER.chapter("table-4"), weighted(work)
    for name in names:
        for schedule, run in RUNS.items():
            _network(chapter, name, schedule, costs[name][run])
    because = dict.fromkeys(("higher", "lower"), PAPER.says("years-mean"))
    for row in ROWS:
        for schedule in RUNS:
            paper = given(work, f"lifetime-{row}", "mean") if schedule == "aras" else None
            chapter.mean(
                f"{row}/{schedule}", papers(work), _years(row, schedule), "years", paper=paper, because=because,
                absent=PAPER.says("one-fits"),
            )  # fmt: skip
    members = (*names, "mean")
    for row, title in TITLES.items():
        columns = {f"{row}/{schedule}": CHIPS[schedule] for schedule in RUNS}
        drawn = [member for member in members if None not in (chapter.ours(series, [member])[0] for series in columns)]
        chapter.plot(f"table-4-{row}", f"{title}: years of the average cell", "years", drawn, columns)
        chapter.table(f"{title}, average cell: years", "network", members, columns)
    worst = {"worst/aras": "as it is", "levelled/aras": "with wear levelling"}
    chapter.table("Highest throughput, 1e12 writes, ARAS (BRW): years of the worst cell", "network", names, worst)
    return chapter


def _years(row: str, schedule: str) -> str:
    return f"lifetime of the average cell, {CHIPS[schedule]}, {ROWS[row]}"


def _network(chapter: Chapter, name: str, schedule: str, record: Mapping[str, Any]) -> None:
    years, rate = record["years"], REAL_TIME_PER_S.get(name, REAL_TIME_ELSE_PER_S)
    # Lifetimes go with the endurance and against the rate.
    scales = {"real-time": ENDURANCE_REAL_TIME / ENDURANCE * record["per_s"] / rate, "most": 1.0}
    for row, scale in scales.items():
        ours = None if years["mean"] is None else years["mean"] * scale
        theirs = printed(f"lifetime-{row}").get(name) if schedule == "aras" else None
        reason = _reason(row, name, record)
        notes = [why(ours, theirs, higher=reason, lower=reason)]
        if row == "real-time" and rate > record["per_s"]:
            notes.append(PAPER.says("slow", rate=rate, per_s=record["per_s"]))
        if ours is None:
            notes.append(PAPER.says("fits"))
        note = " ".join(note for note in notes if note)
        quantity = _years(row, schedule)
        chapter.add(f"{row}/{schedule}", name, quantity, "years", ours, paper=theirs, note=note, network=name)
    if schedule == "aras":
        for which, what in (("worst", "worst cell"), ("levelled", "worst cell with wear levelling")):
            note = "" if years[which] is not None else PAPER.says("fits")
            quantity = f"lifetime of the {what}, highest throughput"
            chapter.add(f"{which}/aras", name, quantity, "years", years[which], note=note, network=name)


def _reason(row: str, name: str, record: Mapping[str, Any]) -> str:
    """Say what writes per cell the two figures mean: a lifetime is endurance / (writes x rate)."""
    years, paper, reached = record["years"], printed(f"lifetime-{row}").get(name), printed("throughput").get(name)
    if years["mean"] is None or paper is None or reached is None:
        return ""
    endurance = ENDURANCE_REAL_TIME if row == "real-time" else ENDURANCE
    ours_per_s = REAL_TIME_PER_S[name] if row == "real-time" else record["per_s"]
    # The paper's BERT-Large cannot run at the 100 inferences a second that its table is for.
    theirs_per_s = min(REAL_TIME_PER_S[name], reached) if row == "real-time" else reached
    implied = endurance / (paper * SECONDS_PER_YEAR * theirs_per_s)
    writes = record["writes"]["addressed_per_cell_mean"]
    scale = endurance / ENDURANCE * record["per_s"] / ours_per_s
    whole = years["levelled"] * scale
    texts = [PAPER.says("years", writes=writes, per_s=ours_per_s, implied=implied, theirs=theirs_per_s)]
    if abs(whole - years["mean"] * scale) > 0.05 * whole:
        texts.append(PAPER.says("years-groups", whole=whole))
    if name == "resnet50":
        texts.append(PAPER.says("years-resnet50"))
    return " ".join(texts)
