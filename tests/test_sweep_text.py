"""The words of a sweep: units of its axes, places on them, and the sentence that it comes to."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.cli.strategy import analog_keys
from mho.explore.accuracy import Accuracy, Subject
from mho.explore.sweeps import Sweep, combinations, point_of
from mho.report.plot import draw
from mho.report.sweep import axis, conclusion, drawing, places, unit

numbers = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12, unique=True)


@given(numbers)
def test_numbers_stand_in_their_order_within_the_axis(values: list[int]) -> None:
    shares, word = places(values)
    assert all(0 <= share <= 1 for share in shares)
    if "evenly" not in word:
        ranked = [share for _, share in sorted(zip(values, shares, strict=True))]
        assert ranked == sorted(ranked)


@given(st.integers(-50, 50), st.integers(1, 9), st.integers(2, 30))
def test_even_steps_are_even_distances_on_a_plain_axis(first: int, step: int, count: int) -> None:
    shares, word = places([first + step * number for number in range(count)])
    assert word == ""
    gaps = [b - a for a, b in pairwise(shares)]
    assert max(gaps) - min(gaps) < 1e-9


def test_distances_are_those_of_the_numbers_or_of_their_logarithms() -> None:
    shares, word = places([4, 5, 8])
    assert word == "" and (shares[2] - shares[1]) == pytest.approx(3 * (shares[1] - shares[0]))
    shares, word = places([1, 10, 100, 1000])
    assert word == "logarithmic axis" and shares[2] - shares[1] == pytest.approx(shares[1] - shares[0])
    assert places([0, 1, 1000])[1] == "values evenly spaced, not to scale"
    assert places(["full", "calibrated"]) == ([0.25, 0.75], "")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("adc.bits", "adc.bits in bits"),
        ("age_s", "age_s in s"),
        ("wires.row_ohm", "wires.row_ohm in ohm a segment"),
        ("device.g_on_s", "device.g_on_s in S"),
        ("device.programming.sigma", "device.programming.sigma as a share"),
        ("chip.array.rows", "chip.array.rows in rows"),
        ("chip.array.adc_period_s", "chip.array.adc_period_s in s"),
        ("chip.tiles", "chip.tiles in tiles"),
        ("chip.no.such", "chip.no.such"),
        ("adc.range", "adc.range"),
        ("device", "device"),
    ],
)
def test_axes_are_told_with_their_units(key: str, told: str) -> None:
    assert axis(key) == told


def test_every_key_that_ends_in_its_unit_has_it() -> None:
    for key in analog_keys():
        if key.endswith("_s") and "conductance" not in key:
            assert unit(key) in ("s", "S"), key
        if key.endswith("_ohm"):
            assert "ohm" in unit(key), key
    for key in mho.Chip.load("aras").provenance:
        if key.endswith("_s"):
            assert unit(f"chip.{key}").endswith("s"), key


def a_sweep(over: Any, accuracies: list[float], integers: float = 0.9, samples: int = 100_000) -> Sweep:
    """Return a sweep with these accuracies."""
    subject, analog = Subject("net", "file", "aras", {}, "data", samples), mho.machine.Analog()
    points = []
    for values, accuracy in zip(combinations(over), accuracies, strict=True):
        right, of_integers = round(accuracy * samples), round(integers * samples)
        chip = {"name": "chip", "digest": "0"}
        alone = Accuracy(subject, chip, analog, False, (0,), (right,), (samples,), of_integers, None, (), {}, ())
        points.append(point_of(values, alone))
    parameters = [{"key": key, "values": values} for key, values in over]
    return Sweep({**subject.to_dict(), "analog": analog.to_dict(), "parameters": parameters, "accuracy": {"float": None},
                  "points": points, "notes": []})  # fmt: skip


@pytest.mark.parametrize(
    ("values", "accuracies", "told"),
    [
        (
            (4, 6, 8),
            [0.1, 0.895, 0.9],
            "From adc.bits 6 on accuracy is within one point of the 8-bit integers, 90.00 %",
        ),
        ((8, 4, 6), [0.9, 0.1, 0.895], "From adc.bits 6 on"),
        ((0, 60, 3600), [0.9, 0.9, 0.5], "Up to adc.bits 60 accuracy is within"),
        ((4, 6, 8), [0.9, 0.1, 0.9], "At adc.bits 4, 8 accuracy is within"),
        (("full", "fixed"), [0.1, 0.9], "At adc.bits fixed accuracy is within"),
        ((4, 6), [0.9, 0.9], "Everywhere here accuracy stays within one point"),
        (
            (4, 6),
            [0.1, 0.2],
            "Nowhere here does accuracy come within one point of the 8-bit integers, 90.00 %; the most is 20",
        ),
    ],
)
def test_a_sentence_says_where_the_accuracy_holds(values: Any, accuracies: list[float], told: str) -> None:
    said = conclusion(a_sweep((("adc.bits", values),), accuracies))
    assert said.startswith(told), said
    assert "leave" not in said


def test_points_that_are_all_alike_are_not_told_apart() -> None:
    said = conclusion(a_sweep((("adc.bits", (4, 6)),), [0.2, 0.2]))
    assert said.endswith("the most is 20.00 % at every point."), said


def test_two_parameters_and_few_samples_are_told() -> None:
    said = conclusion(a_sweep((("adc.bits", (4, 6)), ("age_s", (0, 1))), [0.1, 0.2, 0.9, 0.9], samples=100))
    assert said.startswith("At 2 of 4 points accuracy is within") and "100 samples leave ± 6.0 points open" in said


def draw_sweep(found: Sweep) -> str:
    return draw(drawing(found))


def test_a_line_is_drawn_along_its_axis_whatever_the_order() -> None:
    there = draw_sweep(a_sweep((("adc.bits", (4, 6, 12)),), [0.1, 0.5, 0.9]))
    back = draw_sweep(a_sweep((("adc.bits", (12, 4, 6)),), [0.9, 0.1, 0.5]))
    line = next(each for each in there.splitlines() if "polyline" in each)
    assert line in back.splitlines() and "adc.bits in bits" in there
    assert "cells of one size, not to scale" in draw_sweep(
        a_sweep((("adc.bits", (4, 6, 12)), ("age_s", (0, 1))), [0.1, 0.5, 0.9, 0.1, 0.1, 0.1])
    )
