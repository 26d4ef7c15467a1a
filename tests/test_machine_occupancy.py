"""Groups in use, recomputed group by group."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine import Occupancy, Timing, occupancy, time_program
from mho.network.graph import Network
from mho.program import Activate, Combine, Program, Write
from tests.hand_sized import entry, hand_chip, hand_program, linear, network
from tests.strategies import ALONE, GREEDY, chips, networks

some = settings(max_examples=30)
schedules = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])

T = 8 * 2 * 60 * 50e-9
WINDOW = 8 * (9 + 4) * 1e-9


def measured(network: Network, chip: Chip, schedule: str, residency: str) -> tuple[Program, Timing, Occupancy]:
    program = mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency))
    timing = time_program(program)
    return program, timing, occupancy(program, timing)


def members(instruction: Write | Activate) -> list[int]:
    return [group for first, last in instruction.groups for group in range(first, last)]


Span = tuple[float, float]


def group_by_group(program: Program, timing: Timing) -> list[tuple[list[Span], list[Span], list[Span]]]:
    """For each group the spans in which it is written, computes, and holds something."""
    found: list[tuple[list[Span], list[Span], list[Span]]] = []
    for group in range(program.chip.groups):
        writing: list[Span] = []
        computing: list[Span] = []
        held: list[Span] = []
        for i, each in enumerate(program.instructions):
            if not isinstance(each, Write | Activate) or group not in members(each):
                continue
            span = float(timing.starts[i]), float(timing.ends[i])
            if isinstance(each, Write):
                writing.append(span)
                held.append(span)
            else:
                computing.append(span)
                kept = span[1] if each.release else timing.latency_s
                held[-1] = held[-1][0], max(held[-1][1], kept)
        found.append((writing, computing, held))
    return found


def covers(spans: list[Span], moment: float) -> bool:
    return any(first <= moment < last for first, last in spans)


def length(spans: list[Span], until: float) -> float:
    """How much of [0, until] the spans cover, counted once."""
    total, reached = 0.0, 0.0
    for first, last in sorted(spans):
        first, last = max(first, reached), min(last, until)
        if last > first:
            total += last - first
            reached = last
    return total


def test_a_group_is_written_computes_waits_and_is_free_again() -> None:
    # Group 0 is written at 0 and computes 5 windows; group 1 is written from 0 too, but computes only when group 0 has.
    net = network(entry(5, 8), linear("a", "x", 5, 4, 1), linear("b", "x", 5, 8, 2))
    program = hand_program(
        hand_chip(memory__bandwidth=1e12), net,
        Write(1, (0, 1), 0, ((0, 1),), ()),
        Write(2, (0, 1), 0, ((1, 2),), ()),
        Activate(1, (0, 1), 0, (0, 5), ((0, 1),), True, (0,)),
        Combine(1, (2,)),
        Activate(2, (0, 1), 0, (0, 5), ((1, 2),), True, (1, 3)),
    )  # fmt: skip
    found = occupancy(program, time_program(program))
    assert found.times_s.tolist() == pytest.approx([0, T, T + 5 * WINDOW, T + 10 * WINDOW], rel=1e-12)
    assert found.writing.tolist() == [2, 0, 0, 0]
    assert found.computing.tolist() == [0, 1, 1, 0]
    assert found.waiting.tolist() == [0, 1, 0, 0]
    assert found.peak == 2
    # Of four groups: two for the write and 5 windows, one for 5 windows more.
    assert found.mean == pytest.approx((2 * (T + 5 * WINDOW) + 5 * WINDOW) / (4 * (T + 10 * WINDOW)), rel=1e-12)


def test_resident_weights_hold_their_groups_all_along() -> None:
    net = network(entry(5, 8), linear("a", "x", 5, 4, 1), linear("b", "x", 5, 8, 2), outputs=("a", "b"))
    program = mho.compile(net, hand_chip(), GREEDY.with_(schedule="overlap"))
    assert program.setup == 2
    found = occupancy(program, time_program(program))
    assert set((found.computing + found.waiting)[:-1].tolist()) == {2}
    assert not found.writing.any()
    assert found.peak == 2
    assert found.mean == pytest.approx(0.5)


@some
@given(networks, chips(), schedules, residencies)
def test_counts_at_every_moment_are_those_of_the_single_groups(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program, timing, found = measured(network, chip, schedule, residency)
    groups = group_by_group(program, timing)
    times = found.times_s.tolist()
    assert times[0] == 0
    assert times[-1] == timing.latency_s
    assert times == sorted(set(times))
    # Long programs are sampled.
    for place in range(0, len(times) - 1, max(1, len(times) // 60)):
        moment = times[place]
        writing = sum(covers(each[0], moment) for each in groups)
        held = sum(covers(each[2], moment) for each in groups)
        computing = sum(covers(each[1], moment) for each in groups)
        got = found.writing[place], found.computing[place], found.waiting[place]
        assert got == (writing, computing, held - writing - computing)


@some
@given(networks, chips(), schedules, residencies)
def test_peak_and_mean_are_those_of_the_single_groups(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program, timing, found = measured(network, chip, schedule, residency)
    groups = group_by_group(program, timing)
    held = found.writing + found.computing + found.waiting
    assert found.peak == max(held) <= chip.groups
    assert found.peak == max(sum(covers(each[2], moment) for each in groups) for moment in found.times_s.tolist())
    for counts in (found.writing, found.computing, found.waiting):
        assert (counts >= 0).all()
    area = sum(length(each[2], timing.latency_s) for each in groups)
    assert found.mean == pytest.approx(area / (chip.groups * timing.latency_s), rel=1e-9)
    assert 0 < found.mean <= 1 + 1e-12


@some
@given(networks, chips(), schedules, residencies)
def test_groups_are_written_and_compute_for_as_long_as_the_instructions_last(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program, timing, found = measured(network, chip, schedule, residency)
    lasting = found.times_s[1:] - found.times_s[:-1]
    for kind, counts in ((Write, found.writing), (Activate, found.computing)):
        total = sum(
            (timing.ends[i] - timing.starts[i]) * len(members(each))
            for i, each in enumerate(program.instructions)
            if isinstance(each, kind) and i >= program.setup
        )
        assert float((counts[:-1] * lasting).sum()) == pytest.approx(total, rel=1e-9, abs=1e-12 * timing.latency_s)
