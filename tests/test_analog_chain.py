"""Analog execution against an independent chain (`analog_chain.py`), and its noise and errors against what is stated of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding
from mho.machine.analog import Analog, Signals
from mho.machine.analog.columns import programmed
from mho.machine.analog.sensing import Sensing
from mho.machine.fabric import Fabric
from mho.network.layers import Affine
from mho.number import QuantisedMatrix, QuantisedNetwork
from mho.number.bits import LayerBits
from mho.program import Program, Write
from mho.program.instructions import members
from tests.analog_chain import Chain, Sums, homes, significances
from tests.strategies import GREEDY, Sketch

some = settings(max_examples=50)
GENERIC = Analog.from_dict({"schema": "mho.analog/1", "device": "generic"})
CELL_BITS = st.sampled_from([1, 2, 3, 4, 8])
DAC_BITS = st.sampled_from([1, 2, 3, 4, 8])


def chip_of(coding: str, cell_bits: int, dac_bits: int, **more: object) -> Chip:
    """A chip of two arrays a group; keys with __ for dots."""
    values = {
        "array.coding": coding, "array.cell_bits": cell_bits, "array.pulses_full_range": max(60, 2**cell_bits - 1),
        "array.dac_bits": dac_bits, "components.dac": "none", "array.adcs": 1, "group.arrays": 2, "tile.groups": 2, "tiles": 40,
    }  # fmt: skip
    return Chip.load("aras").override({**values, **{k.replace("__", "."): v for k, v in more.items()}}, source="hand")


def with_bits(quantised: QuantisedNetwork, bits: LayerBits, least: int = 0) -> QuantisedNetwork:
    """The same network with the upper bits of its 8-bit codes alone, of weights (from `least` on) and of what layers read."""
    w, x = max(8 - bits.weights, 0), 8 - bits.inputs
    matrices = {
        name: replace(
            matrix,
            codes=np.maximum(matrix.codes >> w, least).astype(np.uint8),
            zero=matrix.zero >> w,
            scale=matrix.scale * 2.0**w,
            bits=8 - w,
        )
        for name, matrix in quantised.matrices.items()
    }
    if bits.weights > 8:
        matrices = {name: widened(matrix, bits.weights) for name, matrix in quantised.matrices.items()}
    read = {layer.inputs[0] for layer in quantised.network.matrix_layers}
    codes = {
        name: Affine(code.scale * 2.0**x, code.zero >> x, 0, code.high >> x) if name in read else code
        for name, code in quantised.codes.items()
    }
    return replace(quantised, matrices=matrices, codes=codes, input_bits=dict.fromkeys(read, 8 - x) if x else {})


def widened(matrix: QuantisedMatrix, bits: int) -> QuantisedMatrix:
    """Codes of more than 8 bits, drawn bits behind those that are there."""
    more = bits - 8
    low = np.random.default_rng(bits).integers(0, 2**more, matrix.codes.shape, dtype=np.uint16)
    codes, zero = (matrix.codes.astype(np.uint16) << more) + low, matrix.zero << more
    return replace(matrix, codes=codes, zero=zero, scale=matrix.scale * 2.0**-more, bits=bits)


def program_of(sketch: Sketch, x: np.ndarray, chip: Chip, residency: str = "auto", **more: Any) -> Program:
    quantised = mho.number.quantise(sketch.network(), x, symmetric=chip.array.coding == "sign_magnitude")
    quantised = with_bits(quantised, more.pop("bits", LayerBits()), chip.coding.least_code)
    return mho.compile(quantised, chip, GREEDY.with_(schedule="overlap", residency=residency, **more))


def executed(program: Program, x: np.ndarray, analog: Analog) -> tuple[np.ndarray, Signals]:
    """The integer sums of a one-layer program's only layer, and its signals."""
    (mapped,) = program.mapping.layers
    quantised, signals, layer = program.quantised, Signals(), program.network.layers[mapped.index]
    assert quantised is not None
    matrix = quantised.matrices[mapped.name]
    got = mho.execute(program, x, analog=analog, signals=signals)[mapped.name]
    shape = (-1, 1, 1) if layer.kind == "convolution" else (-1,)
    bias = 0 if matrix.bias is None else matrix.bias.reshape(shape)
    scale = quantised.codes[layer.inputs[0]].scale * matrix.scale
    return (got - bias) / (scale.reshape(shape) if scale.ndim else scale), signals


