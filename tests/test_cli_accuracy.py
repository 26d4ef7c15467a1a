"""mho accuracy and mho sweep: what they tell, what they leave behind, what they refuse."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import OptionError
from mho.explore.ranges import read_over
from mho.machine.functional import Executor
from mho.network.graph import Network
from mho.number.accuracy import predicted
from tests.command_line import DECODER, Shell, contents, write_onnx, write_samples
from tests.strategies import GREEDY

SCHEMAS = {
    name: json.loads((files("mho.explore") / f"{name}.schema.json").read_text(encoding="utf-8"))
    for name in ("accuracy", "sweep")
}
ANALOG = {"schema": "mho.analog/1", "name": "six bits", "adc": {"bits": 6}, "device": "generic"}
NOISY = ("--set", "device.programming.sigma=0.05")
QUICK = ("--schedule", "overlap", "--seeds", "2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a small network, samples that it classifies rightly, and an analog side."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write_onnx(tmp_path / "net.onnx")
    network = Network.from_onnx(tmp_path / "net.onnx")
    images = np.random.default_rng(1).standard_normal((8, 3, 6, 6)).astype(np.float32)
    labels = predicted(mho.number.run_float(network, images)[network.outputs[0]])
    write_samples(tmp_path / "samples.npz", x=images, y=labels)
    write_samples(tmp_path / "unlabelled.npz", y=None)
    (tmp_path / "analog.yaml").write_text(yaml.safe_dump(ANALOG))
    return tmp_path


def accuracy(*more: str) -> tuple[str, ...]:
    return ("accuracy", "net.onnx", "--data", "samples.npz", "--analog", "analog.yaml", *QUICK, *more)


def sweep(*more: str) -> tuple[str, ...]:
    return ("sweep", "net.onnx", "--data", "samples.npz", "--analog", "analog.yaml", *QUICK, *more)


def without(command: tuple[str, ...], option: str) -> tuple[str, ...]:
    """Leave out an option that is given again, unless it may be repeated."""
    if option not in command or option in ("--set", "--over"):
        return command
    place = command.index(option)
    return (*command[:place], *command[place + 2 :])


def assert_alone(text: str) -> None:
    """A page or drawing loads nothing and runs nothing."""
    assert not re.search(r"<script|<link(?! rel=.icon. href=.data:,)|<img|url\(|@import|src=", text)
    addresses = set(re.findall(r"https?://[^\"' <]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}


# Accuracy


def test_accuracy_tells_all_of_what_it_measures(folder: Path, shell: Shell) -> None:
    ended = shell(*accuracy(*NOISY))
    assert (ended.code, ended.err) == (0, "")
    for words in (
        "float network",
        "8-bit integers",
        "on the chip",
        "95 % over chips",
        "95 % over samples",
        "mean of 2 chips",
    ):
        assert words in ended.out
    assert "filter" in ended.out and " dB" in ended.out
    assert "device generic" in ended.out and "assumption" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100


def test_accuracys_json_is_that_of_the_python_interface(folder: Path, shell: Shell) -> None:
    found = shell(*accuracy(*NOISY, "--samples", "4", "--json")).json()
    jsonschema.validate(found, SCHEMAS["accuracy"])
    assert (found["samples"], found["seeds"], found["draws"]) == (4, [0, 1], True)
    assert found["analog"]["adc"]["bits"] == 6 and found["analog"]["name"] == "six bits"
    network = Network.from_onnx("net.onnx")
    with np.load("samples.npz") as file:
        samples = mho.network.samples.Samples((file["x"],), file["y"], "samples.npz")
    program = mho.compile(mho.number.quantise(network, samples.inputs), "aras", GREEDY.with_(schedule="overlap"))
    side = mho.machine.analog.spec.Analog.load("analog.yaml").override({"device.programming.sigma": 0.05})
    ours = mho.explore.evaluate(program, samples.spread(4), side, seeds=2).to_dict()
    for key in ("accuracy", "agreement", "layers", "chip", "analog"):
        assert found[key] == ours[key]


def test_without_anything_drawn_one_chip_is_executed_and_said_to_be_enough(folder: Path, shell: Shell) -> None:
    found = shell(*accuracy("--set", "adc.bits=9", "--json")).json()
    assert found["seeds"] == [0] and not found["draws"]
    assert found["agreement"]["mean"] == 1.0 and found["layers"][0]["snr_db"] is None
    assert found["accuracy"]["chip"]["interval_over_seeds"] is None
    out = shell(*accuracy("--set", "adc.bits=9")).out
    assert "all chips are alike" in out and "exact" in out and "never" in out


def test_without_an_analog_file_the_chips_own_converters_are_executed(folder: Path, shell: Shell) -> None:
    found = shell("accuracy", "net.onnx", "--data", "samples.npz", *QUICK, "--json").json()
    assert found["analog"]["adc"]["bits"] == "chip" and not found["draws"]


def test_set_changes_the_chip_too(folder: Path, shell: Shell) -> None:
    found = shell(*accuracy("--set", "chip.array.cell_bits=1", "--json")).json()
    assert found["chip"]["name"] == "aras*"


def test_synthetic_weights_are_said_to_be_synthetic(folder: Path, shell: Shell) -> None:
    (folder / "decoder.yaml").write_text(yaml.safe_dump(DECODER))
    np.savez(folder / "tokens.npz", input_ids=np.zeros((2, 4), dtype=np.int64), y=np.zeros(2, dtype=np.int64))
    words = ("--data", "tokens.npz", *QUICK, "--out", "out")
    ended = shell("accuracy", "decoder.yaml", *words)
    assert ended.code == 0 and "weights are synthetic" in ended.out
    assert "Weights are synthetic" in (folder / "out" / "accuracy.html").read_text()


def test_accuracys_files_are_whole_and_need_nothing_else(folder: Path, shell: Shell) -> None:
    ended = shell(*accuracy(*NOISY, "--out", "out/deep"))
    assert ended.code == 0 and "out/deep/accuracy.html" in ended.out
    out = folder / "out" / "deep"
    assert sorted(each.name for each in out.iterdir()) == [
        "accuracy.html",
        "accuracy.json",
        "layers.svg",
        "results.jsonl",
    ]
    jsonschema.validate(json.loads((out / "accuracy.json").read_text()), SCHEMAS["accuracy"])
    for name in ("accuracy.html", "layers.svg"):
        assert_alone((out / name).read_text())
    ElementTree.parse(out / "layers.svg")
    before = contents(out)
    assert shell(*accuracy(*NOISY, "--out", "out/deep")).out == ended.out
    assert contents(out)["results.jsonl"] == before["results.jsonl"], "what was finished was computed again"


def test_a_kept_program_is_evaluated_and_brings_its_own(folder: Path, shell: Shell) -> None:
    kept = shell("run", "net.onnx", "--verify", "--data", "samples.npz", "--schedule", "overlap", "--save", "kept.mho")
    assert kept.code == 0
    found = shell("accuracy", "kept.mho", "--data", "samples.npz", "--analog", "analog.yaml", *NOISY, "--json").json()
    assert found["accuracy"]["float"] is None and len(found["seeds"]) == 5
    out = shell("accuracy", "kept.mho", "--data", "samples.npz").out
    assert "float network" not in out
    for words in (("--chip", "isaac"), ("--set", "chip.tiles=4"), ("--schedule", "naive")):
        ended = shell("accuracy", "kept.mho", "--data", "samples.npz", *words)
        assert ended.code == 2 and "compiled already" in ended.err
    ended = shell("sweep", "kept.mho", "--data", "samples.npz", "--over", "chip.tiles=2,3", "--out", "out")
    assert ended.code == 2 and "compiled already" in ended.err and not (folder / "out").exists()


def interrupt_at(monkeypatch: pytest.MonkeyPatch, execution: int) -> None:
    """Let a user interrupt when so many batches have been executed."""
    run, count = Executor.run, [0]

    def interrupted(self: Executor, *arguments: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] > execution:
            raise KeyboardInterrupt
        return run(self, *arguments, **more)

    monkeypatch.setattr(Executor, "run", interrupted)


@pytest.mark.parametrize("command", [accuracy(*NOISY), sweep("--over", "device.programming.sigma=0.05,0.1")])
def test_an_interrupted_command_says_what_is_kept_and_goes_on(
    command: tuple[str, ...], folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = shell(*command, "--out", "whole").out.replace("whole/", "")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        ended = shell(*command, "--out", "out")
    said = "mho: interrupted: what is finished is kept in out/results.jsonl; the same command goes on from there\n"
    assert (ended.code, ended.err) == (130, said)
    assert [each.name for each in (folder / "out").iterdir()] == ["results.jsonl"]
    again = shell(*command, "--out", "out")
    assert again.code == 0 and again.out.replace("out/", "") == wanted


def test_an_interrupted_accuracy_without_a_folder_says_how_to_keep(
    folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    interrupt_at(monkeypatch, 1)
    ended = shell(*accuracy(*NOISY))
    assert ended.code == 130 and "--out FOLDER" in ended.err
    assert contents(folder) == before


@pytest.mark.parametrize("command", [accuracy(*NOISY), sweep("--over", "device.programming.sigma=0.05,0.1")])
def test_workers_change_neither_words_nor_files(command: tuple[str, ...], folder: Path, shell: Shell) -> None:
    one, two = (shell(*command, "--out", f"out{workers}", "--workers", workers) for workers in ("1", "2"))
    assert (one.code, one.err) == (0, "") and two.out.replace("out2", "out1") == one.out
    for path in (folder / "out1").iterdir():
        assert path.read_bytes() == (folder / "out2" / path.name).read_bytes()
    assert len(list((folder / "out2").iterdir())) == 4


def test_workers_are_refused_where_one_value_follows_from_the_last(folder: Path, shell: Shell) -> None:
    ended = shell(*accuracy("--find", "device.programming.sigma", "--workers", "2"))
    assert ended.code == 2 and "--workers" in ended.err and "--find" in ended.err and ended.err.count("\n") == 1


# Sweep


def test_a_sweep_over_two_parameters_is_a_table_a_heat_map_and_json(folder: Path, shell: Shell) -> None:
    ended = shell(*sweep("--over", "adc.bits=4:6:1", "--over", "device.programming.sigma=0,0.05", "--out", "out"))
    assert (ended.code, ended.err) == (0, "")
    out = folder / "out"
    assert sorted(each.name for each in out.iterdir()) == ["results.jsonl", "sweep.html", "sweep.json", "sweep.svg"]
    found = json.loads((out / "sweep.json").read_text())
    jsonschema.validate(found, SCHEMAS["sweep"])
    assert [tuple(point["values"].values()) for point in found["points"]] == [
        (bits, sigma) for bits in (4, 5, 6) for sigma in (0, 0.05)
    ]
    drawing = (out / "sweep.svg").read_text()
    ElementTree.fromstring(drawing)
    assert_alone(drawing)
    assert_alone((out / "sweep.html").read_text())
    for point in found["points"]:
        mean = f"{100 * point['accuracy']['mean']:.2f}"
        assert f">{mean}<" in drawing and mean in ended.out
    assert drawing.count("<title>") == 6
    for head in ("adc.bits", "device.programming.sigma"):
        assert head in ended.out and head in drawing
    assert max(map(len, ended.out.splitlines())) <= 100


def test_a_sweeps_json_is_that_of_the_python_interface(folder: Path, shell: Shell) -> None:
    found = shell(*sweep("--over", "adc.bits=4,6", *NOISY, "--samples", "4", "--out", "out", "--json")).json()
    network = Network.from_onnx("net.onnx")
    with np.load("samples.npz") as file:
        samples = mho.network.samples.Samples((file["x"],), file["y"], "samples.npz")
    program = mho.compile(mho.number.quantise(network, samples.inputs), "aras", GREEDY.with_(schedule="overlap"))
    side = mho.machine.analog.spec.Analog.load("analog.yaml").override({"device.programming.sigma": 0.05})
    ours = mho.explore.sweeps.sweep(program, samples.spread(4), side, over={"adc.bits": [4, 6]}, seeds=2).to_dict()
    assert len(found["points"]) == len(ours["points"]) == 2
    for said, told in zip(found["points"], ours["points"], strict=True):
        for key in ("values", "accuracy", "agreement", "layers", "chip"):
            assert said[key] == told[key]


def test_a_sweep_over_one_parameter_is_a_line(folder: Path, shell: Shell) -> None:
    found = shell(*sweep("--over", "adc.bits=4,6", *NOISY, "--out", "out", "--json")).json()
    jsonschema.validate(found, SCHEMAS["sweep"])
    drawing = (folder / "out" / "sweep.svg").read_text()
    ElementTree.fromstring(drawing)
    assert drawing.count("<circle") == 2 and "polyline" in drawing
    alone = shell(*accuracy("--set", "adc.bits=4", *NOISY, "--json")).json()
    assert found["points"][0]["accuracy"]["mean"] == alone["accuracy"]["chip"]["mean"]


def test_a_sweep_over_the_chip_compiles_anew(folder: Path, shell: Shell) -> None:
    words = ("--over", "chip.array.cell_bits=1,2", "--set", "adc.bits=6")
    found = shell(*sweep(*words, "--out", "out", "--json")).json()
    assert len({point["chip"]["digest"] for point in found["points"]}) == 2
    # On the layer's 27 rows, 1-bit cells give sums to 27, and 2-bit cells to 81: 6 bits lose nothing of the first alone.
    assert found["points"][0]["agreement"] == 1.0
    assert found["points"][0]["layers"][0]["snr_db"] is None
    assert found["points"][1]["layers"][0]["snr_db"] is not None


def test_words_can_be_swept(folder: Path, shell: Shell) -> None:
    found = shell(*sweep("--over", "adc.bits=4,ideal", "--out", "out", "--json")).json()
    assert [point["values"]["adc.bits"] for point in found["points"]] == [4, "ideal"]
    assert found["points"][1]["agreement"] == 1.0


# Values


@given(st.lists(st.integers(-9, 99), min_size=1, max_size=5))
def test_lists_are_read_as_they_are_written(values: list[int]) -> None:
    assert read_over([f"key={','.join(map(str, values))}"]) == {"key": tuple(values)}


@given(st.integers(-50, 50), st.integers(0, 30), st.integers(1, 9), st.integers(0, 3))
def test_ranges_hold_every_step_up_to_their_end(first: int, count: int, step: int, digits: int) -> None:
    """In decimals: 0:0.3:0.1 is 0, 0.1, 0.2 and 0.3, each the float that its text gives."""
    scale = 10**digits

    def text(number: int) -> str:
        whole, rest = divmod(abs(number), scale)
        return ("-" if number < 0 else "") + (f"{whole}.{rest:0{digits}d}" if digits else str(whole))

    last = first + step * count
    (values,) = read_over([f"key={text(first)}:{text(last)}:{text(step)}"]).values()
    assert values == tuple(float(text(first + step * number)) for number in range(count + 1))
    assert all(isinstance(value, float if digits else int) for value in values)


@pytest.mark.parametrize(
    "text", ["adc.bits", "=4", "adc.bits=", "k=1,,2", "k=1:2", "k=4:1:1", "k=1:2:0", "k=1:2:-1", "k=a:b:c", "k=1:b:c", "k=0:1:1e-9",
             "k=[1,2]", "k=null", "k=true", "k=NaN", "k=1:inf:1", "k=nan:1:1", "k=1:nan:1"],
)  # fmt: skip
def test_values_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--over"):
        read_over([text])


# Mistakes


BOTH = [
    (("--set", "adc.bit=6"), "adc.bits"),
    (("--set", "tiles=6"), "chip."),
    (("--set", "chip.tile=6"), "tile"),
    (("--set", "adc.bits=99"), "adc.bits"),
    (("--set", "adc.bits"), "KEY=VALUE"),
    (("--set", "adc.bits=6", "--set", "adc.bits=7"), "twice"),
    (("--set", "device=unobtainium"), "unobtainium"),
    (("--set", "device.programing.sigma=0.1"), "programing"),
    (("--analog", "absent.yaml"), "absent.yaml"),
    (("--analog", "."), "folder"),
    (("--analog", "wrong.yaml"), "wrong.yaml"),
    (("--analog", "samples.npz"), "samples.npz"),
    (("--data", "absent.npz"), "absent.npz"),
    (("--data", "unlabelled.npz"), "labels"),
    (("--samples", "9"), "9"),
    (("--samples", "0"), "from 1 to"),
    (("--seeds", "0"), "from 1 to"),
    (("--workers", "0"), "from 1 to"),
    (("--schedule", "adaptiv"), "adaptive"),
    (("--backend", "plane"), "plain"),
    (("--json", "absent/file.json"), "absent"),
    (("--out", "samples.npz"), "samples.npz"),
    (("--weights", "seeded"), "--weights"),
]


@pytest.mark.parametrize("command", [accuracy(), sweep("--over", "age_s=0,1")])
@pytest.mark.parametrize(("words", "told"), BOTH, ids=[" ".join(words) for words, _ in BOTH])
def test_a_mistake_gets_one_line_and_leaves_nothing(
    command: tuple[str, ...],
    words: tuple[str, ...],
    told: str,
    folder: Path,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "wrong.yaml").write_text(yaml.safe_dump({**ANALOG, "adcs": {}}))
    monkeypatch.setattr(Executor, "run", None)
    before = contents(folder)
    ended = shell(*without(command, words[0]), *(() if "--out" in words else ("--out", "out")), *words)
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("mho: ") and len(ended.err.splitlines()) == 1
    assert told in ended.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--over"),
        (("--over", "adc.bits=4", "--over", "adc.bits=5"), "twice"),
        (("--over", "adc.bits=4,4"), "twice"),
        (("--over", "adc.bits=4", "--over", "age_s=1", "--over", "pedestal=analog"), "one or two"),
        (("--over", "seed=1,2"), "seeds"),
        (("--over", "adc.bit=4"), "adc.bits"),
        (("--over", "adc.bits=4,99"), "adc.bits"),
        (("--over", "tiles=4"), "chip."),
        (("--over", "chip.array.row=4"), "array.rows"),
        (("--over", "adc.bits=4", "--set", "adc.bits=5"), "--set"),
        (("--over", "device.programming.sigma=0,-1"), "sigma"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_one_line(
    words: tuple[str, ...], told: str, folder: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Executor, "run", None)
    before = contents(folder)
    ended = shell(*sweep("--out", "out"), *words)
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("mho: ") and len(ended.err.splitlines()) == 1
    assert told in ended.err
    assert contents(folder) == before


@pytest.mark.parametrize("missing", ["--data", "--out"])
def test_what_a_sweep_needs_is_named(missing: str, folder: Path, shell: Shell) -> None:
    words = {"--data": "samples.npz", "--out": "out", "--over": "adc.bits=4"}
    given = [word for option, value in words.items() if option != missing for word in (option, value)]
    ended = shell("sweep", "net.onnx", *given)
    assert ended.code == 2 and missing in ended.err and len(ended.err.splitlines()) == 1


# Help


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", ["accuracy", "sweep"])
def test_help_is_enough_and_fits_the_terminal(
    command: str, columns: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ended = shell(command, "--help")
    assert ended.code == 0 and ended.err == ""
    assert max(len(line) for line in ended.out.splitlines()) <= int(columns)
    assert "…" not in ended.out and "{names}" not in ended.out
    for word in ("adc.bits", "chip.tiles", "--analog", "--seeds", "results.jsonl", "mho.analog/1"):
        assert word in ended.out


def test_a_sweep_over_the_strategy_is_the_accuracy_of_each(shell: Shell, folder: Path) -> None:
    words = ("net.onnx", "--data", "samples.npz", "--seeds", "1", "--set", "adc.bits=4")
    swept = shell("sweep", *words, "--over", "strategy.schedule=naive,overlap", "--out", "out", "--json", "-").json()
    assert [point["values"] for point in swept["points"]] == [{"strategy.schedule": n} for n in ("naive", "overlap")]
    for point in swept["points"]:
        alone = shell("accuracy", *words, "--schedule", point["values"]["strategy.schedule"], "--json", "-").json()
        assert point["accuracy"]["by_seed"] == alone["accuracy"]["chip"]["by_seed"]
    swept = shell("sweep", *words, "--over", "strategy.grid=uniform:5,uniform:2", "--out", "o", "--json", "-").json()
    alone = shell("accuracy", *words, "--grid", "uniform:2", "--json", "-").json()
    assert swept["points"][1]["accuracy"]["by_seed"] == alone["accuracy"]["chip"]["by_seed"]
    both = shell("sweep", *words, "--over", "strategy.schedule=naive,overlap", "--schedule", "aras", "--out", "p")
    assert both.code == 2 and "strategy.schedule is swept by --over and given as an option" in both.err
    assert "schedule naive, overlap" in (folder / "out" / "sweep.html").read_text()
    for over, told in {
        "strategy.nope=1": "no such stage",
        "strategy.schedule=nope": "strategy: ",
        "strategy.coding=grid,budget": "",
    }.items():
        ended = shell("sweep", *words, "--over", over, "--out", "o")
        assert ended.code == 2 and ended.err.count("\n") == 1 and told in ended.err, ended
