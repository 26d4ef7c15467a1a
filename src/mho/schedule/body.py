"""The body of a stream: the instructions of one inference whose windows flow, each starting when the rows that it needs are there.

A layer's windows are dealt to its copies in turn, some at a time: one activation a piece, of which every copy has as many, so that
pieces cost no time. Rows are combined as they are complete, and a layer of the vector unit computes its rows as those come that it
needs (`network/flow.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from mho.mapping import LayerMapping
from mho.mapping.blocks import Run
from mho.network.flow import Flow
from mho.network.layers import Constant, Embedding, Input, Layer
from mho.program.instructions import Activate, Combine, Groups, Instruction, Rows, Transfer, Vector
from mho.program.work import flow, sources, transfer_bytes
from mho.schedule.builder import Task


@dataclass(frozen=True, slots=True)
class Made:
    """The instructions that make a layer's rows, in order: where each begins in the body, and the end of its rows."""

    places: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def until(self, row: int) -> int:
        """Return the instruction with which rows up to `row`, which is not among them, are there."""
        return self.places[bisect_left(self.ends, row)]


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a tensor: instructions in order, and the rows that each needs. `maker` is the layer whose tensor it is."""

    maker: int
    places: list[int] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)


class Body:
    """The instructions of one inference, by their places in it, and what each waits for in the one before.

    `copies` of each weight, by run; `first_group` where the copies of each begin; at most `pieces` activations a layer.
    `again`: (instruction, place) of the inference before. `made` by layer; `readers` of each stored tensor, by (layer, what of it).
    """

    def __init__(self, task: Task, copies: Mapping[Run, int], first_group: Mapping[Run, int], pieces: int) -> None:
        self.task, self.copies, self.first_group, self.pieces = task, copies, first_group, pieces
        self.flow: Flow = flow(task.network)
        self.source = sources(task.network)
        self.place = {layer.name: index for index, layer in enumerate(task.network.layers)}
        self.instructions: list[Instruction] = []
        self.again: list[tuple[int, int]] = []
        self.made: dict[int, Made] = {}
        self.readers: dict[tuple[int, int, str], Reader] = {}
        # What each run of blocks served last, and first, in an inference.
        self._served: dict[Run, tuple[int, int]] = {}
        for step in task.steps:
            self._layer(step)
        self.again += [(first, last) for first, last in self._served.values()]

    def _layer(self, step: int) -> None:
        """Add the instructions of a layer."""
        layer, mapped = self.task.network.layers[step], self.task.mapping.by_index.get(step)
        self.made[step] = made = Made()
        begun = len(self.instructions)
        if mapped is not None:
            self._matrix(layer, mapped, made)
        elif isinstance(layer, Input):
            rows = self.flow.rows(layer.name)
            count = min(rows, self.pieces)
            ends = [rows * (piece + 1) // count for piece in range(count)]
            self._moved("load", step, transfer_bytes(layer, self.task.network, self.task.coded), ends, made)
        else:
            self._computed(step, layer, made)
        self._chained(made.places if mapped is not None else list(range(begun, len(self.instructions))))
        if layer.name in self.task.network.results:
            stored = Made()
            kept = transfer_bytes(layer, self.task.network, self.task.coded)
            self._moved("store", step, kept, made.ends, stored)
            self._chained(stored.places)

    def _chained(self, places: list[int]) -> None:
        """Let the first of a layer's instructions wait for the last of its own in the inference before."""
        if places:
            self.again.append((places[0], places[-1]))

    def _add(self, instruction: Instruction) -> int:
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _waits(self, layer: Layer, rows: Rows, *before: int) -> tuple[int, ...]:
        """Return what must have ended so that the rows of a layer's inputs are there that rows of it need, and `before`."""
        waits = set(before)
        for operand, name in enumerate(layer.inputs):
            index = self.place[name]
            first, last = self.flow.needs(layer.name, operand, *rows)
            if first < last and not isinstance(self.task.network.layers[index], Constant):
                waits.add(self.made[index].until(last))
        return tuple(sorted(waits))

    def _reads(self, step: int, layer: Layer, place: int, rows: Rows, how: str) -> None:
        """Note the rows of stored tensors that an instruction reads, through views."""
        for operand, name in enumerate(layer.inputs):
            needed = self.flow.needs(layer.name, operand, *rows)
            if needed[0] == needed[1]:
                continue
            each = self.task.network.by_name[name]
            while each.moves_only:
                needed = self.flow.needs(each.name, 0, *needed)
                each = self.task.network.by_name[each.inputs[0]]
            maker = self.source[each.name]
            reader = self.readers.setdefault((step, operand, how), Reader(maker))
            reader.places.append(place)
            reader.rows.append(needed)

    def _matrix(self, layer: Layer, mapped: LayerMapping, made: Made) -> None:
        """Add a matrix layer: pieces of windows, and combining what rows they complete."""
        rows, copies = self.flow.rows(layer.name), self.copies[mapped.run]
        each = mapped.windows // rows
        count = min(rows, self.pieces)
        first_group = self.first_group[mapped.run]
        groups: Groups = ((first_group, first_group + mapped.count * copies),)
        first_use, last_use = self._served.get(mapped.run, (-1, -1))
        bounds = [rows * piece // count for piece in range(count + 1)]
        for part in pairwise(bounds):
            before = () if last_use < 0 else (last_use,)
            windows = part[0] * each, part[1] * each
            waits = self._waits(layer, part, *before)
            last_use = self._add(Activate(mapped.index, mapped.run, 0, windows, groups, False, waits, copies))
            first_use = last_use if first_use < 0 else first_use
            self._reads(mapped.index, layer, last_use, part, "activate")
            waits = (*made.places[-1:], last_use)
            made.places.append(self._add(Combine(mapped.index, waits, None if rows == 1 else part)))
            made.ends.append(part[1])
        self._served[mapped.run] = first_use, last_use

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
            self._moved("load", step, layer.size, ends, fetched, layer)
        begin = 0
        for end in ends:
            before = (*made.places[-1:], *((fetched.until(end),) if fetched.places else ()))
            part = (begin, end)
            waits = self._waits(layer, part, *before)
            made.places.append(self._add(Vector(step, waits, None if rows == 1 else part)))
            made.ends.append(end)
            if not layer.moves_only:
                self._reads(step, layer, made.places[-1], part, "compute")
            begin = end

    def _moved(
        self, direction: str, step: int, size: int, ends: list[int], moved: Made, layer: Layer | None = None
    ) -> None:
        """Add the transfers of a tensor of `size` bytes, piece by piece; `layer` looks up what is loaded."""
        rows, begin, sent = ends[-1], 0, 0
        for end in ends:
            part, bytes_until = (begin, end), size * end // rows
            waits = tuple(moved.places[-1:])
            if direction == "store":
                waits = tuple(sorted({*waits, self.made[step].until(end)}))
            elif layer is not None:
                waits = self._waits(layer, part, *waits)
            if bytes_until > sent:
                whole = None if rows == 1 else part
                moved.places.append(self._add(Transfer(direction, step, bytes_until - sent, waits, whole)))
                moved.ends.append(end)
                if direction == "store":
                    self._stored(step, moved.places[-1], part)
                begin, sent = end, bytes_until

    def _stored(self, step: int, place: int, rows: Rows) -> None:
        """Note what a transfer to main memory reads."""
        each = self.task.network.layers[step]
        while each.moves_only:
            rows = self.flow.needs(each.name, 0, *rows)
            each = self.task.network.by_name[each.inputs[0]]
        reader = self.readers.setdefault((step, 0, "store"), Reader(self.source[each.name]))
        reader.places.append(place)
        reader.rows.append(rows)
