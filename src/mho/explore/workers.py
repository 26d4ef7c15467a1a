"""Independent work done here or by several processes: whatever their number, results come in the order of the items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from mho.errors import OptionError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 1) -> Iterator[Result]:
    """Yield the result of each item, in order, as soon as it and those before it are there.

    With more than one worker, processes of their own compute: function, items and results are then pickled. Where the caller
    stops early, what has not begun is not begun. Raises OptionError for less than one worker.
    """
    if workers < 1:
        raise OptionError(f"there is at least one worker, not {workers}")
    waiting = list(items)
    if workers == 1 or len(waiting) < 2:
        yield from map(function, waiting)
        return
    # Not fork: threads of torch and numba do not outlive it.
    pool = ProcessPoolExecutor(min(workers, len(waiting)), mp_context=get_context("spawn"))
    try:
        yield from pool.map(function, waiting)
    finally:
        pool.shutdown(cancel_futures=True)
