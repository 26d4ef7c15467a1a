"""The chip: a checked, frozen description of the hardware and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from mho.chip import store
from mho.chip.coding import Coding, coding_of
from mho.chip.costs import Costs
from mho.chip.describe import assumptions, definition, describe, digest, frames
from mho.chip.parts import Buffer, Use, Vector, read_uses
from mho.chip.reader import INPUT_BITS, WEIGHT_BITS, read_spec
from mho.chip.readout import Readout
from mho.chip.roles import ROLES, roles_of
from mho.chip.rollup import RollUp, roll_up
from mho.chip.spec import ArraySpec, ChipSpec, GroupSpec, LookupSpec, MemorySpec, SparseSpec, TileSpec
from mho.chip.technology import Technology, checked
from mho.errors import ChipError
from mho.quantity import Document, KnownModel, Provenance
from mho.shown import Columns, Shown
from mho.units import exact

SCHEMA = "mho.chip/1"

Override = int | float | str | None | Sequence[int]


@dataclass(frozen=True, eq=False, repr=False)
class Chip(Shown):
    """What the hardware is.

        Chip.load("aras")                                       a preset (Chip.presets() lists them)
        Chip.load("designs/mine.yaml")                          a chip file
        chip.override({"tiles": 4}, source="four tiles")        a variant, values in SI units
        Chip.from_dict(chip.to_dict())                          the same chip, without any file

    All values are in SI units. Chips are equal where their digests are: names and sources do not count.
    """

    name: str
    description: str
    spec: ChipSpec
    provenance: Mapping[str, Provenance]
    """Dotted key to the value and unit as written, and the text of the source."""
    uses: Mapping[str, Use]
    """Role to the component that plays it, of the roles that this chip has."""
    raw: Mapping[str, Any]
    """The chip file as read, merged with what it extends, with the technologies that it uses."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> Chip:
        """Load a preset by name or a chip file by path. Raises ChipError naming file and key."""
        path = store.PRESETS.path(name_or_path)
        return _preset(path, tuple(ROLES)) if path.parent == store.PRESETS.folder else _read(path)

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Return the names of the chips that come with mho, sorted."""
        return store.PRESETS.names()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Chip:
        """Rebuild a chip from `to_dict`, checked like a file but without reading one."""
        if not isinstance(content, Mapping):
            raise ChipError(f"a chip must be a mapping, not {type(content).__name__}")
        raw = dict(content)
        file = f"chip {raw.get('name')!r}"
        table = Document(file, ChipError, {}).mapping("technologies", raw.pop("technologies", None))
        known = {key: checked(f"{file}, technology {key!r}", entry) for key, entry in table.items()}
        return cls._build(file, raw, known, None)

    @classmethod
    def _build(
        cls,
        file: str,
        raw: Mapping[str, Any],
        known: Mapping[str, Technology],
        beside: Path | None,
        like: Chip | None = None,
    ) -> Chip:
        """Check the content of a file; parts that are the very ones of a chip that it is `like` were checked with that."""
        head = ("schema", "name", "sources", "components")
        optional = [key for key, field in ChipSpec.model_fields.items() if not field.is_required()]
        needed = [key for key in ChipSpec.model_fields if key not in optional]
        Document(file, ChipError, {}).check_keys("", raw, (*head, *needed), ("description", *optional))
        document = Document.of(file, raw["sources"], ChipError)
        if raw["schema"] != SCHEMA:
            raise document.fail("schema", f"{raw['schema']!r} is not a chip; allowed: {SCHEMA}")
        name, description = raw["name"], raw.get("description", "")
        if not isinstance(name, str) or not name or not isinstance(description, str):
            raise document.fail("name", "must be a word, and description a text")
        fields = {key: value for key, value in raw.items() if key in ChipSpec.model_fields}
        spec, provenance = read_spec(document, fields, None if like is None else like._known_spec)
        roles = roles_of(spec)
        for role in sorted((ROLES.keys() - roles.keys()) & document.mapping("components", raw["components"]).keys()):
            part = ROLES[role].part
            raise document.fail(
                f"components.{role}", f"only a chip with {part} has one, and {part} is not in this chip"
            )
        per = {name: role.per for name, role in roles.items()}
        uses = read_uses(document, raw["components"], per, known, beside)
        chip = cls(
            name,
            " ".join(description.split()),
            spec,
            MappingProxyType(provenance),
            MappingProxyType({role: use for role, use in uses.items() if use.named or not ROLES[role].spare}),
            MappingProxyType(dict(raw)),
        )
        try:
            chip.costs.check()
        except ChipError as error:
            raise ChipError(f"{file}: {error}") from None
        return chip

    @cached_property
    def _known_spec(self) -> KnownModel[ChipSpec]:
        return KnownModel(self.raw, self.spec, self.provenance)

    def override(self, values: Mapping[str, Override], source: str, name: str | None = None) -> Chip:
        """Return a varied chip, checked anew. Keys are dotted ("array.rows", "components.adc"), values in SI units.

        `source` says why; the variant is called `name`, or the chip's name with a star.
        """
        raw, known = store.vary(self, values, source)
        raw["name"] = name or f"{self.name}*"
        return Chip._build(f"chip {raw['name']!r}", raw, known, None, like=self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that defines the chip, safe for JSON, technologies included."""
        return definition(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of the hardware: the quantities in SI units and the figures of every component."""
        return digest(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chip) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        return Chip.from_dict, (self.to_dict(),)

    def headline(self) -> str:
        """Say what it is in a line."""
        shape = f"{self.tiles} tiles x {self.tile.groups} groups x {self.group.arrays} arrays"
        return f"Chip({self.name!r}, {shape})"

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `values`, each with its source, and `components` with what they add up to."""
        return frames(self)

    @property
    def node(self) -> float:
        """Feature size in m."""
        return self.spec.node

    @property
    def frequency_hz(self) -> float:
        """Clock of the digital parts."""
        return self.spec.frequency_hz

    @property
    def array(self) -> ArraySpec:
        """One crossbar with its periphery."""
        return self.spec.array

    @property
    def group(self) -> GroupSpec:
        """Arrays that share one input vector."""
        return self.spec.group

    @property
    def tile(self) -> TileSpec:
        """Groups with their buffer."""
        return self.spec.tile

    @property
    def tiles(self) -> int:
        """Tiles on the chip."""
        return self.spec.tiles

    @property
    def sparse(self) -> SparseSpec | None:
        """What each group needs to take a list of inputs of its own, or None where all take theirs in order."""
        return self.spec.sparse

    @property
    def lookup(self) -> LookupSpec | None:
        """What the arrays have to add up rows of tables, or None: ADCs of one resolution, for each array its own."""
        return self.spec.lookup

    @property
    def memory(self) -> MemorySpec:
        """Main memory: bandwidth in byte/s, capacity in byte."""
        return self.spec.memory

    @cached_property
    def buffer(self) -> Buffer:
        """The global buffer's banks; the tile buffers where the chip has no global buffer."""
        banks = self.spec.buffer.banks
        if banks is None:
            return Buffer((self.tile.buffer_bytes,) * self.tiles, self.tile.buffer_port_bits, in_tiles=True)
        return Buffer(banks, self.spec.buffer.port_bits, in_tiles=False)

    @cached_property
    def vector(self) -> Vector:
        """The vector and matrix units; rates are of the whole chip, None where they take no time."""
        spec = self.spec.vector
        units = self.tiles if spec.level == "tile" else 1

        def whole(rate: float | None) -> float | None:
            return None if rate is None else rate * units

        return Vector(spec.level, spec.lanes, spec.matrix_lanes, whole(spec.elements_per_s), whole(spec.macs_per_s))

    @property
    def write_latency(self) -> Literal["worst_case", "actual"]:
        """Whether a write takes the time of a full-range change always, or that of the slowest cells really present."""
        return self.spec.write_latency

    @property
    def input_bits(self) -> int:
        """Bits of an activation, streamed DAC bits at a time."""
        return INPUT_BITS

    @property
    def weight_bits(self) -> int:
        """Bits of a weight."""
        return WEIGHT_BITS

    @cached_property
    def groups(self) -> int:
        """Groups on the chip."""
        return self.tiles * self.tile.groups

    @property
    def arrays(self) -> int:
        """Arrays on the chip."""
        return self.groups * self.group.arrays

    @property
    def cells(self) -> int:
        """Cells on the chip."""
        return self.arrays * self.array.rows * self.array.columns

    @property
    def levels(self) -> int:
        """Conductance levels of a cell."""
        return self.array.cell_levels or 1 << self.array.cell_bits

    @cached_property
    def coding(self) -> Coding:
        """How the cells of a weight of all bits hold it."""
        return self.coding_of(self.weight_bits)

    def coding_of(self, bits: int) -> Coding:
        """Return how the cells of a weight of so many bits hold it."""
        array = self.array
        return coding_of(array.coding, bits, array.cell_bits, array.cell_levels, array.pairs == "rows")

    @property
    def weight_rows(self) -> int:
        """Rows of weights in an array: half of its rows where pairs of cells take two."""
        return self.array.rows // self.coding.cell_rows

    @cached_property
    def cells_per_weight(self) -> int:
        """Adjacent cells that hold one weight."""
        return self.coding.cells

    @cached_property
    def array_weights_per_row(self) -> int:
        """Weights in one row of an array: its outputs."""
        return self.array.columns // self.coding.cell_columns

    @cached_property
    def group_columns(self) -> int:
        """Outputs of a group."""
        return self.group.arrays * self.array_weights_per_row

    @property
    def unit_columns(self) -> int:
        """Columns that an array has besides those of its weights, to sum its inputs: one where columns may be inverted."""
        return self.coding.unit_columns

    def sum_bytes(self, input_bits: int = INPUT_BITS, weight_bits: int = WEIGHT_BITS) -> int:
        """Return the bytes that hold any sum of one array: input bits + weight bits + log2(rows), a sign of the weight included."""
        return math.ceil((input_bits + weight_bits + math.ceil(math.log2(self.weight_rows))) / 8)

    @property
    def index_bytes(self) -> int:
        """Bytes of a group's index memory: for each turn, what it keeps for each row and each column of cells; 0 without one."""
        columns = self.group.arrays * self.array.columns
        return 0 if self.sparse is None else self.sparse.index_bytes(self.array.rows, columns)

    @cached_property
    def readout(self) -> Readout:
        """How a full array is read for inputs that are not negative, by conversions of all bits."""
        turns, conversions = -(-self.weight_rows // self.rows_at_once), self.coding.conversions(self.array.columns)
        return Readout(self, self.input_bits, self.array.adc_bits, conversions, turns=turns)

    @property
    def rows_at_once(self) -> int:
        """Rows of weights of an array that are driven together at most."""
        return min(self.array.rows, self.array.rows_parallel or self.array.rows) // self.coding.cell_rows

    @cached_property
    def step_time_s(self) -> float:
        """Time of one input step: ceil(conversions / ADCs) ADC periods and the array's overhead (ARAS, Table II)."""
        return self.readout.step_s

    @cached_property
    def window_time_s(self) -> float:
        """Time of one window on one copy of a layer: all input steps (ARAS: 8 x 12 = 96 cycles)."""
        return self.readout.window_s

    @property
    def pulses_per_level(self) -> float:
        """Pulses that change a cell by one level."""
        return self.array.pulses_full_range / (self.levels - 1)

    @cached_property
    def array_write_time_s(self) -> float:
        """Time to write all rows of an array in the worst case (ARAS: 128 x 2 x 60 x 50 ns = 768 us)."""
        return float(
            self.array.rows * self.array.write_phases * self.array.pulses_full_range * exact(self.array.pulse_s)
        )

    @property
    def least_array_write_time_s(self) -> float:
        """Time that writing an array takes whatever is written: 0 where only what changes takes time."""
        return 0.0 if self.write_latency == "actual" else self.array_write_time_s

    def write_time_s(self, steps: int) -> float:
        """Return the time in s to write an array whose rows take `steps` level steps: of each row the slowest cell in each phase.

        ARAS section III-B. All rows at full range in each phase take array_write_time_s, and no array takes longer.
        """
        pulses = Fraction(steps * self.array.pulses_full_range, self.levels - 1)
        return float(pulses * exact(self.array.pulse_s))

    @property
    def write_bits_per_cell(self) -> int:
        """Bits of a signed level change, as fetched from memory for each cell."""
        return self.array.cell_bits + 1

    @cached_property
    def costs(self) -> Costs:
        """The costs of events and parts."""
        return Costs(self)

    @property
    def energy_per_event(self) -> Mapping[str, float]:
        """Event to its energy in J."""
        return self.costs.energy_per_event

    @property
    def leakage_w(self) -> Mapping[str, float]:
        """Role to the power in W that it draws whenever the chip is powered, main memory included, banks left out."""
        return self.costs.leakage_w

    @cached_property
    def _roll_up(self) -> RollUp:
        return roll_up(self)

    def roll_up(self) -> RollUp:
        """Return area, peak power and leakage of every part and level; nothing in it is typed in."""
        return self._roll_up

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Every assumption in effect, for reports."""
        return assumptions(self)

    def describe(self) -> dict[str, Any]:
        """Return what `mho show CHIP --json` prints: schema, name, digest, quantities, costs, totals and sources."""
        return describe(self)


def _read(path: Path) -> Chip:
    return Chip._build(str(path), store.read_chip(path), {}, path.parent)


@cache
def _preset(path: Path, roles: tuple[str, ...]) -> Chip:
    """Read a chip that comes with mho, once while the roles are these: technologies take longer to read than many a simulation."""
    return _read(path)
