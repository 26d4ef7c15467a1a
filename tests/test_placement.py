"""Orders of rows, columns and digits: exact whatever they are, charged as what they are, and chosen to be never worse."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from benchmarks import placement as benchmark
from benchmarks.files import measured_part, read_json
from mho.chip import Chip
from mho.errors import OptionError, ProgramError
from mho.machine import time_program, wear
from mho.machine.energy import count_events
from mho.mapping.placement import (
    PACKED_LEVELS,
    Sitting,
    WriteCosts,
    balanced,
    digit_order,
    distances,
    following_distances,
    following_steps,
    row_steps,
    spread,
)
from mho.network.graph import Network
from mho.network.layers import Linear
from mho.network.samples import synthetic
from mho.program import Activate, Program, Write, violations
from mho.program.deltas import Deltas
from mho.program.instructions import members
from tests.coded_cells import block_cells
from tests.hand_sized import bell_codes, entry, hand_chip, linear, network, pointwise, with_codes
from tests.strategies import GREEDY, chips, networks

some = settings(max_examples=25)
seeds = st.integers(0, 2**16)


def shuffled(program: Program, seed: int) -> Program:
    """Give some blocks of every write random orders of rows, columns and digits."""
    generator = np.random.default_rng(seed)
    chip = program.chip
    full = chip.array.coding == "offset" and 8 % chip.array.cell_bits == 0 and chip.array.cell_levels is None

    def drawn(room: int, size: int) -> tuple[int, ...]:
        return tuple(generator.permutation(room)[:size].tolist()) if generator.random() < 0.8 else ()

    instructions = list(program.instructions)
    for number, write in enumerate(instructions):
        if not isinstance(write, Write):
            continue
        layer = program.mapping.by_index[write.layer]
        tiling, blocks = layer.blocks, range(*layer.within(write.blocks))
        rows = tuple(drawn(chip.array.rows, int(tiling.heights[each])) for each in blocks)
        columns = tuple(drawn(chip.group_columns, int(tiling.widths[each])) for each in blocks)
        cells = tuple(drawn(chip.cells_per_weight, chip.cells_per_weight) for _ in blocks) if full else ()
        instructions[number] = replace(write, rows=rows, columns=columns, cells=cells)
    return replace(program, instructions=tuple(instructions))


@settings(some, max_examples=40)
@given(networks, chips(), st.sampled_from(["overlap", "naive"]), st.sampled_from(["auto", "never"]), seeds)
def test_any_network_is_bit_exact_and_legal_in_any_order(
    network: Network, chip: Chip, schedule: str, residency: str, seed: int
) -> None:
    inputs = synthetic(network, 1, seed=1).inputs
    program = mho.compile(
        mho.number.quantise(network, inputs), chip, GREEDY.with_(schedule=schedule, residency=residency)
    )
    for write_latency in ("worst_case", "actual"):
        variant = chip.override({"write_latency": write_latency}, source="law")
        result = mho.verify(shuffled(replace(program, chip=variant), seed), inputs)
        assert result.ok, str(result)


def followed(program: Program) -> tuple[dict[int, tuple[int, int, int, int]], npt.NDArray[np.int64]]:
    """Follow every cell on its own: cells, changes, steps and the slowest array of each write; changes of each cell."""
    chip = program.chip
    assert program.quantised is not None
    count = chip.cells_per_weight
    held = np.zeros((chip.groups, chip.array.rows, chip.group_columns, count), dtype=np.int64)
    worn = np.zeros_like(held)
    counts: dict[int, tuple[int, int, int, int]] = {}
    for turn in (0, 1):
        for i, write in enumerate(program.instructions):
            if not isinstance(write, Write) or (turn and i < program.setup):
                continue
            layer = program.mapping.by_index[write.layer]
            codes = program.quantised.matrices[layer.name].codes
            addressed = changed = steps = slowest = 0
            for which, group in enumerate(members(write.groups)):
                block = layer.blocks.block(layer.within(write.blocks)[0] + which)
                rows = (write.rows[which] if write.rows else ()) or tuple(range(block.height))
                columns = (write.columns[which] if write.columns else ()) or tuple(range(block.width))
                digits = (write.cells[which] if write.cells else ()) or tuple(range(count))
                want = block_cells(chip, codes, block)
                before = held[group].copy()
                for r, row in enumerate(rows):
                    for c, column in enumerate(columns):
                        for k, cell in enumerate(digits):
                            held[group, row, column, cell] = want[r, c, k]
                change = held[group] - before
                if turn:
                    worn[group] += change != 0
                addressed += block.height * block.width * count
                changed, steps = changed + int((change != 0).sum()), steps + int(np.abs(change).sum())
                for first in range(0, chip.group_columns, chip.array_weights_per_row):
                    took = 0
                    for row in change[:, first : first + chip.array_weights_per_row]:
                        phases = max(int(row.max()), 0), max(int(-row.min()), 0)
                        took += sum(phases) if chip.array.write_phases == 2 else max(phases)
                    slowest = max(slowest, took)
            if turn or i < program.setup:
                counts[i] = addressed, changed, steps, slowest
    return counts, worn


@some
@given(networks, chips(), st.sampled_from(["auto", "never"]), st.booleans(), st.sampled_from([1, 2]), seeds)
def test_what_is_counted_worn_and_timed_is_what_every_cell_undergoes(
    network: Network, chip: Chip, residency: str, ordered: bool, phases: int, seed: int
) -> None:
    chip = chip.override({"array.write_phases": phases, "write_latency": "actual"}, source="law")
    program = mho.compile(mho.number.quantise(network), chip, GREEDY.with_(schedule="overlap", residency=residency))
    program = shuffled(program, seed) if ordered else program
    worn = wear(program)
    counts, cells = followed(program)
    assert {i: (each.addressed, each.changed, each.steps, each.slowest) for i, each in worn.counts.items()} == counts
    assert worn.per_cell_max == cells.max()
    timing = time_program(program)
    assert np.array_equal(timing.ends, time_program(program).ends)
    level_s = chip.array.pulse_s * chip.array.pulses_full_range / (chip.levels - 1)
    for i, (_, _, _, slowest) in counts.items():
        lasts = timing.ends[i] - timing.starts[i]
        assert lasts >= slowest * level_s * (1 - 1e-9) - 1e-12 * (timing.latency_s + timing.setup_s)


@some
@given(networks, chips(), st.sampled_from(["overlap", "naive"]))
def test_no_write_takes_longer_than_in_the_worst_case(network: Network, chip: Chip, schedule: str) -> None:
    chip = chip.override({"write_latency": "actual"}, source="law")
    program = mho.compile(mho.number.quantise(network), chip, GREEDY.with_(schedule=schedule, residency="never"))
    for count in wear(program).counts.values():
        assert 0 <= chip.write_time_s(count.slowest) <= chip.array_write_time_s


def test_rows_at_full_range_in_both_phases_take_the_worst_case() -> None:
    # Every row of a holds a weight 0 and a weight 255, and those of b the other way round.
    chip = hand_chip(write_latency="actual", array__rows=2, group__arrays=1, tile__groups=1, tiles=1)
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2), linear("b", "a", 1, 2, 2))
    codes = {"a": [[0, 255], [255, 0]], "b": [[255, 0], [0, 255]]}
    program = mho.compile(with_codes(net, codes), chip, GREEDY.with_(schedule="naive"))
    timing = time_program(program)
    lasts = [timing.ends[i] - timing.starts[i] for i in wear(program).counts]
    assert lasts == pytest.approx([chip.array_write_time_s] * 2, rel=1e-12)
    assert chip.write_time_s(2 * 2 * 3) == chip.array_write_time_s
    assert (chip.least_array_write_time_s, hand_chip().least_array_write_time_s) == (0, hand_chip().array_write_time_s)


def beside(first: Linear, second: Linear) -> Network:
    """Two layers, each with an input of its own."""
    inputs = (replace(entry(*first.shape[:-1], first.rows), name=name) for name in ("x", "y"))
    return network(*inputs, first, second, outputs=(first.name, second.name))


def test_a_write_lasts_as_long_as_its_slowest_array_row_by_row() -> None:
    # Two arrays of two weights a row, both blocks' rows as levels:
    #            array 0                 array 1
    #   a  0  0000 0000 | 3333 0000
    #   b  0  0012 0000 | 3323 0100      up 2, nothing; up 1 and down 1: 2 steps each
    #   a  1  1111 2222 | 0000 0000
    #   b  1  2111 2221 | 0000 0000      up 1 and down 1: 2; nothing
    codes = {"a": [[0, 0, 255, 0], [0x55, 0xAA, 0, 0]], "b": [[6, 0, 0xFB, 0x10], [0x95, 0xA9, 0, 0]]}
    chip = hand_chip(write_latency="actual", array__rows=2, tile__groups=1, tiles=1)
    net = beside(linear("a", "x", 1, 2, 4), linear("b", "y", 1, 2, 4))
    program = mho.compile(with_codes(net, codes), chip, GREEDY.with_(schedule="naive"))
    assert [count.slowest for count in wear(program).counts.values()] == [4, 4]
    timing = time_program(program)
    assert [timing.ends[i] - timing.starts[i] for i in wear(program).counts] == pytest.approx([4 * 20 * 50e-9] * 2)
    single = replace(program, chip=chip.override({"array.write_phases": 1}, source="law"))
    # Both at once: 2 and 1 in array 0; 1 and nothing in array 1.
    assert [count.slowest for count in wear(single).counts.values()] == [3, 3]


def test_shapes_alone_have_no_actual_write_times() -> None:
    chip = hand_chip(write_latency="actual")
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2))
    with pytest.raises(OptionError, match="shapes alone"):
        mho.compile(net, chip, GREEDY)
    program = replace(mho.compile(net, hand_chip(), GREEDY), chip=chip)
    with pytest.raises(ProgramError, match="shapes alone"):
        mho.simulate(program)


def test_a_wrong_idea_of_what_is_overwritten_gives_wrong_outputs_or_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Execution adds level changes: were they worked out from blank cells, nothing would be right."""
    net = network(entry(1, 8), linear("a", "x", 1, 8, 8), linear("b", "a", 1, 8, 8))
    drawn = np.random.default_rng(0)
    weights = {"a": drawn.normal(size=(8, 8)), "b": drawn.normal(size=(8, 8))}
    layers = tuple(
        replace(each, weight=mho.network.layers.Array.of(weights[each.name].astype(np.float32)))
        if each.name in weights
        else each
        for each in net.layers
    )
    inputs = synthetic(net := replace(net, layers=layers), 1).inputs
    program = mho.compile(mho.number.quantise(net, inputs), hand_chip(tiles=1), GREEDY.with_(schedule="naive"))
    assert mho.verify(program, inputs).ok
    monkeypatch.setattr(
        Deltas, "under", lambda self, group, place: np.zeros((len(place.rows), len(place.lines)), np.uint8)
    )
    with pytest.raises(ProgramError, match="outside 0 to 3"):
        mho.execute(program, inputs)


