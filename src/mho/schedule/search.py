"""How a schedule is searched for: what is minimised, how hard, from which seed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from mho.errors import OptionError, choices

OBJECTIVES = ("time", "energy", "edp")


@dataclass(frozen=True, slots=True)
class Search:
    """What `adaptive` minimises and how long it looks.

    Search()                                    least time, the usual effort, seed 0
    Search(objective="edp", effort=10)          least energy x time, ten times the usual effort
    Search(time_limit_s=2.0)                    stop looking for copies after two seconds; the best so far is taken

    The same search of the same task gives the same schedule, but for a time limit, which depends on the machine and does not
    count the planning and measuring that no search can do without. effort 0
    takes the best of `overlap` and `aras`.
    """

    objective: str = "time"
    effort: float = 1.0
    time_limit_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is not an objective, an effort, a time or a seed."""
        if self.objective not in OBJECTIVES:
            raise OptionError(f"unknown objective {self.objective!r}; {choices(str(self.objective), OBJECTIVES)}")
        if not _number(self.effort) or self.effort < 0:
            raise OptionError(f"effort is a number from 0 on (1 is the usual), not {self.effort!r}")
        if self.time_limit_s is not None and (not _number(self.time_limit_s) or self.time_limit_s <= 0):
            raise OptionError(f"a time limit is a positive number of seconds, not {self.time_limit_s!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"a seed is a whole number from 0 on, not {self.seed!r}")


def _number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given)
