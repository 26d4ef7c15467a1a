"""A technology file: what components cost, each figure a constant, an exact table or a published formula.

    components:
      adc:
        per: conversion
        energy: {by: bits, entries: {6: 1.2, 8: 1.67}, unit: pJ, source: isaac}
        area: {value: 1200, unit: um2, source: isaac}
        leakage:
          {formula: power_law, factor: 2.0, exponents: {bytes: 0.9}, valid: {bytes: [64, 4096]}, unit: nW}

A table is never interpolated and a formula never leaves its range: both are refused, saying what is there. How far sources of a
figure differ may stand beside it (`chip/spread.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from mho.chip.formula import FORMULAS, arguments_of, power_law
from mho.chip.spread import Spread, read_spread
from mho.errors import ChipError, choices
from mho.quantity import Document, Provenance
from mho.units import SI_UNIT, UNITS, to_si

SCHEMA = "mho.technology/1"

FIGURES: Mapping[str, str] = {
    "energy": "energy", "read_energy": "energy", "write_energy": "energy", "area": "area", "leakage": "power",
}  # fmt: skip
"""Figure to its dimension."""

SCALES = ("digital",)
"""How a component may follow the chip's node, by the rule that the chip names (see `scaling`)."""

PARAMETERS = ("voltage", "resistance", "conductance", "time", "number", "bits")
PER = (
    "step", "drive", "sample", "conversion", "addition", "pulse", "byte", "access", "element", "mac",
    "instance",
)  # fmt: skip
"""What one energy is per; `access` moves one port's width, `instance` has no energy."""


@dataclass(frozen=True)
class Component:
    """One component of a technology: its raw figures, checked, and its parameters in SI units."""

    document: Document
    key: str
    per: str
    parameters: Mapping[str, float]
    parameter_sources: tuple[str, ...]
    figures: Mapping[str, Mapping[str, Any]]
    scales: Provenance | None = None
    """Why its figures may be taken to another node, or None where they may not."""
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    """The range of a figure in published sources, where the file says it."""

    def figure(self, name: str, context: Mapping[str, float]) -> float:
        """Return a figure in SI units for what the chip supplies; ChipError outside a table or a range."""
        return self._figure(name, tuple(context.items()))

    @cached_property
    def _figure(self) -> Callable[[str, tuple[tuple[str, float], ...]], float]:
        """Works figures out, and remembers some: chips that differ elsewhere ask for the same ones."""
        return lru_cache(maxsize=256)(self._worked_out)

    def _worked_out(self, name: str, supplied: tuple[tuple[str, float], ...]) -> float:
        context = dict(supplied)
        where = f"{self.document.file}: {self.key}.{name}"
        raw = self.figures[name]
        dimension = FIGURES[name]
        if "value" in raw:
            number: float = raw["value"]
        elif "entries" in raw:
            given = self._argument(where, raw["by"], context)
            values = {
                _entry(self.document, f"{self.key}.{name}", entry): value for entry, value in raw["entries"].items()
            }
            if given not in values:
                there = ", ".join(f"{entry:g}" for entry in sorted(values))
                raise ChipError(f"{where}: no entry for {raw['by']} = {given:g}; there are entries for {there}")
            number = values[given]
        else:
            try:
                number = self._formula(where, raw, context)
            except (ArithmeticError, ValueError, TypeError) as error:
                raise ChipError(f"{where}: the formula has no value here: {error}") from None
            if isinstance(number, complex) or number < 0:
                raise ChipError(f"{where}: the formula gives {number:g}, and a cost cannot be negative")
        return to_si(number, raw["unit"], dimension, where)

    def provenance(self, name: str) -> Provenance:
        """Return where a figure comes from."""
        raw = self.figures[name]
        return Provenance(raw.get("value", "by formula or table"), raw["unit"], self.document.source(name, raw))

    @property
    def follow_node(self) -> frozenset[str]:
        """The figures that are formulas of the chip's own node, or of a figure that is one."""
        names = {name: str(raw.get("formula")) for name, raw in self.figures.items()}
        return frozenset(name for name, each in names.items() if each in FORMULAS and "node" in arguments_of(each))

    @property
    def definition(self) -> dict[str, Any]:
        """Return the figures and parameters without their sources: what the costs depend on."""
        figures = {
            name: {k: v for k, v in raw.items() if k not in ("source", "spread")} for name, raw in self.figures.items()
        }
        for figure in figures.values():
            if "entries" in figure:
                # JSON keeps the keys of a table as words; as numbers they agree with those of a file.
                figure["entries"] = sorted((float(entry), value) for entry, value in figure["entries"].items())
        return {"per": self.per, "parameters": dict(self.parameters), "figures": figures}

    @cached_property
    def source_texts(self) -> tuple[str, ...]:
        """Every source that the component's figures and parameters rest on, each once."""
        figures = (self.provenance(name).source for name in self.figures)
        return tuple(dict.fromkeys((*figures, *self.parameter_sources)))

    def _formula(self, where: str, raw: Mapping[str, Any], context: Mapping[str, float]) -> float:
        for name, (low, high) in raw.get("valid", {}).items():
            given = self._argument(where, name, context)
            if not low <= given <= high:
                raise ChipError(f"{where}: {name} = {given:g} is outside the range of the formula, {low:g} to {high:g}")
        if raw["formula"] == "power_law":
            exponents = raw["exponents"]
            arguments = {name: self._argument(where, name, context) for name in exponents}
            return power_law(raw["factor"], exponents, arguments)
        coefficients = raw.get("coefficients", {})
        arguments = {
            name: coefficients[name] if name in coefficients else self._argument(where, name, context)
            for name in arguments_of(raw["formula"])
        }
        return FORMULAS[raw["formula"]](**arguments)

    def _argument(self, where: str, name: str, context: Mapping[str, float]) -> float:
        if name == "energy" and "energy" in self.figures:
            return self.figure("energy", context)
        if name in self.parameters:
            return self.parameters[name]
        if name not in context:
            known = choices(name, [*context, *self.parameters])
            raise ChipError(f"{where}: nothing supplies {name!r} to this component; {known}")
        return context[name]