def drawn_levels(generator: np.random.Generator, levels: int, *shape: int) -> npt.NDArray[np.uint8]:
    return generator.integers(0, levels, shape, dtype=np.uint8)


def took(old: npt.NDArray[np.uint8], new: npt.NDArray[np.uint8], phases: int) -> int:
    change = new.astype(int) - old
    up, down = max(int(change.max(initial=0)), 0), max(int(-change.min(initial=0)), 0)
    return up + down if phases == 2 else max(up, down)


@some
@given(seeds, st.sampled_from([2, 4, PACKED_LEVELS, 16]), st.sampled_from([1, 2]))
def test_costs_of_all_pairs_are_those_of_each_pair(seed: int, levels: int, phases: int) -> None:
    generator = np.random.default_rng(seed)
    rows, columns, cells, height, width = (int(generator.integers(1, most)) for most in (7, 40, 4, 7, 40))
    height, width = min(height, rows), min(width, columns)
    held, block = (
        drawn_levels(generator, levels, rows, columns, cells),
        drawn_levels(generator, levels, height, width, cells),
    )
    places = generator.permutation(columns)[:width]
    array = places // 8
    costs = row_steps(held[:, places], block, array, levels, phases)
    price = generator.integers(0, 9, levels).astype(float)
    apart = distances(held[:, places], block, price)
    for i in range(height):
        for p in range(rows):
            for a, each in enumerate(np.unique(array)):
                assert costs[a, i, p] == took(held[p, places[array == each]], block[i, array == each], phases)
            assert apart[i, p] == price[np.abs(held[p, places].astype(int) - block[i])].sum()


