"""Hundreds of malformed requests, and a fuzzer that sees what is planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tests.fuzz.run as running
from tests.conftest import examples
from tests.fuzz import alter, judge
from tests.fuzz.judge import Ended
from tests.fuzz.kinds import KINDS, make
from tests.fuzz.run import run
from tests.fuzz.worker import PLANTED

CASES = examples(2000)
RIGHT = Ended(("show", "aras"), 2, "", "mho: no\n", {}, {}, (), 0)


def test_no_malformed_request_hangs_swells_leaves_a_file_or_prints_a_traceback() -> None:
    outcome = run(range(CASES), seed=0)
    assert not outcome.broken, outcome.text()
    # Kinds that are refused at the door alone would meet nothing behind it.
    assert set(outcome.kinds) == set(KINDS) and outcome.codes[0] > CASES // 20


FAULTS: dict[str, tuple[str, str]] = {
    "raises": ("raise RuntimeError('planted')", "exit code 70; a traceback"),
    "computes for ever": ("while True: pass", "hung"),
    "waits for ever": ("__import__('time').sleep(10_000)", "hung"),
    "ends its process": ("__import__('os')._exit(3)", "ended its process with 3"),
    "leaves a file": ("open('left', 'w').close(); raise OSError('planted')", "left 'left'"),
    "leaves a scratch file": ("__import__('tempfile').mkstemp(); raise OSError('planted')", "left tmp"),
    "says two lines": ("__import__('sys').stderr.write('warning\\n'); raise OSError('planted')", "not one line"),
    "says one": ("__import__('sys').exit(1)", "exit code 1"),
    "swells": ("held = b'x' * (33 * 10**8); raise OSError('planted')", "GB of memory"),
    "colours": ("__import__('sys').stdout.write('\\x1b[31m')", "a control character"),
}


@pytest.mark.nightly
def test_every_planted_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the fuzzer's own process, which takes the faults up by a variable of the environment."""
    monkeypatch.setenv(PLANTED, json.dumps([code for code, _ in FAULTS.values()]))
    monkeypatch.setattr(running, "MOST_CPU_S", 10.0)
    monkeypatch.setattr(running, "MOST_WAITING_S", 15.0)
    outcome = run(range(len(FAULTS)), seed=0, workers=1, kind="chip_file")
    seen = {each["number"]: "; ".join(each["wrong"]) for each in outcome.broken}
    for number, (fault, (_, said)) in enumerate(FAULTS.items()):
        assert said in seen.get(number, ""), (fault, seen.get(number))
        assert f"--seed 0 --only {number}\n" in outcome.text()


@pytest.mark.parametrize(
    "change",
    [
        {"code": 1}, {"code": 70}, {"code": -11}, {"err": ""}, {"err": "mho: " + "x" * 300 + "\n"}, {"err": "mho: a\nmho: b\n"},
        {"err": "no\n"}, {"out": "x"}, {"scratch": ("x",)}, {"after": {"x": (0o100000, b"")}}, {"grown": 4 * 10**9},
        {"code": 0, "err": "warning\n"}, {"code": 0, "err": "", "out": "\x1b"}, {"code": 0, "err": "", "out": "Traceback"},
        {"code": 0, "err": "", "out": '{"x": NaN}', "words": ("show", "aras", "--json", "-")},
        {"code": 0, "err": "", "words": ("show", "aras", "--json", "p"), "before": {"p": (0o010000, b"")}},
    ],
)  # fmt: skip
def test_the_law_sees_each_kind_of_fault(change: dict[str, Any]) -> None:
    assert not judge.faults(RIGHT)
    assert judge.faults(Ended(**{**RIGHT.__dict__, **change}))


def test_the_same_seed_makes_the_same_cases(tmp_path: Path) -> None:
    from tests.fuzz.corpus import write_corpus

    write_corpus(tmp_path / "corpus")
    made = []
    for turn in ("a", "b"):
        cases = []
        for number in range(60):
            folder = tmp_path / turn / str(number)
            folder.mkdir(parents=True)
            cases.append((make(3, number, None, tmp_path / "corpus", folder), sorted(judge.snapshot(folder).items())))
        made.append(cases)
    assert made[0] == made[1]


def test_a_tree_is_altered_in_a_copy() -> None:
    import random

    content = {"a": [1, {"b": "c"}], "d": 2.0}
    for seed in range(200):
        alter.tree(random.Random(seed), content, 3)
    assert content == {"a": [1, {"b": "c"}], "d": 2.0}
