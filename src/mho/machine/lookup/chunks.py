"""A trace in chunks of whole batches, so that no more than so many look-ups are dispatched and timed at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from mho.network.trace import Trace

CHUNK = 1 << 20
"""Look-ups that are dispatched and timed at once, or a single batch where that has more."""


def chunks(parts: Iterator[Trace], batch: int, most: int = CHUNK) -> Iterator[Trace]:
    """Yield a trace that comes in parts, each of whole queries, in chunks of whole batches of at most so many look-ups."""
    for trace in parts:
        begins = np.concatenate([np.flatnonzero(np.diff(trace.queries, prepend=trace.queries[0] - 1)), [trace.bags]])
        low = 0
        cuts = [*begins[:-1:batch][1:].tolist(), trace.bags]
        for at, following in itertools.pairwise(cuts):
            if trace.offsets[following] - trace.offsets[low] > most:
                yield trace.select(slice(low, at))
                low = at
        yield trace.select(slice(low, trace.bags)) if low else trace
