"""What a stream does with its chip over one interval: where the peak goes, what its rings keep, and what is busy.

In an interval T each group could multiply without a pause, with a number in each of its places. Of that, G T for all G groups,

    useful          numbers of weights x times of the windows that drive them
    partly filled   places of the groups of these that hold no number
    copies          copies that have nothing to do, since each weight has a whole number of them, until the busiest is through
    interval        that copies wait since the interval is longer than the busiest of them needs: for the vector unit, memory, ports
    left over       groups that hold nothing

Where the chip holds a part of the network at a time, T is the sum of what the busiest copies of the parts need and of a rest,
`interval`, in which groups are written, filled, or wait. `left over` is then of groups that a part has no use for while it runs.
These
sum to all of it. Where weights are held whole, as codes of one width, the useful part is the multiply-accumulates
of the layers in crossbars over what all groups would do at once in full blocks; a place of digits counts as full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mho.machine.rounds import memory_busy_s, residents
from mho.machine.streaming import time_stream
from mho.machine.timing import Timing, time_program
from mho.mapping import LayerMapping
from mho.mapping.blocks import Run
from mho.program import Program
from mho.program.columns import ACTIVATE, WRITE, columns
from mho.program.work import layer_seconds


@dataclass(frozen=True)
class PeakShares:
    """Parts of what all groups could do in an interval; they sum to 1."""

    useful: float
    partly_filled: float
    copies: float
    interval: float
    left_over: float


def period_s(program: Program) -> float:
    """Return the time from one inference to the next in s: the interval of a stream, else that of an inference."""
    return time_program(program).latency_s if program.stream is None else time_stream(program).interval_s


def copies_held(program: Program) -> dict[Run, int]:
    """Return how many copies of each weight the chip holds, by its run of blocks."""
    table = columns(program)
    places = table.of(WRITE, ACTIVATE)
    most = np.zeros(program.mapping.count + 1, dtype=np.int64)
    np.maximum.at(most, table.first_block[places], table.copy[places] + table.copies[places])
    return {run: int(most[run[0]]) for run in program.mapping.users}


def peak_shares(program: Program) -> PeakShares:
    """Return where the peak of a stream's chip goes."""
    interval_s, parts = period_s(program), residents(program)
    useful, driven, held, left_over = [], [], [], []
    for part in parts:
        needed = [0.0]
        for run, users in part.users.items():
            blocks, here = users[0].blocks, slice(*users[0].within(run))
            work_s = math.fsum(each.windows * each.window_s for each in users)
            held_places = float((blocks.places[here] * blocks.fills[here]).sum())
            useful.append(held_places / (blocks.shape.rows * blocks.shape.columns) * work_s)
            driven.append((run[1] - run[0]) * work_s)
            needed.append(_needed_s(users, part.copies[run]))
        held.append(part.groups * max(needed))
        left_over.append((program.chip.groups - part.groups) * (max(needed) if len(parts) > 1 else interval_s))
    whole, work, full = program.chip.groups * interval_s, math.fsum(driven), math.fsum(useful)
    # Parts that run at once in part hold their groups no longer than there is time.
    busy = min(math.fsum(held), whole)
    beyond = min(math.fsum(left_over), whole - busy)
    lost = work - full, busy - work, whole - busy - beyond, beyond
    # Differences of what is equal may be less than nothing by their last digit.
    return PeakShares(full / whole, *(max(part, 0.0) / whole for part in lost))


def busy_shares(program: Program, timing: Timing) -> Mapping[str, float]:
    """Return for which part of the time from one inference to the next vector unit and memory are busy."""
    period = period_s(program)
    vector = float(layer_seconds(program.network, program.chip).sum())
    return {"vector_unit": vector / period, "memory": memory_busy_s(program, timing) / period}


def busiest_copies(program: Program) -> tuple[str, float] | None:
    """Return the layer whose copies are busy for the longest part of an interval, and that part; None without weights."""
    period = period_s(program)
    shares = [
        (_needed_s(users, part.copies[run]) / period, users[0].name)
        for part in residents(program)
        for run, users in part.users.items()
    ]
    share, name = max(shares, key=lambda each: each[0], default=(0.0, ""))
    return (name, share) if shares else None


def _needed_s(users: Sequence[LayerMapping], copies: int) -> float:
    """Return for how long the busiest of so many copies works in an inference, in s: windows are dealt to them in turn."""
    return math.fsum(-(-each.windows // copies) * each.window_s for each in users)
