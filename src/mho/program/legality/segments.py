"""Rules where inferences come in rounds: what a chip holds for a while serves a whole round, then the next takes its place.

Instructions of a segment happen for every inference of a round, writes between segments once. A layer is completed in one segment.
A tensor of which later segments read rows stays in its ring, or is stored, and loaded anew by each later segment that reads it.
So rows in a ring have lives: those that are made, and those that a segment loads. Within a life rows follow one another as in any
stream (`streams`). A life begins when all that used the one before it has ended, for all inferences of the round, and the first
when the last of the round before has.

A ring has its room from the first segment that uses it to the last if its rows are made when all that uses rings in segments before
has ended, and all that does in segments behind, of the round before; else it has it all the time.

Nothing waits for ever where what is waited for comes earlier when rounds, segments of a round, inferences of a segment, and
instructions follow one another in their order. That alone is allowed, although other waits might end, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import pairwise, permutations
from operator import or_

from mho.network.layers import Constant, Input
from mho.program.instructions import Write
from mho.program.legality.facts import Facts, Violation, finisher
from mho.program.legality.rows import Flowing, Pieces, moves_all
from mho.program.program import BufferUse
from mho.program.work import buffer_bytes, transfer_bytes

Strip = tuple[int, int]
"""A layer, and the first of those rows of its tensor that have a ring of their own."""
Readers = Mapping[tuple[int, int, int], Sequence[tuple[int, tuple[int, int]]]]
"""For each strip and segment whose life of it they read: instructions, and the rows that they read, counted from its first."""


def segment_rules(
    facts: Facts, flowing: Flowing, readers: Readers, uses: Mapping[Strip, BufferUse]
) -> Iterator[Violation]:
    """Check a stream in segments, beside what holds of any stream."""
    yield from _bounds(facts)
    yield from _for_ever(facts)
    yield from _one_segment(facts, flowing)
    yield from _reloads(flowing)
    yield from _loaded(flowing, readers)
    used = _used(flowing, readers)
    yield from _lives(flowing, used)
    yield from _room(flowing, used, uses)


def _bounds(facts: Facts) -> Iterator[Violation]:
    """Check that segments hold all but writes, and no write."""
    for i in range(facts.program.setup, len(facts.instructions)):
        if isinstance(facts.instructions[i], Write) != facts.recurring.once[i]:
            yield Violation(i, "is a write in a segment, or no write and in none")


def _for_ever(facts: Facts) -> Iterator[Violation]:
    """Check that no instruction waits for one of a later segment of its own round."""
    stream, recurring = facts.program.stream, facts.recurring
    assert stream is not None
    for i, place, distance in stream.again:
        here, there = recurring.segment[i], recurring.segment[place]
        if 0 <= here < there and distance < stream.batch:
            yield Violation(
                i, f"may wait for ever for instruction {place} of {distance} inferences before, a later segment"
            )


def _one_segment(facts: Facts, flowing: Flowing) -> Iterator[Violation]:
    """Check that a layer is completed in one segment; blocks of it may have been driven in earlier ones."""
    for i in range(facts.program.setup, len(facts.instructions)):
        instruction = facts.instructions[i]
        layer = facts.layers[instruction.layer]
        if isinstance(layer, Input | Constant) or not isinstance(instruction, finisher(layer)):
            continue
        if flowing.segment[i] != flowing.own(instruction.layer):
            yield Violation(i, f"computes {layer.name} in another segment than the one that begins it")


def _reloads(flowing: Flowing) -> Iterator[Violation]:
    """Check that what segments load anew is all of a tensor, or all rows of its last ring, that an earlier one stored, and that
    results are stored beside.
    """
    facts, rounds = flowing.facts, flowing.facts.recurring.rounds
    assert rounds is not None
    sizes = buffer_bytes(facts.program.network, facts.program.coded)
    for index in sorted(flowing.reloaded):
        layer = facts.layers[index]
        size, begin = sizes.get(layer.name, 0), flowing.anew[index]
        if begin not in {first for first, _ in flowing.spans[index]}:
            yield Violation(-1, f"{layer.name} is loaded anew from row {begin} on, in the midst of a ring")
        loads = {segment: pieces for (which, segment), pieces in flowing.reloads.items() if which == index}
        for segment, pieces in loads.items():
            if segment < flowing.own(index) or not size or not moves_all(flowing, pieces.places, size, begin):
                yield Violation(
                    pieces.places[0],
                    f"{layer.name} is not loaded anew row after row, {size} bytes in all, when it is made",
                )
        spilled = [] if isinstance(layer, Input) else [(size, begin)]
        result = layer.name in facts.program.network.results
        results = [(transfer_bytes(layer, facts.program.network, facts.program.coded), 0)] if result else []
        stores = _stores(flowing, index)
        known = [
            order[: len(spilled)]
            for order in permutations(stores)
            if len(order) == len(spilled) + len(results)
            and all(moves_all(flowing, each, *want) for each, want in zip(order, spilled + results, strict=True))
        ]
        if not known:
            yield Violation(
                -1, f"{layer.name} is not stored row after row, {[size for size, _ in spilled + results]} bytes"
            )
        elif not any(_stored_first(flowing, order, loads) for order in known):
            yield Violation(-1, f"{layer.name} is loaded anew before it is stored")
        every = _bits(place for pieces in loads.values() for place in pieces.places)
        for place in (each for store in stores for each in store):
            if rounds.missing(every, place, 1):
                yield Violation(place, f"{layer.name} is stored while the round before may still load it")


def _stores(flowing: Flowing, index: int) -> list[list[int]]:
    """Return the transfers of a tensor to main memory, as rows follow one another; where two go on alike, by what they wait for."""
    found: list[list[int]] = []
    for place in flowing.moved.get(("store", index), []):
        fit = [each for each in found if flowing.rows(each[-1])[1] == flowing.rows(place)[0]]
        fit.sort(key=lambda each: each[-1] not in flowing.facts.instructions[place].after)
        if fit:
            fit[0].append(place)
        else:
            found.append([place])
    # More than two are wrong, however they are told apart.
    return found[:3]


def _stored_first(flowing: Flowing, stores: Sequence[Sequence[int]], loads: Mapping[int, Pieces]) -> bool:
    """Return True if rows are loaded only when they have been stored."""
    return all(
        flowing.facts.recurring.before(place, load)
        for store in map(flowing.pieces, stores)
        for pieces in loads.values()
        for load, rows in zip(pieces.places, pieces.ranges, strict=True)
        for place in store.needed(*rows)
    )


def _loaded(flowing: Flowing, readers: Readers) -> Iterator[Violation]:
    """Check that what reads a tensor that segments load anew does so when its own segment has loaded the rows."""
    facts = flowing.facts
    for (index, first, life), reading in readers.items():
        if not flowing.again(index, first):
            continue
        loads = flowing.lives.get((index, first, life)) if (index, life) in flowing.reloads else None
        for place, rows in reading:
            name = facts.layers[index].name
            if flowing.segment[place] != life:
                yield Violation(place, f"reads {name!r}, which other segments load anew, and its own does not")
            elif loads is not None and any(not facts.recurring.before(load, place) for load in loads.needed(*rows)):
                yield Violation(place, f"reads rows {rows} of {name!r}, which may not have been loaded")


def _bits(places: Iterable[int]) -> int:
    """Return instructions as the bits of a number."""
    return reduce(or_, (1 << place for place in places), 0)


def _used(flowing: Flowing, readers: Readers) -> dict[Strip, dict[int, tuple[Sequence[int], int]]]:
    """Return for each strip, by the segment of each life of its rows, what makes or loads them, and all that uses them."""
    found: dict[Strip, dict[int, tuple[Sequence[int], int]]] = {}
    for index, first, life in sorted(flowing.lives):
        makers = flowing.lives[index, first, life].places
        reading = [place for place, _ in readers.get((index, first, life), ())]
        found.setdefault((index, first), {})[life] = makers, _bits([*makers, *reading])
    return found


def _lives(flowing: Flowing, used: Mapping[Strip, Mapping[int, tuple[Sequence[int], int]]]) -> Iterator[Violation]:
    """Check that rows are loaded anew when all that used them before has ended, and made when all of the round before has."""
    rounds = flowing.facts.recurring.rounds
    assert rounds is not None
    for index, first in sorted(strip for strip in used if flowing.again(*strip)):
        lives = list(used[index, first].values())
        for number, ((_, before), (makers, _)) in enumerate(pairwise([lives[-1], *lives])):
            for place in makers:
                if rounds.missing(before, place, int(number == 0)):
                    name = flowing.facts.layers[index].name
                    yield Violation(place, f"overwrites rows of {name!r} that another segment may still use")


def _room(
    flowing: Flowing, used: Mapping[Strip, Mapping[int, tuple[Sequence[int], int]]], uses: Mapping[Strip, BufferUse]
) -> Iterator[Violation]:
    """Check that the rings of each segment find room in each bank together."""
    banks, segments = flowing.facts.program.chip.buffer.banks, max(flowing.segment, default=0) + 1
    held = [[0] * segments for _ in banks]
    every = [0] * segments
    for strip in uses:
        for place in _places(used.get(strip, {})):
            every[flowing.segment[place]] |= 1 << place
    for strip, use in sorted(uses.items()):
        if use.rows is None:
            text = f"{flowing.facts.layers[use.layer].name!r} is no ring, and shares its banks with those of other segments"
            yield Violation(-1, text)
        first, last = _there(flowing, used.get(strip, {}), every)
        for bank, part in zip(use.banks, use.parts, strict=False):
            for segment in range(first, last + 1) if 0 <= bank < len(banks) else ():
                held[bank][segment] += part
    for bank, sizes in enumerate(held):
        for segment, size in enumerate(sizes):
            if size > banks[bank]:
                yield Violation(-1, f"bank {bank} has {banks[bank]} bytes, and holds {size} in segment {segment}")


def _there(flowing: Flowing, lives: Mapping[int, tuple[Sequence[int], int]], every: Sequence[int]) -> tuple[int, int]:
    """Return the first and the last segment in which a tensor has room; `every`: all that uses any, segment by segment."""
    rounds = flowing.facts.recurring.rounds
    assert rounds is not None
    using = [flowing.segment[place] for place in _places(lives)]
    first, last = min(using, default=0), max(using, default=len(every) - 1)
    before, behind = (_joined(sets) for sets in (every[: max(first, 0)], every[last + 1 :]))
    for makers, _ in lives.values():
        if any(rounds.missing(before, place, 0) or rounds.missing(behind, place, 1) for place in makers):
            return 0, len(every) - 1
    return first, last


def _joined(sets: Sequence[int]) -> int:
    """Return the union of sets."""
    return reduce(or_, sets, 0)


def _places(lives: Mapping[int, tuple[Sequence[int], int]]) -> list[int]:
    """Return all instructions that use the rows of a tensor."""
    every, found = _joined([bits for _, bits in lives.values()]), []
    while every:
        found.append((every & -every).bit_length() - 1)
        every &= every - 1
    return found
