"""Simulated annealing over copies, in compiled code, on the planned end of `evaluate`.

A step changes the copies of one to three layers: by one up or down, or by a random share of what a layer has. It is kept if the
score falls, else with probability exp(-rise / temperature); the temperature falls geometrically. The generator of
random numbers is written out (xorshift64*), so that a seed means the same with every version of every library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.schedule.evaluate import NEVER, Instance, planned_end, room

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOTTEST = 0.01
"""The first temperature, as a share of the score."""

COLDEST = 1e-6
"""The last temperature, as a share of the score: changes below it no longer matter."""

PORTION = 5_000
"""Steps between two looks at the clock; compiled code does not hear Ctrl-C."""


@dataclass(frozen=True, eq=False)
class Score:
    """What is minimised: time in s ("time"), energy in J ("energy") or their product ("edp").

    Energy is modelled as power_w x time + copy_j of every copy of every layer + fixed_j.
    """

    objective: str
    power_w: float
    copy_j: Floats
    fixed_j: float

    @property
    def mode(self) -> int:
        """Return the objective as a number for compiled code."""
        return ("time", "energy", "edp").index(self.objective)


def _scored(mode: int, seconds: float, power_w: float, copy_j: Floats, fixed_j: float, copies: Integers) -> float:
    if mode == 0 or seconds >= NEVER:
        return seconds
    joules = fixed_j + power_w * seconds
    for layer in range(len(copies)):
        joules += copy_j[layer] * copies[layer]
    return joules if mode == 1 else joules * seconds


scored = njit(cache=True)(_scored)


def _uniform(state: npt.NDArray[np.uint64]) -> float:
    """Draw from [0, 1): xorshift64* (Vigna 2016)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) / 9007199254740992.0


uniform = njit(cache=True)(_uniform)


def _steps(
    blocks: Integers,
    windows: Integers,
    window_s: Floats,
    gap_s: Floats,
    port_s: Floats,
    most: Integers,
    uses: tuple[Integers, npt.NDArray[np.bool_]],
    written: Integers,
    fixed: tuple[float, int, float, bool],
    worth: tuple[int, float, Floats, float],
    copies: Integers,
    best: Integers,
    scores: Floats,
    state: npt.NDArray[np.uint64],
    heat: tuple[float, float],
    count: int,
    times: Floats,
    counts: Integers,
) -> int:
    """Take `count` steps from temperature heat[0] to heat[1]; change copies, best and scores (now, best) in place.

    Return the runs of blocks placed, which is what the work is counted in.
    """
    mode, power_w, copy_j, fixed_j = worth
    groups = fixed[1]
    layers = len(written)
    old = np.empty(3, dtype=np.int64)
    where = np.empty(3, dtype=np.int64)
    work = 0
    for step in range(count):
        temperature = heat[0] * (heat[1] / heat[0]) ** (step / count)
        changes = 1 + (uniform(state) < 0.5) + (uniform(state) < 0.25)
        for change in range(changes):
            layer = written[int(uniform(state) * layers)]
            where[change], old[change] = layer, copies[layer]
            kind = uniform(state)
            if kind < 0.4:
                copies[layer] += 1
            elif kind < 0.8:
                copies[layer] -= 1
            else:
                copies[layer] += int((uniform(state) - 0.5) * copies[layer])
            copies[layer] = min(max(copies[layer], 1), most[layer], max(groups // blocks[layer], 1))
        seconds, placed = planned_end(blocks, windows, window_s, gap_s, port_s, copies, uses, fixed, times, counts)
        work += placed
        score = scored(mode, seconds, power_w, copy_j, fixed_j, copies)
        if score <= scores[0] or uniform(state) < math.exp((scores[0] - score) / temperature):
            scores[0] = score
            if score < scores[1]:
                scores[1] = score
                best[:] = copies
        else:
            # Backwards, as a layer may have been changed twice.
            for change in range(changes - 1, -1, -1):
                copies[where[change]] = old[change]
    return work


steps = njit(cache=True)(_steps)


class Annealer:
    """Annealing over copies. `best` and `value` are the best so far, `work` the runs of blocks placed in all."""

    def __init__(self, given: Instance, score: Score, start: Integers, seed: int) -> None:
        self.given, self.score = given, score
        self.fixed = (given.after_s, given.groups, given.write_s, given.resident)
        self.uses = (given.writer, given.last)
        self.written = np.unique(given.writer)
        self.worth = (score.mode, score.power_w, score.copy_j, score.fixed_j)
        self.room = room(given.groups)
        # Spread the seed's bits (SplitMix64); the generator needs a state that is not 0.
        mixed = (seed + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 % 2**64
        self.state = np.array([mixed ^ (mixed >> 31) or 1], dtype=np.uint64)
        self.best = start.copy()
        self.work = 0
        self.value = self.at(start)

    def at(self, copies: Integers) -> float:
        """Return the score of given copies."""
        given = self.given
        seconds, placed = planned_end(
            given.blocks,
            given.windows,
            given.window_s,
            given.gap_s,
            given.port_s,
            copies,
            self.uses,
            self.fixed,
            *self.room,
        )
        self.work += placed
        return float(scored(self.score.mode, seconds, *self.worth[1:], copies))

    def offer(self, copies: Integers) -> None:
        """Take other copies as the best so far, if they are."""
        value = self.at(copies)
        if value < self.value:
            self.value, self.best = value, copies.copy()

    def run(self, count: int, expired: Callable[[], bool]) -> None:
        """Take `count` steps from the best so far, from HOTTEST down to COLDEST, unless time expires before."""
        given = self.given
        copies, scores = self.best.copy(), np.array([self.value, self.value])
        first, last = HOTTEST * self.value, COLDEST * self.value
        for begin in range(0, count, PORTION):
            if expired():
                break
            end = min(begin + PORTION, count)
            heat = tuple(first * (last / first) ** (step / count) for step in (begin, end))
            self.work += steps(
                given.blocks, given.windows, given.window_s, given.gap_s, given.port_s, given.most, self.uses, self.written,
                self.fixed, self.worth, copies, self.best, scores, self.state, heat, end - begin, *self.room,
            )  # fmt: skip
            self.value = float(scores[1])
