"""Advice: steps are what they say, each is the very design compiled, a step and its reverse cancel, nothing is left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.spec import ChipSpec
from mho.engineering import percent_change
from mho.errors import ChipError, MhoError, OptionError
from mho.explore import Advice, advise
from mho.explore.change import SURE, TOLD
from mho.explore.neighbours import GIVEN, Change, neighbours
from mho.explore.objectives import ALWAYS, OBJECTIVES, figures
from mho.network.graph import Network
from mho.quantity import marks
from mho.report.page import render
from mho.report.views import view
from mho.schedule.sizing import sized
from mho.strategy import STAGES, Strategy
from tests.command_line import Shell
from tests.strategies import GREEDY, chips, networks

PLAN = GREEDY.with_(schedule="overlap")


def at(chip: Chip, key: str) -> Any:
    found: Any = chip.spec
    for name in key.split("."):
        found = getattr(found, name, None)
    return found


def step(chip: Chip, plan: Strategy, part: str, key: str, after: Any) -> tuple[Chip, Strategy]:
    """Change a design as anyone would."""
    value = tuple(after) if isinstance(after, list) else after
    return (chip.override({key: value}, "by hand"), plan) if part == "chip" else (chip, plan.with_({key: value}))


def differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Name the dotted keys at which two records differ."""
    found: set[str] = set()
    for key in {*one, *other}:
        pair = one.get(key), other.get(key)
        if all(isinstance(each, dict) for each in pair):
            found |= differing(*pair, f"{prefix}{key}.")  # type: ignore[arg-type]
        elif pair[0] != pair[1]:
            found.add(f"{prefix}{key}")
    return found


@pytest.fixture(scope="module")
def advice() -> Advice:
    return advise(mho.zoo.load("resnet20"), "aras", PLAN)


@pytest.mark.parametrize("name", Chip.presets())
def test_every_number_of_a_chip_goes_both_ways_and_every_word_becomes_each_other(name: str) -> None:
    chip = Chip.load(name)
    steps = Counter((each.key, each.step) for each in neighbours(chip, Strategy()) if each.part == "chip")
    for key in marks(ChipSpec):
        value = at(chip, key)
        if key in GIVEN or value is None or isinstance(value, str):
            continue
        assert {step for other, step in steps if other == key} <= {"up", "down"}, key
        # One that has no double goes up at most; what is at an end of its range goes the other way.
        assert value == 0 or steps[key, "up"] + steps[key, "down"] >= 1, key
        assert steps[key, "up"] <= 1 >= steps[key, "down"]
    words = [each for each in neighbours(chip, Strategy()) if each.key == "array.coding"]
    assert {each.after[0] for each in words} | {chip.array.coding} == {*marks(ChipSpec)["array.coding"].words}  # type: ignore[attr-defined]
    stages = Counter(each.key for each in neighbours(chip, Strategy()) if each.part == "strategy")
    assert stages == {stage: len(Strategy.choices(stage)) - 1 for stage in STAGES}


@pytest.mark.parametrize("name", ["aras", "isaac", "sme", "raella"])
def test_a_step_changes_its_own_parameter_alone_and_in_its_direction(name: str) -> None:
    chip = Chip.load(name)
    for each in neighbours(chip, PLAN):
        if each.part == "strategy":
            continue
        for after in each.after:
            if isinstance(after, int | float) and isinstance(each.before, int | float):
                assert (after > each.before) == (each.step == "up"), each
            try:
                varied = chip.override({each.key: after}, "by hand")
            except ChipError:
                continue
            assert differing(chip.spec.to_dict(), varied.spec.to_dict()) == {each.key}


def back(chip: Chip, plan: Strategy, record: Mapping[str, Any]) -> list[Change]:
    """Return the steps from a changed design that undo the change."""
    there, chosen = step(chip, plan, record["part"], record["key"], record["after"])
    return [
        each for each in neighbours(there, chosen) if each.key == record["key"] and each.after[0] == record["before"]
    ]


def test_a_step_and_its_reverse_cancel(advice: Advice) -> None:
    chip, network = Chip.load("aras"), mho.zoo.load("resnet20")
    keys = ("memory.bandwidth", "array.adcs", "schedule", "array.adc_bits")
    taken = [record for record in advice.feasible if record["key"] in keys]
    undone = [(record, each) for record in taken for each in back(chip, PLAN, record)]
    assert {record["key"] for record, _ in undone} == set(keys)
    for record, reverse in undone:
        there = step(chip, PLAN, record["part"], record["key"], record["after"])
        again = figures(
            mho.simulate(mho.compile(network, *step(*there, reverse.part, reverse.key, reverse.after[0]))), TOLD
        )
        assert {key: again[key] for key in again} == {key: advice.base[key] for key in again}
        for aim in TOLD:
            field = OBJECTIVES[aim].field
            assert record["ratios"][aim] * (again[field] / record[field]) == pytest.approx(1, rel=1e-12)


