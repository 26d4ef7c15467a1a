"""Look-ups by the line, and their order: those of a query together, by time, queries as they first come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.pieces import Integers


@dataclass(frozen=True, eq=False)
class Lookups:
    """Some look-ups: each one's query, table and row (int64), weight (uint8) and time, where there are any.

    `of`: the record in which each stands. `first`: the number of the first in the whole file, from 0 on.
    """

    query: Integers
    table: Integers
    row: Integers
    weight: npt.NDArray[np.uint8] | None
    time: npt.NDArray[Any] | None
    of: Integers
    first: int

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns that there are, by name."""
        return {name: column for name, column in vars(self).items() if isinstance(column, np.ndarray)}

    def at(self, places: slice | Integers) -> Lookups:
        """Return the look-ups at some places, in their order."""
        return replace(self, **{name: column[places] for name, column in self.columns().items()})  # type: ignore[arg-type]

    def between(self, low: int, high: int) -> Lookups:
        """Return look-ups that follow each other."""
        return replace(self.at(slice(low, high)), first=self.first + low)


def joined(parts: list[Lookups]) -> Lookups:
    """Put look-ups that follow each other into one; where some times are dates and some numbers, it has none."""
    if len(parts) == 1:
        return parts[0]
    if len({lines.time.dtype.kind == "M" for lines in parts if lines.time is not None}) > 1:
        parts = [replace(lines, time=None) for lines in parts]
    columns = [lines.columns() for lines in parts]
    return replace(parts[0], **{name: np.concatenate([block[name] for block in columns]) for name in columns[0]})  # type: ignore[arg-type]


def in_order(lines: Lookups, file: str, *, timed: bool) -> Lookups:
    """Sort look-ups: queries by their first time, or, without times, as they first come; in a query by table, time and line.

    The time that is left of each look-up is the first of its query, in s. Where queries do not rise in that order they are numbered
    by it, from 0 on. TraceError where some times are dates, some numbers.
    """
    if timed and lines.time is None:
        raise TraceError(f"{file}: some times are numbers and some are dates; write all in one way")
    by_query = np.argsort(lines.query, kind="stable")
    ordered = lines.query[by_query]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    # A stable sort: the first of each query is the one that comes first in the file.
    keys: list[npt.NDArray[Any]] = [by_query[starts]]
    came = None
    if lines.time is not None:
        began = np.minimum.reduceat(lines.time[by_query], starts)
        keys.append(began)
        came = np.empty(len(ordered), dtype=np.float64)
        came[by_query] = np.repeat(_seconds(began), np.diff(starts, append=len(ordered)))
    turn = np.lexsort(keys)
    rank = np.empty(len(starts), dtype=np.int64)
    rank[turn] = np.arange(len(starts))
    rank = np.repeat(rank, np.diff(starts, append=len(ordered)))
    of_line = np.empty(len(ordered), dtype=np.int64)
    of_line[by_query] = rank
    order = np.lexsort([*([] if lines.time is None else [lines.time]), lines.table, of_line])
    distinct = ordered[starts][turn]
    query = of_line if (np.diff(distinct) < 0).any() else lines.query
    return replace(lines, query=query, time=came).at(order)


def _seconds(times: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return dates as seconds since 1970, numbers as they are."""
    if times.dtype.kind == "M":
        return times.astype("datetime64[us]").astype(np.int64) / 1e6
    return times.astype(np.float64)
