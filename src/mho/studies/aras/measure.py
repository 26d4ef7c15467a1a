"""What is measured of a network on a chip: the configurations of ARAS Section VI, ours, and the systolic array.

Weights are seeded, as the trained ones of the paper's networks are not public in a form that can be had here; times do not
depend on them, pulses do. Networks that are too large for that are known by shapes alone, and only timed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import mho
from mho.machine import systolic
from mho.machine.systolic import Systolic
from mho.studies.aras.paper import NETWORKS
from mho.studies.chapter import Measured
from mho.studies.work import Work

MORE = ("resnet18", "mobilenet_v2", "vit-b16", "gpt2")
"""Networks that the paper does not have."""
LARGE = ("llama3-8b",)
"""Such that are timed only, by shapes alone."""
SMALLEST = ("resnet20",)
"""What is measured where time counts, on a chip that is as small."""
SMALL_TILES = 2
SYSTOLIC = "tpu-like"
"""The systolic array of Table I."""

ENDURANCE = 1e12
"""Writes that a cell survives, in the second row of Table IV."""
ENDURANCE_REAL_TIME = 1e11
"""In the first row."""
REAL_TIME_PER_S = {"vgg16": 30.0, "resnet50": 30.0, "densenet161": 30.0, "bert-base": 100.0, "bert-large": 100.0}
"""Inferences per second that are real time: 30 for CNNs, 100 for BERT (Section VII-D)."""
REAL_TIME_ELSE_PER_S = 30.0


CENTRE = "that of BRW"
"""Stands for the centre that BRW has chosen: choosing takes a simulation for each candidate."""

Runs = Measured
"""Measurements of a network, by configuration."""
Costs = Mapping[str, Runs]
"""By network."""


@dataclass(frozen=True)
class Configuration:
    """A chip and how it is used: `options` are those of a strategy, `label` is how figures call it."""

    name: str
    label: str
    chip: str
    options: Mapping[str, str]


def _configuration(name: str, label: str, chip: str, schedule: str, **options: str) -> Configuration:
    return Configuration(name, label, chip, {"schedule": schedule, "banks": "ilp", "alignment": "none", **options})


ALL = (
    _configuration("baseline", "baseline", "aras-baseline", "overlap", banks="greedy"),
    _configuration("banks", "B", "aras", "overlap"),
    _configuration("replication", "BR", "aras", "aras"),
    _configuration("reuse", "BRW", "aras", "aras", alignment="auto"),
    _configuration("adaptive", "ours", "aras", "adaptive", alignment=CENTRE, objective="time"),
    _configuration("frugal", "ours, for energy", "aras", "adaptive", alignment=CENTRE, objective="energy"),
)
"""The four of Section VI (baseline, B, BR, BRW), and ours, with copies searched for time and for energy."""
BY_NAME = {configuration.name: configuration for configuration in ALL}


def weighted(work: Work) -> tuple[str, ...]:
    """Return the networks that have weights, the paper's first."""
    return SMALLEST if work.settings.quick else (*NETWORKS, *MORE)


def timed(work: Work) -> tuple[str, ...]:
    """Return the networks that are timed."""
    return SMALLEST if work.settings.quick else (*NETWORKS, *MORE, *LARGE)


def papers(work: Work) -> tuple[str, ...]:
    """Return the networks over which means are taken: the paper's."""
    return SMALLEST if work.settings.quick else NETWORKS


def chip_of(work: Work, name: str) -> mho.Chip:
    """Return a chip, cut down where the networks are."""
    chip = mho.Chip.load(name)
    if not work.settings.quick:
        return chip
    return chip.override({"tiles": SMALL_TILES}, source="study: so small that the smallest network exceeds it")


class ZooNetwork:
    """A network, made when it is first needed: a study that goes on after an interruption may not need it at all."""

    def __init__(self, name: str) -> None:
        """Name a network of the zoo."""
        self.name = name

    @cached_property
    def shapes(self) -> mho.Network:
        """The network by shapes alone."""
        return mho.zoo.load(self.name)

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        """The network with seeded weights in 8 bits."""
        return mho.number.quantise(mho.zoo.load(self.name, weights="seeded"))


