"""The rules of streams in segments as they read: rounds unrolled into single events, all pairs of times in sets of bits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mho.network.layers import Constant, Embedding, Input, MatrixLayer
from mho.program import Activate, Combine, Program, Transfer, Vector
from mho.program.instructions import Write, members
from mho.program.program import BufferUse
from mho.program.work import buffer_bytes
from tests.stream_oracle import Unrolled

Event = tuple[int, int]
"""An instruction, and its inference; of what happens once a round: the round."""
ROUNDS = 4


class Events(Unrolled):
    """Some rounds, event after event, as if nothing overlapped; and what has certainly ended when each starts."""

    def __init__(self, program: Program) -> None:
        stream = program.stream
        assert stream is not None and program.setup == 0
        super().__init__(program, 0)
        self.batch, self.stream = stream.batch, stream
        self.segment = dict.fromkeys(self.body, -1)
        for number, bounds in enumerate(stream.segments):
            self.segment.update(dict.fromkeys(range(*bounds), number))
        self.makes = {i: _makes(self, i) for i in self.body}
        self.order = list(self._ordered())
        self.number = {event: number for number, event in enumerate(self.order)}
        self.waiting = {event: list(self._seen(event)) for event in self.order}
        self.starts: dict[Event, int] = {}
        self.ends: dict[Event, int] = {}
        left = {event: len(waits) for event, waits in self.waiting.items()}
        followers: dict[Event, list[Event]] = {event: [] for event in self.order}
        for event, waits in self.waiting.items():
            for other in waits:
                followers[other].append(event)
        ready = [event for event in self.order if not left[event]]
        while ready:
            event = ready.pop()
            self._begin(event)
            for other in followers[event]:
                left[other] -= 1
                if not left[other]:
                    ready.append(other)
        self.waits_for_ever = len(self.starts) < len(self.order)

    def _ordered(self) -> Iterator[Event]:
        """Yield all events: rounds, runs of what happens alike, inferences, instructions."""
        edges = sorted({0, len(self.body), *(bound for bounds in self.stream.segments for bound in bounds)})
        for rounds in range(ROUNDS):
            for first, last in pairwise(edges):
                inferences = range(rounds * self.batch, (rounds + 1) * self.batch)
                for n in [rounds] if self.segment[first] < 0 else inferences:
                    yield from ((i, n) for i in range(first, last))

    def _seen(self, event: Event) -> Iterator[Event]:
        """Yield what an event waits for."""
        i, n = event
        for p, distance in self.waits[i]:
            here, there = self.segment[i] < 0, self.segment[p] < 0
            if there:
                other = (n if here else n // self.batch) - distance
            else:
                other = (n - distance) * self.batch + self.batch - 1 if here else n - distance
            if other >= 0:
                yield p, other

    def _begin(self, event: Event) -> None:
        """Note what has ended, or started, when an event starts and ends: bits 2 k, for the start of event k, and 2 k + 1."""
        start = end = 0
        for other in self.waiting[event]:
            if self.turns(other[0], event[0]):
                start |= self.starts[other]
                first, second = (self.program.instructions[each[0]].layer for each in (other, event))
                if first == second or self.window_s[second] >= self.window_s[first]:
                    end |= self.ends[other]
            else:
                start |= self.ends[other]
        self.starts[event] = start | 1 << 2 * self.number[event]
        self.ends[event] = end | self.starts[event] | 2 << 2 * self.number[event]

    def over(self, first: Event, second: Event) -> bool:
        """Return True if the first event has ended when the second starts."""
        return bool(self.starts[second] >> (2 * self.number[first] + 1) & 1)


def broken(program: Program) -> set[str]:
    """Return which rules a stream in segments breaks, by name."""
    events = Events(program)
    if events.waits_for_ever:
        return {"waits for ever"}
    rules = {"groups": _groups, "flow": _flow, "rings": _rings, "moved": _moved, "room": _room}
    return {name for name, rule in rules.items() if rule(events)}


def _makes(events: Events, i: int) -> bool:
    """Return True if an instruction brings rows of its layer into being, or back."""
    each = events.program.instructions[i]
    layer = events.layers[each.layer]
    if isinstance(each, Transfer):
        others = ((p, events.program.instructions[p]) for p in events.body) if isinstance(layer, Embedding) else ()
        own = {events.segment[p] for p, other in others if isinstance(other, Vector) and other.layer == each.layer}
        return each.direction == "load" and events.segment[i] not in own
    return isinstance(each, Combine if isinstance(layer, MatrixLayer) else Vector)


def _reads(events: Events, i: int) -> set[tuple[int, int]]:
    """Return the rows of stored tensors that an instruction reads."""
    each = events.program.instructions[i]
    stores = isinstance(each, Transfer) and each.direction == "store"
    return events.stored(i) if stores or isinstance(each, Activate | Vector) else set()


def _groups(events: Events) -> bool:
    """Find groups that do not hold what is driven, or may be used twice at once, and windows that are not driven once."""
    content: dict[int, tuple[int, int]] = {}
    users: dict[int, list[Event]] = {}
    served: dict[tuple[int, int, int, int], int] = {}
    for event in events.order:
        each = events.program.instructions[event[0]]
        if not isinstance(each, Write | Activate):
            continue
        count = each.blocks[1] - each.blocks[0]
        for number, group in enumerate(members(each.groups)):
            wanted = each.copy + number // count, each.blocks[0] + number % count
            before = users.setdefault(group, [])
            if isinstance(each, Write):
                if any(not events.over(other, event) for other in before):
                    return True
                content[group], users[group] = wanted, [event]
                continue
            if content.get(group) != wanted or not events.over(before[0], event):
                return True
            if not events.over(before[-1], event) and not _free(events, before[-1], event):
                return True
            before.append(event)
        if isinstance(each, Activate):
            for block in range(*each.blocks):
                for window in range(*each.windows):
                    key = each.layer, block, window, event[1]
                    served[key] = served.get(key, 0) + 1
    all_windows = {
        (layer.index, block, window, n)
        for layer in events.program.mapping.layers
        for block in range(*layer.run)
        for window in range(layer.windows)
        for n in range(ROUNDS * events.batch)
    }
    return set(served) != all_windows or max(served.values(), default=1) > 1


def _free(events: Events, first: Event, second: Event) -> bool:
    """Return True if an activation waits for the turns of another, and finds each copy free when its turn comes."""
    one, other = (events.program.instructions[each[0]] for each in (first, second))
    if not isinstance(one, Activate) or not isinstance(other, Activate) or one.copies == 1:
        return False
    alike = (one.groups, one.blocks, one.copy, one.copies) == (other.groups, other.blocks, other.copy, other.copies)
    if not alike or first not in events.waiting[second]:
        return False
    if first[1] == second[1] and one.layer == other.layer and one.windows[1] == other.windows[0]:
        return True
    return other.windows[0] % other.copies == 0 and events.window_s[other.layer] >= events.window_s[one.layer]


def _flow(events: Events) -> bool:
    """Find rows that are not made once, and what starts before rows, windows or looked-up values are there."""
    made: dict[tuple[int, int, int], list[Event]] = {}
    for i, n in events.order:
        each = events.program.instructions[i]
        if events.makes[i] and (not isinstance(each, Transfer) or isinstance(events.layers[each.layer], Input)):
            for row in events.rows(i):
                made.setdefault((each.layer, row, n), []).append((i, n))
    for index, layer in enumerate(events.layers):
        for row in range(events.flow.rows(layer.name)) if not isinstance(layer, Constant) else ():
            for n in range(ROUNDS * events.batch):
                count = len(made.get((index, row, n), []))
                if not count or (count > 1 and not isinstance(layer, Input)):
                    return True
    return any(not events.over(other, event) for event in events.order for other in _needed(events, event, made))


def _needed(events: Events, event: Event, made: dict[tuple[int, int, int], list[Event]]) -> Iterator[Event]:
    """Yield what must have ended when an event starts."""
    i, n = event
    each = events.program.instructions[i]
    if isinstance(each, Write):
        return
    for index, row in events.reads(i):
        yield from made.get((index, row, n), [])[:1]
    for p in events.body:
        other = events.program.instructions[p]
        if other.layer != each.layer:
            continue
        if isinstance(each, Combine) and isinstance(other, Activate):
            rows = events.rows(i)
            windows = events.flow.windows(events.layers[each.layer].name, rows.start, rows.stop)
            if set(range(*windows)) & set(range(*other.windows)):
                yield p, n
        fetches = isinstance(each, Vector) and isinstance(other, Transfer) and other.direction == "load"
        if fetches and not events.makes[p] and set(events.rows(i)) & set(events.rows(p)):
            yield p, n


def _rings(events: Events) -> bool:
    """Find rows that are read where others are, or not yet there, or overwritten while somebody may read them."""
    there: dict[tuple[int, int, int], tuple[tuple[int, int], list[Event]]] = {}

    def place(index: int, row: int, n: int) -> tuple[int, int, int] | None:
        """Return where a row lies: in which ring, at which of its places; None where it has none."""
        for use in events.program.buffers:
            first, last = _span(events, use)
            if use.layer == index and first <= row < last:
                return index, first, (n * (last - first) + row - first) % (use.rows or last - first)
        return None

    reading = {i: _reads(events, i) for i in events.body}
    for event in events.order:
        i, n = event
        layer = events.program.instructions[i].layer
        for index, row in reading[i]:
            where = place(index, row, n)
            if where is not None:
                held = there.get(where)
                if held is None or held[0] != (n, row) or not events.over(held[1][0], event):
                    return True
                held[1].append(event)
        for row in events.rows(i) if events.makes[i] else ():
            where = place(layer, row, n)
            if where is None:
                continue
            before = there.get(where)
            if before is not None and any(not events.over(other, event) for other in before[1]):
                return True
            there[where] = (n, row), [event]
    return False


def _moved(events: Events) -> bool:
    """Find rows that are loaded anew before they are stored, and bytes that are not those of the tensor."""
    sizes = buffer_bytes(events.program.network, events.program.coded)
    stored: dict[tuple[int, int, int], list[Event]] = {}
    loads: dict[tuple[int, int], list[tuple[int, range]]] = {}
    for event in events.order:
        i, n = event
        each = events.program.instructions[i]
        if not isinstance(each, Transfer):
            continue
        anew = events.makes[i] and not isinstance(events.layers[each.layer], Input)
        for row in events.rows(i):
            before = stored.setdefault((each.layer, row, n), [])
            if each.direction == "store":
                before.append(event)
            elif anew and not any(events.over(other, event) for other in before):
                return True
        if anew and n == 0:
            key = each.layer, events.segment[i]
            loads.setdefault(key, []).append((each.size, events.rows(i)))
    for (index, _), moved in loads.items():
        name, first = events.layers[index].name, min(rows.start for _, rows in moved)
        size = sizes.get(name, 0)
        if sum(each for each, _ in moved) != size - size * first // events.flow.rows(name):
            return True
        if first not in {_span(events, use)[0] for use in events.program.buffers if use.layer == index}:
            return True
    return False


def _span(events: Events, use: BufferUse) -> tuple[int, int]:
    """Return the rows that a ring is for."""
    return use.of or (0, events.flow.rows(events.layers[use.layer].name))


def _room(events: Events) -> bool:
    """Find banks that are too full in some segment; a ring whose rows may come while others are in use is there all the time."""
    sizes = buffer_bytes(events.program.network, events.program.coded)
    uses = events.program.buffers
    used: list[set[int]] = [set() for _ in uses]
    made: list[set[int]] = [set() for _ in uses]
    for i in events.body:
        layer, reading = events.program.instructions[i].layer, _reads(events, i)
        for number, use in enumerate(uses):
            span = range(*_span(events, use))
            if events.makes[i] and layer == use.layer and any(row in span for row in events.rows(i)):
                used[number].add(i)
                made[number].add(i)
            if any(index == use.layer and row in span for index, row in reading):
                used[number].add(i)
    everybody = set().union(*used)
    held = [[0] * len(events.stream.segments) for _ in events.program.chip.buffer.banks]
    for number, use in enumerate(uses):
        name = events.layers[use.layer].name
        if use.size * events.flow.rows(name) < sizes[name] * (use.rows or 0) or sum(use.parts) != use.size:
            return True
        own = [events.segment[i] for i in used[number]]
        span = range(min(own), max(own) + 1)
        others = [event for event in events.order if event[0] in everybody and events.segment[event[0]] not in span]
        together = any(
            events.number[other] < events.number[event] and not events.over(other, event)
            for event in events.order
            if event[0] in made[number]
            for other in others
        )
        for segment in range(len(events.stream.segments)) if together else span:
            for bank, part in zip(use.banks, use.parts, strict=True):
                held[bank][segment] += part
    return any(max(of) > size for of, size in zip(held, events.program.chip.buffer.banks, strict=True))
