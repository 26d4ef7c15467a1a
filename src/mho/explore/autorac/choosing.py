"""Which designs of a front are trained, and which of the trained ones is held against baselines: by records to choose by alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mho.explore.autorac.finals import product, sound
from mho.explore.autorac.learning import Judged
from mho.explore.autorac.outcome import SEARCHED
from mho.explore.space import Value
from mho.network.zoo.interaction.genotype import Genotype

TOLERANCE = 5e-4
"""By how much the log loss of a design may be above a baseline's, in nats, and count as equal."""
SPAN = 0.03
"""Models are trained whole that lose so much more than the best one in the search, as a share of its log loss, at the most."""
TRIED = 12
"""Chips of a trained model that are measured."""


def picked(front: Sequence[Judged], most: int) -> list[Genotype]:
    """Return models of the front to train: half of them those of the least log loss, and then, for each of so many limits of log
    loss, evenly up to SPAN above the least one, the cheapest within: models that lose more are not built.

    Training a little does not tell for sure what loses least in the end, so that this is not left to one model.
    """
    cheapest: dict[str, Judged] = {}
    for each in sorted(front, key=lambda each: (each.product, each.number)):
        cheapest.setdefault(each.model.key(), each)
    surest = sorted(cheapest.values(), key=lambda each: (each.log_loss, each.product, each.number))[: (most + 1) // 2]
    chosen = {each.model.key(): each.model for each in surest}
    least = min((each.log_loss for each in front), default=0.0)
    rounds = most - len(chosen)
    for place in range(rounds):
        limit = least * (1.0 + SPAN * (place + 1) / rounds)
        rest = [each for key, each in cheapest.items() if key not in chosen and each.log_loss <= limit]
        if rest:
            best = min(rest, key=lambda each: (each.product, each.number))
            chosen[best.model.key()] = best.model
    return list(chosen.values())


def chips_of(front: Sequence[Judged], model: Genotype) -> tuple[dict[str, Value], ...]:
    """Return the chips of a model on the front of least time x energy x area, TRIED at the most."""
    own = sorted((each for each in front if each.model == model), key=lambda each: (each.product, each.number))
    return tuple(each.values for each in own[:TRIED])


def chosen_of(designs: Sequence[dict[str, Any]], tolerance: float = TOLERANCE) -> dict[str, Any] | None:
    """Return the searched design of least costs that loses no more than the best baseline on the records to choose by, each as the
    mean of its seeds, of those that lose no more than `finals.LOST` with cells of a device, and whose converters resolve every sum.

    Where all lose more, it is the one that loses least; None where there is none such.
    """
    fit, most = _sound(designs), _least(designs) + tolerance
    equal = [each for each in fit if lost_of(each) <= most]
    return min(equal, key=product) if equal else min(fit, key=lost_of, default=None)


def close_of(designs: Sequence[dict[str, Any]], tolerance: float = TOLERANCE) -> list[dict[str, Any]]:
    """Return the sound searched designs that one seed does not tell from the best baseline: within twice the tolerance; else the
    one that loses least.
    """
    fit, most = _sound(designs), _least(designs) + 2 * tolerance
    return [each for each in fit if lost_of(each) <= most] or sorted(fit, key=lost_of)[:1]


def best_of(designs: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the design of a kind that loses least on the records to choose by, of those that were trained with most seeds."""
    own = [each for each in designs if each["kind"] == kind]
    return min(own, key=lambda each: (-len(_seeds(each)), lost_of(each)), default=None)


def lost_of(design: Mapping[str, Any]) -> float:
    """Return the log loss of the records to choose by, as a mean of the seeds that a design was trained with."""
    return math.fsum(_seeds(design)) / len(_seeds(design))


def _seeds(design: Mapping[str, Any]) -> Sequence[float]:
    return design["seeds"]["valid"] if "seeds" in design else [design["valid"]["log_loss"]]


def _sound(designs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in designs if each["kind"] == SEARCHED and sound(each)]


def _least(designs: Sequence[Mapping[str, Any]]) -> float:
    return min((lost_of(each) for each in designs if each["kind"] != SEARCHED), default=float("inf"))


__all__ = ["TOLERANCE", "best_of", "chips_of", "chosen_of", "close_of", "lost_of", "picked"]
