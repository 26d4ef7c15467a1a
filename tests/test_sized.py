"""What of a chip is used, what is switched off, and chips sized to their networks."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.machine import time_program
from mho.machine.ports import busiest_ports
from mho.machine.powered import crossing_s
from mho.machine.usage import usage
from mho.network.graph import Network
from mho.program import Activate, Program, Transfer, Write
from mho.program.columns import columns
from mho.program.instructions import Instruction
from mho.schedule import sized
from mho.strategy import Strategy
from tests.command_line import Shell, write_onnx, write_samples
from tests.strategies import ALONE, GREEDY, Sketch, chips, networks

some = settings(max_examples=15)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])
anywhere = st.one_of(chips(), st.sampled_from([Chip.load(name) for name in Chip.presets() if name != "recross"]))
OFF = {"unused": "gated", "external_io": "when_used"}


def greedy(chip: Chip, **choices: str) -> Strategy:
    """Pairs of magnitudes have no cells for the lowest code, which symmetric codes never take."""
    return GREEDY.with_({"coding.symmetric": bool(chip.coding.least_code)}, **choices)


def compiled(network: Network, chip: Chip, schedule: str = "overlap", residency: str = "auto") -> Program:
    return mho.compile(network, chip, greedy(chip, schedule=schedule, residency=residency))


def varied(chip: Chip, **values: Any) -> Chip:
    return chip.override(values, source="test")


@some
@given(networks, anywhere, schedules, residencies)
def test_of_no_component_more_is_used_than_there_is_and_the_parts_sum(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    content = mho.simulate(compiled(network, chip, schedule, residency)).to_dict()
    used = content["in_use"]
    for key in ("area_m2", "leakage_w"):
        whole, part = content[key], used[key]
        assert whole["by_component"].keys() == part["by_component"].keys()
        assert all(value <= whole["by_component"][name] * (1 + 1e-12) for name, value in part["by_component"].items())
        for sums in (whole, part):
            assert math.fsum(sums["by_component"].values()) == pytest.approx(sums["total"], rel=1e-12)
    assert all(0 <= used[unit] <= most for unit, most in used["of"].items())
    assert used["arrays"] >= used["groups"] >= content["groups"]["peak"]
    assert used["area_m2"]["arrays"] <= used["area_m2"]["total"] * (1 + 1e-12)


@some
@given(networks, chips(), schedules, residencies)
def test_units_in_use_are_those_that_the_writes_name(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = compiled(network, chip, schedule, residency)
    arrays: dict[int, int] = {}
    for write in program.instructions:
        if isinstance(write, Write):
            groups = [group for first, last in write.groups for group in range(first, last)]
            blocks, (first, _) = program.mapping.located(write.blocks)
            for number, group in enumerate(groups):
                arrays[group] = max(arrays.get(group, 0), int(blocks.arrays[first + number]))
    banks = {bank for use in program.buffers for bank in use.banks}
    tiles = {group // chip.tile.groups for group in arrays} | (banks if chip.buffer.in_tiles else set())
    used = usage(program)
    assert (used.arrays, used.groups, used.tiles) == (sum(arrays.values()), len(arrays), len(tiles))
    assert set(used.banks) == banks


@some
@given(networks, chips(), schedules, residencies)
def test_ports_are_asked_for_what_the_groups_of_a_tile_move_at_once(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    """Summed by hand, tile by tile, at every time at which something begins."""
    program = compiled(network, chip, schedule, residency)
    timing, table = time_program(program), columns(program)
    rates: list[dict[int, float]] = []
    for number, each in enumerate(program.instructions):
        size = 0.0
        if isinstance(each, Activate):
            blocks, run = program.mapping.located(each.blocks)
            totals, windows = blocks.totals(run), each.windows[1] - each.windows[0]
            size = (totals.rows + totals.sums * chip.sum_bytes()) * windows
        elif isinstance(each, Write):
            size = table.moved_bytes[number]
        lasts, groups = timing.ends[number] - timing.starts[number], getattr(each, "groups", ())
        count = sum(last - first for first, last in groups)
        rates.append(defaultdict(float))
        for group in (group for first, last in groups for group in range(first, last)):
            if lasts > 0:
                rates[-1][group // chip.tile.groups] += size / lasts / count
    most = 0.0
    for now in timing.starts:
        under_way = [r for r, begin, end in zip(rates, timing.starts, timing.ends, strict=True) if begin <= now < end]
        for tile in {tile for rate in under_way for tile in rate}:
            most = max(most, sum(rate.get(tile, 0.0) for rate in under_way))
    port = chip.tile.noc_port_bits / 8 * chip.frequency_hz
    assert busiest_ports(program, timing)["noc"] == pytest.approx(most / port, rel=1e-6, abs=1e-12)


def test_arrays_that_columns_were_moved_to_are_in_use() -> None:
    chip = Chip.load("aras").override({"tiles": 2, "write_latency": "actual"}, source="few tiles")
    sketch = Sketch(1, (1, 48))
    for features in (40, 24, 32):
        sketch.linear(sketch.layers[-1], features)
    strategy = GREEDY.with_(schedule="naive", residency="never", placement="time")
    program = mho.compile(sketch.network(), chip, strategy)
    assert columns(program).orders
    used: set[tuple[int, int]] = set()
    for write in program.instructions:
        if isinstance(write, Write):
            blocks, (first, _) = program.mapping.located(write.blocks)
            groups = [group for begin, end in write.groups for group in range(begin, end)]
            for number, group in enumerate(groups):
                places = (write.columns and write.columns[number]) or range(int(blocks.widths[first + number]))
                used |= {(group, place // blocks.shape.per_array) for place in places}
    assert usage(program).arrays == len(used) > usage(replace(program, instructions=stripped(program))).arrays


def stripped(program: Program) -> tuple[Instruction, ...]:
    """Return the instructions with all blocks in place."""
    return tuple(replace(each, columns=()) if isinstance(each, Write) else each for each in program.instructions)


@some
@given(networks, anywhere, schedules, residencies)
def test_gates_save_what_is_not_used_and_nothing_else(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = compiled(network, chip, schedule, residency)
    gated = compiled(network, varied(chip, unused="gated"), schedule, residency)
    assert program.instructions == gated.instructions
    before, after = (mho.simulate(each) for each in (program, gated))
    assert after.latency_s == before.latency_s
    whole, used = before.field("leakage_w")["by_component"], before.field("in_use")["leakage_w"]["by_component"]
    saved = math.fsum(whole[name] - used[name] for name in whole if name != "global_buffer") * before.latency_s
    assert before.energy_j - after.energy_j == pytest.approx(saved, rel=1e-6, abs=1e-9 * before.energy_j)
    assert after.energy_j <= before.energy_j * (1 + 1e-12)
    everything = all(before.field("in_use")[unit] == most for unit, most in before.field("in_use")["of"].items())
    assert not everything or after.energy_j == pytest.approx(before.energy_j, rel=1e-12)


@some
@given(networks, schedules, residencies, st.sampled_from([1, 2, 168]))
def test_links_draw_their_power_while_data_cross_them(
    network: Network, schedule: str, residency: str, tiles: int
) -> None:
    chip = varied(Chip.load("isaac"), tiles=tiles, external_io="when_used")
    program = compiled(network, chip, schedule, residency)
    report, watts = mho.simulate(program), chip.leakage_w["external_io"]
    timing, table = report.timing, columns(program)
    moving = [
        (timing.starts[number], timing.ends[number])
        for number in range(program.setup, len(program.instructions))
        if isinstance(program.instructions[number], Write | Transfer) and table.moved_bytes[number] + table.size[number]
    ]
    edges = sorted({time for span in moving for time in span})
    crossed = sum(
        end - start for start, end in pairwise(edges) if any(low <= start and end <= high for low, high in moving)
    )
    booked = report.field("energy_j")["by_component"]["external_io"]
    assert booked == pytest.approx(watts * crossed, rel=1e-9)
    assert crossed <= report.latency_s * (1 + 1e-12)
    always = mho.simulate(compiled(network, varied(chip, external_io="always"), schedule, residency))
    assert always.field("energy_j")["by_component"]["external_io"] == pytest.approx(watts * always.latency_s, rel=1e-9)
    setup = crossing_s(program, timing, 0, program.setup, np.zeros(1))[0] if program.setup else 0.0
    saved = watts * (timing.setup_s - setup)
    assert always.account.setup_j - report.account.setup_j == pytest.approx(saved, rel=1e-6, abs=1e-12)


@some
@given(networks, anywhere, schedules)
def test_energies_are_the_sums_of_their_parts_where_things_are_switched_off(
    network: Network, chip: Chip, schedule: str
) -> None:
    content = mho.simulate(compiled(network, varied(chip, **OFF), schedule)).to_dict()
    energy = content["energy_j"]
    for parts in (energy["by_component"], energy["by_kind"]):
        assert sum(parts.values()) == pytest.approx(energy["total"], rel=1e-9)
    assert sum(layer["energy_j"] for layer in content["layers"]) == pytest.approx(energy["total"], rel=1e-9)
    assert all(joules >= 0 for joules in energy["by_component"].values())


@pytest.mark.parametrize("name", Chip.presets())
def test_the_words_for_what_chips_do_without_the_keys_change_nothing(name: str) -> None:
    chip = Chip.load(name)
    assert varied(chip, unused="powered", external_io="always").digest == chip.digest
    off = varied(chip, **OFF)
    assert off.digest != chip.digest and Chip.from_dict(off.to_dict()) == off
    new = [note for note in off.notes if note not in chip.notes and note.startswith("assumption:")]
    assert len(new) == 2 and all("links" in note or "gates" in note for note in new)
    with pytest.raises(mho.errors.ChipError, match=r"unused: 'off' is not allowed; .*powered"):
        varied(chip, unused="off")


@some
@given(networks, anywhere, schedules, st.integers(1, 3))
def test_a_chip_sized_to_a_network_is_the_smallest_that_holds_it(
    network: Network, chip: Chip, schedule: str, copies: int
) -> None:
    fit = sized(network, chip, greedy(chip, schedule=schedule), copies=copies)
    program = compiled(network, fit, schedule)
    count, of_tile = copies * program.mapping.count, fit.tile.groups
    assert count <= fit.groups and not (fit.buffer.in_tiles and any(use.spilled for use in program.buffers))
    assert program.setup or not program.mapping.layers
    if fit.tiles > max(1, math.ceil(count / of_tile)):
        # It is for activations that there are so many.
        assert fit.buffer.in_tiles and "activations" in fit.provenance["tiles"].source
        fewer = compiled(network, varied(fit, tiles=fit.tiles - 1), schedule)
        assert any(use.spilled for use in fewer.buffers)
    assert fit == varied(chip, tiles=fit.tiles)
    assert f"sized to {network.name}" in fit.provenance["tiles"].source
    assert any(note in mho.simulate(program).notes() for note in [fit.provenance["tiles"].source])


@some
@given(networks, anywhere)
def test_a_network_uses_all_tiles_of_a_chip_sized_to_it_but_the_last_partly(network: Network, chip: Chip) -> None:
    fit = sized(network, chip, greedy(chip))
    program = compiled(network, fit)
    used = usage(program)
    assert used.groups == program.mapping.count
    assert used.tiles == fit.tiles or not program.mapping.layers
    if program.mapping.count and fit.tiles == math.ceil(program.mapping.count / fit.tile.groups):
        assert fit.groups - used.groups < fit.tile.groups
    larger = mho.simulate(compiled(network, varied(fit, tiles=fit.tiles + 3))).field("in_use")
    assert larger["arrays"] == used.arrays == program.mapping.arrays


def test_an_exploration_takes_the_rule_where_tiles_may_stand() -> None:
    network = mho.zoo.load("resnet20")
    found = mho.explore(network, "isaac", {"chip.tiles": ["fit", "fit:2", 168], "strategy.schedule": ["overlap"]})
    assert [record["values"]["chip.tiles"] for record in found.records] == ["fit", "fit:2", 168]
    for record, chip in zip(found.records, (sized(network, "isaac"), sized(network, "isaac", copies=2)), strict=False):
        report = mho.simulate(mho.compile(network, chip, "overlap"))
        assert record["area_m2"] == chip.roll_up().area_m2.total < found.records[2]["area_m2"]
        assert (record["energy_j"], record["latency_s"]) == (report.energy_j, report.latency_s)


def test_a_rule_that_is_none_is_refused() -> None:
    network = mho.zoo.load("resnet20")
    for word in ("fit:0", "fit:", "fit:many"):
        with pytest.raises(OptionError, match=f"fit or fit:COPIES, such as fit:2, not '{word}'"):
            mho.explore(network, "isaac", {"chip.tiles": [word]})
    with pytest.raises(OptionError, match="1 copy of a network or more, not 0"):
        sized(network, "isaac", copies=0)


def test_commands_size_a_chip(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = (
        "run",
        "resnet20",
        "--chip",
        "isaac",
        "--schedule",
        "overlap",
        "--set",
        "external_io=when_used",
        "--json",
        "-",
    )
    content = shell(*run, "--set", "tiles=fit").json()
    fit = sized(mho.zoo.load("resnet20"), varied(Chip.load("isaac"), external_io="when_used"))
    assert content["chip"]["digest"] == fit.digest and content["in_use"]["of"]["tiles"] == fit.tiles
    assert fit.provenance["tiles"].source in content["notes"]
    ended = shell("show", "isaac", "--set", "tiles=fit")
    assert ended.code == 2 and "--set tiles=fit: a chip is sized to a network of layers alone" in ended.err
    write_onnx(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples.npz")
    words = ("--data", "samples.npz", "--schedule", "overlap", "--seeds", "1", "--json")
    found = shell("sweep", "net.onnx", *words, "--over", "chip.tiles=fit,fit:100,96", "--out", "out").json()
    digests = [point["chip"]["digest"] for point in found["points"]]
    assert len(set(digests)) == 3 and digests[2] == Chip.load("aras").digest
    alone = shell("accuracy", "net.onnx", *words, "--set", "chip.tiles=fit").json()
    assert alone["chip"]["digest"] == digests[0]
