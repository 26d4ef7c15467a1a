"""Squeezed mapping and weights on a grid from the command line: what it prints is what the library gives; what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
import yaml

import mho
from mho.cli.spread import spread
from mho.machine.functional import Executor
from mho.mapping import map_network
from mho.network.graph import Network
from mho.network.samples import load_samples
from mho.number import QuantisedNetwork
from mho.number.accuracy import top1
from mho.number.recode import form
from tests.command_line import DECODER, Shell, contents, write_onnx, write_samples

CHIP = ("--chip", "sme", "--schedule", "overlap")
SQUEEZED = (*CHIP, "--mapping", "squeezed")
DATA = ("--data", "samples.npz")
GRID = ("--grid", "window:8:3")
COMPILING = {
    "run": ("run", "net.onnx", "--schedule", "overlap"),
    "compare": ("compare", "net.onnx", "--schedule", "overlap"),
    "verify": ("verify", "net.onnx", "--schedule", "overlap"),
    "accuracy": ("accuracy", "net.onnx", "--schedule", "overlap", *DATA),
    "sweep": ("sweep", "net.onnx", "--schedule", "overlap", *DATA, "--over", "adc.bits=4", "--out", "out"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a small network, samples for it, other samples to calibrate on, and a small decoder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write_onnx(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples.npz", count=4)
    write_samples(tmp_path / "other.npz", x=3 * np.random.default_rng(2).standard_normal((5, 3, 6, 6)), y=None)
    (tmp_path / "decoder.yaml").write_text(yaml.safe_dump(DECODER))
    return tmp_path


def samples(name: str = "samples.npz") -> Any:
    """Read samples as the command line does."""
    return load_samples(Path(name), Network.from_onnx("net.onnx"), key=None)


def coded(calibration: str | None, grid: str | None = None, **options: Any) -> QuantisedNetwork:
    """Return the small network in codes, made by the library alone."""
    inputs = None if calibration is None else samples(calibration).inputs
    quantised = mho.number.quantise(
        Network.from_onnx("net.onnx"), inputs, per_channel=options.get("per_channel", False)
    )
    if grid is None:
        return quantised
    if options.get("method") in ("output", "sequence"):
        options["samples"] = inputs
    return mho.number.recode(quantised, form(grid), **{"per_channel": False, **options})


def told(content: dict[str, Any]) -> Any:
    """Return a report without its notes, which say where samples are from, and without what made the codes."""
    strategy = {stage: choice for stage, choice in content["strategy"].items() if stage != "coding"}
    kept = {key: value for key, value in content.items() if key not in ("notes", "papers")}
    return json.loads(json.dumps({**kept, "strategy": strategy}))


# What is printed is what the library gives


@pytest.mark.parametrize(
    ("words", "grid", "options", "turns"),
    [
        ((), None, {}, 1),
        (GRID, "window:8:3", {}, 1),
        ((*GRID, "--turns", "3", "--set", "sparse.turns=3"), "window:8:3", {}, 3),
        ((*GRID, "--squeeze", "2", "--per-channel"), "window:8:3", {"squeeze": 2, "per_channel": True}, 1),
        (("--grid", "power-of-two:8", "--rounding", "nearest"), "power-of-two:8", {}, 1),
        ((*GRID, "--rounding", "output", *DATA), "window:8:3", {"method": "output"}, 1),
        ((*GRID, "--rounding", "sequence", *DATA), "window:8:3", {"method": "sequence"}, 1),
        (("--grid", "planes:2.5"), "planes:2.5", {"per_channel": True}, 1),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else None,
)
def test_runs_json_is_that_of_the_library(
    words: tuple[str, ...], grid: str | None, options: dict[str, Any], turns: int, folder: Path, shell: Shell
) -> None:
    quantised = coded("samples.npz" if "--data" in words else None, grid, **options)
    chip = mho.Chip.load("sme")
    if turns > 1:
        chip = chip.override({"sparse.turns": turns}, source="given on the command line")
    ours = mho.simulate(
        mho.compile(quantised, chip, mho.Strategy().with_(schedule="overlap", mapping="squeezed", turns=turns))
    )
    found = shell("run", "net.onnx", *SQUEEZED, *words, "--json").json()
    assert told(found) == told(ours.to_dict())
    assert found["strategy"]["mapping"] == {"choice": "squeezed", "packing": "diagonal", "turns": turns}
    assert set(quantised.notes) <= set(found["notes"])


def test_a_grid_is_for_every_mapping_and_chip(folder: Path, shell: Shell) -> None:
    found = shell("run", "net.onnx", "--schedule", "overlap", *GRID, "--json").json()
    ours = mho.simulate(mho.compile(coded(None, "window:8:3"), "aras", "overlap"))
    assert told(found) == told(ours.to_dict())
    # Other weights set other levels, once, before the first inference.
    assert (
        found["setup"]["pulses"]
        != shell("run", "net.onnx", "--schedule", "overlap", "--json").json()["setup"]["pulses"]
    )


def test_compare_reports_what_run_reports(folder: Path, shell: Shell) -> None:
    for words in ((*GRID, "--squeeze", "1"), (*GRID, "--rounding", "output", "--calibration", "samples.npz")):
        compared = shell("compare", "net.onnx", *SQUEEZED, *words, "--json").json()
        assert compared["reports"] == [shell("run", "net.onnx", *SQUEEZED, *words, "--json").json()]


def test_verify_executes_the_weights_on_the_grid(folder: Path, shell: Shell) -> None:
    """Its integer accuracy is that of the recoded network, its float accuracy that of the model as it came."""
    words = ("--grid", "uniform:2", *DATA, "--samples", "4", "--accuracy")
    found = shell("verify", "net.onnx", *SQUEEZED, *words, "--json").json()
    assert found["bit_exact"] and found["legal"] and found["samples"] == 4
    quantised = coded("samples.npz", "uniform:2")
    ours = top1(quantised, samples())
    assert found["accuracy"] == ours.to_dict()
    kinds = mho.number.Grid.parse("uniform:2").magnitudes
    assert set(np.abs(quantised.matrices["filter"].centred).ravel()) <= set(kinds)


def test_a_decoder_of_seeded_weights_is_squeezed_and_exact(folder: Path, shell: Shell) -> None:
    turns = ("--turns", "4", "--set", "sparse.turns=4")
    found = shell("verify", "decoder.yaml", *SQUEEZED, *GRID, "--squeeze", "2", *turns, "--json").json()
    assert found["bit_exact"] and found["legal"]


def test_rounding_by_output_goes_by_calibration_and_else_by_data(folder: Path, shell: Shell) -> None:
    words = ("run", "net.onnx", *CHIP, *GRID, "--rounding", "output", "--verify")
    kept: dict[str, Any] = {}
    for name, given in (
        ("both", (*DATA, "--calibration", "other.npz")),
        ("data", DATA),
        ("calibration", ("--calibration", "other.npz")),
    ):
        assert shell(*words, *given, "--save", f"{name}.mho").code == 0
        quantised = mho.Program.load(f"{name}.mho").quantised
        assert quantised is not None
        kept[name] = quantised.matrices["filter"]
    for name, path in (("both", "other.npz"), ("data", "samples.npz"), ("calibration", "other.npz")):
        ours: Any = coded(path, "window:8:3", method="output").matrices["filter"]
        assert np.array_equal(kept[name].codes, ours.codes)
        # The bias makes up for the mean error on the samples, so it tells them apart.
        assert list(kept[name].bias.ravel()) == list(ours.bias.ravel())
    assert list(kept["both"].bias.ravel()) != list(kept["data"].bias.ravel())


def test_a_squeezed_program_that_is_kept_is_verified_and_brings_its_own(folder: Path, shell: Shell) -> None:
    words = (*SQUEEZED, *GRID, "--squeeze", "1", "--turns", "2", "--set", "sparse.turns=2", "--verify", *DATA)
    assert shell("run", "net.onnx", *words, "--save", "kept.mho").code == 0
    found = shell("verify", "kept.mho", *DATA, "--json").json()
    assert found["bit_exact"] and found["legal"] and found["strategy"]["mapping"]["choice"] == "squeezed"
    before = contents(folder)
    for option in (
        GRID,
        ("--rounding", "nearest"),
        ("--squeeze", "1"),
        ("--budget", "1"),
        ("--turns", "2"),
        ("--mapping", "squeezed"),
    ):
        for command in (
            ("verify", "kept.mho"),
            ("accuracy", "kept.mho", *DATA),
            ("sweep", "kept.mho", *DATA, "--over", "adc.bits=4", "--out", "out"),
        ):
            ended = shell(*command, *option)
            assert ended.code == 2 and f"{option[0]}: kept.mho is compiled already" in ended.err
    assert contents(folder) == before


def test_accuracy_and_sweep_are_those_of_the_library(folder: Path, shell: Shell) -> None:
    words = (*SQUEEZED, *GRID, "--rounding", "output", "--squeeze", "1", *DATA, "--seeds", "1")
    found = shell("accuracy", "net.onnx", *words, "--set", "adc.bits=5", "--json").json()
    program = mho.compile(
        coded("samples.npz", "window:8:3", method="output", squeeze=1),
        "sme",
        mho.Strategy().with_(schedule="overlap", mapping="squeezed"),
    )
    analog = mho.machine.Analog().override({"adc.bits": 5})
    ours = mho.explore.evaluate(program, samples(), analog, seeds=1, calibration=samples()).to_dict()
    for key in ("accuracy", "agreement", "layers", "chip", "analog"):
        assert found[key] == json.loads(json.dumps(ours[key]))
    swept = shell("sweep", "net.onnx", *words, "--over", "adc.bits=5,8", "--out", "out", "--json").json()
    assert swept["points"][0]["accuracy"]["mean"] == found["accuracy"]["chip"]["mean"]


# What the report says of arrays


def test_the_report_tells_arrays_against_those_of_a_dense_mapping(folder: Path, shell: Shell) -> None:
    words = ("run", "decoder.yaml", *SQUEEZED, *GRID, "--squeeze", "2")
    found = shell(*words, "--save", "kept.mho", "--json").json()
    program = mho.Program.load("kept.mho")
    dense = map_network(program.network, program.chip).arrays
    assert found["arrays"] == {"used": program.mapping.arrays, "dense": dense}
    by_name = {layer.name: int(layer.blocks.arrays.sum()) for layer in program.mapping.layers}
    for record in found["layers"]:
        assert record["arrays"] == by_name.get(record["name"], 0) * record["copies"]
    assert sum(by_name.values()) == found["arrays"]["used"] < dense
    ended = shell(*words, "--out", "out")
    told = f"a dense mapping takes {dense}, {dense / found['arrays']['used']:.2f} × as many"
    assert told in " ".join(ended.out.split())
    assert told in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_of_a_dense_mapping_the_same_number_is_told_twice_in_json_and_not_in_words(folder: Path, shell: Shell) -> None:
    found = shell("run", "net.onnx", *CHIP, "--json").json()
    assert found["arrays"]["used"] == found["arrays"]["dense"] > 0
    assert "dense mapping" not in shell("run", "net.onnx", *CHIP).out


# Mistakes


MISTAKES = [
    (("--turns", "2"), ("--turns", "squeezed", "dense")),
    (("--turns", "0", "--mapping", "squeezed"), ("--turns", "from 1 to 64")),
    (("--turns", "two"), ("--turns", "two")),
    (("--turns", "65", "--mapping", "squeezed", "--chip", "sme"), ("--turns", "64", "65")),
    (("--mapping", "squezed"), ("--mapping", "squeezed")),
    (("--mapping", "squeezed"), ("--mapping squeezed", "aras", "index memory", "sme")),
    (("--mapping", "squeezed", "--chip", "sme", "--alignment", "128"), ("--alignment", "squeezed")),
    (("--mapping", "squeezed", "--chip", "sme", "--low-cell", "lower"), ("--low-cell", "squeezed")),
    (("--rounding", "nearest"), ("--rounding", "--grid")),
    (("--squeeze", "2"), ("--squeeze", "--grid")),
    (("--squeeze", "0"), ("--squeeze", "--grid")),
    (("--grid", "windw:8:3"), ("--grid", "windw", "window")),
    (("--grid", "window:8"), ("--grid", "window:8", "bits and places")),
    (("--grid", "window:8:0"), ("--grid", "window:8:0", "1 to 7")),
    (("--grid", "uniform:9"), ("--grid", "uniform:9", "2 to 8")),
    (("--grid", ""), ("--grid", "empty")),
    ((*GRID, "--rounding", "outputs"), ("--rounding", "outputs", "nearest, output")),
    ((*GRID, "--squeeze", "7"), ("--squeeze 7", "0 to 6")),
    (("--grid", "uniform:4", "--squeeze", "3"), ("--squeeze 3", "0 to 2")),
    ((*GRID, "--squeeze", "-1"), ("--squeeze", "-1")),
    ((*GRID, "--weights", "none"), ("--weights", "none")),
    (("--grid", "window:8:3,uniform:4"), ("--grid window:8:3,uniform:4", "several", "--budget")),
    ((*GRID, "--squeeze", "1,2"), ("--squeeze 1,2", "several", "--budget")),
    (("--budget", "0.1"), ("--budget", "--grid")),
    ((*GRID, "--budget", "0.1"), ("--budget", "--mapping squeezed", "dense")),
    ((*GRID, "--budget", "-1"), ("--budget", "-1", "from 0 to")),
    ((*GRID, "--budget", "nan"), ("--budget", "nan")),
    ((*GRID, "--squeeze", "1,2,1", "--budget", "1"), ("--squeeze 1, 2, 1", "names 1 twice")),
    ((*GRID, "--squeeze", "1,", "--budget", "1"), ("--squeeze", "whole number")),
    (("--grid", "planes:2,planes:2.0", "--budget", "1"), ("--grid", "names planes:2 twice")),
    (("--grid", "window:8:3,", "--budget", "1"), ("--grid", "window", "planes")),
    (("--grid", "plane:2"), ("--grid", "plane:2", "planes")),
    (("--grid", "planes:9"), ("--grid", "planes:9", "0 to 7")),
    (("--grid", "planes:2", "--squeeze", "1"), ("--squeeze 1", "planes:2")),
    (
        ("--grid", "window:8:3,uniform:4", "--squeeze", "1,3", "--budget", "1"),
        ("--squeeze 1, 3", "uniform:4", "0 to 2"),
    ),
]


@pytest.mark.parametrize("command", COMPILING)
@pytest.mark.parametrize(("words", "parts"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_gives_one_line_and_no_file(
    command: str, words: tuple[str, ...], parts: tuple[str, ...], folder: Path, shell: Shell
) -> None:
    before = contents(folder)
    ended = shell(*COMPILING[command], *words)
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("mho: ") and ended.err.count("\n") == 1 and ended.err.endswith("\n")
    for part in parts:
        assert part in ended.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("run", "net.onnx", *GRID, "--rounding", "output"), ("--rounding", "--calibration", "--data")),
        (("run", "net.onnx", *GRID, "--rounding", "output", "--verify"), ("--rounding", "--calibration", "--data")),
        (("verify", "net.onnx", *GRID, "--rounding", "output"), ("--rounding", "--calibration", "--data")),
        (("compare", "net.onnx", *GRID, "--rounding", "output"), ("--rounding", "--calibration")),
        (("run", "net.onnx", *SQUEEZED, *GRID, "--budget", "1"), ("--budget", "--calibration", "--data")),
        (("verify", "net.onnx", *SQUEEZED, *GRID, "--budget", "1"), ("--budget", "--calibration", "--data")),
        (("compare", "net.onnx", *SQUEEZED, *GRID, "--budget", "1"), ("--budget", "--calibration")),
        (("run", "net.onnx", *GRID, "--rounding", "sequence"), ("--rounding sequence", "--calibration", "--data")),
        (("run", "net.onnx", *GRID, *DATA), ("--data", "--verify", "--rounding output")),
        (("compare", "net.onnx", *GRID, "--calibration", "samples.npz"), ("--calibration", "--rounding output")),
        (("compare", "net.onnx", "--key", "x"), ("--key",)),
        (("run", "net.onnx", *GRID, "--rounding", "output", "--data", "absent.npz"), ("--data absent.npz",)),
        (("accuracy", "net.onnx", *DATA, *GRID, "--symmetric"), ("--symmetric", "grid")),
        (("run", "resnet20", "--weights", "none", *GRID, "--per-channel"), ("--per-channel and --grid need weights",)),
        (("run", "resnet20", "--weights", "none", *SQUEEZED), ("--mapping squeezed needs weights",)),
        (
            ("run", "net.onnx", *SQUEEZED, *GRID, "--squeeze", "6", "--set", "sparse.shift_bits=1"),
            ("filter", "sparse.shift_bits"),
        ),
    ],
)
def test_what_nothing_can_be_made_of_is_refused(
    words: tuple[str, ...], parts: tuple[str, ...], folder: Path, shell: Shell
) -> None:
    before = contents(folder)
    ended = shell(*words)
    assert ended.code == 2 and ended.out == "" and ended.err.count("\n") == 1
    for part in parts:
        assert part in ended.err
    assert contents(folder) == before


def test_a_sweep_whose_last_chip_cannot_is_refused_before_the_first_is_executed(folder: Path, shell: Shell) -> None:
    before = contents(folder)
    words = (*SQUEEZED, *GRID, "--squeeze", "3", *DATA, "--over", "chip.sparse.shift_bits=3,1", "--out", "out")
    ended = shell("sweep", "net.onnx", *words)
    assert ended.code == 2 and "--over, chip.sparse.shift_bits=1: layer 'filter'" in ended.err
    assert contents(folder) == before


def test_mistakes_cost_no_execution(folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Executor, "run", None)
    monkeypatch.setattr(mho.number, "recode", None)
    ended = shell("verify", "net.onnx", *GRID, "--rounding", "output", "--squeeze", "3")
    assert ended.code == 2 and "--rounding output" in ended.err


# Options by the group


@pytest.mark.parametrize("command", COMPILING)
def test_every_command_that_compiles_takes_the_options(
    command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = shell(command, "--help").out
    for word in (
        "--grid",
        "--rounding",
        "--squeeze",
        "--budget",
        "--turns",
        "--per-channel",
        "nearest, output",
        "dense, squeezed",
    ):
        assert word in shown
    assert shown.index("─ Weights ") < shown.index("--grid ") < shown.index("─ Mapping and schedule ")


@dataclass(frozen=True)
class Pair:
    """A group of two options."""

    first: Annotated[int, typer.Option()] = 1
    second: Annotated[str | None, typer.Option()] = None


def test_a_group_stands_for_its_fields_in_their_order() -> None:
    seen: list[tuple[str, Pair, bool]] = []

    def command(name: str, *, pair: Pair, last: bool = False) -> None:
        """Do it."""
        seen.append((name, pair, last))

    flat = spread(command)
    parameters = signature(flat).parameters
    assert list(parameters) == ["name", "first", "second", "last"]
    assert [parameters[name].default for name in ("first", "second", "last")] == [1, None, False]
    assert flat.__doc__ == "Do it." and flat.__name__ == "command"
    flat(name="x", first=2, second="y", last=True)
    assert seen == [("x", Pair(2, "y"), True)]


def test_two_options_of_one_name_are_refused() -> None:
    def command(first: int, pair: Pair) -> None:
        """Take one name twice."""

    with pytest.raises(TypeError, match="first"):
        spread(command)
