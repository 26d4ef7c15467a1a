"""The sums of a layer: what all activations of its blocks give together.

An activation is only noted as a job; the layer's products are made when it is combined, many windows at once. Where nothing that
its blocks convert can lose anything, and the same blocks serve all windows, the weights that were read from the cells are put
together to the layer's matrix and multiplied at once (`network.products`): an exact shortcut, since sums of integers do
not depend on their order. Everything else goes block by block through a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import AnalogError
from mho.machine.analog import noise
from mho.machine.analog.columns import Kept, Maker
from mho.machine.analog.converter import Converter, converter
from mho.machine.analog.counting_kernel import CountingKernel
from mho.machine.analog.driven import Driven, driven, together, whole_block
from mho.machine.analog.kernel import Kernel, Numbers, lossless
from mho.machine.analog.kernels import make_kernel
from mho.machine.analog.planned import Counted, Job, Plan
from mho.machine.analog.spec import Adc, Analog
from mho.machine.analog.whole import WholeMatrix, make_whole
from mho.machine.fabric import StoredBlock
from mho.mapping import GroupShape, LayerMapping
from mho.network.layers import MatrixLayer
from mho.number.basis import BASIS
from mho.number.coded import QuantisedMatrix, by_output
from mho.program import Program

FloatArray = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
LEAST_ROOM = 1 << 25
"""Bytes of kernels that are kept in any case."""
FEW = 1 << 22
"""Bytes of columns that are kept: until their kernel is made."""


class Products:
    """Makes the sums of layers, for one program and one analog side. Prepared columns are kept, in bounded room."""

    def __init__(self, program: Program, analog: Analog, backend: str) -> None:
        assert program.quantised is not None
        self.program, self.quantised = program, program.quantised
        self.analog = analog
        for name in analog.limits or ():
            if name not in {layer.name for layer in program.mapping.layers}:
                raise AnalogError(f"limits: {program.network.name} has no layer {name!r} with weights")
        if not program.mapping.plain and analog != Analog(adc=Adc(bits="ideal")):
            raise AnalogError(
                "columns that are merged before conversion, and unit vectors, which are in none, are executed with ideal cells and "
                "converters alone; take `combine` lanes, and a basis"
            )
        self.backend = backend
        self.draws = not (analog.device.exact and analog.wires is None)
        # Two bytes for each cell of the network, once: more copies take no more memory, only more time.
        room = max(LEAST_ROOM, 2 * program.network.weights * program.chip.coding.cells)
        self._makers: dict[GroupShape, Maker] = {}
        self._kernels: Kept[Kernel] = Kept(room)
        self._plans: Kept[Plan] = Kept(room)
        self._wholes: dict[tuple[object, ...], WholeMatrix] = {}
        self._exact: dict[tuple[str, int, int, int], WholeMatrix] = {}
        self._lossless: dict[tuple[object, ...], bool] = {}
        self._converters: dict[str, Converter] = {}

    def maker(self, mapped: LayerMapping) -> Maker:
        """Return what makes the columns of a layer's blocks."""
        shape = mapped.blocks.shape
        if shape not in self._makers:
            self._makers[shape] = Maker(self.program.chip, shape, self.analog, FEW)
        return self._makers[shape]

    def converter(self, mapped: LayerMapping) -> Converter:
        """Return the converter of a layer's columns."""
        name, limits = mapped.name, (self.analog.limits or {}).get(mapped.name)
        if name not in self._converters:
            sensing, column = self.maker(mapped).sensing, mapped.fullest()
            self._converters[name] = converter(sensing, name, column, mapped.readout, limits)
        return self._converters[name]

    def conversions(self, mapped: LayerMapping, jobs: Sequence[Job], runs: int) -> int:
        """Count the conversions of jobs over `runs` inferences."""
        steps, passes, slices = mapped.readout.steps, len(mapped.readout.passes), self.maker(mapped).sensing.slices
        totals = [mapped.blocks.totals((index, index + 1)) for index in range(mapped.count)]
        conversions = [(steps * total.columns + passes * total.late.columns) * slices for total in totals]
        return sum(conversions[job.block] * len(range(*job.windows, job.every)) for job in jobs) * runs

    def whole(self, mapped: LayerMapping, jobs: Sequence[Job]) -> WholeMatrix | None:
        """Return the layer's matrix as its cells hold it, where one product with it gives the layer's sums; else None.

        None where a conversion may lose something, or where its blocks do not serve all windows once, all alike.
        """
        if self._plan(mapped, jobs).lossy:
            return None
        blocks: dict[int, StoredBlock] = {}
        served: dict[int, int] = {}
        maker = self.maker(mapped)
        for job in sorted(jobs, key=lambda job: (job.block, job.windows)):
            known = blocks.setdefault(job.block, job.stored)
            if job.every > 1 or job.windows[0] != served.get(job.block, 0) or maker.key(known) != maker.key(job.stored):
                return None
            served[job.block] = job.windows[1]
        if len(served) != mapped.count or any(last != mapped.windows for last in served.values()):
            return None
        key = (*self._read(mapped), *(maker.key(blocks[index]) for index in sorted(blocks)))
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
            self._exact[key] = self._prepared(mapped, self.quantised.matrices[mapped.name].codes.astype(np.float64), 0)
        return self._exact[key]

    def _read(self, mapped: LayerMapping) -> tuple[str, int, int, int]:
        """Tell apart what products with one matrix are prepared for: whose weights they are, and the input's code."""
        code = self.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        return self.program.network.owners[mapped.name], int(code.zero), code.low, code.high

    def _assembled(self, mapped: LayerMapping, blocks: Mapping[int, StoredBlock]) -> tuple[FloatArray, int] | None:
        """Put what was read from blocks together: (matrices, K, N), and the finest fixed point of any.

        None where matrices that share a block reach one another.
        """
        weights, finest = self._held(mapped, blocks)
        if weights is None or mapped.combination is None:
            return None if weights is None else (weights, finest)
        return self._composed(mapped, weights), finest

    def _held(self, mapped: LayerMapping, blocks: Mapping[int, StoredBlock]) -> tuple[FloatArray | None, int]:
        """Return the codes that the cells of a layer's blocks hold as they are read, and the finest fixed point of any."""
        finest, maker = 0, self.maker(mapped)

        def read() -> Iterator[tuple[int, FloatArray]]:
            nonlocal finest
            for index, block in blocks.items():
                columns = maker.columns(block)
                finest = max(finest, columns.shift)
                yield index, columns.linear()

        weights = mapped.blocks.assembled(read(), self.held(mapped))
        return weights, finest

    def levels(self, mapped: LayerMapping, blocks: Mapping[int, StoredBlock]) -> FloatArray:
        """Return the levels (vectors, height) that the blocks of an instance of the basis are read as."""
        weights, _ = self._held(mapped, blocks)
        assert weights is not None and mapped.combination is not None
        return np.ascontiguousarray(weights[0].T)

    def _composed(self, mapped: LayerMapping, basis: FloatArray) -> FloatArray:
        """Return a layer's codes, (matrices, K, N), that the levels of a basis (1, height, vectors) combine to."""
        coding, matrix = self.quantised.basis, self.quantised.matrices[mapped.name]
        layer = self.program.network.layers[mapped.index]
        assert coding is not None and isinstance(layer, MatrixLayer)
        integers = coding.integers(layer, coding.elements_of(basis[0].T))
        return np.asarray(integers + by_output(np.broadcast_to(matrix.zero, matrix.scale.shape)))

    def held(self, mapped: LayerMapping) -> QuantisedMatrix:
        """Return the codes that the cells of a layer's blocks hold."""
        return self.quantised.held(mapped.name if mapped.combination is None else BASIS)

    def _prepared(self, mapped: LayerMapping, matrix: FloatArray, shift: int) -> WholeMatrix:
        """Prepare a layer's matrix for its products."""
        wanted = self.quantised.matrices[mapped.name]
        code = self.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        whole = bool((matrix == np.rint(matrix)).all())
        return make_whole(matrix, 0 if whole else shift, wanted.codes, wanted.zero, code)

    def _loses_nothing(self, mapped: LayerMapping, index: int, block: StoredBlock) -> bool:
        convert, maker, read = self.converter(mapped), self.maker(mapped), mapped.readout
        key = (convert, maker.sensing.shape, read.highest, read.both_signs, maker.key(block))
        if key not in self._lossless:
            columns, height = maker.columns(block), int(mapped.blocks.heights[index])
            chunks = (rows for turn in mapped.blocks.turns(index) for rows in together(mapped.blocks, turn, height))
            self._lossless[key] = all(
                lossless(columns.rows_of(rows, read.both_signs), convert, read.highest) for rows in chunks
            )
        return self._lossless[key]

    def sums(
        self,
        mapped: LayerMapping,
        jobs: Sequence[Job],
        x: Bytes,
        inputs: npt.NDArray[np.int64],
        first_run: int,
        first_window: int = 0,
    ) -> tuple[FloatArray, int]:
        """Return the sums of plain codes, float64 (matrices, runs, windows, N), and how many conversions clipped.

        x: uint8 (matrices, runs, windows, K); inputs int64 (matrices, runs x windows), the sum of each window. `first_run`
        numbers the first inference, for noise that is new at each conversion, and `first_window` the first window of each.
        """
        blocks, matrix = mapped.blocks, self.held(mapped)
        raw = np.zeros((*x.shape[:3], blocks.columns))
        zero, clipped = self.zero(mapped), 0
        # Of signed inputs, what the zero point of the codes adds is taken out by the drivers, not by the digital side.
        above: npt.NDArray[Any] = x.astype(np.int16) - np.int16(zero) if zero else x
        for step in self._plan(mapped, jobs).steps(lambda: self._steps(mapped, jobs)):
            if isinstance(step, Counted):
                clipped += step.convert(x, raw, first_window)
            else:
                clipped += self._by_parts(mapped, step, x, above, raw, first_run, first_window)
        beside = blocks.beside(matrix)
        if beside.any():
            raw += beside[:, None, None, :] * (inputs - x.shape[3] * zero).reshape(x.shape[:3])[..., None]
        if zero:
            raw += zero * matrix.codes.sum(axis=1, dtype=np.int64)[:, None, None, :]
        return raw, clipped

    def _by_parts(
        self,
        mapped: LayerMapping,
        job: Job,
        x: Bytes,
        above: npt.NDArray[Any],
        raw: FloatArray,
        first_run: int,
        first_window: int,
    ) -> int:
        """Add what the parts of a job's inputs give to the sums; return how many conversions clipped."""
        blocks, clipped = mapped.blocks, 0
        windows = slice(job.windows[0] - first_window, job.windows[1] - first_window, job.every)
        numbers, turns = self._numbers(mapped, job, x.shape[1], first_run), dict[int | None, FloatArray]()
        for part in driven(blocks, job.block, mapped.readout, x[:, :, windows], self.zero(mapped)):
            sums, clips = self._converted(mapped, job.stored, part, numbers)
            turns[part.number] = turns[part.number] + sums if part.number in turns else sums
            clipped += clips
        for number, sums in turns.items():
            blocks.splice(job.block, number, sums, above[:, :, windows], raw[:, :, windows])
        return clipped

    def _plan(self, mapped: LayerMapping, jobs: Sequence[Job]) -> Plan:
        """Return what is known of jobs that are given again and again."""
        key = (mapped.name, *((job.block, *job.windows, job.every, job.stored) for job in jobs))

        def make() -> Plan:
            maker = self.maker(mapped)
            blocks = {maker.key(job.stored): job.stored.content.levels.nbytes // 2 for job in jobs}
            return Plan(self._lossy(mapped, jobs), sum(blocks.values()))

        return self._plans.get(key, make)

    def _lossy(self, mapped: LayerMapping, jobs: Sequence[Job]) -> bool:
        """Say whether a conversion of any block may lose something."""
        return not all(self._loses_nothing(mapped, *each) for each in {(job.block, job.stored) for job in jobs})

    def _steps(self, mapped: LayerMapping, jobs: Sequence[Job]) -> list[Job | Counted]:
        """Return jobs in the order in which their sums are added, those that are converted alike together.

        Windows that are served together, row of blocks after row of blocks: then each output adds its blocks in their order.
        """
        places = {job.block: mapped.blocks.rectangle(job.block) for job in jobs}
        turns = {job.block: mapped.blocks.turns(job.block) for job in jobs if places[job.block] is not None}
        order = {block: (0 if place is None else place[1].start, block) for block, place in places.items()}
        steps: list[Job | Counted] = []
        for job in sorted(jobs, key=lambda job: (job.windows, job.every, order[job.block])):
            place, height = places[job.block], int(mapped.blocks.heights[job.block])
            plain = place is not None and not mapped.readout.signed
            if plain and together(mapped.blocks, turns[job.block][0], height) == [None]:
                kernel = self._kernel(mapped, job.stored, whole_block(mapped.readout))
                if isinstance(kernel, CountingKernel):
                    assert place is not None
                    last = steps[-1] if steps else None
                    if not isinstance(last, Counted) or not last.joins(kernel, job.windows, job.every):
                        steps.append(last := Counted(job.windows, job.every))
                    last.add(kernel, place)
                    continue
            steps.append(job)
        return steps

    def zero(self, mapped: LayerMapping) -> int:
        """Return the zero point that the drivers take out of a layer's inputs: 0 where they are driven as plain codes."""
        code = self.quantised.codes[self.program.network.layers[mapped.index].inputs[0]]
        return int(code.zero) if mapped.readout.signed else 0

    def _converted(
        self, mapped: LayerMapping, block: StoredBlock, part: Driven, numbers: Numbers
    ) -> tuple[FloatArray, int]:
        """Return what a part of the inputs of a turn adds to its sums, (vectors, columns), and how many conversions clipped."""
        key = numbers.key if part.number is None else noise.following(numbers.key, 2 * part.number + part.byte)
        numbers = Numbers(noise.following(key, part.again) if part.again else key, numbers.windows)
        kernel = self._kernel(mapped, block, part)
        sums = np.zeros((len(part.inputs), kernel.width))
        clipped = kernel.convert(part.inputs, numbers, sums)
        return (sums if part.factor == 1 else part.factor * sums), clipped

    def _numbers(self, mapped: LayerMapping, job: Job, runs: int, first_run: int) -> Numbers:
        key = noise.key(self.analog.seed, mapped.index, job.block, job.stored.group)
        windows = (first_run + np.arange(runs))[:, None] * mapped.windows + np.arange(*job.windows, job.every)
        return Numbers(key, windows.ravel().astype(np.uint64))

    def _kernel(self, mapped: LayerMapping, block: StoredBlock, part: Driven) -> Kernel:
        """Return the kernel of the rows and columns of a block that one part of its inputs drives."""
        convert, maker = self.converter(mapped), self.maker(mapped)
        chosen = None if part.columns is None else (part.number, part.columns.tobytes())
        rows = None if part.rows is None else part.rows.tobytes()
        read = part.bits, part.step_bits, part.mirrored
        key = (convert, maker.sensing.shape, maker.key(block), chosen, rows, *read)

        def make() -> Kernel:
            columns = maker.columns(block)
            only = columns if part.columns is None else columns.only(part.columns)
            driving = only.rows_of(part.rows, part.mirrored)
            return make_kernel(driving, convert, part.step_bits, part.bits, self.backend)

        return self._kernels.get(key, make)
