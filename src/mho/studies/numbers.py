"""Figures of a study as text."""

from __future__ import annotations

from mho.engineering import plain, quantity

SCALED = ("s", "J", "m²", "byte")
"""Units that are written with a prefix."""
NATS = "nats"
"""Log losses differ in their fourth place, whatever the first."""


def figure(value: float | None, unit: str) -> str:
    """Write a figure with its unit; a dash where there is none.

    figure(0.00806, "s")     "8.07 ms"
    figure(17.2, "%")        "17.2 %"
    figure(0.1172, "nats")   "0.11720"
    figure(None, "s")        "–"
    """
    if value is None:
        return "–"
    if unit in SCALED:
        return quantity(value, "B" if unit == "byte" else unit)
    return f"{value:.5f}" if unit == NATS else f"{plain(value)} {unit}".rstrip()


def counted(number: int, noun: str) -> str:
    """Write how many there are: 1 network, 5 networks."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
