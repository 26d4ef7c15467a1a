"""Layers whose columns are no outputs, through a whole group: what leaves the logic is what the program computed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.network.graph import Network
from mho.network.layers import Activation, Array, Convolution, Input
from mho.program import Program
from tests.test_basis import small

pytest.importorskip("amaranth", reason="the package amaranth is not installed")

from mho import rtl

Floats = np.ndarray[Any, np.dtype[np.float64]]


def _network(outputs: int, groups: int, rng: np.random.Generator) -> Network:
    """Rows of weights of very different sizes, so that some are stored shifted, and some outputs' alone above 0."""
    weight = rng.normal(size=(groups * outputs, 12, 1, 1)) * rng.choice([0.02, 1.0], size=(1, 12, 1, 1))
    weight[:1] = abs(weight[:1]) + 0.2
    shape = (1, groups * outputs, 2, 2)
    conv = Convolution(name="conv", inputs=("x",), shape=shape, weight=Array.of(weight), convolution_groups=groups)
    relu = Activation(name="relu", inputs=("conv",), shape=shape, function="relu")
    rest = Array.of(rng.normal(size=(3, groups * outputs, 1, 1)))
    last = Convolution(name="last", inputs=("relu",), shape=(1, 3, 2, 2), weight=rest)
    layers = (Input(name="x", inputs=(), shape=(1, 12 * groups, 2, 2)), conv, relu, last)
    return Network("combined", layers, ("last",), "made (synthetic)")


def _squeezed(
    rng: np.random.Generator, chip: Chip, outputs: int, groups: int, turns: int, packing: str = "separate"
) -> tuple[Program, Floats]:
    network, x = _network(outputs, groups, rng), rng.normal(size=(2, 12 * groups, 2, 2))
    quantised = mho.number.squeeze(mho.number.quantise(network, x, symmetric=True, requantise=24), 2)
    strategy = mho.Strategy().with_({"mapping": "squeezed", "mapping.packing": packing, "mapping.turns": turns})
    return mho.compile(quantised, chip, strategy), x


def _based(
    rng: np.random.Generator, chip: Chip, outputs: int, groups: int, combine: str = "lanes"
) -> tuple[Program, Floats]:
    network, x = _network(outputs, groups, rng), rng.normal(size=(2, 12 * groups, 2, 2))
    fitted = mho.number.fit_basis(network, x, 12, 4, height=8)
    strategy = mho.Strategy.load("basisn").with_({"coding": "bytes", "mapping.combine": combine})
    return mho.compile(fitted, chip, strategy), x


@settings(max_examples=5)
@given(
    st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 2), st.integers(1, 2), st.sampled_from([8, 12, 20]),
    st.integers(1, 2), st.integers(1, 3), st.one_of(st.none(), st.integers(3, 8)),
)  # fmt: skip
def test_squeezed_layers_are_bit_exact(
    seed: int, outputs: int, groups: int, turns: int, rows: int, cell_bits: int, adcs: int, together: int | None
) -> None:
    """Rows of anywhere, shifted, some in turns; columns of digits, by sign or by offset; one matrix or two: no number differs, and
    a block is read in the time that the timing model has.
    """
    sizes = {
        "array.rows": rows, "array.columns": 32, "array.adcs": adcs, "array.cell_bits": cell_bits, "sparse.turns": 2,
        "array.rows_parallel": together,
    }  # fmt: skip
    chip = Chip.load("sme").override({key: value for key, value in sizes.items() if value}, source="drawn")
    program, x = _squeezed(np.random.default_rng(seed), chip, outputs, groups, turns)
    _exact(program, x)


def _exact(program: Program, x: Floats) -> None:
    for mapped in program.mapping.layers:
        layer = rtl.layer_of(program, mapped.name, x, windows=2)
        found = rtl.cosimulate(layer, "amaranth")
        assert found.ok, str(found)
        assert layer.plan.waits or found.cycles in (None, layer.plan.window_cycles)
        combination = mapped.combination
        if combination is not None and not any(map(layer.plan.pauses, range(len(layer.plan.passes)))):
            # Segments and vectors follow one another without a gap, as long as lists are done in time.
            assert found.cycles is not None or len(layer.windows) * len(layer.parts[0].stimulus.blocks) == 1
            assert layer.plan.window_cycles == layer.plan.timed_cycles
        if mapped.blocks.slowest(1)[0] == layer.plan.turns:
            assert float(layer.plan.timed_cycles * layer.plan.clock_s) == pytest.approx(
                mapped.readout.window_s, rel=1e-9
            )


@settings(max_examples=5)
@given(
    st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 2), st.integers(1, 16), st.booleans(), st.integers(1, 4)
)
def test_layers_on_a_basis_are_bit_exact(
    seed: int, outputs: int, groups: int, lanes: int, flipped: bool, adcs: int
) -> None:
    """Segments of a window one after another, vectors in one group or several, fewer lanes than outputs: no sum or code differs."""
    coding = "flipped" if flipped else "offset"
    chip = small(**{"basis.lanes": lanes, "array.coding": coding, "array.adcs": adcs, "basis.merging": "none"})
    _exact(*_based(np.random.default_rng(seed), chip, outputs, groups))


def test_a_wrong_coefficient_is_found() -> None:
    """One factor off by one: the output that it belongs to is named."""
    program, x = _based(np.random.default_rng(1), small(), 4, 1)
    layer = rtl.layer_of(program, "conv", x, windows=1)
    (part,) = layer.parts
    first, *others = part.stimulus.blocks
    assert first.entries is not None
    entries = first.entries.copy()
    entries[2, 0, 1] += 1
    blocks = (replace(first, entries=entries), *others)
    found = rtl.cosimulate(
        replace(layer, parts=(replace(part, stimulus=replace(part.stimulus, blocks=blocks)),)), "amaranth"
    )
    assert found.different in (1, 2) and found.first is not None and found.first.column == 2


def test_what_has_no_logic_is_refused() -> None:
    """Several rectangles with offsets at once, columns that are merged, unit vectors: each by name."""
    program, x = _squeezed(np.random.default_rng(2), Chip.load("sme"), 3, 2, 1, packing="diagonal")
    with pytest.raises(OptionError, match="offsets of their own"):
        rtl.layer_of(program, "conv", x)
    program, x = _based(np.random.default_rng(2), small(), 3, 1, "merged")
    with pytest.raises(OptionError, match="columns are merged"):
        rtl.layer_of(program, "conv", x)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not on this machine")
@pytest.mark.parametrize("kind", ["squeezed", "basis"])
def test_verilog_of_combined_layers(kind: str) -> None:
    """The Verilog itself, in Icarus."""
    rng = np.random.default_rng(4)
    chip = Chip.load("sme").override({"array.rows": 8, "array.columns": 32, "array.adcs": 2}, source="small")
    program, x = _squeezed(rng, chip, 3, 1, 1) if kind == "squeezed" else _based(rng, small(), 6, 1)
    found = rtl.cosimulate(rtl.layer_of(program, "conv", x, windows=2), "icarus")
    assert found.ok, str(found)
