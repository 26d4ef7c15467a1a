"""Energy of look-ups: every event counted again, one activation at a time."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip import Chip
from mho.machine.lookup import Counted, energy, service, time_lookups
from mho.machine.lookup.energy import events
from mho.machine.lookup.service import serve
from mho.machine.lookup.timing import RESULT_BYTES
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.program.lookups import Lookups
from tests.lookup_oracle import (
    CHIPS,
    chip_of,
    layout_of,
    layouts,
    program_of,
    programs,
    recount,
    trace_of,
    traces,
)

CODED = st.builds(
    chip_of,
    array__coding=st.sampled_from(("offset", "flipped", "differential", "twos_complement")),
    array__cell_bits=st.sampled_from((2, 4)),
    lookup__adc_modes=st.sampled_from(("fixed", "switch", "every")),
    array__adcs=st.sampled_from((1, 3)),
)


def counted_of(program: Lookups) -> Counted:
    times = time_lookups(program)
    by_rows = np.bincount(program.sizes, minlength=program.reading.most_rows + 1)
    served = int(np.count_nonzero(np.bincount(program.bags, minlength=1)))
    return Counted(by_rows, int(program.sent.sum()), times.counted.crossed, served, float(times.batch_s.sum()))


@settings(max_examples=100)
@given(programs(CHIPS | CODED, most_bags=10))
def test_events_are_those_of_each_activation(program: Lookups) -> None:
    batch = int(np.count_nonzero(np.diff(program.trace.queries[: program.bag_batches[1]]))) + 1
    found = events(counted_of(program), program.seats, program.reading, RESULT_BYTES)
    expected = recount(program, batch)
    assert found == pytest.approx({event: expected.get(event, 0.0) for event in found}, rel=1e-12)
    assert set(expected) <= set(found)


@settings(max_examples=60)
@given(programs(CHIPS | CODED))
def test_parts_make_up_the_whole(program: Lookups) -> None:
    chip, counted = program.seats.chip, counted_of(program)
    found = energy(counted, program.seats, program.reading, RESULT_BYTES)
    events_of = events(counted, program.seats, program.reading, RESULT_BYTES)
    compute = sum(count * chip.energy_per_event[event] for event, count in events_of.items())
    assert sum(j for (_, kind), j in found.items() if kind == "compute") == pytest.approx(compute, rel=1e-12)
    # Leakage: of arrays, groups and tiles as much as tiles are in use, of the chip all.
    share = program.seats.tiles / chip.tiles
    static = sum(
        part.leakage_w * part.total * (1 if part.level == "chip" else share) * counted.seconds
        for part in chip.roll_up().parts
        if part.component != "global_buffer"
    )
    assert sum(j for (_, kind), j in found.items() if kind == "static") == pytest.approx(static, rel=1e-12)


def test_leakage_is_that_of_the_tiles_in_use_and_main_memory_is_left_out() -> None:
    aras = Chip.load("aras")
    content = {"lookup.adc_modes": "fixed", "lookup.most_rows": 1, "lookup.groups_per_adc": 1}
    chip = aras.override({**content, "components.adc_mode": "none"}, source="test")
    seats = Seats(layout_of([[0], [1]]), chip, 8)
    assert seats.tiles == 1 < chip.tiles
    trace = trace_of([[0, 1], [1]], rows=(2,))
    found = serve(trace, seats.layout, chip, dimension=8)
    static = {name: joules for (name, kind), joules in found.energy.items() if kind == "static"}
    assert static
    for name, joules in static.items():
        level = chip.costs.level(name)
        assert level != "board"
        share = 1 if level == "chip" else 1 / chip.tiles
        assert joules == pytest.approx(chip.leakage_w[name] * found.seconds * share, rel=1e-12)
    assert any(chip.costs.level(name) == "board" and watts for name, watts in chip.leakage_w.items())


@settings(max_examples=60)
@given(programs())
def test_energy_is_that_of_the_batches_one_by_one(program: Lookups) -> None:
    trace, batches = program.trace, []
    size = int(np.count_nonzero(np.diff(trace.queries[: program.bag_batches[1]]))) + 1
    layout, chip, dimension = program.layout, program.seats.chip, program.seats.dimension
    # Weights are streamed as the largest of the whole trace needs; a batch of its own would need fewer bits.
    with patch.object(service, "weight_bits", return_value=program.reading.weight_bits):
        whole = serve(trace, layout, chip, dimension=dimension, batch=size)
        for low, high in zip(program.bag_batches, program.bag_batches[1:], strict=False):
            part = trace.select(slice(int(low), int(high)))
            batches.append(serve(part, layout, chip, dimension=dimension, batch=size))
    for key, joules in whole.energy.items():
        assert joules == pytest.approx(sum(each.energy[key] for each in batches), rel=1e-9, abs=1e-30)
    assert whole.batch_s.tolist() == [each.seconds for each in batches]


@settings(max_examples=40)
@given(st.data())
def test_finer_modes_save_adc_energy_and_nothing_else(data: st.DataObject) -> None:
    trace = data.draw(traces())
    layout = data.draw(layouts(trace.total_rows))
    # One copy: where activations go does not hang on how long they take.
    layout = layout.with_copies(np.ones(layout.groups, dtype=np.int32))
    found = {}
    for modes in ("every", "switch", "fixed"):
        program = program_of(trace, layout, chip_of(lookup__adc_modes=modes), 16)
        found[modes] = energy(counted_of(program), program.seats, program.reading, RESULT_BYTES)
    for first, second in (("every", "switch"), ("switch", "fixed")):
        for key in found["every"]:
            if key == ("adc", "compute"):
                assert found[first][key] <= found[second][key] * (1 + 1e-12)
            elif key[0] != "adc_mode" and key[1] == "compute":
                assert found[first][key] == pytest.approx(found[second][key], rel=1e-12)
    mode = ("adc_mode", "compute")
    assert mode not in found["fixed"]
    assert found["every"][mode] == found["switch"][mode]


@settings(max_examples=30)
@given(traces(), st.integers(1, 5), st.data())
def test_rows_that_are_driven_together_bound_activations_as_rows_that_are_added_up_do(
    trace: Trace, together: int, data: st.DataObject
) -> None:
    layout = data.draw(layouts(trace.total_rows))
    chips = (chip_of(array__rows_parallel=together), chip_of(lookup__most_rows=together))
    array, part = (serve(trace, layout, chip, dimension=8) for chip in chips)
    assert array.batch_s.tolist() == part.batch_s.tolist()
    assert array.energy == part.energy
