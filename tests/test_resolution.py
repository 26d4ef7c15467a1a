"""Which sums a chip's converters resolve: the sentence and the execution agree."""

from __future__ import annotations

from html import unescape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import mho
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding
from mho.chip.describe import full_column
from mho.explore import Comparison
from mho.machine.analog import Analog, Signals
from mho.machine.resolution import resolution
from mho.mapping.coding import block_levels
from mho.network.graph import Network
from mho.network.layers import Array, Input, Linear
from mho.network.samples import synthetic
from mho.program import Program
from mho.report.views import page as render_html
from mho.report.views import show
from tests.strategies import GREEDY, chips, networks

few = settings(max_examples=15)


def with_adc(chip: Chip, bits: int) -> Chip:
    """The chip with ADCs of so many bits, whose energy nobody asks for."""
    return chip.override({"array.adc_bits": bits, "components.adc": "none"}, source="drawn")


def linear(weights: np.ndarray) -> Network:
    """A network of one linear layer, weights (outputs, inputs)."""
    outputs, inputs = weights.shape
    return Network(
        "one",
        (
            Input(name="x", inputs=(), shape=(1, inputs)),
            Linear(name="y", inputs=("x",), shape=(1, outputs), weight=Array.of(weights.astype(np.float32))),
        ),
        ("y",),
        "drawn (synthetic)",
    )


def ones_and_units(inputs: int) -> np.ndarray:
    """Inputs of which codes are all 255, all 1, or a single 1: their range, 0 to 1, makes a code of 1 stand for 1/255."""
    return np.concatenate([np.ones((1, inputs)), np.full((1, inputs), 1 / 255), np.eye(inputs) / 255])


