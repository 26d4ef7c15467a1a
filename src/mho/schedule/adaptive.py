"""`adaptive` (ours): copies of layers chosen to minimise time, energy or their product.

ARAS replicates layers by a rule (section V-B). Here the outcome itself is searched for. Starting from the trade-off of the
lower bound, copies = x sqrt(M t / (b W)) for a range of x (docs/bound.md), copies are annealed on the planned end in
compiled code (`evaluate`, `anneal`); where that is only an estimate, climbing on the planner goes on from there (`climb`).
In the end the machine measures the plan beside those of `overlap` and `aras`, and the best is taken: none is ever beaten by
either of them. One seed gives one schedule: the effort is counted in work, not in time, unless a time limit is set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import StrategyError
from mho.machine.cells import wear
from mho.machine.energy import account
from mho.machine.timing import time_program
from mho.number import Sampled
from mho.program import Write
from mho.schedule.aras import aras, replicates
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.overlap import overlap
from mho.schedule.planner import Planner
from mho.schedule.stages import Schedule
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

RUNS = 400_000_000
"""Runs of blocks placed by annealing at effort 1."""

PLANNED = 400_000
"""Instructions planned by climbing at effort 1."""

STARTS = 12
"""Points tried on the curve of the lower bound's trade-off."""

SHORT = 300
"""Steps for each matrix layer in the first two annealing runs. Where neither finds anything, there is no long one."""

LONG = 30_000
"""Steps for each matrix layer in the long run, at the most, at effort 1: more find next to nothing."""

OBJECTIVES = ("time", "energy", "edp")
SEEDS = 2**63 - 1
Integers = npt.NDArray[np.int64]


@choice("schedule", "adaptive")
class Adaptive(Schedule):
    """Copies of layers searched for; never worse than overlap or aras, as the machine measures it.

    The same search of the same task gives the same schedule, but for a time limit, which depends on the machine and does not count
    the planning and measuring that no search can do without. effort 0 takes the best of `overlap` and `aras`.
    """

    objective: str = setting(
        default="time",
        among=OBJECTIVES,
        metavar="NAME",
        help="What schedule adaptive minimises: time, energy, or energy x time (edp); else time.",
    )
    effort: float = setting(
        default=1.0,
        least=0,
        most=10_000,
        metavar="X",
        help="How hard schedule adaptive searches: 1 is the usual, 10 ten times as hard, 0 not at all (the better of overlap and "
        "aras). The result depends on the effort and the seed alone.",
    )
    time_limit_s: float | None = setting(
        default=None,
        least=1e-12,
        most=1e18,
        unit="seconds",
        option="time-limit",
        metavar="SECONDS",
        help="Stop schedule adaptive's search for copies after so long and take the best so far, which then depends on the "
        "machine.",
        examples=(60.0,),
    )
    seed: int = setting(default=0, least=0, most=SEEDS, metavar="N", help="The seed of schedule adaptive's search.")

    @property
    def draws(self) -> bool:
        """True if it searches."""
        return self.effort != 0

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the best schedule found."""
        return adaptive(task, self)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a time limit where nothing is searched for."""
        yield from super().refusals(subject, chip, strategy)
        if self.effort == 0 and self.time_limit_s is not None:
            yield self.refuse(
                "changes nothing with effort 0: nothing is searched for", field="time_limit_s", bound="schedule.effort"
            )


def measured(task: Task, builder: InstructionBuilder, objective: str) -> tuple[float, float]:
    """Return what the machine measures of a plan: time in s and, unless time is all that counts, energy in J."""
    program = task.program(builder)
    timing = time_program(program)
    joules = 0.0 if objective == "time" else account(program, timing, wear(program)).total()
    return timing.latency_s, joules


def value(task: Task, builder: InstructionBuilder, objective: str) -> float:
    """Return what is minimised, as the machine measures it."""
    seconds, joules = measured(task, builder, objective)
    return {"time": seconds, "energy": joules, "edp": seconds * joules}[objective]


