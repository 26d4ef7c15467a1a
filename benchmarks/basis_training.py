"""What training leaves of the accuracy of networks on a basis (docs/basis-training.md): fitted, then tuned, on real data.

Networks for CIFAR-10 are those of the data; those for CIFAR-100 are trained here, in float, on the training images alone. Each
is fitted to a basis on training images without labels, tuned with the float network as its teacher (and labels, for CIFAR-100),
and judged as integers.
Epochs are kept in scratch files, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# One thread, before numpy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from benchmarks.accuracy import PIECE
from benchmarks.files import ROOT, SCRATCH, write_measured
from benchmarks.subjects import Subjects
from benchmarks.tables import table

if TYPE_CHECKING:
    from torch import nn

    from mho.number import QuantisedNetwork

RESULTS = ROOT / "benchmarks" / "basis_training.json"
PAGE = ROOT / "docs" / "basis-training.md"
SCHEMA = "mho.basis-training/1"
VECTORS, BITS, CALIBRATED = 512, 4, 500
HELD = 2000
"""So many of CIFAR-100's training images, the last, train nothing: they judge settings."""
FLOAT: dict[str, Any] = {
    "batch": 128, "others": 0.1, "warm": 0.1, "optimiser": "sgd", "decay": 5e-4, "follow": True, "half": True,
}  # fmt: skip
PASSES = {"resnet20-100": 30, "densenet16-100": 20}
"""Settings of networks that are trained in float, and the passes of each."""
FAST: dict[str, Any] = {"coefficients": 0.03, "elements": 0.01, "settle": 0.02, "half": True}
MIDDLE: dict[str, Any] = {"coefficients": 0.02, "elements": 0.005, "settle": 0.02, "half": True}
"""Settings of what is tuned but for epochs; chosen in short runs on 8,000 of CIFAR-10's training images, judged on 2,000 others."""
LABELLED: dict[str, Any] = {
    "coefficients": 0.01, "elements": 0.002, "others": 0.001, "settle": 0.02, "labels": 0.2, "half": True,
}  # fmt: skip
"""The same for CIFAR-100, whose labels take part; chosen on resnet20, on its training images, judged by the HELD others."""


@dataclass(frozen=True)
class Subject:
    """A network, its basis, how many points of accuracy it may lose, and how it is tuned.

    `shift`: images are shifted by up to so many pixels.
    """

    network: str
    nonzeros: int
    levels: int
    basis: str
    goal: float
    tuned: dict[str, Any]
    shift: int = 1


SUBJECTS = {
    "resnet20, k 16, 16 levels": Subject("resnet20", 16, 16, "learned", 1.0, {**FAST, "epochs": 8}, 4),
    "resnet20, k 24, 4 levels": Subject("resnet20", 24, 4, "learned", 0.7, {**MIDDLE, "epochs": 5}),
    "resnet20, k 24, universal": Subject("resnet20", 24, 2, "universal", 1.5, {**MIDDLE, "epochs": 3}),
    "resnet20 for CIFAR-100, k 24, 4 levels": Subject("resnet20-100", 24, 4, "learned", 1.0, {**LABELLED, "epochs": 4}),
    "densenet16 for CIFAR-100, k 24, 4 levels": Subject(
        "densenet16-100", 24, 4, "learned", 1.0, {**LABELLED, "epochs": 3}
    ),
}
BODIES: dict[str, Callable[[], nn.Module]] = {
    "resnet20-100": lambda: _zoo().CifarResNet(3, classes=100),
    "densenet16-100": lambda: _zoo().CifarDenseNet(12, 4, classes=100),
}


def _zoo() -> Any:
    from mho.network.zoo import convolutional

    return convolutional


