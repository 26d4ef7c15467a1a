"""What a design is judged by: objectives, each a figure of a report in SI units, and limits that designs must keep.

Limit.read("area=60")          at most 60 mm2
Limit.read("throughput=1000")  at least 1000 samples a second: more is better of it
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError, choices
from mho.units import UNITS, units_of

if TYPE_CHECKING:
    from mho.machine.report import Report

_AMOUNT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]\S*)?")
"""A number, and perhaps its unit."""


@dataclass(frozen=True)
class Objective:
    """A figure of a design. `field` is its name in records, in `unit` (SI); `shown` is the unit of a limit that names none.

    `more`: more of it is better. `adds`: those of several networks may be summed. `of` reads it from a report; None where no
    report says it (accuracy, which samples tell).
    """

    name: str
    field: str
    unit: str
    says: str
    of: Callable[[Report], float | None] | None = None
    shown: str = ""
    more: bool = False
    adds: bool = False

    def cost(self, figure: float | None) -> float:
        """Return the figure so that less is better; where there is none, of what has no end (lifetime) or cannot be told."""
        if figure is None:
            return -math.inf if self.more else math.inf
        return -figure if self.more else figure

    def to_dict(self) -> dict[str, Any]:
        """Return what a reader of records needs to know of it."""
        return {"name": self.name, "field": self.field, "unit": self.unit, "more": self.more}


def _area(report: Report) -> float:
    return report.program.chip.roll_up().area_m2.total


def _operations(report: Report) -> float:
    """Count two operations a multiply-accumulate, per sample."""
    network = report.program.network
    return 2 * network.macs / network.batch


def _interval(report: Report) -> float:
    return report.latency_s if report.stream is None else report.stream.interval_s


def _lifetime(report: Report) -> float | None:
    """Return the years, at full rate, of the cell that is changed most; None where no cell is ever written again."""
    years = report.endurance.years(report.endurance.changed.most) if report.endurance else math.inf
    return years if math.isfinite(years) else None


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        each.name: each
        for each in (
            Objective("time", "latency_s", "s", "of one inference", lambda r: r.latency_s, "ms", adds=True),
            Objective("energy", "energy_j", "J", "of one inference", lambda r: r.energy_j, "mJ", adds=True),
            Objective("area", "area_m2", "m²", "of the whole chip", _area, "mm2"),
            Objective("edp", "edp_js", "J s", "energy times time", lambda r: r.energy_j * r.latency_s, adds=True),
            Objective(
                "interval", "interval_s", "s", "from one inference to the next", _interval, "ms", adds=True
            ),
            Objective("throughput", "throughput_per_s", "1/s", "samples a second", lambda r: r.throughput_per_s, more=True),
            Objective("power", "power_w", "W", "energy over interval", lambda r: r.energy_j / _interval(r), "W"),
            Objective(
                "tops_per_watt", "tops_per_watt", "TOPS/W", "two operations a multiply-accumulate",
                lambda r: 1e-12 * _operations(r) * r.program.network.batch / r.energy_j, more=True,
            ),
            Objective(
                "tops_per_mm2", "tops_per_mm2", "TOPS/mm²", "operations a second over the area of the chip",
                lambda r: 1e-12 * _operations(r) * r.throughput_per_s / (1e6 * _area(r)), more=True,
            ),
            Objective("bound_ratio", "bound_ratio", "", "time over its lower bound", lambda r: r.bound_ratio),
            Objective(
                "writes", "pulses", "", "pulses written an inference", lambda r: float(r.field("writes")["pulses"]), adds=True
            ),
            Objective(
                "lifetime", "lifetime_years", "years", "of the cell written most, at full rate", _lifetime,
                more=True,
            ),
            Objective(
                "unresolved", "unresolved", "", "layers whose sums the chip's ADCs do not resolve",
                lambda r: float(len(r.resolution.short)),
            ),
            Objective("accuracy", "accuracy", "", "share of samples that are classified right", more=True),
            Objective("accuracy_lost", "accuracy_lost", "", "accuracy in floating point less that on the chip"),
        )
    }
)  # fmt: skip
"""Every objective by name."""
ALWAYS = ("time", "energy", "area")
"""Measured of every design, and minimised where nothing else is asked for."""
BY_SAMPLES = ("accuracy", "accuracy_lost")
"""Told by samples with labels."""


def figures(report: Report, names: Iterable[str]) -> dict[str, float | None]:
    """Return what a report says of objectives, by field, in SI units; of those that samples tell, nothing."""
    read = {(each := OBJECTIVES[name]).field: each.of(report) for name in names if OBJECTIVES[name].of is not None}  # type: ignore[misc]
    return {field: None if value is None else float(value) for field, value in read.items()}


def objective(name: str) -> Objective:
    """Return an objective by its name, or by the name of its field. OptionError for an unknown one."""
    named = OBJECTIVES.get(name) or next((each for each in OBJECTIVES.values() if each.field == name), None)
    if named is None:
        raise OptionError(f"unknown objective {name!r}; {choices(name, OBJECTIVES)}")
    return named


def objectives(names: Iterable[str]) -> tuple[Objective, ...]:
    """Return several objectives, each once. OptionError for an unknown one, for one given twice, and for none."""
    found = tuple(map(objective, names))
    if not found:
        raise OptionError(f"a search minimises at least one objective; known: {', '.join(OBJECTIVES)}")
    for place, each in enumerate(found):
        if each in found[:place]:
            raise OptionError(f"objective {each.name} is given twice")
    return found


@dataclass(frozen=True)
class Limit:
    """The most that a design may have of an objective, or the least where more is better, in the objective's unit."""

    objective: Objective
    bound: float

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if not math.isfinite(self.bound):
            raise OptionError(f"limit {self.objective.name}: {self.bound} is no finite number")

    @classmethod
    def read(cls, text: str) -> Limit:
        """Read NAME=VALUE, where the value may bear a unit: area=60, area=60mm2, time=500us. OptionError for anything else."""
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise OptionError(f"a limit is NAME=VALUE, such as area=60 (mm2), not {text!r}")
        of = objective(name)
        found = _AMOUNT.fullmatch(value)
        unit = (found and found[2]) or of.shown
        if found is None or (found[2] and (unit not in UNITS or not of.shown)):
            raise OptionError(f"limit {name}: {value!r} is no number{_units(of)}")
        if not unit:
            return cls(of, float(found[1]))
        if UNITS[unit][0] != UNITS[of.shown][0]:
            raise OptionError(f"limit {name}: {unit} measures {UNITS[unit][0]}, not {UNITS[of.shown][0]}{_units(of)}")
        return cls(of, float(Fraction(found[1]) * UNITS[unit][1]))

    def excess(self, figure: float | None) -> float:
        """Return by how much a figure exceeds it, as a share of the bound; 0 where it does not."""
        beyond = self.objective.cost(figure) - self.objective.cost(self.bound)
        return max(0.0, beyond) / (abs(self.bound) or 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as data."""
        of = self.objective
        return {"name": of.name, "field": of.field, "unit": of.unit, "at_least" if of.more else "at_most": self.bound}


def _units(of: Objective) -> str:
    """Say which units a limit may bear."""
    if not of.shown:
        return ""
    return f"; units: {', '.join(units_of(UNITS[of.shown][0]))}; without one: {of.shown}"


__all__ = ["ALWAYS", "BY_SAMPLES", "OBJECTIVES", "Limit", "Objective", "figures", "objective", "objectives"]
