"""When each instruction of a program happens: an event-driven interpretation, with memory and ports as shared channels.

Activations and vector layers last a time that the chip decides, writes as long as their slowest array, if what they move gets
through: every instruction moves its bytes at an even pace (`channels`), and where memory or a port cannot keep up with all that is
under way, it takes longer. A transfer takes what it gets. An array takes the worst-case time (`write_latency: worst_case`), or
that of the changes which its cells really undergo (`actual`; see `cells`). Channels are shared max-min fairly: no flow gets less
than another unless it asks for less, or is held up elsewhere. The vector unit serves one layer after another, as they come (those
that come together in the program's order). Otherwise an instruction starts when all that it waits for have ended; nothing else
holds it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import ProgramError
from mho.machine.cells import wear
from mho.machine.changes import Wear
from mho.machine.channels import MEMORY, tasks_of
from mho.machine.gathering import gathered_s
from mho.machine.turns import Turned, in_turns
from mho.once import once
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, GATHER, VECTOR, WRITE, columns
from mho.program.work import layer_seconds
from mho.shown import Shown

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Timing(Shown):
    """Start and end of each instruction in s, shape (instructions,). The inference starts at 0; the setup ends there.

    `latency_s` is the end of the last instruction; `setup_s` how long the setup lasts, once; `memory_busy_s` how long
    the inference keeps the memory channel busy at full rate. `task_starts` and `task_ends` are those of every task of
    `program_tasks`, instructions first, whose tasks end where their last turns are over.
    """

    starts: Times
    ends: Times
    task_starts: Times
    task_ends: Times
    latency_s: float
    setup_s: float
    memory_busy_s: float


def floor_s(chip: Chip, worn: Wear | None, writes: npt.NDArray[np.int64]) -> Times:
    """Return how long writes last, in s, where the memory keeps up; `worn` is read where the times are the actual ones."""
    if chip.write_latency == "worst_case" or worn is None:
        return np.full(len(writes), chip.array_write_time_s)
    return np.array([chip.write_time_s(worn.counts[number].slowest) for number in writes.tolist()])


def program_tasks(program: Program) -> Turned:
    """Return the instructions of a program as the clock takes them, turns of copies apart."""
    # Compiled code takes a while to import.
    from mho.machine.clock import FREE, VECTOR_UNIT

    table, chip = columns(program), program.chip
    worn = wear(program) if chip.write_latency == "actual" else None
    seconds = layer_seconds(program.network, chip)
    lasts = np.zeros(len(table.kind))
    window_s = np.zeros(len(program.network.layers))
    for layer in program.mapping.layers:
        window_s[layer.index] = layer.window_s
    writes, activations, results = table.of(WRITE), table.of(ACTIVATE), table.of(COMBINE, VECTOR)
    lasts[writes] = floor_s(chip, worn, writes)
    lasts[activations] = table.turns[activations] * window_s[table.layer[activations]]
    for layer in program.mapping.combining:
        own = activations[table.layer[activations] == layer.index]
        lasts[own] = layer.lasting_s(table.first_window[own], table.last_window[own])
    lasts[results] = seconds[table.layer[results]] * table.share[results]
    gathers = table.of(GATHER)
    if len(gathers):
        lasts[gathers] = gathered_s(program).mean()
    unit = np.full(len(lasts), FREE, dtype=np.int8)
    unit[results[lasts[results] > 0]] = VECTOR_UNIT
    return in_turns(program, tasks_of(program, unit, lasts), window_s)


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
    return timed(program_tasks(program), program.setup)


def timed(turned: Turned, setup: int) -> Timing:
    """Measure when each task happens, of which the first `setup` do before the inference."""
    from mho.machine.clock import clock

    tasks, count = turned.tasks, len(turned.tasks.lasts)
    starts, ends = np.zeros(count), np.zeros(count)
    clock(0, setup, *tasks, starts, ends)
    setup_s = float(np.max(ends[:setup], initial=0.0))
    starts[:setup] -= setup_s
    ends[:setup] -= setup_s
    moved = clock(setup, count, *tasks, starts, ends)
    own = starts[: len(turned.done)], ends[turned.done]
    latency_s = float(np.max(own[1][setup:], initial=0.0))
    return Timing(*own, starts, ends, latency_s, setup_s, float(moved[MEMORY] / tasks.rates[MEMORY]))
