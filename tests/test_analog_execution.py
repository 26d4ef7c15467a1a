"""Analog execution: exact where nothing can be lost, the same whatever the order, and as wrong as statistics say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import AnalogError, DeviceError, OptionError
from mho.machine import account, time_program, wear
from mho.machine.analog import Analog, Signals
from mho.machine.calibration import calibrate
from mho.machine.functional import Executor
from mho.network.graph import Network
from mho.network.layers import Array, Linear
from mho.network.samples import synthetic
from mho.program import Activate, Program
from tests.strategies import ALL_CODES, GREEDY, Sketch, chips, networks

few = settings(max_examples=25)
GENERIC = Analog.from_dict({"schema": "mho.analog/1", "device": "generic"})


def driven_by(chip: Chip, dac_bits: int) -> Chip:
    """The chip with DACs of so many bits, whose energy nobody asks for."""
    return chip.override({"array.dac_bits": dac_bits, "components.dac": "none"}, source="drawn")


def program_of(network: Network, chip: Chip, samples: tuple[np.ndarray, ...], schedule: str = "overlap") -> Program:
    return mho.compile(mho.number.quantise(network, samples), chip, GREEDY.with_(schedule=schedule))


@few
@given(networks, chips(), st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from(["overlap", "adaptive"]))
def test_ideal_devices_and_wide_adcs_are_bit_exact(network: Network, chip: Chip, dac_bits: int, schedule: str) -> None:
    chip = driven_by(chip, dac_bits)
    samples = synthetic(network, 2, seed=1).inputs
    program = program_of(network, chip, samples, schedule)
    keep = [layer.name for layer in network.matrix_layers]
    wanted = mho.number.run_reference(program.quantised, samples, keep=keep)
    signals = Signals()
    # 20 rows of 8-bit cells driven by 8 bits sum to at most 20 x 255 x 255 < 2^21: with 22 bits, signed or not, steps are 1.
    got = mho.execute(program, samples, keep=keep, analog=Analog().override({"adc.bits": 22}), signals=signals)
    for name, values in wanted.items():
        assert np.array_equal(got[name], values), name
    for layer in signals.layers:
        assert layer.clipped == 0
        assert layer.noise == 0


@few
@given(
    networks, chips(), st.sampled_from([1, 2, 4, 8]), st.integers(2, 6), st.sampled_from(["full", "fixed", "calibrated"]),
    st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.05]), st.booleans(),
)  # fmt: skip
def test_every_backend_gives_the_same(
    network: Network, chip: Chip, dac_bits: int, bits: int, kind: str, variation: float, error: float, wired: bool
) -> None:
    chip = driven_by(chip, dac_bits)
    samples = synthetic(network, 2, seed=1).inputs
    program = program_of(network, chip, samples)
    values = {
        "adc.bits": bits, "adc.range": kind, "adc.gain_error": error, "adc.offset_error": 10 * error,
        "device.programming.sigma": variation, "pedestal": "digital", "device.on_off": 20.0,
    }  # fmt: skip
    if kind == "fixed":
        values["adc.limit"] = 2.0**bits - 1
    if wired:
        values |= {"wires.row_ohm": 20.0, "wires.column_ohm": 30.0, "wires.method": "exact"}
    analog = calibrate(program, samples, GENERIC.override(values))
    signals = [Signals() for _ in range(3)]
    found = [
        mho.execute(program, samples, analog=analog, backend=backend, signals=each)
        for backend, each in zip(("plain", "compiled", "torch"), signals, strict=True)
    ]
    for other, each in zip(found[1:], signals[1:], strict=True):
        assert each.layers == signals[0].layers
        for name, wanted in found[0].items():
            assert np.array_equal(other[name], wanted), name


@few
@given(networks, chips(), st.sampled_from(["adc", "read", "programming"]), st.integers(0, 1000))
def test_draws_depend_neither_on_batches_nor_on_order(network: Network, chip: Chip, kind: str, seed: int) -> None:
    samples = synthetic(network, 3, seed=1).inputs
    program = program_of(network, chip, samples)
    values: dict[str, object] = {"seed": seed, "adc.bits": 6}
    values |= {
        "adc": {"adc.effective_bits": 4.0},
        "read": {"device.read.sigma": 0.02},
        "programming": {"device.programming.sigma": 0.1, "device.stuck.on_share": 0.05},
    }[kind]
    executor = Executor(program, GENERIC.override(values))
    whole = executor.run(samples)
    again = Executor(program, GENERIC.override(values)).run(samples, chunk=1)
    batch = network.batch
    for first in (2 * batch, 0, batch):
        part = executor.run(tuple(each[first : first + batch] for each in samples), first_sample=first)
        for name, values_of in whole.items():
            if len(values_of) == 3 * batch:
                assert np.array_equal(part[name], values_of[first : first + batch]), name
    for name, values_of in whole.items():
        assert np.array_equal(again[name], values_of)


def one_layer(inputs: int, outputs: int, weights: np.ndarray | None = None) -> Network:
    sketch = Sketch(0, (1, inputs))
    layer = sketch.linear(sketch.layers[0], outputs)
    if weights is not None:
        assert isinstance(layer, Linear)
        sketch.layers[-1] = replace(layer, weight=Array.of(weights.astype(np.float32)))
    return sketch.network()


def wide(rows: int, **more: object) -> Chip:
    """One group that holds a layer of `rows` inputs and 16 outputs without cutting it."""
    values = {
        "array.rows": rows,
        "array.columns": 256,
        "array.adcs": 1,
        "group.arrays": 2,
        "tile.groups": 4,
        "tiles": 2,
    }
    return Chip.load("aras").override({**values, **{k.replace("__", "."): v for k, v in more.items()}}, source="hand")


def sums(program: Program, inputs: np.ndarray, analog: Analog) -> np.ndarray:
    """Errors of a one-layer program's integer sums against the exact ones, (samples, outputs)."""
    layer = program.network.layers[-1].name
    matrix, code = program.quantised.matrices[layer], program.quantised.codes[program.network.layers[0].name]
    scale = code.scale * matrix.scale
    got = mho.execute(program, inputs, analog=analog)[layer]
    return (got - mho.number.run_reference(program.quantised, inputs)[layer]) / scale


