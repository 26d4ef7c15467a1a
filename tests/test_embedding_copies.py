"""Copies of rows and of groups within an area budget."""

from __future__ import annotations

import itertools
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.mapping.embedding import RULES, Layout, balance, group, groups_per_bag, longest_queue, replicate, spread
from mho.mapping.embedding.replicate import activations, shared_out
from mho.network.trace import Trace
from tests.test_embedding_grouping import bags_of, community_trace, trace_of, traces


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
    method=st.sampled_from(["id", "greedy", "refine"]),
    budget=st.floats(1, 4),
    rounds=st.integers(0, 3),
)
def test_row_copies_stay_within_the_budget_and_the_height_and_never_touch_more(
    trace: Trace, height: int, method: str, budget: float, rounds: int
) -> None:
    layout = group(trace, height, method)
    wide = spread(layout, trace, budget, rounds=rounds)
    assert np.diff(wide.starts).max() <= height
    assert wide.area_ratio <= budget * (1 + 1e-12)
    assert set(wide.members.tolist()) == set(range(trace.total_rows))
    before = groups_per_bag(layout, trace.offsets, trace.flat).sum()
    assert groups_per_bag(wide, trace.offsets, trace.flat).sum() <= before
    again = spread(layout, trace, budget, rounds=rounds)
    assert np.array_equal(wide.members, again.members) and np.array_equal(wide.starts, again.starts)


def test_a_row_that_every_bag_has_is_copied_to_where_the_bags_are() -> None:
    """Two communities of three, and row 6 in each bag: with two groups of four wordlines, one more place is free."""
    bags = [[0, 1, 2, 6], [3, 4, 5, 6]] * 5
    layout = group(trace_of(bags, 7), 4, "refine")
    assert groups_per_bag(layout, trace_of(bags, 7).offsets, trace_of(bags, 7).flat).sum() == 15
    wide = spread(layout, trace_of(bags, 7), 1.0)
    assert groups_per_bag(wide, trace_of(bags, 7).offsets, trace_of(bags, 7).flat).sum() == 10
    assert np.bincount(wide.members).tolist() == [1, 1, 1, 1, 1, 1, 2]


def test_row_copies_help_bags_that_were_not_seen() -> None:
    history, unseen = community_trace(1, bags=1500), community_trace(2)
    hot = [[*bag, 0] for bag in bags_of(history)], [[*bag, 0] for bag in bags_of(unseen)]
    known, unknown = trace_of(hot[0], 240), trace_of(hot[1], 240)
    layout = group(known, 24, "refine")
    wide = spread(layout, known, 1.3)
    few = groups_per_bag(wide, unknown.offsets, unknown.flat).mean()
    # Row 0 is in every bag, and takes a group more where it is not in the bag's own: copies of it take none.
    assert few < groups_per_bag(layout, unknown.offsets, unknown.flat).mean() - 0.5


@settings(max_examples=60)
@given(
    trace=traces(),
    height=st.integers(1, 6),
    rule=st.sampled_from(RULES),
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
    for rule in ("even", "none"):
        with pytest.raises(OptionError, match=rule):
            replicate(layout, trace_of(bags, 2), 2.0, rule, loads=np.array([9.0, 3.0]))
    for wrong in (np.array([1.0]), np.array([1.0, np.nan]), np.array([1.0, -1.0])):
        with pytest.raises(OptionError, match="2 groups"):
            replicate(layout, trace_of(bags, 2), 2.0, "load", loads=wrong)


def test_the_longest_queue_is_counted_by_hand() -> None:
    trace = trace_of([[0], [0, 1], [0, 1, 1], [2]], 3)
    layout = group(trace, 1, "id")
    assert longest_queue(layout, trace, 4) == 3
    assert longest_queue(layout, trace, 2) == (2 + 1) / 2
    assert longest_queue(layout.with_copies(np.array([2, 1, 1])), trace, 4) == 2


@settings(max_examples=15)
@given(trace=traces(), height=st.integers(1, 6), budget=st.floats(1, 4))
def test_a_balanced_budget_is_kept(trace: Trace, height: int, budget: float) -> None:
    found = balance(group(trace, height, "greedy"), trace, budget)
    assert found.area_ratio <= budget * (1 + 1e-12)
    assert 0 <= found.options["row_copies_share"] <= 1


def test_a_balanced_budget_is_as_good_as_either_kind_of_copies_on_the_bags_it_is_chosen_by() -> None:
    from mho.mapping.embedding.group import held_out

    history = community_trace(1, bags=1500)
    layout = group(history, 24, "refine")
    known, unknown = held_out(history, 0)
    share = balance(layout, history, 2.0, batch=64).options["row_copies_share"]
    queue = {
        each: longest_queue(replicate(spread(layout, known, 1 + each), known, 2.0, "load", batch=64), unknown, 64)
        for each in (0.0, 0.5, 1.0)
    }
    assert share not in queue or queue[share] == min(queue.values())


@pytest.mark.parametrize("budget", [0.5, float("nan"), float("inf"), "much", True])
def test_budgets_that_cannot_be_are_refused(budget: object) -> None:
    trace = trace_of([[0, 1]], 2)
    layout = group(trace, 1, "id")
    with pytest.raises(OptionError, match="number from 1"):
        replicate(layout, trace, budget)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="number from 1"):
        spread(layout, trace, budget)  # type: ignore[arg-type]


def test_a_budget_below_what_the_layout_takes_is_refused() -> None:
    trace = trace_of([[0, 1, 2, 3]], 4)
    wide = spread(group(trace, 2, "id").with_copies(np.array([2, 1])), trace, 1.5)
    with pytest.raises(OptionError, match=r"takes 3 \(1.5\) already"):
        spread(wide, trace, 1.0)
    with pytest.raises(OptionError, match="unknown rule"):
        replicate(wide, trace, 2.0, "logg")
    with pytest.raises(OptionError, match="batch"):
        replicate(wide, trace, 2.0, batch=0)
    with pytest.raises(OptionError, match="shares"):
        balance(wide, trace, 2.0, shares=(2.0,))
    with pytest.raises(OptionError, match="rows"):
        replicate(wide, trace_of([[0]], 5), 2.0)
