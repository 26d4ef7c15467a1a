"""A matrix behind `@`: numpy's shapes, exact integers of its codes, the same program as a network of one layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError
from mho.machine.analog import Adc, Analog
from mho.network.layers import Array, Input, Linear
from mho.number import quantise
from mho.number.affine import fit

RNG = np.random.default_rng(5)
W = RNG.normal(size=(5, 300))
"""More inputs than an array has rows."""
X = RNG.uniform(-1, 1, size=(300, 7))
CORE = mho.Core(W, "aras")


def codes(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, float]:
    """Code by the formula of ARAS (equation 6); return codes less zero, and the scale."""
    scale = (max(high, 0.0) - min(low, 0.0)) / 255
    zero = np.rint(-min(low, 0.0) / scale)
    return (np.clip(np.rint(values / scale) + zero, 0, 255) - zero).astype(np.int64), scale


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 140), st.integers(0, 4))
def test_an_ideal_product_is_the_exact_product_of_its_codes(seed: int, outputs: int, inputs: int, vectors: int) -> None:
    draw = np.random.default_rng(seed)
    weights, x = draw.normal(size=(outputs, inputs)), draw.uniform(-2, 3, size=(inputs, vectors))
    w, w_scale = codes(weights, weights.min(), weights.max())
    q, x_scale = codes(x, -2.0, 3.0)
    assert np.array_equal(mho.Core(weights, "aras", inputs=(-2.0, 3.0)) @ x, (w @ q) * (w_scale * x_scale))


def test_it_is_the_program_of_a_network_of_one_layer() -> None:
    layers = (
        Input(name="x", inputs=(), shape=(1, 300)),
        Linear(name="y", inputs=("x",), shape=(1, 5), weight=Array.of(W)),
    )
    quantised = quantise(mho.Network("one", layers, ("y",), "test"), np.array([[-1.0] * 300, [1.0] * 300]))
    program = mho.compile(quantised, "aras")
    noisy = Analog().override({"adc.bits": 9, "device": "taox", "seed": 3})
    for analog in (None, noisy):
        core = mho.Core(W, "aras", analog)
        assert np.array_equal(core @ X, mho.execute(program, X.T, analog=analog)["y"].T)
    assert core.report.energy_j == mho.simulate(program).energy_j


def test_shapes_are_those_of_numpy() -> None:
    whole = CORE @ X
    assert whole.shape == (5, 7) and CORE.shape == (5, 300) and CORE.ndim == 2
    assert np.array_equal(CORE @ X[:, 3], whole[:, 3])
    assert np.array_equal(CORE @ X[None, :, :2], whole[None, :, :2])
    stack = np.stack([X, -X])
    assert np.array_equal((CORE @ stack)[0], whole) and (CORE @ stack).shape == (2, 5, 7)
    assert (CORE @ np.zeros((300, 0))).shape == (5, 0)
    assert np.abs(whole - W @ X).max() < 0.05 * np.abs(W @ X).max()
    assert np.abs(CORE.weights - W).max() <= (W.max() - W.min()) / 255


def test_wrong_shapes_ranges_and_sides_are_refused() -> None:
    with pytest.raises(NumberError, match=r"\(5, 300\) multiplies \(300,\)"):
        CORE @ np.zeros(299)
    with pytest.raises(NumberError, match=r"inputs=\(low, high\)"):
        CORE @ np.full(300, 1.5)
    with pytest.raises(NumberError, match="leave the range"):
        CORE @ np.full(300, np.nan)
    with pytest.raises(NumberError, match=r"Core\(weights.T"):
        np.zeros((2, 5)) @ CORE
    for wrong in (np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))):
        with pytest.raises(NumberError, match="matrix"):
            mho.Core(wrong, "aras")
    with pytest.raises(NumberError, match="lower to a higher"):
        mho.Core(W, "aras", inputs=(1.0, 1.0))


def test_noise_that_vanishes_leaves_the_exact_product() -> None:
    exact = CORE @ X
    errors = []
    for sigma in (0.1, 0.01, 0.001, 0.0):
        analog = Analog(adc=Adc(bits="ideal"), seed=1).override({"device.programming.sigma": sigma})
        errors.append(float(np.abs(mho.Core(W, "aras", analog) @ X - exact).max()))
    assert errors == sorted(errors, reverse=True) and errors[0] > 0
    assert errors[2] < 0.05 * errors[0] and errors[3] < 1e-9


def test_a_seed_says_all_that_is_drawn() -> None:
    noisy = Analog().override({"device": "taox", "seed": 3})
    core = mho.Core(W, "aras", noisy)
    first = core @ X
    assert np.array_equal(first, core @ X) and np.array_equal(first, mho.Core(W, "aras", noisy) @ X)
    assert not np.array_equal(first, mho.Core(W, "aras", noisy.override({"seed": 4})) @ X)
    assert core.device is not None and CORE.device is None


def test_it_says_what_it_is() -> None:
    text = repr(CORE)
    assert "Core(5 x 300 on aras)" in text and "arrays" in text
    assert "one product" in text and "J" in text
    assert fit(-1.0, 1.0).scale == CORE.quantised.codes["x"].scale


@pytest.mark.parametrize("given", ["a", [["a"]], [[1, 2], [3]], {"a": 1}])
def test_what_is_no_numbers_is_refused(given: object) -> None:
    with pytest.raises(NumberError, match="are real numbers, not"):
        mho.Core(given, "aras")
    core = mho.Core(np.eye(2), "aras")
    with pytest.raises(NumberError, match="x of a core are real numbers"):
        core @ given
    with pytest.raises(NumberError, match="inputs of a core"):
        mho.Core(np.eye(2), "aras", inputs=given)
    with pytest.raises(NumberError, match=r"mho\.machine\.Analog, not"):
        mho.Core(np.eye(2), "aras", given)