def check(program: Program, x: np.ndarray, analog: Analog, *, within_slack: bool = False) -> Sums:
    """Compare an execution with the chain."""
    wanted = Chain(program, analog, rounded=not within_slack).sums(x)
    got, signals = executed(program, x, analog)
    # Float64 adds and scales; a code too many or too few would count for a step at least.
    allowed = 1e-9 * (1 + np.abs(wanted.values).max()) + (wanted.slack if within_slack else 0)
    assert np.all(np.abs(got - wanted.values) <= allowed)
    (layer,) = signals.layers
    assert layer.conversions == wanted.conversions
    if analog.adc.bits != "ideal":
        assert layer.clipped == wanted.clipped
    return wanted


@st.composite
def layers(draw: st.DrawFn, most: int = 40) -> tuple[Sketch, np.ndarray]:
    """A linear layer, or a convolution of any grouping, with two or three samples of dense or sparse inputs of any sign."""
    kind = draw(st.sampled_from(["linear", "convolution", "grouped", "depthwise"]))
    sketch = Sketch(draw(st.integers(0, 2**16)), (1, draw(st.integers(1, most))))
    if kind == "linear":
        shape = (3, sketch.layers[0].shape[1])
        sketch.linear(sketch.layers[0], draw(st.integers(1, 12)))
    else:
        channels, size = draw(st.sampled_from([2, 4])), draw(st.integers(3, 5))
        sketch = Sketch(draw(st.integers(0, 2**16)), (1, channels, size, size))
        groups = {"convolution": 1, "grouped": 2, "depthwise": channels}[kind]
        kernel, stride, padding = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2])), draw(st.integers(0, 1))
        sketch.convolution(sketch.layers[0], groups * draw(st.integers(1, 3)), kernel, stride, padding, 1, groups)
        shape = (2, channels, size, size)
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = generator.uniform(draw(st.sampled_from([-1.0, 0.0])), 1, shape)
    return sketch, x * (generator.random(shape) < draw(st.sampled_from([1.0, 0.3])))


@st.composite
def chips(draw: st.DrawFn, rows: st.SearchStrategy[int]) -> Chip:
    coding, cell_bits = draw(st.sampled_from(CODINGS)), draw(CELL_BITS)
    levels = draw(st.integers(2 ** (cell_bits - 1) + 1, 2**cell_bits)) if coding != "flipped" else 2**cell_bits
    stacked = Coding(coding, 8, 2).pairs and draw(st.booleans())
    cells, more = Coding(coding, 8, cell_bits, levels, stacked).cell_columns, {}
    if stacked:
        more, rows = {"array__pairs": "rows"}, rows.map(lambda rows: rows + 1)
    return chip_of(
        coding, cell_bits, draw(DAC_BITS), array__cell_levels=levels, array__rows=draw(rows),
        array__columns=draw(st.integers(cells, 6 * cells + 1)),
        group__arrays=draw(st.integers(1, 3)), **more,
    )  # fmt: skip


@st.composite
def converters(draw: st.DrawFn, chip: Chip) -> dict[str, object]:
    """ADCs from such that nearly everything clips to such that nothing is lost."""
    adc: dict[str, object] = {
        "bits": draw(st.integers(2, 12)),
        "range": draw(st.sampled_from(["full", "fixed", "calibrated"])),
    }
    if adc["range"] == "fixed":
        adc["limit"] = draw(st.sampled_from([2.0 ** int(str(adc["bits"])) - 1, 10.5, 100.0]))
    return adc


