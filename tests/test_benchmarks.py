"""The measured tables of the documentation are what the commands wrote, and say whether goals are met."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as timing
from benchmarks import (
    accuracy,
    analog,
    analog_accuracy,
    autorac,
    basis_fit,
    basis_training,
    claims,
    clicks,
    cluster,
    designs,
    explore,
    fronts,
    gains,
    grouping,
    lookups,
    pairs_accuracy,
    precision,
    precision_accuracy,
    rank,
    recommenders,
    rtl,
    segments,
    squeezed,
    store,
)
from benchmarks.cases import BY_NAME, CASES
from benchmarks.files import BEGIN, END, ROOT, measured_part, read_json, with_measured_part, write_json
from benchmarks.tables import accuracy_table, benchmark_tables
from mho.training import Settings
from mho.training.searched.score import DEFAULT, SCORES

ACCURACY: dict[str, Any] = read_json(accuracy.RESULTS)
TIMES: dict[str, Any] = read_json(timing.RESULTS)
ANALOG: dict[str, Any] = read_json(analog.RESULTS)


PAGES = {
    "accuracy": (accuracy.PAGE, accuracy_table(ACCURACY)),
    "benchmarks": (timing.PAGE, benchmark_tables(TIMES)),
    "analog": (analog.PAGE, analog.rendered(ANALOG)),
    "analog accuracy": (analog_accuracy.PAGE, analog_accuracy.rendered(read_json(analog_accuracy.RESULTS))),
    "pairs accuracy": (pairs_accuracy.PAGE, pairs_accuracy.rendered(read_json(pairs_accuracy.RESULTS))),
    "segments": (segments.PAGE, segments.table(read_json(segments.RESULTS))),
    "squeezed": (squeezed.PAGE, squeezed.table(read_json(squeezed.RESULTS))),
    "gains": (gains.PAGE, gains.table(read_json(gains.RESULTS))),
    "grouping": (grouping.PAGE, grouping.table(read_json(grouping.RESULTS))),
    "grouping speed": (grouping.SPEED_PAGE, grouping.speed_table(read_json(grouping.RESULTS))),
    "lookups": (lookups.PAGE, lookups.table(read_json(lookups.RESULTS))),
    "recommenders": (recommenders.PAGE, recommenders.table(read_json(recommenders.RESULTS))),
    "store": (store.PAGE, store.rendered(read_json(store.RESULTS))),
    "cluster": (cluster.PAGE, cluster.rendered(read_json(cluster.RESULTS), read_json(store.RESULTS))),
    "autorac": (autorac.PAGE, autorac.rendered(read_json(autorac.RESULTS))),
    "designs": (designs.PAGE, designs.rendered(read_json(designs.RESULTS))),
    "explore": (explore.PAGE, explore.rendered(read_json(explore.RESULTS))),
    "fronts": (fronts.PAGE, fronts.rendered(read_json(fronts.RESULTS))),
    "precision": (precision.PAGE, precision.rendered(read_json(precision.RESULTS))),
    "precision accuracy": (precision_accuracy.PAGE, precision_accuracy.rendered(read_json(precision_accuracy.RESULTS))),
    "claims": (claims.PAGE, claims.rendered(read_json(claims.RESULTS))),
    "basis fit": (basis_fit.PAGE, basis_fit.rendered(read_json(basis_fit.RESULTS))),
    "basis training": (basis_training.PAGE, basis_training.rendered(read_json(basis_training.RESULTS))),
    "clicks": (clicks.PAGE, clicks.rendered(read_json(clicks.RESULTS))),
    "rank": (rank.PAGE, rank.rendered(read_json(rank.RESULTS))),
    "rtl": (rtl.PAGE, rtl.rendered(read_json(rtl.RESULTS))),
}


@pytest.mark.parametrize(("page", "rendered"), [*PAGES.values()], ids=[*PAGES])
def test_a_page_shows_exactly_what_was_measured(page: Path, rendered: str) -> None:
    assert measured_part(page.read_text(encoding="utf-8"), str(page)) == rendered


def test_the_default_score_is_the_one_that_ranks_others_best() -> None:
    for found in read_json(rank.RESULTS)["sets"].values():
        plain = [row for row in found["rows"] if row["score"] in SCORES]
        assert max(plain, key=lambda row: row["others"])["score"] == DEFAULT
        assert found["ceiling"] <= 1.0 and all(abs(row["tau"]) <= 1.0 for row in found["rows"])


def test_analog_execution_is_as_fast_and_as_small_as_it_should_be_or_the_page_says_so() -> None:
    assert list(ANALOG["speed"]) == [*analog.CASES, *analog.LAYERS]
    page = analog.PAGE.read_text(encoding="utf-8")
    for each in ANALOG["speed"].values():
        assert each["conversions"] > 0
        if each["goal"] is not None:
            assert ("missed" in page) or each["took_s"] <= each["goal"] * each["float_s"]
    single, copies = ANALOG["memory"]["single"], ANALOG["memory"]["copies"]
    assert copies["arrays"] > 4 * single["arrays"]
    # Four times the float network; more arrays take no more of it, but for a tenth of allocation here and there.
    assert max(single["more_bytes"], copies["more_bytes"]) <= 4 * single["float_bytes"]
    assert copies["more_bytes"] <= 1.1 * single["more_bytes"]


def test_serving_look_ups_is_as_fast_as_it_should_be_and_linear() -> None:
    rows = read_json(lookups.RESULTS)["rows"]
    assert [row["bags"] for row in rows] == list(lookups.QUERIES)
    for row in rows:
        assert 60 * row["bags"] / row["serve_s"] >= lookups.GOAL_PER_MINUTE
    # Three decades: a bag takes about as long, and memory is that of a chunk, not of the trace.
    per_bag = [row["serve_s"] / row["bags"] for row in rows]
    assert max(per_bag) <= 3 * min(per_bag)
    assert rows[-1]["added_bytes"] <= 2 * max(row["added_bytes"] for row in rows[:-1])


def test_a_store_of_a_million_records_is_linear() -> None:
    """A record costs no more among a million than among ten thousand, in time, in bytes and in memory."""
    _, few, *_, many = read_json(store.RESULTS)["sizes"]
    assert many["records"] == 1_000_000 and few["records"] == 10_000
    for what in ("bytes", "put_s", "read_s", "arrange_s", "read_bytes"):
        assert many[what] / many["records"] <= 1.5 * few[what] / few["records"], what
    assert many["get_s"] <= 1.5 * few["get_s"]
    assert max(many[f"{what}_bytes"] for what in ("put", "read", "arrange")) <= 400e6


def test_a_point_is_behind_the_front_by_what_a_design_is_better_in_every_aim() -> None:
    own = {"values": {}, "interval_s": 2.0, "energy_j": 6.0}
    better, other = (
        {"values": {"a": 1}, "interval_s": 1.0, "energy_j": 5.0},
        {"values": {}, "interval_s": 0.1, "energy_j": 7.0},
    )
    assert fronts.behind(own, [other, better]) == (6 / 5, better) and fronts.behind(own, [other]) == (6 / 7, other)


def test_kills_on_a_cluster_lost_nothing_and_a_search_of_a_million_designs_is_linear() -> None:
    found = read_json(cluster.RESULTS)
    few, *_, many = found["walks"]
    assert many["designs"] == 1_000_000 and few["designs"] == 1_000
    assert many["walk_s"] / many["designs"] <= 1.5 * few["walk_s"] / few["designs"] and many["walk_bytes"] <= 600e6
    assert [row["killed"] for row in found["kills"]] == list(cluster.KILLS)
    assert (
        found["right"] == found["lines"] == found["items"] == cluster.ITEMS
        and found["exit"] == 0
        and found["said"] == ""
    )
    assert found["begun"] - found["items"] <= cluster.UNDER_WAY * len(cluster.KILLS)


def test_designs_are_judged_as_fast_as_they_should_be() -> None:
    cases = read_json(designs.RESULTS)["cases"]
    assert len(cases) == len(designs.CASES)
    for each in cases:
        assert each["goal"] == designs.GOALS[each["case"]]
        assert each["per_s"] >= each["goal"] if "per_s" in each else each["seconds"] <= each["goal"]
    assert cases[-1]["instructions"] > 59_000


def test_logic_computed_what_programs_do_in_the_cycles_of_the_timing_model() -> None:
    """No number of 10^5 differs, nor of resnet8; cycles as planned; presets, squeezed layers and layers on a basis take those of
    the timing model, mnsim 0.4 % more.
    """
    measured = read_json(rtl.RESULTS)
    assert measured["random"]["compared"] >= 100_000 and not measured["random"]["different"]
    assert measured["random"]["cycles_equal"] == measured["random"]["cycles_measured"]
    assert len(measured["resnet8"]) == 10 and all(layer["bit_exact"] for layer in measured["resnet8"])
    assert len(measured["combined"]) == 20
    for each in measured["combined"]:
        assert each["bit_exact"] and each["planned"] == each["model"] and each["cycles"] in (None, each["planned"])
    assert sum(each["cycles"] is not None for each in measured["combined"] if each["chip"] == "basisn") >= 9
    for each in measured["presets"]:
        assert each["cycles"] == pytest.approx(each["timed"], rel=0.004 if each["chip"] == "mnsim" else 1e-12)
        assert each["cpu_s"] <= 10


def test_fewer_bits_never_cost_more() -> None:
    found = read_json(precision.RESULTS)
    for kinds in found["shrunk"].values():
        for designs_ in kinds.values():
            for few in precision.BITS:
                assert all(factor >= 1 - 1e-9 for factor in precision.gains(designs_, few).values())
    assert precision.gains(found["shrunk"]["resnet50"]["all"], "4")["energy"] >= precision.GOALS["energy"]
    for each in found["narrow"].values():
        assert each["exact"]["energy"]["adc"] <= each["chip"]["energy"]["adc"] * (1 + 1e-9)
        assert max(each["exact"]["matrices_s"], each["used"]["matrices_s"]) <= each["chip"]["matrices_s"] * (1 + 1e-9)
    for schedules in found["rewritten"].values():
        for each in schedules.values():
            assert each["4"]["cells"] < each["8"]["cells"] and each["4"]["per_s"] > each["8"]["per_s"]


def test_a_network_keeps_its_accuracy_with_as_few_bits_as_were_asked() -> None:
    results = read_json(precision_accuracy.RESULTS)
    found = results["networks"]["resnet20"]
    chosen = precision_accuracy.best(found, mixed=True)
    assert chosen is not None and found["points"][chosen]["weight_bits"] <= precision_accuracy.GOAL_BITS
    assert precision_accuracy.lost(found, chosen) <= precision_accuracy.GOAL_POINTS
    for name, each in results["networks"].items():
        asked = [point for point, *_ in precision_accuracy.points(precision_accuracy.SUBJECTS[name])]
        assert list(each["points"]) == asked
        assert {len(point["right"]) for point in each["points"].values()} == {len(each["float"])}
    for file, drawing in precision_accuracy.plots(results).items():
        assert (precision_accuracy.IMAGES / file).read_text(encoding="utf-8") == drawing


def test_networks_on_a_basis_are_tuned_to_what_was_asked_or_the_page_says_so() -> None:
    subjects = read_json(basis_training.RESULTS)["subjects"]
    page = basis_training.PAGE.read_text(encoding="utf-8")
    for name, found in subjects.items():
        assert found["settings"] == {**asdict(Settings()), **basis_training.SUBJECTS[name].tuned}
        assert found["tuned"] > found["fitted"]
        if basis_training.lost(found, "tuned") > basis_training.SUBJECTS[name].goal:
            assert f"{name}: missed" in page


def test_recommenders_keep_what_they_were_trained_to() -> None:
    found = read_json(recommenders.RESULTS)
    for name in ("dlrm", "ncf"):
        assert found[name]["verified"].startswith("bit-exact")
    # Without variation the coding of the cells changes nothing.
    assert found["ncf"]["judged"]["offset"]["0"]["hits"] == found["ncf"]["judged"]["differential"]["0"]["hits"]


def test_squeezed_mapping_is_as_fast_as_it_should_be() -> None:
    rows = {row["network"]: row for row in read_json(squeezed.RESULTS)["rows"]}
    assert tuple(rows) == squeezed.NETWORKS
    for name, goal in squeezed.GOAL_S.items():
        assert rows[name]["map_s"] <= goal
    # Ten times the weights take about ten times as long, and no more memory a weight.
    small, large = rows["resnet18"], rows["vgg16"]
    assert large["map_s"] / small["map_s"] < 4 * large["weights"] / small["weights"]
    assert all(row["added_bytes"] <= 16 * row["weights"] for row in rows.values())


def test_every_network_and_every_case_was_measured() -> None:
    assert [each["file"] for each in ACCURACY["networks"]] == [case.file for case in accuracy.CASES]
    assert [each["name"] for each in TIMES["cases"]] == [case.name for case in CASES]


@pytest.mark.parametrize("each", ACCURACY["networks"], ids=lambda each: str(each["file"]))
def test_accuracy_meets_its_goal_or_is_explained(each: dict[str, Any]) -> None:
    """Judged here again from the counts, so that neither a goal nor a verdict can be softened in the file."""
    case = next(case for case in accuracy.CASES if case.file == each["file"])
    assert (each["stated_percent"], each["limit_points"]) == (case.stated, case.limit)
    samples, right = each["samples"], each["right"]
    assert right["stated"] == pytest.approx(case.stated * samples / 100)
    points = 100 * (right["tensor"] - right["stated"]) / samples
    reached = points >= -case.limit and (points <= case.limit or not case.quantised)
    assert reached == each["met"]["tensor"]
    assert reached or each["explanation"]
    for kind, change in each["against_float"].items():
        assert right[kind] - right["float"] == change["won"] - change["lost"]


@pytest.mark.parametrize("each", ACCURACY["networks"], ids=lambda each: str(each["file"]))
def test_the_measured_integers_were_executed_exactly_on_a_chip_too_small_for_them(each: dict[str, Any]) -> None:
    assert {name.split(",")[0] for name in each["verified"]} == {"naive", "overlap"}
    for found in each["verified"].values():
        assert found["ok"]
        assert found["blocks"] > found["groups"]
        assert not found["resident"]


def test_accuracy_is_still_what_it_was_when_measured(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest network, measured again, gives its record again."""
    monkeypatch.setattr(accuracy, "SCRATCH", tmp_path)
    case = next(case for case in accuracy.CASES if case.name == "dscnn_int8_qdq")
    found = accuracy.measure(case, data, lambda text, done, total: None)
    assert found == next(each for each in ACCURACY["networks"] if each["file"] == case.file)


