"""Waits at a stream are those of the queue M/D/1: by its own formulas, by exact arithmetic, and beside a simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.machine.service import LEVELS, LOADS, Queue, Service

T = 126.58125e-6
loads = st.floats(0.001, 0.999)
few = settings(max_examples=25, deadline=None)


def erlang(load: Fraction, wait: Fraction) -> Fraction:
    """Return P(W <= wait T) by Erlang's alternating series (1909), exponentials by 60 terms of theirs, in exact arithmetic."""

    def exponential(x: Fraction) -> Fraction:
        total, term = Fraction(0), Fraction(1)
        for n in range(1, 61):
            total, term = total + term, term * x / n
        return total

    total = Fraction(0)
    for j in range(math.floor(wait) + 1):
        left = load * (wait - j)
        total += (-left) ** j / math.factorial(j) * exponential(left)
    return (1 - load) * total


@few
@given(loads, st.floats(0.05, 20))
def test_fewer_wait_longer_and_later_with_more_load(load: float, wait: float) -> None:
    queue = Queue(T, load / T)
    assert 0 <= queue.beyond(wait * T) <= queue.beyond(wait * T / 2) <= load * (1 + 1e-12)
    assert Queue(T, load / 2 / T).beyond(wait * T) <= queue.beyond(wait * T)
    assert queue.beyond(-T) == 1


@few
@given(st.integers(1, 99), st.integers(0, 64))
def test_shares_are_erlangs_to_the_last_digits(hundredths: int, eighths: int) -> None:
    load, wait = Fraction(hundredths, 100), Fraction(eighths, 8)
    exact = float(1 - erlang(load, wait))
    assume(exact > 1e-25)
    assert Queue(1.0, float(load)).beyond(float(wait)) == pytest.approx(exact, rel=1e-10)


@few
@given(loads)
def test_nobody_waits_as_often_as_nobody_is_there_and_means_are_pollaczeks(load: float) -> None:
    queue = Queue(1.0, load)
    assert queue.beyond(0.0) == pytest.approx(load, rel=1e-12)
    assert queue.mean_s == pytest.approx(load / (2 * (1 - load)), rel=1e-12)
    # What is not in the first levels falls by one factor a T; within each the waits are summed by Gauss's rule.
    places, weights = np.polynomial.legendre.leggauss(12)
    pieces = [
        sum(w * queue.beyond(n + (x + 1) / 2) for x, w in zip(places, weights, strict=True)) / 2 for n in range(200)
    ]
    falls = pieces[-1] / pieces[-2] if pieces[-2] > 0 else 0.0
    assert math.fsum(pieces) + pieces[-1] * falls / (1 - falls) == pytest.approx(queue.mean_s, rel=1e-8)


@few
@given(loads)
def test_the_last_levels_fall_by_one_factor(load: float) -> None:
    queue = Queue(1.0, load)
    near, far = queue.beyond(LEVELS - 3.25), queue.beyond(LEVELS + 9.75)
    assume(near > 1e-250)
    # P(W > t) falls by e^(-load y) a T in the end, which is 1 / (1 + y) with load y = log(1 + y).
    factor = (far / near) ** (1 / 13)
    assert math.log(1 / factor) == pytest.approx(load * (1 / factor - 1), rel=1e-6)


@few
@given(loads, st.floats(0.01, 0.9999))
def test_quantiles_are_where_their_share_no_longer_waits(load: float, share: float) -> None:
    queue = Queue(T, load / T)
    wait = queue.quantile(share)
    if wait == 0:
        assert load <= 1 - share + 1e-12
    else:
        assert queue.beyond(wait) == pytest.approx(1 - share, rel=1e-6)


def simulated(load: float, arrivals: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the waits of arrivals at a stream of interval 1, by Lindley's recursion, the first tenth left out."""
    gaps = np.random.default_rng(seed).exponential(1 / load, arrivals)
    steps = np.cumsum(1 - gaps)
    waits = steps - np.minimum.accumulate(np.minimum(steps, 0))
    return np.asarray(waits[arrivals // 10 :])


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8, 0.95])
def test_a_simulation_waits_as_long(load: float) -> None:
    batches = [simulated(load, 100_000, seed) for seed in range(24)]
    queue = Queue(1.0, load)
    means = [float(waits.mean()) for waits in batches]
    assert queue.mean_s == pytest.approx(load / (2 * (1 - load)))
    assert float(np.mean(means)) == pytest.approx(queue.mean_s, rel=0.02)
    for share in (0.5, 0.99):
        # The interval in which a mean of 24 batches lies in all but one of ten thousand cases (Student, 23 degrees: 4.69).
        quantiles = [float(np.quantile(waits, share)) for waits in batches]
        error = 4.69 * float(np.std(quantiles, ddof=1)) / math.sqrt(len(quantiles))
        assert abs(queue.quantile(share) - float(np.mean(quantiles))) <= error + 1e-12


def test_requests_are_answered_a_latency_after_they_began() -> None:
    service = Service(T, 4e-4, 0.8 / T)
    assert service.queue.mean_s == pytest.approx(2 * T)
    assert service.quantile(0.99) == 4e-4 + service.queue.quantile(0.99)
    curve = [service.at(load).quantile(0.99) for load in LOADS]
    assert curve == sorted(curve)
    assert service.at(service.queue.load) is service
    power = {
        load: load / service.at(load).quantile(0.99)
        for load in (service.knee - 0.01, service.knee, service.knee + 0.01)
    }
    assert max(power, key=lambda load: power[load]) == service.knee


@pytest.mark.parametrize("rate", [1 / T, 8000, math.inf])
def test_rates_without_an_end_of_the_queue_are_refused(rate: float) -> None:
    with pytest.raises(OptionError, match="take a rate below 7,900$" if rate < math.inf else "positive number"):
        Service(T, 4e-4, rate)


@pytest.mark.parametrize("share", [0.0, 1.0, math.nan])
def test_shares_lie_between_nothing_and_all(share: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        Queue(T, 100).quantile(share)
