"""What is measured on real trained weights and real samples: pulses without and with partial reuse, and the accuracy lost.

The files are those of the folder of real data; a study runs without them, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import mho
from mho.network.samples import Samples
from mho.number.accuracy import classified
from mho.studies.aras.measure import Runs
from mho.studies.real import Real
from mho.studies.work import Work, measured

EXCEEDS = 3.0
"""How many times each network exceeds its chip, about: the paper's exceed theirs 2.7 to 32 times."""
PIECE = 500
"""Samples between two savings of partial results."""
QUICK_SAMPLES = 20


VARIANTS: Mapping[str, Mapping[str, str]] = {
    "none": {"alignment": "none"},
    "auto": {"alignment": "auto"},
    "narrow": {"alignment": "auto", "low_cell": "lower"},
}
"""No reuse; the paper's, a common centre; and ours on top of it, least significant cells kept to the lower half of their
levels."""


class ExceedingNetwork(Real):
    """A real network on a chip that it exceeds."""

    def __init__(self, work: Work, name: str) -> None:
        """Name a network."""
        super().__init__(work, name)
        self._programs: dict[str, mho.Program] = {}

    def measure(self, what: str, compute: Callable[[], Mapping[str, Any]], *rests: Any) -> dict[str, Any]:
        """Measure something of it, which rests on its files, the chip that is cut down, and `rests`."""
        files = (self.real.file, self.real.samples, self.real.calibration, self.real.judges)
        paths, chip = [self.path(file) for file in files if file], mho.Chip.load("aras")
        return self.work.measure(f"{self.name}, {what}", compute, asdict(self.real), paths, chip, *rests)

    def first(self, file: str, count: int) -> Samples:
        """Return the first samples of a file; few in a quick study."""
        return self.load(file).first(QUICK_SAMPLES if self.quick else count)

    @cached_property
    def samples(self) -> Samples:
        """The samples that are counted."""
        return self.first(self.real.samples, QUICK_SAMPLES) if self.quick else self.load(self.real.samples)

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        """The network in 8 bits."""
        if not self.real.calibration:
            return mho.number.quantise(self.network)
        return mho.number.quantise(self.network, self.load(self.real.calibration).first(self.real.calibrated).inputs)

    @cached_property
    def judges(self) -> Samples:
        """The samples that choose the centre."""
        return self.first(self.real.judges, self.real.judged)

    @cached_property
    def chip(self) -> mho.Chip:
        """ARAS with so few tiles that the network exceeds it about EXCEEDS times."""
        whole = mho.Chip.load("aras")
        blocks = mho.compile(self.network, whole, "overlap").mapping.count
        tiles = max(1, round(blocks / whole.tile.groups / EXCEEDS))
        return whole.override({"tiles": tiles}, source=f"study: so small that {self.name} exceeds it")

    def program(self, variant: str) -> mho.Program:
        """Compile a variant."""
        if variant not in self._programs:
            sampled = mho.number.Sampled(self.quantised, judging=self.judges)
            strategy = mho.Strategy().with_(VARIANTS[variant], schedule="overlap")
            self._programs[variant] = mho.compile(sampled, self.chip, strategy)
        return self._programs[variant]


@measured("{0}: pulses")
def pulses(subject: ExceedingNetwork, variant: str) -> dict[str, Any]:
    """Count the pulses of a variant's whole program."""
    program = subject.program(variant)
    assert program.quantised is not None
    alignment, judges = program.quantised.alignment, subject.judges
    return {
        **_written(program),
        "exceeds": program.mapping.count / program.chip.groups,
        "tiles": program.chip.tiles,
        "centre": None if alignment is None else alignment.centre,
        "clipped": 0.0 if alignment is None else alignment.clipped_share,
        "samples": len(subject.samples),
        "judges": judges.origin,
        "judged_on_the_same": subject.real.judges == subject.real.samples,
    }


def _written(program: mho.Program) -> dict[str, Any]:
    writes = mho.simulate(program).to_dict()["writes"]
    return {"pulses": writes["pulses"], "kept": 1 - writes["cells"] / writes["addressed"]}


@measured("{0}: accuracy from sample {1}")
def right(subject: ExceedingNetwork, variant: str, start: int) -> dict[str, Any]:
    """Count the samples of a piece that the integers of a variant classify rightly."""
    samples, stop, quantised = subject.samples, start + PIECE, subject.program(variant).quantised
    assert samples.labels is not None and quantised is not None
    piece = Samples(tuple(array[start:stop] for array in samples.inputs), samples.labels[start:stop], samples.origin)
    return {"right": int(classified(quantised, piece).sum())}


@measured("placed: pulses")
def placed(subject: ExceedingNetwork, centre: int | None) -> dict[str, Any]:
    """Count the pulses of the narrowed codes where rows and columns are placed, too; what is computed stays the same."""
    strategy = mho.Strategy().with_(VARIANTS["narrow"], schedule="overlap", placement="pulses")
    strategy = strategy.with_(alignment="none" if centre is None else centre)
    return _written(mho.compile(subject.quantised, subject.chip, strategy))


def real_costs_of(work: Work, name: str) -> Runs:
    """Measure one real network with each variant."""
    subject, runs = ExceedingNetwork(work, name), dict[str, dict[str, Any]]()
    for variant in VARIANTS:
        run = pulses(subject, variant)
        rights = [right(subject, variant, start)["right"] for start in range(0, run["samples"], PIECE)]
        runs[variant] = {**run, "right": sum(rights)}
    return {**runs, "placed": placed(subject, runs["narrow"]["centre"])}
