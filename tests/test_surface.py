"""Guesses of designs that are not known yet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.explore.surface import MOST, Surface


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_what_is_known_is_guessed_as_it_is(sizes, data):
    ordered = [data.draw(st.booleans()) for _ in sizes]
    design = st.tuples(*[st.integers(0, size - 1) for size in sizes])
    known = data.draw(st.lists(design, min_size=1, max_size=20, unique=True))
    figures = {each: (float(sum(each)), data.draw(st.floats(-1, 1))) for each in known}
    surface = Surface(sizes, ordered, 2)
    for each, values in figures.items():
        surface.add(each, values)
    guessed = surface.guess(known)
    assert guessed == pytest.approx(np.array([*figures.values()]), abs=0.02)
    # Of what is known there is next to no doubt: none above that of the noise of 1e-5 of the variance.
    doubt = guessed - surface.guess(known, doubts=1.0)
    assert (doubt >= 0).all() and (doubt <= 1e-5**0.5 * surface._deviation + 1e-8).all()


def test_smooth_figures_are_guessed_where_they_are_not_known():
    rng = np.random.default_rng(0)
    surface = Surface((9, 9, 9), (True, True, False), 1)
    designs = rng.integers(0, 9, (150, 3))
    shift = rng.standard_normal(9)

    def figure(design):
        return (design[0] * 0.3 + design[0] * design[1] * 0.05 + shift[design[2]],)

    for design in designs[:120].tolist():
        surface.add(design, figure(design))
    wanted = np.array([figure(design) for design in designs[120:]])
    assert np.abs(surface.guess(designs[120:]) - wanted).max() < 0.1 * wanted.std()


def test_doubt_grows_with_the_distance_from_what_is_known():
    surface = Surface((21,), (True,), 1)
    for place in (0, 1, 2):
        surface.add((place,), (float(place),))
    row = np.arange(2, 21)[:, None]
    doubt = (surface.guess(row) - surface.guess(row, doubts=1.0))[:, 0]
    assert (np.diff(doubt) > 0).all()


def test_what_will_be_known_takes_doubt_away_as_if_it_were_known():
    """The variance of a Gaussian process does not depend on the figures: only that of the noise differs, and its scale."""
    rng = np.random.default_rng(3)
    designs = rng.permutation(5**4)[:60]
    designs = np.array(np.unravel_index(designs, (5,) * 4)).T.tolist()
    early, late = (Surface((5,) * 4, (True, True, True, False), 1) for _ in range(2))
    for place, design in enumerate(designs[:40]):
        early.add(design, (float(np.sin(place)),))
        late.add(design, (float(np.sin(place)),))
    asked = designs[40:]
    for design, guessed in zip(designs[40:50], early.guess(designs[40:50]), strict=True):
        late.add(design, guessed)

    def doubt(surface, beside=()):
        return (surface.guess(asked) - surface.guess(asked, 1.0, beside))[:, 0]

    before, beside, known = doubt(early), doubt(early, designs[40:50]), doubt(late)
    assert beside / early._deviation == pytest.approx(known / late._deviation, abs=1e-4)
    assert (beside <= before + 1e-9).all() and (beside[:10] <= 1e-5**0.5 * early._deviation + 1e-8).all()


def test_a_guess_rests_on_the_latest_designs_alone():
    old, new = (Surface((1000,), (True,), 1) for _ in range(2))
    for place in range(1000):
        old.add((place,), (float(place % 7),))
        if place >= 1000 - MOST:
            new.add((place,), (float(place % 7),))
    assert len(old._designs) == MOST
    assert old.guess([(3,), (900,)]).tolist() == new.guess([(3,), (900,)]).tolist()


def test_an_axis_of_one_value_changes_nothing():
    one, other = Surface((5, 1), (True, True), 1), Surface((5,), (True,), 1)
    for place in range(3):
        one.add((place, 0), (float(place),))
        other.add((place,), (float(place),))
    assert one.guess([(4, 0)]).tolist() == other.guess([(4,)]).tolist()
