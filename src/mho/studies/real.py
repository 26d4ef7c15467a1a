"""The real trained networks that studies measure, with the samples that calibrate and judge them.

The files are those of the folder of real data; a study runs without them, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mho.errors import OptionError
from mho.network import Network
from mho.network.samples import Samples, load_samples
from mho.studies.work import Work


@dataclass(frozen=True)
class RealNetwork:
    """A network file with its samples.

    `calibration`: the samples that set the range of activations (none for a file with codes of its own), at most `calibrated`.
    `judges`: labelled samples that choose the centre, at most `judged`; where they are not the samples that are counted in
    the end, the choice knows nothing of these.
    """

    file: str
    samples: str
    calibration: str
    calibrated: int
    judges: str
    judged: int

    @property
    def name(self) -> str:
        """The file's name without folder and ending."""
        return Path(self.file).stem


def _cifar(name: str, calibrated: int = 256) -> RealNetwork:
    calibration = "cifar10/train_calib.npz" if calibrated else ""
    return RealNetwork(
        f"cifar10/{name}.onnx", "cifar10/test_a.npz", calibration, calibrated, "cifar10/train_calib.npz", 1000
    )


REAL = (
    _cifar("resnet8_fp32"),
    _cifar("resnet20"),
    _cifar("resnet20S"),
    _cifar("resnet32"),
    _cifar("resnet56"),
    _cifar("densenet40fast"),
    RealNetwork(
        "imagenet/squeezenet1.1.onnx", "imagenet/val_a200.npz", "imagenet/calib32.npz", 32, "imagenet/val_a200.npz", 100
    ),
    RealNetwork(
        "kws/kwt1_core.onnx", "kws/kwt_mfcc_a500.npz", "kws/kwt_mfcc_a500.npz", 50, "kws/kwt_mfcc_a500.npz", 250
    ),
    _cifar("resnet8_int8_qdq", calibrated=0),
    RealNetwork("imagenet/mobilenet_v2_int8_qdq.onnx", "imagenet/val_a200.npz", "", 0, "imagenet/val_a200.npz", 100),
    RealNetwork("kws/dscnn_int8_qdq.onnx", "kws/dscnn_mfcc_a500.npz", "", 0, "kws/dscnn_mfcc_a500.npz", 250),
)

SMALL = "dscnn_int8_qdq"
"""The network of a quick study."""


def chosen(work: Work) -> tuple[RealNetwork, ...]:
    """Return the networks to measure; none where there is no real data."""
    if work.settings.data is None:
        return ()
    return tuple(network for network in REAL if network.name == SMALL) if work.settings.quick else REAL


class Real:
    """A network of a study that is a real one, or none; each part of it is made when it is first needed."""

    def __init__(self, work: Work, name: str) -> None:
        """Name a network."""
        self.work, self.name, self.quick = work, name, work.settings.quick
        self.is_real = name in {network.name for network in chosen(work)}

    @property
    def real(self) -> RealNetwork:
        """Its files; StopIteration where it is no real network."""
        return next(network for network in chosen(self.work) if network.name == self.name)

    def path(self, file: str) -> Path:
        """Return a file of the folder of real data."""
        assert self.work.settings.data is not None
        return self.work.settings.data / file

    @cached_property
    def network(self) -> Network:
        """The network."""
        return Network.from_onnx(self.path(self.real.file))

    def load(self, file: str) -> Samples:
        """Load samples for it."""
        return load_samples(self.path(file), self.network)


def check_data(work: Work) -> None:
    """Refuse, before the long work, a folder of data in which files are missing. OptionError names the first."""
    for real in chosen(work):
        for file in (real.file, real.samples, real.calibration, real.judges):
            assert work.settings.data is not None
            if file and not (work.settings.data / file).is_file():
                raise OptionError(f"--data {work.settings.data}: holds no {file}, which this study measures")
