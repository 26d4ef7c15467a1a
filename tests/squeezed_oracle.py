"""What squeezed arrays do, digit by digit and bit by bit: the oracle of squeezed mapping.

It takes from the project what a mapping and a program say (where pieces sit, which digit each column holds, codes, zero points),
and for noisy cells the draws of `Device`; how weights become digits, digits sums and sums outputs is written here once more, from
the words of `Digits` and docs/analog.md, in plain loops, and so is what each window costs. It shares nothing with the planner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from mho.machine.analog import Analog
from mho.mapping import DigitBlocks, Digits
from mho.mapping.digits import DigitBlock
from mho.program import Activate, Program, Write
from mho.program.instructions import members

Cells = dict[tuple[int, int], int]


def digit(weight: int, piece: Digits, row: int, column: int) -> int:
    """The digit that a cell of a piece should hold of a signed weight."""
    stored = abs(weight) >> int(piece.shifts[row])
    assert stored << int(piece.shifts[row]) == abs(weight), "the shift of a row drops a bit of a weight"
    negative, sign = weight < 0, int(piece.signs[column])
    if sign == 0:
        low = stored % 2**piece.low
        held = (-low if negative else low) + int(piece.offsets[column])
        assert held >= 0, "an offset leaves a weight below 0"
    else:
        held = stored if negative == (sign < 0) else 0
    return int(held >> int(piece.positions[column]) & int(piece.masks[column]))


def laid_out(tiling: DigitBlocks, index: int, weights: np.ndarray) -> Cells:
    """What each cell of a block should hold, by its row and column in the group."""
    return {
        (piece.top + i, piece.left + j): digit(int(weights[piece.matrix, row, output]), piece, i, j)
        for piece in tiling.block(index).parts
        for i, row in enumerate(piece.rows)
        for j, output in enumerate(piece.outputs)
    }


def worth(piece: Digits, column: int) -> int:
    """What a unit in a column counts for in its output."""
    return int((-1 if piece.signs[column] < 0 else 1) << int(piece.positions[column]))


def rebuilt(tiling: DigitBlocks, laid: Sequence[np.ndarray]) -> np.ndarray:
    """The weights (matrices, K, N) that blocks of digits stand for, cell by cell."""
    weights = np.zeros((tiling.matrices, tiling.rows, tiling.columns), dtype=np.int64)
    for index, cells in enumerate(laid):
        for piece in tiling.block(index).parts:
            for i, row in enumerate(piece.rows):
                shifted = 2 ** int(piece.shifts[i])
                for j, output in enumerate(piece.outputs):
                    held = int(cells[piece.top + i, piece.left + j])
                    weights[piece.matrix, row, output] += worth(piece, j) * held * shifted
                for output, offset in zip(*piece.corrected, strict=True):
                    weights[piece.matrix, row, output] -= int(offset) * shifted
    return weights


def overlaps(first: Digits, second: Digits, *, rows_only: bool = False) -> bool:
    """Whether two pieces share a cell, or a row."""
    rows = first.top < second.top + second.height and second.top < first.top + first.height
    columns = first.left < second.left + second.width and second.left < first.left + first.width
    return rows and (columns or rows_only)


def check_block(block: DigitBlock, cells: np.ndarray, rows: int, columns: int) -> None:
    """No cell belongs to two pieces, none lies outside; those of a turn share no row, and hold nothing where they cross."""
    for piece in block.parts:
        assert piece.height > 0
        assert piece.width > 0
        assert 0 <= piece.top <= rows - piece.height
        assert 0 <= piece.left <= columns - piece.width
    owned = np.zeros((rows, columns), dtype=int)
    for first, second in combinations(block.parts, 2):
        assert not overlaps(first, second)
        if first.turn == second.turn:
            assert not overlaps(first, second, rows_only=True)
            for one, other in ((first, second), (second, first)):
                assert not cells[one.top : one.top + one.height, other.left : other.left + other.width].any()
    for piece in block.parts:
        owned[piece.top : piece.top + piece.height, piece.left : piece.left + piece.width] += 1
    assert owned.max() <= 1
    assert not cells[owned[: cells.shape[0], : cells.shape[1]] == 0].any()
    turns = {piece.turn for piece in block.parts}
    assert turns == set(range(len(turns)))


def late_bits(piece: Digits) -> int:
    """Bits by which inputs grow whose rows are shifted by different numbers; equal shifts are made good behind the array."""
    shifts = {int(shift) for shift in piece.shifts}
    return max(shifts) if len(shifts) > 1 else 0


def turns_of(block: DigitBlock) -> list[list[Digits]]:
    """The pieces of each turn."""
    return [
        [piece for piece in block.parts if piece.turn == turn]
        for turn in range(1 + max(piece.turn for piece in block.parts))
    ]


def steps_of(block: DigitBlock, dac_bits: int) -> int:
    """Input-bit steps of one window: in each turn 8 bits, and as many more as its furthest shifted row asks for."""
    total = 0
    for turn in turns_of(block):
        bits = max(late_bits(piece) for piece in turn)
        total += sum(1 for _ in range(0, 8, dac_bits)) + sum(1 for _ in range(0, bits, dac_bits))
    return total


def events_of(block: DigitBlock, program: Program, columns: Sequence[int]) -> Counter[str]:
    """What one window through a block does on a chip, counted step by step; `columns`: where each column sits in the group."""
    chip, found = program.chip, Counter[str]()
    sparse = chip.sparse
    assert sparse is not None
    for turn in turns_of(block):
        steps = steps_of(DigitBlock(tuple(turn_at_0(turn))), chip.array.dac_bits)
        read: set[int] = set()
        for piece in turn:
            arrays = {columns[piece.left + j] // chip.array.columns for j in range(piece.width)}
            read |= arrays
            outputs = {int(output) for output in piece.outputs}
            found["dac_drive"] += steps * piece.height * len(arrays)
            found["input_register_byte"] += piece.height * len(arrays)
            found["sample_hold"] += steps * piece.width
            found["output_register_byte"] += steps * len(outputs) * chip.sum_bytes()
            found["noc_byte"] += piece.height + len(outputs) * chip.sum_bytes()
            found["tile_buffer_byte"] += 2 * piece.height
            found["accumulate"] += len(outputs)
            found["row_shift"] += sum(1 for shift in piece.shifts if shift)
            found["index bits"] += piece.height * (sparse.index_bits + sparse.shift_bits)
            found["index bits"] += piece.width * (sparse.index_bits + 3 + 1)
        found["array_read"] += steps * len(read)
        # The unit column of an array of coding flipped is sampled and converted with the others.
        if chip.array.coding == "flipped":
            found["sample_hold"] += steps * len(read)
    found["adc_conversion"] = found["shift_add"] = found["sample_hold"]
    return found


def turn_at_0(turn: Sequence[Digits]) -> Iterator[Digits]:
    """The pieces of a turn as those of a block of one turn."""
    return (piece.at(piece.top, piece.left, 0) for piece in turn)


@dataclass
class Group:
    """The cells of a group: levels, conductances in levels, and whether they were ever written."""

    levels: np.ndarray
    conductances: np.ndarray
    written: np.ndarray


@dataclass
class Told:
    """Sums (samples, windows, outputs of all matrices), and what was converted and clipped on the way."""

    sums: np.ndarray
    converted: int = 0
    clipped: int = 0
    seen: list[np.ndarray] = field(default_factory=list)


class Chain:
    """A program of a single layer with weights on cells that are written as it says; `sums` drives windows bit by bit.

    `step` and `high`: the value of a step of the ADC and its highest code; None for an ideal one.
    """

    def __init__(self, program: Program, analog: Analog, step: float | None, high: int) -> None:
        assert program.quantised is not None
        (self.mapped,) = program.mapping.layers
        assert isinstance(self.mapped.blocks, DigitBlocks)
        self.program, self.chip, self.analog, self.step, self.high = program, program.chip, analog, step, high
        self.blocks = self.mapped.blocks
        self.matrix = program.quantised.matrices[self.mapped.name]
        layer = program.network.layers[self.mapped.index]
        self.zero = int(program.quantised.codes[layer.inputs[0]].zero)
        zeros = np.broadcast_to(self.matrix.zero, (self.blocks.matrices, self.blocks.columns))
        self.weights = self.matrix.codes.astype(np.int64) - zeros[:, None, :]
        self.groups: dict[int, Group] = {}
        for number, instruction in enumerate(program.instructions):
            if isinstance(instruction, Write):
                self.write(number, instruction)

    def write(self, number: int, instruction: Write) -> None:
        """Program the cells whose level changes, and those that nothing was ever written to."""
        analog, bits = self.analog, self.chip.array.cell_bits
        shape = (self.chip.array.rows, self.chip.group.arrays * self.chip.array.columns, 1)
        for which, group in enumerate(members(instruction.groups)):
            index = self.mapped.within(instruction.blocks)[0] + which
            block = self.blocks.block(index)
            levels = np.zeros((block.height, block.width, 1), dtype=np.int64)
            for (row, column), held in laid_out(self.blocks, index, self.weights).items():
                levels[row, column, 0] = held
            here = self.groups.setdefault(
                group, Group(np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape, dtype=bool))
            )
            rows = instruction.rows[which] if instruction.rows else ()
            columns = instruction.columns[which] if instruction.columns else ()
            at = np.ix_(rows or range(block.height), columns or range(block.width), [0])
            faults = analog.device.faults(shape, (group,), seed=analog.seed, writes=analog.writes)
            drawn = analog.device.program(
                levels,
                bits,
                (group, number),
                seed=analog.seed,
                age_s=analog.age_s,
                writes=analog.writes,
                faults=faults[at],
            )
            pulsed = (here.levels[at] != levels) | ~here.written[at]
            here.conductances[at] = np.where(pulsed, drawn, here.conductances[at])
            here.levels[at] = levels
            here.written[at] = True

    def cells(self, block: DigitBlock, group: int, place: tuple[Sequence[int], Sequence[int]]) -> np.ndarray:
        """What the ADC sees of a block's cells, (height, width), on the grid of 16-bit conductances where they are drawn."""
        found: np.ndarray = self.groups[group].conductances[np.ix_(*place, [0])][..., 0]
        if self.analog.device.exact:
            return np.asarray(np.rint(found))
        largest = float(np.abs(found).max())
        fits = [
            s for s in range(-8, 16) if largest * 2.0**s <= min(127 * 256 + 127, (2**31 - 1) // (255 * block.height))
        ]
        unit = 2.0 ** -max(fits)
        return np.asarray(np.rint(found / unit) * unit)

    def convert(self, sums: np.ndarray, told: Told) -> np.ndarray:
        """Convert what columns sum to in one step."""
        told.converted += sums.size
        if self.step is None:
            return sums
        told.seen.append(sums)
        wanted = np.rint(sums.astype(np.float32) * np.float32(1 / self.step))
        told.clipped += int(((wanted < 0) | (wanted > self.high)).sum())
        return np.asarray(np.clip(wanted, 0, self.high).astype(np.float64) * self.step)

    def block(self, block: DigitBlock, cells: np.ndarray, x: np.ndarray, told: Told) -> np.ndarray:
        """What one window, x (matrices, K), gives in the sums of all outputs, (matrices, N)."""
        dac, made = self.chip.array.dac_bits, np.zeros((self.blocks.matrices, self.blocks.columns))
        for turn in turns_of(block):
            driven = [0] * block.height
            for piece in turn:
                for i, row in enumerate(piece.rows):
                    moved = int(piece.shifts[i]) if late_bits(piece) else 0
                    driven[piece.top + i] = int(x[piece.matrix, row]) << moved
            columns = [piece.left + j for piece in turn for j in range(piece.width)]
            total = dict.fromkeys(columns, 0.0)
            beyond = max(late_bits(piece) for piece in turn)
            # The first 8 bits take steps of their own; those that shifting adds take more.
            places = [(bit, min(bit + dac, 8)) for bit in range(0, 8, dac)]
            places += [(8 + bit, 8 + bit + dac) for bit in range(0, beyond, dac)]
            for first, last in places:
                digits = np.array([(value >> first) % 2 ** (last - first) for value in driven])
                codes = self.convert(digits @ cells[:, columns], told)
                for column, code in zip(columns, codes, strict=True):
                    total[column] += float(code) * 2.0**first
            for piece in turn:
                behind = 1 if late_bits(piece) else 2 ** int(piece.shifts[0])
                for j, output in enumerate(piece.outputs):
                    made[piece.matrix, output] += worth(piece, j) * behind * total[piece.left + j]
                shifted = sum(int(x[piece.matrix, row]) << int(piece.shifts[i]) for i, row in enumerate(piece.rows))
                for output, offset in zip(*piece.corrected, strict=True):
                    made[piece.matrix, output] -= int(offset) * shifted
        return made

    def sums(self, windows: np.ndarray) -> Told:
        """Carry out one inference for each sample; windows are codes, (matrices, samples, windows, K)."""
        matrices, samples, count, _ = windows.shape
        told = Told(np.zeros((matrices, samples, count, self.blocks.columns)))
        places: dict[int, tuple[Sequence[int], Sequence[int]]] = {}
        for number, instruction in enumerate(self.program.instructions):
            if isinstance(instruction, Write):
                if number >= self.program.setup:
                    self.write(number, instruction)
                for which, group in enumerate(members(instruction.groups)):
                    block = self.blocks.block(self.mapped.within(instruction.blocks)[0] + which)
                    rows = instruction.rows[which] if instruction.rows else ()
                    columns = instruction.columns[which] if instruction.columns else ()
                    places[group] = (rows or range(block.height), columns or range(block.width))
            if not isinstance(instruction, Activate):
                continue
            own = self.mapped.within(instruction.blocks)
            for index, group in zip(range(*own), members(instruction.groups), strict=True):
                block = self.blocks.block(index)
                cells = self.cells(block, group, places[group])
                for sample in range(samples):
                    for window in range(*instruction.windows):
                        told.sums[:, sample, window] += self.block(block, cells, windows[:, sample, window], told)
        # sum (x - zx) w, with the weights that should be there.
        told.sums -= self.zero * self.weights.sum(axis=1)[:, None, None, :]
        return told
