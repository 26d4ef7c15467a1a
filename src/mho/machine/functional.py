"""What a program computes: its instructions carried out on cells, ideal devices and converters wide enough.

Nothing but the program is consulted: an activation multiplies with the levels that the program's own writes left in
the cells of its groups, and adds only the partial sums that it was told to make. So an output can only be right if
every block was in place when it was read, every window went through every block, and nothing was counted twice.

Writes add level changes to what the cells hold (`program/deltas.py`), so a wrong idea of what is overwritten gives wrong
levels, and wrong outputs. Cells are blank at first; setup and one inference, its writes alone, bring them into the steady
state in which every inference that is executed finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.network.layers import MatrixLayer
from mho.number.batching import chunks, fixed
from mho.number.reference import Values, accumulate, complete, fixed_values, vector_step
from mho.number.walk import Inputs, checked, joined, kept, part
from mho.number.windows import assemble, windows
from mho.program import Activate, Combine, Program, Vector, Write
from mho.program.deltas import Deltas, Rectangle
from mho.program.instructions import members

Codes = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.int64]
EXACT_FLOAT32 = 2**24
"""Integers up to here are exact in float32, whatever the order in which they are added."""


class _Crossbars:
    """The cells of the chip, and where the rows and columns of the block in each group sit.

    Levels have the shape (groups, rows, weight columns, cells per weight), the most significant cell first.
    """

    def __init__(self, program: Program) -> None:
        chip = program.chip
        self.highest = chip.levels - 1
        self.deltas = Deltas(program)
        self.levels = np.zeros(
            (chip.groups, chip.array.rows, chip.group_columns, chip.cells_per_weight), dtype=np.uint8
        )
        self.significance = (1 << (chip.array.cell_bits * np.arange(chip.cells_per_weight - 1, -1, -1))).astype(
            np.float32
        )
        self.places: dict[int, Rectangle] = {}
        for number, instruction in enumerate(program.instructions):
            if isinstance(instruction, Write):
                self.write(number, instruction)

    def write(self, number: int, instruction: Write) -> None:
        """Add a write's level changes to the cells. ProgramError where a cell would leave its range."""
        for change in self.deltas.write(instruction):
            levels = self.levels[change.group]
            after = levels[change.place.index] + self.deltas.levels(change)
            if after.min() < 0 or after.max() > self.highest:
                raise ProgramError(
                    f"instruction {number} would bring a cell of group {change.group} to a level outside 0 to {self.highest}"
                )
            levels[change.place.index] = after
            self.places[change.group] = change.place

    def weights(self, group: int, height: int, width: int) -> npt.NDArray[np.float32]:
        """Read height x width weights from a group, in the orders of the block that it holds."""
        levels = self.levels[group, :height, :width]
        significance = self.significance
        place = self.places.get(group)
        if place is not None and not (place.in_place and not place.cells):
            if (len(place.rows), len(place.columns)) != (height, width):
                raise ProgramError(
                    f"group {group} is read as {height} x {width} weights, but holds a block of another size"
                )
            levels = self.levels[group][place.index]
            if place.cells:
                significance = significance[np.argsort(place.cells)]
        weights: npt.NDArray[np.float32] = levels.astype(np.float32) @ significance
        return weights


