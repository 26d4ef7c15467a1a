"""Filling tables is writes of a program: every row of every instance, its bytes, pulses and joules counted once more by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

import mho
from mho.chip.lookup import shares_adcs
from mho.machine.lookup.service import serve
from mho.mapping.embedding.seats import Seats
from mho.program import Write
from mho.program.instructions import members
from mho.program.lookups import Lookups
from mho.program.tables import filling
from tests.lookup_oracle import chip_of, layout_of, programs, trace_of


@settings(max_examples=60)
@given(programs())
def test_every_instance_is_written_once_where_it_sits(program: Lookups) -> None:
    seats, layout = program.seats, program.layout
    written: dict[int, tuple[int, int]] = {}
    for write in filling(seats).instructions:
        assert isinstance(write, Write)
        for block, group in zip(range(*write.blocks), members(write.groups), strict=True):
            assert group not in written
            written[group] = write.copy, block
    for instance in range(layout.instances):
        bundle = int(np.searchsorted(layout.first, instance, side="right")) - 1
        copy = instance - int(layout.first[bundle])
        for part in range(seats.span):
            group = int(seats.groups[instance]) + part
            assert group // seats.chip.tile.groups == seats.tile[instance]
            assert written.pop(group) == (copy, bundle * seats.span + part)
    assert not written


@settings(max_examples=30)
@given(programs())
def test_time_energy_and_bytes_of_filling_are_those_counted_by_hand(program: Lookups) -> None:
    seats, trace = program.seats, program.trace
    if not trace.bags:
        return
    chip = seats.chip
    setup = serve(trace, seats.layout, chip, dimension=seats.dimension, batch=4, placed=seats.placed).setup
    rows = int(np.repeat(np.diff(seats.layout.starts), seats.layout.copies).sum())
    moved = rows * seats.dimension * chip.coding.cells * chip.write_bits_per_cell / 8
    least = max(chip.array_write_time_s, moved / chip.memory.bandwidth)
    assert least * (1 - 1e-9) <= setup["latency_s"] <= chip.array_write_time_s + moved / chip.memory.bandwidth + 1e-12
    price = chip.energy_per_event
    each = {"memory_byte": 1, "noc_byte": 1, "write_register_byte": 1, "tile_buffer_byte": 2}
    joules = sum(price.get(event, 0.0) * times * moved for event, times in each.items())
    joules += price["cell_pulse"] * setup["pulses"]
    leaked = setup["energy_j"] - joules
    assert math.isclose(
        leaked, sum(chip.leakage_w.values()) * setup["latency_s"], rel_tol=1e-6, abs_tol=1e-9 * setup["energy_j"]
    )
    assert 0 < setup["cells"] <= rows * seats.dimension * chip.coding.cells


def test_one_copy_of_tables_takes_one_write_of_an_array_while_memory_keeps_up() -> None:
    chip = chip_of()
    service = serve(trace_of([[0, 1]], (2,)), layout_of([[0], [1]]), chip, dimension=4, batch=1)
    assert service.setup["latency_s"] == pytest.approx(chip.array_write_time_s)
    assert service.to_dict()["setup"] == service.setup
    twice = serve(trace_of([[0, 1]], (2,)), layout_of([[0], [1]], [2, 2]), chip, dimension=4, batch=1)
    assert twice.setup["pulses"] == pytest.approx(2 * service.setup["pulses"])
    assert twice.energy_j == pytest.approx(service.energy_j, rel=0.5)


def test_a_chip_whose_writes_last_as_long_as_they_must_is_told_the_longest() -> None:
    chip = chip_of().override({"write_latency": "actual"}, source="test")
    service = serve(trace_of([[0, 1]], (2,)), layout_of([[0, 1]]), chip, dimension=4, batch=1)
    assert service.setup["latency_s"] == pytest.approx(chip.array_write_time_s)
    assert any("as long as any could" in note for note in service.notes())


def test_chips_whose_groups_share_adcs_are_filled_too() -> None:
    chip = chip_of(lookup__groups_per_adc=2)
    assert shares_adcs(chip)
    seats = Seats(layout_of([[0], [1], [2]], [1, 3, 2]), chip, 3)
    assert sum(write.blocks[1] - write.blocks[0] for write in filling(seats).instructions) == 6 * seats.span  # type: ignore[union-attr]
    assert isinstance(mho.simulate(filling(seats)).field("setup")["energy_j"], float)
