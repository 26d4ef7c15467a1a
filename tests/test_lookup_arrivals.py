"""Queries that come one by one: laws of the line, an independent simulator of events, and the queue M/D/1 by its formulas."""

from __future__ import annotations

import heapq
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.machine.lookup import arrivals as module
from mho.machine.lookup.arrivals import (
    Arrivals,
    Batching,
    Behind,
    TableBatches,
    Times,
    open_service,
    own,
    poisson,
    wait_in_line,
)  # fmt: skip
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.service import serve
from mho.machine.service import Queue
from tests.lookup_bench import bench_of
from tests.lookup_oracle import CHIPS, batches_of, chip_of, layout_of, layouts, trace_of, traces


class Stub:
    """A server whose batches take what is drawn for their queries: the longest of them, and something for each."""

    def __init__(self, longest: list[float], each: float) -> None:
        self.longest, self.each = longest, each
        self.asked: list[tuple[int, int]] = []

    def __call__(self, first: int, number: int) -> Times:
        self.asked.append((first, number))
        return np.array([self.longest[n % len(self.longest)] for n in range(first, first + number)]) + (
            self.each * number
        )


def plain(arrived: list[float], most: int, wait: float, served: Any, behind: Behind) -> tuple[list[float], list[int]]:
    """The line once more, by events: queries come, waits end, the tables and the part behind get free."""
    then = behind.takes_s
    events: list[tuple[float, int, str, int]] = [(time, n, "comes", n) for n, time in enumerate(arrived)]
    heapq.heapify(events)
    line: list[int] = []
    held: list[int] | None = None
    tables_free = behind_free = True
    latency, sizes, known = [0.0] * len(arrived), [], len(arrived)

    def know(time: float, what: str, which: int = 0) -> None:
        nonlocal known
        heapq.heappush(events, (time, known, what, which))
        known += 1

    finished: dict[int, list[int]] = {}
    while events:
        now = events[0][0]
        # All that happens at one time happens before anything is begun.
        while events and events[0][0] == now:
            _, _, what, which = heapq.heappop(events)
            if what == "comes":
                line.append(which)
                know(now + wait, "waited")
            elif what == "served":
                held = finished.pop(which)
            elif what == "behind":
                behind_free = True
            elif what == "read":
                tables_free = True
        if held is not None and (behind_free or not then):
            tables_free = not behind.holds_s
            if not tables_free:
                know(now + behind.holds_s, "read")
            if then:
                for query in held:
                    latency[query] = now + then - arrived[query]
                behind_free = False
                know(now + then, "behind")
            held = None
        if tables_free and line and (len(line) >= most or arrived[line[0]] + wait <= now):
            batch, line = line[:most], line[most:]
            times = served(batch[0], len(batch)).tolist()
            for query, took in zip(batch, times, strict=True):
                latency[query] = now - arrived[query] + took
            tables_free = False
            finished[batch[0]] = batch
            sizes.append(len(batch))
            know(now + max(times), "served", batch[0])
    return latency, sizes


ticks = st.integers(0, 40).map(float)
"""Times on a grid, so that many things happen at once."""


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[float], Batching, Stub, Behind]:
    gaps = draw(st.lists(st.one_of(ticks, st.floats(0, 40)), min_size=1, max_size=60))
    longest = draw(st.lists(st.integers(1, 30).map(float), min_size=1, max_size=7))
    batching = Batching(draw(st.integers(1, 9)), draw(st.one_of(st.just(0.0), ticks)))
    then = draw(st.one_of(st.just(0.0), st.integers(1, 50).map(float)))
    behind = Behind(then, then and draw(st.integers(0, int(then)).map(float)))
    return np.cumsum(gaps).tolist(), batching, Stub(longest, draw(st.sampled_from((0.0, 1.0, 7.0)))), behind


@settings(max_examples=200)
@given(cases())
def test_the_line_is_that_of_a_simulator_of_events(case: tuple[list[float], Batching, Stub, Behind]) -> None:
    arrived, batching, served, behind = case
    found = wait_in_line(np.array(arrived), batching, served, behind)
    latency, sizes = plain(arrived, batching.most, batching.wait_s, served, behind)
    assert np.diff(found.first).tolist() == sizes
    assert found.latency_s.tolist() == pytest.approx(latency, rel=1e-9)