@dataclass(frozen=True)
class Technology:
    """A checked technology file."""

    name: str
    description: str
    file: str
    node: float
    components: Mapping[str, Component]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, file: str, raw: Mapping[str, Any]) -> Technology:
        """Check the content of a technology file."""
        document = Document(file, ChipError, {})
        raw = document.mapping("technology", raw)
        document.check_keys("", raw, ("schema", "name", "node", "sources", "components"), ("description",))
        if raw["schema"] != SCHEMA:
            raise document.fail("schema", f"{raw['schema']!r} is not a technology; allowed: {SCHEMA}")
        name = raw["name"]
        if not isinstance(name, str) or not name:
            raise document.fail("name", "must be a word")
        document = Document.of(file, raw["sources"], ChipError)
        node, _ = document.quantity("node", raw["node"], "length")
        table = document.mapping("components", raw["components"])
        components = {role: _component(document, f"components.{role}", entry) for role, entry in table.items()}
        description = " ".join(str(raw.get("description", "")).split())
        return cls(name, description, file, node, components, raw)

    def reduced(self, components: Iterable[str]) -> dict[str, Any]:
        """Return the file's content with only the named components."""
        kept = {name: raw for name, raw in self.raw["components"].items() if name in set(components)}
        return {**self.raw, "components": kept}


MOST_CHECKED = 256
"""Technologies that are remembered at the most."""

_CHECKED: dict[tuple[str, str], Technology] = {}
"""Technologies within chips that were checked before, by whose they are and what they say: variants of a chip have the same."""


def checked(file: str, content: Mapping[str, Any]) -> Technology:
    """Check the content of a technology, once while it says the same."""
    key = file, repr(content)
    if key not in _CHECKED:
        if len(_CHECKED) >= MOST_CHECKED:
            _CHECKED.clear()
        _CHECKED[key] = Technology.of(file, content)
    return _CHECKED[key]


