"""Placement (ours): where each block's rows, columns and digits sit in its group, so that overwriting is faster or milder.

ARAS leaves open how writing could gain time from similar weights: a row lasts as long as its slowest cell (section VII-B).
This pass takes a finished program. Group by group it follows what the group holds, and chooses for each block where it
sits, so that the write that brings it and the write that overwrites it cost little together: level steps of the slowest
array (objective "time"), or pulses ("pulses"). An inference begins on what the last one left, so the blocks of a group are a
ring, and it is gone round more than once. A group keeps what it had where nothing is won, and so does the program, measured
on the machine.

Where blocks whose weights have different bits meet in a group, rows alone change places: columns of cells are parts of weights,
which go together.

Which block of a run goes to which of the run's groups is left as it is: blocks of one layer are so much alike that choosing
by how often their cells are at each level won less than 0.1 % on every network that it was tried on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from mho.chip import Chip
from mho.chip.coding import Coding
from mho.errors import StrategyError
from mho.machine.cells import wear
from mho.machine.timing import time_program
from mho.mapping import WeightMapping
from mho.mapping.coding import block_levels
from mho.mapping.grid import CellGrid
from mho.mapping.placement import (
    Costs,
    Levels,
    Places,
    Sitting,
    WriteCosts,
    balanced,
    cheapest,
    digit_order,
    distances,
    following_distances,
    following_steps,
    in_place,
    row_steps,
    spread,
)
from mho.mapping.shape import GroupShape
from mho.number import Sampled
from mho.program import Program, Write
from mho.program.instructions import members
from mho.schedule.stages import Placement
from mho.strategy.choice import choice
from mho.strategy.strategy import Strategy

NOTE = (
    "assumption: each group addresses the rows, columns and cells of its block through a table of its orders, which come with "
    "the block's level changes; their bytes are charged, the table's area is not"
)
SWEEPS = 2
"""How often the ring of a group's blocks is gone round."""
STEEPNESS = 16.0
"""How many times dearer a change by one level more is when digits are assigned for time: one such cell slows a whole row."""

Key = tuple[int, int]
"""A write's number, and which block of its run."""