def _starts(task: Task) -> Iterator[Integers]:
    """Yield copies on the curve on which the lower bound trades computing against writing."""
    layers, written = task.mapping.layers, {layer.index: layer for layer in task.writers}
    blocks = np.array([layer.count for layer in layers], dtype=np.int64)
    most = np.array([task.most_copies(layer) if layer.index in written else 1 for layer in layers], dtype=np.int64)
    served = np.array([task.served_windows(layer) if layer.index in written else 0 for layer in layers])
    pull = np.sqrt(np.maximum(served, 1) / blocks)
    for x in np.geomspace(1 / pull.max(), (most / pull).max(), STARTS):
        copies = np.clip(np.rint(x * pull).astype(np.int64), 1, most)
        yield np.minimum(copies, np.maximum(task.chip.groups // blocks, 1))


def _score(task: Task, plain: InstructionBuilder, objective: str) -> tuple[float, npt.NDArray[np.float64], float]:
    """Model energy from the schedule without copies: W of all that leaks, J of each layer's one copy, J of the rest."""
    layers = task.mapping.layers
    if objective == "time":
        return 0.0, np.zeros(len(layers)), 0.0
    program = task.program(plain)
    timing = time_program(program)
    booked = account(program, timing, wear(program))
    writing = {layer.index: 0.0 for layer in layers}
    moved = task.chip.energy_per_event["memory_byte"]
    for instruction in program.instructions[program.setup :]:
        if isinstance(instruction, Write):
            layer = task.mapping.by_index[instruction.layer]
            rate = task.write_rate(layer, layer.within(instruction.blocks))
            writing[layer.index] += rate * task.chip.array_write_time_s * moved
    for entry in booked.entries:
        if entry.kind == "write":
            writing[entry.layer] += entry.joules
    power_w = booked.by("kind").get("static", 0.0) / timing.latency_s
    copy_j = np.array([writing[layer.index] for layer in layers])
    return power_w, copy_j, booked.total() - power_w * timing.latency_s - float(copy_j.sum())


def _searched(
    task: Task, search: Adaptive, plain: InstructionBuilder, expired: Callable[[], bool]
) -> InstructionBuilder:
    """Search for copies; return the plan with the best."""
    # Compiled code takes a while to import, and only this schedule needs it.
    from mho.schedule.anneal import Annealer, Score
    from mho.schedule.climb import Climber, Copies
    from mho.schedule.evaluate import instance

    layers = task.mapping.layers
    score = Score(search.objective, *_score(task, plain, search.objective))
    annealer = Annealer(instance(task), score, np.ones(len(layers), dtype=np.int64), search.seed)
    for copies in _starts(task):
        if not expired():
            annealer.offer(copies)
    plain_value, runs = annealer.value, round(RUNS * search.effort)
    # What one step costs is known from the starts; a network too large for many steps gets few.
    short = min(SHORT * len(task.writers), int(runs * (STARTS + 1) / annealer.work / 4))
    begun = annealer.work
    for _ in range(2):
        annealer.run(short, expired)
    if annealer.value < plain_value and annealer.work > begun:
        most = int((runs - annealer.work) * 2 * short / (annealer.work - begun))
        annealer.run(min(most, round(LONG * search.effort) * len(task.writers)), expired, last=True)
    best = {layer.index: int(each) for layer, each in zip(layers, annealer.best, strict=True)}

    def worth(end_s: float, copies: Copies) -> float:
        counts = np.array([copies.get(layer.index, 1) for layer in layers])
        joules = score.fixed_j + score.power_w * end_s + float(score.copy_j @ counts)
        return {"time": end_s, "energy": joules, "edp": end_s * joules}[search.objective]

    climber = Climber(task, best, worth, round(PLANNED * search.effort), expired)
    # Where the estimate holds, the two differ by copies' equal shares of the windows, give or take one.
    if abs(climber.value - annealer.value) > 1e-3 * annealer.value:
        for copies in (np.ones(len(layers), dtype=np.int64), *_starts(task)):
            climber.attempt({layer.index: int(each) for layer, each in zip(layers, copies, strict=True)})
        climber.climb()
    return plain if set(climber.best.values()) == {1} else Planner(task, climber.best).run()


def adaptive(task: Task, search: Adaptive) -> InstructionBuilder:
    """Return the best schedule found; never one that the machine measures to be worse than `overlap` or `aras`.

    Plans are measured with the weights and the banks that the task has: what compile does to the chosen plan comes later.
    """
    limit = None if search.time_limit_s is None else time.monotonic() + search.time_limit_s

    def expired() -> bool:
        return limit is not None and time.monotonic() >= limit

    plain = overlap(task)
    plans = [plain]
    if task.mapping.layers:
        if replicates(task):
            plans.append(aras(task))
        if search.effort > 0 and not expired():
            plans.append(_searched(task, search, plain, expired))
    different = [
        plan for n, plan in enumerate(plans) if all(plan.instructions != other.instructions for other in plans[:n])
    ]
    return min(different, key=lambda plan: value(task, plan, search.objective)) if len(different) > 1 else plain
