"""Traces with rare rows or short bags left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.trace import Trace


def row_counts(trace: Trace) -> npt.NDArray[np.int64]:
    """Return how often each row is looked up, rows counted through all tables: int64 (rows,)."""
    return np.bincount(trace.flat, minlength=trace.total_rows)


def _check_least(least: int, what: str) -> None:
    if isinstance(least, bool) or not isinstance(least, int | np.integer) or least < 1:
        raise TraceError(f"{what} is a whole number of at least 1, not {least!r}")


def minimum_frequency(trace: Trace, least: int, *, keep_empty: bool = False) -> Trace:
    """Leave out rows that are looked up less than `least` times, and renumber the others table by table, in their order.

    `Trace.ids` of the result tells the numbers that they had first. Bags that lose all their rows go too, unless `keep_empty`.
    Raises TraceError where a table would have no rows, or `least` is below 1.
    """
    _check_least(least, "minimum frequency")
    frequent = row_counts(trace) >= least
    of_table = np.split(frequent, trace.base[1:-1])
    rows = tuple(int(mask.sum()) for mask in of_table)
    if not all(rows):
        name = trace.names[rows.index(0)]
        raise TraceError(f"{trace.origin}: no row of table {name} is looked up {least} times or more")
    numbers = np.concatenate([np.cumsum(mask) - 1 for mask in of_table])
    stays = frequent[trace.flat]
    ends = np.concatenate([[0], np.cumsum(stays)])[trace.offsets]
    filtered = replace(
        trace,
        rows=rows,
        offsets=ends.astype(np.int64),
        indices=numbers[trace.flat[stays]].astype(np.int32),
        weights=None if trace.weights is None else trace.weights[stays],
        ids=tuple(trace.original(table)[mask] for table, mask in enumerate(of_table)),
        origin=f"{trace.origin}, rows seen {least} times or more",
    )
    if keep_empty:
        return filtered
    nonempty = (filtered.lengths > 0) | (trace.lengths == 0)
    return filtered if nonempty.all() else filtered.select(np.flatnonzero(nonempty))


def minimum_length(trace: Trace, least: int) -> Trace:
    """Leave out bags with less than `least` look-ups. Raises TraceError where `least` is below 1."""
    _check_least(least, "minimum length")
    filtered = trace.select(np.flatnonzero(trace.lengths >= least))
    return replace(filtered, origin=f"{trace.origin}, bags of {least} look-ups or more")