def analog_of(adc: dict[str, object], program: Program, draw: st.DrawFn, **more: object) -> Analog:
    """An analog side whose range, where it is calibrated, has a limit for each slice of the only layer."""
    content: dict[str, object] = {"schema": "mho.analog/1", "adc": adc, "device": "generic", **more}
    if adc["range"] == "calibrated":
        (mapped,) = program.mapping.layers
        slices = len(significances(program.chip.array.coding, program.chip.levels))
        content["limits"] = {mapped.name: draw(st.lists(st.floats(0.5, 300), min_size=slices, max_size=slices))}
    return Analog.from_dict(content)


@some
@given(layers(), chips(st.integers(1, 40)), st.data(), st.booleans())
def test_exact_devices_give_what_the_chain_gives(
    layer: tuple[Sketch, np.ndarray], chip: Chip, data: st.DataObject, digital: bool
) -> None:
    program = program_of(layer[0], layer[1], chip)
    analog = analog_of(data.draw(converters(chip)), program, data.draw)
    if digital:
        analog = analog.override({"pedestal": "digital", "device.on_off": 8.0})
    check(program, layer[1], analog)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("bits", [4, 7, 12])
def test_exact_devices_in_hundreds_of_rows(coding: str, bits: int) -> None:
    generator = np.random.default_rng(bits)
    sketch, x = Sketch(bits, (1, 700)), generator.uniform(-1, 1, (3, 700))
    sketch.linear(sketch.layers[0], 11)
    program = program_of(sketch, x, chip_of(coding, 2, 2, array__rows=300, array__columns=64))
    check(program, x, GENERIC.override({"adc.bits": bits}))
    check(program, x, GENERIC.override({"adc.bits": bits, "adc.range": "fixed", "adc.limit": 200.0}))


@some
@given(
    layers(), chips(st.integers(1, 40)), st.data(), st.sampled_from(["analog", "digital", "reference"]),
    st.sampled_from(["auto", "never"]),
)  # fmt: skip
def test_drawn_devices_give_what_the_chain_gives(
    layer: tuple[Sketch, np.ndarray], chip: Chip, data: st.DataObject, pedestal: str, residency: str
) -> None:
    if pedestal == "reference" and chip.coding.pairs:
        pedestal = "analog"
    elif pedestal == "reference":
        chip = chip.override({"array.reference": "column", "components.array": "none"}, source="drawn")
    if residency == "never":
        # Too small for the layer: groups are written again and again.
        chip = chip.override({"tiles": 1}, source="drawn")
    program = program_of(layer[0], layer[1], chip, residency)
    analog = analog_of(data.draw(converters(chip)), program, data.draw, seed=data.draw(st.integers(0, 99)))
    analog = analog.override(
        {
            "pedestal": pedestal, "device.on_off": 8.0, "device.programming.sigma": 0.1,
            "device.stuck.on_share": 0.05, "device.stuck.off_share": 0.05,
        }
    )  # fmt: skip
    # The same grid, the same codes; and without ADC, sums beside the true ones by no more than rounding to the grid.
    check(program, layer[1], analog)
    ideal = {"adc.bits": "ideal", "adc.range": "full", "adc.limit": None, "adc.percentile": None}
    check(program, layer[1], analog.override(ideal), within_slack=True)


