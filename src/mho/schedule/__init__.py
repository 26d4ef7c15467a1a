"""When things happen: schedules that turn a mapped network into a program, and a bound that none of them can beat."""

from mho.schedule.bound import Bound, Demand, bound_of, lower_bound
from mho.schedule.buffer import place_tensors
from mho.schedule.builder import Builder, Task
from mho.schedule.compile import SCHEDULES, compile
from mho.schedule.search import Search

__all__ = [
    "SCHEDULES",
    "Bound",
    "Builder",
    "Demand",
    "Search",
    "Task",
    "bound_of",
    "compile",
    "lower_bound",
    "place_tensors",
]