def pixels(body: nn.Module, mean: tuple[float, ...], deviation: tuple[float, ...]) -> nn.Module:
    """Return a module that takes pixels 0 to 255, normalises them, and lays them out as convolutions like them."""
    import torch
    from torch import Tensor, nn

    class Pixels(nn.Module):
        """(pixel / 255 - mean) / deviation, then `body`."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", 255 * torch.tensor(mean).reshape(3, 1, 1))
            self.register_buffer("deviation", 255 * torch.tensor(deviation).reshape(3, 1, 1))
            self.body = body

        def forward(self, x: Tensor) -> Tensor:
            x = (x - self.mean) / self.deviation
            y: Tensor = self.body(x.contiguous(memory_format=torch.channels_last))
            return y

    return Pixels().to(memory_format=torch.channels_last).eval()


def images(path: Path) -> tuple[Any, Any]:
    """Return images uint8 (samples, 3, 32, 32) and their labels."""
    with np.load(path) as file:
        return np.ascontiguousarray(file["x"].transpose(0, 3, 1, 2)), file["y"].astype(np.int64)


def trained_on(network: str, data: Path) -> tuple[Any, Any]:
    """Return the images, and labels, that a network is tuned on, and trained on where it is trained here."""
    folder = data / "cifar_train"
    if not network.endswith("-100"):
        return images(folder / "cifar10_train16k.npz")
    parts = [images(folder / f"cifar100_train10k_{part}.npz") for part in "ab"]
    x, y = (np.concatenate(each)[:-HELD] for each in zip(*parts, strict=True))
    return x, y


def real(network: str, data: Path) -> nn.Module:
    """Return the float network: that of the data, or one trained here, as far as it is not trained already."""
    import torch

    from mho.network.zoo.weights import fill_from_file, read_metadata
    from mho.training.tuning import Settings, Tuning, moved

    if network not in BODIES:
        path = data / "cifar10" / f"{network}.safetensors"
        about = read_metadata(path)
        body = _zoo().CifarResNet(3, about.first_epsilon)
        fill_from_file(body, path)
        assert about.mean is not None and about.deviation is not None
        return pixels(body, about.mean, about.deviation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = BODIES[network]()
    x, y = trained_on(network, data)
    mean, deviation = x.mean(axis=(0, 2, 3)) / 255, x.std(axis=(0, 2, 3)) / 255
    module = pixels(body, tuple(map(float, mean)), tuple(map(float, deviation)))
    run(Tuning(module, x, Settings(**FLOAT, epochs=PASSES[network]), labels=y, change=moved), f"{network}-float")
    return module.eval()


def run(tuning: Any, name: str) -> None:
    """Run a training to its end, from its checkpoint where there is one."""
    path = SCRATCH / f"basis-{name.replace(', ', '-').replace(' ', '-')}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        tuning.resume(path)
    tuning.run(lambda epoch, loss: sys.stderr.write(f"{name}: epoch {epoch}, loss {loss:.4f}\n"), path=path)


def right(quantised: QuantisedNetwork, x: Any, y: Any) -> int:
    """Return how many images the network has right, in integers."""
    import mho

    found = 0
    for start in range(0, len(x), PIECE):
        part = slice(start, start + PIECE)
        scores = mho.number.run_reference(quantised, x[part].astype(np.float32))[quantised.network.outputs[0]]
        found += int((scores.argmax(axis=1) == y[part]).sum())
    return found


def right_in_float(module: nn.Module, x: Any, y: Any) -> int:
    """Return how many images a module has right."""
    import torch

    with torch.no_grad():
        parts = range(0, len(x), PIECE)
        scores = torch.cat([module(torch.from_numpy(x[start : start + PIECE]).float()) for start in parts])
    return int((scores.argmax(dim=1).numpy() == y).sum())


def fit(subject: Subject, module: nn.Module, data: Path) -> QuantisedNetwork:
    """Fit a network to its basis, on images that it was trained on."""
    import torch

    import mho

    if subject.network.endswith("-100"):
        x, _ = trained_on(subject.network, data)
    else:
        x, _ = images(data / "cifar10" / "train_calib.npz")
    network = mho.Network.from_torch(module, torch.zeros(1, 3, 32, 32), name=subject.network)
    samples = x[:CALIBRATED].astype(np.float32)
    return mho.number.fit_basis(network, samples, VECTORS, subject.nonzeros, BITS, subject.levels, subject.basis)


def prepare(name: str, data: Path) -> tuple[nn.Module, QuantisedNetwork, Any]:
    """Return a subject's float network, what was fitted, and its training."""
    import torch

    from mho.training.basis import combine
    from mho.training.tuning import Settings, Tuning, moved

    subject = SUBJECTS[name]
    module = real(subject.network, data)
    fitted = fit(subject, module, data)
    model = combine(module, fitted).to(memory_format=torch.channels_last)
    if subject.basis == "universal":
        model.get_submodule("basis").requires_grad_(False)
    x, y = trained_on(subject.network, data)
    settings = Settings(**subject.tuned)
    return module, fitted, Tuning(model, x, settings, labels=y, teacher=module, change=partial(moved, by=subject.shift))


