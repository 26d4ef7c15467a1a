"""Traces of look-ups by the line, in text or Parquet files: a look-up a line, a basket a line, or a table a column.

Files are taken for tidy first: ids are whole numbers, the look-ups of a query stand together, queries rise. Where a file shows
itself to be otherwise (`Untidy`) it is read again, in the way that it then needs (`LineFile.otherwise`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace import values
from mho.network.trace.baskets import baskets
from mho.network.trace.columns import ChosenColumns, choose
from mho.network.trace.order import Lookups, in_order, joined
from mho.network.trace.pieces import BLOCK, Integers, KnownTables, Piece, Tables, bag_starts, falling, whole_weights
from mho.network.trace.record_file import RecordFile
from mho.network.trace.values import TextNumbers, Untidy

MOST_SORTED = 1 << 27
"""Look-ups of a file whose queries do not stand together, at most: they are held whole, some 60 bytes each, to be sorted."""


@dataclass(frozen=True, eq=False)
class Records:
    """Some records, cut into look-ups: a column for each role, arrow arrays or numbers.

    `first`: the first of the records; `of`: the record of each look-up.
    """

    columns: dict[str, Any]
    first: int
    of: Integers

    def record(self, at: int) -> int:
        """Return the record of a look-up."""
        return int(self.of[at]) if len(self.of) else self.first


@dataclass(frozen=True)
class LineFile(RecordFile):
    """A text or Parquet file as a source of pieces. `text`: roles whose ids are text; `sorted`: its look-ups are to be sorted."""

    text: frozenset[str] = frozenset()
    sorted: bool = False
    codes: dict[str, TextNumbers] = field(default_factory=dict, compare=False, repr=False)

    def otherwise(self, untidy: Untidy) -> LineFile:
        """Return the same file, read in the way that it turned out to need."""
        if untidy.what == "order":
            return replace(self, sorted=True, codes={})
        return replace(self, text=self.text | {untidy.what}, codes={})

    @cached_property
    def chosen(self) -> ChosenColumns:
        """Return the columns that are read."""
        return choose(self.options, self.columns, self.header, str(self.path))

    @cached_property
    def known(self) -> KnownTables:
        """Return what the file says of its tables: their names, where each is a column; and what was guessed of its form."""
        with self.refusing():
            names = () if self.options.basket else self.chosen.names
            return KnownTables(names=names, origin=f"{self.path.name}{self._notes()}")

    def _notes(self) -> str:
        """Say what was guessed or done, in brackets; nothing of a file that is as docs/trace.md describes it."""
        notes = []
        if not self.parquet:
            form = self.source.form
            usual = "\t" if ".tsv" in self.path.suffixes else ","
            notes += [f"separator {form.separator!r}"] if form.separator != usual else []
            notes += ["one basket a line"] if self.options.basket else ["no header"] if not form.header else []
        notes += ["what is missing left out"] if self.options.skip_missing else []
        return f" ({', '.join(notes)})" if notes else ""

    def named(self, tables: Tables) -> Tables:
        """Give tables what this file calls their rows, and themselves, where these are text."""
        if "table" in self.text:
            tables = replace(tables, known=replace(tables.known, names=tuple(self.codes["table"].names.tolist())))
        if self.sorted:
            how = "query and time" if self.options.time is not None else "query"
            tables = replace(tables, known=replace(tables.known, origin=f"{tables.known.origin}, sorted by {how}"))
        return tables.with_texts(self.codes["row"].names) if "row" in self.text else tables

    def pieces(self, block: int = BLOCK) -> Iterator[Piece]:
        """Read about `block` look-ups at a time. Raises Untidy, or TraceError with the line, or the record of Parquet (from 0)."""
        with self.refusing():
            if self.sorted:
                yield from self._sorted
            else:
                yield from self._bags(self._lines(block))

    def _records(self, block: int) -> Iterator[Records]:
        """Read records and cut them into look-ups."""
        if self.options.basket:
            if self.parquet:
                raise TraceError(f"{self.path}: --basket is for text; in a Parquet file a basket is a list, in --row")
            for columns, rows, first in baskets(self.source, self.options, block):
                yield _cut(columns, [rows], first)
            return
        chosen = self.chosen
        count = max(block // len(chosen.rows), 1)
        roles = {"query": chosen.query, "table": chosen.table, "weight": chosen.weight, "time": chosen.time}
        for batch, first in self.batches(chosen.all, count):
            at = dict(zip(chosen.all, batch.columns, strict=True))
            columns = {role: at[place] for role, place in roles.items() if place is not None}
            yield _cut(columns, [at[place] for place in chosen.rows], first)

    def _lines(self, block: int) -> Iterator[Lookups]:
        first = 0
        for records in self._records(block):
            lines = self._converted(records, first)
            if len(lines.row):
                first += len(lines.row)
                yield lines
        if not first:
            raise TraceError(f"{self.path}: has no look-ups")

    def _converted(self, records: Records, first: int) -> Lookups:
        """Turn columns into numbers; what is missing is refused, or left out where that is asked for."""
        columns = {
            role: column.dictionary_decode() if hasattr(column, "dictionary_decode") else column
            for role, column in records.columns.items()
        }
        records = replace(records, columns=columns)
        # In whole numbers of a text file, nothing is no number, and is looked for when it was met.
        if self.options.skip_missing or self.text or self.parquet:
            records = self._without_missing(records)
        try:
            return self._numbers(records, first)
        except (Untidy, TraceError):
            self._without_missing(records)
            raise

    def _without_missing(self, records: Records) -> Records:
        complete: npt.NDArray[np.bool_] | None = None
        for role, column in records.columns.items():
            missing = None if isinstance(column, np.ndarray) else values.blanks(column)
            if missing is None:
                continue
            if not self.options.skip_missing:
                record = records.record(int(missing.argmax()))
                raise TraceError(
                    f"{self.place(record)}: the {role} is missing; --skip-missing leaves such look-ups out"
                )
            complete = ~missing if complete is None else complete & ~missing
        if complete is None:
            return records
        columns = {
            role: column[complete] if isinstance(column, np.ndarray) else column.filter(complete)
            for role, column in records.columns.items()
        }
        return Records(columns, records.first, records.of[complete])

    def _numbers(self, records: Records, first: int) -> Lookups:
        def place(at: int) -> str:
            return self.place(records.record(at))

        def ids(role: str) -> Integers:
            column = records.columns[role]
            if isinstance(column, np.ndarray):
                return column
            if role in self.text:
                return self.codes.setdefault(role, TextNumbers()).of(values.texts(column, role, place))
            return values.numbers(column, role, place)

        columns = records.columns
        count = len(columns["row"])
        query, row = ids("query"), ids("row")
        table = ids("table") if "table" in columns else np.zeros(count, dtype=np.int64)
        weight = None
        if "weight" in columns:
            weight = whole_weights(values.reals(columns["weight"], "weight", place), place)
        time = values.times(columns["time"], place) if "time" in columns else None
        return Lookups(query, table, row, weight, time, records.of, first)

    def _bags(self, blocks: Iterable[Lookups]) -> Iterator[Piece]:
        """Make bags of lines; the last query of a block waits for the next one, which may go on with it."""
        if self.options.time is not None:
            raise Untidy("order")
        waiting: list[Lookups] = []
        bag = 0
        for lines in blocks:
            if len(falling(lines.query, int(waiting[-1].query[-1]) if waiting else None)):
                raise Untidy("order")
            start = int(np.searchsorted(lines.query, lines.query[-1]))
            if start == 0 and waiting and waiting[-1].query[-1] == lines.query[-1]:
                waiting.append(lines)
                continue
            if start or waiting:
                done = [*waiting, lines.between(0, start)]
                piece = self._piece(joined(done), bag)
                bag += len(piece.lengths)
                yield piece
            waiting = [lines.between(start, len(lines.query))]
        if waiting:
            yield self._piece(joined(waiting), bag)

    @cached_property
    def _sorted(self) -> tuple[Piece]:
        """Return all look-ups, those of a query together."""
        blocks, count = [], 0
        for lines in self._lines(BLOCK):
            blocks.append(lines)
            count += len(lines.row)
            if count > MOST_SORTED:
                raise TraceError(
                    f"{self.path}: has more than {MOST_SORTED} look-ups, too many to be sorted in memory; sort the file by query "
                    "first, such as by the program sort"
                )
        return (self._piece(in_order(joined(blocks), str(self.path), timed=self.options.time is not None), 0),)

    def _piece(self, lines: Lookups, bag: int) -> Piece:
        starts = bag_starts(lines.query, lines.table)
        queries, tables = lines.query[starts], lines.table[starts]
        order = np.lexsort((tables, queries))
        if ((np.diff(queries[order]) == 0) & (np.diff(tables[order]) == 0)).any():
            # A query comes back to a table.
            raise Untidy("order")
        return Piece(
            np.diff(starts, append=len(lines.query)), tables, queries, lines.row, lines.weight,
            bag, lines.first, lambda at, of: self.place(int(lines.of[at - lines.first])),
            None if lines.time is None else lines.time[starts],
        )  # fmt: skip


def _cut(columns: dict[str, Any], rows: list[Any], first: int) -> Records:
    """Cut records into look-ups: of several columns of rows each is a table, and a list of rows is a basket."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = len(rows[0])
    if len(rows) > 1:
        order = np.arange(count * len(rows)).reshape(len(rows), count).T.ravel()
        alike = rows if len({ids.type for ids in rows}) == 1 else [pc.cast(ids, pa.string()) for ids in rows]
        row = pa.concat_arrays(alike).take(pa.array(order))
        lengths = np.full(count, len(rows))
        columns = {**columns, "table": None}
    elif pa.types.is_list(rows[0].type) or pa.types.is_large_list(rows[0].type):
        row, lengths = rows[0].flatten(), np.asarray(pc.fill_null(pc.list_value_length(rows[0]), 0))
    else:
        return Records({**columns, "row": rows[0]}, first, first + np.arange(count))
    of = np.repeat(np.arange(count), lengths)
    cut: dict[str, Any] = {role: column.take(pa.array(of)) for role, column in columns.items() if column is not None}
    if "table" in columns and columns["table"] is None:
        cut["table"] = np.tile(np.arange(len(rows)), count)
    return Records({"query": first + of, **cut, "row": row}, first, first + of)
