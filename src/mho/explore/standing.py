"""Which designs of a front stay on it under all constants of their published ranges, and which another may then beat.

A design beats another under some constants if it is at least as good in every aim and better in one. Times and the like do not
depend on constants; energy, area and energy times time are linear in them, and constants of energies are none of areas, but for
alternatives of whole components. So the least difference of each aim, with each choice of alternatives, says exactly whether there
are constants under which a design is beaten by another of the front.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mho.errors import OptionError
from mho.explore.objectives import Objective
from mho.explore.screening import Judge
from mho.explore.space import Value
from mho.machine.robustness import SHARE, Robust, robust

UNCERTAIN = {"energy": "energy", "edp": "energy", "area": "area"}
"""Aims that constants move, to what is drawn of them."""
INDIRECT = ("power", "tops_per_watt", "tops_per_mm2")
"""Aims that follow from these in another way, which are not told of."""


def check_standing(judge: Judge, aims: Sequence[Objective]) -> None:
    """Raise OptionError where it cannot be told which designs stay."""
    if len(judge.subjects) > 1:
        raise OptionError("how sure a front is, is told of one network")
    aim = next((each.name for each in aims if each.name in INDIRECT), None)
    if aim is not None:
        raise OptionError(
            f"how sure a front is, is told of energy, edp and area, and what constants do not move; not of {aim}"
        )
    if {"energy", "edp"} <= {each.name for each in aims}:
        raise OptionError(
            "how sure a front is, is told of energy or of edp, which the same constants move, not of both"
        )


def standing(
    judge: Judge,
    aims: Sequence[Objective],
    front: Mapping[int, Mapping[str, Value]],
    records: Mapping[int, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return of each design of a front, by number, where most draws of its energy (J) and area (m2) lie, whether it stays, and else
    the designs by which it may be beaten. They are measured as they were screened.
    """
    reports = {str(number): judge.measured(values)[1][0] for number, values in front.items()}
    if not reports:
        return []
    found = robust(reports)
    return [
        {
            "number": number,
            "share": SHARE,
            "energy_j": list(found.interval(str(number))),
            "area_m2": list(found.areas.interval(str(number))),
            "stays": not beaten_by,
            "beaten_by": beaten_by,
        }
        for number in front
        for beaten_by in [[other for other in front if other != number and _beats(found, aims, records, other, number)]]
    ]


def _beats(
    found: Robust, aims: Sequence[Objective], records: Mapping[int, Mapping[str, Any]], one: int, other: int
) -> bool:
    """Return whether there are constants under which a design is at least as good as another in all aims, and better in one."""
    fixed = [
        aim.cost(records[one][aim.field]) - aim.cost(records[other][aim.field])
        for aim in aims
        if aim.name not in UNCERTAIN
    ]
    if any(difference > 0 for difference in fixed):
        return False
    uncertain = [aim for aim in aims if aim.name in UNCERTAIN]
    if not uncertain:
        return any(difference < 0 for difference in fixed)
    for chosen in _choices(found):
        least = [_least(found, aim, records, one, other, chosen) for aim in uncertain]
        if all(difference <= 0 for difference in least) and any(difference < 0 for difference in (*fixed, *least)):
            return True
    return False


def _choices(found: Robust) -> Iterator[dict[str, int]]:
    """Yield each choice of alternatives."""
    keys = list(found.alternatives)
    for places in itertools.product(*(range(len(found.alternatives[key].components)) for key in keys)):
        yield dict(zip(keys, places, strict=True))


def _least(
    found: Robust,
    aim: Objective,
    records: Mapping[int, Mapping[str, Any]],
    one: int,
    other: int,
    chosen: Mapping[str, int],
) -> float:
    """Return the least that a design has more of an aim than another, over all constants."""
    of = found if UNCERTAIN[aim.name] == "energy" else found.areas
    factors = [records[number]["latency_s"] if aim.name == "edp" else 1.0 for number in (one, other)]
    first, second = of.energies[str(one)], of.energies[str(other)]
    least = factors[0] * first.fixed - factors[1] * second.fixed
    for key in {**first.rates, **second.rates}:
        rate = factors[0] * first.rates.get(key, 0.0) - factors[1] * second.rates.get(key, 0.0)
        least += rate * (found.constants[key].low if rate > 0 else found.constants[key].high)
    for key, place in chosen.items():
        parts = (each.chosen.get(key) for each in (first, second))
        joules = [0.0 if each is None else each[place] for each in parts]
        least += factors[0] * joules[0] - factors[1] * joules[1]
    return least


__all__ = ["check_standing", "standing"]