def measure(name: str, data: Path) -> dict[str, Any]:
    """Measure a subject: float, fitted and tuned, on test images."""
    from mho.training.basis import keep_basis

    subject = SUBJECTS[name]
    module, fitted, tuning = prepare(name, data)
    run(tuning, name)
    tuned = keep_basis(tuning.model)
    folder = "cifar_train/cifar100_test5k.npz" if subject.network.endswith("-100") else "cifar10/test_a.npz"
    x, y = images(data / folder)
    return {
        "samples": len(y),
        "float": right_in_float(module, x, y),
        "fitted": right(fitted, x, y),
        "tuned": right(tuned, x, y),
        "moved": moved_share(fitted, tuned),
        "images": len(tuning.images),
        "shift": subject.shift,
        "settings": asdict(tuning.settings),
    }


def moved_share(before: QuantisedNetwork, after: QuantisedNetwork) -> float:
    """Return the share of coefficients that are not 0 and were 0 before."""
    assert before.basis is not None and after.basis is not None
    new, all_ = 0, 0
    for layer in after.network.weighted:
        first, second = before.basis.dense(layer) != 0, after.basis.dense(layer) != 0
        new, all_ = new + int((second & ~first).sum()), all_ + int(second.sum())
    return new / all_


def lost(found: dict[str, Any], which: str) -> float:
    """Return the points of accuracy lost against float."""
    return 100 * (found["float"] - found[which]) / found["samples"]


def _said(points: float) -> str:
    return f"{0 - points:+.2f}".replace("-", "−")


def rendered(results: dict[str, Any]) -> str:
    """Return the table."""
    rows = []
    for name, found in results["subjects"].items():
        goal = SUBJECTS[name].goal
        percent = [f"{100 * found[which] / found['samples']:.2f}" for which in ("float", "fitted", "tuned")]
        said = _said(lost(found, "tuned"))
        rows.append((
            name, percent[0], percent[1], percent[2], f"**{said}**" if lost(found, "tuned") <= goal else said, f"−{goal:g}",
            f"{found['settings']['epochs']} x {found['images']}", f"{100 * found['moved']:.1f}",
        ))  # fmt: skip
    heads = (
        "network, basis", "float, %", "fitted, %", "tuned, %", "change to float", "goal", "images", "new in the support, %",
    )  # fmt: skip
    return table(heads, rows)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the page."""
    import torch

    torch.set_num_threads(1)
    return Subjects(
        "basis-training",
        "Accuracy of networks on a basis, fitted and then tuned, on real data; writes docs/basis-training.md and "
        "benchmarks/basis_training.json. Hours on one core. Interrupt it at will: the next call goes on from the last epoch.",
        RESULTS,
        SCHEMA,
        "subjects",
        {name: partial(measure, name) for name in SUBJECTS},
        lambda found: write_measured(PAGE, rendered(found)),
    ).main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
