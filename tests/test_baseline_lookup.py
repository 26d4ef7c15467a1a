"""Other ways to serve look-ups: each computes the same vectors, sees the history alone, keeps to its budget; rooflines."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.chip.roles import ROLES
from mho.errors import OptionError, StrategyError
from mho.explore import DESIGNS, Design, Request, ablation, design
from mho.explore.recommendation import recommend
from mho.machine.lookup import reduce
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.energy import events, selection_bytes
from mho.machine.lookup.service import Service, weight_bits
from mho.machine.lookup.timing import RESULT_BYTES, adders
from mho.machine.roofline import MEMORIES, Memory, measure_cpu
from mho.mapping.embedding import Layout
from mho.mapping.embedding.reading import Sums
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Communities, Trace, synthesise
from mho.program.lookups import Lookups
from mho.strategy import Strategy
from tests.lookup_oracle import chip_of, embedding_bags, trace_of, traces

DIMENSION, BATCH = 8, 16
COPYING = ("nmars-copies", "recross", "mho")


@cache
def made() -> tuple[Trace, Trace]:
    """A history and a test with rows that keep company."""
    whole = synthesise(
        400, (200, 40), (6.0, 1.5), communities=Communities(8, 0.7), popularity="zipf:1", seed=4, distinct=False
    )
    return whole.split(0.75)


def grouped(method: str) -> Strategy:
    """Return mho's own strategy for tables with another grouping."""
    return Strategy.load("mho").with_(grouping=method)


@cache
def asked(**changed: object) -> Request:
    history, _ = made()
    values = {"budget": 1.5, "batch": BATCH, "dimension": DIMENSION, "seed": 1, **changed}
    return Request(history, chip_of(), **values)  # type: ignore[arg-type]


@cache
def built(name: str) -> Design:
    return design(name, asked())


@cache
def served(name: str) -> Service:
    return built(name).serve(made()[1], DIMENSION, BATCH)


def programmed(made_by: Design, trace: Trace, dimension: int, batch: int) -> Lookups:
    """The program by which a design serves a trace."""
    seats = Seats(made_by.layout, made_by.chip, dimension, made_by.placed)
    longest = int(trace.lengths.max(initial=1))
    reading = Reading(made_by.chip, dimension, weight_bits(trace, known=True), longest)
    return dispatch(trace, seats, reading, batch)


def same(one: Layout, other: Layout) -> bool:
    pairs = ((one.starts, other.starts), (one.members, other.members), (one.copies, other.copies))
    return all(np.array_equal(a, b) for a, b in pairs)


@settings(max_examples=25)
@given(traces(most_bags=10), st.data(), st.integers(1, 4), st.integers(0, 99))
def test_every_design_computes_the_same_vectors(history: Trace, data: st.DataObject, batch: int, seed: int) -> None:
    # The test is of the same tables, but of other bags.
    count = data.draw(st.integers(1, 8))
    draw = np.random.default_rng(seed)
    tables = np.sort(draw.integers(0, len(history.rows), count)).tolist()
    bags = [draw.integers(0, history.rows[t], draw.integers(0, 9)).tolist() for t in tables]
    test = trace_of(bags, history.rows, tables)
    codes = draw.integers(-128, 128, (history.total_rows, 5)).astype(np.int8)
    request = Request(history, chip_of(), 2.0, batch, 5, strategy=grouped("fast"))
    expected = embedding_bags(test, codes)
    for name in DESIGNS:
        program = programmed(design(name, request), test, 5, batch)
        program.check()
        assert np.array_equal(reduce(program, codes).vectors, expected), name


