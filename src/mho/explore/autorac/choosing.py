"""Which designs of a front are trained, and which of the trained ones is held against baselines: by records to choose by alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.explore.autorac.finals import LOST
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
    """Return the searched design of least costs that loses no more than the best baseline on the records to choose by, of those
    that lose no more than LOST with cells of a device, and whose converters resolve every sum.

    Where all lose more, it is the one that loses least; None where there is none such.
    """
    sound = [each for each in designs if each["kind"] == SEARCHED and each["lost"] <= LOST and not each["unresolved"]]
    others = [each["valid"]["log_loss"] for each in designs if each["kind"] != SEARCHED]
    if not sound:
        return None
    most = min(others, default=float("inf")) + tolerance
    equal = [each for each in sound if each["valid"]["log_loss"] <= most]
    return min(equal, key=_product) if equal else min(sound, key=lambda each: each["valid"]["log_loss"])


def best_of(designs: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the design of a kind that loses least on the records to choose by."""
    return min(
        (each for each in designs if each["kind"] == kind), key=lambda each: each["valid"]["log_loss"], default=None
    )


def _product(record: Mapping[str, Any]) -> float:
    return float(record["latency_s"] * record["energy_j"] * record["area_m2"])


__all__ = ["TOLERANCE", "best_of", "chips_of", "chosen_of", "picked"]
