"""Baskets: text in which each line is a bag, its fields the rows, as many as there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mho.errors import TraceError
from mho.network.trace.columns import LineOptions
from mho.network.trace.text import TextFile, split


def baskets(source: TextFile, options: LineOptions, block: int) -> Iterator[tuple[dict[str, Any], Any, int]]:
    """Read lines of some `block` characters at once: the query of each where it tells it, its rows, and the first line's number.

    Each line is a query, unless `options.query` is the number of the field, from 1 on, that tells whose it is. Empty fields at the
    end of a line are none. TraceError where other columns are named, and for a line without the query's field.
    """
    import pyarrow as pa

    for name in ("row", "table", "weight", "time"):
        if getattr(options, name) is not None:
            raise TraceError(f"{source.path}: in baskets every field is a row, so that there is no --{name}")
    at = None
    if options.query is not None:
        if not options.query.isdecimal() or not 1 <= int(options.query) <= 10_000:
            raise TraceError(
                f"{source.path}: --query of baskets is the number of a field, from 1 on, not {options.query!r}"
            )
        at = int(options.query) - 1
    separator = source.form.separator
    for lines, first in source.lines(block):
        fields = [_fields(line, separator) for line in lines]
        columns: dict[str, Any] = {}
        if at is not None:
            _check_query(fields, at, first, source)
            columns["query"] = pa.array([line.pop(at).encode() for line in fields], pa.binary())
        yield columns, pa.array([[field.encode() for field in line] for line in fields], pa.list_(pa.binary())), first


def _fields(line: str, separator: str) -> list[str]:
    fields = split(line, separator)
    while fields and not fields[-1].strip():
        fields.pop()
    return fields


def _check_query(fields: Sequence[Sequence[str]], at: int, first: int, source: TextFile) -> None:
    for number, basket in enumerate(fields):
        if len(basket) <= at:
            line = source.line(first + number)
            raise TraceError(
                f"{source.path}: line {line}: has {len(basket)} fields, and so none that is its query ({at + 1})"
            )
