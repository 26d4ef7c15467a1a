"""The search: never worse than what it starts from, the same for a seed, legal however soon it is stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError
from mho.mapping import map_network
from mho.network.graph import Network
from mho.program import violations
from mho.program.work import CodedTensors, coded_tensors
from mho.schedule.adaptive import OBJECTIVES, Adaptive
from mho.schedule.buffer import place_tensors
from mho.schedule.builder import Task
from mho.schedule.evaluate import instance, planned_end, room
from mho.schedule.foreseen import foreseen, plan_of
from mho.schedule.planner import Planner
from tests.strategies import GREEDY, chips, networks

few = settings(max_examples=25)
residencies = st.sampled_from(["auto", "never"])
quick = Adaptive(effort=0.01)


def measured(program: mho.Program, objective: str) -> float:
    report = mho.simulate(program)
    both = {"time": report.latency_s, "energy": report.energy_j, "edp": report.latency_s * report.energy_j}
    return both[objective]


@few
@given(networks, chips(), residencies, st.sampled_from(OBJECTIVES))
def test_adaptive_is_never_worse_than_overlap_or_aras(
    network: Network, chip: Chip, residency: str, objective: str
) -> None:
    """Whatever binds, memory too: the machine has the last word. Banks are the same in all, so that energies compare."""
    coded = mho.number.quantise(network)

    def compiled(schedule: str | Adaptive) -> mho.Program:
        return mho.compile(coded, chip, GREEDY.with_(schedule=schedule, residency=residency))

    found = compiled(Adaptive(objective=objective, effort=0.01))
    for schedule in ("overlap", "aras"):
        other = compiled(schedule)
        assert measured(found, objective) <= measured(other, objective) * (1 + 1e-9)


@few
@given(networks, chips(), residencies, st.integers(0, 2**31), st.data())
def test_the_compiled_estimate_is_the_planners_end(
    network: Network, chip: Chip, residency: str, seed: int, data: st.DataObject
) -> None:
    ample = chip.override({"memory.bandwidth": 1e18, "layer_order": "sequential"}, source="law")
    mapping = map_network(network, ample)
    resident = residency == "auto" and mapping.count <= ample.groups
    task = Task(ample, network, mapping, (), resident, CodedTensors(frozenset()))
    # Copies that share the windows evenly: otherwise some of them end a window earlier than is reckoned.
    copies = [
        data.draw(st.sampled_from([n for n in range(1, min(layer.windows, 6) + 1) if layer.windows % n == 0]))
        for layer in mapping.layers
    ]
    blocks = sum(layer.count * count for layer, count in zip(mapping.layers, copies, strict=True))
    if resident and blocks > ample.groups:
        copies = [1] * len(copies)
    planner = Planner(task, {layer.index: count for layer, count in zip(mapping.layers, copies, strict=True)})
    planner.run()
    given_ = instance(task)
    fixed = (given_.after_s, given_.groups, given_.write_s, given_.resident)
    counts = np.array(copies, dtype=np.int64)
    end_s, _ = planned_end(
        given_.blocks, given_.windows, given_.window_s, given_.gap_s, given_.port_s, counts,
        (given_.writer, given_.last), fixed,
        *room(given_.groups),
    )  # fmt: skip
    assert end_s == pytest.approx(planner.end_s, rel=1e-9)


@settings(max_examples=60)
@given(networks, chips(), residencies, st.booleans(), st.data())
def test_what_is_foreseen_of_a_plan_is_the_plan_to_the_last_bit(
    network: Network, chip: Chip, residency: str, in_order: bool, data: st.DataObject
) -> None:
    """Its end and the number of its instructions, on any chip: dataflow, a slow memory, weights that stay."""
    order = "sequential" if in_order else "dataflow"
    bandwidth = chip.memory.bandwidth * data.draw(st.sampled_from([1e-3, 1, 1e3]))
    chip = chip.override({"layer_order": order, "memory.bandwidth": bandwidth}, source="law")
    mapping = map_network(network, chip)
    resident = residency == "auto" and mapping.count <= chip.groups
    coded = coded_tensors(network, None, mapping.layers)
    task = Task(chip, network, mapping, place_tensors(network, coded, chip), resident, coded)
    copies = {layer.index: data.draw(st.integers(1, min(task.most_copies(layer), 6))) for layer in task.writers}
    if resident and sum(layer.count * copies[layer.index] for layer in task.writers) > chip.groups:
        copies = {}
    planner = Planner(task, copies)
    instructions = len(planner.run().instructions)
    assert foreseen(task, plan_of(task), copies) == (planner.end_s, instructions)


def test_a_seed_gives_one_schedule() -> None:
    network = mho.zoo.load("resnet18")
    first, again, other = (
        mho.compile(network, "aras", GREEDY.with_(effort=0.05, seed=seed)).instructions for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("search", [Adaptive(effort=0), quick, Adaptive(time_limit_s=1e-9)])
def test_a_search_that_is_cut_short_is_legal_and_no_worse(search: Adaptive) -> None:
    network = mho.zoo.load("resnet18")
    program = mho.compile(network, "aras", GREEDY.with_(schedule=search))
    assert violations(program) == ()
    assert (
        mho.simulate(program).latency_s
        <= mho.simulate(mho.compile(network, "aras", GREEDY.with_(schedule="aras"))).latency_s
    )


def test_less_energy_and_less_time_are_different_schedules() -> None:
    network = mho.zoo.load("resnet18")
    reports = {
        objective: mho.simulate(mho.compile(network, "aras", GREEDY.with_(objective=objective, effort=0.05)))
        for objective in OBJECTIVES
    }
    assert reports["time"].latency_s < reports["energy"].latency_s
    assert reports["energy"].energy_j < reports["time"].energy_j
    products = {name: report.latency_s * report.energy_j for name, report in reports.items()}
    assert products["edp"] == min(products.values())


@pytest.mark.parametrize(
    "given_",
    [
        {"objective": "speed"},
        {"effort": -1},
        {"effort": float("nan")},
        {"effort": True},
        {"time_limit_s": 0},
        {"time_limit_s": "1"},
        {"seed": -1},
        {"seed": 1.5},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(given_: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Adaptive(**given_)  # type: ignore[arg-type]


def test_a_search_for_a_schedule_that_searches_for_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="is for schedule 'adaptive', not 'overlap'"):
        GREEDY.with_(schedule="overlap", effort=2)
