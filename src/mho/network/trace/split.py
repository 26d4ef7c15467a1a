"""A trace in two: the history that a layout is made by, and what it is tested on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.trace import Trace


def split(trace: Trace, share: float, seed: int | None = None) -> tuple[Trace, Trace]:
    """Split whole queries: a share of them, rounded, is history, the others test; every bag is in one of the two.

    `seed` None: the first queries are history, as time goes; else queries drawn at random, each part in its old order.
    Raises TraceError where one part would have no query.
    """
    new = np.flatnonzero(trace.queries[1:] != trace.queries[:-1]) + 1
    first = np.concatenate([np.zeros(min(trace.bags, 1), dtype=np.int64), new])
    queries = len(first)
    count = round(share * queries) if 0 < share < 1 else 0
    if not 0 < count < queries:
        raise TraceError(f"{trace.origin}: a share of {share} of {queries} queries leaves a part of the trace empty")
    history = np.zeros(queries, dtype=np.bool_)
    drawn = np.arange(queries) if seed is None else np.random.default_rng(seed).permutation(queries)
    history[drawn[:count]] = True
    of_bags = np.repeat(history, np.diff(first, append=trace.bags))

    def part(chosen: npt.NDArray[np.bool_], words: str, size: int) -> Trace:
        how = "" if seed is None else f" at random (seed {seed})"
        found = trace.select(np.flatnonzero(chosen))
        return replace(found, origin=f"{words} {size} of the {queries} queries{how} of {trace.origin}")

    if seed is None:
        return part(of_bags, "the first", count), part(~of_bags, "the last", queries - count)
    return part(of_bags, "history,", count), part(~of_bags, "test,", queries - count)
