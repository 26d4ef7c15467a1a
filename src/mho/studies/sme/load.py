"""The networks of the study, loaded when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mho
from mho.network.samples import Samples, load_samples
from mho.studies.real import RealNetwork, chosen
from mho.studies.sme.chips import dense, squeezing
from mho.studies.stages import FILE as STAGES_FILE
from mho.studies.stages import images, stages
from mho.studies.work import Work

CALIBRATED = 512
"""Samples by which rounding goes, at the most, evenly spread over their file."""
JUDGED = 500
"""Samples of a file that a point of a curve is judged on, evenly spread: files may be sorted by class."""
CALIBRATION_IMAGES = "imagenet/calib32.npz"
FEW = 250
"""As many for one of many codings."""
QUICK = 20
"""As many of each in a quick study."""
STAGES = "resnet50v2_stage1to3"
SPARE = {"imagenet/mobilenet_v2_int8_qdq.onnx": "imagenet/calib32.npz"}
"""Samples that calibrate a file with codes of its own."""
SEEDED = ("resnet50", "mobilenet_v2")
"""The paper's networks, with seeded weights: sizes are theirs, bits are not."""


class Subject:
    """A network of the study, each part of it made when it is first needed."""

    def __init__(self, work: Work, name: str) -> None:
        """Name a real network, the part of ResNet-50, or a network of the zoo."""
        self.work, self.name = work, name
        self.real = next((each for each in chosen(work) if each.name == name), None)

    def measure(self, what: str, compute: Callable[[], Mapping[str, Any]], *rests: Any) -> dict[str, Any]:
        """Measure something of it, which rests on the chips, its files, and `rests`."""
        return self.work.measure(f"{self.name}: {what}", compute, squeezing(), dense(), self.files, *rests)

    @property
    def quick(self) -> bool:
        """Whether the study is a quick one."""
        return self.work.settings.quick

    def path(self, file: str) -> Path:
        """Return a file of the folder of real data."""
        assert self.work.settings.data is not None
        return self.work.settings.data / file

    @property
    def files(self) -> list[Path]:
        """The files that it is measured from."""
        if self.real is None:
            return [self.path(file) for file in (STAGES_FILE, CALIBRATION_IMAGES)] if self.name == STAGES else []
        return [self.path(file) for file in dict.fromkeys((self.real.file, self.real.samples, self.calibration_file))]

    @property
    def known(self) -> RealNetwork:
        """The real network that it is."""
        assert self.real is not None
        return self.real

    @cached_property
    def network(self) -> mho.Network:
        """The network of a file."""
        return mho.Network.from_onnx(self.path(self.known.file))

    @cached_property
    def all_samples(self) -> Samples:
        """All labelled samples."""
        return load_samples(self.path(self.known.samples), self.network)

    @cached_property
    def samples(self) -> Samples:
        """Those that a point of a curve is judged on."""
        return spread(self.all_samples, QUICK if self.quick else JUDGED)

    @cached_property
    def few(self) -> Samples:
        """Those that one of many codings is judged on."""
        return spread(self.all_samples, QUICK if self.quick else FEW)

    @property
    def calibration_file(self) -> str:
        """The file of the samples by which rounding goes: not that of those which judge, where there is another."""
        if self.known.file.startswith("cifar10"):
            return "cifar10/train_calib.npz"
        return self.known.calibration or SPARE.get(self.known.file, self.known.samples)

    @cached_property
    def calibration(self) -> Samples:
        """The samples by which rounding goes."""
        return spread(load_samples(self.path(self.calibration_file), self.network), QUICK if self.quick else CALIBRATED)

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        """The network in 8 bits, one scale an output; as the file has it where that is quantised."""
        eight = partial(mho.number.quantise, per_channel=True, symmetric=True)
        if self.name == STAGES:
            assert self.work.settings.data is not None
            return eight(stages(self.work.settings.data), images(self.work.settings.data, CALIBRATION_IMAGES, 8))
        if self.real is None:
            return eight(mho.zoo.load(self.name, weights="seeded"))
        return mho.number.quantise(self.network) if self.network.codes else eight(self.network, self.calibration.inputs)


def spread(samples: Samples, count: int) -> Samples:
    """Return so many samples evenly spread, or all."""
    return samples.spread(count) if count < len(samples) else samples
