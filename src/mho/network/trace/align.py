"""Two traces of the same tables, numbered each in its own way, made to number rows alike: a history and a test in two files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mho.errors import TraceError
from mho.network.trace.trace import Trace


def align(one: Trace, other: Trace) -> tuple[Trace, Trace]:
    """Return both traces with the rows of both: tables by their names, rows by what they are called where the traces are from.

    Rows that keep their numbers reach up to the highest of both. TraceError where tables are not the same, or rows are called by
    numbers in one and by texts in the other.
    """
    if len(one.rows) != len(other.rows):
        raise TraceError(f"{other.origin}: has {len(other.rows)} tables, {one.origin} has {len(one.rows)}")
    other = _tables_of(other, one.names)
    if one.ids is None and other.ids is None:
        rows = tuple(max(pair) for pair in zip(one.rows, other.rows, strict=True))
        return replace(one, rows=rows), replace(other, rows=rows, names=one.names)
    tables = range(len(one.rows))
    for table in tables:
        if one.original(table).dtype.kind != other.original(table).dtype.kind:
            raise TraceError(
                f"{other.origin}: table {one.names[table]}: rows are called by numbers in one of the files, by text in the other"
            )
    ids = tuple(np.union1d(one.original(table), other.original(table)) for table in tables)
    aligned = []
    for trace in (one, other):
        places = [np.searchsorted(ids[table], trace.original(table)) for table in tables]
        indices = np.concatenate(places)[trace.flat].astype(np.int32)
        aligned.append(replace(trace, rows=tuple(map(len, ids)), ids=ids, indices=indices, names=one.names))
    return aligned[0], aligned[1]


def _tables_of(trace: Trace, names: tuple[str, ...]) -> Trace:
    """Return a trace with its tables in the order of `names`, where it has just these."""
    if trace.names == names or set(trace.names) != set(names) or len(set(names)) < len(names):
        return trace
    order = [trace.names.index(name) for name in names]
    turned = np.argsort(order).astype(np.int32)
    return replace(
        trace,
        rows=tuple(trace.rows[table] for table in order),
        names=names,
        tables=turned[trace.tables],
        ids=None if trace.ids is None else tuple(trace.ids[table] for table in order),
    )
