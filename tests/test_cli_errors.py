"""A user's mistake gives one clear line, exit code 2, and no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

import mho
from mho.mapping.mapper import PACKINGS
from mho.network.zoo.configuration import read_configuration
from mho.network.zoo.decoder import tensors
from mho.strategy import registered
from tests.command_line import DECODER, Shell, contents, write_onnx, write_samples


def chip(path: Path, **changes: Any) -> None:
    """Write a chip that is preset aras with some quantities changed; double underscores stand for dots."""
    content: dict[str, Any] = {"extends": "aras", "name": path.stem, "sources": {"test": "assumption: a test"}}
    for key, value in changes.items():
        *folders, last = key.split("__")
        place = content
        for name in folders:
            place = place.setdefault(name, {})
        place[last] = value
    path.write_text(yaml.safe_dump(content))


def amount(value: Any, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "source": "test"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are wrong, each in its own way, and of some that are right."""
    folder = tmp_path_factory.mktemp("bench")
    write_onnx(folder / "good.onnx")
    write_onnx(folder / "free.onnx", free=True)
    write_onnx(folder / "operator.onnx", operator="Det")
    write_onnx(folder / "nan.onnx", value=float("nan"))
    whole = (folder / "good.onnx").read_bytes()
    (folder / "short.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "folder.onnx").mkdir()
    (folder / "plain").mkdir()
    (folder / "file").write_text("a file\n")

    chip(folder / "good.yaml")
    chip(folder / "misspelt.yaml", array__colums=amount(128, "columns"))
    chip(folder / "negative.yaml", array__rows=amount(-128, "rows"))
    chip(folder / "no-adc.yaml", array__adcs=amount(0, "ADCs"))
    chip(folder / "no-bits.yaml", array__cell_bits=amount(0, "bits"))
    chip(folder / "narrow.yaml", array__columns=amount(3, "columns"), array__adcs=amount(1, "ADCs"))
    (folder / "twice.yaml").write_text((folder / "good.yaml").read_text() + "name: again\n")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "broken.yaml").write_text("name: [1, 2\n")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    chip(folder / "parent.yaml", extends="arsa")

    (folder / "decoder.json").write_text(json.dumps(DECODER))
    (folder / "decoder-misspelt.yaml").write_text(yaml.safe_dump(DECODER | {"hiden": 16}))
    (folder / "decoder-missing.yaml").write_text(yaml.safe_dump({k: v for k, v in DECODER.items() if k != "heads"}))
    (folder / "decoder-zero.yaml").write_text(yaml.safe_dump(DECODER | {"layers": 0}))
    (folder / "decoder-word.yaml").write_text(yaml.safe_dump(DECODER | {"layers": "two"}))
    (folder / "decoder-heads.json").write_text(json.dumps(DECODER | {"heads": 3}))
    (folder / "decoder-epsilon.json").write_text(json.dumps(DECODER | {"epsilon": True}))
    (folder / "decoder-huge.json").write_text(
        json.dumps(DECODER | {"vocabulary": 2**20, "hidden": 2**16, "layers": 512})
    )
    (folder / "decoder-twice.json").write_text(json.dumps(DECODER)[:-1] + ', "layers": 2}')
    (folder / "decoder-twice.yaml").write_text(yaml.safe_dump(DECODER) + "layers: 2\n")
    (folder / "decoder-broken.json").write_text('{"layers": 1,')
    (folder / "decoder-list.json").write_text("[1]")

    shapes = tensors(read_configuration(folder / "decoder.json"))
    generator = np.random.default_rng(0)
    weights = {key: generator.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}
    head = "lm_head.weight"
    save_file(weights, folder / "good.safetensors")
    save_file(weights | {head: weights[head][:-1]}, folder / "shape.safetensors")
    save_file(weights | {"other.weight": weights[head]}, folder / "extra.safetensors")
    save_file({key: value for key, value in weights.items() if key != head}, folder / "missing.safetensors")
    spoiled = weights[head].copy()
    spoiled[3, 5] = np.nan
    save_file(weights | {head: spoiled}, folder / "nan.safetensors")
    save_file(weights | {head: weights[head].astype(np.int32)}, folder / "integers.safetensors")
    save_torch({key: torch.from_numpy(value).bool() for key, value in weights.items()}, folder / "bool.safetensors")
    whole = (folder / "good.safetensors").read_bytes()
    (folder / "short.safetensors").write_bytes(whole[: len(whole) // 2])

    write_samples(folder / "good.npz")
    write_samples(folder / "unlabelled.npz", y=None)
    write_samples(folder / "labels.npz", y=np.array([0, 1]))
    write_samples(folder / "classes.npz", y=np.array([0, 1, 5000]))
    write_samples(folder / "shape.npz", x=np.zeros((3, 3, 5, 5)))
    write_samples(folder / "nan.npz", x=np.full((3, 3, 6, 6), np.nan))
    write_samples(folder / "none.npz", count=0)
    write_samples(folder / "objects.npz", x=np.array([{}, {}, {}]))
    np.savez(folder / "tokens.npz", input_ids=np.full((2, 4), 40))
    np.savez(folder / "reals.npz", input_ids=np.zeros((2, 4)))
    np.save(folder / "single.npy", np.zeros(3))
    (folder / "single.npy").rename(folder / "single.npz")
    whole = (folder / "good.npz").read_bytes()
    (folder / "short.npz").write_bytes(whole[: len(whole) // 2])

    network = mho.Network.from_onnx(folder / "good.onnx")
    mho.compile(network, "aras").save(str(folder / "uncalibrated.mho"))
    samples = np.load(folder / "good.npz")["x"]
    mho.compile(mho.number.quantise(network, (samples,)), "aras").save(str(folder / "good.mho"))
    whole = (folder / "good.mho").read_bytes()
    (folder / "short.mho").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mho").write_text("no program\n")
    with zipfile.ZipFile(folder / "other.mho", "w") as archive:
        archive.writestr("program.json", json.dumps({"format": "mho.program/99"}))
    with zipfile.ZipFile(folder / "list.mho", "w") as archive:
        archive.writestr("program.json", "[]")
    return folder


RUN = "run good.onnx "
VERIFY = "verify good.onnx "
DECODE = "run decoder.json --weights "

MISTAKES = {
    # The command line itself.
    "frobnicate": ("frobnicate",),
    "runn resnet20": ("runn", "run"),
    "run": ("MODEL",),
    "run resnet20 --chp aras": ("--chp", "--chip"),
    "run resnet20 --chip": ("--chip",),
    "run resnet20 --batch 0": ("--batch", "0"),
    "run resnet20 --batch two": ("--batch", "two"),
    "run resnet20 resnet32": ("resnet32",),
    "--frobnicate": ("--frobnicate",),
    # Models.
    "run resnet2": ("resnet2", "resnet20"),
    "compare resnet2": ("resnet2", "resnet20"),
    "verify resnet2": ("resnet2", "resnet20"),
    "run plain": ("plain", "folder"),
    "run folder.onnx": ("folder.onnx", "folder"),
    "run absent.onnx": ("absent.onnx", "no such file"),
    "run absent/model": ("absent/model", "no such file"),
    "run absent.yaml": ("absent.yaml", "no such file"),
    "run file": ("file", ".onnx"),
    "run good.mho": ("good.mho", "mho verify"),
    "run short.onnx": ("short.onnx",),
    "run empty.onnx": ("empty.onnx",),
    "run operator.onnx": ("operator.onnx", "last", "Det"),
    "run nan.onnx": ("nan.onnx", "weight", "NaN"),
    "run free.onnx": ("free.onnx", "image", "--shape"),
    "run free.onnx --shape image=1,3,6": ("free.onnx", "image"),
    "run free.onnx --shape imag=1,3,6,6": ("imag", "image"),
    "run free.onnx --shape image=1,3,six,6": ("--shape", "six"),
    "run free.onnx --shape 1,3,6,6": ("--shape", "1,3,6,6"),
    "run resnet20 --shape image=1,3,6,6": ("--shape", "resnet20"),
    RUN + "--weights good.safetensors": ("--weights", "good.onnx"),
    RUN + "--input-size 6": ("--input-size", "good.onnx"),
    RUN + "--sequence 6": ("--sequence", "good.onnx"),
    "run resnet20 --sequence 6": ("resnet20", "sequence"),
    "run gpt2 --input-size 6": ("gpt2", "input_size"),
    "run decoder.json --input-size 6": ("--input-size",),
    # A decoder's configuration.
    "run decoder-misspelt.yaml": ("decoder-misspelt.yaml", "hiden", "hidden"),
    "run decoder-missing.yaml": ("decoder-missing.yaml", "heads", "missing"),
    "run decoder-zero.yaml": ("decoder-zero.yaml", "layers", "0"),
    "run decoder-word.yaml": ("decoder-word.yaml", "layers", "two"),
    "run decoder-heads.json": ("decoder-heads.json", "heads"),
    "run decoder-epsilon.json": ("decoder-epsilon.json", "epsilon"),
    "run decoder-twice.json": ("decoder-twice.json", "layers", "twice"),
    "run decoder-twice.yaml": ("decoder-twice.yaml", "layers", "twice"),
    "run decoder-broken.json": ("decoder-broken.json", "JSON"),
    "run decoder-list.json": ("decoder-list.json", "mapping"),
    "run broken.yaml": ("broken.yaml", "YAML"),
    "run binary.yaml": ("binary.yaml", "UTF-8"),
    # Weights.
    DECODE + "shape.safetensors": ("shape.safetensors", "lm_head.weight", "(39, 16)", "(40, 16)"),
    DECODE + "extra.safetensors": ("extra.safetensors", "other.weight"),
    DECODE + "missing.safetensors": ("missing.safetensors", "lm_head.weight", "missing"),
    DECODE + "nan.safetensors": ("nan.safetensors", "lm_head.weight", "NaN"),
    DECODE + "short.safetensors": ("short.safetensors",),
    DECODE + "integers.safetensors": ("integers.safetensors", "lm_head.weight", "int32"),
    DECODE + "bool.safetensors": ("bool.safetensors", "bool"),
    DECODE + "absent.safetensors": ("absent.safetensors", "no such file"),
    DECODE + "plain/": ("plain", "folder"),
    DECODE + "seded": ("--weights", "seeded"),
    "run resnet20 --weights good.safetensors": ("good.safetensors", "missing"),
    "verify decoder-huge.json": ("decoder-huge", "GB"),
    "verify decoder.json --weights none": ("--weights none",),
    "run resnet20 --weights none --verify": ("--weights none",),
    "run resnet20 --weights none --per-channel": ("--weights none",),
    # Chips.
    RUN + "--chip arsa": ("arsa", "aras"),
    "show arsa": ("arsa", "aras"),
    "show absent.yaml": ("absent.yaml", "no such"),
    "show misspelt.yaml": ("misspelt.yaml", "array.colums", "columns"),
    "show negative.yaml": ("negative.yaml", "array.rows", "-128"),
    "show no-adc.yaml": ("no-adc.yaml", "array.adcs", "0"),
    "show no-bits.yaml": ("no-bits.yaml", "array.cell_bits", "0"),
    "show twice.yaml": ("twice.yaml", "name", "twice"),
    "show list.yaml": ("list.yaml", "mapping"),
    "show broken.yaml": ("broken.yaml", "YAML"),
    "show binary.yaml": ("binary.yaml", "UTF-8"),
    "show parent.yaml": ("parent.yaml", "extends", "arsa", "aras"),
    RUN + "--chip narrow.yaml": ("narrow.yaml", "array.columns", "3 columns", "8-bit"),
    RUN + "--chip plain": ("plain",),
    RUN + "--set tlies=48": ("--set", "tlies", "tiles"),
    RUN + "--set tiles": ("--set", "tiles"),
    RUN + "--set =3": ("--set", "=3"),
    RUN + "--set tiles=": ("--set", "tiles"),
    RUN + "--set tiles=0": ("--set", "tiles", "0"),
    RUN + "--set tiles=many": ("--set", "tiles", "many"),
    RUN + "--set tiles=NaN": ("--set", "tiles", "nan"),
    RUN + "--set tiles=true": ("--set", "tiles", "true"),
    RUN + "--set tiles=[1]": ("--set", "tiles", "list"),
    RUN + '--set tiles={"a":1}': ("--set", "tiles"),
    RUN + "--set tiles=1.5": ("--set", "tiles", "1.5"),
    RUN + "--set array.columns=3 --set array.adcs=1": ("--set", "array.columns", "8-bit"),
    RUN + "--set tiles=2 --set tiles=3": ("--set", "tiles", "twice"),
    RUN + "--set components.adc=frob": ("--set", "components.adc", "frob"),
    RUN + "--set buffer.banks=[]": ("--set", "buffer.banks"),
    RUN + "--set write_latency=frob": ("--set", "write_latency", "frob"),
    # Strategies.
    RUN + "--schedule overlp": ("--schedule", "overlp", "overlap"),
    RUN + "--mapping dens": ("--mapping", "dens", "dense"),
    RUN + "--packing seperate": ("--packing", "seperate", "separate"),
    RUN + "--residency nevr": ("--residency", "nevr", "never"),
    "compare good.onnx --schedule naive,overlp": ("--schedule", "overlp", "overlap"),
    "compare good.onnx --schedule naive,": ("--schedule", "known"),
    VERIFY + "--schedule overlp": ("--schedule", "overlp", "overlap"),
    # Samples.
    VERIFY + "--data absent.npz": ("--data", "absent.npz", "no such file"),
    VERIFY + "--data plain": ("--data", "plain", "folder"),
    VERIFY + "--calibration absent.npz": ("--calibration", "absent.npz", "no such file"),
    VERIFY + "--data shape.npz": ("shape.npz", "image", "(3, 3, 5, 5)"),
    VERIFY + "--data nan.npz": ("nan.npz", "x", "NaN"),
    VERIFY + "--data none.npz": ("none.npz", "no samples"),
    VERIFY + "--data labels.npz": ("labels.npz", "labels"),
    VERIFY + "--data objects.npz": ("objects.npz",),
    VERIFY + "--data short.npz": ("short.npz",),
    VERIFY + "--data single.npz": ("single.npz", ".npz"),
    VERIFY + "--data file": ("file", ".npz"),
    VERIFY + "--data good.npz --key z": ("good.npz", "'z'", "x"),
    VERIFY + "--key x": ("--key", "--data"),
    VERIFY + "--data good.npz --samples 4": ("good.npz", "3", "4"),
    VERIFY + "--data good.npz --samples 0": ("--samples", "0"),
    VERIFY + "--accuracy": ("--accuracy", "--data"),
    VERIFY + "--data unlabelled.npz --accuracy": ("--accuracy", "unlabelled.npz", "labels"),
    VERIFY + "--data classes.npz --accuracy": ("classes.npz", "labels", "5000"),
    "verify decoder.json --data tokens.npz": ("tokens.npz", "40", "0 to 39"),
    "verify decoder.json --data reals.npz": ("reals.npz", "integers"),
    "verify resnet20 --batch 2 --samples 3": ("--samples", "3", "2"),
    RUN + "--data good.npz": ("--data", "--verify"),
    RUN + "--calibration good.npz": ("--calibration", "--verify"),
    # Programs.
    "list short.mho": ("short.mho",),
    "list text.mho": ("text.mho",),
    "list other.mho": ("other.mho", "mho.program/99"),
    "list list.mho": ("list.mho",),
    "list absent.mho": ("absent.mho", "no such file"),
    "list plain": ("plain",),
    "verify short.mho": ("short.mho",),
    "verify absent.mho": ("absent.mho",),
    "verify uncalibrated.mho": ("uncalibrated.mho", "--verify"),
    "verify good.mho --chip isaac": ("--chip", "good.mho"),
    "verify good.mho --set tiles=3": ("--set", "good.mho"),
    "verify good.mho --per-channel": ("--per-channel", "good.mho"),
    "verify good.mho --data good.npz --accuracy": ("--accuracy", "good.mho", "codes"),
    # Outputs; the data folder of the kernel refuses even the superuser.
    RUN + "--out file": ("file", "folder"),
    RUN + "--out file/below": ("file/below",),
    RUN + "--out /proc/mho": ("/proc/mho",),
    RUN + "--save program": ("--save", ".mho"),
    RUN + "--save absent/p.mho": ("--save", "absent"),
    RUN + "--save file/p.mho": ("--save", "file"),
    RUN + "--save /proc/p.mho": ("/proc",),
    RUN + "--json plain": ("--json", "plain", "folder"),
    RUN + "--json absent/r.json": ("--json", "absent"),
    RUN + "--json /proc/r.json": ("/proc",),
    "compare good.onnx --json plain": ("--json", "plain", "folder"),
    VERIFY + "--json plain": ("--json", "plain", "folder"),
    "models --json plain": ("--json", "plain", "folder"),
    "chips --json plain": ("--json", "plain", "folder"),
    "show aras --json plain": ("--json", "plain", "folder"),
    "list good.mho --json plain": ("--json", "plain", "folder"),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gives_one_clear_line_and_no_file(
    words: str, bench: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench)
    before = contents(bench)
    ended = shell(*words.split())
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("mho: ") and ended.err.endswith("\n")
    assert ended.err.count("\n") == 1
    for each in MISTAKES[words]:
        assert each.lower() in ended.err.lower()
    assert contents(bench) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write into a read-only folder")
@pytest.mark.parametrize("option", ["--out read-only", "--out read-only/new", "--save read-only/p.mho"])
def test_a_read_only_folder_is_refused_before_the_long_work(
    option: str, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "read-only").mkdir(mode=0o555)
    monkeypatch.chdir(tmp_path)
    # The model does not exist either: the folder is looked at first.
    ended = shell("run", "absent.onnx", *option.split())
    assert ended.code == 2 and "read-only" in ended.err


def test_an_unknown_chip_key_names_the_nearest_and_not_all(shell: Shell) -> None:
    text = shell("show", "aras", "--set", "array.colums=4").err
    assert "array.columns" in text and len(text) < 200


@pytest.mark.parametrize("option", ["schedule", "mapping", "packing", "residency", "banks", "placement"])
def test_what_a_strategy_option_refuses_names_all_that_it_accepts(option: str, shell: Shell) -> None:
    known = PACKINGS if option == "packing" else registered(option)
    text = shell("run", "resnet20", f"--{option}", "x").err
    assert all(name in text for name in known)


def test_half_precision_weights_are_read(bench: Path, tmp_path: Path, shell: Shell) -> None:
    exact = {key: np.round(value * 8) / 8 for key, value in load_file(bench / "good.safetensors").items()}
    found = []
    for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        path = tmp_path / "weights.safetensors"
        save_torch({key: torch.from_numpy(value.clip(-1, 1)).to(kind) for key, value in exact.items()}, path)
        ended = shell("run", str(bench / "decoder.json"), "--weights", str(path), "--json", "-")
        assert ended.code == 0, ended.err
        found.append(ended.json()["writes"] | ended.json()["energy_j"])
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("words", ["run short.onnx", "show aras --frobnicate", "show misspelt.yaml"])
def test_a_real_process_ends_the_same_way(words: str, bench: Path) -> None:
    before = contents(bench)
    ended = subprocess.run(
        [sys.executable, "-m", "mho", *words.split()], cwd=bench, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "Traceback" not in ended.stderr
    assert contents(bench) == before


HANGS = 600
"""Seconds after which a process is taken to hang, on a machine however busy."""


def test_interrupting_ends_with_130_and_leaves_nothing(bench: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, time, mho\n"
        "from mho.cli import main\n"
        # A test run in the background of a shell inherits that interrupts are ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def compile(*given, **options):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(900)\n"
        "mho.compile = compile\n"
        "sys.argv = ['mho', *sys.argv[1:]]\n"
        "main()\n"
    )
    words = ["run", str(bench / "good.onnx"), "--out", "report", "--save", "p.mho", "--json", "r.json"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "mho: interrupted\n")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("words", ["--out report", "--json r.json", "--save p.mho"])
def test_interrupting_a_write_leaves_no_half_written_file(
    words: str, bench: Path, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path if words != "--save p.mho" else os, "replace", interrupt)
    ended = shell("run", str(bench / "good.onnx"), *words.split())
    assert (ended.code, ended.err) == (130, "mho: interrupted\n")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("words", ["show aras --json", "list good.mho", "--help"])
def test_a_reader_that_goes_away_is_told_by_the_code_alone(words: str, bench: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mho", *words.split()], cwd=bench, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=HANGS) == 141
    assert told == b""


@pytest.mark.parametrize(
    "words",
    [
        ("run", "resnet20", "--schedule", "overlap", "--seed", "5"),
        ("run", "resnet20", "--schedule", "aras", "--weights", "none", "--seed", "0"),
        ("run", "resnet20", "--effort", "0", "--seed", "5"),
        ("compare", "resnet20", "--schedule", "naive,overlap", "--seed", "5"),
    ],
)
def test_a_seed_that_changes_nothing_is_refused(words: tuple[str, ...], shell: Shell) -> None:
    ended = shell(*words)
    assert ended.code == 2 and "--seed changes nothing" in ended.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("run", "resnet20", "--schedule", "overlap", "--objective", "energy"),
            "--objective energy: is for schedule 'adaptive', not",
        ),
        (
            ("compare", "resnet20", "--schedule", "naive,aras", "--effort", "2"),
            "--effort 2: is for schedule 'adaptive', not 'naive'",
        ),
        (
            ("verify", "resnet20", "--schedule", "aras", "--time-limit", "2"),
            "--time-limit 2: is for schedule 'adaptive', not",
        ),
        (("compare", "resnet20", "--schedule", "aras,naive,aras"), "--schedule names aras twice"),
        (("run", "resnet20", "--set", "memory.bandwidth=null"), "--set memory.bandwidth: takes a number"),
        (("run", "resnet20", "--objective", "power"), "--objective power: known: edp, energy, time"),
        (("run", "resnet20", "--effort", "-1"), "takes a number from 0 to 10000"),
        (("run", "resnet20", "--time-limit", "0"), "takes a number from 1e-12 to 1e+18 seconds"),
        (("run", "resnet20", "--effort", "0", "--time-limit", "2"), "changes nothing with effort 0"),
    ],
)
def test_what_changes_nothing_or_makes_no_sense_is_refused(
    words: tuple[str, ...], complaint: str, shell: Shell
) -> None:
    ended = shell(*words)
    assert ended.code == 2 and complaint in " ".join(ended.err.split())
