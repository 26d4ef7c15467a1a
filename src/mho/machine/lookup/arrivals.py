"""How long queries wait that come one by one, in front of tables that serve batches: latency by load, event by event.

Queries come at random (a Poisson process), or as those of a trace came, and wait in one line. When the tables are free, a batch is
taken from its head as soon as `most` queries wait or the first has waited for `wait_s`: with 0 whatever is there, up to `most`. A
batch takes what its own queries take together (`timing`), so no batch is a mean of others. Its vectors may go on to a part that
takes a fixed time for any batch and one batch at a time (`Behind`, the dense part of a recommender); the tables hold a batch until
that part has read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.engineering import count, quantity
from mho.errors import OptionError, choices
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.service import Service
from mho.machine.lookup.timing import time_lookups
from mho.network.trace.trace import Trace, join

Times = npt.NDArray[np.float64]
Served = Callable[[int, int], Times]
"""Of a first query and a number of queries, which are a batch: when each of these is done, in s from its start."""

LOADS = (*(n / 10 for n in range(1, 10)), 0.95)
"""Loads at which a service is told, of what it can take at most."""
QUERIES = 20_000
"""Queries of each load, if nothing is said: 18 of those that are counted lie beyond the 99.9th percentile."""
LEAST_QUERIES, MOST_QUERIES = 100, 10_000_000
POISSON, OWN = PROCESSES = ("poisson", "own")
"""How queries may come."""
WARM = 0.1
"""Share of the queries, the first ones, that are served but not counted: the line is empty when they come."""
SHARES = {"p50_s": 0.5, "p99_s": 0.99, "p999_s": 0.999}


@dataclass(frozen=True)
class Arrivals:
    """Queries that come one by one: at which loads, and how long the first of the line waits for a full batch, in s.

    `loads`: rates over what full batches take, kept rising and each once. `queries`: how many come at each load, those of the trace
    in their order and then again. `process`: "poisson", at random; "own", one after another as they came in the trace, its times
    stretched alike to each rate. OptionError for what is out of range.
    """

    loads: tuple[float, ...] = LOADS
    wait_s: float = 0.0
    queries: int = QUERIES
    process: str = POISSON

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not self.loads or not all(0 < load < 1 for load in self.loads):
            told = ", ".join(f"{load:g}" for load in self.loads) or "none"
            raise OptionError(f"loads are numbers between 0 and 1, of what full batches take, not {told}")
        if self.process not in PROCESSES:
            raise OptionError(f"unknown arrivals {self.process!r}; {choices(self.process, PROCESSES)}")
        number = self.queries
        if isinstance(number, bool) or not isinstance(number, int) or not LEAST_QUERIES <= number <= MOST_QUERIES:
            raise OptionError(
                f"queries of a load are a whole number from {LEAST_QUERIES:,} to {MOST_QUERIES:,}, not {number!r}"
            )
        Batching(1, self.wait_s)
        object.__setattr__(self, "loads", tuple(sorted(set(self.loads))))


@dataclass(frozen=True)
class Batching:
    """When a batch is taken from the line: as soon as `most` queries wait, or the first has waited `wait_s`.

    Batching(256)                   whatever is there, up to 256 queries
    Batching(256, wait_s=1e-6)      256 queries, or as many as there are when the first has waited 1 us

    OptionError for less than one query, and for waits that are not numbers from 0.
    """

    most: int
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if isinstance(self.most, bool) or not isinstance(self.most, int | np.integer) or self.most < 1:
            raise OptionError(f"a batch is a whole number of queries, at least 1 query, not {self.most!r}")
        if isinstance(self.wait_s, bool) or not 0 <= self.wait_s < math.inf:
            raise OptionError(f"the longest wait for a full batch is a number of seconds from 0, not {self.wait_s!r}")


@dataclass(frozen=True)
class Behind:
    """The part behind the tables: it takes `takes_s` for any batch, one after another, and holds the tables for `holds_s` of that,
    while it reads what they hold. OptionError for times that are not numbers from 0, or where it held them longer than it takes.
    """

    takes_s: float = 0.0
    holds_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not 0 <= self.holds_s <= self.takes_s < math.inf:
            raise OptionError(
                "what comes behind the tables takes a number of seconds from 0, and holds the tables no longer, not "
                f"{self.takes_s!r} and {self.holds_s!r}"
            )


NOTHING = Behind()
"""Tables alone."""


@dataclass(frozen=True, eq=False)
class Line:
    """What became of queries: how long each took from its arrival until it was done, and the batches that they were served in.

    `first` int64 (batches + 1,): batch b served queries first[b] up to first[b + 1]. `begun_s` (batches,): when it began. `took_s`
    (batches,): how long the tables served it.
    """

    latency_s: Times
    first: npt.NDArray[np.int64]
    begun_s: Times
    took_s: Times


def wait_in_line(arrived_s: Times, batching: Batching, served: Served, behind: Behind = NOTHING) -> Line:
    """Serve queries that come at rising times in the order of their coming, and say when each is done.

    `served`: what a batch of consecutive queries takes. With a part `behind` the queries of a batch are done together.
    """
    number = len(arrived_s)
    latency_s = np.empty(number)
    first, begun, lasted = [0], [], []
    free = behind_free = 0.0
    while first[-1] < number:
        low = first[-1]
        last = low + batching.most - 1
        full = float(arrived_s[last]) if last < number else math.inf
        begin = max(free, min(full, float(arrived_s[low]) + batching.wait_s))
        high = low + int(np.searchsorted(arrived_s[low : last + 1], begin, side="right"))
        times = served(low, high - low)
        took = float(times.max())
        handed = max(begin + took, behind_free)
        free = handed + behind.holds_s
        waited = begin - arrived_s[low:high]
        if behind.takes_s:
            behind_free = handed + behind.takes_s
            latency_s[low:high] = waited + (behind_free - begin)
        else:
            latency_s[low:high] = waited + times
        first.append(high)
        begun.append(begin)
        lasted.append(took)
    return Line(latency_s, np.asarray(first), np.asarray(begun), np.asarray(lasted))


class TableBatches:
    """The times of batches of consecutive queries of a trace, each measured when first asked for (`Served`).

    Behind the last query of the trace comes its first one again.
    """

    def __init__(self, trace: Trace, service: Service) -> None:
        """Serve each query alone, which is what most batches are as long as few queries come."""
        self.seats, self.reading, self.most = service.seats, service.reading, service.batch
        self.once = service.queries
        self.alone_s = time_lookups(dispatch(trace, self.seats, self.reading, 1)).query_s
        self.trace = _again(replace(trace, times=None), 1 + -(-self.most // self.once))
        queries = self.trace.queries
        self.first = np.append(np.flatnonzero(np.diff(queries, prepend=queries[0] - 1)), self.trace.bags)
        self._known: dict[tuple[int, int], Times] = {}

    def __call__(self, first: int, number: int) -> Times:
        """Return when each of `number` queries from `first` on is done, in s from the start of their batch."""
        at = first % self.once
        if number == 1:
            return self.alone_s[at : at + 1]
        if (at, number) not in self._known:
            bags = slice(int(self.first[at]), int(self.first[at + number]))
            program = dispatch(self.trace.select(bags), self.seats, self.reading, number)
            self._known[at, number] = time_lookups(program).query_s
        return self._known[at, number]

    def interval_s(self, behind: Behind = NOTHING) -> float:
        """Return the mean time from one full batch to the next, as many as hold every query of the trace."""
        firsts = range(0, self.once, self.most)
        held = (float(self(first, self.most).max()) + behind.holds_s for first in firsts)
        return float(np.mean([max(each, behind.takes_s) for each in held]))


def _again(trace: Trace, times: int) -> Trace:
    """Return a trace that comes so many times, one behind the other."""
    span = int(trace.queries[-1] - trace.queries[0]) + 1
    return join(replace(trace, queries=trace.queries + n * span) for n in range(times))


@dataclass(frozen=True)
class Latency:
    """Latency at one load, in s from a query's arrival until it is done: mean, median, and what 99 % and 99.9 % do not exceed.

    `load`: the rate over that which full batches take. `batch`: queries of a batch, mean. `busy`: share of the time in which the
    tables serve.
    """

    load: float
    rate_per_s: float
    mean_s: float
    p50_s: float
    p99_s: float
    p999_s: float
    batch: float
    busy: float

    @classmethod
    def of(cls, line: Line, load: float, rate_per_s: float) -> Latency:
        """Count all queries but the first tenth."""
        counted = line.latency_s[int(WARM * len(line.latency_s)) :]
        shares = {name: float(np.quantile(counted, share)) for name, share in SHARES.items()}
        batches = len(line.begun_s)
        busy = float(line.took_s.sum()) / float(line.begun_s[-1] + line.took_s[-1])
        return cls(load, rate_per_s, float(counted.mean()), **shares, batch=len(line.latency_s) / batches, busy=busy)


@dataclass(frozen=True)
class OpenService:
    """Latency over load of tables, or of a recommender, that queries come to one by one.

    `capacity_per_s`: queries a second where batches are always full; `queries`: served at each load; `curve`: rising loads.
    """

    capacity_per_s: float
    batching: Batching
    process: str
    queries: int
    seed: int
    curve: tuple[Latency, ...]

    @cached_property
    def knee(self) -> Latency:
        """The load at which the rate over the time that 99 % do not exceed is highest; of equal ones the lower.

        L. Kleinrock calls the rate over the mean time a system's power, and its maximum the knee of the curve (ICC 1979).
        """
        return max(self.curve, key=lambda at: at.load / at.p99_s if at.p99_s else math.inf)

    def headline(self) -> str:
        """Say how soon queries are done at the knee."""
        knee = self.knee
        return f"99 % within {quantity(knee.p99_s, 's')} at {count(knee.rate_per_s)} queries/s, the knee"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> OpenService:
        """Return what was made to data."""
        return cls(
            content["capacity_per_s"], Batching(content["batch"], content["wait_s"]), content["process"], content["queries"],
            content["seed"], tuple(Latency(**at) for at in content["curve"]),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return everything as data."""
        return {
            "capacity_per_s": self.capacity_per_s,
            "batch": int(self.batching.most),
            "wait_s": self.batching.wait_s,
            "process": self.process,
            "queries": self.queries,
            "seed": self.seed,
            "knee": self.knee.load,
            "curve": [asdict(at) for at in self.curve],
        }