@settings(max_examples=100)
@given(cases())
def test_queries_are_served_in_their_order_and_not_before_they_come(
    case: tuple[list[float], Batching, Stub, Behind],
) -> None:
    arrived, batching, served, behind = case
    then = behind.takes_s
    found = wait_in_line(np.array(arrived), batching, served, behind)
    assert found.first[0] == 0 and found.first[-1] == len(arrived) and (np.diff(found.first) >= 1).all()
    assert (np.diff(found.first) <= batching.most).all()
    for batch, begun in enumerate(found.begun_s.tolist()):
        low, high = found.first[batch], found.first[batch + 1]
        assert arrived[high - 1] <= begun
        alone = served(int(low), int(high - low))
        assert (found.latency_s[low:high] >= alone + then - 1e-9).all()
        # Nobody is left behind who was there, but for want of room; nobody waits for others while the tables are free.
        assert high - low == batching.most or high == len(arrived) or arrived[high] > begun
    # One batch at a time in the tables, and in the part behind.
    assert (np.diff(found.begun_s) >= found.took_s[:-1] + behind.holds_s - 1e-9).all()
    done = np.array(arrived)[found.first[:-1]] + found.latency_s[found.first[:-1]]
    assert not then or (np.diff(done) >= then - 1e-9).all()


@settings(max_examples=50)
@given(st.integers(1, 9), st.floats(0.05, 0.99), st.floats(0, 5), st.floats(0, 2), st.floats(0, 8))
def test_below_what_full_batches_take_the_line_does_not_grow(
    most: int, load: float, fixed: float, each: float, then: float
) -> None:
    served = Stub([fixed + 0.01], each)
    longest = fixed + 0.01 + each * most
    rate = load * most / max(longest, then)
    found = wait_in_line(np.arange(2000) / rate, Batching(most), served, Behind(then))
    # Of queries that come evenly no more come while a batch is served than the next one takes: none waits for two.
    assert found.latency_s.max() <= 2 * longest + 3 * then + 1e-6


@settings(max_examples=30)
@given(st.floats(1.01, 3), st.integers(1, 9))
def test_above_it_grows_without_end(load: float, most: int) -> None:
    found = wait_in_line(np.arange(4000) * (1 / load / most), Batching(most), Stub([1.0], 0.0))
    assert found.latency_s[-1] >= 4000 / most * (1 - 1 / load) - 2


@settings(max_examples=50)
@given(st.floats(0.05, 0.98), st.integers(0, 99))
def test_one_by_one_at_a_fixed_time_is_lindleys_recursion(load: float, seed: int) -> None:
    came = poisson(3000, seed) / load
    found = wait_in_line(came, Batching(1), Stub([1.0], 0.0))
    steps = 1 - np.diff(came, prepend=came[0])
    steps[0] = 0.0
    walk = np.cumsum(steps)
    waits = walk - np.minimum.accumulate(walk)
    assert found.latency_s.tolist() == pytest.approx((waits + 1).tolist(), rel=1e-8)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_one_by_one_at_a_fixed_time_is_the_queue_m_d_1(load: float) -> None:
    queue = Queue(1.0, load)
    runs = [wait_in_line(poisson(40_000, seed) / load, Batching(1), Stub([1.0], 0.0)) for seed in range(8)]
    for share, expected in ((None, queue.mean_s), (0.5, queue.quantile(0.5)), (0.99, queue.quantile(0.99))):
        counted = [run.latency_s[4000:] - 1.0 for run in runs]
        found = [float(waits.mean() if share is None else np.quantile(waits, share)) for waits in counted]
        # A mean of 8 runs lies in this interval in all but one of ten thousand cases (Student, 7 degrees of freedom: 7.88).
        error = 7.88 * float(np.std(found, ddof=1)) / math.sqrt(len(found))
        assert abs(float(np.mean(found)) - expected) <= error + 1e-9


