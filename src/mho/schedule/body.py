"""The body of a stream: the instructions of one inference whose windows flow, each starting when the rows that it needs are there.

A layer's windows are dealt to its copies in turn, whole rows at a time, in one activation a piece. Rows are combined when their
windows have ended, and a layer of the vector unit computes its rows as those come that it needs (`network/flow.py`).

Where the chip holds a part of the network at a time, a body has segments, one after another: the weights of each are written, once
for all inferences of a round, when all that the segment before does for the last of them has ended. A tensor that is read in later
segments stays in the buffer, or is stored, and loaded anew by each of these.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from mho.mapping import LayerMapping
from mho.mapping.blocks import Run
from mho.network.flow import Flow
from mho.network.layers import Constant, Embedding, Input, Layer
from mho.program.instructions import Activate, Combine, Groups, Instruction, Rows, Transfer, Vector, Write
from mho.program.work import buffer_bytes, flow, sources, transfer_bytes
from mho.schedule.builder import Task


@dataclass(frozen=True, slots=True)
class Made:
    """The instructions that make a layer's rows, in order: where each stands in the body, and the end of its rows."""

    places: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def within(self, span: Rows) -> Made:
        """Return those that make rows of a span, whose ends count from its first row."""
        kept = [(place, end) for place, end in zip(self.places, self.ends, strict=True) if end > span[0]]
        kept = kept[: 1 + bisect_left([end for _, end in kept], span[1])]
        return Made([place for place, _ in kept], [min(end, span[1]) - span[0] for _, end in kept])

    def until(self, row: int) -> int:
        """Return the instruction with which rows up to `row`, which is not among them, are there."""
        return self.places[bisect_left(self.ends, row)]


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a tensor: instructions of layer `step` in a part, in order, and the rows that each needs."""

    step: int
    part: int
    places: list[int] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Life:
    """Rows of a tensor in the buffer: who makes or loads them, and who reads them; `loaded`: they wait for nothing else.

    `span`: the rows of the tensor that it is about; those of makers and readers are counted from its first.
    """

    span: Rows
    made: Made
    loaded: bool
    readers: dict[tuple[int, int, int, str], Reader] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stay:
    """Blocks of a weight while they are on the chip, as the mapping numbers them: in so many copies, from a group on."""

    blocks: Run
    copies: int
    first_group: int

    @property
    def groups(self) -> Groups:
        """The groups of all copies."""
        return ((self.first_group, self.first_group + (self.blocks[1] - self.blocks[0]) * self.copies),)

    def copy_groups(self, copy: int) -> Groups:
        """The groups of one copy."""
        count = self.blocks[1] - self.blocks[0]
        return ((self.first_group + copy * count, self.first_group + (copy + 1) * count),)


@dataclass(frozen=True, slots=True)
class Part:
    """What a chip holds at a time: layers [first, last) of the network, and blocks of some that later parts go on with.

    `stays`: by layer, what is there of its weight; `pieces`: the most activations of each layer.
    """

    first: int
    last: int
    stays: Mapping[int, Stay]
    pieces: int

    @property
    def ahead(self) -> list[int]:
        """The layers of which it has blocks, and a later part the last."""
        return [index for index in self.stays if not self.first <= index < self.last]


class Body:
    """The instructions of one inference, by their places in it, and what each waits for in the one before.

    `parts`: what the chip holds, one part after another; where it is one, its writes belong to the setup, and are no part of the
    body. `spilled`: tensors that later parts load, from which row on; `unread`: those of which none needs such rows, since their
    windows see nothing but padding. `again`: (instruction, place) of the inference before, or the round. `made` by layer; `lives`
    of stored tensors, by (layer, first row, part); `brackets`: the instructions of each part that every inference has.
    """

    def __init__(
        self,
        task: Task,
        parts: Sequence[Part],
        spilled: Mapping[int, int] | None = None,
        unread: frozenset[int] = frozenset(),
    ) -> None:
        self.task, self.parts, self.spilled, self._unread = task, parts, spilled or {}, unread
        self.flow: Flow = flow(task.network)
        self.source = sources(task.network)
        self.stored = buffer_bytes(task.network, task.coded)
        self.place = {layer.name: index for index, layer in enumerate(task.network.layers)}
        self.instructions: list[Instruction] = []
        self.again: list[tuple[int, int]] = []
        self.made: dict[int, Made] = {}
        self.lives: dict[tuple[int, int, int], Life] = {}
        self.brackets: list[tuple[int, int]] = []
        self._spills: dict[int, Made] = {}
        self._loads: dict[tuple[int, int], Made] = {}
        # What is written of each run of blocks; what it served first and last in an inference.
        self._written: dict[Stay, list[int]] = {}
        self._served: dict[Stay, tuple[int, int]] = {}
        # What a part writes first: with it all that waits for nothing else of the part may begin.
        self._gate: int | None = None
        self.part = 0
        for number, part in enumerate(parts):
            self.part, self._served = number, {}
            if len(parts) > 1:
                self._write(part)
            begun = len(self.instructions)
            for step in task.steps:
                if part.first <= step < part.last:
                    self._layer(step)
            for step in part.ahead:
                mapped = task.mapping.by_index[step]
                for piece in self._pieces(mapped):
                    self._driven(task.network.layers[step], mapped, piece)
            self.again += [(first, last) for first, last in self._served.values()]
            self.brackets.append((begun, len(self.instructions)))
        if len(parts) > 1:
            ending = self._ending(len(parts) - 1)
            starting = range(self.brackets[0][0])
            self.again += [(write, place) for write in starting for place in ending]

    def _write(self, part: Part) -> None:
        """Write what a part holds when all before it has ended."""
        waits = self._ending(self.part - 1) if self.part else ()
        self._written, self._gate = {}, None
        gate = len(self.instructions)
        for index, stay in part.stays.items():
            for copy in range(stay.copies) if stay not in self._written else ():
                write = Write(index, stay.blocks, copy, stay.copy_groups(copy), waits)
                self._written.setdefault(stay, []).append(self._add(write))
        self._gate = gate

    def _ending(self, part: int) -> tuple[int, ...]:
        """Return the instructions of a part that no other one of it waits for."""
        first, last = self.brackets[part]
        waited = {place for each in self.instructions[first:last] for place in each.after}
        return tuple(place for place in range(first, last) if place not in waited)

    def _layer(self, step: int) -> None:
        """Add the instructions of a layer."""
        layer, mapped = self.task.network.layers[step], self.task.mapping.by_index.get(step)
        self.made[step] = made = Made()
        begun = len(self.instructions)
        if mapped is not None:
            self._matrix(layer, mapped, made)
        elif isinstance(layer, Input):
            rows = self.flow.rows(layer.name)
            count = min(rows, self.parts[self.part].pieces)
            ends = [rows * (piece + 1) // count for piece in range(count)]
            self._moved("load", step, transfer_bytes(layer, self.task.network, self.task.coded), ends, made)
        else:
            self._computed(step, layer, made)
        self._chained(made.places)
        if isinstance(layer, Embedding):
            self._chained([place for place in range(begun, len(self.instructions)) if place not in made.places])
        for span in self.spans(step) if layer.name in self.stored else ():
            self.lives[step, span[0], self.part] = Life(span, made.within(span), isinstance(layer, Input))
        if step in self.spilled and step not in self._unread and not isinstance(layer, Input):
            self._spills[step] = self._store(step, self.stored[layer.name], self.spilled[step])
        if layer.name in self.task.network.results:
            self._store(step, transfer_bytes(layer, self.task.network, self.task.coded))

    @property
    def unread(self) -> frozenset[int]:
        """The tensors that parts may load, and none does."""
        return frozenset(self.spilled) - {maker for maker, _ in self._loads}

    def spans(self, maker: int) -> list[Rows]:
        """Return the rows of a tensor that stay, and those that later parts load, if there are such."""
        rows = self.flow.rows(self.task.network.layers[maker].name)
        first = self.spilled.get(maker, rows)
        return [span for span in ((0, first), (first, rows)) if span[0] < span[1]]

    def _store(self, step: int, size: int, begin: int = 0) -> Made:
        """Add the transfers of a layer's tensor, from one of its rows on, to main memory."""
        stored = Made()
        self._moved("store", step, size, self.made[step].ends, stored, begin=begin)
        self._chained(stored.places)
        return stored

    def _chained(self, places: Sequence[int]) -> None:
        """Let the first of what happens in order wait for the last of it in the inference before."""
        if places:
            self.again.append((places[0], places[-1]))

    def _add(self, instruction: Instruction) -> int:
        if self._gate is not None and max(instruction.after, default=-1) < self._gate:
            # Else it could run, and its rows take their room, while the part before is at work.
            instruction = replace(instruction, after=(*instruction.after, self._gate))
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _shown(self, name: str, rows: Rows) -> tuple[int, Rows]:
        """Return the layer whose stored values a tensor shows, and which of its rows."""
        layer = self.task.network.by_name[name]
        while layer.moves_only and rows[0] < rows[1]:
            rows = self.flow.needs(layer.name, 0, *rows)
            layer = self.task.network.by_name[layer.inputs[0]]
        return self.source[layer.name], rows

    def _waits(self, layer: Layer, rows: Rows, *before: int) -> tuple[int, ...]:
        """Return what must have ended so that the rows of a layer's inputs are there that rows of it need, and `before`."""
        waits = set(before)
        for operand, name in enumerate(layer.inputs):
            index = self.place[name]
            needed = self.flow.needs(layer.name, operand, *rows)
            if needed[0] == needed[1] or isinstance(self.task.network.layers[index], Constant):
                continue
            waits.add(self.made[index].until(needed[1]))
            maker, shown = self._shown(name, needed)
            if shown[1] > self.spilled.get(maker, shown[1]) and maker < self.parts[self.part].first:
                waits.add(self._loaded(maker).until(shown[1]))
        return tuple(sorted(waits))

    def _loaded(self, maker: int) -> Made:
        """Return what brings a tensor back that an earlier part stored."""
        if (maker, self.part) in self._loads:
            return self._loads[maker, self.part]
        self._loads[maker, self.part] = loads = Made()
        name, first, ends = self.task.network.layers[maker].name, self.spilled[maker], self.made[maker].ends
        self._moved("load", maker, self.stored[name], ends, loads, self._spills.get(maker), first)
        span = self.spans(maker)[-1]
        self.lives[maker, first, self.part] = Life(span, loads.within(span), loaded=True)
        self._chained(loads.places)
        return loads

    def _reads(self, step: int, name: str, operand: int, place: int, rows: Rows, how: str) -> None:
        """Note that an instruction reads rows of a tensor, through views."""
        if rows[0] == rows[1]:
            return
        maker, shown = self._shown(name, rows)
        for first, last in self.spans(maker):
            begin, end = max(shown[0], first), min(shown[1], last)
            parts = [part for part in (self.part, *range(self.part)) if (maker, first, part) in self.lives]
            if begin < end and parts:
                readers = self.lives[maker, first, parts[0]].readers
                reader = readers.setdefault((step, self.part, operand, how), Reader(step, self.part))
                reader.places.append(place)
                reader.rows.append((begin - first, end - first))

    def _reads_all(self, step: int, layer: Layer, place: int, rows: Rows, how: str) -> None:
        """Note what an instruction reads that makes rows of a layer."""
        for operand, name in enumerate(layer.inputs):
            self._reads(step, name, operand, place, self.flow.needs(layer.name, operand, *rows), how)

    def _matrix(self, layer: Layer, mapped: LayerMapping, made: Made) -> None:
        """Add a matrix layer: pieces of windows, and combining what rows they complete."""
        rows = self.flow.rows(layer.name)
        for piece in self._pieces(mapped):
            waits = (*made.places[-1:], self._driven(layer, mapped, piece))
            made.places.append(self._add(Combine(mapped.index, waits, None if rows == 1 else piece)))
            made.ends.append(piece[1])

    def _pieces(self, mapped: LayerMapping) -> list[Rows]:
        """Return the rows of a matrix layer that are made at a time."""
        rows = self.flow.rows(self.task.network.layers[mapped.index].name)
        count = min(rows, self.parts[self.part].pieces)
        return list(pairwise(rows * piece // count for piece in range(count + 1)))

    def _driven(self, layer: Layer, mapped: LayerMapping, piece: Rows) -> int:
        """Drive the windows of rows through the blocks that are there."""
        stay, each = self.parts[self.part].stays[mapped.index], mapped.windows // self.flow.rows(layer.name)
        first_use, last_use = self._served.get(stay, (-1, -1))
        before = self._written.get(stay, ()) if last_use < 0 else (last_use,)
        waits = self._waits(layer, piece, *before)
        windows = piece[0] * each, piece[1] * each
        use = self._add(Activate(mapped.index, stay.blocks, 0, windows, stay.groups, False, waits, stay.copies))
        self._reads_all(mapped.index, layer, use, piece, "activate")
        self._served[stay] = use if first_use < 0 else first_use, use
        return use

    def _ends(self, layer: Layer) -> list[int]:
        """Return where the rows that a layer computes at a time end: as many as are possible when more of its inputs is there.

        The input that is finished last, in the order of the body, decides.
        """
        rows = self.flow.rows(layer.name)
        operands = [
            (self.made[index], operand)
            for operand, name in enumerate(layer.inputs)
            if (index := self.place[name]) in self.made
        ]
        if not operands or rows == 1:
            return [rows]
        made, operand = max(operands, key=lambda item: item[0].places[-1])
        ends, row = [], 0
        for end in made.ends[:-1]:
            begun = row
            while row < rows - 1 and self.flow.needs(layer.name, operand, row, row + 1)[1] <= end:
                row += 1
            if row > begun:
                ends.append(row)
        return [*ends, rows]

    def _computed(self, step: int, layer: Layer, made: Made) -> None:
        """Add a layer of the vector unit, with what it fetches from main memory before."""
        rows, ends = self.flow.rows(layer.name), self._ends(layer)
        fetched = Made()
        if isinstance(layer, Embedding):
            self._moved("load", step, layer.size, ends, fetched)
        begin = 0
        for end in ends:
            before = (*made.places[-1:], *((fetched.until(end),) if fetched.places else ()))
            part = (begin, end)
            waits = self._waits(layer, part, *before)
            made.places.append(self._add(Vector(step, waits, None if rows == 1 else part)))
            made.ends.append(end)
            if not layer.moves_only:
                self._reads_all(step, layer, made.places[-1], part, "compute")
            begin = end

    def _moved(
        self,
        direction: str,
        step: int,
        size: int,
        ends: list[int],
        moved: Made,
        stored: Made | None = None,
        begin: int = 0,
    ) -> None:
        """Add the transfers of a tensor of `size` bytes, from row `begin` on; `stored`: what has put what is loaded into memory."""
        layer = self.task.network.layers[step]
        # What comes from outside waits until the chip is its part's: else that of rounds to come would.
        before = tuple(place for places in self._written.values() for place in places) if direction == "load" else ()
        rows = ends[-1]
        sent = size * begin // rows
        for end in ends[bisect_right(ends, begin) :]:
            part, bytes_until = (begin, end), size * end // rows
            waits = (moved.places[-1],) if moved.places else before
            if direction == "store":
                waits = (*waits, self.made[step].until(end))
            elif stored is not None:
                waits = (*waits, stored.until(end))
            elif isinstance(layer, Embedding):
                waits = self._waits(layer, part, *waits)
            if bytes_until > sent:
                whole = None if rows == 1 else part
                transfer = Transfer(direction, step, bytes_until - sent, tuple(sorted(set(waits))), whole)
                moved.places.append(self._add(transfer))
                moved.ends.append(end)
                if direction == "store":
                    self._reads(step, layer.name, 0, moved.places[-1], part, f"store {moved.places[0]}")
                begin, sent = end, bytes_until
