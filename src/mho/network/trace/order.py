"""Look-ups by the line, and their order: those of a query together, by time, queries as they first come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.pieces import Integers


@dataclass(frozen=True, eq=False)
class Lines:
    """Some look-ups: each one's query, table and row (int64), weight (uint8) and time, where there are any.

    `first`: the number of the first in the whole file, from 0 on. `of`: the record in which each stands; None where they follow
    each other from record `start` on.
    """

    query: Integers
    table: Integers
    row: Integers
    weight: npt.NDArray[np.uint8] | None
    time: npt.NDArray[Any] | None
    first: int
    start: int
    of: Integers | None = None

    def record(self, at: int) -> int:
        """Return the record in which a look-up stands."""
        return self.start + at if self.of is None else int(self.of[at])

    @property
    def records(self) -> Integers:
        """The record in which each look-up stands."""
        return np.arange(self.start, self.start + len(self.row)) if self.of is None else self.of


def between(lines: Lines, low: int, high: int) -> Lines:
    """Return some of the look-ups."""

    def cut(values: Any) -> Any:
        return None if values is None else values[low:high]

    return Lines(
        cut(lines.query),
        cut(lines.table),
        cut(lines.row),
        cut(lines.weight),
        cut(lines.time),
        lines.first + low,
        lines.start + low,
        cut(lines.of),
    )


def joined(parts: list[Lines]) -> Lines:
    """Put look-ups that follow each other into one."""
    if len(parts) == 1:
        return parts[0]

    def together(name: str) -> Any:
        held = [getattr(part, name) for part in parts]
        return None if held[0] is None else np.concatenate(held)

    first = parts[0]
    straight = all(part.of is None for part in parts)
    of = None if straight else np.concatenate([part.records for part in parts])
    # Dates and numbers cannot be put together.
    time = (
        None
        if first.time is None or len({part.time.dtype.kind == "M" for part in parts if part.time is not None}) > 1
        else together("time")
    )
    return Lines(
        together("query"), together("table"), together("row"), together("weight"), time, first.first, first.start, of
    )


def in_order(lines: Lines, file: str, *, timed: bool) -> Lines:
    """Sort look-ups: queries by their first time, or, without times, as they first come; in a query by table, time and line.

    Where queries do not rise in that order they are numbered by it, from 0 on. TraceError where some times are dates, some numbers.
    """
    if timed and lines.time is None:
        raise TraceError(f"{file}: some times are numbers and some are dates; write all in one way")
    by_query = np.argsort(lines.query, kind="stable")
    ordered = lines.query[by_query]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    # A stable sort: the first of each query is the one that comes first in the file.
    keys: list[npt.NDArray[Any]] = [by_query[starts]]
    if lines.time is not None:
        keys.append(np.minimum.reduceat(lines.time[by_query], starts))
    turn = np.lexsort(keys)
    rank = np.empty(len(starts), dtype=np.int64)
    rank[turn] = np.arange(len(starts))
    rank = np.repeat(rank, np.diff(starts, append=len(ordered)))
    of_line = np.empty(len(ordered), dtype=np.int64)
    of_line[by_query] = rank
    order = np.lexsort([*([] if lines.time is None else [lines.time]), lines.table, of_line])
    distinct = ordered[starts][turn]
    query = of_line if (np.diff(distinct) < 0).any() else lines.query
    return replace(
        lines,
        query=query[order],
        table=lines.table[order],
        row=lines.row[order],
        weight=None if lines.weight is None else lines.weight[order],
        time=None,
        of=lines.records[order],
    )
