"""What an exploration shows in a terminal and on the drawing of its front: all that was found, and words that never touch."""

from __future__ import annotations

import io
import re
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from mho.explore import Exploration
from mho.report.axis_scale import AxisScale
from mho.report.designs import Designs
from mho.report.exploration import drawing
from mho.report.plot import draw
from mho.report.plot_scatter import outline
from mho.report.sections import Dot, Scatter
from mho.report.svg import width_of
from mho.report.views import show
from tests.exploration_content import AREA, content, drawn_contents, only, point

few = settings(max_examples=40)
SVG = "{http://www.w3.org/2000/svg}"


def printed(given_content: dict[str, Any], width: int = 100) -> str:
    screen = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    show(Exploration(given_content), screen)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_terminal_tells_the_best_the_front_the_refused_and_what_matters(width: int) -> None:
    text = printed(content(), width)
    designs = Designs(content())
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    for aim in designs.aims:
        assert f"Least {aim.name}" in text and aim.told(designs.best(aim) or {}) in text
    for expected in ("6.08 decades³", "does not fit", "array.adcs", "60.0 %", "figures are screened"):
        assert expected in text
    front = text.split("\nFront\n")[1].split("\n\n")[0]
    listed = [line.split()[0] for line in front.splitlines() if line.split()[0].isdigit()]
    assert listed[: len(designs.front)] == [str(each["number"]) for each in designs.front]


def test_of_a_long_front_a_terminal_shows_twenty_with_the_best_of_each_aim_and_counts_the_rest() -> None:
    points = [
        point(n, tiles=n, time=1e-3 * (n + 1), energy=1.0 / (n + 1), area=AREA * (0.5 + 0.4 * ((n * 37) % 61) / 61))
        for n in range(60)
    ]
    text = printed(only(points=points, measured=[]), 120)
    front = text.split("Front: 20 of 60 designs")[1].split("\n\n")[0]
    listed = [line.split()[0] for line in front.splitlines()[1:] if line.split()[0].isdigit()]
    best = {
        str(min(points, key=lambda each, field=field: each[field])["number"])
        for field in ("latency_s", "energy_j", "area_m2")
    }
    assert len(listed) == len(set(listed)) == 20 and best <= set(listed)


def test_a_terminal_tells_nothing_of_fields_that_are_absent() -> None:
    bare = {key: content()[key] for key in ("networks", "chip", "aims")}
    bare["points"] = [{**each, "breaks": []} for each in content()["points"]]
    text = printed(bare)
    for words in ("Hypervolume", "Importance", "Notes", "cannot be compiled\n", "None", "Measured"):
        assert words not in text
    assert "No design keeps" in printed(
        only(points=[point(0, tiles=1, time=1.0, energy=1.0, area=1.0, breaks=["area"])])
    )
    assert "No design that was tried can be compiled" in printed(
        only(points=[point(0, tiles=1, refused="no: x")], measured=[])
    )


def boxes(root: ElementTree.Element) -> list[tuple[str, float, float, float, float]]:
    """Return every text of a drawing with where it stands."""
    found = []
    for text in root.iter(f"{SVG}text"):
        x, y, wide = float(text.attrib["x"]), float(text.attrib["y"]), width_of(text.text or "")
        wide *= 1.2 if text.attrib["class"] == "title" else 1.0
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.attrib["text-anchor"]]
        found.append((text.text or "", left, y - 10, left + wide, y + 3))
    return found


def words_stand_apart(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    placed = boxes(root)
    for text, left, top, right, bottom in placed:
        assert left >= 0 and right <= width + 0.5 and top >= 0 and bottom <= height, text
    for (one, *a), (other, *b) in combinations(placed, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one, other)
    return root


@few
@given(drawn_contents())
def test_every_drawing_of_a_front_has_its_points_inside_and_words_apart(given_content: dict[str, Any]) -> None:
    designs = Designs(given_content)
    root = words_stand_apart(draw(drawing(designs)))
    circles = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in root.iter(f"{SVG}circle")]
    assert len(circles) == len(designs.compiled)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(84 <= x <= width - 24 and 74 <= y <= height - 50 for x, y in circles)
    tips = [tip for each in root.iter(f"{SVG}title") if (tip := each.text or "").startswith("design")]
    assert [re.match(r"design (\d+):", tip)[1] for tip in tips] == [str(each["number"]) for each in designs.front]  # type: ignore[index]


def test_a_drawing_has_named_axes_a_scale_of_colours_and_its_limits() -> None:
    given_content = only(limits=[{"name": "time", "field": "latency_s", "unit": "s", "at_most": 5e-3},
                                 {"name": "energy", "field": "energy_j", "unit": "J", "at_most": 3e-3}])  # fmt: skip
    root = words_stand_apart(draw(drawing(Designs(given_content))))
    words = {text for text, *_ in boxes(root)}
    assert {"time", "energy", "area", "time at most 5.00 ms", "energy at most 3.00 mJ"} <= words
    assert len([each for each in root.iter(f"{SVG}line") if each.attrib["class"] == "reference"]) == 2
    fills = {each.attrib["fill"] for each in root.iter(f"{SVG}circle") if "fill" in each.attrib}
    assert len(fills) > 3
    chart = drawing(Designs(content()))
    assert isinstance(chart, Scatter) and chart.across.log == (max(dot.x for dot in chart.dots) > 8 * chart.across.low)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12),
    st.tuples(st.booleans(), st.booleans()),
)
def test_stairs_part_what_is_beaten_from_what_is_not(places: list[tuple[int, int]], larger: tuple[bool, bool]) -> None:
    corners = outline([Dot(float(x), float(y)) for x, y in places], larger)
    signs = [-1 if more else 1 for more in larger]
    turned = [(signs[0] * x, signs[1] * y) for x, y in places]
    best = {one for one in turned if not any(a <= one[0] and b <= one[1] and (a, b) != one for a, b in turned)}
    ends = [(signs[0] * x, signs[1] * y) for x, y in corners]
    assert best <= set(ends) and corners == sorted(corners, key=lambda corner: corner[0])
    # Between two that none beats there is a corner, which each of them is as good as in one figure.
    assert len(corners) == 2 * len(best) - 1
    for a, b in pairwise(corners):
        assert a[0] == b[0] or a[1] == b[1]
    for corner in set(ends) - best:
        assert any(x <= corner[0] and y <= corner[1] for x, y in best)


def test_a_scale_keeps_its_ends() -> None:
    chart = drawing(Designs(content()))
    scale = AxisScale(chart.across, 0.0, 1.0)
    assert scale(chart.across.low) == 0.0 and scale(chart.across.high) == 1.0
