"""`overlap`: ARAS's baseline scheduler (section IV, Figures 8 and 9): writing overlaps computing, no layer is replicated."""

from __future__ import annotations

from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.planner import Planner
from mho.schedule.stages import Schedule
from mho.strategy.choice import choice


def overlap(task: Task) -> InstructionBuilder:
    """Return the overlapped schedule."""
    return Planner(task).run()


@choice("schedule", "overlap", papers=("aras",))
class Overlap(Schedule):
    """Writing overlaps computing, no layer is replicated."""

    def plan(self, task: Task) -> InstructionBuilder:
        """Return the overlapped schedule."""
        return overlap(task)
