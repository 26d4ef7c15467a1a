"""How columns are read: passes, steps, pulses, turns and conversions of their own, against an independent chain and in laws."""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding
from mho.errors import AnalogError, ChipError, StrategyError
from mho.machine.analog import Analog
from mho.machine.analog.converter import Converter
from mho.machine.analog.products import Products
from mho.mapping import Dense
from mho.network.samples import Samples
from mho.number.bits import LayerBits
from mho.program import Program, violations
from mho.report.run import view
from tests.strategies import Sketch, readings
from tests.test_analog_chain import (
    CELL_BITS,
    DAC_BITS,
    GENERIC,
    analog_of,
    check,
    chip_of,
    converters,
    layers,
    program_of,
)
from tests.test_report_data import SCHEMA

BITS = st.builds(LayerBits, st.one_of(st.integers(1, 8), st.integers(9, 16)), st.integers(1, 8))
CONVERSIONS = st.sampled_from(["chip", "exact", {"choice": "below", "fewer": 1}, {"choice": "below", "fewer": 3}])


@st.composite
def chips(draw: st.DrawFn) -> Chip:
    coding, cell_bits, dac_bits = draw(st.sampled_from(CODINGS)), draw(CELL_BITS), draw(DAC_BITS)
    levels = draw(st.integers(2 ** (cell_bits - 1) + 1, 2**cell_bits)) if coding != "flipped" else 2**cell_bits
    cells, rows = Coding(coding, 16, cell_bits, levels).cells, draw(st.integers(1, 40))
    drawn = {key.replace(".", "__"): value for key, value in draw(readings(rows, dac_bits)).items()}
    values = {
        **drawn, "array__rows": rows, "array__columns": draw(st.integers(cells, 6 * cells + 1)), "array__adc_modes": "every",
        "array__adc_bits": draw(st.integers(4, 12)), "components__adc": "none", "group__arrays": draw(st.integers(1, 3)),
        "array__cell_levels": levels,
    }  # fmt: skip
    return chip_of(coding, cell_bits, dac_bits, **values)


@settings(max_examples=120)
@given(layers(), chips(), BITS, CONVERSIONS, st.data(), st.booleans())
def test_whatever_is_read_however_is_what_the_chain_gives(
    layer: tuple[Sketch, np.ndarray], chip: Chip, bits: LayerBits, conversion: Any, data: st.DataObject, digital: bool
) -> None:
    program = program_of(layer[0], layer[1], chip, bits=bits, conversion=conversion)
    analog = GENERIC
    if data.draw(st.booleans()):
        adc = data.draw(converters(chip))
        adc["range"] = "full" if adc["range"] == "calibrated" else adc["range"]
        analog = analog_of(adc, program, data.draw)
    if digital:
        analog = analog.override({"pedestal": "digital", "device.on_off": 8.0})
    check(program, layer[1], analog)
    assert mho.verify(program, layer[1]).ok
    if (
        conversion == "exact"
        and chip.array.adc_bits == 12
        and not digital
        and program.mapping.layers[0].readout.adc_bits < 12
    ):
        assert check(program, layer[1], GENERIC).clipped == 0


@settings(max_examples=40)
@given(layers(), chips(), BITS, CONVERSIONS)
def test_time_and_events_are_those_of_every_step(
    layer: tuple[Sketch, np.ndarray], chip: Chip, bits: LayerBits, conversion: Any
) -> None:
    program = program_of(layer[0], layer[1], chip, bits=bits, conversion=conversion)
    (mapped,) = program.mapping.layers
    report = mho.simulate(program)
    assert violations(program, (report.timing.starts, report.timing.ends)) == ()
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)
    blocks, array, read = mapped.blocks, chip.array, mapped.readout
    together = min(array.rows_parallel or array.rows, array.rows)
    steps = sum(len(range(0, each, read.step_bits(each))) for each in read.passes)
    turns = [ceil(height / together) for height in blocks.heights.tolist()]
    assert read.turns == max(turns) and read.steps == steps
    places = array.columns // blocks.shape.coding.cells
    converted = [
        turn
        * (
            min(width, places * arrays) * blocks.shape.cells // (2 if chip.coding.pairs else 1)
            + arrays * chip.coding.inverts
        )
        for turn, width, arrays in zip(turns, blocks.widths.tolist(), blocks.arrays.tolist(), strict=True)
    ]
    from mho.machine.cells import wear
    from mho.machine.energy import count_events

    events = count_events(program, wear(program), program.setup, len(program.instructions))
    conversions = events[mapped.index, "adc_conversion", "compute"]
    assert conversions == pytest.approx(mapped.windows * steps * sum(converted) * float(read.share), rel=1e-12)
    drives = int((blocks.heights * blocks.arrays).sum())
    assert events[mapped.index, "dac_drive", "compute"] == mapped.windows * drives * read.pulses
    assert events[mapped.index, "array_read", "compute"] == mapped.windows * int(blocks.arrays.sum()) * read.pulses


