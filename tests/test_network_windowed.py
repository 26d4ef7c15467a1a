"""Convolutions and pooling over one, two and three axes: what torch and onnxruntime compute, each weight held once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import mho
from mho.network import Network, windowed
from mho.network.arrays import Array
from mho.network.builder import Builder
from mho.network.windowed import Geometry
from mho.number import run_float
from tests.strategies import GREEDY
from tests.test_network_onnx import agree as agree_onnx
from tests.test_network_onnx import node, save
from tests.test_network_torch import agree as agree_torch

small = st.integers(1, 2)


@given(st.data(), st.integers(1, 3))
@settings(max_examples=50)
def test_a_convolution_over_any_axes_is_that_of_torch(data: st.DataObject, rank: int) -> None:
    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    kernel, stride, padding, dilation, groups = each(1, 3), each(1, 2), each(0, 1), each(1, 2), data.draw(small)
    size = tuple(d * (k - 1) + 1 + n for d, k, n in zip(dilation, kernel, each(0, 3), strict=True))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    x = torch.randn(2, 2 * groups, *size, generator=generator)
    weight, bias = (
        torch.randn(3 * groups, 2, *kernel, generator=generator),
        torch.randn(3 * groups, generator=generator),
    )
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    wanted = function(x, weight, bias, stride, padding, dilation, groups).numpy()
    builder = Builder()
    builder.scope = "x"
    tensor = builder.input(tuple(x.shape))
    builder.scope = "y"
    held = Array.of(weight.numpy()), Array.of(bias.numpy())
    made = windowed.convolution(builder, tensor, *held, Geometry(stride, padding, padding, dilation), groups)
    network = Network("drawn", tuple(builder.layers.values()), (made,), "drawn (synthetic)")
    assert network.weights == weight.numel()
    (layer,) = network.matrix_layers
    assert layer.macs == wanted.size * weight[0].numel()
    np.testing.assert_allclose(run_float(network, x.numpy())[made], wanted, rtol=1e-4, atol=1e-4)


VOLUMES: dict[str, nn.Module] = {
    "convolution": nn.Conv3d(2, 3, (3, 2, 1), (2, 1, 1), (1, 0, 0)),
    "same": nn.Conv3d(2, 3, 3, padding="same"),
    "maximum": nn.MaxPool3d(2, (1, 2, 2), dilation=(2, 1, 1)),
    "average": nn.AvgPool3d(3, 2, 1),
    "average inside": nn.AvgPool3d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average ceil": nn.AvgPool3d(2, 3, ceil_mode=True),
    "adaptive": nn.AdaptiveAvgPool3d((2, 3, 1)),
    "adaptive maximum": nn.AdaptiveMaxPool3d((None, 2, 3)),
    "adaptive to one": nn.AdaptiveAvgPool3d(1),
    "batch norm": nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), nn.ReLU(), nn.Flatten(), nn.Linear(225, 2)),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_a_volume_is_that_of_torch(case: str) -> None:
    agree_torch(VOLUMES[case], torch.randn(2, 2, 4, 6, 6, generator=torch.Generator().manual_seed(0)))


FILES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "convolution": ("Conv", {"auto_pad": "SAME_UPPER", "strides": [1, 2, 2]}, (3, 2, 2, 3, 2)),
    "grouped": ("Conv", {"group": 2, "pads": [1, 0, 1, 0, 0, 1]}, (4, 1, 2, 2, 2)),
    "average": ("AveragePool", {"kernel_shape": [2, 3, 2], "strides": [2, 1, 2], "pads": [1, 1, 0, 0, 1, 1]}, ()),
    "maximum": ("MaxPool", {"kernel_shape": [2, 2, 2], "ceil_mode": 1, "strides": [2, 2, 2]}, ()),
}


@pytest.mark.parametrize("case", FILES)
def test_a_volume_is_that_of_onnxruntime(case: str, tmp_path: Path) -> None:
    operator, attributes, weight = FILES[case]
    generator = np.random.default_rng(0)
    stored = {"w": generator.standard_normal(weight).astype(np.float32)} if weight else {}
    x = generator.standard_normal((1, 2, 5, 6, 5)).astype(np.float32)
    names = "x w" if weight else "x"
    agree_onnx(save(tmp_path / "m.onnx", [node(operator, names, **attributes)], stored, {"x": x.shape}), x)


def test_a_network_of_volumes_is_bit_exact_on_the_chip() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv3d(1, 3, 3), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(24, 4))
    network = Network.from_torch(module, (torch.zeros(1, 1, 6, 6, 6),))
    samples = np.random.default_rng(0).standard_normal((4, 1, 6, 6, 6)).astype(np.float32)
    program = mho.compile(mho.number.quantise(network, samples, per_channel=True), mho.Chip.load("aras"), GREEDY)
    assert mho.verify(program, samples).exact
