"""Pairs of cells in two rows of a column: half as many inputs, twice as many outputs an array, one conversion a column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import Coding, CodingName
from mho.errors import ChipError, MappingError
from mho.machine import wear
from mho.machine.analog import Analog
from mho.machine.energy import count_events
from mho.machine.lookup import reduce, reference
from mho.machine.lookup.energy import Counted
from mho.machine.lookup.energy import events as lookup_events
from mho.machine.timing import time_program
from mho.network.samples import synthetic
from mho.program import Program, violations
from mho.program.instructions import Write
from tests.hand_sized import entry, linear, network
from tests.lookup_oracle import chip_of, layout_of, program_of, table_of, trace_of
from tests.strategies import GREEDY
from tests.test_mapping_coding import coded_chip, small

ARAS = Chip.load("aras")
PAIRS: tuple[CodingName, ...] = ("differential", "sign_magnitude")


def varied(**values: Any) -> Chip:
    return ARAS.override({key.replace("__", "."): value for key, value in values.items()}, source="law")


@pytest.mark.parametrize("coding", PAIRS)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 7, 8])
def test_an_array_holds_half_the_rows_of_twice_as_many_weights(coding: CodingName, bits: int) -> None:
    common = {"array__coding": coding, "array__cell_bits": bits, "array__pulses_full_range": 255}
    beside, above = varied(**common), varied(**common, array__pairs="rows")
    slices = Coding(coding, 8, bits).cells // 2
    assert beside == varied(**common, array__pairs="columns") != above
    assert (above.weight_rows, above.array_weights_per_row) == (64, 128 // slices)
    assert (beside.weight_rows, beside.array_weights_per_row) == (128, 128 // (2 * slices))
    assert (above.readout.conversions, beside.readout.conversions) == (128, 64)
    assert above.cells == beside.cells and above.array_write_time_s == beside.array_write_time_s
    assert above.costs.count("dac") == beside.costs.count("dac") == 128 * above.arrays
    assert above.describe()["derived"]["largest_sum"] * 2 == beside.describe()["derived"]["largest_sum"]
    assert "both rows of a pair" in " ".join(above.notes)


@given(
    st.sampled_from(PAIRS),
    st.integers(1, 8),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(2, 70),
    st.integers(2, 90),
)
def test_arrays_follow_the_closed_form(
    coding: CodingName, bits: int, rows: int, outputs: int, high: int, wide: int
) -> None:
    code = Coding(coding, 8, bits, None, True)
    chip = coded_chip(
        coding,
        bits,
        array__pairs="rows",
        array__rows=high,
        array__columns=max(wide, code.cell_columns),
        group__arrays=1,
        tiles=400,
    )
    mapped = mho.mapping.map_network(network(entry(1, rows), linear("l", "x", 1, rows, outputs)), chip)
    assert mapped.arrays == -(-rows // (high // 2)) * -(-outputs // (max(wide, code.cell_columns) // (code.cells // 2)))


def events_of(coding: CodingName, **more: Any) -> dict[str, float]:
    """Events of one window of 6 inputs and 3 outputs, in 8 steps."""
    chip = coded_chip(coding, 2, array__rows=16, **more)
    program = mho.compile(network(entry(1, 6), linear("l", "x", 1, 6, 3)), chip, GREEDY)
    events = count_events(program, wear(program), program.setup, len(program.instructions))
    return {event: count for (layer, event, _), count in events.items() if layer == 1}


def test_a_column_is_converted_once_and_two_rows_are_driven_for_an_input() -> None:
    beside, above = events_of("differential"), events_of("differential", array__pairs="rows")
    assert (beside["dac_drive"], above["dac_drive"]) == (6 * 8, 2 * 6 * 8)
    assert (beside["sample_hold"], above["sample_hold"]) == (3 * 8 * 8, 3 * 4 * 8)
    assert beside["adc_conversion"] == above["adc_conversion"] == above["shift_add"] == 3 * 4 * 8
    for event in ("array_read", "input_register_byte", "noc_byte", "output_register_byte", "accumulate"):
        assert beside[event] == above[event]


def steps_row_by_row(program: Program, block: int) -> int:
    """The level steps of a block's slowest array on blank cells: each row of the array by itself, which only rises."""
    assert program.quantised is not None
    weight = program.mapping.weight_of(block)
    shape = weight.blocks.shape
    levels = shape.coding.levels(weight.blocks.laid(block - weight.first, program.quantised.matrices[weight.name]))
    arrays = [levels[:, first : first + shape.per_array] for first in range(0, levels.shape[1], shape.per_array)]
    return max(sum(int(row[:, sign::2].max()) for row in array for sign in (0, 1)) for array in arrays)


@pytest.mark.parametrize("coding", PAIRS)
def test_both_rows_of_a_pair_are_written_one_after_the_other(coding: CodingName) -> None:
    chip = coded_chip(coding, 2, array__pairs="rows", write_latency="actual", tiles=40)
    program = mho.compile(mho.number.quantise(small(4), symmetric=True), chip, GREEDY.with_(schedule="naive"))
    counts = wear(program).counts
    writes = [number for number, each in enumerate(program.instructions[: program.setup]) if isinstance(each, Write)]
    assert writes
    for number in writes:
        blocks = range(*program.instructions[number].blocks)  # type: ignore[union-attr]
        assert counts[number].slowest == max(steps_row_by_row(program, block) for block in blocks)


