"""The trace tells what the timing interpreter measured, in a form that Perfetto can nest."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.machine.bandwidth import bandwidth
from mho.machine.channels import GLOBAL_BUFFER, passed_bytes
from mho.network.graph import Network
from mho.program import Activate, Transfer, Write
from mho.program.instructions import NAMES
from mho.program.work import write_bytes
from mho.report.lanes import lanes
from mho.report.trace import PROCESSES, render_trace
from tests.strategies import ALONE, GREEDY, chips, networks

few = settings(max_examples=15)
names = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])


def reported(network: Network, chip: Chip, schedule: str, residency: str) -> mho.Report:
    return mho.simulate(mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency)))


spans = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda drawn: (drawn[0], sum(drawn)))


@given(st.lists(spans, max_size=40))
def test_intervals_of_one_lane_never_overlap(intervals: list[tuple[int, int]]) -> None:
    chosen = lanes(intervals)
    assert len(chosen) == len(intervals)
    for lane in set(chosen):
        mine = sorted(interval for interval, own in zip(intervals, chosen, strict=True) if own == lane)
        assert all(before[1] <= after[0] for before, after in pairwise(mine))


@given(st.lists(spans.filter(lambda span: span[0] < span[1]), min_size=1, max_size=40))
def test_there_are_as_many_lanes_as_intervals_at_the_busiest_time(intervals: list[tuple[int, int]]) -> None:
    busiest = max(sum(start <= time < end for start, end in intervals) for time in range(60))
    assert sorted(set(lanes(intervals))) == list(range(busiest))


@few
@given(networks, chips(), names, residencies)
def test_every_instruction_is_one_slice_that_lasts_as_long_as_it_was_measured(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    report = reported(network, chip, schedule, residency)
    timing = report.timing
    slices = [event for event in json.loads(render_trace(report))["traceEvents"] if event["ph"] == "X"]
    assert sorted(event["args"]["instruction"] for event in slices) == list(range(len(report.program.instructions)))
    for event in slices:
        number = event["args"]["instruction"]
        instruction = report.program.instructions[number]
        assert event["ts"] == pytest.approx((timing.starts[number] + timing.setup_s) * 1e6, abs=1.1e-3)
        assert event["dur"] == pytest.approx((timing.ends[number] - timing.starts[number]) * 1e6, abs=1.1e-3)
        assert event["ts"] >= 0 and event["dur"] >= 0
        assert event["args"]["layer"] == network.layers[instruction.layer].name
        assert (event["cat"] == "setup") == (number < report.program.setup)
        assert PROCESSES[event["pid"]] == {
            "write": "writing", "activate": "compute", "transfer": "memory",
        }.get(NAMES[type(instruction)], "vector unit")  # fmt: skip


@few
@given(networks, chips(), names, residencies)
def test_slices_of_one_thread_never_overlap(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in json.loads(render_trace(reported(network, chip, schedule, residency)))["traceEvents"]:
        if event["ph"] == "X":
            start = round(event["ts"] * 1000)
            threads[event["pid"], event["tid"]].append((start, start + round(event["dur"] * 1000)))
    for mine in threads.values():
        mine.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(mine))


@few
@given(networks, chips(), names, residencies)
def test_counters_share_out_all_groups_at_every_time(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    events = json.loads(render_trace(reported(network, chip, schedule, residency)))["traceEvents"]
    counted = [event["args"] for event in events if event["ph"] == "C" and event["name"] == "groups"]
    assert counted
    for each in counted:
        assert sum(each.values()) == chip.groups
        assert all(value >= 0 for value in each.values())


@few
@given(networks, chips(), names, residencies)
def test_the_memory_rate_adds_up_to_the_bytes_moved_and_never_passes_the_bandwidth(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    report = reported(network, chip, schedule, residency)
    times, rates, passing = bandwidth(report.program, report.timing)
    moved = sum(
        write_bytes(*report.program.mapping.located(each.blocks), report.program.chip)
        if isinstance(each, Write)
        else each.size
        for each in report.program.instructions
        if isinstance(each, Write | Transfer)
    )
    assert float((rates[:-1] * np.diff(times)).sum()) == pytest.approx(moved, rel=1e-6)
    # What is over in an instant moves all its bytes between two times that are equal, and shows in no rate.
    lasting = report.timing.ends > report.timing.starts
    passed = float(passed_bytes(report.program)[GLOBAL_BUFFER, lasting].sum())
    assert float((passing[:-1] * np.diff(times)).sum()) == pytest.approx(passed, rel=1e-6)
    for shown, width in ((rates, chip.memory.bandwidth), (passing, chip.buffer.port_bits / 8 * chip.frequency_hz)):
        assert shown.max() <= width * (1 + 1e-9)
        assert shown[-1] == 0.0


def test_arguments_say_what_an_instruction_works_on() -> None:
    report = mho.simulate(mho.compile(mho.zoo.load("resnet20"), "aras", GREEDY.with_(schedule="overlap")))
    for event in json.loads(render_trace(report))["traceEvents"]:
        if event["ph"] != "X":
            continue
        instruction, said = report.program.instructions[event["args"]["instruction"]], event["args"]
        assert ("blocks" in said and "groups" in said and "copy" in said) == isinstance(instruction, Write | Activate)
        assert ("windows" in said) == isinstance(instruction, Activate)
        assert ("bytes" in said) == isinstance(instruction, Transfer)
