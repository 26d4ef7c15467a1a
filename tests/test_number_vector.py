"""Vector layers against torch and against straightforward formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import NumberError
from mho.network.arithmetic import apply
from mho.network.layers import (
    LAYER_KINDS,
    Activation,
    Array,
    ChannelAffine,
    Concatenate,
    Constant,
    Convert,
    Convolution,
    CumulativeSum,
    Elementwise,
    Embedding,
    EmbeddingBag,
    Expand,
    Gather,
    GroupedLinear,
    Input,
    Interleave,
    Join,
    Linear,
    MatrixProduct,
    Normalise,
    Pad,
    Pool,
    Reduce,
    Resample,
    Reshape,
    Select,
    Slice,
    Softmax,
    Take,
    Transpose,
)

F = torch.nn.functional
RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 6, 8, 5)) * 3


def layer(kind: type, shape: tuple[int, ...], inputs: tuple[str, ...] = ("x",), **how: Any) -> Any:
    return kind(name="v", inputs=inputs, shape=shape, **how)


def t(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))


ACTIVATIONS = {
    "relu": ({}, torch.relu),
    "clip": ({"low": -1.0, "high": 2.0}, lambda x: torch.clamp(x, -1.0, 2.0)),
    "leaky_relu": ({"slope": 0.1}, lambda x: F.leaky_relu(x, 0.1)),
    "elu": ({"alpha": 1.5}, lambda x: F.elu(x, 1.5)),
    "sigmoid": ({}, torch.sigmoid),
    "tanh": ({}, torch.tanh),
    "gelu": ({}, F.gelu),
    "gelu_tanh": ({}, lambda x: F.gelu(x, approximate="tanh")),
    "silu": ({}, F.silu),
    "hard_sigmoid": ({"alpha": 1 / 6, "beta": 0.5}, F.hardsigmoid),
    "hard_swish": ({}, F.hardswish),
    "softplus": ({}, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "mish": ({}, F.mish),
    "erf": ({}, torch.erf),
    "exp": ({}, torch.exp),
    "log": ({}, torch.log),
    "sqrt": ({}, torch.sqrt),
    "reciprocal_sqrt": ({}, torch.rsqrt),
    "reciprocal": ({}, torch.reciprocal),
    "negate": ({}, torch.neg),
    "absolute": ({}, torch.abs),
    "power": ({"exponent": 3.0}, lambda x: torch.pow(x, 3.0)),
    "sine": ({}, torch.sin),
    "cosine": ({}, torch.cos),
    "tangent": ({}, torch.tan),
    "arcsine": ({}, torch.asin),
    "arccosine": ({}, torch.acos),
    "arctangent": ({}, torch.atan),
    "hyperbolic_sine": ({}, torch.sinh),
    "hyperbolic_cosine": ({}, torch.cosh),
    "area_sine": ({}, torch.asinh),
    "area_cosine": ({}, torch.acosh),
    "area_tangent": ({}, torch.atanh),
    "floor": ({}, torch.floor),
    "ceiling": ({}, torch.ceil),
    "round": ({}, torch.round),
    "sign": ({}, torch.sign),
    "softsign": ({}, F.softsign),
    "threshold": ({"threshold": 0.5}, lambda x: F.threshold(x, 0.5, 0.0)),
    "shrink": ({"threshold": 0.5, "bias": 0.5}, lambda x: F.softshrink(x, 0.5)),
    "not": ({}, lambda x: torch.logical_not(x > 0)),
    "is_nan": ({}, torch.isnan),
    "is_infinite": ({"positive": 1.0, "negative": 1.0}, torch.isinf),
    "scale_shift": ({"scale": 2.0, "shift": -1.0}, lambda x: x * 2.0 - 1.0),
}


def test_every_activation_is_compared() -> None:
    assert set(ACTIVATIONS) == set(Activation.FUNCTIONS)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_that_of_torch(name: str) -> None:
    parameters, function = ACTIVATIONS[name]
    x = np.abs(X) + 0.1 if name in ("log", "sqrt", "reciprocal_sqrt") else X
    x = np.tanh(x) if name in ("arcsine", "arccosine", "area_tangent") else x + (9.0 if name == "area_cosine" else 0.0)
    given = x > 0 if name == "not" else x
    found = apply(layer(Activation, X.shape, function=name, parameters=parameters), [given], 4)
    assert found.dtype == (bool if name in ("not", "is_nan", "is_infinite") else np.float64)
    np.testing.assert_allclose(found, function(t(x)).numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", Activation.EXACT)
def test_integers_stay_integers_where_they_can(name: str) -> None:
    x = np.arange(-6, 6).reshape(3, 4)
    low_high = {"low": -2.0, "high": np.inf} if name == "clip" else {}
    found = apply(layer(Activation, x.shape, function=name, parameters=low_high), [x], 3)
    functions = {"not": np.invert, "relu": lambda x: np.maximum(x, 0), "clip": lambda x: np.maximum(x, -2)}
    plain = {"negate": np.negative, "absolute": np.abs, "sign": np.sign}
    assert found.dtype == np.int64
    assert np.array_equal(found, functions.get(name, plain.get(name, np.asarray))(x))


@pytest.mark.parametrize("name", sorted(Elementwise.FUNCTIONS))
def test_elementwise_broadcasts(name: str) -> None:
    other = RNG.normal(size=(6, 1, 5))
    torch_name = {
        "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "power": "pow", "modulo": "remainder",
        "remainder": "fmod", "less_or_equal": "le", "greater_or_equal": "ge", "equal": "eq", "not_equal": "ne",
        "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "shift_left": "bitwise_left_shift",
        "shift_right": "bitwise_right_shift",
    }.get(name, name)  # fmt: skip
    combined = layer(Elementwise, X.shape, ("x", "y"), function=name)
    if name not in ("and", "or", "xor", "shift_left", "shift_right"):
        x = np.abs(X) if name == "power" else X
        found = apply(combined, [x, other], 4)
        np.testing.assert_allclose(found, getattr(torch, torch_name)(t(x), t(other)).numpy(), rtol=1e-14)
    if name != "divide":
        whole, positive = (10 * X).astype(np.int64), np.abs(10 * other).astype(np.int64) % 5 + 1
        found = apply(combined, [whole, positive], 4)
        assert combined.result_type(["int64", "int64"]) == found.dtype.name
        assert np.array_equal(found, getattr(torch, torch_name)(t(whole), t(positive)).numpy())


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-5, 5).filter(bool)), min_size=1))
def test_the_quotient_of_integers_is_cut_off_towards_zero(pairs: list[tuple[int, int]]) -> None:
    left, right = np.array(pairs).T
    found = apply(layer(Elementwise, left.shape, ("x", "y"), function="divide"), [left, right], 1)
    assert found.tolist() == [int(a / b) for a, b in pairs]


@pytest.mark.parametrize("function", ["rows", "elements", "points"])
def test_gather_is_that_of_numpy_with_places_counted_from_both_ends(function: str) -> None:
    x = np.arange(24).reshape(2, 3, 4)
    gather = layer(Gather, (2, 2, 4), ("x", "i"), function=function, axis=1)
    if function == "rows":
        assert np.array_equal(apply(gather, [x, np.array([2, -3])], 2), x[:, [2, 0]])
        with pytest.raises(NumberError, match="from 0 to 3"):
            apply(gather, [x, np.array([0, 3])], 2)
    elif function == "elements":
        places = RNG.integers(-3, 3, (2, 2, 4))
        assert np.array_equal(apply(gather, [x, places], 2), np.take_along_axis(x, places, 1))
    else:
        found = apply(gather, [x, np.array([[[2, 3], [0, -1]], [[1, 1], [-1, 0]]])], 2)
        assert np.array_equal(found, [[x[0, 2, 3], x[0, 0, 3]], [x[1, 1, 1], x[1, 2, 0]]])


def test_select_convert_and_running_sums() -> None:
    condition = X > 0
    found = apply(layer(Select, X.shape, ("c", "x", "y")), [condition, X, np.array(2.0)], 4)
    assert np.array_equal(found, np.where(condition, X, 2.0))
    assert np.array_equal(apply(layer(Convert, X.shape, type="int32"), [9 * X], 4), np.trunc(9 * X))
    assert apply(layer(Convert, X.shape, type="real"), [condition], 4).dtype == np.float64
    x = np.array([[1, 2, 3]])
    for exclusive, reverse, sums in ((0, 0, [1, 3, 6]), (1, 0, [0, 1, 3]), (0, 1, [6, 5, 3]), (1, 1, [5, 3, 0])):
        how = layer(CumulativeSum, x.shape, axis=1, exclusive=bool(exclusive), reverse=bool(reverse))
        assert apply(how, [x], 1).tolist() == [sums]


@given(
    st.sampled_from(["maximum", "average"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
    st.data(),
)
@settings(max_examples=60)
def test_pool_is_that_of_torch(
    function: str,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    counted: bool,
    ceil: bool,
    data: st.DataObject,
) -> None:
    pad = (data.draw(st.integers(0, kernel[0] // 2)), data.draw(st.integers(0, kernel[1] // 2)))
    if function == "maximum":
        expected = F.max_pool2d(t(X), kernel, stride, pad, ceil_mode=ceil)
    else:
        expected = F.avg_pool2d(t(X), kernel, stride, pad, ceil_mode=ceil, count_include_pad=counted)
    pool = layer(
        Pool, tuple(expected.shape), function=function, kernel=kernel, stride=stride, padding=(*pad, *pad),
        count_padding=counted,
    )  # fmt: skip
    np.testing.assert_allclose(apply(pool, [X], 4), expected.numpy(), rtol=1e-12, atol=1e-14)


def test_dilated_maximum_pool_is_that_of_torch() -> None:
    expected = F.max_pool2d(t(X), (2, 2), (1, 1), 0, dilation=(3, 2))
    pool = layer(Pool, tuple(expected.shape), function="maximum", kernel=(2, 2), stride=(1, 1), dilation=(3, 2))
    assert np.array_equal(apply(pool, [X], 4), expected.numpy())


@pytest.mark.parametrize("axes", [(1,), (2, 3), (1, 3), (3,)])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("function", ["mean", "sum", "maximum", "minimum", "product", "argmax", "argmin"])
def test_reduce_is_that_of_torch(function: str, axes: tuple[int, ...], keep: bool) -> None:
    name = {"maximum": "amax", "minimum": "amin", "product": "prod"}.get(function, function)
    if function in ("product", "argmax", "argmin"):
        axes = axes[:1]
    expected = getattr(torch, name)(t(X), dim=axes[0] if len(axes) == 1 else axes, keepdim=keep)
    found = apply(layer(Reduce, tuple(expected.shape), function=function, axes=axes, keep=keep), [X], 4)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-14)


def test_normalisations_are_those_of_torch() -> None:
    scale, offset = RNG.normal(size=(8, 5)), RNG.normal(size=(8, 5))
    how = {"scale": Array.of(scale), "offset": Array.of(offset), "axes": 2, "epsilon": 1e-5}
    found = apply(layer(Normalise, X.shape, function="layer", **how), [X], 4)
    np.testing.assert_allclose(found, F.layer_norm(t(X), (8, 5), t(scale), t(offset), 1e-5).numpy(), rtol=1e-10)
    found = apply(layer(Normalise, X.shape, function="rms", epsilon=1e-5), [X], 4)
    np.testing.assert_allclose(found, F.rms_norm(t(X), (5,), eps=1e-5).numpy(), rtol=1e-10)
    weight, shift = RNG.normal(size=6), RNG.normal(size=6)
    group = layer(
        Normalise,
        X.shape,
        function="group",
        groups=3,
        epsilon=1e-5,
        scale=Array.of(weight),
        offset=Array.of(shift),
    )
    expected = F.group_norm(t(X), 3, t(weight), t(shift), 1e-5)
    np.testing.assert_allclose(apply(group, [X], 4), expected.numpy(), rtol=1e-10)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_softmax_is_that_of_torch(axis: int) -> None:
    found = apply(layer(Softmax, X.shape, axis=axis), [X], 4)
    np.testing.assert_allclose(found, torch.softmax(t(X), axis).numpy(), rtol=1e-12)


def test_channel_affine_and_pad_and_constant() -> None:
    scale, offset = RNG.normal(size=8), RNG.normal(size=8)
    affine = layer(ChannelAffine, X.shape, scale=Array.of(scale), offset=Array.of(offset), axis=2)
    assert np.array_equal(apply(affine, [X], 4), X * scale[:, None] + offset[:, None])
    pad = layer(Pad, (4, 9, 8, 6), before=(0, 1, 0, 0), after=(0, 2, 0, 1), value=-2.0)
    assert np.array_equal(apply(pad, [X], 4), np.pad(X, ((0, 0), (1, 2), (0, 0), (0, 1)), constant_values=-2.0))
    assert np.array_equal(apply(layer(Constant, (3,), (), value=Array.of(np.arange(3))), [], 4), np.arange(3.0))


def test_moves_scale_with_the_samples_and_keep_the_type() -> None:
    codes = np.arange(4 * 6 * 2, dtype=np.uint8).reshape(4, 6, 2)
    found = apply(layer(Reshape, (1, 3, 4)), [codes], 4)
    assert found.dtype == np.uint8
    assert np.array_equal(found, codes.reshape(4, 3, 4))
    assert apply(layer(Reshape, (3, 4)), [codes], 4).shape == (12, 4)
    assert np.array_equal(apply(layer(Transpose, (1, 2, 6), permutation=(0, 2, 1)), [codes], 4), codes.swapaxes(1, 2))
    assert np.array_equal(apply(layer(Slice, (1, 2, 2), axis=1, start=1, stop=5, step=2), [codes], 4), codes[:, 1:5:2])
    assert np.array_equal(apply(layer(Slice, (1, 2), axis=1, start=3, stop=4, drop=True), [codes], 4), codes[:, 3])
    assert np.array_equal(apply(layer(Take, (1, 3, 2), axis=1, places=(4, 0, 0)), [codes], 4), codes[:, [4, 0, 0]])
    assert apply(layer(Expand, (1, 6, 5)), [np.ones((4, 6, 1))], 4).shape == (4, 6, 5)


def test_a_reshape_of_a_batch_of_two_keeps_batches_behind_one_another() -> None:
    x = np.arange(8 * 3.0).reshape(8, 3)
    assert apply(layer(Reshape, (1, 6)), [x], 8, batch=2).shape == (4, 6)


def test_concatenation_repeats_a_single_sample() -> None:
    token = np.full((1, 1, 2), 7.0)
    x = np.arange(12.0).reshape(3, 2, 2)
    found = apply(layer(Concatenate, (1, 3, 2), ("t", "x"), axis=1), [token, x], 3)
    assert np.array_equal(found[:, 0], np.full((3, 2), 7.0))
    assert np.array_equal(found[:, 1:], x)


def test_resampling_and_interleaving_are_their_definitions() -> None:
    x = RNG.normal(size=(2, 3, 4))
    weighted = layer(Resample, (1, 3, 2), axis=2, places=((0, 1), (3, 3)), weights=((0.25, 0.75), (0.5, 0.5)))
    wanted = np.stack([0.25 * x[..., 0] + 0.75 * x[..., 1], x[..., 3]], axis=-1)
    np.testing.assert_allclose(apply(weighted, [x], 2), wanted, rtol=1e-15)
    phases = [RNG.normal(size=(2, 1, 2, 3)), np.ones((1, 1, 2, 2))]
    woven = apply(layer(Interleave, (1, 1, 2, 5), ("a", "b"), rows=1, columns=2), phases, 2)
    assert np.array_equal(woven[..., ::2], phases[0]) and np.array_equal(woven[..., 1::2], np.ones((2, 1, 2, 2)))


def test_matrix_product_broadcasts_leading_axes() -> None:
    a, b = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(3, 5, 2))
    found = apply(layer(MatrixProduct, (2, 3, 4, 2), ("a", "b"), inner=5), [a, b], 2)
    np.testing.assert_allclose(found, np.einsum("abmk,bkn->abmn", a, b), rtol=1e-12, atol=1e-14)


def test_embedding_takes_rows_and_refuses_others() -> None:
    table = RNG.normal(size=(7, 3))
    look_up = layer(Embedding, (1, 2, 3), table=Array.of(table))
    assert np.array_equal(apply(look_up, [np.asarray([[0, 6]])], 1), table[[[0, 6]]])
    with pytest.raises(NumberError, match="0 to 6"):
        apply(look_up, [np.asarray([[0, 7]])], 1)
    with pytest.raises(NumberError, match="whole"):
        apply(look_up, [np.asarray([[0.5, 1.0]])], 1)


def test_embedding_bags_add_up_rows_and_refuse_others() -> None:
    table = RNG.normal(size=(7, 3))
    bags = layer(EmbeddingBag, (2, 3), table=Array.of(table))
    found = apply(bags, [np.asarray([[0, 6, 6], [-1, -1, -1]])], 2)
    np.testing.assert_allclose(found, [table[0] + 2 * table[6], [0, 0, 0]], rtol=1e-15)
    counted = layer(EmbeddingBag, (1, 3), ("x", "counts"), table=Array.of(table))
    found = apply(counted, [np.asarray([[2, 5, -1]]), np.asarray([[3, 0, 9]])], 1)
    np.testing.assert_allclose(found, table[[2]] * 3, rtol=1e-15)
    for operands, words in (([[[0, 7]]], "0 to 6"), ([[[-2, 0]]], "-1 stands for none"), ([[[0.5, 1.0]]], "whole")):
        with pytest.raises(NumberError, match=words):
            apply(bags, [np.asarray(each) for each in operands], 1)
    with pytest.raises(NumberError, match="0 to 255"):
        apply(counted, [np.asarray([[1]]), np.asarray([[256]])], 1)


def test_every_kind_but_the_crossbars_is_tested_here() -> None:
    moves = {Expand, Reshape, Slice, Take, Transpose}
    sums = {MatrixProduct, Normalise, Pool, Reduce, Resample, Softmax}
    others = {Activation, ChannelAffine, Concatenate, Constant, Elementwise, Embedding, EmbeddingBag, Interleave, Pad}
    others |= {Convert, CumulativeSum, Gather, Join, Select}
    assert set(LAYER_KINDS.values()) - moves - sums - others == {Input, Convolution, Linear, GroupedLinear}


SUMMING = [
    layer(Softmax, (1, 6, 8, 5), axis=1),
    layer(Softmax, (1, 6, 8, 5), axis=3),
    layer(Reduce, (1, 8), function="mean", axes=(1, 3), keep=False),
    layer(Reduce, (1, 6, 5), function="sum", axes=(2,), keep=False),
    layer(Normalise, (1, 6, 8, 5), function="layer", epsilon=1e-5, axes=2),
    layer(Normalise, (1, 6, 8, 5), function="rms", epsilon=1e-5),
    layer(Normalise, (1, 6, 8, 5), function="group", groups=2, epsilon=1e-5),
    layer(Pool, (1, 6, 4, 2), function="average", kernel=(3, 3), stride=(2, 2), padding=(1, 1, 0, 0)),
    layer(Activation, (1, 6, 8, 5), function="gelu_tanh"),
    layer(Activation, (1, 6, 8, 5), function="mish"),
]


@pytest.mark.parametrize("summing", SUMMING, ids=lambda one: f"{one.kind}")
@pytest.mark.parametrize("strided", [False, True])
def test_a_sample_gives_the_same_bits_alone_and_in_company(summing: Any, strided: bool) -> None:
    x = X.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2) if strided else X
    together = apply(summing, [x], 4)
    for sample in range(4):
        alone = apply(summing, [X[sample : sample + 1]], 1)
        assert np.array_equal(together[sample : sample + 1], alone)
