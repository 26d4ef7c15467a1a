"""The integer reference against naive integer arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import NumberError
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Array,
    Concatenate,
    Constant,
    Convolution,
    Elementwise,
    Embedding,
    Expand,
    Input,
    Layer,
    Linear,
    MatrixProduct,
    Normalise,
    Pool,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)
from mho.network.windows import assemble, windows
from mho.number.affine import encode
from mho.number.batching import batchable
from mho.number.quantised import quantise
from mho.number.reference import (
    Values,
    accumulate,
    complete,
    matrix_step,
    run_float,
    run_reference,
    vector_step,
)


def network(*layers: Layer, outputs: tuple[str, ...] | None = None, **how: Any) -> Network:
    return Network("small", layers, outputs or (layers[-1].name,), "by hand", **how)


def convolution(name: str, x: str, shape: tuple[int, ...], channels: int, rng: Any, **how: Any) -> Convolution:
    groups = how.get("convolution_groups", 1)
    kernel = how.pop("kernel", (3, 3))
    weight = rng.normal(size=(shape[1], channels // groups, *kernel))
    bias = Array.of(rng.normal(size=shape[1]))
    return Convolution(name=name, inputs=(x,), shape=shape, weight=Array.of(weight), bias=bias, **how)


def linear(name: str, x: str, shape: tuple[int, ...], features: int, rng: Any) -> Linear:
    weight = Array.of(rng.normal(size=(shape[-1], features)) / np.sqrt(features))
    return Linear(name=name, inputs=(x,), shape=shape, weight=weight, bias=Array.of(rng.normal(size=shape[-1])))


def convolutional(batch: int = 1) -> Network:
    """A residual network with every kind of convolution: dense, strided, depthwise, grouped, pointwise."""
    rng, b = np.random.default_rng(0), batch
    return network(
        Input(name="x", inputs=(), shape=(b, 3, 9, 9)),
        convolution("stem", "x", (b, 8, 9, 9), 3, rng, padding=(1, 1, 1, 1)),
        Activation(name="relu", inputs=("stem",), shape=(b, 8, 9, 9), function="relu"),
        convolution("depth", "relu", (b, 8, 9, 9), 8, rng, padding=(1, 1, 1, 1), convolution_groups=8),
        convolution("point", "depth", (b, 8, 9, 9), 8, rng, kernel=(1, 1)),
        Elementwise(name="add", inputs=("point", "relu"), shape=(b, 8, 9, 9), function="add"),
        Activation(name="silu", inputs=("add",), shape=(b, 8, 9, 9), function="silu"),
        convolution("down", "silu", (b, 6, 4, 4), 8, rng, stride=(2, 2), convolution_groups=2),
        Pool(
            name="pool",
            inputs=("down",),
            shape=(b, 6, 2, 2),
            function="average",
            kernel=(2, 2),
            stride=(2, 2),
        ),
        Reshape(name="flat", inputs=("pool",), shape=(b, 24)),
        linear("logits", "flat", (b, 5), 24, rng),
    )


def attention(batch: int = 1) -> Network:
    """A small transformer block over token indices, with a class token and a mask."""
    rng, b, n, d = np.random.default_rng(1), batch, 6, 8
    shape, heads = (b, n, d), (b, 2, n, d // 2)
    return network(
        Input(name="ids", inputs=(), shape=(b, n - 1), type="int64"),
        Embedding(name="words", inputs=("ids",), shape=(b, n - 1, d), table=Array.of(rng.normal(size=(11, d)))),
        Constant(name="token", inputs=(), shape=(1, 1, d), value=Array.of(rng.normal(size=(1, 1, d)))),
        Expand(name="tokens", inputs=("token",), shape=(b, 1, d)),
        Concatenate(name="joined", inputs=("tokens", "words"), shape=shape, axis=1),
        linear("q", "joined", shape, d, rng),
        Reshape(name="q4", inputs=("q",), shape=(b, n, 2, d // 2)),
        Transpose(name="qt", inputs=("q4",), shape=heads, permutation=(0, 2, 1, 3)),
        linear("k", "joined", shape, d, rng),
        Reshape(name="k4", inputs=("k",), shape=(b, n, 2, d // 2)),
        Transpose(name="kt", inputs=("k4",), shape=(b, 2, d // 2, n), permutation=(0, 2, 3, 1)),
        MatrixProduct(name="scores", inputs=("qt", "kt"), shape=(b, 2, n, n), inner=d // 2),
        Constant(name="mask", inputs=(), shape=(n, n), value=Array.of(np.triu(np.full((n, n), -1e9), 1))),
        Elementwise(name="masked", inputs=("scores", "mask"), shape=(b, 2, n, n), function="add"),
        Softmax(name="weights", inputs=("masked",), shape=(b, 2, n, n), axis=3),
        MatrixProduct(name="mixed", inputs=("weights", "qt"), shape=heads, inner=n),
        Transpose(name="mt", inputs=("mixed",), shape=(b, n, 2, d // 2), permutation=(0, 2, 1, 3)),
        Reshape(name="m3", inputs=("mt",), shape=shape),
        Elementwise(name="rest", inputs=("m3", "joined"), shape=shape, function="add"),
        Normalise(name="norm", inputs=("rest",), shape=shape, function="layer", epsilon=1e-5),
        Slice(name="first", inputs=("norm",), shape=(b, d), axis=1, start=0, stop=1, drop=True),
        linear("logits", "first", (b, 3), d, rng),
    )


def samples(net: Network, count: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (count, *net.inputs[0].shape[1:])
    return rng.integers(0, 11, shape) if net.inputs[0].integers else rng.normal(size=shape)


@st.composite
def products(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    groups, windows_, rows, columns = (draw(st.integers(1, n)) for n in (3, 5, 40, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(0, 256, (groups, windows_, rows)), rng.integers(0, 256, (groups, rows, columns))


@given(products(), st.integers(0, 255), st.integers(0, 255), st.booleans())
def test_zero_points_are_corrected_exactly(
    case: tuple[np.ndarray, np.ndarray], x_zero: int, w_zero: int, per_channel: bool
) -> None:
    x, w = case
    zeros: Any = w_zero
    centred = w - w_zero
    if per_channel:
        zeros = np.random.default_rng(w_zero).integers(0, 256, (w.shape[0], w.shape[2]))
        centred = w - zeros[:, None, :]
    acc = accumulate(np.einsum("gwk,gkn->gwn", x, w), x.sum(axis=2), w.sum(axis=1), x.shape[2], x_zero, zeros)
    assert acc.dtype == np.int64
    assert np.array_equal(acc, np.einsum("gwk,gkn->gwn", x - x_zero, centred))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("build", [convolutional, attention])
def test_every_matrix_layer_is_the_naive_integer_product(build: Any, per_channel: bool) -> None:
    net = build()
    quantised = quantise(net, samples(net, 20), per_channel=per_channel)
    names = [name for layer in net.matrix_layers for name in (*layer.inputs, layer.name)]
    found = run_reference(quantised, samples(net, 3, seed=6), keep=names)
    for layer in net.matrix_layers:
        matrix, x_code = quantised.matrices[layer.name], quantised.codes[layer.inputs[0]]
        codes = encode(found[layer.inputs[0]], x_code)
        x = windows(layer, codes, int(x_code.zero))
        raw = np.einsum("gwk,gkn->gwn", x.astype(np.int64), matrix.codes.astype(np.int64))
        acc = accumulate(
            raw, x.sum(axis=2, dtype=np.int64), matrix.codes.sum(axis=1, dtype=np.int64), layer.rows,
            int(x_code.zero), matrix.zero,
        )  # fmt: skip
        real = complete(quantised, layer, assemble(layer, acc, 3))
        code = quantised.codes.get(layer.name)
        if code is not None:
            real = code.scale * (encode(real, code).astype(np.int64) - code.zero)
        assert np.array_equal(found[layer.name], real), layer.name


@pytest.mark.parametrize("build", [convolutional, attention])
def test_a_machine_that_steps_by_windows_agrees_bit_for_bit(build: Any) -> None:
    net = build()
    quantised = quantise(net, samples(net, 20))
    given_ = samples(net, 4, seed=7)
    values = Values(quantised)
    values.enter([given_])
    for layer in net.layers:
        if isinstance(layer, Convolution | Linear):
            x_code, matrix = quantised.codes[layer.inputs[0]], quantised.matrices[layer.name]
            x = windows(layer, values.codes(layer.inputs[0]), int(x_code.zero)).astype(np.int64)
            acc = np.matmul(x - x_code.zero, matrix.centred.astype(np.int64))
            values.put(layer.name, complete(quantised, layer, assemble(layer, acc, 4)))
        elif layer.name not in values.arrays:
            vector_step(quantised, layer, values, 4)
    assert np.array_equal(values.real(net.outputs[0]), run_reference(quantised, given_)[net.outputs[0]])


@pytest.mark.parametrize("build", [convolutional, attention])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, None])
def test_samples_give_the_same_bits_together_and_one_by_one(build: Any, chunk: int | None) -> None:
    net = build()
    assert batchable(net)
    quantised = quantise(net, samples(net, 20))
    x = samples(net, 7, seed=8)
    alone = np.concatenate([run_reference(quantised, x[i : i + 1])["logits"] for i in range(7)])
    assert np.array_equal(run_reference(quantised, x, chunk=chunk)["logits"], alone)


def test_a_network_imported_for_a_batch_of_two_gives_the_same_outputs() -> None:
    one, two = convolutional(1), convolutional(2)
    x = samples(one, 6, seed=9)
    first = run_reference(quantise(one, x), x)["logits"]
    assert np.array_equal(first, run_reference(quantise(two, x), x)["logits"])
    with pytest.raises(NumberError, match="multiple of 2"):
        run_reference(quantise(two, x), x[:3])


def test_a_class_token_laid_out_for_two_samples_is_run_batch_by_batch() -> None:
    net = attention(2)
    assert not batchable(net)
    x = samples(net, 4)
    alone = attention(1)
    assert np.array_equal(run_reference(quantise(net, x), x)["logits"], run_reference(quantise(alone, x), x)["logits"])


def test_a_network_that_moves_its_batch_axis_is_run_sample_by_sample() -> None:
    rng = np.random.default_rng(2)
    net = network(
        Input(name="x", inputs=(), shape=(1, 4, 6)),
        Transpose(name="t", inputs=("x",), shape=(4, 1, 6), permutation=(1, 0, 2)),
        linear("l", "t", (4, 1, 5), 6, rng),
        Transpose(name="y", inputs=("l",), shape=(1, 4, 5), permutation=(1, 0, 2)),
    )
    assert not batchable(net)
    x = samples(net, 5)
    quantised = quantise(net, x)
    found = run_reference(quantised, x)["y"]
    assert found.shape == (5, 4, 5)
    assert np.array_equal(found[3:4], run_reference(quantised, x[3:4])["y"])


def test_the_float_network_is_that_of_the_formulas() -> None:
    net = attention()
    x = samples(net, 3)
    found = run_float(net, x, keep=("joined", "weights", "q"))
    q = net.by_name["q"]
    assert isinstance(q, Linear)
    assert q.bias is not None
    np.testing.assert_allclose(found["q"], found["joined"] @ q.weight.real().T + q.bias.real(), rtol=1e-12)
    np.testing.assert_allclose(found["weights"].sum(axis=-1), 1.0, rtol=1e-12)
    assert np.all(np.triu(found["weights"], 1) == 0)


@pytest.mark.parametrize("build", [convolutional, attention])
def test_the_reference_is_close_to_the_float_network(build: Any) -> None:
    net = build()
    x = samples(net, 50)
    real = run_float(net, x)["logits"]
    error = run_reference(quantise(net, x), x)["logits"] - real
    assert np.sqrt(np.mean(error**2)) < 0.05 * real.std()


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_product_of_activations_is_exact(a_zero: int, b_zero: int, seed: int) -> None:
    from mho.network.layers import Affine
    from mho.number.coded import QuantisedNetwork

    rng = np.random.default_rng(seed)
    net = network(
        Input(name="a", inputs=(), shape=(1, 3, 300)),
        Input(name="b", inputs=(), shape=(1, 300, 2)),
        MatrixProduct(name="y", inputs=("a", "b"), shape=(1, 3, 2), inner=300),
    )
    codes = {
        "a": Affine(np.asarray(0.5), np.asarray(a_zero), 0, 255),
        "b": Affine(np.asarray(0.25), np.asarray(b_zero), 0, 255),
    }
    quantised = QuantisedNetwork(net, {}, {}, codes, False, "by hand")
    a, b = rng.integers(0, 256, (2, 3, 300)), rng.integers(0, 256, (2, 300, 2))
    found = run_reference(quantised, (0.5 * (a - a_zero), 0.25 * (b - b_zero)))["y"]
    assert np.array_equal(found, 0.125 * np.einsum("smk,skn->smn", a - a_zero, b - b_zero))


def test_inputs_that_do_not_fit_are_refused_with_what_is_expected() -> None:
    net = convolutional()
    quantised = quantise(net, samples(net, 4))
    for given_ in (np.zeros((2, 3, 9, 8)), np.zeros((3, 9, 9)), np.zeros((0, 3, 9, 9))):
        with pytest.raises(NumberError, match="sample"):
            run_reference(quantised, given_)
    with pytest.raises(NumberError, match="1 inputs, not 2"):
        run_reference(quantised, (np.zeros((1, 3, 9, 9)),) * 2)
    with pytest.raises(NumberError, match="finite"):
        run_reference(quantised, np.full((1, 3, 9, 9), np.nan))
    with pytest.raises(NumberError, match="integers"):
        run_reference(quantise(attention(), samples(attention(), 4)), np.zeros((1, 5)))
    with pytest.raises(NumberError, match=r"no tensor 'logit'.*logits"):
        run_reference(quantised, samples(net, 1), keep=("logit",))


def test_a_network_without_activation_codes_is_not_executed() -> None:
    quantised = quantise(convolutional())
    assert not quantised.executable
    assert quantised.calibration == "none"
    with pytest.raises(NumberError, match="'x' has no code"):
        run_reference(quantised, samples(convolutional(), 1))


def test_a_step_without_a_code_names_the_tensor() -> None:
    net = convolutional()
    values = Values(quantise(net))
    stem = net.by_name["stem"]
    assert isinstance(stem, Convolution)
    with pytest.raises(NumberError, match="'x'"):
        matrix_step(values.quantised, stem, values)


def test_reduced_tensors_can_be_outputs() -> None:
    rng = np.random.default_rng(4)
    net = network(
        Input(name="x", inputs=(), shape=(1, 3, 5, 5)),
        convolution("c", "x", (1, 4, 3, 3), 3, rng),
        Reduce(name="m", inputs=("c",), shape=(1, 4), function="mean", axes=(2, 3), keep=False),
    )
    x = samples(net, 3)
    quantised = quantise(net, x)
    assert set(quantised.codes) == {"x"}
    assert run_reference(quantised, x)["m"].shape == (3, 4)
