"""When the instructions of a stream happen: bodies of a program one after another, on the clock of one inference.

Inference n begins at n times the interval, when what of it waits for nothing may start; all else follows from what instructions
wait for, of their own inference and of earlier ones (`Stream.again`), and from what they share. Bodies are unrolled until the
stream is steady. Since the vector unit serves whoever comes first, inferences need not be alike to the last nanosecond then; but
where they come out no later after they began than earlier ones did, the chip keeps the interval at which they begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.machine.timing import Times, program_tasks, time_program
from mho.machine.turns import Turned
from mho.program import Program
from mho.program.once import once
from mho.shown import Shown

Integers = npt.NDArray[np.int64]
WATCHED = 16
"""Inferences by which a stream is judged, once as many are under way as ever are."""
LONGEST = 64
"""Inferences that are followed at the most."""
GROWTH = 1e-4
"""Part of an interval by which one inference may come out later than the one before it, on average, in a stream that keeps it."""


@dataclass(frozen=True, eq=False, repr=False)
class StreamTiming(Shown):
    """Times of a stream in s.

    `starts`, `ends`: of each inference and instruction of the body, shape (inferences, instructions), the first inference beginning
    at 0; `watched`: those that find as many before and behind them as they ever do. `interval_s`: from one to the next of these;
    `latency_s`: from the beginning of one to its end, the mean; `longest_s`: of the slowest.
    """

    starts: Times
    ends: Times
    watched: range
    interval_s: float
    latency_s: float
    longest_s: float

    @property
    def in_flight(self) -> float:
        """Inferences under way at once, on average."""
        return self.latency_s / self.interval_s


@once
def time_stream(program: Program) -> StreamTiming:
    """Measure the steady state of a program's stream. ProgramError for a program that has none."""
    stream = program.stream
    if stream is None:
        raise ProgramError(
            f"{program.network.name} was compiled for one inference after another; schedule stream makes a stream"
        )
    behind = math.ceil(time_program(program).latency_s / stream.interval_s)
    before = 2 * behind
    while True:
        starts, ends = follow(program, before + WATCHED + behind)
        watched = range(before, before + WATCHED)
        lasted = ends.max(axis=1) - np.arange(len(ends)) * stream.interval_s
        early, late = np.split(lasted[watched.start : watched.stop], 2)
        growth = float(np.mean(late) - np.mean(early)) / len(late)
        kept = growth <= GROWTH * stream.interval_s
        if kept or before > LONGEST:
            interval_s = stream.interval_s + (0.0 if kept else growth)
            return StreamTiming(
                starts, ends, watched, interval_s, float(np.mean(late)), float(max(np.max(early), np.max(late)))
            )
        before *= 2


def follow(program: Program, inferences: int, late_s: Times | None = None) -> tuple[Times, Times]:
    """Return starts and ends in s of the first inferences of a stream, shape (inferences, instructions of the body).

    `late_s`: by how much longer instructions take than they would, of the same shape: a stream must bear that.
    """
    from mho.machine.clock import clock

    stream, setup, turned = program.stream, program.setup, program_tasks(program)
    assert stream is not None
    body = len(turned.tasks.unit) - setup
    # One more task an inference, which lasts an interval and lets the next one begin.
    tasks = turned.tasks.repeated(setup, inferences).joined(np.full(inferences, stream.interval_s))
    if late_s is not None:
        places = np.arange(inferences)[:, None] * body + turned.done[setup:] - setup
        tasks.lasts[places.ravel()] += late_s.ravel()
    count = len(tasks.unit)
    starts, ends = np.zeros(count), np.zeros(count)
    clock(0, count, *tasks.waiting(*_unrolled(turned, setup, inferences)), starts, ends)
    begun, ended = (each[: body * inferences].reshape(inferences, body) for each in (starts, ends))
    done = turned.done[setup:] - setup
    return begun[:, : len(done)], ended[:, done]


def _unrolled(turned: Turned, setup: int, inferences: int) -> tuple[Integers, Integers]:
    """Return who waits for whom, as two columns: tasks numbered inference after inference, then the pace of each."""
    body = len(turned.tasks.unit) - setup
    own = (turned.waits >= setup) & (turned.before >= setup)
    later, earlier, distance = turned.waits[own] - setup, turned.before[own] - setup, turned.distance[own]
    first = np.setdiff1d(np.arange(body), later[distance == 0])
    number = np.arange(inferences)[:, None]
    here = np.broadcast_to(number >= distance, (inferences, len(distance)))
    waits, before = (number * body + later)[here], ((number - distance) * body + earlier)[here]
    pace = inferences * body + np.arange(inferences)
    begun = (number[1:] * body + first).ravel()
    return np.concatenate([waits, pace[1:], begun]), np.concatenate(
        [before, pace[:-1], np.repeat(pace[:-1], len(first))]
    )
