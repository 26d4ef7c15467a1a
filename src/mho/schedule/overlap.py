"""`overlap`: ARAS's baseline scheduler (section IV, Figures 8 and 9): writing overlaps computing, no layer is replicated."""

from __future__ import annotations

from mho.schedule.builder import Builder, Task
from mho.schedule.planner import Planner


def overlap(task: Task) -> Builder:
    """Return the overlapped schedule."""
    return Planner(task).run()
