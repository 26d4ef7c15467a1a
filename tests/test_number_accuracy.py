"""Accuracy of quantised networks on real weights and real data.

Where the float network is known, predictions are compared image by image: of n images, `lost` are right in
float and wrong in integers, `won` the other way round. The change of accuracy is (won - lost) / n, with
standard error sqrt(won + lost) / n. A test fails where the loss exceeds the stated limit by more than two
standard errors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mho.network.graph import Network
from mho.number.quantised import quantise
from mho.number.reference import run_float, run_reference


def images(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, channels, height, width), spread over a file that is not in random order, and labels."""
    with np.load(path) as file:
        step = len(file["y"]) // count
        chosen = file["x"].transpose(0, 3, 1, 2)[::step][:count]
        return np.ascontiguousarray(chosen), file["y"][::step][:count].astype(int)


def best(outputs: dict[str, np.ndarray], network: Network) -> np.ndarray:
    """The class of each sample."""
    scores = outputs[network.outputs[0]]
    return scores.reshape(scores.shape[0], -1).argmax(axis=1)


def assert_close_to_float(
    network: Network, x: np.ndarray, y: np.ndarray, calibration: np.ndarray, limit: float
) -> None:
    """Compare the quantised with the float network, sample by sample."""
    real = best(run_float(network, x, single=True), network) == y
    coded = best(run_reference(quantise(network, calibration), x), network) == y
    lost, won = int(np.sum(real & ~coded)), int(np.sum(~real & coded))
    loss, error = (lost - won) / len(y), np.sqrt(lost + won) / len(y)
    assert real.mean() > 0.6, "the float network does not know its data"
    assert loss <= limit + 2 * error, f"{real.mean():.4f} in float, {coded.mean():.4f} in integers"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet8_fp32", 1000),
        ("resnet20", 400),
        ("resnet32", 200),
        ("resnet56", 150),
        ("densenet40fast", 60),
    ],
)
def test_cifar_networks_lose_at_most_half_a_point(data: Path, name: str, count: int) -> None:
    network = Network.from_onnx(data / "cifar10" / f"{name}.onnx")
    x, y = images(data / "cifar10" / "test_a.npz", count)
    calibration, _ = images(data / "cifar10" / "train_calib.npz", 32 if count < 500 else 128)
    assert_close_to_float(network, x, y, calibration, 0.005)


def test_squeezenet_loses_at_most_a_point_and_a_half(data: Path) -> None:
    network = Network.from_onnx(data / "imagenet" / "squeezenet1.1.onnx")
    x, y = images(data / "imagenet" / "val_a200.npz", 60)
    with np.load(data / "imagenet" / "calib32.npz") as file:
        calibration = np.ascontiguousarray(file["x"][::2].transpose(0, 3, 1, 2))
    assert_close_to_float(network, x, y, calibration, 0.015)


def test_a_keyword_transformer_loses_at_most_a_point_and_a_half(data: Path) -> None:
    """Calibrated on the first 50 clips: there is no other set, so these are left out of the comparison."""
    network = Network.from_onnx(data / "kws" / "kwt1_core.onnx")
    with np.load(data / "kws" / "kwt_mfcc_a500.npz") as file:
        x, y = file["mfcc"].astype(np.float64), file["y"].astype(int)
    assert_close_to_float(network, x[50:250], y[50:250], x[:50], 0.015)


@pytest.mark.parametrize(
    ("path", "count", "stated", "off"),
    [
        ("cifar10/resnet8_int8_qdq.onnx", 1000, 0.873, 0),
        ("kws/dscnn_int8_qdq.onnx", 500, 0.894, 0),
        ("imagenet/mobilenet_v2_int8_qdq.onnx", 40, 0.765, 1),
    ],
)
def test_files_with_codes_reach_their_stated_accuracy(
    data: Path, path: str, count: int, stated: float, off: int
) -> None:
    """Stated on the full set (5000 images, 500 clips, 200 images): within three standard errors."""
    network = Network.from_onnx(data / path)
    if path.startswith("kws"):
        with np.load(data / "kws" / "dscnn_mfcc_a500.npz") as file:
            x, y = file["x"][:, None], file["y"].astype(int)
    else:
        folder, file_name = path.split("/")[0], "test_a.npz" if "cifar" in path else "val_a200.npz"
        x, y = images(data / folder / file_name, count)
    if "resnet8" in path:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    accuracy = float(np.mean(best(run_reference(quantise(network), x), network) == y + off))
    error = 0.005 if path.startswith("kws") else 3 * np.sqrt(stated * (1 - stated) / count)
    assert abs(accuracy - stated) <= error