class _Machine:
    """One run of the program on cells in steady state: tensors and partial sums under way."""

    def __init__(self, program: Program, crossbars: _Crossbars, values: Values, samples: int) -> None:
        assert program.quantised is not None
        self.program = program
        self.quantised = program.quantised
        self.crossbars = crossbars
        self.values = values
        self.samples = samples
        self.inputs: dict[int, Codes] = {}
        self.sums: dict[int, Sums] = {}

    def activate(self, instruction: Activate) -> None:
        """Add the products of windows with what the cells hold to the layer's partial sums."""
        layer = self.program.network.layers[instruction.layer]
        assert isinstance(layer, MatrixLayer)
        if instruction.layer not in self.inputs:
            self._begin(instruction.layer, layer)
        x, sums = self.inputs[instruction.layer], self.sums[instruction.layer]
        tiling = self.program.mapping.by_index[instruction.layer].tiling
        served = slice(*instruction.windows)
        for index, group in zip(range(*instruction.blocks), members(instruction.groups), strict=True):
            block = tiling.block(index)
            weights = self.crossbars.weights(group, block.height, block.width)
            which = slice(block.first, block.first + block.count)
            driven = x[which, :, served, slice(*block.rows)]
            runs, count = driven.shape[1:3]
            driven = driven.transpose(1, 2, 0, 3).reshape(runs * count, block.height)
            exact = np.float32 if block.height * 255 * 255 < EXACT_FLOAT32 else np.float64
            made = (driven.astype(exact) @ weights.astype(exact)).reshape(runs, count, block.count, -1)
            sums[which, :, served, slice(*block.columns)] += made.transpose(2, 0, 1, 3).astype(np.int64)

    def _begin(self, index: int, layer: MatrixLayer) -> None:
        """Lay out a layer's windows, shape (matrices, runs, windows, K), and empty sums, (matrices, runs, windows, N)."""
        source = layer.inputs[0]
        x = windows(layer, self.values.codes(source), int(self.quantised.codes[source].zero))
        count = self.program.mapping.by_index[index].windows
        self.inputs[index] = x.reshape(x.shape[0], -1, count, x.shape[2])
        self.sums[index] = np.zeros((*self.inputs[index].shape[:3], layer.columns), dtype=np.int64)

    def combine(self, instruction: Combine) -> None:
        """Correct zero points, scale, add the bias: the layer's real output, stored as codes if it is stored at all."""
        index = instruction.layer
        layer = self.program.network.layers[index]
        assert isinstance(layer, MatrixLayer)
        if index not in self.inputs:
            raise ProgramError(f"layer {layer.name!r} is combined, but none of its blocks was activated")
        x, raw = self.inputs.pop(index), self.sums.pop(index)
        matrix = self.quantised.matrices[layer.name]
        code = self.quantised.codes[layer.inputs[0]]
        x, raw = x.reshape(x.shape[0], -1, x.shape[3]), raw.reshape(raw.shape[0], -1, raw.shape[3])
        input_sums = x.sum(axis=2, dtype=np.int64)
        column_sums = matrix.codes.sum(axis=1, dtype=np.int64)
        acc = accumulate(raw, input_sums, column_sums, layer.rows, int(code.zero), matrix.zero)
        real = complete(layer, matrix, code, acc)
        self.values.put(layer.name, assemble(layer, real, self.samples))

    def vector(self, instruction: Vector) -> None:
        """Compute a layer in the vector unit."""
        layer = self.program.network.layers[instruction.layer]
        vector_step(self.quantised, layer, self.values, self.samples)

    def run(self, keep: frozenset[str]) -> None:
        """Carry out an inference in the program's order, forgetting tensors that all their readers have read."""
        network = self.program.network
        unread = {name: len(readers) for name, readers in network.consumers.items()}
        for number in range(self.program.setup, len(self.program.instructions)):
            instruction = self.program.instructions[number]
            if isinstance(instruction, Write):
                self.crossbars.write(number, instruction)
            elif isinstance(instruction, Activate):
                self.activate(instruction)
            elif isinstance(instruction, Combine | Vector):
                if isinstance(instruction, Combine):
                    self.combine(instruction)
                else:
                    self.vector(instruction)
                for name in dict.fromkeys(network.layers[instruction.layer].inputs):
                    unread[name] -= 1
                    if not unread[name] and name not in keep:
                        self.values.drop([name])


def execute(program: Program, inputs: Inputs, *, keep: Sequence[str] = ()) -> dict[str, npt.NDArray[np.float64]]:
    """Compute the outputs of a program's network by carrying out the program, cell by cell.

    `inputs` is an array, or a tuple of them, one for each input of the network, axis 0 the samples (a multiple of the
    network's batch). Returns real (decoded) values by tensor name: the outputs, and those named in `keep`. Raises
    ProgramError where the program has no weights or no calibrated activations; NumberError for inputs of wrong shape.
    """
    network, quantised = program.network, program.quantised
    if quantised is None:
        raise ProgramError(
            f"{network.name} was compiled from shapes alone and has no weights to execute; load it with weights"
        )
    if not quantised.executable:
        raise ProgramError(
            f"the activations of {network.name} are not calibrated; compile mho.quantise(network, samples) instead"
        )
    arrays, runs = checked(network, inputs)
    names = kept(network, keep)
    staying = frozenset(names) | fixed(network)
    base = fixed_values(quantised)
    crossbars = _Crossbars(program)
    pieces = []
    for start, stop in chunks(network, runs, None):
        values = Values(quantised, base)
        values.enter(part(network, arrays, start, stop))
        _Machine(program, crossbars, values, (stop - start) * network.batch).run(staying)
        pieces.append({name: values.real(name) for name in names})
    return joined(network, names, pieces)
