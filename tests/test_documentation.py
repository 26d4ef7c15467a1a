"""What the documentation says that can be computed is as it is computed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mho
from benchmarks.drift import changed, digests, measure, read_drift, sentence
from benchmarks.study import NAMES, kept
from mho.studies.sme.chips import dense, squeezing

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
DATA = sorted([*ROOT.glob("docs/*.json"), *ROOT.glob("benchmarks/*.json"), *ROOT.glob("examples/*.json")])


def named(content: Any) -> Iterator[tuple[str, str]]:
    """Yield names and digests of chips, wherever they stand in a file of data."""
    if isinstance(content, dict):
        name = content.get("name", content.get("chip"))
        if isinstance(content.get("digest"), str) and isinstance(name, str):
            yield name, content["digest"]
        for each in content.values():
            yield from named(each)
    elif isinstance(content, list):
        for each in content:
            yield from named(each)


def known() -> dict[str, str]:
    """Return the digest of everything that the documentation may name."""
    return {**digests(), **{chip.name: chip.digest for chip in (dense(), squeezing())}}


def excused() -> set[tuple[str, str]]:
    """Return chips as they were, of which a page says so, and that its figures were measured again."""
    return {
        (name, each["then"])
        for study, held in read_drift().items()
        if sentence(study, read_drift()) in (ROOT / "docs" / f"study-{study}.md").read_text()
        for name, each in held["chips"].items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_digest_of_a_page_is_that_of_a_preset_or_said_to_be_older(page: Path) -> None:
    text = page.read_text()
    old = {(name, digest[:12]) for name, digest in excused()}
    for name, digest in re.findall(r"`([\w-]+)` \(([0-9a-f]{12})\)", text):
        assert known()[name].startswith(digest) or (name, digest) in old, (page.name, name)
    # No digest stands anywhere else.
    loose = re.sub(r"`[\w-]+` \([0-9a-f]{12}(, now [0-9a-f]{12})?\)", "", text)
    for found in re.findall(r"\b[0-9a-f]{12,64}\b", loose):
        assert found.isdecimal() or not re.search("[a-f]", found), (page.name, found)


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.name)
def test_every_digest_of_the_data_is_that_of_a_preset_or_said_to_be_older(path: Path) -> None:
    for name, digest in named(json.loads(path.read_text())):
        assert digest == known().get(name, digest) or (name, digest) in excused(), (path.name, name)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_says_of_changed_chips_is_of_the_presets_as_they_are(name: str) -> None:
    held = read_drift().get(name, {"chips": {}})
    assert changed(kept(name)) == held["chips"], "run python -m benchmarks.drift"
    page = (ROOT / "docs" / f"study-{name}.md").read_text()
    assert ("Measured before the latest changes" in page) == bool(held["chips"])
    assert sentence(name, read_drift()) in page


def test_figures_that_were_measured_again_are_those_of_this_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.drift.NETWORKS", ("resnet18",))
    monkeypatch.setattr("benchmarks.drift.WEIGHTED", ())
    held = {row["id"]: row["now"] for row in read_drift().get("aras", {"rows": []})["rows"]}
    for row in measure(kept("aras")):
        assert row["now"] == pytest.approx(held.get(row["id"], row["then"]), rel=1e-9), "run python -m benchmarks.drift"


def test_the_sentence_tells_how_much_has_moved() -> None:
    chips = {"aras": {"then": "a" * 64, "now": "b" * 64}}

    def said(*moves: float) -> str:
        rows = [{"id": "x", "then": 2.0, "now": 2.0 * (1 + move)} for move in moves]
        return sentence("aras", {"aras": {"tree": {"day": "today"}, "chips": chips, "rule": "", "rows": rows}})

    assert "they are the same" in said(0.0, 1e-12)
    assert "they move by 0.50 % at most" in said(0.001, -0.005)
    assert "they move by 5.0 % at most, half of them by less than 0.20 %" in said(0.001, 0.002, -0.05)
    assert sentence("sme", {}) == ""
    assert "None of its figures was measured again" in sentence(
        "a", {"a": {"tree": {}, "chips": chips, "rule": "", "rows": []}}
    )
    ruled = {"tree": {"day": "today"}, "chips": {}, "rule": "sums take time", "rows": [{"then": 1.0, "now": 1.002}]}
    assert "a change of the machine**: sums take time. Of its figures, 1 times" in sentence("a", {"a": ruled})


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_page_holds_both_sides_of_a_merge(page: Path) -> None:
    assert not [line for line in page.read_text("utf-8").splitlines() if line.startswith(("<<<<<<< ", ">>>>>>> "))]


def test_no_page_counts_by_hand_what_a_command_lists() -> None:
    counted = {
        r"zoo of (\d+) ": len(mho.zoo.names()),
        r"(\d+) chip presets": len(mho.Chip.presets()),
        r"(\d+) device presets": len(mho.machine.Device.presets()),
    }
    for page in PAGES:
        for pattern, number in counted.items():
            assert all(int(each) == number for each in re.findall(pattern, page.read_text())), (page.name, pattern)
