"""Rules on the measured times of a stream: what inferences share does one thing at a time, whoever's it is.

What happens once a round has the same times in all inferences of it, and is asked about in the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mho.program.columns import ACTIVATE, WRITE, columns
from mho.program.instructions import Activate, Write
from mho.program.legality.facts import Violation
from mho.program.legality.groups import contents
from mho.program.legality.times import Times, demands, early_s, shared_rules, window_times
from mho.program.program import Program, Stream

Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


def stream_time_rules(program: Program, starts: Times, ends: Times) -> Iterator[Violation]:
    """Check measured starts and ends of a stream in s, shape (inferences, instructions of the body); the first begins at 0."""
    assert program.stream is not None
    setup, count = program.setup, len(program.instructions) - program.setup
    if starts.shape != ends.shape or starts.ndim != 2 or starts.shape[1] != count:
        yield Violation(-1, f"times of shapes {starts.shape} and {ends.shape} for {count} instructions of an inference")
        return
    least, moved, vector = demands(program)
    alone = (least + vector)[setup:]
    slack = 1e-9 * max(float(np.max(ends, initial=0.0)), 1e-30)
    for place in np.flatnonzero((ends - starts < alone - slack).any(axis=0)).tolist():
        yield Violation(setup + place, f"lasts less than the chip's {alone[place]:.3g} s")
    single = _single(program, program.stream)
    number = np.arange(len(starts))[:, None]
    rounds = number // program.stream.batch * program.stream.batch
    happens = ~single | (number == rounds)
    for times in (starts, ends):
        apart = ~happens & (times != times[rounds[:, 0]])
        for place in np.flatnonzero(apart.any(axis=0)).tolist():
            yield Violation(setup + place, "happens once a round, at several times")
    early = starts < rounds * program.stream.interval_s - slack
    for place in np.flatnonzero(early.any(axis=0)).tolist():
        yield Violation(setup + place, "starts before its inference may begin")
    yield from _waits(program, program.stream, starts, ends, single, slack)
    places = np.broadcast_to(np.arange(setup, setup + count), starts.shape)[happens]
    yield from shared_rules(program, places, starts[happens], ends[happens], moved, vector, slack)
    yield from _groups(program, starts, ends, happens, slack)


def _single(program: Program, stream: Stream) -> Truths:
    """Return which instructions of the body happen once a round, shape (instructions of the body,)."""
    single = np.full(len(program.instructions), bool(stream.segments))
    for first, last in stream.segments:
        single[first:last] = False
    return single[program.setup :]


def _waits(
    program: Program, stream: Stream, starts: Times, ends: Times, single: Truths, slack: float
) -> Iterator[Violation]:
    """Check that nothing starts before what it waits for has ended, in its inference or round, or an earlier one."""
    table, setup = columns(program), program.setup
    waiting = np.repeat(np.arange(len(table.kind)), np.diff(table.after_starts))
    own = np.stack([waiting, table.after, np.zeros_like(waiting)], axis=1)
    again = np.array(stream.again, dtype=np.int64).reshape(-1, 3)
    every = np.concatenate([own[(own[:, 0] >= setup) & (own[:, 1] >= setup)], again])
    early = early_s(program, *every.T)
    later, earlier = every[:, 0] - setup, every[:, 1] - setup
    # Where either happens once a round: the last inference of a round, or any of them, as all have its times.
    rounded, batch = single[later] | single[earlier], stream.batch
    broken: set[int] = set()
    for inference in range(len(starts)):
        last = (inference // batch - every[:, 2]) * batch + batch - 1
        seen = np.where(
            rounded,
            np.minimum(np.where(single[earlier], last - batch + 1, last), len(starts) - 1),
            inference - every[:, 2],
        )
        here = seen >= 0
        late = ends[seen[here], earlier[here]] - early[here] - slack > starts[inference, later[here]]
        broken.update((setup + later[here][late]).tolist())
    for place in sorted(broken):
        yield Violation(place, "starts before what it waits for has ended")


def _groups(program: Program, starts: Times, ends: Times, happens: Truths, slack: float) -> Iterator[Violation]:
    """Check that no group is used twice at once: a copy from the first of its turns to the end of its last window."""
    rows = _uses(program)
    if not len(rows):
        return
    place, first, last, begin_turn, end_turn = rows.T
    table, window_s = columns(program), window_times(program)
    at = place + program.setup
    copies, turns = table.copies[at], np.where(table.kind[at] == ACTIVATE, table.windows[at], 1)
    each_s = window_s[table.layer[at]]
    begun, ended = starts[:, place], ends[:, place]
    apart = (ended - each_s * (1 - 1 / copies) - begun) / turns
    until = np.where(copies == 1, ended, begun + end_turn * apart + each_s)
    begun = begun + begin_turn * apart
    # Ranges of groups of which all or none are named: what is used twice is used twice in one of these.
    edges = np.unique(np.concatenate([first, last]))
    low, high = np.searchsorted(edges, first), np.searchsorted(edges, last)
    each = np.repeat(np.arange(len(rows)), high - low)
    part = np.arange(len(each)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[each]
    parts, uses = np.tile(part, len(starts)), np.tile(each, len(starts))
    number = np.repeat(np.arange(len(starts)), len(each))
    times, untils = begun[:, each].ravel(), until[:, each].ravel()
    seen = happens[:, place[each]].ravel()
    parts, uses, number, times, untils = (value[seen] for value in (parts, uses, number, times, untils))
    order = np.lexsort((untils, times, parts))
    one, other = order[:-1], order[1:]
    twice = (parts[one] == parts[other]) & (times[other] < untils[one] - slack)
    found = {int(at[uses[use]]): (int(edges[parts[use]]), int(number[use])) for use in other[twice].tolist()[::-1]}
    for instruction, (group, inference) in sorted(found.items()):
        yield Violation(instruction, f"uses group {group} in inference {inference} while another instruction does")


def _uses(program: Program) -> Integers:
    """Return which groups the instructions of an inference use, shape (uses, 5): instruction of the body, range of groups, and the
    turns, counted from its first, of the first and the last window that they serve.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    for place in np.flatnonzero(np.isin(columns(program).kind, (WRITE, ACTIVATE))).tolist():
        instruction = program.instructions[place]
        assert isinstance(instruction, Write | Activate)
        if place < program.setup:
            continue
        begin, end = instruction.windows if isinstance(instruction, Activate) else (0, 1)
        copies = instruction.copies if isinstance(instruction, Activate) else 1
        for first, last, (copy, _) in contents(instruction):
            turn = copy - instruction.copy
            served = (turn - begin) % copies
            if served < end - begin:
                rows.append((place - program.setup, first, last, served, end - begin - 1 - (end - 1 - turn) % copies))
    return np.array(rows, dtype=np.int64).reshape(-1, 5)
