"""The systolic baseline's file, its variants and its command: what is told, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import mho
from benchmarks import systolic
from benchmarks.files import measured_part
from benchmarks.throughput import PAPER
from mho.errors import ChipError, OptionError
from mho.machine.systolic import DATAFLOWS, Systolic, run
from mho.machine.systolic.spec import COMPONENTS, EVENTS, PRESETS
from tests.command_line import DECODER, Shell
from tests.hand_sized import entry, linear, network

# --- the description --------------------------------------------------------------------------------------------------


def test_the_preset_is_table_1_and_shares_memory_and_components_with_aras() -> None:
    array, aras, baseline = Systolic.load("tpu-like"), mho.Chip.load("aras"), mho.Chip.load("aras-baseline")
    buffers = array.activation_bytes + array.grid.sum_buffer_bytes + array.weight_bytes
    assert (array.units, buffers, array.spec.frequency_hz) == (64 * 64, 4.5 * 2**20, aras.frequency_hz)
    assert array.spec.memory.bandwidth == aras.memory.bandwidth
    prices = array.energy_per_event
    for event, theirs in (("mac", "matrix_mac"), ("vector_element", "vector_element"), ("memory_byte", "memory_byte")):
        assert prices[event] == aras.energy_per_event[theirs]
    assert prices["register_byte"] == aras.energy_per_event["input_register_byte"]
    for way in ("read", "write"):
        byte = baseline.energy_per_event[f"global_buffer_{way}_byte"]
        assert {prices[f"{name}_{way}_byte"] for name in COMPONENTS if name.endswith("buffer")} == {byte}
    assert array.leakage_w["memory"] == aras.leakage_w["memory"]
    assert array.leakage_w["activation_buffer"] == 12 * baseline.costs.bank_leakage_w[0]
    assert {EVENTS[event][0] for event in prices} == set(COMPONENTS)


def test_a_variant_has_its_own_digest_and_says_why() -> None:
    array = Systolic.load("tpu-like")
    other = array.override({"rows": 128, "components.mac": "logic-40nm/mac"}, source="a larger one")
    assert (other.spec.rows, other.name) == (128, "tpu-like*")
    assert other.provenance["rows"].source == "a larger one"
    assert other != array and other.override({"rows": 64}, source="back") == array
    assert hash(array) == hash(Systolic.load(PRESETS.folder / "tpu-like.yaml"))
    assert other.override({"vector.elements_per_s": 1e9}, source="slow").spec.vector.elements_per_s == 1e9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row": 3}, ("row", "unknown key", "rows")),
        ({"rows": {"value": 64, "unit": "columns", "source": "table-1"}}, ("rows", "columns")),
        ({"rows": {"value": 64, "unit": "rows"}}, ("rows", "source")),
        ({"rows": {"value": 0, "unit": "rows", "source": "table-1"}}, ("rows", "0")),
        ({"rows": {"value": 1.5, "unit": "rows", "source": "table-1"}}, ("rows", "whole")),
        ({"products": {"value": "free", "source": "table-1"}}, ("products", "ideal")),
        ({"buffer": {}}, ("buffer.activation_banks", "missing")),
        ({"schema": "mho.chip/1"}, ("schema", "mho.systolic/1")),
        ({"name": ""}, ("name",)),
        ({"components": {}}, ("components.mac", "missing")),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], words: tuple[str, ...]) -> None:
    content = yaml.safe_load((PRESETS.folder / "tpu-like.yaml").read_text()) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ChipError) as refused:
        Systolic.load(path)
    text = str(refused.value)
    assert "\n" not in text and all(word in text for word in ("mine.yaml", *words))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"row": 1}, ("row", "rows")),
        ({"components.adder": "logic-40nm/adder"}, ("components.adder", "components.mac")),
        ({"components.mac": "logic-40nm/adder"}, ("components.mac", "addition", "mac")),
        ({"components.mac": "logic-40nm/mack"}, ("mack", "mac")),
        ({"components.mac": "logic"}, ("components.mac", "unknown technology 'logic'")),
        ({"components.mac": "logic-41nm/mac"}, ("logic-41nm", "logic-40nm")),
        ({"rows": "many"}, ("rows", "many")),
        ({"buffer.bank_bytes": 8}, ("buffer", "bytes = 8")),
    ],
)
def test_a_wrong_variant_is_refused(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ChipError) as refused:
        Systolic.load("tpu-like").override(values, source="a test")
    assert all(word in str(refused.value) for word in words)


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ChipError, match="tpu-like"):
        Systolic.load("tpu")
    with pytest.raises(ChipError, match="no such systolic array"):
        Systolic.load("absent.yaml")
    with pytest.raises(OptionError, match="weight"):
        run(network(entry(1, 2), linear("y", "x", 1, 2, 3)), "tpu-like", "weigth")
    with pytest.raises(ChipError, match="why"):
        Systolic.load("tpu-like").override({}, source=" ")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run commands in this process, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return Shell(monkeypatch, capsys)


def test_the_command_tells_what_the_function_returns(shell: Shell) -> None:
    words = ("baseline", "resnet20", "--set", "products=array", "--set", "rows=32", "--dataflow", "output")
    content = shell(*words, "--json").json()
    array = Systolic.load("tpu-like").override({"products": "array", "rows": 32}, source="given on the command line")
    assert content == json.loads(json.dumps(run(mho.zoo.load("resnet20"), array, "output").to_dict()))
    assert content["schema"] == "mho.baseline/1"


@pytest.mark.parametrize("columns", ["80", "120"])
def test_help_fits_the_terminal(shell: Shell, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ended = shell("baseline", "--help")
    assert ended.code == 0 and ended.err == "" and "…" not in ended.out
    assert max(len(line) for line in ended.out.splitlines()) <= int(columns)
    assert all(dataflow in ended.out for dataflow in (*DATAFLOWS, "best"))


def test_the_page_names_every_key_that_can_be_set() -> None:
    page = (Path(__file__).parent.parent / "docs" / "baseline.md").read_text()
    for key in Systolic.load("tpu-like").provenance:
        assert key.split(".")[-1] in page


def test_the_summary_fits_80_columns(shell: Shell, tmp_path: Path) -> None:
    decoder = tmp_path / "decoder.yaml"
    decoder.write_text(yaml.safe_dump(DECODER))
    for model, says in ((str(decoder), "on the array"), ("resnet20", "none")):
        ended = shell("baseline", model)
        assert ended.code == 0 and ended.err == ""
        assert max(len(line) for line in ended.out.splitlines()) <= 80
        assert "-stationary" in ended.out and says in ended.out
        assert all(name in ended.out for name in (*COMPONENTS, *DATAFLOWS))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("baseline resnet20 --dataflow weigth", ("weigth", "weight")),
        ("baseline resnet20 --set row=3", ("--set", "row", "rows")),
        ("baseline resnet20 --set rows", ("KEY=VALUE", "rows")),
        ("baseline resnet20 --set rows=3 --set rows=4", ("rows", "twice")),
        ("baseline resnet20 --set rows=[3]", ("rows", "[3]")),
        ("baseline resnet20 --set rows=0", ("rows", "0")),
        ("baseline resnet20 --systolic tpu", ("tpu", "tpu-like")),
        ("baseline resnet2", ("resnet2", "resnet20")),
        ("baseline resnet20 --weights seeded", ("--weights",)),
    ],
)
def test_a_mistake_gets_one_line(shell: Shell, words: str, told: tuple[str, ...]) -> None:
    ended = shell(*words.split())
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("mho: ") and ended.err.count("\n") == 1
    assert all(word in ended.err for word in told)


@pytest.mark.nightly
def test_the_page_shows_what_the_command_measures() -> None:
    assert measured_part(systolic.PAGE.read_text(encoding="utf-8")) == systolic.render(systolic.rows())


def test_the_page_shows_what_is_measured_of_every_network_but_the_one_whose_banks_take_long() -> None:
    page = measured_part(systolic.PAGE.read_text(encoding="utf-8")).splitlines()
    table, _, _ = systolic.render(systolic.rows(each for each in PAPER if each != "densenet161")).partition("\nFrom ")
    assert all(line in page for line in table.splitlines())
