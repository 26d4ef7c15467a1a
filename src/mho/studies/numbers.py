"""Figures of a study as text."""

from __future__ import annotations

from mho.engineering import count, quantity

SCALED = ("s", "J", "m²", "byte")
"""Units that are written with a prefix."""


def plain(value: float) -> str:
    """Write a number with three significant digits and no unit: 0.951, 17, 1,040."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    text = count(abs(value))
    return sign + (text.rstrip("0").rstrip(".") if "." in text and text[-1].isdigit() else text)


def figure(value: float | None, unit: str) -> str:
    """Write a figure with its unit; a dash where there is none.

    figure(0.00806, "s")     "8.07 ms"
    figure(17.2, "%")        "17.2 %"
    figure(None, "s")        "–"
    """
    if value is None:
        return "–"
    if unit in SCALED:
        return quantity(value, "B" if unit == "byte" else unit)
    return f"{plain(value)} {unit}".rstrip()


def counted(number: int, noun: str) -> str:
    """Write how many there are: 1 network, 5 networks."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