@settings(max_examples=20)
@given(st.data())
def test_batches_of_a_trace_are_those_of_queues_of_coroutines_at_any_place(data: st.DataObject) -> None:
    trace = data.draw(traces(most_bags=20))
    layout, chip = data.draw(layouts(trace.total_rows)), data.draw(CHIPS)
    service = serve(trace, layout, chip, dimension=8, batch=data.draw(st.integers(1, 6)))
    batches = TableBatches(trace, service)
    first, number = data.draw(st.integers(0, 3 * service.queries)), data.draw(st.integers(1, service.batch))
    # The queries from there on, and behind the last one the first ones again, once more in plain Python.
    ids = np.unique(trace.queries)
    chosen = [ids[(first + n) % len(ids)] for n in range(number)]
    bags = [(at, n) for n, query in enumerate(chosen) for at in np.flatnonzero(trace.queries == query).tolist()]
    parts = [trace.select(np.array([at])) for at, _ in bags]
    some = replace(
        trace,
        offsets=np.cumsum([0, *(part.lookups for part in parts)]).astype(np.int64),
        indices=np.concatenate([part.indices for part in parts]),
        tables=np.concatenate([part.tables for part in parts]),
        queries=np.array([n for _, n in bags], dtype=np.int64),
        weights=None
        if trace.weights is None
        else np.concatenate([part.weights for part in parts if part.weights is not None]),
    )
    program = dispatch(some, service.seats, service.reading, number)
    [(all_bags, acts)] = batches_of(program, number)
    done = bench_of(program).run(all_bags, acts)
    expected = [max(time for (_, of), time in zip(bags, done, strict=True) if of == n) for n in range(number)]
    assert batches(first, number).tolist() == pytest.approx(expected, rel=1e-12, abs=0)


def small() -> tuple[Any, Any]:
    """A trace of ten queries, and what serving it in batches of four takes."""
    draw = np.random.default_rng(5)
    trace = trace_of([draw.integers(0, 12, draw.integers(1, 7)).tolist() for _ in range(10)])
    layout = layout_of([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], [2, 1, 1])
    return trace, serve(trace, layout, chip_of(), dimension=8, batch=4)


def test_where_few_queries_come_each_takes_as_long_as_alone() -> None:
    trace, service = small()
    found = open_service(trace, service, Arrivals((1e-9,), queries=100))
    alone = serve(trace, service.layout, service.chip, dimension=8, batch=1).query_s
    [at] = found.curve
    counted = np.array([alone[n % 10] for n in range(10, 100)])
    assert (at.batch, at.mean_s) == (1.0, pytest.approx(counted.mean(), rel=1e-12))
    assert (at.p50_s, at.p99_s) == pytest.approx((np.quantile(counted, 0.5), np.quantile(counted, 0.99)), rel=1e-12)
    assert at.busy < 1e-6


def test_what_full_batches_take_is_what_the_service_took() -> None:
    trace, service = small()
    even = trace.select(slice(0, 8))
    whole = serve(even, service.layout, service.chip, dimension=8, batch=4)
    found = open_service(even, whole, Arrivals((0.5,), queries=100))
    assert found.capacity_per_s == pytest.approx(8 / whole.seconds, rel=1e-12)
    behind = 3 * float(whole.batch_s.max())
    for part, interval in ((Behind(behind), behind), (Behind(behind, behind), behind + whole.seconds / 2)):
        slower = open_service(even, whole, Arrivals((0.5,), queries=100), behind=part)
        assert slower.capacity_per_s == pytest.approx(4 / interval)


def test_later_with_more_load_and_never_sooner_for_waiting() -> None:
    trace, service = small()
    found = open_service(trace, service, Arrivals((0.9, 0.1, 0.5, 0.5), queries=4000))
    assert [at.load for at in found.curve] == [0.1, 0.5, 0.9]
    for what in ("mean_s", "p50_s", "p99_s", "p999_s", "batch", "busy", "rate_per_s"):
        values = [getattr(at, what) for at in found.curve]
        assert values == sorted(values)
    assert found.knee.load / found.knee.p99_s == max(at.load / at.p99_s for at in found.curve)
    waiting = open_service(trace, service, Arrivals((0.1,), wait_s=float(service.batch_s.max()), queries=4000))
    assert waiting.curve[0].mean_s > found.curve[0].mean_s and waiting.curve[0].batch > found.curve[0].batch
    assert found.to_dict() == open_service(trace, service, Arrivals((0.1, 0.5, 0.9), queries=4000)).to_dict()
    assert found.to_dict() != open_service(trace, service, Arrivals((0.1, 0.5, 0.9), queries=4000), seed=1).to_dict()