def test_the_error_of_a_sum_grows_as_the_square_root_of_rows() -> None:
    # All inputs at code 255 and all weights at code 255, whose digits are all 3: each of K cells of a slice adds an independent
    # error of spread sigma x 3 levels, weighed by 255 and by the significance 64, 16, 4 or 1 of its slice.
    sigma, outputs, seeds = 0.02, 16, 30
    analog = GENERIC.override({"adc.bits": "ideal", "device.programming.sigma": sigma})
    for rows in (16, 64, 256):
        network, x = one_layer(rows, outputs, np.ones((outputs, rows))), np.ones((1, rows))
        program = mho.compile(mho.number.quantise(network, x), wide(rows), GREEDY.with_(schedule="overlap"))
        errors = np.concatenate([sums(program, x, analog.override({"seed": seed})).ravel() for seed in range(seeds)])
        wanted = 255 * sigma * 3 * np.sqrt(rows * (64**2 + 16**2 + 4**2 + 1))
        # Of n normal draws the root mean square has a standard error of 1 / sqrt(2 n) of itself; five of them.
        assert abs(np.sqrt(np.mean(errors**2)) / wanted - 1) < 5 / np.sqrt(2 * errors.size), rows


@pytest.mark.parametrize("cell_bits", [1, 2, 4])
@pytest.mark.parametrize("symmetric", [False, True])
def test_balanced_coding_beats_offset_coding_at_equal_variation(cell_bits: int, symmetric: bool) -> None:
    # With variation in proportion to conductance (log-normal) cells near off are quiet. A differential pair holds a weight of
    # small magnitude in cells near off, offset coding in cells about half on: its top digit alone errs as much as the range of
    # the weights. (With the same variation in every state a pair errs as two cells do: then it is no law, and at 4 bits untrue.)
    network = one_layer(64, 16)
    x = np.abs(np.random.default_rng(1).standard_normal((20, 64)))
    errors = {}
    for coding in ("offset", "differential"):
        chip = wide(64, array__coding=coding, array__cell_bits=cell_bits, array__columns=512)
        program = mho.compile(
            mho.number.quantise(network, x, symmetric=symmetric), chip, GREEDY.with_(schedule="overlap")
        )
        analog = GENERIC.override(
            {"adc.bits": "ideal", "device.programming.kind": "lognormal", "device.programming.sigma": 0.1}
        )
        each = [sums(program, x, analog.override({"seed": seed})) for seed in range(10)]
        errors[coding] = np.sqrt(np.mean(np.square(each)))
    assert errors["differential"] < 0.8 * errors["offset"]


