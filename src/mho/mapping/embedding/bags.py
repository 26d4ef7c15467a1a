"""The bags of a history as a hypergraph: which rows each bag looks up, each once, and which bags look up each row.

What counts for a grouping is which rows a bag has, not how often: a group is touched or it is not. Memory is linear in look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.network.trace.trace import Indices, Offsets, Trace

Floats = npt.NDArray[np.float64]


def turned(starts: Offsets, members: Indices, number: int) -> tuple[Offsets, Indices]:
    """Turn bags of rows into rows of bags: row r, of so many, is in bags [1][[0][r]:[0][r + 1]], rising."""
    from scipy.sparse import csr_array

    rows = csr_array((np.ones(len(members), dtype=np.int8), members, starts), shape=(len(starts) - 1, number)).tocsc()
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32)


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
        bag = np.repeat(np.arange(history.bags, dtype=np.int64), history.lengths)
        # Each row of a bag where it stands first.
        places = np.sort(np.unique(bag * history.total_rows + history.flat, return_index=True)[1])
        lengths = np.bincount(bag[places], minlength=history.bags)
        members = history.flat[places[lengths[bag[places]] >= least]]
        starts = np.concatenate([[0], np.cumsum(lengths[lengths >= least])]).astype(np.int64)
        return cls(history.total_rows, starts, members, np.ones(len(starts) - 1))

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
        """Count the bags that each row is in: int64 (rows,)."""
        return np.bincount(self.members, minlength=self.rows).astype(np.int64)

    @cached_property
    def turned(self) -> tuple[Offsets, Indices]:
        """The bags of each row: row r is in bags [1][[0][r]:[0][r + 1]], rising."""
        return turned(self.starts, self.members, self.rows)
