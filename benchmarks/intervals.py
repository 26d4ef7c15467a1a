"""How sure a figure of a page is: where most draws of published constants put it, and whether a comparison is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from mho.engineering import quantity, ratio
from mho.machine.bill import KINDS, Price
from mho.machine.robustness import Robust

DRAWS, SEED = 20_000, 0
FLIPS = 3
"""Constants that are named where one alone turns a comparison round."""


def part(report: Any, kept: Callable[[Price, str], bool]) -> Any:
    """Return what is paid of a report for some prices and kinds alone, to be priced like a report."""
    bill = report.bill
    pairs = zip(bill.price.tolist(), bill.kind.tolist(), strict=True)
    keep = np.array([kept(bill.prices[price], KINDS[kind]) for price, kind in pairs], dtype=bool)
    return SimpleNamespace(program=report.program, bill=replace(bill, count=np.where(keep, bill.count, 0.0)))


def priced(measured: Mapping[str, Any], what: str = "energy") -> Robust:
    """Price what has bills by the draws of all pages: its energies, or its areas."""
    import mho

    found = mho.robust(measured, draws=DRAWS, seed=SEED)
    return found if what == "energy" else found.areas


def interval(found: Robust, name: str) -> list[float]:
    """Return a figure, and the ends between which most draws lie, in SI units."""
    return [found.energy(name), *found.interval(name)]


def compared(found: Robust, name: str, other: str) -> dict[str, Any]:
    """Return how many times what one takes another does, between which factors most draws lie, and the verdict."""
    flips = [[flip.constant, flip.at] for flip in found.verdict(name, other).flips]
    return {**found.factor(name, other), "flips": flips}


def ends(figure: list[float], unit: str) -> str:
    """Write between which figures most draws lie."""
    return f"{quantity(figure[1], unit)} to {quantity(figure[2], unit)}"


def with_ends(figure: list[float], unit: str) -> str:
    """Write a figure, and between which most draws lie."""
    return f"{quantity(figure[0], unit)} ({ends(figure, unit)})"


def factors(told: Mapping[str, Any]) -> str:
    """Write between which factors most draws lie."""
    return f"{ratio(told['low'])} to {ratio(told['high'])}"


def verdict(told: Mapping[str, Any]) -> str:
    """Write whether a comparison is decided, and what flips it."""
    if told["decided"]:
        return "decided"
    flips = "; ".join(f"{constant} {at}" for constant, at in told["flips"][:FLIPS])
    more = f" and {len(told['flips']) - FLIPS} more" if len(told["flips"]) > FLIPS else ""
    return f"undecided: flips at {flips}{more}" if flips else "undecided: several constants together"
