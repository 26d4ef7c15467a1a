"""Many designs: each is what compile and simulate give, kept as it comes, whoever computes it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.errors import ChipError, OptionError, StrategyError
from mho.explore import Exploration, space
from mho.files.store import Store
from mho.network.layers import Array, Input, Linear
from mho.report.sections import Table
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
    assert found.best("latency_s")["latency_s"] == min(record["latency_s"] for record in found.records)
    assert "4 points" in repr(found) and found.frame("points")["strategy.schedule"] == ["naive", "aras"] * 2
    assert Exploration.from_dict(found.to_dict()) == found


def test_what_is_found_of_a_network_once_does_not_go_to_other_processes() -> None:
    mho.simulate(mho.compile(NETWORK, "aras", "naive"))
    assert vars(NETWORK)["_known"] and not vars(pickle.loads(pickle.dumps(NETWORK)))["_known"]


def test_workers_change_nothing_and_what_is_kept_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "points.jsonl"
    first = mho.explore(NETWORK, "aras", {**AXES, "strategy.schedule": ["naive"]}, store=path, workers=2)
    measured: list[str] = []
    real = space._measured
    monkeypatch.setattr(
        space, "_measured", lambda design: (measured.append(str(design.strategy.schedule)), real(design))[1]
    )
    whole = mho.explore(NETWORK, "aras", AXES, store=path)
    assert measured == ["aras", "aras"]
    assert [record for record in whole.records if record["values"]["strategy.schedule"] == "naive"] == list(
        first.records
    )
    assert len(Store(path)) == 4
    doubled = Linear(name="y", inputs=("x",), shape=(1, 40), weight=Array.of(2 * W))
    other = mho.Network("toy", (NETWORK.layers[0], doubled), ("y",), "test")
    mho.explore(other, "aras", AXES, store=path)
    assert len(measured) == 6 and len(Store(path)) == 8  # other weights are other points


def test_a_point_that_cannot_be_compiled_stays_with_its_reason() -> None:
    found = mho.explore(NETWORK, "aras", {"strategy.mapping": ["dense", "squeezed"]})
    assert [record["refused"] is None for record in found.records] == [True, False]
    assert found.records[1]["latency_s"] is None and "squeezed" in found.records[1]["refused"]
    assert found.front() == found.feasible == found.records[:1]
    with pytest.raises(OptionError, match="no point can be compiled"):
        Exploration.of("n", "c", found.records[1:]).best("energy_j")


def test_what_a_point_cannot_be_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "compile", None)
    for axes, error, words in (
        ({}, OptionError, "at least one key"),
        ({"tiles": [1]}, OptionError, "chip.tiles"),
        ({"chip.tiles": []}, OptionError, "list of values"),
        ({"chip.tiles": "12"}, OptionError, "list of values"),
        ({"chip.tiles": [4, 4]}, OptionError, "given twice"),
        ({"chip.tile": [4]}, ChipError, "tiles"),
        ({"strategy.schedule": ["aras", "arras"]}, StrategyError, "did you mean aras"),
        ({"analog.adc.bits": [6]}, OptionError, "samples with labels"),
    ):
        with pytest.raises(error, match=words):
            mho.explore(NETWORK, "aras", axes)
    with pytest.raises(OptionError, match="at least one worker"):
        mho.explore(NETWORK, "aras", AXES, workers=0)


def test_the_analog_side_of_a_point_gives_its_accuracy(tmp_path: Path) -> None:
    from mho.network.samples import Samples

    x = np.random.default_rng(4).normal(size=(60, 300))
    samples = Samples((x,), (x @ W.T).argmax(axis=1), "drawn")
    subject = mho.number.quantise(NETWORK, x)
    found = mho.explore(subject, "aras", {"analog.adc.bits": [3, "ideal"]}, samples=samples, store=tmp_path / "a.jsonl")
    coarse, ideal = (record["accuracy"] for record in found.records)
    program = mho.compile(subject, "aras")
    analog = mho.machine.analog.Analog().override({"adc.bits": 3})
    assert coarse == mho.explore.evaluate(program, samples, analog).accuracy < ideal
    assert found.best("accuracy")["values"] == {"analog.adc.bits": "ideal"}
    assert len({record["latency_s"] for record in found.records}) == 1


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=30))
def test_the_front_is_what_no_point_beats(costs: list[tuple[int, int, int]]) -> None:
    keys = ("latency_s", "energy_j", "area_m2")
    records = tuple(
        {"values": {"n": n}, "refused": None, **dict(zip(keys, cost, strict=True))} for n, cost in enumerate(costs)
    )
    kept = {record["values"]["n"] for record in Exploration.of("n", "c", records).front()}
    for n, cost in enumerate(costs):
        beaten = any(all(a <= b for a, b in zip(other, cost, strict=True)) and other != cost for other in costs)
        assert (n in kept) != beaten


def test_an_exploration_is_shown_with_its_front_and_its_refusals() -> None:
    record = {"values": {"chip.tiles": 4}, "latency_s": 1e-3, "energy_j": 2e-6, "area_m2": 1e-6, "refused": None}
    refused = {**dict.fromkeys(record), "values": {"chip.tiles": 1}, "refused": "does not fit"}
    shown = view(Exploration.of("net", "chip", (record, refused)))
    (points,) = [section for section in shown.sections if isinstance(section, Table)]
    assert (
        points.tones == {0: "strong"}
        and points.lines[0][:2] == ("4", "1.00 ms")
        and points.lines[1][-1] == "does not fit"
    )
