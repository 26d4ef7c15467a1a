"""How long requests wait that arrive at random where one may begin every so often: the queue M/D/1, exactly.

Requests come as a Poisson process of rate r, and one begins at the earliest T after the one before it. The wait W of a request,
from its arrival to its beginning, has the mean

    E W = load T / (2 (1 - load)),  load = r T < 1

(F. Pollaczek, Mathematische Zeitschrift 32, 1930; A. Khintchine, Mat. Sbornik 39(4), 1932), and its distribution is that of
A. K. Erlang (Nyt Tidsskrift for Matematik B 20, 1909) and C. D. Crommelin (Post Office Electrical Engineers' Journal 25, 1932).
Their series alternates, and loses all digits at high loads; here it is summed as G. J. Franx does (Operations Research Letters
29(5), 2001), by terms that are all positive: with k T the first multiple of T beyond t,

    P(W > t) = sum over j < k of p(j) P(N > k - j) + sum over j >= k of p(j),   p(j) = Poisson(j; r (k T - t)),

where N, the number of requests that are waiting or have begun within the last T, is found level by level from what crosses each.
Its levels fall by one and the same factor in the end: 1 / (1 + y), with y > 0 the root of load y = log(1 + y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.engineering import quantity
from mho.errors import OptionError

Floats = npt.NDArray[np.float64]
LEVELS = 128
"""Levels of the queue that are worked out; by then they fall by the same factor, to the last digit."""
ARRIVALS = 48
"""Arrivals within T that are told apart: at a load below 1, more of them have a chance below 1e-60."""
LOADS = (*(n / 10 for n in range(1, 10)), 0.95)
"""Loads at which a service is told."""


@dataclass(frozen=True)
class Queue:
    """Requests at `rate_per_s`, at random, of which one may begin every `interval_s` s. OptionError where these are too many.

    queue = Queue(126.6e-6, 6000)
    queue.load, queue.mean_s            0.76, and how long a request waits on average
    queue.beyond(1e-3)                  the share of requests that wait longer than 1 ms
    queue.quantile(0.99)                what 99 % of them do not wait longer than
    """

    interval_s: float
    rate_per_s: float

    def __post_init__(self) -> None:
        """Refuse intervals and rates that are not positive, and a rate at which the queue has no end."""
        for name, value in (("an interval", self.interval_s), ("a rate", self.rate_per_s)):
            if not 0 < value < math.inf:
                raise OptionError(f"{name} must be a positive number, not {value!r}")
        if self.load >= 1:
            raise OptionError(
                f"at {self.rate_per_s:g} inferences a second their queue grows without end: the stream takes one every "
                f"{quantity(self.interval_s, 's')}; take a rate below {math.floor(1 / self.interval_s * (1 - 1e-9)):,}"
            )

    @property
    def load(self) -> float:
        """The share of the time that is taken."""
        return self.rate_per_s * self.interval_s

    @property
    def mean_s(self) -> float:
        """The mean wait."""
        return self.load * self.interval_s / (2 * (1 - self.load))

    @cached_property
    def _falls(self) -> float:
        """Return y: each of the last levels of the queue is 1 + y times as likely as the next."""
        y = max(2 * (1 - self.load), 1e-300)
        while self.load * y <= math.log1p(y):
            y *= 2
        # The function is convex, and y right of its root: Newton's steps come down to it.
        for _ in range(100):
            slope = self.load - 1 / (1 + y)
            step = (self.load * y - math.log1p(y)) / slope
            if not step > 1e-16 * y:
                break
            y -= step
        return y

    @cached_property
    def _tails(self) -> Floats:
        """Return P(N > n) for n from 0 to LEVELS."""
        chances = _poisson(self.load)
        more: Floats = np.cumsum(chances[::-1])[::-1][1:]
        levels = np.zeros(LEVELS + 1)
        levels[0] = 1 - self.load
        for n in range(LEVELS):
            # What goes up from n or below to n + 1 or beyond between two ends of T is what comes down.
            up = levels[0] * (more[n] if n < len(more) else 0.0)
            near = levels[max(n + 2 - len(more), 1) : n + 1][::-1]
            levels[n + 1] = (up + float(near @ more[1 : 1 + len(near)])) / chances[0]
        beyond = levels[-1] / self._falls
        return np.append(beyond + np.cumsum(levels[:0:-1])[::-1], beyond)

    def _waiting(self, n: int) -> float:
        """Return P(N > n)."""
        if n <= LEVELS:
            return float(self._tails[n])
        return float(self._tails[-1]) * math.exp(-math.log1p(self._falls) * (n - LEVELS))

    def beyond(self, wait_s: float) -> float:
        """Return the share of requests that wait longer."""
        if wait_s < 0:
            return 1.0
        k = math.floor(wait_s / self.interval_s) + 1
        chances = _poisson(self.rate_per_s * max(k * self.interval_s - wait_s, 0.0))
        here = min(k, len(chances))
        shares = float(np.sum(chances[here:])) + math.fsum(
            float(chances[j]) * self._waiting(k - j) for j in range(here)
        )
        return min(shares, 1.0)

    def quantile(self, share: float) -> float:
        """Return the wait in s that a share of the requests does not exceed. OptionError for one that is not between 0 and 1."""
        if not 0 < share < 1:
            raise OptionError(f"a share of requests lies between 0 and 1, not {share!r}")
        left = 1 - share
        if self.beyond(0.0) <= left:
            return 0.0
        low, high = 0.0, self.interval_s
        while self.beyond(high) > left:
            low, high = high, 2 * high
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.beyond(middle) > left else (low, middle)
        return high


def _poisson(mean: float) -> Floats:
    """Return the chances of 0, 1 ... arrivals, where `mean` of at most 1 are expected."""
    steps = np.append(1.0, mean / np.arange(1, ARRIVALS))
    return np.asarray(math.exp(-mean) * np.cumprod(steps))


@dataclass(frozen=True)
class Service:
    """Requests at random to a stream that takes one every `interval_s`, and gives its answer `latency_s` after it began.

    service = report.service            of mho.simulate(program, rate=6000)
    service.quantile(0.99)              within how many s of their arrival 99 % of the requests are answered
    service.knee                        the load beyond which answers become later faster than there are more of them
    """

    interval_s: float
    latency_s: float
    rate_per_s: float

    def __post_init__(self) -> None:
        """Refuse a rate that the stream cannot take, as `Queue` does."""
        _ = self.queue

    @cached_property
    def queue(self) -> Queue:
        """The requests that wait."""
        return Queue(self.interval_s, self.rate_per_s)

    def at(self, load: float) -> Service:
        """Return the service at another load of the same stream."""
        return self if load == self.queue.load else Service(self.interval_s, self.latency_s, load / self.interval_s)

    def quantile(self, share: float) -> float:
        """Return the time in s from its arrival within which a share of the requests is answered."""
        return self.latency_s + self.queue.quantile(share)

    @cached_property
    def knee(self) -> float:
        """The load, in hundredths, at which the rate over the time that 99 % do not exceed is highest.

        L. Kleinrock calls the rate over the mean time a system's power, and its maximum the knee of the curve (ICC 1979).
        """
        loads = [n / 100 for n in range(1, 100)]
        return max(loads, key=lambda load: load / self.at(load).quantile(0.99))