def poisson(queries: int, seed: int) -> Times:
    """Return when queries come at random, one a second on average: rising, in s."""
    return np.cumsum(np.random.default_rng(seed).exponential(1.0, queries))


def own(trace: Trace, queries: int) -> Times:
    """Return when queries come as those of a trace did, one a second on average: rising, in s.

    Behind the last one the first comes again, after the mean time between two. OptionError for a trace that does not tell times, or
    whose queries all came at once.
    """
    if trace.times is None:
        raise OptionError(
            f"{trace.origin} does not tell when its queries came; read its times (mho trace --time, or an array times), or let "
            "queries come at random (poisson)"
        )
    came = trace.times[np.flatnonzero(np.diff(trace.queries, prepend=trace.queries[0] - 1))]
    span = float(came[-1] - came[0])
    if not span:
        raise OptionError(f"{trace.origin}: its queries all came at one time, which tells no rate")
    came = (came - came[0]) * ((len(came) - 1) / span)
    turns = np.arange(-(-queries // len(came)))[:, None] * float(len(came))
    return np.asarray((turns + came + 1.0).ravel()[:queries])


def open_service(
    trace: Trace,
    service: Service,
    arrivals: Arrivals = Arrivals(),
    *,
    behind: Behind = NOTHING,
    seed: int = 0,
) -> OpenService:
    """Let the queries of a trace that was served come one by one, at each load, to the layout and chip of the service.

    `behind`: the part behind the tables. The same seed draws the same arrivals for every load and layout, faster or slower. Raises
    OptionError for a trace that is not the one that was served, or does not tell the times that are asked for.
    """
    if not isinstance(trace, Trace) or (trace.bags, trace.lookups) != (service.bags, service.lookups):
        raise OptionError(f"queries come of the trace that was served, {service.origin}, and that in one part")
    batching = Batching(service.batch, arrivals.wait_s)
    batches = TableBatches(trace, service)
    interval_s = batches.interval_s(behind)
    if not interval_s:
        raise OptionError(f"{service.origin}: no bag looks anything up; queries that take no time never wait")
    capacity = service.batch / interval_s
    comes_s = poisson(arrivals.queries, seed) if arrivals.process == POISSON else own(trace, arrivals.queries)
    curve = []
    for load in arrivals.loads:
        line = wait_in_line(comes_s / (load * capacity), batching, batches, behind)
        curve.append(Latency.of(line, load, load * capacity))
    return OpenService(capacity, batching, arrivals.process, arrivals.queries, seed, tuple(curve))
