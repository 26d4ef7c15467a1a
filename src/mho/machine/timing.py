"""When each instruction of a program happens: an event-driven interpretation, with the memory as a shared channel.

Activations and vector layers last a time that the chip alone decides. Writes and transfers move bytes through the
memory channel: a write takes as long as its slowest array if its changes arrive in step with it, and longer where the
channel is too busy; a transfer takes what it gets. An array takes the worst-case time (`write_latency: worst_case`), or
that of the changes which its cells really undergo (`actual`; see `cells`). The channel is shared max-min fairly: no flow
gets less than another unless it asks for less. The vector unit serves one layer after another, as they come (those that
come together in the program's order). Otherwise an instruction starts when all that it waits for have ended; nothing else
holds it back.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import ProgramError
from mho.machine.cells import wear
from mho.machine.changes import Wear
from mho.program import Activate, Combine, Program, Transfer, Vector, Write
from mho.program.program import once
from mho.program.work import fetched_bytes, vector_seconds
from mho.shown import Shown

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Timing(Shown):
    """Start and end of each instruction in s, shape (instructions,). The inference starts at 0; the setup ends there.

    `latency_s` is the end of the last instruction; `setup_s` how long the setup lasts, once; `memory_busy_s` how long
    the inference keeps the memory channel busy at full rate.
    """

    starts: Times
    ends: Times
    latency_s: float
    setup_s: float
    memory_busy_s: float


@dataclass(slots=True)
class _Flow:
    """Bytes on their way; `wish` is the rate in byte/s that it can take, at the most."""

    instruction: int
    left: float
    wish: float
    rate: float = 0.0


def _share(flows: list[_Flow], bandwidth: float) -> None:
    """Set the rates of all flows: max-min fair under the bandwidth."""
    if sum(flow.wish for flow in flows) <= bandwidth:
        for flow in flows:
            flow.rate = flow.wish
        return
    left = bandwidth
    for place, flow in enumerate(sorted(flows, key=lambda flow: flow.wish)):
        flow.rate = min(flow.wish, left / (len(flows) - place))
        left -= flow.rate


def floor_s(chip: Chip, worn: Wear | None, number: int) -> float:
    """Return how long write `number` lasts, in s, where the memory keeps up; `worn` is read where the time is the actual one."""
    if chip.write_latency == "worst_case" or worn is None:
        return chip.array_write_time_s
    return chip.write_time_s(worn.counts[number].slowest)


def _run(program: Program, worn: Wear | None, first: int, last: int, starts: Times, ends: Times) -> float:
    """Interpret instructions [first, last) from time 0, those before having ended; return the bytes moved."""
    chip = program.chip
    waiting = [0] * (last - first)
    followers: list[list[int]] = [[] for _ in range(last - first)]
    for i in range(first, last):
        for other in program.instructions[i].after:
            if other >= first:
                waiting[i - first] += 1
                followers[other - first].append(i)
    fixed: list[tuple[float, int]] = []
    flows: list[_Flow] = []
    ready = [i for i in range(first, last) if not waiting[i - first]]
    now = moved = vector_free = 0.0
    while True:
        changed = False
        for i in sorted(ready):
            instruction = program.instructions[i]
            starts[i] = now
            seconds = 0.0
            if isinstance(instruction, Write | Transfer):
                if isinstance(instruction, Write):
                    size = fetched_bytes(instruction, program.mapping, chip)
                    floor = floor_s(chip, worn, i)
                else:
                    size, floor = float(instruction.size), 0.0
                moved += size
                flows.append(_Flow(i, size, size / floor if floor > 0 else np.inf))
                changed = True
                continue
            if isinstance(instruction, Activate):
                seconds = (instruction.windows[1] - instruction.windows[0]) * program.mapping.by_index[
                    instruction.layer
                ].window_s
            elif isinstance(instruction, Vector | Combine):
                seconds = vector_seconds(program.network.layers[instruction.layer], program.network, chip)
                if seconds > 0.0:
                    starts[i] = max(now, vector_free)
                    vector_free = starts[i] + seconds
            heapq.heappush(fixed, (starts[i] + seconds, i))
        ready.clear()
        if changed:
            _share(flows, chip.memory.bandwidth)
        if not fixed and not flows:
            return moved
        done = min((now + flow.left / flow.rate for flow in flows), default=np.inf)
        later = min(done, fixed[0][0] if fixed else np.inf)
        ended: list[int] = []
        for flow in flows:
            # A flow ends by the clock, not by its bytes, so that rounding neither loses it nor leaves a crumb.
            if now + flow.left / flow.rate <= later:
                ended.append(flow.instruction)
            else:
                flow.left = max(flow.left - (later - now) * flow.rate, 0.0)
        if ended:
            gone = set(ended)
            flows = [flow for flow in flows if flow.instruction not in gone]
            _share(flows, chip.memory.bandwidth)
        now = later
        while fixed and fixed[0][0] <= now:
            ended.append(heapq.heappop(fixed)[1])
        for i in ended:
            ends[i] = now
            for follower in followers[i - first]:
                waiting[follower - first] -= 1
                if not waiting[follower - first]:
                    ready.append(follower)


def check_timed(program: Program) -> None:
    """Raise ProgramError where the chip times writes by what they change (`write_latency: actual`) and there are no weights."""
    if program.chip.write_latency == "actual" and program.quantised is None:
        raise ProgramError(
            f"chip {program.chip.name} times a write by the cells that it changes (write_latency: actual), but "
            f"{program.network.name} is known by shapes alone; load it with weights"
        )


@once
def time_program(program: Program) -> Timing:
    """Measure when each instruction of a program happens on its chip. ProgramError as `check_timed` says."""
    check_timed(program)
    worn = wear(program) if program.chip.write_latency == "actual" else None
    count = len(program.instructions)
    starts, ends = np.zeros(count), np.zeros(count)
    _run(program, worn, 0, program.setup, starts, ends)
    setup_s = float(np.max(ends[: program.setup], initial=0.0))
    starts[: program.setup] -= setup_s
    ends[: program.setup] -= setup_s
    moved = _run(program, worn, program.setup, count, starts, ends)
    latency_s = float(np.max(ends[program.setup :], initial=0.0))
    return Timing(starts, ends, latency_s, setup_s, moved / program.chip.memory.bandwidth)
