"""How sure: energy is linear in constants, ends are corners, break-evens are equal, draws are paired, alternatives whole."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.chip.technology import Technology
from mho.errors import ChipError, MhoError, OptionError
from mho.files.text import read_yaml
from mho.machine.accesses import READ
from mho.machine.bill import LEAKAGE, Bill, Price, areas, joules_of
from mho.machine.lookup.service import serve
from mho.machine.robustness import Robust, robust
from mho.machine.systolic import run
from mho.machine.uncertainty import uncertainty
from mho.strategy import Strategy
from tests.command_line import Shell
from tests.hand_sized import bell_codes, entry, linear, network
from tests.lookup_oracle import chip_of, layout_of, trace_of

SOURCE = "test"


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    network = mho.zoo.load("resnet20")
    reports: dict[str, Any] = {
        name: mho.simulate(mho.compile(network, "aras", mho.Strategy.load(name).with_(banks="greedy")))
        for name in ("overlap", "aras")
    }
    return {**reports, "array": run(network, "tpu-like")}


@pytest.fixture(scope="module")
def found(measured: dict[str, Any]) -> Robust:
    return robust(measured, draws=400, seed=3)


def test_at_the_chips_own_constants_it_is_the_measured_energy(measured: dict[str, Any], found: Robust) -> None:
    for name, each in measured.items():
        assert found.energy(name) == pytest.approx(each.energy_j, rel=1e-12)


@given(data=st.data())
def test_energy_follows_each_constant_as_a_chip_of_another_technology_would(
    data: st.DataObject, measured: dict[str, Any], found: Robust
) -> None:
    name = data.draw(st.sampled_from(["overlap", "aras", "array"]))
    keys = sorted(set(found.constants) & found.energies[name].rates.keys())
    key = data.draw(st.sampled_from(keys))
    constant = found.constants[key]
    value = float(constant.at(data.draw(st.floats(0, 1))))
    machine = measured[name].systolic if name == "array" else measured[name].program.chip
    ratio = value / constant.value
    component, figure = key.split(" ")[0], "_".join(key.split(" ")[1:])
    bill: Bill = measured[name].bill
    joules = 0.0
    for price, count in zip(bill.prices, bill.counts.tolist(), strict=True):
        for part in machine.costs.paid(*price):
            same = part.use.name == component and part.figure == figure
            joules += count * part.share * part.value * (ratio if same else 1.0)
    assert found.energy(name, **{key: value}) == pytest.approx(joules, rel=1e-9)


def test_no_draw_lies_beyond_the_ends_of_a_difference_and_these_are_reached(found: Robust) -> None:
    for name, other in itertools.permutations(found.energies, 2):
        verdict = found.verdict(name, other)
        saved = found.sampled(other) - found.sampled(name)
        slack = 1e-12 * found.energy(other)
        assert verdict.least - slack <= saved.min() and saved.max() <= verdict.most + slack
        # A corner, built by hand, is an end.
        best = {
            key: c.high if found.energies[other].rates.get(key, 0) > found.energies[name].rates.get(key, 0) else c.low
            for key, c in found.constants.items()
        }
        corner = found.energy(other, **best) - found.energy(name, **best)
        assert corner <= verdict.most + slack
        assert verdict.decided == (verdict.least > 0 or verdict.most < 0)


def test_a_break_even_priced_back_gives_equality(found: Robust) -> None:
    seen = 0
    for name, other in itertools.permutations(found.energies, 2):
        here = found.energy(other) - found.energy(name)
        for key, constant in found.constants.items():
            rate = found.energies[other].rates.get(key, 0.0) - found.energies[name].rates.get(key, 0.0)
            told = [flip for flip in found.break_even(name, other) if flip.constant == key]
            at = constant.value - here / rate if rate else float("inf")
            assert bool(told) == (constant.low <= at <= constant.high)
            if told:
                seen += 1
                assert found.energy(name, **{key: at}) == pytest.approx(found.energy(other, **{key: at}), rel=1e-9)
    assert seen


def test_the_same_draw_prices_all_and_another_constant_changes_no_draw(measured: dict[str, Any], found: Robust) -> None:
    again, alone = robust(measured, draws=400, seed=3), robust({"array": measured["array"]}, draws=400, seed=3)
    assert again.to_dict() == found.to_dict()
    assert np.array_equal(alone.sampled("array"), found.sampled("array"))
    twice = robust({"one": measured["aras"], "two": measured["aras"]}, draws=50)
    assert np.array_equal(twice.sampled("one"), twice.sampled("two"))
    assert not np.array_equal(robust(measured, draws=400, seed=4).sampled("aras"), found.sampled("aras"))


@pytest.mark.parametrize("name", ["aras", "aras-coherent-baseline", "isaac", "puma", "recross", "sme", "neurram"])
def test_instances_at_a_chips_own_prices_are_its_area(name: str) -> None:
    chip = Chip.load(name)
    counts = areas(chip)
    total = joules_of(tuple(counts), chip) @ np.array(list(counts.values()))
    assert total == pytest.approx(chip.roll_up().area_m2.total, rel=1e-12)


def test_areas_are_linear_drawn_with_energies_and_compared_like_them(measured: dict[str, Any], found: Robust) -> None:
    same = found.areas.verdict("aras", "overlap")
    assert same.decided and "the same area" in str(same)
    array = found.areas.verdict("array", "overlap")
    assert array.decided and "less area" in str(array)
    least, most = array.least, array.most
    drawn = found.areas.sampled("overlap") - found.areas.sampled("array")
    assert least <= drawn.min() and drawn.max() <= most
    chip = measured["aras"].program.chip
    assert found.areas.energy("aras") == pytest.approx(chip.roll_up().area_m2.total, rel=1e-12)
    (key, low, high), *_ = found.areas.decided_by("aras")
    ends = found.constants[key].low, found.constants[key].high
    assert [found.areas.energy("aras", **{key: end}) for end in ends] == pytest.approx([low, high], rel=1e-12)


def by_hand(chip: Chip, price: Price) -> float:
    """What a price of a program's bill is, J: taken from the chip's own lists."""
    costs, place = chip.costs, chip.buffer.banks.index(price.bank) if price.bank else None
    if price.event == LEAKAGE:
        return (
            chip.leakage_w[price.component] / costs.count(price.component)
            if place is None
            else costs.bank_leakage_w[place]
        )
    if place is None:
        return chip.energy_per_event[price.event]
    return (costs.bank_read_j if price.event == READ else costs.bank_write_j)[place]


@pytest.mark.parametrize("name", Chip.presets())
def test_the_bill_of_every_schedule_and_mapping_at_the_chips_prices_is_its_account_layer_by_layer(name: str) -> None:
    chip = Chip.load(name)
    shapes = network(entry(1, 200), linear("first", "x", 1, 200, 150), linear("second", "first", 1, 150, 40))
    subjects: dict[str, Any] = {"dense": shapes, "squeezed": bell_codes(shapes, 1)}
    plain = Strategy().with_({"banks": "greedy", "schedule.effort": 0.01})
    schedules = [each for each in Strategy.choices("schedule") if each != "basis"]
    plans = [(of, plain.with_(schedule=each, mapping=how)) for each in schedules for how, of in subjects.items()]
    compiled = 0
    for subject, plan in [*plans, (shapes, Strategy.load("basisn"))]:
        try:
            report = mho.simulate(mho.compile(subject, chip, plan))
        except MhoError:
            continue
        compiled, paid = compiled + 1, defaultdict[int, float](float)
        columns = (each.tolist() for each in (report.bill.layer, report.bill.price, report.bill.count))
        for layer, price, count in zip(*columns, strict=True):
            paid[layer] += count * by_hand(chip, report.bill.prices[price])
        assert dict(paid) == pytest.approx(report.account.by_layer(), rel=1e-12)
    assert compiled >= 4


def test_a_service_of_look_ups_is_priced_and_its_bill_is_its_account() -> None:
    chip = chip_of()
    service = serve(trace_of([[0, 1, 2], [5, 3], [7]] * 4), layout_of([list(range(12))]), chip, dimension=8, batch=4)
    assert (service.bill @ chip).total() == pytest.approx(service.energy_j, rel=1e-12)
    found = robust({"one": service, "two": service}, draws=50)
    assert found.energy("one") == pytest.approx(service.energy_j, rel=1e-12)
    assert found.verdict("one", "two").decided


def test_what_is_told_under_a_figure_is_its_interval_and_what_decides(measured: dict[str, Any], found: Robust) -> None:
    told = uncertainty(measured["aras"], draws=400, seed=3)
    assert (told["energy_j"]["low"], told["energy_j"]["high"]) == found.interval("aras")
    assert told["energy_j"]["ranged"] and told["area_m2"]["ranged"]
    widths = [abs(each["high"] - each["low"]) for each in told["energy_j"]["decided_by"]]
    assert widths == sorted(widths, reverse=True) and widths[0] > 0


def test_alternatives_are_whole_components_and_never_mixed(measured: dict[str, Any], found: Robust) -> None:
    (key,) = found.alternatives
    chip = measured["aras"].program.chip
    roles = [role for role, use in chip.uses.items() if use.name == key]
    assert len(roles) == 2
    base = found.energies["aras"]
    for place, component in enumerate(found.alternatives[key].components):
        other = chip.override({f"components.{role}": component for role in roles}, SOURCE)
        wanted = (measured["aras"].bill @ other).total()
        told = found.energy("aras") - base.chosen[key][0] + base.chosen[key][place]
        assert told == pytest.approx(wanted, rel=1e-12)


def test_what_one_would_have_to_believe_gives_the_saving(found: Robust) -> None:
    believed = found.wanted("array", "overlap", 0.3)
    assert believed is not None
    saving = 1 - found.energy("array", **believed) / found.energy("overlap", **believed)
    assert saving == pytest.approx(0.3, abs=1e-3)
    assert all(found.constants[key].low <= value * (1 + 1e-9) for key, value in believed.items())
    assert found.wanted("aras", "overlap", 0.99) is None


def test_every_shipped_spread_holds_its_figure_and_says_whose_it_is() -> None:
    folder = Path(mho.__file__).parent / "chip" / "technologies"
    spreads = 0
    for path in sorted(folder.glob("*.yaml")):
        technology = Technology.of(str(path), read_yaml(path, ChipError))
        for component in technology.components.values():
            for spread in component.spreads.values():
                spreads += 1
                assert spread.sources and all(spread.sources)
    assert spreads >= 10


@pytest.mark.parametrize(
    ("spread", "wrong"),
    [
        ({"low": 70, "high": 90, "shape": "uniform", "sources": ["per-bit"]}, "hold the value 64"),
        ({"low": 0, "high": 90, "shape": "log_uniform", "sources": ["per-bit"]}, "above 0"),
        ({"low": 32, "high": 90, "shape": "normal", "sources": ["per-bit"]}, "log_uniform"),
        ({"low": 32, "high": 90, "shape": "uniform", "sources": []}, "one source or more"),
        ({"low": 32, "high": 90, "shape": "uniform", "sources": ["nobody"]}, "unknown source"),
        ({"low": 32, "high": 90, "shape": "uniform"}, "sources: missing"),
    ],
)
def test_a_spread_without_a_source_or_without_its_figure_is_refused(spread: dict[str, Any], wrong: str) -> None:
    path = Path(mho.__file__).parent / "chip" / "technologies" / "lpddr4.yaml"
    content = json.loads(json.dumps(read_yaml(path, ChipError)))
    content["components"]["memory"]["energy"]["spread"] = spread
    with pytest.raises(ChipError, match=wrong):
        Technology.of(str(path), content)


def test_alternatives_that_are_none_are_refused_and_ones_that_are_travel_with_the_chip() -> None:
    chip = Chip.load("aras")
    content = chip.to_dict()
    assert Chip.from_dict(content).uses["global_buffer"].whole == chip.uses["global_buffer"].whole
    content["components"]["global_buffer"]["or"] = ["sram-32nm/sram"]
    with pytest.raises(ChipError, match="twice"):
        Chip.from_dict(content)
    content["components"]["global_buffer"]["or"] = ["lpddr4/memory"]
    with pytest.raises(ChipError, match="costs per byte"):
        Chip.from_dict(content)


def test_what_cannot_be_priced_is_refused(measured: dict[str, Any]) -> None:
    for wrong in ({"draws": 0}, {"draws": True}, {"wanted": 1.5}):
        with pytest.raises(OptionError):
            robust(measured, **wrong)
    with pytest.raises(OptionError, match="nothing to price"):
        robust({})
    with pytest.raises(OptionError, match="nothing is called"):
        robust(measured).interval("adaptive")


def test_the_command_says_what_decides_and_writes_a_page(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "sure"
    words = (
        "robust",
        "resnet20",
        "--schedule",
        "overlap,aras",
        "--banks",
        "greedy",
        "--against",
        "tpu-like",
        "--wanted",
        "10",
    )
    ended = shell(*words, "--out", str(out))
    assert ended.code == 0, ended.err
    assert "undecided, flips at" in ended.out
    content = json.loads((out / "robust.json").read_text("utf-8"))
    assert Robust.from_dict(content).to_dict() == content
    assert [each["name"] for each in content["energies"]] == ["overlap", "aras", "tpu-like"]
    assert "flips at" in (out / "robust.html").read_text("utf-8")
    under = shell("run", "resnet20", "--schedule", "overlap", "--uncertainty", "--json", "-")
    assert json.loads(under.out)["uncertainty"]["energy_j"]["low"] > 0
    beside = shell("compare", "resnet20", "--schedule", "naive,overlap,aras", "--banks", "greedy", "--uncertainty")
    assert "decided, it is the same over all" in beside.out.replace("\n", " ") and "90.0 % of draws" in beside.out
    array = shell("baseline", "resnet20", "--uncertainty")
    assert array.code == 0 and array.out.count("how sure") == 2
    refused = shell("robust", "resnet20", "--schedule", "overlap", "--wanted", "10")
    assert refused.code == 2 and "--wanted" in refused.err
