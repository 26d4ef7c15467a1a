"""Index memories and row shifts of a chip for squeezed mapping: their sizes, their costs, and chips without them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import mho.chip
from mho.chip import Chip, Technology
from mho.errors import ChipError

FOLDER = Path(mho.chip.__file__).parent
ROLES = ("index_memory", "row_shift")
EVENTS = ("index_byte", "row_shift")
TOTALS = ("area_m2", "leakage_w", "peak_power_w", "write_power_w")
PARTS: dict[str, Any] = {
    "sparse.index_bits": 16,
    "sparse.shift_bits": 3,
    "sparse.turns": 1,
    "components.index_memory": "sram-32nm/sram",
    "components.row_shift": "logic-40nm/register_bit",
}
"""What makes any chip one for squeezed mapping: the quantities and components of the preset `sme`."""

SHAPES = st.fixed_dictionaries(
    {
        "array.rows": st.integers(16, 512),
        "array.columns": st.integers(16, 512),
        "group.arrays": st.integers(1, 16),
        "tile.groups": st.integers(1, 96),
        "tiles": st.integers(1, 200),
        "sparse.index_bits": st.integers(15, 32),
        "sparse.shift_bits": st.integers(0, 3),
        "sparse.turns": st.integers(1, 4),
    }
)
"""Index memories of at least 64 bytes, below which the fit of SRAM does not go: 16 rows of 15 bits and 16 columns of 19 are 68."""


def figure(technology: str, component: str, name: str, **at: float) -> float:
    path = FOLDER / "technologies" / f"{technology}.yaml"
    found = Technology.of(str(path), yaml.safe_load(path.read_text(encoding="utf-8"))).components[component]
    return found.figure(name, at)


def without(chip: Chip) -> Chip:
    """The same chip without its optional part and the components of that."""
    content = chip.to_dict()
    del content["sparse"]
    for role in ROLES:
        del content["components"][role]
    return Chip.from_dict(content)


def refused(content: dict[str, Any], *words: str) -> None:
    with pytest.raises(ChipError) as caught:
        Chip.from_dict(content)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), (words, text)


@settings(max_examples=40)
@given(SHAPES)
def test_an_index_memory_holds_an_entry_of_each_row_and_of_each_column_of_cells(shape: dict[str, Any]) -> None:
    chip = Chip.load("sme").override(shape, source="test")
    index, shift = shape["sparse.index_bits"], shape["sparse.shift_bits"]
    rows = [index + shift] * shape["array.rows"]
    # Output, 3 bits that tell 8 bit positions apart, and one of sign.
    columns = [index + 3 + 1] * (shape["group.arrays"] * shape["array.columns"])
    # A list for each turn.
    assert chip.index_bytes == math.ceil(Fraction(shape["sparse.turns"] * sum(rows + columns), 8))
    assert chip.sparse is not None and chip.sparse.most_shift == len(range(2**shift)) - 1


@settings(max_examples=25)
@given(SHAPES)
def test_a_chip_without_the_part_is_the_same_chip_less_what_the_part_costs(shape: dict[str, Any]) -> None:
    chip = Chip.load("sme").override(shape, source="test")
    plain = without(chip)
    rows, groups = shape["array.rows"], shape["tile.groups"] * shape["tiles"]
    registers = rows if shape["sparse.shift_bits"] else 0
    port = 8 * math.ceil((shape["sparse.index_bits"] + 4) / 8)
    at = {"bytes": chip.index_bytes, "port_bits": port}
    read = figure("sram-32nm", "sram", "read_energy", **at) / (port / 8)
    assert chip.energy_per_event["index_byte"] == pytest.approx(read, rel=1e-12)
    # A byte through one bit of register: 8 times 0.009 pJ.
    assert chip.energy_per_event["row_shift"] == pytest.approx(8 * 0.009e-12, rel=1e-12)
    leakage = groups * figure("sram-32nm", "sram", "leakage", **at)
    # At the peak a group reads its lists and shifts an input of each row once a window, of 8 steps of one bit.
    joules = chip.index_bytes * read + registers * chip.energy_per_event["row_shift"]
    expected = {
        "area_m2": groups * (figure("sram-32nm", "sram", "area", **at) + registers * 6e-12),
        "leakage_w": leakage,
        "peak_power_w": leakage + groups * joules / chip.window_time_s,
        # While cells are written, so are the lists of their rows and columns.
        "write_power_w": leakage + groups * chip.index_bytes * read / chip.array_write_time_s,
    }
    for quantity in TOTALS:
        with_part, rest = (getattr(each.roll_up(), quantity) for each in (chip, plain))
        own = {role: with_part.by_component[role] for role in ROLES}
        assert {**rest.by_component, **own} == with_part.by_component
        assert math.fsum(own.values()) == pytest.approx(expected[quantity], rel=1e-9)
        assert with_part.total == pytest.approx(rest.total + expected[quantity], rel=1e-12)
        assert with_part.total == pytest.approx(math.fsum(with_part.by_level.values()), rel=1e-12)
        assert with_part.by_level["group"] == pytest.approx(expected[quantity], rel=1e-9)
    assert dict(chip.energy_per_event) == dict(plain.energy_per_event) | {
        event: chip.energy_per_event[event] for event in EVENTS
    }
    assert plain.sparse is None and plain.index_bytes == 0
    assert (plain.window_time_s, plain.array_write_time_s) == (chip.window_time_s, chip.array_write_time_s)


@settings(max_examples=25)
@given(SHAPES)
def test_a_chip_with_the_part_survives_json_with_its_digest(shape: dict[str, Any]) -> None:
    chip = Chip.load("sme").override(shape, source="test")
    content = json.loads(json.dumps(chip.to_dict()))
    again = Chip.from_dict(content)
    assert (again.digest, again.to_dict()) == (chip.digest, content)
    assert again.provenance == chip.provenance
    described = json.loads(json.dumps(chip.describe(), allow_nan=False))
    assert described["sparse"] == {key: shape[f"sparse.{key}"] for key in ("index_bits", "shift_bits", "turns")}
    assert described["derived"]["index_bytes"] == chip.index_bytes
    assert chip.digest != without(chip).digest


@pytest.mark.parametrize("name", ["aras", "aras-baseline", "isaac"])
def test_any_chip_can_be_given_the_part_and_has_nothing_of_it_before(name: str) -> None:
    chip = Chip.load(name)
    assert chip.sparse is None and chip.index_bytes == 0
    assert not {*ROLES} & {*chip.uses} and not {*EVENTS} & {*chip.energy_per_event, *chip.costs.event_component}
    assert "sparse" not in chip.describe() and "index_bytes" not in chip.describe()["derived"]
    squeezed = chip.override(PARTS, source="for squeezed mapping")
    assert {*squeezed.uses} == {*chip.uses, *ROLES}
    assert squeezed.provenance["sparse.index_bits"].source == "for squeezed mapping"
    assert [squeezed.costs.event_component[event] for event in EVENTS] == [*ROLES]
    assert without(squeezed) == chip
    assert squeezed.override({"sparse.shift_bits": 1}, source="test").sparse is not squeezed.sparse


def test_sme_differs_from_isaac_in_cells_groups_and_the_part() -> None:
    sme, isaac = Chip.load("sme"), Chip.load("isaac")
    changes: dict[str, Any] = {"array.cell_bits": 1, "group.arrays": 1, "tile.groups": 96, **PARTS}
    assert sme == isaac.override(changes, source="the same")
    assert (sme.arrays, sme.index_bytes) == (isaac.arrays, (128 * (16 + 3) + 128 * (16 + 4)) // 8)
    # 8 bits hold the sum of all rows, that of the unit column included; 7 bits do not.
    assert 2 ** (sme.array.adc_bits - 1) <= sme.array.rows * (sme.levels - 1) < 2**sme.array.adc_bits
    area, before = (each.roll_up().area_m2 for each in (sme, isaac))
    # Half of ISAAC's accumulators: cells of one bit hold half the weights.
    assert area.by_component["accumulator"] == pytest.approx(before.by_component["accumulator"] / 2)
    unchanged = set(before.by_component) - {"accumulator"}
    assert all(area.by_component[role] == before.by_component[role] for role in unchanged)
    # As docs/chip.md has them.
    assert area.by_component["index_memory"] == pytest.approx(20.1e-6, rel=0.005)
    assert area.by_component["row_shift"] == pytest.approx(12.4e-6, rel=0.005)
    assert area.total == pytest.approx(117.9e-6, rel=0.001)


def test_rows_that_cannot_be_shifted_have_no_registers() -> None:
    chip = Chip.load("sme").override({"sparse.shift_bits": 0}, source="test")
    assert chip.sparse is not None and chip.sparse.most_shift == 0
    assert chip.costs.count("row_shift") == chip.roll_up().area_m2.by_component["row_shift"] == 0
    assert Chip.load("sme").costs.count("row_shift") == 16128 * 128


@pytest.mark.parametrize(
    ("bits", "size"),
    # An input of 8 bits, shifted by up to 0, 1, 3 and 7.
    [(0, 1), (1, 2), (2, 2), (3, 2)],
)
def test_a_register_of_its_own_holds_a_shifted_input(bits: int, size: int) -> None:
    changes: dict[str, Any] = {"sparse.shift_bits": bits, "components.row_shift": "logic-40nm/register"}
    chip = Chip.load("sme").override(changes, source="test")
    assert chip.costs.area_m2("row_shift") == pytest.approx(size * 8 * 6e-12)


@pytest.mark.parametrize(
    ("key", "entry", "words"),
    [
        ("index_bits", 0, ("sparse.index_bits", "1 to 32")),
        ("index_bits", 33, ("sparse.index_bits", "1 to 32")),
        ("index_bits", 2.5, ("sparse.index_bits", "whole number")),
        ("shift_bits", -1, ("sparse.shift_bits", "0 to 3")),
        ("shift_bits", 4, ("sparse.shift_bits", "0 to 3")),
        ("shift_bit", 3, ("sparse.shift_bit", "unknown key", "did you mean shift_bits")),
    ],
)
def test_a_wrong_quantity_of_the_part_is_refused(key: str, entry: float, words: tuple[str, ...]) -> None:
    content = Chip.load("sme").to_dict()
    content["sparse"][key] = {"value": entry, "unit": "bits", "source": "sme-index"}
    refused(content, *words)


def test_part_and_components_come_together_or_not_at_all() -> None:
    for role in ROLES:
        content = Chip.load("sme").to_dict()
        del content["components"][role]
        assert f"no component is named for {role}: it costs neither energy nor area" in Chip.from_dict(content).notes
    content = Chip.load("sme").to_dict()
    del content["sparse"]
    refused(content, "components.index_memory", "only a chip with sparse")
    content = Chip.load("sme").to_dict()
    del content["sparse"]["shift_bits"]
    refused(content, "sparse.shift_bits", "missing")
    content = Chip.load("sme").to_dict()
    content["sparse"] = None
    refused(content, "sparse", "mapping")
    isaac = Chip.load("isaac")
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"components.row_shift": "none"}, r"components\.row_shift.*only a chip with sparse"),
        ({"sparse.index_bits": 16}, r"sparse\.shift_bits: missing"),
        ({"sparse.index_bit": 16}, r"did you mean sparse\.index_bits"),
        ({**PARTS, "components.row_shift": "sram-32nm/sram"}, "per access, but a row_shift costs per byte"),
    )
    for changes, words in cases:
        with pytest.raises(ChipError, match=words):
            isaac.override(changes, source="test")
