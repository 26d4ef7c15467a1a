"""How far published sources of a figure differ: the range that it may have, and where its ends are from.

    energy: {value: 64, unit: pJ, source: per-bit, spread: {low: 32, high: 160, shape: log_uniform, sources: [cacti, micron]}}
    leakage: {formula: power_law, ..., spread: {low: 0.3, high: 3.7, shape: log_uniform, sources: [hp, lstp]}}

Of a constant, low and high are in its own unit, and hold it between them; of a table or a formula they are factors, and hold 1. No
spread without sources; one that is ours starts with "assumption:", as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mho.errors import choices
from mho.quantity import Document
from mho.units import to_si

SHAPES = ("log_uniform", "uniform")
"""How a figure is drawn from its range: evenly in its logarithm, or evenly."""


@dataclass(frozen=True)
class Spread:
    """The range of a figure: in SI units, or as factors of it; `factors` says which."""

    low: float
    high: float
    shape: str
    factors: bool
    sources: tuple[str, ...]


def read_spread(document: Document, key: str, raw: Any, figure: Mapping[str, Any], dimension: str) -> Spread:
    """Read the spread of a figure. Raises the document's error where it has no source, or does not hold the figure."""
    mapping = document.mapping(key, raw)
    document.check_keys(key, mapping, ("low", "high", "shape", "sources"))
    low, high = (document.number(f"{key}.{end}", mapping[end]) for end in ("low", "high"))
    shape, factors = mapping["shape"], "value" not in figure
    if shape not in SHAPES:
        raise document.fail(f"{key}.shape", f"{shape!r} is not allowed; {choices(str(shape), SHAPES)}")
    middle = 1 if factors else document.number(key, figure["value"])
    if not low <= middle <= high or low == high:
        what = "1, as they are factors of a table or formula" if factors else f"the value {middle:g}"
        raise document.fail(key, f"low {low:g} and high {high:g} must differ and hold {what} between them")
    if low < 0 or (shape == "log_uniform" and low == 0):
        raise document.fail(
            f"{key}.low", f"must be {'above' if shape == 'log_uniform' else 'at least'} 0 for {shape}, not {low:g}"
        )
    names = mapping["sources"]
    if not isinstance(names, list) or not names:
        raise document.fail(f"{key}.sources", "a spread has one source or more: [ID, ID]")
    texts = tuple(document.source(f"{key}.sources", {"source": name}) for name in names)
    if not factors:
        where = f"{document.file}: {key}"
        low, high = (to_si(end, str(figure["unit"]), dimension, where) for end in (low, high))
    return Spread(float(low), float(high), shape, factors, texts)


__all__ = ["SHAPES", "Spread", "read_spread"]
