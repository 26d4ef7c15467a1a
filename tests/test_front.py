"""Fronts, ranks, hypervolumes and importance against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.explore.front import Front, decades, hypervolume, importance, non_dominated, ranks


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


@st.composite
def costs(draw, most_aims=5, most=12, levels=5):
    """Small whole numbers, so that ties and equal points are usual."""
    aims = draw(st.integers(1, most_aims))
    row = st.tuples(*[st.integers(0, levels)] * aims)
    rows = draw(st.lists(row, min_size=0, max_size=most))
    return np.array(rows, dtype=float).reshape(len(rows), aims)


def cells(points, reference):
    """Count the unit cells below the reference that a point of whole numbers covers."""
    grid = itertools.product(range(reference), repeat=points.shape[1])
    return sum(any(all(p <= g for p, g in zip(point, cell, strict=True)) for point in points) for cell in grid)


@given(costs())
def test_a_design_is_on_the_front_exactly_where_no_other_dominates_it(points):
    wanted = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points).tolist() == wanted


@given(costs())
def test_ranks_are_those_of_fronts_taken_away_one_by_one(points):
    wanted, left, rank = np.full(len(points), -1), np.arange(len(points)), 0
    while len(left):
        on = non_dominated(points[left])
        wanted[left[on]], left, rank = rank, left[~on], rank + 1
    assert ranks(points).tolist() == wanted.tolist()


@given(costs(most=60))
def test_a_front_that_grows_is_the_front_of_all_that_was_added_whatever_the_order(points):
    front = Front(points.shape[1])
    for number, point in enumerate(points):
        dominated = any(dominates(other, point) for other in points[:number])
        assert front.dominates(point) is dominated
        assert front.add(number, point) is not dominated
    assert front.numbers.tolist() == np.flatnonzero(non_dominated(points)).tolist()
    assert front.costs.tolist() == points[front.numbers].tolist()
    assert len(front) == len(front.numbers)


def test_a_front_keeps_no_more_than_itself():
    front = Front(2)
    for number in range(20_000):
        front.add(number, (-number, -number))
    assert front.numbers.tolist() == [19_999] and len(front._costs) < 64
    for number in range(100):
        front.add(number, (-number - 20_000.5, number - 20_000.5))
    assert len(front) == 100


@given(costs(most_aims=4, levels=4))
def test_a_hypervolume_is_the_count_of_cells_that_are_covered(points):
    for reference in (3, 5):
        assert hypervolume(points, reference) == cells(points, reference)


@given(costs(most_aims=5, levels=50, most=9), st.integers(1, 50))
def test_a_hypervolume_is_that_of_inclusion_and_exclusion(points, reference):
    total = 0.0
    for count in range(1, len(points) + 1):
        for some in itertools.combinations(points, count):
            sides = np.maximum(reference - np.max(some, axis=0), 0)
            total -= (-1) ** count * float(np.prod(sides))
    assert hypervolume(points, [reference] * points.shape[1]) == pytest.approx(total, abs=1e-6)


@given(costs(most_aims=5, levels=50, most=30), st.randoms())
def test_a_hypervolume_grows_with_designs_on_the_front_alone_and_whatever_the_order_of_designs_and_aims(points, random):
    whole = hypervolume(points, 45)
    front = points[non_dominated(points)]
    assert hypervolume(front, 45) == pytest.approx(whole)
    order, aims = list(range(len(points))), list(range(points.shape[1]))
    random.shuffle(order)
    random.shuffle(aims)
    assert hypervolume(points[order][:, aims], 45) == pytest.approx(whole)
    assert hypervolume(points[:-1], 45) <= whole * (1 + 1e-12)


def test_decades_say_how_many_times_better_whatever_the_unit_and_the_sign():
    reference = (2e-3, -5.0)
    assert decades([(2e-4, -50.0), (2e-3, -0.5)], reference) == pytest.approx(np.array([(-1.0, -1.0), (0.0, 1.0)]))
    assert hypervolume(decades([(2e-4, -50.0), (2e-5, -50.0)], reference), 0) == pytest.approx(2.0)
    for wrong in [(0.0, -1.0), (1.0, 1.0), (1.0, -np.inf)]:
        with pytest.raises(OptionError, match="one sign"):
            decades([wrong], reference)
    with pytest.raises(OptionError, match="for each of 2 aims"):
        decades([(1.0, 2.0)], (1.0,))


@given(st.integers(0, 2**32 - 1), st.floats(0, 4))
def test_importance_is_the_share_of_the_variance_that_a_parameter_was_given(seed, weight):
    rng = np.random.default_rng(seed)
    indices = np.column_stack([rng.permutation(np.repeat(np.arange(4), 200)) for _ in range(3)])
    logs = weight * indices[:, 0] + 1.5 * rng.standard_normal(4)[indices[:, 1]]
    found = importance(indices, np.exp(logs)[:, None])[:, 0]
    parts = np.array([(weight * indices[:, 0]).var(), (logs - weight * indices[:, 0]).var(), 0.0])
    assert found == pytest.approx(parts / max(logs.var(), 1e-300), abs=0.15)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_parameter_without_effect_gets_nothing_however_many_values_it_has():
    rng = np.random.default_rng(1)
    uncorrected, corrected = [], []
    for _ in range(200):
        indices, values = rng.integers(0, 20, (60, 1)), rng.lognormal(size=(60, 2))
        corrected.append(importance(indices, values).mean())
        logs = np.log(values[:, 0])
        means = [logs[indices[:, 0] == index].mean() for index in indices[:, 0]]
        uncorrected.append(np.var(means) / np.var(logs))
    assert np.mean(uncorrected) > 0.25
    assert np.mean(corrected) < 0.08  # not 0: what is below 0 by chance is cut off at 0


def test_importance_of_costs_without_logarithm_or_without_spread():
    indices = np.repeat([0, 1], 50)[:, None]
    costs = np.column_stack([np.repeat([0.0, 1.0], 50), np.repeat([-3.0, -4.0], 50), np.full(100, 2.0)])
    assert importance(indices, costs)[0] == pytest.approx([1.0, 1.0, 0.0])
    assert importance(np.zeros((1, 3)), np.ones((1, 2))).tolist() == [[0.0, 0.0]] * 3
    assert importance([[0], [1]], [[1.0], [2.0]]).tolist() == [[0.0]]  # two designs of two values say nothing


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: non_dominated([1.0, 2.0]), "shape"),
        (lambda: non_dominated([(1.0, float("nan"))]), "design 0 has a NaN"),
        (lambda: Front(0), "at least one aim"),
        (lambda: hypervolume([(-np.inf, 0.0)], 1), "finite"),
        (lambda: importance([[0]], [[1.0], [2.0]]), "2 designs"),
        (lambda: importance([[0], [0]], [[1.0], [np.inf]]), "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, text):
    with pytest.raises(OptionError, match=text):
        call()
