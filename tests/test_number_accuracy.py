"""Accuracy of quantised networks on real weights and real data.

The yardstick is onnxruntime, which shares no code with mho. Predictions are compared image by image: of n images, `lost` are
right in float and wrong in integers, `won` the other way round. The change of accuracy is (won - lost) / n, with standard
error sqrt(won + lost) / n. A test fails where the loss exceeds the stated limit by more than two standard errors. So few
images say little about half a point. The error of the scores themselves says more and is bounded besides, at one and a half
times what it is: one bit less would double it. By day half of the CIFAR images are taken. Accuracy on all images is in
docs/accuracy.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mho.network.graph import Network
from mho.number.quantised import quantise
from mho.number.reference import run_reference
from tests.conftest import NIGHTLY


def images(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, channels, height, width), spread over a file that is not in random order, and labels."""
    with np.load(path) as file:
        step = len(file["y"]) // count
        chosen = file["x"].transpose(0, 3, 1, 2)[::step][:count]
        return np.ascontiguousarray(chosen), file["y"][::step][:count].astype(int)


def independent(path: Path, x: np.ndarray) -> np.ndarray:
    """Scores (n, classes) of the file as onnxruntime computes them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = x.astype(np.float32) if given.type == "tensor(float)" else x
    parts = [session.run(None, {given.name: x[i : i + 50]})[0] for i in range(0, len(x), 50)]
    return np.concatenate(parts).reshape(len(x), -1)


def integers(network: Network, x: np.ndarray, calibration: np.ndarray | None = None) -> np.ndarray:
    """Scores (n, classes) of the quantised network."""
    outputs = run_reference(quantise(network, calibration), x)
    return outputs[network.outputs[0]].reshape(len(x), -1)


def assert_close_to_float(
    path: Path, x: np.ndarray, y: np.ndarray, calibration: np.ndarray, limit: float, error: float
) -> None:
    """Compare the quantised with the float network, sample by sample.

    `limit` bounds the loss of accuracy, `error` the root-mean-square error of the scores over their standard deviation.
    """
    wanted = independent(path, x)
    got = integers(Network.from_onnx(path), x, calibration)
    real, coded = wanted.argmax(axis=1) == y, got.argmax(axis=1) == y
    lost, won = int(np.sum(real & ~coded)), int(np.sum(~real & coded))
    loss, doubt = (lost - won) / len(y), np.sqrt(lost + won) / len(y)
    assert real.mean() > 0.6, "the float network does not know its data"
    assert loss <= limit + 2 * doubt, f"{real.mean():.4f} in float, {coded.mean():.4f} in integers"
    ratio = np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std()
    assert ratio <= error, f"scores are off by {ratio:.4f} of their standard deviation"


@pytest.mark.parametrize(
    ("name", "count", "error"),
    [
        ("resnet8_fp32", 1000, 0.08),
        ("resnet20", 400, 0.06),
        ("resnet32", 200, 0.05),
        ("resnet56", 150, 0.055),
        ("densenet40fast", 60, 0.08),
    ],
)
def test_cifar_networks_lose_at_most_half_a_point(data: Path, name: str, count: int, error: float) -> None:
    x, y = images(data / "cifar10" / "test_a.npz", count if NIGHTLY else count // 2)
    calibration, _ = images(data / "cifar10" / "train_calib.npz", 32 if count < 500 else 128)
    assert_close_to_float(data / "cifar10" / f"{name}.onnx", x, y, calibration, 0.005, error)


def test_squeezenet_loses_at_most_a_point_and_a_half(data: Path) -> None:
    x, y = images(data / "imagenet" / "val_a200.npz", 60)
    calibration, _ = images(data / "imagenet" / "calib32.npz", 16)
    assert_close_to_float(data / "imagenet" / "squeezenet1.1.onnx", x, y, calibration, 0.015, 0.09)


def test_a_keyword_transformer_loses_at_most_a_point_and_a_half(data: Path) -> None:
    """Calibrated on the first 50 clips: there is no other set, so these are left out of the comparison."""
    with np.load(data / "kws" / "kwt_mfcc_a500.npz") as file:
        x, y = file["mfcc"].astype(np.float64), file["y"].astype(int)
    assert_close_to_float(data / "kws" / "kwt1_core.onnx", x[50:250], y[50:250], x[:50], 0.015, 0.19)


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
    """Stated on the full set (5000 images, 500 clips, 200 images): within three standard errors.

    Besides, the class of each image is that of onnxruntime, but for near ties in one of a hundred.
    """
    if path.startswith("kws"):
        with np.load(data / "kws" / "dscnn_mfcc_a500.npz") as file:
            x, y = file["x"][:, None], file["y"].astype(int)
    else:
        folder, file_name = path.split("/")[0], "test_a.npz" if "cifar" in path else "val_a200.npz"
        x, y = images(data / folder / file_name, count)
    if "resnet8" in path:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    found = integers(Network.from_onnx(data / path), x).argmax(axis=1)
    wanted = independent(data / path, x).argmax(axis=1)
    error = 0.005 if path.startswith("kws") else 3 * np.sqrt(stated * (1 - stated) / count)
    assert abs(float(np.mean(found == y + off)) - stated) <= error
    assert np.sum(found != wanted) <= 0.01 * count
