"""What the fields of device laws are: numbers without unit, numbers that depend on the state of a cell, limits from and to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mho.errors import choices
from mho.machine.analog.devices.curve import CLOSED, Curve, Window
from mho.quantity import Document, Mark, Provenance
from mho.units import SI_UNIT, UNITS, to_si, units_of

UNLIMITED = "unlimited"
CONDUCTANCES = ("range", "conductance", "siemens")
"""Units of a curve that is a conductance; "siemens" stands for any unit of conductance."""
FORMS = ("value", "polynomial", "points", *CLOSED)
"""Keys of which a number that may depend on the state has one."""
GRID = np.linspace(0.0, 1.0, 1025)
"""States at which curves are checked."""
WHOLE = Window(1.0, 0.0)
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class DeviceDocument(Document):
    """A device file that is being read; `window` lies between the conductances of its lowest and highest level."""

    window: Window = WHOLE

    def law(self, model: type[Model], key: str, raw: Any) -> Model:
        """Read the part `key` of the file by the fields of a law."""
        return self.model(model, self.mapping(key, raw), key)[0]

    def numbers(self, key: str, raw: Any, count: int | None = None) -> tuple[float, ...]:
        """Read a list of numbers."""
        if not isinstance(raw, list) or not raw or (count is not None and len(raw) != count):
            raise self.fail(key, f"must be a list of {count or 'at least one'} numbers")
        return tuple(float(self.number(key, number)) for number in raw)


class DeviceMark(Mark):
    """A field of a device, whose provenance is told by the file itself (`describe`)."""

    def value(self, document: DeviceDocument, key: str, raw: Any) -> Any:
        """Read the value."""
        raise NotImplementedError

    def read(self, document: Document, key: str, raw: Any, field: FieldInfo) -> tuple[Any, Provenance]:
        """Read the value from a file."""
        assert isinstance(document, DeviceDocument)
        return self.value(document, key, raw), Provenance("", "", "")


class Text(DeviceMark):
    """Marks a text that is not empty."""

    numbers = False

    def value(self, document: DeviceDocument, key: str, raw: Any) -> str:
        """Read the text, as one line."""
        if not isinstance(raw, str) or not raw.strip():
            raise document.fail(key, "must be a text that is not empty")
        return " ".join(raw.split())

    def write(self, value: Any, source: str) -> Any:
        """Return the text itself."""
        return value

    def allowed(self, field: FieldInfo) -> str:
        """Say that it is a text."""
        return "a text"


@dataclass(frozen=True)
class Plain(DeviceMark):
    """Marks a number without unit, `{value: 3, source: ID}`, in a range; the word `unlimited`, if any, stands for infinity."""

    lowest: float = 0.0
    highest: float = math.inf
    unlimited: str | None = None
    whole: bool = False
    share: bool = False

    def value(self, document: DeviceDocument, key: str, raw: Any) -> Any:
        """Read the number."""
        mapping = document.mapping(key, raw)
        document.check_keys(key, mapping, ("value",), ("source",))
        document.source(key, mapping)
        if self.unlimited is not None and mapping["value"] == self.unlimited:
            return math.inf
        number = document.number(key, mapping["value"])
        if not self.lowest <= number <= self.highest:
            at_least = math.isinf(self.highest)
            allowed = f"at least {self.lowest:g}" if at_least else f"from {self.lowest:g} to {self.highest:g}"
            word = f", or {self.unlimited}" if self.unlimited else ""
            raise document.fail(key, f"must be {allowed}{word}, not {number!r}")
        if self.whole and number != int(number):
            raise document.fail(key, f"must be a whole number, not {float(number)!r}")
        return int(number) if self.whole else float(number)

    def allowed(self, field: FieldInfo) -> str:
        """Say its range."""
        ends = f"from {self.lowest:g} on" if math.isinf(self.highest) else f"{self.lowest:g} to {self.highest:g}"
        return ends + (f", or {self.unlimited}" if self.unlimited else "")


@dataclass(frozen=True)
class Amount(DeviceMark):
    """Marks a quantity of a dimension, at least 0 or `above` it; or `unlimited`, which stands for infinity."""

    dimension: str
    above: bool = False
    unlimited: bool = False

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The SI unit."""
        return SI_UNIT[self.dimension]

    def value(self, document: DeviceDocument, key: str, raw: Any) -> float:
        """Read the quantity in SI units."""
        if self.unlimited and document.mapping(key, raw).get("value") == UNLIMITED:
            document.check_keys(key, raw, ("value", "source"))
            document.source(key, raw)
            return math.inf
        value, _ = document.quantity(key, raw, self.dimension)
        if value < 0 or (self.above and value == 0):
            raise document.fail(key, f"must be {'above' if self.above else 'at least'} 0, not {raw['value']!r}")
        return value

    def allowed(self, field: FieldInfo) -> str:
        """Say range and units."""
        within = "above 0" if self.above else "from 0 on"
        return f"{within}, in {', '.join(units_of(self.dimension))}" + (f"; or {UNLIMITED}" if self.unlimited else "")


