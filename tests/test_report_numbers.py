"""Numbers as engineers write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.engineering import PREFIXES, count, percent, quantity, ratio, shortened

FACTORS = {letter: 10.0**power for power, letter in PREFIXES.items()}


@given(st.floats(1e-17, 9e16))
def test_a_quantity_keeps_three_digits_and_a_prefix_that_leaves_one_to_three_before_the_point(value: float) -> None:
    number, unit = quantity(value, "s").split(" ")
    assert 1 <= float(number) < 1000
    assert len(number.replace(".", "")) == 3
    assert float(number) * FACTORS[unit.removesuffix("s")] == pytest.approx(value, rel=0.5001e-2)


@given(st.floats(1e-15, 1e3))
def test_an_area_keeps_three_digits_in_square_units(value: float) -> None:
    number, unit = quantity(value, "m²").split(" ")
    factor = {"m²": 1.0, "mm²": 1e-6, "µm²": 1e-12}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(value, rel=0.5001e-2)


@given(st.floats(0, 1e17))
def test_a_count_is_within_half_a_percent_and_never_has_a_prefix_below_one(value: float) -> None:
    words = count(value).replace(",", "").split(" ")
    factor = FACTORS[words[1]] if len(words) > 1 else 1.0
    assert factor >= 1
    assert float(words[0]) * factor == pytest.approx(value, rel=0.5001e-2)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7.61e-3, "s", "7.61 ms"),
        (999.96e-6, "s", "1.00 ms"),
        (0.0, "J", "0 J"),
        (-2.5e-6, "J", "-2.50 µJ"),
        (7.3e-5, "m²", "73.0 mm²"),
        (6.18e-7, "m²", "0.618 mm²"),
        (19.2e9, "B", "19.2 GB"),
        (1e-21, "J", "1.00e-21 J"),
        (math.inf, "s", "∞ s"),
    ],
)
def test_quantities_read_as_an_engineer_writes_them(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_counts_percentages_and_ratios_read_as_written() -> None:
    assert [count(value) for value in (0, 53, 9_999, 25_557_032, 0.0951, 5140.2)] == [
        "0", "53", "9,999", "25.6 M", "0.0951", "5,140",
    ]  # fmt: skip
    assert (percent(1, 3), percent(1, 0)) == ("33.3 %", "0.0 %")
    assert (ratio(1.2345), ratio(6543.2)) == ("1.23 ×", "6,540 ×")


@given(st.text(alphabet=st.characters(exclude_characters="…"), max_size=60), st.integers(1, 40))
def test_a_shortened_name_fits_and_keeps_its_beginning_and_its_end(name: str, width: int) -> None:
    short = shortened(name, width)
    assert len(short) <= width
    head, dots, tail = short.partition("…")
    assert name == short if not dots else name.startswith(head) and name.endswith(tail)
