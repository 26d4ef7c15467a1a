"""Chip and technology files: what is read, and what is refused in one line with place and what is allowed."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mho.chip
from mho.chip import Chip, Technology, technologies
from mho.errors import ChipError
from mho.units import RANGES, SI_UNIT, UNITS, to_si

PRESETS = Path(mho.chip.__file__).parent / "presets"
ARAS = Chip.load("aras").to_dict()


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "chip.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def raw_aras() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PRESETS / "aras.yaml").read_text(encoding="utf-8"))
    return content


def leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(content, dict):
        return [path, *(leaf for key in content for leaf in leaves(content[key], (*path, key)))]
    if isinstance(content, list):
        return [path, *(leaf for i, item in enumerate(content) for leaf in leaves(item, (*path, i)))]
    return [path]


def refused(path: Path, *words: str) -> None:
    with pytest.raises(ChipError) as caught:
        Chip.load(path)
    text = str(caught.value)
    assert "\n" not in text
    for word in (str(path), *words):
        assert word in text, (word, text)


@settings(max_examples=150)
@given(
    place=st.sampled_from([leaf for leaf in leaves(ARAS) if leaf]),
    junk=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**9), 10**9),
        st.floats(),
        st.text(max_size=5),
        st.lists(st.integers(), max_size=2),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        st.just("remove"),
    ),
)
@example(place=("technologies", "sram-32nm", "components", "sram", "area", "valid"), junk={"\n": 0})
def test_a_damaged_chip_is_a_chip_or_a_one_line_chip_error(place: tuple[Any, ...], junk: Any) -> None:
    content = copy.deepcopy(ARAS)
    target: Any = content
    for key in place[:-1]:
        target = target[key]
    if junk == "remove":
        del target[place[-1]]
    else:
        target[place[-1]] = junk
    try:
        chip = Chip.from_dict(content)
    except ChipError as error:
        assert "\n" not in str(error)
    else:
        assert all(energy >= 0 for energy in chip.energy_per_event.values())
        assert all(part.area_m2 >= 0 and part.leakage_w >= 0 for part in chip.roll_up().parts)


@given(st.integers(1, 10**9), st.sampled_from(sorted(UNITS)))
def test_units_convert_by_their_factor_and_round_once(value: int, unit: str) -> None:
    dimension, factor = UNITS[unit]
    least, most = RANGES[dimension]
    if not least <= value * factor <= most:
        with pytest.raises(ChipError, match=f"here: {dimension} must lie from .* to {re.escape(format(most, 'g'))}"):
            to_si(value, unit, dimension, "here")
        return
    assert to_si(value, unit, dimension, "here") == float(value * factor)
    assert UNITS[SI_UNIT[dimension]] == (dimension, 1)


def test_decimal_times_stay_round() -> None:
    assert to_si(50, "ns", "time", "here") == 50e-9
    assert to_si(1.5, "KiB", "bytes", "here") == 1536
    assert to_si(1, "kB", "bytes", "here") == 1000


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (("array", "rows", "value"), -1, ("array.rows", "1 to 65,536")),
        (("array", "adcs", "value"), 0, ("array.adcs", "1 to 65,536")),
        (("array", "adcs", "value"), 256, ("array.adcs", "columns")),
        (("array", "cell_bits", "value"), 0, ("array.cell_bits", "1 to 8")),
        (("array", "rows", "value"), 12.5, ("array.rows", "whole number")),
        (("array", "rows", "value"), "many", ("array.rows.value", "number")),
        (("array", "rows", "value"), True, ("array.rows.value", "number")),
        (("array", "pulse_s", "value"), math.nan, ("array.pulse_s", "finite")),
        (("array", "pulse_s", "unit"), "nJ", ("array.pulse_s", "energy", "time", "ns")),
        (("array", "rows", "unit"), "columns", ("array.rows", "columns", "rows")),
        (("array", "pulse_s", "unit"), "nss", ("array.pulse_s", "unknown unit", "ns")),
        (("array", "rows", "source"), "tabel-2", ("array.rows.source", "did you mean", "table-2")),
        (("tiles", "value"), 0, ("tiles", "1 to 1,000,000")),
        (("tile", "buffer_bytes", "value"), 0.0005, ("tile.buffer_bytes", "whole number")),
        (("write_latency", "value"), "guessed", ("write_latency", "worst_case", "actual")),
        (("layer_order", "value"), "sideways", ("layer_order", "dataflow", "sequential")),
        (("vector", "elements_per_s", "value"), "idle", ("vector.elements_per_s", "ideal")),
        (("array", "adc_bits", "value"), 3, ("components.adc", "energy: no entry for bits = 3", "4, 5, 6")),
        (("array", "dac_bits", "value"), 2, ("components.dac", "energy: no entry for bits = 2")),
        (("components", "adc", "use"), "isaac-23nm", ("components.adc.use", "did you mean isaac-32nm")),
        (("components", "adc", "use"), "isaac-32nm/adcs", ("components.adc.use", "did you mean adc")),
        (
            ("components", "adc", "use"),
            "isaac-32nm/dac",
            ("components.adc.use", "per drive", "per conversion"),
        ),
        (("components", "global_buffer", "use"), "none", ("global_buffer", "in_tiles")),
        (("schema",), "mho.chip/2", ("schema", "mho.chip/1")),
        (("extends",), "arras", ("extends", "did you mean", "aras")),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    tmp_path: Path, key: tuple[str, ...], value: Any, words: tuple[str, ...]
) -> None:
    content = raw_aras()
    target: Any = content
    for part in key[:-1]:
        target = target[part]
    target[key[-1]] = value
    path = write(tmp_path, content)
    refused(path, *words)


def test_a_role_that_is_not_named_is_played_by_no_component(tmp_path: Path) -> None:
    """So that a role that is new to mho asks nothing of the chips that were there before; the chip's notes say it."""
    content = raw_aras()
    del content["components"]["adc"]
    without = Chip.load(write(tmp_path, content))
    none = Chip.load("aras").override({"components.adc": "none"}, source="test")
    assert without.energy_per_event == none.energy_per_event and without.roll_up().parts == none.roll_up().parts
    assert without.describe()["components"]["adc"] == "none"
    assert "no component is named for adc: it costs neither energy nor area" in without.notes
    assert not any("no component is named" in note for note in Chip.load("aras").notes)
    assert Chip.from_dict(without.to_dict()) == without


