"""Device files: `schema: mho.device/1`, every number with a source that the file's own `sources:` table spells out.

Quantities are written as in chip files, `{value: 40, unit: uS, source: wan}`; numbers that depend on the state of the cell as
`{polynomial: [4.78, -0.0091], argument: {per: 1, unit: uS}, unit: uS, source: milo}` or `{points: [[0, 0.01], [1, 0.03]], ...}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

from mho.errors import DeviceError, MhoError, choices
from mho.machine.analog.devices.ageing import Drift, Relaxation
from mho.machine.analog.devices.curve import Curve, Window
from mho.machine.analog.devices.faults import Endurance, Stuck
from mho.machine.analog.devices.validity import Validity
from mho.machine.analog.devices.variation import Programming, Verify
from mho.quantity import Document
from mho.units import UNITS, to_si, units_of

SCHEMA = "mho.device/1"
UNLIMITED = "unlimited"
MOST_BITS = 8
NEEDED = ("schema", "name", "description", "sources", "g_on_s", "validity")
PARTS = ("programming", "verify", "read", "stuck", "drift", "relaxation", "endurance")
GRID = np.linspace(0.0, 1.0, 1025)
"""States at which curves are checked."""


class Reader:
    """Reads one file's mapping; raises DeviceError naming file and key where it is wrong."""

    def __init__(self, file: str, raw: Mapping[str, Any]) -> None:
        self.file = file
        self.document = Document(file, DeviceError, {})
        self.raw = self.document.mapping("the device", dict(raw))
        if self.raw.get("schema") != SCHEMA:
            raise self._fail("schema", f"must be {SCHEMA}, not {self.raw.get('schema')!r}")
        self.document.check_keys("", self.raw, NEEDED, ("g_off_s", "on_off", *PARTS))
        self.document = Document.of(file, self.raw["sources"], DeviceError)
        self.name, self.description = self._text("name"), self._text("description")
        self.validity = self._validity()
        self.window = self._window()

    def _fail(self, key: str, problem: str) -> MhoError:
        return self.document.fail(key, problem)

    def _text(self, key: str) -> str:
        text = self.raw[key]
        if not isinstance(text, str) or not text.strip():
            raise self._fail(key, "must be a text that is not empty")
        return " ".join(text.split())

    def _window(self) -> Window:
        on = self._dimension("g_on_s", self.raw["g_on_s"], "conductance")
        if ("g_off_s" in self.raw) == ("on_off" in self.raw):
            raise self._fail("g_off_s", "give either g_off_s or on_off")
        if "g_off_s" in self.raw:
            off = self._dimension("g_off_s", self.raw["g_off_s"], "conductance")
        else:
            ratio = self._plain("on_off", self.raw["on_off"], 1.0, math.inf, unlimited="infinite")
            off = 0.0 if math.isinf(ratio) else on / ratio
        lowest, highest = self.validity.conductance_s
        # A hair's breadth: g_on_s / on_off need not be the very float that the limit is.
        slack = 1e-12 * on
        if not 0 <= off < on:
            raise self._fail("g_off_s", f"must be from 0 to below g_on_s, {on:g} S, not {off:g} S")
        if off < lowest - slack or on > highest + slack:
            given = f"g_off_s to g_on_s, {off:g} to {on:g} S,"
            raise self._fail("g_on_s", f"{given} leaves validity.conductance_s, {lowest:g} to {highest:g} S")
        return Window(on, off)

    def _validity(self) -> Validity:
        raw = self.document.mapping("validity", self.raw["validity"])
        self.document.check_keys("validity", raw, ("conductance_s", "temperature_k", "cell_bits", "age_s", "writes"))
        bits = self._count("validity.cell_bits", raw["cell_bits"], 1, MOST_BITS)
        age = self.document.mapping("validity.age_s", raw["age_s"])
        return Validity(
            self._limits("validity.conductance_s", raw["conductance_s"], "conductance"),
            self._limits("validity.temperature_k", raw["temperature_k"], None),
            bits,
            math.inf if self._unlimited("validity.age_s", age) else self._dimension("validity.age_s", age, "time"),
            self._plain("validity.writes", raw["writes"], 0.0, math.inf, unlimited=UNLIMITED),
        )

    def _limits(self, key: str, raw: Any, dimension: str | None) -> tuple[float, float]:
        mapping = self.document.mapping(key, raw)
        self.document.check_keys(key, mapping, ("minimum", "maximum", "source"), ("unit",) if dimension else ())
        found = []
        for end in ("minimum", "maximum"):
            quantity: dict[str, Any] = {name: mapping[name] for name in ("unit", "source") if name in mapping}
            quantity["value"] = mapping[end]
            where = f"{key}.{end}"
            if end == "maximum" and mapping[end] == UNLIMITED:
                self.document.source(key, mapping)
                found.append(math.inf)
            elif dimension:
                found.append(self._dimension(where, quantity, dimension))
            else:
                found.append(self._plain(where, quantity, 0.0, math.inf))
        if found[0] > found[1]:
            raise self._fail(key, "minimum is above maximum")
        return found[0], found[1]

    def _unlimited(self, key: str, mapping: Mapping[str, Any]) -> bool:
        if mapping.get("value") != UNLIMITED:
            return False
        self.document.check_keys(key, mapping, ("value", "source"))
        self.document.source(key, mapping)
        return True

    def _dimension(self, key: str, raw: Any, dimension: str, positive: bool = False) -> float:
        """Read a quantity with a unit, at least 0 (above it if `positive`)."""
        value, _ = self.document.quantity(key, raw, dimension)
        if value < 0 or (positive and value == 0):
            raise self._fail(key, f"must be {'above' if positive else 'at least'} 0, not {raw['value']!r}")
        return value

    def _plain(self, key: str, raw: Any, lowest: float, highest: float, unlimited: str | None = None) -> float:
        """Read a quantity without unit from `lowest` to `highest`, or infinity written as the word `unlimited`."""
        mapping = self.document.mapping(key, raw)
        self.document.check_keys(key, mapping, ("value",), ("source",))
        self.document.source(key, mapping)
        if unlimited is not None and mapping["value"] == unlimited:
            return math.inf
        value = self.document.number(key, mapping["value"])
        if not math.isfinite(value) or not lowest <= value <= highest:
            allowed = f"at least {lowest:g}" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
            word = f", or {unlimited}" if unlimited else ""
            raise self._fail(key, f"must be {allowed}{word}, not {value!r}")
        return float(value)

    def _count(self, key: str, raw: Any, lowest: int, highest: int) -> int:
        value = self._plain(key, raw, lowest, highest)
        if value != int(value):
            raise self._fail(key, f"must be a whole number, not {value!r}")
        return int(value)

    def _part(self, key: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any] | None:
        if key not in self.raw:
            return None
        mapping = self.document.mapping(key, self.raw[key])
        self.document.check_keys(key, mapping, needed, optional)
        return mapping

    def programming(self) -> Programming | None:
        """Read `programming`; None where it is absent or of kind none."""
        raw = self._part("programming", ("kind",), ("sigma", "shift"))
        if raw is None:
            return None
        kinds = ("none", "gaussian", "lognormal")
        kind, _ = self.document.word("programming.kind", raw["kind"], kinds)
        if kind == "none":
            self.document.check_keys("programming", raw, ("kind",))
            return None
        self.document.check_keys("programming", raw, ("kind", "sigma"), ("shift",))
        units = ("log",) if kind == "lognormal" else ("range", "conductance", "siemens")
        return Programming(
            cast(Literal["gaussian", "lognormal"], kind),
            self.curve("programming.sigma", raw["sigma"], units),
            self.curve("programming.shift", raw.get("shift"), units, signed=True),
        )

    def verify(self, programming: Programming | None) -> Verify | None:
        """Read `verify`, which needs a variation to verify."""
        raw = self._part("verify", ("iterations", "tolerance"))
        if raw is None:
            return None
        iterations = self._count("verify.iterations", raw["iterations"], 0, 1000)
        if iterations and programming is None:
            raise self._fail("verify", "there is no programming variation that could be verified")
        return Verify(iterations, self.curve("verify.tolerance", raw["tolerance"], ("range", "conductance", "siemens")))

    def read(self) -> Curve | None:
        """Read `read`: sigma of the noise of each read."""
        raw = self._part("read", ("sigma",))
        return None if raw is None else self.curve("read.sigma", raw["sigma"], ("range", "conductance", "siemens"))

    def stuck(self) -> Stuck:
        """Read `stuck`; a share that is absent is 0."""
        keys = ("on_share", "off_share")
        raw = self._part("stuck", (), keys) or {}
        on, off = (self._plain(f"stuck.{key}", raw[key], 0.0, 1.0) if key in raw else 0.0 for key in keys)
        if on + off > 1:
            raise self._fail("stuck", f"on_share and off_share must sum to at most 1, not {on + off:g}")
        return Stuck(on, off)

    def drift(self) -> Drift | None:
        """Read `drift`."""
        raw = self._part("drift", ("t0_s", "nu"), ("nu_spread",))
        if raw is None:
            return None
        return Drift(
            self._dimension("drift.t0_s", raw["t0_s"], "time", positive=True),
            self.curve("drift.nu", raw["nu"], ("number",), signed=True),
            self.curve("drift.nu_spread", raw.get("nu_spread"), ("number",)),
        )

    def relaxation(self) -> Relaxation | None:
        """Read `relaxation`: one time with slopes, or points of time."""
        raw = self._part("relaxation", (), ("t0_s", "sigma", "sigma_per_log", "shift", "shift_per_log", "points"))
        if raw is None:
            return None
        units = ("range", "conductance", "siemens")
        if "points" not in raw:
            self.document.check_keys("relaxation", raw, ("t0_s", "sigma"), ("sigma_per_log", "shift", "shift_per_log"))
            return Relaxation(
                (self._dimension("relaxation.t0_s", raw["t0_s"], "time", positive=True),),
                (self.curve("relaxation.sigma", raw["sigma"], units),),
                (self.curve("relaxation.shift", raw.get("shift"), units, signed=True),),
                self.curve("relaxation.sigma_per_log", raw.get("sigma_per_log"), units),
                self.curve("relaxation.shift_per_log", raw.get("shift_per_log"), units, signed=True),
            )
        self.document.check_keys("relaxation", raw, ("points",))
        points = raw["points"]
        if not isinstance(points, list) or not points:
            raise self._fail("relaxation.points", "must be a list of mappings with time_s and sigma")
        times, sigmas, shifts = [], [], []
        for i, point in enumerate(points):
            where = f"relaxation.points[{i}]"
            mapping = self.document.mapping(where, point)
            self.document.check_keys(where, mapping, ("time_s", "sigma"), ("shift",))
            times.append(self._dimension(f"{where}.time_s", mapping["time_s"], "time", positive=True))
            sigmas.append(self.curve(f"{where}.sigma", mapping["sigma"], units))
            shifts.append(self.curve(f"{where}.shift", mapping.get("shift"), units, signed=True))
        if any(b <= a for a, b in pairwise(times)):
            raise self._fail("relaxation.points", "times must increase")
        if self.validity.age_s > times[-1]:
            raise self._fail("validity.age_s", f"goes beyond the last of relaxation.points, {times[-1]:g} s")
        return Relaxation(tuple(times), tuple(sigmas), tuple(shifts))

    def endurance(self) -> Endurance | None:
        """Read `endurance`."""
        raw = self._part("endurance", ("kind", "median", "spread", "mode"))
        if raw is None:
            return None
        kind, _ = self.document.word("endurance.kind", raw["kind"], ("lognormal", "weibull"))
        mode, _ = self.document.word("endurance.mode", raw["mode"], ("stuck_on", "stuck_off"))
        return Endurance(
            cast(Literal["lognormal", "weibull"], kind),
            self._plain("endurance.median", raw["median"], 1.0, 1e30, unlimited=UNLIMITED),
            self._plain("endurance.spread", raw["spread"], 0.0, 100.0),
            cast(Literal["stuck_on", "stuck_off"], mode),
        )

    def curve(self, key: str, raw: Any, units: tuple[str, ...], signed: bool = False) -> Curve:
        """Read a number that may depend on the state; absent is 0. Units are those of `Curve`, "siemens" any conductance."""
        if raw is None:
            return Curve("constant", (0.0,), cast(Any, units[0]))
        mapping = self.document.mapping(key, raw)
        self.document.check_keys(key, mapping, (), ("value", "polynomial", "points", "argument", "unit", "source"))
        self.document.source(key, mapping)
        forms = [form for form in ("value", "polynomial", "points") if form in mapping]
        if len(forms) != 1:
            raise self._fail(key, "give one of value, polynomial and points")
        unit, factor = self._unit(key, mapping, units)
        at: tuple[float, ...] = ()
        content = mapping[forms[0]]
        if forms[0] == "value":
            values: tuple[float, ...] = (float(self.document.number(key, content)),)
            if "argument" in mapping:
                raise self._fail(f"{key}.argument", "a constant has none")
        elif forms[0] == "polynomial":
            values = self._numbers(key, content)
        else:
            if not isinstance(content, list) or len(content) < 2:
                raise self._fail(f"{key}.points", "must be at least two pairs [argument, value]")
            pairs = [self._numbers(f"{key}.points", pair, 2) for pair in content]
            at, values = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
            if any(b <= a for a, b in pairwise(at)):
                raise self._fail(f"{key}.points", "arguments must increase")
        form: dict[str, Any] = {"value": "constant"}
        curve = Curve(form.get(forms[0], forms[0]), values, cast(Any, unit), at, self._argument(key, mapping), factor)
        self._check(key, curve, signed)
        return curve

    def _check(self, key: str, curve: Curve, signed: bool) -> None:
        if curve.form == "points":
            ends = curve.argument(GRID, self.window)
            slack = 1e-9 * max(abs(curve.at[0]), abs(curve.at[-1]))
            if ends[0] < curve.at[0] - slack or ends[-1] > curve.at[-1] + slack:
                raise self._fail(
                    f"{key}.points", f"must reach from {ends[0]:g} to {ends[-1]:g}, the levels of the device"
                )
        with np.errstate(over="ignore", invalid="ignore"):
            found = curve(GRID, self.window)
        if not np.all(np.isfinite(found)):
            raise self._fail(key, "must be finite numbers")
        if not signed and np.any(found < 0):
            state = GRID[int(np.argmin(found))]
            raise self._fail(key, f"must not be negative; at {state:.3f} of the range it is {found.min():g}")
        if np.max(np.abs(found)) > 100:
            raise self._fail(
                key, f"must be at most 100 in size (shares of the range, or logarithms), not {np.max(np.abs(found)):g}"
            )

    def _unit(self, key: str, mapping: Mapping[str, Any], units: tuple[str, ...]) -> tuple[str, float]:
        words = [unit for unit in units if unit != "siemens"]
        allowed = [*words, *(units_of("conductance") if "siemens" in units else ())]
        unit = mapping.get("unit")
        if unit in words:
            return str(unit), 1.0
        if not isinstance(unit, str) or unit not in allowed:
            raise self._fail(f"{key}.unit", f"{unit!r} is not allowed; {choices(str(unit), allowed)}")
        return "siemens", float(UNITS[unit][1])

    def _argument(self, key: str, mapping: Mapping[str, Any]) -> float | None:
        """Return the conductance in siemens that the argument counts in; None for the state itself."""
        if "argument" not in mapping:
            return None
        where = f"{key}.argument"
        raw = self.document.mapping(where, mapping["argument"])
        self.document.check_keys(where, raw, ("per", "unit"))
        per = to_si(
            self.document.number(where, raw["per"]),
            str(raw["unit"]),
            "conductance",
            f"{self.file}: {where}",
            DeviceError,
        )
        if per <= 0:
            raise self._fail(where, f"per must be above 0, not {raw['per']!r}")
        return per

    def _numbers(self, key: str, raw: Any, count: int | None = None) -> tuple[float, ...]:
        if not isinstance(raw, list) or not raw or (count is not None and len(raw) != count):
            raise self._fail(key, f"must be a list of {count or 'at least one'} numbers")
        return tuple(float(self.document.number(key, number)) for number in raw)
