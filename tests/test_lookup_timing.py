"""Queues at arrays, ADCs, ports and adders: against a simulator of coroutines, closed forms, and every choice of copies."""

from __future__ import annotations

import itertools
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.machine.lookup import time_lookups
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.timing import Services
from mho.program.lookups import Lookups
from tests.lookup_bench import bench_of
from tests.lookup_oracle import (
    acts_of,
    batches_of,
    chip_of,
    layout_of,
    layouts,
    program_of,
    programs,
    rules_of,
    trace_of,
    traces,
)


def queries_of(program: Lookups, done: list[float]) -> list[float]:
    """The last bag of each query."""
    found: dict[int, float] = {}
    for query, time in zip(program.trace.queries.tolist(), done, strict=True):
        found[query] = max(found.get(query, 0.0), time)
    return list(found.values())


@settings(max_examples=200)
@given(programs(most_bags=20))
def test_times_are_those_of_coroutines_that_queue(program: Lookups) -> None:
    batch = int(np.count_nonzero(np.diff(program.trace.queries[: program.bag_batches[1]]))) + 1
    bench = bench_of(program)
    done = [bench.run(*each) for each in batches_of(program, batch)]
    found = time_lookups(program)
    assert found.batch_s.tolist() == pytest.approx([max(each) for each in done], rel=1e-12, abs=0)
    flat = [time for each in done for time in each]
    assert found.query_s.tolist() == pytest.approx(queries_of(program, flat), rel=1e-12, abs=0)
    for busy, servers in (
        (found.array_busy_s, bench.arrays),
        (found.adc_busy_s, bench.adcs),
        (found.port_busy_s, bench.ports),
        (found.adder_busy_s, bench.adders),
    ):
        assert busy.tolist() == pytest.approx([servers[i].busy for i in range(len(busy))], rel=1e-12, abs=1e-24)
    assert found.counted.crossed == bench.crossed
    assert (found.batch_s >= found.bound_s * (1 - 1e-12)).all()
    # What arrays are busy with is to settle, to wait, and to convert.
    serving = sum(bench.settle_s + bench.convert_s[len(act.lookups)] for act in acts_of(program))
    assert found.array_busy_s.sum() == pytest.approx(serving + bench.waited, rel=1e-12)


@settings(max_examples=100)
@given(programs(most_bags=20), st.lists(st.sampled_from((0.0, 2e-9, 1.3e-8, 4.1e-7)), min_size=3, max_size=3))
def test_the_slowest_part_may_be_any(program: Lookups, times: list[float]) -> None:
    port_s, adder_s, write_s = times
    bench = bench_of(program, port_s=port_s, adder_s=adder_s, write_s=write_s)
    queries = len(set(program.trace.queries.tolist()))
    with patch.object(Services, "of", return_value=Services(port_s, adder_s, write_s)):
        found = time_lookups(replace(program, **whole(program)))
    (bags, acts), *more = batches_of(program, queries)
    assert not more
    done = bench.run(bags, acts)
    assert found.query_s.tolist() == pytest.approx(queries_of(program, done), rel=1e-12, abs=0)
    assert (found.batch_s >= found.bound_s * (1 - 1e-12)).all()
    assert found.counted.crossed == bench.crossed


def whole(program: Lookups) -> dict[str, np.ndarray]:
    """All in one batch."""
    return {"batches": np.array([0, program.activations]), "bag_batches": np.array([0, program.trace.bags])}


@settings(max_examples=60)
@given(st.data())
def test_without_ports_and_adders_a_batch_takes_as_long_as_its_longest_queue(data: st.DataObject) -> None:
    trace = data.draw(traces(most_bags=20))
    layout = data.draw(layouts(trace.total_rows))
    chip = chip_of(lookup__adc_modes=data.draw(st.sampled_from(("fixed", "switch", "every"))))
    program = program_of(trace, layout, chip, 8, batch=data.draw(st.integers(1, 5)))
    rules = rules_of(program)
    batch = int(np.count_nonzero(np.diff(trace.queries[: program.bag_batches[1]]))) + 1
    expected = []
    for _, acts in batches_of(program, batch):
        queues: dict[int, float] = {}
        for act in acts:
            taken = rules.settle_s + rules.convert_s(len(act.lookups))
            queues[act.instance] = queues.get(act.instance, 0.0) + taken
        expected.append(max(queues.values(), default=0.0))
    with patch.object(Services, "of", return_value=Services(0.0, 0.0, 0.0)):
        found = time_lookups(program)
    assert found.batch_s.tolist() == pytest.approx(expected, rel=1e-12, abs=0)
    if (layout.copies == 1).all():
        assert found.batch_s.tolist() == pytest.approx(found.bound_s.tolist(), rel=1e-12, abs=0)


