"""--out of compare and baseline: pages that load nothing, and the same as data."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mho.report.comparison import conclusion
from mho.report.plot import draw
from mho.report.sections import Bar, Bars
from tests.command_line import Shell, contents


class Words(HTMLParser):
    """The words of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Return mho in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "schema", "told"),
    [
        (("compare", "resnet20", "--set", "tiles=2"), "mho.comparison/1", ("naive", "overlap", "the fastest", "Notes")),
        (("baseline", "resnet20"), "mho.baseline/1", ("outputs stay", "weights stay", "conv1", "mac")),
    ],
)
def test_a_page_and_the_data_are_written(
    words: tuple[str, ...], schema: str, told: tuple[str, ...], shell: Shell, tmp_path: Path
) -> None:
    ended = shell(*words, "--out", "out", "--csv", "table.csv")
    assert (ended.code, ended.err) == (0, "") and f"written to out/{words[0]}.html" in ended.out
    page = (tmp_path / "out" / f"{words[0]}.html").read_text()
    found = Words(page)
    assert set(found.loads) <= {"data:,"} and all(any(each in text for text in found.words) for each in told)
    assert not any(text.strip() in ("None", "nan") for text in found.words)
    kept = json.loads((tmp_path / "out" / f"{words[0]}.json").read_text())
    assert kept["schema"] == schema and kept == shell(*words, "--json", "-").json()
    lines = list(csv.DictReader((tmp_path / "table.csv").open()))
    records = kept["reports"] if "reports" in kept else kept["layers"]
    assert len(lines) == len(records)
    key = "latency_s" if "reports" in kept else "seconds"
    assert [float(line[key]) for line in lines] == [record[key] for record in records]


@pytest.mark.parametrize("command", ["compare", "baseline"])
def test_a_folder_that_cannot_be_is_refused_before_the_work(command: str, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = contents(tmp_path)
    ended = shell(command, "resnet20", "--out", "file")
    assert ended.code == 2 and "file" in ended.err and contents(tmp_path) == before


def a_report(latency: float, energy: float) -> dict[str, Any]:
    """Return what a conclusion reads of a report."""
    return {"latency_s": latency, "bound_ratio": latency / 2.0, "energy_j": {"total": energy}}


def test_a_sentence_says_which_is_best() -> None:
    reports = [a_report(8.0, 3.0), a_report(4.0, 1.0), a_report(4.0 * (1 + 1e-12), 2.0)]
    assert conclusion(reports, ["naive", "overlap", "aras"]) == (
        "overlap and aras are the fastest, 2.00 × the time that no legal schedule beats, 2.00 × as fast as naive; overlap is of "
        "the least energy."
    )
    assert "as fast as" not in conclusion([a_report(2.0, 1.0), a_report(4.0, 1.0)], ["a", "b"])
    assert conclusion([a_report(2.0, 1.0), a_report(4.0, 1.0)], ["a", "b"]).endswith("all take the same energy.")


def test_bars_escape_names_and_are_as_long_as_their_values() -> None:
    drawing = draw(
        Bars(title="<time>", bars=[Bar("<b>", {"": 2.0}), Bar("two", {"": 1.0}, mark=(0.5, "bound"))], unit="s")
    )
    assert "<b>" not in drawing.replace("&lt;b&gt;", "") and "&lt;time&gt;" in drawing
    widths = [float(part.partition('"')[0]) for part in drawing.split('width="')[1:] if 'fill="#2f6fb5"' in part[:60]]
    assert widths == [460.0, 230.0] and drawing.count("<path") == 1 and ">bound<" in drawing
