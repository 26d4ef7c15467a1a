"""What a program of look-ups does: one interpreter for time and energy, one for values."""

from mho.machine.lookup.energy import Counted, energy
from mho.machine.lookup.timing import BatchTimes, time_lookups
from mho.machine.lookup.values import Reduced, reduce, reference

__all__ = ["BatchTimes", "Counted", "Reduced", "energy", "reduce", "reference", "time_lookups"]
