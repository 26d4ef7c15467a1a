"""Codings of weights: what cells hold stands for the codes exactly, whatever the coding, the cells and the converters' steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding, CodingName
from mho.errors import ChipError
from mho.machine import wear
from mho.machine.energy import count_events
from mho.mapping.coding import block_levels, shown_codes
from mho.mapping.dense import dense_blocks
from mho.mapping.shape import weights_shape
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import QuantisedMatrix
from mho.program.deltas import Deltas
from tests.coded_cells import block_cells, least, weight_levels
from tests.hand_sized import entry, hand_chip, linear, network
from tests.strategies import ALONE, GREEDY, Sketch

some = settings(max_examples=60)
codings = st.sampled_from(CODINGS)
every_coding = pytest.mark.parametrize("coding", CODINGS)
every_cell = pytest.mark.parametrize("bits", range(1, 9))
every_level = pytest.mark.parametrize("levels", [*range(2, 18), 23, 32, 37, 64, 100, 127, 128, 129, 200, 255, 256])
CODES = np.arange(256, dtype=np.uint8)


def coded_matrix(codes: np.ndarray) -> QuantisedMatrix:
    """A matrix of these codes (matrices, K, N), one scale for all."""
    return QuantisedMatrix(codes, np.ones(()), np.zeros((), dtype=np.int64))


def held(coding: str) -> slice:
    """The codes that a coding has cells for."""
    return slice(least(coding), None)


def coding_of(name: str, levels: int, weight_bits: int = 8) -> Coding:
    """A coding in cells of so many levels; those that invert columns take the next power of two."""
    bits = (levels - 1).bit_length()
    return Coding(name, weight_bits, bits, None if name == "flipped" else levels)  # type: ignore[arg-type]


def coded_chip(coding: str, bits: int, **values: Any) -> Chip:
    """A hand-sized chip whose arrays hold four weights in a row, with drivers of any width for nothing."""
    cells = Coding(coding, 8, bits).cells  # type: ignore[arg-type]
    more = {"array__columns": 4 * cells, "array__cell_bits": bits, "array__coding": coding, "components__dac": "none"}
    return hand_chip(**(more | {"array__pulses_full_range": 255} | values))


@every_coding
@every_level
def test_levels_stand_for_their_code(coding: CodingName, levels: int) -> None:
    code = coding_of(coding, levels)
    highest = (2**code.cell_bits if coding == "flipped" else levels) - 1
    levels_of, codes = code.levels(CODES)[held(coding)], CODES[held(coding)]
    assert levels_of.tolist() == [weight_levels(each, coding, highest + 1) for each in codes.tolist()]
    assert levels_of.max() <= code.highest == highest
    assert (levels_of.astype(int) @ code.significance + code.base == codes).all()
    # The code that is at level 0 in all cells is the only one, so that cells off a diagonal add nothing.
    assert codes[~levels_of.any(axis=1)].tolist() == [code.base]
    magnitudes = np.abs(code.significance)
    assert (np.diff(magnitudes) <= 0).all()
    # One digit fewer could not tell all codes apart: the highest digit is not always 0.
    assert levels_of[:, : 1 + code.pairs].any()


@every_coding
@pytest.mark.parametrize("weight_bits", range(2, 9))
@pytest.mark.parametrize("levels", [2, 3, 4, 5, 7, 8, 12, 16])
def test_codes_of_any_bits_are_held(coding: CodingName, weight_bits: int, levels: int) -> None:
    code = coding_of(coding, levels, weight_bits)
    codes = np.arange(1 << weight_bits)[held(coding)]
    assert (code.levels(codes).astype(int) @ code.significance + code.base == codes).all()


@every_cell
def test_cells_of_a_weight(bits: int) -> None:
    up, up7 = (8 + bits - 1) // bits, (7 + bits - 1) // bits
    wanted = {
        "offset": up, "flipped": up, "differential": 2 * up, "sign_magnitude": 2 * up7, "twos_complement": 1 + up7
    }  # fmt: skip
    assert {name: Coding(name, 8, bits).cells for name in CODINGS} == wanted


@every_level
@pytest.mark.parametrize("coding", ["differential", "sign_magnitude"])
def test_a_pair_is_of_opposite_significance_and_one_of_it_is_at_level_0(coding: CodingName, levels: int) -> None:
    code = coding_of(coding, levels)
    levels, significance = code.levels(CODES), np.array(code.significance)
    assert code.pairs
    assert (significance[::2] == -significance[1::2]).all()
    assert (significance[::2] > 0).all()
    assert not (levels[:, ::2] * levels[:, 1::2]).any()


@pytest.mark.parametrize(
    "wrong",
    [
        ("ofset", 8, 2),
        ("offset", 17, 2),
        ("offset", 8, 0),
        ("offset", 8, 2, 5),
        ("flipped", 8, 3, 6),
    ],
)
def test_what_is_no_coding_is_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="no coding"):
        Coding(*wrong)
    assert Coding("offset", 8, 2, 4) == Coding("offset", 8, 2)


shapes = st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 12))


@some
@given(codings, st.integers(2, 256), shapes, st.integers(1, 8), st.booleans(), st.integers(0, 2**16), st.data())
def test_sums_of_a_block_step_by_step_are_the_products_with_its_codes(
    coding: CodingName,
    levels: int,
    shape: tuple[int, int, int],
    dac_bits: int,
    pack: bool,
    seed: int,
    data: st.DataObject,
) -> None:
    """Column sums of what is stored, flips undone by the unit column, pairs subtracted, shifted and added, and the base put on."""
    generator = np.random.default_rng(seed)
    code = coding_of(coding, levels)
    chip = coded_chip(
        coding,
        code.cell_bits,
        array__dac_bits=dac_bits,
        array__cell_levels=code.highest + 1,
        array__columns=4 * code.cells,
    )
    assert chip.coding == code and chip.levels == code.highest + 1
    codes = np.clip(generator.normal(generator.uniform(0, 255), 60, shape), least(coding), 255).astype(np.uint8)
    cut = dense_blocks(*shape, weights_shape(chip), pack)
    index = data.draw(st.integers(0, cut.count - 1))
    block = cut.block(index)
    laid = cut.laid(index, coded_matrix(codes))
    levels, inverted = block_levels(laid, chip.coding)
    assert (levels == block_cells(chip, codes, block)).all()
    assert (levels == chip.coding.levels(shown_codes(laid, chip.coding))).all()
    if coding == "flipped":
        assert inverted is not None
        assert (2 * levels.sum(axis=0, dtype=int) <= block.height * chip.coding.highest).all()
    else:
        assert inverted is None

    x = generator.integers(0, 256, (3, block.height))
    raw = np.zeros((3, block.width), dtype=np.int64)
    for step in range(chip.readout.all_steps):
        driven = x >> (step * dac_bits) & (2**dac_bits - 1)
        sums = np.tensordot(driven, levels.astype(np.int64), axes=1)
        if inverted is not None:
            sums = np.where(inverted, chip.coding.highest * driven.sum(axis=1)[:, None, None] - sums, sums)
        if chip.coding.pairs:
            made = (sums[..., ::2] - sums[..., 1::2]) @ np.array(chip.coding.significance[::2])
        else:
            made = sums @ np.array(chip.coding.significance)
        raw += made << (step * dac_bits)
    # A sum of one array lies in its register, in two's complement where the coding has negative weights.
    room = 8 * chip.sum_bytes()
    low, high = (-(2 ** (room - 1)), 2 ** (room - 1)) if chip.coding.signed else (0, 2**room)
    assert low <= raw.min() <= raw.max() < high
    # Each matrix of the block has inputs of its own: the base counts for those alone.
    high_, wide = block.height // block.count, block.width // block.count
    for m in range(block.count):
        rows, columns = slice(m * high_, (m + 1) * high_), slice(m * wide, (m + 1) * wide)
        matrix = codes[block.first + m, slice(*block.rows), slice(*block.columns)].astype(np.int64)
        got = raw[:, columns] + chip.coding.base * x[:, rows].sum(axis=1, keepdims=True)
        assert (got == x[:, rows] @ matrix).all()


@every_coding
@pytest.mark.parametrize("rows", [1, 2, 3, 128, 129])
def test_a_partial_sum_holds_the_largest_and_the_least_sum(coding: CodingName, rows: int) -> None:
    chip = coded_chip(coding, 2, array__rows=rows)
    weights = chip.coding.levels(CODES).astype(int) @ chip.coding.significance
    room = 8 * chip.sum_bytes()
    low, high = (-(2 ** (room - 1)), 2 ** (room - 1)) if weights.min() < 0 else (0, 2**room)
    assert low <= rows * 255 * weights.min() <= rows * 255 * weights.max() < high


def small(seed: int) -> Network:
    """A dense, a depthwise and a linear layer: full, packed and partial blocks that overwrite one another."""
    sketch = Sketch(seed, (1, 3, 5, 5))
    first = sketch.convolution(sketch.layers[0], 6, 3, 1, 1, 1, 1)
    sketch.convolution(sketch.convolution(first, 6, 3, 1, 0, 1, 6), 9, 1, 1, 0, 1, 1)
    return sketch.network()


@every_coding
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@settings(max_examples=6)
@given(
    st.sampled_from([1, 2, 8]), st.sampled_from(ALONE), st.sampled_from(["auto", "never"]),
    st.sampled_from(["diagonal", "separate"]), st.sampled_from(["worst_case", "actual"]), st.integers(1, 12), st.booleans(),
    st.integers(0, 2**16),
)  # fmt: skip
def test_programs_are_bit_exact_and_legal(
    coding: CodingName,
    bits: int,
    dac_bits: int,
    schedule: str,
    residency: str,
    packing: str,
    latency: str,
    tiles: int,
    per_channel: bool,
    seed: int,
) -> None:
    chip = coded_chip(coding, bits, array__dac_bits=dac_bits, write_latency=latency, tiles=tiles)
    net = small(seed)
    inputs = synthetic(net, 2, seed=seed).inputs
    quantised = mho.number.quantise(net, inputs, per_channel=per_channel, symmetric=coding == "sign_magnitude")
    program = mho.compile(quantised, chip, GREEDY.with_(schedule=schedule, residency=residency, packing=packing))
    result = mho.verify(program, inputs)
    assert result.ok, str(result)


@pytest.mark.parametrize("coding", CODINGS[1:])
@pytest.mark.parametrize("placement", ["pulses", "time"])
def test_rows_and_columns_may_change_places_in_every_coding(coding: str, placement: str) -> None:
    net = small(3)
    inputs = synthetic(net, 2).inputs
    chip = coded_chip(coding, 2, write_latency="actual", tiles=1)
    quantised = mho.number.quantise(net, inputs, symmetric=coding == "sign_magnitude")
    program = mho.compile(quantised, chip, GREEDY.with_(residency="never", placement=placement))
    assert any(getattr(each, "rows", ()) for each in program.instructions)
    assert not any(getattr(each, "cells", ()) for each in program.instructions)
    assert mho.verify(program, inputs).ok


def test_inversions_that_are_not_undone_give_wrong_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small(5)
    inputs = synthetic(net, 2).inputs
    program = mho.compile(mho.number.quantise(net, inputs), coded_chip("flipped", 2), GREEDY)
    assert mho.verify(program, inputs).ok
    monkeypatch.setattr(Deltas, "inverted", lambda self, place: None)
    assert not mho.verify(program, inputs).exact


@pytest.mark.parametrize(
    ("coding", "conversions", "step"),
    [
        ("offset", 128, 12e-9),
        ("flipped", 129, 13e-9),
        ("differential", 64, 8e-9),
        ("sign_magnitude", 64, 8e-9),
        ("twos_complement", 128, 12e-9),
    ],
)
def test_the_time_of_a_step_follows_from_what_is_converted(coding: str, conversions: int, step: float) -> None:
    # 16 ADCs of 1 ns and 4 ns of overhead: ceil(conversions / 16) + 4.
    chip = Chip.load("aras").override({"array.coding": coding}, source="law")
    assert chip.readout.conversions == conversions
    assert chip.step_time_s == step
    # At the peak an ADC converts its share in each step.
    adc = next(part for part in chip.roll_up().parts if part.component == "adc")
    assert adc.peak_dynamic_w == pytest.approx(chip.energy_per_event["adc_conversion"] * -(-conversions // 16) / step)
    holds = next(part for part in chip.roll_up().parts if part.component == "sample_hold")
    assert holds.count == 128 + (coding == "flipped")


@pytest.mark.parametrize(
    ("coding", "sampled", "converted"),
    # 3 outputs of so many cells, in an array of 4 weights; one window of 8 steps.
    [
        ("offset", 3 * 4 * 8, 3 * 4 * 8),
        ("flipped", (3 * 4 + 1) * 8, (3 * 4 + 1) * 8),
        ("differential", 3 * 8 * 8, 3 * 4 * 8),
        ("sign_magnitude", 3 * 8 * 8, 3 * 4 * 8),
        ("twos_complement", 3 * 5 * 8, 3 * 5 * 8),
    ],
)
def test_what_is_sampled_and_converted_is_counted(coding: str, sampled: int, converted: int) -> None:
    program = mho.compile(network(entry(1, 6), linear("l", "x", 1, 6, 3)), coded_chip(coding, 2), GREEDY)
    events = count_events(program, wear(program), program.setup, len(program.instructions))
    got = {event: count for (layer, event, _), count in events.items() if layer == 1}
    assert (got["sample_hold"], got["adc_conversion"], got["shift_add"]) == (sampled, converted, converted)


def test_every_coding_says_in_a_note_what_it_takes_for_granted() -> None:
    notes = {name: " ".join(coded_chip(name, 2).notes) for name in CODINGS}
    assert "unit column" in notes["flipped"]
    assert "both columns of a pair" in notes["differential"]
    assert not any("unit column" in notes[name] for name in CODINGS if name != "flipped")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"array.coding": "flip"}, ("array.coding", "did you mean flipped")),
        ({"array.coding": 2}, ("array.coding", "offset, ", "twos_complement")),
        (
            {"array.coding": "differential", "array.columns": 7, "array.adcs": 1},
            ("array.columns", "at least 8 in coding"),
        ),
        ({"array.coding": "twos_complement", "array.columns": 4, "array.adcs": 1}, ("array.columns", "at least 5")),
        ({"array.coding": "differential", "array.adcs": 65}, ("array.adcs", "pairs of columns (64)")),
        ({"array.adcs": 129}, ("array.adcs", "columns (128)")),
        ({"array.cell_levels": 5}, ("array.cell_levels", "3 bits name 5 levels, not the 2 of array.cell_bits")),
        ({"array.cell_levels": 3.5}, ("array.cell_levels", "must be a whole number of levels")),
        ({"array.cell_levels": 257}, ("array.cell_levels", "must be 2 to 256")),
        (
            {"array.cell_levels": 6, "array.cell_bits": 3, "array.coding": "flipped"},
            ("array.cell_levels", "inverts digits bit by bit", "take coding offset"),
        ),
        (
            {"array.cell_levels": 200, "array.cell_bits": 8},
            ("array.pulses_full_range", "60 pulses cannot tell 200 levels apart; at least 199"),
        ),
    ],
)
def test_a_coding_that_does_not_fit_is_refused(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ChipError) as caught:
        Chip.load("aras").override(values, source="law")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_chip_without_a_coding_is_refused() -> None:
    content = Chip.load("aras").to_dict()
    del content["array"]["coding"]
    with pytest.raises(ChipError, match=r"array\.coding: missing"):
        Chip.from_dict(content)


def test_eight_bits_hold_every_sum_of_the_isaac_preset() -> None:
    """Section V of the paper: 128 cells of 2 bits sum to 384 at most, which takes 9 bits; columns stored inverted to 192."""
    chip = Chip.load("isaac")
    assert chip.array.coding == "flipped"
    most = chip.array.rows * (chip.levels - 1) * (2**chip.array.dac_bits - 1)
    assert most >= 2**chip.array.adc_bits
    assert most // 2 < 2**chip.array.adc_bits
    for value in (0, 100, 170, 255):
        codes = np.full((1, chip.array.rows, chip.group_columns), value, dtype=np.uint8)
        cut = dense_blocks(1, *codes.shape[1:], weights_shape(chip), True)
        levels, _ = block_levels(cut.laid(0, coded_matrix(codes)), chip.coding)
        assert levels.sum(axis=0, dtype=int).max() <= most // 2
