"""The judge of two trees: what is equal, what differs, and what only one side has."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.files import ROOT
from benchmarks.same import LAST_DIGITS, Differences, compare, compared, main, place, report, translated
from benchmarks.same_cases import in_options, steps
from benchmarks.same_tree import DONE

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


def differences(old: Any, new: Any) -> dict[str, int]:
    """Count what two values differ in."""
    found = Differences()
    compare(old, new, "", found)
    return {kind: count for kind, count in found.counts.items() if count and kind != "equal"}


@given(VALUES)
def test_a_value_is_equal_to_itself(value: Any) -> None:
    assert differences(value, value) == {}


@given(st.floats(1e-9, 1e9), st.sampled_from([1e-15, 1e-6, 0.5]))
def test_a_number_differs_in_its_last_digits_or_is_another_figure(value: float, by: float) -> None:
    moved = value * (1 + by)
    kind = "figure" if by > LAST_DIGITS else "last digits"
    assert differences({"a": [value]}, {"a": [moved]}) == ({kind: 1} if moved != value else {})


def test_what_one_side_has_alone_is_no_figure_and_a_missing_number_in_a_list_is() -> None:
    assert differences({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {"only old": 1, "only new": 1}
    assert differences([1, 2], [1]) == {"figure": 1}
    assert differences(["a", "b"], ["b", "c", "d"]) == {"only old": 1, "only new": 2}


def test_rows_are_compared_by_their_ids_in_any_order() -> None:
    rows = [{"id": "one", "ours": 1.0}, {"id": "two", "ours": 2.0}]
    assert differences(rows, rows[::-1]) == {}
    assert differences(rows, rows[1:]) == {"only old": 1}
    assert differences(rows, [{"id": "one", "ours": 1.5}, rows[1]]) == {"figure": 1}


def test_another_kind_of_value_is_another_figure() -> None:
    assert differences(1, "1") == differences(True, 1) == differences(None, 0.0) == differences({}, []) == {"figure": 1}


def test_texts_with_the_same_numbers_differ_in_words() -> None:
    assert differences("3 blocks of 0.5 W", "3 groups, 0.5 W each") == {"words": 1}
    assert differences("3 blocks of 0.5 W", "3 blocks of 0.6 W") == {"figure": 1}


def test_options_of_a_tree_without_strategies_are_said_as_a_strategy() -> None:
    old = {"schedule": "aras", "options": {"mapping": "dense", "packing": "diagonal", "banks": "ilp", "seed": 3}}
    strategy = {
        "mapping": {"choice": "dense", "packing": "diagonal"},
        "banks": {"choice": "ilp"},
        "schedule": {"seed": 3},
    }
    assert translated(old) == {"schedule": "aras", "strategy": strategy}
    assert translated({"options": {"seed": 1}}) == {"options": {"seed": 1}}
    assert in_options("run resnet20 --strategy aras --banks greedy") == "run resnet20 --schedule aras --banks greedy"


def test_every_preset_of_a_chip_and_a_device_has_its_case_and_every_line_is_a_command() -> None:
    cases = steps(ROOT)
    package = ROOT / "src" / "mho"
    for kind, folder in (("chip", package / "chip"), ("device", package / "machine" / "analog" / "devices")):
        presets = {f"{kind}-{path.stem}" for path in (folder / "presets").glob("*.yaml")}
        assert presets and presets <= set(cases)
    from mho.cli.app import app

    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    lines = [text for case in cases.values() for kind, text in case if kind == "mho"]
    assert {shlex.split(line)[0] for line in lines} <= commands


def test_a_case_that_ends_badly_in_the_new_tree_is_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tree, error in (("old", ""), ("new", "exit code 2: mho: no such model")):
        (tmp_path / tree).mkdir()
        (tmp_path / tree / DONE).write_text(json.dumps({"error": error}), encoding="utf-8")
    found = compared(tmp_path / "old", tmp_path / "new", translate=False)
    assert report({"run": found}, most=3) == 1
    assert "no such model" in capsys.readouterr().out
    assert report({"run": compared(tmp_path / "new", tmp_path / "old", translate=False)}, most=3) == 0


def test_two_trees_are_run_compared_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old"
    (old / "src").mkdir(parents=True)
    (old / "src" / "mho").symlink_to(ROOT / "src" / "mho")
    assert main([str(old), "--only", "chips", "--only", "technologies"]) == 0
    said = capsys.readouterr()
    assert "chips" in said.err and "figure 0" in said.out
    assert [path.name.split(".")[0] for path in sorted(place(old).iterdir())] == ["chips", "technologies"]
    assert main([str(old), "--only", "chips"]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_without_mho_and_an_unknown_case_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([str(tmp_path)], [str(ROOT), "--only", "nothing"]):
        with pytest.raises(SystemExit):
            main(words)
    said = capsys.readouterr().err
    assert "no checkout of mho" in said and "unknown case 'nothing'" in said
