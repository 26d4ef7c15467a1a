"""How sure the energy and the area of one design are, as data: an interval of each, and the constants that make it wide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mho.engineering import percent, quantity
from mho.machine.robustness import DRAWS, SHARE, Measured, Robust, robust

MOST = 3
"""Constants that are told."""


def uncertainty(measured: Measured, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Return where the energy in J and the area in m2 of a report, a service or a run lie under published constants.

    `ranged` says whether any constant of it has a range: if none has, both ends are the figure itself.
    """
    found = robust(measured, draws=draws, seed=seed)
    return {
        "draws": draws,
        "seed": seed,
        "share": SHARE,
        "energy_j": _ends(found),
        "area_m2": _ends(found.areas),
    }


def _ends(found: Robust) -> dict[str, Any]:
    (name,) = found.energies
    low, high = found.interval(name)
    told = [line for line in found.decided_by(name) if line[1] != line[2]]
    return {
        "low": low,
        "high": high,
        "ranged": bool(told),
        "decided_by": [{"constant": key, "low": one, "high": two} for key, one, two in told[:MOST]],
    }


def interval_said(ends: Mapping[str, Any], unit: str) -> str:
    """Write an interval: "8.11 mJ to 31.2 mJ", or that there is none."""
    return "no range" if not ends["ranged"] else f"{quantity(ends['low'], unit)} to {quantity(ends['high'], unit)}"


def uncertainty_said(record: Mapping[str, Any], key: str, unit: str) -> str:
    """Say what makes an interval (`energy_j` or `area_m2`) wide."""
    ends = record[key]
    if not ends["ranged"]:
        return "no constant that it rests on has a published range in its file"
    by = ", ".join(
        f"{each['constant']} ({quantity(each['low'], unit)} to {quantity(each['high'], unit)})"
        for each in ends["decided_by"]
    )
    return f"{percent(record['share'], 1.0)} of {record['draws']:,} draws of published constants; most by {by}"


__all__ = ["interval_said", "uncertainty", "uncertainty_said"]
