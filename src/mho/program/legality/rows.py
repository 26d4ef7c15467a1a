"""Rules where windows flow: each row is made once, after all that it needs, and moved once.

They say of rows what `groups` and `flow` say of layers, and are asked instead where inferences overlap, or instructions name rows.
Rows, not windows, are counted, and ranges of rows, not rows, are compared: a range needs what its first and its last row do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mho.network.layers import Constant, Embedding, Input
from mho.program.instructions import Activate, Rows, Transfer, Vector
from mho.program.legality.facts import Facts, Violation, finisher
from mho.program.work import flow, transfer_bytes


class Pieces:
    """Instructions in their order, each with a range of rows that it makes, reads or drives; none may be empty.

    `needed(first, last)`: the instructions such that all that touch rows [first, last) have ended when these have.
    """

    def __init__(self, facts: Facts, places: Sequence[int], ranges: Sequence[Rows]) -> None:
        self._facts, self.places, self.ranges = facts, places, ranges
        self._firsts, self._lasts = [first for first, _ in ranges], [last for _, last in ranges]
        # Where the next does not certainly end after one, that one must be asked for by itself.
        self._alone = [
            number for number, (place, other) in enumerate(pairwise(places)) if not facts.recurring.ended(place, other)
        ]
        self._rising = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(ranges))

    def needed(self, first: int, last: int) -> Iterator[int]:
        """Yield the instructions that must have ended when all that touch rows [first, last) have."""
        if not self._rising:
            each = zip(self.places, self.ranges, strict=True)
            yield from (place for place, (begin, end) in each if first < end and begin < last)
            return
        low, high = bisect_right(self._lasts, first), bisect_left(self._firsts, last)
        if low < high:
            begin, end = bisect_left(self._alone, low), bisect_left(self._alone, high - 1)
            yield from (self.places[number] for number in self._alone[begin:end])
            yield self.places[high - 1]

    def within(self, span: Rows) -> Pieces:
        """Return those that touch rows of a span, which count from its first."""
        first, last = span
        kept = [
            (place, (max(begin, first) - first, min(end, last) - first))
            for place, (begin, end) in zip(self.places, self.ranges, strict=True)
            if begin < last and first < end
        ]
        return Pieces(self._facts, [place for place, _ in kept], [rows for _, rows in kept])


class Flowing:
    """What is made, by whom, and who needs which rows of what: facts that several rules ask for.

    `reloads`: loads of a tensor's rows in another segment than the one that makes them, by layer and segment; they are not `moved`;
    `anew`: from which row on. `spans`: of each layer the rows that have a ring of their own, all where there is no such thing;
    `lives`: by layer, first row of a span, and segment, what makes or loads its rows, which count from its first.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.flow = flow(facts.program.network)
        self.moved: dict[tuple[str, int], list[int]] = {}
        self.segment = facts.recurring.segment
        made: dict[int, list[int]] = {}
        for i, instruction in enumerate(facts.instructions):
            layer = facts.layers[instruction.layer]
            if not isinstance(layer, Input | Constant) and isinstance(instruction, finisher(layer)):
                made.setdefault(instruction.layer, []).append(i)
        reloads: dict[tuple[int, int], list[int]] = {}
        for i, instruction in enumerate(facts.instructions):
            if not isinstance(instruction, Transfer):
                continue
            index, loads = instruction.layer, instruction.direction == "load"
            makes = isinstance(facts.layers[index], Input)
            if loads and index in made and self.segment[i] != self.segment[made[index][0]]:
                reloads.setdefault((index, self.segment[i]), []).append(i)
                continue
            self.moved.setdefault((instruction.direction, index), []).append(i)
            if loads and makes:
                made.setdefault(index, []).append(i)
        self.made = {index: self.pieces(places) for index, places in made.items()}
        self.reloads = {key: self.pieces(places) for key, places in reloads.items()}
        self.anew: dict[int, int] = {}
        for (index, _), pieces in self.reloads.items():
            first = min((first for first, _ in pieces.ranges), default=0)
            self.anew[index] = min(first, self.anew.get(index, first))
        self.reloaded = set(self.anew)
        self.spans = {index: [(0, facts.rows(index))] for index in made}
        rings: dict[int, list[Rows]] = {}
        for use in facts.program.buffers:
            if use.of is not None and use.layer in made:
                rings.setdefault(use.layer, []).append(use.of)
        self.spans |= rings
        lives = {(index, self.own(index)): pieces for index, pieces in self.made.items()} | self.reloads
        self.lives = {
            (index, span[0], life): pieces.within(span) if span != (0, facts.rows(index)) else pieces
            for (index, life), pieces in lives.items()
            for span in self.spans[index]
            if life == self.own(index) or self.again(index, span[0])
        }

    def again(self, index: int, first: int) -> bool:
        """Return True if the rows of a layer's tensor from a span's first on are loaded anew."""
        return index in self.anew and first >= self.anew[index]

    def own(self, index: int) -> int:
        """Return the segment that makes a layer; -1: none."""
        return self.segment[self.made[index].places[0]] if index in self.made else -1

    def pieces(self, places: Sequence[int]) -> Pieces:
        """Return instructions with the rows of their layer that they make, drive windows of, or move."""
        return Pieces(self.facts, places, [self.rows(place) for place in places])

    def rows(self, place: int) -> Rows:
        """Return the rows of its layer that an instruction makes, drives windows of, or moves."""
        instruction = self.facts.instructions[place]
        rows = self.facts.rows(instruction.layer)
        if isinstance(instruction, Activate):
            each = self.flow.windows(self.facts.layers[instruction.layer].name, 0, 1)[1]
            return instruction.windows[0] // each, -(-instruction.windows[1] // each)
        whole = getattr(instruction, "rows", None)
        return whole or (0, rows)

    def needs(self, place: int) -> Iterator[tuple[int, int, Rows]]:
        """Yield the operands that an instruction's rows need, each with its layer and its rows."""
        instruction = self.facts.instructions[place]
        layer = self.facts.layers[instruction.layer]
        for operand, name in enumerate(layer.inputs):
            first, last = self.flow.needs(layer.name, operand, *self.rows(place))
            if first < last:
                yield operand, self.facts.place[name], (first, last)


