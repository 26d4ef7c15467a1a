"""The page of an exploration is one file that loads nothing, holds every design, and draws what its data say."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from mho.explore import Exploration
from mho.report.designs import Designs, page_data, thinned
from mho.report.svg import DISTINCT, colour
from mho.report.views import files, page
from tests.exploration_content import AREA, content, drawn_contents, only, point
from tests.test_report_page import NASTY, Page

few = settings(max_examples=20)


def numbers(text: str) -> dict[str, Any]:
    """Return the data that a page holds."""
    found: dict[str, Any] = json.loads(Page(text).scripts[0])
    return found


@pytest.fixture(scope="module")
def whole() -> Exploration:
    return Exploration(content())


def test_the_page_is_well_formed_and_loads_nothing(whole: Exploration) -> None:
    text = page(whole)
    found = Page(text)
    assert found.open == []
    links = set()
    for tag, attributes in found.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form", "audio", "video")
        assert attributes.get("src") is None
        links |= {attributes["href"]} if tag == "a" else set()
    assert links == {address for record in whole.content["measured"] for address in record["report"]}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|WebSocket", text)
    policy = next(value for tag, value in found.elements if value.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"]) and "script-src 'unsafe-inline'" in str(policy["content"])


def test_nothing_but_a_page_beside_it_is_linked() -> None:
    for address in (
        "javascript:alert(1)",
        "http://example.org/a.html",
        "//example.org/a.html",
        "../a.html",
        "/etc/a.html",
    ):
        given_content = content()
        for record in given_content["measured"]:
            record["report"] = address
        assert not [tag for tag, _ in Page(page(Exploration(given_content))).elements if tag == "a"]


def test_names_are_shown_as_they_are_and_never_become_markup() -> None:
    given_content = content()
    axes = given_content["space"]["axes"]
    axes[NASTY] = [NASTY, "plain"]
    for each in given_content["points"]:
        each["values"][NASTY] = NASTY
    given_content.update(networks=[NASTY], chip=NASTY, notes=[NASTY])
    given_content["aims"][0]["name"] = NASTY
    given_content["refused"][0]["reason"] = NASTY
    given_content["measured"][0]["command"] = NASTY
    found = Page(page(Exploration(given_content)))
    assert found.open == [] and not any(tag == "img" for tag, _ in found.elements)
    assert sum(tag == "script" for tag, _ in found.elements) == 2
    data = json.loads(found.scripts[0])
    assert NASTY in [axis["key"] for axis in data["axes"]] and data["figures"][0]["name"] == NASTY
    assert NASTY in " ".join(found.words)
    assert "<img" not in files(Exploration(given_content))["explore.svg"]  # type: ignore[operator]


@few
@given(drawn_contents())
def test_every_design_that_compiles_stands_in_the_data_with_its_values_and_figures(
    given_content: dict[str, Any],
) -> None:
    designs = Designs(given_content)
    data = page_data(designs)
    compiled = [each for each in given_content["points"] if each["refused"] is None]
    assert data["number"] == [each["number"] for each in compiled] and data["left_out"] == 0
    for place, each in enumerate(compiled):
        for axis in data["axes"]:
            assert axis["values"][axis["at"][place]] == str(each["values"][axis["key"]])
        for figure, told in zip(designs.figures, data["figures"], strict=True):
            assert told["values"][place] == pytest.approx(each[figure.field], rel=1e-5)
        names = [limit["name"] for n, limit in enumerate(given_content["limits"]) if data["breaks"][place] >> n & 1]
        assert names == each["breaks"]
        # What the switch hides has no rank, and only that.
        assert (data["rank"][place] == 0) == bool(each["breaks"])
    for axis in data["axes"]:
        if not axis["words"]:
            assert axis["values"] == sorted(axis["values"], key=float)
    for number in (each["number"] for each in designs.front):
        assert data["rank"][data["number"].index(number)] == 1


@pytest.mark.parametrize("most", [1, 12, 60, 10**6])
def test_what_is_left_out_is_said_and_never_of_the_front(most: int) -> None:
    designs = Designs(content())
    shown = [each["number"] for each in thinned(designs, most)]
    front = {each["number"] for each in designs.front}
    assert front <= set(shown) and shown == sorted(set(shown))
    assert len(shown) == min(max(most, len(front)), len(designs.compiled))
    assert page_data(designs, most)["left_out"] == len(designs.compiled) - len(shown)


def test_a_page_says_how_many_designs_it_does_not_draw(whole: Exploration, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "are not drawn" not in page(whole)
    monkeypatch.setattr("mho.report.exploration.page_data", lambda designs: page_data(designs, 30))
    compiled = len(Designs(whole.content).compiled)
    assert f"{compiled - 30} of {compiled} designs that can be compiled are not drawn" in page(whole)
    monkeypatch.undo()
    # An exploration of very many holds some of them, and counts all.
    many = Exploration({**whole.content, "judged": 10**6})
    assert "of 999,993 designs that can be compiled are not drawn" in page(many) and "of 1,000,000 tried" in page(many)


def test_each_of_the_front_has_its_line_with_command_and_how_far_it_differs(whole: Exploration) -> None:
    words = " ".join(Page(page(whole)).words)
    designs = Designs(whole.content)
    lines = [
        value["data-number"] for tag, value in Page(page(whole)).elements if tag == "tr" and "data-number" in value
    ]
    assert lines == [str(each["number"]) for each in designs.front]
    for record in whole.content["measured"]:
        assert record["command"] in words
        for figure in designs.figures:
            assert figure.told(record) in words
    for record in whole.content["refused"]:
        assert record["reason"] in words


def test_where_there_is_nothing_to_draw_the_page_says_so() -> None:
    refused = [point(n, tiles=1, refused="too small") for n in range(3)]
    for points, words in ((refused, "no design can be compiled"), ([], "no design was tried")):
        given_content = only(points=points, measured=[], importance=[], hypervolume=None)
        text = page(Exploration(given_content))
        assert Page(text).open == [] and words in text and 'id="scatter"' not in text
    over = [point(n, tiles=n, time=1e-3, energy=1.0, area=AREA * (2 + n), breaks=["area"]) for n in range(3)]
    text = page(Exploration(only(points=over, measured=[], hypervolume=None)))
    assert "No design keeps every limit. The nearest is design 0" in text and 'id="scatter"' in text
    assert 'id="front"' not in text


def test_one_aim_one_parameter_and_no_refusal_have_a_note() -> None:
    points = [point(n, tiles=n + 1, time=1e-3 * (n + 1), energy=1.0, area=AREA / 2) for n in range(4)]
    for each in points:
        each["values"] = {"tiles": each["values"]["tiles"]}
    aims = content()["aims"][:1]
    given_content = only(points=points, aims=aims, space={"axes": {"tiles": [1, 2, 3, 4]}}, measured=[])
    text = page(Exploration(given_content))
    for words in ("time is the only aim", "tiles is the only parameter", "every design that was tried can be"):
        assert words in text
    assert 'id="hide"' in text and 'id="hide"' not in page(Exploration({**given_content, "limits": []}))


def test_fields_that_are_absent_show_nothing() -> None:
    bare = {key: content()[key] for key in ("networks", "chip", "aims")}
    bare["points"] = [{**each, "breaks": []} for each in content()["points"]]
    text = page(Exploration(bare))
    for words in ("Hypervolume", "Importance", "Notes", "measured"):
        assert words not in " ".join(Page(text).words)
    assert Page(text).open == []


def lab(red: float, green: float, blue: float) -> np.ndarray:
    """Return CIE L*a*b* (D65) of linear sRGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    share = to_xyz @ [red, green, blue] / [0.9505, 1.0, 1.089]
    f = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Simulated dichromacy on linear RGB. Source: G. M. Machado et al., "A physiologically-based model for simulation of color vision
# deficiency", IEEE TVCG 15(6), 2009, severity 1.0.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "none": np.eye(3),
}


@pytest.mark.parametrize("kind", BLIND)
def test_colours_are_told_apart_by_colour_blind_readers(kind: str) -> None:
    def seen(code: str) -> np.ndarray:
        channels = np.array([int(code[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return lab(*np.clip(np.array(BLIND[kind]) @ linear, 0, 1))

    for place, one in enumerate(DISTINCT):
        for other in DISTINCT[:place]:
            assert np.linalg.norm(seen(one) - seen(other)) > 10, (one, other)
    lightness = [seen(colour(step / 15)[0])[0] for step in range(16)]
    assert all(after < before - 1 for before, after in pairwise(lightness))
