"""A systolic array as a checked, frozen description, read from a YAML file like a chip's.

Every quantity has a value, a unit and a source, and every component is one of mho's technologies (`mho.chip`), so that
the baseline pays for a byte or a multiply-accumulate exactly what a chip of crossbars pays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from mho.chip.parts import Paid, Use, read_uses
from mho.chip.spec import Bandwidth, Bytes, Columns, ElementRate, Frequency, Lanes, PortBits, Rows
from mho.errors import ChipError
from mho.files.text import read_yaml
from mho.machine.systolic.folds import SystolicGrid
from mho.plugins import Presets
from mho.quantity import Dimension, Document, Part, Provenance, Words, digest_of, varied

SCHEMA = "mho.systolic/1"
PRESETS = Presets(Path(__file__).parent / "presets", "systolic array", ChipError)
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

BUFFERS = tuple(component for component, per in COMPONENTS.items() if per == "access")
EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mac": ("mac", "energy"),
        "register_byte": ("register", "energy"),
        "vector_element": ("vector_unit", "energy"),
        "memory_byte": ("memory", "energy"),
        **{f"{buffer}_{way}_byte": (buffer, f"{way}_energy") for buffer in BUFFERS for way in ("read", "write")},
    }
)
"""Event to the component that pays for it, and the figure that says how much."""

Stalls = Literal["hidden", "exposed", "refetched"]
STALLS: tuple[Stalls, ...] = ("hidden", "exposed", "refetched")
"""When the array stands still for main memory (`mho.machine.systolic.account`)."""
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
    stalls: Annotated[Stalls, Words(STALLS)]


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
        path = PRESETS.path(name_or_path)
        return cls._build(str(path), read_yaml(path, ChipError), path.parent)

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Return the names of the systolic arrays that come with mho, sorted."""
        return PRESETS.names()

    @classmethod
    def _build(cls, file: str, raw: Mapping[str, Any], folder: Path | None) -> Systolic:
        Document(file, ChipError, {}).check_keys("", raw, (*HEAD, *Specification.model_fields), ("description",))
        document = Document.of(file, raw["sources"], ChipError)
        if raw["schema"] != SCHEMA:
            raise document.fail("schema", f"{raw['schema']!r} is not a systolic array; allowed: {SCHEMA}")
        name, description = raw["name"], raw.get("description", "")
        if not isinstance(name, str) or not name or not isinstance(description, str):
            raise document.fail("name", "must be a word, and description a text")
        spec, provenance = document.model(Specification, {key: raw[key] for key in Specification.model_fields})
        # What lies beside a preset are the other presets, not technologies.
        beside = None if folder == PRESETS.folder else folder
        uses = read_uses(document, raw["components"], COMPONENTS, {}, beside, needed=COMPONENTS)
        systolic = cls(
            name,
            " ".join(description.split()),
            spec,
            MappingProxyType(provenance),
            MappingProxyType(uses),
            MappingProxyType(dict(raw)),
            folder,
        )
        # Every cost once, so that a figure out of its table or range is refused here.
        _ = systolic.energy_per_event, systolic.leakage_w, systolic.area_m2
        return systolic

    def override(self, values: Mapping[str, Value], source: str, name: str | None = None) -> Systolic:
        """Return a variant, checked anew. Keys are dotted ("buffer.sum_banks", "components.mac"), values in SI units.

        `source` says why; the variant is called `name`, or this one's name with a star.
        """
        content: dict[str, Any] = json.loads(json.dumps(dict(self.raw)))
        content = varied(content, values, source, Specification, COMPONENTS, "systolic array", ChipError)
        return self._build("override", {**content, "name": name or f"{self.name}*"}, self.folder)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of the quantities in SI units and the figures of every component."""
        components = {
            key: None if use.component is None else use.component.definition for key, use in self.uses.items()
        }
        # Before it could be chosen, all were hidden: what was measured then keeps its digest.
        told = self.spec.model_dump(mode="json", exclude={"stalls"} if self.spec.stalls == "hidden" else None)
        return digest_of({"spec": told, "components": components})

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
    def grid(self) -> SystolicGrid:
        """Return the part of the array that carries out a product."""
        spec = self.spec
        return SystolicGrid(spec.rows, spec.columns, spec.sum_bytes, spec.buffer.sum_banks * spec.buffer.bank_bytes)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weight buffer."""
        return self.spec.buffer.weight_banks * self.spec.buffer.bank_bytes

    def _figure(self, component: str, name: str) -> float:
        model = self.uses[component].component
        if model is None:
            return 0.0
        buffer = self.spec.buffer
        context = {"bytes": buffer.bank_bytes, "port_bits": buffer.port_bits}
        if component == "register":
            # Two operands of a byte each, and a partial sum.
            context = {"bytes": 2 + self.spec.sum_bytes}
        try:
            return model.figure(name, context)
        except ChipError as error:
            raise ChipError(f"components.{component}: {error}") from None

    def count(self, component: str) -> int:
        """Return the instances of a component that leak and take area."""
        buffer = self.spec.buffer
        return {
            "activation_buffer": buffer.activation_banks,
            "sum_buffer": buffer.sum_banks,
            "weight_buffer": buffer.weight_banks,
            "vector_unit": self.spec.vector.lanes,
            "memory": 1,
        }.get(component, self.units)

    def instances(self) -> Iterator[tuple[str, int, int]]:
        """Yield each component with 0, as it is no bank of a global buffer, and the instances that take area."""
        yield from ((component, 0, self.count(component)) for component in COMPONENTS)

    @property
    def costs(self) -> Systolic:
        """What its events and parts cost, which it says itself."""
        return self

    def paid(self, role: str, event: str, bank: int = 0) -> tuple[Paid, ...]:
        """Return what a price is made of, as `mho.chip.costs.Costs.paid` does; no figure follows a node."""
        name = EVENTS[event][1] if event in EVENTS else event
        share = 8 / self.spec.buffer.port_bits if role in BUFFERS and event in EVENTS else 1.0
        return (Paid(self.uses[role], name, share, self._figure(role, name), 1.0),)

    @cached_property
    def energy_per_event(self) -> Mapping[str, float]:
        """Event to J: `mac`, `register_byte`, `vector_element`, `memory_byte`, and a byte read from or written to a buffer."""
        width = self.spec.buffer.port_bits / 8
        return MappingProxyType(
            {
                event: self._figure(component, name) / (width if component in BUFFERS else 1)
                for event, (component, name) in EVENTS.items()
            }
        )

    @cached_property
    def leakage_w(self) -> Mapping[str, float]:
        """Component to the power in W that all its instances draw always; no bank is switched off."""
        return MappingProxyType({key: self._figure(key, "leakage") * self.count(key) for key in COMPONENTS})

    @cached_property
    def area_m2(self) -> Mapping[str, float]:
        """Component to the area in m2 of all its instances; main memory is off the chip."""
        return MappingProxyType({key: self._figure(key, "area") * self.count(key) for key in COMPONENTS})

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return every assumption in effect, for reports."""
        texts = [entry.source for entry in self.provenance.values() if entry.assumed]
        for use in self.uses.values():
            texts += [text for text in use.source_texts if text.startswith("assumption:")]
        return tuple(dict.fromkeys(texts))
