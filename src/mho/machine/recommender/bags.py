"""From queries to a trace of look-ups, and from a trace to the sums of its bags: the reference of any look-up machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mho.errors import TraceError, choices
from mho.network.trace import Trace

AnyArray = npt.NDArray[Any]
Field = AnyArray | tuple[AnyArray, AnyArray]
"""Rows (queries,), one a query or -1 for none; or (offsets (queries + 1,), rows): any number a query."""


def make_trace(
    names: Sequence[str], rows: Sequence[int], queries: Mapping[str, Field], origin: str, *, synthetic: bool = False
) -> Trace:
    """Lay out queries as a trace: a bag for each query and table, the tables of a query in order.

    Raises TraceError for fields that are missing or unknown, of unequal length, or with rows outside their table.
    """
    wrong = sorted(queries.keys() ^ set(names))
    if wrong:
        state = "is missing" if wrong[0] in names else "is no table"
        raise TraceError(f"{origin}: {wrong[0]!r} {state}; {choices(wrong[0], names)}")
    fields = [_ragged(name, queries[name], origin) for name in names]
    counts = {len(lengths) for lengths, _ in fields}
    if len(counts) != 1:
        raise TraceError(f"{origin}: fields have unequal numbers of queries: {sorted(counts)}")
    count, tables = counts.pop(), len(names)
    lengths = np.stack([field for field, _ in fields], axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths.reshape(-1))]).astype(np.int64)
    indices = np.empty(int(offsets[-1]), dtype=np.int32)
    for place, (size, field_rows) in enumerate(fields):
        starts = offsets[place:-1:tables]
        before = np.cumsum(size) - size
        indices[np.repeat(starts - before, size) + np.arange(len(field_rows))] = field_rows
    return Trace(
        tuple(int(n) for n in rows),
        offsets,
        indices,
        np.tile(np.arange(tables, dtype=np.int32), count),
        np.repeat(np.arange(count, dtype=np.int64), tables),
        origin,
        tuple(names),
        synthetic=synthetic,
    )


def _ragged(name: str, field: Field, origin: str) -> tuple[npt.NDArray[np.int64], AnyArray]:
    """Return a field as lengths (queries,) and rows."""
    if isinstance(field, tuple):
        offsets, rows = (np.asarray(array) for array in field)
        whole = offsets.ndim == rows.ndim == 1 and {offsets.dtype.kind, rows.dtype.kind} <= set("iu") and len(offsets)
        if not whole or offsets[0] != 0 or offsets[-1] != len(rows) or (np.diff(offsets) < 0).any():
            raise TraceError(
                f"{origin}: {name!r}: offsets (queries + 1,) rise from 0 to the number of rows, as integers"
            )
        return np.diff(offsets).astype(np.int64), rows
    rows = np.asarray(field)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows.size and rows.min() < -1):
        raise TraceError(f"{origin}: {name!r}: one row a query, an integer from 0, or -1 for none")
    present = rows >= 0
    return present.astype(np.int64), rows[present]


def add_up(trace: Trace, tables: Sequence[AnyArray], dtype: type[np.int64] | type[np.float64]) -> AnyArray:
    """Add the rows of every bag: (queries, tables, dimension) of `dtype`, queries in the trace's order.

    `tables`: arrays (rows, dimension), one for each table of the trace. A query without a bag in a table has 0 there; weights
    multiply. With int64 the sums are exact. Raises TraceError for tables that do not fit the trace.
    """
    if tuple(len(table) for table in tables) != trace.rows:
        given = tuple(len(table) for table in tables)
        raise TraceError(f"{trace.origin}: tables have {given} rows, the trace's have {trace.rows}")
    numbers, place = np.unique(trace.queries, return_inverse=True)
    sums = np.zeros((len(numbers), len(tables), tables[0].shape[1]), dtype=dtype)
    for number, table in enumerate(tables):
        bags = np.flatnonzero(trace.tables == number)
        in_table = trace.select(bags)
        weights = np.ones(in_table.lookups, dtype=dtype) if in_table.weights is None else in_table.weights.astype(dtype)
        # Only rows that are looked up are brought to the wide type: tables may have many more.
        used, indices = np.unique(in_table.indices, return_inverse=True)
        look_ups = sparse.csr_matrix((weights, indices, in_table.offsets), shape=(in_table.bags, len(used)))
        np.add.at(sums[:, number], place[bags], look_ups @ table[used].astype(dtype))
    return sums