def test_time_grows_with_queries_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations, not seconds: batches that are timed, and queries in them, of which each is in one."""
    trace, service = small()
    counted: dict[int, tuple[int, int]] = {}
    timed = TableBatches.__call__
    for queries in (2000, 4000, 8000):
        asked: list[int] = []

        def counting(self: TableBatches, first: int, number: int, asked: list[int] = asked) -> Times:
            asked.append(number)
            return timed(self, first, number)

        monkeypatch.setattr(TableBatches, "__call__", counting)
        open_service(trace, service, Arrivals((0.8,), queries=queries))
        monkeypatch.undo()
        full = -(-service.queries // service.batch)
        counted[queries] = (len(asked) - full, sum(asked) - full * service.batch)
    assert {queries: number for queries, (_, number) in counted.items()} == {n: n for n in counted}
    assert counted[8000][0] == pytest.approx(4 * counted[2000][0], rel=0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Arrivals(()), "loads are numbers between 0 and 1, .*not none"),
        (lambda: Arrivals((0.5, 1.0)), "not 0.5, 1"),
        (lambda: Arrivals((math.nan,)), "not nan"),
        (lambda: Arrivals(wait_s=-1.0), "longest wait"),
        (lambda: Arrivals(wait_s=math.inf), "longest wait"),
        (lambda: Arrivals(queries=10), "from 100 to 10,000,000, not 10"),
        (lambda: Arrivals(queries=True), "not True"),
        (lambda: Batching(0), "at least 1 query"),
        (lambda: Behind(-1.0), "behind the tables"),
        (lambda: Behind(1.0, 2.0), "no longer"),
        (lambda: Arrivals(process="poison"), "did you mean poisson"),
        (lambda: open_service(*small(), Arrivals(process="own")), "does not tell when its queries came"),
        (lambda: own(replace(small()[0], times=np.ones(10)), 5), "all came at one time"),
        (lambda: open_service(small()[0].select(slice(0, 3)), small()[1]), "the trace that was served"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make()


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20).filter(any), st.integers(1, 70))
def test_times_of_a_trace_keep_their_shares_at_one_query_a_second(gaps: list[int], queries: int) -> None:
    trace = replace(trace_of([[1]] * len(gaps)), times=1e6 + np.cumsum(gaps))
    if not any(gaps[1:]):
        return
    found = own(trace, queries)
    assert len(found) == queries and (np.diff(found) >= 0).all()
    scale = (len(gaps) - 1) / sum(gaps[1:])
    for n, later in enumerate(np.diff(found).tolist(), 1):
        again = n % len(gaps) == 0
        assert later == pytest.approx(1.0 if again else gaps[n % len(gaps)] * scale, abs=1e-9)


def test_queries_that_come_evenly_wait_less_than_at_random_and_in_a_crowd_more() -> None:
    trace, service = small()
    even = replace(trace, times=np.arange(10.0))
    crowd = replace(trace, times=np.array([0.0] * 9 + [9.0]))
    asked = Arrivals((0.6,), queries=2000, process="own")
    at = [open_service(each, service, asked).curve[0].mean_s for each in (even, crowd)]
    middle = open_service(trace, service, Arrivals((0.6,), queries=2000)).curve[0].mean_s
    assert at[0] < middle < at[1]
    back = open_service(even, service, asked)
    assert type(back).from_dict(back.to_dict()).to_dict() == back.to_dict() and back.to_dict()["process"] == "own"


def test_bags_that_look_nothing_up_never_wait() -> None:
    trace = trace_of([[], []])
    with pytest.raises(OptionError, match="no bag looks anything up"):
        open_service(trace, serve(trace, layout_of([list(range(12))]), chip_of(), dimension=8, batch=1))


def test_a_trace_comes_again_in_the_order_that_it_has() -> None:
    trace = trace_of([[1], [2], [3]], queries=[4, 4, 9])
    again = module._again(trace, 3)
    assert np.diff(again.queries).tolist() == [0, 5, 1, 0, 5, 1, 0, 5]
    assert again.indices.tolist() == [1, 2, 3] * 3
