"""Reading traces from files, whole or chunk by chunk: the format is told by the end of the name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from mho.errors import TraceError
from mho.files.text import check_regular
from mho.network.trace.columns import LineOptions
from mho.network.trace.lines import LineFile
from mho.network.trace.npz import NpzFile
from mho.network.trace.pieces import BLOCK, KnownTables, Piece, Tables, as_trace, rows_in_tables, survey, whole_queries
from mho.network.trace.record_file import PARQUET
from mho.network.trace.trace import Trace, join
from mho.network.trace.values import Untidy

NPZ = ".npz"
LEAST_BLOCK = 1 << 12
"""Look-ups that are read at once, even for smaller chunks."""
Source = LineFile | NpzFile
ARRAYS = ("bag", "row", "table", "weight")


class Options(TypedDict, total=False):
    """The options by which a file is read. Of text and Parquet files: see `LineOptions`; what is not given, the file shows.

    Of .npz files: `bag` and `row` (`table`, `weight`) name arrays with the bag and the row of each look-up, in any order; without
    them it has arrays offsets (or indptr) and indices.
    """

    query: str | None
    table: str | None
    row: str | Sequence[str] | None
    weight: str | None
    time: str | None
    ignored: Sequence[str]
    separator: str | None
    header: bool | None
    basket: bool
    skip_missing: bool
    bag: str | None


def _source(path: str | Path, options: Options) -> Source:
    path = Path(path)
    stated = {name: value for name, value in options.items() if value not in (None, (), [], False) or name == "header"}
    arguments = {name: value for name, value in stated.items() if value is not None}
    if path.is_dir():
        raise TraceError(f"{path}: is a folder; a trace is a file")
    if not path.exists():
        raise TraceError(f"{path}: there is no such file")
    check_regular(path, TraceError)
    kind = "a .npz" if path.suffix == NPZ else "a Parquet" if path.suffix in PARQUET else "a text"
    allowed = ARRAYS if path.suffix == NPZ else tuple(item.name for item in fields(LineOptions))
    if path.suffix in PARQUET:
        allowed = tuple(name for name in allowed if name not in ("separator", "header"))
    for name in arguments:
        if name not in allowed:
            raise TraceError(f"{path}: {name!r} says nothing for {kind} file; there are {', '.join(allowed)}")
    if path.suffix == NPZ:
        if not isinstance(arguments.get("row", ""), str):
            raise TraceError(f"{path}: in a .npz file one array tells the rows, not several")
        return NpzFile(path, **arguments)  # type: ignore[arg-type]
    return LineFile(path, LineOptions(**arguments))  # type: ignore[arg-type]


def _known(source: Source, rows: int | Sequence[int] | None, compact: bool) -> KnownTables:
    known = source.known
    if compact:
        if rows is not None:
            raise TraceError(f"{source.path}: --rows is not for rows that are renumbered (--compact)")
        return known
    counts = rows if rows is None or isinstance(rows, int | np.integer) else tuple(rows)
    return replace(known, rows=rows_in_tables(counts, known.rows, str(source.path)))


def _surveyed(
    source: Source, rows: int | Sequence[int] | None, compact: bool, block: int = BLOCK, sink: list[Piece] | None = None
) -> tuple[Source, Tables]:
    """Find the tables, and how the file is to be read, by reading it; pieces are put into `sink`, where it is given."""
    while True:
        text = isinstance(source, LineFile) and "row" in source.text
        if text and rows is not None:
            raise TraceError(
                f"{source.path}: its ids of rows are text, and numbered as they are there; --rows is for numbers"
            )
        known = _known(source, rows, compact)
        pieces = source.pieces(block)
        if sink is not None:
            sink.clear()
            pieces = _collected(pieces, sink)
        try:
            tables = survey(pieces, known, compact=compact or text, file=str(source.path))
            if sink is not None or isinstance(source, LineFile):
                # Even where its tables are known: lines show only as a whole how they are to be read.
                for _ in pieces:
                    pass
            if isinstance(source, LineFile):
                tables = source.named(tables)
        except Untidy as untidy:
            assert isinstance(source, LineFile), "only lines can be untidy"
            source = source.otherwise(untidy)
        else:
            return source, tables


def _collected(pieces: Iterator[Piece], sink: list[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        sink.append(piece)
        yield piece


def read(
    path: str | Path, *, rows: int | Sequence[int] | None = None, compact: bool = False, **options: Unpack[Options]
) -> Trace:
    """Read a trace from a .npz, .parquet or text file (CSV and its like, gzip-compressed or not).

    `rows`: of the table, or of each; else as the file says, or else up to the highest that is looked up. `compact`: renumber the
    rows that are looked up, rising, from 0 on, as is always done where ids are text; `Trace.ids` then tells what the file calls
    them. `options`: see `Options` and docs/trace.md. Raises TraceError with file, and line or bag or look-up.
    """
    pieces: list[Piece] = []
    source, tables = _surveyed(_source(path, options), rows, compact, sink=pieces)
    if not pieces:
        raise TraceError(f"{source.path}: has no bags")
    return replace(
        join(as_trace(piece, tables, str(source.path)) for piece in pieces),
        origin=tables.known.origin or source.path.name,
    )


def stream(
    path: str | Path,
    chunk: int = BLOCK,
    *,
    rows: int | Sequence[int] | None = None,
    compact: bool = False,
    **options: Unpack[Options],
) -> Iterator[Trace]:
    """Read a trace chunk by chunk; `join` of all is what `read` returns. Options as for `read`.

    A chunk holds whole queries, as many as have at most `chunk` bags and look-ups, at least one. Memory is bounded by a few
    chunks and the longest query, with `compact` by the distinct rows, and of ids that are text by these. Files of lines are read
    twice, and so are others that do not tell the rows of their tables. What has to be sorted is held whole, however small the
    chunk: a .npz file read by `bag` and `row`, and lines whose queries do not stand together, or with `time`. Raises TraceError as
    `read` does, when it comes to what is wrong.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise TraceError(f"a chunk has at least 1 look-up, not {chunk!r}")
    block = min(max(chunk, LEAST_BLOCK), BLOCK)
    source, tables = _surveyed(_source(path, options), rows, compact, block)
    empty = True
    for trace in whole_queries((as_trace(piece, tables, str(source.path)) for piece in source.pieces(block)), chunk):
        empty = False
        yield replace(trace, origin=tables.known.origin or source.path.name)
    if empty:
        raise TraceError(f"{source.path}: has no bags")