def programs() -> Iterator[tuple[Program, tuple[np.ndarray, ...]]]:
    network = mho.zoo.load("resnet20", weights="seeded", input_size=8)
    samples = synthetic(network, 2, seed=3).inputs
    for coding in ALL_CODES:
        chip = Chip.load("aras").override({"array.coding": coding, "tiles": 2}, source="hand")
        yield program_of(network, chip, samples), samples


def test_conversions_are_those_that_energy_is_charged_for() -> None:
    for program, samples in programs():
        signals = Signals()
        mho.execute(program, samples, analog=Analog(), signals=signals)
        chip, runs = program.chip, len(samples[0]) // program.network.batch
        booked = account(program, time_program(program), wear(program)).entries
        price = chip.energy_per_event["adc_conversion"]
        counts = {
            program.network.layers[entry.layer].name: entry.joules / price
            for entry in booked
            if entry.component == chip.costs.event_component["adc_conversion"] and entry.kind == "compute"
        }
        for layer in signals.layers:
            units = 0
            for each in program.instructions[program.setup :]:
                if isinstance(each, Activate) and program.network.layers[each.layer].name == layer.name:
                    mapped = program.mapping.by_index[each.layer]
                    windows = each.windows[1] - each.windows[0]
                    arrays = mapped.blocks.totals(mapped.within(each.blocks)).arrays
                    units += arrays * chip.unit_columns * windows * chip.readout.all_steps
            assert layer.conversions == pytest.approx(runs * (counts[layer.name] - units), rel=1e-9)


def test_a_smaller_adc_clips_more_and_a_calibrated_one_clips_its_share() -> None:
    program, samples = next(programs())
    rates = []
    for bits in (3, 4, 5, 6, 7):
        signals = Signals()
        analog = Analog().override({"adc.bits": bits, "adc.range": "fixed", "adc.limit": 2.0**bits - 1})
        mho.execute(program, samples, analog=analog, signals=signals)
        rates.append(signals.layers[0].clip_rate)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]
    first = Signals()
    analog = Analog().override({"adc.bits": 4, "adc.range": "calibrated", "adc.percentile": 90.0})
    mho.execute(program, samples, analog=calibrate(program, samples, analog), signals=first)
    # The limit is the upper edge of a bin, so at most the rest clips, on the layer whose inputs are those of calibration.
    assert 0 < first.layers[0].clip_rate <= 0.1


def test_zero_wires_and_zero_variation_change_nothing() -> None:
    program, samples = next(programs())
    wanted = mho.execute(program, samples, analog=GENERIC.override({"adc.bits": 6}))
    wired = GENERIC.override({"adc.bits": 6, "wires.row_ohm": 0.0, "wires.column_ohm": 0.0})
    for name, values in mho.execute(program, samples, analog=wired).items():
        assert np.array_equal(values, wanted[name])