def test_unknown_and_missing_keys_and_sources_are_refused(tmp_path: Path) -> None:
    content = raw_aras()
    content["array"]["row"] = content["array"]["rows"]
    refused(write(tmp_path, content), "array.row", "unknown key", "did you mean rows")
    content = raw_aras()
    del content["array"]["rows"]["source"]
    refused(write(tmp_path, content), "array.rows", "source is missing")
    content = raw_aras()
    del content["array"]["rows"]
    refused(write(tmp_path, content), "array.rows", "missing")
    content = raw_aras()
    content["colour"] = "red"
    refused(write(tmp_path, content), "colour", "unknown key")
    content = raw_aras()
    content["sources"]["table-2"] = ""
    refused(write(tmp_path, content), "sources.table-2")
    content = raw_aras()
    content["array"]["rows"]["unti"] = "rows"
    refused(write(tmp_path, content), "array.rows.unti", "did you mean unit")


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "a: [1, 2", "a: {b: 1", "a: 'x", "? [1]\n: 2\n", "a: !!python/object:os.x {}\n"]
)
def test_what_is_no_mapping_or_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    refused(path)


def test_a_truncated_preset_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    text = (PRESETS / "aras.yaml").read_text(encoding="utf-8").rstrip()
    path = tmp_path / "chip.yaml"
    for cut in range(0, len(text), 487):
        path.write_text(text[:cut], encoding="utf-8")
        refused(path)


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    text = (PRESETS / "aras.yaml").read_text(encoding="utf-8")
    path.write_text(text + "name: other\n", encoding="utf-8")
    refused(path, f"line {text.count(chr(10)) + 1}", "'name'", "twice")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.yaml", "no such chip file")
    binary = tmp_path / "chip.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    refused(binary, "UTF-8")


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ChipError, match=r"did you mean aras.*known: .*isaac"):
        Chip.load("arras")


