"""Many designs: each is what compile and simulate give, kept as it comes, whoever computes it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import ChipError, OptionError, StrategyError
from mho.explore import Exploration, Limit, Space
from mho.explore.screening import Judge
from mho.files.store import Store
from mho.network.layers import Array, Input, Linear
from mho.report.sections import Candidates, Designs
from mho.report.views import view
from tests.strategies import GREEDY

W = np.random.default_rng(3).normal(size=(40, 300))
NETWORK = mho.Network(
    "toy",
    (
        Input(name="x", inputs=(), shape=(1, 300)),
        Linear(name="y", inputs=("x",), shape=(1, 40), weight=Array.of(W)),
    ),
    ("y",),
    "test",
)
AXES = {"chip.memory.bandwidth": [1e9, 1e10], "strategy.schedule": ["naive", "aras"]}
WIDE = {
    "tiles": [1, 2, 4, 8],
    "memory.bandwidth": [1e9, 1e10, 1e11],
    "array.adcs": [4, 8, 16],
    "schedule": ["naive", "aras"],
}


def test_each_point_is_what_compiling_and_simulating_gives() -> None:
    found = mho.explore(NETWORK, "aras", AXES)
    assert [record["values"] for record in found.records] == [
        {"chip.memory.bandwidth": rate, "strategy.schedule": schedule}
        for rate in (1e9, 1e10)
        for schedule in ("naive", "aras")
    ]
    for record in found.records:
        rate, schedule = record["values"].values()
        chip = mho.Chip.load("aras").override({"memory.bandwidth": rate}, "assumption: test")
        report = mho.simulate(mho.compile(NETWORK, chip, GREEDY.with_(schedule=schedule)))
        assert (record["latency_s"], record["energy_j"]) == (report.latency_s, report.energy_j)
        assert record["area_m2"] == chip.roll_up().area_m2.total and record["refused"] is None
    assert found.best("time")["latency_s"] == min(record["latency_s"] for record in found.records)
    assert "4 designs" in repr(found) and found.frame("points")["strategy.schedule"] == ["naive", "aras"] * 2
    assert Exploration.from_dict(found.to_dict()) == found


def test_what_is_found_of_a_network_once_does_not_go_to_other_processes() -> None:
    mho.simulate(mho.compile(NETWORK, "aras", "naive"))
    assert vars(NETWORK)["_known"] and not vars(pickle.loads(pickle.dumps(NETWORK)))["_known"]


def test_workers_change_nothing_and_what_is_kept_is_not_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "points.jsonl"
    naive = mho.explore(NETWORK, "aras", {**AXES, "strategy.schedule": ["naive"]}, store=path, workers=2, measure=0)
    judged: list[Any] = []
    real = Judge.measured
    monkeypatch.setattr(Judge, "measured", lambda judge, values: (judged.append(values), real(judge, values))[1])
    whole = mho.explore(NETWORK, "aras", AXES, store=path, measure=0)
    assert [each["strategy.schedule"] for each in judged] == ["aras", "aras"]
    kept = [record for record in whole.records if record["values"]["strategy.schedule"] == "naive"]
    assert [{**record, "number": n} for n, record in enumerate(kept)] == list(naive.records)
    assert len(Store(path)) == 4 + 1  # the designs, and the chip as it stands
    doubled = Linear(name="y", inputs=("x",), shape=(1, 40), weight=Array.of(2 * W))
    mho.explore(mho.Network("toy", (NETWORK.layers[0], doubled), ("y",), "test"), "aras", AXES, store=path, measure=0)
    assert len(judged) == 2 + 5 and len(Store(path)) == 2 * 5  # other weights are other designs


def test_the_designs_and_the_bytes_are_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    found = []
    for workers in (1, 3):
        path = tmp_path / f"{workers}.jsonl"
        how: dict[str, Any] = {"budget": 30, "behind": 8, "seed": 3, "limits": ["area=30"]}
        found.append(mho.explore(NETWORK, "aras", WIDE, store=path, workers=workers, measure=3, **how))
    assert found[0] == found[1] and len(found[0].records) == 30
    assert len({(tmp_path / f"{workers}.jsonl").read_bytes() for workers in (1, 3)}) == 1
    designs = [tuple(record["values"].values()) for record in found[0].records]
    assert len(set(designs)) == 30


def test_an_interrupted_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    how: dict[str, Any] = {"budget": 24, "behind": 4, "measure": 2}
    whole = mho.explore(NETWORK, "aras", WIDE, store=tmp_path / "whole.jsonl", **how)

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 9:
            raise KeyboardInterrupt

    path = tmp_path / "broken.jsonl"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mho.explore.pace.Pace.EVERY_S", 0.0)
        mho.explore(NETWORK, "aras", WIDE, store=path, progress=interrupt, **how)
    assert 9 <= len(Store(path)) < 24
    assert mho.explore(NETWORK, "aras", WIDE, store=path, **how) == whole
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_the_front_is_measured_in_full_with_its_command_and_its_report(tmp_path: Path) -> None:
    from mho.explore import Measuring
    from mho.report.views import files

    how = Measuring(folder=tmp_path, files=files, command=lambda values: f"run {values['tiles']}")
    axes = {"tiles": [2, 4], "buffer.banks": [[4096, 65536], [65536]], "schedule": ["naive"]}
    found = mho.explore(NETWORK, "aras", axes, measuring=how)
    lines = found.content["measured"]
    assert [line["number"] for line in lines] == [record["number"] for record in found.front()]
    for line in lines:
        values = found.records[line["number"]]["values"]
        assert line["command"] == f"run {values['tiles']}"
        path = tmp_path / Path(line["report"][0]).with_suffix(".json")
        report = mho.Report.load(path)
        assert (report.latency_s, report.energy_j) == (line["latency_s"], line["energy_j"])
        screened = found.records[line["number"]]
        assert line["differs"] == max(
            abs(line[f] - screened[f]) / screened[f] for f in ("latency_s", "energy_j", "area_m2")
        )
        assert line["bound_ratio"] >= 1 and line["unresolved"] == report.field("converters")["short"]
    table = (tmp_path / "designs.csv").read_text().splitlines()
    assert len(table) == 1 + 4 and table[0].startswith("number,tiles,buffer.banks,schedule,latency_s")
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "designs.parquet").to_pylist()
    assert [row["energy_j"] for row in rows] == [record["energy_j"] for record in found.records]


def test_a_point_that_cannot_be_compiled_stays_with_its_reason() -> None:
    found = mho.explore(NETWORK, "aras", {"strategy.mapping": ["dense", "squeezed"]})
    assert [record["refused"] is None for record in found.records] == [True, False]
    assert found.records[1]["latency_s"] is None and "squeezed" in found.records[1]["refused"]
    assert found.front() == found.feasible == found.records[:1]
    (entry,) = found.content["refused"]
    assert entry["count"] == 1 and entry["example"] == 1 and entry["reason"] == found.records[1]["reason"]
    with pytest.raises(OptionError, match="no point can be compiled"):
        mho.explore(NETWORK, "aras", {"strategy.mapping": ["squeezed"]}).best("energy")


def test_limits_take_designs_from_the_front_and_name_what_is_broken() -> None:
    free = mho.explore(NETWORK, "aras", WIDE, measure=0)
    areas = sorted(record["area_m2"] for record in free.records)
    bound = areas[len(areas) // 2]
    found = mho.explore(NETWORK, "aras", WIDE, limits=[Limit.read(f"area={bound * 1e6!r}")], measure=0)
    for record, same in zip(found.records, free.records, strict=True):
        assert record["breaks"] == (["area"] if same["area_m2"] > bound else [])
    legal = [record for record in free.records if record["area_m2"] <= bound]
    assert {record["number"] for record in found.front()} <= {record["number"] for record in legal}
    assert found.best("time")["latency_s"] == min(record["latency_s"] for record in legal)


def test_several_networks_are_summed_their_worst_or_each_an_aim() -> None:
    wide = Linear(name="y", inputs=("x",), shape=(1, 80), weight=Array.of(np.concatenate([W, W])))
    networks = {"one": NETWORK, "two": mho.Network("two", (NETWORK.layers[0], wide), ("y",), "test")}
    axes = {"tiles": [2, 4]}
    alone = [mho.explore(network, "aras", axes, measure=0).records for network in networks.values()]
    for way, told in (("sum", lambda a, b: a + b), ("worst", max)):
        together = mho.explore(networks, "aras", axes, over=way, measure=0)
        assert [record["latency_s"] for record in together.records] == [
            told(one["latency_s"], two["latency_s"]) for one, two in zip(*alone, strict=True)
        ]
        assert [record["area_m2"] for record in together.records] == [one["area_m2"] for one in alone[0]]
    each = mho.explore(networks, "aras", axes, over="each", measure=0)
    assert [aim["field"] for aim in each.content["aims"]] == [
        "latency_s:one", "latency_s:two", "energy_j:one", "energy_j:two", "area_m2"
    ]  # fmt: skip
    assert each.records[1]["energy_j:two"] == alone[1][1]["energy_j"]


def test_a_network_is_varied_by_what_loads_it() -> None:
    def load(batch: int = 1) -> mho.Network:
        return mho.zoo.load("resnet20", batch=batch)

    found = mho.explore(load, "aras", {"network.batch": [1, 4], "schedule": ["naive"]}, measure=0)
    assert found.records[1]["latency_s"] > found.records[0]["latency_s"]
    with pytest.raises(OptionError, match="a function that loads"):
        mho.explore(NETWORK, "aras", {"network.batch": [1, 2]})


def test_what_a_point_cannot_be_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mho.explore.screening.compile", None)
    cases: tuple[tuple[Any, dict[str, Any], type[Exception], str], ...] = (
        ({}, {}, OptionError, "at least one key"),
        ({"tile": [1]}, {}, OptionError, "did you mean tiles"),
        ({"chip.tiles": []}, {}, OptionError, "list of values"),
        ({"chip.tiles": "12"}, {}, OptionError, "list of values"),
        ({"chip.tiles": [4, 4]}, {}, OptionError, "given twice"),
        ({"chip.tiles": [4], "tiles": [5]}, {}, OptionError, "same key"),
        ({"chip.tile": [4]}, {}, ChipError, "tiles"),
        ({"tiles": [-4]}, {}, ChipError, "tiles"),
        ({"network.depth": [4]}, {}, OptionError, "batch"),
        ({"sequence": [4]}, {}, OptionError, "network.sequence"),
        ({"strategy.schedule": ["aras", "arras"]}, {}, StrategyError, "did you mean aras"),
        ({"analog.adc.bits": [6]}, {}, OptionError, "samples with labels"),
        (AXES, {"minimise": ["tme"]}, OptionError, "did you mean time"),
        (AXES, {"minimise": ["time", "time"]}, OptionError, "given twice"),
        (AXES, {"minimise": ["accuracy"]}, OptionError, "samples with labels"),
        (AXES, {"minimise": ["lifetime"]}, OptionError, "endurance"),
        (AXES, {"limits": ["area"]}, OptionError, "NAME=VALUE"),
        (AXES, {"limits": ["area=3ms"]}, OptionError, "measures time"),
        (AXES, {"limits": ["area=x"]}, OptionError, "no number"),
        (AXES, {"limits": ["area=1", "area=2"]}, OptionError, "two limits"),
        (AXES, {"over": "mean"}, OptionError, "known: each, sum, worst"),
        (AXES, {"search": "frnt"}, OptionError, "did you mean front"),
        (AXES, {"budget": 0}, OptionError, "at least 1"),
        (AXES, {"workers": 0}, OptionError, "at least one worker"),
        (AXES, {"budget": 2, "workers": 5}, OptionError, "behind=5"),
    )
    for axes, how, error, words in cases:
        with pytest.raises(error, match=words):
            mho.explore(NETWORK, "aras", axes, **how)


def test_conditions_are_read_and_refused_with_what_is_allowed() -> None:
    space = Space(
        {"array.adcs": [4, 8, 16], "tiles": [2, 4], "schedule": ["naive", "aras"]}, ["array.adcs * 2 <= tiles * 8"]
    )
    assert [(each["array.adcs"], each["tiles"]) for each in space][::2] == [(4, 2), (4, 4), (8, 2), (8, 4), (16, 4)]
    assert space.formula() == "3 × 2 × 2 = 12 designs, of which 10 meet the conditions" and len(space) == 12
    chip = mho.Chip.load("aras")
    for text, meets in (
        ("schedule == naive or tiles > 2", lambda a, t, s: s == "naive" or t > 2),
        ("not (tiles == 2) and array.adcs != 8", lambda a, t, s: t != 2 and a != 8),
        ("array.adcs <= array.columns // 16", lambda a, t, s: a <= chip.array.columns // 16),
        ("2 < tiles <= 4", lambda a, t, s: 2 < t <= 4),
        ("chip.tiles == 2 and strategy.schedule == 'aras'", lambda a, t, s: t == 2 and s == "aras"),
    ):
        allows = Space(space.axes, [text]).allows(chip)
        for a, adcs in enumerate((4, 8, 16)):
            for t, tiles in enumerate((2, 4)):
                for s, schedule in enumerate(("naive", "aras")):
                    assert allows((a, t, s)) == meets(adcs, tiles, schedule), text
    for text, words in (
        ("tiles <", "cannot be read"), ("tiles ** 9 > 1", "no comparison"), ("open('x')", "compares nothing"),
        ("tiles", "compares nothing"), ("tiles > 1 and array.adcs", "compares nothing"),
        ("rows > 2", "names no axis"), ("array.adc > tiles", "neither an axis"), ("tiles if tiles else 2", "compares nothing"),
        ("tiles < " + "9" * 2000, "longer than"), ("schedule > 3", "cannot be told"), ("tiles / 0 > 1", "cannot be told"),
        ("schedule * 99999999 == tiles", "cannot be told"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            list(Space(space.axes, [text]))


def test_a_space_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("over:\n  tiles: 24:96:24\n  schedule: [naive, aras]\nwhen: [tiles > 24]\n")
    space = Space.load(path)
    assert len(list(space)) == 6 and space.values((3, 1)) == {"tiles": 96, "schedule": "aras"}
    for text, words in (
        ("over: {tiles: []}", "list of values"), ("over: 3", "gives each key"), ("{}", "gives each key"),
        ("axes: {tiles: [1]}", "over"), ("over: {tiles: 1:x:2}", "a range is"), ("over: {tiles: [1]}\nwhen: tiles > 3", "list of"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(OptionError, match=words) as refused:
            Space.load(path).conditions()
        assert str(path) in str(refused.value)


def test_the_analog_side_of_a_point_gives_its_accuracy(tmp_path: Path) -> None:
    from mho.network.samples import Samples

    x = np.random.default_rng(4).normal(size=(60, 300))
    samples = Samples((x,), (x @ W.T).argmax(axis=1), "drawn")
    subject = mho.number.quantise(NETWORK, x)
    how: dict[str, Any] = {"samples": samples, "store": tmp_path / "a.jsonl", "minimise": ["accuracy", "energy"]}
    found = mho.explore(subject, "aras", {"analog.adc.bits": [3, "ideal"]}, **how)
    coarse, ideal = (record["accuracy"] for record in found.records)
    program = mho.compile(subject, "aras")
    analog = mho.machine.analog.Analog().override({"adc.bits": 3})
    assert coarse == mho.explore.evaluate(program, samples, analog).accuracy < ideal
    assert found.best("accuracy")["values"] == {"analog.adc.bits": "ideal"}
    assert len({record["latency_s"] for record in found.records}) == 1
    (line,) = found.content["measured"]
    assert line["accuracy"] == ideal and line["accuracy_lost"] == pytest.approx(0, abs=1)


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=30))
def test_the_front_is_what_no_point_beats(costs: list[tuple[int, int, int]]) -> None:
    keys = ("latency_s", "energy_j", "area_m2")
    records = [
        {"number": n, "values": {"n": n}, "refused": None, "breaks": [], **dict(zip(keys, cost, strict=True))}
        for n, cost in enumerate(costs)
    ]
    kept = {record["number"] for record in _of(records).front()}
    for n, cost in enumerate(costs):
        beaten = any(all(a <= b for a, b in zip(other, cost, strict=True)) and other != cost for other in costs)
        assert (n in kept) != beaten


def test_what_was_found_is_kept_and_read_back(tmp_path: Path) -> None:
    found = mho.explore(NETWORK, "aras", WIDE, budget=12, limits=["area=30"])
    assert Exploration.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert "12 designs" in repr(found) and found.frame("points")["schedule"] == [
        r["values"]["schedule"] for r in found.records
    ]
    shown = view(found)
    (drawn,) = [section for section in shown.sections if isinstance(section, Designs)]
    assert drawn.data["number"] == [record["number"] for record in found.feasible] and not drawn.data["left_out"]
    (front,) = [section for section in shown.sections if isinstance(section, Candidates)]
    assert {each.number for each in front.candidates} == {record["number"] for record in found.front()}


def _of(records: list[dict[str, Any]]) -> Exploration:
    """Return an exploration of records, with nothing else in it."""
    content = {name: [] for name in Exploration.needs if name not in ("version", "points")}
    return Exploration({**content, "points": records})
