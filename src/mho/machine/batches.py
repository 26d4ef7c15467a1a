"""Batches of a program that gathers rows, one after another: tables serve the next batch while the dense part computes this one.

The gather is the tables', all else the dense part's, and the two share no group. Each takes one batch after another: whatever
begins the dense part waits for all of it to have ended for the batch before. Sums of rows wait in their tiles: those of the next
batch come when all that reads these has ended. Nothing overlaps on a chip that computes one layer after another, nor where sums are
coded into the buffer, which the dense part uses for other tensors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.gathering import gathered_s
from mho.machine.lookup.arrivals import Behind
from mho.machine.timing import program_tasks
from mho.network.layers import EmbeddingBag
from mho.once import once
from mho.program import Program
from mho.program.columns import GATHER, columns
from mho.program.work import dispatched, sources

Integers = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batches:
    """When each batch of a program's bags begins to be gathered, and when its last instruction ends, in s, shape (batches,)."""

    starts: Times
    ends: Times

    @property
    def interval_s(self) -> float:
        """The mean time between the ends of two batches; of a single one, how long it lasts."""
        more = len(self.ends) - 1
        return float((self.ends[-1] - self.ends[0]) / more if more else self.ends[0])


@once
def follow_batches(program: Program) -> Batches:
    """Let all batches of a program's bags happen, each as soon as what it waits for has ended."""
    from mho.machine.clock import clock

    setup, turned, seconds = program.setup, program_tasks(program), gathered_s(program)
    body, number = len(turned.tasks.unit) - setup, len(seconds)
    place = int(columns(program).of(GATHER)[0]) - setup
    tasks = turned.tasks.repeated(setup, number)
    tasks.lasts[place::body] = seconds
    own = (turned.waits >= setup) & (turned.before >= setup)
    later, earlier = turned.waits[own] - setup, turned.before[own] - setup
    again, before = (np.array(each, dtype=np.int64) for each in zip(*_again(program), strict=True))
    shift = np.arange(number)[:, None] * body
    waits = np.concatenate([(shift + later).ravel(), (shift[1:] + again).ravel()])
    priors = np.concatenate([(shift + earlier).ravel(), (shift[1:] - body + before).ravel()])
    count = len(tasks.unit)
    starts, ends = np.zeros(count), np.zeros(count)
    clock(0, count, *tasks.waiting(waits, priors), starts, ends)
    return Batches(starts[place::body].copy(), ends.reshape(number, body).max(axis=1))


def behind(program: Program, ends: Sequence[float] | Times) -> Behind:
    """Return what the dense part takes for a batch that is gathered, and for how long the next one waits for sums to be read.

    `ends`: when each instruction of the program ends, where one batch has the chip to itself.
    """
    setup = program.setup
    place, gate, _, lasts = _handed(program)
    gathered = float(ends[setup + place])
    takes, holds = (max(float(ends[setup + i]) for i in each) - gathered for each in (lasts, gate))
    return Behind(takes, min(holds, takes))


def _again(program: Program) -> list[tuple[int, int]]:
    """Return which instruction waits for which of the batch before, counted from the first behind the setup."""
    place, gate, firsts, lasts = _handed(program)
    return [(place, place), *((place, i) for i in gate), *((first, last) for first in firsts for last in lasts)]


def _handed(program: Program) -> tuple[int, list[int], list[int], list[int]]:
    """Return the gather, what must have ended before the next one, and what begins and what ends the dense part, counted alike."""
    network, setup = program.network, program.setup
    body = program.instructions[setup:]
    place = int(columns(program).of(GATHER)[0]) - setup
    early = {i for i, each in enumerate(body) if network.layers[each.layer].name in dispatched(network)} | {place}
    dense = [i for i in range(len(body)) if i not in early]
    after = {i: {other - setup for other in body[i].after} & set(dense) for i in dense}
    waited = set().union(*after.values()) if after else set()
    firsts, lasts = [i for i in dense if not after[i]], [i for i in dense if i not in waited]
    bags = {index for index, layer in enumerate(network.layers) if isinstance(layer, EmbeddingBag)}
    shown = sources(network)
    reading = [i for i in dense if any(shown[name] in bags for name in network.layers[body[i].layer].inputs)]
    alone = program.chip.spec.layer_order == "sequential" or any(use.layer in bags for use in program.buffers)
    return place, lasts if alone else reading, firsts, lasts
