"""Rows, parts and studies: what they promise, what they refuse, and that pages and plots are made from them alone."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.study import kept
from mho.report.plot import draw
from mho.report.plot_columns import HEIGHT, scale_of
from mho.studies import STUDIES
from mho.studies.chapter import Chapter, why
from mho.studies.files import as_json, plots
from mho.studies.layout import drawing as drawn_of
from mho.studies.layout import lay_out
from mho.studies.numbers import figure, plain
from mho.studies.page import html, markdown
from mho.studies.printed import Paper
from mho.studies.rows import DERIVED, Plot, PlotBar, Row, Study, StudyPart, StudyTable, mean
from mho.studies.sme.measure import PRUNED

SCHEMA = json.loads((files("mho.studies") / "study.schema.json").read_text(encoding="utf-8"))
drawing = settings(max_examples=40)
figures = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)
MEASURED = "MEASURED"
VALUES = {"pruned": PRUNED, "draws": MEASURED, "line": MEASURED}
"""What stands in texts of parts by name; a line that was measured may be any."""
names = st.text("abcdefgh<&\"'|*_ ", min_size=1, max_size=24)


def row(name: str = "part/series/net", paper: float | None = None, ours: float | None = 1.0, note: str = "") -> Row:
    return Row(name, "a quantity", "s", None, paper, ours, note)


def a_study(rows: tuple[Row, ...], tables: tuple[StudyTable, ...] = (), drawn: tuple[Plot, ...] = ()) -> Study:
    part = StudyPart("part", "A part", "Section I", "What was measured.", tables, drawn)
    return Study(
        "test", "0", "Somebody, some title", {"chip": "0" * 64}, {"quick": True}, ("taken for granted",), (part,), rows
    )


@given(figures, figures)
def test_a_row_without_a_note_is_refused_beyond_a_tenth_and_only_then(paper: float, ours: float) -> None:
    differs = abs(ours - paper) > 0.1 * abs(paper)
    assert row(paper=paper, ours=ours, note="because").differs == differs
    if differs:
        with pytest.raises(ValueError, match="needs a note"):
            row(paper=paper, ours=ours)
    else:
        assert row(paper=paper, ours=ours).note == ""


@given(figures, st.one_of(st.none(), figures))
def test_the_ratio_is_ours_by_the_papers_or_nothing(ours: float, paper: float | None) -> None:
    found = row(paper=paper, ours=ours, note="because").ratio
    assert found == (None if not paper else ours / paper)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_figures_that_are_not_finite_are_refused(value: float) -> None:
    for given_row in ({"paper": value, "note": "why"}, {"ours": value}):
        with pytest.raises(ValueError, match="no figure"):
            row(**given_row)  # type: ignore[arg-type]


def test_a_missing_figure_of_ours_needs_a_reason_and_a_derivation_needs_a_figure() -> None:
    with pytest.raises(ValueError, match="no note says why"):
        row(ours=None)
    assert row(ours=None, note="there are no weights").ratio is None
    with pytest.raises(ValueError, match="there is none"):
        row(note=f"{DERIVED}from nothing.")
    assert row(paper=1.0, note=f"{DERIVED}from the abstract.").derived
    with pytest.raises(ValueError, match="needs an id"):
        row("alone")
    with pytest.raises(ValueError, match="blanks"):
        row(note=" so ")


@given(figures, figures)
def test_a_reason_is_only_given_for_the_side_it_was_written_for(ours: float, paper: float) -> None:
    said = why(ours, paper, higher="more", lower="less")
    if abs(ours - paper) <= 0.1 * abs(paper):
        assert said == ""
    else:
        assert said == ("more" if ours > paper else "less")
        other = {"lower": "less"} if ours > paper else {"higher": "more"}
        with pytest.raises(ValueError, match="needs a note"):
            row(paper=paper, ours=ours, note=why(ours, paper, **other))


def test_a_mean_over_fewer_networks_is_none() -> None:
    assert mean([1.0, 2.0]) == 1.5
    assert mean([1.0, None]) is None
    assert mean([]) is None


def test_a_study_refuses_what_does_not_belong_together() -> None:
    with pytest.raises(ValueError, match="rows with one id"):
        a_study((row(), row()))
    with pytest.raises(ValueError, match="belongs to no part"):
        a_study((row("elsewhere/net"),))
    with pytest.raises(ValueError, match="not there"):
        a_study((row(),), (StudyTable("t", "network", ("c",), (("net", ("part/none",)),)),))
    with pytest.raises(ValueError, match="not there"):
        a_study((row(),), (), (Plot("p", "t", "s", (PlotBar("g", "l", (("l", "part/none"),)),)),))
    with pytest.raises(ValueError, match=r"2 of 1|1 of 2"):
        StudyTable("t", "network", ("c", "d"), (("net", ("x",)),))
    chapter = Chapter("part", "A part", "Section I", "")
    chapter.add("series", "net", "a quantity", "s", 1.0)
    with pytest.raises(ValueError, match="there already"):
        chapter.add("series", "net", "a quantity", "s", 1.0)


def test_a_mean_is_that_of_its_rows_and_says_why_it_differs_or_is_missing() -> None:
    chapter = Chapter("part", "A part", "Section I", "")
    for member, ours in (("one", 1.0), ("two", 3.0)):
        chapter.add("whole", member, "a quantity", "s", ours)
        chapter.add("partly", member, "a quantity", "s", ours if ours > 1 else None, note="no figure")
    assert chapter.mean("whole", ["one", "two"], "a quantity", "s", paper=4.0, because={"lower": "so"}) == 2.0
    assert chapter.mean("partly", ["one", "two"], "a quantity", "s", absent="one is missing") is None
    whole, partly = (chapter.rows[f"part/{series}/mean"] for series in ("whole", "partly"))
    assert (whole.quantity, whole.note) == ("a quantity, mean of 2 networks", "so")
    assert (partly.ours, partly.note) == (None, "one is missing")


@pytest.mark.parametrize("name", STUDIES)
def test_the_texts_of_a_study_are_what_its_page_shows(name: str) -> None:
    paper, published = Paper(STUDIES[name]), kept(name)
    assert (published.paper, bool(paper.title), bool(paper.what)) == (paper.citation, True, True)
    for part in published.parts:
        chapter = paper.chapter(part.id, **VALUES)
        assert (chapter.title, chapter.source) == (part.title, part.source)
        assert re.fullmatch(re.escape(chapter.text).replace(MEASURED, "[^{}]+"), part.text)
    with pytest.raises(KeyError):
        paper.says("what it does not say")


def a_full_study(values: list[tuple[float, float | None]], word: str) -> Study:
    """A study with tables, single and stacked bars, paper's figures, a figure missing and odd names."""
    chapter = Chapter("part", word, "Section I", word)
    members = [f"{word}{number}" for number in range(len(values))]
    for member, (ours, paper) in zip(members, values, strict=True):
        chapter.add("one", member, word, "s", ours, paper=paper, note="since | it *is* so", network=member)
        for piece in ("write", "static"):
            chapter.add(f"sum/{piece}", member, word, "", abs(ours) / 2, network=member)
    chapter.add("one", "absent", word, "s", None, note="not measured")
    chapter.add("other", "alone", word, "%", 12.0)
    everything = (*members, "absent")
    chapter.plot("single", word, "s", everything, {"one": "one", "other": "two"}, 1.0)
    chapter.plot("stacked", word, "of it", members, {"sum": word, "sum ": "none"}, pieces=("write", "static"))
    chapter.table(word, "network", everything, {"one": word, "nothing": "none"})
    chapter.table(word, "what", (*everything, "nowhere"), {"one": word, "nothing": "none"}, turned=True)
    part = chapter.finished()
    rows = tuple(chapter.rows.values())
    return Study("test", "0", "a paper", {"chip": "0" * 64}, {}, (word,), (part,), rows)


