"""Traces of one look-up a line, in CSV or Parquet files: columns query, table, row and weight, read block by block.

The look-ups of a bag stand together, and so do the bags of a query; queries are integers and do not fall.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError, choices
from mho.network.trace.pieces import BLOCK, Integers, Known, Piece, falling, whole_weights

ROLES = ("query", "table", "row", "weight")
LARGEST_BLOCK = 1 << 30
"""Bytes of text that pyarrow takes at once, at the most."""


@dataclass(frozen=True)
class Columns:
    """Which column is what. `table` and `weight` None: those of these names, if there are any; `ignored`: columns left unread."""

    query: str = "query"
    table: str | None = None
    row: str = "row"
    weight: str | None = None
    ignored: tuple[str, ...] = ()

    def among(self, found: list[str], file: str) -> dict[str, str]:
        """Return the column of each role that there is; TraceError where one is missing, twice there, or unknown."""
        twice = sorted({name for name in found if found.count(name) > 1})
        if twice:
            raise TraceError(f"{file}: column {twice[0]!r} is there twice; columns: {', '.join(found)}")
        given = {"query": self.query, "row": self.row, "table": self.table, "weight": self.weight}
        taken = {
            role: name or role for role, name in given.items() if name is not None or (role in found and role in ROLES)
        }
        for role, name in taken.items():
            if name not in found:
                raise TraceError(f"{file}: no column {name!r} for the {role}; {choices(name, found)}")
        if len(set(taken.values())) < len(taken):
            raise TraceError(f"{file}: one column cannot be two things: {taken}")
        for name in self.ignored:
            if name not in found:
                raise TraceError(f"{file}: no column {name!r} to ignore; {choices(name, found)}")
            if name in taken.values():
                raise TraceError(f"{file}: column {name!r} is to be read and to be ignored")
        for name in found:
            if name not in taken.values() and name not in self.ignored:
                raise TraceError(
                    f"{file}: column {name!r} is not known; name it for one of {', '.join(ROLES)}, or ignore it "
                    f"(columns: {', '.join(found)})"
                )
        return taken


@dataclass(frozen=True, eq=False)
class Lines:
    """Some lines: each role's values (int64, weights uint8), and the number of the first, from 0 on."""

    query: Integers
    table: Integers
    row: Integers
    weight: npt.NDArray[np.uint8] | None
    first: int


