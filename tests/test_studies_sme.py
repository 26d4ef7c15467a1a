"""mho study sme: what it measures holds together, and is what the documentation shows."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import mho
from benchmarks import study as pages
from mho import studies
from mho.mapping import map_network
from mho.studies.sme.chips import dense, squeezing
from mho.studies.sme.load import SEEDED, STAGES
from mho.studies.sme.measure import COUNTED, TOPS, TURNS, allowed, dense_arrays, planes_of, squeezed, windows_of
from mho.studies.sme.measure_cost import compressed, shared_out_s, simulated
from mho.studies.work import KEPT

SCHEMA = json.loads((files("mho.studies") / "study.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[studies.Study, Path]:
    """A quick run without data, and its folder."""
    folder = tmp_path_factory.mktemp("quick") / "made"
    return studies.run("sme", folder, quick=True), folder


@pytest.fixture(scope="module")
def resnet20() -> mho.number.QuantisedNetwork:
    return mho.number.quantise(mho.zoo.load("resnet20", weights="seeded"), per_channel=True, symmetric=True)


def ours(study: studies.Study, name: str) -> float:
    found = study.by_id[name].ours
    assert found is not None
    return found


def test_a_quick_run_gives_every_part_that_needs_no_data_and_validates(quick: tuple[studies.Study, Path]) -> None:
    study, folder = quick
    jsonschema.validate(study.to_dict(), SCHEMA)
    assert [part.id for part in study.parts] == ["crossbars", "windows", "planes", "cells", "origin", "layers", "cost"]
    drawn = {f"{plot.id}.svg" for part in study.parts for plot in part.plots}
    assert {path.name for path in folder.iterdir()} == {"study.json", "study.html", "study.md", KEPT, *drawn}
    assert all(row.paper is None for row in study.rows)
    assert "seeded weights" in (folder / "study.md").read_text(encoding="utf-8")


def test_with_real_data_accuracy_is_measured_too(data: Path, tmp_path: Path) -> None:
    study = studies.run("sme", tmp_path / "made", quick=True, data=data)
    parts = [
        "crossbars",
        "windows",
        "planes",
        "cells",
        "accuracy",
        "curve",
        "forms",
        "origin",
        "layers",
        "cost",
        "beyond",
    ]
    assert [part.id for part in study.parts] == parts
    check_whole(study, ("dscnn_int8_qdq",), ("dscnn_int8_qdq",))


def check_whole(study: studies.Study, names: tuple[str, ...], real: tuple[str, ...]) -> None:
    """Factors multiply to the whole, squeezing never takes more arrays, and what is called best is within the limit."""
    for name in names:
        whole = ours(study, f"origin/whole/{name}")
        factors = [
            ours(study, f"origin/{each}/{name}") for each in ("bits", "width", "lossless", f"squeezed/{TOPS[-1]}")
        ]
        assert np.prod(factors) == pytest.approx(whole)
        assert ours(study, f"crossbars/lossless/{name}") <= ours(study, f"crossbars/dense/{name}")
        for significant in windows_of(name):
            shares = [ours(study, f"windows/S{significant}x{top}/{name}") for top in TOPS]
            assert all(after <= before * 1.02 for before, after in pairwise(shares))
        for kind in ("weights", "rows"):
            for coding in ("8-bit", *map(str, windows_of(name))):
                for place in range(7):
                    assert 0 <= ours(study, f"planes/{name}/{kind}/{coding}/bit {place}") <= 100
        # Layers sum to the whole.
        runs = ["dense", "sre", "lossless", *(["few", "folded"] if name in real else [])]
        for run in runs:
            arrays = [row.ours or 0.0 for row in study.rows if row.id.startswith(f"layers/{name}/{run}/")]
            assert sum(arrays) == ours(study, f"cost/arrays/{run}/{name}")
    for name in real:
        lost, samples = ours(study, f"curve/best-lost/{name}"), 500 if name.startswith("dscnn") else None
        assert samples is None or lost <= allowed(samples)
        assert ours(study, f"curve/best/{name}") >= ours(study, f"curve/best-alone/{name}") * 0.999


def test_figures_are_those_of_the_library(
    quick: tuple[studies.Study, Path], resnet20: mho.number.QuantisedNetwork
) -> None:
    study, _ = quick
    plain = map_network(resnet20, dense()).arrays
    assert ours(study, "crossbars/dense/resnet20") == plain == dense_arrays(resnet20, 8)
    coded = squeezed(resnet20, 3, 2)
    made = map_network(coded, squeezing(), mapping="squeezed").arrays
    assert ours(study, "windows/S3x2/resnet20") == pytest.approx(made / plain)
    magnitudes = [np.abs(matrix.centred) for matrix in squeezed(resnet20, 3, 0).matrices.values()]
    top = sum(int((each >> 6 & 1).sum()) for each in magnitudes) / sum(each.size for each in magnitudes)
    assert planes_of(squeezed(resnet20, 3, 0))[0]["weights"] == pytest.approx(top)
    assert ours(study, "planes/resnet20/weights/3/bit 6") == pytest.approx(100 * top)


def test_the_dense_chip_is_the_squeezing_one_without_its_own_parts() -> None:
    less, more = dense().roll_up().area_m2, squeezing().roll_up().area_m2
    own = sum(more.by_component[each] for each in ("index_memory", "row_shift"))
    assert less.total == pytest.approx(more.total - own)
    lists = [squeezing(turns).roll_up().area_m2 for turns in (1, 2, 4)]
    index = [each.by_component["index_memory"] for each in lists]
    assert index[0] < index[1] < index[2]
    # Nothing else grows with the lists that are held.
    assert len({round((each.total - one) * 1e12) for each, one in zip(lists, index, strict=True)}) == 1


def test_costs_stand_on_the_same_ground(resnet20: mho.number.QuantisedNetwork) -> None:
    plain = simulated(resnet20, dense(), "dense")
    rows = compressed(resnet20, plain)
    assert sum(plain["by_component"].values()) == pytest.approx(plain["compute_j"])
    assert sum(rows["by_component"].values()) == pytest.approx(rows["compute_j"])
    # What the compression of rows does not touch costs what it costs the dense chip.
    for component in ("tile_buffer", "noc", "vector_unit", "accumulator"):
        assert rows["by_component"][component] == plain["by_component"][component]
    folded = simulated(resnet20, squeezing(TURNS), "squeezed", turns=TURNS)
    assert folded["arrays"] <= plain["arrays"] and folded["latency_s"] >= plain["latency_s"]


def test_arrays_are_shared_out_where_they_save_most() -> None:
    layers = [
        {"windows": 100, "window_s": 1.0, "arrays": 1},
        {"windows": 10, "window_s": 1.0, "arrays": 5},
    ]
    assert shared_out_s(layers, 5) is None
    assert shared_out_s(layers, 6) == 110.0
    assert shared_out_s(layers, 7) == 60.0
    # A copy of the second layer would save 5 for 5 arrays; five more of the first save 35.
    assert shared_out_s(layers, 12) == 15 + 10
    assert shared_out_s(layers, 1000) == 2


@pytest.fixture(scope="module")
def published() -> studies.Study:
    """The study that the documentation shows."""
    return pages.kept("sme")


def test_the_page_and_its_plots_are_what_the_json_gives(published: studies.Study) -> None:
    texts = pages.rendered(published)
    for path, text in texts.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m benchmarks.study --render"
    assert set((pages.DOCS / "images").glob("study-sme-*.svg")) == set(texts) - {pages.DOCS / "study-sme.md"}


def test_the_published_study_is_whole(published: studies.Study) -> None:
    jsonschema.validate(published.to_dict(), SCHEMA)
    assert published.settings["quick"] is False
    names = tuple(published.settings["networks"])
    assert {STAGES, *SEEDED, "mobilenet_v2_int8_qdq", "squeezenet1.1", "densenet40fast", "resnet20"} < set(names)
    judged = tuple(name for name in names if name not in (STAGES, *SEEDED, *COUNTED))
    check_whole(published, names, judged)
    # What the issue of this study is about: 2.1 times fewer arrays on MobileNet-v2 for at most one image of 200.
    assert ours(published, "curve/best/mobilenet_v2_int8_qdq") >= 2.1
    assert ours(published, "curve/best-lost/mobilenet_v2_int8_qdq") <= 1


def test_the_published_arrays_are_those_of_this_version(published: studies.Study) -> None:
    quantised = mho.number.quantise(mho.zoo.load("mobilenet_v2", weights="seeded"), per_channel=True, symmetric=True)
    assert ours(published, "crossbars/dense/mobilenet_v2") == dense_arrays(quantised, 8)
    assert (
        ours(published, "crossbars/lossless/mobilenet_v2")
        == map_network(quantised, squeezing(), mapping="squeezed").arrays
    )