@pytest.mark.parametrize(
    ("values", "time"),
    [
        ({}, 8 * (8 + 4)),
        ({"array.rows_parallel": 32}, 4 * 8 * (8 + 4)),
        ({"array.convert": "used"}, 8 * (4 + 4)),
        ({"array.integrated_bits": 8}, 8 + 8 * 4),
        ({"array.integrated_bits": 4}, 2 * 8 + 8 * 4),
        ({"array.integrated_bits": 4, "array.drive": "unary"}, 2 * 8 + 2 * 15 * 4),
        ({"array.integrated_bits": 3}, 3 * 8 + 8 * 4),
    ],
)
def test_the_time_of_a_window_is_counted_by_hand(values: dict[str, Any], time: int) -> None:
    """On ARAS's array, 8 columns an ADC at 1 ns and 4 ns of overhead a pulse; the layer has 16 outputs in 64 of 128 columns."""
    sketch, x = Sketch(0, (1, 128)), np.random.default_rng(0).uniform(0, 1, (2, 128))
    sketch.linear(sketch.layers[0], 16)
    chip = Chip.load("aras").override(values, source="by hand") if values else Chip.load("aras")
    (mapped,) = program_of(sketch, x, chip).mapping.layers
    assert mapped.window_s == pytest.approx(time * 1e-9, rel=1e-12)


def test_bits_of_conversions_follow_from_rows_and_levels() -> None:
    sketch, x = Sketch(0, (1, 20)), np.random.default_rng(0).uniform(0, 1, (2, 20))
    sketch.linear(sketch.layers[0], 8)
    chip = Chip.load("isaac").override({"array.adc_modes": "every"}, source="by hand")
    for conversion, bits in (("chip", 8), ("exact", 6), ({"choice": "below", "fewer": 2}, 4)):
        program = program_of(sketch, x, chip, conversion=conversion)
        # 20 rows of 2-bit cells, one input bit a step: sums up to 60, half of that where columns may be inverted.
        assert program.mapping.layers[0].readout.adc_bits == (bits if conversion == "chip" else bits - 1)
    with pytest.raises(StrategyError, match="always convert 8 bits"):
        program_of(sketch, x, Chip.load("isaac"), conversion="exact")


@settings(max_examples=40)
@given(layers(), st.sampled_from(CODINGS), CELL_BITS, BITS)
def test_integrating_all_bits_with_a_wide_enough_output_is_the_exact_product(
    layer: tuple[Sketch, np.ndarray], coding: str, cell_bits: int, bits: LayerBits
) -> None:
    chip = chip_of(
        coding, cell_bits, 1, array__integrated_bits=8, array__adc_bits=24, array__rows=64, components__adc="none"
    )
    program = program_of(layer[0], layer[1], chip, bits=bits)
    (mapped,) = program.mapping.layers
    assert mapped.readout.steps == 1 and mapped.readout.pulses == bits.inputs
    got = mho.execute(program, layer[1], analog=Analog())
    assert np.array_equal(got[mapped.name], mho.number.run_reference(program.quantised, layer[1])[mapped.name])


def test_what_does_not_fit_is_refused() -> None:
    for values, words in (
        ({"array.rows_parallel": 129}, "129 rows cannot be driven together"),
        ({"array.dac_bits": 2, "array.integrated_bits": 1, "components.dac": "none"}, "2 bits of a pulse"),
        ({"array.dac_bits": 2, "array.drive": "unary", "components.dac": "none"}, "of 1 bit"),
        ({"array.input_coding": "both"}, "two_passes"),
    ):
        with pytest.raises(ChipError, match=words):
            Chip.load("aras").override(values, source="by hand")


def test_a_chip_that_names_none_of_this_keeps_its_digest() -> None:
    chip = Chip.load("aras")
    assert not any(key in chip.spec.to_dict()["array"] for key in ("rows_parallel", "convert", "adc_modes", "drive"))
    assert replace(chip.readout, adc_bits=3).share < 1


