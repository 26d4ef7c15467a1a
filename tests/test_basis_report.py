"""What a person sees of a basis: a record that adds up with the program, words for it, and one clear line for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.errors import ProgramError
from mho.machine.record import basis_record
from mho.mapping.told import bits_said, integers_said
from mho.network.samples import synthetic
from mho.number.basis import segments
from mho.program.columns import FETCH, columns
from tests.command_line import Shell, write_onnx, write_samples
from tests.test_basis import coded_networks, compiled, small
from tests.test_report_data import checked

BASIS = "--chip basisn --strategy basisn"
DIGITS = Path(mho.__file__).parent / "samples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_onnx(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@settings(max_examples=25, deadline=None)
@given(coded_networks(mixed=True), st.integers(0, 12), st.integers(200, 4000))
def test_a_record_counts_what_the_program_does(
    quantised: mho.number.QuantisedNetwork, tiles: int, bandwidth: int
) -> None:
    chip = small(tiles=60 + tiles, **{"memory.bandwidth": bandwidth * 1e6})
    program = compiled(quantised, chip)
    report = mho.simulate(program)
    content = checked(report.to_dict())
    assert mho.Report.from_dict(content).to_dict() == content
    record, coding = content["basis"], quantised.basis
    assert coding is not None and record == json.loads(json.dumps(basis_record(program)))
    on_basis = [layer for layer in quantised.network.matrix_layers if layer.name in coding.coefficients]
    assert (record["layers"], record["own"]) == (len(on_basis), len(quantised.network.matrix_layers) - len(on_basis))
    counts = [coding.nonzeros_of(layer) for layer in on_basis]
    assert record["coefficients"] == sum(int(each.sum()) for each in counts)
    asked = sum(layer.groups * len(segments(layer.rows, coding.height)) * layer.columns for layer in on_basis)
    assert record["mean"] * asked == pytest.approx(record["coefficients"]) and record["mean"] <= record["most"]
    table = columns(program)
    assert record["kept_bytes"] + record["fetched_bytes"] == int(table.size[table.of(FETCH)].sum())
    assert not (record["kept_bytes"] and record["fetched_bytes"])
    windows = sum(layer.windows * layer.groups * len(segments(layer.rows, coding.height)) for layer in on_basis)
    assert record["input_vectors"] == windows
    assert record["instances"] * record["groups"] <= chip.groups
    # No part of the chip works for longer than an inference lasts.
    assert max(record["alone_s"].values()) <= content["latency_s"] * (1 + 1e-9)
    slowest = record["alone_s"][record["binds"]]
    assert slowest >= max(record["alone_s"][name] for name in ("arrays", "lanes")) or record["binds"] == "stream"
    for layer in content["layers"]:
        assert (layer["weight_bits"] is None) == (layer["name"] in coding.coefficients or layer["k"] is None)


def test_a_report_without_a_basis_has_no_word_of_it() -> None:
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "basisn", "overlap"))
    assert "basis" not in report.to_dict() and report.field("basis") is None
    assert not any(note.startswith("basis") for note in report.notes())
    assert "basis" not in dict(report.facts())


def test_reports_name_the_basis_and_no_bits_of_its_cells(folder: Path, shell: Shell) -> None:
    words = f"run net.onnx --data samples.npz --verify {BASIS} --vectors 16 --nonzeros 8"
    ended = shell(*words.split(), "--out", "out", "--save", "p.mho")
    assert ended.code == 0, ended.err
    text = " ".join(ended.out.split())
    assert "16 vectors" in text and "coefficients a segment on average" in text and "bound by" in text
    assert "weights of 2 bits" not in text and "shared weights" not in text
    assert "the basis is written once" in text and "no time" in text
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "coefficients a segment on average" in page
    content = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    assert content["model"]["bits"] is None and content["basis"]["vectors"] == 16
    assert integers_said(content["notes"]) == integers_said(f"at 1 of 2 points: {note}" for note in content["notes"])
    assert integers_said(content["notes"]) == "integers"
    listed = shell("list", "p.mho").out
    assert "write     (basis)" in listed and "fetch" in listed
    assert shell("verify", "p.mho").code == 0


def test_pruned_weights_are_said_to_be_in_no_array_that_is_driven() -> None:
    strategy = mho.Strategy.load("basisn").with_(basis="units", coefficients="powers")
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "basisn", strategy))
    record = checked(report.to_dict())["basis"]
    assert record["units"] and record["powers"] and record["alone_s"]["arrays"] == 0 and record["binds"] != "arrays"
    assert report.resolution.complete and "no layer sits on crossbars" in dict(report.facts())["converters"]
    assert "unit vectors, none in an array" in dict(report.facts())["basis"]
    assert sum("pruned" in note or "powers of two" in note for note in report.notes()) == 2


def test_bits_of_inputs_are_said_where_weights_have_none() -> None:
    spread = {"mean": 4.0, "least": 4, "most": 4}
    assert bits_said({"weights": None, "inputs": spread}) == "inputs of 4 bits"


def test_whole_weights_are_compared_with_a_basis(folder: Path, shell: Shell) -> None:
    words = "compare net.onnx --calibration samples.npz --effort 0 --set tiles=2 --vectors 16 --nonzeros 8"
    ended = shell(*words.split(), *BASIS.split(), "--json", "-")
    assert ended.code == 0, ended.err
    records = ended.json()["reports"]
    mappings = [record["strategy"]["mapping"]["choice"] for record in records]
    assert [record["schedule"] for record in records] == ["naive", "overlap", "aras", "adaptive", "basis"]
    assert mappings == ["dense"] * 4 + ["basis"]
    assert len({record["chip"]["digest"] for record in records}) == 1
    assert "mapping" in shell(*words.split(), *BASIS.split()).out


def test_a_file_whose_basis_is_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    network = mho.Network.from_onnx(DIGITS / "digits.onnx")
    fitted = mho.number.fit_basis(network, synthetic(network, 2, seed=0).inputs, 9, 3, height=8)
    path, first = tmp_path / "whole.mho", network.matrix_layers[0].name
    compiled(fitted, small(tiles=40)).save(path)
    with ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    damages: dict[str, Callable[[dict[str, Any]], object]] = {
        "check bits": lambda basis: basis.pop("bits"),
        "whole number": lambda basis: basis.update(levels="four"),
        "2 levels cannot hold level 3": lambda basis: basis.update(levels=2),
        "2 bits say -2 to 1": lambda basis: basis.update(bits=2),
        "of which 1 are allowed": lambda basis: basis.update(nonzeros=1),
        "no layer with weights": lambda basis: basis["coefficients"].update(other=basis["coefficients"].pop(first)),
        "unit vectors are": lambda basis: basis.update(units=True),
    }
    for said, damage in damages.items():
        content = json.loads(parts["program.json"])
        damage(content["quantised"]["basis"])
        with ZipFile(tmp_path / "damaged.mho", "w") as archive:
            for name, text in {**parts, "program.json": json.dumps(content).encode()}.items():
                archive.writestr(name, text)
        with pytest.raises(ProgramError, match=said) as refused:
            mho.Program.load(tmp_path / "damaged.mho")
        assert "\n" not in str(refused.value)


MISTAKES = {
    "run net.onnx --data samples.npz --verify --strategy basisn": ("--mapping basis", "aras has no lanes", "chip basisn"),
    "run net.onnx --data samples.npz --verify --chip basisn --mapping basis --schedule basis": (
        "--mapping basis", "no combinations", "coding basis",
    ),
    "run resnet20 --chip basisn --coding basis": ("--coding basis", "mapping 'dense' stores weights", "mapping basis"),
    f"run resnet20 {BASIS} --schedule naive": ("--schedule naive", "fetches no coefficients", "schedule basis"),
    f"compare resnet20 {BASIS} --schedule naive,basis": ("--schedule naive", "schedule basis"),
    f"run net.onnx {BASIS}": ("--coding basis", "calibration samples", "--calibration or --data"),
    f"run net.onnx {BASIS} --verify": ("--coding basis", "calibration samples", "--calibration or --data"),
    f"compare net.onnx {BASIS} --schedule basis": ("--coding basis", "calibration samples", "--calibration"),
    f"run resnet20 {BASIS} --set tiles=1 --vectors 4096": ("4096 vectors fill 8 groups", "has 6", "more groups"),
    f"run resnet20 {BASIS} --set basis.batch=64": ("batches of 64 windows", "basis.product_bytes", "36864", "basis.batch"),
    f"run resnet20 {BASIS} --set basis.buffer_bytes=100": ("'conv1'", "100", "basis.buffer_bytes", "larger buffer"),
    f"run resnet20 {BASIS} --coefficient-bits 5": ("5 bits", "lanes take 4", "basis.coefficient_bits"),
    f"run resnet20 {BASIS} --combine merged": ("merges columns", "switches", "basis.merging", "combine lanes"),
    f"run resnet20 {BASIS} --left-out fcc": ("--left-out fcc", "fcc"),
    f"run resnet20 {BASIS} --vectors 0": ("--vectors 0", "1 to 65536"),
    f"run resnet20 {BASIS} --nonzeros 0": ("--nonzeros 0", "1 to 65536"),
    f"run resnet20 {BASIS} --coefficient-bits 1": ("--coefficient-bits 1", "2 to 8"),
    f"run resnet20 {BASIS} --levels 17": ("--levels 17", "2 to 16"),
    f"run resnet20 {BASIS} --basis hadamard": ("--basis hadamard", "learned", "universal", "units"),
    f"run resnet20 {BASIS} --combine adc": ("--combine adc", "lanes", "merged"),
    f"run resnet20 {BASIS} --basis-seed -1": ("--basis-seed -1", "from 0"),
    f"run resnet20 {BASIS} --vectors many": ("--vectors many", "whole number"),
    f"run resnet20 {BASIS} --set basis.lanes=0": ("basis.lanes", "1 to 1,000,000"),
    f"run resnet20 {BASIS} --set basis.lane=4": ("basis.lane", "did you mean basis.lanes"),
    f"run resnet20 {BASIS} --set basis.merging=maybe": ("basis.merging", "switches"),
    f"sweep net.onnx --data samples.npz {BASIS} --over nonzeros=4,8 --out o": ("--over nonzeros", "strategy."),
    "show aras --set basis.lanes=4": ("basis.coefficient_bits", "missing", "needed: lanes"),
    f"run net.onnx --data samples.npz --verify {BASIS} --alignment 128": ("--alignment 128", "basis that they are"),
    f"run net.onnx --data samples.npz --verify {BASIS} --low-cell lower": ("--low-cell lower", "basis that they are"),
    f"run net.onnx --data samples.npz --verify {BASIS} --grid window:8:3": ("--mapping basis", "coding basis"),
    "run resnet20 --chip basisn --data samples.npz": ("--data", "--coding basis", "--verify"),
}  # fmt: skip


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_with_a_basis_gives_one_clear_line(words: str, folder: Path, shell: Shell) -> None:
    ended = shell(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("mho: ") and ended.err.count("\n") == 1
    for each in MISTAKES[words]:
        assert each.lower() in ended.err.lower()
    assert sorted(path.name for path in folder.iterdir()) == ["net.onnx", "samples.npz"]
