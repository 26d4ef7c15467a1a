"""Bits of each layer: who gets how many, what codes of few bits stand for, and that 8 bits change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.network.layers import Activation, Affine, Array, Input, Linear
from mho.network.samples import synthetic
from mho.number import (
    Grid,
    QuantisedNetwork,
    align,
    narrow,
    recode,
    run_float,
    run_reference,
    squeeze,
    uncoded,
)
from mho.number.affine import decode, encode, fit
from mho.number.bits import LayerBits, asked
from mho.number.precision import bits_of
from mho.number.quantised import quantise
from mho.number.storage import shared, stored
from mho.program.storage import digest
from tests.strategies import convolutional, networks
from tests.test_number_reference import convolutional as residual
from tests.test_number_reference import linear, network

layer_bits = st.builds(LayerBits, st.integers(1, 8), st.integers(1, 8))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chain() -> Network:
    """Two linear layers, with a rectifier between them."""
    return network(
        Input(name="x", inputs=(), shape=(1, 6)),
        linear("a", "x", (1, 5), 6, rng(1)),
        Activation(name="r", inputs=("a",), shape=(1, 5), function="relu"),
        linear("b", "r", (1, 4), 5, rng(2)),
    )


@st.composite
def precise(draw: st.DrawFn) -> tuple[Network, dict[str, LayerBits], QuantisedNetwork]:
    """A network whose layers have bits of their own, and its codes."""
    net = draw(networks)
    wanted = {layer.name: draw(layer_bits) for layer in net.matrix_layers if draw(st.booleans())}
    codes = quantise(net, synthetic(net, 3).inputs, bits=wanted, per_channel=draw(st.booleans()))
    return net, wanted, codes


@given(precise())
@settings(max_examples=25)
def test_codes_lie_within_the_bits_that_are_asked_for(
    drawn: tuple[Network, dict[str, LayerBits], QuantisedNetwork],
) -> None:
    net, wanted, codes = drawn
    for layer in net.matrix_layers:
        given_bits, least = codes.bits.get(layer.name, LayerBits()), wanted.get(layer.name, LayerBits())
        matrix, code = codes.matrices[layer.name], codes.codes[layer.inputs[0]]
        assert given_bits.weights == matrix.bits == least.weights
        assert given_bits.inputs >= least.inputs or layer.inputs[0] not in codes.input_bits
        assert int(matrix.codes.max()) < 2**given_bits.weights
        assert code.high < 2**given_bits.inputs


@given(precise())
@settings(max_examples=25)
def test_shapes_alone_get_the_bits_that_codes_get(
    drawn: tuple[Network, dict[str, LayerBits], QuantisedNetwork],
) -> None:
    net, wanted, codes = drawn
    assert bits_of(net, wanted) == codes.bits
    assert quantise(net, bits=wanted).bits == codes.bits, "without samples too"


@given(precise())
@settings(max_examples=25)
def test_what_shares_a_code_has_the_most_bits_that_any_reader_asks_for(
    drawn: tuple[Network, dict[str, LayerBits], QuantisedNetwork],
) -> None:
    net, wanted, codes = drawn
    tables = set(codes.tables)
    leaders = shared(net, stored(net))
    for leader in set(leaders.values()) - tables:
        members = {name for name, first in leaders.items() if first == leader}
        asking = [wanted.get(each.name, LayerBits()).inputs for each in net.matrix_layers if each.inputs[0] in members]
        if not members & tables:
            assert {codes.codes[name].high.bit_length() for name in members} == {max(asking, default=8)}


@given(precise())
@settings(max_examples=30)
def test_the_same_codes_held_in_8_bits_give_the_same_outputs(
    drawn: tuple[Network, dict[str, LayerBits], QuantisedNetwork],
) -> None:
    net, _, codes = drawn
    x = synthetic(net, 2).inputs
    wide = replace(
        codes,
        matrices={name: replace(matrix, bits=8) for name, matrix in codes.matrices.items()},
        input_bits={},
    )
    assert not wide.bits
    for name, wanted in run_reference(codes, x).items():
        assert np.array_equal(run_reference(wide, x)[name], wanted)


@given(st.integers(1, 8), st.floats(-50, 50), st.floats(0, 50), st.integers(0, 2**32 - 1))
def test_what_is_coded_comes_back_within_half_a_step_inside_the_range(
    bits: int, low: float, width: float, seed: int
) -> None:
    code = fit(low, low + width, bits)
    reals = rng(seed).uniform(min(low, 0.0), max(low + width, 0.0), 64)
    reals[0] = 0.0
    codes = encode(reals, code)
    assert codes.min() >= 0
    assert int(codes.max()) < 2**bits
    back = decode(codes, code)
    ends = decode(np.array([0, code.high]), code)
    inside = (reals >= ends[0]) & (reals <= ends[1])
    assert np.all(np.abs(back - reals)[inside] <= float(code.scale) * (0.5 + 1e-9))
    assert back[0] == 0.0, "real 0 has a code of its own"
    assert np.all((back == ends[0]) | (back == ends[1])) or bits > 1


@given(st.integers(1, 7), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_few_bits_lose_no_more_by_least_squares_than_over_the_whole_range(
    bits: int, per_channel: bool, symmetric: bool, seed: int
) -> None:
    weight = rng(seed).laplace(size=(5, 300)) + rng(seed).normal()
    net = network(
        Input(name="x", inputs=(), shape=(1, 300)),
        Linear(name="y", inputs=("x",), shape=(1, 5), weight=Array.of(weight)),
    )
    how = {"per_channel": per_channel, "symmetric": symmetric and bits > 1, "bits": f"{bits}/8"}
    errors = {
        name: np.square(quantise(net, weight_range=name, **how).matrices["y"].real()[0] - weight.T).sum()
        for name in ("minmax", "mse")
    }
    assert errors["mse"] <= errors["minmax"] * (1 + 1e-9)
    usual = quantise(net, **how).matrices["y"]
    assert np.square(usual.real()[0] - weight.T).sum() == errors["mse"], "it is what is done where nothing is said"


@given(st.integers(2, 8), st.booleans(), st.sampled_from(["minmax", "mse"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_symmetric_codes_never_take_the_lowest(bits: int, per_channel: bool, name: str, seed: int) -> None:
    weight = rng(seed).laplace(size=(5, 300))
    net = network(
        Input(name="x", inputs=(), shape=(1, 300)),
        Linear(name="y", inputs=("x",), shape=(1, 5), weight=Array.of(weight)),
    )
    how = {"per_channel": per_channel, "symmetric": True, "bits": f"{bits}/8"}
    assert quantise(net, weight_range=name, **how).matrices["y"].codes.min() >= 1


def test_weights_of_one_bit_take_the_side_and_the_step_that_lose_least() -> None:
    weight = np.array([[-2.0, -1.0, -1.0, -1.0, 0.5, 0.0]])
    net = network(
        Input(name="x", inputs=(), shape=(1, 6)),
        Linear(name="y", inputs=("x",), shape=(1, 1), weight=Array.of(weight)),
    )
    matrix = quantise(net, bits="1/8").matrices["y"]
    assert int(matrix.zero) == 1, "codes 0 and 1 stand for -step and 0"
    assert float(matrix.scale) == pytest.approx(1.25, rel=0.03), "the mean of the four that round away from 0"
    with pytest.raises(NumberError, match="symmetric codes have 2 to 16 bits"):
        quantise(net, bits=1, symmetric=True)


def test_inputs_behind_a_rectifier_are_unsigned_in_any_bits() -> None:
    net = chain()
    for bits in range(1, 9):
        code = quantise(net, synthetic(net, 20).inputs, bits={"b": f"8/{bits}"}).codes["r"]
        assert (int(code.zero), code.low, code.high) == (0, 0, 2**bits - 1)


def test_the_first_pattern_that_a_layer_matches_counts() -> None:
    net = chain()
    assert bits_of(net, "a=4/6,*=3") == {"a": LayerBits(4, 6), "b": LayerBits(3, 3)}
    assert bits_of(net, {"a*": 3, "[ab]": 4, "*": 2}) == {"a": LayerBits(3, 3), "b": LayerBits(4, 4)}
    assert bits_of(net, {"[b-z]": "2/8"}) == {"b": LayerBits(2, 8)}
    assert bits_of(net, 5) == bits_of(net, "5") == bits_of(net, "5/5") == bits_of(net, {"?": LayerBits(5, 5)})
    assert bits_of(net, 8) == bits_of(net, {}) == bits_of(net, "8/8") == {}
    for shadowed in ({"*": 3, "a": 4}, {"[ab]": 8, "b": 4}):
        with pytest.raises(NumberError, match=r"count for no layer, as .* stands before it"):
            bits_of(net, shadowed)
    with pytest.raises(NumberError, match="names or patterns of layers, not by 1"):
        bits_of(net, {1: 4})  # type: ignore[dict-item]
    with pytest.raises(NumberError, match="'a' stands twice"):
        bits_of(net, "a=4,a=8")


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (0, "1 to 16 bits, not 0"),
        (9, "1 to 8 bits, not 9"),
        (True, "not True"),
        ("4/6/8", "weights/inputs"),
        ("four", "not 'four'"),
        ("a=4,3", "LAYER=BITS"),
        ("=4", "LAYER=BITS"),
        ({"a": 0}, "1 to 16"),
        ({"aa": 4}, "no matrix layer 'aa': did you mean a"),
        ({"conv*": 4}, r"no matrix layer 'conv\*': known: a, b"),
        ({"r": 4}, "no matrix layer 'r'"),
    ],
)
def test_bits_that_make_no_sense_are_refused(bits: object, said: str) -> None:
    with pytest.raises(NumberError, match=said):
        quantise(chain(), bits=bits)  # type: ignore[arg-type]
    if not isinstance(bits, dict):
        with pytest.raises(OptionError, match="known: minmax, mse"):
            quantise(chain(), weight_range="percentile")


def test_a_tensor_of_several_readers_has_the_most_bits_and_a_note_says_so() -> None:
    net = residual()
    codes = quantise(net, synthetic(net, 2).inputs, bits={"depth": "4/3", "down": "4/5"})
    assert codes.bits["depth"] == LayerBits(4, 3)
    shared_weight = Array.of(rng(3).normal(size=(4, 4)))
    both = network(
        Input(name="x", inputs=(), shape=(1, 4)),
        Linear(name="a", inputs=("x",), shape=(1, 4), weight=shared_weight),
        Linear(name="b", inputs=("a",), shape=(1, 4), weight=shared_weight),
        Linear(name="c", inputs=("x",), shape=(1, 4), weight=Array.of(np.eye(4))),
    )
    codes = quantise(both, bits={"a": "3/4", "b": "5/2", "c": 6})
    assert codes.bits == {"a": LayerBits(5, 6), "b": LayerBits(5, 2), "c": LayerBits(6, 6)}
    assert "bits of 1 layers are not as asked" in codes.notes[-1]
    assert "a 5/6" in codes.notes[-1]


def test_codes_that_come_with_a_network_keep_the_bits_of_their_range() -> None:
    code = Affine(np.asarray(0.5), np.asarray(0), -8, 7)
    net = network(
        Input(name="x", inputs=(), shape=(1, 3), type="int8"),
        Linear(name="y", inputs=("x",), shape=(1, 2), weight=Array.of(np.arange(-3, 3).reshape(2, 3), code)),
        codes={"x": Affine(np.asarray(0.1), np.asarray(1), 0, 63)},
    )
    for bits in (8, 2):
        codes = quantise(net, bits=bits)
        assert codes.bits == {"y": LayerBits(4, 6)}
        assert any("not as asked" in note for note in codes.notes) == (bits == 2)


def test_weights_of_a_file_are_coded_anew_where_their_codes_are_taken_off() -> None:
    code = Affine(np.array([0.5, 0.25, 0.125]), np.zeros(3, dtype=np.int64), -128, 127, axis=0)
    weight = Array.of(rng(5).integers(-127, 128, (3, 3)).astype(np.int8), code)
    net = network(
        Input(name="x", inputs=(), shape=(1, 3), type="int8"),
        Linear(name="a", inputs=("x",), shape=(1, 3), weight=weight),
        Linear(name="b", inputs=("a",), shape=(1, 3), weight=weight),
        codes={
            "x": Affine(np.asarray(0.1), np.asarray(1), -128, 127),
            "a": Affine(np.asarray(3.0), np.asarray(0), -128, 127),
        },
    )
    real, x = uncoded(net), rng(6).integers(-128, 128, (4, 3)).astype(np.int8)
    assert real.owners == net.owners, "a weight that is shared stays one"
    assert real.codes is net.codes
    assert np.array_equal(run_float(real, x)["b"], run_float(net, x)["b"])
    assert quantise(net, bits="4/8").bits == {}
    assert quantise(real, bits="4/8").bits == {"a": LayerBits(4, 8), "b": LayerBits(4, 8)}
    assert uncoded(real) is real


@given(convolutional(), st.data())
@settings(max_examples=25)
def test_what_changes_codes_keeps_them_within_their_bits(net: Network, data: st.DataObject) -> None:
    bits = data.draw(st.integers(2, 8))
    codes = quantise(net, synthetic(net, 2).inputs, bits=bits)
    onto = recode(codes, "uniform")
    changed = [
        onto,
        recode(codes, Grid.uniform(data.draw(st.integers(2, bits)))),
        squeeze(onto, data.draw(st.integers(0, bits - 2))),
        align(codes, data.draw(st.integers(0, 255))),
        narrow(codes, data.draw(st.integers(2, 8))),
    ]
    for each in changed:
        assert each.bits == codes.bits
        assert all(int(matrix.codes.max(initial=0)) < 2**bits for matrix in each.matrices.values())
    x = synthetic(net, 2).inputs
    aligned = changed[3]
    if aligned.alignment is not None and not aligned.alignment.clipped_weights:
        for name, wanted in run_reference(codes, x).items():
            assert np.array_equal(run_reference(aligned, x)[name], wanted)
    if bits < 8:
        with pytest.raises(NumberError, match=f"weights of {bits} bits, and uniform:8 takes 8"):
            recode(codes, Grid.uniform(8))


@given(convolutional())
@settings(max_examples=10)
def test_uniform_8_bits_are_no_bits_given(net: Network) -> None:
    x = synthetic(net, 2).inputs
    digests = {
        digest(mho.compile(quantise(net, x, **how), "aras"))
        for how in ({}, {"bits": 8}, {"bits": "8"}, {"bits": "8/8"}, {"bits": {"*": 8}})
    }
    assert len(digests) == 1


def test_a_program_of_mixed_bits_is_read_back_as_it_was(tmp_path: Path) -> None:
    net = residual()
    codes = mho.quantise(net, synthetic(net, 2).inputs, bits="stem=8,depth=3/5,*=4/6")
    program = mho.compile(codes, "aras")
    program.save(tmp_path / "kept.mho")
    read = mho.Program.load(tmp_path / "kept.mho")
    assert read.quantised is not None
    assert read.quantised.bits == codes.bits
    assert read.quantised.input_bits == codes.input_bits
    assert read.mapping.arrays == program.mapping.arrays
    assert digest(read) == digest(program)


def test_asked_says_the_same_of_text_and_mapping() -> None:
    assert asked("a=8, b.*=4/6 ,*=4") == asked({"a": 8, "b.*": "4/6", "*": 4})