@dataclass(frozen=True)
class Between(DeviceMark):
    """Marks limits, `{minimum: 1, maximum: 40, unit: uS, source: ID}`, lowest and highest; `maximum` may be unlimited."""

    dimension: str | None = None
    numbers = False

    def value(self, document: DeviceDocument, key: str, raw: Any) -> tuple[float, float]:
        """Read both ends."""
        mapping = document.mapping(key, raw)
        needed = ("minimum", "maximum", "source")
        document.check_keys(key, mapping, needed, ("unit",) if self.dimension else ())
        given = {name: mapping[name] for name in ("unit", "source") if name in mapping}
        mark = Amount(self.dimension) if self.dimension else Plain()
        ends = []
        for end in ("minimum", "maximum"):
            if end == "maximum" and mapping[end] == UNLIMITED:
                document.source(key, mapping)
                ends.append(math.inf)
            else:
                ends.append(mark.value(document, f"{key}.{end}", {**given, "value": mapping[end]}))
        if ends[0] > ends[1]:
            raise document.fail(key, "minimum is above maximum")
        return ends[0], ends[1]

    def write(self, value: Any, source: str) -> Any:
        """Refuse: two ends are no one number."""
        raise ValueError(f"give a mapping with minimum, maximum and unit, not {value!r}")

    def allowed(self, field: FieldInfo) -> str:
        """Say its form."""
        return "minimum and maximum" + (f", in {', '.join(units_of(self.dimension))}" if self.dimension else "")


