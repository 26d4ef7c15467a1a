"""Choosing the coding of each layer under a budget of error."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import MappingError, OptionError
from mho.mapping import map_network
from mho.mapping.budget import frontier, mixed
from mho.number.frontier import Frontier


@st.composite
def frontiers(draw: st.DrawFn) -> Frontier:
    """Draw what a few layers cost in a few codings; the first has no error."""
    layers, codings = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    numbers = st.lists(st.integers(1, 40), min_size=codings, max_size=codings)
    arrays = np.array([draw(numbers) for _ in range(layers)], dtype=np.int64)
    errors = np.array([draw(st.lists(st.integers(0, 30), min_size=codings, max_size=codings)) for _ in range(layers)])
    errors[:, 0] = 0
    return Frontier(tuple(f"layer{i}" for i in range(layers)), arrays, errors.astype(np.float64))


def fewest(table: Frontier, budget: float) -> int:
    """Try every choice."""
    choices = product(range(table.costs.shape[1]), repeat=len(table.names))
    return min(arrays for arrays, error in map(table.total, choices) if error <= budget)


@given(frontiers(), st.integers(0, 60))
def test_the_budget_is_kept_and_more_budget_never_takes_more_arrays(table: Frontier, budget: int) -> None:
    arrays, error = table.total(table.within(budget))
    assert error <= budget
    assert fewest(table, budget) <= arrays <= table.total((0,) * len(table.names))[0]
    # What the steps until here have used up is a budget for which nothing is better.
    for used, picks in dict(table.points()).items():
        assert table.total(picks)[0] == fewest(table, used)
    points = [table.total(picks) for _, picks in table.points()]
    assert all(after[0] < before[0] and after[1] >= before[1] for before, after in pairwise(points))


@given(frontiers())
def test_a_budget_without_end_takes_the_fewest_arrays_of_every_layer(table: Frontier) -> None:
    assert table.total(table.within(1e9))[0] == int(table.costs.min(axis=1).sum())


@given(frontiers(), st.integers(0, 60))
def test_what_is_missed_is_less_than_the_largest_step(table: Frontier, budget: int) -> None:
    found = table.total(table.within(budget))[0]
    largest = int((table.costs[:, :1] - table.costs).max())
    assert found - fewest(table, budget) < max(largest, 1)


def test_a_negative_budget_is_refused() -> None:
    table = Frontier(("a",), np.ones((1, 1), dtype=np.int64), np.zeros((1, 1)))
    with pytest.raises(OptionError, match="0 or more"):
        table.within(-1.0)


@pytest.fixture(scope="module")
def codings() -> list[mho.number.QuantisedNetwork]:
    """ResNet-20 with seeded weights, in 8 bits and on windows of 3 and 1 bits."""
    network = mho.zoo.load("resnet20", weights="seeded")
    images = np.random.default_rng(3).normal(size=(2, *network.inputs[0].shape[1:]))
    base = mho.number.quantise(network, images, per_channel=True, symmetric=True)
    return [base, *(mho.number.recode(base, mho.number.Grid.window(8, s), squeeze=x) for s, x in ((3, 3), (1, 5)))]


def test_a_frontier_measures_each_layer_alone(codings: list[mho.number.QuantisedNetwork]) -> None:
    chip = mho.Chip.load("sme")
    images = np.random.default_rng(4).normal(size=(2, *codings[0].network.inputs[0].shape[1:]))
    table = frontier(codings, chip, images)
    assert table.names == tuple(layer.name for layer in codings[0].network.matrix_layers)
    assert (table.errors[:, 0] == 0).all() and (table.errors >= 0).all()
    for k, coding in enumerate(codings):
        layers = map_network(coding, chip, mapping="squeezed").layers
        assert table.costs[:, k].tolist() == [int(layer.blocks.arrays.sum()) for layer in layers]
    # What saves no arrays is never chosen, and not measured.
    saves = table.costs < table.costs[:, :1]
    assert (table.errors[~saves] == 0).all() and (table.errors[saves] > 0).all()
    layer = int(np.flatnonzero(saves[:, 2])[0])
    picks = [0] * len(table.names)
    picks[layer] = 2
    changed = mixed(codings, picks)
    name = codings[0].network.outputs[0]
    wanted, found = (mho.number.run_reference(each, images)[name] for each in (codings[0], changed))
    assert table.errors[layer, 2] == pytest.approx(np.square(found - wanted).mean() / wanted.var())


def test_mixing_takes_weights_and_shifts_from_the_coding_that_is_named(
    codings: list[mho.number.QuantisedNetwork],
) -> None:
    names = [layer.name for layer in codings[0].network.matrix_layers]
    picks = [i % 3 for i in range(len(names))]
    found = mixed(codings, picks)
    for name, k in zip(names, picks, strict=True):
        assert found.matrices[name] is codings[k].matrices[name]
        assert found.squeezes.get(name) is codings[k].squeezes.get(name)


def test_codings_of_other_networks_and_picks_that_name_none_are_refused(
    codings: list[mho.number.QuantisedNetwork],
) -> None:
    other = mho.number.quantise(mho.zoo.load("resnet20", weights="seeded"))
    with pytest.raises(MappingError, match="another network"):
        frontier([codings[0], other], mho.Chip.load("sme"), np.zeros((1, 3, 32, 32)))
    with pytest.raises(OptionError, match="none are given"):
        frontier([], mho.Chip.load("sme"), np.zeros((1, 3, 32, 32)))
    with pytest.raises(OptionError, match="picks"):
        mixed(codings, [3] * len(codings[0].network.matrix_layers))
    with pytest.raises(OptionError, match="picks"):
        mixed(codings, [0])
