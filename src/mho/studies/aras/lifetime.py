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
    papers,
    weighted,
)
from mho.studies.aras.paper import printed
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import counted
from mho.studies.rows import mean
from mho.studies.work import Work

Costs = Mapping[str, Mapping[str, Mapping[str, Any]]]

TEXT = (
    "Years until the average cell has taken as many writes as it survives; every addressed cell counts, changed or "
    "not, which is "
    "the paper's way. Real time: 30 inferences a second for CNNs and 100 for BERT, 1e11 writes a cell; highest "
    "throughput: as "
    "fast as the schedule goes, 1e12 writes (the paper's two endurances are lost in our copy, and follow from its own "
    "table). "
    "Worst cell: the one that is written most, without wear levelling, and with it (groups take turns)."
)
RUNS = {"aras": "reuse", "adaptive": "adaptive"}
LABELS = {"aras": "ARAS (BRW)", "adaptive": "ours"}


def lifetime(work: Work, costs: Costs) -> Chapter:
    """Set lifetimes beside Table IV."""
    chapter = Chapter("table-4", "Table IV: lifetime", "Section VII-D", TEXT)
    names = weighted(work)
    for name in names:
        for schedule, run in RUNS.items():
            _network(chapter, name, schedule, costs[name][run])
    _means(chapter, papers(work), compared=not work.settings.quick)
    members = (*names, "mean")
    for row, title in (
        ("real-time", "Real time, 1e11 writes a cell"),
        ("most", "Highest throughput, 1e12 writes a cell"),
    ):
        chapter.plot(
            f"table-4-{row}",
            f"{title}: years of the average cell",
            "years",
            [each for each in members if _whole(chapter, row, each)],
            {f"{row}/{schedule}": LABELS[schedule] for schedule in RUNS},
        )
        columns = {f"{row}/{schedule}": LABELS[schedule] for schedule in RUNS}
        chapter.table(f"{title}, average cell: years", "network", members, columns)
    worst = {"worst/aras": "as it is", "levelled/aras": "with wear levelling"}
    chapter.table("Highest throughput, 1e12 writes, ARAS (BRW): years of the worst cell", "network", names, worst)
    return chapter


def _whole(chapter: Chapter, row: str, member: str) -> bool:
    found = [chapter.id(f"{row}/{schedule}", member) for schedule in RUNS]
    return all(each is not None and chapter.rows[each].ours is not None for each in found)


def _network(chapter: Chapter, name: str, schedule: str, found: Mapping[str, Any]) -> None:
    years = found["years"]
    rate = REAL_TIME_PER_S.get(name, REAL_TIME_ELSE_PER_S)
    # Lifetimes go with the endurance and against the rate.
    factor = ENDURANCE_REAL_TIME / ENDURANCE * found["per_s"] / rate
    slow = (
        f"{rate:.0f} inferences a second are more than the {found['per_s']:.1f} that it reaches; the paper does so too."
    )
    for row, scale in (("real-time", factor), ("most", 1.0)):
        ours = None if years["mean"] is None else years["mean"] * scale
        paper = printed(f"lifetime-{row}")
        given = paper.get(name) if schedule == "aras" else None
        parts = [why(ours, given, **_notes(row, name, found))]
        if row == "real-time" and rate > found["per_s"]:
            parts.append(slow)
        if ours is None:
            parts.append("The whole network fits the chip: no inference writes.")
        chapter.add(
            f"{row}/{schedule}",
            name,
            f"lifetime of the average cell, {LABELS[schedule]}, {ROWS[row]}",
            "years",
            ours,
            paper=given,
            note=" ".join(part for part in parts if part),
            network=name,
        )
    if schedule == "aras":
        for which, what in (("worst", "worst cell"), ("levelled", "worst cell with wear levelling")):
            note = "" if years[which] is not None else "The whole network fits the chip: no inference writes."
            chapter.add(f"{which}/aras", name, f"lifetime of the {what}, highest throughput", "years", years[which], note=note,
                        network=name)  # fmt: skip


ROWS = {"real-time": "real time", "most": "highest throughput"}


def _means(chapter: Chapter, names: tuple[str, ...], *, compared: bool) -> None:
    for row in ROWS:
        for schedule in RUNS:
            ours = mean(chapter.rows[f"table-4/{row}/{schedule}/{name}"].ours for name in names)
            paper = printed(f"lifetime-{row}").get("mean") if compared and schedule == "aras" else None
            note = why(ours, paper, **MEANS[row])
            if ours is None:
                note = "A network of the mean fits the chip: no inference writes."
            quantity = f"lifetime of the average cell, {LABELS[schedule]}, {ROWS[row]}, mean of {counted(len(names), 'network')}"
            chapter.add(f"{row}/{schedule}", "mean", quantity, "years", ours, paper=paper, note=note)


def _notes(row: str, name: str, found: Mapping[str, Any]) -> Mapping[str, str]:
    """Say what writes per cell the two figures mean: a lifetime is endurance / (writes x rate)."""
    years = found["years"]
    if years["mean"] is None:
        return {}
    paper = printed(f"lifetime-{row}").get(name)
    reached = printed("throughput").get(name)
    if paper is None or reached is None:
        return {}
    endurance = ENDURANCE_REAL_TIME if row == "real-time" else ENDURANCE
    ours_per_s = REAL_TIME_PER_S[name] if row == "real-time" else found["per_s"]
    # The paper's BERT-Large cannot run at the 100 inferences a second that its table is for.
    theirs_per_s = min(REAL_TIME_PER_S[name], reached) if row == "real-time" else reached
    implied = endurance / (paper * SECONDS_PER_YEAR * theirs_per_s)
    ours_writes = found["writes"]["addressed_per_cell_mean"]
    scale = endurance / ENDURANCE * found["per_s"] / ours_per_s
    whole = years["levelled"] * scale
    text = (
        f"Ours writes a cell {ours_writes:.1f} times an inference, at {ours_per_s:.4g} inferences a second; the "
        f"paper's figure means "
        f"{implied:.1f} times at {theirs_per_s:.4g}."
    )
    if abs(whole - years["mean"] * scale) > 0.05 * whole:
        text += f" Ours counts the cells that blocks cover; counting whole groups gives {whole:.1f} years."
    if name == "resnet50":
        text += " The paper's two figures for ResNet-50 do not agree: they mean 4.1 and 8.9 writes a cell."
    return {"higher": text, "lower": text}


MEANS: dict[str, dict[str, str]] = {
    which: dict.fromkeys(("higher", "lower"), "The mean of the networks above, each with its own reason.")
    for which in ROWS
}
