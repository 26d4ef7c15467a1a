"""mho study recross: what it measures holds together, and its notes say what is true on either side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
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
from mho import studies
from mho.explore import Request
from mho.mapping.embedding import group
from mho.studies.recross import measure
from mho.studies.recross.against import SIDES, against
from mho.studies.recross.likeness import WAYS, law, sweeps
from mho.studies.recross.load import COHESIONS, PRODUCTION, REAL, chip, load
from mho.studies.recross.measure import COMPARED
from mho.studies.rows import TOLERANCE
from mho.studies.work import KEPT, Settings, Work

SCHEMA = json.loads((files("mho.studies") / "study.schema.json").read_text(encoding="utf-8"))
PARTS = ["traces", "groups", "against", "ideas", "processors"]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[studies.Study, Path]:
    """A quick run without data, and its folder."""
    folder = tmp_path_factory.mktemp("quick") / "made"
    return studies.run("recross", folder, quick=True), folder


def ours(study: studies.Study, name: str) -> float:
    found = study.by_id[name].ours
    assert found is not None
    return found


def check_whole(study: studies.Study, names: tuple[str, ...], real: tuple[str, ...]) -> None:
    """Gains are ratios of what is shown, the last idea is the design itself, and no design exceeds its area."""
    jsonschema.validate(study.to_dict(), SCHEMA)
    assert [part.id for part in study.parts] == PARTS
    for name in names:
        for what in ("time", "energy"):
            shown = {design: ours(study, f"against/{what}/{design}/{name}") for design in COMPARED}
            for pair in ("recross/nmars", "recross/naive", "ours/nmars-whole", "ours/naive", "ours/frequency"):
                of, over = pair.split("/")
                assert ours(study, f"against/{what}-gain/{pair}/{name}") == pytest.approx(shown[over] / shown[of])
            for way, last, design in (("published", "modes", "recross"), ("ours", "tiles", "ours")):
                gain = ours(study, f"ideas/{what}/{way}/{last}/{name}")
                assert gain == pytest.approx(ours(study, f"against/{what}-gain/{design}/naive/{name}"))
        # Reading rows one by one is an activation a look-up; adding them up is never more.
        parts = {design: ours(study, f"against/parts/{design}/{name}") for design in COMPARED}
        assert parts["nmars"] == parts["nmars-whole"] == max(parts.values())
        # Two bits of nine are 2 / 9 of the time of a conversion: nothing gains more by them alone.
        times = [ours(study, f"against/time/{design}/{name}") for design in ("nmars", "nmars-whole")]
        assert times[0] < times[1] < 4.5 * times[0] * 1.001
        areas = {design: ours(study, f"against/area/{design}/{name}") for design in COMPARED}
        # An ADC that switches takes a little area of its own; beyond that copies take a quarter more, of all parts alike.
        assert min(areas.values()) == areas["naive"] < areas["nmars"] < 1.05 * areas["naive"]
        assert max(areas.values()) <= 1.25 * areas["nmars"] * (1 + 1e-12)
        assert all(ours(study, f"against/bound/{design}/{name}") >= 1 - 1e-12 for design in COMPARED)
        assert all(
            ours(study, f"against/p99/{design}/{name}") >= 0.9 * ours(study, f"against/time/{design}/{name}")
            for design in COMPARED
        )
        least = ours(study, f"groups/touched/least/{name}")
        ways = [ours(study, f"groups/touched/{way}/{name}") for way in WAYS]
        assert min(ways) == least >= 1
        fewer = 1 - ours(study, f"groups/touched/anneal/{name}") / ours(study, f"groups/touched/greedy/{name}")
        assert ours(study, f"groups/fewer/anneal/{name}") == pytest.approx(fewer)
    for what in ("time", "energy"):
        for pair in ("recross/nmars", "ours/nmars"):
            identity = f"against/{what}-gain/{pair}/mean"
            if real:
                gains = [ours(study, f"against/{what}-gain/{pair}/{name}") for name in real]
                assert ours(study, identity) == pytest.approx(np.exp(np.log(gains).mean()))
            else:
                assert identity not in study.by_id
    # Every row stands in a table of its part, so that none is left over at its end.
    for part in study.parts:
        tabled = {row for table in part.tables for _, cells in table.lines for row in cells}
        assert {row.id for row in study.rows if row.id.startswith(f"{part.id}/")} <= tabled
    check_notes(study)


def check_notes(study: studies.Study) -> None:
    """A note is there where ours differs from the paper's, and is that of the side on which it lies."""
    for row in study.rows:
        if row.paper is None:
            assert not row.note
            continue
        assert row.ours is not None
        assert bool(row.note) == (abs(row.ours - row.paper) > TOLERANCE * row.paper), row.id
        if row.note and row.id.startswith("against/"):
            what, over = row.id.split("/")[1].removesuffix("-gain"), row.id.split("/")[3]
            higher, lower = SIDES[what, over]
            assert row.note == (higher if row.ours > row.paper else lower)


def test_a_quick_run_needs_no_data(quick: tuple[studies.Study, Path]) -> None:
    study, folder = quick
    check_whole(study, (PRODUCTION,), ())
    drawn = {f"{plot.id}.svg" for part in study.parts for plot in part.plots}
    assert {path.name for path in folder.iterdir()} == {"study.json", "study.html", "study.md", KEPT, *drawn}
    page = (folder / "study.md").read_text(encoding="utf-8")
    assert "synthetic" in page and "no description was at hand" in page
    # The paper's means are of its own traces: beside them stand means of real ones alone.
    assert {row.id for row in study.rows if row.paper is not None} == {
        f"processors/energy/{which}/{PRODUCTION}" for which in ("gpu", "dram")
    }


