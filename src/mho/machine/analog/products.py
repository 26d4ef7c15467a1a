"""The sums of a layer: what all activations of its blocks give together.

An activation is only noted as a job; the layer's products are made when it is combined, many windows at once. Where nothing that
its blocks convert can lose anything, and the same blocks serve all windows, the weights that were read from the cells are put
together to the layer's matrix and multiplied at once (`network.products`): an exact shortcut, since sums of integers do
not depend on their order. Everything else goes block by block through a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError
from mho.machine.analog import noise
from mho.machine.analog.columns import Kept, Maker
from mho.machine.analog.converter import Converter, converter
from mho.machine.analog.kernels import Kernel, Numbers, lossless, make_kernel
from mho.machine.analog.spec import Analog
from mho.machine.analog.whole import WholeMatrix, make_whole
from mho.machine.fabric import StoredBlock
from mho.mapping import Drive, LayerMapping
from mho.program import Program

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
LEAST_ROOM = 1 << 25
"""Bytes of kernels that are kept in any case."""
FEW = 1 << 22
"""Bytes of columns that are kept: until their kernel is made."""


@dataclass(frozen=True, eq=False)
class Job:
    """Windows [first, last) of each inference through a block, which is stored in a group as `stored`."""

    block: int
    windows: tuple[int, int]
    stored: StoredBlock


class Products:
    """Makes the sums of layers, for one program and one analog side. Prepared columns are kept, in bounded room."""

    def __init__(self, program: Program, analog: Analog, backend: str) -> None:
        assert program.quantised is not None
        self.program, self.quantised = program, program.quantised
        self.analog = analog
        for name in analog.limits or ():
            if name not in {layer.name for layer in program.mapping.layers}:
                raise AnalogError(f"limits: {program.network.name} has no layer {name!r} with weights")
        self.backend = backend
        self.dac_bits, self.input_bits = program.chip.array.dac_bits, program.chip.input_bits
        # Two bytes for each cell of the network, once: more copies take no more memory, only more time.
        room = max(LEAST_ROOM, 2 * program.network.weights * program.chip.coding.cells)
        self.maker = Maker(program.chip, program.mapping.shape, analog, FEW)
        self._kernels: Kept[Kernel] = Kept(room)
        self._wholes: dict[tuple[object, ...], WholeMatrix] = {}
        self._exact: dict[tuple[str, int, int, int], WholeMatrix] = {}
        self._lossless: dict[tuple[object, ...], bool] = {}
        self._converters: dict[str, Converter] = {}

    def converter(self, name: str) -> Converter:
        """Return the converter of a layer's columns."""
        if name not in self._converters:
            column, limits = self.program.mapping.by_name[name].blocks.fullest(), (self.analog.limits or {}).get(name)
            self._converters[name] = converter(self.maker.sensing, name, column, limits)
        return self._converters[name]

    def conversions(self, mapped: LayerMapping, jobs: Sequence[Job], runs: int) -> int:
        """Count the conversions of jobs over `runs` inferences."""
        steps = -(-self.input_bits // self.dac_bits)
        totals = [mapped.blocks.totals((index, index + 1)) for index in range(mapped.count)]
        conversions = [(steps * total.columns + total.late.columns) * self.maker.sensing.slices for total in totals]
        return sum(conversions[job.block] * (job.windows[1] - job.windows[0]) for job in jobs) * runs

    def whole(self, mapped: LayerMapping, jobs: Sequence[Job]) -> WholeMatrix | None:
        """Return the layer's matrix as its cells hold it, where one product with it gives the layer's sums; else None.

        None where a conversion may lose something, or where its blocks do not serve all windows once, all alike.
        """
        blocks: dict[int, StoredBlock] = {}
        served: dict[int, int] = {}
        for job in sorted(jobs, key=lambda job: (job.block, job.windows)):
            known = blocks.setdefault(job.block, job.stored)
            if job.windows[0] != served.get(job.block, 0) or self.maker.key(known) != self.maker.key(job.stored):
                return None
            served[job.block] = job.windows[1]
        if len(served) != mapped.count or any(last != mapped.windows for last in served.values()):
            return None
        if not all(self._loses_nothing(mapped.name, block) for block in blocks.values()):
            return None
        key = (*self._read(mapped), *(self.maker.key(blocks[index]) for index in sorted(blocks)))
        if key not in self._wholes:
            matrix = self._assembled(mapped, blocks)
            if matrix is None:
                return None
            self._wholes[key] = self._prepared(mapped, *matrix)
            if len(self._wholes) > len(self.program.mapping.layers):
                del self._wholes[next(iter(self._wholes))]
        return self._wholes[key]

    def exact(self, mapped: LayerMapping) -> WholeMatrix:
        """Return the layer's matrix as it should be."""
        key = self._read(mapped)
        if key not in self._exact:
            codes = self.quantised.matrices[mapped.name].codes
            self._exact[key] = self._prepared(mapped, codes.astype(np.float64), 0)
        return self._exact[key]

    def _read(self, mapped: LayerMapping) -> tuple[str, int, int, int]:
        """Tell apart what products with one matrix are prepared for: whose weights they are, and the input's code."""
        code = self.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        return self.program.network.owners[mapped.name], int(code.zero), code.low, code.high

    def _assembled(self, mapped: LayerMapping, blocks: Mapping[int, StoredBlock]) -> tuple[FloatArray, int] | None:
        """Put what was read from blocks together: (matrices, K, N), and the finest fixed point of any.

        None where matrices that share a block reach one another.
        """
        finest = 0

        def read() -> Iterator[tuple[int, FloatArray]]:
            nonlocal finest
            for index, block in blocks.items():
                columns = self.maker.columns(block)
                finest = max(finest, columns.shift)
                yield index, columns.linear()

        weights = mapped.blocks.assembled(read(), self.quantised.matrices[mapped.name])
        return None if weights is None else (weights, finest)

    def _prepared(self, mapped: LayerMapping, matrix: FloatArray, shift: int) -> WholeMatrix:
        """Prepare a layer's matrix for its products."""
        wanted = self.quantised.matrices[mapped.name]
        code = self.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        whole = bool((matrix == np.rint(matrix)).all())
        return make_whole(matrix, 0 if whole else shift, wanted.codes, wanted.zero, code)

    def _loses_nothing(self, name: str, block: StoredBlock) -> bool:
        convert = self.converter(name)
        key = (convert, self.maker.key(block))
        if key not in self._lossless:
            self._lossless[key] = lossless(self.maker.columns(block), convert, self.dac_bits)
        return self._lossless[key]

    def sums(
        self, mapped: LayerMapping, jobs: Sequence[Job], x: Bytes, inputs: npt.NDArray[np.int64], first_run: int
    ) -> tuple[FloatArray, int]:
        """Return the sums of plain codes, float64 (matrices, runs, windows, N), and how many conversions clipped.

        x: uint8 (matrices, runs, windows, K); inputs int64 (matrices, runs x windows), the sum of each window. `first_run`
        numbers the first inference, for noise that is new at each conversion.
        """
        blocks = mapped.blocks
        raw = np.zeros((*x.shape[:3], blocks.columns))
        clipped = 0
        for job in jobs:
            served, out = x[:, :, slice(*job.windows)], raw[:, :, slice(*job.windows)]
            numbers = self._numbers(mapped, job, x.shape[1], first_run)
            for drive in blocks.drives(job.block, served):
                sums, clips = self._converted(mapped.name, job.stored, drive, numbers)
                blocks.splice(job.block, drive.number, sums, served, out)
                clipped += clips
        beside = blocks.beside(self.quantised.matrices[mapped.name])
        if beside.any():
            raw += beside[:, None, None, :] * inputs.reshape(x.shape[:3])[..., None]
        return raw, clipped

    def _converted(self, name: str, block: StoredBlock, drive: Drive, numbers: Numbers) -> tuple[FloatArray, int]:
        """Return the sums that one turn of a block gives, (vectors, columns), and how many conversions clipped."""
        sums = np.zeros((len(drive.inputs), len(drive.inputs[0]), drive.width))
        clipped = 0
        # Inputs that are shifted have no more bits than that, and so no more steps.
        for byte, bits in zip(range(len(sums)), (self.input_bits, drive.turn.late), strict=False):
            draws = numbers
            if drive.number is not None:
                draws = Numbers(noise.following(numbers.key, 2 * drive.number + byte), numbers.windows)
            clipped += self._kernel(name, block, drive, bits).convert(drive.inputs[byte], draws, sums[byte])
        return (sums[0] if len(sums) == 1 else sums[0] + 256.0 * sums[1]), clipped

    def _numbers(self, mapped: LayerMapping, job: Job, runs: int, first_run: int) -> Numbers:
        first, last = job.windows
        key = noise.key(self.analog.seed, mapped.index, job.block, job.stored.group)
        windows = (first_run + np.arange(runs))[:, None] * mapped.windows + np.arange(first, last)
        return Numbers(key, windows.ravel().astype(np.uint64))

    def _kernel(self, name: str, block: StoredBlock, drive: Drive, bits: int) -> Kernel:
        """Return the kernel of those columns of a block that one turn converts, for inputs of so many bits."""
        convert, chosen = self.converter(name), drive.turn.columns
        key = (convert, self.maker.key(block), None if chosen is None else (drive.number, chosen.tobytes()), bits)

        def make() -> Kernel:
            columns = self.maker.columns(block)
            only = columns if chosen is None else columns.only(chosen)
            return make_kernel(only, convert, self.dac_bits, bits, self.backend)

        return self._kernels.get(key, make)
