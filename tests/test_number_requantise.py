"""Codes made of sums by integer multipliers: what the rule says, how far from float64, and everybody by the same rule."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, StrategyError
from mho.network.graph import Network
from mho.network.layers import Activation, Affine, Array, Elementwise, Input, Layer, Linear, MatrixLayer
from mho.network.samples import synthetic
from mho.number import quantise, run_reference
from mho.number.requantise import finished, multiplier_bits
from tests.strategies import GREEDY, chips, networks

few = settings(max_examples=15)
BITS = st.integers(16, 31)


@given(st.integers(-(2**60), 2**60), st.integers(1, 61), st.integers(0, 255))
def test_halves_go_up(v: int, shift: int, zero: int) -> None:
    """The code is the whole number nearest to v / 2^shift + zero, the upper of two, within 0 to 255."""
    code = Affine(np.array(1.0), np.array(zero), 0, 255)
    exact = Fraction(v, 2**shift) + zero
    nearest = int((exact + Fraction(1, 2)) // 1)
    assert int(finished(np.array(v), shift, code)) == min(max(nearest, 0), 255)


def _blocks(seed: int, width: int) -> Network:
    """Return two linear layers, each behind a relu, and the sum of both behind a clip, into a third."""
    rng = np.random.default_rng(seed)

    def layer(name: str, source: str, columns: int) -> Linear:
        return Linear(
            name=name, inputs=(source,), shape=(1, columns), weight=Array.of(rng.normal(size=(columns, width))),
            bias=Array.of(rng.normal(size=columns)),
        )  # fmt: skip

    shape = (1, width)
    layers: list[Layer] = [
        Input(name="x", inputs=(), shape=shape),
        layer("a", "x", width),
        Activation(name="ra", inputs=("a",), shape=shape, function="relu"),
        layer("b", "ra", width),
        Elementwise(name="s", inputs=("b", "ra"), shape=shape, function="add"),
        Activation(name="c", inputs=("s",), shape=shape, function="clip", parameters={"low": -1.0, "high": 6.0}),
        layer("y", "c", 3),
    ]
    return Network("blocks", layers, ("y",), "made (synthetic)")


@few
@given(st.integers(0, 10**6), st.integers(2, 24), BITS, st.booleans())
def test_codes_are_those_of_the_rule_worked_out_by_hand(seed: int, width: int, bits: int, per_channel: bool) -> None:
    """Sums as whole numbers of Python, multiplied, added, cut and shifted in the order that the module states."""
    network = _blocks(seed, width)
    x = np.random.default_rng(seed).normal(size=(4, width))
    quantised = quantise(network, x, per_channel=per_channel, requantise=bits)
    got = run_reference(quantised, x, keep=("ra", "c"))
    codes = quantised.codes

    def coded(name: str) -> list[list[int]]:
        real = x if name == "x" else got[name]
        return (np.rint(real / codes[name].scale) + codes[name].zero).clip(0, 255).astype(int).tolist()

    def scaled(ratio: float, shift: int, left: int) -> int:
        return round(Fraction(ratio) * 2 ** (shift - left)) << left

    def sums(name: str, source: str, target: str, shift: int, left: int) -> list[list[int]]:
        matrix, given = quantised.matrices[name], coded(source)
        scale, zero = (np.broadcast_to(each, (1, width))[0] for each in (matrix.scale, matrix.zero))
        out = []
        for row in given:
            out.append([])
            for n in range(width):
                weights = matrix.codes[0, :, n].tolist()
                acc = sum((q - int(codes[source].zero)) * (w - int(zero[n])) for q, w in zip(row, weights, strict=True))
                multiplier = scaled(float(codes[source].scale * scale[n] / codes[target].scale), shift, left)
                bias = float(np.rint(matrix.bias[0, n] / float(codes[target].scale) * 2.0**shift))
                out[-1].append(acc * multiplier + int(bias))
        return out

    def finish(v: int, target: str, shift: int) -> int:
        return min(max((v + 2 ** (shift - 1) >> shift) + int(codes[target].zero), 0), codes[target].high)

    first, last = quantised.integer_steps["a"], quantised.integer_steps["b"]
    ra = [[finish(max(v, 0), "ra", first.shift) for v in row] for row in sums("a", "x", "ra", first.shift, 0)]
    assert ra == coded("ra")
    beside = quantised.integer_steps["s"].parts["ra"]
    other = scaled(float(codes["ra"].scale / codes["c"].scale), last.shift, beside.left)
    low, high = (round(Fraction(end / (float(codes["c"].scale) / 2.0**last.shift))) for end in (-1.0, 6.0))
    found = sums("b", "ra", "c", last.shift, last.parts["b"].left)
    added = [
        [v + other * (q - int(codes["ra"].zero)) for v, q in zip(*pair, strict=True)]
        for pair in zip(found, ra, strict=True)
    ]
    assert [[finish(min(max(v, low), high), "c", last.shift) for v in row] for row in added] == coded("c")


@few
@given(networks, chips(), BITS, st.booleans())
def test_machine_and_reference_share_the_rule(network: Network, chip: mho.Chip, bits: int, per_channel: bool) -> None:
    """Every matrix layer's output and every result is equal bit for bit, whatever stands between sums and codes."""
    inputs = synthetic(network, 2, seed=1).inputs
    quantised = quantise(network, inputs, per_channel=per_channel, requantise=bits)
    assert mho.verify(mho.compile(quantised, chip, GREEDY), inputs).exact


