"""What is measured by shapes alone: each network on each chip, rewritten, resident, on a basis, and pruned without a crossbar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mho
from mho.studies.basisn.chips import TILES, WIDER, combining, holds, rewriting
from mho.studies.basisn.pruned import EQUAL, area_m2, lanes_alone, parts_j
from mho.studies.work import Work

NETWORKS = ("resnet18", "resnet34", "resnet50", "densenet121", "densenet161", "resnet20", "resnet56", "densenet40")
"""DenseNets and ResNets for ImageNet, and such for images of 32 x 32, since the paper does not say which it measured."""
QUICK_NETWORKS, QUICK_ARRAYS = ("resnet20",), (4, 16)
BANKS = "greedy"
"""How banks of the buffer are chosen: the integer program, the default, saves up to 4 % of energy and takes most of the time."""
EFFORT = 0.02
"""How long copies are searched for: more gains ResNet-50 on 2,304 arrays less than a hundredth."""
WRITING = ("naive", "overlap", "adaptive")
Record = dict[str, Any]
Runs = Mapping[str, Record]
"""Measurements of a network on a chip, by design."""


@dataclass(frozen=True)
class Design:
    """A basis of so many vectors, of which a segment takes at most `nonzeros`; what else the strategy says, and the chip has."""

    vectors: int
    nonzeros: int
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def strategy(self) -> mho.Strategy:
        """Return preset basisn with these numbers."""
        return mho.Strategy.load("basisn").with_(
            vectors=self.vectors, nonzeros=self.nonzeros, banks=BANKS, **self.options
        )


DESIGNS = {
    "n128k32": Design(128, 32),
    "n128k16": Design(128, 16),
    "n256k32": Design(256, 32),
    "n512k32": Design(512, 32),
    "n512k16": Design(512, 16),
    "narrow": Design(512, 32, {"left_out": "narrow"}),
    "merged": Design(512, 16, {"combine": "merged"}, WIDER),
}
KEPT, FEW = "pruned", "pruned-few"
"""Pruned weights with the error of 32 vectors of 512, and of 16."""


def networks(work: Work) -> tuple[str, ...]:
    """Return the networks that are measured."""
    return QUICK_NETWORKS if work.settings.quick else NETWORKS


def chips(work: Work) -> tuple[int, ...]:
    """Return how many arrays the chips have."""
    return QUICK_ARRAYS if work.settings.quick else tuple(TILES)


def simulated(network: mho.Network, chip: mho.Chip, strategy: mho.Strategy) -> tuple[mho.Program, mho.Report]:
    """Compile and simulate a network known by shapes alone."""
    program = mho.compile(network, chip, strategy)
    return program, mho.simulate(program)


def record(program: mho.Program, report: mho.Report) -> Record:
    """Keep of a report what the study shows."""
    return {
        "latency_s": report.latency_s,
        "energy_j": report.energy_j,
        "parts_j": report.account.by("component"),
        "memory_j": report.account.by("kind").get("memory", 0.0),
        "area_m2": program.chip.roll_up().area_m2.total,
        "chip": program.chip.name,
        "digest": program.chip.digest,
    }


def written(schedule: str) -> mho.Strategy:
    """Return a strategy that writes all weights in every inference."""
    options = {"effort": EFFORT} if schedule == "adaptive" else {}
    return mho.Strategy().with_(schedule=schedule, residency="never", banks=BANKS, **options)


def rewritten(network: mho.Network, arrays: int) -> dict[str, Record]:
    """Measure the schedules that write weights, what bounds them, and resident weights where they fit."""
    runs, chip = dict[str, Record](), rewriting(arrays)
    for schedule in WRITING:
        program, report = simulated(network, chip, written(schedule))
        runs[schedule] = record(program, report)
        if schedule == "naive":
            rounds = report.bound.arguments["rounds of writing"]
            runs[schedule] |= {"floor_s": rounds, "blocks": program.mapping.count, "groups": chip.groups}
    if runs["naive"]["blocks"] <= chip.groups:
        strategy = mho.Strategy().with_(schedule="adaptive", effort=EFFORT, banks=BANKS)
        runs["resident"] = record(*simulated(network, chip, strategy))
    return runs


def on_basis(network: mho.Network, arrays: int, design: Design) -> Record:
    """Measure a network on a basis."""
    chip = combining(arrays, design.vectors, design.changes)
    return record(*simulated(network, chip, design.strategy()))


def pruned(network: mho.Network, arrays: int, nonzeros: int, changes: Mapping[str, Any] | None = None) -> Record:
    """Measure pruned weights on the lanes of a chip whose arrays would hold a basis of 512 vectors in every group of four."""
    chip = lanes_alone(arrays, **(changes or {}))
    strategy = mho.Strategy.load("basisn").with_(basis="units", nonzeros=nonzeros, banks=BANKS)
    program, report = simulated(network, chip, strategy)
    parts = parts_j(report)
    kept = {"energy_j": sum(parts.values()), "parts_j": parts, "nonzeros": nonzeros}
    return {**record(program, report), **kept, "area_m2": area_m2(chip)}


def measured_on(network: mho.Network, arrays: int) -> dict[str, Any]:
    """Measure everything of a network on a chip of so many arrays."""
    runs: dict[str, Record] = rewritten(network, arrays)
    for name, design in DESIGNS.items():
        if holds(arrays, design.vectors):
            runs[name] = on_basis(network, arrays, design)
    for name, nonzeros in zip((KEPT, FEW), EQUAL[network.name], strict=True):
        runs[name] = pruned(network, arrays, nonzeros)
    return runs


def costs_of(work: Work, name: str, arrays: int) -> Runs:
    """Return what a network takes on a chip of so many arrays, by design."""
    rests = rewriting(arrays), mho.Chip.load("basisn"), EQUAL[name]
    return work.measure(f"{name}, {arrays} arrays", lambda: measured_on(mho.zoo.load(name), arrays), *rests)


def whole_of(work: Work, name: str) -> Runs:
    """Return what a network takes on the whole chips as anybody gets it: banks chosen by the integer program."""

    def compute() -> dict[str, Any]:
        network = mho.zoo.load(name)
        return {
            "n512k32": record(*simulated(network, mho.Chip.load("basisn"), mho.Strategy.load("basisn"))),
            "adaptive": record(*simulated(network, rewriting(max(TILES)), mho.Strategy())),
        }

    return work.measure(f"{name}, whole chip", compute, rewriting(max(TILES)), mho.Chip.load("basisn"))


Costs = Mapping[str, Mapping[int, Runs]]
"""By network and arrays of the chip."""


def share(runs: Runs, design: str, quantity: str) -> float | None:
    """Return time (`time`), energy (`energy`) or energy x delay (`edp`) of a design in % of the naive schedule's; None where the
    chip does not hold it. `floor` has a time alone.
    """
    if design == "floor":
        return 100 * runs["naive"]["floor_s"] / runs["naive"]["latency_s"] if quantity == "time" else None
    if design not in runs:
        return None
    keys = {"time": ("latency_s",), "energy": ("energy_j",), "edp": ("latency_s", "energy_j")}[quantity]
    of = 100.0
    for key in keys:
        of *= runs[design][key] / runs["naive"][key]
    return of
