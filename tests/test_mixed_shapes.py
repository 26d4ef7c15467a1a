"""Layers whose weights have different bits follow one another in the same cells, each of which is followed here on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import WriteCount, wear
from mho.machine.analog.columns import programmed
from mho.machine.analog.sensing import Sensing
from mho.machine.cells import cell_changes, overwritten
from mho.machine.endurance import addressed_writes
from mho.machine.fabric import Fabric
from mho.machine.timing import time_program
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.number import QuantisedNetwork
from mho.program import Program, Write
from mho.program.instructions import members
from mho.program.legality.writing import least_write_s
from tests.coded_cells import block_cells
from tests.hand_sized import entry, hand_chip, linear, network, with_codes
from tests.strategies import ALL_CODES, ALONE, GREEDY, chips, networks
from tests.test_squeezed_execution import GENERIC

some = settings(max_examples=25)
mixed_bits = st.lists(st.integers(1, 8), min_size=2, max_size=4)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])
Cells = npt.NDArray[np.int64]


def fewer(quantised: QuantisedNetwork, bits: Sequence[int]) -> QuantisedNetwork:
    """The network with weights of so many bits, layer by layer in turn: the upper bits of its codes."""
    matrices, owners = {}, list(dict.fromkeys(quantised.network.owners.values()))
    for name, matrix in quantised.matrices.items():
        count = bits[owners.index(quantised.network.owners[name]) % len(bits)]
        gone = 8 - count
        matrices[name] = replace(
            matrix, codes=matrix.codes >> gone, scale=matrix.scale * 2.0**gone, zero=matrix.zero >> gone, bits=count
        )
    return replace(quantised, matrices=matrices)


class Followed:
    """Every cell of a chip, column by column of its arrays, spare ones too, from blank through a setup and two inferences.

    `levels`, `origin` (the write that programmed a cell last), `worn`, `addressed` (changes in the last inference, and writes that
    meant the cell): (groups, rows, arrays, columns). `counts`: what each write does when it is last made.
    """

    def __init__(self, program: Program) -> None:
        self.chip, self.program = program.chip, program
        sizes = (self.chip.groups, self.chip.array.rows, self.chip.group.arrays, self.chip.array.columns)
        self.levels, self.worn = np.zeros(sizes, dtype=np.int64), np.zeros(sizes, dtype=np.int64)
        self.addressed, self.origin = np.zeros(sizes, dtype=np.int64), np.full(sizes, -1)
        self.counts: dict[int, WriteCount] = {}
        for inference in (0, 1):
            for number, write in enumerate(program.instructions):
                if isinstance(write, Write) and not (inference and number < program.setup):
                    self._write(number, write, bool(inference))

    def _write(self, number: int, write: Write, counted: bool) -> None:
        addressed = changed = steps = slowest = 0
        for which, group in enumerate(members(write.groups)):
            before = self.levels[group].copy()
            addressed += self._block(number, write, which, group, counted)
            change = self.levels[group] - before
            changed, steps = changed + np.count_nonzero(change), steps + int(np.abs(change).sum())
            self.origin[group][change != 0] = number
            self.worn[group] += counted * (change != 0)
            # Where all cells of a row change the same way, the other phase has nothing to do.
            up, down = change.max(axis=2, initial=0), -change.min(axis=2, initial=0)
            took = up + down if self.chip.array.write_phases == 2 else np.maximum(up, down)
            slowest = max(slowest, int(took.sum(axis=0).max()))
        self.counts[number] = WriteCount(addressed, changed, steps, slowest)

    def _block(self, number: int, write: Write, which: int, group: int, counted: bool) -> int:
        assert self.program.quantised is not None
        weight = self.program.mapping.weight_of(write.blocks[0])
        matrix = self.program.quantised.matrices[weight.name]
        block: Any = weight.blocks
        levels = block_cells(self.chip, matrix.codes, block.block(write.blocks[0] - weight.first + which), matrix.bits)
        height, width, cells = levels.shape
        rows = (write.rows and write.rows[which]) or range(height)
        columns = (write.columns and write.columns[which]) or range(width)
        digits = (write.cells and write.cells[which]) or range(cells)
        for j, place in enumerate(columns):
            for k, digit in enumerate(digits):
                array, first = divmod(place, self.chip.array.columns // cells)
                at = group, list(rows), array, first * cells + digit
                self.levels[at] = levels[:, j, k]
                self.origin[at] = np.where(self.origin[at] < 0, number, self.origin[at])
                self.addressed[at] += counted
        return levels.size

    def gridded(self, cells: Cells) -> Cells:
        """The columns of each array that are in use by blocks of any shape, side by side: (groups, rows, columns)."""
        used = cells[..., : self.program.mapping.grid.per_array]
        return used.reshape(*cells.shape[:2], -1)


def compiled(quantised: QuantisedNetwork, chip: Chip, **choices: object) -> Program:
    return mho.compile(quantised, chip, GREEDY.with_(choices))


@some
@given(networks, chips(), mixed_bits, schedules, residencies)
def test_cells_are_counted_charged_and_worn_whatever_shape_they_are_written_by(
    network: Network, chip: Chip, bits: list[int], schedule: str, residency: str
) -> None:
    program = compiled(fewer(mho.number.quantise(network), bits), chip, schedule=schedule, residency=residency)
    worn, cells = wear(program), Followed(program)
    assert worn.counts == cells.counts
    inference = [count for number, count in worn.counts.items() if number >= program.setup]
    assert overwritten(program).steps == sum(count.steps for count in inference)
    np.testing.assert_array_equal(cell_changes(program)[1], cells.gridded(cells.worn))
    assert worn.per_cell_max == cells.worn.max() and worn.per_cell_mean == pytest.approx(cells.worn.sum() / chip.cells)
    assert worn.per_cell_levelled == pytest.approx(cells.worn.sum(axis=0).max() / chip.groups)
    charged = sum(count.steps for count in inference) * chip.pulses_per_level
    assert mho.simulate(program).to_dict()["writes"]["pulses"] == pytest.approx(charged, rel=1e-9)
    addressed = addressed_writes(program)
    assert addressed.most == cells.addressed.max() and addressed.mean == pytest.approx(
        cells.addressed.sum() / chip.cells
    )
    slow = replace(program, chip=chip.override({"write_latency": "actual"}, source="drawn"))
    step_s = slow.chip.array.pulse_s * slow.chip.array.pulses_full_range / (chip.levels - 1)
    for number, least in least_write_s(slow).items():
        assert least == pytest.approx(cells.counts[number].slowest * step_s)


@pytest.mark.parametrize("phases", [1, 2])
def test_a_row_whose_cells_all_change_the_same_way_takes_nothing_in_the_other_phase(phases: int) -> None:
    # One row of two cells of 4 bits: a weight of 5 bits fills it, one of 1 bit leaves the second cell as it is.
    #   a  31  1 15    over 0 0: up 15 at the most, nothing goes down; 16 steps in all
    #   b   0  0  0    over 1 15: down 15 at the most, nothing goes up
    #   c   0  0  -    nothing
    chip = hand_chip(
        tiles=1, tile__groups=1, group__arrays=1, array__rows=1, array__columns=2, array__cell_bits=4,
        array__write_phases=phases, write_latency="actual",
    )  # fmt: skip
    net = network(entry(1, 1), *(linear(name, source, 1, 1, 1) for name, source in ("ax", "ba", "cb")))
    quantised = with_codes(net, {"a": [[31]], "b": [[0]], "c": [[0]]})
    matrices = {name: replace(each, bits=1 if name == "c" else 5) for name, each in quantised.matrices.items()}
    program = compiled(replace(quantised, matrices=matrices), chip, schedule="naive", residency="never")
    counts, least, timing = wear(program).counts, least_write_s(program), time_program(program)
    assert counts == Followed(program).counts
    assert list(counts.values()) == [WriteCount(2, 2, 16, 15), WriteCount(2, 2, 16, 15), WriteCount(1, 0, 0, 0)]
    # Level after level, 4 pulses of 50 ns.
    assert [least[number] for number in counts] == pytest.approx([15 * 4 * 50e-9, 15 * 4 * 50e-9, 0])
    lasts = [timing.ends[number] - timing.starts[number] for number in counts]
    assert lasts[:2] == pytest.approx([15 * 4 * 50e-9] * 2) and lasts[2] < 15 * 4 * 50e-9
    assert mho.simulate(program).to_dict()["writes"]["pulses"] == 32 * 4


@some
@given(networks, chips(), mixed_bits, schedules, residencies)
def test_the_fabric_holds_what_was_written_last_to_each_cell(
    network: Network, chip: Chip, bits: list[int], schedule: str, residency: str
) -> None:
    quantised = fewer(mho.number.quantise(network), bits)
    program = compiled(quantised, chip, schedule=schedule, residency=residency)
    fabric, cells = Fabric(program), Followed(program)
    for inference in range(3):
        for number, write in enumerate(program.instructions):
            if isinstance(write, Write) and not (inference and number < program.setup):
                fabric.write(number)
                for which, group in enumerate(members(write.groups)):
                    weight = program.mapping.weight_of(write.blocks[0])
                    index = write.blocks[0] + which - weight.first
                    blocks, coding = weight.blocks, weight.blocks.shape.coding
                    stored = fabric.read(group, int(blocks.heights[index]), int(blocks.widths[index]))
                    held = stored.levels.astype(np.int64)
                    if stored.inverted is not None:
                        held = np.where(stored.inverted, coding.highest - held, held)
                    codes = held @ np.array(coding.significance) + coding.base
                    assert (codes == blocks.laid(index, quantised.matrices[weight.name])).all()
    levels, origin = cells.gridded(cells.levels), cells.gridded(cells.origin)
    for group in range(chip.groups):
        if group not in fabric.held:
            assert (origin[group] < 0).all()
            continue
        content = fabric.held[group]
        height, width = content.levels.shape
        np.testing.assert_array_equal(content.levels, levels[group, :height, :width])
        np.testing.assert_array_equal(content.origins, origin[group, :height, :width])
        assert (origin[group, height:] < 0).all() and (origin[group, :, width:] < 0).all()
        assert set(content.places) >= set(np.unique(content.origins).tolist()) - {-1}


@some
@given(networks, chips(), mixed_bits, schedules, residencies, st.booleans())
def test_what_a_write_leaves_is_worked_out_once_and_in_bounded_room(
    network: Network, chip: Chip, bits: list[int], schedule: str, residency: str, tracked: bool
) -> None:
    quantised = fewer(mho.number.quantise(network), bits)
    program = compiled(quantised, chip, schedule=schedule, residency=residency)
    fabric, forgetful = Fabric(program, tracked), Fabric(program, tracked)
    forgetful.room = 0
    writes = [number for number, each in enumerate(program.instructions) if isinstance(each, Write)]
    for inference in range(3):
        if inference == 2:
            # Every group is found as the inference before found it.
            fabric.deltas.change = None  # type: ignore[assignment, method-assign]
        for number in writes:
            if not inference or number >= program.setup:
                fabric.write(number)
                forgetful.write(number)
                for group in members(program.instructions[number].groups):  # type: ignore[union-attr]
                    one, other = fabric.held[group], forgetful.held[group]
                    assert one.digest == other.digest and one.origin_digest == other.origin_digest
                    np.testing.assert_array_equal(one.levels, other.levels)
    assert not forgetful._written
    assert sum(each.content.nbytes for each in fabric._written.values()) == fabric._bytes <= fabric.room


@settings(max_examples=40)
@given(networks, chips(), mixed_bits, schedules, residencies)
def test_a_chip_too_small_computes_layers_of_different_bits_exactly(
    network: Network, chip: Chip, bits: list[int], schedule: str, residency: str
) -> None:
    inputs = synthetic(network, 1, seed=1).inputs
    quantised = fewer(mho.number.quantise(network, inputs), bits)
    result = mho.verify(compiled(quantised, chip, schedule=schedule, residency=residency), inputs)
    assert result.ok, str(result)


def two(first: int, second: int) -> QuantisedNetwork:
    """Two layers of 8 x 8 weights of so many bits."""
    drawn = np.random.default_rng(first + second)
    net = network(entry(1, 8), linear("a", "x", 1, 8, 8), linear("b", "a", 1, 8, 8))
    weights = {
        each.name: mho.network.layers.Array.of(drawn.normal(size=(8, 8)).astype(np.float32)) for each in net.layers[1:]
    }
    layers = tuple(replace(each, weight=weights[each.name]) if each.name in weights else each for each in net.layers)
    net = replace(net, layers=layers)
    return fewer(mho.number.quantise(net, synthetic(net, 1).inputs), (first, second))


@pytest.mark.parametrize("bits", [(8, 4), (3, 8), (5, 2)])
@pytest.mark.parametrize("placement", ["pulses", "time"])
def test_rows_change_places_where_blocks_of_different_shapes_meet(placement: str, bits: tuple[int, int]) -> None:
    quantised, chip = two(*bits), hand_chip(tiles=1, array__columns=19, write_latency="actual")
    plain = compiled(quantised, chip, schedule="naive", residency="never")
    program = compiled(quantised, chip, schedule="naive", residency="never", placement=placement)
    moved = [
        each for each in program.instructions if isinstance(each, Write) and (each.rows or each.columns or each.cells)
    ]
    assert moved and not any(each.columns or each.cells for each in moved)
    assert wear(program).counts == Followed(program).counts
    if placement == "pulses":
        assert overwritten(program).steps < overwritten(plain).steps
    else:
        assert mho.simulate(program).latency_s < mho.simulate(plain).latency_s
    result = mho.verify(program, synthetic(quantised.network, 1).inputs)
    assert result.ok, str(result)


@pytest.mark.parametrize("columns", [19, 24])
def test_a_stuck_cell_is_stuck_for_blocks_of_every_shape(columns: int) -> None:
    # 3-bit cells: 8-bit weights fill 18 of 19 columns and 24 of 24, 4-bit weights 18 and 24, 2-bit ones all.
    analog = GENERIC.override(
        {
            "device.programming.sigma": 0.02, "device.on_off": 3.0,
            "device.stuck.on_share": 0.1, "device.stuck.off_share": 0.1,
        }
    )  # fmt: skip
    chip = hand_chip(tiles=1, array__columns=columns, array__cell_bits=3, tile__groups=1, array__pulses_full_range=70)
    program = compiled(two(8, 2), chip, schedule="naive", residency="never")
    below, fabric, stuck = analog.device.pedestal(3), Fabric(program), []
    for number, write in enumerate(program.instructions):
        if isinstance(write, Write):
            fabric.write(number)
            blocks = program.mapping.weight_of(write.blocks[0]).blocks
            seen = programmed(fabric.held[0], 0, Sensing(chip, blocks.shape, analog))
            ends = [(seen == below + level) & (fabric.held[0].origins >= 0) for level in (0, 7)]
            stuck.append((fabric.held[0].origins == number, *ends))
    (early, *before), (late, *after) = stuck[0], stuck[-1]
    height, width = (min(sizes) for sizes in zip(early.shape, late.shape, strict=True))
    both = early[:height, :width] & late[:height, :width]
    assert both.sum() > 40
    for one, other in zip(before, after, strict=True):
        assert (one[:height, :width] == other[:height, :width])[both].all()
    assert sum(other[:height, :width][both].sum() for other in after) > 4


@pytest.mark.parametrize("coding", ALL_CODES)
@pytest.mark.parametrize("bits", [(8, 4), (2, 6), (8, 5, 3)])
def test_expected_changes_of_weights_of_different_bits_are_those_of_drawn_codes(
    coding: str, bits: tuple[int, ...]
) -> None:
    chip = hand_chip(array__rows=32, array__columns=96, array__coding=coding, group__arrays=2, tile__groups=1, tiles=1)
    sides = [96 // len(_table(coding, count)[0]) * 2 for count in bits]
    widths = [32, *(sides[i % len(bits)] for i in range(8))]
    net = network(
        entry(1, 32), *(linear(f"l{i}", f"l{i - 1}" if i else "x", 1, widths[i], widths[i + 1]) for i in range(8))
    )
    drawn = np.random.default_rng(1)
    codes, matrices = {}, {}
    for i, layer in enumerate(net.matrix_layers):
        most = 2 ** bits[i % len(bits)] - 1
        values = np.rint(drawn.normal(most / 2, most / 8, (layer.groups, layer.rows, layer.columns)))
        codes[layer.name] = np.clip(values, 0, most)
    quantised = with_codes(net, codes)
    for i, (name, matrix) in enumerate(quantised.matrices.items()):
        matrices[name] = replace(matrix, bits=bits[i % len(bits)])
    program = compiled(replace(quantised, matrices=matrices), chip, schedule="naive", residency="never")
    exact, expected = wear(program), wear(replace(program, quantised=None))
    assert len(program.mapping.shapes) == len(bits)
    for name in ("changed", "steps"):
        sums = [sum(getattr(count, name) for count in each.counts.values()) for each in (exact, expected)]
        assert sums[1] == pytest.approx(sums[0], rel=0.05)
    assert "different bits" in " ".join(mho.simulate(replace(program, quantised=None)).notes())


def _table(coding: str, bits: int) -> list[list[int]]:
    from tests.coded_cells import weight_levels

    return [weight_levels(1, coding, 4, bits)]
