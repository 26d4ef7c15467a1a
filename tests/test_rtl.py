"""The digital side in logic: what leaves it is what the program computed, in as many cycles as the timing model has."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
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
from tests.command_line import Shell

pytest.importorskip("amaranth", reason="the package amaranth is not installed")

from mho import rtl
from mho.rtl.beside import in_gates, played
from mho.rtl.liberty import Library
from mho.rtl.plan import HANDING
from mho.rtl.units import Dispatcher, units_of

TOLD = {"mnsim": (208, 207.294)}
"""Presets whose windows take other cycles than the timing model has, since a step's overhead is no whole number of conversions."""


def _network(rows: int, columns: int, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    layers: list[Any] = [Input(name="x", inputs=(), shape=(1, 2, 4, 4))]
    kernel = Array.of(rng.normal(size=(columns, 2, 3, 3)))
    layers += [
        Convolution(
            name="conv", inputs=("x",), shape=(1, columns, 2, 2), weight=kernel, bias=Array.of(rng.normal(size=columns))
        ),
        Activation(name="relu", inputs=("conv",), shape=(1, columns, 2, 2), function="relu"),
        Convolution(
            name="last",
            inputs=("relu",),
            shape=(1, rows, 2, 2),
            weight=Array.of(rng.normal(size=(rows, columns, 1, 1))),
        ),
    ]
    return Network("small", tuple(layers), ("last",), "made (synthetic)")


@st.composite
def chips(draw: st.DrawFn) -> Chip:
    """Draw small arrays: codings, cells, DACs, ADCs that weights divide among or not, rows that take turns, inputs with signs."""
    coding = draw(st.sampled_from(["offset", "flipped", "differential", "sign_magnitude", "twos_complement"]))
    sizes: dict[str, Any] = {
        "array.rows": draw(st.sampled_from([8, 12, 20])), "array.columns": draw(st.integers(18, 24)), "array.coding": coding,
        "array.cell_bits": draw(st.integers(1, 3)), "array.integrated_bits": draw(st.integers(1, 3)),
        "array.adcs": draw(st.integers(1, 9)),
        "array.step_overhead_s": draw(st.sampled_from([0.0, 1e-9, 3e-9])), "group.arrays": draw(st.integers(1, 2)),
        "array.input_coding": draw(st.sampled_from(["offset", "two_passes", "twos_complement", "signed"])),
    }  # fmt: skip
    if draw(st.booleans()):
        sizes["array.rows_parallel"] = draw(st.integers(3, 8))
    return Chip.load("aras").override(sizes, source="drawn")


@settings(max_examples=12)
@given(
    chips(),
    st.integers(2, 6),
    st.integers(1, 8),
    st.integers(0, 10**6),
    st.integers(2, 8),
    st.integers(2, 8),
    st.booleans(),
)
def test_every_code_is_the_programs(
    chip: Chip, rows: int, columns: int, seed: int, weights: int, inputs: int, per_channel: bool
) -> None:
    """Cells that the program wrote, inputs that it streams, bits, codings and multipliers of all kinds: no number differs."""
    network = _network(rows, columns, seed)
    x = np.random.default_rng(seed).normal(size=(4, 2, 4, 4))
    quantised = mho.number.quantise(
        network, x, per_channel=per_channel, symmetric=chip.coding.pairs, bits=f"{weights}/{inputs}",
        signed_inputs=chip.array.drives_signs, requantise=24,
    )  # fmt: skip
    program = mho.compile(quantised, chip)
    for name in ("conv", "last"):
        layer = rtl.layer_of(program, name, x, windows=2)
        found = rtl.cosimulate(layer, "amaranth")
        assert found.ok, str(found)
        assert found.cycles in (None, layer.plan.window_cycles)


@pytest.mark.parametrize("name", Chip.presets())
def test_windows_take_the_cycles_of_the_timing_model(name: str) -> None:
    """Of every preset, in cycles of its own logic; where not, the difference is that which docs/rtl.md tells."""
    chip = Chip.load(name)
    for signed in {False, chip.array.drives_signs}:
        plan = rtl.Plan.of(chip, signed=signed)
        cycles, timed = TOLD.get(name, (plan.window_cycles, plan.window_cycles))
        assert plan.window_cycles == cycles
        assert float(plan.timed_cycles) == pytest.approx(timed, abs=1e-3)
        if not signed:
            assert float(plan.timed_cycles * plan.clock_s) == pytest.approx(chip.window_time_s, rel=1e-12)


@given(chips(), st.integers(2, 8), st.integers(2, 8), st.booleans())
def test_sums_are_handed_on_within_the_next_pass(chip: Chip, weights: int, inputs: int, signed: bool) -> None:
    """Every sum of an array is in one chain, with all others of its output; where a pass takes four cycles more than the sums of
    one output, handing on takes no time of its own, and windows take the timing model's.
    """
    plan = rtl.Plan.of(chip, weights, inputs, signed)
    assert [slot for chain in plan.chains for slot in chain] == list(plan.slots)
    held = [{slot.output for slot in chain} for chain in plan.chains]
    assert sum(map(len, held)) == plan.outputs and max(map(len, held)) == plan.handed
    passes = [steps * plan.turns * plan.step_cycles for steps, _ in plan.steps]
    if min(passes) >= max(Counter(slot.output for slot in plan.slots).values()) + HANDING:
        assert plan.window_cycles == sum(passes) == plan.timed_cycles


def test_a_wrong_cell_is_found_where_it_is() -> None:
    """One cell off by a level: the first difference names a window and the column whose weight it is."""
    network = _network(3, 4, 7)
    x = np.random.default_rng(7).normal(size=(4, 2, 4, 4))
    chip = Chip.load("aras").override({"array.rows": 20, "array.columns": 16, "group.arrays": 1}, source="small")
    layer = rtl.layer_of(mho.compile(mho.number.quantise(network, x), chip), "conv", x, windows=2)
    (part,) = layer.parts
    block = part.stimulus.blocks[0]
    cells = block.cells.copy()
    cells[0, :, 2 * layer.plan.digits] += 1
    spoilt = replace(part, stimulus=replace(part.stimulus, blocks=(replace(block, cells=cells),)))
    found = rtl.cosimulate(replace(layer, parts=(spoilt,)), "amaranth")
    assert not found.ok and found.first is not None
    assert (found.first.window, found.first.array, found.first.column) == (0, 0, 2)
    assert "window 0, array 0, column 2: v" in str(found)


def test_float_programs_are_run_with_multipliers() -> None:
    """A program that makes codes in float64 is run with multipliers of 24 bits, on the same cells."""
    network = _network(3, 4, 8)
    x = np.random.default_rng(8).normal(size=(4, 2, 4, 4))
    chip = Chip.load("aras").override({"array.rows": 20, "array.columns": 16, "group.arrays": 1}, source="small")
    found = rtl.cosimulate(
        rtl.layer_of(mho.compile(mho.number.quantise(network, x), chip), "conv", x, windows=1), "amaranth"
    )
    assert found.ok and found.multiplier_bits == 24 and found.codes == 4


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not on this machine")
def test_verilog_computes_what_its_source_computes() -> None:
    """The Verilog itself, in Icarus: bit-exact, in the planned cycles; Verilator and Yosys find nothing where they are."""
    network = _network(4, 8, 5)
    x = np.random.default_rng(5).normal(size=(4, 2, 4, 4))
    chip = Chip.load("aras").override(
        {"array.rows": 20, "array.columns": 20, "array.adcs": 4, "group.arrays": 2, "array.coding": "twos_complement"},
        source="small",
    )
    layer = rtl.layer_of(mho.compile(mho.number.quantise(network, x, requantise=24), chip), "conv", x, windows=4)
    found = rtl.cosimulate(layer, "icarus")
    assert found.ok and found.cycles == layer.plan.window_cycles, str(found)


@pytest.mark.parametrize("name", ["aras", "sme", "nthu", "basisn", "recross"])
def test_tools_find_nothing_in_the_verilog(name: str, tmp_path: Path) -> None:
    """Verilator's lint without warnings, Yosys' check without a complaint; each module says what it does."""
    text = rtl.verilog(rtl.Plan.of(Chip.load(name)))
    assert text.count("\nmodule ") == text.count("\nendmodule") and "\\$" not in text
    for before in text.split("\nmodule ")[:-1]:
        assert before.rsplit("\n", 1)[-1].startswith("// ")
    (tmp_path / "group.v").write_text(text)
    for top in ("mho_group", *(unit.part for unit in units_of(Chip.load(name)))):
        if shutil.which("verilator"):
            _quiet(tmp_path, "verilator", "--lint-only", "--top-module", top, "group.v")
    if shutil.which("yosys"):
        _quiet(tmp_path, "yosys", "-q", "-p", "read_verilog group.v; hierarchy -check; proc; check -assert")


def _quiet(folder: Path, *words: str) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("yosys"), reason="Yosys is not on this machine")
def test_a_small_library_is_enough_to_synthesise(tmp_path: Path) -> None:
    """A library of our own, of round figures: gates compute what the program does, roles share out the modules' area and energy,
    and a chip that uses what was written differs from its origin by these roles alone.
    """
    path = tmp_path / "ours.lib"
    path.write_text(LIBRARY)
    chip = Chip.load("aras").override(
        {"array.rows": 20, "array.columns": 8, "array.adcs": 2, "group.arrays": 1}, source="small"
    )
    network, x = _network(1, 2, 3), np.random.default_rng(3).normal(size=(4, 2, 4, 4))
    program = mho.compile(mho.number.quantise(network, x, bits="4/3", requantise=8), chip)
    layer = rtl.layer_of(program, "conv", x, windows=2)
    made = rtl.synthesise(layer.plan, rtl.verilog(layer.plan), path, 180e-9, layer)
    assert made.compared > 100 and not made.different and made.node == 130e-9
    by_name = {module.name: module for module in made.modules}
    lanes = [module for module in made.modules if module.name.startswith("mho_lane")]
    assert sum(module.count for module in lanes) == 2 and all(module.area > module.sums > 0 for module in lanes)
    older = (130 / 180) ** 2 * 1e-12
    assert made.figures["shift_add"].area * 2 == pytest.approx(sum((m.area - m.sums) * m.count for m in lanes) * older)
    held = by_name["mho_columns"].area + sum(m.sums * m.count for m in lanes)
    assert made.figures["output_register"].area == pytest.approx(held * older)
    assert all(0 < (figure.energy or 0.0) < (figure.ungated or 0.0) for figure in made.figures.values())
    for name, text in rtl.files(made).items():
        (tmp_path / name).write_text(text)
    changed = Chip.load(tmp_path / "chip.yaml")
    base = chip.override({"scaling": "stillmaker"}, source="as there")
    apart = {event for event, energy in changed.energy_per_event.items() if energy != base.energy_per_event[event]}
    assert apart == {"shift_add", "input_register_byte", "output_register_byte", "accumulate"}
    assert changed.energy_per_event["shift_add"] == pytest.approx(made.scaled("shift_add")[1], rel=1e-4)
    assert "mho_lane_0" in made.table() and "bit-exact" in made.table()


