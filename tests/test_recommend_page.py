"""A recommendation's page tells what was measured and loads nothing; its files are there whole or not at all; layouts come back."""

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
from mho.errors import MappingError, MhoError, OutputError, TraceError
from mho.explore.recommendation import Recommendation, recommend
from mho.machine.lookup.arrivals import Arrivals
from mho.mapping.embedding import Layout
from mho.mapping.embedding.storage import ARRAYS, Seating
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


# Layouts.


@st.composite
def seatings(draw: st.DrawFn) -> Seating:
    """Draw layouts of tables whose rows have any numbers, with groups of any size and several copies."""
    rows = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    total = sum(rows)
    groups = draw(st.integers(1, 5))
    homes = [draw(st.integers(0, groups - 1)) for _ in range(total)]
    members = [[row for row in range(total) if group == homes[row]] for group in range(groups)]
    members = [draw(st.permutations(each)) for each in members]
    layout = Layout(
        total,
        max(map(len, members)) + draw(st.integers(0, 3)),
        np.cumsum([0, *map(len, members)]).astype(np.int64),
        np.array([row for each in members for row in each], dtype=np.int32),
        np.array([draw(st.integers(1, 4)) for _ in range(groups)], dtype=np.int32),
        draw(st.sampled_from(["greedy", "ours, bäst"])),
        draw(
            st.dictionaries(
                st.text(max_size=4),
                st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
            )
        ),
    )
    called = draw(st.sampled_from((st.integers(-(2**40), 2**40), st.text(st.characters(codec="utf-8"), max_size=9))))
    # What numpy keeps as text does not end in a zero character.
    called = called.filter(lambda each: not str(each).endswith("\0"))
    kind = np.int64 if isinstance(draw(called), int) else np.str_
    ids = tuple(np.array(draw(st.lists(called, min_size=n, max_size=n, unique=True)), dtype=kind) for n in rows)
    tile = draw(st.lists(st.integers(0, 9), min_size=layout.instances, max_size=layout.instances))
    return Seating(layout, tuple(f"t{n}" for n in range(len(rows))), ids, np.array(tile, dtype=np.int32))


@some
@given(seatings())
def test_a_layout_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, seating: Seating) -> None:
    path = tmp_path_factory.mktemp("layouts") / "layout.npz"
    seating.save(path)
    back = Seating.load(path)
    for name in ("starts", "members", "copies"):
        np.testing.assert_array_equal(getattr(back.layout, name), getattr(seating.layout, name))
        assert getattr(back.layout, name).dtype == getattr(seating.layout, name).dtype
    for name in ("rows", "height", "method", "options"):
        assert getattr(back.layout, name) == getattr(seating.layout, name)
    assert back.names == seating.names
    np.testing.assert_array_equal(back.tile, seating.tile)
    for one, other in zip(back.ids, seating.ids, strict=True):
        np.testing.assert_array_equal(one, other)


@some
@given(seatings())
def test_every_row_is_found_where_it_sits(seating: Seating) -> None:
    layout = seating.layout
    base = 0
    for table, ids in enumerate(seating.ids):
        for number, row in enumerate(ids.tolist()):
            place = seating.where(row, table)
            assert place == seating.where(row, seating.names[table])
            assert layout.members[layout.starts[place.group] + place.wordline] == base + number
            assert len(place.instances) == layout.copies[place.group]
            assert place.instances.start == layout.copies[: place.group].sum()
            assert list(place.tiles) == [seating.tile[instance] for instance in place.instances]
        base += len(ids)


def test_rows_and_tables_that_are_not_there_are_refused(found: Recommendation) -> None:
    for row, table, text in ((10**6, 0, "no row"), (0, 2, "tables are 0 to 1"), (0, "tabel0", "did you mean table0")):
        with pytest.raises(MappingError, match=text):
            found.seating.where(row, table)


def test_numbers_that_do_not_fit_a_layout_are_refused() -> None:
    layout = Layout.of(np.zeros(3, dtype=int), 3, "id")
    for names, ids, tile, text in (
        (("t",), (np.array([5, 7, 5]),), [0], "row 5 twice"),
        (("t",), (np.arange(4),), [0], "4 rows"),
        (("t", "u"), (np.arange(3),), [0], "2 names"),
        (("t",), (np.arange(3),), [0, 1], "each of 1 instances"),
        (("t",), (np.arange(3),), [-1], "from 0"),
    ):
        with pytest.raises(MappingError, match=text):
            Seating(layout, names, ids, np.array(tile))


def test_rows_keep_the_numbers_of_the_file_that_they_came_from() -> None:
    numbers = (np.arange(50, dtype=np.int64) * 7 + 1000,)
    seating = recommend(measured(60, (50,), ids=numbers), designs=("naive",)).seating
    assert seating.where(1000 + 7 * 3).wordline == 3
    with pytest.raises(MappingError, match="no row 3 "):
        seating.where(3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": np.zeros(1)}, "check extra"),
        ({"copies": None}, "check copies"),
        ({"format": np.asarray("mho.layout/9")}, "known: mho.layout/1"),
        ({"height": np.asarray(1.5)}, "'height'"),
        ({"height": np.asarray(1)}, "arrays have 1"),
        ({"row": np.array([9, 1, 2])}, "no row 9"),
        ({"row": np.array([0, 1])}, "equally long"),
        ({"table": np.array([0, 0, 1])}, "tables are 0 to 0"),
        ({"group": np.array([1, 0, 1])}, "'group'"),
        ({"group": np.array([0, 0, 5])}, "'group'"),
        ({"wordline": np.array([0, 2, 0])}, "'wordline'"),
        ({"copies": np.array([1, 0])}, "at least one copy"),
        ({"ids": np.array([0, 0, 2])}, "no row 1"),
        ({"rows": np.array([4])}, "'rows'"),
        ({"names": np.array(["a", "b"])}, "2 names"),
        ({"options": np.asarray("[1]")}, "'options'"),
        ({"tile": np.array([0])}, "'tile'"),
    ],
)
def test_files_that_are_no_layouts_are_refused_by_name(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    layout = Layout.of(np.array([0, 0, 1]), 2, "id")
    path = tmp_path / "layout.npz"
    Seating(layout, ("t",), (np.arange(3),), np.arange(2, dtype=np.int32)).save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert set(arrays) == set(ARRAYS)
    np.savez(path, **{name: value for name, value in {**arrays, **change}.items() if value is not None})
    with pytest.raises(MappingError, match=re.escape(text)) as refused:
        Seating.load(path)
    assert "layout.npz" in str(refused.value)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "layout.npz"
    Seating(Layout.of(np.zeros(3, dtype=int), 3, "id"), ("t",), (np.arange(3),), np.zeros(1, dtype=np.int32)).save(path)
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2], whole[:60] + b"xxxxxxxx" + whole[68:]):
        path.write_bytes(content)
        with pytest.raises(MappingError, match=r"layout\.npz"):
            Seating.load(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    for other in (tmp_path / "missing.npz", tmp_path, tmp_path / "one.npy"):
        with pytest.raises(MappingError, match=re.escape(str(other))):
            Seating.load(other)
