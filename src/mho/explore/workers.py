"""Independent work done here, by processes of this machine or on a cluster: who does it, and how many, changes no result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol, TypeVar

from mho.errors import OptionError
from mho.explore.processes import Processes

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool(Protocol):
    """Who computes: items are submitted under their places, and results come as they finish."""

    usual: int
    """So many items under way keep it busy."""

    def submit(self, place: int, item: Any) -> None:
        """Take an item to compute."""

    def result(self) -> tuple[int, Any]:
        """Wait for an item and return its place and result; raise what its computation raised."""

    def close(self) -> None:
        """Give up what is under way."""


class Executor(Protocol):
    """Where items are computed, such as `mho.explore.cluster.Ray`."""

    def open(self, function: Callable[[Any], Any]) -> Pool:
        """Begin to compute a function."""


def finished(
    function: Callable[[Item], Result],
    items: Iterable[Item | None],
    workers: int | Executor = 1,
    ahead: int | None = None,
) -> Iterator[tuple[int, Result]]:
    """Yield place and result of each item as it is finished, in any order: the first item has place 0.

    At most `ahead` items are under way (usual: one in this process, two a worker elsewhere), and no more are taken from
    `items`. An item None has no place and is not computed: what comes next depends on what is under way, so that `items` is asked
    again after the next result. `workers`: 1 computes in this process, more in processes of their own; function, items and
    results are then pickled. An item whose process dies is done again. What an item raises is raised here, and ends the work.

    Raises OptionError for less than one worker or item, RuntimeError where items wait for results and nothing is under way,
    MhoError for an item of which processes die.
    """
    if ahead is not None and ahead < 1:
        raise OptionError(f"at least one item is under way, not {ahead}")
    with closing(_pool(function, workers)) as pool:
        source, place, under_way, more = iter(items), 0, 0, True
        while True:
            while more and under_way < (ahead or pool.usual):
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                    break
                if item is None:
                    break
                pool.submit(place, item)
                place, under_way = place + 1, under_way + 1
            if not under_way:
                if more:
                    raise RuntimeError("items wait for results, but nothing is under way")
                return
            result = pool.result()
            under_way -= 1
            yield result


def each(function: Callable[[Item], Result], items: Iterable[Item], workers: int | Executor = 1) -> Iterator[Result]:
    """Yield the result of each item, in order, as soon as it and those before it are there; as `finished` otherwise.

    Where the caller stops early, what has not begun is not begun.
    """
    waiting = list(items)
    early: dict[int, Result] = {}
    following = 0
    for place, result in finished(
        function, waiting, min(workers, max(len(waiting), 1)) if isinstance(workers, int) else workers
    ):
        early[place] = result
        while following in early:
            yield early.pop(following)
            following += 1


class _Here:
    """One item after the other, in this process."""

    usual = 1

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self._waiting: list[tuple[int, Any]] = []

    def submit(self, place: int, item: Any) -> None:
        self._waiting.append((place, item))

    def result(self) -> tuple[int, Any]:
        place, item = self._waiting.pop(0)
        return place, self._function(item)

    def close(self) -> None:
        self._waiting.clear()


def _pool(function: Callable[[Any], Any], workers: int | Executor) -> Pool:
    if not isinstance(workers, int):
        return workers.open(function)
    if workers < 1:
        raise OptionError(f"there is at least one worker, not {workers}")
    return _Here(function) if workers == 1 else Processes(function, workers)
