"""The study's parts that rest on searches, and the size of the space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.engineering import ratio
from mho.studies.autorac.paper import PAPER
from mho.studies.autorac.search import KINDS, SPACE, best_over, chosen_design
from mho.studies.chapter import Chapter, why
from mho.studies.numbers import NATS

Found = Mapping[str, Mapping[str, Any]]
"""What was found on each log, by its name."""
FACTORS = ("latency", "area", "energy", "power")


def space() -> dict[str, float]:
    """Return the exponents of the space's counts, as the study searches it and as `mho autorac` has it."""
    from mho.explore.autorac.space import JointSpace

    return {
        "seven blocks": JointSpace().counts()["different"].exponent,
        "as searched here": SPACE.counts()["different"].exponent,
    }


def space_chapter(measured: Mapping[str, float]) -> Chapter:
    """Set the size beside the paper's."""
    chapter, printed = PAPER.chapter("space"), PAPER.printed("space")
    for name, exponent in measured.items():
        paper = printed.get(name)
        note = why(exponent, paper, higher=PAPER.says("larger"), lower=PAPER.says("smaller"))
        chapter.add("size", name, f"Different designs, power of ten, {name}", "", exponent, paper=paper, note=note)
    chapter.table("Designs that certainly differ, power of ten", "space", list(measured), {"size": "at least"})
    return chapter


def factors_chapter(found: Found) -> Chapter:
    """Set what the chosen design gains beside what the paper states, over either kind of baseline."""
    chapter, labels = PAPER.chapter("factors"), PAPER.labels("factors")
    for name, each in found.items():
        for kind, short in KINDS.items():
            gained = best_over(each, kind)
            for factor in FACTORS:
                printed = PAPER.printed(f"factors-{factor}")
                ours = None if gained is None else float(gained[factor])
                paper = printed.get("largest") if ours is not None else None
                note = (
                    PAPER.says("nothing")
                    if ours is None
                    else why(ours, paper, higher=PAPER.says("higher"), lower=PAPER.says("lower"))
                )
                if factor == "energy" and gained is not None:
                    note = f"{note} {_sure(gained['energy_sure'])}".strip()
                chapter.add(
                    f"{short}/{factor}",
                    name,
                    f"{labels[factor]}, {kind} baseline, {name}",
                    "",
                    ours,
                    paper=paper,
                    note=note,
                )
            loss = None if gained is None else float(gained["log_loss"])
            note = (
                PAPER.says("nothing")
                if gained is None
                else PAPER.says("over", over=gained["over"], seeds=gained["seeds"])
            )
            chapter.add(f"{short}/loss", name, f"{labels['loss']}, {kind} baseline, {name}", NATS, loss, note=note)
    for short in KINDS.values():
        columns = {f"{short}/{key}": label for key, label in labels.items()}
        chapter.table(PAPER.labels("kinds")[short], "log", list(found), columns)
    return chapter


def _sure(sure: Mapping[str, Any]) -> str:
    """Say between which factors published constants put a gain in energy."""
    ends = f"{ratio(sure['low'])} to {ratio(sure['high'])}"
    return PAPER.says("sure", ends=ends, decided="decided" if sure["decided"] else "undecided")


def designs_chapter(found: Found) -> Chapter:
    """Tell every design that was trained: its log loss by integers and with devices, its costs."""
    chapter, labels = PAPER.chapter("designs"), PAPER.labels("designs")
    for name, each in found.items():
        members = []
        for design in each["designs"]:
            member = f"{name}, {design['name']}"
            members.append(member)
            figures = {
                "valid": (design["valid"]["log_loss"], NATS), "test": (design["test"]["log_loss"], NATS),
                "integer": (design["noiseless"], NATS), "devices": (design["noisy"], NATS), "lost": (design["lost"], NATS),
                "latency": (design["latency_s"], "s"), "energy": (design["energy_j"], "J"), "area": (design["area_m2"], "m²"),
            }  # fmt: skip
            for key, (ours, unit) in figures.items():
                note = (
                    PAPER.says("chosen", **_executed(each))
                    if key == "test" and design["name"] == each["chosen"]
                    else ""
                )
                chapter.add(key, member, f"{labels[key]}, {member}", unit, float(ours), note=note)
        chapter.table(f"Designs on {name}", "design", members, labels)
    return chapter


def _executed(each: Mapping[str, Any]) -> dict[str, Any]:
    chosen = chosen_design(each)
    assert chosen is not None
    return {
        "loss": f"{chosen['executed']['log_loss']:.4f}",
        "records": f"{chosen['executed']['records']:,}",
        "bits": chosen["bits"],
    }


def origin_chapter(ladders: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Chapter:
    """Tell step by step where the factors over the naive searched design come from."""
    chapter, steps, costs = PAPER.chapter("origin"), PAPER.labels("steps"), PAPER.labels("costs")
    for name, ladder in ladders.items():
        before: Mapping[str, float] | None = None
        for step, figures in ladder.items():
            for cost, label in costs.items():
                ours = 1.0 if before is None else before[cost] / figures[cost]
                chapter.add(cost, f"{name} {step}", f"{label}, {steps[step]}, {name}", "", ours)
            before = figures
        members = {f"{name} {step}": steps[step] for step in ladder}
        chapter.table(f"Times less than the step before, {name}", "step", list(members), costs, members)
    return chapter


def sides_chapter(found: Found) -> Chapter:
    """Hold the joint search against searches of one side."""
    chapter = PAPER.chapter("sides")
    names = list(dict.fromkeys(side for each in found.values() for side in each["sides"]["volumes"]))
    for name, each in found.items():
        for side, volume in each["sides"]["volumes"].items():
            chapter.add(side, name, f"Hypervolume, {side}, {name}", "", float(volume))
        gain = each["sides"]["ratio"]
        chapter.add(
            "ratio",
            name,
            f"Joint over the better other, {name}",
            "",
            gain,
            note="" if gain else PAPER.says("nothing"),
        )
    chapter.table(
        "Hypervolume", "log", list(found), {**{name: name for name in names}, "ratio": "joint over the better other"}
    )
    return chapter
