"""Where time goes: both partitions sum, moment by moment they are what a plain reading of the timeline says, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import time_program
from mho.machine.breakdown import PARTS, Breakdown, _path, breakdown
from mho.machine.timing import Timing, program_tasks, timed
from mho.network.graph import Network
from mho.program import Activate, Combine, Program, Transfer, Write
from mho.program.columns import ACTIVATE, COMBINE, VECTOR, WRITE, columns
from tests.hand_sized import entry, hand_chip, hand_program, linear, network
from tests.ported import without_ports
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=30)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])
T = 8 * 2 * 60 * 50e-9
"""Write time of an array of the hand-sized chip: 8 rows x 2 phases x 60 pulses of 50 ns."""
WINDOW = 8 * (9 + 4) * 1e-9
"""8 input bits, each 9 columns converted one after the other and 4 ns of overhead."""
FIRST, SECOND = 1, 2
NET = network(entry(5, 8), linear("first", "x", 5, 4, 1), linear("second", "x", 5, 8, 2))


def of(program: Program) -> tuple[Timing, Breakdown]:
    timing = time_program(program)
    return timing, breakdown(program, timing)


def parts(row: np.ndarray) -> dict[str, float]:
    return {name: value for name, value in zip(PARTS, row.tolist(), strict=True) if value}


def plainly(program: Program, timing: Timing) -> np.ndarray:
    """What layers do while they are under way, looked at between any two times at which anything of them begins or ends."""
    table, tasks = columns(program), program_tasks(program)
    spent = np.zeros((len(program.network.layers), len(PARTS)))
    order = [(ACTIVATE, "ideal", "ports"), ((COMBINE, VECTOR), "vector_unit", "ports"), (WRITE, "writing", "memory")]
    for layer, row in enumerate(spent):
        own = [i for i in range(program.setup, len(table.kind)) if table.layer[i] == layer]
        does = [i for i in own if table.kind[i] in (ACTIVATE, COMBINE, VECTOR, WRITE)]
        if not does:
            continue
        begin, end = min(timing.starts[does]), max(timing.ends[does])
        lasts = {i: (timing.starts[i], timing.ends[i] - tasks.tail_s[i]) for i in own}
        times = sorted({begin, end, *(t for pair in lasts.values() for t in pair if begin < t < end)})
        for before, after in pairwise(times):
            here = [i for i in own if lasts[i][0] <= (before + after) / 2 < lasts[i][1]]
            slow = {i: 1 - min(tasks.given.lasts[i] / (lasts[i][1] - lasts[i][0]), 1.0) for i in here}
            for kinds, part, held in order:
                if doing := [slow[i] for i in here if table.kind[i] in np.atleast_1d(kinds)]:
                    row[PARTS.index(part)] += (after - before) * (1 - np.mean(doing))
                    row[PARTS.index(held)] += (after - before) * np.mean(doing)
                    break
            else:
                row[PARTS.index("memory" if here else "idle")] += after - before
    return spent


@some
@given(networks, chips(), schedules, residencies)
def test_what_all_layers_are_charged_is_the_latency(net: Network, chip: Chip, schedule: str, residency: str) -> None:
    report = mho.simulate(mho.compile(net, chip, GREEDY.with_(schedule=schedule, residency=residency)))
    told = report.field("time")
    rows = [each["critical_s"] for each in told["layers"]]
    assert sum(row["total"] for row in rows) == pytest.approx(report.latency_s, rel=1e-12)
    assert told["critical_s"]["total"] == pytest.approx(report.latency_s, rel=1e-12)
    for row in (told["critical_s"], *rows, *(each["under_way_s"] for each in told["layers"])):
        assert min(row.values()) >= 0
        assert sum(row[part] for part in PARTS) == pytest.approx(row["total"], rel=1e-12)
    for part in PARTS:
        assert sum(row[part] for row in rows) == pytest.approx(told["critical_s"][part], rel=1e-12, abs=1e-18)


@some
@given(networks, chips(), schedules, residencies)
def test_layers_do_what_a_plain_reading_of_the_timeline_says(
    net: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = mho.compile(net, chip, GREEDY.with_(schedule=schedule, residency=residency))
    timing, found = of(program)
    assert found.under_way == pytest.approx(plainly(program, timing), rel=1e-6, abs=1e-9 * timing.latency_s)
    # Nobody is charged for longer than something of it is there, transfers included.
    table = columns(program)
    for layer, charged in enumerate(found.critical.sum(axis=1)):
        own = np.flatnonzero(table.layer[program.setup :] == layer) + program.setup
        assert charged <= (timing.ends[own] - timing.starts[own]).sum() * (1 + 1e-9)


@some
@given(networks, chips(), schedules)
def test_nothing_waits_for_ports_that_are_wide_enough(net: Network, chip: Chip, schedule: str) -> None:
    program = mho.compile(net, chip, GREEDY.with_(schedule=schedule))
    found = breakdown(program, without_ports(program))
    ports = PARTS.index("ports")
    assert not found.critical[:, ports].any() and not found.under_way[:, ports].any()


@some
@given(networks, chips(), schedules, st.data())
def test_where_nothing_is_shared_the_path_alone_makes_the_latency(
    net: Network, chip: Chip, schedule: str, data: st.DataObject
) -> None:
    program = mho.compile(net, chip, GREEDY.with_(schedule=schedule))
    turned = program_tasks(program)
    tasks = turned.tasks
    alone = replace(
        turned, tasks=tasks._replace(rates=np.full(len(tasks.rates), np.inf), unit=np.zeros_like(tasks.unit))
    )
    timing = timed(alone, program.setup)
    path = list(_path(program, timing, alone))
    # What is not on it may take no time at all; what is on it gains no more than it is charged.
    kept = np.zeros(len(tasks.lasts))
    kept[[*range(program.setup), *path]] = tasks.lasts[[*range(program.setup), *path]]
    hurried = timed(replace(alone, tasks=alone.tasks._replace(lasts=kept)), program.setup)
    assert hurried.latency_s == pytest.approx(timing.latency_s, rel=1e-12)
    if path:
        layer = data.draw(
            st.sampled_from(sorted({int(columns(program).layer[i]) for i in path if i < len(turned.done)}))
        )
        own = [i for i in path if i < len(turned.done) and columns(program).layer[i] == layer]
        lasts = tasks.lasts.copy()
        lasts[np.flatnonzero(columns(program).layer == layer)] = 0.0
        faster = timed(replace(alone, tasks=alone.tasks._replace(lasts=lasts)), program.setup)
        charged = (timing.task_ends[own] - timing.task_starts[own]).sum()
        assert timing.latency_s - charged <= faster.latency_s * (1 + 1e-9) + 1e-18
        assert faster.latency_s <= timing.latency_s * (1 + 1e-12)


def programs() -> dict[str, Callable[[], Program]]:
    """Programs of kinds that are not drawn: copies that take turns, rounds of several inferences, a basis, writes as they are."""
    shapes, chip, loaded = mho.zoo.load("resnet20"), Chip.load("aras"), mho.compile
    small = {"tiles": 8, "layer_order": "dataflow"}
    return {
        "stream": lambda: loaded(shapes, "isaac", GREEDY.with_(schedule="stream")),
        "aras": lambda: loaded(shapes, "isaac", GREEDY.with_(schedule="aras")),
        "rounds": lambda: loaded(
            shapes, chip.override(small, "small"), GREEDY.with_({"schedule": "stream", "schedule.batch": 4})
        ),
        "basis": lambda: loaded(shapes, "basisn", "basisn"),
        "actual": lambda: loaded(
            mho.zoo.load("resnet20", weights="seeded"),
            chip.override({"tiles": 8, "write_latency": "actual"}, "small"),
            GREEDY.with_(schedule="overlap", residency="never"),
        ),
    }


@pytest.mark.parametrize("name", ["stream", "aras", "rounds", "basis", "actual"])
def test_programs_of_every_kind_are_told_whole(name: str) -> None:
    program = programs()[name]()
    timing, found = of(program)
    assert found.critical.sum() == pytest.approx(timing.latency_s, rel=1e-12)
    assert found.critical.min() >= 0 and found.under_way.min() >= 0
    assert found.under_way == pytest.approx(plainly(program, timing), rel=1e-6, abs=1e-9 * timing.latency_s)
    # The last windows of several copies end one by one.
    assert bool(found.critical[:, PARTS.index("idle")].any()) == bool((columns(program).copies > 1).any())


def write(layer: int, group: int, *after: int) -> Write:
    return Write(layer, (0, 1), 0, ((group, group + 1),), after)


def activate(layer: int, group: int, *after: int) -> Activate:
    return Activate(layer, (0, 1), 0, (0, 5), ((group, group + 1),), True, after)


def test_a_write_that_its_memory_holds_up_hides_what_is_done_meanwhile() -> None:
    # The second layer's 24 bytes take four write times; the first one's 6 take one, beside them.
    chip = hand_chip(memory__bandwidth=7.5 / T)
    program = hand_program(
        chip, NET, write(FIRST, 0), write(SECOND, 1), activate(FIRST, 0, 0), activate(SECOND, 1, 1), Combine(SECOND, (3,))
    )  # fmt: skip
    timing, found = of(program)
    assert timing.latency_s == pytest.approx(4 * T + 5 * WINDOW, rel=1e-9)
    assert parts(found.critical[FIRST]) == {}
    assert parts(found.critical[SECOND]) == pytest.approx({"writing": T, "memory": 3 * T, "ideal": 5 * WINDOW})
    assert parts(found.under_way[SECOND]) == pytest.approx({"writing": T, "memory": 3 * T, "ideal": 5 * WINDOW})


def test_a_layer_that_waits_for_another_is_idle_and_the_other_is_charged() -> None:
    chip, store = hand_chip(memory__bandwidth=1000 / T), Transfer("store", SECOND, 2000, (3,))
    program = hand_program(
        chip, NET, write(SECOND, 1), write(FIRST, 0, 0), activate(FIRST, 0, 1), activate(SECOND, 1, 2), store
    )  # fmt: skip
    timing, found = of(program)
    assert parts(found.critical[FIRST]) == pytest.approx({"writing": T, "ideal": 5 * WINDOW})
    assert parts(found.critical[SECOND]) == pytest.approx({"writing": T, "ideal": 5 * WINDOW, "memory": 2 * T})
    assert found.critical.sum() == pytest.approx(timing.latency_s, rel=1e-12)
    # What is stored afterwards is no part of when it is under way.
    assert parts(found.under_way[SECOND]) == pytest.approx({"writing": T, "ideal": 5 * WINDOW, "idle": T + 5 * WINDOW})
