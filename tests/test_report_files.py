"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import mho
from mho.errors import OutputError
from mho.files.writing import check_folder, write_text
from mho.report.views import save as save_report
from tests.strategies import GREEDY

FILES = ["report.html", "report.json", "trace.json"]


@pytest.fixture(scope="module")
def report() -> mho.Report:
    return mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="overlap")))


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_report_makes_its_folder_and_three_files(report: mho.Report, tmp_path: Path) -> None:
    mho.save(report, tmp_path / "a" / "b")
    assert sorted(os.listdir(tmp_path / "a" / "b")) == FILES
    assert json.loads((tmp_path / "a" / "b" / "report.json").read_text("utf-8")) == json.loads(
        json.dumps(report.to_dict())
    )


def test_a_report_replaces_the_one_before_and_leaves_other_files_alone(report: mho.Report, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    save_report(report, str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted([*FILES, "mine.txt"])
    assert (tmp_path / "report.json").read_text("utf-8").startswith("{")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_below_a_file_is_refused_and_nothing_is_left(report: mho.Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep" / "er"):
        for attempt in (save_report, lambda _, place: check_folder(place)):
            with pytest.raises(OutputError, match="file"):
                attempt(report, folder)
    assert listing(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_dangling_link_for_a_folder_is_refused(report: mho.Report, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="link"):
        save_report(report, tmp_path / "link")
    assert listing(tmp_path) == ["link"]


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(
    report: mho.Report, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=name):
        save_report(report, tmp_path)
    assert listing(tmp_path) == [name]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_rename_that_fails_leaves_no_file_and_no_folder_of_ours(
    report: mho.Report, tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = Path.replace, []

    def full(self: Path, target: Path) -> Any:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_report(report, tmp_path / "new" / "out")
    assert listing(tmp_path) == []


def test_a_disc_that_fills_up_leaves_no_half_written_file(
    report: mho.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"report\.json: cannot be written: No space left on device"):
        save_report(report, tmp_path / "out")
    assert listing(tmp_path) == []


def test_a_report_that_cannot_be_rendered_touches_nothing(
    report: mho.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: mho.Report) -> str:
        raise RuntimeError("rendering")

    monkeypatch.setattr("mho.report.run.render_trace", broken)
    with pytest.raises(RuntimeError, match="rendering"):
        save_report(report, tmp_path / "out")
    assert listing(tmp_path) == []


def test_write_text_replaces_whole_files_and_refuses_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "ä\n")
    write_text(str(tmp_path / "x.json"), "µ\n")
    assert (tmp_path / "x.json").read_bytes() == "µ\n".encode()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "missing" / "x.json", tmp_path / "x.json" / "y"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_text(place, "text")
    assert listing(tmp_path) == ["folder", "x.json"]


def test_a_written_file_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "text")
    (tmp_path / "theirs").write_text("text")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_checking_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    check_folder(tmp_path / "not" / "yet")
    check_folder(str(tmp_path))
    assert listing(tmp_path) == []
