"""mho init, mho devices, --csv and completion: what a newcomer meets first."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import mho
from mho.chip.template import chip_template
from mho.cli.strategy import analog_keys
from mho.machine.analog.template import analog_template
from mho.samples import names
from tests.command_line import Shell, contents


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Return mho in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.mark.parametrize("preset", mho.Chip.presets())
def test_a_chip_template_is_its_preset(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "my-chip.yaml"
    path.write_text(chip_template(preset, "my-chip", path.name))
    chip = mho.Chip.load(path)
    assert chip == mho.Chip.load(preset)
    assert chip.name == "my-chip"


def test_every_value_of_a_chip_template_may_be_changed_to_a_source_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my-chip.yaml"
    path.write_text(re.sub(r"source: [\w-]+", "source: mine", chip_template("aras", "my-chip", path.name)))
    chip = mho.Chip.load(path)
    assert {found.source for found in chip.provenance.values()} == {next(iter(chip.provenance.values())).source}


def test_an_analog_template_changes_nothing_and_tells_every_key(tmp_path: Path) -> None:
    path = tmp_path / "my-analog.yaml"
    text = analog_template("analog", path.name)
    path.write_text(text)
    assert mho.machine.Analog.load(path).to_dict() == mho.machine.Analog().to_dict()
    for key in mho.machine.Analog.keys():  # noqa: SIM118
        assert re.search(rf"^[# ]*{key.rpartition('.')[2]}:", text, re.MULTILINE), key


@pytest.mark.parametrize("taken", ["limit", "percentile", "effective_bits", "writes", "wires"])
def test_what_an_analog_template_leaves_out_can_be_taken_in(taken: str, tmp_path: Path) -> None:
    text = analog_template("analog", "a.yaml")
    if taken == "wires":
        start = text.index("# wires:")
        text = text[:start] + re.sub("^# ", "", text[start:], flags=re.MULTILINE)
    else:
        text = re.sub(rf"# ({taken}: )", r"\1", text)
    kind = {"limit": "fixed", "percentile": "calibrated"}.get(taken, "full")
    text = text.replace("range: full", f"range: {kind}").replace("bits: chip", "bits: 8")
    path = tmp_path / "a.yaml"
    path.write_text(text)
    analog = mho.machine.Analog.load(path)
    assert getattr(analog if taken in ("writes", "wires") else analog.adc, taken) is not None


def test_init_writes_what_it_says_and_overwrites_nothing(shell: Shell, tmp_path: Path) -> None:
    for words, place in ((["chip"], "my-chip.yaml"), (["chip", "fast.yaml", "--preset", "isaac"], "fast.yaml")):
        assert shell("init", *words).code == 0
        assert shell("show", place, "--json", "-").json()["name"] == Path(place).stem
    assert shell("init", "analog").code == 0
    assert mho.machine.Analog.load(tmp_path / "my-analog.yaml").name == "my-analog"
    assert shell("init", "samples").code == 0
    assert sorted(os.listdir(tmp_path / "samples")) == list(names())
    before = contents(tmp_path)
    for words in (["chip"], ["analog"], ["samples"], ["chip", "fast.yaml"]):
        ended = shell("init", *words)
        assert ended.code == 2 and "overwrites nothing" in ended.err and ended.err.count("\n") == 1
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["chips"], "did you mean chip"),
        (["chip", "x.txt"], "ends in .yaml"),
        (["chip", "--preset", "arras"], "did you mean aras"),
        (["analog", "--preset", "aras"], "--preset is for mho init chip"),
        (["chip", "no/folder/x.yaml"], "no/folder"),
        (["samples", "no/folder"], "no/folder"),
    ],
)
def test_init_refuses_in_one_line(words: list[str], complaint: str, shell: Shell, tmp_path: Path) -> None:
    ended = shell("init", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert complaint in ended.err
    assert contents(tmp_path) == {}


def test_samples_are_small_and_told(shell: Shell) -> None:
    folder = Path(mho.__file__).parent / "samples"
    assert sum((folder / name).stat().st_size for name in names()) < 300_000
    told = (folder / "README.md").read_text()
    assert [name for name in names() if f"`{name}`" not in told] == ["README.md"]
    assert mho.machine.Analog.load(folder / "analog.yaml").adc.bits == 8
    assert mho.Network.from_onnx(str(folder / "digits.onnx")).weights == 9736


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rows: 256", "array.rows: must be of the form {value: 256, unit: rows, source: ID}, not 256; ID: known: "),
        ("rows: {value: 256, unit: rows}", "array.rows: source is missing"),
        ("rows: {value: 256, unit: rows, source: me}", "array.rows.source: unknown source 'me'"),
        ("coding: flipped", "array.coding: must be of the form {value: flipped, source: ID}, not 'flipped'"),
    ],
)
def test_a_value_in_another_form_is_told_the_form_and_how_a_source_is_added(
    text: str, complaint: str, shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"schema: mho.chip/1\nname: c\nextends: aras\narray:\n  {text}\n")
    ended = shell("show", str(path))
    assert ended.code == 2 and complaint in ended.err
    assert "a new source is a line under sources:, such as mine: 'assumption: why'" in ended.err


def test_a_unit_that_is_missing_is_told_with_its_kin(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("schema: mho.chip/1\nname: c\nextends: aras\narray:\n  pulse_s: {value: 50, source: pulses}\n")
    assert "array.pulse_s.unit: missing; one of: fs, ps, ns, us, ms, s" in shell("show", str(path)).err


def test_devices_are_listed_and_shown_with_sources(shell: Shell) -> None:
    listed = shell("devices")
    assert listed.code == 0 and all(name in listed.out for name in mho.machine.Device.presets())
    assert [each["name"] for each in shell("devices", "--json", "-").json()["devices"]] == list(
        mho.machine.Device.presets()
    )
    for name in mho.machine.Device.presets():
        shown = shell("devices", name)
        assert shown.code == 0 and "sources" in shown.out
        values = mho.machine.Device.load(name).frame("values")
        assert all(values["source"]) and "g_on_s" in values["key"]
        content = mho.machine.Device.load(name).to_dict()
        text = yaml.safe_dump({key: content[key] for key in content if key not in ("sources", "schema")})
        assert len(values["key"]) == text.count("source:")
    assert "did you mean taox" in shell("devices", "taxo").err


@pytest.mark.parametrize("command", ["accuracy", "sweep"])
def test_help_names_every_key_of_the_analog_side(command: str, shell: Shell) -> None:
    told = re.sub(r"[\s│]+", "", shell(command, "--help").out)
    for key in analog_keys():
        assert key in told, key
    for key in (key for key in analog_keys() if key.startswith("device.") and key.count(".") == 2):
        if key not in ("device.validity.conductance_s", "device.validity.temperature_k"):
            assert key.split(".")[1] in told


@pytest.mark.parametrize(
    ("words", "head", "rows"),
    [
        (("run", "resnet20", "--schedule", "overlap"), "name,kind,k,n", None),
        (("chips",), "chip,arrays,weights", len(mho.Chip.presets())),
        (("models",), "name,reads,option,default", None),
        (("devices",), "name,g_off_s,g_on_s", len(mho.machine.Device.presets())),
        (("show", "aras"), "key,value,unit,source", None),
        (("devices", "taox"), "key,value,unit,source", None),
    ],
)
def test_tables_are_written_as_csv(
    words: tuple[str, ...], head: str, rows: int | None, shell: Shell, tmp_path: Path
) -> None:
    ended = shell(*words, "--csv", "-")
    assert ended.code == 0 and ended.out.startswith(head)
    lines = list(csv.reader(io.StringIO(ended.out)))
    assert len({len(line) for line in lines}) == 1
    assert rows in (None, len(lines) - 1) and len(lines) > 2
    written = shell(*words, "--csv", "table.csv")
    assert written.code == 0 and (tmp_path / "table.csv").read_text() == ended.out and written.out != ended.out


def test_two_outputs_do_not_share_standard_output(shell: Shell) -> None:
    ended = shell("chips", "--csv", "-", "--json", "-")
    assert ended.code == 2 and "both take standard output" in ended.err


def complete(words: str, **more: Any) -> str:
    """Return what a shell is told to offer after `words`."""
    environment = {
        **os.environ,
        "_MHO_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    program = "import sys; sys.argv = ['mho']; from mho.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    return ended.stdout


def test_shells_complete_commands_and_options() -> None:
    assert complete("mho ru").split() == ["run"]
    assert "--chip" in complete("mho run resnet20 --ch").split()