def row_rules(facts: Facts, flowing: Flowing) -> Iterator[Violation]:
    """Check that rows are made once, of all windows and all rows that they need, and moved once."""
    yield from _made(flowing)
    yield from _combined(flowing)
    yield from _dependencies(flowing)
    yield from _layer_order(flowing)
    yield from _transfers(flowing)


def _tiled(flowing: Flowing, places: Sequence[int], rows: int, begin: int = 0) -> bool:
    """Return True if instructions, in their order, take the rows of a layer from `begin` on, one range after another, all."""
    ranges = [flowing.rows(place) for place in places]
    firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
    return [*firsts, rows] == [begin, *lasts]


def _made(flowing: Flowing) -> Iterator[Violation]:
    """Check that each row of each layer is finished once, in order."""
    facts = flowing.facts
    for index in facts.steps:
        places = flowing.made[index].places if index in flowing.made else ()
        rows = facts.rows(index)
        if not _tiled(flowing, places, rows):
            ranges = [flowing.rows(place) for place in places]
            yield Violation(
                -1, f"layer {facts.layers[index].name} is finished by rows {ranges}, not each of {rows} once"
            )


def _combined(flowing: Flowing) -> Iterator[Violation]:
    """Check that rows are combined only after all windows that make them have gone through all blocks."""
    facts = flowing.facts
    for layer in facts.program.mapping.layers:
        runs: dict[tuple[Rows, tuple[Rows, ...]], list[tuple[int, Activate]]] = {}
        for i, activation in facts.activations[layer.index]:
            runs.setdefault((activation.blocks, activation.groups), []).append((i, activation))
        driven = [
            Pieces(facts, [i for i, _ in run], [activation.windows for _, activation in run]) for run in runs.values()
        ]
        for place in flowing.made[layer.index].places if layer.index in flowing.made else ():
            windows = flowing.flow.windows(layer.name, *flowing.rows(place))
            for pieces in driven:
                for i in pieces.needed(*windows):
                    if not facts.order.before(i, place):
                        yield Violation(
                            i, f"{layer.name} is combined by instruction {place} before this activation has ended"
                        )