def test_an_nmars_array_reads_one_row_at_a_time_and_never_adds_in_analog() -> None:
    test = made()[1]
    for name, bits in (("nmars", {2}), ("nmars-whole", {9})):
        program = programmed(built(name), test, DIMENSION, BATCH)
        assert set(program.sizes.tolist()) == {1}
        found = served(name)
        assert found.activations == test.lookups
        assert set(found.modes()) == bits
        assert found.layout.instances == found.layout.least_groups
    # It takes the number of a row, 4 bits of 16 rows; with weights of 8 bits 12.
    seats = served("nmars").seats
    for weight, expected in ((1, 1), (8, 2)):
        counts = events(served("nmars").counted, seats, Reading(seats.chip, DIMENSION, weight), RESULT_BYTES)
        assert counts["input_register_byte"] == test.lookups * expected


@given(st.sampled_from((9, 16, 100, 128)), st.integers(1, 128), st.sampled_from((1, 5, 8)))
def test_rows_are_selected_in_the_fewest_bytes_and_by_the_same_rule_in_every_design(
    rows: int, most: int, weight: int
) -> None:
    """A mask has a bit (or weight) for each row of the array; a list how many there are, and which."""
    chip = chip_of(array__rows=rows, lookup__most_rows=min(most, rows), array__adc_bits=9)
    reading = Reading(chip, DIMENSION, weight)
    found = selection_bytes(reading)
    assert len(found) == reading.most_rows + 1
    bits = int(np.ceil(np.log2(rows)))
    for n in range(1, reading.most_rows + 1):
        told = 0 if min(most, rows) == 1 else bits
        listed = told + n * (bits + (weight if weight > 1 else 0))
        assert found[n] == int(np.ceil(min(listed, rows * weight) / 8))
    assert (np.diff(found[1:]) >= 0).all()


def test_designs_of_naive_mapping_put_rows_in_order_of_their_ids() -> None:
    rows = made()[0].total_rows
    for name in ("naive", "nmars", "nmars-whole"):
        assert built(name).layout.members.tolist() == list(range(rows))
    history = made()[0]
    bag = np.repeat(np.arange(history.bags), history.lengths)
    counts = np.bincount(np.unique(bag * rows + history.flat) % rows, minlength=rows)
    layout = built("frequency").layout
    groups = [counts[layout.members[a:b]] for a, b in pairwise(layout.starts)]
    # One group's least is no less than the next one's most.
    assert all(one.min() >= other.max() for one, other in pairwise(groups))


