"""Accuracy and cost of the same program: ResNet-20 for CIFAR-10, fitted on training images without labels, judged on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import mho
from mho.errors import OptionError
from mho.network.samples import Samples, load_samples
from mho.number.accuracy import classified
from mho.studies.basisn.chips import COLUMNS, combining
from mho.studies.basisn.measure import BANKS, record
from mho.studies.basisn.pruned import lanes_alone, parts_j
from mho.studies.work import Work, measured

NAME, FILE = "resnet20", "cifar10/resnet20.onnx"
SAMPLES, CALIBRATION = "cifar10/test_a.npz", "cifar10/train_calib.npz"
CALIBRATED, VERIFIED = 500, 2
"""Images that are fitted on, and those that are executed."""
QUICK_CALIBRATED, QUICK_JUDGED, QUICK_WINDOWS = 20, 20, 256
CHIPS, QUICK_CHIPS = (4, 16, 100, 2304), (4,)


@dataclass(frozen=True)
class Fit:
    """How weights are fitted; a segment's unit vectors are weights that are kept."""

    vectors: int
    nonzeros: int
    basis: str
    levels: int

    def fitted(self, network: mho.Network, samples: Samples, options: Mapping[str, Any]) -> mho.number.QuantisedNetwork:
        """Fit a network."""
        return mho.number.fit_basis(
            network, samples.inputs, self.vectors, self.nonzeros, levels=self.levels, basis=self.basis, **options
        )


FITS = {
    "learned": Fit(512, 32, "learned", 4),
    "universal": Fit(512, 32, "universal", 2),
    "n128": Fit(128, 32, "learned", 4),
    "pruned32": Fit(COLUMNS, 32, "units", 2),
    "pruned56": Fit(COLUMNS, 56, "units", 2),
}
QUICK_FITS = {"universal": Fit(64, 4, "universal", 2), "pruned32": Fit(COLUMNS, 4, "units", 2)}


def check_data(work: Work) -> None:
    """Refuse, before the long work, a folder of data in which files are missing. OptionError names the first."""
    for file in (FILE, SAMPLES, CALIBRATION):
        if work.settings.data is not None and not (work.settings.data / file).is_file():
            raise OptionError(f"--data {work.settings.data}: holds no {file}, which this study measures")


@dataclass
class Judged:
    """ResNet-20, its images, and its weights on each basis, made when they are first needed."""

    work: Work
    data: Path
    made: dict[str, mho.number.QuantisedNetwork] = field(default_factory=dict)

    def measure(self, what: str, compute: Any, *rests: Any) -> dict[str, Any]:
        """Measure something of it, which rests on its files, the chip and `rests`."""
        files = [self.data / file for file in (FILE, SAMPLES, CALIBRATION)]
        return self.work.measure(f"{NAME}, {what}", compute, files, mho.Chip.load("basisn"), *rests)

    @property
    def quick(self) -> bool:
        """True in a quick study."""
        return self.work.settings.quick

    @cached_property
    def network(self) -> mho.Network:
        """The network in float."""
        return mho.Network.from_onnx(self.data / FILE)

    @cached_property
    def samples(self) -> Samples:
        """The images that judge."""
        samples = load_samples(self.data / SAMPLES, self.network)
        return samples.spread(QUICK_JUDGED) if self.quick else samples

    @cached_property
    def calibration(self) -> Samples:
        """The images that are fitted on, training images."""
        samples = load_samples(self.data / CALIBRATION, self.network)
        return samples.first(QUICK_CALIBRATED if self.quick else CALIBRATED)

    @property
    def options(self) -> dict[str, Any]:
        """What else is said of fitting: few windows in a quick study."""
        return {"windows": QUICK_WINDOWS} if self.quick else {}

    def fitted(self, key: str) -> mho.number.QuantisedNetwork:
        """Return the network of a fit."""
        if key not in self.made:
            self.made[key] = fits(self.work)[key].fitted(self.network, self.calibration, self.options)
        return self.made[key]

    def program(self, key: str, arrays: int) -> mho.Program:
        """Compile a fit for a chip of so many arrays, or the lanes of one."""
        fit = fits(self.work)[key]
        chip = lanes_alone(arrays) if fit.basis == "units" else combining(arrays, fit.vectors)
        return mho.compile(self.fitted(key), chip, mho.Strategy.load("basisn").with_(coding="bytes", banks=BANKS))


def fits(work: Work) -> Mapping[str, Fit]:
    """Return the fits that are judged."""
    return QUICK_FITS if work.settings.quick else FITS


@measured("float and 8 bits: accuracy")
def before(subject: Judged) -> dict[str, Any]:
    """Count the images that the float network and its plain 8-bit codes classify rightly."""
    samples = subject.samples
    assert samples.labels is not None
    plain = mho.number.quantise(subject.network, subject.calibration.inputs)
    scores = mho.number.run_float(subject.network, samples.inputs)[subject.network.outputs[0]]
    return {
        "samples": len(samples),
        "float": int((scores.reshape(len(samples), -1).argmax(axis=1) == samples.labels).sum()),
        "bytes": int(classified(plain, samples).sum()),
    }


@measured("{0}: accuracy and costs")
def judged(subject: Judged, key: str) -> dict[str, Any]:
    """Count what the integers of a program classify rightly; that it computes these integers is verified on a few images."""
    quantised, runs = subject.fitted(key), dict[str, Any]()
    assert quantised.basis is not None
    for arrays in QUICK_CHIPS if subject.quick else CHIPS:
        program = subject.program(key, arrays)
        report = mho.simulate(program)
        runs[str(arrays)] = record(program, report)
        if fits(subject.work)[key].basis == "units":
            parts = parts_j(report)
            runs[str(arrays)] |= {"energy_j": sum(parts.values()), "parts_j": parts}
    verified = mho.verify(subject.program(key, min(CHIPS)), [array[:VERIFIED] for array in subject.samples.inputs])
    segments = [quantised.basis.nonzeros_of(layer) for layer in quantised.network.weighted]
    outputs = sum(
        layer.columns * counts.size for layer, counts in zip(quantised.network.weighted, segments, strict=True)
    )
    return {
        "right": int(classified(quantised, subject.samples).sum()),
        "exact": bool(verified.ok),
        "kept": sum(int(counts.sum()) for counts in segments) / outputs,
        "runs": runs,
    }


def real_of(work: Work) -> dict[str, Any]:
    """Measure everything that needs real data; nothing where there are none."""
    if work.settings.data is None:
        return {}
    subject = Judged(work, work.settings.data)
    return {"before": before(subject), "fits": {key: judged(subject, key) for key in fits(work)}}