@few
@given(networks, chips(), st.integers(-3, 1))
def test_a_layer_that_is_resolved_is_exact_with_the_chips_own_converters(
    network: Network, chip: Chip, more: int
) -> None:
    samples = synthetic(network, 2, seed=1).inputs
    quantised = mho.number.quantise(network, samples)
    needed = [layer.bits for layer in resolution(mho.compile(quantised, chip, GREEDY.with_(schedule="naive"))).layers]
    bits = min(max(sorted(needed)[len(needed) // 2] + more, 2), 24)
    program = mho.compile(quantised, with_adc(chip, bits), GREEDY.with_(schedule="naive"))
    found, signals = resolution(program), Signals()
    mho.execute(program, samples, analog=Analog(), signals=signals)
    assert {layer.name for layer in found.layers} == {layer.name for layer in signals.layers}
    assert found.resolved == sum(each <= bits for each in needed)
    short = {layer.name for layer in found.short}
    for layer in signals.layers:
        if layer.name not in short:
            assert layer.clipped == 0
            assert layer.noise == 0
    verdict = mho.verify(program, samples, losses=True)
    assert verdict.ok
    if found.complete:
        assert "bit-exact, and this chip's converters resolve every sum" in str(verdict)
        assert verdict.losses is not None
        assert verdict.losses.rounded == verdict.losses.clipped == 0
    else:
        wanted = (
            f"bit-exact with converters that resolve every sum; this chip's resolve {found.resolved} of {len(needed)}"
        )
        assert wanted in str(verdict)


@settings(max_examples=30)
@given(
    st.sampled_from(CODINGS), st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from([1, 2, 4]), st.integers(1, 40),
    st.integers(0, 2**16),
)  # fmt: skip
def test_a_layer_that_is_short_has_inputs_that_lose_and_one_bit_more_has_none(
    coding: str, cell_bits: int, dac_bits: int, rows: int, seed: int
) -> None:
    chip = Chip.load("aras").override(
        {
            "array.rows": 24, "array.cell_bits": cell_bits, "array.coding": coding, "array.dac_bits": dac_bits,
            "array.pulses_full_range": 255, "components.dac": "none", "components.adc": "none",
        },
        source="drawn",
    )  # fmt: skip
    x = ones_and_units(rows)
    net = linear(np.random.default_rng(seed).standard_normal((8, rows)))
    quantised = mho.number.quantise(net, x, symmetric=coding == "sign_magnitude")
    (layer,) = resolution(mho.compile(quantised, chip, GREEDY.with_(schedule="naive"))).layers
    signed = coding in ("differential", "sign_magnitude")
    assert 2 ** (layer.bits - signed) - 1 >= layer.largest
    assert layer.largest > 2 ** (layer.bits - signed - 1) - 1 or layer.bits == 1 + signed
    assert layer.largest_held is not None
    assert layer.largest_held <= layer.largest

    def execution(bits: int) -> tuple[Program, Signals]:
        signals = Signals()
        program = mho.compile(quantised, with_adc(chip, bits), GREEDY.with_(schedule="naive"))
        mho.execute(program, x, analog=Analog(), signals=signals)
        return program, signals

    program, signals = execution(layer.bits)
    assert resolution(program).complete
    assert signals.layers[0].noise == signals.layers[0].clipped == 0
    if layer.bits - 1 >= 1 + signed:
        program, _ = execution(layer.bits - 1)
        assert resolution(program).short == resolution(program).layers
        verdict = mho.verify(program, x, losses=True)
        assert verdict.ok
        assert verdict.losses is not None
        # A column that holds nothing but multiples of a step may pass whole, where there are few cells to see.
        assert verdict.losses.rounded > 0 or layer.largest_held <= rows


@settings(max_examples=60)
@given(st.sampled_from(CODINGS), st.integers(1, 8), st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**16))
def test_no_weights_fill_a_column_more_than_is_said_and_some_fill_it_so(
    coding: str, weight_bits: int, cell_bits: int, rows: int, seed: int
) -> None:
    code = Coding(coding, max(weight_bits, 2) if coding == "sign_magnitude" else weight_bits, cell_bits)  # type: ignore[arg-type]
    weight_bits = code.weight_bits
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, 2**weight_bits, (rows, 64))
    # Columns of the fullest code in some of their rows, and of nothing in the others.
    fullest = int(code.table.max(axis=1).argmax())
    stairs = np.where(np.arange(rows)[:, None] < np.arange(rows + 1), fullest, code.base)
    sums = [int(block_levels(laid.astype(np.uint8), code)[0].sum(axis=0, dtype=int).max()) for laid in (drawn, stairs)]
    assert sums[0] <= code.fullest(rows)
    full = int(code.table.max()) == code.highest
    if not code.inverts or full:
        # Half of an odd number of levels is not a whole number of the highest ones.
        assert code.fullest(rows) - (code.highest if code.inverts else 0) <= sums[1] <= code.fullest(rows)
    # Rows that are driven but hold no weight of a column add nothing to it, unless it is stored inverted.
    assert code.fullest(rows, rows + 5) <= rows * int(code.table.max())


@pytest.mark.parametrize(("preset", "largest", "bits"), [("aras", 384, 9), ("isaac", 192, 8), ("recross", 384, 9)])
def test_a_full_array_of_the_presets(preset: str, largest: int, bits: int) -> None:
    chip = Chip.load(preset)
    assert full_column(chip) == (largest, bits)
    derived = chip.describe()["derived"]
    assert (derived["largest_sum"], derived["adc_bits_needed"]) == (largest, bits)


def test_digits_of_squeezed_layers_go_by_their_own_rows_and_masks() -> None:
    generator = np.random.default_rng(1)
    network = linear(generator.integers(-7, 8, (20, 150)))
    samples = np.abs(generator.standard_normal((4, 150)))
    quantised = mho.number.quantise(network, samples, symmetric=True)
    chip = Chip.load("sme")
    (layer,) = resolution(mho.compile(quantised, chip, GREEDY.with_(schedule="naive", mapping="squeezed"))).layers
    assert layer.largest_held is not None
    assert layer.largest_held <= layer.largest <= chip.array.rows * (chip.levels - 1)
    for bits, short in ((layer.bits, False), (layer.bits - 1, True)):
        program = mho.compile(quantised, with_adc(chip, bits), GREEDY.with_(schedule="naive", mapping="squeezed"))
        signals = Signals()
        mho.execute(program, samples, analog=Analog(), signals=signals)
        assert bool(resolution(program).short) == short
        assert bool(signals.layers[0].noise) == short


def test_reports_say_it_worst_layer_first_and_layer_by_layer() -> None:
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="naive")))
    told = report.to_dict()["converters"]
    assert (told["adc_bits"], told["adc_bits_needed"], told["layers"], told["short"]) == (6, 9, 20, 20)
    assert told["worst"]["largest_sum"] == 128 * 3
    assert told["resolved_as_held"] is None
    by_name = {layer["name"]: layer for layer in report.layers()}
    # 27 rows of 2-bit cells: 81 < 2^7.
    assert (by_name["conv1"]["largest_sum"], by_name["conv1"]["adc_bits_needed"]) == (81, 7)
    assert by_name["fc"]["largest_sum"] == 64 * 3
    enough = Chip.load("aras").override({"array.adc_bits": 8, "components.adc": "none"}, source="test")
    partly = mho.simulate(mho.compile(mho.zoo.load("resnet20"), enough, GREEDY.with_(schedule="naive"))).resolution
    assert (partly.resolved, len(partly.short)) == (2, 18)
    assert "8-bit converters fall short in 18 of 20 layers (at most 9 bits in 'layer1.0.conv1'" in str(partly)


def test_green_never_stands_alone_where_converters_fall_short() -> None:
    x = ones_and_units(40)
    quantised = mho.number.quantise(linear(np.random.default_rng(1).standard_normal((8, 40))), x)
    # 40 rows of 2-bit cells: 120 < 2^7.
    for bits, words, colour in (
        (6, "fall short in 1 of 1 layer", "warn"),
        (7, "resolve every sum of 1 layer", "soft"),
    ):
        program = mho.compile(quantised, with_adc(Chip.load("aras"), bits), GREEDY.with_(schedule="naive"))
        verdict = mho.verify(program, x, losses=True)
        report = mho.simulate(program, verified=verdict)
        page, console = render_html(report), Console(width=300, record=True)
        show(report, console)
        text, sentence = console.export_text(), str(report.resolution)
        assert words in sentence and sentence in text and sentence in unescape(page)
        assert f'<p class="badge {colour}">{bits}-bit converters' in page
        assert '<p class="badge good">executed' in page
        assert str(verdict.losses) in text and str(verdict.losses) in unescape(page)
        assert f'<p class="badge {colour}">{bits}-bit converters' in render_html(Comparison.between(report))
        measured = report.to_dict()["converters"]["measured"]
        assert (measured["rounded"] > 0) == (colour == "warn") and measured["samples"] == len(x)
