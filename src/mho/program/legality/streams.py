"""Rules where inferences overlap: on groups from one inference to the next, and on rings.

A ring keeps k rows of a tensor of R: row r of inference n has number x = n R + r, and takes the room of row x - k. So whatever
makes x starts only after all that reads x - k has ended, of its own inference or of an earlier one, and after whatever made x - k.
That is asked for each range of rows that is made at once, and each reader: with the rows that it needs, through views.

A tensor that is no ring has room for its R rows, and its banks to itself. Where inferences come in rounds, `segments` asks more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mho.network.layers import Input
from mho.program.instructions import Activate, Rows, Transfer, Vector, Write
from mho.program.legality.buffer import tensor_readers
from mho.program.legality.facts import Facts, Violation
from mho.program.legality.holding import HeldRanges, Holding
from mho.program.legality.rows import Flowing, Pieces
from mho.program.legality.segments import segment_rules
from mho.program.program import BufferUse
from mho.program.work import buffer_bytes


def stream_rules(facts: Facts, flowing: Flowing) -> Iterator[Violation]:
    """Check what one inference leaves to the next, and rings."""
    if facts.program.stream is not None:
        yield from _groups(facts)
        yield from _setup_alone(facts)
    uses = {(use.layer, use.of[0] if use.of else 0): use for use in facts.program.buffers}
    readers = _readers(flowing)
    yield from _places(facts)
    yield from _banks(facts)
    yield from _overwritten(flowing, uses, readers)
    if facts.recurring.rounds is not None:
        reading = {
            life: [item for pieces in each for item in zip(pieces.places, pieces.ranges, strict=True)]
            for life, each in readers.items()
        }
        yield from segment_rules(facts, flowing, reading, uses)


def _groups(facts: Facts) -> Iterator[Violation]:
    """Check that what uses a group first in an inference comes after what used it last in the one before.

    Of rounds: in a segment, and from round to round, where what uses it first must be a write, unless one segment alone uses it.
    """
    stream = facts.program.stream
    assert stream is not None
    body = facts.program.setup, len(facts.instructions)
    for bounds in stream.segments or (body,):
        yield from _one_after_another(facts, range(*bounds), ())
    if stream.segments:
        yield from _one_after_another(facts, range(*body), facts.recurring.segment)


def _one_after_another(facts: Facts, body: range, segment: Sequence[int]) -> Iterator[Violation]:
    """Check groups where a range of instructions happens over and over; `segment`: what is of which, where that is a round."""
    first, last = HeldRanges(), HeldRanges()
    for i in body:
        instruction = facts.instructions[i]
        if not isinstance(instruction, Write | Activate):
            continue
        if isinstance(instruction, Activate) and instruction.release and not segment:
            yield Violation(i, "releases groups that the next inference reads")
        for begin, end in instruction.groups:
            for low, high, holding in list(first.within(begin, end)):
                if holding is None:
                    first.set(low, high, Holding(i, None, i, False))
            for low, _, holding in (
                list(last.within(begin, end)) if segment and isinstance(instruction, Activate) else ()
            ):
                if holding is not None and segment[holding.user] not in (-1, segment[i]):
                    yield Violation(i, f"reads group {low}, which another segment read, and nothing wrote since")
            last.set(begin, end, Holding(i, None, i, False))
    found: dict[tuple[int, int], int] = {}
    for begin, end, holding in list(first.within(0, facts.program.chip.groups)):
        if holding is not None and segment and segment[holding.user] >= 0:
            # The order of its own segment, where it is read alone; what is read before it is written is found elsewhere.
            continue
        for low, _, other in last.within(begin, end) if holding is not None else ():
            assert holding is not None and other is not None
            found.setdefault((holding.user, other.user), low)
    for (user, earlier), group in sorted(found.items()):
        if not facts.recurring.follows(earlier, user, 1) and not facts.recurring.before(earlier, user, 1):
            yield Violation(
                user,
                f"group {group} may still serve instruction {earlier} of the {'round' if segment else 'inference'} before",
            )


def _setup_alone(facts: Facts) -> Iterator[Violation]:
    """Check that coefficients come in the setup, and stay: what they overwrite in another inference is not asked."""
    for i in range(facts.program.setup, len(facts.instructions)):
        instruction = facts.instructions[i]
        if isinstance(instruction, Transfer) and instruction.direction == "fetch":
            yield Violation(i, "fetches coefficients while other inferences may need theirs")


def _places(facts: Facts) -> Iterator[Violation]:
    """Check that each tensor that is stored as codes has one place, for as many rows as it says, until its last reader.

    In segments it may have several rings, each of other rows.
    """
    sizes = buffer_bytes(facts.program.network, facts.program.coded)
    needed = {i for i, layer in enumerate(facts.layers) if layer.name in sizes}
    places: dict[int, list[BufferUse]] = {}
    for use in facts.program.buffers:
        places.setdefault(use.layer, []).append(use)
    for index in sorted(needed | set(places)):
        own = places.get(index, [])
        spans = sorted(use.of for use in own if use.of is not None)
        if len(own) != int(index in needed) and (index not in needed or len(spans) != len(own) or not own):
            yield Violation(-1, f"tensor {facts.layers[index].name} has {len(own)} places, not {int(index in needed)}")
        elif spans and (
            facts.recurring.rounds is None
            or [*(first for first, _ in spans), facts.rows(index)] != [0, *(last for _, last in spans)]
            or any(first >= last for first, last in spans)
        ):
            yield Violation(-1, f"{facts.layers[index].name} has rings of rows {spans}, not each of its rows in one")
    readers = tensor_readers(facts, facts.views)
    for use in (use for index in sorted(needed & set(places)) for use in places[index]):
        index, name, rows = use.layer, facts.layers[use.layer].name, facts.rows(use.layer)
        kept = rows if use.rows is None else use.rows
        least = -(-sizes[name] * kept // rows)
        if kept < 1 or use.size < least:
            yield Violation(-1, f"{name} keeps {kept} rows, which need {least} bytes, in {use.size}")
        if use.spilled:
            yield Violation(-1, f"{name} flows by rows, and cannot live in main memory")
        if use.last < max(readers.get(index, [index])):
            yield Violation(-1, f"{name} is given up before its last reader")


def _banks(facts: Facts) -> Iterator[Violation]:
    """Check that the parts of each tensor are all of it, and that those in a bank find room there together, in all segments."""
    banks = facts.program.chip.buffer.banks
    held = [0] * len(banks)
    for use in facts.program.buffers:
        name = facts.layers[use.layer].name
        if len(set(use.banks)) != len(use.banks) or any(not 0 <= bank < len(banks) for bank in use.banks):
            yield Violation(-1, f"{name} lives in banks {use.banks}, but there are {len(banks)} different ones")
            continue
        parts = use.parts if use.rows is not None else tuple(banks[bank] for bank in use.banks)
        whole = sum(parts) == use.size if use.rows is not None else sum(parts) >= use.size and not use.parts
        if len(parts) != len(use.banks) or min(parts, default=1) < 1 or not whole:
            yield Violation(-1, f"{name} has {use.size} bytes, and its banks {use.banks} hold {use.parts} of it")
            continue
        for bank, part in zip(use.banks, parts, strict=True):
            # In segments rings share room; `segments` asks who does.
            held[bank] += part if facts.recurring.rounds is None else 0
    for bank, size in enumerate(held):
        if size > banks[bank]:
            yield Violation(-1, f"bank {bank} has {banks[bank]} bytes, and holds {size}")


def _overwritten(
    flowing: Flowing, uses: dict[tuple[int, int], BufferUse], readers: dict[tuple[int, int, int], list[Pieces]]
) -> Iterator[Violation]:
    """Check that a row is made, or loaded anew, only when all that read the row in its place have ended."""
    facts = flowing.facts
    for (index, begin, life), made in sorted(flowing.lives.items(), key=lambda item: item[0]):
        use = uses.get((index, begin))
        rows = facts.rows(index) if use is None or use.of is None else use.of[1] - use.of[0]
        kept = 0 if use is None else rows if use.rows is None else use.rows
        if kept < 1:
            continue
        for place, (first, last) in zip(made.places, made.ranges, strict=True):
            low, high = first - kept, last - kept
            # Inferences before: rows [low, high) lie in one, or in two that follow one another.
            for distance in range(-((high - 1) // rows), -(low // rows) + 1):
                old = max(low + distance * rows, 0), min(high + distance * rows, rows)
                for pieces in (made, *readers.get((index, begin, life), ())):
                    for reader in pieces.needed(*old):
                        if not facts.recurring.before(reader, place, distance):
                            seen = old[0] + begin, old[1] + begin
                            yield Violation(place, _unread(facts, index, seen, reader, distance))


def _unread(facts: Facts, index: int, rows: Rows, reader: int, distance: int) -> str:
    """Say which rows may be overwritten too early."""
    when = "" if not distance else f" of {distance} inferences before" if distance > 1 else " of the inference before"
    return f"overwrites rows {rows} of {facts.layers[index].name!r}{when}, which instruction {reader} may still use"


def _readers(flowing: Flowing) -> dict[tuple[int, int, int], list[Pieces]]:
    """Return for each stored tensor, by span of rows and the segment that made or loaded them, what reads rows of it: an operand of
    a layer, or stores, at a time. Rows count from the first of the span.
    """
    facts = flowing.facts
    places: dict[tuple[int, int, int, int, int, str], list[int]] = {}
    ranges: dict[tuple[int, int, int, int, int, str], list[Rows]] = {}

    def note(place: int, index: int, operand: int, rows: Rows) -> None:
        """Note a reader of rows of a layer's tensor, through views."""
        while facts.layers[index].moves_only:
            rows = flowing.flow.needs(facts.layers[index].name, 0, *rows)
            index = facts.place[facts.layers[index].inputs[0]]
        instruction, own = facts.instructions[place], flowing.segment[place]
        groups = repr((instruction.blocks, instruction.groups)) if isinstance(instruction, Activate) else ""
        for first, last in flowing.spans.get(index, ()) if rows[0] < rows[1] else ():
            begin, end = max(rows[0], first), min(rows[1], last)
            if begin < end:
                life = own if (index, first, own) in flowing.lives else flowing.own(index)
                key = index, first, life, instruction.layer, operand, type(instruction).__name__ + groups
                places.setdefault(key, []).append(place)
                ranges.setdefault(key, []).append((begin - first, end - first))

    for i, instruction in enumerate(facts.instructions):
        layer = facts.layers[instruction.layer]
        if isinstance(instruction, Transfer) and instruction.direction == "store":
            note(i, instruction.layer, -1, flowing.rows(i))
        elif isinstance(instruction, Activate | Vector) and not layer.moves_only and not isinstance(layer, Input):
            for operand, index, rows in flowing.needs(i):
                note(i, index, operand, rows)
    readers: dict[tuple[int, int, int], list[Pieces]] = {}
    for key, reading in places.items():
        readers.setdefault(key[:3], []).append(Pieces(facts, reading, ranges[key]))
    return readers