def test_extending_replaces_whole_quantities_and_keeps_the_rest(tmp_path: Path) -> None:
    child = {
        "schema": "mho.chip/1",
        "name": "half",
        "extends": "aras",
        "sources": {"mine": "assumption: half of the tiles"},
        "tiles": {"value": 48, "unit": "tiles", "source": "mine"},
    }
    chip = Chip.load(write(tmp_path, child))
    aras = Chip.load("aras")
    assert chip.tiles == 48
    assert chip == aras.override({"tiles": 48}, source="the same")
    assert chip.provenance["array.rows"] == aras.provenance["array.rows"]
    assert "assumption: half of the tiles" in chip.notes
    child["sources"]["table-2"] = "another text"  # type: ignore[index]
    refused(write(tmp_path, child), "sources.table-2", "already")


def test_a_chip_cannot_extend_itself(tmp_path: Path) -> None:
    refused(write(tmp_path, {"extends": "chip.yaml"}), "extends", "itself")


def test_a_chip_may_bring_its_own_technology(tmp_path: Path) -> None:
    source = PRESETS.parent / "technologies" / "isaac-32nm.yaml"
    text = source.read_text(encoding="utf-8").replace("name: isaac-32nm", "name: mine").replace("6: 1.20", "6: 2.40")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    content = raw_aras()
    content["components"]["adc"]["use"] = "mine"
    chip = Chip.load(write(tmp_path, content))
    assert chip.energy_per_event["adc_conversion"] == 2.4e-12
    assert chip != Chip.load("aras")
    assert Chip.from_dict(json.loads(json.dumps(chip.to_dict()))) == chip


@pytest.mark.parametrize("name", technologies())
def test_every_figure_of_every_technology_has_a_source(name: str) -> None:
    path = PRESETS.parent / "technologies" / f"{name}.yaml"
    technology = Technology.of(str(path), yaml.safe_load(path.read_text(encoding="utf-8")))
    for component in technology.components.values():
        assert len(component.source_texts) >= 1
        assert all(len(text) > 20 for text in component.source_texts)


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ({"value": -1, "unit": "pJ", "source": "s"}, "negative"),
        ({"value": 1, "unit": "um2", "source": "s"}, "measures area"),
        ({"value": 1, "unit": "pJ", "source": "t"}, "unknown source"),
        ({"value": 1, "entries": {}, "unit": "pJ", "source": "s"}, "exactly one"),
        ({"by": "bits", "entries": {}, "unit": "pJ", "source": "s"}, "entries"),
        ({"by": "bits", "entries": {"x": 1}, "unit": "pJ", "source": "s"}, "not a number"),
        ({"formula": "magic", "unit": "J", "source": "s"}, "unknown formula"),
        ({"formula": "write_pulse", "unit": "pJ", "source": "s"}, "gives J"),
        (
            {"formula": "write_pulse", "coefficients": {"volt": 1}, "unit": "J", "source": "s"},
            "did you mean voltage",
        ),
        ({"formula": "power_law", "factor": 1, "exponents": {}, "unit": "pJ", "source": "s"}, "valid"),
        (
            {
                "formula": "power_law",
                "factor": 1,
                "exponents": {},
                "valid": {"bits": [2, 1]},
                "unit": "pJ",
                "source": "s",
            },
            "above",
        ),
    ],
)
def test_a_wrong_figure_of_a_technology_is_refused(figure: dict[str, Any], words: str) -> None:
    zero = {"value": 0, "unit": "W", "source": "s"}
    component = {"per": "conversion", "energy": figure, "area": {**zero, "unit": "m2"}, "leakage": zero}
    raw = {
        "schema": "mho.technology/1",
        "name": "x",
        "sources": {"s": "somewhere"},
        "node": {"value": 32, "unit": "nm", "source": "s"},
        "components": {"adc": component},
    }
    with pytest.raises(ChipError, match=words):
        Technology.of("x.yaml", raw)


def test_notes_say_which_ports_hold_groups_up() -> None:
    """ISAAC's 12 groups send 128 + 8 x 32 x 3 bytes each 806 ns: 13 of 16 B/ns; at half the width 1.7 times what there is."""
    isaac = Chip.load("isaac")
    assert not any("they wait for it" in note for note in isaac.notes)
    narrow = isaac.override({"tile.noc_port_bits": 64}, source="law")
    (note,) = [note for note in narrow.notes if "they wait for it" in note]
    assert note.startswith("tile.noc_port_bits: ") and "1.7 times" in note