@some
@given(seeds, st.sampled_from([4, 16]), st.sampled_from([1, 2]))
def test_what_the_write_that_follows_costs_is_what_it_costs_after_the_block(
    seed: int, levels: int, phases: int
) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.integers(1, 7)), int(generator.integers(1, 20))
    held = drawn_levels(generator, levels, rows, columns, 2)

    def sits() -> tuple[Sitting, npt.NDArray[np.uint8]]:
        height, width = int(generator.integers(1, rows + 1)), int(generator.integers(1, columns + 1))
        sitting = Sitting(generator.permutation(rows)[:height], generator.permutation(columns)[:width], np.arange(2))
        return sitting, drawn_levels(generator, levels, height, width, 2)

    (mine, block), (after, shown) = sits(), sits()
    array = after.columns // 4
    demand = following_steps(held, block, mine.columns, after, shown, array, levels, phases)
    price = np.arange(levels, dtype=float)
    further = following_distances(held, block, mine.columns, after, shown, price)
    left = held.copy()
    left[mine.index()] = block
    placed = np.arange(len(block)), mine.rows
    for a, each in enumerate(np.unique(array)):
        inside = array == each
        wanted = sum(
            took(left[row, after.columns[inside]], shown[j, inside], phases) for j, row in enumerate(after.rows)
        )
        assert demand.always[a] + demand.costs[a][placed].sum() == wanted
    plain, changed = (np.abs(each[after.index()].astype(int) - shown).sum() for each in (held, left))
    assert further[placed].sum() == changed - plain


