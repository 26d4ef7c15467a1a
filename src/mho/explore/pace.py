"""How fast a search goes on, said while it does: designs judged a second, and when it will end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import perf_counter

from mho.explore.judge import Progress


class Pace:
    """Says of a search of so many designs how far it is. Seconds are those of this run alone, and go into no result."""

    EVERY_S = 0.2
    """Seconds between two words at least."""

    def __init__(self, most: int, progress: Progress) -> None:
        self._most, self._progress = most, progress
        self._began = self._said = perf_counter()
        self._least = inf

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Time a design that is judged before the search, and say how long the search would take at that pace."""
        before = perf_counter()
        yield
        self._began = perf_counter()
        self._least = min(self._least, self._began - before)
        self._progress(f"about {_span(self._least * self._most)} by one worker", 0, self._most)

    def tell(self, done: int, judged: int, front: int) -> None:
        """Say how many designs are done, of which some were judged now, and how many are on the front."""
        now = perf_counter()
        if now - self._said < self.EVERY_S and done < self._most:
            return
        self._said = now
        rate = judged / max(now - self._began, 1e-9)
        self._progress(f"{rate:.3g} designs a second, front of {front}", done, self._most)


def _span(seconds: float) -> str:
    """Say a span of time in words."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


__all__ = ["Pace"]
