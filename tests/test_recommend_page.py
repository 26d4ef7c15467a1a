"""A recommendation's page tells what was measured and loads nothing; its files are there whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.engineering import quantity
from mho.errors import MhoError, OutputError, TraceError
from mho.explore.recommendation import Recommendation, recommend
from mho.machine.lookup.arrivals import Arrivals
from mho.mapping.embedding import Layout
from mho.network.trace import Trace, synthesise
from mho.report import plot
from mho.report import recommendation as page
from mho.report.sections import Axis
from mho.report.views import page as render
from tests.test_report_page import NASTY, Page

NAMES = ("naive", "frequency", "recross")
FILES = ["layout.npz", "recommend.html", "recommend.json"]
some = settings(max_examples=40)


def measured(queries: int = 600, rows: tuple[int, ...] = (500, 90), **more: Any) -> Trace:
    """Return a trace that passes for a measured one, so that what is said of synthetic ones can be seen to be missing."""
    made = synthesise(queries, rows, (8.0,) * len(rows), seed=3)
    return replace(made, synthetic=False, origin="clicks.npz", **more)


@pytest.fixture(scope="module")
def found() -> Recommendation:
    return recommend(measured(), designs=NAMES, batch=64, budget=1.5)


def shares_of_bags(found: Recommendation, name: str) -> Counter[int]:
    """Count, without the library's cover, the groups that each bag touches: every row has one home in these designs."""
    layout, test = found.designs[name].layout, found.test
    home = np.empty(layout.rows, dtype=np.int64)
    for number in range(layout.groups):
        home[layout.members[layout.starts[number] : layout.starts[number + 1]]] = number
    touched = [len(set(home[test.flat[a:b]].tolist())) for a, b in zip(test.offsets, test.offsets[1:], strict=False)]
    return Counter(each for each in touched if each)


def test_the_same_request_gives_the_same_recommendation(found: Recommendation) -> None:
    again = recommend(measured(), designs=NAMES, batch=64, budget=1.5)
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())
    assert render(again) == render(found)


def test_a_history_and_a_test_of_its_own_are_the_split_trace(found: Recommendation) -> None:
    history, test = measured().split(0.8)
    apart = recommend(history, test, designs=NAMES, batch=64, budget=1.5)
    assert apart.to_dict() == found.to_dict()


