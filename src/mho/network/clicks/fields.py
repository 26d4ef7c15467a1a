"""From what a column holds to rows of a table, learnt on the records to train on alone.

A category: the most frequent value gets row 1, and so on; values that are rare there, or not there at all, share row 0. A number:
row 0 is for missing ones, the others are intervals that hold about equally many records.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mho.network.trace.values import MISSING

UNKNOWN = "(unknown)"
"""What row 0 of a field is called."""


class Coded(NamedTuple):
    """A field's rows int32 (records,), and what each row is called, text (rows of the table,)."""

    x: npt.NDArray[np.int32]
    ids: npt.NDArray[np.str_]


def categories(numbers: npt.NDArray[np.int32], values: list[str], train: npt.NDArray[np.bool_], least: int) -> Coded:
    """Give rows to values by falling frequency, ties by their text; those rarer than `least` and missing ones have row 0.

    `numbers` int32 (records,) are places in `values`; `train` bool (records,).
    """
    counts = np.bincount(numbers[train], minlength=len(values))
    counts[[place for place, value in enumerate(values) if value in MISSING]] = 0
    kept = sorted(np.flatnonzero(counts >= least).tolist(), key=lambda place: (-counts[place], values[place]))
    rows = np.zeros(len(values), dtype=np.int32)
    rows[kept] = np.arange(1, len(kept) + 1)
    return Coded(rows[numbers], np.array([UNKNOWN, *(values[place] for place in kept)], dtype=np.str_))


def buckets(numbers: npt.NDArray[np.float64], train: npt.NDArray[np.bool_], count: int) -> Coded:
    """Give rows to numbers by up to `count` intervals, whose ends are quantiles of the records to train on; NaN has row 0."""
    known = numbers[train & ~np.isnan(numbers)]
    ends = np.zeros(0)
    if len(known):
        shares = np.arange(1, count) / count
        ends = np.unique(np.quantile(known, shares, method="inverted_cdf")) if count > 1 else ends
        ends = ends[ends < known.max()]
    rows = 1 + np.searchsorted(ends, numbers, side="left").astype(np.int32)
    rows[np.isnan(numbers)] = 0
    texts = [f"to {end:g}" for end in ends]
    last = f"above {ends[-1]:g}" if len(ends) else "any"
    return Coded(rows, np.array([UNKNOWN, *texts, last], dtype=np.str_))


__all__ = ["UNKNOWN", "Coded", "buckets", "categories"]
