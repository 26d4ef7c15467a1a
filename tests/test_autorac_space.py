"""The joint space and its evolution: numbers are designs, changes others, and the same answers bring the same questions."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import OptionError
from mho.explore.autorac.evolution import Evolution
from mho.explore.autorac.space import JointSpace, Listed, other
from mho.explore.front import non_dominated
from mho.explore.search_base import Trial
from mho.network.zoo.interaction import of
from mho.network.zoo.interaction.space import Gene, ModelSpace

SMALL = JointSpace(
    ModelSpace(3, widths=(4, 8), counts=(2, 3)),
    {"array.rows": (32, 64), "group.arrays": (1, 2, 4), "tiles": ("fit", "fit:2")},
)


ALONE = replace(SMALL, models=replace(SMALL.models, alone=True))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), space=st.sampled_from([SMALL, ALONE, JointSpace()]))
def test_numbers_and_designs_are_one_another(seed: int, space: JointSpace) -> None:
    indices = space.drawn(Random(seed))
    values = space.values(indices)
    assert json.loads(json.dumps(values)) == values
    assert of(values["model"]) == space.model(indices)
    again = space.indices(space.model(indices), space.chip_values(indices))
    assert space.values(again) == values and space.key(again) == space.key(indices)
    assert space.changes(values)["chip"]["array.rows"] == values["array.rows"]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), space=st.sampled_from([SMALL, ALONE, JointSpace()]))
def test_a_change_is_another_design_and_a_cross_is_of_its_parents(seed: int, space: JointSpace) -> None:
    random = Random(seed)
    one, two = space.drawn(random), space.drawn(random)
    assert space.key(space.mutated(one, random)) != space.key(one)
    crossed = space.crossed(one, two, random)
    assert all(each in both for each, *both in zip(crossed, one, two, strict=True))


@given(size=st.integers(1, 8), index=st.integers(0, 254), seed=st.integers(0, 99))
def test_a_subset_changes_by_one_output(size: int, index: int, seed: int) -> None:
    gene = Gene("reads", 2**size - 1, subset=True)
    index %= gene.size
    changed = other(gene, index, Random(seed))
    assert 0 <= changed < gene.size and (changed + 1 ^ index + 1).bit_count() <= 1


def test_a_space_of_one_design_has_no_other() -> None:
    models = ModelSpace(1, ("fc",), ("mix",), (4,), (2,), (8,), (8,), merges=False, wide=(False,))
    one = JointSpace(models, {"array.rows": (32,)})
    with pytest.raises(OptionError, match="no other design"):
        one.mutated(one.drawn(Random(0)), Random(0))
    assert Evolution.of(one, 10).ask() is not None


def test_listed_models_are_a_space_of_their_own() -> None:
    random = Random(0)
    models = tuple({SMALL.models.genotype(SMALL.models.drawn(random)) for _ in range(4)})
    space = replace(SMALL, models=Listed(models))
    for indices in (space.drawn(random) for _ in range(20)):
        assert space.model(indices) in models
        assert space.values(space.indices(space.model(indices), space.chip_values(indices))) == space.values(indices)
        assert space.key(space.mutated(indices, random)) != space.key(indices)
    with pytest.raises(OptionError, match="none of the list"):
        Listed(models[:1]).indices(models[1])
    with pytest.raises(OptionError, match="one or more"):
        Listed(())


def test_the_default_space_has_more_than_1e54_designs_that_certainly_differ() -> None:
    counts = JointSpace().counts()
    assert counts["different"].exponent >= 54
    assert counts["different"].number < counts["options"].number < counts["raw"].number
    assert "different" not in JointSpace(when=["array.rows <= array.columns"]).counts()


def judged(indices: tuple[int, ...]) -> Trial:
    """Costs that trade against each other; some designs are refused, some break a limit."""
    if sum(indices) % 11 == 0:
        return Trial(indices, None)
    sizes = SMALL.model(indices)
    cost = float(sum(dense.width for dense in sizes.dense)), float(-len(sizes.order)), float(indices[-1] + indices[-2])
    return Trial(indices, cost, float(sum(indices) % 7 == 0))


@pytest.mark.parametrize("behind", [1, 4, 40])
def test_the_same_answers_bring_the_same_questions(behind: int) -> None:
    def walked() -> tuple[list[tuple[int, ...]], Evolution]:
        search, asked = Evolution.of(SMALL, 250, seed=3), []
        for _ in range(250):
            asked.append(search.ask())
            if len(asked) >= behind:
                search.tell(judged(asked[len(asked) - behind]))
        return asked, search

    asked, search = walked()
    assert asked == walked()[0]
    assert len({SMALL.key(indices) for indices in asked}) == len(asked)
    legal = [trial for trial in map(judged, asked[: len(asked) - behind + 1]) if trial.costs and not trial.excess]
    front = [trial for trial, kept in zip(legal, non_dominated([trial.costs for trial in legal]), strict=True) if kept]
    assert {trial.indices for trial in search.front} == {trial.indices for trial in front}


def test_evolution_finds_better_designs_than_drawing_does() -> None:
    """A cost with one best design: the sum of all sizes, in a space of 10^66 designs."""
    space = JointSpace()

    def cost(indices: tuple[int, ...]) -> float:
        return float(sum(matrix.rows * matrix.outputs for matrix in space.model(indices).matrices(10, 16)))

    random, search = Random(0), Evolution.of(space, 300, seed=0)
    drawn = [cost(space.drawn(random)) for _ in range(300)]
    found = []
    for _ in range(300):
        indices = search.ask()
        assert indices is not None
        found.append(cost(indices))
        search.tell(Trial(indices, (found[-1],)))
    assert min(found) < min(drawn) and np.median(found[-100:]) < np.median(drawn) / 4