@pytest.mark.skipif(not shutil.which("yosys"), reason="Yosys is not on this machine")
def test_parts_beside_a_group_are_told_in_gates(tmp_path: Path) -> None:
    """A dispatcher in gates fires as its source does; its area is that of its cells, beside what the file has for modes of ADCs."""
    path = tmp_path / "ours.lib"
    path.write_text(LIBRARY)
    chip = Chip.load("recross")
    cycles = [{"valid": 1, "row": row, "last": int(row % 3 == 0)} for row in (0, 2, 3, 1, 5, 6, 4)] + [{}]
    part = Dispatcher(8, [0, 1, 2, 3])
    made = in_gates(rtl.Plan.of(chip), [played(part, cycles, "three bags")], path, 130e-9)
    assert made.compared == len(cycles) and not made.different
    figure = made.figures["mho_dispatcher"]
    assert figure.area == pytest.approx(made.modules[0].area * 1e-12) and made.modules[0].area > 8 * 8
    assert figure.energy is not None and figure.ungated is not None and 0 < figure.energy < figure.ungated
    adcs = chip.group.arrays * chip.array.adcs
    assert made.published("mho_dispatcher")[1] == pytest.approx(chip.energy_per_event["adc_mode_byte"] * adcs)
    assert "mho_dispatcher" in made.table() and list(rtl.files(made)) == ["synthesis.txt"]