def test_an_interrupted_measurement_goes_on_where_it_stopped_unless_the_code_changed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "SCRATCH", tmp_path)
    case = next(case for case in accuracy.CASES if case.name == "dscnn_int8_qdq")
    scratch = tmp_path / f"accuracy-{case.name}.json"
    computed: list[tuple[str, int]] = []
    scores = accuracy.Measurement.scores

    def watched(self: accuracy.Measurement, kind: str, start: int, stop: int) -> Any:
        if computed == [("float", 0)]:
            raise KeyboardInterrupt
        computed.append((kind, start))
        return scores(self, kind, start, stop)

    monkeypatch.setattr(accuracy.Measurement, "scores", watched)
    monkeypatch.setattr(accuracy.Measurement, "verdicts", lambda self: {"none": {}})
    with pytest.raises(KeyboardInterrupt):
        accuracy.measure(case, data, lambda text, done, total: None)
    computed.clear()
    computed.append(("begun again", 0))
    accuracy.measure(case, data, lambda text, done, total: None)
    assert computed[1:] == [("float", 250), ("tensor", 0), ("tensor", 250)]

    state = read_json(scratch) | {"fingerprint": "another"}
    write_json(scratch, state)
    computed[:] = [("begun again", 0)]
    accuracy.measure(case, data, lambda text, done, total: None)
    assert computed[1:] == [("float", 0), ("float", 250), ("tensor", 0), ("tensor", 250)]


