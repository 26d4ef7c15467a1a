"""Laws that every schedule obeys, on random networks and chips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.network.graph import Network
from mho.network.layers import Input, Reshape
from mho.program import Activate, Program, Transfer, Write, violations
from tests.strategies import ALONE, GREEDY, Sketch, chips, networks

few = settings(max_examples=40)
names = st.sampled_from(ALONE)
residencies = st.sampled_from(["auto", "never"])


def compiled(network: Network, chip: Chip, schedule: str, **options: str) -> Program:
    return mho.compile(mho.number.quantise(network), chip, GREEDY.with_(options, schedule=schedule))


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
    """All that make no copies: copies cost nothing then, so `adaptive` makes them and may be faster, never slower."""
    instant = chip.override(
        # Conversions of a second: beside them writes and transfers are nothing, within the range that a chip may have.
        {"array.pulse_s": 1e-17, "memory.bandwidth": 1e17, "array.adc_period_s": 1.0, "layer_order": "sequential"},
        source="law",
    )
    naive, overlap, adaptive = (
        mho.simulate(compiled(network, instant, name, residency="never")).latency_s
        for name in ("naive", "overlap", "adaptive")
    )
    assert overlap == pytest.approx(naive, rel=1e-9)
    assert adaptive <= overlap * (1 + 1e-9)


@few
@given(networks, chips())
def test_overlap_is_never_slower_than_naive(network: Network, chip: Chip) -> None:
    # Where the memory binds, what is fetched early can take its bandwidth from what is needed first.
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
@given(networks, chips(), names, residencies)
def test_every_block_of_every_copy_is_written_once(network: Network, chip: Chip, schedule: str, residency: str) -> None:
    program = compiled(network, chip, schedule, residency=residency)
    for layer in program.mapping.layers:
        written = [
            (each.copy, block)
            for each in program.instructions
            if isinstance(each, Write) and each.layer == layer.index
            for block in range(*each.blocks)
        ]
        copies = 1 + max(copy for copy, _ in written)
        assert sorted(written) == [(copy, block) for copy in range(copies) for block in range(*layer.run)]
        assert copies == 1 or schedule in ("aras", "adaptive")


def test_naive_writes_then_computes_layer_after_layer() -> None:
    """ARAS Figure 7: nothing overlaps, so the time is the sum of all writes, all computing, and of what the buffer's port moves
    between: the input's 5 bytes and 7 of the first layer.
    """
    sketch = Sketch(0, (1, 5))
    sketch.linear(sketch.linear(sketch.layers[0], 7), 3)
    chip = Chip.load("aras").override({"memory.bandwidth": 1e18}, source="law")
    report = mho.simulate(compiled(sketch.network(), chip, "naive", residency="never"))
    port_s = (5 + 7) * 8 / chip.buffer.port_bits / chip.frequency_hz
    assert report.latency_s == pytest.approx(2 * (chip.array_write_time_s + chip.window_time_s) + port_s, rel=1e-12)


def test_a_layer_larger_than_the_chip_runs_in_parts() -> None:
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
    assert program.mapping.count == 40
    assert sum(isinstance(each, Activate) for each in program.instructions) >= 40 // 3
    assert mho.simulate(program).occupancy.peak == 3


def test_each_reader_of_a_spilled_tensor_loads_it_itself() -> None:
    """Also those that read it through a view: the view moves nothing, its readers wait for loads of their own."""
    sketch = Sketch(0, (1, 6, 12))
    source = sketch.layers[0]
    flat = sketch.add(Reshape(name="flat", inputs=(source.name,), shape=(1, 72)))
    for _ in range(2):
        sketch.linear(flat, 4)
    chip = Chip.load("aras").override({"buffer.banks": [64]}, source="law")
    program = compiled(sketch.network(), chip, "overlap")
    moves = [
        (each.direction, each.size) for each in program.instructions if isinstance(each, Transfer) and not each.layer
    ]
    assert moves == [("load", 64), ("load", 8), ("load", 8)]
    assert violations(program) == ()


def test_an_input_that_finds_no_room_at_all_stays_in_main_memory() -> None:
    sketch = Sketch(0, (1, 6, 12))
    beside = sketch.add(Input(name="beside", inputs=(), shape=(1, 6, 12)))
    sketch.linear(sketch.elementwise(sketch.layers[0], beside), 4)
    chip = Chip.load("aras").override({"buffer.banks": [128]}, source="law")
    for order in ("sequential", "dataflow"):
        ordered = chip.override({"layer_order": order}, source="law")
        program = compiled(sketch.network(), ordered, "overlap")
        assert [use.spilled for use in program.buffers][:2] == [0, 72]
        moves = [each.size for each in program.instructions if isinstance(each, Transfer) and each.layer == 1]
        assert moves == [0, 72]
        assert violations(program) == ()
        assert mho.simulate(program).latency_s >= 144 / chip.memory.bandwidth


def test_compiling_twice_gives_the_same_program() -> None:
    network = mho.zoo.load("resnet20")
    first, second = (mho.compile(network, "aras", GREEDY.with_(residency="never")) for _ in range(2))
    assert first.instructions == second.instructions
    assert np.array_equal(mho.simulate(first).timing.ends, mho.simulate(second).timing.ends)
