"""Streams are legal where inferences unrolled, row by row, are: as compiled, and changed at random or on purpose."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.errors import MappingError
from mho.machine.streaming import follow
from mho.machine.timing import time_program
from mho.program import Activate, Combine, Instruction, Program, Transfer, Vector, violations
from mho.program.legality.facts import Facts
from mho.program.legality.groups import shape_rules
from mho.program.program import BufferUse
from tests import stream_oracle as oracle
from tests.strategies import GREEDY, Sketch, chips, networks
from tests.test_legality import TINY

STREAM = GREEDY.with_({"schedule": "stream", "schedule.batch": 1})
"""Weights that stay: rounds of one inference."""
ROOM = {"tiles": 150, "layer_order": "dataflow", "vector.elements_per_s": 1e9, "memory.bandwidth": 1e9}


def sketched(name: str) -> Sketch:
    """Draw one of the networks that the tests break."""
    if name == "images":
        sketch = Sketch(1, (1, 2, 8, 8))
        first = sketch.convolution(sketch.layers[0], 3, 3, 1, 1, 1, 1)
        here = sketch.elementwise(first, sketch.convolution(first, 3, 3, 1, 1, 1, 1))
        sketch.convolution(here, 4, 3, 2, 0, 1, 1)
    elif name == "tokens":
        sketch = Sketch(2, (1, 6), integers=True)
        source = sketch.embedding(sketch.layers[0], 5, 4)
        first, second = sketch.linear(source, 5), sketch.linear(source, 5)
        sketch.linear(sketch.elementwise(first, second), 3)
    else:
        assert name == "one window"
        sketch = Sketch(3, (1, 9))
        sketch.linear(sketch.linear(sketch.layers[0], 7), 5)
    return sketch


@cache
def program(name: str, pieces: int = 3) -> Program:
    """Compile one of the programs that the tests break."""
    chip = Chip.load("aras").override({**TINY, **ROOM}, source="law")
    made = mho.number.quantise(sketched(name).network())
    return mho.compile(made, chip, STREAM.with_(**{"schedule.pieces": pieces}))


NAMES = ("images", "tokens", "one window")


def agrees(given: Program) -> bool:
    """Say whether a stream is legal; the oracle must say the same."""
    if list(shape_rules(Facts(given))):
        return False
    found, wanted = violations(given), oracle.broken(given)
    assert bool(found) == bool(wanted), (found[:5], wanted)
    return not found


def timed(given: Program) -> None:
    """Check that what the machine measures of a legal stream keeps all rules of times."""
    assert violations(given, follow(given, 6)) == ()
    single = time_program(given)
    assert violations(given, (single.starts, single.ends)) == ()


def compiled(network: Any, chip: Chip, pieces: int) -> Program:
    """Compile a stream on a chip that has room for all weights; what finds no room for its rings is of no use."""
    chip = chip.override({"layer_order": "dataflow", "tiles": 200, "tile.groups": 8}, source="law: room for all")
    try:
        return mho.compile(mho.number.quantise(network), chip, STREAM.with_(**{"schedule.pieces": pieces}))
    except MappingError:
        assume(False)
        raise


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(networks, chips(), st.sampled_from([1, 2, 3, 32]))
def test_every_stream_is_legal_as_written_and_as_timed(network: Any, chip: Chip, pieces: int) -> None:
    made = compiled(network, chip, pieces)
    assert violations(made) == ()
    timed(made)


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_finds_unbroken_streams_legal(name: str) -> None:
    assert agrees(program(name))
    timed(program(name))


def test_the_streams_meet_what_the_rules_are_about() -> None:
    images = program("images")
    assert images.stream is not None and images.stream.again
    assert any(isinstance(each, Activate) and each.copies > 1 for each in images.instructions)
    assert any(isinstance(each, Combine | Vector) and each.rows is not None for each in images.instructions)
    assert any(use.rows is not None for use in images.buffers)


def altered(given: Program, place: int, **operands: Any) -> Program:
    """Give one instruction other operands."""
    instructions = list(given.instructions)
    instructions[place] = replace(instructions[place], **operands)
    return replace(given, instructions=tuple(instructions))


def waiting(given: Program, again: tuple[tuple[int, int, int], ...]) -> Program:
    """Let instructions wait for others of earlier inferences."""
    assert given.stream is not None
    return replace(given, stream=replace(given.stream, again=again))


def ringed(given: Program, number: int, **fields: Any) -> Program:
    """Give a tensor another place."""
    uses = list(given.buffers)
    uses[number] = replace(uses[number], **fields)
    return replace(given, buffers=tuple(uses))


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_a_stream_that_is_changed_is_legal_where_the_oracle_finds_it_so(data: st.DataObject) -> None:
    given = program(data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from([2, 3])))
    for _ in range(data.draw(st.integers(1, 3))):
        given = spoilt(given, data)
    if agrees(given):
        timed(given)


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(networks, chips(), st.sampled_from([1, 2, 3]), st.data())
def test_so_is_a_stream_of_any_network(network: Any, chip: Chip, pieces: int, data: st.DataObject) -> None:
    made = compiled(network, chip, pieces)
    assert agrees(made)
    for _ in range(4):
        changed = spoilt(made, data)
        if agrees(changed):
            timed(changed)


def swapped(given: Program, place: int) -> Program:
    """Let an instruction and the next of its layer and kind swap the rows that they make, or the windows that they drive."""
    each = given.instructions[place]
    alike = (i for i in range(place + 1, len(given.instructions)) if type(given.instructions[i]) is type(each))
    other = next((i for i in alike if given.instructions[i].layer == each.layer), place)
    key = "windows" if isinstance(each, Activate) else "rows"
    first, second = (getattr(given.instructions[i], key) for i in (place, other))
    return altered(altered(given, place, **{key: second}), other, **{key: first})


def spoilt(given: Program, data: st.DataObject) -> Program:
    """Change something at random."""
    assert given.stream is not None
    again, body = given.stream.again, range(given.setup, len(given.instructions))
    kind = data.draw(
        st.sampled_from(
            ["drop again", "further", "nearer", "drop after", "ring", "part", "copies", "rows", "swap", "move"]
        )
    )
    if kind in ("drop again", "further", "nearer") and again:
        which = data.draw(st.integers(0, len(again) - 1))
        instruction, place, distance = again[which]
        distance = {"drop again": 0, "further": distance + 1, "nearer": distance - 1}[kind]
        new = [(instruction, place, distance)] if distance else []
        return waiting(given, (*again[:which], *new, *again[which + 1 :]))
    if kind == "move" and again:
        which = data.draw(st.integers(0, len(again) - 1))
        moved = (data.draw(st.sampled_from(body)), *again[which][1:])
        return waiting(given, (*again[:which], moved, *again[which + 1 :]))
    if kind in ("ring", "part"):
        number = data.draw(st.integers(0, len(given.buffers) - 1))
        use = given.buffers[number]
        assert use.rows is not None
        if kind == "ring" and use.rows > 1:
            return ringed(given, number, rows=use.rows - 1)
        return ringed(given, number, parts=(use.parts[0] + data.draw(st.sampled_from([-1, 1])), *use.parts[1:]))
    place = data.draw(st.sampled_from(body))
    each = given.instructions[place]
    if isinstance(each, Activate) and kind == "copies":
        first, last = each.windows
        windows = data.draw(st.sampled_from([(first + 1, last), (first, last - 1), (first, last + 1)]))
        return altered(given, place, windows=windows)
    if kind == "swap":
        return swapped(given, place)
    if not isinstance(each, Activate) and kind == "rows" and each.rows:
        return altered(given, place, rows=(each.rows[0], each.rows[1] + data.draw(st.sampled_from([-1, 1]))))
    if each.after:
        gone = data.draw(st.sampled_from(each.after))
        return altered(given, place, after=tuple(other for other in each.after if other != gone))
    return given


@pytest.mark.parametrize("name", NAMES)
def test_a_wait_that_is_dropped_is_missed_or_implied_by_the_others(name: str) -> None:
    """Each `again`, and each `after`: some must be missed."""
    given = program(name)
    assert given.stream is not None
    again = given.stream.again
    missed = [not agrees(waiting(given, (*again[:i], *again[i + 1 :]))) for i in range(len(again))]
    assert any(missed)
    body = range(given.setup, len(given.instructions))
    dropped = [
        not agrees(altered(given, i, after=tuple(other for other in given.instructions[i].after if other != gone)))
        for i in body
        for gone in given.instructions[i].after
    ]
    assert any(dropped)


@pytest.mark.parametrize("name", NAMES)
def test_a_wait_for_an_earlier_inference_is_missed_or_implied(name: str) -> None:
    given = program(name)
    assert given.stream is not None
    again = given.stream.again
    found = [
        not agrees(waiting(given, (*again[:i], (again[i][0], again[i][1], again[i][2] + 1), *again[i + 1 :])))
        for i in range(len(again))
    ]
    assert any(found)


def test_a_ring_one_row_short_is_found() -> None:
    """With its bytes or without; where the others are longer than they must be, both say so."""
    given = program("images")
    short = [
        not agrees(ringed(given, number, rows=use.rows - 1)) for number, use in enumerate(given.buffers) if use.rows
    ]
    assert any(short)
    for number, use in enumerate(given.buffers):
        assert isinstance(use, BufferUse)
        assert not agrees(ringed(given, number, size=use.size - 1, parts=(use.parts[0] - 1, *use.parts[1:])))


def test_a_part_one_byte_too_large_for_its_bank_is_found() -> None:
    given = program("images")
    bank = given.buffers[0].banks[0]
    held = sum(p for use in given.buffers for b, p in zip(use.banks, use.parts, strict=True) if b == bank)
    more = given.chip.buffer.banks[bank] - held
    use = given.buffers[0]
    full = ringed(given, 0, size=use.size + more, parts=(use.parts[0] + more, *use.parts[1:]))
    assert agrees(full)
    over = ringed(given, 0, size=use.size + more + 1, parts=(use.parts[0] + more + 1, *use.parts[1:]))
    assert [each.text for each in violations(over)] == [
        f"bank {bank} has {given.chip.buffer.banks[bank]} bytes, and holds {given.chip.buffer.banks[bank] + 1}"
    ]
    assert not agrees(over)


def find(given: Program, kind: type[Instruction]) -> int:
    """Return the place of the second instruction of a kind in the body."""
    return [i for i in range(given.setup, len(given.instructions)) if isinstance(given.instructions[i], kind)][1]


def test_rows_combined_twice_or_missed_are_found() -> None:
    given = program("images")
    place = find(given, Combine)
    rows = given.instructions[place].rows
    assert rows is not None
    for wrong in ((rows[0] - 1, rows[1]), (rows[0] + 1, rows[1]), (rows[0], rows[1] - 1)):
        assert not agrees(altered(given, place, rows=wrong))
    assert any("is finished by rows" in each.text for each in violations(altered(given, place, rows=(0, rows[1]))))


def test_windows_dealt_to_other_copies_are_found() -> None:
    """Fewer copies from the same group on: windows then go on to a copy that may still be busy."""
    given = program("images")
    place = next(
        i
        for i in range(given.setup, len(given.instructions))
        if isinstance(given.instructions[i], Activate) and given.instructions[i].copies > 2
    )
    each = given.instructions[place]
    assert isinstance(each, Activate)
    count = each.blocks[1] - each.blocks[0]
    ((first, last),) = each.groups
    fewer = altered(given, place, copies=each.copies - 1, groups=((first, last - count),))
    assert not agrees(fewer)
    turned = altered(given, place, groups=((first + count, last), (first, first + count)))
    assert any("does not hold block" in each.text for each in violations(turned))
    assert not agrees(turned)
    assert list(shape_rules(Facts(altered(given, place, copies=0))))
    assert list(shape_rules(Facts(altered(given, place, copies=10**6))))


def test_transfers_of_the_wrong_bytes_are_found() -> None:
    given = program("images")
    place = find(given, Transfer)
    moved = given.instructions[place]
    assert isinstance(moved, Transfer)
    for size in (moved.size - 1, moved.size + 1):
        assert any("of all its rows" in each.text for each in violations(altered(given, place, size=size)))


def test_rows_that_do_not_exist_are_found() -> None:
    given = program("images")
    place = find(given, Vector)
    for rows in ((0, 99), (-1, 1), (2, 2)):
        assert any("rows" in each.text for each in violations(altered(given, place, rows=rows)))


def test_times_that_the_chip_does_not_allow_are_found() -> None:
    """Sooner than its inference, than what it waits for, than the chip can; and two at once in a group."""
    given = program("images")
    starts, ends = follow(given, 5)
    assert violations(given, (starts, ends)) == ()
    place = find(given, Activate) - given.setup
    for number in (1, 4):
        for early, late, text in ((1.0, 1.0, "starts before"), (0.0, 0.9, "lasts less than"), (-0.5, 0.0, "")):
            new_starts, new_ends = starts.copy(), ends.copy()
            lasted = ends[number, place] - starts[number, place]
            new_starts[number, place] -= early * (ends[number, place] if early > 0 else 0)
            new_ends[number, place] -= (late * ends[number, place]) if early > 0 else late * lasted
            found = violations(given, (new_starts, new_ends))
            if text:
                assert any(text in each.text for each in found)
    # An inference on top of the one before it.
    both = np.concatenate([starts[:2], starts[1:2]]), np.concatenate([ends[:2], ends[1:2]])
    texts = [each.text for each in violations(given, both)]
    assert any("uses group" in text for text in texts)
    assert any("vector unit" in text for text in texts)
    assert any("starts before its inference may begin" in text for text in texts)
    assert violations(given, (starts[:, 1:], ends[:, 1:]))


def test_groups_that_are_released_or_written_again_are_found() -> None:
    """The next inference reads them; and a write of every inference would have to wait for what read in the one before."""
    given = program("images")
    place = find(given, Activate)
    assert any("releases groups" in each.text for each in violations(altered(given, place, release=True)))
    texts = [each.text for each in violations(replace(given, setup=0))]
    assert any("of the inference before" in text for text in texts)
    assert any("before its write has ended" in text for text in texts)


def test_on_a_sequential_chip_a_stream_runs_layers_at_once() -> None:
    given = program("images")
    chip = given.chip.override({"layer_order": "sequential"}, source="law")
    texts = {each.text for each in violations(replace(given, chip=chip))}
    assert texts == {"runs while the layer before it may still run"}
