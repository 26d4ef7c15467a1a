"""Resizing, padding, rolling and local response normalisation: what onnxruntime and torch compute, over their attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

import mho
from mho.errors import NetworkError
from mho.network import Network
from mho.network.layers import Expand, Interleave, Resample, Reshape, Slice, Take
from mho.number import run_float
from tests.strategies import GREEDY
from tests.test_network_onnx import agree as agree_onnx
from tests.test_network_onnx import node, save, session_of
from tests.test_network_torch import Function
from tests.test_network_torch import agree as agree_torch

MOVES = (Take, Slice, Reshape, Expand)


def compare(
    tmp: Path, operator: str, names: str, stored: dict[str, Any], x: np.ndarray, opset: int, **attributes: Any
) -> None:
    """Run one node in onnxruntime and in mho; what onnxruntime refuses is not compared."""
    file = save(tmp / "m.onnx", [node(operator, names, **attributes)], stored, {"x": x.shape}, opset=opset)
    try:
        (wanted,) = session_of(file).run(None, {"x": x})
    except Exception:  # onnxruntime's own kinds of error share no other base
        assume(False)
    network = Network.from_onnx(file)
    made = run_float(network, x)[network.outputs[0]]
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)


LINEAR = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]


@given(draws=st.data())
@settings(max_examples=60)
def test_resizing_is_that_of_onnxruntime(draws: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    height, width = draws.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    x = np.random.default_rng(0).standard_normal((2, 2, height, width)).astype(np.float32)
    mode = draws.draw(st.sampled_from(["nearest", "linear", "cubic"]))
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": draws.draw(st.sampled_from(LINEAR))}
    if mode == "nearest":
        attributes["nearest_mode"] = draws.draw(
            st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        )
    if mode == "cubic":
        attributes["cubic_coeff_a"] = draws.draw(st.sampled_from([-0.5, -0.75]))
        attributes["exclude_outside"] = draws.draw(st.integers(0, 1))
    if draws.draw(st.booleans()):
        names, stored = "x   s", {"s": np.array([2, 2, *draws.draw(st.tuples(*[st.integers(1, 9)] * 2))])}
    else:
        scales = draws.draw(st.tuples(*[st.sampled_from([0.5, 0.6, 1.0, 1.5, 2.0, 2.6])] * 2))
        assume(all(int(np.float32(s) * np.float32(n)) > 0 for s, n in zip(scales, (height, width), strict=True)))
        whole = [n * s for n, s in zip((height, width), scales, strict=True)]
        assume(attributes["coordinate_transformation_mode"] != "align_corners" or all(n == int(n) for n in whole))
        assume(scales == (1.0, 1.0) or [int(n) for n in whole] != [height, width])
        names, stored = "x  s", {"s": np.array([1, 1, *scales], dtype=np.float32)}
    compare(
        tmp_path_factory.mktemp("r"),
        "Resize",
        names,
        stored,
        x,
        draws.draw(st.sampled_from([13, 18, 19])),
        **attributes,
    )


RESIZES: dict[str, tuple[int, str, dict[str, Any], dict[str, Any]]] = {
    "upsample 9": (9, "x s", {"s": np.array([1, 1, 2, 3], np.float32)}, {"mode": "nearest"}),
    "upsample 9 linear": (9, "x s", {"s": np.array([1, 1, 2, 3], np.float32)}, {"mode": "linear"}),
    "resize 10": (10, "x s", {"s": np.array([1, 1, 1.5, 2.5], np.float32)}, {"mode": "nearest"}),
    "resize 10 down": (10, "x s", {"s": np.array([1, 1, 0.6, 0.4], np.float32)}, {"mode": "nearest"}),
    "resize 10 linear": (10, "x s", {"s": np.array([1, 1, 1.5, 2.5], np.float32)}, {"mode": "linear"}),
    "half pixel for nearest": (
        11,
        "x r s",
        {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 1.5, 0.5], np.float32)},
        {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"},
    ),
    "crop": (
        13,
        "x r s",
        {"r": np.array([0, 0, 0.2, -0.3, 1, 1, 0.8, 1.4], np.float32), "s": np.array([1, 1, 1.5, 2], np.float32)},
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0},
    ),
    "some axes": (18, "x   s", {"s": np.array([9, 3])}, {"mode": "linear", "axes": [3, 2]}),
    "not larger": (18, "x   s", {"s": np.array([7, 9])}, {"axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"}),
    "not smaller": (18, "x   s", {"s": np.array([7, 9])}, {"axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"}),
}  # fmt: skip


@pytest.mark.parametrize("case", RESIZES)
def test_older_and_rarer_ways_to_resize_are_those_of_onnxruntime(case: str, tmp_path: Path) -> None:
    opset, names, stored, attributes = RESIZES[case]
    operator = "Upsample" if case.startswith("upsample") else "Resize"
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 6)).astype(np.float32)
    agree_onnx(save(tmp_path / "m.onnx", [node(operator, names, **attributes)], stored, {"x": x.shape}, opset=opset), x)


INTERPOLATIONS: list[dict[str, Any]] = [
    {"scale_factor": 2, "mode": "nearest"},
    {"size": (5, 9), "mode": "nearest"},
    {"scale_factor": (1.7, 0.6), "mode": "nearest"},
    {"scale_factor": (1.1, 2.1), "mode": "nearest"},
    {"scale_factor": (1.7, 0.6), "mode": "nearest-exact"},
    {"scale_factor": 2, "mode": "bilinear"},
    {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
    {"scale_factor": (1.7, 0.6), "mode": "bilinear"},
    {"scale_factor": (1.1, 0.6), "mode": "bilinear"},
    {"scale_factor": (1.7, 0.6), "mode": "bilinear", "recompute_scale_factor": True},
    {"size": (1, 9), "mode": "bilinear", "align_corners": True},
    {"size": (3, 11), "mode": "bicubic"},
    {"size": (3, 11), "mode": "bicubic", "align_corners": True},
]


@pytest.mark.parametrize("how", INTERPOLATIONS, ids=str)
def test_resizing_is_that_of_torch(how: dict[str, Any]) -> None:
    network = agree_torch(Function(lambda x: functional.interpolate(x, **how)), torch.randn(2, 3, 4, 7))
    if how["mode"].startswith("nearest"):
        assert all(isinstance(layer, MOVES) for layer in network.layers[1:])
    else:
        assert {layer.kind for layer in network.layers[1:]} == {"resample"}


def test_lines_and_volumes_are_resized_too() -> None:
    agree_torch(Function(lambda x: functional.interpolate(x, scale_factor=1.5, mode="linear")), torch.randn(1, 2, 6))
    agree_torch(Function(lambda x: functional.interpolate(x, scale_factor=2, mode="nearest")), torch.randn(1, 2, 6))
    agree_torch(
        Function(lambda x: functional.interpolate(x, size=(3, 5, 2), mode="trilinear")), torch.randn(1, 2, 2, 3, 4)
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "constant"])
def test_padding_is_that_of_torch(mode: str) -> None:
    network = agree_torch(Function(lambda x: functional.pad(x, (2, 1, 1, 3), mode)), torch.randn(1, 2, 5, 4))
    assert mode == "constant" or all(isinstance(layer, Take) for layer in network.layers[1:])
    agree_torch(Function(lambda x: functional.pad(x, (-1, 2), mode)), torch.randn(1, 2, 5))


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
def test_padding_is_that_of_onnxruntime(mode: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 4)).astype(np.float32)
    stored = {"p": np.array([0, 0, 1, 2, 0, 0, 3, 1])}
    agree_onnx(save(tmp_path / "m.onnx", [node("Pad", "x p", mode=mode)], stored, {"x": x.shape}, opset=19), x)


def test_rolling_and_flipping_are_those_of_torch() -> None:
    network = agree_torch(
        Function(lambda x: (x.roll((1, -2), (2, 3)), x.roll(3), x.flip(2, 3), x.flip(1))), torch.randn(1, 3, 4, 5)
    )
    assert all(layer.moves_only for layer in network.layers[1:])


def test_pixels_shuffle_both_ways(tmp_path: Path) -> None:
    agree_torch(torch.nn.Sequential(torch.nn.PixelShuffle(2), torch.nn.PixelUnshuffle(2)), torch.randn(1, 8, 2, 3))
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 6)).astype(np.float32)
    agree_onnx(save(tmp_path / "m.onnx", [node("SpaceToDepth", "x", blocksize=2)], {}, {"x": x.shape}), x)


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_local_response_normalisation_is_that_of_both(size: int, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 3, 3)).astype(np.float32)
    attributes = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    if size % 2:  # onnxruntime takes odd sizes alone
        agree_onnx(save(tmp_path / "m.onnx", [node("LRN", "x", **attributes)], {}, {"x": x.shape}), x)
    agree_torch(torch.nn.LocalResponseNorm(size, 0.3, 0.6, 1.5), torch.from_numpy(x))


def test_antialias_is_refused_and_says_what_to_do() -> None:
    how = Function(lambda x: functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True))
    with pytest.raises(NetworkError, match="antialias is not known; resize without it"):
        Network.from_torch(how, (torch.randn(1, 2, 4, 4),))


def test_lengths_without_end_are_refused_before_they_are_written_down(tmp_path: Path) -> None:
    x, w = (1, 1, 2, 2), np.zeros((1, 1, 2, 2), np.float32)
    for name, nodes, stored, words in (
        ("long", [node("Resize", "x   s")], {"s": np.array([1, 1, 2, 10**12])}, "resized axis of 1,000,000,000,000"),
        ("wide", [node("Pad", "x p", mode="edge")], {"p": np.array([0, 0, 0, 0, 0, 0, 0, 10**12])}, "padded axis of"),
        ("far", [node("ConvTranspose", "x w", strides=[1, 10**6])], {"w": w}, "makes 1000002 phases|makes 1000000"),
    ):
        with pytest.raises(NetworkError, match=words):
            Network.from_onnx(save(tmp_path / f"{name}.onnx", nodes, stored, {"x": x}))


@pytest.mark.parametrize(
    ("mode", "scale", "words"),
    [("align_corners", 0.6, r"give the sizes \[1, 1, 1, 2\]"), ("half_pixel", 1.1, "every length")],
)
def test_scales_where_two_definitions_differ_are_refused(mode: str, scale: float, words: str, tmp_path: Path) -> None:
    scales = {"s": np.array([1, 1, scale, scale], np.float32)}
    how = {"mode": "linear", "coordinate_transformation_mode": mode}
    file = save(tmp_path / "m.onnx", [node("Resize", "x  s", **how)], scales, {"x": (1, 1, 2, 4)})
    with pytest.raises(NetworkError, match=words):
        Network.from_onnx(file)


def test_an_upsampling_decoder_is_bit_exact_on_the_chip_and_its_work_is_counted() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
        torch.nn.Upsample(scale_factor=2, mode="bilinear"),
        torch.nn.Conv2d(4, 3, 3),
        torch.nn.LocalResponseNorm(3),
        torch.nn.Upsample(scale_factor=1.5),
        torch.nn.ConvTranspose2d(3, 2, 3, 2),
    )
    network = Network.from_torch(module, (torch.zeros(1, 2, 4, 4),))
    assert {Take, Resample, Interleave} <= {type(layer) for layer in network.layers}
    samples = np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32)
    program = mho.compile(mho.number.quantise(network, samples), mho.Chip.load("aras"), GREEDY)
    assert mho.verify(program, samples).exact
    from mho.program.work import vector_operations

    work = {layer.kind: vector_operations(layer, network) for layer in network.layers}
    # Two taps: two products and a sum for each of 4 x 8 x 8 elements; a view takes nothing; weaving one an element.
    assert work["resample"] == 3 * 4 * 8 * 8
    assert work["take"] == 0
    assert work["interleave"] == network.by_name[network.outputs[0]].size
