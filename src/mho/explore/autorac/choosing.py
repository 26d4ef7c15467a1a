"""Which designs of a front are trained, and which of the trained ones is held against baselines: by records to choose by alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mho.explore.autorac.outcome import SEARCHED
from mho.explore.walk import Found

TOLERANCE = 5e-4
"""By how much the log loss of a design may be above a baseline's, in nats, and count as equal."""


def picked(front: Sequence[Found], most: int) -> list[Found]:
    """Return designs of the front to train: for each of so many ranges of log loss, from the least on, the one of least costs.

    Ranges end at a share of the front's designs in order of log loss, half of them at most: models that lose much are not built.
    """
    ordered = sorted(front, key=lambda found: (found.record["log_loss"], found.number))
    chosen: dict[int, Found] = {}
    for place in range(most):
        within = ordered[: max(1, round((place + 1) * len(ordered) / (2 * most)))]
        rest = [found for found in within if found.number not in chosen]
        if rest:
            best = min(rest, key=lambda found: (_product(found.record), found.number))
            chosen[best.number] = best
    return list(chosen.values())


def _product(record: Mapping[str, Any]) -> float:
    return float(record["latency_s"] * record["energy_j"] * record["area_m2"])


def chosen_of(designs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the searched design of least costs that loses no more than the best baseline on the records to choose by.

    Where all lose more, it is the one that loses least.
    """
    searched = [each for each in designs if each["kind"] == SEARCHED]
    others = [each["valid"]["log_loss"] for each in designs if each["kind"] != SEARCHED]
    if not searched:
        return None
    most = min(others, default=float("inf")) + TOLERANCE
    equal = [each for each in searched if each["valid"]["log_loss"] <= most]
    return min(equal, key=_product) if equal else min(searched, key=lambda each: each["valid"]["log_loss"])


__all__ = ["TOLERANCE", "chosen_of", "picked"]
