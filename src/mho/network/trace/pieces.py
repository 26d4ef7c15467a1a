"""What every reader of traces yields: pieces of whole bags, their rows still called as in the file.

From pieces come traces: `survey` finds the tables, `whole_queries` cuts pieces into chunks of whole queries, and `as_trace` gives
the rows their final numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.trace import MOST_ROWS, Ids, Trace, join

Integers = npt.NDArray[np.int64]
BLOCK = 1 << 20
"""Look-ups that a reader takes at once, where it need not take fewer."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Whole bags: `lengths`, `tables` and `queries` int64 (bags,), `rows` int64 and `weights` uint8 or None (look-ups,).

    `first_bag` and `first` are the numbers, in the whole file, of its first bag and look-up. `told` says where a look-up stands in
    the file, given its number and that of its bag.
    """

    lengths: Integers
    tables: Integers
    queries: Integers
    rows: Integers
    weights: npt.NDArray[np.uint8] | None
    first_bag: int
    first: int
    told: Callable[[int, int], str]
    times: npt.NDArray[np.float64] | None = None
    """When the query of each bag came, in s (bags,)."""

    def place(self, at: int) -> str:
        """Say where look-up `at` of the piece stands in the file."""
        bag = int(np.searchsorted(np.cumsum(self.lengths), at, side="right"))
        return self.told(self.first + at, self.first_bag + bag)

    def of_lookups(self, bags: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give each look-up what is given for each bag."""
        return np.repeat(bags, self.lengths)


@dataclass(frozen=True, eq=False)
class KnownTables:
    """The tables as a file describes them: their rows, names and original ids, and its origin; None where it says nothing."""

    rows: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    origin: str | None = None
    synthetic: bool = False
    ids: tuple[Ids, ...] | None = None


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a trace: their rows, names, and the number that each row has in the file, rising, where renumbered.

    Where rows are called by texts, `texts` are those of each table, sorted, and `turned` tells for each of `renumbered` which of
    them it is.
    """

    rows: tuple[int, ...]
    known: KnownTables
    renumbered: tuple[Integers, ...] | None = None
    texts: tuple[Ids, ...] | None = None
    turned: tuple[Integers, ...] | None = None

    def with_texts(self, names: npt.NDArray[np.str_]) -> Tables:
        """Return the same tables whose rows are called by texts: `names` by the numbers that they had so far."""
        assert self.renumbered is not None, "text has no numbers of its own"
        called = [names[numbers] for numbers in self.renumbered]
        orders = [np.argsort(texts, kind="stable") for texts in called]
        turned = tuple(np.argsort(order, kind="stable") for order in orders)
        return replace(
            self, texts=tuple(names[order] for names, order in zip(called, orders, strict=True)), turned=turned
        )


def whole_weights(values: npt.NDArray[Any], place: Callable[[int], str]) -> npt.NDArray[np.uint8]:
    """Return weights as uint8; TraceError with the first that is no whole number from 1 to 255."""
    # NaN fails every comparison, and so is found as well.
    good = (values >= 1) & (values <= 255)
    if values.dtype.kind == "f":
        good &= np.floor(values) == values
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        raise TraceError(f"{place(at)}: weight {values[at]} is no whole number from 1 to 255")
    return values.astype(np.uint8)


def falling(queries: Integers, before: int | None) -> Integers:
    """Return where queries are less than the one before them; `before`: the last one of what was read earlier."""
    shifted = np.concatenate([queries[:1] if before is None else np.array([before]), queries[:-1]])
    return np.flatnonzero(queries < shifted)


def bag_starts(queries: Integers, tables: Integers) -> Integers:
    """Return where bags begin among look-ups: where the query or the table is another than before."""
    return np.concatenate([[0], np.flatnonzero((np.diff(queries) != 0) | (np.diff(tables) != 0)) + 1])


def sorted_distinct(values: Integers) -> Integers:
    """Return the distinct values, rising. numpy.unique hashes since 2.3, which takes ten times as long for many values."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def rows_in_tables(
    given: int | tuple[int, ...] | None, stated: tuple[int, ...] | None, file: str
) -> tuple[int, ...] | None:
    """Return the rows of the tables as an option gives them or the file says; TraceError where these differ."""
    if given is None:
        return stated
    rows = (given,) if isinstance(given, int | np.integer) else tuple(given)
    whole = all(isinstance(count, int | np.integer) and not isinstance(count, bool) for count in rows)
    if not rows or not whole or min(rows) < 1 or sum(rows) > MOST_ROWS:
        raise TraceError(
            f"{file}: rows must be whole numbers of at least 1, one for each table, at most {MOST_ROWS} together, not {given!r}"
        )
    rows = tuple(map(int, rows))
    if stated is not None and rows != stated:
        raise TraceError(f"{file}: has tables of {stated} rows, not of {rows} as given")
    return rows


