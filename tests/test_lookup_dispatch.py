"""Dispatch: every look-up once, activations as few as said, copies by load; and the checker against a plain one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.chip.lookup import Reading
from mho.errors import OptionError, ProgramError
from mho.machine.lookup.dispatch import dispatch
from mho.mapping.embedding.seats import Seats
from mho.program.lookups import Lookups
from tests.lookup_oracle import (
    CHIPS,
    acts_of,
    batches_of,
    chip_of,
    layout_of,
    layouts,
    program_of,
    programs,
    rules_of,
    trace_of,
    traces,
)


@settings(max_examples=100)
@given(programs())
def test_every_lookup_is_served_once_from_where_its_row_is(program: Lookups) -> None:
    program.check()
    layout, trace = program.layout, program.trace
    start = [sum(trace.rows[:t]) for t in range(len(trace.rows))]
    served = Counter(place for act in acts_of(program) for place in act.lookups)
    assert served == dict.fromkeys(range(trace.lookups), 1)
    for act in acts_of(program):
        rows = layout.members[layout.starts[act.group] : layout.starts[act.group + 1]].tolist()
        table = int(trace.tables[act.bag])
        assert [rows[w] for w in act.wordlines] == [start[table] + int(trace.indices[at]) for at in act.lookups]
        assert all(trace.offsets[act.bag] <= at < trace.offsets[act.bag + 1] for at in act.lookups)
    assert program.loads.sum() == program.activations == len(acts_of(program))
    assert program.sizes.sum() == trace.lookups


@settings(max_examples=100)
@given(programs())
def test_rows_of_a_group_are_one_activation_but_for_repeats_and_adcs(program: Lookups) -> None:
    by_bag: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for act in acts_of(program):
        by_bag.setdefault((act.bag, act.group), []).append(act.wordlines)
    most = program.reading.most_rows
    for acts in by_bag.values():
        times = Counter(wordline for act in acts for wordline in act)
        turns = [sum(count > turn for count in times.values()) for turn in range(max(times.values()))]
        assert len(acts) == sum(-(-rows // most) for rows in turns)


@settings(max_examples=100)
@given(programs())
def test_the_copy_with_least_time_is_taken(program: Lookups) -> None:
    rules, layout = rules_of(program), program.layout
    batch = int(np.count_nonzero(np.diff(program.trace.queries[: program.bag_batches[1]]))) + 1
    for _, acts in batches_of(program, batch):
        given = [0.0] * layout.instances
        for act in acts:
            copies = range(sum(layout.copies[: act.group]), sum(layout.copies[: act.group + 1]))
            assert act.instance == min(copies, key=lambda i: given[i])
            given[act.instance] += program.reading.seconds[len(act.lookups)]
            taken = rules.settle_s + rules.convert_s(len(act.lookups))
            assert program.reading.seconds[len(act.lookups)] == pytest.approx(taken, rel=1e-12)


@settings(max_examples=100)
@given(st.data())
def test_batches_hold_whole_queries_in_order(data: st.DataObject) -> None:
    trace = data.draw(traces())
    batch = data.draw(st.sampled_from((1, 2, 3, 1000)))
    program = program_of(trace, data.draw(layouts(trace.total_rows)), data.draw(CHIPS), 8, batch)
    expected = batches_of(program, batch)
    assert [range(*each) for each in zip(program.bag_batches, program.bag_batches[1:], strict=False)] == [
        bags for bags, _ in expected
    ]
    assert np.diff(program.batches).tolist() == [len(acts) for _, acts in expected]


def legal(program: Lookups) -> bool:
    """Whether a program keeps all that `Lookups.check` says, in plain Python."""
    trace, layout = program.trace, program.layout
    start = [sum(trace.rows[:t]) for t in range(len(trace.rows))]
    if any(not 0 <= i < layout.instances for i in program.instances.tolist()):
        return False
    acts = acts_of(program)
    if sorted(at for act in acts for at in act.lookups) != list(range(trace.lookups)):
        return False
    for act in acts:
        rows = layout.members[layout.starts[act.group] : layout.starts[act.group + 1]].tolist()
        if not 1 <= len(act.lookups) <= program.reading.most_rows or len(set(act.wordlines)) < len(act.wordlines):
            return False
        for at, wordline in zip(act.lookups, act.wordlines, strict=True):
            if not (0 <= act.bag < trace.bags and trace.offsets[act.bag] <= at < trace.offsets[act.bag + 1]):
                return False
            row = start[trace.tables[act.bag]] + int(trace.indices[at])
            if not 0 <= wordline < len(rows) or rows[wordline] != row:
                return False
    cuts, bag_cuts = program.batches.tolist(), program.bag_batches.tolist()
    if cuts != sorted(cuts) or (cuts[0], cuts[-1], bag_cuts[0], bag_cuts[-1]) != (0, len(acts), 0, trace.bags):
        return False
    if len(cuts) != len(bag_cuts) or len(set(bag_cuts)) < len(bag_cuts) or bag_cuts != sorted(bag_cuts):
        return False
    if any(trace.queries[cut - 1] == trace.queries[cut] for cut in bag_cuts[1:-1]):
        return False
    return all(
        bag_cuts[b] <= act.bag < bag_cuts[b + 1] for b in range(len(cuts) - 1) for act in acts[cuts[b] : cuts[b + 1]]
    )


FIELDS = ("lookups", "wordlines", "bags", "instances", "starts", "batches", "bag_batches")


@settings(max_examples=300)
@given(programs(), st.data())
def test_the_checker_agrees_with_a_plain_one_on_what_was_changed(program: Lookups, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 2))):
        field = data.draw(st.sampled_from(FIELDS))
        values = getattr(program, field).copy()
        if not len(values):
            continue
        at = data.draw(st.integers(0, len(values) - 1))
        kind = data.draw(st.sampled_from(("set", "shift", "swap", "copy")))
        if kind == "set":
            values[at] = data.draw(st.integers(-1, int(values.max()) + 1))
        elif kind == "shift":
            values[at] += data.draw(st.sampled_from((-1, 1)))
        elif kind == "swap":
            other = data.draw(st.integers(0, len(values) - 1))
            values[[at, other]] = values[[other, at]]
        else:
            values[at] = values[data.draw(st.integers(0, len(values) - 1))]
        program = replace(program, **{field: values})
    starts = program.starts.tolist()
    expected = starts == sorted(starts) and (starts[0], starts[-1]) == (0, len(program.lookups)) and legal(program)
    if expected:
        program.check()
    else:
        with pytest.raises(ProgramError):
            program.check()


EXAMPLE = trace_of([[0, 1, 0], [2], [], [3, 1]], rows=(4,), queries=[1, 1, 2, 5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lookups": [0, 1, 1, 3, 4, 5]}, "look-up 1 is served 2 times"),
        ({"lookups": [0, 1, -1, 3, 4, 5]}, "0 or above"),
        ({"wordlines": [0, 0, 0, 0, 1, 1]}, "drives a wordline that holds another row"),
        ({"wordlines": [0, 1, 0, 0, 1, 7]}, "holds no row"),
        # Wordline 2 of the first group would be row 2, if groups went on where they end.
        (
            {"instances": [0, 1, 0, 0, 2], "wordlines": [0, 1, 0, 2, 1, 1]},
            "activation 2 drives a wordline that holds no row",
        ),
        ({"instances": [0, 0, 9, 1, 0]}, "instances are 0 to 2"),
        ({"instances": [0, 0]}, "an instance, a bag and a start each"),
        ({"bags": [0, 0, 1, 3, 2]}, "another bag"),
        ({"batches": [0, 4, 3, 5]}, "one batch after another"),
        ({"batches": [0, 4, 5], "bag_batches": [0, 1, 4]}, "whole query"),
        ({"batches": [0, 2, 3, 5]}, "a batch serves bags of another one"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], words: str) -> None:
    program = program_of(EXAMPLE, layout_of([[0, 1], [2, 3]], [2, 1]), chip_of(), batch=1)
    assert (program.activations, program.batches.tolist(), program.bag_batches.tolist()) == (
        5,
        [0, 3, 3, 5],
        [0, 2, 3, 4],
    )
    program.check()
    arrays = {key: np.array(value, dtype=getattr(program, key).dtype) for key, value in changes.items()}
    with pytest.raises(ProgramError, match=words):
        replace(program, **arrays).check()


def test_more_rows_than_the_adcs_add_up_and_a_wordline_twice_are_found() -> None:
    program = program_of(trace_of([[0, 1, 1]], rows=(2,)), layout_of([[0, 1]]), chip_of(lookup__most_rows=2))
    together = {"starts": np.array([0, 3]), "bags": np.zeros(1, int), "instances": np.zeros(1, np.int32)}
    with pytest.raises(ProgramError, match="drives 3 rows; the ADCs add up 2"):
        replace(program, **together, batches=np.array([0, 1])).check()
    wide = replace(program, reading=Reading(chip_of(), 8))
    with pytest.raises(ProgramError, match="drives a wordline twice"):
        replace(wide, **together, batches=np.array([0, 1])).check()


def test_what_does_not_fit_together_is_refused() -> None:
    chip, layout = chip_of(), layout_of([[0, 1], [2, 3]])
    seats = Seats(layout, chip, 8)
    with pytest.raises(OptionError, match="at least 1 query, not 0"):
        dispatch(EXAMPLE, seats, Reading(chip, 8), 0)
    with pytest.raises(OptionError, match="tables of 5 rows, the layout of 4"):
        dispatch(trace_of([[4]], rows=(5,)), seats, Reading(chip, 8), 1)
    with pytest.raises(OptionError, match=r"up to 5 take 3 bits; they are streamed as 2"):
        dispatch(trace_of([[0, 1]], rows=(4,), weights=[1, 5]), seats, Reading(chip, 8, 2), 1)
    with pytest.raises(OptionError, match=r"8 features .* read for 9"):
        dispatch(EXAMPLE, seats, Reading(chip, 9), 1)
