"""A synthetic recommender for any trace: to time and to verify a chip where no trained weights are to be had."""

from __future__ import annotations

import numpy as np

from mho.errors import OptionError
from mho.machine.recommender.recommender import Recommender, fitted
from mho.machine.recommender.tables import LARGEST, Table
from mho.network.trace import Trace
from mho.network.zoo.recommenders import DenseSizes, seeded
from mho.network.zoo.seeds import generator

HIDDEN = (64, 32)
SPREAD = 32
"""Standard deviation of the codes of seeded tables."""
CALIBRATED_ON = 256
"""Queries of the trace that activations are calibrated on, the first ones."""


def seeded_recommender(
    trace: Trace, dimension: int = 16, seed: int = 0, *, hidden: tuple[int, ...] = HIDDEN
) -> Recommender:
    """Draw a DLRM for a trace's tables: int8 codes of `dimension` numbers a row, and a dense part with `hidden` layers.

    Synthetic, and labelled so. Tables with a bag of several look-ups are pooled to "unit", others by "sum". Activations are
    calibrated on the trace's first queries. Raises OptionError for sizes below 1, and for a trace without queries.
    """
    sizes = DenseSizes(len(trace.rows), dimension, hidden)
    if not trace.bags:
        raise OptionError(f"{trace.origin}: a trace without queries cannot show the ranges of activations")
    longest = np.zeros(len(trace.rows), dtype=np.int64)
    np.maximum.at(longest, trace.tables, trace.lengths)
    tables = []
    for name, rows, length in zip(trace.names, trace.rows, longest, strict=True):
        drawn = generator(seed, f"table {name}").standard_normal((rows, dimension), dtype=np.float32)
        codes = np.clip(np.rint(drawn * SPREAD), -LARGEST, LARGEST).astype(np.int8)
        tables.append(Table(name, codes, 1.0 / SPREAD, "unit" if length > 1 else "sum"))
    origin = f"seeded {seed} (synthetic)"
    queries = np.unique(trace.queries)[:CALIBRATED_ON]
    some = trace.select(slice(0, int(np.searchsorted(trace.queries, queries[-1], side="right"))))
    return fitted("dlrm", tables, seeded(sizes, seed), sizes, origin, some, True, {})
