"""The parts of a chip as frozen models in SI units. Field names are the keys of the YAML files.

Each field carries a mark, so that one walk over the models reads a file (`mho.quantity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from mho.chip.coding import CODINGS, CodingName
from mho.quantity import Dimension, Document, Mark, Part, Provenance, Words
from mho.units import SI_UNIT

IN_TILES = "in_tiles"


class BankSizes(Mark):
    """Marks the sizes of a buffer's banks: a list, with a `count` where there are several of one size, or the word `in_tiles`."""

    unit = SI_UNIT["bytes"]
    several = True

    def read(self, document: Document, key: str, raw: Any, field: FieldInfo) -> tuple[Any, Provenance]:
        """Read the sizes of all banks, None for the word."""
        if isinstance(raw, dict):
            return None, document.word(key, raw, (IN_TILES,))[1]
        if not isinstance(raw, list) or not raw:
            raise document.fail(key, f"must be a list of bank sizes, or {{value: {IN_TILES}, source: ...}}")
        sizes: list[int] = []
        sources: dict[str, None] = {}
        for index, entry in enumerate(raw):
            where = f"{key}.{index}"
            number, provenance = document.quantity(where, entry, "bytes", optional=("count",))
            count = entry.get("count", 1)
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1_000_000:
                raise document.fail(f"{where}.count", f"must be a whole number from 1 on, not {count!r}")
            sizes += [document.whole(where, number, "byte")] * count
            sources[provenance.source] = None
        return tuple(sizes), Provenance(tuple(sizes), "byte", "; ".join(sources))

    def write(self, value: Any, source: str) -> Any:
        """Write a list of sizes in bytes, or a word."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [super(BankSizes, self).write(item, source) for item in value]
        return super().write(value, source)

    def allowed(self, field: FieldInfo) -> str:
        """Say that a size stands on a line of its own."""
        return "one line a bank size, `count` where there are several; or {value: in_tiles}: none but the tile buffers"


Rows = Annotated[int, Dimension("rows"), Field(ge=1, le=65536)]
Columns = Annotated[int, Dimension("columns"), Field(ge=1, le=65536)]
CellBits = Annotated[int, Dimension("bits"), Field(ge=1, le=8)]
CellLevels = Annotated[int | None, Dimension("levels"), Field(ge=2, le=256)]
DacBits = Annotated[int, Dimension("bits"), Field(ge=1, le=8)]
AdcBits = Annotated[int, Dimension("bits"), Field(ge=1, le=24)]
PortBits = Annotated[int, Dimension("bits"), Field(ge=8, le=65536)]
Adcs = Annotated[int, Dimension("ADCs"), Field(ge=1, le=65536)]
Phases = Annotated[int, Dimension("phases"), Field(ge=1, le=2)]
Pulses = Annotated[int, Dimension("pulses"), Field(ge=1, le=1_000_000)]
Arrays = Annotated[int, Dimension("arrays"), Field(ge=1, le=1_000_000)]
Groups = Annotated[int, Dimension("groups"), Field(ge=1, le=1_000_000)]
Turns = Annotated[int, Dimension("turns"), Field(ge=1, le=64)]
Tiles = Annotated[int, Dimension("tiles"), Field(ge=1, le=1_000_000)]
IndexBits = Annotated[int, Dimension("bits"), Field(ge=1, le=32)]
ShiftBits = Annotated[int, Dimension("bits"), Field(ge=0, le=3)]
Lanes = Annotated[int, Dimension("lanes"), Field(ge=0, le=1_000_000)]
Bytes = Annotated[int, Dimension("bytes"), Field(ge=1)]
Duration = Annotated[float, Dimension("time"), Field(gt=0, allow_inf_nan=False)]
DurationOrZero = Annotated[float, Dimension("time"), Field(ge=0, allow_inf_nan=False)]
Frequency = Annotated[float, Dimension("frequency"), Field(gt=0, allow_inf_nan=False)]
Bandwidth = Annotated[float, Dimension("bandwidth"), Field(gt=0, allow_inf_nan=False)]
Length = Annotated[float, Dimension("length"), Field(gt=0, allow_inf_nan=False)]
ElementRate = Annotated[float | None, Dimension("elements", ("ideal",)), Field(gt=0, allow_inf_nan=False)]
MacRate = Annotated[float | None, Dimension("macs", ("ideal",)), Field(gt=0, allow_inf_nan=False)]


InputCoding = Literal["offset", "two_passes", "twos_complement", "signed"]
INPUT_CODINGS: tuple[InputCoding, ...] = get_args(InputCoding)


class ArraySpec(Part):
    """One crossbar with its drivers, sample-holds, ADCs and shift-adders.

    What a file need not name: `rows_parallel`, rows that are driven together at most (all); `convert`, whether all columns are
    converted or those in use (all); `adc_modes`, whether conversions always take all bits or as many as a layer asks for
    (fixed); `adc_kind`, what a conversion of fewer bits takes, fewer of the steps of a successive approximation or of a ramp (sar);
    `input_coding`, how inputs are driven that may be negative (offset); `integrated_bits`, input bits whose charge is summed
    before one conversion (as many as the DAC has); `drive`, pulses that count as the DAC's bits do, or all alike (binary);
    `cell_levels`, levels of a cell, which `cell_bits` name (all that these can); `pairs`, whether the cells of a pair lie in two
    columns or in two rows (columns); `reference`, whether each array has a column of cells at level 0 besides (none). See
    `mho.chip.readout`.
    """

    rows: Rows
    columns: Columns
    cell_bits: CellBits
    coding: Annotated[CodingName, Words(CODINGS)]
    dac_bits: DacBits
    adcs: Adcs
    adc_bits: AdcBits
    adc_period_s: Duration
    step_overhead_s: DurationOrZero
    write_phases: Phases
    pulses_full_range: Pulses
    pulse_s: Duration
    rows_parallel: Annotated[int | None, Dimension("rows"), Field(ge=1, le=65536)] = None
    convert: Annotated[Literal["all", "used"] | None, Words(("all", "used"))] = None
    adc_modes: Annotated[Literal["fixed", "every"] | None, Words(("fixed", "every"))] = None
    adc_kind: Annotated[Literal["sar", "ramp"] | None, Words(("sar", "ramp"))] = None
    input_coding: Annotated[InputCoding | None, Words(INPUT_CODINGS)] = None
    integrated_bits: Annotated[int | None, Dimension("bits"), Field(ge=1, le=8)] = None
    drive: Annotated[Literal["binary", "unary"] | None, Words(("binary", "unary"))] = None
    cell_levels: CellLevels = None
    pairs: Annotated[Literal["columns", "rows"] | None, Words(("columns", "rows"))] = None
    reference: Annotated[Literal["none", "column"] | None, Words(("none", "column"))] = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """Leave out levels that the bits of a cell say already, and words that say what is so without them."""
        if isinstance(values, dict):
            usual = {"cell_levels": 2 ** values.get("cell_bits", 0), "pairs": "columns", "reference": "none"}
            return {key: value for key, value in values.items() if key not in usual or value != usual[key]}
        return values

    @property
    def drives_signs(self) -> bool:
        """True if inputs that may be negative are driven otherwise than as plain codes."""
        return self.input_coding not in (None, "offset")


class GroupSpec(Part):
    """Arrays that share one input vector: the unit of allocation."""

    arrays: Arrays


class TileSpec(Part):
    """Groups with their buffer and their port to the network on chip.

    `input_fetch`, which a file need not name: whether inputs of a layer come from the global buffer for each window that reads
    them, or once, being kept in line buffers of the tile (every_window).
    """

    groups: Groups
    buffer_bytes: Bytes
    buffer_port_bits: PortBits
    noc_port_bits: PortBits
    input_fetch: Annotated[Literal["every_window", "once"] | None, Words(("every_window", "once"))] = None

    @field_validator("input_fetch")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """Take the word that says what a tile without the key does as not named."""
        return None if value == "every_window" else value


class BufferSpec(Part):
    """The global buffer. `in_tiles`: the chip has none, and activations live in the tile buffers, one bank
    each.
    """

    banks: Annotated[tuple[Bytes, ...] | None, BankSizes(), Field(min_length=1, max_length=1_000_000)]
    port_bits: PortBits


class MemorySpec(Part):
    """Main memory, off chip."""

    bandwidth: Bandwidth
    capacity: Bytes


class VectorSpec(Part):
    """The vector unit and the digital matrix unit in it: one on the chip, or one in each tile. Rates are of
    one unit.

    A rate of None (the word `ideal`) takes no time. Without matrix lanes the matrix unit has energy but no
    area.
    """

    level: Annotated[Literal["tile", "chip"], Words(("tile", "chip"))]
    lanes: Lanes
    elements_per_s: ElementRate
    matrix_lanes: Lanes
    macs_per_s: MacRate


class SparseSpec(Part):
    """What a group needs beside its arrays to take a list of inputs of its own (squeezed mapping).

    `index_bits`: the index of an input or of an output. `shift_bits`: the shift of a row, whose inputs are shifted
    to the left by up to 2^shift_bits - 1; without any, rows are not shifted. `turns`: the lists that the
    index memory of a group holds, one for each turn of blocks that share it.
    """

    index_bits: IndexBits
    shift_bits: ShiftBits
    turns: Turns

    @property
    def most_shift(self) -> int:
        """The most by which a row can be shifted."""
        return (1 << self.shift_bits) - 1

    @property
    def row_bits(self) -> int:
        """Bits kept for a row: the index of its input, and its shift."""
        return self.index_bits + self.shift_bits

    @property
    def column_bits(self) -> int:
        """Bits kept for a column of cells: the index of its output, 3 of its bit position, 1 of its sign."""
        return self.index_bits + 4

    def index_bytes(self, rows: int, columns: int) -> int:
        """Return the bytes of the index memory of a group of so many rows and columns of cells."""
        return -(-self.turns * (rows * self.row_bits + columns * self.column_bits) // 8)


ModesName = Literal["fixed", "switch", "every"]
MODES: tuple[ModesName, ...] = get_args(ModesName)


class LookupSpec(Part):
    """What arrays need to add up rows of embedding tables (ReCross, arXiv 2509.10627).

    `adc_modes`: the resolutions between which the ADCs switch, activation by activation. `fixed`: always `array.adc_bits`;
    `switch`: those of one cell (read mode) or `array.adc_bits` (sum mode); `every`: any number of bits from those of a cell on.
    `most_rows`: rows that are driven at once at most, whatever the ADCs could add up; 1 is an array that only reads.
    `groups_per_adc`: groups of a tile that take turns at one set of ADCs, `array.adcs` for each of the arrays of a group.
    """

    adc_modes: Annotated[ModesName, Words(MODES)]
    most_rows: Rows
    groups_per_adc: Groups


class BasisSpec(Part):
    """What groups need beside their arrays to combine the sums of a basis (BasisN, arXiv 2407.03738; the circuit is ours).

    A group has `lanes`, each of which multiplies a sum by a coefficient of up to `coefficient_bits`, and adds, in a cycle.
    `batch`: the windows that a coefficient serves when it comes; `product_bytes`: the group's buffer for the sums of a batch, and
    of the next one meanwhile. `buffer_bytes`: what the chip keeps of the coefficients on their way from main memory.
    `buffer_port_bits`: the port of either buffer. `merging`, which a file need not name: switches by which columns are merged
    before the ADCs (none).
    """

    lanes: Annotated[int, Dimension("lanes"), Field(ge=1, le=1_000_000)]
    coefficient_bits: Annotated[int, Dimension("bits"), Field(ge=2, le=8)]
    batch: Annotated[int, Dimension("windows"), Field(ge=1, le=65536)]
    product_bytes: Bytes
    buffer_bytes: Bytes
    buffer_port_bits: PortBits
    merging: Annotated[Literal["none", "switches"] | None, Words(("none", "switches"))] = None

    @field_validator("merging")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """Take no switches as not named."""
        return None if value == "none" else value


SCALINGS = ("none", "stillmaker")
"""Rules that bring components to the chip's node (`mho.chip.scaling`)."""


