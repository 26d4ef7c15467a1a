"""Units of the YAML files and their conversion to SI.

Decimal text times an exact factor, rounded once: 50 ns is the float 5e-08, the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

from mho.errors import ChipError, MhoError, choices

_PREFIX = {
    "f": Fraction(1, 10**15),
    "p": Fraction(1, 10**12),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
}

COUNTS = frozenset(
    {
        "rows", "columns", "bits", "ADCs", "phases", "pulses", "arrays", "groups", "tiles", "lanes", "banks", "turns", "levels",
        "windows",
    }
)  # fmt: skip
"""Nouns that count something: each is a dimension of its own, so that rows cannot be given where columns are
meant.
"""

SI_UNIT: Mapping[str, str] = MappingProxyType(
    {
        "time": "s",
        "energy": "J",
        "power": "W",
        "area": "m2",
        "length": "m",
        "frequency": "Hz",
        "bytes": "byte",
        "bandwidth": "byte/s",
        "voltage": "V",
        "resistance": "ohm",
        "conductance": "S",
        "elements": "elements/s",
        "macs": "macs/s",
        "number": "number",
        **{noun: noun for noun in COUNTS},
    }
)
"""Dimension to the unit in which its values are kept."""


def _table() -> dict[str, tuple[str, Fraction]]:
    table: dict[str, tuple[str, Fraction]] = {noun: (noun, Fraction(1)) for noun in COUNTS}
    table["number"] = ("number", Fraction(1))
    for dimension, symbol, prefixes in (
        ("time", "s", "fpnum"),
        ("energy", "J", "fpnum"),
        ("power", "W", "fpnum"),
        ("length", "m", "num"),
        ("frequency", "Hz", "kMGT"),
        ("voltage", "V", "m"),
        ("resistance", "ohm", "kM"),
        ("conductance", "S", "num"),
        ("elements", "elements/s", "kMGT"),
        ("macs", "macs/s", "kMGT"),
    ):
        for prefix in ("", *prefixes):
            table[prefix + symbol] = (dimension, _PREFIX[prefix])
    for prefix in ("", "m", "u", "n"):
        table[f"{prefix}m2"] = ("area", _PREFIX[prefix] ** 2)
    for name, factor in (
        ("byte", 1),
        ("kB", 10**3),
        ("MB", 10**6),
        ("GB", 10**9),
        ("KiB", 2**10),
        ("MiB", 2**20),
        ("GiB", 2**30),
    ):
        table[name] = ("bytes", Fraction(factor))
        table[f"{name}/s"] = ("bandwidth", Fraction(factor))
    table["bit"] = ("bits", Fraction(1))
    return table


UNITS: Mapping[str, tuple[str, Fraction]] = MappingProxyType(_table())
"""Unit to its dimension and its factor to SI."""


RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "time": (1e-18, 1e12),
        "energy": (1e-24, 1e6),
        "power": (1e-18, 1e9),
        "area": (1e-20, 1e2),
        "length": (1e-10, 1.0),
        "frequency": (1.0, 1e15),
        "bytes": (0.0, 1e18),
        "bandwidth": (1.0, 1e18),
        "voltage": (1e-6, 1e6),
        "resistance": (1e-3, 1e15),
        "conductance": (1e-15, 1e3),
        "elements": (1.0, 1e24),
        "macs": (1.0, 1e24),
        "number": (1e-30, 1e30),
        **dict.fromkeys(COUNTS, (0.0, 1e9)),
    }
)
"""Dimension to the least and the most, in its SI unit, that a value other than 0 has in size. Far beyond any device, but so that
no product of what a chip states leaves the range of floating-point numbers.
"""


def units_of(dimension: str) -> tuple[str, ...]:
    """Return every unit of a dimension, smallest first."""
    return tuple(sorted((u for u, (d, _) in UNITS.items() if d == dimension), key=lambda u: (UNITS[u][1], u)))


def to_si(value: int | float, unit: str, dimension: str, where: str, error: type[MhoError] = ChipError) -> float:
    """Convert to the SI unit of `dimension`; raise `error` for an unknown or another unit, and a value out of range."""
    if unit not in UNITS:
        raise error(f"{where}: unknown unit {unit!r}; {choices(unit, units_of(dimension))}")
    measured, factor = UNITS[unit]
    if measured != dimension:
        allowed = ", ".join(units_of(dimension))
        raise error(f"{where}: unit {unit!r} measures {measured}, but {dimension} is wanted (allowed: {allowed})")
    if isinstance(value, float) and not math.isfinite(value):
        raise error(f"{where}: {value} is not a finite number")
    in_si = _in_si(repr(value), factor, dimension)
    if in_si is None:
        least, most = RANGES[dimension]
        zero = ", or be 0" if least else ""
        limits = f"from {least:g} to {most:g} {SI_UNIT[dimension]}{zero}"
        raise error(f"{where}: {dimension} must lie {limits}, not {value!r:.40} {unit}")
    return in_si


@lru_cache(maxsize=4096)
def _in_si(number: str, factor: Fraction, dimension: str) -> float | None:
    """Return a number times the size of its unit; None where the dimension does not go so far."""
    in_si = Fraction(number) * factor
    least, most = RANGES[dimension]
    return float(in_si) if not in_si or least <= abs(in_si) <= most else None


@lru_cache(maxsize=4096)
def exact(value: int | float) -> Fraction:
    """Return the decimal number that a float is printed as, so that sums of times stay round (96 ns is 9.6e-08)."""
    return Fraction(repr(value))