@some
@given(seeds, st.integers(1, 3))
def test_rows_are_assigned_so_that_the_slowest_arrays_are_fast(seed: int, arrays: int) -> None:
    """One array: the optimum. Several: no more than what an assignment by the mean over arrays takes, no less than the best."""
    generator = np.random.default_rng(seed)
    height = int(generator.integers(1, 5))
    rows = height + int(generator.integers(0, 2))
    demand = WriteCosts(generator.integers(0, 7, (arrays, height, rows)).astype(float), np.zeros(arrays))
    places = balanced([demand])
    assert len(set(places.tolist())) == height

    def slowest(order: tuple[int, ...]) -> float:
        return float(demand.costs[:, range(height), order].sum(axis=1).max())

    every = {order: slowest(order) for order in permutations(range(rows), height)}
    mean = {order: demand.costs[:, range(height), order].sum() for order in every}
    found = every[tuple(places.tolist())]
    assert found >= min(every.values())
    assert found <= max(every[order] for order in every if mean[order] == min(mean.values()))
    if arrays == 1:
        assert found == min(every.values())


def test_digits_that_are_evenly_spread_meet_those_in_the_middle() -> None:
    # Digit 0 is always 1 or 2, digits 1 and 2 take all levels: of two changing places, no cell changes by 3 where 0 meets 2.
    generator = np.random.default_rng(0)
    cells = np.stack([generator.integers(1, 3, 999), generator.integers(0, 4, 999)], axis=1).astype(np.uint8)
    price = np.array([0.0, 1.0, 2.0, 100.0])
    assert digit_order([(cells, cells)], price).tolist() == [1, 0]
    assert digit_order([(cells[:, ::-1], cells)], price).tolist() == [0, 1]


