"""Laws that every schedule obeys, on random networks and chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.network.graph import Network
from mho.program import Activate, Program, Write, violations
from mho.schedule import SCHEDULES
from tests.strategies import chips, networks

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
names = st.sampled_from(sorted(SCHEDULES))
residencies = st.sampled_from(["auto", "never"])


def compiled(network: Network, chip: Chip, schedule: str, **options: str) -> Program:
    return mho.compile(mho.quantise(network), chip, schedule=schedule, **options)


@few
@given(networks, chips(), names, residencies)
def test_programs_are_legal_as_written_and_as_timed(
    network: Network, chip: Chip, schedule: str, residency: str
) -> None:
    program = compiled(network, chip, schedule, residency=residency)
    timing = mho.simulate(program).timing
    assert violations(program, (timing.starts, timing.ends)) == ()


@few
@given(networks, chips(), names, residencies)
def test_no_schedule_beats_the_lower_bound(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    report = mho.simulate(compiled(network, chip, schedule, residency=residency))
    assert report.latency_s >= report.bound.seconds * (1 - 1e-9)


@few
@given(networks, chips())
def test_without_write_time_all_schedules_take_the_same_time(network: Network, chip: Chip) -> None:
    instant = chip.override(
        {"array.pulse_s": 1e-30, "memory.bandwidth": 1e30, "layer_order": "sequential"}, source="law"
    )
    times = [mho.simulate(compiled(network, instant, name, residency="never")).latency_s for name in sorted(SCHEDULES)]
    assert times == pytest.approx([times[0]] * len(times), rel=1e-9)


@few
@given(networks, chips())
def test_overlap_is_never_slower_than_naive(network: Network, chip: Chip) -> None:
    sequential = chip.override({"layer_order": "sequential", "memory.bandwidth": 1e15}, source="law")
    slow, fast = (mho.simulate(compiled(network, sequential, name, residency="never")) for name in ("naive", "overlap"))
    assert fast.latency_s <= slow.latency_s * (1 + 1e-9)


@few
@given(networks, chips())
def test_more_groups_are_never_slower_under_overlap(network: Network, chip: Chip) -> None:
    times = [
        mho.simulate(
            compiled(
                network,
                chip.override({"tiles": chip.tiles * n, "memory.bandwidth": 1e15}, source="law"),
                "overlap",
            )
        ).latency_s
        for n in (1, 2, 4)
    ]
    assert times[1] <= times[0] * (1 + 1e-9)
    assert times[2] <= times[1] * (1 + 1e-9)


@few
@given(networks, chips(), names)
def test_every_block_is_written_once_when_nothing_is_replicated(network: Network, chip: Chip, schedule: str) -> None:
    program = compiled(network, chip, schedule)
    for layer in program.mapping.layers:
        written = [
            block
            for each in program.instructions
            if isinstance(each, Write) and each.layer == layer.index
            for block in range(*each.blocks)
        ]
        assert sorted(written) == list(range(layer.blocks))


def test_naive_writes_then_computes_layer_after_layer() -> None:
    """ARAS Figure 7: nothing overlaps, so the time is the sum of all writes and all computing."""
    from tests.strategies import Sketch

    sketch = Sketch(0, (1, 5))
    sketch.linear(sketch.linear(sketch.layers[0], 7), 3)
    chip = Chip.load("aras").override({"memory.bandwidth": 1e18}, source="law")
    report = mho.simulate(compiled(sketch.network(), chip, "naive", residency="never"))
    assert report.latency_s == pytest.approx(2 * (chip.array_write_time_s + chip.window_time_s), rel=1e-9)


def test_a_layer_larger_than_the_chip_runs_in_parts() -> None:
    from tests.strategies import Sketch

    sketch = Sketch(0, (1, 40))
    sketch.linear(sketch.layers[0], 16)
    tiny = Chip.load("aras").override(
        {
            "array.rows": 4,
            "array.columns": 16,
            "array.adcs": 1,
            "group.arrays": 1,
            "tile.groups": 1,
            "tiles": 3,
        },
        source="law",
    )
    program = compiled(sketch.network(), tiny, "overlap")
    assert program.mapping.blocks == 40
    assert sum(isinstance(each, Activate) for each in program.instructions) >= 40 // 3
    assert mho.simulate(program).occupancy.peak == 3


class TestLegality:
    """Every rule is broken on purpose once, and found."""

    @pytest.fixture
    def program(self) -> Program:
        from tests.strategies import Sketch

        sketch = Sketch(3, (1, 9))
        sketch.linear(sketch.linear(sketch.layers[0], 9), 4)
        tiny = Chip.load("aras").override(
            {
                "array.rows": 4,
                "array.columns": 16,
                "array.adcs": 1,
                "group.arrays": 1,
                "tile.groups": 1,
                "tiles": 4,
            },
            source="law",
        )
        return compiled(sketch.network(), tiny, "overlap", residency="never")

    def broken(self, program: Program, place: int, **changes: object) -> Program:
        instructions = list(program.instructions)
        instructions[place] = replace(instructions[place], **changes)  # type: ignore[arg-type]
        return replace(program, instructions=tuple(instructions))

    def place(self, program: Program, kind: type, nth: int = 0) -> int:
        return [i for i, each in enumerate(program.instructions) if isinstance(each, kind)][nth]

    def test_the_program_itself_is_legal(self, program: Program) -> None:
        assert violations(program) == ()

    def test_overwriting_what_is_in_use(self, program: Program) -> None:
        late = self.place(program, Write, -1)
        assert any("may still use it" in each.text for each in violations(self.broken(program, late, after=())))

    def test_reading_before_the_write_has_ended(self, program: Program) -> None:
        first = self.place(program, Activate)
        found = violations(self.broken(program, first, after=()))
        assert any("may be read before" in each.text for each in found)

    def test_a_window_left_out(self, program: Program) -> None:
        from tests.strategies import Sketch

        sketch = Sketch(0, (1, 3, 4))
        sketch.linear(sketch.layers[0], 2)
        whole = compiled(sketch.network(), Chip.load("aras"), "overlap")
        first = self.place(whole, Activate)
        assert any("each of 3 once" in each.text for each in violations(self.broken(whole, first, windows=(0, 2))))

    def test_groups_that_hold_something_else(self, program: Program) -> None:
        first = self.place(program, Activate)
        held = program.instructions[first]
        assert isinstance(held, Activate)
        moved = tuple((a, b) for a, b in reversed([(g, g + 1) for pair in held.groups for g in range(*pair)]))
        if len(moved) > 1:
            found = violations(self.broken(program, first, groups=moved))
            assert any("does not hold" in each.text for each in found)

    def test_groups_that_the_chip_lacks(self, program: Program) -> None:
        first = self.place(program, Write)
        held = program.instructions[first]
        assert isinstance(held, Write)
        count = held.blocks[1] - held.blocks[0]
        assert any(
            "on a chip of" in each.text for each in violations(self.broken(program, first, groups=((4, 4 + count),)))
        )

    def test_two_tensors_in_one_bank(self, program: Program) -> None:
        shared = tuple(replace(use, banks=program.buffers[0].banks) for use in program.buffers)
        assert any("at once" in each.text for each in violations(replace(program, buffers=shared)))

    def test_an_instruction_faster_than_the_chip(self, program: Program) -> None:
        timing = mho.simulate(program).timing
        assert any("less than the chip" in each.text for each in violations(program, (timing.starts, timing.starts)))

    def test_more_bytes_than_the_memory_delivers(self, program: Program) -> None:
        slow = replace(program, chip=program.chip.override({"memory.bandwidth": 1.0}, source="law"))
        timing = mho.simulate(program).timing
        assert any("memory does more" in each.text for each in violations(slow, (timing.starts, timing.ends)))


def test_compiling_twice_gives_the_same_program() -> None:
    network = mho.zoo.load("resnet20")
    first, second = (mho.compile(network, "aras", residency="never") for _ in range(2))
    assert first.instructions == second.instructions
    assert np.array_equal(mho.simulate(first).timing.ends, mho.simulate(second).timing.ends)
