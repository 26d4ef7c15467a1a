"""Grids of magnitudes: what is on them, what is nearest, and their names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import NumberError, OptionError
from mho.number.grid import Grid

few = settings(max_examples=60)
bits_of = st.integers(2, 8)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Grids of every kind, and grids of any magnitudes."""
    bits = draw(bits_of)
    kind = draw(st.sampled_from(["window", "uniform", "power", "additive", "any"]))
    number = draw(st.integers(1, bits - 1))
    if kind == "any":
        more = draw(st.sets(st.integers(1, 2 ** (bits - 1) - 1)))
        return Grid("drawn", bits, (0, *sorted(more)))
    if kind == "window":
        return Grid.window(bits, number)
    if kind == "additive":
        return Grid.additive_power_of_two(bits, number)
    return Grid.uniform(bits) if kind == "uniform" else Grid.power_of_two(bits)


def set_places(magnitude: int) -> list[int]:
    return [place for place, digit in enumerate(reversed(f"{magnitude:b}")) if digit == "1"]


# What is on a grid.


@pytest.mark.parametrize("bits", range(2, 9))
def test_a_window_grid_holds_the_magnitudes_whose_set_bits_lie_close_enough(bits: int) -> None:
    for significant in range(1, bits):
        wanted = [
            each
            for each in range(2 ** (bits - 1))
            if not set_places(each) or max(set_places(each)) - min(set_places(each)) < significant
        ]
        assert list(Grid.window(bits, significant).magnitudes) == wanted


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_widest_window_is_uniform_and_the_narrowest_holds_powers_of_two(bits: int) -> None:
    assert Grid.window(bits, bits - 1).magnitudes == Grid.uniform(bits).magnitudes
    assert Grid.window(bits, 1).magnitudes == Grid.power_of_two(bits).magnitudes


@pytest.mark.parametrize("bits", range(2, 9))
def test_additive_grids_run_from_powers_of_two_to_uniform(bits: int) -> None:
    assert Grid.additive_power_of_two(bits, 1).magnitudes == Grid.power_of_two(bits).magnitudes
    assert Grid.additive_power_of_two(bits, bits - 1).magnitudes == Grid.uniform(bits).magnitudes


def test_two_terms_take_turns_with_the_places() -> None:
    """Weights of 4 bits: places 2 and 0 for one term, 1 for the other; 7 would take both places of the first."""
    assert Grid.additive_power_of_two(4, 2).magnitudes == (0, 1, 2, 3, 4, 6)


# What is nearest.


@few
@given(grids(), st.lists(st.floats(-300, 300) | st.integers(-600, 600).map(lambda half: half / 2), max_size=20))
def test_the_nearest_is_nearest_and_the_smaller_one_halfway(grid: Grid, values: list[float]) -> None:
    found = grid.nearest(np.array(values))
    assert found.dtype == np.int16
    for x, got in zip(values, found.tolist(), strict=True):
        wanted = min(grid.magnitudes, key=lambda each, x=x: (abs(abs(x) - each), each))  # type: ignore[misc]
        assert got == (-wanted if x < 0 else wanted)


@few
@given(grids())
def test_what_lies_on_a_grid_stays_and_what_lies_far_beyond_is_clipped(grid: Grid) -> None:
    on_it: npt.NDArray[np.int64] = np.array([*grid.magnitudes, *(-each for each in grid.magnitudes)])
    assert np.array_equal(grid.nearest(on_it), on_it)
    assert grid.holds(on_it)
    assert grid.nearest([np.inf, -np.inf, 1e300]).tolist() == [grid.largest, -grid.largest, grid.largest]


def test_a_grid_does_not_hold_what_is_not_on_it() -> None:
    assert not Grid.power_of_two(8).holds(np.array([0, 3]))


def test_a_number_is_rounded_as_an_array_of_no_axis() -> None:
    assert Grid.window(8, 3).nearest(101.0).shape == ()
    assert int(Grid.window(8, 3).nearest(101.0)) == 96  # between 96 and 112


@few
@given(grids(), st.data())
def test_a_shifted_grid_holds_what_fits_the_planes_that_are_left(grid: Grid, data: st.DataObject) -> None:
    top = data.draw(st.integers(0, grid.bits - 2))
    shift = data.draw(st.integers(0, top))
    wanted = [
        each
        for each in grid.magnitudes
        if (each >> shift) << shift == each and each >> shift < 2 ** (grid.bits - 1 - top)
    ]
    assert list(grid.shifted(top, shift).magnitudes) == wanted


# Names.


@few
@given(grids())
def test_a_name_makes_the_same_grid(grid: Grid) -> None:
    if grid.name != "drawn":
        assert Grid.parse(str(grid)) == grid


def test_additive_grids_have_two_terms_unless_told() -> None:
    assert Grid.parse("additive-power-of-two:8") == Grid.additive_power_of_two(8)


@pytest.mark.parametrize(
    "text", ["", "window", "window:8", "window:8:0", "window:8:8", "window:9:3", "window:8:3:1", "uniform:a", "uniform:-4",
             "uniform:8:2", "windows:8:3", "uniform:1", "power-of-two:8 "]
)  # fmt: skip
def test_names_that_mean_no_grid_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="no grid"):
        Grid.parse(text)


@pytest.mark.parametrize("magnitudes", [(), (1, 2), (0, 2, 1), (0, 1, 1), (0, 128), (0, 1.5), (0, -1)])
def test_magnitudes_that_are_no_list_from_zero_on_are_refused(magnitudes: tuple[int, ...]) -> None:
    with pytest.raises(NumberError, match="magnitudes"):
        Grid("wrong", 8, magnitudes)


def test_what_a_grid_cannot_be_is_refused() -> None:
    for name in ("uniform:1", "uniform:9", "window:4:4", "window:8:0"):
        kind, bits, *places = name.split(":")
        with pytest.raises(NumberError):
            Grid.uniform(int(bits)) if kind == "uniform" else Grid.window(int(bits), int(places[0]))
    with pytest.raises(NumberError, match="terms"):
        Grid.additive_power_of_two(8, 8)
    with pytest.raises(NumberError, match="NaN"):
        Grid.uniform(8).nearest([np.nan])
    for top, shift in ((7, 0), (2, 3), (2, -1)):
        with pytest.raises(NumberError, match="squeezed"):
            Grid.uniform(8).shifted(top, shift)


def test_grids_are_public() -> None:
    assert mho.number.Grid is Grid
