"""Cell changes worked out by hand, followed cell by cell by a second way, and the expected values beside them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.chip import Override
from mho.chip.coding import CODINGS, Coding, CodingName
from mho.machine import Wear, WriteCount, wear
from mho.machine.cells import cell_changes, overwritten
from mho.machine.energy import count_events
from mho.network.graph import Network
from mho.network.layers import Layer
from mho.program import Program, Write
from tests.coded_cells import block_cells
from tests.hand_sized import bell_codes, entry, hand_chip, linear, network, pointwise, with_codes
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=25)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])

PULSES = 20
"""Pulses a level: 60 for the 3 levels of a cell of 2 bits."""


def one_group(**values: Override) -> Chip:
    """One group of one array of 2 rows and 8 columns: 2 x 2 weights of 4 cells."""
    sizes: dict[str, Override] = {
        "array__rows": 2,
        "array__columns": 8,
        "group__arrays": 1,
        "tile__groups": 1,
        "tiles": 1,
    }
    return hand_chip(**(sizes | values))


def writes(program: Program) -> list[int]:
    return [i for i, each in enumerate(program.instructions) if isinstance(each, Write)]


def pulses(program: Program, worn: Wear) -> float:
    events = count_events(program, worn, program.setup, len(program.instructions))
    return sum(count for (_, event, _), count in events.items() if event == "cell_pulse")


def test_two_layers_that_overwrite_each_other_change_the_same_cells_to_and_fro() -> None:
    # Codes in base 4, and what differs:   a         b
    #   row 0                           0123 0000   3210 0000    4 cells, 3 + 1 + 1 + 3 = 8 steps, 3 up and 3 down at most
    #   row 1                           3333 0013   3330 0020    1 cell, 3 steps; 2 cells, 1 + 3 = 4 steps; 1 and 3 at most
    a = [[27, 0], [255, 7]]
    b = [[228, 0], [252, 8]]
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2), linear("b", "a", 1, 2, 2))
    program = mho.compile(with_codes(net, {"a": a, "b": b}), one_group(), GREEDY.with_(schedule="naive"))
    worn = wear(program)
    assert worn.exact
    assert [worn.counts[i] for i in writes(program)] == [WriteCount(16, 7, 15, 10)] * 2
    assert pulses(program, worn) == pytest.approx(2 * 15 * PULSES)
    # 7 of the 16 cells change twice in an inference, the others never.
    assert worn.per_cell_max == 2
    assert worn.per_cell_mean == 14 / 16
    report = mho.simulate(program).to_dict()["writes"]
    assert report == pytest.approx(
        {
            "addressed": 32,
            "cells": 14,
            "pulses": 600,
            "skip_ratio": 18 / 32,
            "per_cell_mean": 14 / 16,
            "per_cell_max": 2,
            "per_cell_levelled": 2,
            **{f"addressed_per_cell_{name}": 2 for name in ("mean", "max", "levelled")},
        }
    )


def test_a_block_written_over_itself_changes_nothing() -> None:
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2))
    program = mho.compile(with_codes(net, {"a": [[27, 1], [255, 7]]}), one_group(), GREEDY.with_(residency="never"))
    worn = wear(program)
    assert [worn.counts[i] for i in writes(program)] == [WriteCount(16, 0, 0)]
    assert (worn.per_cell_mean, worn.per_cell_max, pulses(program, worn)) == (0, 0, 0)
    expected = wear(replace(program, quantised=None))
    assert [expected.counts[i] for i in writes(program)] == [WriteCount(16, 0, 0)]
    assert expected.per_cell_max == 0


def test_the_setup_starts_from_level_0_and_wears_no_inference() -> None:
    # 0123 0001 | 3333 0013: 3 + 1 + 4 + 2 cells hold another level than 0, 6 + 1 + 12 + 4 steps up.
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2))
    program = mho.compile(with_codes(net, {"a": [[27, 1], [255, 7]]}), one_group(), GREEDY)
    assert program.setup == 1
    worn = wear(program)
    assert worn.counts == {0: WriteCount(16, 10, 23, 3 + 3)}
    assert (worn.per_cell_mean, worn.per_cell_max, pulses(program, worn)) == (0, 0, 0)
    report = mho.simulate(program).to_dict()
    assert report["writes"]["cells"] == report["writes"]["pulses"] == 0
    assert (report["setup"]["cells"], report["setup"]["pulses"]) == (10, pytest.approx(23 * PULSES))


def test_a_partial_block_leaves_the_cells_outside_it_as_they_are() -> None:
    # a fills the group, b only its first row and first column: of a, only that one weight has to be restored.
    beside = replace(entry(1, 1), name="y")
    net = network(entry(1, 2), beside, linear("a", "x", 1, 2, 2), linear("b", "y", 1, 1, 1), outputs=("a", "b"))
    codes = {"a": [[27, 200], [255, 7]], "b": [[26]]}
    worn = wear(program := mho.compile(with_codes(net, codes), one_group(), GREEDY.with_(schedule="naive")))
    # 0123 against 0122: one cell by one step.
    assert [worn.counts[i] for i in writes(program)] == [WriteCount(16, 1, 1, 1), WriteCount(4, 1, 1, 1)]
    assert worn.per_cell_max == 2
    assert worn.per_cell_mean == 2 / 16


def test_a_diagonal_writes_level_0_beside_it() -> None:
    # Two channels, each with a matrix of one weight: 27 and 255 on the diagonal, zeros beside.
    net = network(entry(1, 2, 1, 1), pointwise("a", "x", 2, 2), pointwise("b", "a", 2, 2, groups=2))
    codes: dict[str, npt.ArrayLike] = {"a": [[27, 1], [2, 255]], "b": [[[27]], [[252]]]}
    program = mho.compile(with_codes(net, codes), one_group(), GREEDY.with_(schedule="naive"))
    worn = wear(program)
    # 1 and 2 come and go (one cell each, 1 and 2 steps), 3333 and 3330 differ in one cell by 3.
    assert [worn.counts[i] for i in writes(program)] == [WriteCount(16, 3, 6, 1 + 3)] * 2
    # Apart, each weight takes a whole group, first cell of the first row: nothing beside it is touched.
    apart = mho.compile(with_codes(net, codes), one_group(), GREEDY.with_(schedule="naive", packing="separate"))
    counts = [wear(apart).counts[i] for i in writes(apart)]
    # On one group: a, then 27 (as it was), then 252 over it (0123 to 3330: 3 + 2 + 1 + 3), and 27 back with a.
    assert counts == [WriteCount(16, 4, 9, 3 + 3), WriteCount(4, 0, 0, 0), WriteCount(4, 4, 9, 3 + 3)]


def followed(program: Program) -> tuple[dict[int, tuple[int, int, int]], npt.NDArray[np.int64]]:
    """Follow every cell on its own: for each write cells addressed, changed and steps, and the changes of each cell."""
    chip = program.chip
    count = chip.cells_per_weight
    wide = chip.group_columns * count
    held = np.zeros((chip.groups, chip.array.rows, wide), dtype=np.int64)
    worn = np.zeros_like(held)
    counts: dict[int, tuple[int, int, int]] = {}
    assert program.quantised is not None
    for turn in (0, 1):
        for i in writes(program):
            instruction = program.instructions[i]
            assert isinstance(instruction, Write)
            if turn and i < program.setup:
                continue
            layer = program.mapping.by_index[instruction.layer]
            codes = program.quantised.matrices[layer.name].codes
            groups = [group for first, last in instruction.groups for group in range(first, last)]
            addressed = changed = steps = 0
            for index, group in zip(range(*layer.within(instruction.blocks)), groups, strict=True):
                block = layer.blocks.block(index)
                cells = block_cells(chip, codes, block).reshape(block.height, block.width * count)
                place = held[group, : block.height, : block.width * count]
                apart = np.abs(cells - place)
                addressed, changed, steps = (
                    addressed + apart.size,
                    changed + int((apart > 0).sum()),
                    steps + int(apart.sum()),
                )
                if turn:
                    worn[group, : block.height, : block.width * count] += apart > 0
                place[...] = cells
            if turn or i < program.setup:
                counts[i] = addressed, changed, steps
    return counts, worn


@some
@given(networks, chips(), schedules, residencies)
def test_what_is_counted_is_charged_and_worn(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    program = mho.compile(mho.number.quantise(network), chip, GREEDY.with_(schedule=schedule, residency=residency))
    worn = wear(program)
    counts, cells = followed(program)
    assert {i: (each.addressed, each.changed, each.steps) for i, each in worn.counts.items()} == counts
    inference = [count for i, count in counts.items() if i >= program.setup]
    changed = sum(each[1] for each in inference)
    assert int(cells.sum()) == changed
    np.testing.assert_array_equal(cell_changes(program)[1], cells)
    assert worn.per_cell_max == cells.max()
    assert worn.per_cell_mean == pytest.approx(changed / (chip.arrays * chip.array.rows * chip.array.columns))
    charged = sum(each[2] for each in inference) * chip.array.pulses_full_range / (chip.levels - 1)
    assert pulses(program, worn) == pytest.approx(charged, rel=1e-9)
    assert mho.simulate(program).to_dict()["writes"]["pulses"] == pytest.approx(charged, rel=1e-9)


@pytest.mark.parametrize("schedule", ALONE)
def test_a_partial_block_written_over_itself_is_expected_to_change_nothing(schedule: str) -> None:
    net = network(entry(1, 2), linear("a", "x", 1, 2, 1))
    expected = wear(program := mho.compile(net, one_group(), GREEDY.with_(schedule=schedule, residency="never")))
    assert not expected.exact
    assert [expected.counts[i] for i in writes(program)] == [WriteCount(8, 0, 0)]
    assert (expected.per_cell_mean, expected.per_cell_max) == (0, 0)


@some
@given(networks, chips(), schedules, residencies)
def test_expected_values_are_counted_charged_and_never_wear_a_cell_less(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = mho.compile(mho.number.quantise(network), chip, GREEDY.with_(schedule=schedule, residency=residency))
    exact, expected = wear(program), wear(replace(program, quantised=None))
    assert not expected.exact
    assert expected.counts.keys() == exact.counts.keys()
    for i, count in expected.counts.items():
        assert count.addressed == exact.counts[i].addressed
        assert 0 <= count.changed <= count.addressed * (1 + 1e-9)
        assert count.changed <= count.steps * (1 + 1e-9) <= count.changed * (chip.levels - 1) * (1 + 1e-9)
    assert expected.per_cell_max >= exact.per_cell_max
    steps = sum(count.steps for i, count in expected.counts.items() if i >= program.setup)
    assert pulses(program, expected) == pytest.approx(steps * chip.pulses_per_level, rel=1e-9)


@some
@given(networks, chips())
def test_pulses_up_equal_pulses_down_over_an_inference(network: Network, chip: Chip) -> None:
    """In steady state every cell ends as it began, so no cell changes once alone: per cell 0, or at least 2."""
    program = mho.compile(mho.number.quantise(network), chip, GREEDY.with_(residency="never"))
    _, cells = followed(program)
    assert not (cells == 1).any()


@some
@given(networks, chips(), schedules, residencies)
def test_what_is_overwritten_in_all_is_the_sum_of_what_the_writes_change(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    strategy = GREEDY.with_(schedule=schedule, residency=residency)
    program = mho.compile(mho.number.quantise(network), chip, strategy)
    counts = [count for i, count in wear(program).counts.items() if i >= program.setup]
    sums = (sum(getattr(count, name) for count in counts) for name in ("addressed", "changed", "steps"))
    assert overwritten(program) == WriteCount(*sums)


def overwriting(
    layers: Sequence[Layer], seed: int, bits: int, schedule: str, coding: CodingName = "offset"
) -> tuple[Wear, Wear, Program]:
    """Exact and expected wear of layers on one group of 32 rows and 32 weights, their codes drawn as expected."""
    chip = one_group(
        array__rows=32, array__columns=8 * Coding(coding, 8, bits).cells, group__arrays=4, array__cell_bits=bits,
        array__coding=coding,
    )  # fmt: skip
    inputs = tuple(layer for layer in layers if not hasattr(layer, "weight"))
    net = network(*layers, outputs=tuple(layer.name for layer in layers if layer not in inputs))
    program = mho.compile(bell_codes(net, seed), chip, GREEDY.with_(schedule=schedule, residency="never"))
    return wear(program), wear(replace(program, quantised=None)), program


def ratios(exact: Wear, expected: Wear) -> tuple[float, float]:
    """Expected over exact: cells changed, and level steps."""
    sums = [
        (sum(count.changed for count in each.counts.values()), sum(count.steps for count in each.counts.values()))
        for each in (exact, expected)
    ]
    return sums[1][0] / sums[0][0], sums[1][1] / sums[0][1]


# A weight's changed cells and steps have a standard deviation of at most 0.56 of their mean (steps of 4-bit cells; 0.64 where
# they are differential). Each code
# enters two changes, so n changes are worth n / 2 independent ones at least, and a ratio has at most 0.56 sqrt(2 / n).
def tolerance(weights: int, deviation: float = 0.56) -> float:
    """Four standard deviations of a ratio over so many weights."""
    return 4 * deviation * sqrt(2 / weights)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("schedule", ALONE)
def test_expected_changes_of_dense_blocks_are_those_of_drawn_codes(bits: int, schedule: str) -> None:
    layers = [entry(1, 64), *(linear(f"l{i}", "x" if i == 0 else f"l{i - 1}", 1, 64, 64) for i in range(4))]
    exact, expected, program = overwriting(layers, 1, bits, schedule)
    assert program.mapping.count == 16
    assert ratios(exact, expected) == pytest.approx((1, 1), abs=tolerance(16 * 1024))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("coding", CODINGS[1:])
def test_expected_changes_of_every_coding_are_those_of_drawn_codes(bits: int, coding: CodingName) -> None:
    layers = [entry(1, 64), *(linear(f"l{i}", "x" if i == 0 else f"l{i - 1}", 1, 64, 64) for i in range(4))]
    exact, expected, program = overwriting(layers, 1, bits, "naive", coding)
    assert program.mapping.count == 16
    assert ratios(exact, expected) == pytest.approx((1, 1), abs=tolerance(16 * 1024, 0.64))


@pytest.mark.parametrize("channels", [1, 4])
def test_expected_changes_of_dense_and_diagonal_blocks_in_turn(channels: int) -> None:
    # Full blocks of 32 x 32, and the diagonal of 32 / channels matrices: each weight off the diagonal falls to 0 and rises.
    side = 32
    layers: list[Layer] = [entry(1, side, 1, 1)]
    for i in range(8):
        dense = pointwise(f"d{i}", layers[-1].name, side, side)
        layers += [dense, pointwise(f"g{i}", dense.name, side, side, groups=side // channels)]
    exact, expected, program = overwriting(layers, 2, 2, "naive")
    assert program.mapping.count == 16
    assert ratios(exact, expected) == pytest.approx((1, 1), abs=tolerance(8 * 1024))


def test_expected_changes_of_a_small_block_between_full_ones() -> None:
    # Of each full block that follows a small one, the rest meets the full one before: two blocks are remembered.
    layers: list[Layer] = [entry(1, 32)]
    for i in range(6):
        wide = linear(f"w{i}", layers[-1].name, 1, 20 if i else 32, 32)
        layers += [wide, linear(f"s{i}", wide.name, 1, 32, 20)]
    exact, expected, _ = overwriting(layers, 3, 2, "naive")
    assert ratios(exact, expected) == pytest.approx((1, 1), abs=0.15)


@pytest.mark.parametrize("seed", range(9))
def test_expected_changes_of_mixed_blocks_are_near(seed: int) -> None:
    """Dense, diagonal and partial blocks in turn: the model remembers two blocks a group, and is near."""
    layers: list[Layer] = [entry(1, 32, 1, 1)]
    generator = np.random.default_rng(seed)
    here = 32
    for i in range(10):
        outputs = int(generator.choice([8, 16, 32, 40]))
        layers.append(pointwise(f"d{i}", layers[-1].name, here, outputs))
        layers.append(pointwise(f"g{i}", f"d{i}", outputs, outputs, groups=outputs // int(generator.choice([1, 2, 8]))))
        here = outputs
    exact, expected, _ = overwriting(layers, seed, 2, "naive")
    assert ratios(exact, expected) == pytest.approx((1, 1), abs=0.15)
    assert expected.per_cell_max >= exact.per_cell_max


def test_wear_takes_memory_for_the_groups_that_an_inference_writes_alone() -> None:
    """Counters of all cells of chip raella, of 23,776 groups of 1,024 x 512 cells, would take 25 GB."""
    net = network(entry(1, 2), linear("a", "x", 1, 2, 2))
    program = mho.compile(with_codes(net, {"a": [[27, 1], [255, 7]]}), "raella", GREEDY.with_(residency="never"))
    wear(mho.compile(with_codes(net, {"a": [[27, 1], [255, 7]]}), "raella", GREEDY))
    tracemalloc.start()
    assert wear(program).per_cell_max == 0.0
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
