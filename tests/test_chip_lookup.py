"""Chips that add up rows of tables: resolutions that suffice, their times, and ADCs that groups share."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.lookup import Reading, adc_sets, shares_adcs
from mho.errors import ChipError, OptionError
from tests.lookup_oracle import Rules, chip_of

CODINGS = ("offset", "flipped", "differential", "twos_complement")
WITHOUT = tuple(name for name in Chip.presets() if Chip.load(name).lookup is None)


def largest_sum(coding: str, highest: int, rows: int, driven: int, drive: int) -> int:
    """The largest magnitude over all contents of a column, all driven rows and all drives: by trying them."""
    found = 0
    for column in itertools.product(range(highest + 1), repeat=rows):
        held = column
        if coding == "flipped" and 2 * sum(column) > rows * highest:
            held = tuple(highest - level for level in column)
        for chosen in itertools.combinations(held, driven):
            # A pair's negative column may be empty, and drives only add.
            found = max(found, drive * sum(chosen))
    return found


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("cell_bits", "rows"), [(1, 5), (2, 4), (3, 3)])
@pytest.mark.parametrize(("dac_bits", "weight_bits"), [(1, 1), (1, 8), (2, 8), (3, 2)])
def test_the_bits_needed_hold_every_sum_and_no_fewer_do(
    coding: str, cell_bits: int, rows: int, dac_bits: int, weight_bits: int
) -> None:
    chip = chip_of(
        array__coding=coding, array__cell_bits=cell_bits, array__rows=rows, array__columns=128,
        array__dac_bits=dac_bits, array__adc_bits=16, lookup__adc_modes="every",
    )  # fmt: skip
    reading = Reading(chip, 4, weight_bits)
    drive = 2 ** min(dac_bits, weight_bits) - 1
    assert (reading.drive, reading.steps) == (drive, math.ceil(weight_bits / dac_bits))
    assert reading.most_rows == rows
    for driven in range(1, rows + 1):
        largest = largest_sum(coding, chip.levels - 1, rows, driven, drive)
        bits = next(b for b in range(30) if 2**b - 1 >= largest) + (coding == "differential")
        assert reading.bits[driven] == reading.needed(driven)
        # Half of an odd sum is rounded down before it is driven, which may save a bit that is not counted on.
        assert bits <= reading.needed(driven) <= bits + (coding == "flipped" and drive > 1)


SHAPES = st.fixed_dictionaries(
    {
        "array__coding": st.sampled_from(CODINGS),
        "array__cell_bits": st.sampled_from((1, 2, 4)),
        "array__dac_bits": st.sampled_from((1, 2, 8)),
        "array__adcs": st.sampled_from((1, 2, 5)),
        "array__adc_bits": st.sampled_from((6, 12, 20)),
        "array__step_overhead_s": st.sampled_from((0.0, 1.7e-9)),
        "lookup__most_rows": st.sampled_from((1, 7, 16, 100)),
    }
)


@settings(max_examples=40)
@given(SHAPES, st.sampled_from((1, 7, 16, 33)), st.integers(1, 8))
def test_times_follow_from_conversions_and_bits(shape: dict[str, Any], dimension: int, weight_bits: int) -> None:
    times: dict[str, np.ndarray] = {}
    for modes in ("every", "switch", "fixed"):
        chip = chip_of(**shape, lookup__adc_modes=modes)
        drive = 2 ** min(weight_bits, chip.array.dac_bits) - 1
        signed = chip.array.coding == "differential"
        if drive * (chip.levels - 1) > 2 ** (chip.array.adc_bits - signed) - 1:
            with pytest.raises(OptionError, match=rf"ADCs of {chip.array.adc_bits} bits cannot read a cell"):
                Reading(chip, dimension, weight_bits)
            return
        reading, rules = Reading(chip, dimension, weight_bits), Rules(chip, dimension, weight_bits)
        assert 1 <= reading.most_rows <= min(chip.array.rows, shape["lookup__most_rows"])
        assert reading.bits.tolist() == [0, *(rules.bits(n) for n in range(1, reading.most_rows + 1))]
        assert reading.bits.max() <= chip.array.adc_bits
        for n in range(1, reading.most_rows + 1):
            assert reading.steps * reading.conversion_s[n] == pytest.approx(rules.convert_s(n), rel=1e-12)
            assert reading.seconds[n] == pytest.approx(rules.settle_s + rules.convert_s(n), rel=1e-12)
        assert reading.seconds[0] == 0
        times[modes] = reading.seconds
    assert (times["every"] <= times["switch"]).all()
    assert (times["switch"] <= times["fixed"]).all()


def test_the_preset_reads_a_row_in_two_ninths_of_the_time_of_a_sum() -> None:
    reading = Reading(Chip.load("recross"), 64)
    assert (reading.most_rows, reading.fullest) == (128, 128)
    assert reading.bits.tolist() == [0, 2, *[9] * 127]
    assert reading.seconds[128] == pytest.approx(100e-9, rel=1e-12)
    assert reading.seconds[1] == pytest.approx(100e-9 * 2 / 9, rel=1e-12)


@pytest.mark.parametrize(
    ("dimension", "bits", "words"), [(0, 1, "at least 1 feature, not 0"), (4, 0, "1 to 8 bits, not 0"), (4, 9, "not 9")]
)
def test_impossible_readings_are_refused(dimension: int, bits: int, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Reading(Chip.load("recross"), dimension, bits)


@settings(max_examples=40)
@given(
    st.integers(1, 60), st.integers(1, 50), st.integers(1, 4), st.integers(1, 3), st.sampled_from(("fixed", "every"))
)
def test_shared_adcs_take_their_share_of_area(groups: int, shared: int, arrays: int, adcs: int, modes: str) -> None:
    values = {"tile__groups": groups, "group__arrays": arrays, "array__adcs": adcs, "lookup__adc_modes": modes}
    own, chip = chip_of(**values), chip_of(**values, lookup__groups_per_adc=shared)
    sets = math.ceil(Fraction(groups, shared))
    assert (adc_sets(own), adc_sets(chip)) == (groups, sets)
    assert (shares_adcs(own), shares_adcs(chip)) == (False, shared > 1)
    with_adcs = {"adc", "shift_add"} | ({"adc_mode"} if modes != "fixed" else set())
    before = {part.component: part for part in own.roll_up().parts if part.total}
    after = {part.component: part for part in chip.roll_up().parts if part.total}
    assert before.keys() == after.keys()
    assert with_adcs <= after.keys()
    for name, part in after.items():
        if name in with_adcs:
            assert part.total == chip.tiles * sets * arrays * adcs
            assert part.area_m2 == before[name].area_m2
            assert part.level == ("tile" if shared > 1 else "array")
        else:
            assert part == before[name]
        assert chip.leakage_w[name] == pytest.approx(part.leakage_w * part.total)
    saved = sum(
        before[name].area_m2 * chip.tiles * (groups - sets) * arrays * adcs for name in with_adcs
    )  # fmt: skip
    areas = own.roll_up().area_m2.total, chip.roll_up().area_m2.total
    assert areas[0] - areas[1] == pytest.approx(saved, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_chip_without_the_part_has_nothing_of_it(name: str) -> None:
    chip = Chip.load(name)
    assert "lookup" not in chip.to_dict()
    assert "lookup" not in chip.spec.to_dict()
    assert "adc_mode" not in chip.uses
    assert "adc_mode_byte" not in chip.energy_per_event
    assert not shares_adcs(chip)
    assert adc_sets(chip) == chip.tile.groups
    # Its arrays add up all of their rows, if their ADCs can, with all the bits that these have.
    reading = Reading(chip, 4)
    assert set(reading.bits[1:].tolist()) == {chip.array.adc_bits}


def test_a_chip_with_the_part_comes_back_from_its_description() -> None:
    chip = Chip.load("recross")
    assert Chip.from_dict(chip.to_dict()) == chip
    content = chip.to_dict()
    del content["lookup"]
    with pytest.raises(ChipError, match="adc_mode"):
        Chip.from_dict(content)
    del content["components"]["adc_mode"]
    assert Chip.from_dict(content).lookup is None
    assert Chip.from_dict(content) != chip


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("lookup.adc_modes", "sometimes", "lookup.adc_modes"),
        ("lookup.most_rows", 0, "lookup.most_rows"),
        ("lookup.groups_per_adc", 0, "lookup.groups_per_adc"),
        ("lookup.groups_per_adc", 1.5, "lookup.groups_per_adc"),
        ("lookup.rows", 4, "rows"),
    ],
)
def test_wrong_quantities_are_refused_by_name(key: str, value: Any, words: str) -> None:
    with pytest.raises(ChipError, match=words):
        Chip.load("recross").override({key: value}, source="test")


def test_networks_run_on_arrays_with_adcs_of_their_own_and_no_others() -> None:
    network = mho.zoo.load("resnet20")
    chip = Chip.load("recross")
    report = mho.simulate(mho.compile(network, chip, "naive")).to_dict()
    assert report["chip"]["name"] == "recross"
    shared = chip.override({"lookup.groups_per_adc": 2}, source="test")
    with pytest.raises(OptionError, match=r"lookup.groups_per_adc above 1.* ADCs of their own"):
        mho.compile(network, shared, "naive")
