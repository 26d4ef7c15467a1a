"""What Figures 15 to 17 rest on: the events of each configuration and of the systolic array, apart from what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import mho
from mho.machine import systolic
from mho.machine.bill import KINDS, Bill, Charge, Price
from mho.machine.systolic import Systolic
from mho.studies.aras.measure import BY_NAME, ZooNetwork, chip_of, cost
from mho.studies.work import Work

STEPS = ("baseline", "banks", "replication", "reuse")
"""The configurations of Section VI."""
SETS = {"aras": "aras", "coherent": "aras-coherent"}
"""Sets of constants, to the preset that has them; its baseline is called so with -baseline behind."""
ARRAYS = {"aras": "tpu-like", "coherent": "tpu-like-coherent"}
READINGS = {"hidden": ("hidden", "best"), "exposed": ("exposed", "weight"), "refetched": ("refetched", "weight")}
"""Readings of the array: what holds it up, and its dataflow."""
WHY = "study: a reading of what holds the array up"


@dataclass(frozen=True)
class Priced:
    """Events that were counted, and what they cost on a chip; `chip` may be a systolic array."""

    entries: tuple[tuple[str, str, int, str, float], ...]
    """Component, event, bytes of a bank, kind of energy, count."""
    chip: Any
    latency_s: float
    pulses: float = 0.0

    @cached_property
    def bill(self) -> Bill:
        """All that energy is paid for."""
        everything = np.array([-1])
        charges = [
            Charge(everything, Price(component, event, bank), kind, np.array([count]))
            for component, event, bank, kind, count in self.entries
        ]
        return Bill.of(charges, ())

    def with_pulses(self, pulses: float) -> Priced:
        """Return the same with so many write pulses."""
        factor = pulses / self.pulses if self.pulses else 1.0
        entries = (
            (*each[:4], each[4] * factor) if each[:2] == ("cell_pulse", "cell_pulse") else each for each in self.entries
        )
        return Priced(tuple(entries), self.chip, self.latency_s, pulses)

    def without(self, kind: str) -> Priced:
        """Return the same without a kind of energy."""
        return Priced(tuple(each for each in self.entries if each[3] != kind), self.chip, self.latency_s, self.pulses)


def events_of(work: Work, name: str) -> dict[str, dict[str, Priced]]:
    """Measure, by set of constants, the configurations of a network and the array in each reading; each compiled on that set.

    The centre of reuse is that of BRW, which is chosen by pulses.
    """
    subject = ZooNetwork(name)
    centre = cost(work, subject, BY_NAME["reuse"], None)["centre"]
    chips = {
        label: {step: chip_of(work, BY_NAME[step].chip.replace("aras", preset, 1)) for step in STEPS}
        for label, preset in SETS.items()
    }
    arrays = {
        label: {
            reading: Systolic.load(preset).override({"stalls": stalls}, source=WHY, name=preset)
            for reading, (stalls, _) in READINGS.items()
        }
        for label, preset in ARRAYS.items()
    }

    def compute() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label in SETS:
            found[label] = {step: _configured(subject, chips[label][step], step, centre) for step in STEPS}
            for reading, (_, flow) in READINGS.items():
                run = systolic.run(subject.shapes, arrays[label][reading], flow)
                found[label][reading] = {"entries": _entries(run.bill), "latency_s": run.latency_s, "pulses": 0.0}
        return found

    rests = [
        *(chip for of in chips.values() for chip in of.values()),
        *(a for of in arrays.values() for a in of.values()),
    ]
    kept = work.measure(f"{name}, events", compute, centre, *rests)
    return {
        label: {
            run: Priced(
                tuple(map(tuple, each["entries"])),
                {**chips[label], **arrays[label]}[run],
                each["latency_s"],
                each["pulses"],
            )
            for run, each in kept[label].items()
        }
        for label in SETS
    }


def _configured(subject: ZooNetwork, chip: mho.Chip, step: str, centre: int | None) -> Mapping[str, Any]:
    options: dict[str, Any] = dict(BY_NAME[step].options)
    if options["alignment"] == "auto":
        options["alignment"] = "none" if centre is None else centre
    report = mho.simulate(mho.compile(subject.quantised, chip, mho.Strategy().with_(options)))
    return {
        "entries": _entries(report.bill),
        "latency_s": report.latency_s,
        "pulses": report.to_dict()["writes"]["pulses"],
    }


def _entries(bill: Bill) -> list[list[Any]]:
    """Return the counts of a bill by price and kind, over all layers."""
    places = bill.price * len(KINDS) + bill.kind
    counts = np.bincount(places, bill.count, len(bill.prices) * len(KINDS))
    return [
        [*bill.prices[place // len(KINDS)], KINDS[place % len(KINDS)], float(counts[place])]
        for place in np.flatnonzero(counts).tolist()
    ]
