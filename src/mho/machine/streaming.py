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
from mho.machine.channels import GLOBAL_BUFFER, MEMORY, channel_rates, passed_bytes
from mho.machine.timing import Times, program_tasks, time_program
from mho.machine.turns import Turned
from mho.once import once
from mho.program import Program
from mho.program.columns import columns
from mho.shown import Shown

Integers = npt.NDArray[np.int64]
WATCHED = 16
"""Inferences by which a stream is judged, once as many are under way as ever are."""
LONGEST = 64
"""Inferences that are followed at the most."""
ROUNDS = 3
"""Rounds that show how those of a stream in segments meet: one before the second, and one behind it."""
SETTLED = 4
"""Rounds by which a stream in segments is judged."""
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
    if stream.segments:
        return time_rounds(program, rounds=SETTLED)
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


def time_rounds(program: Program, late_s: Times | None = None, rounds: int = ROUNDS) -> StreamTiming:
    """Measure the steady state of a stream in rounds: that of the last but one, which finds one before and one behind it.

    `late_s`: by how much longer instructions of the body take than they would, shape (instructions,).
    """
    stream = program.stream
    assert stream is not None
    inferences = rounds * stream.batch
    late = None if late_s is None else np.tile(late_s, (inferences, 1))
    starts, ends = follow(program, inferences, late)
    finished = ends.reshape(rounds, -1).max(axis=1)
    begun = np.arange(rounds) * stream.batch * stream.interval_s
    watched = range((rounds - 2) * stream.batch, (rounds - 1) * stream.batch)
    lasted = ends[watched.start : watched.stop].max(axis=1) - begun[-2]
    # Where rounds end later and later after they begin, those behind wait: what lies between two ends is a round. The last has
    # the chip to itself, and may be shorter.
    apart = max(1, (rounds - 2) // 2)
    interval_s = max(
        stream.interval_s, float(finished[-2] - finished[-2 - apart]) / (apart * stream.batch), _shared_s(program)
    )
    return StreamTiming(starts, ends, watched, interval_s, float(np.mean(lasted)), float(np.max(lasted)))


def _shared_s(program: Program) -> float:
    """Return how long an inference, with its share of a round, needs the memory or the port of the global buffer, in s.

    Rounds that are begun too fast come to that only when all that may run ahead has done so.
    """
    moved = passed_bytes(program)[:, program.setup :] @ columns(program).per_inference[program.setup :]
    return float((moved / channel_rates(program.chip))[[MEMORY, GLOBAL_BUFFER]].max())


def follow(program: Program, inferences: int, late_s: Times | None = None) -> tuple[Times, Times]:
    """Return starts and ends in s of the first inferences of a stream, shape (inferences, instructions of the body).

    `late_s`: by how much longer instructions take than they would, of the same shape: a stream must bear that.
    """
    from mho.machine.clock import clock

    stream, setup, turned = program.stream, program.setup, program_tasks(program)
    assert stream is not None
    body = len(turned.tasks.unit) - setup
    # One more task an inference, which lasts an interval and lets the next one begin.
    tasks = turned.tasks.repeated(setup, inferences)
    once = _once(program, turned)
    if stream.batch > 1:
        tasks = tasks.idle(np.concatenate([np.arange(inferences)[:, None] % stream.batch * once > 0]).ravel())
    tasks = tasks.joined(np.full(inferences, stream.interval_s))
    if late_s is not None:
        places = np.arange(inferences)[:, None] * body + turned.done[setup:] - setup
        tasks.lasts[places.ravel()] += late_s.ravel()
    count = len(tasks.unit)
    starts, ends = np.zeros(count), np.zeros(count)
    clock(0, count, *tasks.waiting(*_unrolled(turned, setup, inferences, once, stream.batch)), starts, ends)
    begun, ended = (each[: body * inferences].reshape(inferences, body) for each in (starts, ends))
    done = turned.done[setup:] - setup
    begun, ended = begun[:, : len(done)], ended[:, done]
    if stream.batch > 1:
        # Of what happens once a round, every inference has the times of its round.
        single = once[: len(done)]
        rounds = np.arange(inferences) // stream.batch * stream.batch
        begun[:, single], ended[:, single] = begun[rounds][:, single], ended[rounds][:, single]
    return begun, ended


def _once(program: Program, turned: Turned) -> npt.NDArray[np.bool_]:
    """Return which tasks of the body happen once a round, shape (tasks of the body,)."""
    assert program.stream is not None
    if program.stream.batch == 1:
        return np.zeros(len(turned.tasks.unit) - program.setup, dtype=np.bool_)
    once = np.ones(len(turned.tasks.unit), dtype=np.bool_)
    # Activations alone have tasks behind those of the instructions, and all of them lie in segments.
    once[len(turned.done) :] = False
    for first, last in program.stream.segments:
        once[first:last] = False
    return once[program.setup :]


def _unrolled(
    turned: Turned, setup: int, inferences: int, once: npt.NDArray[np.bool_], batch: int
) -> tuple[Integers, Integers]:
    """Return who waits for whom, as two columns: tasks numbered inference after inference, then the pace of each.

    What happens once a round does so with its first inference; that of the others only waits for it.
    """
    body = len(turned.tasks.unit) - setup
    own = (turned.waits >= setup) & (turned.before >= setup)
    later, earlier, distance = turned.waits[own] - setup, turned.before[own] - setup, turned.distance[own]
    first = np.setdiff1d(np.arange(body), later[distance == 0])
    number = np.arange(inferences)[:, None]
    rounds = number // batch * batch
    seen = np.where(once[earlier] | once[later], rounds - distance * batch, number - distance)
    seen = seen + np.where(once[later] & ~once[earlier], batch - 1, 0)
    # The last round may be cut short.
    seen = np.minimum(seen, inferences - 1)
    here = (seen >= 0) & (~once[later] | (number == rounds))
    waits, before = (number * body + later)[here], (seen * body + earlier)[here]
    pace = inferences * body + np.arange(inferences)
    # The first of all may begin at once; those of a round when the pace of all before it has ended.
    free = ~once[first] | (number == rounds)
    paced = np.broadcast_to(rounds > 0, free.shape) & free
    begun, gate = (number * body + first)[paced], np.broadcast_to(pace[rounds - 1], free.shape)[paced]
    rest = np.flatnonzero(once)
    idle = np.broadcast_to(number != rounds, (inferences, len(rest)))
    return (
        np.concatenate([waits, pace[1:], begun, (number * body + rest)[idle]]),
        np.concatenate([before, pace[:-1], gate, np.broadcast_to(rounds * body + rest, idle.shape)[idle]]),
    )
