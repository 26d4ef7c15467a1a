"""mho train: what it prints, keeps and refuses; interrupted it goes on to the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mho.machine.recommender import open_recommender
from mho.network.clicks import Clicks
from mho.network.zoo.interaction.handmade import DeepFM
from mho.training.clicks import Training, judge
from tests.click_logs import synthetic_clicks, write_log
from tests.command_line import Shell, contents

CLICKS = synthetic_clicks(1200)
FAST = ("--dimension", "3", "--batch", "128", "--rate", "0.02")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a log of text."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    write_log(path, CLICKS)
    return str(path)


def train(shell: Shell, log: str, *words: str) -> dict[str, Any]:
    """Train, and return the result as JSON."""
    ended = shell("train", log, "--fold", "split", *words, "--json", "-")
    assert (ended.code, ended.err) == (0, "")
    result: dict[str, Any] = ended.json()
    return result


def test_it_tells_what_the_model_is_worth_and_keeps_it(shell: Shell, log: str, tmp_path: Path) -> None:
    kept, trace = tmp_path / "model.safetensors", tmp_path / "test.npz"
    words = ("--model", "deepfm", "--set", "hidden=8,4", "--bits", "deep.*=4/8,*=8", "--epochs", "2", *FAST)
    ended = shell("train", log, "--fold", "split", *words, "--save", str(kept), "--look-ups", str(trace))
    assert (ended.code, ended.err) == (0, "")
    for expected in (
        "deepfm trained on log.csv",
        "epochs",
        "bits 4/8, 8/8",
        "test, float",
        "test, integers",
        f"kept in {kept}",
    ):
        assert expected in ended.out
    clicks, recommender = Clicks.load(log, fold="split"), open_recommender(kept)
    assert recommender.part.model == DeepFM((8, 4)) and recommender.names == CLICKS.names
    told = judge(recommender, clicks, "test")
    assert f"test, integers log loss {told.log_loss:.4f}, AUC {told.auc:.4f}" in " ".join(ended.out.split())
    served = shell(
        "run",
        "deepfm",
        "--trace",
        str(trace),
        "--weights",
        str(kept),
        "--schedule",
        "naive",
        "--verify",
        "--batch",
        "8",
    )
    assert served.code == 0 and "bit-exact on 8 queries" in " ".join(served.out.split())
    refused = shell("run", "dlrm", "--trace", str(trace), "--weights", str(kept))
    assert refused.code == 2 and "is a deepfm, not a dlrm: mho run deepfm" in refused.err


def test_interrupted_it_goes_on_to_the_same_numbers(
    shell: Shell, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, words = tmp_path / "model.safetensors", ("--model", "fm", "--epochs", "3", *FAST)
    whole = train(shell, log, *words)
    epoch = Training.epoch

    def interrupted(training: Training, number: int) -> float:
        if number == 1:
            raise KeyboardInterrupt
        return epoch(training, number)

    monkeypatch.setattr(Training, "epoch", interrupted)
    ended = shell("train", log, "--fold", "split", *words, "--save", str(kept))
    assert ended.code == 130 and "1 epochs are kept" in ended.err and "--resume --save" in ended.err
    monkeypatch.setattr(Training, "epoch", epoch)
    again = train(shell, log, "--resume", "--save", str(kept))
    assert {**again, "cpu_s": 0} == {**whole, "cpu_s": 0}


def test_the_result_is_one_table_and_one_record(shell: Shell, log: str, tmp_path: Path) -> None:
    table = tmp_path / "worth.csv"
    result = train(shell, log, "--model", "lr", "--epochs", "1", *FAST, "--csv", str(table))
    assert result["schema"] == "mho.clicks/1" and result["data"]["fields"].keys() == set(CLICKS.names)
    assert result["worth"].keys() == {f"{fold}_{how}" for fold in ("valid", "test") for how in ("float", "integers")}
    lines = table.read_text().splitlines()
    assert lines[0] == "fold,numbers,log_loss,auc" and len(lines) == 5


def test_a_model_may_be_described_in_a_file(shell: Shell, log: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"model": "dcnv2", "hidden": [4], "crosses": 1}))
    result = train(shell, log, "--model", str(path), "--epochs", "1", *FAST)
    assert result["model"] == {"model": "dcnv2", "hidden": [4], "crosses": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--model is needed"),
        (("--model", "dlmr"), "did you mean dlrm"),
        (("--model", "searched"), "needs a description"),
        (("--model", "deepfm", "--set", "hiden=3"), "did you mean hidden"),
        (("--model", "deepfm", "--set", "hidden=wide"), "'wide' is no whole number"),
        (("--model", "lr", "--set", "hidden=3"), "no sizes"),
        (("--model", "fm", "--bits", "4/9"), "inputs have 1 to 8 bits"),
        (("--model", "fm", "--epochs", "0"), "from 1 to 10000"),
        (("--model", "fm", "--save", "model.npz"), "ends in .safetensors"),
        (("--model", "fm", "--look-ups", "trace.csv"), "--look-ups trace.csv"),
        (("--resume",), "--resume goes on with the file of --save"),
        (("--resume", "--save", "a.safetensors", "--model", "fm"), "--model is in the file"),
        (("--resume", "--save", "a.safetensors"), "a.safetensors"),
        (("--model", "fm", "--label", "clicked"), "no column 'clicked'"),
        (("--model", "fm", "--fold-seed", "3"), "draws folds"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], said: str, shell: Shell, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = shell("train", log, "--fold", "split", *words)
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err
    assert contents(tmp_path) == {}


def test_a_record_that_cannot_be_read_is_told_by_its_line(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("label,user\n1,a\nmaybe,b\n")
    ended = shell("train", str(path), "--model", "lr")
    assert ended.code == 2 and "log.csv: line 3: label: value 'maybe' is no number" in ended.err