class _Group:
    """The blocks that one group of `shape` receives in an inference, and where they sit."""

    rows_alone = False
    """True if neither columns nor digits move."""

    def __init__(self, chip: Chip, shape: GroupShape, blocks: list[Levels], digits_move: bool) -> None:
        self.chip, self.shape = chip, shape
        self.digits_move = digits_move and shape.coding.movable and shape.cells > 1
        self.blocks = blocks
        self.sittings = [in_place(*block.shape) for block in blocks]
        self.pulses, self.steep = (_price(chip, objective) for objective in ("pulses", "time"))

    def orders(self) -> list[Sitting]:
        """Return where the rows, columns and digits of each block sit."""
        return self.sittings

    def shown(self, k: int) -> Levels:
        """Return the levels of block k as its cells show them."""
        return self.sittings[k].shown(self.blocks[k])

    def array(self, k: int) -> Places:
        """Return the array of each column of block k."""
        return self.sittings[k].columns // self.shape.per_array

    def left(self) -> Levels:
        """Return the levels that an inference leaves, shape (rows, columns, cells)."""
        shape = self.shape
        levels = np.zeros((shape.rows, shape.columns, shape.cells), dtype=np.uint8)
        for k in range(len(self.blocks)):
            levels[self.sittings[k].index()] = self.shown(k)
        return levels

    def cost(self, objective: str) -> float:
        """Sum what the writes of an inference cost in steady state."""
        levels, total = self.left(), 0.0
        for k, sitting in enumerate(self.sittings):
            change = self.shown(k).astype(np.int16) - levels[sitting.index()]
            if objective == "pulses":
                total += float(np.abs(change).sum())
            else:
                total += self._slowest(change, self.array(k))
            levels[sitting.index()] = self.shown(k)
        return total

    def _slowest(self, change: np.ndarray, array: Places) -> float:
        most = 0
        for number in np.unique(array):
            rows = change[:, array == number].reshape(len(change), -1)
            up, down = rows.max(axis=1, initial=0), (-rows).max(axis=1, initial=0)
            took = up + down if self.chip.array.write_phases > 1 else np.maximum(up, down)
            most = max(most, int(took.sum()))
        return float(most)

    def improve(self, objective: str) -> bool:
        """Go round the ring; keep the best places found, and say whether they are better than those before."""
        before = best = self.cost(objective)
        kept = list(self.sittings)
        for sweep in range(SWEEPS):
            levels = self.left()
            for k in range(len(self.blocks)):
                (self._place_for_time if objective == "time" else self._place_for_pulses)(k, levels, sweep > 0)
                levels[self.sittings[k].index()] = self.shown(k)
            cost = self.cost(objective)
            if cost < best:
                best, kept = cost, list(self.sittings)
        self.sittings = kept
        return best < before

    def _place_for_time(self, k: int, levels: Levels, settled: bool) -> None:
        """Spread the columns of block k, choose its digits and rows; `settled`: the block that follows has been placed, too."""
        chip, block = self.chip, self.blocks[k]
        free = self.sittings[k].columns
        if not self.rows_alone:
            free = spread(block.shape[1], chip.group.arrays, self.shape.per_array)
        self.sittings[k] = replace(self.sittings[k], columns=free, cells=self._digits(k, levels, free, settled))
        sitting, shown = self.sittings[k], self.shown(k)
        costs = row_steps(levels[:, sitting.columns], shown, self.array(k), chip.levels, chip.array.write_phases)
        demands = [WriteCosts(costs, np.zeros(len(costs)))]
        after = self._after(k, settled)
        if after is not None:
            demands.append(
                following_steps(
                    levels, shown, sitting.columns, self.sittings[after], self.shown(after), self.array(after), chip.levels,
                    chip.array.write_phases,
                )
            )  # fmt: skip
        self.sittings[k] = replace(sitting, rows=balanced(demands))

    def _place_for_pulses(self, k: int, levels: Levels, settled: bool) -> None:
        """Choose rows, columns, and rows again. Columns stay in the arrays that they need: others are not to be read."""
        if self.rows_alone:
            self.sittings[k] = replace(self.sittings[k], rows=cheapest(self._row_distances(k, levels, settled)))
            return
        per_array = self.shape.per_array
        free = np.arange(-(-self.blocks[k].shape[1] // per_array) * per_array)
        self.sittings[k] = replace(self.sittings[k], rows=cheapest(self._row_distances(k, levels, settled)))
        self._columns(k, levels, free, settled)
        self.sittings[k] = replace(self.sittings[k], rows=cheapest(self._row_distances(k, levels, settled)))

    def _after(self, k: int, settled: bool) -> int | None:
        """Return the block that follows block k, if it is another one and has its place."""
        after = (k + 1) % len(self.blocks)
        return after if settled and after != k else None

    def _digits(self, k: int, levels: Levels, columns: Places, settled: bool) -> Places:
        """Choose the cells of block k's digits, by shares of levels."""
        block, after = self.blocks[k], self._after(k, settled)
        if not self.digits_move:
            return np.arange(block.shape[-1])
        meetings = [(levels[:, columns], block)]
        if after is not None:
            meetings.append((self.shown(after), block))
        return digit_order(meetings, self.steep)

    def _columns(self, k: int, levels: Levels, free: Places, settled: bool) -> None:
        """Choose, of the weight columns that are free to take, those of block k, by pulses in rows as they are."""
        sitting, after = self.sittings[k], self._after(k, settled)
        turned, block = levels.transpose(1, 0, 2), self.shown(k).transpose(1, 0, 2)
        costs = distances(turned[free][:, sitting.rows], block, self.pulses)
        if after is not None:
            other, shown = self.sittings[after], self.shown(after).transpose(1, 0, 2)
            flipped = Sitting(other.columns, other.rows, other.cells)
            costs += following_distances(turned, block, sitting.rows, flipped, shown, self.pulses)[:, free]
        self.sittings[k] = replace(sitting, columns=free[cheapest(costs)])

    def _row_distances(self, k: int, levels: Levels, settled: bool) -> Costs:
        """Return the pulses, in level steps, of each row of block k in each row of the group."""
        sitting, shown, after = self.sittings[k], self.shown(k), self._after(k, settled)
        costs = distances(levels[:, sitting.columns], shown, self.pulses)
        if after is not None:
            costs += following_distances(
                levels, shown, sitting.columns, self.sittings[after], self.shown(after), self.pulses
            )
        return costs


class _Mixed(_Group):
    """The blocks of different shapes that one group receives, as cells: each column of cells is one of places with a cell each."""

    rows_alone = True

    def __init__(self, chip: Chip, grid: CellGrid, blocks: list[Levels], shapes: list[GroupShape]) -> None:
        places = Coding("offset", chip.array.cell_bits, chip.array.cell_bits)
        flat = [block.reshape(len(block), -1, 1) for block in blocks]
        super().__init__(chip, GroupShape(places, grid.rows, grid.columns, grid.per_array), flat, False)
        self.widths = [block.shape[1:] for block in blocks]
        lines = [
            grid.lines(shape, np.arange(width)).ravel() for shape, (width, _) in zip(shapes, self.widths, strict=True)
        ]
        self.sittings = [replace(each, columns=line) for each, line in zip(self.sittings, lines, strict=True)]

    def orders(self) -> list[Sitting]:
        """Return where the rows of each block sit; columns and digits sit in place."""
        return [
            Sitting(sitting.rows, np.arange(width), np.arange(cells))
            for sitting, (width, cells) in zip(self.sittings, self.widths, strict=True)
        ]


def place(program: Program, objective: str) -> Program:
    """Return the program with its blocks placed for an objective, "time" or "pulses": never worse, by the machine's measure.

    Raises ProgramError where the program has no weights.
    """
    best, least = program, _measured(program, objective)
    movable = any(shape.coding.movable and shape.cells > 1 for shape in program.mapping.shapes)
    # Digits that change places slow fewer rows but take more pulses, and do not always win time: both ways are tried.
    for digits_move in (False, True) if objective == "time" and movable else (False,):
        placed = _placed(program, objective, digits_move)
        cost = _measured(placed, objective)
        if cost < least:
            best, least = placed, cost
    note = NOTE if best is not program else f"placement for {objective} won nothing: all blocks sit in place"
    return replace(best, notes=(*program.notes, note))


def _measured(program: Program, objective: str) -> float:
    """Measure an inference on the machine: its time in s, or the level steps of all its cells."""
    if objective == "time":
        return time_program(program).latency_s
    return sum(count.steps for i, count in wear(program).counts.items() if i >= program.setup)


def _placed(program: Program, objective: str, digits_move: bool) -> Program:
    """Place the blocks of every group that receives more than one."""
    sittings: dict[Key, Sitting] = {}
    for keys in _rings(program).values():
        if len(keys) < 2:
            continue
        ring = _ring(program, keys, digits_move)
        if ring.improve(objective):
            sittings.update(zip(keys, ring.orders(), strict=True))
    return _ordered(program, sittings)


def _ring(program: Program, keys: list[Key], digits_move: bool) -> _Group:
    """Return the blocks that a group receives."""
    shapes, blocks = [_weight(program, key)[0].blocks.shape for key in keys], [_levels(program, key) for key in keys]
    if len(set(shapes)) == 1:
        return _Group(program.chip, shapes[0], blocks, digits_move)
    return _Mixed(program.chip, program.mapping.grid, blocks, shapes)


def _price(chip: Chip, objective: str) -> Costs:
    """Return what a change by 0, 1, .. levels costs: its pulses, or for time how much it may slow its row."""
    if objective == "pulses":
        return np.arange(chip.levels, dtype=np.float64)
    return np.concatenate([[0.0], STEEPNESS ** np.arange(2.0 - chip.levels, 1.0)])


def _rings(program: Program) -> dict[int, list[Key]]:
    """Return for each group the blocks that an inference writes to it, in the order of the program."""
    rings: dict[int, list[Key]] = {}
    for number in range(program.setup, len(program.instructions)):
        instruction = program.instructions[number]
        if isinstance(instruction, Write):
            for which, group in enumerate(members(instruction.groups)):
                rings.setdefault(group, []).append((number, which))
    return rings


def _weight(program: Program, key: Key) -> tuple[WeightMapping, int]:
    """Return the weight that a block holds, and the number of the block among those of the weight."""
    instruction = program.instructions[key[0]]
    assert isinstance(instruction, Write)
    weight = program.mapping.weight_of(instruction.blocks[0])
    return weight, instruction.blocks[0] + key[1] - weight.first


def _levels(program: Program, key: Key) -> Levels:
    """Return the levels of a block, shape (height, width, cells per weight)."""
    assert program.quantised is not None
    weight, block = _weight(program, key)
    laid = weight.blocks.laid(block, program.quantised.held(weight.name))
    return block_levels(laid, weight.blocks.shape.coding)[0]


def _order(places: Places) -> tuple[int, ...]:
    """Write an order down; in place it is empty."""
    return () if bool((places == np.arange(len(places))).all()) else tuple(int(place) for place in places)


def _ordered(program: Program, sittings: Mapping[Key, Sitting]) -> Program:
    """Return the program with the orders of these blocks; all others stay as they are."""
    instructions = list(program.instructions)
    for number, instruction in enumerate(instructions):
        if not isinstance(instruction, Write):
            continue
        count = instruction.blocks[1] - instruction.blocks[0]
        given = [sittings.get((number, which)) for which in range(count)]
        if not any(given):
            continue
        orders = {
            key: tuple(() if sitting is None else _order(getattr(sitting, key)) for sitting in given)
            for key in ("rows", "columns", "cells")
        }
        rows, columns, cells = (orders[key] if any(orders[key]) else () for key in ("rows", "columns", "cells"))
        instructions[number] = replace(instruction, rows=rows, columns=columns, cells=cells)
    return replace(program, instructions=tuple(instructions))


@choice("placement", "none")
class InPlace(Placement):
    """Blocks sit as they come."""


@choice("placement", "time", weighted=True)
class ForTime(Placement):
    """Blocks sit so that the slowest cells of rows change less; for a chip of write_latency actual."""

    def after(self, program: Program, subject: Sampled) -> Program:
        """Place the blocks."""
        return place(program, "time")

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip on which no write is faster than another."""
        if chip.write_latency == "worst_case":
            yield self.refuse(
                f"changes nothing: chip {chip.name} takes the worst case for every write (write_latency)",
                bound="write_latency",
                helps="take placement 'pulses', or a chip of write_latency actual",
            )


@choice("placement", "pulses", weighted=True)
class ForPulses(Placement):
    """Blocks sit so that overwriting takes fewer pulses."""

    def after(self, program: Program, subject: Sampled) -> Program:
        """Place the blocks."""
        return place(program, "pulses")
