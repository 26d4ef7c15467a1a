"""A systolic array as a checked, frozen description, read from a YAML file like a chip's.

Every quantity has a value, a unit and a source, and every component is one of mho's technologies (`mho.chip`), so that
the baseline pays for a byte or a multiply-accumulate exactly what a chip of crossbars pays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from mho.chip.parts import Use
from mho.chip.quantity import Provenance, Sources, as_mapping, check_keys, check_limits, read_number, read_word
from mho.chip.spec import (
    Bandwidth,
    Bytes,
    Columns,
    Dimension,
    ElementRate,
    Frequency,
    Lanes,
    Part,
    PortBits,
    Rows,
    Words,
)
from mho.chip.store import SUFFIXES, read_technology
from mho.chip.units import SI_UNIT
from mho.errors import ChipError, choices
from mho.files.text import read_yaml

SCHEMA = "mho.systolic/1"
PRESETS = Path(__file__).parent / "presets"
HEAD = ("schema", "name", "sources", "components")

COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "mac": "mac",
        "register": "byte",
        "activation_buffer": "access",
        "sum_buffer": "access",
        "weight_buffer": "access",
        "vector_unit": "element",
        "memory": "byte",
    }
)
"""Component to what its energy is per (see `mho.chip.technology.PER`)."""

Banks = Annotated[int, Dimension("banks"), Field(ge=1, le=1_000_000)]
Value = int | float | str | None


class Buffers(Part):
    """Banks of one size: for activations, for partial sums, for weights."""

    activation_banks: Banks
    sum_banks: Banks
    weight_banks: Banks
    bank_bytes: Bytes
    port_bits: PortBits


class Memory(Part):
    """Main memory, off chip."""

    bandwidth: Bandwidth


class VectorUnit(Part):
    """The unit for everything that is no matrix product. A rate of None (the word `ideal`) takes no time."""

    lanes: Lanes
    elements_per_s: ElementRate


class Specification(Part):
    """All quantities of a systolic array with its buffers and memory, in SI units."""

    frequency_hz: Frequency
    rows: Rows
    columns: Columns
    sum_bytes: Bytes
    buffer: Buffers
    memory: Memory
    vector: VectorUnit
    products: Annotated[Literal["ideal", "array"], Words(("ideal", "array"))]


@dataclass(frozen=True, eq=False, repr=False)
class Systolic:
    """A systolic array of rows x columns multiply-accumulate units with its buffers and main memory.

        Systolic.load("tpu-like")                              a preset (Systolic.presets() lists them)
        Systolic.load("designs/mine.yaml")                     a file
        systolic.override({"rows": 128}, source="a larger one")  a variant, values in SI units

    Two are equal where their digests are: names and sources do not count.
    """

    name: str
    description: str
    spec: Specification
    provenance: Mapping[str, Provenance]
    """Dotted key to the value and unit as written, and the text of the source."""
    uses: Mapping[str, Use]
    """Component of the array to the component of a technology that it is."""
    raw: Mapping[str, Any]
    folder: Path | None

    @classmethod
    def load(cls, name_or_path: str | Path) -> Systolic:
        """Load a preset by name or a file by path. Raises ChipError naming file and key."""
        text = str(name_or_path)
        if Path(text).suffix in SUFFIXES or Path(text).name != text or not text:
            path = Path(text)
            if not path.is_file():
                raise ChipError(f"{path}: no such systolic array; a preset is named without suffix: {_listed()}")
        elif text in cls.presets():
            path = PRESETS / f"{text}.yaml"
        else:
            raise ChipError(f"unknown systolic array {text!r}; {choices(text, cls.presets())}")
        return cls._build(str(path), read_yaml(path, ChipError), path.parent)

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Return the names of the systolic arrays that come with mho, sorted."""
        return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))

    @classmethod
    def _build(cls, file: str, raw: Mapping[str, Any], folder: Path | None) -> Systolic:
        check_keys(file, "", raw, (*HEAD, *Specification.model_fields), ("description",))
        if raw["schema"] != SCHEMA:
            raise ChipError(f"{file}: schema: {raw['schema']!r} is not a systolic array; allowed: {SCHEMA}")
        name, description = raw["name"], raw.get("description", "")
        if not isinstance(name, str) or not name or not isinstance(description, str):
            raise ChipError(f"{file}: name: must be a word, and description a text")
        sources = Sources.of(file, raw["sources"])
        provenance: dict[str, Provenance] = {}
        fields = {key: raw[key] for key in Specification.model_fields}
        values = _read_part(file, "", fields, Specification, sources, provenance)
        try:
            spec = Specification.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ChipError(f"{file}: {place}: {first['msg'].lower()}, not {first['input']!r}") from None
        uses = _read_uses(file, raw["components"], sources, folder)
        found = cls(
            name,
            " ".join(description.split()),
            spec,
            MappingProxyType(provenance),
            MappingProxyType(uses),
            MappingProxyType(dict(raw)),
            folder,
        )
        # Every cost once, so that a figure out of its table or range is refused here.
        _ = found.energy_per_event, found.leakage_w, found.area_m2
        return found

    def override(self, values: Mapping[str, Value], source: str, name: str | None = None) -> Systolic:
        """Return a variant, checked anew. Keys are dotted ("buffer.sum_banks", "components.mac"), values in SI units.

        `source` says why; the variant is called `name`, or this one's name with a star.
        """
        if not source.strip():
            raise ChipError("override: source must say why the systolic array is varied")
        content: dict[str, Any] = json.loads(json.dumps(dict(self.raw)))
        number = 1 + sum(key.startswith("override-") for key in content["sources"])
        content["sources"][f"override-{number}"] = source
        content["name"] = name or f"{self.name}*"
        units = _leaves(Specification)
        for key, value in values.items():
            head, _, component = key.partition(".")
            if head == "components" and component in COMPONENTS:
                content["components"][component] = {"use": value, "source": f"override-{number}"}
                continue
            if key not in units:
                components = [f"components.{each}" for each in COMPONENTS]
                raise ChipError(f"override: unknown key {key!r}; {choices(key, [*units, *components])}")
            if not isinstance(value, int | float | str | None):
                raise ChipError(f"override: {key}: takes one value, not {value!r}")
            *path, last = key.split(".")
            place = content
            for part in path:
                place = place[part]
            word = "ideal" if value is None else value
            unit = {} if isinstance(word, str) or units[key] is None else {"unit": units[key]}
            place[last] = {"value": word, **unit, "source": f"override-{number}"}
        return self._build("override", content, self.folder)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of the quantities in SI units and the figures of every component."""
        components = {
            key: None if use.component is None else use.component.definition for key, use in self.uses.items()
        }
        content = {"spec": self.spec.model_dump(mode="json"), "components": components}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Systolic) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Systolic({self.name!r}, {self.spec.rows} x {self.spec.columns})"

    @property
    def units(self) -> int:
        """Multiply-accumulate units."""
        return self.spec.rows * self.spec.columns

    @property
    def activation_bytes(self) -> int:
        """Bytes of the activation buffer."""
        return self.spec.buffer.activation_banks * self.spec.buffer.bank_bytes

    @property
    def sum_buffer_bytes(self) -> int:
        """Bytes of the buffer for partial sums."""
        return self.spec.buffer.sum_banks * self.spec.buffer.bank_bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weight buffer."""
        return self.spec.buffer.weight_banks * self.spec.buffer.bank_bytes

    @property
    def cell_register_bytes(self) -> int:
        """Bytes of registers in a cell of the array: two operands of a byte each, and a partial sum."""
        return 2 + self.spec.sum_bytes

    def _figure(self, component: str, name: str) -> float:
        found = self.uses[component].component
        if found is None:
            return 0.0
        buffer = self.spec.buffer
        context = {"bytes": buffer.bank_bytes, "port_bits": buffer.port_bits}
        if component == "register":
            context = {"bytes": self.cell_register_bytes}
        try:
            return found.figure(name, context)
        except ChipError as error:
            raise ChipError(f"components.{component}: {error}") from None

    def _count(self, component: str) -> int:
        """Return the instances of a component that leak and take area."""
        buffer = self.spec.buffer
        return {
            "activation_buffer": buffer.activation_banks,
            "sum_buffer": buffer.sum_banks,
            "weight_buffer": buffer.weight_banks,
            "vector_unit": self.spec.vector.lanes,
            "memory": 1,
        }.get(component, self.units)

    @cached_property
    def energy_per_event(self) -> Mapping[str, float]:
        """Event to J: `mac`, `register_byte`, `vector_element`, `memory_byte`, and a byte read from or written to a buffer."""
        energies: dict[str, float] = {}
        for component, per in COMPONENTS.items():
            if per == "access":
                width = self.spec.buffer.port_bits / 8
                for way in ("read", "write"):
                    energies[f"{component}_{way}_byte"] = self._figure(component, f"{way}_energy") / width
            else:
                event = {"register": "register_byte", "vector_unit": "vector_element", "memory": "memory_byte"}
                energies[event.get(component, component)] = self._figure(component, "energy")
        return MappingProxyType(energies)

    @cached_property
    def leakage_w(self) -> Mapping[str, float]:
        """Component to the power in W that all its instances draw always; no bank is switched off."""
        return MappingProxyType({key: self._figure(key, "leakage") * self._count(key) for key in COMPONENTS})

    @cached_property
    def area_m2(self) -> Mapping[str, float]:
        """Component to the area in m2 of all its instances; main memory is off the chip."""
        return MappingProxyType({key: self._figure(key, "area") * self._count(key) for key in COMPONENTS})

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Every assumption in effect, for reports."""
        texts = [found.source for found in self.provenance.values() if found.assumed]
        for use in self.uses.values():
            texts += [text for text in use.source_texts if text.startswith("assumption:")]
        return tuple(dict.fromkeys(texts))


def event_component(event: str) -> str:
    """Return the component that pays for an event."""
    known = {"mac": "mac", "register_byte": "register", "vector_element": "vector_unit", "memory_byte": "memory"}
    return known.get(event) or event.rsplit("_", 2)[0]


def _listed() -> str:
    return ", ".join(Systolic.presets())


def _dimension(field: Any) -> str | None:
    return next((mark.name for mark in field.metadata if isinstance(mark, Dimension)), None)


def _leaves(model: type[BaseModel], prefix: str = "") -> dict[str, str | None]:
    """Return every dotted key with its SI unit, or None where its value is a word."""
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            found |= _leaves(part, f"{prefix}{name}.")
        else:
            dimension = _dimension(field)
            found[f"{prefix}{name}"] = SI_UNIT[dimension] if dimension else None
    return found


def _read_part(
    file: str,
    prefix: str,
    raw: Mapping[str, Any],
    model: type[BaseModel],
    sources: Sources,
    provenance: dict[str, Provenance],
) -> dict[str, Any]:
    """Read the quantities and words of a part, in SI units, noting where each comes from."""
    check_keys(file, prefix, raw, model.model_fields)
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        part, dimension = field.annotation, _dimension(field)
        words = next((mark.allowed for mark in field.metadata if isinstance(mark, Words)), ())
        if isinstance(part, type) and issubclass(part, BaseModel):
            values[name] = _read_part(file, key, as_mapping(file, key, raw[name]), part, sources, provenance)
        elif dimension is None:
            values[name], provenance[key] = read_word(file, key, raw[name], words, sources)
        elif words and isinstance(raw[name], dict) and isinstance(raw[name].get("value"), str):
            _, provenance[key] = read_word(file, key, raw[name], words, sources)
            values[name] = None
        else:
            number, provenance[key] = read_number(file, key, raw[name], dimension, sources)
            check_limits(file, key, number, field)
            if part is int and number != int(number):
                raise ChipError(f"{file}: {key}: must be a whole number of {SI_UNIT[dimension]}, not {number}")
            values[name] = int(number) if part is int else number
    return values


def _read_uses(file: str, raw: Any, sources: Sources, folder: Path | None) -> dict[str, Use]:
    """Read `components: {name: {use: technology/component, source: id}}`."""
    table = as_mapping(file, "components", raw)
    check_keys(file, "components", table, COMPONENTS)
    uses: dict[str, Use] = {}
    for component, per in COMPONENTS.items():
        key = f"components.{component}"
        mapping = as_mapping(file, key, table[component])
        check_keys(file, key, mapping, ("use",), ("source",))
        name, source = mapping["use"], sources.text(key, mapping)
        if not isinstance(name, str) or name.count("/") != 1:
            raise ChipError(f"{file}: {key}.use: must be technology/component, not {name!r}")
        technology_name, _, component_name = name.partition("/")
        # What lies beside a preset are the other presets, not technologies.
        technology = read_technology(technology_name, f"{file}: {key}.use", None if folder == PRESETS else folder)
        if component_name not in technology.components:
            there = choices(component_name, technology.components)
            raise ChipError(f"{file}: {key}.use: {technology_name} has no component {component_name!r}; {there}")
        found = technology.components[component_name].per
        if found != per:
            raise ChipError(f"{file}: {key}.use: {name} costs per {found}, but a {component} costs per {per}")
        uses[component] = Use(component, name, technology, component_name, source)
    return uses
