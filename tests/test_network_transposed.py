"""Transposed convolution: what torch and onnxruntime compute, with each weight held once, bit-exact on the chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import mho
from mho.network import Network
from mho.network.arrays import Affine, Array
from mho.network.builder import Builder
from mho.network.layers import ChannelAffine, Interleave
from mho.network.transposed import transposed_convolution, turned_round
from mho.number import run_float
from tests.strategies import GREEDY
from tests.test_network_onnx import agree as agree_onnx
from tests.test_network_onnx import node, save
from tests.test_network_torch import agree as agree_torch


@given(st.data())
@settings(max_examples=60)
def test_a_transposed_convolution_is_that_of_torch(data: st.DataObject) -> None:
    small = st.integers(1, 3)
    groups, kernel = data.draw(st.integers(1, 2)), data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation, size = (data.draw(st.tuples(small, small)) for _ in range(3))
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    more = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    axes = zip(size, stride, padding, dilation, kernel, more, strict=True)
    made = tuple((n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, s, p, d, k, o in axes)
    assume(min(made) >= 1)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    x = torch.randn(2, 2 * groups, *size, generator=generator)
    weight, bias = (
        torch.randn(2 * groups, 3, *kernel, generator=generator),
        torch.randn(3 * groups, generator=generator),
    )
    builder = Builder()
    builder.scope = "x"
    tensor = builder.input(tuple(x.shape))
    builder.scope = "y"
    output = transposed_convolution(
        builder, tensor, Array.of(weight.numpy()), Array.of(bias.numpy()), size=(made[0], made[1]), stride=stride,
        padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    network = Network("drawn", tuple(builder.layers.values()), (output,), "drawn (synthetic)")
    wanted = functional.conv_transpose2d(x, weight, bias, stride, padding, more, groups, dilation).numpy()
    np.testing.assert_allclose(run_float(network, x.numpy())[output], wanted, rtol=1e-4, atol=1e-4)
    assert network.weights <= weight.numel()  # places of the kernel that meet no input at all are left out


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1), (5, 3, 2), (2, 3, 0)]
)
def test_each_weight_is_held_once_and_multiplied_by_each_input_it_meets(kernel: int, stride: int, padding: int) -> None:
    module = nn.ConvTranspose2d(4, 6, kernel, stride, padding)
    network = agree_torch(module, torch.randn(1, 4, 5, 5))
    assert network.weights == module.weight.numel()
    size = network.by_name[network.outputs[0]].shape[2]
    phases = min(stride, kernel) ** 2
    assert len(network.matrix_layers) == phases
    # An ordinary convolution over the zero-stuffed input would multiply stride^2 times as often.
    assert network.macs <= 4 * 6 * kernel**2 * (-(-size // stride)) ** 2


def test_batch_normalisation_and_rectifier_belong_to_each_phase() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    norm.running_mean, norm.running_var = torch.randn(3), torch.rand(3) + 0.5
    module = nn.Sequential(
        nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False), norm, nn.ReLU(), nn.ConvTranspose2d(3, 2, 2, 2)
    )
    network = agree_torch(module, torch.randn(2, 2, 3, 3))
    assert not any(isinstance(layer, ChannelAffine) for layer in network.layers)
    weave = next(layer for layer in network.layers if isinstance(layer, Interleave))
    assert [network.by_name[name].kind for name in weave.inputs] == ["activation"] * 4


CASES: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "plain": ({"strides": [3, 2]}, (1, 2, 3, 3), (2, 4, 3, 3)),
    "padded": ({"strides": [2, 2], "pads": [1, 0, 2, 1], "output_padding": [1, 1]}, (1, 2, 4, 5), (2, 3, 3, 3)),
    "same upper": ({"strides": [2, 2], "auto_pad": "SAME_UPPER"}, (1, 2, 3, 4), (2, 3, 3, 3)),
    "same lower": ({"strides": [2, 2], "auto_pad": "SAME_LOWER"}, (1, 2, 3, 4), (2, 3, 3, 3)),
    "output shape": ({"strides": [3, 2], "output_shape": [10, 8]}, (1, 2, 3, 3), (2, 4, 3, 3)),
    "dilated": ({"dilations": [2, 2], "strides": [2, 1]}, (1, 2, 3, 3), (2, 1, 2, 2)),
    "one axis": ({"strides": [2]}, (1, 2, 5), (2, 4, 3)),
    "groups": ({"group": 2, "strides": [2, 2]}, (1, 4, 3, 3), (4, 2, 2, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_transposed_convolution_is_that_of_onnxruntime(case: str, tmp_path: Path) -> None:
    attributes, x, w = CASES[case]
    generator = np.random.default_rng(0)
    outputs = w[1] * attributes.get("group", 1)
    stored = {
        "w": generator.standard_normal(w).astype(np.float32),
        "b": generator.standard_normal(outputs).astype(np.float32),
    }
    file = save(tmp_path / "m.onnx", [node("ConvTranspose", "x w b", **attributes)], stored, {"x": x})
    agree_onnx(file, generator.standard_normal(x).astype(np.float32))


@pytest.mark.parametrize(
    "how", [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"stride": (3, 1, 2), "dilation": 2}]
)
def test_a_transposed_convolution_over_three_axes_is_that_of_torch(how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = nn.ConvTranspose3d(4, 6, (2, 3, 2), groups=2, **how)
    network = agree_torch(module, torch.randn(2, 4, 3, 3, 4))
    assert network.weights == module.weight.numel()


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_decoder_is_bit_exact_on_the_chip(per_channel: bool) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(3, 2, 1, 2),
    )
    network = Network.from_torch(module, (torch.zeros(1, 2, 6, 6),))
    samples = np.random.default_rng(0).standard_normal((4, 2, 6, 6)).astype(np.float32)
    program = mho.compile(mho.number.quantise(network, samples, per_channel=per_channel), mho.Chip.load("aras"), GREEDY)
    assert mho.verify(program, samples).exact


def test_codes_along_outputs_stay_with_their_kernels() -> None:
    code = Affine(np.arange(1.0, 4.0), np.zeros(3, dtype=np.int64), -128, 127, axis=1)
    stored = Array.of(np.arange(4 * 3 * 2 * 2, dtype=np.int8).reshape(4, 3, 2, 2), code)
    turned = turned_round(stored, 4, 2)
    assert turned.shape == (6, 2, 2, 2)
    real = stored.real().reshape(2, 2, 3, 2, 2).transpose(0, 2, 1, 3, 4).reshape(6, 2, 2, 2)
    np.testing.assert_array_equal(turned.real(), real)
