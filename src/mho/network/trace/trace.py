"""A trace: what the queries of a recommender look up in its embedding tables, as compressed rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import OutputError, TraceError
from mho.files.archive import write_arrays
from mho.files.writing import check_file, write_whole
from mho.shown import Shown

Indices = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int64] | npt.NDArray[np.str_]
"""What rows are called where a trace is from: numbers or texts."""
SUFFIX = ".npz"
"""How the name of a trace's file ends."""
MOST_ROWS = 1 << 27
"""Rows of all tables: what is counted for each of them takes a gigabyte then."""


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Shown):
    """Bags of look-ups. A bag is what one query looks up in one table; its rows are added to one vector.

    `rows`: the rows of each table. `offsets` int64 (bags + 1,) and `indices` int32 (look-ups,): bag b looks up
    indices[offsets[b]:offsets[b + 1]], rows of its own table, a row as often as it stands there; it may be empty. `tables` int32
    and `queries` int64 (bags,): the table and the query of each bag; the bags of a query stand together, queries in rising order.
    `weights` uint8 (look-ups,), or None where all are 1: what each row counts for in the sum, 1 to 255. `names`: of the tables.
    `times` float64 (bags,): when the query of each bag came, in s from any beginning, not falling; None where that is not known.
    `origin`: where it is from; `synthetic`: whether it was made up. `ids`: for each table what each row is
    called where the trace is from, int64 or text (rows,); None where rows keep their numbers.

    Raises TraceError for what is inconsistent, naming the first bag or look-up that is wrong.
    """

    rows: tuple[int, ...]
    offsets: Offsets
    indices: Indices
    tables: npt.NDArray[np.int32]
    queries: npt.NDArray[np.int64]
    origin: str
    names: tuple[str, ...] = ()
    weights: npt.NDArray[np.uint8] | None = None
    synthetic: bool = False
    ids: tuple[Ids, ...] | None = None
    times: npt.NDArray[np.float64] | None = None

    def headline(self) -> str:
        """Say what it is in a line."""
        mark = ", SYNTHETIC" if self.synthetic else ""
        return f"Trace({self.origin}: {len(self.rows)} tables, {self.bags} bags, {self.lookups} look-ups{mark})"

    def __post_init__(self) -> None:
        """Check that everything fits together."""
        if not self.names:
            object.__setattr__(self, "names", tuple(f"table{i}" for i in range(len(self.rows))))
        if not self.rows or any(count < 1 for count in self.rows) or sum(self.rows) > MOST_ROWS:
            raise TraceError(f"{self.origin}: tables need 1 to {MOST_ROWS} rows in all, not {self.rows}")
        if len(self.names) != len(self.rows):
            raise TraceError(f"{self.origin}: {len(self.rows)} tables, but {len(self.names)} names")
        shapes = (self.tables.shape, self.queries.shape)
        if self.offsets.ndim != 1 or not len(self.offsets) or shapes != ((self.bags,), (self.bags,)):
            raise TraceError(f"{self.origin}: offsets, tables and queries do not fit each other")
        falling = np.flatnonzero(np.diff(self.offsets) < 0)
        if self.offsets[0] != 0 or len(falling):
            bag = int(falling[0]) if self.offsets[0] == 0 else 0
            raise TraceError(f"{self.origin}: bag {bag}: offsets must start at 0 and not fall")
        if self.offsets[-1] != len(self.indices) or (self.weights is not None and len(self.weights) != self.lookups):
            raise TraceError(f"{self.origin}: the last offset must be the number of look-ups, and of weights")
        if self.bags and (self.tables.min() < 0 or self.tables.max() >= len(self.rows)):
            raise TraceError(f"{self.origin}: a bag is of a table outside 0 to {len(self.rows) - 1}")
        if (self.queries[1:] < self.queries[:-1]).any():
            raise TraceError(f"{self.origin}: queries must not fall")
        self._check_times()
        self._check_rows()
        if self.weights is not None and self.lookups and not self.weights.min():
            raise TraceError(f"{self.origin}: look-up {int(self.weights.argmin())}: weights are 1 to 255")
        if self.ids is not None and tuple(map(len, self.ids)) != self.rows:
            raise TraceError(f"{self.origin}: ids of {tuple(map(len, self.ids))} rows, but tables of {self.rows}")

    def _check_times(self) -> None:
        times = self.times
        if times is None:
            return
        if times.shape != (self.bags,) or not np.isfinite(times).all():
            raise TraceError(f"{self.origin}: times are a finite number of seconds for each bag")
        later = np.diff(times)
        wrong = np.flatnonzero((later < 0) | ((later > 0) & (self.queries[1:] == self.queries[:-1])))
        if len(wrong):
            bag = int(wrong[0]) + 1
            raise TraceError(
                f"{self.origin}: bag {bag}: time {times[bag]:g} after {times[bag - 1]:g}; times must not fall from query to query, "
                "and bags of one query have one"
            )

    def _check_rows(self) -> None:
        limits = np.repeat(np.asarray(self.rows, dtype=np.int64)[self.tables], self.lengths)
        wrong = np.flatnonzero((self.indices < 0) | (self.indices >= limits))
        if len(wrong):
            at = int(wrong[0])
            bag = int(np.searchsorted(self.offsets, at, side="right")) - 1
            last = int(limits[at]) - 1
            raise TraceError(f"{self.origin}: bag {bag}: row {self.indices[at]} is outside 0 to {last}")

    @property
    def bags(self) -> int:
        """Return the number of bags."""
        return len(self.offsets) - 1

    @property
    def lookups(self) -> int:
        """Return the number of look-ups."""
        return len(self.indices)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Look-ups of each bag."""
        return np.diff(self.offsets)

    @cached_property
    def base(self) -> npt.NDArray[np.int64]:
        """Return where the rows of each table begin when those of all tables are counted through, and their number."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)

    @property
    def total_rows(self) -> int:
        """Return the number of rows of all tables."""
        return sum(self.rows)

    @cached_property
    def flat(self) -> Indices:
        """Return each look-up's row, counted through all tables: int32 (look-ups,)."""
        if len(self.rows) == 1:
            return self.indices
        return (self.indices + np.repeat(self.base[self.tables], self.lengths)).astype(np.int32)

    def select(self, bags: npt.NDArray[np.int64] | slice) -> Trace:
        """Return some of the bags, by rising numbers or a slice."""
        chosen = np.arange(self.bags)[bags]
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self,
            offsets=offsets,
            indices=self.indices[places],
            tables=self.tables[chosen],
            queries=self.queries[chosen],
            weights=None if self.weights is None else self.weights[places],
            times=None if self.times is None else self.times[chosen],
        )

    def original(self, table: int = 0) -> Ids:
        """Return what each row of a table is called where the trace is from: int64 or text (rows of the table,)."""
        return np.arange(self.rows[table]) if self.ids is None else self.ids[table]

    def split(self, share: float, seed: int | None = None) -> tuple[Trace, Trace]:
        """Split whole queries: a share of them, rounded, is history, the others test; every bag is in one of the two.

        `seed` None: the first queries are history, as time goes; else queries drawn at random, each part in its old order.
        Raises TraceError where one part would have no query.
        """
        new = np.flatnonzero(self.queries[1:] != self.queries[:-1]) + 1
        first = np.concatenate([np.zeros(min(self.bags, 1), dtype=np.int64), new])
        queries = len(first)
        count = round(share * queries) if 0 < share < 1 else 0
        if not 0 < count < queries:
            raise TraceError(f"{self.origin}: a share of {share} of {queries} queries leaves a part of the trace empty")
        history = np.zeros(queries, dtype=np.bool_)
        order = np.arange(queries) if seed is None else np.random.default_rng(seed).permutation(queries)
        history[order[:count]] = True
        of_bags = np.repeat(history, np.diff(first, append=self.bags))
        how = "" if seed is None else f" at random (seed {seed})"
        words = ("the first", "the last") if seed is None else ("history,", "test,")

        def selection(chosen: npt.NDArray[np.bool_], word: str, size: int) -> Trace:
            bags = self.select(np.flatnonzero(chosen))
            return replace(bags, origin=f"{word} {size} of the {queries} queries{how} of {self.origin}")

        return selection(of_bags, words[0], count), selection(~of_bags, words[1], queries - count)

    def save(self, path: str | Path) -> None:
        """Write to a .npz file, whole or not at all; the same trace gives the same bytes. OutputError names the path."""
        path = Path(path)
        check_save(path)
        arrays: dict[str, np.ndarray] = {
            "offsets": self.offsets,
            "indices": self.indices,
            "tables": self.tables,
            "queries": self.queries,
            "rows": np.asarray(self.rows, dtype=np.int64),
            "names": np.asarray(self.names, dtype=np.str_),
            "origin": np.asarray(self.origin, dtype=np.str_),
            "synthetic": np.asarray(self.synthetic),
        }
        if self.weights is not None:
            arrays["weights"] = self.weights
        if self.ids is not None:
            arrays["ids"] = np.concatenate(self.ids)
        if self.times is not None:
            arrays["times"] = self.times
        write_whole(path, lambda stream: write_arrays(stream, arrays))

    load: ClassVar[Callable[[str | Path], Trace]]
    """Reading stands above what it makes: the package `mho.network.trace` hangs `read` here."""