def test_the_file_is_of_its_schema_and_its_parts_sum(found: Recommendation) -> None:
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    schema = json.loads((files("mho.explore") / "recommendation.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    assert list(content["designs"]) == list(NAMES)
    for each in content["designs"].values():
        assert sum(each["energy_j"]["by_component"].values()) == pytest.approx(each["energy_j"]["total"])
        assert sum(each["energy_j"]["by_kind"].values()) == pytest.approx(each["energy_j"]["total"])
        assert sum(each["area_m2"]["by_component"].values()) == pytest.approx(each["area_m2"]["total"])
        assert sum(each["activations"]["by_rows"].values()) == each["activations"]["total"]
        assert sum(each["activations"]["by_bits"].values()) == each["activations"]["total"]
        assert sum(int(n) * k for n, k in each["activations"]["by_rows"].items()) == each["trace"]["lookups"]
        assert each["layout"]["area_ratio"] <= 1.5
    naive = content["designs"]["naive"]
    for each in content["designs"].values():
        assert each["gain"]["time"] == pytest.approx(naive["seconds"] / each["seconds"])
        assert each["gain"]["energy"] == pytest.approx(naive["energy_j"]["total"] / each["energy_j"]["total"])
    products = {name: each["seconds"] * each["energy_j"]["total"] for name, each in content["designs"].items()}
    assert content["chosen"] == min(products, key=lambda name: products[name])


def test_how_sure_gains_are_is_told_in_file_and_page(found: Recommendation) -> None:
    asked = recommend(measured(), designs=NAMES, batch=64, budget=1.5, uncertainty=True)
    content = json.loads(json.dumps(asked.to_dict(), allow_nan=False))
    schema = json.loads((files("mho.explore") / "recommendation.schema.json").read_text("utf-8"))
    jsonschema.validate(content, schema)
    for name, each in content["designs"].items():
        sure = each["sure"]
        assert sure["factor"] == pytest.approx(each["gain"]["energy"]) and sure["low"] <= sure["high"]
        assert (sure["low"] == sure["high"] == 1.0) == (name == "naive") and sure["said"].startswith(name)
        assert found.content["designs"][name] == {**each, "sure": None}
    assert "how sure" in render(asked) and "how sure" not in render(found)


def test_queries_that_come_one_by_one_are_told_in_file_and_page(found: Recommendation) -> None:
    loads = (0.2, 0.9)
    asked = Arrivals(loads, queries=300)
    waiting = recommend(measured(), designs=NAMES, batch=64, budget=1.5, arrivals=asked)
    content = json.loads(json.dumps(waiting.to_dict(), allow_nan=False))
    jsonschema.validate(content, json.loads((files("mho.explore") / "recommendation.schema.json").read_text("utf-8")))
    for name, each in content["designs"].items():
        assert [at["load"] for at in each["open"]["curve"]] == list(loads) and each["open"]["knee"] in loads
        whole = waiting.services[name].batch_s[: waiting.services[name].queries // 64]
        # 120 queries of the test: one full batch, and one of the last 56 and the first 8 again.
        assert each["open"]["capacity_per_s"] <= 64 / float(whole.min()) * 2
        for at in each["open"]["curve"]:
            assert at["rate_per_s"] == pytest.approx(at["load"] * each["open"]["capacity_per_s"])
            assert 0 < at["p50_s"] <= at["p99_s"] <= at["p999_s"]
    text = render(waiting)
    chosen = content["designs"][waiting.chosen]["open"]
    assert "Queries one by one" in text and f"Latency by load, {waiting.chosen}" in text and ">knee<" in text
    for name in NAMES:
        assert f">{name}<" in text
    p99 = next(at["p99_s"] for at in chosen["curve"] if at["load"] == chosen["knee"])
    assert f"99 % are done within {quantity(p99, 's')}" in text
    assert "Queries one by one" not in render(found) and all(
        each["open"] is None for each in found.to_dict()["designs"].values()
    )


def test_drawings_are_of_all_that_was_measured(found: Recommendation) -> None:
    for name, shares in page.groups_touched(found).items():
        touched = shares_of_bags(found, name)
        assert sum(shares.values()) == pytest.approx(1)
        for bin_name, share in shares.items():
            low, _, high = bin_name.partition("–")
            inside = sum(number for groups, number in touched.items() if int(low) <= groups <= int(high or low))
            assert share == pytest.approx(inside / touched.total())
    for shares in (*page.rows_driven(found).values(), *page.modes(found).values()):
        assert sum(shares.values()) == pytest.approx(1)
    for name, amounts in page.energies(found).items():
        service = found.services[name]
        assert sum(amounts.values()) == pytest.approx(service.energy_j / service.queries)
    for name, series in zip(page.pair(found), page.loads(found).series, strict=True):
        service = found.services[name]
        assert series.name.startswith(f"{name}: {service.layout.instances}")
        assert series.points[0] == (1, service.loads.max())
    group, copy = page.expected(found).series
    layout, history = found.designs[found.chosen].layout, found.request.history
    assert group.name.startswith(f"each group: {layout.groups}") and f"each copy: {layout.instances}" in copy.name
    assert copy.points[0][1] <= group.points[0][1] <= 1000
    assert page.asked(layout, history).sum() == len(set(_touches(layout, history)))


def _touches(layout: Layout, trace: Trace) -> list[tuple[int, int]]:
    """Return each look-up's bag and group, rows having one home each."""
    home = np.empty(layout.rows, dtype=np.int64)
    home[layout.members] = np.repeat(np.arange(layout.groups), np.diff(layout.starts))
    return list(zip(np.repeat(np.arange(trace.bags), trace.lengths).tolist(), home[trace.flat].tolist(), strict=True))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=600))
def test_a_falling_curve_keeps_its_ends_and_never_rises(values: list[int]) -> None:
    series = page.falling("x", values)
    used = sum(value > 0 for value in values)
    assert series.name == f"x: {len(values)}" + (f", {len(values) - used} idle" if used < len(values) else "")
    ranks, heights = [rank for rank, _ in series.points], [height for _, height in series.points]
    assert all(a < b for a, b in pairwise(ranks)) and all(a >= b for a, b in pairwise(heights))
    if used:
        assert (ranks[0], ranks[-1]) == (1, used)
        assert (heights[0], heights[-1]) == (max(values), min(value for value in values if value))


@given(st.floats(1e-12, 1e12), st.floats(1, 1e9), st.integers(2, 8))
def test_a_logarithmic_axis_has_ticks_and_stays_within(low: float, span: float, most: int) -> None:
    axis = plot.AxisScale(Axis("", low, low * span, log=True), 10.0, 200.0)
    places = [axis(tick) for tick in axis.ticks(most)]
    assert places == sorted(places) and len(places) <= most + 1
    assert all(10.0 <= place <= 200.0 for place in places)
    assert len(places) >= 1 or most < 3


def test_the_page_is_well_formed_loads_nothing_and_tells_what_was_found(found: Recommendation) -> None:
    text = render(found)
    seen = Page(text)
    assert seen.open == [] and not seen.scripts
    for tag, attributes in seen.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form", "script", "audio", "video")
        assert attributes.get("src") is None
        assert attributes.get("href") in (None, "data:,")
    assert not re.search(r"@import|url\(|fetch\(", text)
    assert sum(tag == "svg" for tag, _ in seen.elements) == 7
    words = " ".join(seen.words)
    for expected in (*NAMES, found.chosen, "layout.npz", *found.notes()):
        assert expected in words
    for _, numbers in page.measures(found):
        for number in numbers:
            assert number in words
    assert "SYNTHETIC" not in words


def test_what_was_made_up_says_so_first() -> None:
    made = recommend(synthesise(60, (50,), (3.0,), seed=1), designs=("naive",))
    assert made.synthetic and made.to_dict()["synthetic"]
    assert "SYNTHETIC" in " ".join(Page(render(made)).words)
    assert made.notes()[0].startswith("synthetic: ")


def test_a_design_alone_is_told_against_itself_and_names_never_become_markup() -> None:
    alone = recommend(replace(measured(60, (50,)), origin=NASTY), designs=("frequency",))
    assert (alone.against, alone.chosen) == ("frequency", "frequency")
    assert alone.gain("frequency") == {"time": 1.0, "energy": 1.0, "activations": 1.0}
    seen = Page(render(alone))
    assert seen.open == [] and not any(tag in ("img", "script") for tag, _ in seen.elements)
    assert NASTY in " ".join(seen.words)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"budget": 0.9}, "area budget"),
        ({"budget": float("nan")}, "area budget"),
        ({"batch": 0}, "batch"),
        ({"dimension": True}, "dimension"),
        ({"seed": -1}, "seed"),
        ({"designs": ()}, "at least one design"),
        ({"designs": ("naive", "naive")}, "twice"),
        ({"designs": ("nmarz",)}, "did you mean nmars"),
        ({"history": 1.0}, "share of 1.0"),
        ({"chip": "aras"}, "no part lookup"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given: dict[str, Any], text: str) -> None:
    with pytest.raises(MhoError, match=re.escape(text)) as refused:
        recommend(measured(30, (20,)), **given)
    assert "\n" not in str(refused.value)