@settings(max_examples=6)
@given(networks, chips(), st.sampled_from(["overlap", "aras"]), st.sampled_from(TOLD), st.data())
def test_every_change_is_the_design_compiled_anew(
    network: Network, chip: Chip, schedule: str, aim: str, data: st.DataObject
) -> None:
    chip = Chip.from_dict(chip.to_dict())
    plan = GREEDY.with_(schedule=schedule)
    found = advise(network, chip, plan, minimise=aim)
    base = figures(mho.simulate(mho.compile(network, chip, plan)), TOLD)
    assert {key: found.base[key] for key in base} == base
    steps = [(each.part, each.key, each.step) for each in neighbours(chip, plan)]
    told = [*found.records, *found.content["unchanged"]]
    assert len(told) == len(steps)
    assert Counter((each["part"], each["key"]) for each in told) == Counter((part, key) for part, key, _ in steps)
    ratios = [record["ratios"][aim] for record in found.feasible]
    assert ratios == sorted(ratios)
    assert [record["refused"] is None for record in found.records] == [True] * len(ratios) + [False] * (
        len(found.records) - len(ratios)
    )
    for record in data.draw(st.lists(st.sampled_from(told), min_size=6, max_size=6)):
        where = record["part"], record["key"], record["after"]
        if record.get("refused"):
            with pytest.raises(MhoError) as raised:
                mho.compile(network, *step(chip, plan, *where))
            assert record["refused"] == str(raised.value)
            assert record["latency_s"] is None and not record["ratios"]
            continue
        measured = figures(mho.simulate(mho.compile(network, *step(chip, plan, *where))), TOLD)
        if "ratios" in record:
            assert {key: record[key] for key in measured} == measured
            for name in TOLD:
                field = OBJECTIVES[name].field
                assert record["ratios"][name] == pytest.approx(measured[field] / base[field], rel=1e-12)
        elif record.get("refused") is None:
            assert all(
                measured[OBJECTIVES[name].field] == pytest.approx(base[OBJECTIVES[name].field], rel=1e-11)
                for name in ALWAYS
            )


def test_workers_change_no_figure(advice: Advice) -> None:
    again = advise(mho.zoo.load("resnet20"), "aras", PLAN, workers=2)
    assert again.to_dict() == advice.to_dict()


def test_advice_comes_back_from_its_data_and_is_an_exploration(advice: Advice) -> None:
    again = mho.Exploration.from_dict(json.loads(json.dumps(advice.to_dict())))
    assert isinstance(again, Advice) and again.to_dict() == advice.to_dict()
    assert str(again) == str(advice) and again.frame("changes") == advice.frame("changes")
    assert len(again.frame()["key"]) == len(advice.records)
    assert again.base["time"]["critical_s"]["total"] == pytest.approx(again.base["latency_s"], rel=1e-12)


def test_a_page_names_every_change_and_every_refusal(advice: Advice) -> None:
    page, tables = render(view(advice)), [each for each in view(advice).sections if hasattr(each, "lines")]
    assert {record["key"] for record in advice.records} <= {line[0] for table in tables for line in table.lines}
    assert all(record["key"] in page for record in (*advice.records, *advice.content["unchanged"]))
    assert "Changes that cannot be compiled" in page and "Where the latency goes" in page


def test_a_chip_sized_to_its_network_is_sized_anew_for_each_change() -> None:
    network, chip = mho.zoo.load("resnet20"), Chip.load("isaac")
    found = advise(network, chip, PLAN, copies=1)
    assert "tiles" not in {record["key"] for record in (*found.records, *found.content["unchanged"])}
    assert found.base["area_m2"] == sized(network, chip, PLAN).roll_up().area_m2.total
    record = next(record for record in found.feasible if record["key"] == "array.rows" and record["step"] == "down")
    varied = sized(network, chip.override({"array.rows": record["after"]}, "by hand"), PLAN)
    assert record["area_m2"] == varied.roll_up().area_m2.total


def test_of_a_stream_the_interval_is_told_too() -> None:
    found = advise(mho.zoo.load("resnet20"), "isaac", PLAN.with_(schedule="stream"), minimise="interval")
    assert found.base["interval_s"] < found.base["latency_s"]
    assert "one inference alone" in found.content["notes"][-1]
    assert "interval" in next(each for each in view(found).sections if each.title.startswith("What each")).heads  # type: ignore[attr-defined]


def test_an_unknown_aim_is_refused_before_any_work() -> None:
    with pytest.raises(OptionError, match="cannot minimise 'speed'; "):
        advise(mho.zoo.load("resnet20"), "aras", minimise="speed")


def test_changes_are_written_as_people_do() -> None:
    written = [percent_change(ratio) for ratio in (1.0, 0.877, 1.0004, 2.5, 0.99995)]
    assert written == ["±0", "-12.3 %", "+0.04 %", "+150 %", "-0.005 %"]


def test_the_command_tells_the_same_as_python(
    shell: Shell, advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("advise", "resnet20", "--chip", "aras", "--schedule", "overlap", "--banks", "greedy")
    assert shell(*words, "--json").json() == advice.to_dict()
    ended = shell(*words, "--minimise", "energy", "--out", "out")
    assert ended.code == 0 and "What each change brings" in ended.out and "Where the latency goes" in ended.out
    assert json.loads((tmp_path / "out" / "advise.json").read_text("utf-8"))["minimise"] == "energy"
    assert shell(*words, "--minimise", "speed").code == 2


def test_how_sure_a_change_is_is_what_pricing_both_designs_says() -> None:
    network, chip = mho.zoo.load("resnet20"), mho.Chip.load("aras")
    found = advise(network, chip, PLAN, minimise="energy", uncertainty=True)
    told = [record for record in found.records if "sure" in record]
    assert 0 < len(told) <= SURE and told == list(found.feasible[: len(told)])
    first = told[0]
    plain = {"energy": first["ratios"]["energy"], **first["sure"]}
    assert 1 - plain["saving"] == pytest.approx(plain["energy"], rel=1e-9)
    assert plain["low"] <= plain["high"] and plain["said"].startswith("changed takes")
    assert "decided" in render(view(found))
