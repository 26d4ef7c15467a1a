"""What was to be reached, and whether it is: the paper's limit, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mho.studies.basisn.costs import OURS, SMALLEST, of_arrays
from mho.studies.basisn.measure import Costs, Runs, share
from mho.studies.basisn.paper import PAPER
from mho.studies.chapter import Chapter

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet20", "resnet56")
LIMIT = 1.0
"""In % of naive reprogramming's: the paper's."""


@dataclass(frozen=True)
class Target:
    """A design whose share of naive's is to be below the limit, on some networks (all where none are named) and all chips."""

    design: str
    quantity: str
    networks: Sequence[str] = ()


TARGETS = {
    "edp": Target(OURS, "edp"),
    "edp-128": Target(SMALLEST, "edp"),
    "time": Target(SMALLEST, "time", RESNETS),
    "time-imagenet": Target(SMALLEST, "time", RESNETS[:3]),
    "time-kept": Target(OURS, "time"),
}
RESNET50 = {"resnet50-time": ("latency_s", "s", 0.60e-3), "resnet50-energy": ("energy_j", "J", 6.5e-3)}


def targets_chapter(costs: Costs, exact: Costs, whole: Runs) -> Chapter:
    """Set the largest shares of naive's beside the paper's limit, and ResNet-50 on the `whole` chip beside ours.

    `exact`: the cases near the limit measured again; they stand in for the others.
    """
    chapter, labels, printed = PAPER.chapter("targets"), PAPER.labels("targets"), PAPER.printed("limit")
    members = []
    for key, target in TARGETS.items():
        shares = shares_of(costs, target)
        if target == TARGETS["edp"]:
            shares |= shares_of(exact, target)
        if not shares:
            continue
        where = max(shares, key=shares.__getitem__)
        below, value = sum(part < LIMIT for part in shares.values()), shares[where]
        met = PAPER.says("met" if value < LIMIT else "not-met", where=where, below=below, cases=len(shares))
        note = printed.note(key, met)
        chapter.add("reached", key, f"{labels[key]}, the largest", "%", value, paper=printed.get(key), note=note)
        chapter.add("below", key, f"{labels[key]}, cases below 1 %", "cases", float(below))
        chapter.add("cases", key, f"{labels[key]}, cases", "cases", float(len(shares)))
        members.append(key)
    columns = {"reached": "the largest, %", "below": "cases below 1 %", "cases": "cases"}
    chapter.table("Of naive reprogramming, networks x chips", "what", members, columns, labels)
    _whole(chapter, whole)
    return chapter


def _whole(chapter: Chapter, whole: Runs) -> None:
    labels = PAPER.labels("targets")
    if not whole:
        return
    for key, (record, unit, limit) in RESNET50.items():
        value, other = float(whole[OURS][record]), float(whole["adaptive"][record])
        met = PAPER.says("met-figure" if value <= limit else "not-met-figure", limit=f"{1e3 * limit:.2f} m{unit}")
        chapter.add("whole", key, f"{labels[key]} of resnet50 on 2304 arrays, N 512, k 32", unit, value, note=met)
        chapter.add("adaptive", key, f"{labels[key]} of resnet50 on 2304 arrays, adaptive", unit, other)
    columns = {"whole": "N 512, k 32", "adaptive": "adaptive"}
    chapter.table("ResNet-50 on the whole chip", "quantity", list(RESNET50), columns, labels)


def shares_of(costs: Costs, target: Target) -> dict[str, float]:
    """Return the shares of naive's in %, by network and chip."""
    return {
        f"{name}, {of_arrays(arrays)}": value
        for name in target.networks or costs
        for arrays, runs in costs.get(name, {}).items()
        if (value := share(runs, target.design, target.quantity)) is not None
    }
