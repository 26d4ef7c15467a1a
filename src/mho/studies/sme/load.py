"""The networks of the study, loaded when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mho
from mho.network.samples import Samples
from mho.number.moments import Moments, moments
from mho.studies.real import Real
from mho.studies.sme.chips import dense, squeezing
from mho.studies.stages import FILE as STAGES_FILE
from mho.studies.stages import images, stages

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


class StudiedNetwork(Real):
    """A network of the study: a real one, the part of ResNet-50, or one of the zoo."""

    def measure(self, what: str, compute: Callable[[], Mapping[str, Any]], *rests: Any) -> dict[str, Any]:
        """Measure something of it, which rests on the chips, its files, and `rests`."""
        return self.work.measure(f"{self.name}: {what}", compute, squeezing(), dense(), self.files, *rests)

    @property
    def files(self) -> list[Path]:
        """The files that it is measured from."""
        if not self.is_real:
            return [self.path(file) for file in (STAGES_FILE, CALIBRATION_IMAGES)] if self.name == STAGES else []
        return [self.path(file) for file in dict.fromkeys((self.real.file, self.real.samples, self.calibration_file))]

    @cached_property
    def all_samples(self) -> Samples:
        """All labelled samples."""
        return self.load(self.real.samples)

    @cached_property
    def samples(self) -> Samples:
        """The samples that a point of a curve is judged on."""
        return spread(self.all_samples, QUICK if self.quick else JUDGED)

    @cached_property
    def few(self) -> Samples:
        """The samples that one of many codings is judged on."""
        return spread(self.all_samples, QUICK if self.quick else FEW)

    @property
    def calibration_file(self) -> str:
        """The file of the samples by which rounding goes: not that of those which judge, where there is another."""
        if self.real.file.startswith("cifar10"):
            return "cifar10/train_calib.npz"
        return self.real.calibration or SPARE.get(self.real.file, self.real.samples)

    @cached_property
    def calibration(self) -> Samples:
        """The samples by which rounding goes."""
        return spread(self.load(self.calibration_file), QUICK if self.quick else CALIBRATED)

    @cached_property
    def quantised(self) -> mho.number.QuantisedNetwork:
        """The network in 8 bits, one scale an output; as the file has it where that is quantised."""
        eight = partial(mho.number.quantise, per_channel=True, symmetric=True)
        if self.name == STAGES:
            return eight(stages(self.path("")), images(self.path(""), CALIBRATION_IMAGES, 8))
        if not self.is_real:
            return eight(mho.zoo.load(self.name, weights="seeded"))
        return mho.number.quantise(self.network) if self.network.codes else eight(self.network, self.calibration.inputs)

    @cached_property
    def moments(self) -> Mapping[str, Moments]:
        """The statistics of the layers' inputs on the samples by which rounding goes."""
        network = self.quantised.network
        return moments(network, self.calibration.inputs, [layer.name for layer in network.weighted])


def spread(samples: Samples, count: int) -> Samples:
    """Return so many samples evenly spread, or all."""
    return samples.spread(count) if count < len(samples) else samples