def check_save(path: Path) -> None:
    """Raise OutputError where a trace cannot be saved; leave nothing behind."""
    if path.suffix != SUFFIX:
        raise OutputError(f"{path}: the name of a trace's file ends in {SUFFIX}")
    check_file(path)


def join(traces: Iterable[Trace]) -> Trace:
    """Put traces of the same tables one behind the other, as the chunks of `stream`. TraceError where they do not fit."""
    parts = list(traces)
    if not parts:
        raise TraceError("nothing to join: there is no trace")
    first = parts[0]
    for trace in parts:
        if (trace.rows, trace.names) != (first.rows, first.names):
            raise TraceError(f"{trace.origin}: its tables are not those of {first.origin}")
    if len(parts) == 1:
        return first
    weights = None
    if any(trace.weights is not None for trace in parts):
        weights = np.concatenate(
            [np.ones(trace.lookups, dtype=np.uint8) if trace.weights is None else trace.weights for trace in parts]
        )
    times = [trace.times for trace in parts if trace.times is not None]
    starts = np.cumsum([0, *(trace.lookups for trace in parts)])
    return replace(
        first,
        offsets=np.concatenate(
            [
                np.zeros(1, dtype=np.int64),
                *(trace.offsets[1:] + start for trace, start in zip(parts, starts, strict=False)),
            ]
        ),
        indices=np.concatenate([trace.indices for trace in parts]),
        tables=np.concatenate([trace.tables for trace in parts]),
        queries=np.concatenate([trace.queries for trace in parts]),
        weights=weights,
        times=np.concatenate(times) if len(times) == len(parts) else None,
        synthetic=any(trace.synthetic for trace in parts),
    )
