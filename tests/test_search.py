"""Searches: no design twice, none that is not allowed, the same again for the same answers, and nothing left out at the end."""

import itertools
import math
import sys
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.explore import search_base, search_optuna
from mho.explore.front import hypervolume, non_dominated
from mho.explore.search import SEARCHES, FrontSearch, Search, Trial, begin
from mho.explore.search_base import Shuffled

OWN = ("front", "grid", "random")
OPTUNA = tuple(f"optuna:{variant}" for variant in search_optuna.OptunaSearch.variants)
with_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="optuna is not installed")


def anything(indices):
    return True


def told(search, judge, behind=0, budget=10**9):
    """Ask for design n after telling of all before n - behind, as an exploration does; return the designs."""
    asked = []
    while len(asked) < budget and (indices := search.ask()) is not None:
        asked.append(indices)
        if len(asked) > behind:
            search.tell(judge(asked[len(asked) - behind - 1]))
    return asked


def bowl(indices):
    """Two costs that trade against each other along the first axis; every other axis is best in its middle."""
    far = sum((index - 2) ** 2 for index in indices[1:])
    return Trial(indices, (1.0 + indices[0] + far, 10.0 - indices[0] + far))


@st.composite
def spaces(draw):
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    ordered = tuple(draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    kept = draw(st.integers(1, 4))
    return sizes, ordered, lambda indices: sum(indices) % kept == 0


@st.composite
def judges(draw):
    """What designs come to: refused, over a limit, or costs with many ties, by a rule that looks at the design alone."""
    salt, refused, over = draw(st.integers(0, 99)), draw(st.integers(2, 9)), draw(st.integers(1, 9))

    def judge(indices):
        drawn = hash((salt, indices))
        if drawn % refused == 0:
            return Trial(indices, None)
        return Trial(indices, (float(drawn % 7), float(drawn // 7 % 5)), float(drawn // 100 % 9 if drawn % over else 0))

    return judge


@pytest.mark.parametrize("by", OWN)
@given(spaces(), judges(), st.integers(0, 40), st.integers(0, 5))
def test_every_design_that_is_allowed_is_asked_for_once_and_then_none(by, space, judge, behind, seed):
    sizes, ordered, allows = space
    search = begin(by, sizes, allows, budget=50, seed=seed, ordered=ordered)
    asked = told(search, judge, behind)
    allowed = [indices for indices in itertools.product(*map(range, sizes)) if allows(indices)]
    assert sorted(asked) == allowed
    assert search.ask() is None and search.ask() is None


@pytest.mark.parametrize("by", OWN)
@given(spaces(), judges(), st.integers(0, 40), st.integers(0, 5))
def test_the_same_answers_bring_the_same_questions(by, space, judge, behind, seed):
    sizes, ordered, allows = space
    one, other = (told(begin(by, sizes, allows, 50, seed, ordered), judge, behind) for _ in range(2))
    assert one == other


def test_a_grid_goes_through_the_axes_in_order():
    assert told(begin("grid", (2, 3), anything, 6), bowl) == [*itertools.product(range(2), range(3))]


@pytest.mark.parametrize("by", ("front", "random"))
def test_other_seeds_ask_for_other_designs(by):
    sequences = {tuple(told(begin(by, (9, 9, 9), anything, 20, seed), bowl, budget=20)) for seed in range(8)}
    assert len(sequences) == 8


@given(st.integers(1, 600), st.integers(0, 9))
def test_a_shuffled_order_has_every_number_once(size, seed):
    order = Shuffled(size, seed)
    assert sorted(order[place] for place in range(size)) == list(range(size))
    with pytest.raises(IndexError):
        order[size]


def test_a_shuffled_order_is_even():
    """Of the first 2,000 of 10^9 numbers about as many lie in each tenth: chi squared of 9 degrees of freedom, 0.1 % level."""
    for seed in range(5):
        order = Shuffled(10**9, seed)
        counts = [0] * 10
        for place in range(2000):
            counts[order[place] // 10**8] += 1
        assert sum((count - 200) ** 2 / 200 for count in counts) < 27.9


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**5), min_size=1, max_size=6), st.data())
def test_numbers_and_designs_stand_for_each_other(sizes, data):
    search = begin("grid", sizes, anything, 1)
    number = data.draw(st.integers(0, search.size - 1))
    indices = search.indices(number)
    assert all(0 <= index < size for index, size in zip(indices, sizes, strict=True))
    assert search.number(indices) == number


def test_a_space_larger_than_any_whole_number_of_numpy_is_searched():
    search = begin("front", sizes=(50,) * 14, allows=lambda indices: True, budget=60, seed=0)
    asked = []
    for _ in range(60):
        asked.append(search.ask())
        search.tell(Trial(asked[-1], (float(sum(asked[-1])), 1000.0 - sum(asked[-1][:7]))))
    assert len(set(asked)) == 60


@pytest.mark.parametrize("by", OWN)
def test_a_space_of_a_million_million_designs_costs_what_is_asked_for(by):
    search = begin(by, (100,) * 6, anything, 500)
    assert len(set(told(search, lambda indices: Trial(indices, (sum(indices), -indices[0])), 32, 500))) == 500
    kept = [value for value in vars(search).values() if isinstance(value, set | dict | list | tuple)]
    assert sum(map(sys.getsizeof, kept)) < 100_000


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("behind", (0, 32))
def test_the_front_search_ends_on_the_true_front_long_before_the_space_is_exhausted(seed, behind):
    sizes = (6, 5, 5, 5, 5, 5)
    every = [*itertools.product(*map(range, sizes))]
    best = {every[place] for place in non_dominated([bowl(indices).costs for indices in every]).nonzero()[0]}
    assert len(best) == 6
    asked = told(begin("front", sizes, anything, 700, seed), bowl, behind, 700)
    assert best <= set(asked)
    assert not best <= set(told(begin("random", sizes, anything, 700, seed), bowl, behind, 700))


def test_where_nothing_is_legal_the_front_search_goes_to_less_excess():
    def judge(indices):
        return Trial(indices, (1.0, 1.0), float(sum(indices)))

    def least(by, seed):
        return min(map(sum, told(begin(by, (12,) * 6, anything, 600, seed), judge, 32, 600)))

    front, random = (sum(least(by, seed) for seed in range(8)) for by in ("front", "random"))
    assert 4 * front < random


def test_where_all_is_refused_the_front_search_draws_evenly():
    asked = told(begin("front", (7, 7, 7), anything, 100), lambda indices: Trial(indices, None), budget=100)
    assert asked == told(begin("random", (7, 7, 7), anything, 100), bowl, budget=100)


def test_a_neighbour_is_the_next_value_where_values_are_ordered_and_any_other_elsewhere():
    search = FrontSearch((9, 9), anything, 10, ordered=(True, False))
    assert {search._other(0, 4) for _ in range(100)} == {3, 5}
    assert {search._other(0, 0) for _ in range(100)} == {1}
    assert {search._other(1, 4) for _ in range(300)} == {*range(9)} - {4}


def test_what_next_to_nothing_meets_is_said(monkeypatch):
    monkeypatch.setattr(search_base, "MOST_REFUSED", 1000)
    with pytest.raises(OptionError, match="refuse 1,000 designs in a row of 1,000,000"):
        begin("random", (1000, 1000), lambda indices: False, 5).ask()


def test_without_optuna_its_search_says_what_to_install(monkeypatch):
    monkeypatch.setattr(search_optuna, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'pip install "mho\[optuna\]"'):
        begin("optuna", (2, 2), anything, 5)


class Backwards(Search):
    """A plugin's own."""

    by = "backwards"

    def order(self, place):
        return self.size - 1 - place

    def ask(self):
        return next(self.rest, None)


def test_a_search_of_ones_own_is_begun_by_its_name():
    SEARCHES.add("backwards", Backwards)
    try:
        assert told(begin("backwards", (2, 2), anything, 4), bowl)[0] == (1, 1)
    finally:
        SEARCHES.remove("backwards")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: begin("frond", (2,), anything, 1), "unknown search 'frond'; did you mean front"),
        (lambda: begin("front:nsga", (2,), anything, 1), "front has no variant 'nsga'; it has no variants"),
        (lambda: begin("optuna:nsg", (2,), anything, 1), "optuna has no variant 'nsg'; did you mean nsga"),
        (lambda: begin("front", (), anything, 1), "at least one value"),
        (lambda: begin("front", (2, 0), anything, 1), "at least one value"),
        (lambda: begin("front", (2, 2), anything, 1, 0, (True,)), "at least one value"),
        (lambda: Trial((0,), ()), "one or more numbers"),
        (lambda: Trial((0,), (math.nan,)), "one or more numbers"),
        (lambda: Trial((0,), (1.0,), -1.0), "0 or more"),
        (lambda: Trial((0,), (1.0,), math.nan), "0 or more"),
    ],
)
def test_what_is_no_search_is_refused(call, text):
    with pytest.raises(OptionError, match=text):
        call()


