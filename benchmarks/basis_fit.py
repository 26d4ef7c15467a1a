"""What fitting to a basis leaves of a network's accuracy, without training and without labels (docs/basis-fit.md), on real data.

Each network is fitted on images for calibration and judged, in integers, on others, beside itself in float.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# One thread, before numpy is imported: small products gain nothing from more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.files import ROOT, write_measured
from benchmarks.subjects import Subjects
from benchmarks.tables import table

RESULTS = ROOT / "benchmarks" / "basis_fit.json"
PAGE = ROOT / "docs" / "basis-fit.md"
SCHEMA = "mho.basis-fit/1"


@dataclass(frozen=True)
class Subject:
    """A network of the data, how it is fitted, and the share of samples, in points, that it may have right less than in float."""

    network: str
    basis: str
    nonzeros: int
    goal: float
    seed: int = 0
    bits: int = 4

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{Path(self.network).stem}, {self.basis}, k {self.nonzeros}, {self.bits} bits, seed {self.seed}"

    @property
    def calibration(self) -> tuple[str, int]:
        """The file of the images for calibration, and how many of them are taken."""
        return ("cifar10/train_calib.npz", 500) if self.network.startswith("cifar10") else ("imagenet/calib32.npz", 32)

    @property
    def judged(self) -> str:
        """The file of the images that judge."""
        return "cifar10/test_a.npz" if self.network.startswith("cifar10") else "imagenet/val_a200.npz"


SUBJECTS = {
    subject.name: subject
    for subject in (
        *(Subject("cifar10/resnet20.onnx", "learned", 32, 0.52, seed) for seed in range(3)),
        *(Subject("cifar10/resnet20.onnx", "universal", 32, 1.02, seed) for seed in range(3)),
        Subject("cifar10/resnet32.onnx", "learned", 32, 1.0),
        Subject("cifar10/resnet56.onnx", "learned", 32, 1.0),
        Subject("cifar10/densenet40fast.onnx", "learned", 32, 2.0),
        *(
            Subject(f"imagenet/{name}.onnx", "learned", nonzeros, 1.0, bits=bits)
            for name in ("squeezenet1.1", "mobilenet_v2_int8_qdq")
            for nonzeros, bits in ((32, 4), (48, 4), (64, 4), (64, 5))
        ),
    )
}


def measure(subject: Subject, data: Path) -> dict[str, Any]:
    """Fit a network and judge it."""
    import mho
    from mho.network.samples import load_samples
    from mho.number.accuracy import top1

    network = mho.Network.from_onnx(data / subject.network)
    file, count = subject.calibration
    calibration = load_samples(data / file, network).first(count).inputs
    began = time.process_time()
    fitted = mho.number.fit_basis(
        network, calibration, nonzeros=subject.nonzeros, bits=subject.bits, basis=subject.basis, seed=subject.seed
    )
    took = time.process_time() - began
    found = top1(fitted, load_samples(data / subject.judged, network))
    return {
        "samples": found.samples, "calibrated": count,
        "float": found.right_in_float, "fitted": found.right_in_integers, "fit_s": took,
    }  # fmt: skip


def lost(found: dict[str, Any]) -> float:
    """Return the points of accuracy lost against float."""
    return 100 * (found["float"] - found["fitted"]) / found["samples"]


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    rows = []
    for name, found in results["subjects"].items():
        goal, points = SUBJECTS[name].goal, lost(found)
        said = f"{0 - points:+.2f}".replace("-", "−")
        rows.append((
            name, f"{found['calibrated']}", f"{found['samples']}", f"{100 * found['float'] / found['samples']:.2f}",
            f"{100 * found['fitted'] / found['samples']:.2f}", f"**{said}**" if points <= goal + 1e-9 else said, f"−{goal:g}",
            f"{found['fit_s']:.0f}",
        ))  # fmt: skip
    heads = (
        "network, basis",
        "calibrated on",
        "judged on",
        "float, %",
        "fitted, %",
        "change to float",
        "goal",
        "CPU, s",
    )
    return table(heads, rows)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    return Subjects(
        "basis-fit",
        "Accuracy of networks fitted to a basis without labels, on real data; writes docs/basis-fit.md and "
        "benchmarks/basis_fit.json. An hour of one core. Interrupt it at will: what is measured is kept.",
        RESULTS,
        SCHEMA,
        "subjects",
        {name: partial(measure, subject) for name, subject in SUBJECTS.items()},
        lambda found: write_measured(PAGE, rendered(found)),
    ).main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