@pytest.mark.parametrize(
    ("coding", "steps"), [("offset", 8), ("two_passes", 14), ("twos_complement", 8), ("signed", 7)]
)
def test_inputs_that_may_be_negative_have_a_bit_less_on_chips_that_drive_signs(coding: str, steps: int) -> None:
    sketch, x = Sketch(0, (1, 20)), np.random.default_rng(0).uniform(-1, 1, (20, 20))
    sketch.linear(sketch.layers[0], 8)
    samples = Samples((x,), None, "drawn")
    chip = Chip.load("aras").override({"array.input_coding": coding}, source="by hand")
    program = mho.compile(mho.number.Sampled(sketch.network(), calibration=samples), chip, "overlap")
    assert program.mapping.layers[0].readout.steps == steps
    assert mho.verify(program, x).ok
    shapes = mho.compile(sketch.network(), chip, "overlap").mapping.layers[0].readout
    assert shapes.steps == steps, "what is not calibrated yet is timed as what is"


def converter_of(program: Program, analog: Analog) -> Converter:
    return Products(program, analog, "plain").converter(program.mapping.layers[0])


def test_a_conversion_that_stops_early_has_the_noise_of_its_adc() -> None:
    sketch, x = Sketch(0, (1, 20)), np.random.default_rng(0).uniform(0, 1, (2, 20))
    sketch.linear(sketch.layers[0], 8)
    chip = chip_of("offset", 2, 1, array__adc_modes="every", array__adc_bits=8)
    analog = GENERIC.override({"adc.effective_bits": 6.5})
    whole, early = (
        converter_of(program_of(sketch, x, chip, conversion=choice), analog)
        for choice in ("chip", {"choice": "below", "fewer": 2})
    )
    assert whole.noise == pytest.approx(np.sqrt((4**1.5 - 1) / 12))
    assert early.high == 15 and early.noise == pytest.approx(whole.noise / 16)
    with pytest.raises(AnalogError, match="more than the 8 bits"):
        converter_of(program_of(sketch, x, chip), GENERIC.override({"adc.effective_bits": 8.5}))


@given(st.integers(1, 300), st.integers(1, 80), st.integers(1, 16), st.sampled_from([1, 2, 4]))
def test_arrays_are_those_of_the_bits(rows: int, columns: int, bits: int, cell_bits: int) -> None:
    sketch = Sketch(0, (1, rows))
    sketch.linear(sketch.layers[0], columns)
    chip = chip_of("offset", cell_bits, 1, group__arrays=1, array__columns=16 * 9 * 5 * 7)
    mapping = Dense().mapped(sketch.network(), chip, {"linear1": LayerBits(bits, 8)})
    cells = ceil(bits / cell_bits)
    assert mapping.arrays == ceil(rows / chip.array.rows) * ceil(columns * cells / chip.array.columns)


def test_reports_tell_the_bits_of_each_layer_and_of_its_conversions() -> None:
    sketch = Sketch(0, (1, 20))
    sketch.linear(sketch.linear(sketch.layers[0], 40), 8)
    chip = Chip.load("isaac").override({"array.adc_modes": "every"}, source="by hand")
    strategy = mho.Strategy.load("overlap").with_({"coding.bits": "linear1=4/6", "conversion": "exact"})
    report = mho.simulate(mho.compile(sketch.network(), chip, strategy))
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(report.to_dict())))
    (_, first, second) = report.to_dict()["layers"]
    assert [first[key] for key in ("weight_bits", "input_bits", "adc_bits")] == [4, 6, 5]
    assert [second[key] for key in ("weight_bits", "input_bits", "adc_bits")] == [8, 8, 6]
    heads, lines = next(
        (part.heads, part.lines) for part in view(report).sections if "ADC bits" in getattr(part, "heads", ())
    )
    assert [line[-2:] for line in lines][-2:] == [("4/6", "5"), ("8/8", "6")] and heads[-2:] == ("bits", "ADC bits")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"array.adc_modes": "every"}, "takes b / B"),
        ({"array.adc_modes": "every", "array.adc_kind": "ramp"}, "takes 2^b / 2^B"),
        ({"array.rows_parallel": 32}, "rows that take turns"),
        ({"array.input_coding": "signed"}, "with either sign"),
        ({"array.input_coding": "two_passes"}, "each pass"),
        ({"array.integrated_bits": 4}, "summing the charge"),
    ],
)
def test_what_is_assumed_of_reading_is_told_in_every_report(values: dict[str, Any], words: str) -> None:
    sketch = Sketch(0, (1, 20))
    sketch.linear(sketch.layers[0], 8)
    chips = Chip.load("isaac"), Chip.load("isaac").override(values, source="by hand")
    told = [
        any(words in note for note in mho.simulate(mho.compile(sketch.network(), chip)).to_dict()["notes"])
        for chip in chips
    ]
    assert told == [False, True]