def test_a_library_is_read_in_its_units(tmp_path: Path) -> None:
    """Areas, capacitances, and internal energies in units of capacitance times squared volts; what is no library is refused."""
    path = tmp_path / "ours.lib"
    path.write_text(LIBRARY)
    library = Library.load(path)
    nand = library.cells["NAND"]
    assert (library.name, library.voltage, nand.area, nand.functions) == ("ours", 1.5, 2.0, {"Y": "(1 ^ (A & B))"})
    assert nand.capacitance == {"A": pytest.approx(2e-15), "B": pytest.approx(2e-15)}
    assert nand.internal == {"Y": pytest.approx(3.5e-15)} and nand.leakage == pytest.approx(5e-9)
    assert library.cells["DFF"].state == "D" and library.cells["DFF"].internal["C"] == pytest.approx(6e-15)
    for text, word in (
        ("library(x) {", "braces"),
        ("{ }", "no name"),
        (LIBRARY.replace("(A*B)'", "(A*B"), "no function of pins"),
        (LIBRARY.replace("(A*B)'", "(A*E)'"), "cell NAND: a function of E"),
        (LIBRARY.replace("nom_voltage : 1.5", "nom_voltage : much"), "a number belongs"),
    ):
        path.write_text(text)
        with pytest.raises(OptionError, match=word):
            Library.load(path)