@settings(max_examples=100)
@given(st.data())
def test_no_choice_of_copies_is_faster_than_the_bound(data: st.DataObject) -> None:
    # Few rows with two copies each, looked up often, and adders that may take longest: what merges where then matters.
    bags = data.draw(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=3))
    layout = layout_of([[0, 1], [2]], data.draw(st.sampled_from(([2, 1], [1, 2], [2, 2], [3, 1]))))
    shared = data.draw(st.sampled_from((1, 2)))
    chip = chip_of(
        lookup__groups_per_adc=shared,
        tile__groups=data.draw(st.sampled_from((1, 2, 6))),
        lookup__adc_modes="every",
        array__step_overhead_s=data.draw(st.sampled_from((0.0, 1.7e-8))),
    )
    program = program_of(trace_of(bags, rows=(3,), queries=[0] * len(bags)), layout, chip, batch=1)
    times = Services(*data.draw(st.tuples(*[st.sampled_from((0.0, 3e-9, 5e-8, 1e-6))] * 3)))
    choices = [
        range(int(layout.first[group]), int(layout.first[group + 1]))
        for group in (act.group for act in batches_of(program, 1)[0][1])
    ]
    with patch.object(Services, "of", return_value=times):
        bound = time_lookups(program).bound_s[0]
        for chosen in itertools.islice(itertools.product(*choices), 300):
            other = replace(program, instances=np.array(chosen, dtype=np.int32))
            found = time_lookups(other)
            assert found.batch_s[0] >= bound * (1 - 1e-12)
            assert found.bound_s[0] == bound


def test_sums_of_one_bag_on_one_array_leave_it_together() -> None:
    # Row 0 twice: two activations of one array, one partial sum. Row 1 is elsewhere; the bag is merged in tile 0.
    chip = chip_of(tile__groups=1)
    program = program_of(trace_of([[0, 0, 1]], rows=(2,)), layout_of([[0], [1]]), chip)
    rules, found = rules_of(program), time_lookups(program)
    one = rules.settle_s + rules.convert_s(1)
    assert (program.activations, program.parts.tolist(), found.counted.crossed) == (3, [2], 1)
    assert found.array_busy_s.tolist() == pytest.approx([2 * one, one])
    assert found.adder_busy_s.tolist() == pytest.approx([2 * rules.adder_s, 0])
    # The sum of the other tile is there first, unless its way takes longer than the second activation.
    last = max(2 * one, one + rules.port_s + rules.adder_s) + rules.adder_s
    assert found.batch_s.tolist() == pytest.approx([last + rules.write_s])


def test_an_activation_settles_once_a_step() -> None:
    plain = program_of(trace_of([[0]], rows=(1,)), layout_of([[0]]), chip_of())
    weighted = program_of(trace_of([[0]], rows=(1,), weights=[255]), layout_of([[0]]), chip_of())
    assert weighted.reading.steps == 8
    assert time_lookups(weighted).array_busy_s[0] == pytest.approx(8 * time_lookups(plain).array_busy_s[0])
    assert time_lookups(weighted).array_busy_s[0] == pytest.approx(weighted.reading.seconds[1])


@settings(max_examples=60)
@given(programs(most_bags=20))
def test_shared_adcs_convert_one_after_another(program: Lookups) -> None:
    rules, bench = rules_of(program), bench_of(program)
    batch = int(np.count_nonzero(np.diff(program.trace.queries[: program.bag_batches[1]]))) + 1
    found = time_lookups(program)
    for b, (_, acts) in enumerate(batches_of(program, batch)):
        sets: dict[int, float] = {}
        for act in acts:
            adc = bench.seats[act.instance][1]
            sets[adc] = sets.get(adc, 0.0) + rules.convert_s(len(act.lookups))
        assert found.batch_s[b] >= max(sets.values(), default=0.0) * (1 - 1e-12)


@settings(max_examples=40)
@given(programs(most_bags=20))
def test_batches_do_not_touch_each_other(program: Lookups) -> None:
    found = time_lookups(program)
    busy = np.zeros_like(found.array_busy_s)
    for b in range(len(program.batches) - 1):
        part = program.trace.select(slice(int(program.bag_batches[b]), int(program.bag_batches[b + 1])))
        alone = time_lookups(dispatch(part, program.seats, program.reading, part.bags))
        assert alone.batch_s.tolist() == [found.batch_s[b]]
        assert alone.bound_s.tolist() == [found.bound_s[b]]
        busy += alone.array_busy_s
    assert busy.tolist() == pytest.approx(found.array_busy_s.tolist(), rel=1e-12)


def test_nothing_to_look_up_takes_no_time() -> None:
    layout = layout_of([[0, 1]])
    for bags in ([[], []], []):
        program = program_of(trace_of(bags, rows=(2,)), layout, chip_of())
        program.check()
        found = time_lookups(program)
        assert program.activations == 0
        assert found.batch_s.tolist() == found.bound_s.tolist() == [0.0] * bool(bags)
        assert found.query_s.tolist() == [0.0] * len(bags)
