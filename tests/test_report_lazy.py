"""A report measures what is asked for, once, and its figures come back from its data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import OptionError, ProgramError
from mho.machine import time_program, wear
from mho.machine.activations import _readings
from mho.machine.channels import passed_bytes
from mho.machine.report import Report
from mho.network.graph import Network
from mho.network.samples import synthetic
from mho.once import known
from mho.program import Program
from mho.program.brought import brought
from mho.program.columns import columns, made
from mho.program.instructions import Instruction
from mho.report.views import files
from tests.strategies import ALONE, chips, networks

few = settings(max_examples=15)


@pytest.fixture(scope="module")
def program() -> Program:
    return mho.compile(mho.zoo.load("resnet20"), "aras", mho.Strategy().with_(schedule="overlap", banks="greedy"))


def test_a_report_measures_nothing_until_it_is_asked(program: Program) -> None:
    fresh = replace(program)
    report = mho.simulate(fresh)
    assert not known(fresh)
    assert report.latency_s > 0
    assert set(known(fresh)) == {columns, made, _readings, brought, passed_bytes, time_program}
    assert not {"account", "bound", "occupancy"} & set(vars(report))
    assert report.energy_j > 0
    assert set(known(fresh)) == {columns, made, _readings, brought, passed_bytes, time_program, wear}
    assert not {"bound", "occupancy"} & set(vars(report))


def test_a_program_is_timed_once_by_whoever_asks() -> None:
    program = mho.compile(mho.zoo.load("resnet20"), "aras", "overlap")
    # The choice of banks asked for the time already, of the program without its last banks.
    assert time_program in known(program)
    assert mho.simulate(program).timing is known(program)[time_program] is time_program(program)
    again = time_program(replace(program))
    assert again is not time_program(program)
    assert np.array_equal(again.starts, time_program(program).starts)
    assert np.array_equal(again.ends, time_program(program).ends)


@few
@given(networks, chips(), st.sampled_from(ALONE), st.sampled_from([None, 1e9]))
def test_a_report_comes_back_from_its_data_as_it_was(
    network: Network, chip: Chip, schedule: str, endurance: float | None
) -> None:
    report = mho.simulate(
        mho.compile(network, chip, mho.Strategy().with_(schedule=schedule, banks="greedy")), endurance=endurance
    )
    content = json.loads(json.dumps(report.to_dict()))
    again = Report.from_dict(content)
    assert json.dumps(again.to_dict()) == json.dumps(report.to_dict())
    assert (again.latency_s, again.energy_j) == (report.latency_s, report.energy_j)
    assert (again.throughput_per_s, again.bound_ratio) == (report.throughput_per_s, report.bound_ratio)
    assert str(again) == str(report)
    assert (again.notes(), again.layers()) == (report.notes(), report.layers())
    assert again.frame("area") == report.frame("area")
    content["latency_s"] = 0.0
    assert again.latency_s == report.latency_s


def test_a_report_that_was_read_back_says_what_it_lacks(program: Program, tmp_path: Path) -> None:
    mho.save(mho.simulate(program, endurance=1e6), tmp_path)
    report = Report.load(tmp_path / "report.json")
    assert report.to_dict() == mho.simulate(program, endurance=1e6).to_dict()
    assert "energy" not in report.frames()
    for part in ("program", "timing", "account", "bound", "occupancy", "worn"):
        with pytest.raises(ProgramError, match="holds figures, not the program"):
            getattr(report, part)
    with pytest.raises(OptionError, match="no field 'latency'"):
        report.field("latency")


def test_what_is_no_report_is_refused(program: Program, tmp_path: Path) -> None:
    content = mho.simulate(program).to_dict()
    with pytest.raises(OptionError, match=r"its schema is 'mho\.sweep/1'"):
        Report.from_dict({**content, "schema": "mho.sweep/1"})
    with pytest.raises(OptionError, match="lacking or unknown here: colour, energy_j"):
        Report.from_dict({"colour": 1, **{name: value for name, value in content.items() if name != "energy_j"}})
    path = tmp_path / "report.json"
    for text, words in (("{", "not JSON"), ("[1]", "its schema is None")):
        path.write_text(text)
        with pytest.raises(OptionError, match=words):
            Report.load(path)


def test_lifetimes_may_be_asked_for_later(program: Program) -> None:
    report = mho.simulate(program)
    asked = mho.simulate(program, endurance=1e9, rate=7.0)
    assert report.endurance is None
    assert report.lifetimes(1e9, 7.0) == asked.endurance
    assert report.lifetimes(1e9).rate_per_s == pytest.approx(1 / report.latency_s)


class Counted(tuple[Instruction, ...]):
    """Instructions that count how often each of them is read."""

    reads: list[int]

    def __iter__(self) -> Iterator[Instruction]:
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: Any) -> Any:
        for each in [place] if isinstance(place, int) else range(*place.indices(len(self))):
            self.reads[each] += 1
        return super().__getitem__(place)


def counted(program: Program) -> tuple[Program, list[int]]:
    """Return a program of which nothing is known yet, and how often each of its instructions is read from now on."""
    instructions = Counted(program.instructions)
    instructions.reads = [0] * len(instructions)
    fresh = replace(program, instructions=instructions)
    instructions.reads[:] = [0] * len(instructions)
    return fresh, instructions.reads


@few
@given(
    networks,
    chips(),
    st.sampled_from(ALONE),
    st.sampled_from(["auto", "never"]),
    st.booleans(),
)
def test_a_whole_report_reads_each_instruction_once(
    network: Network, chip: Chip, schedule: str, residency: str, valued: bool
) -> None:
    subject = mho.number.quantise(network, synthetic(network, 1, seed=1).inputs) if valued else network
    strategy = mho.Strategy().with_(schedule=schedule, residency=residency, banks="greedy")
    if valued:
        strategy = strategy.with_(placement="pulses")
    program, reads = counted(mho.compile(subject, chip, strategy))
    # Data, page with its charts, and the timeline's trace.
    assert files(mho.simulate(program, endurance=1e9))
    assert reads == [1] * len(reads)