@dataclass(frozen=True)
class LineFile:
    """A CSV or Parquet file as a source of pieces."""

    path: Path
    columns: Columns
    known: Known = field(default_factory=Known)

    @property
    def parquet(self) -> bool:
        """Whether it is a Parquet file."""
        return self.path.suffix == ".parquet"

    def place(self, number: int) -> str:
        """Say where look-up `number` stands."""
        return f"{self.path}: record {number}" if self.parquet else f"{self.path}: line {number + 2}"

    def pieces(self, block: int = BLOCK) -> Iterator[Piece]:
        """Read about `block` look-ups at a time. TraceError names the line (CSV), or the record from 0 on (Parquet)."""
        from pyarrow.lib import ArrowException

        try:
            with open(self.path, "rb"):
                pass
            yield from self._bags(self._lines(block))
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except (ArrowException, UnicodeDecodeError, EOFError) as error:
            if not self.parquet:
                self._name_ragged()
            kind = "Parquet" if self.parquet else "CSV"
            raise TraceError(f"{self.path}: not a whole {kind} file ({str(error).splitlines()[0]})") from None

    def _lines(self, block: int) -> Iterator[Lines]:
        first = 0
        for batch, names in self._parquet(block) if self.parquet else self._csv(block):
            read = self._from_parquet if self.parquet else self._from_text
            count = batch.num_rows
            if not count:
                continue
            query, row = (read(batch.column(names[role]), role, first) for role in ("query", "row"))
            table = (
                read(batch.column(names["table"]), "table", first) if "table" in names else np.zeros(count, np.int64)
            )
            weight = None
            if "weight" in names:
                start = first
                values = read(batch.column(names["weight"]), "weight", first)
                weight = whole_weights(values, lambda at, start=start: self.place(start + at))  # type: ignore[misc]
            yield Lines(query, table, row, weight, first)
            first += count
        if not first:
            raise TraceError(f"{self.path}: has no look-ups")

    def _parquet(self, block: int) -> Iterator[tuple[Any, dict[str, str]]]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self.path) as file:
            names = self.columns.among(file.schema_arrow.names, str(self.path))
            for batch in file.iter_batches(batch_size=block, columns=list(names.values()), use_threads=False):
                yield batch, names

    def _csv(self, block: int) -> Iterator[tuple[Any, dict[str, str]]]:
        import pyarrow as pa
        from pyarrow import csv as arrow

        if not self.path.stat().st_size:
            raise TraceError(f"{self.path}: is empty")
        found = self._header()
        names = self.columns.among(found, str(self.path))
        reader = arrow.open_csv(
            self.path,
            # No line of a trace is longer than a few numbers; 16 bytes a look-up is about what they take.
            read_options=arrow.ReadOptions(use_threads=False, block_size=min(max(16 * block, 1 << 16), LARGEST_BLOCK)),
            parse_options=arrow.ParseOptions(delimiter=self._delimiter, ignore_empty_lines=False),
            convert_options=arrow.ConvertOptions(
                column_types={name: pa.binary() for name in found}, include_columns=list(names.values())
            ),
        )
        with reader:
            for batch in reader:
                # A block of text is many times larger than `block` lines where lines are short.
                for start in range(0, batch.num_rows, block):
                    yield batch.slice(start, block), names

    @property
    def _delimiter(self) -> str:
        return "\t" if ".tsv" in self.path.suffixes else ","

    def _open_text(self) -> Any:
        opener: Callable[..., Any] = gzip.open if self.path.suffix == ".gz" else open
        return opener(self.path, "rt", encoding="utf-8-sig", errors="replace", newline="")

    def _header(self) -> list[str]:
        with self._open_text() as stream:
            return next(csv.reader(stream, delimiter=self._delimiter), [])

    def _name_ragged(self) -> None:
        """Raise TraceError for the first line with another number of fields than the header, if there is one."""
        try:
            with self._open_text() as stream:
                reader = csv.reader(stream, delimiter=self._delimiter)
                wanted = len(next(reader, []))
                for number, fields in enumerate(reader):
                    if len(fields) != wanted:
                        raise TraceError(f"{self.place(number)}: has {len(fields)} fields, the header {wanted}")
        except (OSError, EOFError, UnicodeDecodeError, csv.Error):
            return

    def _from_text(self, column: Any, role: str, first: int) -> npt.NDArray[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = pa.float64() if role == "weight" else pa.int64()

        def numbers(texts: Any) -> npt.NDArray[Any]:
            return np.asarray(pc.cast(pc.cast(texts, pa.string()), kind))

        try:
            return numbers(column)
        except pa.ArrowInvalid:
            low, high = 0, len(column)
        # The first text that is no number: it is from `low` on and before `high`.
        while high - low > 1:
            middle = (low + high) // 2
            try:
                numbers(column.slice(low, middle - low))
                low = middle
            except pa.ArrowInvalid:
                high = middle
        said = column[low].as_py().decode(errors="replace")
        what = "number" if role == "weight" else "integer of 64 bits"
        raise TraceError(f"{self.place(first + low)}: {role} {said!r} is no {what}")

    def _from_parquet(self, column: Any, role: str, first: int) -> npt.NDArray[Any]:
        import pyarrow as pa

        if column.null_count:
            missing = int(np.flatnonzero(np.asarray(column.is_null()))[0])
            raise TraceError(f"{self.place(first + missing)}: the {role} is missing")
        real = pa.types.is_floating(column.type) and role == "weight"
        if not (pa.types.is_integer(column.type) or real):
            allowed = "numbers" if role == "weight" else "integers"
            raise TraceError(f"{self.path}: the column of the {role} holds {column.type}; it must hold {allowed}")
        values = np.asarray(column)
        if values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
            number = int(np.flatnonzero(values > np.iinfo(np.int64).max)[0])
            raise TraceError(
                f"{self.place(first + number)}: {role} {values[number]} is no integer of 64 bits with sign"
            )
        return values if real else values.astype(np.int64)

    def _bags(self, blocks: Iterable[Lines]) -> Iterator[Piece]:
        """Make bags of lines; the last query of a block waits for the next one, which may go on with it."""
        waiting: list[Lines] = []
        bag = 0
        for lines in blocks:
            self._check_queries(lines, waiting)
            start = int(np.searchsorted(lines.query, lines.query[-1]))
            if start == 0 and waiting and waiting[-1].query[-1] == lines.query[-1]:
                waiting.append(lines)
                continue
            if start or waiting:
                done = [*waiting, _between(lines, 0, start)]
                piece = self._piece(_joined(done), bag)
                bag += len(piece.lengths)
                yield piece
            waiting = [_between(lines, start, len(lines.query))]
        if waiting:
            yield self._piece(_joined(waiting), bag)

    def _check_queries(self, lines: Lines, waiting: list[Lines]) -> None:
        falls = falling(lines.query, int(waiting[-1].query[-1]) if waiting else None)
        if len(falls):
            at = int(falls[0])
            raise TraceError(
                f"{self.place(lines.first + at)}: query {lines.query[at]} comes after a later one; queries must not fall"
            )

    def _piece(self, lines: Lines, bag: int) -> Piece:
        new = np.flatnonzero((np.diff(lines.query) != 0) | (np.diff(lines.table) != 0)) + 1
        starts = np.concatenate([[0], new])
        queries, tables = lines.query[starts], lines.table[starts]
        order = np.lexsort((tables, queries))
        again = (np.diff(queries[order]) == 0) & (np.diff(tables[order]) == 0)
        if again.any():
            # A stable sort: of two bags of one table, the later one is the one that came back.
            at = int(starts[order[1:][again].min()])
            raise TraceError(
                f"{self.place(lines.first + at)}: query {lines.query[at]} comes back to table {lines.table[at]}; "
                "the look-ups of a bag stand together"
            )
        return Piece(
            np.diff(starts, append=len(lines.query)), tables, queries, lines.row, lines.weight,
            bag, lines.first, lambda at, of: self.place(at),
        )  # fmt: skip


def _between(lines: Lines, start: int, stop: int) -> Lines:
    weight = None if lines.weight is None else lines.weight[start:stop]
    return Lines(lines.query[start:stop], lines.table[start:stop], lines.row[start:stop], weight, lines.first + start)


def _joined(parts: list[Lines]) -> Lines:
    weights = [part.weight for part in parts if part.weight is not None]
    return Lines(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.table for part in parts]),
        np.concatenate([part.row for part in parts]),
        np.concatenate(weights) if weights else None,
        parts[0].first,
    )