@settings(max_examples=15)
@given(st.sampled_from((1.0, 1.1, 1.25, 2.0, 3.7)), st.sampled_from(("fast", "refine")))
def test_no_design_takes_more_instances_than_the_budget(budget: float, grouping: str) -> None:
    request = replace(asked(), budget=budget, strategy=grouped(grouping))
    least = -(-made()[0].total_rows // request.chip.array.rows)
    for name in DESIGNS:
        layout = design(name, request).layout
        assert layout.least_groups == least
        assert layout.instances <= budget * least + 1e-9
        if name not in COPYING:
            assert layout.instances == least
    for published in (True, False):
        for each in ablation(request, published=published):
            assert each.layout.instances <= budget * least + 1e-9


@settings(max_examples=12)
@given(st.sampled_from((1.0, 1.1, 1.25, 2.0)), st.sampled_from(("fast", "refine")))
def test_in_equal_areas_every_design_takes_as_many_arrays(budget: float, grouping: str) -> None:
    request = replace(asked(), budget=budget, strategy=grouped(grouping), equal=True)
    for name in DESIGNS:
        found = design(name, request)
        assert found.layout.instances == int(Fraction(str(budget)) * request.least_groups), name
        assert found.says
        # Rows sit where they sit without copies.
        alone = design(name, replace(request, equal=False)).layout
        assert np.array_equal(found.layout.members, alone.members)
        assert np.array_equal(found.layout.starts, alone.starts)


@settings(max_examples=12)
@given(traces(most_bags=30), st.integers(1, 4), st.sampled_from((1.0, 1.5, 3.0)), st.sampled_from(("equal", "own")))
def test_what_each_idea_brings_multiplies_to_the_whole_gain(
    trace: Trace, batch: int, budget: float, areas: str
) -> None:
    assume(trace.lookups)
    found = recommend(
        trace, trace, chip=chip_of(), dimension=5, batch=batch, budget=budget, designs=("naive", "mho"), areas=areas
    )
    assert [each.name for each in found.split] == ["grouping", "copies", "new rows", "ADC modes", "tiles"]
    own, plain = found.services["mho"], design("naive", replace(found.request, equal=False)).serve(trace, 5, batch)
    for what, taken, whole in (
        ("time", plain.seconds / own.seconds if own.seconds else 1.0, found.whole.time),
        ("energy", plain.energy_j / own.energy_j if own.energy_j else 1.0, found.whole.energy),
    ):
        assert np.prod([getattr(each, what) for each in found.split]) == pytest.approx(taken)
        assert whole == pytest.approx(taken)
    if areas == "own":
        assert found.whole.time == pytest.approx(found.gain("mho")["time"])
        assert found.copied is None
    else:
        # What copies alone bring, and what is left of the gain in equal areas.
        assert found.copied is not None
        assert found.copied.time * found.gain("mho")["time"] == pytest.approx(found.whole.time)
        assert found.copied.energy * found.gain("mho")["energy"] == pytest.approx(found.whole.energy)


def test_there_are_never_more_copies_than_seats() -> None:
    """A budget beyond the chip is met as far as it goes, at once, and said."""
    history, test = made()
    chip = chip_of()
    for budget in (1e9, 1e12):
        found = recommend(history, test, chip=chip, dimension=DIMENSION, batch=BATCH, budget=budget)
        for made_by in found.designs.values():
            seats = Seats(made_by.layout, made_by.chip, DIMENSION)
            assert made_by.layout.instances <= chip.tiles * seats.per_tile
        assert any("copies; they stop at" in note for note in found.notes())
    wide = chip_of(tiles=10**6)
    found = recommend(history, test, chip=wide, dimension=DIMENSION, batch=BATCH, budget=1e12, designs=("naive",))
    assert found.designs["naive"].layout.instances <= found.request.least_groups + history.lookups


@pytest.mark.parametrize(("published", "last"), [(True, "recross"), (False, "mho")])
def test_the_last_of_an_ablation_is_the_design_itself(published: bool, last: str) -> None:
    steps = ablation(asked(), published=published)
    whole = built(last)
    assert same(steps[-1].layout, whole.layout)
    assert steps[-1].chip.digest == whole.chip.digest
    ended = steps[-1].serve(made()[1], DIMENSION, BATCH)
    assert ended.batch_s.tolist() == served(last).batch_s.tolist()
    assert ended.energy_j == served(last).energy_j
    # The first is naive, and names tell the steps apart.
    assert same(steps[0].layout, built("naive").layout)
    assert len({each.name for each in steps}) == len(steps)
    assert [each.chip.lookup.adc_modes for each in steps[:3] if each.chip.lookup is not None] == ["fixed"] * 3


def test_what_is_served_has_no_say_in_where_rows_sit() -> None:
    history, test = made()
    reversed_rows = np.concatenate([size - 1 - np.arange(size) for size in test.rows]).astype(np.int32)
    other = replace(test, indices=reversed_rows[test.flat])
    names = tuple(DESIGNS)
    first, second = (
        recommend(history, each, chip=chip_of(), dimension=DIMENSION, batch=BATCH, designs=names, areas="own", seed=1)
        for each in (test, other)
    )
    for name in names:
        assert same(first.designs[name].layout, second.designs[name].layout), name
        placed = [each.designs[name].placed for each in (first, second)]
        assert (placed[0] is None) == (placed[1] is None)
        assert placed[0] is None or np.array_equal(placed[0], placed[1])
        assert not np.array_equal(first.services[name].loads, second.services[name].loads)


def test_what_a_request_has_grouped_is_only_for_its_own_history_seed_and_height() -> None:
    request = asked(strategy=grouped("fast"))
    before = request.mapped("frequency")
    assert request.mapped("frequency") is before
    assert replace(request, budget=2.0).mapped("frequency") is before
    other = replace(request, history=made()[1])
    assert not same(other.mapped("frequency"), before)
    low = replace(request, chip=chip_of(array__rows=8))
    assert low.mapped("frequency").height == 8
    assert replace(request, seed=9).mapped("frequency") is not before


def test_more_modes_of_the_adc_are_never_slower_and_never_take_more_energy_of_conversions() -> None:
    layout, test = built("recross").layout, made()[1]
    times, joules = [], []
    for modes in ("fixed", "switch", "every"):
        found = Design(modes, layout, Sums(modes=modes).on(asked().chip, modes)).serve(test, DIMENSION, BATCH)
        times.append(found.batch_s)
        joules.append(found.energy["adc", "compute"])
    # The same activations on the same copies may be dispatched otherwise where times differ, so the sum of busy times is told.
    assert joules[0] > joules[1] > joules[2]
    assert times[0].sum() >= times[1].sum() >= times[2].sum()


def test_designs_differ_in_nothing_but_what_they_name() -> None:
    """The same parts, so that what one design gains is not a larger port, buffer or array of its own."""
    base = asked().chip
    for name in DESIGNS:
        chip = built(name).chip
        assert chip.array == base.array and chip.group == base.group and chip.tile == base.tile, name
        assert chip.tiles == base.tiles and chip.frequency_hz == base.frequency_hz, name
        for event, joules in chip.energy_per_event.items():
            assert joules == base.energy_per_event.get(event, joules), (name, event)
    # Adders go with how fast ADCs can give sums; their area is charged.
    fixed, switch = built("naive").chip, built("recross").chip
    assert adders(fixed) < adders(switch) == adders(built("mho").chip) == adders(built("nmars").chip)
    assert adders(fixed) == ROLES["accumulator"].count(fixed)
    areas = [chip.roll_up().area_m2.by_component["accumulator"] for chip in (fixed, switch)]
    assert areas[1] / areas[0] == pytest.approx(adders(switch) / adders(fixed))
    # Two bits are resolved in 2 / 9 of the time of nine.
    step = fixed.step_time_s * fixed.frequency_hz
    sums = fixed.tile.groups * fixed.group_columns / step
    assert adders(fixed) == np.ceil(round(sums, 9))
    assert adders(switch) == np.ceil(round(sums * 9 / 2, 9))


def test_bad_requests_are_refused() -> None:
    history, _ = made()
    with pytest.raises(StrategyError, match="no part lookup"):
        Request(history, Chip.load("aras"))
    with pytest.raises(OptionError, match=r"grouping 'refined': did you mean refine"):
        Request(history, chip_of(), strategy=grouped("refined"))
    with pytest.raises(OptionError, match="unknown design 'our'"):
        design("our", asked())
    with pytest.raises(OptionError, match="area budget"):
        design("mho", asked(budget=0.9))
    with pytest.raises(OptionError, match="several names"):
        recommend(history, designs="naive")


MEMORY = Memory(100.0, 2.0, 16, 3.0, ())


def test_a_roofline_by_hand() -> None:
    # 5 look-ups in 3 bags of 2 queries. Rows of 10 features of 1 byte move 16 bytes; of 2 bytes 32.
    trace = trace_of([[0, 1], [2], [3, 3]], queries=[4, 4, 9])
    assert MEMORY.moved_bytes(trace, 10, 1) == 5 * (16 + 8) + 3 * 10 * 4
    assert MEMORY.moved_bytes(trace, 10, 2) == 5 * (32 + 8) + 3 * 10 * 4
    assert MEMORY.seconds(trace, 10, 2) == 3.0 + 240 / 100
    assert MEMORY.seconds(trace, 10, 1) == 2 * 3.0 + 240 / 100
    assert MEMORY.seconds(trace, 10, 1, 2) == 2 * 3.0 + 320 / 100
    assert MEMORY.joules(trace, 10) == 480.0
    nothing = trace_of([[], []])
    assert MEMORY.moved_bytes(nothing, 10, 1) == 2 * 40


@given(traces(), st.integers(1, 200), st.sampled_from((1, 2, 4)), st.integers(1, 7))
def test_no_memory_moves_less_than_what_is_asked_for(trace: Trace, dimension: int, size: int, batch: int) -> None:
    asked_for = trace.lookups * (dimension * size + 8) + trace.bags * dimension * 4
    for memory in MEMORIES.values():
        moved = memory.moved_bytes(trace, dimension, size)
        assert asked_for <= moved < asked_for + trace.lookups * memory.access_bytes + 1
        assert memory.seconds(trace, dimension, batch, size) >= asked_for / memory.bandwidth
        assert memory.joules(trace, dimension, size) == moved * memory.byte_j
        assert memory.seconds(trace, dimension, batch + 1, size) <= memory.seconds(trace, dimension, batch, size)


def test_memories_name_their_sources() -> None:
    # A100: 1,555 GB/s, 3.92 pJ a bit. DDR4-3200: 8 bytes a transfer.
    assert MEMORIES["gpu"].bandwidth == 1555e9
    assert MEMORIES["gpu"].byte_j == pytest.approx(31.36e-12)
    assert MEMORIES["dram"].bandwidth == 3200e6 * 8
    assert all(memory.sources for memory in MEMORIES.values())


def test_a_processor_is_measured_on_batches_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    calls: list[tuple[int, int, bool]] = []
    original = torch.nn.functional.embedding_bag

    def spied(indices: torch.Tensor, table: torch.Tensor, offsets: torch.Tensor, **options: object) -> torch.Tensor:
        found = original(indices, table, offsets, **options)  # type: ignore[arg-type]
        # What is timed is an embedding bag of the trace: sums of rows, weighted.
        per_bag = torch.diff(torch.cat([offsets, torch.tensor([len(indices)])]))
        bag = torch.repeat_interleave(torch.arange(len(offsets)), per_bag)
        weights = options["per_sample_weights"]
        rows = table[indices] if weights is None else table[indices] * weights[:, None]  # type: ignore[index]
        expected = torch.zeros(len(offsets), table.shape[1]).index_add_(0, bag, rows)
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
        calls.append((len(offsets), len(indices), weights is not None))
        return found

    monkeypatch.setattr(torch.nn.functional, "embedding_bag", spied)
    # Queries of 2, 1 and 1 bags.
    bags: list[list[int]] = [[0, 1], [], [2, 2, 2], [5]]
    found = measure_cpu(trace_of(bags, queries=[1, 1, 2, 7]), 4, 2)
    # The first batch is run twice, once before measuring; batches are of two queries.
    assert calls == [(3, 5, False), (3, 5, False), (1, 1, False)]
    assert (found.batches, found.threads) == (2, torch.get_num_threads()) and found.batch_s > 0
    calls.clear()
    weighted = trace_of(bags, queries=[1, 1, 2, 7], weights=[1, 2, 3, 255, 1, 9])
    assert measure_cpu(weighted, 4, 1, most_batches=2).batches == 2
    assert calls == [(2, 2, True), (2, 2, True), (1, 3, True)]


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(OptionError, match="one table"):
        measure_cpu(trace_of([[0], [1]], (3, 3), [0, 1], [0, 0]), 4, 1)
    for trace, batch, most in ((trace_of([]), 1, 1), (trace_of([[0]]), 0, 1), (trace_of([[0]]), 1, 0)):
        with pytest.raises(OptionError, match="at least"):
            measure_cpu(trace, 4, batch, most_batches=most)
