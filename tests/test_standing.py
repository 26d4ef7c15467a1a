"""How sure a front is: a design is beaten just where some constants of their ranges make another at least as good in everything."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.explore import Measuring
from mho.explore.objectives import objectives
from mho.explore.standing import _beats
from mho.machine.pricing import Alternatives, Constant, Linear
from mho.machine.robustness import Robust


def test_an_exploration_tells_of_its_front_alone_and_where_it_can() -> None:
    subject = mho.explore(
        mho.zoo.load("resnet20"),
        "aras",
        {"tiles": [12, 24], "array.adcs": [8, 16], "schedule": ["overlap", "aras"]},
        minimise=["energy", "area"],
        measuring=Measuring(sure=True),
        measure=0,
    )
    told = {each["number"]: each for each in subject.content["standing"]}
    assert sorted(told) == sorted(point["number"] for point in subject.front())
    for each in told.values():
        assert each["stays"] == (not each["beaten_by"])
        low, high = each["energy_j"]
        assert 0 < low < high
    assert "standing" not in mho.explore(mho.zoo.load("resnet20"), "aras", {"tiles": [12, 24]}, measure=0).content
    for aims, word in ((["power"], "power"), (["energy", "edp"], "not of both")):
        with pytest.raises(OptionError, match=word):
            mho.explore(
                mho.zoo.load("resnet20"),
                "aras",
                {"tiles": [12]},
                minimise=aims,
                measuring=Measuring(sure=True),
                measure=0,
            )


@given(data=st.data())
def test_a_design_is_beaten_just_where_some_corner_of_the_constants_beats_it(data: st.DataObject) -> None:
    draw = st.floats(-1, 1).map(lambda value: round(value, 2))
    constants = {key: Constant(key, 1.0, 0.5, 2.0, "uniform", "J", ("a test",)) for key in "ab"}
    alternatives = {"c": Alternatives("c", ("c", "d"))}

    def linear() -> Linear:
        rates = {key: abs(data.draw(draw)) for key in "ab"}
        return Linear(abs(data.draw(draw)), rates, {"c": (abs(data.draw(draw)), abs(data.draw(draw)))})

    energies, areas = ({name: linear() for name in "12"} for _ in range(2))
    found = Robust(energies, constants, alternatives, 10, 0, None, areas)
    records = {number: {"latency_s": data.draw(st.sampled_from([1.0, 2.0]))} for number in (1, 2)}
    aims = objectives(["time", "energy", "area"])

    def at(of: Linear, corner: Mapping[str, float], place: int) -> float:
        return of.fixed + sum(of.rates[key] * corner[key] for key in "ab") + of.chosen["c"][place]

    # Energies and areas have constants of their own: each has its own corner, with the same alternative.
    corners = [dict(zip("ab", ends, strict=True)) for ends in itertools.product((0.5, 2.0), repeat=2)]
    beaten = False
    for place, one, other in itertools.product(range(2), corners, corners):
        more = [
            records[1]["latency_s"] - records[2]["latency_s"],
            at(energies["1"], one, place) - at(energies["2"], one, place),
            at(areas["1"], other, place) - at(areas["2"], other, place),
        ]
        assume(all(abs(each) > 1e-9 for each in more[1:]))
        beaten |= max(more) <= 0 and min(more) < 0
    assert _beats(found, aims, records, 1, 2) == beaten
