"""The rules of streams as they read: inferences unrolled, all pairs of times in sets of bits, row by row and window by window."""

from __future__ import annotations

from collections import Counter

from mho.network.layers import Constant, Embedding, Input, MatrixLayer
from mho.program import Activate, Combine, Program, Transfer, Vector
from mho.program.instructions import members
from mho.program.work import buffer_bytes, flow


class Unrolled:
    """Some inferences of a stream, the last of which is asked about. Setup ends before all of them."""

    def __init__(self, program: Program, inferences: int) -> None:
        assert program.stream is not None
        self.program, self.last = program, inferences - 1
        self.flow = flow(program.network)
        self.layers = program.network.layers
        self.place = {layer.name: index for index, layer in enumerate(self.layers)}
        self.body = range(program.setup, len(program.instructions))
        groups = {
            i: set(members(each.groups)) for i in self.body if isinstance(each := program.instructions[i], Activate)
        }
        self.groups = groups
        window_s = {layer.index: layer.window_s for layer in program.mapping.layers}
        waits = [(i, p, 0) for i in self.body for p in program.instructions[i].after if p in self.body]
        self.waits: dict[int, list[tuple[int, int]]] = {i: [] for i in self.body}
        for i, p, d in (*waits, *program.stream.again):
            self.waits[i].append((p, d))
        # For each time, those that certainly do not come after it.
        self.sets: dict[tuple[int, int, str], int] = {}
        bit: dict[tuple[int, int, str], int] = {}
        for n in range(inferences):
            for i in self.body:
                start, end = 0, 0
                for p, d in self.waits[i]:
                    if n < d:
                        continue
                    if self.turns(p, i):
                        start |= self.sets[n - d, p, "start"]
                        one, other = program.instructions[p].layer, program.instructions[i].layer
                        if one == other or window_s[other] >= window_s[one]:
                            end |= self.sets[n - d, p, "end"]
                    else:
                        start |= self.sets[n - d, p, "end"]
                for when, known in (("start", start), ("end", start | end)):
                    bit[n, i, when] = len(bit)
                    self.sets[n, i, when] = known | 1 << bit[n, i, when]
                self.sets[n, i, "end"] |= self.sets[n, i, "start"]
        self.bit = bit
        self.window_s = window_s

    def turns(self, p: int, i: int) -> bool:
        """Return True if both drive several copies, on some group both."""
        one, other = self.program.instructions[p], self.program.instructions[i]
        if not isinstance(one, Activate) or not isinstance(other, Activate) or 1 in (one.copies, other.copies):
            return False
        return bool(self.groups[p] & self.groups[i])

    def before(self, p: int, i: int, inference: int) -> bool:
        """Return True if p of an inference has ended when i of the last one starts."""
        return bool(self.sets[self.last, i, "start"] >> self.bit[inference, p, "end"] & 1)

    def rows(self, i: int) -> range:
        """Return the rows that an instruction makes, moves, or drives windows of."""
        each = self.program.instructions[i]
        count = self.flow.rows(self.layers[each.layer].name)
        if isinstance(each, Activate):
            name = self.layers[each.layer].name
            return range(*(w for w in _touched(each.windows, self.flow.windows(name, 0, 1)[1])))
        return range(count) if each.rows is None else range(*each.rows)

    def makers(self) -> dict[tuple[int, int], list[int]]:
        """Return who makes each row of each layer."""
        found: dict[tuple[int, int], list[int]] = {}
        for i in self.body:
            each = self.program.instructions[i]
            layer = self.layers[each.layer]
            kind = Combine if isinstance(layer, MatrixLayer) else Vector
            loads = isinstance(each, Transfer) and each.direction == "load" and isinstance(layer, Input)
            if loads or isinstance(each, kind):
                for row in self.rows(i):
                    found.setdefault((each.layer, row), []).append(i)
        return found

    def reads(self, i: int) -> set[tuple[int, int]]:
        """Return the rows that must be there when an instruction starts."""
        each = self.program.instructions[i]
        layer = self.layers[each.layer]
        if isinstance(each, Transfer):
            if each.direction == "store":
                return {(each.layer, row) for row in self.rows(i)}
            if not isinstance(layer, Embedding):
                return set()
        if isinstance(each, Combine):
            return set()
        rows, found = self.rows(i), set()
        for operand, name in enumerate(layer.inputs):
            needed = self.flow.needs(layer.name, operand, rows.start, rows.stop)
            found |= {(self.place[name], row) for row in range(*needed)}
        return found

    def stored(self, i: int) -> set[tuple[int, int]]:
        """Return the rows of stored tensors that an instruction reads, through views."""
        each = self.program.instructions[i]
        moved = isinstance(each, Transfer) and each.direction != "store"
        if moved or (not isinstance(each, Transfer) and self.layers[each.layer].moves_only):
            return set()
        found = set()
        for index, row in self.reads(i):
            rows = (row, row + 1)
            while self.layers[index].moves_only:
                rows = self.flow.needs(self.layers[index].name, 0, *rows)
                index = self.place[self.layers[index].inputs[0]]
            found |= {(index, each) for each in range(*rows)}
        return found


def _touched(windows: tuple[int, int], each: int) -> tuple[int, int]:
    return windows[0] // each, (windows[1] - 1) // each + 1


