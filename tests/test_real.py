"""Real weights and real inputs: every program is bit-exact against the integer reference, and legal.

The chip is ARAS cut down to a few groups, so that no network fits, most layers run in parts and every cell is overwritten
again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import mho
from mho.chip import Chip
from mho.network.samples import Samples, load_samples, synthetic
from mho.network.zoo import convolutional, modules, transformer
from mho.number import QuantisedNetwork
from tests.strategies import GREEDY

CIFAR = ("cifar10/test_a.npz", "cifar10/train_calib.npz")
IMAGENET = ("imagenet/val_a200.npz", "imagenet/calib32.npz")
KEYWORDS = ("kws/kwt_mfcc_a500.npz", "kws/kwt_mfcc_a500.npz")

FILES = {
    "cifar10/resnet20.onnx": CIFAR,
    "cifar10/resnet32.onnx": CIFAR,
    "cifar10/resnet56.onnx": CIFAR,
    "cifar10/densenet40fast.onnx": CIFAR,
    "cifar10/resnet8_fp32.onnx": CIFAR,
    "cifar10/resnet8_int8_qdq.onnx": CIFAR,
    "imagenet/squeezenet1.1.onnx": IMAGENET,
    "imagenet/mobilenet_v2_int8_qdq.onnx": IMAGENET,
    "kws/kwt1_core.onnx": KEYWORDS,
    "kws/dscnn_int8_qdq.onnx": ("kws/dscnn_mfcc_a500.npz", "kws/dscnn_mfcc_a500.npz"),
}


def small_chip(tiles: int = 4) -> Chip:
    return Chip.load("aras").override({"tiles": tiles}, source="test: so few groups that weights are overwritten")


@cache
def read(path: Path, calibration: Path, *, per_channel: bool = False) -> tuple[mho.Network, QuantisedNetwork]:
    """A file's network, and the same quantised on its samples: once for all its schedules."""
    network = mho.Network.from_onnx(path)
    few = load_samples(calibration, network).first(8)
    return network, mho.number.quantise(network, few.inputs, per_channel=per_channel)


def check(quantised: QuantisedNetwork, samples: Samples, chip: Chip, schedule: str) -> None:
    program = mho.compile(quantised, chip, GREEDY.with_(schedule=schedule))
    assert program.setup == 0, "the network fits: nothing would be overwritten"
    result = mho.verify(program, samples.inputs)
    assert result.ok, str(result)
    assert result.compared >= len(quantised.network.matrix_layers)


LARGE = ("cifar10/densenet40fast.onnx", "imagenet/mobilenet_v2_int8_qdq.onnx", "imagenet/squeezenet1.1.onnx")
"""Files that take seconds each, by one schedule on most days: the one that begins with the others' plans."""
RUNS = [
    pytest.param(file, schedule, marks=[pytest.mark.nightly] if schedule != "adaptive" and file in LARGE else [])
    for file in FILES
    for schedule in ("naive", "overlap", "adaptive")
]


@pytest.mark.parametrize(("file", "schedule"), RUNS)
def test_files_with_real_weights_are_bit_exact_on_real_samples(data: Path, file: str, schedule: str) -> None:
    given, measured = FILES[file]
    network, quantised = read(data / file, data / measured)
    samples = load_samples(data / given, network).first(2)
    check(quantised, samples, small_chip(1 if "dscnn" in file or "resnet8" in file else 2), schedule)


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet56"])
def test_torch_models_with_real_weights_are_bit_exact_and_equal_their_onnx_twins(data: Path, name: str) -> None:
    network = mho.zoo.load(name, weights=str(data / "cifar10" / f"{name}.safetensors"))
    twin = mho.Network.from_onnx(data / "cifar10" / f"{name}.onnx")
    samples = load_samples(data / CIFAR[0], network).first(2)
    calibration = load_samples(data / CIFAR[1], network).first(8)
    check(mho.number.quantise(network, calibration.inputs), samples, small_chip(2), "overlap")
    ours, theirs = (next(iter(mho.number.run_float(net, samples.inputs).values())) for net in (network, twin))
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


SHALLOW: dict[str, Callable[[int, object], nn.Module]] = {
    "resnet50": lambda size, file: convolutional.ResNet(convolutional.Bottleneck, (1, 1, 1, 1), classes=10),
    "densenet161": lambda size, file: convolutional.DenseNet(16, (2, 2, 2, 2), 32, classes=100),
    "bert-base": lambda size, file: transformer.bert(size, layers=2, hidden=192, heads=3),
}
"""The same blocks, fewer of them: what a deep one adds is time. Nightly runs take the published ones."""


@pytest.mark.parametrize(
    ("name", "options", "tiles", "published"),
    [
        ("mobilenet_v2", {"input_size": 32}, 24, True),
        ("resnet50", {"input_size": 32}, 8, False),
        ("densenet161", {"input_size": 32}, 1, False),
        ("densenet40", {"input_size": 8}, 1, True),
        ("bert-base", {"sequence": 16}, 2, False),
        *(
            pytest.param(name, options, 24, True, marks=pytest.mark.nightly)
            for name, options in (
                ("resnet50", {"input_size": 32}),
                ("densenet161", {"input_size": 32}),
                ("bert-base", {"sequence": 16}),
            )
        ),
    ],
)
def test_large_models_of_reduced_input_are_bit_exact(
    name: str, options: dict[str, int], tiles: int, published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are seeded: what is tested is that they land in the right cells at the right time."""
    if not published:
        monkeypatch.setitem(modules._MAKERS, name, SHALLOW[name])  # type: ignore[arg-type]
    network = mho.zoo.load(name, weights="seeded", **options)
    quantised = mho.number.quantise(network, synthetic(network, 2, seed=1).inputs)
    check(quantised, synthetic(network, 1, seed=2), small_chip(tiles), "overlap")


def test_the_very_chip_and_network_of_the_main_job_are_bit_exact() -> None:
    """ResNet-50 at its full size on the whole ARAS chip: the program that `make run` times is the one executed here."""
    network = mho.zoo.load("resnet50", weights="seeded")
    quantised = mho.number.quantise(network, synthetic(network, 1, seed=1).inputs)
    program = mho.compile(quantised, "aras")
    result = mho.verify(program, synthetic(network, 1, seed=2).inputs)
    assert result.ok, str(result)
    report = mho.simulate(program, verified=str(result))
    shapes = mho.simulate(mho.compile(mho.zoo.load("resnet50"), "aras"))
    assert report.latency_s == shapes.latency_s
    assert report.worn.exact
    assert not shapes.worn.exact


def test_compiling_prints_nothing(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The solver of the bank programs used to, on this network: standard output is for results."""
    network = mho.Network.from_onnx(data / "cifar10" / "densenet40fast.onnx")
    mho.compile(network, mho.Chip.load("aras").override({"tiles": 25}, source="smaller"), "overlap")
    assert capfd.readouterr() == ("", "")
