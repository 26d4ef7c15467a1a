"""Aligned weights on real networks: exact, cheaper, and as the page of measurements says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mho
from benchmarks import reuse, reuse_tables
from benchmarks.accuracy import CASES
from benchmarks.accuracy import RESULTS as ACCURACY
from benchmarks.files import measured_part, read_json
from mho.network.samples import load_samples
from mho.schedule.centre import overwriting
from mho.studies.stages import FILE as STAGES
from tests.command_line import Shell
from tests.strategies import GREEDY
from tests.test_real import CIFAR, IMAGENET, KEYWORDS, read, small_chip

RESULTS: dict[str, Any] = read_json(reuse.RESULTS)
RECORDS = {each["file"]: each for each in RESULTS.get("networks", [])}


@pytest.mark.parametrize(
    ("file", "samples", "per_channel"),
    [
        ("cifar10/resnet20.onnx", CIFAR, False),
        ("cifar10/resnet20.onnx", CIFAR, True),
        ("cifar10/resnet8_int8_qdq.onnx", CIFAR, False),
        ("imagenet/squeezenet1.1.onnx", IMAGENET, False),
        ("kws/kwt1_core.onnx", KEYWORDS, False),
        ("kws/dscnn_int8_qdq.onnx", ("kws/dscnn_mfcc_a500.npz",) * 2, False),
    ],
)
@pytest.mark.parametrize(
    "options", [{"alignment": 168}, {"alignment": 88, "low_cell": "lower", "placement": "pulses"}], ids=str
)
def test_aligned_files_are_bit_exact_against_the_reference_of_their_clipped_weights(
    data: Path, file: str, samples: tuple[str, str], per_channel: bool, options: dict[str, Any]
) -> None:
    network, quantised = read(data / file, data / samples[1], per_channel=per_channel)
    chip = small_chip(1 if "dscnn" in file or "resnet8" in file else 2)
    program = mho.compile(quantised, chip, GREEDY.with_(options, schedule="overlap"))
    assert program.setup == 0
    assert program.quantised is not None and program.quantised.alignment is not None
    assert program.quantised.alignment.clipped_weights > 0, "nothing clips: another centre would test more"
    result = mho.verify(program, load_samples(data / samples[0], network).first(1).inputs)
    assert result.ok, str(result)


def test_the_page_shows_exactly_what_was_measured() -> None:
    assert measured_part(reuse.PAGE.read_text(encoding="utf-8"), str(reuse.PAGE)) == reuse_tables.tables(RESULTS)


def test_every_network_was_measured_on_a_chip_that_it_exceeds_several_times() -> None:
    assert list(RECORDS) == [*(case.file for case in CASES), STAGES]
    for each in RECORDS.values():
        assert 2.7 <= each["blocks"] / each["groups"] <= 15


@pytest.mark.parametrize("file", RECORDS)
def test_goals_follow_from_what_was_measured(file: str) -> None:
    """Judged here again from the counts, so that neither a goal nor a verdict can be softened in the file."""
    each, before = RECORDS[file], RECORDS[file]["original"]
    accuracy = {other["file"]: other["right"]["tensor"] for other in read_json(ACCURACY)["networks"]}
    assert before["right"] == accuracy.get(file)
    assert each["screened"] is None or f"({each['screened']} samples" in each["aligned"]["by"]
    meets = []
    for kind in ("original", *reuse_tables.measured(each)):
        found = each[kind]
        lost = (
            0.0
            if kind == "original" or each["samples"] is None
            else (before["right"] - found["right"]) / each["samples"]
        )
        saved = 1 - found["placed"]["pulses"] / before["pulses"]
        assert found["placed"]["saved"] == pytest.approx(saved)
        assert found["placed"]["met"] == (saved >= 0.17 and lost < 0.005)
        assert found["placed"]["pulses"] <= found["pulses"]
        meets.append(found["placed"]["met"])
        if kind != "original":
            saved = 1 - found["pulses"] / before["pulses"]
            assert found["saved"] == pytest.approx(saved)
            assert sum(found["cells"]) / sum(before["cells"]) == pytest.approx(1 - saved)
            assert found["met"] == (saved >= 0.17 and lost < 0.005)
            meets.append(found["met"])
    assert sum(meets) == len(reuse_tables.met(each))
    assert any(meets) or file in reuse_tables.EXPLANATIONS
    assert (reuse_tables.CLOSEST in each) <= (file in reuse.SPARE)


def test_pulses_are_still_what_they_were_when_measured(data: Path) -> None:
    """The smallest network, measured again; placed as a user would place it."""
    case = next(case for case in CASES if case.name == "dscnn_int8_qdq")
    subject = reuse.Subject(case, data)
    record = RECORDS[case.file]
    assert overwriting(subject.program) == (record["original"]["pulses"], record["original"]["skip_ratio"])
    for kind, low_cell in reuse_tables.KINDS.items():
        found = reuse.chosen(subject, low_cell)
        assert {key: record[kind][key] for key in found} == found
        assert record[kind]["centre"] is None
        placed = mho.compile(
            subject.quantised,
            subject.program.chip,
            GREEDY.with_(schedule=reuse.SCHEDULE, low_cell=low_cell, placement="pulses"),
        )
        assert overwriting(placed) == (record[kind]["placed"]["pulses"], record[kind]["placed"]["skip_ratio"])


def test_verify_chooses_the_centre_by_the_accuracy_on_labelled_data(data: Path, shell: Shell) -> None:
    file, samples = str(data / "kws/dscnn_int8_qdq.onnx"), str(data / "kws/dscnn_mfcc_a500.npz")
    common = ("--set", "tiles=1", "--alignment", "auto", "--low-cell", "lower", "--json", "-")
    judged = shell("verify", file, "--data", samples, *common).json()
    assert judged["bit_exact"] and judged["legal"]
    assert judged["strategy"]["alignment"]["choice"] == "auto"
    assert any("by accuracy on" in note and "500 samples" in note for note in judged["notes"])
    unseen = shell("run", file, *common).json()
    assert any("by clipped weights" in note for note in unseen["notes"])
    assert unseen["writes"]["skip_ratio"] > 0


def test_aligning_shapes_is_refused_in_one_line(shell: Shell) -> None:
    for command in ("run", "compare", "verify"):
        for option in (("--alignment", "96"), ("--low-cell", "lower")):
            ended = shell(command, "resnet20", "--weights", "none", *option)
            assert ended.code == 2
            assert option[0] in ended.err and "needs weights" in ended.err
    assert "takes auto, none or a whole number from 0 to 255" in shell("run", "resnet20", "--alignment", "256").err


def test_known_models_get_seeded_weights_to_align(shell: Shell) -> None:
    common = ("resnet20", "--set", "tiles=2", "--json", "-", "--schedule", "overlap")
    plain, shifted = (
        shell("compare", *common, *more).json()["reports"][0]
        for more in (("--weights", "seeded"), ("--alignment", "104", "--seed", "0"))
    )
    assert shifted["strategy"]["alignment"]["centre"] == 104
    assert "seeded 0 (synthetic)" in shifted["model"]["weights_origin"]
    assert shifted["writes"]["pulses"] < plain["writes"]["pulses"]