def survey(pieces: Iterable[Piece], known: KnownTables, *, compact: bool, file: str) -> Tables:
    """Find the rows of each table: as known, else up to the highest looked up; with `compact`, those that are looked up.

    Takes memory for the distinct rows of a table with `compact`, else only for one piece. TraceError where a table is looked up
    nowhere and its rows are not known, or there are no look-ups at all.
    """
    if known.rows is not None and not compact:
        return Tables(known.rows, known)
    highest: dict[int, int] = {}
    distinct: dict[int, Integers] = {}
    for piece in pieces:
        if not len(piece.rows):
            continue
        if not compact:
            _check_not_negative(piece)
        _check_tables(piece, MOST_ROWS)
        for table in sorted_distinct(piece.tables[piece.lengths > 0]).tolist():
            mine = piece.tables == table
            rows = piece.rows if mine.all() else piece.rows[piece.of_lookups(mine)]
            if compact:
                rows = sorted_distinct(rows)
                distinct[table] = sorted_distinct(np.concatenate([distinct.get(table, rows[:0]), rows]))
            highest[table] = max(highest.get(table, 0), int(rows.max()))
    if not highest:
        raise TraceError(f"{file}: has no look-ups")
    count = max(max(highest) + 1, len(known.rows or ()))
    empty = next((table for table in range(count) if table not in highest), None)
    if empty is not None:
        what = "rows cannot be renumbered" if compact else "its rows must be given"
        raise TraceError(f"{file}: table {empty} of {count} is looked up nowhere: {what}")
    if compact:
        renumbered = tuple(distinct[table] for table in range(count))
        return Tables(tuple(map(len, renumbered)), known, renumbered)
    for table, last in highest.items():
        if last >= MOST_ROWS:
            raise TraceError(
                f"{file}: table {table}: row {last} is beyond {MOST_ROWS - 1}; --compact renumbers the rows that there are"
            )
    return Tables(tuple(highest[table] + 1 for table in range(count)), known)


def _check_tables(piece: Piece, count: int) -> None:
    """Refuse a bag of a table outside 0 to `count` - 1."""
    wrong = np.flatnonzero((piece.tables < 0) | (piece.tables >= count))
    if len(wrong):
        bag = int(wrong[0])
        place = piece.told(piece.first + int(piece.lengths[:bag].sum()), piece.first_bag + bag)
        raise TraceError(f"{place}: table {piece.tables[bag]} is outside 0 to {count - 1}")


def _check_not_negative(piece: Piece) -> None:
    wrong = np.flatnonzero(piece.rows < 0)
    if len(wrong):
        place = piece.place(int(wrong[0]))
        raise TraceError(f"{place}: row {piece.rows[wrong[0]]} is negative; --compact takes any numbers as ids")


def as_trace(piece: Piece, tables: Tables, file: str) -> Trace:
    """Make a trace of a piece: each row checked against its table, or renumbered."""
    _check_tables(piece, len(tables.rows))
    rows, ids = piece.rows, tables.known.ids
    if tables.renumbered is None:
        _check_not_negative(piece)
    else:
        of = piece.of_lookups(piece.tables)
        rows = np.empty_like(rows)
        for table, numbers in enumerate(tables.renumbered):
            mine = of == table
            places = np.searchsorted(numbers, piece.rows[mine])
            rows[mine] = places if tables.turned is None else tables.turned[table][places]
        ids = (
            tables.texts or tables.renumbered
            if ids is None
            else tuple(old[numbers] for old, numbers in zip(ids, tables.renumbered, strict=True))
        )
    limits = piece.of_lookups(np.asarray(tables.rows, dtype=np.int64)[piece.tables])
    wrong = np.flatnonzero(rows >= limits)
    if len(wrong):
        at = int(wrong[0])
        raise TraceError(f"{piece.place(at)}: row {rows[at]} is outside 0 to {limits[at] - 1}")
    return Trace(
        tables.rows,
        np.concatenate([[0], np.cumsum(piece.lengths)]).astype(np.int64),
        rows.astype(np.int32),
        piece.tables.astype(np.int32),
        piece.queries,
        tables.known.origin or file,
        tables.known.names,
        piece.weights,
        tables.known.synthetic,
        ids,
        piece.times,
    )


def whole_queries(traces: Iterable[Trace], chunk: int) -> Iterator[Trace]:
    """Cut traces that follow each other so that each holds whole queries: as many as have at most `chunk` bags and `chunk`
    look-ups, at least one.

    Holds little more than `chunk` look-ups, a piece and the longest query.
    """
    waiting: list[Trace] = []
    size = 0
    for trace in traces:
        if not trace.bags:
            continue
        new = not waiting or waiting[-1].queries[-1] != trace.queries[-1]
        waiting.append(trace)
        size += max(trace.lookups, trace.bags)
        # Until a query ends, nothing can be cut off, and what waits need not be put together.
        if size > chunk and new:
            yield from _cut(waiting, chunk, last=False)
            size = sum(max(trace.lookups, trace.bags) for trace in waiting)
    if waiting:
        yield from _cut(waiting, chunk, last=True)


def _cut(waiting: list[Trace], chunk: int, *, last: bool) -> Iterator[Trace]:
    """Yield full chunks of what waits, and leave there what may still grow; with `last`, nothing is left."""
    whole = join(waiting)
    ends = np.append(np.flatnonzero(np.diff(whole.queries)) + 1, whole.bags)
    lookups = whole.offsets[ends]
    start, bag = 0, 0
    while start < len(ends):
        most = min(
            int(np.searchsorted(ends, bag + chunk, side="right")),
            int(np.searchsorted(lookups, whole.offsets[bag] + chunk, side="right")),
        )
        # The last query, and a chunk that is not full, may grow by the next piece.
        if not last and most >= len(ends) - 1:
            break
        start = max(most, start + 1)
        yield whole.select(slice(bag, ends[start - 1]))
        bag = int(ends[start - 1])
    waiting[:] = [whole.select(slice(bag, whole.bags))] if start < len(ends) else []
