"""What a stream computes: inferences in flight, each a sample of its own, their rows in rings of exactly the rows planned.

Instructions happen when the machine finds that they do (`streaming.follow`). An instruction reads its rows as it starts, and they
must still be there when it ends; it publishes its own rows when it ends, and from its start on what they overwrite is gone: dead
rows hold garbage. So a row that is read too early, or too late, makes the outputs wrong, whatever the program says of who waits for
whom. A window is multiplied by the cells of the very copy whose turn it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.machine.analog.planned import Job
from mho.machine.analog.products import Products
from mho.machine.analog.unroll import settled, unrolled
from mho.machine.fabric import Fabric
from mho.machine.streaming import follow
from mho.machine.timing import Times
from mho.network.graph import Network
from mho.network.layers import Embedding, Input, Layer, MatrixLayer
from mho.network.types import REAL
from mho.number.affine import code_dtype
from mho.number.batching import fixed
from mho.number.reference import Values, complete, vector_step
from mho.number.walk import part
from mho.program import Activate, Combine, Instruction, Program, Transfer, Vector, Write
from mho.program.instructions import Rows, members
from mho.program.work import flow, sources

AnyArray = npt.NDArray[Any]
BEGINS, ENDS = 1, 0
"""At one time, what ends does so before what begins then."""


@dataclass(eq=False)
class _Windows:
    """What an inference knows of one matrix layer: its windows as they were read, their sums, and what drove which."""

    x: AnyArray
    inputs: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    jobs: list[Job] = field(default_factory=list)


@dataclass(eq=False)
class _Inference:
    """One inference: its tensors, which of their rows are there, windows of layers under way, and what was kept of it."""

    values: Values
    there: dict[str, npt.NDArray[np.bool_]]
    kept: dict[str, AnyArray]
    windows: dict[int, _Windows] = field(default_factory=dict)
    read: dict[int, AnyArray] = field(default_factory=dict)
    memory: dict[str, AnyArray] = field(default_factory=dict)


class Stream:
    """A stream of inferences on cells in steady state."""

    def __init__(self, program: Program, fabric: Fabric, products: Products, base: dict[str, AnyArray]) -> None:
        self.program, self.fabric, self.products, self.base = program, fabric, products, base
        self.network: Network = program.network
        self.flow = flow(program.network)
        self.source = sources(program.network)
        self.fixed = fixed(program.network)
        self.rings: dict[str, list[tuple[int, Rows]]] = {}
        for use in program.buffers:
            name = self.network.layers[use.layer].name
            if use.rows is not None:
                self.rings.setdefault(name, []).append((use.rows, use.of or (0, self.flow.rows(name))))
        # Where the segment ends that makes a tensor: what is loaded of it behind was stored before.
        segments = () if program.stream is None else program.stream.segments
        ends = [last for _, last in segments] or [len(program.instructions)]
        self.made_until = {
            self.network.layers[each.layer].name: ends[min(bisect_right(ends, place), len(ends) - 1)]
            for place, each in enumerate(program.instructions)
            if isinstance(each, Vector)
        }
        self.random = np.random.default_rng(0)
        self.inferences: dict[int, _Inference] = {}

    def run(
        self, arrays: Sequence[AnyArray], count: int, keep: Sequence[str], first_run: int, late_s: Times | None = None
    ) -> Iterator[dict[str, AnyArray]]:
        """Run so many inferences; yield of each, in order, the tensors named in `keep`, as reals. `late_s` as for `follow`."""
        self.first_run, self.keep = first_run, frozenset(keep)
        self.kept = {self.network.layers[self.source[name]].name for name in keep if name not in self.network.results}
        self.arrays, done = arrays, 0
        left = np.full(count, len(self.program.instructions) - self.program.setup)
        for number, place, phase in _events(self.program, count, late_s):
            if number not in self.inferences:
                self.inferences[number] = self._entered(number)
            instruction = self.program.instructions[self.program.setup + place]
            if phase == BEGINS:
                self._begin(number, place, instruction)
            else:
                self._end(number, place, instruction)
                left[number] -= 1
            while done < count and not left[done]:
                yield self._left(done)
                done += 1

    def _entered(self, number: int) -> _Inference:
        """Return an inference of which nothing has been loaded."""
        assert self.program.quantised is not None
        return _Inference(Values(self.program.quantised, self.base), {}, {})

    def _left(self, number: int) -> dict[str, AnyArray]:
        """Forget an inference; return the tensors that were to be kept."""
        inference = self.inferences.pop(number)
        assert self.program.quantised is not None
        values = Values(self.program.quantised, self.base)
        values.arrays.update(inference.kept)
        found = {}
        for name in self.keep:
            if name not in values.arrays:
                self._shown(values, name)
            found[name] = values.real(name)
        return found

    def _shown(self, values: Values, name: str) -> None:
        """Work out what a view shows of what is there."""
        layer = self.network.by_name[name]
        if name in self.fixed or not layer.moves_only:
            return
        self._shown(values, layer.inputs[0])
        vector_step(values.quantised, layer, values, self.network.batch)

    def _begin(self, number: int, place: int, instruction: Instruction) -> None:
        """Read what an instruction needs, and let go what it overwrites."""
        inference, layer = self.inferences[number], self.network.layers[instruction.layer]
        if isinstance(instruction, Activate):
            self._activate(inference, instruction, layer)
        elif isinstance(instruction, Combine):
            inference.read[place] = self._combined(inference, number, instruction, layer)
            self._overwrite(number, layer, self._rows(instruction))
        elif isinstance(instruction, Vector):
            if not layer.moves_only:
                inference.read[place] = self._computed(inference, layer, self._rows(instruction))
                self._overwrite(number, layer, self._rows(instruction))
        elif isinstance(instruction, Transfer) and instruction.direction == "store":
            inference.read[place] = self._taken(inference, layer, self._rows(instruction))
        elif isinstance(instruction, Transfer) and self._brings(place, layer):
            self._overwrite(number, layer, self._rows(instruction))

    def _end(self, number: int, place: int, instruction: Instruction) -> None:
        """See that what was read is there still, and publish what was made."""
        inference, layer = self.inferences[number], self.network.layers[instruction.layer]
        if isinstance(instruction, Activate):
            each = self.program.mapping.by_index[instruction.layer].windows // self.flow.rows(layer.name)
            rows = instruction.windows[0] // each, -(-instruction.windows[1] // each)
            if not self._whole(inference, layer, rows):
                self._spoil(layer.inputs[0], inference.windows[instruction.layer].x, 1, instruction.windows)
        elif isinstance(instruction, Combine | Vector):
            if layer.moves_only:
                return
            made = inference.read.pop(place)
            rows = self._rows(instruction)
            if isinstance(instruction, Vector) and not self._whole(inference, layer, rows):
                self._spoil(layer.name, made, self.flow.axis(layer.name) or 0, (0, 1))
            self._publish(inference, layer, rows, made)
        elif isinstance(instruction, Transfer) and instruction.direction == "store":
            taken = inference.read.pop(place)
            rows = self._rows(instruction)
            if not self._there(inference, layer.name, rows):
                self._spoil(layer.name, taken, self.flow.axis(layer.name) or 0, (0, 1))
            self._keep(inference.kept, layer.name, rows, taken)
            self._keep(inference.memory, layer.name, rows, taken)
        elif isinstance(instruction, Write):
            assert self.program.stream is not None
            if number % self.program.stream.batch == 0:
                self.fabric.write(self.program.setup + place)
        elif isinstance(instruction, Transfer) and self._brings(place, layer):
            self._load(number, inference, layer, self._rows(instruction))

    def _brings(self, place: int, layer: Layer) -> bool:
        """Return whether a load brings rows of the tensor: what an embedding looks up does not, what a later segment loads does."""
        return not isinstance(layer, Embedding) or place + self.program.setup >= self.made_until[layer.name]

    def _rows(self, instruction: Combine | Vector | Transfer) -> Rows:
        """Return the rows that an instruction speaks of."""
        return instruction.rows or (0, self.flow.rows(self.network.layers[instruction.layer].name))

    def _index(self, name: str, rows: Rows) -> tuple[slice, ...]:
        """Return where the rows of a tensor lie in its array."""
        axis = self.flow.axis(name)
        return () if axis is None else (*[slice(None)] * axis, slice(*rows))

    def _spoil(self, name: str, array: AnyArray, axis: int, rows: Rows | tuple[int, None]) -> None:
        """Put garbage, of values that tensor `name` may have, in the place of rows of an array."""
        assert self.program.quantised is not None
        place = (*[slice(None)] * axis, slice(*rows)) if array.ndim else ()
        shape, code = array[place].shape, self.program.quantised.codes.get(name)
        if array.dtype.kind == "f":
            array[place] = self.random.normal(size=shape)
        elif code is None:
            # Indices of no row but the first are sure to be in a table.
            array[place] = 0
        else:
            array[place] = self.random.integers(code.low, code.high + 1, size=shape)

    def _dtype(self, name: str) -> npt.DTypeLike:
        """Return of what type the elements of a tensor are kept."""
        assert self.program.quantised is not None
        code, kind = self.program.quantised.codes.get(name), self.network.types[name]
        if code is None and name in self.program.quantised.integer_steps:
            return np.int64
        return code_dtype(code) if code is not None else np.float64 if kind == REAL else kind

    def _array(self, inference: _Inference, name: str, dtype: npt.DTypeLike) -> AnyArray:
        """Return the array of a tensor, which begins as garbage."""
        arrays = inference.values.arrays
        if name not in arrays:
            arrays[name] = np.empty(self.network.by_name[name].shape, dtype=dtype)
            if arrays[name].ndim:
                self._spoil(name, arrays[name], 0, (0, None))
            inference.there[name] = np.zeros(self.flow.rows(name), dtype=np.bool_)
        return arrays[name]

    def _publish(self, inference: _Inference, layer: Layer, rows: Rows, made: AnyArray) -> None:
        """Put rows into a tensor."""
        self._array(inference, layer.name, made.dtype)[self._index(layer.name, rows)] = made
        inference.there[layer.name][slice(*rows)] = True
        if layer.name in self.kept:
            self._keep(inference.kept, layer.name, rows, made)

    def _keep(self, arrays: dict[str, AnyArray], name: str, rows: Rows, made: AnyArray) -> None:
        """Remember rows of a tensor outside the chip."""
        if name not in arrays:
            arrays[name] = np.empty(self.network.by_name[name].shape, dtype=made.dtype)
            self._spoil(name, arrays[name], 0, (0, None))
        arrays[name][self._index(name, rows)] = made

    def _overwrite(self, number: int, layer: Layer, rows: Rows) -> None:
        """Let go the rows of a ring whose places others take."""
        name = layer.name
        for ring, (begin, end) in self.rings.get(name, ()):
            count, made = end - begin, (max(rows[0], begin) - begin, min(rows[1], end) - begin)
            first, last = number * count + made[0] - ring, number * count + made[1] - ring
            for other in range(max(first // count, 0), last // count + 1) if made[0] < made[1] else ():
                inference = self.inferences.get(other)
                gone = begin + max(first - other * count, 0), begin + min(last - other * count, count)
                if inference is None or gone[0] >= gone[1] or name not in inference.values.arrays:
                    continue
                axis = self.flow.axis(name)
                self._spoil(name, inference.values.arrays[name], axis or 0, (0, None) if axis is None else gone)
                inference.there[name][slice(*gone)] = False

    def _there(self, inference: _Inference, name: str, rows: Rows) -> bool:
        """Return whether rows of a tensor are there, of a view those that it shows."""
        layer = self.network.by_name[name]
        if name in self.fixed or rows[0] == rows[1]:
            return True
        if layer.moves_only:
            return self._there(inference, layer.inputs[0], self.flow.needs(name, 0, *rows))
        return name in inference.there and bool(inference.there[name][slice(*rows)].all())

    def _whole(self, inference: _Inference, layer: Layer, rows: Rows) -> bool:
        """Return whether all rows that rows of a layer need are there."""
        return all(
            self._there(inference, name, self.flow.needs(layer.name, operand, *rows))
            for operand, name in enumerate(layer.inputs)
        )

    def _operands(self, inference: _Inference, layer: Layer) -> Values:
        """Return the operands of a layer as they are now, views worked out."""
        values = Values(inference.values.quantised, inference.values.arrays)
        for name in layer.inputs:
            origin = self.network.layers[self.source[name]].name
            if origin not in values.arrays:
                values.arrays[origin] = self._array(inference, origin, self._dtype(origin))
            self._shown(values, name)
        return values

    def _activate(self, inference: _Inference, instruction: Activate, layer: Layer) -> None:
        """Read the windows of an activation, and note which block of which copy serves which."""
        assert isinstance(layer, MatrixLayer)
        mapped = self.program.mapping.by_index[instruction.layer]
        values = self._operands(inference, layer)
        code = values.quantised.codes[layer.inputs[0]]
        x, inputs = unrolled(layer, values.codes(layer.inputs[0]), int(code.zero))
        windows = inference.windows.get(instruction.layer)
        if windows is None:
            windows = inference.windows[instruction.layer] = _Windows(
                np.zeros_like(x), np.zeros_like(inputs), np.zeros(mapped.windows, dtype=np.bool_)
            )
        here = slice(*instruction.windows)
        # Windows that several runs of blocks serve must be the same for all.
        again = windows.known[here]
        if again.any() and not np.array_equal(windows.x[:, here][:, again], x[:, here][:, again]):
            x = x.copy()
            self._spoil(layer.inputs[0], x, 1, instruction.windows)
        windows.x[:, here], windows.inputs[:, here], windows.known[here] = x[:, here], inputs[:, here], True
        groups = list(members(instruction.groups))
        first, last = instruction.windows
        for copy in range(instruction.copies):
            begin = first + (copy - first) % instruction.copies
            if begin >= last:
                continue
            own = groups[copy * (instruction.blocks[1] - instruction.blocks[0]) :]
            for index, group in zip(range(*mapped.within(instruction.blocks)), own, strict=False):
                block = self.fabric.read(group, int(mapped.blocks.heights[index]), int(mapped.blocks.widths[index]))
                windows.jobs.append(Job(index, (begin, last), block, instruction.copies))

    def _combined(self, inference: _Inference, number: int, instruction: Combine, layer: Layer) -> AnyArray:
        """Return rows of a matrix layer as they are stored: what its blocks gave, corrected, scaled, biased and coded."""
        assert isinstance(layer, MatrixLayer)
        mapped, quantised = self.program.mapping.by_index[instruction.layer], inference.values.quantised
        matrix, code = quantised.matrices[layer.name], quantised.codes[layer.inputs[0]]
        known = inference.windows.get(instruction.layer)
        if known is None:
            raise ProgramError(f"layer {layer.name!r} is combined, but none of its blocks was activated")
        rows = self._rows(instruction)
        first, last = self.flow.windows(layer.name, *rows)
        jobs = [job for each in known.jobs if (job := each.within(first, last)) is not None]
        x = np.ascontiguousarray(known.x[:, None, first:last])
        sums, _ = self.products.sums(
            mapped, jobs, x, known.inputs[:, first:last], self.first_run + number, first_window=first
        )
        raw = np.zeros((layer.groups, mapped.windows, layer.columns))
        raw[:, first:last] = sums[:, 0]
        zero, zeros = int(code.zero), np.broadcast_to(matrix.zero, (layer.groups, layer.columns))
        constant = zero * (layer.rows * zeros - matrix.codes.sum(axis=1, dtype=np.int64))
        acc = settled(layer, raw, known.inputs, zeros, constant, layer.shape[0])
        return self._stored(inference, layer, complete(quantised, layer, acc, overwrite=True), rows)

    def _computed(self, inference: _Inference, layer: Layer, rows: Rows) -> AnyArray:
        """Return rows of a layer of the vector unit as they are stored."""
        values = self._operands(inference, layer)
        values.arrays.pop(layer.name, None)
        vector_step(values.quantised, layer, values, self.network.batch)
        return values.arrays[layer.name][self._index(layer.name, rows)].copy()

    def _stored(self, inference: _Inference, layer: Layer, real: AnyArray, rows: Rows) -> AnyArray:
        """Return rows of a real result as they are stored."""
        values = Values(inference.values.quantised, {})
        values.put(layer.name, real[self._index(layer.name, rows)])
        return values.arrays[layer.name]

    def _taken(self, inference: _Inference, layer: Layer, rows: Rows) -> AnyArray:
        """Return rows of a tensor that leaves the chip."""
        values = Values(inference.values.quantised, inference.values.arrays)
        self._shown(values, layer.name)
        if layer.name not in values.arrays:
            raise ProgramError(f"{layer.name!r} is stored before anything of it is there")
        return values.arrays[layer.name][self._index(layer.name, rows)].copy()

    def _load(self, number: int, inference: _Inference, layer: Layer, rows: Rows) -> None:
        """Put rows of an input into its tensor, or rows that were stored back into theirs."""
        if not isinstance(layer, Input):
            if layer.name not in inference.memory:
                raise ProgramError(f"{layer.name!r} is loaded before anything of it is stored")
            self._publish(inference, layer, rows, inference.memory[layer.name][self._index(layer.name, rows)])
            return
        values = Values(inference.values.quantised, {})
        values.enter(part(self.network, self.arrays, number, number + 1))
        self._publish(inference, layer, rows, values.arrays[layer.name][self._index(layer.name, rows)])


def _events(program: Program, inferences: int, late_s: Times | None) -> Iterator[tuple[int, int, int]]:
    """Yield (inference, place in the body, BEGINS or ENDS) in the order in which the machine finds that they happen.

    What takes no time begins and ends at once, an inference before the next, in the order of the body.
    """
    starts, ends = follow(program, inferences, late_s)
    number, place = (each.ravel() for each in np.indices(starts.shape))
    begun, ended = starts.ravel(), ends.ravel()
    time, at_once = np.concatenate([begun, ended]), (begun == ended).astype(np.int64)
    # What takes no time ends right behind its beginning.
    late = np.concatenate([np.zeros(len(begun), dtype=np.int64), at_once])
    phase = np.concatenate([np.full(len(begun), BEGINS), np.where(at_once, BEGINS, ENDS)])
    number, place = np.tile(number, 2), np.tile(place, 2)
    for event in np.lexsort((late, place, number, phase, time)).tolist():
        yield int(number[event]), int(place[event]), ENDS if event >= len(begun) else BEGINS
