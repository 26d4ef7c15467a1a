"""What is measured on real trained weights and real samples: pulses without and with partial reuse, and the accuracy lost.

The files are those of the folder of real data; a study runs without them, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mho
from mho.network.samples import Samples, load_samples
from mho.number.accuracy import classified
from mho.studies.real import RealNetwork, chosen
from mho.studies.work import Work

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
"""No reuse; the paper's, a common centre; and ours on top of it, least significant cells kept to the lower half of "
"their levels."""


class _Loaded:
    """A real network, made when it is first needed."""

    def __init__(self, real: RealNetwork, folder: Path, quick: bool) -> None:
        self.real, self.folder, self.quick = real, folder, quick
        self.programs: dict[str, mho.Program] = {}

    @property
    def rests(self) -> tuple[Any, ...]:
        """What a measurement of it rests on: how it is measured, its files, and the chip that is cut down."""
        files = (self.real.file, self.real.samples, self.real.calibration, self.real.judges)
        return asdict(self.real), [self.folder / file for file in files if file], mho.Chip.load("aras")

    @cached_property
    def network(self) -> mho.Network:
        return mho.Network.from_onnx(self.folder / self.real.file)

    @cached_property
    def samples(self) -> Samples:
        found = load_samples(self.folder / self.real.samples, self.network)
        return found.first(QUICK_SAMPLES) if self.quick else found

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        if not self.real.calibration:
            return mho.number.quantise(self.network)
        calibration = load_samples(self.folder / self.real.calibration, self.network).first(self.real.calibrated)
        return mho.number.quantise(self.network, calibration.inputs)

    @cached_property
    def judges(self) -> Samples:
        count = QUICK_SAMPLES if self.quick else self.real.judged
        return load_samples(self.folder / self.real.judges, self.network).first(count)

    @cached_property
    def chip(self) -> mho.Chip:
        """ARAS with so few tiles that the network exceeds it about EXCEEDS times."""
        whole = mho.Chip.load("aras")
        blocks = mho.compile(self.network, whole, "overlap").mapping.count
        tiles = max(1, round(blocks / whole.tile.groups / EXCEEDS))
        return whole.override({"tiles": tiles}, source=f"study: so small that {self.real.name} exceeds it")

    def program(self, variant: str) -> mho.Program:
        if variant not in self.programs:
            subject = mho.number.Sampled(self.quantised, judging=self.judges)
            strategy = mho.Strategy().with_(VARIANTS[variant], schedule="overlap")
            self.programs[variant] = mho.compile(subject, self.chip, strategy)
        return self.programs[variant]


def real_costs(work: Work) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure pulses and accuracy of each real network, with each variant: by network, then by variant."""
    return {real.name: real_costs_of(work, real) for real in chosen(work)}


def real_costs_of(work: Work, real: RealNetwork) -> dict[str, dict[str, Any]]:
    """Measure one real network with each variant."""
    assert work.settings.data is not None
    loaded = _Loaded(real, work.settings.data, work.settings.quick)
    runs = {variant: _variant(work, loaded, variant) for variant in VARIANTS}
    return {**runs, "placed": _placed(work, loaded, runs["narrow"]["centre"])}


def _placed(work: Work, loaded: _Loaded, centre: int | None) -> dict[str, Any]:
    """Measure the pulses of the narrowed codes where rows and columns are placed, too; what is computed stays the same."""

    def compute() -> dict[str, Any]:
        strategy = mho.Strategy().with_(VARIANTS["narrow"], schedule="overlap", placement="pulses")
        strategy = strategy.with_(alignment="none" if centre is None else centre)
        program = mho.compile(loaded.quantised, loaded.chip, strategy)
        writes = mho.simulate(program).to_dict()["writes"]
        return {"pulses": writes["pulses"], "kept": 1 - writes["cells"] / writes["addressed"]}

    return work.measure(f"{loaded.real.name}, placed: pulses", compute, *loaded.rests, centre)


def _variant(work: Work, loaded: _Loaded, variant: str) -> dict[str, Any]:
    """Measure one variant: pulses of the whole program, and how many samples are classified rightly, piece by piece."""
    name = loaded.real.name

    def pulses() -> dict[str, Any]:
        program = loaded.program(variant)
        writes = mho.simulate(program).to_dict()["writes"]
        assert program.quantised is not None
        alignment = program.quantised.alignment
        return {
            "pulses": writes["pulses"],
            "kept": 1 - writes["cells"] / writes["addressed"],
            "exceeds": program.mapping.count / program.chip.groups,
            "tiles": program.chip.tiles,
            "centre": None if alignment is None else alignment.centre,
            "clipped": 0.0 if alignment is None else alignment.clipped_share,
            "samples": len(loaded.samples),
            "judges": loaded.judges.origin,
            "judged_on_the_same": loaded.real.judges == loaded.real.samples,
        }

    measured = dict(work.measure(f"{name}, {variant}: pulses", pulses, *loaded.rests))
    right = 0
    for start in range(0, measured["samples"], PIECE):
        piece = work.measure(
            f"{name}, {variant}: accuracy from sample {start}", partial(_right, loaded, variant, start), *loaded.rests
        )
        right += piece["right"]
    return {**measured, "right": right}


def _right(loaded: _Loaded, variant: str, start: int) -> dict[str, Any]:
    """Count the samples of a piece that the integers classify rightly."""
    samples = loaded.samples
    assert samples.labels is not None
    stop = start + PIECE
    piece = Samples(tuple(each[start:stop] for each in samples.inputs), samples.labels[start:stop], samples.origin)
    quantised = loaded.program(variant).quantised
    assert quantised is not None
    return {"right": int(classified(quantised, piece).sum())}
