"""Streams in segments are legal where rounds unrolled, event by event, are: as compiled, and changed on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MhoError
from mho.machine.streaming import follow
from mho.program import Activate, Program, Transfer, violations
from mho.program.instructions import Write
from mho.program.legality.facts import Facts
from mho.program.legality.groups import shape_rules
from tests import rounds_oracle as oracle
from tests.ported import take_rounds
from tests.strategies import GREEDY, Sketch, chips, networks
from tests.test_legality import TINY
from tests.test_legality_streams import altered, ringed, spoilt, waiting

STREAM = GREEDY.with_(schedule="stream")
SMALL = {**TINY, "array.rows": 18, "layer_order": "dataflow", "vector.elements_per_s": 1e9, "memory.bandwidth": 1e9}


def compiled(network: Any, chip: Chip, pieces: int, batch: int) -> Program:
    """Compile a stream in segments; what needs none, or finds no room, is of no use."""
    try:
        choices = {"schedule.pieces": pieces, "schedule.batch": batch}
        with pytest.MonkeyPatch.context() as patch:
            take_rounds(patch)
            made = mho.compile(mho.number.quantise(network), chip, STREAM.with_(**choices))
    except MhoError:
        assume(False)
        raise
    assert made.stream is not None
    assume(made.stream.segments)
    return made


@cache
def program(name: str, batch: int) -> Program:
    """Compile one of the programs that the tests break.

    `spilled` stores tensors and loads them anew, `split` some rows of one, `returned` a result too.
    """
    sketch = Sketch(1, (1, 2, 5, 4))
    first = sketch.convolution(sketch.layers[0], 2, 3, 1, 1, 1, 1)
    second = sketch.convolution(first, 2, 3, 1, 1, 1, 1)
    third = sketch.convolution(sketch.elementwise(first, second), 2, 3, 1, 1, 1, 1)
    sketch.elementwise(first, third)
    banks = {"kept": [4096], "split": [140]}.get(name, [128])
    returned = (first.name,) if name == "returned" else ()
    chip = Chip.load("aras").override({**SMALL, "tiles": 1, "buffer.banks": banks}, source="law")
    choices = {"schedule.pieces": 3, "schedule.batch": batch}
    return mho.compile(mho.number.quantise(sketch.network(*returned)), chip, STREAM.with_(**choices))


NAMES = ("kept", "spilled", "returned", "split")


def agrees(given: Program) -> bool:
    """Say whether a stream is legal; where it is, the oracle must find it so. What nobody proves may be refused."""
    if list(shape_rules(Facts(given))):
        return False
    found = violations(given)
    if not found:
        assert oracle.broken(given) == set()
    return not found


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(networks, chips(), st.sampled_from([1, 2, 3]), st.integers(1, 4), st.sampled_from([10, 13, 20]))
def test_every_stream_in_segments_is_legal_as_written_and_as_timed(
    network: Any, chip: Chip, pieces: int, batch: int, room: int
) -> None:
    chip = chip.override({"layer_order": "dataflow", "buffer.banks": [2**room] * 2}, source="law: room for rows")
    made = compiled(network, chip, pieces, batch)
    assert violations(made) == ()
    if len(made.instructions) < 150:
        assert agrees(made)
    assert violations(made, follow(made, 3 * batch)) == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_oracle_finds_unbroken_programs_legal(name: str, batch: int) -> None:
    given = program(name, batch)
    assert agrees(given)
    assert violations(given, follow(given, 3 * batch)) == ()


def test_the_programs_meet_what_the_rules_are_about() -> None:
    for name in NAMES:
        given = program(name, 2)
        assert given.stream is not None and len(given.stream.segments) > 1
        assert bool(reloads(given)) == (name != "kept")
        assert any(use.of is not None for use in given.buffers) == (name == "split")


def reloads(given: Program) -> list[int]:
    """Return the loads of what is no input."""
    return [
        i
        for i, each in enumerate(given.instructions)
        if isinstance(each, Transfer) and each.direction == "load" and each.layer > 0
    ]


def without(given: Program, kind: type) -> Iterator[bool]:
    """Drop one wait after another of every other instruction of a kind; say which of these programs are legal."""
    for i in [i for i, each in enumerate(given.instructions) if isinstance(each, kind)][::2]:
        for gone in given.instructions[i].after:
            yield without_any(given, i, {gone})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_wait_that_is_dropped_is_missed_or_implied(name: str, batch: int) -> None:
    """Of writes for what ran before, of activations for their writes, of transfers for makers, stores and writes."""
    given = program(name, batch)
    for kind in (Write, Activate, Transfer):
        legal = list(without(given, kind))
        assert not all(legal)
    assert given.stream is not None
    again = given.stream.again
    dropped = [agrees(waiting(given, (*again[:i], *again[i + 1 :]))) for i in range(0, len(again), 2)]
    assert not all(dropped)


@pytest.mark.parametrize("name", NAMES)
def test_distances_of_another_batch_are_found_or_implied(name: str) -> None:
    """Nearer, and what waits may do so for ever; further, and rows are overwritten."""
    given = program(name, 2)
    assert given.stream is not None
    again = given.stream.again
    for change in (-1, 1):
        legal = []
        for i, (instruction, place, distance) in enumerate(again):
            if distance + change > 0:
                legal.append(
                    agrees(waiting(given, (*again[:i], (instruction, place, distance + change), *again[i + 1 :])))
                )
        assert change < 0 or not all(legal)
    for batch in (1, 3):
        agrees(replace(given, stream=replace(given.stream, batch=batch)))


def test_what_waits_for_a_later_segment_of_its_round_waits_for_ever() -> None:
    given = program("kept", 3)
    assert given.stream is not None
    (first, _), *_, (last, _) = given.stream.segments
    for distance, ever in ((1, True), (2, True), (3, False)):
        found = violations(waiting(given, (*given.stream.again, (first, last, distance))))
        assert any("for ever" in each.text for each in found) == ever
        assert (
            "waits for ever" in oracle.broken(waiting(given, (*given.stream.again, (first, last, distance))))
        ) == ever


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_a_program_that_is_changed_is_legal_only_where_the_oracle_finds_it_so(data: st.DataObject) -> None:
    given = program(data.draw(st.sampled_from(NAMES)), data.draw(st.integers(1, 3)))
    for _ in range(data.draw(st.integers(1, 3))):
        given = spoilt(given, data)
    if agrees(given):
        assert given.stream is not None
        assert violations(given, follow(given, 3 * given.stream.batch)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_bounds_of_segments_moved_by_one_are_found(name: str) -> None:
    given = program(name, 2)
    assert given.stream is not None
    for number in range(len(given.stream.segments)):
        for side, change in ((0, -1), (0, 1), (1, -1), (1, 1)):
            segments = [list(bounds) for bounds in given.stream.segments]
            segments[number][side] += change
            if segments[number][side] > len(given.instructions):
                continue
            moved = tuple((first, last) for first, last in segments)
            assert violations(replace(given, stream=replace(given.stream, segments=moved)))


def test_loads_that_are_missing_or_come_too_soon_are_found() -> None:
    """Dropped, they leave instructions that move something else; waiting for no store, they may bring what is not yet there."""
    given = program("spilled", 2)
    store = next(
        i for i, each in enumerate(given.instructions) if isinstance(each, Transfer) and each.direction == "store"
    )
    stored = {
        i for i, each in enumerate(given.instructions) if isinstance(each, Transfer) and each.direction == "store"
    }
    assert store in stored
    for i in reloads(given):
        each = given.instructions[i]
        assert isinstance(each, Transfer)
        for size in (each.size - 1, each.size + 1):
            assert violations(altered(given, i, size=size)) or size == 0
        assert violations(altered(given, i, direction="store"))
        assert violations(altered(given, i, layer=0))
    # All writes of a part wait for all stores before it; what waits for neither is missed, and a reader that waits for no load.
    assert all(without_any(given, i, stored) for i in reloads(given))
    writes = {i for i, each in enumerate(given.instructions) if isinstance(each, Write)}
    assert not all(without_any(given, i, stored | writes) for i in reloads(given))
    readers = [(k, i) for i in reloads(given) for k, each in enumerate(given.instructions) if i in each.after]
    assert not all(without_any(given, k, {i}) for k, i in readers)


def without_any(given: Program, place: int, gone: set[int]) -> bool:
    """Say whether a program is legal without the waits of an instruction for some others."""
    after = given.instructions[place].after
    return agrees(altered(given, place, after=tuple(other for other in after if other not in gone)))


@pytest.mark.parametrize("name", NAMES)
def test_a_ring_one_row_short_is_found_or_longer_than_it_must_be(name: str) -> None:
    for batch in (1, 2):
        given = program(name, batch)
        short = [
            agrees(ringed(given, number, rows=use.rows - 1)) for number, use in enumerate(given.buffers) if use.rows
        ]
        assert not all(short)


def test_rings_of_other_rows_than_are_loaded_anew_are_found() -> None:
    """Of a tensor in two rings: their bounds moved, apart, or over one another; and a ring of some rows alone."""
    given = program("split", 2)
    one, other = (number for number, use in enumerate(given.buffers) if use.of is not None)
    (first, middle), (_, last) = (given.buffers[number].of for number in (one, other))  # type: ignore[misc]
    for bound in range(first, last + 1):
        for start in {bound, middle}:
            moved = ringed(ringed(given, one, of=(first, bound)), other, of=(start, last))
            assert agrees(moved) == (bound == start == middle)
    assert violations(ringed(given, one, of=None)) and violations(ringed(given, other, of=None))
    whole = next(number for number, use in enumerate(given.buffers) if use.of is None and (use.rows or 0) > 1)
    assert not agrees(ringed(given, whole, of=(0, 1)))


def test_rings_that_share_a_bank_find_room_in_each_segment() -> None:
    """A byte more than a segment's rings leave of the bank is found, though in other segments there is room."""
    given = program("kept", 2)
    number = max(range(len(given.buffers)), key=lambda k: given.buffers[k].size)
    use, room = given.buffers[number], given.chip.buffer.banks[0]
    large = ringed(given, number, size=room, banks=(0,), parts=(room,))
    assert any("bank 0 has" in each.text for each in violations(large))
    assert use.size < room
    assert "room" in oracle.broken(large)


def test_times_that_rounds_do_not_allow_are_found() -> None:
    """A write that each inference has at another time, or that starts while the part before is at work; an inference too early."""
    given = program("kept", 2)
    starts, ends = follow(given, 6)
    assert violations(given, (starts, ends)) == ()
    assert given.stream is not None
    (_, until), *_ = given.stream.segments
    assert isinstance(given.instructions[until], Write)
    for number, text in ((slice(3, 4), "at several times"), (slice(2, 4), "starts before what it waits for")):
        early = starts.copy(), ends.copy()
        for times in early:
            times[number, until] -= 0.1 * (ends[3, until] - starts[3, until])
        assert any(each.instruction == until and text in each.text for each in violations(given, early))
    sooner = starts - given.stream.interval_s / 2, ends - given.stream.interval_s / 2
    assert any("starts before its inference" in each.text for each in violations(given, sooner))
