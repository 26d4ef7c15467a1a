"""Each command does what its help says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import mho
from mho.network.zoo.configuration import read_configuration
from mho.schedule.naive import Naive
from mho.strategy import STAGES, registered
from mho.strategy.choice import _REGISTERED
from tests.command_line import DECODER, Shell, write_onnx, write_samples

COMMANDS = ("run", "compare", "verify", "baseline", "study", "models", "chips", "show", "list")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a small network, samples for it, and a small decoder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write_onnx(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples.npz")
    (tmp_path / "decoder.yaml").write_text(yaml.safe_dump(DECODER))
    return tmp_path


def test_public_names_are_sorted_complete_and_importable() -> None:
    assert list(mho.__all__) == sorted(mho.__all__)
    assert set(mho.__all__) == set(mho._WHERE)
    assert dir(mho) == sorted(mho.__all__)
    for name in mho.__all__:
        assert getattr(mho, name) is not None
    with pytest.raises(AttributeError, match="absent"):
        mho.absent  # noqa: B018
    assert len(mho.__all__) <= 21  # the stages are below: mho.number.recode
    assert mho.number.quantise and mho.explore.recommend and callable(mho.explore)


def test_the_version_is_printed(shell: Shell) -> None:
    assert shell("--version").out == f"mho {mho.__version__}\n"


def test_without_a_command_help_is_printed(shell: Shell) -> None:
    ended = shell()
    assert ended.code == 0 and all(command in ended.out for command in COMMANDS)


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal(command: str, columns: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ended = shell(command, "--help")
    assert ended.code == 0 and ended.err == ""
    assert max(len(line) for line in ended.out.splitlines()) <= int(columns)
    assert "…" not in ended.out and "{names}" not in ended.out


@pytest.mark.parametrize(("command", "extra"), [("explore", "cluster"), ("explore", "rtl"), ("autorac", "rtl")])
def test_help_names_what_is_to_be_installed(command: str, extra: str, shell: Shell) -> None:
    assert f"mho[{extra}]" in shell(command, "--help").out


@pytest.mark.parametrize("command", ["run", "compare", "verify"])
def test_help_names_every_registered_strategy(command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(_REGISTERED["schedule"], "brand-new", Naive)
    text = shell(command, "--help").out
    for stage in STAGES:
        assert f"--{stage.replace('_', '-')}" in text
        assert command == "compare" or all(name in text for name in registered(stage) if name != "centre")
    assert command == "compare" or "brand-new" in text


def test_help_of_every_command_needs_no_heavy_package() -> None:
    program = (
        "import sys\n"
        "from mho.cli import main\n"
        f"for words in ([], *([each] for each in {COMMANDS!r})):\n"
        "    sys.argv = ['mho', *words, '--help']\n"
        "    try:\n        main()\n"
        "    except SystemExit as ended:\n        assert not ended.code\n"
        "heavy = {'torch', 'transformers', 'onnx', 'plotly', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_importing_mho_imports_nothing_else() -> None:
    program = "import sys, mho; assert not {'numpy', 'torch', 'rich', 'typer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_models_lists_what_the_zoo_knows(shell: Shell) -> None:
    content = shell("models", "--json", "-").json()
    assert [each["name"] for each in content["models"]] == list(mho.zoo.names())
    shown = shell("models").out
    assert all(name in shown for name in mho.zoo.names())


def test_chips_lists_every_preset(shell: Shell) -> None:
    content = shell("chips", "--json", "-").json()
    assert [each["name"] for each in content["chips"]] == list(mho.Chip.presets())
    shown = shell("chips").out
    assert all(name in shown for name in mho.Chip.presets())


@pytest.mark.parametrize("preset", mho.Chip.presets())
def test_show_prints_every_key_that_can_be_set(preset: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = shell("show", preset).out
    chip = mho.Chip.load(preset)
    assert all(key in shown for key in chip.provenance)
    assert max(len(line) for line in shown.splitlines()) <= 80
    content = shell("show", preset, "--json", "-").json()
    assert content == json.loads(json.dumps(chip.describe()))
    assert sum(content["area_m2"]["by_component"].values()) == pytest.approx(content["area_m2"]["total"], rel=1e-9)


def test_set_changes_the_chip(shell: Shell) -> None:
    words = ("--set", "tiles=48", "--set", "array.adc_period_s=2e-9", "--set", "buffer.banks=[65536, 131072]")
    content = shell("show", "aras", *words, "--set", "components.adc=adc-survey", "--json").json()
    assert content["tiles"] == 48
    assert content["array"]["adc_period_s"] == 2e-9
    assert content["buffer"]["banks"] == [65536, 131072]
    assert content["components"]["adc"].startswith("adc-survey/")
    assert content["sources"]["tiles"] == "given on the command line"


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ("run net.onnx", "mho.report/1"),
        ("compare net.onnx", "mho.comparison/1"),
        ("verify net.onnx", "mho.verification/1"),
        ("models", "mho.models/1"),
        ("chips", "mho.chips/1"),
        ("show aras", "mho.chip/1"),
        ("list kept.mho", "mho.listing/1"),
    ],
)
def test_json_goes_to_standard_output_alone_or_to_a_file(words: str, schema: str, folder: Path, shell: Shell) -> None:
    assert shell("run", "net.onnx", "--save", "kept.mho").code == 0
    ended = shell(*words.split(), "--json", "-")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json()["schema"] == schema
    bare = shell(*words.split(), "--json")
    assert bare.json() == ended.json()
    filed = shell(*words.split(), "--json", "result.json")
    assert filed.code == 0 and filed.out
    assert json.loads((folder / "result.json").read_text(encoding="utf-8")) == ended.json()
    assert sorted(path.name for path in folder.iterdir()) == [
        "decoder.yaml", "kept.mho", "net.onnx", "result.json", "samples.npz",
    ]  # fmt: skip


def test_a_bare_json_may_stand_before_another_option(folder: Path, shell: Shell) -> None:
    ended = shell("run", "net.onnx", "--json", "--schedule", "naive")
    assert ended.json()["schedule"] == "naive"


def test_run_writes_its_report_and_program(folder: Path, shell: Shell) -> None:
    ended = shell("run", "net.onnx", "--verify", "--data", "samples.npz", "--out", "new/report", "--save", "kept.mho")
    assert ended.code == 0 and ended.err == ""
    assert "new/report/report.html" in ended.out and "kept.mho" in ended.out
    assert sorted(path.name for path in (folder / "new/report").iterdir()) == [
        "report.html", "report.json", "trace.json",
    ]  # fmt: skip
    report = json.loads((folder / "new/report/report.json").read_text(encoding="utf-8"))
    assert "bit-exact" in report["verified"] and "legal" in report["verified"]
    assert any("samples.npz" in note for note in report["notes"])
    json.loads((folder / "new/report/trace.json").read_text(encoding="utf-8"))


def test_a_kept_program_is_listed_and_verified_without_its_model(folder: Path, shell: Shell) -> None:
    assert shell("run", "net.onnx", "--verify", "--data", "samples.npz", "--save", "kept.mho").code == 0
    (folder / "net.onnx").unlink()
    listed = shell("list", "kept.mho")
    program = mho.Program.load("kept.mho")
    assert listed.code == 0 and listed.out == program.listing()
    assert len(listed.out.splitlines()) == len(program.instructions) + 1
    result = shell("verify", "kept.mho", "--data", "samples.npz", "--samples", "3", "--json").json()
    assert result["bit_exact"] and result["legal"] and result["samples"] == 3


def test_verify_ends_with_1_where_a_program_is_wrong(folder: Path, shell: Shell) -> None:
    from dataclasses import replace

    from mho.program import Activate

    assert shell("run", "net.onnx", "--verify", "--save", "kept.mho").code == 0
    program = mho.Program.load("kept.mho")
    cut = tuple(
        replace(each, windows=(each.windows[0], each.windows[1] - 1)) if isinstance(each, Activate) else each
        for each in program.instructions
    )
    replace(program, instructions=cut).save("wrong.mho")
    ended = shell("verify", "wrong.mho")
    assert ended.code == 1 and "WRONG" in ended.out and ended.err == ""
    result = shell("verify", "wrong.mho", "--json")
    assert result.code == 1 and not (result.json()["bit_exact"] and result.json()["legal"])


def test_accuracy_is_that_of_the_network_on_all_samples(folder: Path, shell: Shell) -> None:
    network = mho.Network.from_onnx("net.onnx")
    samples = np.load("samples.npz")["x"]
    classes = mho.number.run_float(network, (samples,))[network.outputs[0]].reshape(3, -1).argmax(axis=1)
    write_samples(folder / "labelled.npz", x=samples, y=np.array([classes[0], classes[1], classes[2] ^ 1]))
    result = shell("verify", "net.onnx", "--data", "labelled.npz", "--accuracy", "--json").json()
    assert result["samples"] == 1
    assert result["accuracy"]["samples"] == 3
    assert result["accuracy"]["float"] == pytest.approx(2 / 3)
    assert "top-1" in shell("verify", "net.onnx", "--data", "labelled.npz", "--accuracy").out


def test_chips_are_compared_by_every_schedule_each_as_it_is_alone(folder: Path, shell: Shell) -> None:
    words = ("net.onnx", "--schedule", "overlap,naive")
    content = shell("compare", *words, "--chip", "aras,isaac", "--json").json()
    assert [(r["chip"]["name"], r["schedule"]) for r in content["reports"]] == [
        (chip, schedule) for chip in ("aras", "isaac") for schedule in ("overlap", "naive")
    ]
    alone = [shell("compare", *words, "--chip", chip, "--json").json()["reports"] for chip in ("aras", "isaac")]
    assert content["reports"] == alone[0] + alone[1]
    shown = shell("compare", *words, "--chip", "aras,isaac").out
    assert "isaac naive" in shown and "area" in shown and "isaac: " in shown
    for given, said in (("aras,aras", "names aras twice"), ("aras,", "chip"), ("aras,isac", "isaac")):
        told = shell("compare", *words, "--chip", given)
        assert told.code == 2 and said in told.err


def test_compare_reports_each_schedule_in_order(folder: Path, shell: Shell) -> None:
    content = shell("compare", "net.onnx", "--schedule", "overlap, naive", "--json").json()
    assert [each["schedule"] for each in content["reports"]] == ["overlap", "naive"]
    single = shell("run", "net.onnx", "--schedule", "naive", "--json").json()
    assert content["reports"][1] == single
    shown = shell("compare", "net.onnx").out
    assert "naive" in shown and "overlap" in shown and "speed-up" in shown


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_decoder_is_run_from_its_configuration_alone(suffix: str, folder: Path, shell: Shell) -> None:
    content = DECODER | {"layers": 2, "epsilon": 1e-6, "tied": True}
    path = folder / f"mine{suffix}"
    path.write_text(json.dumps(content) if suffix == ".json" else yaml.safe_dump(content))
    report = shell("run", path.name, "--sequence", "5", "--json").json()
    network = mho.zoo.decoder.decoder(read_configuration(path))
    assert report["model"]["name"] == "mine"
    assert report["model"]["weights"] == network.weights
    assert report["model"]["weights_origin"].startswith("none")
    longer = shell("run", path.name, "--sequence", "10", "--json").json()
    assert longer["model"]["macs"] > report["model"]["macs"]


def test_a_decoder_of_a_configuration_is_verified(folder: Path, shell: Shell) -> None:
    result = shell("verify", "decoder.yaml", "--batch", "2", "--samples", "4", "--json").json()
    assert result["bit_exact"] and result["legal"] and result["samples"] == 4
    assert result["data"].endswith("4 synthetic samples (seed 1)")


def test_yaml_may_write_a_small_number_without_a_point(folder: Path) -> None:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(DECODER) + "epsilon: 1e-6\n")
    assert read_configuration(path).epsilon == 1e-6


def test_a_free_axis_is_fixed_by_shape(folder: Path, shell: Shell) -> None:
    write_onnx(folder / "free.onnx", free=True)
    small = shell("run", "free.onnx", "--shape", "image=1,3,6,6", "--json").json()
    large = shell("run", "free.onnx", "--shape", "image=1,3,10,10", "--json").json()
    assert large["model"]["macs"] == 4 * small["model"]["macs"]


def test_batch_changes_that_of_a_file_and_key_names_the_array(folder: Path, shell: Shell) -> None:
    one, three = (shell("run", "net.onnx", "--batch", count, "--json").json() for count in ("1", "3"))
    assert three["model"]["macs"] == 3 * one["model"]["macs"]
    held = dict(np.load("samples.npz"))
    np.savez("several.npz", **held, other=held["x"])
    asked = ("verify", "net.onnx", "--data", "several.npz")
    assert "--key" in shell(*asked).err and shell(*asked).code == 2
    assert shell(*asked, "--key", "other").code == shell(*asked, "--key", "image=x").code == 0


def test_per_channel_is_told_in_the_report(folder: Path, shell: Shell) -> None:
    plain = shell("run", "net.onnx", "--save", "plain.mho")
    fine = shell("run", "net.onnx", "--per-channel", "--save", "fine.mho")
    assert plain.code == fine.code == 0
    kept = [mho.Program.load(f"{name}.mho").quantised for name in ("plain", "fine")]
    assert [each is not None and each.per_channel for each in kept] == [False, True]


def test_the_same_request_gives_the_same_bytes(folder: Path, shell: Shell) -> None:
    words = ("verify", "decoder.yaml", "--seed", "7", "--json")
    assert shell(*words).out == shell(*words).out
    assert shell("run", "decoder.yaml", "--verify", "--save", "a.mho").code == 0
    assert shell("run", "decoder.yaml", "--verify", "--save", "b.mho").code == 0
    assert (folder / "a.mho").read_bytes() == (folder / "b.mho").read_bytes()
