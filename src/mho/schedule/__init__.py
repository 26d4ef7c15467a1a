"""When things happen: schedules that turn a mapped network into a program."""

from mho.schedule import adaptive, aras, basis, centre, coding, combined, naive, overlap, placement, residency, stream
from mho.schedule.buffer import place_tensors
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.compile import coded, compile
from mho.schedule.gathering import Seated
from mho.schedule.sizing import sized
from mho.schedule.stages import Schedule

__all__ = [
    "InstructionBuilder",
    "Schedule",
    "Seated",
    "Task",
    "adaptive",
    "aras",
    "basis",
    "centre",
    "coded",
    "coding",
    "combined",
    "compile",
    "naive",
    "overlap",
    "place_tensors",
    "placement",
    "residency",
    "sized",
    "stream",
]