@with_optuna
@pytest.mark.parametrize("by", OPTUNA)
@pytest.mark.parametrize("behind", (0, 5))
def test_samplers_of_optuna_ask_for_every_design_that_is_allowed_once(by, behind):
    def judge(indices):
        return Trial(indices, None) if sum(indices) == 5 else Trial(indices, bowl(indices).costs, float(indices[0] > 2))

    def allows(indices):
        return indices[0] != 1

    asked = told(begin(by, (4, 3, 2), allows, 12, 3, (True, False, True)), judge, behind)
    assert sorted(asked) == [indices for indices in itertools.product(range(4), range(3), range(2)) if allows(indices)]
    assert asked == told(begin(by, (4, 3, 2), allows, 12, 3, (True, False, True)), judge, behind)


@with_optuna
@pytest.mark.parametrize("by", OPTUNA)
def test_samplers_of_optuna_learn(by):
    """What they find in 60 designs is nearer to the true front than what designs drawn evenly are."""

    def volume(by):
        asked = told(begin(by, (9, 9, 9, 9), anything, 60, 1), bowl, budget=60)
        return hypervolume([bowl(indices).costs for indices in asked], 20.0)

    best = hypervolume([bowl((first, 2, 2, 2)).costs for first in range(9)], 20.0)
    assert volume("random") < volume(by) <= best
