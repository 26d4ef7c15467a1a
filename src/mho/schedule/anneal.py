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

from mho.schedule.evaluate import NEVER, Instance, planned_end
from mho.schedule.evaluate import room as room_of_groups
from mho.schedule.retrace import Chip, Records, copy, follow, layers_of, load, look_ahead, room

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOTTEST = 0.01
"""The first temperature, as a share of the score."""

COLDEST = 1e-6
"""The last temperature, as a share of the score: changes below it no longer matter."""

SURE = 1e-9
"""By how much, as a share of the score, a plan must be past what may be taken for following it to stop: sums round."""

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


def _limit_s(worth: tuple[int, float, Floats, float], score: float, copies: Integers) -> float:
    """Return the planned end in s with which copies have a score: a later end has more."""
    mode, power_w, copy_j, joules = worth
    if mode == 0:
        return score
    for layer in range(len(copies)):
        joules += copy_j[layer] * copies[layer]
    if mode == 1:
        return (score - joules) / power_w if power_w > 0 else np.inf
    # Of power_w s^2 + joules s = score, the root that has no difference in it.
    return 2 * score / (joules + math.sqrt(joules * joules + 4 * power_w * score))


limit_s = njit(cache=True)(_limit_s)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _change(
    layers: Records, written: Integers, copies: Integers, state: npt.NDArray[np.uint64], where: Integers, old: Integers
) -> tuple[int, int, int]:
    """Change the copies of one to three layers; return how many, and the first and the last layer that this changes.

    Layers that had as many copies before are none of these: the last is -1 where nothing changes.
    """
    changes = 1 + (uniform(state) < 0.5) + (uniform(state) < 0.25)
    first, behind = len(copies), -1
    for change in range(changes):
        layer = written[int(uniform(state) * len(written))]
        where[change], old[change] = layer, copies[layer]
        kind = uniform(state)
        if kind < 0.4:
            copies[layer] += 1
        elif kind < 0.8:
            copies[layer] -= 1
        else:
            copies[layer] += int((uniform(state) - 0.5) * copies[layer])
        copies[layer] = min(max(copies[layer], 1), layers[layer].most)
        if copies[layer] != old[change]:
            first, behind = min(first, layer), max(behind, layers[layer].until - 1)
            load(layers, copies, layer)
    return changes, first, behind


@njit(cache=True)  # type: ignore[untyped-decorator]
def _chance(rise: float, heat: tuple[float, float], share: float) -> float:
    """Return how likely a worse score is taken, after a share of the steps between two temperatures."""
    return math.exp(-rise / (heat[0] * (heat[1] / heat[0]) ** share))


def _steps(
    layers: Records,
    runs: Records,
    marks: Records,
    kept_runs: Records,
    kept_marks: Records,
    chip: Chip,
    written: Integers,
    worth: tuple[int, float, Floats, float],
    copies: Integers,
    best: Integers,
    scores: Floats,
    state: npt.NDArray[np.uint64],
    heat: tuple[float, float],
    count: int,
    whole: bool,
) -> int:
    """Take `count` steps from temperature heat[0] to heat[1]; change copies, best and scores (now, best) in place.

    Return the runs of blocks placed, which is what the work is counted in, if each plan is followed to its `whole` end.
    """
    mode, power_w, copy_j, fixed_j = worth
    old, where = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    # Looking ahead pays once a plan has outlived another: most plans taken at high temperatures do not.
    work, ahead = 0, False
    for step in range(count):
        changes, first, behind = _change(layers, written, copies, state, where, old)
        if behind < 0:
            work += marks[-1].placed
            continue
        # What decides over a worse score is drawn first, so that following can stop; it counts as drawn where it is needed.
        drawn = state[0]
        chance = uniform(state)
        limit = np.inf if not ahead else limit_s(worth, scores[0] * (1 + SURE) - heat[0] * np.log(chance), copies)
        seconds, until, tail, placed = follow(layers, runs, marks, chip, first, behind, limit)
        work += placed
        score = scored(mode, seconds, power_w, copy_j, fixed_j, copies)
        if score <= scores[0]:
            state[0] = drawn
        if seconds >= NEVER or (score > scores[0] and chance >= _chance(score - scores[0], heat, step / count)):
            # Backwards, as a layer may have been changed twice.
            for change in range(changes - 1, -1, -1):
                copies[where[change]] = old[change]
                load(layers, copies, where[change])
            copy(kept_runs, kept_marks, runs, marks, first, until, min(tail, kept_marks[-1].tail))
            if not whole and not ahead:
                look_ahead(layers, runs, marks, chip)
                ahead = True
            continue
        scores[0] = score
        copy(runs, marks, kept_runs, kept_marks, first, until, tail)
        ahead = False
        if score < scores[1]:
            scores[1] = score
            best[:] = copies
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
        self.room = room_of_groups(given.groups)
        self.layers = layers_of(given)
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

    def run(self, count: int, expired: Callable[[], bool], *, last: bool = False) -> None:
        """Take `count` steps from the best so far, from HOTTEST down to COLDEST, unless time expires before.

        The work is not counted in the `last` run, which follows plans only as far as it must.
        """
        if self.value >= NEVER:
            return
        layers, chip = self.layers, self.fixed
        (runs, marks), kept = room(layers, chip[1]), room(layers, chip[1])
        copies, scores = self.best.copy(), np.array([self.value, self.value])
        for layer in self.written:
            load(layers, copies, layer)
        _, until, tail, _ = follow(layers, runs, marks, chip, 0, len(copies), np.inf)
        copy(runs, marks, *kept, 0, until, tail)
        # Where blocks stay for several layers, groups do not come free in the order in which they were taken.
        whole = not last or not (chip[3] or layers["last"].all())
        first, coldest = HOTTEST * self.value, COLDEST * self.value
        for begin in range(0, count, PORTION):
            if expired():
                break
            end = min(begin + PORTION, count)
            heat = tuple(first * (coldest / first) ** (step / count) for step in (begin, end))
            self.work += steps(
                layers, runs, marks, *kept, chip, self.written, self.worth, copies, self.best, scores, self.state, heat,
                end - begin, whole,
            )  # fmt: skip
            self.value = float(scores[1])
