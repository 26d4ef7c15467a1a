"""Quantising networks: weights, tables, activations, and files that come with codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Affine,
    Array,
    Concatenate,
    Convolution,
    Elementwise,
    Embedding,
    Input,
    Linear,
    Pad,
    Reshape,
)
from mho.number.affine import decode, encode
from mho.number.quantised import QuantisedMatrix, quantise
from mho.number.reference import run_reference
from tests.test_number_reference import attention, convolutional, linear, network, samples


def scalar(scale: float, zero: int, low: int = -128, high: int = 127) -> Affine:
    return Affine(np.asarray(scale), np.asarray(zero), low, high)


def one_layer(weight: np.ndarray, code: Affine | None = None) -> Network:
    return network(
        Input(name="x", inputs=(), shape=(1, weight.shape[1])),
        Linear(name="y", inputs=("x",), shape=(1, weight.shape[0]), weight=Array.of(weight, code)),
    )


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(2, 8), st.booleans())
def test_weights_are_within_half_a_step_and_zero_stays_zero(
    outputs: int, features: int, seed: int, bits: int, per_channel: bool
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(loc=rng.normal(), size=(outputs, features))
    weight[rng.random(weight.shape) < 0.3] = 0.0
    matrix = quantise(one_layer(weight), per_channel=per_channel, bits=bits, weight_range="minmax").matrices["y"]
    assert matrix.scale.shape == ((1, outputs) if per_channel else ())
    assert matrix.codes.max() <= 2**bits - 1
    error = np.abs(matrix.real()[0] - weight.T)
    assert np.all(error <= matrix.scale * (0.5 + 1e-9))
    assert np.all(matrix.real()[0][weight.T == 0.0] == 0.0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_steps_per_channel_are_never_wider_than_the_step_of_the_tensor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(8, 20)) * np.exp(rng.normal(size=(8, 1)))
    coarse = quantise(one_layer(weight)).matrices["y"]
    fine = quantise(one_layer(weight), per_channel=True).matrices["y"]
    assert np.all(fine.scale <= coarse.scale)
    errors = [np.square(matrix.real()[0] - weight.T).mean() for matrix in (fine, coarse)]
    assert errors[0] <= errors[1] * 1.05  # rounding luck may favour the coarse step by a little


def coded_network(per_channel: bool = False) -> tuple[Network, np.ndarray, np.ndarray]:
    """A convolution as a QDQ file gives it: int8 input, weights and output, int32 bias."""
    rng = np.random.default_rng(11)
    weight = rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    bias = rng.integers(-3000, 3000, 4).astype(np.int32)
    scales = np.asarray([0.01, 0.02, 0.03, 0.015])
    if per_channel:
        code = Affine(scales, np.zeros(4, dtype=np.int64), -128, 127, axis=0)
        bias_code = Affine(scales * 0.05, np.zeros(4, dtype=np.int64), -(2**31), 2**31 - 1, axis=0)
    else:
        code = scalar(0.02, 0)
        bias_code = scalar(0.02 * 0.05, 0, -(2**31), 2**31 - 1)
    net = network(
        Input(name="x", inputs=(), shape=(1, 3, 6, 6), type="int8"),
        Convolution(
            name="c", inputs=("x",), shape=(1, 4, 6, 6), weight=Array.of(weight, code),
            bias=Array.of(bias, bias_code), padding=(1, 1, 1, 1),
        ),
        Activation(name="r", inputs=("c",), shape=(1, 4, 6, 6), function="relu"),
        Reshape(name="f", inputs=("r",), shape=(1, 144)),
        linear("y", "f", (1, 5), 144, rng),
        codes={"x": scalar(0.05, -7), "r": scalar(0.3, -128), "y": scalar(0.5, 3)},
    )  # fmt: skip
    return net, weight, bias


@pytest.mark.parametrize("per_channel", [False, True])
def test_codes_of_a_file_are_kept_bit_for_bit(per_channel: bool) -> None:
    net, weight, bias = coded_network(per_channel)
    quantised = quantise(net)
    matrix = quantised.matrices["c"]
    assert np.array_equal(matrix.codes.astype(int) - 128, net.by_name["c"].matrix(weight))
    assert np.all(matrix.zero == 128)
    assert quantised.offsets == {"x": -128}
    assert {name: int(code.zero) for name, code in quantised.codes.items()} == {
        "x": 121,
        "r": 0,
        "f": 0,
        "y": 131,
    }
    assert all(code.low == 0 and code.high == 255 for code in quantised.codes.values())
    assert quantised.executable
    assert "file" in quantised.calibration
    scale = np.asarray([0.01, 0.02, 0.03, 0.015]) if per_channel else np.full(4, 0.02)
    assert matrix.bias is not None
    np.testing.assert_allclose(matrix.bias[0], bias * scale * 0.05)


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_file_with_codes_runs_in_its_own_integers(per_channel: bool) -> None:
    net, weight, bias = coded_network(per_channel)
    x = np.random.default_rng(1).integers(-128, 128, (3, 3, 6, 6)).astype(np.int8)
    centred = np.pad(x.astype(np.int64) + 7, ((0, 0), (0, 0), (1, 1), (1, 1)))
    acc = np.zeros((3, 4, 6, 6), dtype=np.int64)
    for row in range(3):
        for column in range(3):
            part = centred[:, :, row : row + 6, column : column + 6]
            acc += np.einsum("bchw,nc->bnhw", part, weight[:, :, row, column].astype(np.int64))
    acc += bias[:, None, None]
    scale = (np.asarray([0.01, 0.02, 0.03, 0.015]) if per_channel else np.full(4, 0.02)) * 0.05
    expected = np.clip(np.rint(np.maximum(acc * scale[:, None, None], 0) / 0.3), 0, 255) * 0.3
    found = run_reference(quantise(net), x, keep=("r",))["r"]
    # Bias added as a real number, not as an integer: a value within rounding of a half may go the other way.
    assert np.mean(np.abs(found - expected) > 1e-9) < 0.005
    assert np.max(np.abs(found - expected)) <= 0.3 * (1 + 1e-9)


def test_integers_outside_their_code_and_reals_for_integers_are_refused() -> None:
    net, _, _ = coded_network()
    with pytest.raises(NumberError, match=r"-128\.\.127"):
        run_reference(quantise(net), np.full((1, 3, 6, 6), 200))
    with pytest.raises(NumberError, match="integers"):
        run_reference(quantise(net), np.zeros((1, 3, 6, 6)))


def test_a_files_missing_code_is_calibrated_or_named() -> None:
    net, _, _ = coded_network()
    bare = Network("bare", net.layers, net.outputs, "by hand", codes={"x": net.codes["x"]})
    with pytest.raises(NumberError, match=r"'f' of bare, which 'y' reads"):
        quantise(bare)
    x = np.random.default_rng(1).integers(-128, 128, (3, 3, 6, 6)).astype(np.int8)
    quantised = quantise(bare, x)
    assert quantised.executable
    assert set(quantised.codes) == {"x", "f"}
    assert "file" in quantised.calibration
    assert "1 other" in quantised.calibration


def test_weight_codes_of_more_than_eight_bits_or_along_inputs_are_refused() -> None:
    wide = one_layer(np.zeros((2, 3), dtype=np.int16), scalar(1.0, 0, -32768, 32767))
    with pytest.raises(NumberError, match="more than 8 bits"):
        quantise(wide)
    along = Affine(np.ones(3), np.zeros(3, dtype=np.int64), -128, 127, axis=1)
    with pytest.raises(NumberError, match="axis 1"):
        quantise(one_layer(np.zeros((2, 3), dtype=np.int8), along))


def test_chains_through_the_vector_unit_are_not_stored() -> None:
    net = convolutional()
    quantised = quantise(net, samples(net, 5))
    # stem, point and add feed only the next layer; pool feeds the reshape, which the linear layer reads.
    assert set(quantised.codes) == {"x", "relu", "depth", "silu", "pool", "flat"}
    assert quantised.codes["pool"] is quantised.codes["flat"]


def test_attention_stores_what_products_read() -> None:
    net = attention()
    quantised = quantise(net, samples(net, 5))
    assert quantised.executable
    assert {"qt", "kt", "weights", "joined"} <= set(quantised.codes)
    assert not {"ids", "mask", "scores", "masked", "logits"} & set(quantised.codes)
    assert quantised.codes["q"] is quantised.codes["qt"]


def test_joined_and_padded_tensors_share_one_code() -> None:
    rng = np.random.default_rng(12)
    net = network(
        Input(name="x", inputs=(), shape=(1, 4)),
        linear("a", "x", (1, 3), 4, rng),
        linear("b", "x", (1, 3), 4, rng),
        Concatenate(name="j", inputs=("a", "b"), shape=(1, 6), axis=1),
        Pad(name="p", inputs=("j",), shape=(1, 8), before=(0, 1), after=(0, 1)),
        linear("y", "p", (1, 2), 8, rng),
    )
    x = samples(net, 6)
    quantised = quantise(net, x)
    assert quantised.codes["a"] is quantised.codes["b"] is quantised.codes["j"] is quantised.codes["p"]
    found = run_reference(quantised, x, keep=("a", "b", "p"))
    assert np.array_equal(found["p"][:, 1:7], np.concatenate([found["a"], found["b"]], axis=1))


def test_a_table_gives_its_code_to_what_is_looked_up() -> None:
    rng = np.random.default_rng(13)
    net = network(
        Input(name="i", inputs=(), shape=(1, 2), type="int64"),
        Embedding(name="e", inputs=("i",), shape=(1, 2, 4), table=Array.of(rng.normal(size=(9, 4)))),
        linear("y", "e", (1, 2, 3), 4, rng),
    )
    quantised = quantise(net)
    assert quantised.codes["e"] is quantised.tables["e"].code
    assert quantised.executable
    found = run_reference(quantised, np.asarray([[3, 8]]), keep=("e",))["e"]
    assert np.array_equal(found[0], quantised.tables["e"].real(np.asarray([3, 8])))


@pytest.mark.parametrize("range_", ["minmax", "percentile", "mse"])
def test_ranges_hold_what_they_promise(range_: str) -> None:
    weight = np.eye(3)
    net = network(
        Input(name="x", inputs=(), shape=(1, 3)),
        Linear(name="a", inputs=("x",), shape=(1, 3), weight=Array.of(weight)),
        Linear(name="y", inputs=("a",), shape=(1, 3), weight=Array.of(weight)),
    )
    x = np.random.default_rng(14).normal(size=(20000, 3))
    x[0, 0] = 60.0  # an outlier
    quantised = quantise(net, x, range=range_, bits=4)
    code, ends = quantised.codes["a"], quantised.codes["x"]
    assert float(ends.scale) == pytest.approx((60.0 - x.min()) / 15, rel=1e-6), "an input takes its whole range"
    wide = float(code.scale) * 15
    assert range_ in quantised.calibration
    assert "20000 samples" in quantised.calibration
    assert wide == pytest.approx(60.0 - x.min(), rel=1e-6) if range_ == "minmax" else wide < 30.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(max_examples=20)
def test_mse_takes_a_range_with_no_more_squared_error_than_the_whole(seed: int, bits: int) -> None:
    net = one_layer(np.eye(2))
    net = network(*net.layers, Linear(name="z", inputs=("y",), shape=(1, 2), weight=Array.of(np.eye(2))))
    x = np.random.default_rng(seed).laplace(size=(3000, 2))
    errors = {}
    for how in ("minmax", "mse"):
        code = quantise(net, x, range=how, bits=bits).codes["y"]
        errors[how] = np.square(decode(encode(x, code), code) - x).mean()
    # The search sees a histogram, so it may be off by the width of a bin.
    assert errors["mse"] <= errors["minmax"] * 1.01


def test_the_same_samples_give_the_same_codes_in_any_chunks() -> None:
    net = attention()
    x = samples(net, 12)
    first, second = quantise(net, x), quantise(net, x, chunk=5)
    for name, code in first.codes.items():
        assert code.scale == second.codes[name].scale
        assert code.zero == second.codes[name].zero


def test_wrong_arguments_are_refused() -> None:
    net = convolutional()
    x = samples(net, 2)
    with pytest.raises(OptionError, match="did you mean minmax"):
        quantise(net, x, range="minmx")
    with pytest.raises(NumberError, match="1 to 8 bits"):
        quantise(net, x, bits=9)
    with pytest.raises(OptionError, match="chunk"):
        quantise(net, x, chunk=0)
    with pytest.raises(NumberError, match=r"\(samples, 3, 9, 9\)"):
        quantise(net, x[:, :2])
    with pytest.raises(NumberError, match="finite"):
        quantise(net, x * np.nan)
    unknown: Any = {"per_chanel": True}
    with pytest.raises(TypeError, match="per_chanel"):
        quantise(net, x, **unknown)


def test_a_network_of_shapes_alone_is_refused() -> None:
    net = network(
        Input(name="x", inputs=(), shape=(1, 3)),
        Linear(name="y", inputs=("x",), shape=(1, 2), weight=Array((2, 3))),
    )
    with pytest.raises(NumberError, match="no weights"):
        quantise(net)


def test_matrices_check_their_parts() -> None:
    codes = np.zeros((1, 3, 2), dtype=np.uint8)
    scale, zero = np.asarray(1.0), np.asarray(0)
    assert QuantisedMatrix(codes, scale, zero).bias is None
    with pytest.raises(NumberError, match="uint8"):
        QuantisedMatrix(codes.astype(np.int8), scale, zero)
    with pytest.raises(NumberError, match="scales"):
        QuantisedMatrix(codes, np.ones(2), np.zeros(2, dtype=np.int64))
    with pytest.raises(NumberError, match="bias"):
        QuantisedMatrix(codes, scale, zero, np.zeros(2))


def test_an_addition_of_branches_stores_both() -> None:
    rng = np.random.default_rng(16)
    net = network(
        Input(name="x", inputs=(), shape=(1, 4)),
        linear("a", "x", (1, 4), 4, rng),
        linear("b", "x", (1, 4), 4, rng),
        Elementwise(name="s", inputs=("a", "b"), shape=(1, 4), function="add"),
        linear("y", "s", (1, 2), 4, rng),
    )
    # b streams into the addition; a has to wait for it.
    assert set(quantise(net, samples(net, 3)).codes) == {"x", "a", "s"}