def test_mho_and_the_model_beside_it_are_within_three_points() -> None:
    results = read_json(pairs_accuracy.RESULTS)
    for kind in pairs_accuracy.INPUTS:
        for device in pairs_accuracy.DEVICES:
            chips = [found for key, found in results[kind].items() if key.startswith(f"{device}/")]
            assert len(chips) >= (10 if pairs_accuracy.SPREADS[device] else 1)
            ours, model = (sum(side) / len(chips) / results["samples"] for side in zip(*chips, strict=True))
            assert abs(ours - model) <= 0.03


def test_ratios_and_goals_of_times_follow_from_what_was_measured() -> None:
    for each in TIMES["cases"]:
        goal = BY_NAME[each["name"]].goal
        assert (each["goal"]["seconds"], each["goal"]["bytes"]) == (goal.seconds, goal.bytes)
        for name, seconds in each["times"].items():
            assert each["ratios"][name] == pytest.approx(seconds / each["unit_s"])
        again = timing.record(BY_NAME[each["name"]], {k: each[k] for k in ("times", "peak_bytes")}, each["unit_s"])
        assert again["goal"]["met"] == each["goal"]["met"]
        assert 0 < each["base_bytes"] <= each["peak_bytes"]


def test_a_goal_is_missed_by_time_or_by_memory() -> None:
    case = BY_NAME["resnet50-overlap"]
    for seconds, most, met in ((0.9, 0.9e9, True), (1.1, 0.9e9, False), (0.9, 1.1e9, False)):
        measured = {"times": {"compile and simulate": seconds}, "peak_bytes": most}
        assert timing.record(case, measured, 0.1)["goal"]["met"] is met


