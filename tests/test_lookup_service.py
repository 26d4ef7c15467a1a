"""Serving a trace: in chunks, in parts, from nothing to everything; and what the report adds up to."""

from __future__ import annotations

import itertools
import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.errors import MappingError, OptionError, TraceError
from mho.machine.lookup import service, time_lookups
from mho.machine.lookup.service import Service, serve
from mho.mapping.embedding import Layout, group
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from tests.lookup_oracle import CHIPS, chip_of, layout_of, layouts, program_of, trace_of, traces


def measured(found: Service) -> dict[str, Any]:
    """All that is exact whatever the order in which it is added up."""
    return {
        "by_rows": found.counted.by_rows.tolist(),
        "counts": (found.counted.parts, found.counted.crossed, found.counted.served, found.lookups, found.bags),
        "batch_s": found.batch_s.tolist(),
        "query_s": found.query_s.tolist(),
        "bound_s": found.bound_s.tolist(),
        "loads": found.loads.tolist(),
    }


def alike(found: Service, expected: Service) -> None:
    assert measured(found) == measured(expected)
    for name in ("array_busy_s", "adc_busy_s", "port_busy_s", "adder_busy_s"):
        assert getattr(found, name).tolist() == pytest.approx(getattr(expected, name).tolist(), rel=1e-12)
    assert dict(found.energy) == pytest.approx(dict(expected.energy), rel=1e-12)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Trace, Layout, dict[str, Any]]:
    trace = draw(traces(most_bags=25))
    options = {"chip": draw(CHIPS), "dimension": draw(st.sampled_from((3, 8, 16))), "batch": draw(st.integers(1, 6))}
    return trace, draw(layouts(trace.total_rows)), options


@settings(max_examples=50)
@given(jobs(), st.integers(0, 30))
def test_chunks_change_nothing(job: tuple[Trace, Layout, dict[str, Any]], chunk: int) -> None:
    trace, layout, options = job
    whole = serve(trace, layout, **options)
    with patch.object(service, "CHUNK", chunk):
        alike(serve(trace, layout, **options), whole)


@settings(max_examples=50)
@given(jobs(), st.data())
def test_parts_that_end_with_a_batch_change_nothing(
    job: tuple[Trace, Layout, dict[str, Any]], data: st.DataObject
) -> None:
    trace, layout, options = job
    begins = np.flatnonzero(np.diff(trace.queries, prepend=-1))[:: options["batch"]].tolist()
    cuts = sorted({0, *(cut for cut in begins if data.draw(st.booleans())), trace.bags})
    parts = [trace.select(slice(low, high)) for low, high in itertools.pairwise(cuts)]
    parts.insert(data.draw(st.integers(0, len(parts))), trace.select(slice(0, 0)))
    # Of weights in parts the largest is not known: they are streamed as 8 bits.
    with patch.object(service, "weight_bits", return_value=1 if trace.weights is None else 8):
        longest = int(trace.lengths.max())
        alike(serve(iter(parts), layout, longest=longest, **options), serve(trace, layout, **options))