def test_tables_that_differ_are_refused() -> None:
    with pytest.raises(TraceError, match=r"has 2 tables, .* has 1"):
        recommend(measured(30, (20,)), measured(30, (20, 21)))
    # A file tells of its tables only the rows up to the highest that it looks up.
    found = recommend(measured(30, (20,)), measured(30, (21,)), designs=("naive",))
    assert found.test.rows == found.request.history.rows == (21,)


# Files.


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_saving_writes_three_files_and_leaves_others_alone(found: Recommendation, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    paths = mho.save(found, tmp_path)
    assert sorted(path.name for path in paths) == FILES
    assert listing(tmp_path) == sorted([*FILES, "mine.txt"])
    assert json.loads((tmp_path / "recommend.json").read_text("utf-8")) == json.loads(json.dumps(found.to_dict()))
    before = (tmp_path / "layout.npz").read_bytes()
    mho.save(found, str(tmp_path))
    assert (tmp_path / "layout.npz").read_bytes() == before


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_rename_that_fails_leaves_nothing_of_ours(
    found: Recommendation, tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, calls = Path.replace, []

    def full(self: Path, target: Path) -> Any:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        mho.save(found, tmp_path / "new" / "out")
    assert len(calls) == failing
    assert listing(tmp_path) == []


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_disc_that_fills_up_leaves_nothing_of_ours(
    found: Recommendation, tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        mho.save(found, tmp_path / "out")
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused(found: Recommendation, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=name):
        mho.save(found, tmp_path)
    assert listing(tmp_path) == [name]
