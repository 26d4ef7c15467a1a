"""Energy and area as linear functions of the constants that sources differ in: the figures of components."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip.parts import Use
from mho.chip.spread import Spread
from mho.engineering import quantity
from mho.errors import OptionError
from mho.machine.bill import Price, Priced
from mho.units import SI_UNIT

Floats = npt.NDArray[np.float64]
SOURCE = "assumption: another component that may be meant"


@dataclass(frozen=True)
class Constant:
    """A figure of a component that sources differ in: its value and range, in SI units, or as factors of what its file gives."""

    name: str
    value: float
    low: float
    high: float
    shape: str
    unit: str
    sources: tuple[str, ...]

    def at(self, share: Floats | float) -> Any:
        """Return the value at a share of the range, from 0 at its low end to 1 at its high one, evenly as its shape is."""
        if self.shape == "uniform":
            return self.low + (self.high - self.low) * share
        return self.low * (self.high / self.low) ** share

    def share(self, value: float) -> float:
        """Return at which share of the range a value lies."""
        if self.shape == "uniform":
            return (value - self.low) / (self.high - self.low)
        return math.log(value / self.low) / math.log(self.high / self.low)

    def said(self, value: float) -> str:
        """Write a value."""
        unit = {"m2": "m²"}.get(self.unit, self.unit)
        return quantity(value, unit) if unit else f"{value:.3g} times"


@dataclass(frozen=True)
class Alternatives:
    """Components of which one is meant, the usual one first; all figures of it go together."""

    name: str
    components: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Linear:
    """Energy (or area) as a linear function of constants: J (m2) that no constant changes, those a unit of each, and those of each
    alternative.
    """

    fixed: float
    rates: Mapping[str, float]
    chosen: Mapping[str, tuple[float, ...]]


def linear(
    machine: Priced,
    counted: Iterable[tuple[Price, float]],
    constants: dict[str, Constant],
    alternatives: dict[str, Alternatives],
) -> Linear:
    """Return what counts of prices come to on a machine, by constants, which are noted."""
    fixed, rates, chosen = 0.0, defaultdict[str, float](float), dict[str, Floats]()
    others: dict[str, tuple[Priced, ...]] = {}
    for price, count in counted:
        for part in machine.costs.paid(*price):
            use, spread = part.use, None if part.use.component is None else part.use.component.spreads.get(part.figure)
            if use.alternatives:
                key = use.name
                known = alternatives.setdefault(key, Alternatives(key, use.whole))
                if known.components != use.whole:
                    raise OptionError(
                        f"component {key} has other alternatives elsewhere; write one `or:` wherever it is used"
                    )
                if key not in others:
                    others[key] = tuple(_with(machine, each, use) for each in use.alternatives)
                joules = [count * part.share * part.value]
                for other in others[key]:
                    same = (each for each in other.costs.paid(*price) if each.figure == part.figure)
                    joules.append(sum(count * each.share * each.value for each in same))
                chosen[key] = chosen.get(key, 0.0) + np.array(joules)
            elif spread is None:
                fixed += count * part.share * part.value
            else:
                constant = _constant(use, part.figure, spread)
                constants.setdefault(constant.name, constant)
                rates[constant.name] += count * part.share * (part.value if spread.factors else part.factor)
    return Linear(fixed, dict(rates), {key: tuple(each.tolist()) for key, each in chosen.items()})


def _with(machine: Any, other: Use, usual: Use) -> Priced:
    """Return a chip, or a systolic array, on which another component stands wherever the usual one did."""
    roles = [role for role, use in machine.uses.items() if use.name == usual.name]
    varied: Priced = machine.override({f"components.{role}": other.name for role in roles}, SOURCE)
    return varied


def _constant(use: Use, figure: str, spread: Spread) -> Constant:
    component = use.component
    assert component is not None
    name = f"{use.name} {figure.replace('_', ' ')}"
    if spread.factors:
        return Constant(name, 1.0, spread.low, spread.high, spread.shape, "", spread.sources)
    unit = SI_UNIT[{"leakage": "power", "area": "area"}.get(figure, "energy")]
    return Constant(name, component.figure(figure, {}), spread.low, spread.high, spread.shape, unit, spread.sources)


__all__ = ["Alternatives", "Constant", "Linear", "linear"]
