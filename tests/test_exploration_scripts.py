"""What the scripts of an exploration's page draw and tell, where there is a node to run them."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mho.report.designs import Designs, Figure, page_data
from mho.report.page import SCRIPTS, _ours
from mho.report.sections import Designs as DesignsSection
from tests.exploration_content import AREA, content, only, point

NODE = shutil.which("node")


def run(given_content: dict[str, Any], steps: str, folder: Path, front: Sequence[Sequence[str]] = ()) -> Any:
    """Return what `steps` tell after the scripts of a page ran on the data of an exploration, with the cells of its table."""
    assert NODE is not None
    (folder / "page.js").write_text(str(_ours(*SCRIPTS[DesignsSection])))
    (folder / "page.json").write_text(json.dumps({**page_data(Designs(given_content)), "front": front or None}))
    (folder / "steps.js").write_text(steps)
    browser = Path(__file__).with_name("fake_browser.js")
    words = [NODE, str(browser), str(folder / "page.js"), str(folder / "steps.js")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


node = pytest.mark.skipif(NODE is None, reason="there is no node to run scripts")


@node
@pytest.mark.parametrize("scripts", SCRIPTS.values(), ids=lambda names: names[-1])
def test_scripts_are_javascript(scripts: tuple[str, ...], tmp_path: Path) -> None:
    assert NODE is not None
    (tmp_path / "page.js").write_text(str(_ours(*scripts)))
    done = subprocess.run([NODE, "--check", str(tmp_path / "page.js")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@node
def test_numbers_read_as_everywhere_in_mho(tmp_path: Path) -> None:
    drawn = random.Random(7)
    figures = [Figure("x", "x", unit, more=False) for unit in ("s", "J", "m²", "W", "1/s", "TOPS/W", "")]
    cases = [(figure, 10 ** drawn.uniform(-11, 4) * drawn.uniform(1, 9)) for figure in figures for _ in range(60)]
    # Numbers so small that they are written with an exponent are written differently.
    cases = [(figure, value) for figure, value in cases if figure.unit in ("s", "J", "m²", "W") or value > 1e-4]
    cases += [(figure, value) for figure in figures for value in (0.0, 1.0, 12345.0)]
    asked = json.dumps(
        [[value, {"unit": one.unit, "prefixed": one.unit in ("s", "J", "m²", "W")}] for one, value in cases]
    )
    told = run(
        content(), f"console.log(JSON.stringify({asked}.map(([value, figure]) => amount(value, figure))));", tmp_path
    )
    assert told == [figure.say(value) for figure, value in cases]


@node
def test_the_switch_hides_what_breaks_a_limit_and_nothing_else(tmp_path: Path) -> None:
    given_content = content()
    designs = Designs(given_content)
    broken = [each["number"] for each in designs.compiled if each["breaks"]]
    told = run(
        given_content,
        """
        shown.draw(); frame();
        const seen = () => [shown.places.map((place) => number[place]), scatter.canvas.getContext("2d").drawn.arcs];
        const before = seen(), box = document.getElementById("hide");
        box.checked = true; box.fire("change"); frame();
        const hidden = seen();
        box.checked = false; box.fire("change"); frame();
        console.log(JSON.stringify([before, hidden, seen()]));
        """,
        tmp_path,
    )
    before, hidden, after = told
    assert broken and before == after
    assert before[0] == [each["number"] for each in designs.compiled]
    assert hidden[0] == [number for number in before[0] if number not in broken]
    # What breaks a limit is a cross; everything else is a dot.
    assert before[1] == hidden[1] == len(hidden[0])


@node
def test_a_design_pointed_at_is_told_whole_in_either_chart(tmp_path: Path) -> None:
    given_content = content()
    designs = Designs(given_content)
    told = run(
        given_content,
        """
        shown.draw(); frame();
        const tips = number.map((_, place) => about(place)), keyed = [];
        for (const chart of [scatter, parallel]) for (const key of ["Home", "ArrowRight", "End", "ArrowRight", "ArrowLeft"]) {
          chart.canvas.fire("keydown", { key }); frame();
          keyed.push([number[shown.at], document.getElementById("tip").textContent]);
        }
        const [x, y] = scatter.spot(shown.at), same = scatter.nearest(x, y) === shown.at;
        scatter.canvas.fire("keydown", { key: "Escape" });
        console.log(JSON.stringify([tips, keyed, same, shown.at, document.getElementById("tip").hidden]));
        """,
        tmp_path,
    )
    tips, keyed, same, at, hidden = told
    front = [each["number"] for each in designs.front]
    expected = [front[0], front[1], front[-1], front[-1], front[-2]]
    assert [number for number, _ in keyed] == expected * 2 and same and at == -1 and hidden
    for each, tip in zip(designs.compiled, tips, strict=True):
        assert tip.startswith(f"design {each['number']}: ")
        for figure in designs.figures:
            assert f"{figure.name} {figure.told(each)}" in tip
        for key, value in each["values"].items():
            assert f"{key} {value}" in tip.split("\n")
        assert ("breaks area at most" in tip) == bool(each["breaks"])
    for number, tip in keyed:
        assert tip == tips[[each["number"] for each in designs.compiled].index(number)]


@node
@pytest.mark.parametrize(
    "choices", [{}, {"across": 2}, {"across": -1, "by": 0}, {"up": 2, "by": 1, "near": True, "hide": True}]
)
def test_words_of_a_chart_stand_apart_and_inside(choices: dict[str, Any], tmp_path: Path) -> None:
    told = run(
        content(),
        f"shown.change({json.dumps(choices)}); frame();"
        "const told = (chart) => [chart.height, chart.canvas.getContext('2d').drawn.words];"
        "console.log(JSON.stringify([scatter, parallel].map(told)));",
        tmp_path,
    )
    for height, words in told:
        boxes = []
        for text, x, y, align in words:
            wide = 6.8 * len(text)
            left = x - {"left": 0, "center": wide / 2, "right": wide}[align]
            boxes.append((text, left, y - 7, left + wide, y + 7))
        assert len(boxes) > 8
        for place, (text, left, top, right, bottom) in enumerate(boxes):
            assert left >= -1 and right <= 1285 and top >= 0 and bottom <= height, text
            for other, *box in boxes[:place]:
                assert right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top, (text, other)


@node
def test_contents_of_every_kind_are_drawn_at_places(tmp_path: Path) -> None:
    points = [point(n, tiles=n, time=1e-3, energy=0.0, area=AREA / 2) for n in range(3)]
    points[1]["latency_s"] = None
    cases = [
        only(points=points, measured=[]),
        only(points=points[:1], measured=[]),
        only(points=points, aims=content()["aims"][:1], limits=[]),
    ]
    steps = """
        for (const across of [-1, 0]) for (const up of [0, -1]) for (const by of [-1, 0]) for (const near of [false, true]) {
          shown.change({ across, up, by, near }); frame();
          for (let place = 0; place < number.length; place++) { shown.point(place); frame(); about(place); scatter.spot(place); }
        }
        console.log(JSON.stringify(shown.places.length));
        """
    for number, each in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert run(each, steps, folder) == len(page_data(Designs(each))["number"]) > 0