@drawing
@given(st.lists(st.tuples(figures, st.one_of(st.none(), figures)), min_size=1, max_size=6), names)
def test_every_study_validates_and_survives_json(values: list[tuple[float, float | None]], word: str) -> None:
    study = a_full_study(values, word)
    content = json.loads(as_json(study))
    jsonschema.validate(content, SCHEMA)
    again = Study.from_dict(content)
    assert again == study
    assert as_json(again) == as_json(study)
    assert {key: plots(again)[key] for key in plots(again)} == plots(study)


def test_the_schema_and_the_reader_refuse_a_row_that_was_tampered_with() -> None:
    content = json.loads(as_json(a_study((row(paper=2.0, ours=1.0, note="half"),))))
    jsonschema.validate(content, SCHEMA)
    tampered: list[dict[str, Any]] = [{"note": ""}, {"ours": None}, {"extra": 1}]
    for change in tampered:
        broken = json.loads(json.dumps(content))
        broken["rows"][0] |= change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)
    content["rows"][0]["ratio"] = 1.0
    with pytest.raises(ValueError, match="ours / paper"):
        Study.from_dict(content)
    with pytest.raises(ValueError, match="is no study"):
        Study.from_dict(content | {"schema": "mho.study/2"})


@given(st.lists(figures, min_size=1, max_size=8), st.floats(0, 60))
def test_an_axis_holds_all_values_with_room_above_and_its_ticks_are_even(values: list[float], room: float) -> None:
    scale = scale_of(values, 40.0, room)
    assert all(abs((after - before) / scale.step - 1) < 1e-6 for before, after in pairwise(scale.ticks))
    assert 3 <= len(scale.ticks) <= 14
    assert any(abs(tick) < 1e-9 * scale.step for tick in scale.ticks)
    for value in (0.0, *values):
        assert 40.0 - 1e-6 <= scale.y(value) <= 40.0 + HEIGHT + 1e-6
    assert scale.y(max(0.0, *values)) - 40.0 >= room * 0.999


