"""The page is one file that loads nothing, escapes every name, and draws all that happened."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.network.graph import Network
from mho.network.layers import Array, Input, Linear
from mho.report.page import embedded
from mho.report.timeline import bars, page_data, steps
from mho.report.views import page as render_html
from tests.strategies import ALONE, GREEDY, chips, networks

few = settings(max_examples=15)
names = st.sampled_from(ALONE)
NASTY = """</script><img src="http://example.org/x.png" onerror='alert(1)'>&amp;{{ 7 * 7 }}"""


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, texts, and the contents of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open[-1:] == ["script"] else self.words).append(data)


def linear(name: str, title: str = "small") -> Network:
    layers = (
        Input(name="input", inputs=(), shape=(1, 4)),
        Linear(name=name, inputs=("input",), shape=(1, 3), weight=Array((3, 4))),
    )
    return Network(title, layers, (name,), "none (shapes only)")


def reported(network: Network, chip: Chip | str = "aras", schedule: str = "overlap") -> mho.Report:
    return mho.simulate(mho.compile(network, chip, GREEDY.with_(schedule=schedule)))


@pytest.fixture(scope="module")
def report() -> mho.Report:
    return reported(mho.zoo.load("resnet20"))


def test_the_page_is_well_formed_and_loads_nothing(report: mho.Report) -> None:
    text = render_html(report)
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form", "audio", "video")
        assert attributes.get("src") is None
        if tag == "link":
            assert attributes["href"] == "data:,"
        else:
            assert attributes.get("href") is None
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|WebSocket", text)
    policy = next(value for tag, value in page.elements if value.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])


def test_the_page_tells_the_headline_numbers(report: mho.Report) -> None:
    words = " ".join(Page(render_html(report)).words)
    for expected in ("resnet20", "aras", "overlap", "not executed", "none (shapes only)"):
        assert expected in words
    for layer in report.layers():
        assert layer["name"] in words
    for source in report.to_dict()["sources"].values():
        assert source in words


def test_a_verification_is_told_with_its_result(report: mho.Report) -> None:
    good, bad = (
        render_html(mho.simulate(report.program, verified=text))
        for text in ("bit-exact on 1 sample", "NOT verified: x")
    )
    assert '<p class="badge good">executed: bit-exact on 1 sample</p>' in good
    assert '<p class="badge bad">executed: NOT verified: x</p>' in bad


def test_names_are_shown_as_they_are_and_never_become_markup() -> None:
    text = render_html(reported(linear(NASTY, title=NASTY)))
    page = Page(text)
    assert page.open == []
    assert not any(tag == "img" for tag, _ in page.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == 2
    assert NASTY in " ".join(page.words)
    assert NASTY in json.loads(page.scripts[0])["names"]


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_data_reads_back_and_cannot_end_its_element(data: Any) -> None:
    text = str(embedded(data))
    assert json.loads(text) == data
    assert not re.search("[<>&\u2028\u2029]", text)


@few
@given(networks, chips(), names, st.integers(1, 12))
def test_bars_cover_every_instruction_however_few_they_are(
    network: Network, chip: Chip, schedule: str, most: int
) -> None:
    report = reported(network, chip, schedule)
    found, gap = bars(report, most)
    assert sum(bar.count for bar in found) == len(report.program.instructions)
    assert [bar.start for bar in found] == sorted(bar.start for bar in found)
    rows = defaultdict(list)
    for bar in found:
        rows[bar.kind, bar.layer if bar.kind < 2 else -1].append(bar)
    assert len(found) <= max(most, len(rows))
    assert (gap is None) == (len(bars(report, 10**9)[0]) <= most)
    for single in bars(report, 10**9)[0]:
        row = rows[single.kind, single.layer if single.kind < 2 else -1]
        assert any(bar.start <= single.start and single.end <= bar.end for bar in row)


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60),
    st.integers(4, 40),
)
def test_thinned_out_steps_keep_the_integral(drawn: list[tuple[float, int, int]], most: int) -> None:
    times = np.cumsum([0.0, *(length for length, _, _ in drawn)])
    series = {"a": np.array([*(a for _, a, _ in drawn), 0]), "b": np.array([*(b for _, _, b in drawn), 0])}
    thin = steps(times, series, most)
    assert len(thin.times) <= max(most, 2)
    assert (thin.times[0], thin.times[-1]) == pytest.approx((0.0, times[-1]))
    for name, values in series.items():
        whole = float((values[:-1] * np.diff(times)).sum())
        shown = float((np.array(thin.series[name])[:-1] * np.diff(thin.times)).sum())
        assert shown == pytest.approx(whole, rel=1e-6, abs=1e-6)


@few
@given(networks, chips(), names)
def test_the_chart_by_layer_leaves_no_energy_out(network: Network, chip: Chip, schedule: str) -> None:
    report = reported(network, chip, schedule)
    layers = page_data(report, report.layers())["layers"]
    assert len({len(values) for values in layers.values()}) == 1
    assert sum(map(sum, layers["energy"])) == pytest.approx(report.energy_j, rel=1e-6)


def test_what_a_chart_unites_or_averages_is_said(report: mho.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "For its size" not in render_html(report)
    monkeypatch.setattr("mho.report.timeline.bars", lambda report: bars(report, 30))
    monkeypatch.setattr("mho.report.timeline.steps", lambda times, series: steps(times, series, 4))
    text = render_html(report)
    assert "For its size, the timeline unites" in text
    assert "For its size, occupancy and memory rate are averages" in text


def test_the_same_report_gives_the_same_page(report: mho.Report) -> None:
    assert render_html(report) == render_html(report)


def test_writing_in_the_setup_is_no_time_of_a_layer() -> None:
    network = mho.zoo.load("resnet20", input_size=8)
    resident = mho.simulate(mho.compile(network, "aras", GREEDY.with_(schedule="overlap")))
    assert resident.program.setup and not any(page_data(resident, resident.layers())["layers"]["write"])
    page = render_html(resident)
    assert "weights are written once, before the first inference" in page and "writing (down)" not in page
    small = mho.Chip.load("aras").override({"tiles": 4}, source="a chip that the network does not fit")
    written = mho.simulate(mho.compile(network, small, GREEDY.with_(schedule="overlap")))
    assert not written.program.setup and any(page_data(written, written.layers())["layers"]["write"])
    assert "writing (down)" in render_html(written)


def test_options_without_a_value_are_not_told() -> None:
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20", input_size=8), "aras", GREEDY))
    assert report.program.strategy.to_dict()["schedule"]["time_limit_s"] is None
    assert "None" not in render_html(report).partition("<main>")[0].partition("</head>")[2]
