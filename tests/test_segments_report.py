"""Reports of streams in segments: what happens once a round counts as its share, and what is told of rounds adds up."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise, product
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError, OptionError, StrategyError
from mho.machine.energy import count_events
from mho.machine.report import Report
from mho.machine.rounds import residents, ring_bytes
from mho.machine.streaming import time_stream
from mho.network.graph import Network
from mho.program import Activate, Program
from mho.program.columns import WRITE, columns
from mho.program.stream_bound import Served, written_interval
from mho.report.stream import one_interval
from mho.report.views import page
from tests.command_line import Shell
from tests.ported import take_rounds
from tests.strategies import chips, networks

SCHEMA = json.loads((files("mho.report") / "report.schema.json").read_text(encoding="utf-8"))
SMALL = {"layer_order": "dataflow", "tiles": 5}
"""A chip `aras` of 30 groups, which holds about half of resnet20."""
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def rounds_of(network: Network | str, chip: Chip, batch: int) -> Program:
    net = mho.zoo.load(network) if isinstance(network, str) else network
    with pytest.MonkeyPatch.context() as patch:
        take_rounds(patch)
        return mho.compile(net, chip, mho.Strategy().with_({"schedule": "stream", "schedule.batch": batch}))


def small(**changes: object) -> Chip:
    return Chip.load("aras").override({**SMALL, **changes}, source="test")


@pytest.fixture(scope="module")
def reports() -> dict[int, Report]:
    return {batch: mho.simulate(rounds_of("resnet20", small(), batch)) for batch in (1, 2, 4, 8)}


@st.composite
def rounds(draw: st.DrawFn) -> Program:
    """Draw a stream in segments."""
    chip = draw(chips(("aras", "isaac"))).override(
        {"layer_order": "dataflow", "tiles": draw(st.sampled_from([4, 12, 40]))}, source="drawn"
    )
    if not chip.buffer.in_tiles:
        chip = chip.override({"buffer.banks": [2**12, 2**14]}, source="drawn")
    try:
        program = rounds_of(draw(networks), chip, draw(st.integers(1, 5)))
    except (StrategyError, MappingError):
        assume(False)
        raise
    assume(program.stream is not None and program.stream.segments)
    return program


def check_content(program: Program) -> None:
    """Check what every report of a stream in segments must say."""
    assert program.stream is not None
    report = mho.simulate(program)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    stream, energy, batch = content["stream"], content["energy_j"], program.stream.batch
    assert stream["batch"] == batch
    for parts in (
        energy["by_kind"].values(),
        energy["by_component"].values(),
        [each["energy_j"] for each in content["layers"]],
    ):
        assert math.fsum(parts) == pytest.approx(energy["total"], rel=1e-9)
    assert math.fsum(stream["peak"].values()) == pytest.approx(1, rel=1e-9)
    assert min(stream["peak"].values()) >= 0
    assert max(stream["bound_arguments_s"].values()) <= stream["interval_s"] * (1 + 1e-9)
    assert stream["latency_s"]["mean"] <= stream["latency_s"]["longest"] * (1 + 1e-12)
    assert stream["in_flight"] * stream["interval_s"] == pytest.approx(stream["latency_s"]["mean"])
    assert stream["busy"]["memory"] == content["memory"]["busy_fraction"] <= 1 + 1e-9
    assert stream["rings"]["fullest_bytes"] <= stream["rings"]["fullest_of"]
    assert content["in_use"]["buffer_bytes"] == stream["rings"]["bytes"] <= sum(program.chip.buffer.banks)
    held = [
        {each.layer for each in program.instructions[first:last] if isinstance(each, Activate)}
        for first, last in program.stream.segments
    ]
    assert [each["layers"] for each in stream["segments"]] == [len(layers) for layers in held]
    assert set().union(*held) == set(program.mapping.by_index)
    # Only layers larger than the chip are in several segments.
    assert all(
        sum(layer.index in layers for layers in held) == 1
        for layer in program.mapping.layers
        if layer.count <= program.chip.groups
    )
    assert all(each["groups"] <= program.chip.groups for each in stream["segments"])
    again = Report.from_dict(content)
    assert (str(again), again.to_dict()) == (str(report), content)


def check_round(program: Program) -> None:
    """Check that what B inferences are charged for is what happens in a round, range by range of its instructions."""
    assert program.stream is not None
    batch, segments = program.stream.batch, program.stream.segments
    alone = replace(program, stream=None)
    worn = mho.simulate(program).worn
    happened: dict[tuple[int, str, str], float] = defaultdict(float)
    edges = [program.setup, *(bound for segment in segments for bound in segment), len(program.instructions)]
    for first, last in pairwise(edges):
        times = batch if (first, last) in segments else 1
        for event, count in count_events(alone, worn, first, last).items():
            happened[event] += times * count
    charged = count_events(program, worn, program.setup, len(program.instructions))
    assert set(charged) == set(happened)
    for event, count in charged.items():
        assert batch * count == pytest.approx(happened[event], rel=1e-9), event


@few
@given(rounds())
def test_of_any_network_in_segments_parts_sum_up_and_no_bound_is_passed(program: Program) -> None:
    check_content(program)


@few
@given(rounds())
def test_inferences_of_a_round_are_charged_what_happens_in_it(program: Program) -> None:
    check_round(program)


def test_reports_of_rounds_say_what_adds_up(reports: dict[int, Report]) -> None:
    for report in reports.values():
        check_content(report.program)
        check_round(report.program)


def test_rounds_of_twice_as_many_write_half_for_each(reports: dict[int, Report]) -> None:
    for few_of, more in pairwise(reports.values()):
        one, two = few_of.to_dict(), more.to_dict()
        plan = [
            [{k: v for k, v in part.items() if k[-2:] != "_s"} for part in each["stream"]["segments"]]
            for each in (one, two)
        ]
        assert plan[0] == plan[1]
        for name in ("addressed", "cells", "pulses", *(f"per_cell_{of}" for of in ("mean", "max", "levelled"))):
            assert two["writes"][name] == pytest.approx(one["writes"][name] / 2, rel=1e-9), name
        for name in ("mean", "max", "levelled"):
            name = f"addressed_per_cell_{name}"
            assert two["writes"][name] == pytest.approx(one["writes"][name] / 2, rel=1e-9), name
        assert two["stream"]["written_bytes"] == pytest.approx(one["stream"]["written_bytes"] / 2)
        assert two["energy_j"]["by_kind"]["write"] == pytest.approx(one["energy_j"]["by_kind"]["write"] / 2)
        assert two["energy_j"]["by_kind"]["compute"] == pytest.approx(one["energy_j"]["by_kind"]["compute"])
        assert two["stream"]["rate_per_s"] > one["stream"]["rate_per_s"]
        assert two["writes"]["skip_ratio"] == pytest.approx(one["writes"]["skip_ratio"])


def test_cells_live_by_what_a_round_writes_and_how_often_it_comes(reports: dict[int, Report]) -> None:
    for batch, report in reports.items():
        lived, period = report.lifetimes(1e11), batch * report.field("stream")["interval_s"]
        # Level changes of all cells in a round, from its writes one by one.
        changed = sum(count.changed for count in report.worn.counts.values()) / report.program.chip.cells
        assert lived.years(lived.changed.mean) == pytest.approx(1e11 / changed * period / (365.25 * 86400))


def test_static_energy_is_an_equal_part_of_a_rounds_time(reports: dict[int, Report]) -> None:
    for report in reports.values():
        chip, stream = report.program.chip, time_stream(report.program)
        banks = {bank for use in report.program.buffers for bank in use.banks}
        watts = sum(watts for name, watts in chip.leakage_w.items() if name != "external_io")
        watts += sum(chip.costs.bank_leakage_w[bank] for bank in banks)
        watts += 0.0 if chip.spec.external_io == "when_used" else chip.leakage_w.get("external_io", 0.0)
        static = report.field("energy_j")["by_kind"]["static"]
        least = stream.interval_s * watts
        assert least <= static * (1 + 1e-9)
        assert static <= least * (1 + 1e-9) + stream.interval_s * chip.leakage_w.get("external_io", 0.0)


@pytest.mark.parametrize(("banks", "rows"), [(1, 16), (2, 9)])
def test_what_is_stored_between_segments_counts_for_every_inference(banks: int, rows: int) -> None:
    program = rounds_of("resnet20", small(**{"buffer.banks": [2**15] * banks}), 8)
    table, stream = columns(program), mho.simulate(program).field("stream")
    # Between the two segments lie 16 rows of 32 x 16 bytes, of which some have no room there for 8 inferences: stored once, loaded
    # once.
    assert [each["first"] for each in stream["segments"]] == ["conv1", "layer3.0.conv1"]
    assert stream["spilled_bytes"] == 2 * 32 * 16 * rows
    writes = table.of(WRITE)
    assert stream["written_bytes"] * 8 == pytest.approx((table.moved_bytes + table.order_bytes)[writes].sum())
    check_content(program)
    check_round(program)


def test_segments_hold_what_they_say(reports: dict[int, Report]) -> None:
    for batch, report in reports.items():
        parts, told = residents(report.program), report.field("stream")["segments"]
        assert len(parts) == len(told) > 1
        kept = ring_bytes(report.program)
        assert kept.shape[0] == len(parts)
        assert (kept <= np.array(report.program.chip.buffer.banks)).all()
        period = batch * report.field("stream")["interval_s"]
        for part, each in zip(parts, told, strict=True):
            assert each["groups"] == sum(users[0].count * part.copies[run] for run, users in part.users.items())
            assert each["write_s"] >= report.program.chip.array_write_time_s * (1 - 1e-9)
            assert 0 < each["run_s"] <= period * (1 + 1e-9)


served = st.builds(
    lambda blocks, windows, window_s: Served(blocks, (windows,), (float(window_s),)),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 3),
)


@given(st.lists(served, min_size=1, max_size=5), st.data(), st.integers(1, 8), st.floats(0.01, 9))
def test_no_choice_of_blocks_that_stay_has_shorter_rounds_than_the_bound(
    weights: list[Served], data: st.DataObject, batch: int, write_s: float
) -> None:
    blocks = sum(weight.blocks for weight in weights)
    assume(blocks > 1)
    groups = data.draw(st.integers(1, blocks - 1))
    bound = written_interval(weights, groups, batch, write_s)

    def fits(interval_s: float, stays: tuple[int, ...]) -> bool:
        taken = sum(
            stay * max(batch * interval_s, batch * weight.work_s)
            + (weight.blocks - stay) * (write_s + batch * weight.work_s)
            for weight, stay in zip(weights, stays, strict=True)
        )
        return taken <= groups * batch * interval_s

    choices = list(product(*(range(weight.blocks + 1) for weight in weights)))
    assert any(fits(bound * (1 + 1e-9), each) for each in choices)
    assert not any(fits(bound * (1 - 1e-9), each) for each in choices)
    # Where nothing stays.
    least = sum(weight.blocks * (write_s / batch + weight.work_s) for weight in weights) / groups
    assert bound <= least * (1 + 1e-9)


def test_a_page_draws_one_round_and_lists_its_segments(reports: dict[int, Report]) -> None:
    report = reports[4]
    chart = one_interval(report.program, report.field("stream")["busy"])
    assert chart.title == "One round of the stream"
    assert chart.length_s == pytest.approx(4 * report.field("stream")["interval_s"])
    for track in chart.tracks:
        assert all(0 <= begin < end <= chart.length_s * (1 + 1e-9) for begin, end, _ in track.stretches)
    shown = page(report)
    assert all(
        words in shown for words in ("One round of the stream", "Segments", "in 2 segments, 4 inferences a round")
    )
    assert "in 2 segments, 4 inferences a round" in str(report)
    assert any("counts in equal parts for each" in note for note in report.notes())


def test_requests_at_a_rate_are_refused_in_rounds_but_lifetimes_are_not(reports: dict[int, Report]) -> None:
    with pytest.raises(OptionError, match="rounds of 4 inferences, which begin together"):
        mho.simulate(reports[4].program, rate=100)
    assert mho.simulate(reports[1].program, rate=100).service is not None
    lived = mho.simulate(reports[4].program, rate=100, endurance=1e11)
    assert lived.service is None
    assert lived.field("endurance")["rate_per_s"] == 100


def test_the_command_line_takes_a_batch_of_a_stream_as_a_round(shell: Shell, tmp_path: Path) -> None:
    chip = ("--chip", "aras", "--set", "layer_order=dataflow", "--stream")
    ended = shell("run", "resnet20", *chip, "--set", "tiles=5", "--batch", "4", "--json", str(tmp_path / "report.json"))
    assert ended.code == 0
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (content["stream"]["batch"], content["model"]["batch"]) == (4, 1)
    held = shell("run", "resnet20", *chip, "--batch", "4")
    assert held.code == 0
    assert "--batch 4 changes nothing: aras* holds all weights of resnet20" in " ".join(held.out.split())
    for more, said in (
        (("--set", "tiles=5", "--batch", "4", "--rate", "100"), "rounds of 4 inferences, which begin together"),
        (("--set", "tiles=5", "--batch", "4", "--round", "4"), "--batch beside a stream is --round"),
    ):
        refused = shell("run", "resnet20", *chip, *more)
        assert (refused.code, refused.out) == (2, "")
        assert said in " ".join(refused.err.split())