def texts_of(svg: str) -> list[tuple[float, float, float, float, str]]:
    """The boxes (x0, y0, x1, y1) that texts take, by the width that is allowed for a letter."""
    found = []
    for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        text, anchor = node.text or "", node.get("anchor") or node.get("text-anchor") or "start"
        width = 5.8 * len(text)
        before = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        if node.get("transform"):
            x, y = map(float, node.get("transform", "").split("(")[1].split(")")[0].split())
            found.append((x - 8, y + before - width, x, y + before, text))
        else:
            x, y = float(node.get("x", "0")), float(node.get("y", "0"))
            found.append((x - before, y - 8, x - before + width, y, text))
    return found


@drawing
@given(st.lists(st.tuples(figures, st.one_of(st.none(), figures)), min_size=1, max_size=6), names)
def test_no_label_of_a_plot_overlaps_another_or_leaves_it(values: list[tuple[float, float | None]], word: str) -> None:
    study = a_full_study(values, word)
    for plot in study.parts[0].plots:
        svg = draw(drawn_of(plot, study))
        width, height = map(float, ElementTree.fromstring(svg).get("viewBox", "").split()[2:])
        boxes = texts_of(svg)
        for box in boxes:
            assert box[0] >= 0 and box[2] <= width + 1 and box[1] >= -1 and box[3] <= height, box
        for number, first in enumerate(boxes):
            for second in boxes[number + 1 :]:
                apart = first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
                assert apart, (first, second)


def test_a_bar_is_as_high_as_its_figure_and_the_papers_figure_is_marked() -> None:
    chapter = Chapter("part", "A part", "Section I", "")
    for number, ours in enumerate((1.0, 2.0, -1.0)):
        chapter.add("one", f"n{number}", "a quantity", "", ours, paper=1.0, note="so")
    chapter.plot("p", "t", "axis", ("n0", "n1", "n2"), {"one": "one"})
    study = Study("test", "0", "a paper", {}, {}, (), (chapter.finished(),), tuple(chapter.rows.values()))
    root = ElementTree.fromstring(plots(study)["p"])
    rects = [node for node in root.iter("{http://www.w3.org/2000/svg}rect") if len(node)]
    heights = [float(node.get("height", "0")) for node in rects]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.15)
    assert heights[2] == pytest.approx(heights[0], abs=0.15)
    assert float(rects[2].get("y", "0")) == pytest.approx(float(rects[0].get("y", "0")) + heights[0], abs=0.15)
    marks = [node for node in root.iter("{http://www.w3.org/2000/svg}path") if len(node)]
    assert len(marks) == 3


@drawing
@given(st.lists(st.tuples(figures, st.one_of(st.none(), figures)), min_size=1, max_size=4), names)
def test_pages_show_every_row_and_every_note_and_escape_what_is_not_theirs(
    values: list[tuple[float, float | None]], word: str
) -> None:
    study = a_full_study(values, word)
    laid = lay_out(study, study.parts[0])
    shown = sum(len(sheet.lines) for sheet in laid.sheets)
    assert shown == len(values) + 1 + 1 + len(values) * 2 + 1
    assert laid.notes == ["since | it *is* so", "not measured"]
    page = html(study, title=word)
    assert "<script" not in page
    assert page.count("<svg") == len(plots(study))
    for tag in ("table", "section", "svg"):
        assert page.count(f"<{tag}") == page.count(f"</{tag}>")
    text = markdown(study, title="t", head="h", image=lambda plot: f"{plot}.svg")
    tables: list[set[int]] = [set()]
    for line in text.splitlines():
        if line.startswith("|"):
            tables[-1].add(line.replace("\\|", "").count("|"))
        elif tables[-1]:
            tables.append(set())
    # Every line of a table has as many cells as its head.
    assert [len(each) for each in tables] == [1] * len(laid.sheets) + [0]


def test_figures_are_written_as_engineers_write_them() -> None:
    assert [plain(value) for value in (0.951, 17.0, 1040.0, -0.5, 0.0)] == ["0.951", "17", "1,040", "-0.5", "0"]
    assert figure(0.00806, "s") == "8.06 ms"
    assert figure(17.2, "%") == "17.2 %"
    assert figure(None, "s") == "–"
    assert figure(1.5, "") == "1.5"