def test_a_stream_shares_the_rule() -> None:
    """Rows that are made at different times go through the same integers."""
    network = _blocks(3, 16)
    x = np.random.default_rng(3).normal(size=(4, 16))
    program = mho.compile(quantise(network, x, requantise=24), "isaac", mho.Strategy().with_(schedule="stream"))
    assert mho.verify(program, x).exact


@few
@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(24, 31))
def test_the_error_is_no_larger_than_stated(seed: int, width: int, bits: int) -> None:
    """V / 2^s is off by less than (|acc| 2^k + 1) / 2 x 2^-s, so codes from float64 by one at most, and by none off a half."""
    network = _blocks(seed, width)
    x = np.random.default_rng(seed).normal(size=(8, width))
    integers, real = (quantise(network, x, requantise=each) for each in (bits, None))
    got, wanted = (run_reference(each, x, keep=("a", "ra")) for each in (integers, real))
    made, scale = integers.integer_steps["a"], float(integers.codes["ra"].scale)
    matrix = integers.matrices["a"]
    acc = np.abs(wanted["a"] - matrix.bias) / (float(integers.codes["x"].scale) * float(matrix.scale))
    bound = (acc * 2.0 ** made.parts["a"].left + 1) / 2 * 2.0**-made.shift
    off = np.abs(got["a"] - wanted["a"]) / scale
    assert bool((off <= bound * (1 + 1e-6) + 1e-9).all())
    assert bound.max() < 2.0 ** (9 - bits) + 2.0**-made.shift
    apart = np.abs(got["ra"] - wanted["ra"]) / scale
    assert apart.max() <= 1 + 1e-9
    steps = wanted["a"] / scale
    assert bool((apart[np.abs(steps - np.floor(steps) - 0.5) > bound + 1e-9] < 0.5).all())


def test_without_the_option_nothing_changes() -> None:
    """The word for float64 is the absence of multipliers, in codes, notes and strategies alike."""
    network = _blocks(1, 8)
    plain, spelled = (mho.compile(_sampled(network), "aras", s) for s in _strategies("float64"))
    assert plain.quantised is not None and spelled.quantised is not None
    assert plain.quantised.requantise is None and not plain.quantised.integer_steps
    assert plain.strategy.to_dict() == spelled.strategy.to_dict() and plain.notes == spelled.notes


def _sampled(network: Network) -> mho.number.Sampled:
    return mho.number.Sampled(network, synthetic(network, 4, seed=1))


def _strategies(text: str) -> tuple[mho.Strategy, mho.Strategy]:
    return mho.Strategy(), mho.Strategy().with_({"coding.requantise": text})


def test_a_program_file_keeps_it(tmp_path: Path) -> None:
    """What was compiled with multipliers is loaded with them, and computes the same."""
    network = _blocks(2, 8)
    x = np.random.default_rng(2).normal(size=(4, 8))
    program = mho.compile(_sampled(network), "aras", _strategies("20")[1])
    program.save(tmp_path / "p.mho")
    again = mho.Program.load(tmp_path / "p.mho")
    assert again.quantised is not None and again.quantised.requantise == 20
    assert any("multipliers of 20 bits" in note for note in again.notes)
    assert np.array_equal(mho.execute(again, x)["y"], mho.execute(program, x)["y"])
    assert all(isinstance(network.by_name[name], MatrixLayer) for name in ("a", "b"))


@pytest.mark.parametrize("text", ["7", "32", "float32", "-8", "24.0", "x"])
def test_other_words_are_refused(text: str) -> None:
    """Bits out of range and words that mean nothing are refused by name."""
    with pytest.raises(NumberError, match="8 to 31 bits"):
        multiplier_bits(text)
    with pytest.raises(StrategyError, match="requantise"):
        _strategies(text)


def test_no_multiplier_fits_a_tensor_of_far_finer_steps() -> None:
    """A tensor whose code has steps far below those of its parts leaves nothing to shift by: refused, not wrapped."""
    network = _blocks(4, 4)
    x = np.random.default_rng(4).normal(size=(4, 4))
    quantised = quantise(network, x, requantise=8)
    fine = {**quantised.codes, "ra": Affine(np.array(1e-9), np.array(0), 0, 255)}
    with pytest.raises(NumberError, match="take more bits"):
        _ = replace(quantised, codes=fine).integer_steps
