"""The way of a signal through one layer, conversion by conversion: the oracle of analog execution.

It is written from docs/analog.md alone and shares nothing with what it checks: neither the columns, converters and kernels of
`machine/analog`, nor the codings and cells of the machine. It takes from the project what a program and a layer are (where
blocks sit, codes, zero points), the draws of `Device`, and for wires the exact nodal solution, each with tests of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.nodal import effective
from mho.machine.analog import Analog
from mho.machine.analog.wires import Wiring
from mho.mapping.dense import DenseBlock
from mho.network.layers import Convolution, MatrixLayer
from mho.program import Activate, Program, Write
from mho.program.instructions import members
from tests.coded_cells import least, weight_levels


@dataclass
class Sums:
    """A layer's integer sums, (samples, outputs) in the layout of its output, as its codes less their zeros would give them.

    `clipped` and `conversions` are counted over all samples. `slack`, of the shape of the sums: how far rounding conductances to
    the grid can move them where nothing is converted.
    """

    values: np.ndarray
    slack: np.ndarray
    clipped: int = 0
    conversions: int = 0


@dataclass
class Group:
    """The cells of a group: what they hold and conduct, in levels, and whether they were ever written."""

    levels: np.ndarray
    conductances: np.ndarray
    written: np.ndarray


def significances(coding: str, levels: int, bits: int = 8) -> list[int]:
    """What a level of each converted column (cell or pair) of a weight counts for, the most significant first."""
    half = 2 ** (bits - 1)
    most = {"twos_complement": half - 1, "sign_magnitude": max(half - 1, 1), "differential": half}.get(
        coding, 2 * half - 1
    )
    digits = [levels**place for place in range(17) if levels**place <= most][::-1]
    return [-half, *digits] if coding == "twos_complement" else digits


def finest(largest: float, height: int) -> int:
    """The grid of a block: as fine as two signed bytes a cell, and 32 bits for all rows driven with 255, allow; at most 2^-15."""
    fits = [s for s in range(-8, 16) if largest * 2.0**s <= min(127 * 256 + 127, (2**31 - 1) // (255 * height))]
    return max(fits)


class Chain:
    """One chip that a program of a single layer with weights has set up; `sums` sends inputs through it.

    `rounded`: whether conductances are rounded to the grid where they are not whole levels.
    """

    def __init__(self, program: Program, analog: Analog, *, rounded: bool = True) -> None:
        assert program.quantised is not None
        self.program, self.analog, self.chip, self.rounded = program, analog, program.chip, rounded
        (self.mapped,) = program.mapping.layers
        layer = program.network.layers[self.mapped.index]
        assert isinstance(layer, MatrixLayer)
        self.layer = layer
        self.matrix = program.quantised.matrices[layer.name]
        self.code = program.quantised.codes[layer.inputs[0]]
        self.coding, self.cell_bits = self.chip.array.coding, self.chip.array.cell_bits
        self.levels = self.chip.array.cell_levels or 2**self.cell_bits
        self.highest = self.levels - 1
        self.pairs = self.coding in ("differential", "sign_magnitude")
        self.bits = self.matrix.bits
        self.input_bits = program.quantised.bits[layer.name].inputs if layer.name in program.quantised.bits else 8
        self.significance = significances(self.coding, self.levels, self.bits)
        self.zero = int(self.code.zero) if (self.chip.array.input_coding or "offset") != "offset" else 0
        self.rows_together = min(self.chip.array.rows_parallel or self.chip.array.rows, self.chip.array.rows)
        self.cells = len(self.significance) * (2 if self.pairs else 1)
        # Pairs in two rows of a column: half as many rows of weights, twice as many weights a row.
        self.stacked = self.chip.array.pairs == "rows"
        self.rows = self.chip.array.rows // (1 + self.stacked)
        self.per_array = self.chip.array.columns // (self.cells // (1 + self.stacked))
        ratio = analog.device.on_off
        self.below = 0.0 if np.isinf(ratio) else self.highest / (ratio - 1)
        self.left = self.below if analog.pedestal == "digital" and not self.pairs else 0.0
        self.groups: dict[int, Group] = {}
        for number, instruction in enumerate(program.instructions):
            if isinstance(instruction, Write):
                self.write(number, instruction)

    def levels_of(self, code: int) -> list[int]:
        """The levels of the cells of a weight code, before any column is inverted."""
        return weight_levels(code, self.coding, self.levels, self.bits)

    def passes(self, x: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
        """What drives the rows, one pass after another, for plain codes x: integers, perhaps negative, their bits and factor."""
        if not self.zero:
            return [(x, self.input_bits, 1)]
        signed, bits = x - self.zero, max(self.zero, self.code.high - self.zero).bit_length()
        if self.chip.array.input_coding == "two_passes":
            return [(np.maximum(signed, 0), bits, 1), (np.maximum(-signed, 0), bits, -1)]
        if self.chip.array.input_coding == "twos_complement":
            return [(signed % 2**bits, bits, 1), ((signed < 0).astype(np.int64), 1, -(2**bits))]
        return [(signed, bits, 1)]

    def step_bits(self, bits: int) -> int:
        """Input bits that are converted at once."""
        integrated = self.chip.array.integrated_bits
        if integrated is None:
            return int(self.chip.array.dac_bits)
        steps = -(-bits // integrated)
        return -(-bits // steps)

    @property
    def both_signs(self) -> bool:
        """Whether sums have a sign because inputs have one."""
        return bool(self.zero) and self.chip.array.input_coding == "signed"

    def fullest(self) -> tuple[int, int]:
        """The most levels that a column can hold in rows that are driven together, and the most such rows."""
        first = self.mapped.blocks.block(0)
        rows, together = first.rows[1] - first.rows[0], min(first.height, self.rows_together)
        most = max(max(self.levels_of(code)) for code in range(least(self.coding), 2**self.bits))
        if self.coding != "flipped":
            return min(rows, together) * most, together
        # Columns are inverted where they would be above half of what all cells of the block could hold.
        return min(rows * most, first.height * self.highest // 2, together * self.highest), together

    def adc_bits(self) -> int:
        """The bits of a conversion: the ADC's, or what the strategy leaves of those that the largest sum needs."""
        own, choice = int(self.chip.array.adc_bits), self.program.strategy.conversion
        if choice.name == "chip":
            return own
        highest = (
            2 ** max(min(bits, self.step_bits(bits)) for _, bits, _ in self.passes(np.zeros((1, 1), np.int64))) - 1
        )
        needed = max((self.fullest()[0] * highest).bit_length(), 1) + int(self.pairs or self.both_signs)
        if choice.name == "below":
            needed = max(needed - choice.fewer, 1 + int(self.pairs or self.both_signs))
        return min(needed, own)

    def plain(self, block: DenseBlock) -> np.ndarray:
        """The levels of a block's cells before any column is inverted, (height, width, cells)."""
        table = np.array([self.levels_of(max(code, least(self.coding))) for code in range(2**self.bits)])
        held = np.zeros((block.height, block.width, self.cells), dtype=np.int64)
        high, wide = block.height // block.count, block.width // block.count
        for m in range(block.count):
            part = self.matrix.codes[block.first + m, slice(*block.rows), slice(*block.columns)]
            held[m * high : (m + 1) * high, m * wide : (m + 1) * wide] = table[part]
        return held

    def inverted(self, block: DenseBlock) -> np.ndarray:
        """Which columns of cells of a block are stored inverted, (width, cells)."""
        if self.coding != "flipped":
            return np.zeros((block.width, self.cells), dtype=bool)
        return np.asarray(self.plain(block).sum(axis=0) > block.height * self.highest / 2)

    def write(self, number: int, instruction: Write) -> None:
        """Program the cells whose level changes, and those that nothing was ever written to; the others get no pulse."""
        assert not (instruction.rows or instruction.columns or instruction.cells)
        device, seed = self.analog.device, self.analog.seed
        for index, group in zip(
            range(*self.mapped.within(instruction.blocks)), members(instruction.groups), strict=True
        ):
            block = self.mapped.blocks.block(index)
            levels = np.where(self.inverted(block), self.highest - self.plain(block), self.plain(block))
            shape = (self.rows, self.chip.group.arrays * self.per_array, self.cells)
            here = self.groups.setdefault(
                group, Group(np.zeros(shape, dtype=np.int64), np.full(shape, self.below), np.zeros(shape, dtype=bool))
            )
            at = np.s_[: block.height, : block.width]
            drawn = device.program(
                levels, self.cell_bits, (group, number), seed=seed, age_s=self.analog.age_s, writes=self.analog.writes,
                faults=device.faults(shape, (group,), seed=seed, writes=self.analog.writes)[at], steps=self.highest,
            )  # fmt: skip
            pulsed = (here.levels[at] != levels) | ~here.written[at]
            here.conductances[at] = np.where(pulsed, drawn, here.conductances[at])
            here.levels[at] = levels
            here.written[at] = True

    def references(self, group: int) -> np.ndarray:
        """What the column of cells at level 0 of each array of a group conducts, (arrays, rows); exactly that, if it is ideal."""
        shape = (self.chip.group.arrays, self.chip.array.rows)
        found = np.full(shape, self.below)
        for array in range(shape[0]) if self.analog.pedestal == "reference" else ():
            found[array] = self.analog.device.program(
                np.zeros(shape[1], dtype=np.uint8), self.cell_bits, (0x0EF, group, array, 0), seed=self.analog.seed,
                age_s=self.analog.age_s, writes=self.analog.writes, steps=self.highest,
            )  # fmt: skip
        return found

    def through_wires(self, conductances: np.ndarray, references: np.ndarray) -> np.ndarray:
        """What whole arrays of a group conduct effectively, array by array; what no weight uses is off.

        Reference columns, the last of each array, become what they conduct so.
        """
        wires, device = self.analog.wires, self.analog.device
        if wires is None:
            return conductances
        more = int(self.analog.pedestal == "reference")
        siemens = (device.g_on_s - device.g_off_s) / self.highest
        wiring, found = Wiring(wires.row_ohm, wires.column_ohm, wires.drive, wires.sense), np.empty_like(conductances)
        high = 1 + self.stacked
        wide = self.cells // high
        used = np.s_[: high * self.rows, : self.per_array * wide]
        for array in range(self.chip.group.arrays):
            at = np.s_[:, array * self.per_array : (array + 1) * self.per_array]
            whole = np.full((self.chip.array.rows, self.chip.array.columns + more), self.below * siemens)
            if more:
                whole[:, -1] = references[array] * siemens
            # Each cell of a weight has a row and a column beside those of its neighbours: a pair's second one is below or beside.
            places = [np.s_[cell % high :: high, cell // high :: wide] for cell in range(self.cells)]
            for cell, place in enumerate(places):
                whole[used][place] = conductances[at][..., cell] * siemens
            solved = effective(whole, wiring) / siemens
            through = solved[used]
            if more:
                references[array] = solved[:, -1]
            for cell, place in enumerate(places):
                found[at][..., cell] = through[place]
        return found

    def converter(self) -> tuple[int, int, list[float]] | None:
        """The lowest and highest code of the ADC and the step of each column of a weight; None for an ideal ADC."""
        adc, slices = self.analog.adc, len(self.significance)
        if adc.bits == "ideal":
            return None
        bits = self.adc_bits() if adc.bits == "chip" else adc.bits
        signed = self.pairs or self.both_signs
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        whole = self.analog.device.exact and self.analog.wires is None and self.left == 0
        if adc.range == "fixed":
            assert adc.limit is not None
            steps = [adc.limit / high] * slices
        elif adc.range == "full":
            most, together = self.fullest()
            step_bits = max(min(bits, self.step_bits(bits)) for _, bits, _ in self.passes(np.zeros((1, 1), np.int64)))
            steps = [(2**step_bits - 1) * (most + together * self.left) / high] * slices
        else:
            assert self.analog.limits is not None
            steps = [limit / high for limit in self.analog.limits[self.layer.name]]
        if whole and adc.range != "fixed":
            steps = [max(1.0, step) for step in steps]
        return (-high if signed else 0), high, steps

    def windows(self, x: np.ndarray) -> np.ndarray:
        """The input codes of a layer's windows, (matrices, samples, windows, K)."""
        zero = int(self.code.zero)
        codes = np.clip(np.rint(x / self.code.scale) + zero, self.code.low, self.code.high).astype(np.int64)
        if not isinstance(self.layer, Convolution):
            return codes.reshape(1, len(x), -1, codes.shape[-1])
        top, left, bottom, right = self.layer.padding
        padded = np.pad(codes, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=zero)
        (down, across), (tall, wide) = self.layer.stride, self.layer.weight.shape[2:]
        assert self.layer.dilation == (1, 1)
        found = [
            padded[:, :, i * down : i * down + tall, j * across : j * across + wide]
            for i in range(self.layer.shape[2])
            for j in range(self.layer.shape[3])
        ]
        matrices = self.layer.convolution_groups
        cut = np.stack(found, axis=1).reshape(len(x), len(found), matrices, -1)
        return cut.transpose(2, 0, 1, 3)

    def seen(self, block: DenseBlock, group: int) -> tuple[np.ndarray, float, int | None]:
        """What the ADC sees of a block's cells, (height, width, slices); the pedestal left in it; and the grid of both."""
        references = self.references(group)
        whole = self.through_wires(self.groups[group].conductances, references)
        cells = whole[: block.height, : block.width] - self.below
        taken = references[np.arange(block.width) // self.per_array, : block.height].T - self.below
        cells = cells - taken[:, :, None] if self.analog.pedestal == "reference" else cells
        found = cells[..., 0::2] - cells[..., 1::2] if self.pairs else cells + self.left
        if self.analog.device.exact and self.analog.wires is None and self.left == 0:
            return np.rint(found), 0.0, None
        grid = finest(float(np.abs(found).max()), block.height) if np.any(found) else 15
        if not self.rounded:
            return found, self.left, grid
        unit = 2.0**-grid
        return np.rint(found / unit) * unit, float(np.rint(self.left / unit) * unit), grid

    def steps(self, x: np.ndarray, height: int) -> Iterator[tuple[np.ndarray, slice, float]]:
        """What drives which rows of a block, conversion by conversion, and what its sums count."""
        for codes, bits, factor in self.passes(x):
            size = self.step_bits(bits)
            for first in range(0, height, self.rows_together):
                rows = slice(first, min(first + self.rows_together, height))
                for place in range(0, bits, size):
                    digits = np.sign(codes) * (np.abs(codes) // 2**place % 2**size)
                    yield digits[:, rows], rows, factor * 2.0**place

    def block(self, block: DenseBlock, group: int, x: np.ndarray, told: Sums) -> tuple[np.ndarray, np.ndarray]:
        """What a block adds to the sums of plain codes for inputs x (windows, height), (windows, width), and their slack."""
        weights, pedestal, grid = self.seen(block, group)
        inverted, adc = self.inverted(block), self.converter()
        found = np.zeros((len(x), block.width))
        for digits, rows, counts in self.steps(x, block.height):
            driven = digits.sum(axis=1)[:, None]
            for k, significance in enumerate(self.significance):
                sums = digits @ weights[rows, :, k]
                if adc is not None:
                    low, high, steps = adc
                    wanted = np.rint(sums.astype(np.float32) * np.float32(1 / steps[k]))
                    told.clipped += int(((wanted < low) | (wanted > high)).sum())
                    sums = np.clip(wanted, low, high).astype(np.float64) * steps[k]
                told.conversions += found.size
                flipped = inverted[:, 0 if self.pairs else k]
                level = np.where(flipped, (self.highest + pedestal) * driven - sums, sums - pedestal * driven)
                found += significance * counts * level
        # A cell is at most half a unit of the grid beside its conductance, and so is the pedestal that is subtracted.
        halves = 0.0 if grid is None else 2.0 ** -(grid + 1) * (2 if self.left else 1)
        slack = np.broadcast_to(
            np.abs(x - self.zero).sum(axis=1)[:, None] * halves * sum(map(abs, self.significance)), found.shape
        )
        return found, slack

    def sums(self, x: np.ndarray) -> Sums:
        """Carry out one inference for each sample of x, writes included."""
        windows = self.windows(x)
        matrices, samples, count, rows = windows.shape
        columns = self.matrix.codes.shape[2]
        plain, slack = (np.zeros((matrices, samples, count, columns)) for _ in range(2))
        told = Sums(plain, slack)
        base = 2 ** (self.bits - 1) if self.coding in ("differential", "sign_magnitude", "twos_complement") else 0
        for number in range(self.program.setup, len(self.program.instructions)):
            instruction = self.program.instructions[number]
            if isinstance(instruction, Write):
                self.write(number, instruction)
            if not isinstance(instruction, Activate):
                continue
            own = self.mapped.within(instruction.blocks)
            for index, group in zip(range(*own), members(instruction.groups), strict=True):
                block, served = self.mapped.blocks.block(index), slice(*instruction.windows)
                which = slice(block.first, block.first + block.count)
                part = windows[which, :, served, slice(*block.rows)]
                driven = part.transpose(1, 2, 0, 3).reshape(-1, block.height)
                made = self.block(block, group, driven, told)
                for into, values in zip((plain, slack), made, strict=True):
                    spread = values.reshape(samples, -1, block.count, block.width // block.count).transpose(2, 0, 1, 3)
                    into[which, :, served, slice(*block.columns)] += spread
                plain[which, :, served, slice(*block.columns)] += base * (part - self.zero).sum(axis=3)[..., None]
        # sum (x - zx)(w - zw), with the weights that should be there.
        zero, codes = int(self.code.zero), self.matrix.codes.astype(np.int64)
        zeros = np.broadcast_to(self.matrix.zero, (matrices, columns)).astype(np.int64)[:, None, None, :]
        if self.zero:
            plain -= zeros * (windows - zero).sum(axis=3)[..., None]
        else:
            plain -= zeros * windows.sum(axis=3)[..., None] + zero * (
                codes.sum(axis=1)[:, None, None, :] - rows * zeros
            )
        told.values, told.slack = self.laid_out(plain), self.laid_out(slack)
        return told

    def laid_out(self, found: np.ndarray) -> np.ndarray:
        """Put (matrices, samples, windows, N) in the layout of the layer's output."""
        if isinstance(self.layer, Convolution):
            return found.transpose(1, 0, 3, 2).reshape(found.shape[1], *self.layer.shape[1:])
        return found[0].reshape(found.shape[1], *self.layer.shape[1:])


def homes(program: Program) -> Iterator[tuple[DenseBlock, int]]:
    """The blocks that are driven in an inference, each with the group that it sits in."""
    (mapped,) = program.mapping.layers
    for instruction in program.instructions[program.setup :]:
        if isinstance(instruction, Activate):
            own = mapped.within(instruction.blocks)
            for index, group in zip(range(*own), members(instruction.groups), strict=True):
                yield mapped.blocks.block(index), group
