"""Activations of several copies as the clock takes them: turns that follow one another, and ends that come a window later.

Windows are dealt to c copies in turn, t / c apart, t the time of one. So n windows keep their copies' turns for n t / c; the last
ends t - t / c after its turn, and only then has the activation ended. What drives the next windows of the same copies need not wait
so long. What drives other windows of theirs, which begin with the first copy, waits until the round is over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.channels import Tasks
from mho.program import Program
from mho.program.columns import columns

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Turned:
    """Tasks of a program, its instructions first; `done`: the task whose end is that of each instruction.

    Task `waits[i]` waits for `before[i]` of as many inferences before as `distance[i]` says; `tasks` know of those of its own.
    `given`: the instructions alone; `tail_s`: how long each goes on when the last of its turns is over, in s.
    """

    tasks: Tasks
    given: Tasks
    tail_s: Floats
    done: Integers
    waits: Integers
    before: Integers
    distance: Integers

    @property
    def lasting_s(self) -> Floats:
        """How long each instruction lasts where nothing holds it up, in s."""
        return self.given.lasts + self.tail_s


def in_turns(program: Program, given: Tasks, window_s: Floats) -> Turned:
    """Return the tasks of a program's instructions, and those that end turns and rounds; `window_s` is (layers,)."""
    table = columns(program)
    count = len(given.unit)
    done = np.arange(count)
    waits, before = np.repeat(done, np.diff(table.after_starts)), table.after
    distance = np.zeros(len(waits), dtype=np.int64)
    if program.stream is not None:
        again = np.array(program.stream.again, dtype=np.int64).reshape(-1, 3).T
        waits, before, distance = (np.concatenate(pair) for pair in zip((waits, before, distance), again, strict=True))
    several = np.flatnonzero(table.copies > 1)
    if not len(several):
        return Turned(given, given, np.zeros(count), done, waits, before, distance)
    copies, last = table.copies[several], table.last_window[several]
    apart_s = window_s[table.layer[several]] / copies
    ending = count + np.arange(len(several))
    rounded = ending + len(several)
    done[several] = ending
    round_of, driven = np.zeros(count, dtype=np.int64), np.full(count, -1)
    round_of[several] = rounded
    driven[several] = table.ranges[table.range_starts[several], 0]
    same = (driven[waits] >= 0) & (driven[waits] == driven[before]) & (table.copies[waits] == table.copies[before])
    # A round that is over frees the copies in the order of their turns, which must not be left behind.
    same &= window_s[table.layer[waits]] >= window_s[table.layer[before]]
    follows = same & (distance == 0) & (table.layer[waits] == table.layer[before])
    follows &= table.first_window[waits] == table.last_window[before]
    rounds = same & (table.first_window[waits] % table.copies[waits] == 0)
    targets = np.where(follows, before, np.where(rounds, round_of[before], done[before]))
    lasts = np.concatenate([window_s[table.layer[several]] - apart_s, -last % copies * apart_s])
    waits, before = np.concatenate([waits, ending, rounded]), np.concatenate([targets, several, several])
    distance = np.concatenate([distance, np.zeros(2 * len(several), dtype=np.int64)])
    own, tail_s = distance == 0, np.zeros(count)
    tail_s[several] = lasts[: len(several)]
    tasks = given.joined(lasts).waiting(waits[own], before[own])
    return Turned(tasks, given, tail_s, done, waits, before, distance)
