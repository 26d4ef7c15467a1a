"""Closed forms of numbers that go by the level, 1/f noise, and the presets that live by them, against published equations."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import DeviceError
from mho.machine.analog.devices import Device
from mho.machine.analog.devices.curve import CLOSED, Curve, Window
from tests.test_analog_devices import GENERIC, WIDE, cut_normal, matches, program

WINDOW = Window(25e-6, 0.0)


def curve(form: str, values: tuple[float, ...], **rest: Any) -> Curve:
    return Curve(form, values, "number", **rest)  # type: ignore[arg-type]


@given(a=st.floats(-3, 3), b=st.floats(0.01, 5), state=st.floats(1e-6, 1), per=st.sampled_from([None, 5e-6]))
def test_closed_forms_are_what_they_say(a: float, b: float, state: float, per: float | None) -> None:
    x = state if per is None else state * WINDOW.on_s / per
    expected = {"logarithm": a + b * math.log(x), "power": a * x**b, "saturation": a * (1 - math.exp(-x / b))}
    assert expected.keys() == CLOSED.keys()
    for form, value in expected.items():
        found = curve(form, (a, b), per_s=per)
        assert found(np.array([state]), WINDOW)[0] == pytest.approx(value, rel=1e-9, abs=1e-12)
        cut = curve(form, (a, b), per_s=per, limits=(-0.5, 0.5))
        assert cut(np.array([state]), WINDOW)[0] == pytest.approx(np.clip(value, -0.5, 0.5), abs=1e-12)


@given(
    form=st.sampled_from([*CLOSED, "polynomial"]),
    values=st.tuples(st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.4])),
    limits=st.sampled_from([None, (0.0, 1.0), (-1.0, -0.5), (0.2, 0.3)]),
)
def test_a_number_that_says_it_is_0_is_0_in_every_state(form: str, values: tuple[float, float], limits: Any) -> None:
    if form == "saturation" and not values[1]:
        return
    found = curve(form, values, limits=limits)
    assert not found.zero or not np.any(found(np.linspace(0.01, 1, 50), WINDOW))


def test_what_is_infinite_for_a_cell_that_is_off_needs_limits() -> None:
    def with_nu(nu: dict[str, Any]) -> Device:
        return GENERIC.override({"drift.nu": {"unit": "number", **nu}})

    assert program(with_nu({"logarithm": [0.02, -0.01], "limits": [0.0, 0.1]}), n=2).shape == (4, 2)
    for wrong, words in (
        ({"logarithm": [0.02, -0.01]}, "drift.nu: must be finite"),
        ({"power": [0.1]}, "drift.nu.power: must be a list of 2 numbers"),
        ({"power": [0.1, -1.0], "limits": [1, 0]}, "drift.nu.limits: must be two numbers, the lower one first"),
        ({"power": [0.1, 1.0], "value": 3}, "give one of value, polynomial, points, logarithm, power, saturation"),
        ({"saturation": [0.1, 0.0]}, "drift.nu: must be finite"),
    ):
        with pytest.raises(DeviceError, match=words):
            with_nu(wrong)
    with pytest.raises(DeviceError, match=r"flicker\.t0_s: must be at least flicker\.read_s"):
        GENERIC.override({"flicker.amplitude": 0.1, "flicker.read_s": 2.0})


def flickering(age: float) -> float:
    return math.sqrt(math.log((max(age, 20.0) + 1e-3) / 2e-3))


def test_flicker_multiplies_by_a_normal_number_that_widens_with_age() -> None:
    amplitude = {"power": [0.004, -0.5], "limits": [0.0, 0.02], "unit": "number"}
    device = WIDE.override({"flicker.amplitude": amplitude, "flicker.read_s": 1e-3, "flicker.t0_s": 20.0})
    start, errors = program(WIDE), {}
    assert not device.exact and device.quiet and device.differs(0.0, None)
    for age in (0.0, 20.0, 1e3, 1e8):
        errors[age] = program(device, age_s=age) / start - 1
        for level, found in enumerate(errors[age]):
            matches(found, 0.0, min(0.02, 0.004 * (max(level, 1e-9) / 3) ** -0.5) * flickering(age))
    np.testing.assert_array_equal(errors[0.0], errors[20.0])
    # A cell keeps its number: its error only grows.
    np.testing.assert_allclose(errors[1e8] * flickering(20.0), errors[20.0] * flickering(1e8), rtol=1e-7, atol=1e-12)


# -------------------------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("age", [0.0, 20.0, 3600.0, 1e7])
def test_pcm_is_the_published_equations(age: float) -> None:
    """Mean and spread of g (t / 20 s)^-nu (1 + q z), with g, nu and z independent; nu is normal, so its factor is lognormal."""
    device = Device.load("pcm")
    elapsed = max(age, 20.0)
    log = math.log(elapsed / 20.0)
    for level, found in enumerate(program(device, age_s=age)):
        g = level / 3
        first, sigma = cut_normal(25 * g, 0.2635 + 1.9650 * g - 1.1731 * g**2)
        below = math.log(g) if g else -math.inf
        nu = min(max(0.0244 - 0.0155 * below, 0.049), 0.1)
        spread = min(max(-0.0059 - 0.0125 * below, 0.008), 0.045)
        noise = min(0.0088 / g**0.65, 0.2) if g else 0.2
        noise *= math.sqrt(math.log((elapsed + 250e-9) / 500e-9))
        # The error of what does not conduct may reach below 0, where it is cut: compared without its first level.
        if level:
            mean = first * math.exp(-nu * log + (spread * log) ** 2 / 2)
            square = (first**2 + sigma**2) * math.exp(-2 * nu * log + 2 * (spread * log) ** 2) * (1 + noise**2)
            matches(found * 25 / 3, mean, math.sqrt(square - mean**2))


def test_pcm_drifts_monotonously_in_the_mean_and_agrees_with_another_fit_of_its_programming() -> None:
    device = Device.load("pcm")
    means = [program(device, age_s=age, n=2000).mean(axis=1) for age in (0.0, 1.0, 20.0, 1e3, 1e5, 1e7)]
    np.testing.assert_array_equal(means[0], means[2])
    assert all(np.all(later < before) for before, later in pairwise(means[2:]))
    # CrossSim's PCMJoshi reads Figure 3b of Joshi et al. as this: within a tenth of the equations.
    g = np.linspace(0, 25, 26)
    other = -0.00178767 * g**2 + 0.07585724 * g + 0.28638599
    np.testing.assert_allclose(device.laws["programming"].sigma(g / 25, device.window) * 25, other, rtol=0.1)


@pytest.mark.parametrize(
    ("age", "a", "b"), [(0, 19.88665, 176.3115), (86400, 25.59102, 186.85544), (432000, 34.57909, 207.34309)]
)
def test_sonos_is_the_published_fit(age: float, a: float, b: float) -> None:
    """Figures 10 and 11 of Agrawal et al.: spread and shift in nA, 0.01 uS at 0.1 V; the mean loss grows day by day."""
    device = Device.load("sonos")
    lost = {0: 0.0, 86400: 11.53, 432000: 40.7}[int(age)]
    drawn = program(device, age_s=age)
    for level in (1, 2, 3):
        current = 1600 * level / 3
        matches(drawn[level] * 1600 / 3, np.mean(drawn[level]) * 1600 / 3, a * (1 - math.exp(-current / b)))
    assert drawn[3].mean() * 1600 / 3 == pytest.approx(1600 - lost, abs=0.02 + 5 * a / math.sqrt(drawn[3].size))
    read = device.read_sigma(np.arange(4.0), 2) * 1600 / 3
    np.testing.assert_allclose(
        read, 12.58037 * (1 - np.exp(-np.arange(4) * 1600 / 3 / 215.36557)), rtol=1e-5, atol=1e-4
    )


def test_sonos_leaks_more_every_day() -> None:
    device = Device.load("sonos")
    ages = (1.0, 3600.0, *(86400.0 * day for day in (1, 2, 3, 4, 5)))
    moments = [device.laws["relaxation"].at(age, np.array([1.0]), device.window) for age in ages]  # type: ignore[attr-defined]
    assert all(late[0] < early[0] and late[1] > early[1] for early, late in pairwise(moments))