@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 40))
def test_columns_are_spread_evenly(width: int, arrays: int, per_array: int) -> None:
    width = min(width, arrays * per_array)
    places = spread(width, arrays, per_array)
    assert len(set(places.tolist())) == width and places.max() < arrays * per_array
    counts = np.bincount(places // per_array, minlength=arrays)
    assert counts.max() - counts.min() <= 1


def refused(program: Program, **orders: object) -> list[str]:
    place = next(i for i, each in enumerate(program.instructions) if isinstance(each, Write))
    instructions = list(program.instructions)
    instructions[place] = replace(instructions[place], **orders)
    found = violations(replace(program, instructions=tuple(instructions)))
    assert all(each.instruction == place for each in found)
    return [each.text for each in found]


def test_orders_that_are_none_are_illegal() -> None:
    net = network(entry(1, 6), linear("a", "x", 1, 6, 3))
    program = mho.compile(net, hand_chip(), GREEDY.with_(residency="never"))
    rows, columns, cells = (3, 2, 1, 0, 7, 6), (3, 0, 1), (0, 2, 1, 3)
    assert refused(program, rows=(rows,), columns=(columns,), cells=(cells,)) == []
    assert refused(program, rows=((),), columns=((),), cells=((),)) == []
    for key, order, room in (("rows", rows, 7), ("columns", columns, 3), ("cells", cells, 3)):
        for wrong in (order[:-1], (*order, 99), (order[1], *order[1:]), (room + 1, *order[1:]), (-1, *order[1:])):
            assert f"places of their own from 0 to {room}" in refused(program, **{key: (wrong,)})[0]
        assert f"2 orders of {key} for 1 blocks" in refused(program, **{key: (order, order)})[0]
    odd = mho.compile(net, hand_chip(array__cell_bits=3), GREEDY.with_(residency="never"))
    assert refused(odd, rows=(rows,)) == []
    assert "not used in full" in refused(odd, cells=((1, 0, 2),))[0]
    narrow = network(entry(1, 6), linear("a", "x", 1, 6, 2))
    for coding, count in (("flipped", 4), ("differential", 8), ("twos_complement", 5)):
        other = mho.compile(narrow, hand_chip(array__coding=coding), GREEDY.with_(residency="never"))
        assert refused(other, rows=(rows,)) == []
        assert f"cells of coding {coding} are not alike" in refused(other, cells=(tuple(range(count))[::-1],))[0]


def test_a_write_measured_faster_than_its_cells_is_illegal() -> None:
    chip = hand_chip(write_latency="actual")
    net = network(entry(1, 16), linear("a", "x", 1, 16, 12), linear("b", "a", 1, 12, 8))
    program = shuffled(mho.compile(bell_codes(net, 0), chip, GREEDY.with_(schedule="naive", residency="never")), 1)
    timing = time_program(program)
    assert violations(program, (timing.starts, timing.ends)) == ()
    for i in wear(program).counts:
        ends = timing.ends.copy()
        ends[i] = timing.starts[i] + 0.99 * (ends[i] - timing.starts[i])
        found = violations(program, (timing.starts, ends))
        assert any(each.instruction == i and "less than the chip's" in each.text for each in found)


def test_orders_are_fetched_and_spread_columns_read_in_more_arrays() -> None:
    # 6 rows of 8: 3 bits each; 2 weight columns of 4: 2 bits each; 4 digits: 2 bits each. 30 bits in all.
    net = network(entry(5, 6), linear("a", "x", 5, 6, 2))
    program = mho.compile(
        with_codes(net, {"a": np.zeros((6, 2))}),
        hand_chip(),
        GREEDY.with_(schedule="overlap", residency="never"),
    )
    write = next(i for i, each in enumerate(program.instructions) if isinstance(each, Write))
    orders = {"rows": (tuple(range(5, -1, -1)),), "columns": ((0, 2),), "cells": ((3, 2, 1, 0),)}
    instructions = list(program.instructions)
    instructions[write] = replace(instructions[write], **orders)
    placed = replace(program, instructions=tuple(instructions))
    end = len(instructions)
    before, after = (count_events(each, wear(each), 0, end) for each in (program, placed))
    apart = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    steps = 5 * 8
    assert apart == {
        (1, "memory_byte", "memory"): 30 / 8, (1, "noc_byte", "write"): 30 / 8, (1, "tile_buffer_byte", "write"): 30 / 8,
        (1, "array_read", "compute"): steps, (1, "dac_drive", "compute"): 6 * steps, (1, "input_register_byte", "compute"): 30,
    }  # fmt: skip
    slow = hand_chip(memory__bandwidth=1e3)
    lasts = [time_program(replace(each, chip=slow)).ends[write] for each in (program, placed)]
    # The input's 30 bytes come at the same time, and take half of the memory.
    assert lasts == pytest.approx([2 * 18 / 1e3, 2 * (18 + 30 / 8) / 1e3])


@pytest.mark.parametrize(("copy", "windows"), [(0, 2), (3, 2), (4, 1)])
def test_a_copy_in_places_of_its_own_is_charged_for_the_windows_that_are_its_turn(copy: int, windows: int) -> None:
    # 9 windows in turn to 5 copies; two columns as far apart as (0, 2) lie in two arrays.
    net = network(entry(1, 6, 3, 3), pointwise("a", "x", 6, 2, side=3))
    chip = hand_chip(tiles=4, layer_order="dataflow")
    program = mho.compile(with_codes(net, {"a": np.zeros((6, 2))}), chip, GREEDY.with_(schedule="stream"))
    instructions = list(program.instructions)
    assert [each.copies for each in instructions if isinstance(each, Activate)] == [5, 5, 5]
    (write,) = (i for i, each in enumerate(instructions) if isinstance(each, Write) and each.copy == copy)
    instructions[write] = replace(instructions[write], columns=((0, 2),))
    placed = replace(program, instructions=tuple(instructions))
    end = len(instructions)
    before, after = (count_events(each, wear(each), program.setup, end) for each in (program, placed))
    apart = {key: after[key] - before[key] for key in after if after[key] != before[key]}
    assert apart == {
        (1, "array_read", "compute"): pytest.approx(8 * windows),
        (1, "dac_drive", "compute"): pytest.approx(6 * 8 * windows),
        (1, "input_register_byte", "compute"): pytest.approx(6 * windows),
    }


def test_a_placed_program_is_kept_and_listed(tmp_path: Path) -> None:
    net = network(entry(1, 16), linear("a", "x", 1, 16, 12), linear("b", "a", 1, 12, 8))
    program = shuffled(
        mho.compile(bell_codes(net, 0), hand_chip(), GREEDY.with_(schedule="naive", residency="never")), 3
    )
    program.save(tmp_path / "x.mho")
    loaded = mho.Program.load(tmp_path / "x.mho")
    assert loaded.instructions == program.instructions
    assert loaded.listing() == program.listing()
    assert all(f"  {key} " in program.listing() for key in ("rows", "columns", "cells"))


@settings(some, max_examples=15)
@given(networks, chips(), st.sampled_from(["overlap", "naive"]), st.sampled_from(["time", "pulses"]))
def test_placement_is_exact_legal_and_never_worse(network: Network, chip: Chip, schedule: str, objective: str) -> None:
    chip = chip.override({"write_latency": "actual" if objective == "time" else "worst_case"}, source="law")
    inputs = synthetic(network, 1, seed=1).inputs
    quantised = mho.number.quantise(network, inputs)
    plain, placed = (
        mho.compile(quantised, chip, GREEDY.with_(schedule=schedule, residency="never", placement=each))
        for each in ("none", objective)
    )
    result = mho.verify(placed, inputs)
    assert result.ok, str(result)
    report = mho.simulate(placed)
    assert report.bound.seconds <= report.latency_s * (1 + 1e-9)
    if objective == "time":
        assert time_program(placed).latency_s <= time_program(plain).latency_s
    else:
        steps = [sum(each.steps for each in wear(program).counts.values()) for program in (plain, placed)]
        assert steps[1] <= steps[0]


def test_rows_in_another_order_are_found_again() -> None:
    """The second matrix holds the rows of the first, shuffled: placed for pulses it changes nothing."""
    generator = np.random.default_rng(0)
    a = generator.integers(0, 256, (8, 4))
    b = a[generator.permutation(8)]
    net = beside(linear("a", "x", 1, 8, 4), linear("b", "y", 1, 8, 4))
    for objective, latency in (("pulses", "worst_case"), ("time", "actual")):
        chip = hand_chip(tile__groups=1, tiles=1, write_latency=latency)
        made = {
            each: mho.compile(with_codes(net, {"a": a, "b": b}), chip, GREEDY.with_(schedule="naive", placement=each))
            for each in ("none", objective)
        }
        assert sum(count.steps for count in wear(made["none"]).counts.values()) > 0
        assert made[objective].strategy.placement.name == objective
        if objective == "pulses":
            assert sum(count.steps for count in wear(made["pulses"]).counts.values()) == 0
        else:
            assert time_program(made["time"]).latency_s < time_program(made["none"]).latency_s


def test_placement_that_changes_nothing_is_refused() -> None:
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2))
    quantised = with_codes(net, {"a": [[1, 2], [3, 4]]})
    with pytest.raises(OptionError, match="worst case"):
        mho.compile(quantised, hand_chip(), GREEDY.with_(placement="time"))
    with pytest.raises(OptionError, match="shapes alone"):
        mho.compile(net, hand_chip(), GREEDY.with_(placement="pulses"))
    with pytest.raises(OptionError, match="did you mean pulses"):
        mho.compile(quantised, hand_chip(), GREEDY.with_(placement="pulse"))
    alone = mho.compile(quantised, hand_chip(), GREEDY.with_(residency="never", placement="pulses"))
    assert any("won nothing" in note for note in alone.notes)


