"""mho study autorac: what it states holds together, and follows from what was found."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import study as pages
from mho import studies
from mho.network.zoo.interaction import MODELS
from mho.network.zoo.interaction.nasrec import nasrec
from mho.studies.autorac import LOGS, logs
from mho.studies.autorac.costs import BARE, NAIVE_SCHEDULE, Costed, chip
from mho.studies.autorac.windows import DIMENSION, FIELDS
from mho.studies.rows import Study
from mho.studies.work import Settings, Work


@pytest.fixture(scope="module")
def shown() -> Study:
    return pages.kept("autorac")


def figures(study: Study, series: str) -> dict[str, float]:
    """Our figures of a series, by member."""
    return {
        row.id.split("/")[-1]: row.ours
        for row in study.rows
        if row.id.startswith(f"{series}/") and row.ours is not None
    }


def test_a_product_takes_longer_where_there_are_more_windows(shown: Study) -> None:
    windows, slow = (figures(shown, f"windows/{key}") for key in ("windows", "per_product"))
    products, times = (figures(shown, f"windows/{key}") for key in ("products", "latency_s"))
    searched, hand_made = "kdd-full", "dlrm 128-64"
    assert windows[searched] > 20 * windows[hand_made] and slow[searched] > 2 * slow[hand_made]
    for name, each in slow.items():
        assert each == pytest.approx(1e12 * times[name] / products[name])


def test_windows_and_products_of_the_page_are_those_of_the_networks(shown: Study) -> None:
    windows, products = figures(shown, "windows/windows"), figures(shown, "windows/products")
    for name, built in (("kdd-full", nasrec("kdd-full")), ("dlrm 128-64", MODELS["dlrm"]())):
        network = built.build(FIELDS, DIMENSION)
        assert products[name] == network.macs
        assert windows[name] == sum(math.prod(layer.shape[1:-1]) for layer in network.matrix_layers)
    matrices = nasrec("kdd-full").matrices(FIELDS, DIMENSION)
    assert windows["kdd-full"] == sum(matrix.windows for matrix in matrices)
    # Products of activations with one another, of dot products and attention, come on top.
    assert products["kdd-full"] > sum(matrix.windows * matrix.rows * matrix.outputs for matrix in matrices)


def test_a_row_of_the_page_is_measured_again(shown: Study) -> None:
    found = Costed(MODELS["dlrm"](), FIELDS, DIMENSION, 8).on(chip(), NAIVE_SCHEDULE, BARE)
    for key in ("latency_s", "energy_j", "area_m2"):
        assert figures(shown, f"windows/{key}")["dlrm 128-64"] == pytest.approx(found[key], rel=1e-9)


def test_logs_are_those_whose_file_is_there(tmp_path: Path) -> None:
    assert logs(Work("autorac", Settings())) == ()
    assert logs(Work("autorac", Settings(data=tmp_path))) == ()
    (tmp_path / "ctr").mkdir()
    for log in LOGS.values():
        (tmp_path / log.file).touch()
    assert logs(Work("autorac", Settings(data=tmp_path))) == tuple(LOGS)
    assert logs(Work("autorac", Settings(quick=True, data=tmp_path))) == ()


def test_the_quick_study_says_what_is_not_there(tmp_path: Path) -> None:
    told = studies.run("autorac", tmp_path, quick=True)
    assert any("logs searched: none" in text for text in told.assumptions)
    assert [part.id for part in told.parts] == ["windows", "space"]
    assert json.loads((tmp_path / "study.json").read_text("utf-8"))["schema"] == "mho.study/1"
