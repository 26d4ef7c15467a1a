"""The bags of a history as a hypergraph: which rows each bag looks up, each once, and which bags look up each row.

What counts for a grouping is which rows a bag has, not how often: a group is touched or it is not. Memory is linear in look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt

from mho.network.trace.trace import Indices, Offsets, Trace

Floats = npt.NDArray[np.float64]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _distinct(offsets: Offsets, flat: Indices, rows: int, least: int, starts: Offsets, members: Indices) -> int:
    """Fill in each bag's rows without repetitions, bags of fewer than `least` left out; returns how many bags are left."""
    seen = np.full(rows, -1, dtype=np.int32)
    at = 0
    bags = 0
    for bag in range(len(offsets) - 1):
        begin = at
        for i in range(offsets[bag], offsets[bag + 1]):
            row = flat[i]
            if seen[row] != bag:
                seen[row] = bag
                members[at] = row
                at += 1
        if at - begin < least:
            at = begin
        else:
            bags += 1
            starts[bags] = at
    return bags


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _turned(starts: Offsets, members: Indices, row_starts: Offsets, row_bags: Indices) -> None:
    """Fill in the bags of each row, rising."""
    at = row_starts[:-1].copy()
    for bag in range(len(starts) - 1):
        for i in range(starts[bag], starts[bag + 1]):
            row = members[i]
            row_bags[at[row]] = bag
            at[row] += 1


@dataclass(frozen=True, eq=False)
class Bags:
    """Bags of distinct rows: bag b has members[starts[b]:starts[b + 1]] and counts `weights[b]` times.

    `rows`: how many rows there are. `starts` int64 (bags + 1,), `members` int32, `weights` float64 (bags,).
    """

    rows: int
    starts: Offsets
    members: Indices
    weights: Floats

    @classmethod
    def of(cls, history: Trace, least: int = 1) -> Bags:
        """Take the bags of a trace, but for those of fewer than `least` distinct rows; each counts once."""
        starts = np.zeros(history.bags + 1, dtype=np.int64)
        members = np.empty(history.lookups, dtype=np.int32)
        bags = int(_distinct(history.offsets, history.flat, history.total_rows, least, starts, members))
        starts = starts[: bags + 1].copy()
        return cls(history.total_rows, starts, members[: starts[-1]].copy(), np.ones(bags))

    @classmethod
    def neighbours(cls, tables: tuple[int, ...], width: int, weight: float) -> Bags:
        """Make bags of `width` consecutive rows of a table, each shifted by half a width: row numbers taken as a hint."""
        step = max(1, width // 2)
        begins, ends, base = [], [], 0
        for rows in tables:
            first = np.arange(0, max(rows - step, 1), step, dtype=np.int64)
            begins.append(base + first)
            ends.append(base + np.minimum(first + width, rows))
            base += rows
        begin, end = np.concatenate(begins), np.concatenate(ends)
        starts = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
        members = (np.arange(starts[-1]) + np.repeat(begin - starts[:-1], end - begin)).astype(np.int32)
        return cls(sum(tables), starts, members, np.full(len(begin), float(weight)))

    def joined(self, more: Bags) -> Bags:
        """Return these bags and more of the same rows."""
        return Bags(
            self.rows,
            np.concatenate([self.starts, self.starts[-1] + more.starts[1:]]),
            np.concatenate([self.members, more.members]),
            np.concatenate([self.weights, more.weights]),
        )

    @property
    def count(self) -> int:
        """Number of bags."""
        return len(self.starts) - 1

    @cached_property
    def frequency(self) -> npt.NDArray[np.int64]:
        """In how many bags each row is: int64 (rows,)."""
        return np.bincount(self.members, minlength=self.rows).astype(np.int64)

    @cached_property
    def turned(self) -> tuple[Offsets, Indices]:
        """The bags of each row: row r is in bags [1][[0][r]:[0][r + 1]], rising."""
        starts = np.concatenate([[0], np.cumsum(self.frequency)]).astype(np.int64)
        bags = np.empty(len(self.members), dtype=np.int32)
        _turned(self.starts, self.members, starts, bags)
        return starts, bags