def test_the_page_shows_the_modules_of_the_design() -> None:
    """The outline in docs/rtl.md is that of aras as it is now."""
    page = (Path(__file__).parent.parent / "docs" / "rtl.md").read_text(encoding="utf-8")
    shown = "".join(f"    {line}\n" for line in rtl.outline(rtl.Plan.of(Chip.load("aras"))).splitlines())
    assert shown in page


def test_the_command_refuses_what_it_cannot_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Options of a program for a chip, a program without a layer: one error each, before any work."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(monkeypatch, capsys)
    assert "--layer is for a program" in shell("rtl", "aras", "--layer", "conv1", "--out", "o").err
    assert "name one with --layer" in shell("rtl", "p.mho", "--out", "o").err
    for option in (("--windows", "2"), ("--liberty", "cells.lib", "--node", "130"), ("--simulator", "amaranth")):
        assert f"{option[0]} is for a layer" in shell("rtl", "p.mho", "--tile", "0", *option, "--out", "o").err
    assert not (tmp_path / "o").exists()


def test_layers_that_it_does_not_serve_are_named() -> None:
    """Unknown layers, and blocks of several matrices of whole weights, are refused by name."""
    network = _network(3, 4, 8)
    x = np.random.default_rng(8).normal(size=(4, 2, 4, 4))
    program = mho.compile(mho.number.quantise(network, x), "aras")
    with pytest.raises(OptionError, match="no layer 'conv9'"):
        rtl.layer_of(program, "conv9", x)
    weight, x = np.random.default_rng(9).normal(size=(4, 2, 3, 3)), np.random.default_rng(9).normal(size=(4, 4, 4, 4))
    grouped = Convolution(name="conv", inputs=("x",), shape=(1, 4, 2, 2), weight=Array.of(weight), convolution_groups=2)
    network = Network(
        "grouped", (Input(name="x", inputs=(), shape=(1, 4, 4, 4)), grouped), ("conv",), "made (synthetic)"
    )
    with pytest.raises(OptionError, match="one matrix each"):
        rtl.layer_of(mho.compile(mho.number.quantise(network, x), "aras"), "conv", x)


POWER = 'internal_power() { rise_power(scalar) { values("3"); } fall_power(scalar) { values("4"); } }'
LIBRARY = f"""library(ours) {{ /* round figures */
  nom_voltage : 1.5; voltage_unit : "1V"; capacitive_load_unit (1, ff); leakage_power_unit : "1nW"; time_unit : "1ns";
  cell(BUF) {{ area: 2; pin(A) {{ direction: input; capacitance: 2; }} pin(Y) {{ direction: output; function: "A"; {POWER} }} }}
  cell(NOT) {{ area: 1; pin(A) {{ direction: input; capacitance: 2; }} pin(Y) {{ direction: output; function: "A'"; {POWER} }} }}
  cell(NAND) {{ area: 2; cell_leakage_power : 5; pin(A) {{ direction: input; capacitance: 2; }}
    pin(B) {{ direction: input; capacitance: 2; }} pin(Y) {{ direction: output; function: "(A*B)'"; {POWER} }} }}
  cell(NOR) {{ area: 2; pin(A) {{ direction: input; capacitance: 2; }}
    pin(B) {{ direction: input; capacitance: 2; }} pin(Y) {{ direction: output; function: "(A+B)'"; {POWER} }} }}
  cell(DFF) {{ area: 8; ff(IQ, IQN) {{ clocked_on: C; next_state: D; }}
    pin(C) {{ direction: input; clock: true; capacitance: 3; internal_power() {{ rise_power(scalar) {{ values("6"); }} }} }}
    pin(D) {{ direction: input; capacitance: 2; }} pin(Q) {{ direction: output; function: "IQ"; {POWER} }} }}
}}
"""