@dataclass(frozen=True)
class Curved(DeviceMark):
    """Marks a number that may depend on the state of the cell: units are those of `Curve`, the first that of a bare number.

    `share`: what is looked for (`mho.explore.find`) lies from 0 to 1.
    """

    units: tuple[str, ...] = CONDUCTANCES
    signed: bool = False
    share: bool = False

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The unit of a bare number."""
        return self.units[0]

    def write(self, value: Any, source: str) -> Any:
        """Return a constant in the first unit."""
        return {"value": value, "unit": self.unit, "source": source}

    def allowed(self, field: FieldInfo) -> str:
        """Say the units."""
        units = [unit for unit in self.units if unit != "siemens"]
        units += units_of("conductance") if "siemens" in self.units else ()
        return f"{'any number' if self.signed else 'from 0 on'}, in {', '.join(units)}; or {', '.join(FORMS[1:])}"

    def value(self, document: DeviceDocument, key: str, raw: Any) -> Curve:
        """Read a constant, `polynomial`, `points` or a closed form."""
        mapping = document.mapping(key, raw)
        document.check_keys(key, mapping, (), (*FORMS, "limits", "argument", "unit", "source"))
        document.source(key, mapping)
        forms = [form for form in FORMS if form in mapping]
        if len(forms) != 1:
            raise document.fail(key, f"give one of {', '.join(FORMS)}")
        unit, factor = self._unit(document, key, mapping)
        at: tuple[float, ...] = ()
        content = mapping[forms[0]]
        if forms[0] == "value":
            values: tuple[float, ...] = (float(document.number(key, content)),)
            if "argument" in mapping:
                raise document.fail(f"{key}.argument", "a constant has none")
        elif forms[0] == "polynomial":
            values = document.numbers(key, content)
        elif forms[0] in CLOSED:
            values = document.numbers(f"{key}.{forms[0]}", content, 2)
        else:
            if not isinstance(content, list) or len(content) < 2:
                raise document.fail(f"{key}.points", "must be at least two pairs [argument, value]")
            pairs = [document.numbers(f"{key}.points", pair, 2) for pair in content]
            at, values = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
            if any(b <= a for a, b in pairwise(at)):
                raise document.fail(f"{key}.points", "arguments must increase")
        form: Any = "constant" if forms[0] == "value" else forms[0]
        limits = None if "limits" not in mapping else _limits(document, f"{key}.limits", mapping["limits"])
        curve = Curve(form, values, cast(Any, unit), at, _argument(document, key, mapping), factor, limits)
        self._check(document, key, curve)
        return curve

    def _check(self, document: DeviceDocument, key: str, curve: Curve) -> None:
        if curve.form == "points":
            ends = curve.argument(GRID, document.window)
            slack = 1e-9 * max(abs(curve.at[0]), abs(curve.at[-1]))
            if ends[0] < curve.at[0] - slack or ends[-1] > curve.at[-1] + slack:
                reach = f"must reach from {ends[0]:g} to {ends[-1]:g}, the levels of the device"
                raise document.fail(f"{key}.points", reach)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            values = curve(GRID, document.window)
        if not np.all(np.isfinite(values)):
            raise document.fail(key, "must be finite numbers")
        if not self.signed and np.any(values < 0):
            state = GRID[int(np.argmin(values))]
            raise document.fail(key, f"must not be negative; at {state:.3f} of the range it is {values.min():g}")
        largest = np.max(np.abs(values))
        if largest > 100:
            raise document.fail(
                key, f"must be at most 100 in size (shares of the range, or logarithms), not {largest:g}"
            )

    def _unit(self, document: DeviceDocument, key: str, mapping: Mapping[str, Any]) -> tuple[str, float]:
        words = [unit for unit in self.units if unit != "siemens"]
        allowed = [*words, *(units_of("conductance") if "siemens" in self.units else ())]
        unit = mapping.get("unit")
        if unit in words:
            return str(unit), 1.0
        if not isinstance(unit, str) or unit not in allowed:
            raise document.fail(f"{key}.unit", f"{unit!r} is not allowed; {choices(str(unit), allowed)}")
        return "siemens", float(UNITS[unit][1])


def _limits(document: DeviceDocument, key: str, raw: Any) -> tuple[float, float]:
    """Return the least and the most that a number may be."""
    least, most = document.numbers(key, raw, 2)
    if least > most:
        raise document.fail(key, f"must be two numbers, the lower one first, not {raw!r}")
    return least, most


def _argument(document: DeviceDocument, key: str, mapping: Mapping[str, Any]) -> float | None:
    """Return the conductance in siemens that the argument counts in; None for the state itself."""
    if "argument" not in mapping:
        return None
    where = f"{key}.argument"
    raw = document.mapping(where, mapping["argument"])
    document.check_keys(where, raw, ("per", "unit"))
    number = document.number(where, raw["per"])
    per = to_si(number, str(raw["unit"]), "conductance", f"{document.file}: {where}", document.error)
    if per <= 0:
        raise document.fail(where, f"per must be above 0, not {raw['per']!r}")
    return per
