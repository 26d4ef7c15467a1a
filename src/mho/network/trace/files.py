"""Reading traces from files, whole or chunk by chunk: the format is told by the end of the name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mho.errors import TraceError
from mho.network.trace.lines import Columns, LineFile
from mho.network.trace.npz import NpzFile
from mho.network.trace.pieces import BLOCK, Known, as_trace, rows_in_tables, survey, whole_queries
from mho.network.trace.trace import Trace, join

FORMATS = (".csv", ".csv.gz", ".npz", ".parquet", ".tsv", ".tsv.gz")
LEAST_BLOCK = 1 << 12
"""Look-ups that are read at once, even for smaller chunks."""
Source = LineFile | NpzFile


def _source(path: str | Path, options: dict[str, Any]) -> Source:
    path = Path(path)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    if path.is_dir():
        raise TraceError(f"{path}: is a folder; a trace is a file: {', '.join(FORMATS)}")
    if suffix not in FORMATS:
        raise TraceError(f"{path}: not a trace's file; known: {', '.join(FORMATS)}")
    if not path.exists():
        raise TraceError(f"{path}: there is no such file")
    allowed = ("bag", "row", "table", "weight") if suffix == ".npz" else ("query", "row", "table", "weight", "ignored")
    for name in given:
        if name not in allowed:
            raise TraceError(f"{path}: {name!r} says nothing for a {suffix} file; there are {', '.join(allowed)}")
    return NpzFile(path, **given) if suffix == ".npz" else LineFile(path, Columns(**given))


def _known(source: Source, rows: int | Sequence[int] | None, compact: bool) -> Known:
    known = source.known
    if compact:
        if rows is not None:
            raise TraceError(f"{source.path}: rows are not given where they are renumbered (compact)")
        return known
    given = rows if rows is None or isinstance(rows, int | np.integer) else tuple(rows)
    return replace(known, rows=rows_in_tables(given, known.rows, str(source.path)))


def read(
    path: str | Path,
    *,
    rows: int | Sequence[int] | None = None,
    compact: bool = False,
    query: str | None = None,
    table: str | None = None,
    row: str | None = None,
    weight: str | None = None,
    ignored: Sequence[str] = (),
    bag: str | None = None,
) -> Trace:
    """Read a trace from a .npz, .csv, .tsv (both also .gz) or .parquet file.

    `rows`: of the table, or of each; else as the file says, or else up to the highest that is looked up. `compact`: renumber the
    rows that are looked up, rising, from 0 on; `Trace.ids` then tells their numbers in the file. `query`, `table`, `row`,
    `weight`: the columns of a CSV or Parquet file, where not of these names; `ignored`: columns that are left unread. `bag` and
    `row` (`table`, `weight`): for a .npz file, arrays with the bag and the row of each look-up, in any order; else it has arrays
    offsets (or indptr) and indices. Raises TraceError with file, and line or bag or look-up; formats: docs/trace.md.
    """
    options = {"query": query, "table": table, "row": row, "weight": weight, "ignored": tuple(ignored), "bag": bag}
    source = _source(path, options)
    known = _known(source, rows, compact)
    pieces = list(source.pieces())
    tables = survey(pieces, known, compact=compact, file=str(source.path))
    if not pieces:
        raise TraceError(f"{source.path}: has no bags")
    return replace(
        join(as_trace(piece, tables, str(source.path)) for piece in pieces), origin=known.origin or source.path.name
    )


def stream(
    path: str | Path,
    chunk: int = BLOCK,
    *,
    rows: int | Sequence[int] | None = None,
    compact: bool = False,
    query: str | None = None,
    table: str | None = None,
    row: str | None = None,
    weight: str | None = None,
    ignored: Sequence[str] = (),
    bag: str | None = None,
) -> Iterator[Trace]:
    """Read a trace chunk by chunk; `join` of all is what `read` returns. Options as for `read`.

    A chunk holds whole queries, as many as have at most `chunk` bags and look-ups, at least one. Memory is bounded by a few
    chunks and the longest query, and with `compact` by the distinct rows. Where the file does not tell the rows of its tables,
    it is read twice. A .npz file read by `bag` and `row` must be sorted: its arrays are held whole, however small the chunk.
    Raises TraceError as `read` does, when it comes to what is wrong.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise TraceError(f"a chunk has at least 1 look-up, not {chunk!r}")
    options = {"query": query, "table": table, "row": row, "weight": weight, "ignored": tuple(ignored), "bag": bag}
    source = _source(path, options)
    known = _known(source, rows, compact)
    block = min(max(chunk, LEAST_BLOCK), BLOCK)
    tables = survey(source.pieces(block), known, compact=compact, file=str(source.path))
    empty = True
    for piece in whole_queries(source.pieces(block), chunk):
        empty = False
        yield replace(as_trace(piece, tables, str(source.path)), origin=known.origin or source.path.name)
    if empty:
        raise TraceError(f"{source.path}: has no bags")