class ChipSpec(Part):
    """All quantities of a chip. A part that is None, as only `sparse`, `lookup` and `basis` may be, is not on the
    chip.

    `scaling` is the rule by which digital components published at another node are brought to `node`; None leaves them
    as published, and the chip's notes say which those are. `unused` and `external_io` say what is switched off: arrays, groups
    and tiles that a program never uses (`gated`), links off the chip while nothing crosses them (`when_used`); None: nothing is.
    """

    node: Length
    frequency_hz: Frequency
    array: ArraySpec
    group: GroupSpec
    tile: TileSpec
    tiles: Tiles
    buffer: BufferSpec
    memory: MemorySpec
    vector: VectorSpec
    write_latency: Annotated[Literal["worst_case", "actual"], Words(("worst_case", "actual"))]
    layer_order: Annotated[Literal["sequential", "dataflow"], Words(("sequential", "dataflow"))]
    sparse: SparseSpec | None = None
    lookup: LookupSpec | None = None
    basis: BasisSpec | None = None
    scaling: Annotated[Literal["none", "stillmaker"] | None, Words(SCALINGS)] = None
    unused: Annotated[Literal["powered", "gated"] | None, Words(("powered", "gated"))] = None
    external_io: Annotated[Literal["always", "when_used"] | None, Words(("always", "when_used"))] = None

    @field_validator("scaling", "unused", "external_io")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """Take the word that says what a chip without the key does as no word at all."""
        return None if value in ("none", "powered", "always") else value

    def to_dict(self) -> dict[str, Any]:
        """Return the quantities, safe for JSON; a part that is not on the chip, and a key that is not named, is left out."""
        absent: dict[str, Any] = dict.fromkeys(_unnamed(self), True)
        parts = {
            key: set(_unnamed(part)) for key in ("array", "tile", "basis") if (part := getattr(self, key)) is not None
        }
        return self.model_dump(mode="json", exclude={**absent, **parts})


def _unnamed(part: Part) -> Iterator[str]:
    """Yield the keys that a file need not name and does not."""
    for key, field in type(part).model_fields.items():
        if not field.is_required() and getattr(part, key) is None:
            yield key
