"""The sums of a layer: what all activations of its blocks give together.

An activation is only noted as a job; the layer's products are made when it is combined, many windows at once. Where nothing that
its blocks convert can lose anything, and the same blocks serve all windows, the weights that were read from the cells are put
together to the layer's matrix and multiplied at once (`network.products`): an exact shortcut, since sums of integers do
not depend on their order. Everything else goes block by block through a kernel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError
from mho.machine.analog import noise
from mho.machine.analog.columns import Columns, Maker
from mho.machine.analog.converter import Converter, converter
from mho.machine.analog.kernels import Kernel, Numbers, lossless, make_kernel
from mho.machine.analog.spec import Analog
from mho.machine.analog.splice import columns_of, driven_by, splice, spliced_weights
from mho.machine.analog.whole import Whole, make_whole
from mho.machine.fabric import Held
from mho.mapping import LayerMapping, Pieces, Tiling
from mho.mapping.sums import fullest
from mho.program import Program

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
LEAST_ROOM = 1 << 25
"""Bytes of kernels that are kept in any case."""
FEW = 1 << 22
"""Bytes of columns that are kept: until their kernel is made."""


@dataclass(frozen=True, eq=False)
class Job:
    """Windows [first, last) of each inference through a block, which sits in a group as `held`."""

    block: int
    windows: tuple[int, int]
    held: Held


class Products:
    """Makes the sums of layers, for one program and one analog side. Prepared columns are kept, in bounded room."""

    def __init__(self, program: Program, analog: Analog, backend: str) -> None:
        self.program = program
        self.analog = analog
        for name in analog.limits or ():
            if name not in {layer.name for layer in program.mapping.layers}:
                raise AnalogError(f"limits: {program.network.name} has no layer {name!r} with weights")
        self.backend = backend
        self.base = program.mapping.room.coding.base
        self.dac_bits, self.input_bits = program.chip.array.dac_bits, program.chip.input_bits
        # Two bytes for each cell of the network, once: more copies take no more memory, only more time.
        room = max(LEAST_ROOM, 2 * program.network.weights * program.chip.coding.cells)
        self.maker = Maker(program.chip, program.mapping.room, analog, FEW)
        self._room = room
        self._kernels: OrderedDict[tuple[object, ...], Kernel] = OrderedDict()
        self._bytes = 0
        self._wholes: OrderedDict[tuple[object, ...], Whole] = OrderedDict()
        self._exact: dict[tuple[int, ...], Whole] = {}
        self._lossless: dict[tuple[object, ...], bool] = {}
        self._converters: dict[str, Converter] = {}

    def converter(self, name: str) -> Converter:
        """Return the converter of a layer's columns."""
        if name not in self._converters:
            maker, program = self.maker, self.program
            self._converters[name] = converter(
                self.analog, program.chip, name, maker.slices, maker.pairs, maker.pedestal,
                column=fullest(program.mapping.by_name[name], program.mapping.room),
            )  # fmt: skip
        return self._converters[name]

    def conversions(self, mapped: LayerMapping, jobs: Sequence[Job], runs: int) -> int:
        """Count the conversions of jobs over `runs` inferences."""
        steps = -(-self.input_bits // self.dac_bits)
        tiling = mapped.tiling
        if isinstance(tiling, Pieces):
            each = [steps * total.columns + total.late.columns for total in map(tiling.one, range(tiling.blocks))]
        else:
            each = [steps * width * self.maker.slices for width in tiling.widths.tolist()]
        return sum(each[job.block] * (job.windows[1] - job.windows[0]) for job in jobs) * runs

    def whole(self, mapped: LayerMapping, jobs: Sequence[Job]) -> Whole | None:
        """Return the layer's matrix as its cells hold it, where one product with it gives the layer's sums; else None.

        None where a conversion may lose something, or where its blocks do not serve all windows once, all alike.
        """
        blocks: dict[int, Held] = {}
        served: dict[int, int] = {}
        for job in sorted(jobs, key=lambda job: (job.block, job.windows)):
            known = blocks.setdefault(job.block, job.held)
            if job.windows[0] != served.get(job.block, 0) or self.maker.key(known) != self.maker.key(job.held):
                return None
            served[job.block] = job.windows[1]
        if len(served) != mapped.tiling.blocks or any(last != mapped.windows for last in served.values()):
            return None
        if not all(self._loses_nothing(mapped.name, held) for held in blocks.values()):
            return None
        key = (*self._read(mapped), *(self.maker.key(blocks[index]) for index in sorted(blocks)))
        if key not in self._wholes:
            matrix = self._assembled(mapped, blocks)
            if matrix is None:
                return None
            self._wholes[key] = self._prepared(mapped, *matrix)
            if len(self._wholes) > len(self.program.mapping.layers):
                self._wholes.popitem(last=False)
        return self._wholes[key]

    def exact(self, mapped: LayerMapping) -> Whole:
        """Return the layer's matrix as it should be."""
        key = self._read(mapped)
        if key not in self._exact:
            assert self.program.quantised is not None
            codes = self.program.quantised.matrices[mapped.name].codes
            self._exact[key] = self._prepared(mapped, codes.astype(np.float64), 0)
        return self._exact[key]

    def _read(self, mapped: LayerMapping) -> tuple[int, int, int, int]:
        """Tell apart what products with one matrix are prepared for: whose weights they are, and the input's code."""
        assert self.program.quantised is not None
        code = self.program.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        return mapped.owner, int(code.zero), code.low, code.high

    def _assembled(self, mapped: LayerMapping, blocks: Mapping[int, Held]) -> tuple[FloatArray, int] | None:
        """Put what was read from blocks together: (matrices, K, N), and the finest fixed point of any.

        None where matrices that share a block reach one another.
        """
        tiling, shift = mapped.tiling, 0
        if isinstance(tiling, Pieces):
            assert self.program.quantised is not None
            read = {index: self.maker.columns(held) for index, held in blocks.items()}
            return spliced_weights(tiling, read, self.program.quantised.matrices[mapped.name].zero)
        found = np.zeros((tiling.matrices, tiling.rows, tiling.columns))
        for index, held in blocks.items():
            block = tiling.block(index)
            columns = self.maker.columns(held)
            linear, shift = columns.linear(), max(shift, columns.shift)
            height, width = block.height // block.count, block.width // block.count
            if block.count > 1 and _couples(linear, block.count, self.maker.exact):
                return None
            for i in range(block.count):
                part = linear[i * height : (i + 1) * height, i * width : (i + 1) * width]
                found[block.first + i, slice(*block.rows), slice(*block.columns)] = part + self.base
        return found, shift

    def _prepared(self, mapped: LayerMapping, matrix: FloatArray, shift: int) -> Whole:
        """Prepare a layer's matrix for its products."""
        quantised = self.program.quantised
        assert quantised is not None
        wanted = quantised.matrices[mapped.name]
        code = quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        whole = bool((matrix == np.rint(matrix)).all())
        return make_whole(matrix, 0 if whole else shift, wanted.codes, wanted.zero, code)

    def _loses_nothing(self, name: str, held: Held) -> bool:
        convert = self.converter(name)
        key = (convert, self.maker.key(held))
        if key not in self._lossless:
            self._lossless[key] = lossless(self.maker.columns(held), convert, self.dac_bits)
        return self._lossless[key]

    def sums(
        self, mapped: LayerMapping, jobs: Sequence[Job], x: Bytes, inputs: npt.NDArray[np.int64], first_run: int
    ) -> tuple[FloatArray, int]:
        """Return the sums of plain codes, float64 (matrices, runs, windows, N), and how many conversions clipped.

        x: uint8 (matrices, runs, windows, K); inputs int64 (matrices, runs x windows), the sum of each window. `first_run`
        numbers the first inference, for noise that is new at each conversion.
        """
        tiling = mapped.tiling
        if isinstance(tiling, Pieces):
            return self._spliced(mapped, tiling, jobs, x, inputs, first_run)
        runs = x.shape[1]
        raw = np.zeros((*x.shape[:3], tiling.columns))
        clipped = 0
        for job in jobs:
            block = tiling.block(job.block)
            which, served = slice(block.first, block.first + block.count), slice(*job.windows)
            size = job.windows[1] - job.windows[0]
            driven = self.driven(mapped, job, x)
            numbers = self._numbers(mapped, job, runs, first_run)
            made = np.zeros((runs * size, block.width))
            clipped += self._kernel(mapped.name, job.held).convert(driven, numbers, made)
            parts = made.reshape(runs, size, block.count, -1).transpose(2, 0, 1, 3)
            raw[which, :, served, slice(*block.columns)] += parts
        if self.base:
            raw += self.base * inputs.reshape(x.shape[:3])[..., None]
        return raw, clipped

    def driven(self, mapped: LayerMapping, job: Job, x: Bytes) -> Bytes:
        """Return what drives a job's rows, (runs x windows, height), of x (matrices, runs, windows, K)."""
        assert isinstance(mapped.tiling, Tiling)
        block = mapped.tiling.block(job.block)
        runs, count = x.shape[1:3]
        size = job.windows[1] - job.windows[0]
        part = x[block.first : block.first + block.count, :, slice(*job.windows), slice(*block.rows)]
        if block.count == 1 and size == count:
            return part.reshape(runs * size, block.height)
        return np.ascontiguousarray(part.transpose(1, 2, 0, 3)).reshape(runs * size, block.height)

    def _spliced(
        self,
        mapped: LayerMapping,
        tiling: Pieces,
        jobs: Sequence[Job],
        x: Bytes,
        inputs: npt.NDArray[np.int64],
        first_run: int,
    ) -> tuple[FloatArray, int]:
        """Return the sums of plain codes, as `sums`, of blocks of digits: turn by turn, spliced into the sums of outputs."""
        assert self.program.quantised is not None
        runs = x.shape[1]
        raw = np.zeros((*x.shape[:3], tiling.columns))
        clipped = 0
        for job in jobs:
            block = tiling.block(job.block)
            served = slice(*job.windows)
            size = job.windows[1] - job.windows[0]
            numbers = self._numbers(mapped, job, runs, first_run)
            for turn, pieces in enumerate(block.turns):
                columns = columns_of(pieces)
                chosen = (turn, columns) if len(block.turns) > 1 else None
                # Inputs that are shifted have no more bits than that, and so no more steps.
                bits = (self.input_bits, max(piece.late for piece in pieces))
                made = np.zeros((2, runs * size, len(columns)))
                driven = driven_by(pieces, block.height, x[:, :, served])
                for byte, part in enumerate(driven):
                    each = Numbers(noise.following(numbers.key, 2 * turn + byte), numbers.windows)
                    clipped += self._kernel(mapped.name, job.held, chosen, bits[byte]).convert(part, each, made[byte])
                splice(pieces, columns, made[0] + 256.0 * made[1], x, served, raw)
        # What the digital side knows as the zero point of a code is no part of a digit.
        zeros = np.broadcast_to(self.program.quantised.matrices[mapped.name].zero, (len(raw), tiling.columns))
        raw += zeros[:, None, None, :] * inputs.reshape(x.shape[:3])[..., None]
        return raw, clipped

    def _numbers(self, mapped: LayerMapping, job: Job, runs: int, first_run: int) -> Numbers:
        first, last = job.windows
        key = noise.key(self.analog.seed, mapped.index, job.block, job.held.group)
        windows = (first_run + np.arange(runs))[:, None] * mapped.windows + np.arange(first, last)
        return Numbers(key, windows.ravel().astype(np.uint64))

    def _kernel(
        self,
        name: str,
        held: Held,
        part: tuple[int, npt.NDArray[np.intp]] | None = None,
        input_bits: int | None = None,
    ) -> Kernel:
        """Return the kernel of a block, or of those of its columns that one turn converts, for inputs of so many bits."""
        convert = self.converter(name)
        bits = self.input_bits if input_bits is None else input_bits
        key = (convert, self.maker.key(held), None if part is None else (part[0], part[1].tobytes()), bits)
        found = self._kernels.get(key)
        if found is not None:
            self._kernels.move_to_end(key)
            return found
        columns: Columns = self.maker.columns(held)
        if part is not None:
            columns = columns.only(part[1])
        found = make_kernel(columns, convert, self.dac_bits, bits, self.backend)
        self._kernels[key] = found
        self._bytes += found.nbytes
        while self._bytes > self._room and len(self._kernels) > 1:
            self._bytes -= self._kernels.popitem(last=False)[1].nbytes
        return found


def _couples(linear: FloatArray, count: int, exact: bool) -> bool:
    """Whether matrices along the diagonal of a block reach one another's columns, as noisy cells at level 0 between them do."""
    if exact:
        return False
    mask: npt.NDArray[Any] = np.kron(np.eye(count), np.ones((linear.shape[0] // count, linear.shape[1] // count)))
    return bool(np.any(linear[mask == 0]))
