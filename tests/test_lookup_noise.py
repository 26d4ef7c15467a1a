"""Noisy look-ups: laws of variance, what copies share, stuck cells, and ADCs with errors of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mho.chip import Chip
from mho.machine.analog import Analog
from mho.machine.lookup import reduce, reference
from mho.program.lookups import Lookups
from tests.lookup_oracle import chip_of, layout_of, program_of, table_of, trace_of

CODINGS = ("offset", "flipped", "differential", "twos_complement")
FEATURES = 80


def analog_of(seed: int = 1, bits: str = "ideal", **device: Any) -> Analog:
    # A pedestal of a third of a level: cells at level 0 can conduct less than they should, too.
    values = {"adc.bits": bits, "seed": seed, "device.on_off": 10.0}
    return Analog().override({**values, **{f"device.{key.replace('__', '.')}": each for key, each in device.items()}})


def errors(program: Lookups, table: np.ndarray, analogs: list[Analog]) -> np.ndarray:
    """Errors (seeds, bags, features) against exact sums."""
    exact = reference(program.trace, table)
    return np.stack([reduce(program, table, analog).vectors - exact for analog in analogs])


def variance_of_a_weight(chip: Chip, sigma: float) -> float:
    """Cells vary by sigma x range each; each counts for its significance."""
    levels = sigma * (2**chip.array.cell_bits - 1)
    return float(sum((each * levels) ** 2 for each in chip.coding.significance))


def agrees(found: np.ndarray, expected: float) -> None:
    """The variance of N normal numbers with mean 0 has a standard deviation of sqrt(2 / N) of it; five of them."""
    tolerance = 5 * np.sqrt(2 / found.size)
    assert np.mean(np.square(found)) == pytest.approx(expected, rel=tolerance + 0.01)
    assert abs(found.mean()) < 5 * np.sqrt(expected / found.size)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("cell_bits", [2, 4])
def test_programming_errors_of_a_bag_add_up_cell_by_cell(coding: str, cell_bits: int) -> None:
    chip = chip_of(array__coding=coding, array__cell_bits=cell_bits, tile__groups=12)
    # A row alone; two rows; one row twice, whose error counts twice; weights of 3 and 2.
    trace = trace_of([[0], [1, 2], [3, 3], [4, 5]], rows=(6,), weights=[1, 1, 1, 1, 1, 3, 2])
    program = program_of(trace, layout_of([range(6)]), chip, FEATURES)
    found = errors(program, table_of(6, FEATURES, 2), [analog_of(seed, programming__sigma=0.01) for seed in range(30)])
    one = variance_of_a_weight(chip, 0.01)
    for bag, times in enumerate((1, 2, 4, 9 + 4)):
        agrees(found[:, bag], times * one)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("dac_bits", "times"), [(1, 4**0 + 4**2), (2, 1 + 4**2), (8, 25)])
def test_read_noise_is_new_in_every_step(coding: str, dac_bits: int, times: int) -> None:
    # Weight 5: bits 1, 0, 1, or digits 1, 1 in base 4, or 5 at once; steps add up with the square of what they count for.
    chip = chip_of(array__coding=coding, array__dac_bits=dac_bits, array__adc_bits=16, tile__groups=12)
    trace = trace_of([[0]], rows=(1,), weights=[5])
    program = program_of(trace, layout_of([[0]]), chip, FEATURES)
    found = errors(program, table_of(1, FEATURES, 2), [analog_of(seed, read__sigma=0.01) for seed in range(60)])
    agrees(found, times * variance_of_a_weight(chip, 0.01))


def test_copies_differ_and_what_one_array_holds_stays() -> None:
    table = table_of(2, 16, 3)
    twice = trace_of([[0, 1], [0, 1]], rows=(2,))
    noisy = analog_of(programming__sigma=0.05)
    one = program_of(twice, layout_of([[0, 1]]), chip_of(), 16)
    two = program_of(twice, layout_of([[0, 1]], [2]), chip_of(), 16)
    assert (one.instances.tolist(), two.instances.tolist()) == ([0, 0], [0, 1])
    first, second = reduce(one, table, noisy).vectors
    assert first.tolist() == second.tolist()
    first_copy, second_copy = reduce(two, table, noisy).vectors
    assert first_copy.tolist() == first.tolist()
    assert (first_copy != second_copy).all()
    # Reading is new each time.
    first, second = reduce(one, table, analog_of(read__sigma=0.05)).vectors
    assert (first != second).all()


@pytest.mark.parametrize("device", [{"programming__sigma": 0.05}, {"read__sigma": 0.05}, {"stuck__on_share": 0.2}])
def test_a_seed_says_all(device: dict[str, float]) -> None:
    trace = trace_of([[0, 1], [2], [1, 2, 0]], rows=(3,))
    table = table_of(3, 16, 3)
    program = program_of(trace, layout_of([[0, 1], [2]], [2, 1]), chip_of(), 16)
    first, again, other = (reduce(program, table, analog_of(seed, **device)).vectors for seed in (7, 7, 8))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    if "read__sigma" not in device:
        batches = program_of(trace, layout_of([[0, 1], [2]]), chip_of(), 16, batch=1)
        whole = program_of(trace, layout_of([[0, 1], [2]]), chip_of(), 16, batch=9)
        same = [reduce(each, table, analog_of(7, **device)).vectors.tolist() for each in (batches, whole)]
        assert same[0] == same[1]


@pytest.mark.parametrize("coding", ["offset", "flipped"])
@pytest.mark.parametrize(("share", "code"), [("off", 0), ("on", 255)])
def test_arrays_that_are_stuck_give_their_one_code(coding: str, share: str, code: int) -> None:
    trace = trace_of([[0], [0, 1], [1, 1]], rows=(2,), weights=[1, 1, 2, 1, 1])
    # Rows of codes below half are never inverted; all levels but inverted ones mean what they say.
    table = np.full((2, 16), -128, dtype=np.int8)
    program = program_of(trace, layout_of([[0, 1]]), chip_of(array__coding=coding, array__adc_bits=9), 16)
    found = reduce(program, table, analog_of(bits="chip", **{f"stuck__{share}_share": 1.0}))
    assert found.vectors.tolist() == [[(code - 128) * total] * 16 for total in (1, 3, 2)]


def test_an_adc_of_whole_levels_takes_small_errors_away() -> None:
    table = table_of(16, 16, 4)
    trace = trace_of([[*range(16)], [3, 9]], rows=(16,))
    program = program_of(trace, layout_of([range(16)]), chip_of(), 16)
    # 16 cells of spread 0.003 levels: half a level is 40 standard deviations away.
    small = analog_of(bits="chip", programming__sigma=0.001)
    assert reduce(program, table, small).vectors.tolist() == reference(trace, table).tolist()
    assert reduce(program, table, analog_of(bits="chip")).vectors.tolist() == reference(trace, table).tolist()
    ideal = reduce(program, table, Analog().override({"adc.bits": "ideal"})).vectors
    assert ideal.dtype == np.float64
    assert ideal.tolist() == reference(trace, table).tolist()
    large = reduce(program, table, analog_of(bits="chip", programming__sigma=0.2)).vectors
    assert large.dtype == np.int64
    assert (large != reference(trace, table)).any()


def test_offsets_of_adcs_are_those_of_their_columns() -> None:
    # One ADC an array, and arrays of 8 features: an offset of so many steps counts for 64 + 16 + 4 + 1 in each feature of it.
    trace = trace_of([[*range(12)], [*range(6, 12)]], rows=(12,))
    table = np.full((12, 20), 0x6A - 128, dtype=np.int8)
    program = program_of(trace, layout_of([range(12)]), chip_of(), 20)
    analog = Analog().override({"adc.offset_error": 1.5, "seed": 3})
    found = reduce(program, table, analog)
    assert found.clipped == 0
    off = found.vectors - reference(trace, table)
    assert not (off % 85).any()
    for array in (slice(0, 8), slice(8, 16), slice(16, 20)):
        assert len(set(off[:, array].ravel().tolist())) == 1
    assert len(set(off[0].tolist())) > 1


def test_gains_of_adcs_are_those_of_their_columns() -> None:
    trace = trace_of([[*range(12)]], rows=(12,))
    table = np.full((12, 16), 0xAA - 128, dtype=np.int8)
    program = program_of(trace, layout_of([range(12)]), chip_of(array__adcs=2), 16)
    found = reduce(program, table, Analog().override({"adc.gain_error": 0.1, "seed": 5})).vectors[0]
    # Two ADCs of each array take 4 features each, of which every cell is at level 2 in all 12 rows.
    sums = (found + 128 * 12) / 85
    for low in range(0, 16, 4):
        assert len(set(sums[low : low + 4].tolist())) == 1
        assert sums[low] == round(sums[low])
    assert len(set(sums.tolist())) > 1
