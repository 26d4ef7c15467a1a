"""A search walked: designs asked for, judged by workers, kept as they come, told in their order.

Design n is asked for when exactly the designs up to n - `behind` have been told: so the designs are the same with any number of
workers, and whichever finishes first. What is kept is not judged again, so an interruption costs what was under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mho.errors import OptionError
from mho.explore.records import Judges, Record, Records
from mho.explore.search import Indices, Search, Trial
from mho.explore.space import Value
from mho.explore.workers import Executor, finished

BEHIND = 4
"""Designs that may be under way, or finished and not yet told, where nothing else is asked for: what a search learns late it uses
less (docs/explore-speed.md).
"""
UNLEARNT = 1024
"""The same for a search that learns nothing."""
Task = tuple[int, Mapping[str, Value]]


class Valued(Protocol):
    """A space: what says which values a design has."""

    def values(self, indices: Indices) -> dict[str, Value]:
        """Return the values of a design, by key."""


@dataclass(frozen=True)
class Found:
    """A design that was judged: its number, its choices and its record."""

    number: int
    indices: Indices
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Numbered:
    """Judges a numbered design, and says which it was."""

    judge: Judges

    def __call__(self, task: Task) -> tuple[int, Record]:
        """Return the number and the record."""
        number, values = task
        return number, self.judge(values)


@dataclass
class Walk:
    """Designs of a space, judged as a search asks for them, at most `budget`; `records`: where they are kept, and found again.

    trial: what the search is told of a design. Raises OptionError for a budget below 1, or for nothing that may be under way.
    """

    space: Valued
    search: Search
    judge: Judges
    records: Records
    trial: Callable[[Found], Trial]
    budget: int
    workers: int | Executor = 1
    behind: int = BEHIND
    designs: list[Indices] = field(default_factory=list, init=False)
    """The designs that were asked for, in their order."""
    judged: int = field(default=0, init=False)
    """Those that were judged, and not found in the store."""

    def __post_init__(self) -> None:
        """Refuse what would never begin."""
        if self.budget < 1 or self.behind < 1:
            raise OptionError(
                f"a search has a budget and a distance of at least 1, not {self.budget} and {self.behind}"
            )
        self._done: set[int] = set()
        self._ready = self._told = 0

    def __iter__(self) -> Iterator[Found]:
        """Yield the designs in their order, each as soon as it and those before it are there."""
        passed = 0
        for _, (number, record) in finished(Numbered(self.judge), self._tasks(), self.workers):
            self.records.put(self.values(number), record)
            self.judged += 1
            self._finish(number)
            while passed < self._ready:
                yield self.found(passed)
                passed += 1
        while passed < self._ready:
            yield self.found(passed)
            passed += 1

    def values(self, number: int) -> dict[str, Value]:
        """Return the values of a design that was asked for."""
        return self.space.values(self.designs[number])

    def found(self, number: int) -> Found:
        """Return a design that was judged."""
        record = self.records.get(self.values(number))
        assert record is not None
        return Found(number, self.designs[number], record)

    def keys(self) -> Iterator[str]:
        """Yield the keys of the records, in the order of the designs."""
        return (self.records.key(self.values(number)) for number in range(len(self.designs)))

    def _tasks(self) -> Iterator[Task | None]:
        """Yield designs that are not kept; None while the next one rests on what is under way."""
        for number in range(self.budget):
            while self._ready <= number - self.behind:
                yield None
            while self._told <= number - self.behind:
                self.search.tell(self.trial(self.found(self._told)))
                self._told += 1
            indices = self.search.ask()
            if indices is None:
                return
            self.designs.append(indices)
            if self.records.get(values := self.values(number)) is None:
                yield number, values
            else:
                self._finish(number)

    def _finish(self, number: int) -> None:
        self._done.add(number)
        while self._ready in self._done:
            self._done.remove(self._ready)
            self._ready += 1


__all__ = ["BEHIND", "UNLEARNT", "Found", "Walk"]