def test_with_data_real_traces_are_measured_and_averaged(
    data: Path, quick: tuple[studies.Study, Path], tmp_path: Path
) -> None:
    if not (data / REAL["groceries"].file).is_file():
        pytest.skip(f"no {REAL['groceries'].file} in {data}")
    # What needs no data is measured by the quick run, and taken up.
    shutil.copytree(quick[1], tmp_path / "made")
    study = studies.run("recross", tmp_path / "made", quick=True, data=data)
    check_whole(study, ("groceries", PRODUCTION), ("groceries",))
    printed = {"time": {3.97}, "energy": {2.35, 6.1}}
    for what, values in printed.items():
        rows = [row for row in study.rows if row.id.startswith(f"against/{what}-gain") and row.paper is not None]
        assert {row.paper for row in rows} == values
        assert all(row.id.endswith("/mean") for row in rows)


def test_figures_are_those_of_the_library(quick: tuple[studies.Study, Path]) -> None:
    study, _ = quick
    history, test = load(Work("recross", Settings(quick=True)), PRODUCTION)
    assert ours(study, f"traces/bags/{PRODUCTION}") == history.bags
    assert ours(study, f"traces/length/{PRODUCTION}") == pytest.approx(history.lookups / history.bags)
    layout = group(history, 128, method="greedy", seed=0)
    touched = layout.groups_per_bag(test).mean()
    assert ours(study, f"groups/touched/greedy/{PRODUCTION}") == pytest.approx(touched)
    found = mho.explore.design("recross", Request(history, chip())).serve(test, 64, 256)
    assert ours(study, f"against/time/recross/{PRODUCTION}") == pytest.approx(found.batch_s.mean())
    assert ours(study, f"against/energy/recross/{PRODUCTION}") == pytest.approx(found.energy_j / test.bags)
    assert ours(study, f"against/parts/nmars/{PRODUCTION}") == pytest.approx(test.lookups / test.bags)


def made_up(times: Mapping[str, float], joules: Mapping[str, float]) -> dict[str, Any]:
    """What a measurement of designs would give."""
    return {
        name: {
            "batch_s": {"mean": times[name], "p99": times[name]}, "query_j": joules[name], "per_bag": 1.0, "area_m2": 1.0,
            "bound_ratio": 1.0,
        }
        for name in COMPARED
    }  # fmt: skip


amounts = st.fixed_dictionaries({name: st.floats(1e-3, 1e3) for name in COMPARED})


@settings(max_examples=60)
@given(amounts, amounts)
def test_whichever_side_ours_falls_on_a_note_of_that_side_is_there(
    times: dict[str, float], joules: dict[str, float]
) -> None:
    chapter = against({"somewhere": made_up(times, joules)}, ("somewhere",))
    for row in chapter.rows.values():
        if row.paper is None:
            assert not row.note
        elif row.differs:
            what, over = row.id.split("/")[1].removesuffix("-gain"), row.id.split("/")[3]
            assert row.note == SIDES[what, over][0 if (row.ratio or 0) > 1 else 1]
        else:
            assert not row.note


def test_sides_are_told_apart_and_say_nothing_of_other_designs() -> None:
    for (_, over), (higher, lower) in SIDES.items():
        assert higher != lower
        assert all(note and note == note.strip() for note in (higher, lower))
        assert over != "naive" or "nMARS" not in higher + lower


@pytest.fixture(scope="module")
def work() -> Work:
    return Work("recross", Settings(quick=True))


def test_gains_are_shown_over_co_occurrence(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "STRATEGY", measure.STRATEGY.with_(grouping="fast"))
    chapter = law(measure.law(work))
    shares = [f"{share:g}" for share in COHESIONS]
    assert {row.id.split("/")[-1] for row in chapter.rows.values()} == set(shares)

    def row(name: str) -> float:
        return chapter.rows[f"law/{name}"].ours or 0.0

    for design in ("recross", "ours"):
        # More look-ups of a bag in one community of 64 rows: more of them in one array of 128, and less energy for them.
        assert row(f"rows/{design}/{shares[-1]}") > row(f"rows/{design}/{shares[0]}") >= 1
        assert row(f"energy/{design}/{shares[-1]}") > row(f"energy/{design}/{shares[0]}")


def test_sweeps_change_one_quantity_at_a_time(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "STRATEGY", measure.STRATEGY.with_(grouping="fast"))
    found = measure.sweeps(measure.StudiedTrace(work, PRODUCTION))
    # What all sweeps have in common is the same in all of them.
    common = [found["batch"]["256"], found["budget"]["1.25"], found["port"]["512"], found["height"]["128"]]
    for each in common[1:]:
        assert each == common[0]
    for design in measure.SWEPT:
        times = [found["batch"][f"{batch}"][design]["batch_s"]["mean"] for batch in measure.BATCHES]
        assert times == sorted(times)
        ports = [found["port"][f"{bits}"][design]["batch_s"]["mean"] for bits in measure.PORTS]
        assert all(after <= before * (1 + 1e-9) for before, after in pairwise(ports))
        areas = [found["budget"][f"{budget:g}"][design]["area_ratio"] for budget in measure.BUDGETS]
        assert all(area <= budget for area, budget in zip(areas, measure.BUDGETS, strict=True))
    chapter = sweeps({PRODUCTION: found})
    heights = {row.id for row in chapter.rows.values() if row.id.startswith("sweeps/height/time/ours/")}
    assert heights == {f"sweeps/height/time/ours/{PRODUCTION} {rows}" for rows in measure.HEIGHTS}