def broken(program: Program) -> set[str]:
    """Return which rules a stream breaks, by name."""
    kept = {}
    for use in program.buffers:
        rows = flow(program.network).rows(program.network.layers[use.layer].name)
        kept[use.layer] = rows if use.rows is None else use.rows
    inferences = 2 + max(
        (-(-count // flow(program.network).rows(program.network.layers[index].name)) for index, count in kept.items()),
        default=1,
    )
    unrolled = Unrolled(program, inferences)
    return {
        name
        for name, wrong in (
            ("once", _once(unrolled)),
            ("flow", _flow(unrolled)),
            ("groups", _groups(unrolled)),
            ("rings", _rings(unrolled, kept)),
            ("room", _room(unrolled, kept)),
        )
        if wrong
    }


def _once(unrolled: Unrolled) -> bool:
    """Find rows that are not made once and in order, and windows that do not go through each block once."""
    program, makers = unrolled.program, unrolled.makers()
    for index, layer in enumerate(unrolled.layers):
        rows = range(unrolled.flow.rows(layer.name)) if not isinstance(layer, Constant) else ()
        who = [makers.get((index, row), []) for row in rows]
        if any(len(each) != 1 for each in who) or who != sorted(who):
            return True
    served: Counter[tuple[int, int, int]] = Counter()
    for i in unrolled.body:
        each = program.instructions[i]
        if isinstance(each, Activate):
            served.update((each.layer, w, b) for w in range(*each.windows) for b in range(*each.blocks))
    wanted = {(x.index, w, b) for x in program.mapping.layers for w in range(x.windows) for b in range(*x.run)}
    return set(served) != wanted or max(served.values(), default=1) > 1


def _flow(unrolled: Unrolled) -> bool:
    """Find what starts before rows that it needs are made, or windows that it combines have been driven."""
    program, makers = unrolled.program, unrolled.makers()
    for i in unrolled.body:
        each = program.instructions[i]
        for source in unrolled.reads(i):
            if any(not unrolled.before(p, i, unrolled.last) for p in makers.get(source, [])):
                return True
        if isinstance(each, Combine):
            rows = unrolled.rows(i)
            windows = set(range(*unrolled.flow.windows(unrolled.layers[each.layer].name, rows.start, rows.stop)))
            for p in unrolled.body:
                other = program.instructions[p]
                drives = isinstance(other, Activate) and other.layer == each.layer
                if drives and windows & set(range(*other.windows)) and not unrolled.before(p, i, unrolled.last):
                    return True
        if isinstance(each, Vector) and isinstance(unrolled.layers[each.layer], Embedding):
            for p in unrolled.body:
                other = program.instructions[p]
                fetches = isinstance(other, Transfer) and other.direction == "load" and other.layer == each.layer
                needed = fetches and set(unrolled.rows(p)) & set(unrolled.rows(i))
                if needed and not unrolled.before(p, i, unrolled.last):
                    return True
    return False


def _groups(unrolled: Unrolled) -> bool:
    """Find groups that do not hold what is driven, or may be used twice at once."""
    program = unrolled.program
    holds = {}
    for i in range(program.setup):
        write = program.instructions[i]
        for number, group in enumerate(members(write.groups)):
            holds[group] = write.copy, write.blocks[0] + number
    users: dict[int, list[int]] = {}
    for i in unrolled.body:
        each = program.instructions[i]
        if isinstance(each, Activate):
            count = each.blocks[1] - each.blocks[0]
            for number, group in enumerate(members(each.groups)):
                users.setdefault(group, []).append(i)
                if holds.get(group) != (each.copy + number // count, each.blocks[0] + number % count):
                    return True
    pairs = {pair for each in users.values() for pair in zip([each[-1], *each[:-1]], each, strict=True)}
    first = {each[0] for each in users.values()}
    for p, i in pairs:
        ahead = p >= i
        assert not ahead or i in first
        if not unrolled.before(p, i, unrolled.last - ahead) and not _free(unrolled, p, i, int(ahead)):
            return True
    return False


def _free(unrolled: Unrolled, p: int, i: int, distance: int) -> bool:
    """Return True if i waits for the turns of p, and each copy is free when its turn comes."""
    one, other = unrolled.program.instructions[p], unrolled.program.instructions[i]
    assert isinstance(one, Activate) and isinstance(other, Activate)
    same = (one.groups, one.blocks, one.copy, one.copies) == (other.groups, other.blocks, other.copy, other.copies)
    if not same or one.copies == 1 or (p, distance) not in unrolled.waits[i]:
        return False
    if not distance and one.layer == other.layer and one.windows[1] == other.windows[0]:
        return True
    slower = unrolled.window_s[other.layer] >= unrolled.window_s[one.layer]
    return other.windows[0] % other.copies == 0 and slower


def _rings(unrolled: Unrolled, kept: dict[int, int]) -> bool:
    """Find rows that may be overwritten before they are read."""
    makers, program = unrolled.makers(), unrolled.program
    using: dict[tuple[int, int], set[int]] = {}
    for i in unrolled.body:
        each = program.instructions[i]
        if isinstance(each, Activate | Vector) or (isinstance(each, Transfer) and each.direction == "store"):
            for source in unrolled.stored(i):
                using.setdefault(source, set()).add(i)
    for (index, row), who in makers.items():
        if index not in kept:
            continue
        rows = unrolled.flow.rows(unrolled.layers[index].name)
        inference, old = divmod(unrolled.last * rows + row - kept[index], rows)
        assert inference >= 0
        for i in who:
            for p in using.get((index, old), set()) | set(makers.get((index, old), [])):
                if not unrolled.before(p, i, inference):
                    return True
    return False


def _room(unrolled: Unrolled, kept: dict[int, int]) -> bool:
    """Find rings that are too small for their rows, and banks that are too full."""
    program = unrolled.program
    sizes = buffer_bytes(program.network, program.coded)
    banks = list(program.chip.buffer.banks)
    for use in program.buffers:
        name = unrolled.layers[use.layer].name
        if use.size * unrolled.flow.rows(name) < sizes[name] * kept[use.layer] or sum(use.parts) != use.size:
            return True
        for bank, part in zip(use.banks, use.parts, strict=True):
            banks[bank] -= part
    return min(banks) < 0
