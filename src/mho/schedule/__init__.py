"""When things happen: schedules that turn a mapped network into a program."""

from mho.schedule.buffer import place_tensors
from mho.schedule.builder import Builder, Task
from mho.schedule.compile import SCHEDULES, compile
from mho.schedule.search import Search

__all__ = [
    "SCHEDULES",
    "Builder",
    "Search",
    "Task",
    "compile",
    "place_tensors",
]
