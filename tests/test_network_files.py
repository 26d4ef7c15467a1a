"""Public files of the kinds that older papers use go through, and compute what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mho.network import Network
from mho.number import run_float
from tests.test_network_onnx import session_of

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
FILES = {  # name: weights, million multiply-accumulates
    "bvlc_alexnet": (60_954_656, 655),
    "densenet121": (7_894_208, 2834),
    "inception_v1": (6_990_272, 1432),
    "inception_v2": (11_174_080, 2019),
    "resnet50": (25_502_912, 4089),
    "shufflenet": (1_365_464, 125),
    "squeezenet": (1_231_552, 349),
    "vgg19": (143_652_544, 19632),
    "zfnet512": (87_242_528, 1482),
}
SMALL = ("shufflenet", "squeezenet")


@pytest.mark.parametrize("name", FILES)
def test_a_public_file_goes_through_with_its_counts(name: str) -> None:
    network = Network.from_onnx(LIGHT / f"light_{name}.onnx")
    assert (network.weights, round(network.macs / 1e6)) == FILES[name]


@pytest.mark.parametrize("name", SMALL)
def test_a_public_file_computes_what_onnxruntime_computes(name: str) -> None:
    path = LIGHT / f"light_{name}.onnx"
    network = Network.from_onnx(path)
    x = np.random.default_rng(0).random(network.inputs[0].shape).astype(np.float32)
    session = session_of(path)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(run_float(network, x)[network.outputs[0]], wanted, rtol=1e-4, atol=1e-7)