@pytest.mark.parametrize("drive", ["left", "both"])
@pytest.mark.parametrize(
    "coding",
    [*CODINGS, "differential in rows", "sign_magnitude in rows", "offset with reference", "flipped with reference"],
)
def test_wires_give_what_the_chain_gives(coding: str, drive: str) -> None:
    coding, _, word = coding.partition(" ")
    more = {"": {}, "in rows": {"array__pairs": "rows"}, "with reference": {"array__reference": "column"}}[word]
    # 50 rows in arrays of 33, 17 columns in groups of two arrays of 6 or fewer weights: blocks that fill arrays in part.
    sketch, x = Sketch(3, (1, 50)), np.random.default_rng(1).uniform(-1, 1, (3, 50))
    sketch.linear(sketch.layers[0], 17)
    program = program_of(sketch, x, chip_of(coding, 2, 2, array__rows=33, array__columns=25, **more))
    values = {
        "adc.bits": "ideal", "wires.row_ohm": 20.0, "wires.column_ohm": 35.0, "wires.method": "exact", "wires.drive": drive,
        "device.on_off": 20.0, "device.programming.sigma": 0.05,
        "pedestal": "reference" if word == "with reference" else "analog",
    }  # fmt: skip
    analog = GENERIC.override(values)
    found = check(program, x, analog, within_slack=True)
    # Wires do much more than rounding: each resistance matters by itself.
    for without in ({"wires.row_ohm": 0.0}, {"wires.column_ohm": 0.0}):
        less = Chain(program, analog.override(without), rounded=False).sums(x)
        assert np.abs(less.values - found.values).max() > 20 * found.slack.max()


