"""How sure pages are: what tells an energy or an area says what published constants make of it, and goals on that are held."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import claims
from benchmarks.files import ROOT, read_json

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIGURE = re.compile(r"\d ?[munpfkµ]?J\b|\d ?[mµu]m²|\| [mnµ]J\b|(?:less|more|times the) energy")
SURE = re.compile(r"of draws|claims\.md|robust\.md")
CLAIMS = read_json(claims.RESULTS)["claims"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_that_tells_energies_or_areas_says_how_sure_they_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert SURE.search(text) or not FIGURE.search(text), FIGURE.findall(text)


@pytest.mark.parametrize("name", claims.CLAIMS)
def test_a_claim_is_measured_and_a_page_written_by_hand_tells_it_as_it_was(name: str) -> None:
    found, claim = CLAIMS[name], claims.CLAIMS[name]
    low, here, high = found["low"], found["factor"], found["high"]
    assert 0 < low <= high and here > 0
    if found["decided"]:
        assert (low > 1) == (high > 1) == (here > 1)
    if claim.page:
        text = " ".join((ROOT / "docs" / f"{claim.page}.md").read_text(encoding="utf-8").split())
        for design in ("less", "over"):
            figure = claims.told(name, found, design)
            value, ends = figure.split(" (")[0], figure.split(" (")[1].removesuffix(")")
            assert re.search(rf"{re.escape(value)} \({re.escape(ends)}", text), figure


def test_aras_on_the_coherent_set_saves_what_the_paper_says_to_a_point_and_a_half() -> None:
    """Compiled anew, its own pulses taken as data, over the kinds of energy that it names; in %."""
    rows = json.loads((ROOT / "docs" / "study-aras.json").read_text(encoding="utf-8"))["rows"]
    ours = {row["id"]: row["ours"] for row in rows}
    for claim, paper in {"banks": 3, "replication": 14, "all": 25}.items():
        assert ours[f"constants/set/named/{claim}"] == pytest.approx(paper, abs=1.5), claim


def test_pricing_is_as_fast_as_it_should_be() -> None:
    told = (ROOT / "docs" / "robust.md").read_text(encoding="utf-8")
    found = re.search(r"(\d+) programs are priced by .* s of\s+one core, ([\d,]+) draws a second", told)
    assert found is not None
    assert int(found[1]) >= 25 and int(found[2].replace(",", "")) >= 100_000