def _component(document: Document, key: str, raw: Any) -> Component:
    mapping = document.mapping(key, raw)
    document.check_keys(
        key,
        mapping,
        ("per", "area", "leakage"),
        ("parameters", "energy", "read_energy", "write_energy", "scales"),
    )
    per = mapping["per"]
    if per not in PER:
        raise document.fail(f"{key}.per", f"{per!r} is not allowed; {choices(str(per), PER)}")
    wanted = {"access": {"read_energy", "write_energy"}, "instance": set()}.get(per, {"energy"})
    given = {name for name in mapping if name.endswith("energy")}
    if given != wanted:
        raise document.fail(key, f"per {per} needs {sorted(wanted) or 'no energy'}, not {sorted(given)}")
    parameters: dict[str, float] = {}
    texts: list[str] = []
    for name, entry in document.mapping(f"{key}.parameters", mapping.get("parameters", {})).items():
        where = f"{key}.parameters.{name}"
        unit = document.mapping(where, entry).get("unit")
        dimension = UNITS[unit][0] if isinstance(unit, str) and unit in UNITS else "number"
        if dimension not in PARAMETERS:
            raise document.fail(where, f"unit {unit!r} measures {dimension}; allowed: {', '.join(PARAMETERS)}")
        parameters[name], provenance = document.quantity(where, entry, dimension)
        texts.append(provenance.source)
    figures = {name: document.mapping(f"{key}.{name}", mapping[name]) for name in FIGURES if name in mapping}
    for name, figure in figures.items():
        _check_figure(document, f"{key}.{name}", figure, FIGURES[name])
    spreads = {
        name: read_spread(document, f"{key}.{name}.spread", figure["spread"], figure, FIGURES[name])
        for name, figure in figures.items()
        if "spread" in figure
    }
    scales = None
    if "scales" in mapping:
        _, scales = document.word(f"{key}.scales", mapping["scales"], SCALES)
    return Component(document, key, per, parameters, tuple(texts), figures, scales, spreads)


def _check_figure(document: Document, key: str, raw: Mapping[str, Any], dimension: str) -> None:
    """Check one figure's shape, numbers, unit and source."""
    kinds = [kind for kind in ("value", "entries", "formula") if kind in raw]
    if len(kinds) != 1:
        raise document.fail(key, "needs exactly one of value (constant), entries (table), formula")
    kind = kinds[0]
    if kind == "value":
        document.check_keys(key, raw, ("value", "unit", "source"), ("spread",))
        if document.number(f"{key}.value", raw["value"]) < 0:
            raise document.fail(f"{key}.value", "must not be negative")
    elif kind == "entries":
        document.check_keys(key, raw, ("by", "entries", "unit", "source"), ("spread",))
        if not isinstance(raw["by"], str) or not isinstance(raw["entries"], dict) or not raw["entries"]:
            raise document.fail(key, "a table needs `by: name` and `entries: {number: number}`")
        for entry, value in raw["entries"].items():
            _entry(document, f"{key}.entries", entry)
            if document.number(f"{key}.entries.{entry}", value) < 0:
                raise document.fail(f"{key}.entries.{entry}", "must not be negative")
    elif raw["formula"] == "power_law":
        document.check_keys(key, raw, ("formula", "factor", "exponents", "valid", "unit", "source"), ("spread",))
        document.number(f"{key}.factor", raw["factor"])
        _check_numbers(document, f"{key}.exponents", raw["exponents"])
        _check_ranges(document, f"{key}.valid", raw["valid"])
    else:
        document.check_keys(key, raw, ("formula", "unit", "source"), ("coefficients", "valid", "spread"))
        if not isinstance(raw["formula"], str) or raw["formula"] not in FORMULAS:
            known = choices(str(raw["formula"]), [*FORMULAS, "power_law"])
            raise document.fail(f"{key}.formula", f"unknown formula {raw['formula']!r}; {known}")
        _check_numbers(document, f"{key}.coefficients", raw.get("coefficients", {}))
        for name in raw.get("coefficients", {}):
            if name not in arguments_of(raw["formula"]):
                known = choices(name, arguments_of(raw["formula"]))
                raise document.fail(f"{key}.coefficients.{name}", f"unknown coefficient; {known}")
        _check_ranges(document, f"{key}.valid", raw.get("valid", {}))
        if raw["unit"] != SI_UNIT[dimension]:
            raise document.fail(f"{key}.unit", f"a formula gives {SI_UNIT[dimension]}, not {raw['unit']!r}")
    to_si(0, str(raw["unit"]), dimension, f"{document.file}: {key}")
    document.source(key, raw)


def _entry(document: Document, key: str, entry: Any) -> float:
    """Return a table's entry as a number; JSON keeps it as a word."""
    try:
        return float(entry)
    except (TypeError, ValueError):
        raise document.fail(key, f"{entry!r} is not a number") from None


def _check_numbers(document: Document, key: str, raw: Any) -> None:
    for name, value in document.mapping(key, raw).items():
        document.number(f"{key}.{name}", value)


def _check_ranges(document: Document, key: str, raw: Any) -> None:
    for name, limits in document.mapping(key, raw).items():
        if not isinstance(limits, list) or len(limits) != 2:
            raise document.fail(f"{key}.{name}", "must be [lowest, highest]")
        low, high = (document.number(f"{key}.{name}", limit) for limit in limits)
        if low > high:
            raise document.fail(f"{key}.{name}", f"lowest {low} is above highest {high}")
