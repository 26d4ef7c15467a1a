"""A whole recommender on one chip: its parts sum, its vectors and scores are exact, and faults are found."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import mho
from mho.errors import MappingError, OptionError
from mho.machine import gathered
from mho.machine.batches import behind, follow_batches
from mho.machine.lookup.arrivals import Arrivals, Batching, wait_in_line
from mho.machine.lookup.service import serve
from mho.machine.recommender import Recommender, Table, seeded_recommender
from mho.machine.recommender import whole as machine_whole
from mho.machine.recommender.whole import Whole, compare, run_whole
from mho.machine.uncertainty import uncertainty
from mho.mapping.embedding import Layout, group, replicate
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace, synthesise
from mho.number.coded import QuantisedNetwork
from mho.program import Gather, Program, Write
from mho.program.instructions import members
from mho.program.work import sources
from mho.report.views import page, show
from mho.schedule import Seated
from tests.lookup_oracle import trace_of
from tests.strategies import GREEDY

BATCH, DIMENSION = 8, 4
SCHEDULES = ("naive", "overlap", "adaptive")


@cache
def chip() -> mho.Chip:
    return mho.Chip.load("recross")


@cache
def made() -> Trace:
    """44 queries of three tables: five whole batches and a half; some bags are empty."""
    whole = synthesise(44, (30, 150, 5), (1.0, 7.0, 2.0), seed=2)
    keep = np.arange(whole.bags) % 7 != 0
    lengths = np.where(keep, whole.lengths, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return replace(whole, offsets=offsets, indices=whole.indices[np.repeat(keep, whole.lengths)])


@cache
def recommender(seed: int = 0) -> Recommender:
    return seeded_recommender(made(), DIMENSION, seed, hidden=(6, 3))


@cache
def layout() -> Layout:
    return replicate(group(made(), 128, method="fast"), made(), 1.6)


def compiling(schedule: str = "naive") -> machine_whole.Compile:
    def compiled(network: QuantisedNetwork, seats: Seats) -> Program:
        return mho.compile(Seated(network, seats), seats.chip, GREEDY.with_(schedule=schedule))

    return compiled


@cache
def run(schedule: str = "naive", batch: int = BATCH, verified: int = 0) -> Whole:
    return run_whole(recommender(), made(), layout(), chip(), compiling(schedule), batch=batch, verified=verified)


def whole_batches() -> Trace:
    return made().select(np.flatnonzero(made().queries < 40))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_tables_are_those_of_the_look_up_machine_and_parts_sum(schedule: str) -> None:
    found = run(schedule)
    tables = serve(whole_batches(), layout(), chip(), dimension=DIMENSION, batch=BATCH)
    assert np.array_equal(found.service.batch_s, tables.batch_s) and len(tables.batch_s) == 5
    data = found.to_dict()
    assert data["tables"] == tables.to_dict()
    assert found.latency_s == pytest.approx(found.tables_s + found.dense_s, rel=1e-12)
    assert found.tables_s == pytest.approx(tables.batch_s.mean(), rel=1e-12)
    assert max(found.tables_s, found.dense_s) <= found.interval_s * (1 + 1e-9) <= found.latency_s * (1 + 2e-9)
    assert found.queries_per_s == pytest.approx(BATCH / found.interval_s, rel=1e-12)
    dynamic = sum(joules for (_, kind), joules in tables.energy.items() if kind == "compute")
    energy, paid = found.energy_j(), found.bill @ chip()
    assert paid.total() == pytest.approx(sum(energy.values()), rel=1e-12)
    assert paid.by("kind")["static"] == pytest.approx(energy["static"], rel=1e-12)
    assert energy["tables"] == pytest.approx(dynamic / 40, rel=1e-9)
    always = sum(joules for joules in (each.joules for each in found.report.account.entries if each.kind == "static"))
    assert energy["static"] == pytest.approx(always / found.latency_s * found.interval_s / BATCH, rel=1e-9)
    assert data["energy_per_query_j"]["total"] == pytest.approx(sum(energy.values()), rel=1e-12)
    assert found.area_m2()["tables"] < found.area_m2()["chip"] == chip().roll_up().area_m2.total
    assert data["schema"] == "mho.whole/3" and data["recommender"]["synthetic"]
    assert data["setup"] == data["program"]["setup"] and data["setup"]["pulses"] > 0
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_how_sure_it_is_stands_under_energy_and_area_where_that_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "uncertainty" not in run().to_dict()
    asked = run_whole(recommender(), made(), layout(), chip(), compiling(), batch=BATCH, seed=3, uncertainty=True)
    told = uncertainty(asked, seed=3)
    assert asked.to_dict()["uncertainty"] == told and told["energy_j"]["low"] < told["energy_j"]["high"]
    assert Whole.from_dict(asked.to_dict()).to_dict() == asked.to_dict()
    priced = mho.robust({"here": asked, "wider": run(batch=2 * BATCH)}, draws=50)
    assert priced.energy("here") == pytest.approx(sum(asked.energy_j().values()), rel=1e-12)
    assert priced.areas.energy("here") == pytest.approx(asked.area_m2()["chip"], rel=1e-12)
    show(asked, Console(width=140, force_terminal=False))
    assert "how sure" in capsys.readouterr().out
    assert page(asked).count("how sure") == 2


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_set_up_is_that_of_tables_and_of_the_dense_part_together(schedule: str) -> None:
    found = run(schedule)
    rest = chip().override({"tiles": chip().tiles - found.service.seats.tiles}, source="test")
    dense = mho.simulate(mho.compile(recommender().for_batch(BATCH), rest, GREEDY.with_(schedule=schedule)))
    alone = sum(write.steps for write in dense.worn.counts.values()) * chip().pulses_per_level
    rows = np.concatenate([table.codes for table in recommender().tables]).astype(np.int64) + 128
    digits = sum((rows >> shift) & 3 for shift in (0, 2, 4, 6)).sum(axis=1)
    copies = np.repeat(layout().copies, np.diff(layout().starts))
    steps = int((digits[layout().members] * copies).sum())
    assert found.to_dict()["setup"]["pulses"] == pytest.approx(alone + steps * chip().pulses_per_level)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_batches_follow_one_another_as_two_workers_hand_them_on(schedule: str) -> None:
    """Once more by hand: the dense part takes a batch when it is there and the one before is done; tables, when sums are read."""
    found = run(schedule)
    program, timing = found.report.program, found.report.timing
    place = next(i for i, each in enumerate(program.instructions) if isinstance(each, Gather))
    bags = set(program.mapping.tables.layers)  # type: ignore[union-attr]
    shown = sources(program.network)
    reads = [
        i
        for i, each in enumerate(program.instructions)
        if i > place and {shown[name] for name in program.network.layers[each.layer].inputs} & bags
    ]
    gathered = timing.ends[place]
    read_s, dense_s = max(timing.ends[i] for i in reads) - gathered, found.latency_s - gathered
    free = done = 0.0
    ends, starts = [], []
    for seconds in found.service.batch_s.tolist():
        starts.append(free)
        begun = max(free + seconds, done)
        free, done = begun + read_s, begun + dense_s
        ends.append(done)
    measured = follow_batches(program)
    assert measured.ends == pytest.approx(ends, rel=1e-9) and measured.starts == pytest.approx(
        starts, rel=1e-9, abs=1e-15
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("order", ["dataflow", "sequential"])
def test_batches_that_are_always_full_follow_one_another_as_those_of_the_program(schedule: str, order: str) -> None:
    on = chip().override({"layer_order": order}, source="test")
    found = run_whole(recommender(), made(), layout(), on, compiling(schedule), batch=BATCH)
    program = found.report.program
    part, measured = behind(program, found.report.timing.ends), follow_batches(program)
    assert part.takes_s == pytest.approx(found.dense_s, rel=1e-9)
    assert order == "dataflow" or part.holds_s == part.takes_s
    batches = found.service.batch_s

    def served(first: int, number: int) -> np.ndarray:
        assert first % BATCH == 0 and number == BATCH
        return np.full(number, batches[first // BATCH])

    line = wait_in_line(np.zeros(40), Batching(BATCH), served, part)
    assert line.begun_s == pytest.approx(measured.starts, rel=1e-9, abs=1e-15)
    assert line.latency_s[::BATCH] == pytest.approx(measured.ends, rel=1e-9)


def test_queries_one_by_one_wait_for_tables_and_dense_part() -> None:
    asked = Arrivals((0.2, 0.9), queries=400)
    found = run_whole(recommender(), made(), layout(), chip(), compiling(), batch=BATCH, arrivals=asked)
    waiting = found.waiting
    assert waiting is not None and [at.load for at in waiting.curve] == [0.2, 0.9]
    slowest = max(found.service.batch_s.max(), found.dense_s) + found.dense_s
    assert BATCH / slowest <= waiting.capacity_per_s <= BATCH / found.dense_s * (1 + 1e-9)
    assert all(at.p50_s >= found.dense_s for at in waiting.curve) and waiting.curve[0].mean_s < waiting.curve[1].mean_s
    data = json.loads(json.dumps(found.to_dict()))
    assert data["open"] == waiting.to_dict() and Whole.from_dict(data).to_dict() == data
    assert dict(found.facts())["one by one"] == waiting.headline() and "one by one" not in dict(run().facts())
    console = Console(width=120, force_terminal=False, record=True, file=io.StringIO())
    show(found, console)
    assert "99.9 % within" in console.export_text()


def test_tables_set_the_pace_where_they_are_slower() -> None:
    slow = chip().override({"array.step_overhead_s": 1e-5}, source="test")
    found = run_whole(recommender(), made(), layout(), slow, compiling(), batch=BATCH)
    assert found.interval_s < 0.999 * found.latency_s


def test_a_whole_recommender_comes_back_from_its_data() -> None:
    found = run()
    data = json.loads(json.dumps(found.to_dict()))
    back = Whole.from_dict(data)
    assert back.to_dict() == data and repr(back) == repr(found) and back.frame("parts") == found.frame("parts")
    assert back.report.latency_s == found.report.latency_s and back.service.headline() == found.service.headline()
    for key in data:
        with pytest.raises(OptionError, match="schema"):
            Whole.from_dict({name: value for name, value in data.items() if name != key})
    with pytest.raises(OptionError, match=r"mho\.whole/3"):
        Whole.from_dict({**data, "tables": {**data["tables"], "area_m2": {}}})


def test_a_batch_that_is_not_whole_is_left_out() -> None:
    """The last queries fill half a batch."""
    other = run_whole(recommender(), whole_batches(), layout(), chip(), compiling(), batch=BATCH)
    found = run()
    assert found.service.queries == 40
    assert (found.latency_s, found.interval_s, found.queries_per_s) == (
        other.latency_s, other.interval_s, other.queries_per_s,
    )  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_vectors_and_scores_come_bit_exact_out_of_cells(schedule: str) -> None:
    found = run(schedule, verified=2 * BATCH + 3)
    wanted = f"bit-exact on {2 * BATCH} queries, vectors and scores, and legal, {found.report.resolution.condition}"
    assert found.verified == f"{wanted} of the dense part"
    assert found.right
    assert found.to_dict()["verified"] == found.verified


@settings(max_examples=12)
@given(st.data())
def test_any_bags_of_any_tables_are_exact(data: st.DataObject) -> None:
    """Queries without a bag in a table, with several, with weights; batches of any size."""
    rows = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=3)))
    count = data.draw(st.integers(2, 7))
    queries = sorted(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    tables = [data.draw(st.integers(0, len(rows) - 1)) for _ in queries]
    bags = [data.draw(st.lists(st.integers(0, rows[table] - 1), max_size=6)) for table in tables]
    lookups = sum(map(len, bags))
    weights = data.draw(st.none() | st.lists(st.integers(1, 255), min_size=lookups, max_size=lookups))
    trace = trace_of(bags, rows, tables, queries, weights)
    batch = data.draw(st.integers(1, len(set(queries))))
    model = seeded_recommender(trace, 3, data.draw(st.integers(0, 9)), hidden=(4,))
    order = data.draw(st.permutations(range(trace.total_rows)))
    where = Layout.of(np.array(order) // data.draw(st.integers(1, 9)), 128, "drawn")
    found = run_whole(model, trace, where, chip(), compiling(), batch=batch, verified=len(set(queries)))
    assert found.right, found.verified
    assert found.verified is not None and f" {len(set(queries)) // batch * batch} queries" in found.verified


def test_a_wrong_code_in_a_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, model = made(), recommender()
    # A row that the first batch looks up; cells hold something else than the tables that the reference adds up.
    row = int(trace.flat[0])
    original = gathered.reduce

    def broken(program, table, analog, cells):  # type: ignore[no-untyped-def]
        wrong = table.copy()
        wrong[row, 1] ^= 4
        return original(program, wrong, analog)

    monkeypatch.setattr(gathered, "reduce", broken)
    found = run_whole(model, trace, layout(), chip(), compiling(), batch=BATCH, verified=BATCH)
    assert not found.right
    text = found.verified or ""
    served = trace.select(np.flatnonzero(trace.queries < BATCH))
    bag = np.repeat(np.arange(served.bags), served.lengths)
    # A row that stands in a bag an even number of times still moves its sum: 4 or more, never 0.
    touched = {(int(served.queries[b]), int(served.tables[b])) for b in bag[served.flat == row]}
    assert text.startswith(f"not exact: {len(touched)} of {BATCH * 3 * DIMENSION} features and ")
    assert found.to_dict()["verified"] == text


def test_a_row_that_sits_elsewhere_than_the_layout_says_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = made()
    right = layout()
    row = int(trace.flat[0])
    place = int(np.flatnonzero(right.members == row)[0])
    other = int(np.flatnonzero(right.members != row)[-1])
    members = right.members.copy()
    members[[place, other]] = members[[other, place]]
    wrong = replace(right, members=members)
    original = gathered.reduce

    def broken(program, table, analog, cells):  # type: ignore[no-untyped-def]
        """Dispatched by one layout, written by another."""
        seats = Seats(wrong, program.seats.chip, program.seats.dimension)
        return original(replace(program, seats=seats), table, analog)

    monkeypatch.setattr(gathered, "reduce", broken)
    found = run_whole(recommender(), trace, right, chip(), compiling(), batch=BATCH, verified=BATCH)
    assert not found.right and (found.verified or "").startswith("not exact")


def test_a_wrong_score_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    original = machine_whole.run_reference

    def broken(quantised, inputs):  # type: ignore[no-untyped-def]
        found = original(quantised, inputs)
        found["score"][3, 0] += 1
        return found

    monkeypatch.setattr(machine_whole, "run_reference", broken)
    found = run_whole(recommender(), made(), layout(), chip(), compiling(), batch=BATCH, verified=2 * BATCH)
    assert found.verified == f"not exact: 0 of {2 * BATCH * 3 * DIMENSION} features and 1 of {2 * BATCH} scores differ"


def test_a_chip_without_room_for_both_is_refused() -> None:
    seats = Seats(layout(), chip(), DIMENSION)
    assert seats.tiles == 1
    one = chip().override({"tiles": 1}, source="test")
    with pytest.raises(MappingError, match="none is left for the dense part"):
        run_whole(recommender(), made(), layout(), one, compiling(), batch=BATCH)
    # A row of more features takes more tiles than there are.
    wide = seeded_recommender(made(), 3072, 0, hidden=(2,))
    with pytest.raises(MappingError, match="tiles"):
        run_whole(wide, made(), layout(), one, compiling(), batch=BATCH)


def test_the_dense_part_gets_the_tiles_that_are_left() -> None:
    tight = chip().override({"tiles": 3}, source="test")
    found = run_whole(recommender(), made(), layout(), tight, compiling(), batch=BATCH)
    program = found.report.program
    assert program.chip.tiles == 3 == found.service.chip.tiles and found.service.seats.tiles == 1
    tiles = {
        each: {group // tight.tile.groups for group in members(each.groups)}
        for each in program.instructions
        if isinstance(each, Write)
    }
    of_tables = [each.layer in program.mapping.tables.layers for each in tiles]  # type: ignore[union-attr]
    assert {tile for each, own in zip(tiles.values(), of_tables, strict=True) if own for tile in each} == {2}
    assert {tile for each, own in zip(tiles.values(), of_tables, strict=True) if not own for tile in each} <= {0, 1}


def test_traces_that_do_not_fit_are_refused() -> None:
    other = Recommender(
        "other",
        (Table("a", np.zeros((31, DIMENSION), np.int8), 1.0), *recommender().tables[1:]),
        recommender().dense,
        recommender().part,
        "test",
    )
    with pytest.raises(OptionError, match=r"\(30, 150, 5\) rows are not those of other: \(31, 150, 5\)"):
        run_whole(other, made(), layout(), chip(), compiling(), batch=BATCH)
    with pytest.raises(OptionError, match="44 queries do not fill a batch of 45"):
        run_whole(recommender(), made(), layout(), chip(), compiling(), batch=45)
    with pytest.raises(OptionError, match="do not fill a batch of 0"):
        run_whole(recommender(), made(), layout(), chip(), compiling(), batch=0)
    program = run().report.program
    with pytest.raises(OptionError, match="a whole batch of 8 queries; 7 were to be"):
        compare(recommender(), made(), program, 7)


def test_a_trace_of_empty_bags_takes_no_time_in_tables() -> None:
    nothing = trace_of([[] for _ in range(6)], (4, 3), [0, 1] * 3, [0, 0, 1, 1, 2, 2])
    model = seeded_recommender(nothing, 2, 0, hidden=(3,))
    where = Layout.of(np.zeros(7, dtype=int), 128, "one")
    found = run_whole(model, nothing, where, chip(), compiling(), batch=3, verified=3)
    assert found.right
    assert found.tables_s == 0.0 and found.interval_s == pytest.approx(found.latency_s)
    assert found.energy_j()["tables"] == 0.0


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_summary_tells_both_parts_and_fits(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(verified=BATCH)
    show(found, Console(width=width, force_terminal=False))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for expected in (
        "dlrm on recross",
        "40 queries",
        "bit-exact on 8 queries",
        "tables",
        "dense part",
        "together",
        "set-up, once",
        "1 tile,",
    ):
        assert expected in text
    assert "synthetic" in text and "leakage" in text


def test_notes_stand_once_and_name_what_is_synthetic() -> None:
    notes = run().notes()
    assert len(set(notes)) == len(notes)
    assert any(note.startswith("synthetic:") for note in notes)
    assert any("seeded 0 (synthetic)" in note for note in notes)
    assert any("pipelined" in note for note in notes)