@settings(max_examples=50)
@given(jobs())
def test_what_is_reported_adds_up(job: tuple[Trace, Layout, dict[str, Any]]) -> None:
    trace, layout, options = job
    found = serve(trace, layout, **options)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    acts, energy = told["activations"], told["energy_j"]
    assert sum(int(n) * count for n, count in acts["by_rows"].items()) == trace.lookups == told["trace"]["lookups"]
    assert sum(acts["by_rows"].values()) == sum(acts["by_bits"].values()) == acts["total"] == found.loads.sum()
    assert sum(energy["by_component"].values()) == pytest.approx(energy["total"], rel=1e-12)
    assert sum(energy["by_kind"].values()) == pytest.approx(energy["total"], rel=1e-12)
    assert (found.bill @ found.chip).total() == pytest.approx(energy["total"], rel=1e-12)
    assert energy["per_query"] * told["trace"]["queries"] == pytest.approx(energy["total"], rel=1e-12)
    assert sum(told["area_m2"]["by_component"].values()) == pytest.approx(told["area_m2"]["total"], rel=1e-12)
    assert told["seconds"] == pytest.approx(sum(found.batch_s), rel=1e-12)
    assert told["trace"]["queries"] == len(set(trace.queries.tolist()))
    assert len(found.batch_s) == -(-told["trace"]["queries"] // options["batch"])
    assert told["bound_ratio"] >= 1 - 1e-12
    assert all(0 <= share <= 1 + 1e-12 for share in told["utilisation"].values())
    assert told["load"]["most"] == found.loads.max()
    assert acts["crossed"] <= acts["partial_sums"] <= acts["total"]
    # One pass without chunks says the same.
    program = program_of(trace, layout, found.chip, options["dimension"], options["batch"])
    assert time_lookups(program).batch_s.tolist() == found.batch_s.tolist()


def test_parts_are_let_go() -> None:
    alive: weakref.WeakSet[Trace] = weakref.WeakSet()
    most = 0

    def parts() -> Iterator[Trace]:
        nonlocal most
        for query in range(40):
            part = trace_of([[0, 1]], rows=(2,), queries=[query])
            alive.add(part)
            most = max(most, len(alive))
            yield part

    assert serve(parts(), layout_of([[0, 1]]), chip_of(), dimension=8).bags == 40
    # The first, the one served, the one before it and the next.
    assert most <= 4


def test_what_a_made_up_history_laid_out_is_labelled_wherever_it_serves() -> None:
    made, real = (trace_of([[0, 1], [1]], rows=(2,)) for _ in range(2))
    for synthetic in (True, False):
        layout = group(replace(made, synthetic=synthetic), 16)
        found = serve(real, layout, chip_of(), dimension=8)
        assert not found.synthetic
        assert any(note.startswith("synthetic: the layout") for note in found.notes()) == synthetic
        assert any(note.startswith("tables are written") for note in found.notes())


def test_the_longest_bag_is_given_for_parts_alone() -> None:
    trace = trace_of([[0, 1], [1]], rows=(2,))
    with pytest.raises(OptionError, match="longest"):
        serve(trace, layout_of([[0, 1]]), chip_of(), dimension=8, longest=9)
    assert serve([trace], layout_of([[0, 1]]), chip_of(), dimension=8).reading.longest == 1 << 16


def test_nothing_to_serve() -> None:
    layout, chip = layout_of([[0, 1]]), chip_of()
    with pytest.raises(TraceError, match="made by hand: no bags to serve"):
        serve(trace_of([], rows=(2,)), layout, chip, dimension=8)
    for parts in ([], [trace_of([], rows=(2,))]):
        with pytest.raises(TraceError, match="no bags to serve"):
            serve(parts, layout, chip, dimension=8)
    found = serve(trace_of([[], []], rows=(2,)), layout, chip, dimension=8, batch=10**9)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (told["seconds"], told["energy_j"]["total"], told["activations"]["total"]) == (0, 0, 0)
    assert (told["bound_ratio"], told["lookups_per_s"], told["batch_s"]["most"]) == (1, 0, 0)


def test_what_does_not_fit_is_refused() -> None:
    chip, trace = chip_of(tiles=1, tile__groups=2), trace_of([[0, 1]], rows=(2,))
    with pytest.raises(MappingError, match=r"3 groups of rows of 8 features take 2 tiles, chip .* has 1"):
        serve(trace, layout_of([[0], [1]], [1, 2]), chip, dimension=8)
    with pytest.raises(MappingError, match=r"33 features take 3 groups; .* has room for 32 in a row"):
        serve(trace, layout_of([[0, 1]]), chip, dimension=33)
    with pytest.raises(MappingError, match=r"17 features take 2 groups; .* has room for 16 in a row"):
        serve(trace, layout_of([[0, 1]]), chip_of(lookup__groups_per_adc=2), dimension=17)
    with pytest.raises(MappingError, match=r"up to 17 rows do not fit the arrays of chip .* of 16 rows"):
        serve(trace, layout_of([[0, 1]], height=17), chip, dimension=8)
    with pytest.raises(OptionError, match="at least 1 query, not 0"):
        serve(trace, layout_of([[0, 1]]), chip, dimension=8, batch=0)
    with pytest.raises(OptionError, match="at least 1 feature, not 0"):
        serve(trace, layout_of([[0, 1]]), chip, dimension=0)
    weighted = trace_of([[0]], rows=(2,), weights=[2])
    with pytest.raises(OptionError, match="weights all or none"):
        serve([trace, weighted], layout_of([[0, 1]]), chip, dimension=8)


def test_what_is_made_up_is_said() -> None:
    real, layout = trace_of([[0, 1]], rows=(2,)), layout_of([[0, 1]])
    made = Trace(
        real.rows, real.offsets, real.indices, real.tables, real.queries + 1, "drawn", synthetic=True
    )  # fmt: skip
    assert any("look-ups from made by hand" in note for note in serve(real, layout, chip_of(), dimension=8).notes())
    for parts in (made, [made, real], [real, made]):
        found = serve(parts, layout, chip_of(), dimension=8)
        assert found.synthetic
        assert any(note.startswith("synthetic: ") for note in found.notes())


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from((1, 2, 3, 9)), st.sampled_from((5, 16, 17, 33)))
def test_seats_are_each_ones_own(copies: int, groups: int, shared: int, dimension: int) -> None:
    chip = chip_of(tile__groups=groups, lookup__groups_per_adc=shared)
    span = -(-dimension // 16)
    layout = layout_of([[0]], [copies])
    if span > groups or (span > 1 and shared > 1) or -(-copies // (groups // span)) > chip.tiles:
        with pytest.raises(MappingError):
            Seats(layout, chip, dimension)
        return
    seats = Seats(layout, chip, dimension)
    assert np.bincount(seats.tile).max() * span <= groups
    assert len(np.unique(seats.tile)) == seats.tiles
    # Whoever shares ADCs is in one tile, and no more than may.
    assert np.bincount(seats.adc_set).max() <= shared
    for each in np.unique(seats.adc_set):
        assert len(set(seats.tile[seats.adc_set == each].tolist())) == 1
    assert seats.adc_set.max() < seats.adc_sets == seats.tiles * -(-groups // shared)
    parts = chip.roll_up().parts
    area = sum(
        part.area_m2 * part.total * (1 if part.level == "chip" else copies * span / chip.groups) for part in parts
    )
    assert sum(seats.area_m2().values()) == pytest.approx(area, rel=1e-12)