def _dependencies(flowing: Flowing) -> Iterator[Violation]:
    """Check that instructions start after the rows are made that theirs need; a look-up fetches what its indices say."""
    facts = flowing.facts
    for i, instruction in enumerate(facts.instructions):
        layer = facts.layers[instruction.layer]
        looks_up = (
            isinstance(instruction, Transfer) and instruction.direction == "load" and isinstance(layer, Embedding)
        )
        if not looks_up and not isinstance(instruction, Activate | Vector):
            continue
        for _, index, rows in flowing.needs(i):
            made = flowing.made.get(index)
            if made is not None and any(not facts.order.before(place, i) for place in made.needed(*rows)):
                name = facts.layers[index].name
                yield Violation(i, f"reads rows {rows} of {name!r}, which may not be finished")


def _layer_order(flowing: Flowing) -> Iterator[Violation]:
    """Check that on a sequential chip a layer runs only when all of the one before it has finished, in the network's order; before
    the first comes the last of the inference before.
    """
    facts = flowing.facts
    if facts.program.chip.spec.layer_order != "sequential":
        return
    running = [index for index in facts.steps if not isinstance(facts.layers[index], Input)]
    previous = dict(zip(running[1:], running, strict=False))
    for i, instruction in enumerate(facts.instructions):
        if not isinstance(instruction, Activate | Vector) or instruction.layer not in running:
            continue
        distance = int(instruction.layer not in previous)
        made = flowing.made.get(previous.get(instruction.layer, running[-1]))
        places = () if made is None else made.needed(0, facts.rows(previous.get(instruction.layer, running[-1])))
        if any(not facts.recurring.before(place, i, distance) for place in places):
            yield Violation(i, "runs while the layer before it may still run")


def _transfers(flowing: Flowing) -> Iterator[Violation]:
    """Check that inputs and looked-up rows are loaded, and outputs stored, row after row, and nothing else crosses the memory."""
    facts = flowing.facts
    network, results = facts.program.network, facts.program.network.results
    for index, layer in enumerate(facts.layers):
        whole = transfer_bytes(layer, network, facts.program.coded)
        loaded = whole if isinstance(layer, Input) else layer.size if isinstance(layer, Embedding) else 0
        stored = whole if layer.name in results and not isinstance(layer, Constant) else 0
        for way, size in (("load", loaded), ("store", stored)):
            places = flowing.moved.get((way, index), [])
            # What is stored to be loaded anew is told apart from results where it is loaded.
            if (size == 0 and not places) or (way == "store" and index in flowing.reloaded):
                continue
            if not moves_all(flowing, places, size):
                sizes = [_size(facts, place) for place in places]
                text = (
                    f"{layer.name} needs {way}s of all its rows, in order, {size} bytes together, not of {sizes} bytes"
                )
                yield Violation(-1, text)
        made = flowing.made.get(index)
        if isinstance(layer, Embedding) and made is not None:
            loads = flowing.pieces(flowing.moved.get(("load", index), []))
            for place in made.places:
                if any(not facts.order.before(i, place) for i in loads.needed(*flowing.rows(place))):
                    yield Violation(place, f"{layer.name} is looked up before its rows have arrived")
        for place in flowing.moved.get(("store", index), []):
            rows = flowing.rows(place)
            if made is not None and any(not facts.order.before(i, place) for i in made.needed(*rows)):
                yield Violation(place, "a tensor is stored before it is made")


def moves_all(flowing: Flowing, places: Sequence[int], size: int, begin: int = 0) -> bool:
    """Return True if transfers move the rows of a layer's tensor from `begin` on, `size` bytes in all, in order, each once."""
    if not places:
        return size == 0
    rows = flowing.facts.rows(flowing.facts.instructions[places[0]].layer)
    return _tiled(flowing, places, rows, begin) and _in_step(flowing, places, size, begin)


def _in_step(flowing: Flowing, places: Sequence[int], size: int, begin: int) -> bool:
    """Return True if transfers of rows move the bytes of these, `size` of all; one that two rows share moves with either."""
    moved = size * begin // flowing.facts.rows(flowing.facts.instructions[places[0]].layer) if places else 0
    for place in places:
        moved += _size(flowing.facts, place)
        last, rows = flowing.rows(place)[1], flowing.facts.rows(flowing.facts.instructions[place].layer)
        if not size * last // rows <= moved <= -(-size * last // rows):
            return False
    return True


def _size(facts: Facts, place: int) -> int:
    instruction = facts.instructions[place]
    assert isinstance(instruction, Transfer)
    return instruction.size
