"""The options of queries that come one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.machine.lookup.arrivals import Arrivals


@dataclass(frozen=True)
class ArrivalOptions:
    """The options that say how queries come; None: not given."""

    arrivals: str | None = None
    loads: Any = None
    batch_wait: float | None = None

    @property
    def draws(self) -> bool:
        """Say whether arrivals are drawn at random."""
        return self.arrivals == "poisson"

    def chosen(self) -> Arrivals | None:
        """Return how queries come, None where that was not asked for; refuse what is unknown, and what changes nothing."""
        for option, value in (("--loads", self.loads), ("--batch-wait", self.batch_wait)):
            if self.arrivals is None and value is not None:
                raise OptionError(f"{option} is for --arrivals")
        if self.arrivals is None:
            return None
        from mho.machine.lookup.arrivals import LOADS, Arrivals

        return Arrivals(LOADS if self.loads is None else self.loads, self.batch_wait or 0.0, process=self.arrivals)
