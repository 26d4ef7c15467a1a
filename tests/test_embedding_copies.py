"""Copies of groups within an area budget."""

from __future__ import annotations

import itertools
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.mapping.embedding import Layout, group, replicate
from mho.mapping.embedding.replicate import activations, shared_out
from mho.network.trace import Trace
from mho.strategy import registered
from tests.test_embedding_grouping import trace_of, traces


def touches(layout: Layout, trace: Trace) -> list[int]:
    """Activations of each group, where every row has one: once a bag, or as often as its most frequent row stands in the bag."""
    home = np.empty(layout.rows, dtype=np.int64)
    home[layout.members] = np.repeat(np.arange(layout.groups), np.diff(layout.starts))
    count = [0] * layout.groups
    for low, high in itertools.pairwise(trace.offsets.tolist()):
        bag = trace.flat[low:high].tolist()
        for g in {int(home[row]) for row in bag}:
            count[g] += max(bag.count(row) for row in bag if home[row] == g)
    return count


@settings(max_examples=60)
@given(
    trace=traces(),
    height=st.integers(1, 6),
    rule=st.sampled_from([*registered("copies")]),
    budgets=st.tuples(st.floats(1, 5), st.floats(1, 5)).map(sorted),
)
def test_copies_of_groups_stay_within_the_budget_and_more_of_it_never_hurts(
    trace: Trace, height: int, rule: str, budgets: list[float]
) -> None:
    layout = group(trace, height, "greedy")
    loads = []
    for budget in budgets:
        found = replicate(layout, trace, budget, rule)
        assert found.area_ratio <= budget * (1 + 1e-12)
        assert np.array_equal(found.members, layout.members)
        count = touches(layout, trace)
        loads.append(max((c / int(n) for c, n in zip(count, found.copies, strict=True)), default=0.0))
        if rule in ("log", "load"):
            for a, b in product(range(layout.groups), repeat=2):
                assert count[a] <= count[b] or found.copies[a] >= found.copies[b]
        if rule == "none":
            assert found.instances == layout.groups
    assert loads[1] <= loads[0]


@settings(max_examples=80)
@given(weights=st.lists(st.integers(0, 12), min_size=1, max_size=4), more=st.integers(0, 6))
def test_no_other_copies_have_a_smaller_largest_load(weights: list[int], more: int) -> None:
    ones = np.ones(len(weights), dtype=np.int32)
    found = shared_out(np.array(weights, dtype=np.float64), ones, more)
    assert found.sum() - len(weights) in ((more,) if any(weights) else (0,))
    best = min(
        max(w / c for w, c in zip(weights, copies, strict=True))
        for copies in product(range(1, more + 2), repeat=len(weights))
        if sum(copies) <= len(weights) + more
    )
    assert max(w / c for w, c in zip(weights, found.tolist(), strict=True)) == best


@given(trace=traces(), height=st.integers(1, 6))
def test_activations_are_bags_that_touch_a_group_and_repeats(trace: Trace, height: int) -> None:
    layout = group(trace, height, "greedy")
    assert activations(layout, trace).tolist() == touches(layout, trace)


def test_log_gives_the_busiest_group_fewer_copies_than_load_does() -> None:
    bags = [[0]] * 900 + [[1]] * 90 + [[2]] * 10
    layout = group(trace_of(bags, 3), 1, "id")
    assert replicate(layout, trace_of(bags, 3), 10 / 3, "load").copies.tolist() == [8, 1, 1]
    assert replicate(layout, trace_of(bags, 3), 10 / 3, "log", batch=1000).copies.tolist() == [5, 3, 2]


def test_copies_go_by_loads_where_these_are_given() -> None:
    bags = [[0]] * 10 + [[1]] * 30
    layout = group(trace_of(bags, 2), 1, "id")
    assert replicate(layout, trace_of(bags, 2), 2.0, "load").copies.tolist() == [1, 3]
    assert replicate(layout, trace_of(bags, 2), 2.0, "load", loads=np.array([9.0, 3.0])).copies.tolist() == [3, 1]
    for rule in ("none",):
        with pytest.raises(OptionError, match=rule):
            replicate(layout, trace_of(bags, 2), 2.0, rule, loads=np.array([9.0, 3.0]))
    for wrong in (np.array([1.0]), np.array([1.0, np.nan]), np.array([1.0, -1.0])):
        with pytest.raises(OptionError, match="2 groups"):
            replicate(layout, trace_of(bags, 2), 2.0, "load", loads=wrong)


@pytest.mark.parametrize("budget", [0.5, float("nan"), float("inf"), "much", True])
def test_budgets_that_cannot_be_are_refused(budget: object) -> None:
    trace = trace_of([[0, 1]], 2)
    layout = group(trace, 1, "id")
    with pytest.raises(OptionError, match="number from 1"):
        replicate(layout, trace, budget)  # type: ignore[arg-type]


def test_a_budget_below_what_the_layout_takes_is_refused() -> None:
    trace = trace_of([[0, 1, 2, 3]], 4)
    wide = Layout.of(np.array([0, 1, 2, 2]), 2, "id")
    with pytest.raises(OptionError, match=r"takes 3 \(1.5\) already"):
        replicate(wide, trace, 1.0)
    with pytest.raises(OptionError, match="copies 'logg': did you mean log"):
        replicate(wide, trace, 2.0, "logg")
    with pytest.raises(OptionError, match="batch"):
        replicate(wide, trace, 2.0, batch=0)
    with pytest.raises(OptionError, match="rows"):
        replicate(wide, trace_of([[0]], 5), 2.0)
