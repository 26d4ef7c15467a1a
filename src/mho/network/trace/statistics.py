"""What a trace is like: how long bags are, how unevenly rows are popular, and how strongly they occur together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.errors import TraceError
from mho.network.trace.cooccurrence import Cooccurrence, cooccurrence
from mho.network.trace.filters import row_counts
from mho.network.trace.pieces import Integers, sorted_distinct
from mho.network.trace.power_law import PowerLaw, fit
from mho.network.trace.trace import Trace

SCHEMA = "mho.trace/1"
REUSE_EDGES = (0, *(1 << power for power in range(16)))
"""Bins of reuse as Meta tells them for its traces: above one edge, up to the next; above the last one all else."""
PERCENTILES = (50, 90, 99)
HEADS = (0.01, 0.1)
"""Shares of the rows looked up, most popular first, whose share of the look-ups is told."""
KEPT_LOOKUPS = 4_000_000
"""Look-ups kept to measure co-occurrence; of longer traces every second bag is, or every fourth ..."""


@dataclass(frozen=True)
class ReuseBin:
    """Rows looked up more than `above` times, up to `to` (None: without end): their share of rows, and of look-ups."""

    above: int
    to: int | None
    rows: float
    lookups: float


@dataclass(frozen=True)
class Statistics:
    """The statistics of a trace; shares are of 1.

    `distinct`: rows that are looked up. `repeats`: look-ups whose row stood in the bag before. `length_percentiles`: by percentage
    the least length that so many of the bags do not exceed. `reuse`: bins of rows by how often they are looked up. `head`: for
    shares of the rows looked up, the most popular first, their share of the look-ups. `power_law`: of the counts of rows, or
    None. `cooccurrence`: measured on `cooccurrence_bags` of the bags.
    """

    origin: str
    synthetic: bool
    rows: tuple[int, ...]
    queries: int
    bags: int
    empty_bags: int
    lookups: int
    repeats: int
    distinct: int
    length_mean: float
    length_max: int
    length_percentiles: dict[int, int]
    reuse: tuple[ReuseBin, ...]
    head: dict[float, float]
    power_law: PowerLaw | None
    cooccurrence: Cooccurrence
    cooccurrence_bags: int

    @property
    def lift(self) -> float | None:
        """Return how much more often rows occur together than their popularity makes them: the one number of co-occurrence."""
        return self.cooccurrence.lift

    def to_dict(self) -> dict[str, Any]:
        """Return as plain data, for JSON."""
        data = {"schema": SCHEMA, **asdict(self)}
        data["rows"] = list(self.rows)
        data["reuse"] = [asdict(share) for share in self.reuse]
        data["length_percentiles"] = {str(key): value for key, value in self.length_percentiles.items()}
        data["head"] = {str(key): value for key, value in self.head.items()}
        if self.power_law is not None:
            data["power_law"]["zipf"] = self.power_law.zipf
        return data


@dataclass
class _Gathered:
    """The counts of rows and lengths, and the evenly spread bags, that are kept while chunks go by."""

    counts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    queries: int = 0
    bags: int = 0
    repeats: int = 0
    last_query: int | None = None
    stride: int = 1
    samples: list[tuple[Integers, Integers, npt.NDArray[np.int32]]] = field(default_factory=list)

    def add(self, trace: Trace) -> None:
        self.counts += row_counts(trace)
        lengths = np.bincount(trace.lengths, minlength=len(self.lengths))
        lengths[: len(self.lengths)] += self.lengths
        self.lengths = lengths
        if trace.bags:
            self.queries += int((np.diff(trace.queries) != 0).sum()) + (trace.queries[0] != self.last_query)
            self.last_query = int(trace.queries[-1])
        self.repeats += _repeats(trace)
        numbers = np.arange(self.bags, self.bags + trace.bags)
        self.bags += trace.bags
        self.samples.append(_sampled(self.stride, numbers, trace.lengths, trace.flat))
        while sum(len(sample[2]) for sample in self.samples) > KEPT_LOOKUPS:
            # The bags kept are those whose number the stride divides, so that they do not depend on the chunks.
            self.stride *= 2
            self.samples = [_sampled(self.stride, *sample) for sample in self.samples]


def _sampled(
    stride: int, numbers: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], flat: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    chosen = numbers % stride == 0
    if chosen.all():
        return numbers, lengths, flat
    return numbers[chosen], lengths[chosen], flat[np.repeat(chosen, lengths)]


def _repeats(trace: Trace) -> int:
    keys = np.repeat(np.arange(trace.bags), trace.lengths) * trace.total_rows + trace.flat
    return len(keys) - len(sorted_distinct(keys))


def statistics(trace: Trace | Iterable[Trace], seed: int = 0) -> Statistics:
    """Measure a trace, or the chunks of one (`mho.network.trace.stream`), with the same result.

    `seed` draws the pairs by which co-occurrence is measured. Of chunks it keeps the counts of rows and lengths and at most
    4 million look-ups. Raises TraceError where there is no look-up, or chunks are not of the same tables.
    """
    gathered: _Gathered | None = None
    first: Trace | None = None
    for chunk in [trace] if isinstance(trace, Trace) else trace:
        if first is None or gathered is None:
            first, gathered = chunk, _Gathered(np.zeros(chunk.total_rows, dtype=np.int64))
        elif chunk.rows != first.rows:
            raise TraceError(f"{chunk.origin}: its tables are not those of the chunks before")
        gathered.add(chunk)
    if first is None or gathered is None or not gathered.counts.any():
        raise TraceError(f"{'the trace' if first is None else first.origin}: has no look-ups")
    return _statistics(first, gathered, seed)


def _statistics(first: Trace, gathered: _Gathered, seed: int) -> Statistics:
    used = np.sort(gathered.counts[gathered.counts > 0])
    lookups = int(used.sum())
    values, number = np.unique(used, return_counts=True)
    below = np.cumsum(gathered.lengths)
    percentiles = {percent: int(np.searchsorted(below, percent / 100 * gathered.bags)) for percent in PERCENTILES}
    lengths = np.concatenate([sample[1] for sample in gathered.samples])
    flat = np.concatenate([sample[2] for sample in gathered.samples])
    return Statistics(
        origin=first.origin,
        synthetic=first.synthetic,
        rows=first.rows,
        queries=gathered.queries,
        bags=gathered.bags,
        empty_bags=int(gathered.lengths[0]),
        lookups=lookups,
        repeats=gathered.repeats,
        distinct=len(used),
        length_mean=lookups / gathered.bags,
        length_max=int(np.flatnonzero(gathered.lengths)[-1]),
        length_percentiles=percentiles,
        reuse=_reuse(values, number),
        head={share: float(used[-max(1, round(share * len(used))) :].sum()) / lookups for share in HEADS},
        power_law=fit(values, number),
        cooccurrence=cooccurrence(lengths, flat, first.total_rows, seed),
        cooccurrence_bags=len(lengths),
    )


def _reuse(values: npt.NDArray[np.int64], number: npt.NDArray[np.int64]) -> tuple[ReuseBin, ...]:
    bins = np.searchsorted(REUSE_EDGES, values, side="left") - 1
    rows = np.bincount(bins, weights=number, minlength=len(REUSE_EDGES)) / number.sum()
    lookups = np.bincount(bins, weights=number * values, minlength=len(REUSE_EDGES)) / (number * values).sum()
    ends = (*REUSE_EDGES[1:], None)
    return tuple(
        ReuseBin(above, to, float(rows[at]), float(lookups[at]))
        for at, (above, to) in enumerate(zip(REUSE_EDGES, ends, strict=True))
    )


@dataclass(frozen=True)
class Unseen:
    """The part of a test that its history never looks up: shares of its look-ups, of its bags with such a look-up, of its rows."""

    lookups: float
    bags: float
    rows: float


def describe(history: Trace, test: Trace) -> Unseen:
    """Tell how much of `test` is of rows that `history` never looks up. Raises TraceError where the tables are not the same."""
    if history.rows != test.rows:
        raise TraceError(f"{test.origin}: its tables are not those of {history.origin}")
    if not test.lookups:
        raise TraceError(f"{test.origin}: has no look-ups")
    seen = row_counts(history) > 0
    unseen = ~seen[test.flat]
    sums = np.concatenate([[0], np.cumsum(unseen)])[test.offsets]
    used = row_counts(test) > 0
    return Unseen(float(unseen.mean()), float((np.diff(sums) > 0).mean()), float((used & ~seen).sum() / used.sum()))