@given(st.floats(0.001, 10), st.floats(0.3, 3))
def test_the_fitted_exponent_of_a_power_law_is_its_power(factor: float, power: float) -> None:
    sizes = [10, 20, 40, 80, 160]
    assert timing.exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power)


def test_a_measured_part_is_replaced_and_nothing_else() -> None:
    page = f"before\n\n{BEGIN}\nold\n{END}\nafter\n"
    replaced = with_measured_part(page, "new | table")
    assert measured_part(replaced) == "new | table"
    assert replaced.startswith("before\n\n")
    assert replaced.endswith("\nafter\n")
    assert with_measured_part(replaced, "new | table") == replaced
    for broken in ("no markers", BEGIN, f"{END} {BEGIN}", page + page):
        with pytest.raises(ValueError, match="exactly one"):
            with_measured_part(broken, "new")


@pytest.mark.parametrize(
    "module",
    [
        "benchmarks",
        "benchmarks.accuracy",
        "benchmarks.analog",
        "benchmarks.analog_accuracy",
        "benchmarks.pairs_accuracy",
        "benchmarks.squeezed",
        "benchmarks.placement",
        "benchmarks.reuse",
        "benchmarks.study",
        "benchmarks.wires",
    ],
)
def test_help_is_plain_and_imports_nothing_heavy(module: str) -> None:
    code = f"""
import json, runpy, sys
sys.argv = ["command", "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__")
except SystemExit as end:
    print(json.dumps([end.code, [name for name in ("torch", "numpy", "onnx") if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    *text, last = done.stdout.strip().splitlines()
    assert json.loads(last) == [0, []]
    assert "--only" in "\n".join(text)