@settings(max_examples=20)
@given(
    st.sampled_from(PAIRS), st.integers(2, 20), st.sampled_from([1, 2, 8]), st.sampled_from(["naive", "overlap", "adaptive"]),
    st.sampled_from(["worst_case", "actual"]), st.sampled_from(["none", "time", "pulses"]), st.integers(1, 8),
    st.sampled_from([None, 2, 3, 7]), st.integers(0, 2**16),
)  # fmt: skip
def test_programs_are_bit_exact_and_legal(
    coding: CodingName, levels: int, dac_bits: int, schedule: str, latency: str, placement: str, tiles: int,
    together: int | None, seed: int,
) -> None:  # fmt: skip
    code = Coding(coding, 8, (levels - 1).bit_length(), levels, True)
    more = {} if together is None else {"array__rows_parallel": together}
    chip = coded_chip(
        coding, code.cell_bits, array__dac_bits=dac_bits, array__cell_levels=levels, array__pairs="rows", array__rows=9,
        array__columns=4 * code.cell_columns + 1, write_latency="actual" if placement == "time" else latency, tiles=tiles, **more,
    )  # fmt: skip
    net = small(seed)
    inputs = synthetic(net, 2, seed=seed).inputs
    quantised = mho.number.quantise(net, inputs, symmetric=True)
    program = mho.compile(quantised, chip, GREEDY.with_(schedule=schedule, placement=placement, residency="never"))
    result = mho.verify(program, inputs)
    assert result.ok, str(result)
    times = time_program(program)
    assert violations(program, (times.starts, times.ends)) == ()


def test_ideal_cells_multiply_and_errors_grow_with_the_square_root_of_the_rows() -> None:
    """A read of a pair has the noise of two cells: of K inputs at their highest the variance is 2 K (sigma (L - 1))^2 a step."""
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(24, 48))
    x = np.ones((48, 400))
    exact = mho.Core(weights, varied(array__coding="differential"), symmetric=True)
    for pairs in ("rows", "columns"):
        chip = varied(array__coding="differential", array__pairs=pairs)
        analog = Analog().override({"adc.bits": "ideal"})
        np.testing.assert_allclose(mho.Core(weights, chip, analog, symmetric=True) @ x, exact @ x, rtol=1e-12)
        noisy = analog.override({"device.read.sigma": 0.02})
        core = mho.Core(weights, chip, noisy, symmetric=True)
        scale = float(core.quantised.matrices["product"].scale) * float(core.quantised.codes["x"].scale)
        error = (core @ x - exact @ x) / scale
        # Input 1 is code 255 of 8 bits, a bit a step; digits of 2 bits count 4^k.
        wanted = 2 * 48 * (0.02 * 3) ** 2 * sum(4.0**bit for bit in range(8)) * sum(16.0**k for k in range(4))
        assert error.var() == pytest.approx(wanted, rel=5 * np.sqrt(2 / error.size))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"array.pairs": "rows"}, ("array.pairs", "coding offset has no pairs")),
        ({"array.pairs": "row", "array.coding": "differential"}, ("array.pairs", "did you mean rows")),
        ({"array.pairs": "rows", "array.coding": "differential", "array.rows": 1}, ("array.rows", "need 2 rows")),
        (
            {"array.pairs": "rows", "array.coding": "differential", "array.rows_parallel": 1},
            ("array.rows_parallel", "driven together"),
        ),
        (
            {"array.pairs": "rows", "array.coding": "differential", "array.columns": 3, "array.adcs": 1},
            ("array.columns", "at least 4"),
        ),
        ({"array.pairs": "rows", "array.coding": "differential", "array.adcs": 129}, ("array.adcs", "columns (128)")),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ChipError) as caught:
        ARAS.override(values, source="law")
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("coding", PAIRS)
def test_look_ups_add_rows_of_weights(coding: CodingName) -> None:
    """An array of 32 rows holds 16 rows of a table; a look-up drives two of them, and a column is converted once."""
    found = {}
    for pairs in ("columns", "rows"):
        chip = chip_of(
            tile__groups=12,
            array__coding=coding,
            array__pairs=pairs,
            array__rows=32,
            array__columns=64,
            array__adc_bits=10,
        )
        trace = trace_of([[0], [1, 2], [3, 5, 9]], rows=(10,))
        lookups = program_of(trace, layout_of([range(10)]), chip, 8)
        table = np.maximum(table_of(10, 8, 3), -127)
        assert np.array_equal(reduce(lookups, table).vectors, reference(trace, table))
        found[pairs] = lookup_events(Counted.of(lookups, 0, 0.0), lookups.seats, lookups.reading, 4)
        high = chip.weight_rows + 1
        with pytest.raises(MappingError, match=f"do not fit the arrays of chip .* of {chip.weight_rows} rows"):
            program_of(trace_of([[0]], rows=(high,)), layout_of([range(high)], height=high), chip, 8)
    assert found["rows"]["dac_drive"] == 2 * found["columns"]["dac_drive"]
    assert found["rows"]["sample_hold"] * 2 == found["columns"]["sample_hold"]
    assert found["rows"]["adc_conversion"] == found["columns"]["adc_conversion"]
