"""A recommender is one program: an instruction gathers rows, from cells that its own writes filled, and is judged as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError, OptionError, ProgramError, StrategyError
from mho.machine.gathering import batches, gather_events
from mho.machine.lookup.energy import events
from mho.machine.lookup.service import serve
from mho.machine.lookup.timing import RESULT_BYTES
from mho.machine.recommender import Recommender, seeded_recommender
from mho.machine.recommender.joined import joined
from mho.mapping.embedding.seats import Seats
from mho.network import Network
from mho.network.builder import Builder
from mho.network.layers import Array
from mho.network.trace.padded import longest_bags, padded
from mho.network.trace.trace import Trace
from mho.program import Gather, Program, Write, violations
from mho.schedule import Seated
from tests.lookup_oracle import chip_of, layout_of, layouts, trace_of, traces
from tests.strategies import GREEDY

ROOM = {"tiles": 200, "lookup__groups_per_adc": 1}
"""Tiles for tables and dense part of small arrays."""


def single(trace: Trace) -> Trace:
    """The same bags; queries with several bags of one table become queries of one bag each."""
    pairs = {*zip(trace.queries.tolist(), trace.tables.tolist(), strict=True)}
    return trace if len(pairs) == trace.bags else replace(trace, queries=np.arange(trace.bags, dtype=np.int64))


@st.composite
def served(draw: st.DrawFn) -> tuple[Trace, Recommender, Seats, int]:
    """A trace, a recommender of its tables, where these sit on a chip, and queries of a batch, which the trace fills."""
    trace = single(draw(traces(most_bags=8)))
    chip = chip_of(
        **ROOM,
        lookup__adc_modes=draw(st.sampled_from(("fixed", "switch", "every"))),
        lookup__most_rows=draw(st.sampled_from((1, 3, 16))),
        array__dac_bits=draw(st.sampled_from((1, 2))),
        array__adc_bits=draw(st.sampled_from((6, 9))),
    )
    dimension = draw(st.integers(1, 6))
    recommender = seeded_recommender(trace, dimension, draw(st.integers(0, 9)), hidden=(3, 2))
    seats = Seats(draw(layouts(trace.total_rows)), chip, dimension)
    queries = len(np.unique(trace.queries))
    return trace, recommender, seats, draw(st.sampled_from([n for n in (1, 2, 3) if queries % n == 0]))


def compiled(trace: Trace, recommender: Recommender, seats: Seats, batch: int) -> Program:
    whole = joined(recommender, batch, longest_bags(trace), weighted=trace.weights is not None)
    return mho.compile(Seated(whole, seats), seats.chip, GREEDY)


@settings(max_examples=25)
@given(served())
def test_one_program_computes_and_times_tables_and_dense_part(drawn: tuple[Trace, Recommender, Seats, int]) -> None:
    trace, recommender, seats, batch = drawn
    program = compiled(*drawn)
    verified = mho.verify(program, padded(trace))
    assert verified.ok, str(verified)
    scores = mho.execute(program, padded(trace))["score"][:, 0]
    assert np.array_equal(scores, recommender.predict(recommender.reduce(trace)))
    # What gathering takes is what the look-up machine takes for the same bags, batch by batch.
    service = serve(trace, seats.layout, seats.chip, dimension=seats.dimension, batch=batch)
    timed = program.with_bags(trace)
    assert np.array_equal(batches(timed).batch_s, service.batch_s)
    counts = events(service.counted, service.seats, service.reading, RESULT_BYTES)
    wanted = {event: count / len(service.batch_s) for event, count in counts.items()}
    assert gather_events(timed) == pytest.approx(wanted)
    report = mho.simulate(program, bags=trace)
    place = next(i for i, each in enumerate(program.instructions) if isinstance(each, Gather))
    assert report.timing.ends[place] - report.timing.starts[place] == pytest.approx(service.batch_s.mean())
    assert report.bound.seconds <= report.latency_s * (1 + 1e-9)
    price = seats.chip.energy_per_event
    joules = sum(count * price[event] for event, count in wanted.items())
    booked = [
        each
        for each in report.account.entries
        if each.kind == "compute" and each.layer == program.mapping.tables.layers[0]
    ]  # type: ignore[union-attr]
    assert sum(each.joules for each in booked) == pytest.approx(joules)


def small() -> tuple[Trace, Recommender, Seats, int]:
    """A recommender of two tables, whose rows share groups, and some of these have copies."""
    trace = trace_of([[0, 1, 5], [2], [3, 3], [0]], (6, 3), [0, 1, 0, 1], [0, 0, 1, 1])
    chip = chip_of(**ROOM)
    layout = layout_of([[0, 1, 7], [2, 6, 3], [4, 5, 8]], [2, 1, 3])
    return trace, seeded_recommender(trace, 4, 1, hidden=(3, 2)), Seats(layout, chip, 4), 2


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled(*small())


def test_a_program_is_kept_with_its_tables(program: Program, tmp_path: Path) -> None:
    trace = small()[0]
    path = tmp_path / "whole.mho"
    program.save(path)
    again = mho.Program.load(path)
    assert again.listing() == program.listing() and "gather" in program.listing() and "(tables)" in program.listing()
    assert np.array_equal(mho.execute(again, padded(trace))["score"], mho.execute(program, padded(trace))["score"])
    assert mho.simulate(again, bags=trace).to_dict() == mho.simulate(program, bags=trace).to_dict()


def changed(
    program: Program, kind: type, change: Callable[[Gather | Write], Gather | Write], which: int = 0
) -> Program:
    places = [i for i, each in enumerate(program.instructions) if isinstance(each, kind)]
    instructions = list(program.instructions)
    instructions[places[which]] = change(instructions[places[which]])  # type: ignore[arg-type]
    return replace(program, instructions=tuple(instructions))


def exchanged(each: Gather | Write) -> Gather | Write:
    """Name the first two groups in the other order."""
    (first, _), *rest = [(group, group + 1) for begin, end in each.groups for group in range(begin, end)]
    return replace(each, groups=(rest[-1], *rest[:-1], (first, first + 1)))


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (Gather, exchanged, "does not hold block"),
        (Gather, lambda each: replace(each, after=each.after[1:]), "before its write has ended"),
        (Gather, lambda each: replace(each, after=each.after[:-1]), "may not be finished"),
        (Gather, lambda each: replace(each, groups=each.groups[1:]), "need as many different groups"),
        (Gather, lambda each: replace(each, blocks=(each.blocks[0], each.blocks[1] - 1)), "other rows than those of all tables"),
        (Gather, lambda each: replace(each, groups=((0, 6),)), "does not hold block"),
        (Write, lambda each: replace(each, copy=1), "no such copy"),
        (Write, lambda each: replace(each, blocks=(0, each.blocks[1])), "those of the tables are"),
        (Write, lambda each: replace(each, groups=each.groups[:-1]), "need as many different groups"),
        (Write, lambda each: replace(each, rows=((1, 0),)), "sit in place"),
    ],
)  # fmt: skip
def test_tables_that_are_not_where_they_are_looked_for_are_illegal(
    program: Program, kind: type, change: Callable[[Gather | Write], Gather | Write], words: str
) -> None:
    assert not violations(program)
    broken = violations(changed(program, kind, change))
    assert any(words in each.text for each in broken), broken


def test_a_gather_that_is_missing_is_noticed(program: Program) -> None:
    place = next(i for i, each in enumerate(program.instructions) if isinstance(each, Gather))
    twice = (*program.instructions, program.instructions[place])
    assert any("finished 2 times" in each.text for each in violations(replace(program, instructions=twice)))


def test_a_wrong_row_in_the_cells_gives_a_wrong_score(program: Program) -> None:
    trace, recommender, *_ = small()
    assert program.quantised is not None
    name = next(name for name in program.quantised.tables)
    table = program.quantised.tables[name]
    codes = table.codes.copy()
    codes[[1, 4]] = codes[[4, 1]]
    other = replace(program.quantised, tables={**program.quantised.tables, name: replace(table, codes=codes)})
    scores = mho.execute(replace(program, quantised=other), padded(trace))["score"][:, 0]
    assert not np.array_equal(scores, recommender.predict(recommender.reduce(trace)))


def test_programs_that_gather_are_timed_by_bags_alone(program: Program) -> None:
    with pytest.raises(ProgramError, match="give a trace"):
        mho.simulate(program)
    with pytest.raises(ProgramError, match="not those of"):
        program.with_bags(trace_of([[0]], (2,)))
    with pytest.raises(ProgramError, match="do not fill batches"):
        program.with_bags(trace_of([[0]], (6, 3)))
    dense = mho.compile(small()[1].dense, "recross", GREEDY)
    with pytest.raises(ProgramError, match="would change nothing"):
        mho.simulate(dense, bags=small()[0])
    assert batches(program.with_bags(small()[0])).counted.activations > 0


def test_what_tables_cannot_feed_is_refused() -> None:
    trace, recommender, seats, batch = small()
    whole = joined(recommender, batch, longest_bags(trace))
    with pytest.raises(StrategyError, match="a batch at once"):
        alone = joined(recommender, 1, longest_bags(trace))
        mho.compile(Seated(alone, seats), seats.chip, mho.Strategy().with_(schedule="stream"))
    with pytest.raises(MappingError, match="none is left"):
        chip = chip_of(**{**ROOM, "tiles": seats.tiles})
        mho.compile(Seated(whole, Seats(seats.layout, chip, 4)), chip, GREEDY)
    with pytest.raises(MappingError, match="seated on chip"):
        mho.compile(Seated(whole, seats), "recross", GREEDY)
    with pytest.raises(MappingError, match="the layout is of 2 rows"):
        mho.compile(Seated(whole, Seats(layout_of([[0, 1]]), seats.chip, 4)), seats.chip, GREEDY)
    with pytest.raises(OptionError, match="seats change nothing"):
        mho.compile(Seated(recommender.dense, seats), seats.chip, GREEDY)


def mixed() -> Network:
    """Bags in the middle of a network: two tables, one with counts, beside features that a dense layer makes."""
    random = np.random.default_rng(3)
    builder = Builder()
    builder.scope = "x"
    features = builder.input((2, 5))
    builder.scope = "first"
    rows = builder.input((2, 3), "rows", type="int32")
    below = builder.linear(features, Array.of(random.standard_normal((4, 5)).astype(np.float32)), part="below")
    one = builder.embedding_bag(rows, Array.of(random.standard_normal((7, 4)).astype(np.float32)), part="bags")
    builder.scope = "second"
    places, counts = (builder.input((2, 2), part, type="int32") for part in ("rows", "counts"))
    added = builder.elementwise("add", one, below, part="added")
    two = builder.embedding_bag(places, Array.of(random.standard_normal((3, 4)).astype(np.float32)), counts, "bags")
    joined_up = builder.concatenate([added, two], 1, "all")
    out = builder.linear(joined_up, Array.of(random.standard_normal((2, 8)).astype(np.float32)), part="out")
    direct = builder.linear(two, Array.of(random.standard_normal((2, 4)).astype(np.float32)), part="direct")
    score = builder.elementwise("add", out, direct, part="score")
    return Network(name="mixed", layers=tuple(builder.layers.values()), outputs=(score,), origin="drawn")


@pytest.mark.parametrize("chip", ["recross", "aras", "isaac"])
@pytest.mark.parametrize("schedule", ["adaptive", "naive", "overlap"])
def test_bags_stand_anywhere_in_a_network_on_any_chip(chip: str, schedule: str) -> None:
    """Also where layers run one after another, where sums of bags are coded, and where a layer with weights reads them."""
    random = np.random.default_rng(0)
    samples = (
        random.standard_normal((6, 5)), random.integers(-1, 7, (6, 3)), random.integers(-1, 3, (6, 2)),
        random.integers(0, 4, (6, 2)),
    )  # fmt: skip
    network = mixed()
    quantised = mho.number.quantise(network, samples)
    program = mho.compile(quantised, Chip.load(chip), GREEDY.with_(schedule=schedule))
    verified = mho.verify(program, samples)
    assert verified.ok, str(verified)
    assert program.instructions[program.setup - 1].layer >= 0
