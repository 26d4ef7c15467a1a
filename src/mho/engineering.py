"""Numbers as engineers write them: three significant digits and a prefix, 7.61 ms and not 0.00761 s."""

from __future__ import annotations

import math

PREFIXES = {
    -18: "a",
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
}
SMALLEST_MM2 = 1e-9
"""Areas in m² from here on are told in mm² (0.001 mm²), smaller ones in µm²."""


def _digits(value: float, digits: int) -> str:
    """Write a value with so many significant digits and no exponent: 0.0951, 7.61, 5,140."""
    rounded = float(f"{value:.{digits - 1}e}")
    whole = math.floor(math.log10(abs(rounded))) + 1 if rounded else 1
    return f"{rounded:,.{max(digits - whole, 0)}f}"


def scaled(value: float, unit: str, digits: int = 3) -> tuple[str, str]:
    """Return a value's digits and its prefixed unit apart: ("7.61", "ms"). See `quantity`."""
    if not math.isfinite(value):
        return ("∞" if value > 0 else "-∞") if math.isinf(value) else "not a number", unit
    if value == 0:
        return "0", unit
    if unit == "m²":
        power, letter = (0, "") if abs(value) >= 1 else (-6, "m") if abs(value) >= SMALLEST_MM2 else (-12, "µ")
        return _digits(value / 10.0**power, digits), letter + unit
    # Rounding comes first, so that 999.9 µs is 1.00 ms and never 1,000 µs.
    rounded = float(f"{value:.{digits - 1}e}")
    fitting = [power for power in PREFIXES if abs(rounded) >= 10.0**power * (1 - 1e-12)]
    if not fitting or abs(rounded) >= 1e18:
        return f"{value:.{digits - 1}e}", unit
    power = max(fitting)
    return _digits(rounded / 10.0**power, digits), PREFIXES[power] + unit


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """Write a value in SI units with a prefix.

    quantity(7.61e-3, "s")      "7.61 ms"
    quantity(7.3e-5, "m²")      "73.0 mm²"
    quantity(0.0, "J")          "0 J"
    """
    number, prefixed = scaled(value, unit, digits)
    return f"{number} {prefixed}".rstrip()


def count(value: float, digits: int = 3) -> str:
    """Write a pure number: whole ones below 10,000 in full, fractions as 0.0951, large ones as 25.6 M."""
    if abs(value) < 10_000 and float(value).is_integer():
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 9_999.5:
        return _digits(value, digits)
    return quantity(value, "", digits) if abs(value) >= 1 else f"{value:.{digits - 1}e}"


def plain(value: float) -> str:
    """Write a number with three significant digits and no unit: 0.951, 17, 1,040."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    text = count(abs(value))
    return sign + (text.rstrip("0").rstrip(".") if "." in text and text[-1].isdigit() else text)


def percent(part: float, whole: float) -> str:
    """Write a part of a whole as a percentage with one decimal."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def percent_change(ratio: float) -> str:
    """Write a ratio to what was before as what it changes: -12.3 %, +0.02 %, +150 %, and ±0 for nothing."""
    change = 100 * (ratio - 1)
    if abs(change) < 1e-9:
        return "±0"
    form = "+.0f" if abs(change) >= 99.95 else "+.1f" if abs(change) >= 0.095 else "+.1g"
    return f"{change:{form}} %"


def ratio(value: float | None) -> str:
    """Write a ratio: 1.22 ×; or "none" where there is nothing to divide by."""
    if value is None:
        return "none"
    return f"{_digits(value, 3)} ×" if math.isfinite(value) else "∞ ×"


def shortened(text: str, width: int) -> str:
    """Cut a name in its middle to fit `width` characters, keeping most of its end."""
    if len(text) <= width:
        return text
    if width < 8:
        return text[: max(width - 1, 0)] + "…"
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
