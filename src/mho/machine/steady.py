"""What a stream does with its chip over one interval: where the peak goes, what its rings keep, and what is busy.

In an interval T each group could multiply without a pause, with a number in each of its places. Of that, G T for all G groups,

    useful          numbers of weights x times of the windows that drive them
    partly filled   places of the groups of these that hold no number
    copies          copies that have nothing to do, since each weight has a whole number of them, until the busiest is through
    interval        that copies wait since the interval is longer than the busiest of them needs: for the vector unit, memory, ports
    left over       groups that hold nothing

are parts that sum to all of it. Where weights are held whole, as codes of one width, the useful part is the multiply-accumulates
of the layers in crossbars over what all groups would do at once in full blocks; a place of digits counts as full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
    held, interval_s = copies_held(program), period_s(program)
    useful, driven, needed, groups = [], [], [], 0
    for run, users in program.mapping.users.items():
        blocks, copies = users[0].blocks, held[run]
        work_s = math.fsum(each.windows * each.window_s for each in users)
        useful.append(blocks.occupied / (blocks.shape.rows * blocks.shape.columns) * work_s)
        driven.append(users[0].count * work_s)
        needed.append(_needed_s(users, copies))
        groups += users[0].count * copies
    whole, busiest = program.chip.groups * interval_s, max(needed, default=0.0)
    work, full = math.fsum(driven), math.fsum(useful)
    lost = (
        work - full,
        groups * busiest - work,
        groups * (interval_s - busiest),
        (program.chip.groups - groups) * interval_s,
    )
    # Differences of what is equal may be less than nothing by their last digit.
    return PeakShares(full / whole, *(max(part, 0.0) / whole for part in lost))


def busy_shares(program: Program, timing: Timing) -> Mapping[str, float]:
    """Return for which part of the time from one inference to the next vector unit and memory are busy."""
    period = period_s(program)
    vector = float(layer_seconds(program.network, program.chip).sum())
    return {"vector_unit": vector / period, "memory": timing.memory_busy_s / period}


def busiest_copies(program: Program) -> tuple[str, float] | None:
    """Return the layer whose copies are busy for the longest part of an interval, and that part; None without weights."""
    held, period = copies_held(program), period_s(program)
    parts = [(_needed_s(users, held[run]) / period, users[0].name) for run, users in program.mapping.users.items()]
    share, name = max(parts, key=lambda each: each[0], default=(0.0, ""))
    return (name, share) if parts else None


def _needed_s(users: Sequence[LayerMapping], copies: int) -> float:
    """Return for how long the busiest of so many copies works in an inference, in s: windows are dealt to them in turn."""
    return math.fsum(-(-each.windows // copies) * each.window_s for each in users)