def test_the_page_shows_what_was_measured() -> None:
    page = measured_part(benchmark.PAGE.read_text(encoding="utf-8"))
    results = read_json(benchmark.RESULTS)
    assert page == benchmark.table(results)
    assert [each["name"] for each in results["networks"]] == list(benchmark.NAMES)
    for each in results["networks"]:
        assert each["actual_s"] <= each["worst_s"]
        assert each["time"]["latency"] < 1 and each["pulses"]["pulses"] < 1
        assert each["aligned"]["placed"] < each["aligned"]["pulses"]


def test_real_weights_are_overwritten_faster_or_with_fewer_pulses(data: Path) -> None:
    quantised = mho.number.quantise(mho.Network.from_onnx(data / "cifar10/resnet20.onnx"))
    for objective, latency in (("time", "actual"), ("pulses", "worst_case")):
        chip = Chip.load("aras").override({"tiles": 1, "write_latency": latency}, source="test")
        plain, placed = (
            mho.compile(quantised, chip, GREEDY.with_(schedule="overlap", placement=each))
            for each in ("none", objective)
        )
        if objective == "time":
            assert time_program(placed).latency_s < 0.9 * time_program(plain).latency_s
        else:
            steps = [sum(each.steps for each in wear(program).counts.values()) for program in (plain, placed)]
            assert steps[1] < 0.9 * steps[0]
