"""The networks of the study, loaded when they are first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mho
from mho.network.samples import Samples, load_samples
from mho.studies.real import RealNetwork
from mho.studies.stages import FILE as STAGES_FILE
from mho.studies.stages import images, stages

CALIBRATED = 512
"""Samples by which rounding goes, at the most, evenly spread over their file."""
JUDGED = 500
"""Samples of a file that a point of a curve is judged on, evenly spread: files may be sorted by class."""
CALIBRATION_IMAGES = "imagenet/calib32.npz"
FEW = 250
"""As many for one of many codings."""
STAGES = "resnet50v2_stage1to3"
SPARE = {"imagenet/mobilenet_v2_int8_qdq.onnx": "imagenet/calib32.npz"}
"""Samples that calibrate a file with codes of its own."""
SEEDED = ("resnet50", "mobilenet_v2")
"""The paper's networks, with seeded weights: sizes are theirs, bits are not."""


@dataclass(frozen=True)
class Loaded:
    """A real network."""

    real: RealNetwork
    folder: Path
    quick: bool

    @property
    def files(self) -> list[Path]:
        """The files that it is measured from."""
        names = (self.real.file, self.real.samples, self.calibration_file)
        return [self.folder / name for name in dict.fromkeys(names)]

    @cached_property
    def network(self) -> mho.Network:
        """The network."""
        return mho.Network.from_onnx(self.folder / self.real.file)

    @cached_property
    def all_samples(self) -> Samples:
        """All labelled samples."""
        return load_samples(self.folder / self.real.samples, self.network)

    @cached_property
    def samples(self) -> Samples:
        """Those that a point of a curve is judged on."""
        return spread(self.all_samples, 20 if self.quick else JUDGED)

    @cached_property
    def few(self) -> Samples:
        """Those that one of many codings is judged on."""
        return spread(self.all_samples, 20 if self.quick else FEW)

    @property
    def calibration_file(self) -> str:
        """The file of the samples by which rounding goes: not that of those which judge, where there is another."""
        if self.real.file.startswith("cifar10"):
            return "cifar10/train_calib.npz"
        return self.real.calibration or SPARE.get(self.real.file, self.real.samples)

    @cached_property
    def calibration(self) -> Samples:
        """The samples by which rounding goes."""
        found = load_samples(self.folder / self.calibration_file, self.network)
        return spread(found, 20 if self.quick else CALIBRATED)

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        """The network in 8 bits, one scale an output; as the file has it where that is quantised."""
        if self.network.codes:
            return mho.number.quantise(self.network)
        return mho.number.quantise(self.network, self.calibration.inputs, per_channel=True, symmetric=True)


def spread(samples: Samples, count: int) -> Samples:
    """Return so many samples evenly spread, or all."""
    return samples.spread(count) if count < len(samples) else samples


def partial_network(folder: Path) -> mho.number.QuantisedNetwork:
    """Return the trained stages of ResNet-50 v2, calibrated."""
    network = stages(folder)
    return mho.number.quantise(network, images(folder, CALIBRATION_IMAGES, 8), per_channel=True, symmetric=True)


def seeded(name: str) -> mho.number.QuantisedNetwork:
    """Return a network of the zoo with seeded weights, in 8 bits."""
    return mho.number.quantise(mho.zoo.load(name, weights="seeded"), per_channel=True, symmetric=True)


__all__ = ["SEEDED", "STAGES", "STAGES_FILE", "Loaded", "partial_network", "seeded", "spread"]