@pytest.mark.parametrize("coding", ["offset", "flipped", "differential"])
@pytest.mark.parametrize(("dac_bits", "effective"), [(2, 6.0), (2, 5.0), (1, 6.0)])
def test_effective_bits_add_the_noise_that_is_stated(coding: str, dac_bits: int, effective: float) -> None:
    # All inputs at code 255, so that all digits are as high as they can be. Each conversion adds noise of variance
    # step^2 (4^(8 - effective) - 1) / 12, and rounding, which noise of more than a step makes uniform and independent of it (to
    # exp(-2 pi^2 1.25), 1e-11): step^2 / 12 more. A sum weighs them by the square of 2^(dac_bits p) times that of its slice.
    rows, outputs, samples = 100, 16, 100
    sketch, x = Sketch(5, (1, rows)), np.ones((samples, rows))
    sketch.linear(sketch.layers[0], outputs)
    program = program_of(sketch, x, chip_of(coding, 2, dac_bits, array__rows=rows, array__columns=128))
    limit = 500.0 * (2**dac_bits - 1)
    values = {"adc.bits": 8, "adc.range": "fixed", "adc.limit": limit, "adc.effective_bits": effective}
    exact, _ = executed(program, x, GENERIC.override({"adc.bits": "ideal"}))
    got, signals = executed(program, x, GENERIC.override(values))
    assert signals.layers[0].clipped < 1e-3 * signals.layers[0].conversions
    step = limit / (127 if coding == "differential" else 255)
    weights = sum(4.0 ** (dac_bits * p) * s**2 for p in range(8 // dac_bits) for s in significances(coding, 4))
    wanted = step**2 * ((4.0 ** (8 - effective) - 1) / 12 + 1 / 12) * weights
    # The variance of n draws that are normal, or flatter, has a standard error of at most sqrt(2 / n) of itself; five of them.
    assert abs(np.mean((got - exact) ** 2) / wanted - 1) < 5 * np.sqrt(2 / got.size)


@pytest.mark.parametrize("coding", ["offset", "flipped", "differential", "twos_complement"])
@pytest.mark.parametrize(("dac_bits", "bits"), [(2, "ideal"), (4, "ideal"), (1, 16), (2, 16)])
def test_read_noise_has_the_variance_that_is_stated(coding: str, dac_bits: int, bits: int | str) -> None:
    # A conversion's noise is sum of d_i^2 sigma^2, sigma = 0.02 x 3 levels, twice that for a pair of cells; an ADC of 16 bits with
    # steps of 1/100 of a level adds step^2 / 12. A sum weighs it by the square of 2^(dac_bits p) times that of its slice.
    rows, outputs, samples, sigma = 30, 16, 100, 0.02
    generator = np.random.default_rng(4)
    sketch, x = Sketch(5, (1, rows)), generator.uniform(-1, 1, (samples, rows))
    sketch.linear(sketch.layers[0], outputs)
    program = program_of(sketch, x, chip_of(coding, 2, dac_bits, array__rows=rows, array__columns=128))
    analog, step = GENERIC.override({"adc.bits": "ideal", "device.read.sigma": sigma}), 0.0
    if bits != "ideal":
        step = 0.01
        high = 2**15 - 1 if coding == "differential" else 2**16 - 1
        analog = analog.override({"adc.bits": bits, "adc.range": "fixed", "adc.limit": step * high})
    exact, _ = executed(program, x, GENERIC.override({"adc.bits": "ideal"}))
    got, signals = executed(program, x, analog)
    assert signals.layers[0].clipped < 1e-3 * signals.layers[0].conversions
    driven = Chain(program, analog).windows(x)[0, :, 0]
    wanted = np.zeros(samples)
    for p in range(8 // dac_bits):
        digits = driven // 2 ** (dac_bits * p) % 2**dac_bits
        cells = (digits**2).sum(axis=1) * (2 if coding == "differential" else 1)
        wanted += 4.0 ** (dac_bits * p) * (cells * (3 * sigma) ** 2 + step**2 / 12)
    wanted *= sum(s**2 for s in significances(coding, 4))
    ratios = (got - exact) ** 2 / wanted[:, None]
    # Each ratio is the square of a nearly normal deviate, of mean 1 and variance 2 (flatter ones less); five standard errors.
    assert abs(ratios.mean() - 1) < 5 * np.sqrt(2 / ratios.size)


@pytest.mark.parametrize("cell_bits", [8, 4])
@pytest.mark.parametrize("kind", ["gain", "offset"])
def test_errors_belong_to_converters(kind: str, cell_bits: int) -> None:
    # One conversion a column (8-bit DACs) of 6 rows, all inputs at code 255; 4 ADCs for 16 columns of cells. A block of one group
    # has two arrays of 16 weights (8-bit cells) or 8 (4-bit cells); neighbours share an ADC, 4 or 2 weights each.
    slices = 8 // cell_bits
    weights, shared = 16 // slices, 4 // slices
    groups = 40
    sketch, x = Sketch(6, (1, 6)), np.ones((1, 6))
    sketch.linear(sketch.layers[0], groups * 2 * weights)
    chip = chip_of("offset", cell_bits, 8, array__rows=6, array__columns=16, array__adcs=4)
    program = program_of(sketch, x, chip)
    assert len({group for _, group in homes(program)}) == groups
    spread = 0.05 if kind == "gain" else 5000.0
    # An ADC of 20 bits, full at 8 times the largest sum: neither errors clip nor does rounding matter.
    limit = 8.0 * 6 * 255 * (2**cell_bits - 1)
    step = limit / (2**20 - 1)
    values = {"adc.bits": 20, "adc.range": "fixed", "adc.limit": limit, f"adc.{kind}_error": spread}
    exact, _ = executed(program, x, GENERIC.override({"adc.bits": "ideal"}))
    got, signals = executed(program, x, GENERIC.override(values))
    assert signals.layers[0].clipped == 0
    errors = got[0] - exact[0]
    # What the gain works on are the sums of plain codes; all slices of a weight meet the same ADC.
    digits = sum(significances("offset", 2**cell_bits))
    assert program.quantised is not None
    codes = program.quantised.matrices[program.mapping.layers[0].name].codes[0].astype(np.int64)
    size = 255.0 * codes.sum(axis=0) if kind == "gain" else np.full(len(codes[0]), step * digits)
    # Rounding is at most half a step for each slice, and float32 adds a 2^-23 of the sum on its way.
    slack = (0.5 * step * digits + 2.0**-22 * 255.0 * codes.sum(axis=0)) / size
    found = np.full((groups, 2, 4, shared), np.nan)
    for number, (block, _) in enumerate(homes(program)):
        found[number] = (errors / size)[slice(*block.columns)].reshape(2, 4, shared)
    assert np.ptp(found, axis=-1).max() <= 2 * slack.max()
    each = np.sort(found.mean(axis=-1).ravel())
    # Of n ADCs with errors of their own, some are alike to within rounding by chance: of n (n - 1) / 2 pairs the share that the
    # density of the difference of two normal deviates allows, 1 / (2 sqrt(pi) spread) at its peak; a Poisson number, five
    # standard errors. If any two arrays, groups or places shared their ADCs, half of all would be.
    alike = np.count_nonzero(np.diff(each) <= 2 * slack.max())
    by_chance = each.size**2 / 2 * 4 * slack.max() / (2 * np.sqrt(np.pi) * spread)
    assert alike <= by_chance + 5 * np.sqrt(by_chance) + 1
    assert by_chance + 5 * np.sqrt(by_chance) + 1 < each.size / 4
    # The root mean square of n normal draws has a standard error of 1 / sqrt(2 n) of itself; five of them.
    assert abs(np.sqrt(np.mean(each**2)) / spread - 1) < 5 / np.sqrt(2 * each.size)


def rewritten(seed: int, analog: Analog) -> list[tuple[np.ndarray, ...]]:
    """For each pair of writes to the same group of a chip that is too small, their common cells: levels and conductances, before
    and after.
    """
    sketch, x = Sketch(seed, (1, 90)), np.random.default_rng(seed).uniform(-1, 1, (1, 90))
    sketch.linear(sketch.layers[0], 30)
    program = program_of(sketch, x, chip_of("offset", 2, 2, array__rows=32, array__columns=32, tiles=1), "never")
    fabric, found, sizes = Fabric(program), [], {}
    before: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    (mapped,) = program.mapping.layers
    sensing = Sensing(program.chip, mapped.blocks.shape, analog)
    for number, instruction in enumerate(program.instructions):
        if not isinstance(instruction, Write):
            continue
        fabric.write(number)
        for index, group in zip(range(*mapped.within(instruction.blocks)), members(instruction.groups), strict=True):
            block, content = mapped.blocks.block(index), fabric.held[group]
            now = content.levels, programmed(content, group, sensing)
            if group in before:
                at = np.s_[: min(sizes[group][0], block.height), : min(sizes[group][1], block.width) * 4]
                found.append((before[group][0][at], now[0][at], before[group][1][at], now[1][at]))
            before[group], sizes[group] = now, (block.height, block.width)
    return found


def test_faults_stay_with_their_cells_when_they_are_written_again() -> None:
    # With variation, only a cell that is stuck conducts exactly what the lowest or the highest level should.
    shares = 0.1
    analog = GENERIC.override(
        {
            "device.programming.sigma": 0.02,
            "device.on_off": 3.0,
            "device.stuck.on_share": shares,
            "device.stuck.off_share": shares,
        }
    )
    below = analog.device.pedestal(2)
    pairs = rewritten(1, analog)
    assert len(pairs) > 3
    stuck = 0
    for _, _, before, after in pairs:
        for level in (0, 3):
            assert np.array_equal(before == below + level, after == below + level)
            stuck += int((after == below + level).sum())
    cells = sum(after.size for *_, after in pairs)
    assert 0.5 * 2 * shares * cells < stuck < 1.5 * 2 * shares * cells


def test_cells_that_get_no_pulse_keep_what_they_conduct() -> None:
    pairs = rewritten(2, GENERIC.override({"device.programming.sigma": 0.02, "device.on_off": 3.0}))
    assert len(pairs) > 3
    for old, new, before, after in pairs:
        # Each draw is a real number of its own: equal where no pulse was given, and only there.
        assert np.array_equal(before == after, old == new)
        assert 0 < (old == new).mean() < 1
