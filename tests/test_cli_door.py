"""What every command does with its words, its one line of error, its exit code, and what it prints on a terminal."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
import zipfile
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, get_origin

import numpy as np
import onnx
import pytest
import typer
from onnx import numpy_helper

import mho
from mho.cli.options import table
from mho.cli.strategy import StrategyOptions
from tests.command_line import Shell, write_onnx, write_samples


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Run commands in this process, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def refused(shell: Shell, *words: str) -> str:
    """Run a request that is wrong; return its one line."""
    ended = shell(*words)
    assert ended.code == 2 and ended.out == "", ended
    assert ended.err.startswith("mho: ") and ended.err.count("\n") == 1 and len(ended.err) <= 301, ended.err
    return ended.err


@pytest.mark.parametrize(
    "words",
    [
        "run resnet20 --chip aras --chip isaac", "show aras --json - --json x", "run resnet20 --schedule naive --schedule=naive",
        "accuracy resnet20 --data a --data b", "trace t.csv --row a --row b", "sweep resnet20 --data a --seeds 1 --seeds 2",
    ],
)  # fmt: skip
def test_an_option_of_one_value_given_twice_is_refused(shell: Shell, words: str) -> None:
    assert "is given twice" in refused(shell, *words.split())


@pytest.mark.parametrize(
    "words",
    [
        ("run", "resnet20", "--chip", ""), ("run", "resnet20", "--weights", ""), ("run", ""), ("show", " "),
        ("run", "resnet20", "--set", ""), ("run", "resnet20", "--out", ""), ("run", "resnet20", "--json="),
    ],
)  # fmt: skip
def test_an_empty_word_is_refused_not_ignored(shell: Shell, words: tuple[str, ...]) -> None:
    assert "empty" in refused(shell, *words)


RANGES = {
    "run resnet20 --effort 1e308": "0 to 10000",
    "run resnet20 --input-size 99999999999": "1 to 16384",
    "run resnet20 --batch 99999999999999999999": "1 to 65536",
    "run bert-base --sequence 1000000000000": "1 to 1048576",
    "run resnet20 --time-limit nan": "1e-12 to 1e+18",
    "run resnet20 --seed 99999999999999999999": "0 to 9223372036854775807",
    "show aras --set memory.bandwidth=1e-300": "1 to 1e+18 byte/s",
    "show aras --set array.pulse_s=1e300": "1e-18 to 1e+12 s",
    "show aras --set array.rows=99999999999999999999": "0 to 1e+09 rows",
    "show aras --set array.rows=65537": "1 to 65,536",
    "show aras --set tile.buffer_bytes=1e30": "0 to 1e+18 byte",
    "trace --synthetic --rows 99999999999999999999": "1 to 134217728",
    "trace --synthetic --mean-length 1e308": "1e-06 to 1e+06",
    "recommend t.csv --budget 1e308": "1 to 1e+12",
    "recommend t.csv --dimension 1000000": "1 to 65536",
}


@pytest.mark.parametrize("words", RANGES)
def test_every_number_has_a_range_that_the_refusal_says(shell: Shell, words: str) -> None:
    assert RANGES[words] in refused(shell, *words.split())


DECODERS = {
    "layers": 10**9,
    "hidden": 10**12,
    "heads": 10**9,
    "vocabulary": 10**12,
    "sequence": 10**9,
    "rope_theta": 1e300,
}


@pytest.mark.parametrize("key", DECODERS)
def test_the_sizes_of_a_decoder_have_ranges(shell: Shell, tmp_path: Path, key: str) -> None:
    sizes = {"layers": 1, "hidden": 16, "heads": 4, "key_value_heads": 2, "intermediate": 24, "vocabulary": 40}
    text = "\n".join(f"{name}: {value!r}" for name, value in (sizes | {key: DECODERS[key]}).items())
    (tmp_path / "d.yaml").write_text(text.replace("e+", ".0e+"))
    line = refused(shell, "run", "d.yaml")
    assert key in line and " to " in line


@pytest.mark.parametrize(
    "words", [("show",), ("run", "resnet20", "--chip"), ("baseline", "resnet20", "--systolic"), ("run",), ("devices",)]
)
@pytest.mark.parametrize("content", ["[" * 100_000, "{a: " * 100_000, "a: &a [*a]"])
def test_yaml_that_nests_without_end_is_refused_at_every_door(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], content: str
) -> None:
    (tmp_path / "x.yaml").write_text(content)
    assert "x.yaml" in refused(shell, *words, "x.yaml")


def test_a_long_mistake_is_cut_and_its_controls_are_escapes(shell: Shell, tmp_path: Path) -> None:
    assert "..." in refused(shell, "run", "m" * 1_000_000)
    assert "\\x1b[31m" in refused(shell, "run", "\x1b[31mred")
    (tmp_path / "c.yaml").write_text('"\\e[2J\\a": 1')
    assert "\\x1b[2J\\x07" in refused(shell, "show", "c.yaml")


def named(path: Path, name: str) -> None:
    """Write a network whose layers have a name of their own."""
    write_onnx(path)
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"{name}{number}"
    onnx.save(model, path)


def test_names_never_command_the_terminal(shell: Shell, tmp_path: Path) -> None:
    """Not in tables, listings and notes of a successful run either."""
    named(tmp_path / "n.onnx", "\x1b]0;owned\x07\x9b31m")
    write_samples(tmp_path / "s.npz")
    for words in (
        ("run", "n.onnx", "--schedule", "naive", "--verify", "--save", "p.mho"), ("list", "p.mho"), ("verify", "p.mho"),
        ("compare", "n.onnx", "--schedule", "naive,overlap"), ("baseline", "n.onnx"), ("run", "n.onnx", "--json", "-"),
        ("accuracy", "n.onnx", "--data", "s.npz", "--seeds", "1", "--schedule", "naive"),
    ):  # fmt: skip
        ended = shell(*words)
        assert ended.code == 0, ended
        for text in (ended.out, ended.err):
            assert not [each for each in text if (ord(each) < 32 and each != "\n") or 127 <= ord(each) < 160], words
    assert "\\x1b]0;owned" in shell("list", "p.mho").out


def test_every_console_is_the_one_that_prints_nothing_but_characters() -> None:
    root = Path(mho.__file__).parent
    made = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Console"
    ]
    assert made == ["report/console.py"]


def test_a_fault_of_mho_is_not_found_wrong(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("mho.cli.listings.load_chip", broken)
    ended = shell("show", "aras")
    assert ended.code == 70 and "Traceback" in ended.err and "report it" in ended.err.splitlines()[-1]


def test_an_interruption_is_130_and_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mho.cli.listings.load_chip", interrupted)
    ended = shell("show", "aras")
    assert (ended.code, ended.err) == (130, "mho: interrupted\n")


def test_warnings_of_libraries_never_stand_beside_the_line(tmp_path: Path) -> None:
    """In a process of its own, since pytest collects warnings here."""
    program = (
        "import warnings, sys, mho.cli.listings as l\n"
        "def warn(*_):\n"
        "    warnings.warn('overflow encountered', RuntimeWarning)\n"
        "    raise l.OSError('x') if hasattr(l, 'OSError') else OSError('x')\n"
        "l.load_chip = warn\n"
        "sys.argv = ['mho', 'show', 'aras']\n"
        "import mho.cli; mho.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=_environment()
    )
    assert done.returncode == 2 and done.stderr == "mho: x\n"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(mho.__file__).parents[1]), "PYTHONWARNINGS": ""}


@pytest.mark.parametrize("option", ["--json", "--save", "--out"])
def test_outputs_never_take_the_place_of_a_pipe_or_a_link(shell: Shell, tmp_path: Path, option: str) -> None:
    write_onnx(tmp_path / "t.onnx")
    os.mkfifo(tmp_path / "pipe.mho")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link.mho").symlink_to("mine")
    (tmp_path / "dangling.mho").symlink_to("nowhere")
    for place in ("pipe.mho", "link.mho", "dangling.mho"):
        line = refused(shell, "run", "t.onnx", "--schedule", "naive", option, place)
        assert place in line and "cannot be written" in line
    assert (tmp_path / "mine").read_text() == "mine" and (tmp_path / "link.mho").is_symlink()


def test_an_external_tensor_that_promises_more_than_its_file_holds(shell: Shell, tmp_path: Path) -> None:
    write_onnx(tmp_path / "t.onnx")
    model = onnx.load(tmp_path / "t.onnx")
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.zeros((2, 3, 3, 3), np.float32), "weight"))
    tensor.ClearField("raw_data")
    tensor.dims[0] = 10**12
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", str(108 * 10**12))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "w.bin").write_bytes(bytes(216))
    (tmp_path / "t.onnx").write_bytes(model.SerializeToString())
    assert "t.onnx" in refused(shell, "run", "t.onnx")


def test_a_program_that_is_not_legal_is_not_executed(shell: Shell, tmp_path: Path) -> None:
    write_onnx(tmp_path / "t.onnx")
    write_samples(tmp_path / "s.npz")
    assert shell("run", "t.onnx", "--schedule", "naive", "--verify", "--save", "p.mho").code == 0
    with zipfile.ZipFile(tmp_path / "p.mho") as held:
        members = {name: held.read(name) for name in held.namelist()}
    record = json.loads(members["program.json"])
    activation = next(each for each in record["instructions"] if each["do"] == "activate")
    activation["groups"] = activation["groups"][:-1]
    members["program.json"] = json.dumps(record).encode()
    with zipfile.ZipFile(tmp_path / "p.mho", "w") as altered:
        for name, content in members.items():
            altered.writestr(name, content)
    assert "instruction" in refused(shell, "accuracy", "p.mho", "--data", "s.npz", "--seeds", "1")
    assert shell("verify", "p.mho").code == 1


def test_a_template_of_what_is_no_chip_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("schema: mho.analog/1\n")
    assert "a.yaml" in refused(shell, "init", "chip", "--preset", "a.yaml")
    assert not (tmp_path / "my-chip.yaml").exists()


def test_every_option_is_declared_once_and_every_declaration_is_of_an_option() -> None:
    used = set()
    for command in import_module("mho.cli.app").app.registered_commands:
        owner = command.callback.__name__
        for name, parameter in signature(command.callback).parameters.items():
            if parameter.annotation is not typer.Context:
                keys = {key for key in table() if key in (name, f"{owner}.{name}", f"judge.{name}")}
                assert keys and get_origin(parameter.annotation) is Annotated, (owner, name)
                used |= keys
    assert used == set(table())
    assert all(entry["help"].endswith(".") for entry in table().values())


def test_a_study_that_there_is_not_is_told_before_its_folder_is_asked_for(shell: Shell) -> None:
    assert "unknown study 'nope'; known: aras" in refused(shell, "study", "nope")
    assert "--out" in refused(shell, "study", "aras")


def test_verify_and_trace_give_their_tables(shell: Shell, tmp_path: Path) -> None:
    write_onnx(tmp_path / "t.onnx")
    told = shell("verify", "t.onnx", "--schedule", "naive", "--csv", "-")
    names, *lines = csv.reader(told.out.splitlines())
    assert told.code == 0 and names[:3] == ["name", "wrong", "rows"] and lines and all(line[1] == "0" for line in lines)
    content = shell("verify", "t.onnx", "--schedule", "naive", "--json").json()
    assert mho.machine.Verification.from_dict(content).to_dict() == content
    told = shell("trace", "--synthetic", "--queries", "50", "--rows", "20", "--csv", "-")
    assert told.code == 0 and told.out.splitlines()[0] == "above,to,rows,lookups"


def test_a_comparison_has_the_schedule_of_a_strategy_that_is_none_of_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("schedule: {choice: adaptive, effort: 3}\n")
    asked = StrategyOptions(str(tmp_path / "s.yaml"))
    assert [str(each.schedule) for each in asked.strategies("schedule", None, "naive,overlap")] == [
        "naive", "overlap", "adaptive (effort 3.0)",
    ]  # fmt: skip
    assert [each.schedule.name for each in asked.strategies("schedule", "naive", "overlap")] == ["naive"]
    assert [each.schedule.name for each in StrategyOptions().strategies("schedule", None, "naive")] == ["naive"]


def test_two_outputs_of_one_file_are_refused_before_the_work(shell: Shell, tmp_path: Path) -> None:
    for words in (
        ("--json", "x", "--csv", "x"),
        ("--json", "x.mho", "--save", "x.mho"),
        ("--csv", "x", "--json", "./x"),
    ):
        assert "both write" in refused(shell, "run", "resnet20", *words)
    assert not list(tmp_path.iterdir())


def test_a_stage_that_a_preset_brings_is_not_called_an_option(shell: Shell) -> None:
    said = refused(shell, "run", "resnet20", "--strategy", "recross")
    assert "mho: grouping 'greedy': lays out embedding tables" in said and "take a strategy for networks" in said
    assert "--grouping id: lays out" in refused(shell, "run", "resnet20", "--grouping=id")
