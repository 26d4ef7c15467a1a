"""Strategies of embedding tables: any of them serves what it must, and doors refuse what is of the other kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip.lookup import Reading
from mho.errors import StrategyError
from mho.explore import Request, recommend
from mho.explore.designs import DESIGNS
from mho.machine.lookup import reduce
from mho.machine.lookup.dispatch import dispatch
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace, synthesise
from mho.strategy import STAGES, TABLE_STAGES, Strategy, registered
from mho.strategy.template import strategy_template
from tests.command_line import Shell
from tests.lookup_oracle import chip_of, embedding_bags, traces
from tests.test_strategy import choices

SWEEPS = 5


@st.composite
def of_tables(draw: st.DrawFn) -> Strategy:
    """Draw a choice of every stage of tables; annealing takes few sweeps."""
    drawn = Strategy().with_({stage: draw(choices(stage)) for stage in TABLE_STAGES})
    anneals = "sweeps" in drawn.grouping.settings()
    return drawn.with_(sweeps=SWEEPS) if anneals else drawn


@given(of_tables())
def test_a_strategy_of_tables_comes_back_from_its_data(strategy: Strategy) -> None:
    data = json.loads(json.dumps(strategy.to_dict()))
    assert Strategy.from_dict(data) == strategy
    told = (name for name, stage in STAGES.items() if not stage.later)
    assert set(data) == {*told, *(TABLE_STAGES if strategy.table_stages else ())}
    assert strategy.of_networks() == Strategy() and strategy.of_tables() == strategy
    assert all(getattr(strategy, stage).name in Strategy.choices(stage) for stage in TABLE_STAGES)


@settings(max_examples=25)
@given(of_tables(), traces(most_bags=12), st.sampled_from((1.0, 1.5, 3.0)), st.data())
def test_any_strategy_serves_every_bag_exactly_within_its_budget(
    strategy: Strategy, trace: Trace, budget: float, data: st.DataObject
) -> None:
    assume(trace.lookups)
    request = Request(trace, chip_of(), budget, 3, 5, strategy=strategy)
    made = request.design("drawn", strategy)
    assert made.layout.instances <= budget * made.layout.least_groups + 1e-9
    reading = Reading(made.chip, 5, trace_bits(trace), int(trace.lengths.max()))
    program = dispatch(trace, Seats(made.layout, made.chip, 5, made.placed), reading, 3)
    program.check()
    table = np.random.default_rng(0).integers(-128, 128, (trace.total_rows, 5)).astype(np.int8)
    assert np.array_equal(reduce(program, table).vectors, embedding_bags(trace, table))


def trace_bits(trace: Trace) -> int:
    return 1 if trace.weights is None else int(trace.weights.max(initial=1)).bit_length()


def test_presets_are_the_designs_that_bear_their_names() -> None:
    for name in ("recross", "nmars", "mho"):
        assert DESIGNS[name].strategy == Strategy.load(name)
        assert Strategy.load(name).table_stages and not Strategy.load(name).network_stages
    assert Strategy.load("recross").papers[0] == "aras"
    assert "recross" in Strategy.load("recross").papers


def test_networks_and_traces_refuse_the_choices_of_the_other() -> None:
    network, chip = mho.zoo.load("resnet20"), mho.Chip.load("recross")
    trace = synthesise(20, (50,), (4.0,), seed=1)
    for refusal in Strategy.load("recross").refusals(network, chip):
        assert refusal.field in TABLE_STAGES and "resnet20 is compiled without it" in refusal.demanded
    with pytest.raises(StrategyError, match="grouping 'greedy': lays out embedding tables"):
        mho.compile(network, "aras", "recross")
    with pytest.raises(StrategyError, match="schedule 'aras': says how a network is compiled"):
        recommend(trace, strategy="aras")
    assert not Strategy.load("recross").refusals(trace, chip)
    (refusal,) = Strategy().refusals(trace, mho.Chip.load("aras"))
    assert (refusal.field, refusal.bound, refusal.helps) == ("chip", "lookup", "take chip recross")


def test_a_file_of_tables_strategy_is_a_strategy(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(strategy_template("nmars", "mine", str(path)))
    assert "mho recommend TRACE --strategy" in path.read_text()
    assert Strategy.load(path) == Strategy.load("nmars")


def test_recommend_takes_a_strategy_and_cites_its_papers(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "clicks.npz"
    synthesise(60, (80,), (5.0,), seed=2).save(path)
    told = shell(
        "recommend",
        str(path),
        "--strategy",
        "nmars",
        "--copies",
        "log",
        "--design",
        "naive",
        "--design",
        "mho",
        "--cite",
    )
    assert told.code == 0 and "@inproceedings{recross," in told.out and "@inproceedings{isaac," in told.out
    assert "as asked: grouping id" in " ".join(told.out.split())
    found = recommend(str(path), strategy=Strategy.load("nmars").with_(copies="log"), designs=("mho",))
    assert set(found.papers) >= {"recross", "isaac"}
    # Ideas that it does not have are left out.
    assert [taken.name for taken in found.taken] == ["naive", "copies", "ADC modes"]


def test_run_with_a_trace_lays_tables_out_by_the_strategy(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "clicks.npz"
    synthesise(120, (60, 40), (4.0, 3.0), seed=3).save(path)
    words = ("run", "dlrm", "--trace", str(path), "--schedule", "naive", "--banks", "greedy")
    usual = shell(*words, "--json", "-").json()
    other = shell(*words, "--grouping", "id", "--copies", "none", "--json", "-").json()
    assert usual["tables"]["layout"]["method"] == "anneal" and other["tables"]["layout"]["method"] == "id"
    assert other["tables"]["layout"]["area_ratio"] == 1.0
    assert usual["program"]["strategy"] == other["program"]["strategy"]
    ended = shell("run", "resnet20", "--grouping", "id")
    assert ended.code == 2 and "--grouping id: lays out embedding tables" in ended.err


@pytest.mark.parametrize("stage", TABLE_STAGES)
def test_every_option_of_tables_is_in_the_help(shell: Shell, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("run", "recommend"):
        shown = shell(command, "--help").out
        assert f"--{stage.replace('_', '-')}" in shown
        assert all(name in shown for name in registered(stage))
