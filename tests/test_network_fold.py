"""Simplification and the builder: laws that hold for any network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import NetworkError
from mho.network import Affine, Array, Network
from mho.network.builder import Builder
from mho.network.fold import fold
from mho.network.patterns import simplify
from mho.number import run_float

STEPS = ("conv", "affine", "scale", "relu", "identity", "swap", "reshape", "add", "bias", "square")


def build(steps: list[str], seed: int) -> tuple[Builder, str]:
    """A network of random steps on (1, 4, 4, 4)."""
    random = np.random.default_rng(seed)
    builder = Builder()
    builder.scope = "input"
    x = first = builder.input((1, 4, 4, 4))
    for index, step in enumerate(steps):
        builder.scope = f"{step}{index}"
        values = Array.of(random.standard_normal(4).astype(np.float32))
        match step:
            case "conv":
                weight = Array.of(random.standard_normal((4, 4, 1, 1)).astype(np.float32) / 2)
                x = builder.convolution(x, weight, values if random.random() < 0.5 else None)
            case "affine":
                x = builder.channel_affine(x, values, values)
            case "scale":
                x = builder.scale_shift(x, 0.7, 0.1)
            case "relu":
                x = builder.activation(x, "relu")
            case "identity":
                x = builder.slice(builder.transpose(x, range(4), "t"), 2, 0, 4)
            case "swap":
                x = builder.swap(builder.swap(x, 2, 3, "a"), 1, 2, "b")
            case "reshape":
                x = builder.reshape(builder.reshape(x, (1, 64), "flat"), (1, 4, 4, 4))
            case "add":
                x = builder.elementwise("add", x, first)
            case "bias":
                shaped = Array.of(np.asarray(values.values).reshape(4, 1, 1))
                x = builder.elementwise("subtract", builder.constant(shaped, "c"), x)
            case _:
                x = builder.elementwise("multiply", x, builder.activation(x, "tanh", part="t"))
    return builder, x


@settings(max_examples=80)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_simplifying_changes_no_output(steps: list[str], seed: int) -> None:
    builder, output = build(steps, seed)
    plain = Network(name="n", layers=tuple(builder.layers.values()), outputs=(output,), origin="test")
    layers, outputs, _ = simplify(plain.layers, plain.outputs)
    simple = Network(name="n", layers=layers, outputs=outputs, origin="test")
    x = np.random.default_rng(seed).standard_normal((1, 4, 4, 4))
    wanted = run_float(plain, x)[output]
    np.testing.assert_allclose(run_float(simple, x)[outputs[0]], wanted, atol=1e-4 * max(1.0, np.abs(wanted).max()))
    assert len(simple.layers) <= len(plain.layers)
    assert simple.by_name[outputs[0]].shape == plain.by_name[output].shape


@settings(max_examples=40)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_simplifying_twice_is_simplifying_once(steps: list[str], seed: int) -> None:
    builder, output = build(steps, seed)
    layers, outputs, _ = simplify(tuple(builder.layers.values()), (output,))
    again, names, _ = simplify(layers, outputs)
    assert [layer.name for layer in again] == [layer.name for layer in layers] and names == outputs


@settings(max_examples=40)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=6), seed=st.integers(0, 99), data=st.data())
def test_a_tensor_with_a_code_keeps_it_and_its_values(steps: list[str], seed: int, data: st.DataObject) -> None:
    builder, output = build(steps, seed)
    coded = data.draw(st.sampled_from(list(builder.layers)))
    code = Affine(np.array(0.1), np.array(0), -128, 127)
    kept = (output,) if coded == output else (output, coded)
    layers, outputs, codes = fold(tuple(builder.layers.values()), (output,), {coded: code})
    alive = {layer.name for layer in fold(tuple(builder.layers.values()), (output,))[0]}
    if codes:
        (name,) = codes
        assert codes[name] is code
        plain = Network(name="n", layers=tuple(builder.layers.values()), outputs=kept, origin="test")
        simple = Network(name="n", layers=layers, outputs=outputs, origin="test", codes=codes)
        x = np.random.default_rng(seed).integers(-9, 9, (1, 4, 4, 4)) * 0.1
        wanted = run_float(replace(plain, codes={}), x, [coded])[coded]
        found = run_float(replace(simple, codes={}), x, [name])[name]
        np.testing.assert_allclose(found, wanted, atol=1e-4 * max(1.0, np.abs(wanted).max()))
    else:
        assert coded not in alive


def test_shapes_alone_simplify_to_the_same_layers() -> None:
    builder, output = build(["conv", "affine", "bias", "relu", "affine", "conv", "affine"], 0)

    def bare(array: Array) -> Array:
        return Array(array.shape)

    stripped = tuple(
        replace(layer, **{key: bare(value) for key, value in vars(layer).items() if isinstance(value, Array)})
        for layer in builder.layers.values()
    )
    real, _, _ = fold(tuple(builder.layers.values()), (output,))
    shapes, _, _ = fold(stripped, (output,))
    assert [(layer.name, layer.kind) for layer in real] == [(layer.name, layer.kind) for layer in shapes]
    assert [layer.kind for layer in shapes].count("channel affine") == 1


def test_an_output_is_never_rewritten_by_its_reader() -> None:
    builder, output = build(["conv", "affine"], 0)
    layers, outputs, _ = fold(tuple(builder.layers.values()), (output, "conv0"))
    assert outputs == ("affine1", "conv0") and len(layers) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        lambda b, x: b.reshape(x, (5, -1)),
        lambda b, x: b.transpose(x, (0, 0, 1, 2)),
        lambda b, x: b.slice(x, 1, 3, 3),
        lambda b, x: b.slice(x, 4, 0, 1),
        lambda b, x: b.slice(x, 1, 0, 4, -1),
        lambda b, x: b.expand(x, (1, 4, 4, 5)),
        lambda b, x: b.linear(x, Array((3, 5))),
        lambda b, x: b.convolution(x, Array((4, 3, 1, 1)), None),
        lambda b, x: b.convolution(x, Array((4, 4, 9, 9)), None),
        lambda b, x: b.pad(x, (0, 0, -1, 0), (0, 0, 0, 0)),
        lambda b, x: b.product(x, b.slice(x, 2, 0, 3, part="s")),
    ],
)
def test_the_builder_refuses_what_has_no_shape(wrong: Callable[[Builder, str], str]) -> None:
    builder = Builder()
    builder.scope = "input"
    x = builder.input((1, 4, 4, 4))
    with pytest.raises(NetworkError):
        wrong(builder, x)