def cost(work: Work, subject: ZooNetwork, configuration: Configuration, centre: int | None) -> dict[str, Any]:
    """Measure a network in a configuration: with seeded weights, or by shapes alone, then without alignment."""
    values = subject.name not in LARGE

    def compute() -> dict[str, Any]:
        options: dict[str, Any] = dict(configuration.options)
        if options["alignment"] == CENTRE:
            options["alignment"] = "none" if centre is None else centre
        network = subject.quantised if values else subject.shapes
        program = mho.compile(network, chip_of(work, configuration.chip), mho.Strategy().with_(options))
        return record(program, mho.simulate(program, endurance=ENDURANCE))

    label, chip = f"{subject.name}, {configuration.label}", chip_of(work, configuration.chip)
    return work.measure(label, compute, chip, dict(configuration.options), centre)


def record(program: mho.Program, report: mho.Report) -> dict[str, Any]:
    """Keep of a report what the study shows."""
    content = report.to_dict()
    chip = program.chip
    blocks = program.mapping.count
    alignment = None if program.quantised is None else program.quantised.alignment
    leaked = (e.joules for e in report.account.entries if e.component == "global_buffer" and e.kind == "static")
    return {
        "latency_s": content["latency_s"],
        "per_s": content["throughput_per_s"],
        "bound_s": content["lower_bound_s"],
        "energy_j": content["energy_j"]["total"],
        "kinds_j": content["energy_j"]["by_kind"],
        "buffer_static_j": sum(leaked),
        "writes": content["writes"],
        "years": {name: content["endurance"]["addressed"][f"years_{name}"] for name in ("mean", "worst", "levelled")},
        "weights": program.network.weights,
        "exceeds": blocks / chip.groups,
        "write_once_s": blocks / chip.groups * chip.array_write_time_s,
        "area_m2": content["area_m2"]["total"],
        "buffer_bytes": sum(chip.buffer.banks),
        "chip": chip.name,
        "digest": chip.digest,
        "origin": program.network.origin,
        "centre": None if alignment is None else alignment.centre,
        "clipped": 0.0 if alignment is None else alignment.clipped_share,
        "spread": None if program.quantised is None else spread(program.quantised),
        "strategy": program.strategy.to_dict(),
    }


def spread(quantised: mho.number.QuantisedNetwork) -> float:
    """Standard deviation of the codes of a layer after the first, about the layer's own mean; weighted by weights."""
    squares, weights = 0.0, 0
    for layer in quantised.network.matrix_layers[1:]:
        counts = np.bincount(quantised.matrices[layer.name].codes.ravel(), minlength=256)
        levels = np.arange(256)
        middle = (counts * levels).sum() / counts.sum()
        squares += float((counts * (levels - middle) ** 2).sum())
        weights += int(counts.sum())
    return math.sqrt(squares / weights) if weights else 0.0


def costs_of(work: Work, name: str) -> Runs:
    """Measure a network in every configuration that it has."""
    subject, runs = ZooNetwork(name), dict[str, dict[str, Any]]()
    for each in ("banks", "replication", "adaptive") if name in LARGE else BY_NAME:
        runs[each] = cost(work, subject, BY_NAME[each], runs["reuse"]["centre"] if "reuse" in runs else None)
    return runs


def systolic_cost(work: Work, subject: ZooNetwork) -> dict[str, Any]:
    """Measure a network on the TPU-like systolic array, with the dataflow that takes the least time."""

    def compute() -> dict[str, Any]:
        content = systolic.run(subject.shapes, SYSTOLIC, "best").to_dict()
        return {
            "latency_s": content["latency_s"],
            "energy_j": content["energy_j"]["total"],
            "kinds_j": content["energy_j"]["by_kind"],
            "dataflow": content["dataflow"],
            "memory_bound": content["memory_bound_s"] / content["latency_s"],
            "area_m2": content["systolic"]["area_m2"]["total"],
            "digest": content["systolic"]["digest"],
        }

    return work.measure(f"{subject.name}, {SYSTOLIC}", compute, Systolic.load(SYSTOLIC))