def test_wires_lose_current() -> None:
    sketch = Sketch(0, (1, 3, 8, 8))
    sketch.convolution(sketch.convolution(sketch.layers[0], 16, 3, 1, 1, 1, 1), 4, 3, 2, 1, 1, 1)
    network, chip = sketch.network(), Chip.load("aras").override({"tiles": 2}, source="hand")
    samples = synthetic(network, 2, seed=3).inputs
    program = program_of(network, chip, samples)
    signals = []
    for ohm in (0.1, 1.0, 10.0):
        found = Signals()
        analog = GENERIC.override({"adc.bits": "ideal", "wires.row_ohm": ohm, "wires.column_ohm": ohm})
        mho.execute(program, samples, analog=analog, signals=found)
        signals.append([layer.snr_db for layer in found.layers])
    # On the first layer, whose inputs are the same each time, less and less is left of the signal.
    assert signals[0][0] > signals[1][0] > signals[2][0]


def test_calibration_is_asked_for() -> None:
    program, samples = next(programs())
    with pytest.raises(AnalogError, match=r"is not calibrated; mho\.machine\.calibrate"):
        mho.execute(program, samples, analog=Analog().override({"adc.range": "calibrated"}))
    with pytest.raises(OptionError, match="unknown backend 'cuda'"):
        mho.execute(program, samples, backend="cuda")
    with pytest.raises(AnalogError, match="effective_bits"):
        mho.execute(program, samples, analog=Analog().override({"adc.effective_bits": 12.0}))
    with pytest.raises(DeviceError):
        mho.execute(
            program, samples, analog=Analog.from_dict({"schema": "mho.analog/1", "device": "hfox", "age_s": 1e9})
        )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"schema": "mho.analog/2"}, "schema: must be mho.analog/1"),
        ({"schema": "mho.analog/1", "adcs": 1}, "adcs: unknown key; did you mean adc"),
        ({"schema": "mho.analog/1", "adc": {"bit": 6}}, "adc.bit: unknown key; did you mean bits"),
        ({"schema": "mho.analog/1", "adc": {"bits": 0}}, "adc.bits: "),
        ({"schema": "mho.analog/1", "adc": {"bits": 6, "range": "fixed"}}, "adc: a limit goes with range fixed"),
        (
            {"schema": "mho.analog/1", "adc": {"bits": 6, "percentile": 99}},
            "adc: a percentile goes with range calibrated",
        ),
        ({"schema": "mho.analog/1", "adc": {"bits": 6, "per": "slice"}}, "adc: per goes with range calibrated only"),
        ({"schema": "mho.analog/1", "adc": {"bits": 6, "effective_bits": 7}}, "adc: effective_bits is at most bits, 6"),
        ({"schema": "mho.analog/1", "age_s": -1}, "age_s: "),
        ({"schema": "mho.analog/1", "wires": {"row_ohm": 1, "column_ohm": -1}}, "wires.column_ohm: "),
        ({"schema": "mho.analog/1", "device": 7}, "device: must be a preset, a file or a mapping"),
    ],
)
def test_bad_files_are_refused(content: dict[str, object], says: str) -> None:
    with pytest.raises(AnalogError) as caught:
        Analog.from_dict(content, "mine.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")
    assert "\n" not in str(caught.value)


def test_an_analog_is_what_it_says_it_is() -> None:
    analog = GENERIC.override(
        {
            "adc.bits": 6,
            "adc.range": "calibrated",
            "adc.percentile": 99.5,
            "wires.row_ohm": 2.0,
            "device.stuck.on_share": 0.1,
        }
    )
    again = Analog.from_dict(analog.to_dict())
    assert again.to_dict() == analog.to_dict()
    for key in ("adc.bit", "device.programming.sigmas", "wires", "limits"):
        with pytest.raises((AnalogError, DeviceError)):
            analog.override({key: 1})
