"""Bags as tensors: of each table the rows that queries look up, one query a line, filled up with -1 where a bag has fewer.

It is what a network of `EmbeddingBag` layers reads: a tensor a table, and, where look-ups have weights, one of these beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.trace import Trace

Ints = npt.NDArray[np.int64]


def longest_bags(trace: Trace) -> tuple[int, ...]:
    """Return the most look-ups of a query in each table, at least 1."""
    place = np.unique(trace.queries, return_inverse=True)[1]
    keys, which = np.unique(place * len(trace.rows) + trace.tables, return_inverse=True)
    longest = np.ones(len(trace.rows), dtype=np.int64)
    np.maximum.at(longest, keys % len(trace.rows), np.bincount(which, trace.lengths, len(keys)).astype(np.int64))
    return tuple(longest.tolist())


def padded(trace: Trace, longest: Sequence[int] | None = None) -> tuple[npt.NDArray[np.int32], ...]:
    """Return for each table the rows that queries look up, int32 (queries, longest), -1 for none; with weights, after each what
    its look-ups count for, 0 for none.

    `longest`: of each table; None: that of its longest bag. Bags of one query and table are one. Raises TraceError where one is
    longer.
    """
    sizes = longest_bags(trace) if longest is None else tuple(longest)
    queries, place = np.unique(trace.queries, return_inverse=True)
    query, table = np.repeat(place.astype(np.int64), trace.lengths), np.repeat(trace.tables, trace.lengths)
    keys = query * len(trace.rows) + table
    order = np.argsort(keys, kind="stable")
    first = np.searchsorted(keys[order], keys[order])
    which = np.empty(trace.lookups, dtype=np.int64)
    which[order] = np.arange(trace.lookups) - first
    arrays: list[npt.NDArray[np.int32]] = []
    for number, size in enumerate(sizes):
        own = table == number
        if own.any() and int(which[own].max()) >= size:
            raise TraceError(
                f"{trace.origin}: a bag of {which[own].max() + 1} look-ups in table {trace.names[number]!r} of bags of up to {size}"
            )
        for values, nothing in ((trace.indices, -1), (trace.weights, 0)):
            if values is not None:
                arrays.append(np.full((len(queries), size), nothing, dtype=np.int32))
                arrays[-1][query[own], which[own]] = values[own]
    return tuple(arrays)


def unpadded(
    rows: Sequence[int], bags: Sequence[tuple[Ints, Ints]], *, weighted: bool, names: Sequence[str] = (), origin: str
) -> Trace:
    """Return tensors of bags as a trace: of each table the rows, (queries, longest), and what each counts for, 0 for none.

    Every query has a bag in each table, which may be empty; without `weighted` a look-up counts for 1.
    """
    queries = len(bags[0][0])
    lengths = np.stack([np.count_nonzero(counts, axis=1) for _, counts in bags], axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths.reshape(-1))]).astype(np.int64)
    indices, weights = np.empty(int(offsets[-1]), np.int32), np.empty(int(offsets[-1]), np.uint8)
    for table, (looked, counts) in enumerate(bags):
        present = counts > 0
        starts = np.repeat(offsets[table : -1 : len(bags)], lengths[:, table])
        at = starts + (np.cumsum(present, axis=1) - 1)[present]
        indices[at], weights[at] = looked[present], counts[present]
    return Trace(
        tuple(rows),
        offsets,
        indices,
        np.tile(np.arange(len(bags), dtype=np.int32), queries),
        np.repeat(np.arange(queries, dtype=np.int64), len(bags)),
        origin,
        tuple(names),
        weights=weights if weighted else None,
    )
