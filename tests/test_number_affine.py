"""Laws of affine codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import NumberError
from mho.network.layers import Affine
from mho.number.affine import decode, encode, fit, rebase, same_code

reals = st.floats(-1e6, 1e6, allow_subnormal=False)


@st.composite
def codes(draw: st.DrawFn) -> Affine:
    low = draw(st.integers(-128, 0))
    high = low + draw(st.integers(1, 255))
    scale = draw(st.floats(1e-6, 1e3))
    return Affine(np.asarray(scale), np.asarray(draw(st.integers(low, high))), low, high)


@given(codes())
def test_every_code_survives_decoding_and_encoding(code: Affine) -> None:
    every = np.arange(code.low, code.high + 1)
    assert np.array_equal(encode(decode(every, code), code), every)


@given(codes(), st.lists(reals, min_size=1, max_size=20))
def test_the_error_within_range_is_half_a_step_and_outside_the_nearest_end(code: Affine, values: list[float]) -> None:
    real = np.asarray(values)
    ends = decode(np.asarray([code.low, code.high]), code)
    inside = np.clip(real, *ends)
    error = np.abs(decode(encode(real, code), code) - inside)
    assert np.all(error <= code.scale * 0.5 * (1 + 1e-9) + 1e-9 * np.abs(inside))


@given(codes(), st.lists(reals, min_size=2, max_size=20))
def test_encoding_keeps_order(code: Affine, values: list[float]) -> None:
    found = encode(np.sort(np.asarray(values)), code).astype(int)
    assert np.all(np.diff(found) >= 0)


@given(codes())
def test_rebasing_keeps_the_reals_and_starts_at_zero(code: Affine) -> None:
    based = rebase(code)
    every = np.arange(code.low, code.high + 1)
    assert based.low == 0
    assert np.array_equal(decode(every - code.low, based), decode(every, code))
    assert same_code(rebase(based), based)


@given(reals, reals, st.integers(2, 8), st.booleans())
def test_a_fitted_code_holds_zero_exactly_and_covers_its_range(a: float, b: float, bits: int, symmetric: bool) -> None:
    low, high = min(a, b), max(a, b)
    code = fit(low, high, bits, symmetric)
    assert (code.low, code.high) == (0, 2**bits - 1)
    assert decode(encode(np.zeros(1), code), code)[0] == 0.0
    ends = np.asarray([min(low, 0.0), max(high, 0.0)])
    error = np.abs(decode(encode(ends, code), code) - ends)
    assert np.all(error <= code.scale * (0.5 + 1e-9))


def test_halves_round_to_even() -> None:
    code = Affine(np.asarray(1.0), np.asarray(0), 0, 255)
    assert encode(np.asarray([0.5, 1.5, 2.5, -0.5]), code).tolist() == [0, 2, 2, 0]


def test_the_smallest_type_that_fits_is_used() -> None:
    for low, high, name in ((0, 255, "uint8"), (-128, 127, "int8"), (0, 256, "uint16"), (-1, 128, "int16")):
        assert encode(np.zeros(1), Affine(np.asarray(1.0), np.asarray(0), low, high)).dtype == name


def test_codes_per_channel_act_along_their_axis() -> None:
    code = Affine(np.asarray([1.0, 10.0]), np.asarray([0, 5]), 0, 255, axis=1)
    assert encode(np.full((3, 2), 20.0), code).tolist() == [[20, 7]] * 3
    assert decode(np.asarray([[20, 7]]), code).tolist() == [[20.0, 20.0]]


def test_a_range_of_nothing_but_zero_has_a_code() -> None:
    code = fit(0.0, 0.0)
    assert code.scale == 1.0
    assert code.zero == 0


@pytest.mark.parametrize(("low", "high", "bits"), [(2, 1, 8), (np.nan, 1, 8), (0, np.inf, 8), (0, 1, 17), (0, 1, 0)])
def test_impossible_ranges_are_refused(low: float, high: float, bits: int) -> None:
    with pytest.raises(NumberError):
        fit(low, high, bits)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(NumberError, match="NaN"):
        encode(np.asarray([0.0, np.nan]), fit(0.0, 1.0))


def test_infinity_takes_the_end_of_the_range() -> None:
    assert encode(np.asarray([np.inf, -np.inf]), fit(-1.0, 1.0)).tolist() == [255, 0]
