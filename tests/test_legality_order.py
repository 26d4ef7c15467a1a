"""The checker's order is the relation itself, in memory and walks that grow with the program."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.network.graph import Network
from mho.program import Activate, Program, Write, violations
from mho.program.legality.buffer import _spills
from mho.program.legality.facts import Facts
from mho.program.legality.groups import _holding, shape_rules
from mho.program.legality.order import CHAINS, Order
from mho.program.legality.overload import overload
from tests import legality_oracle as oracle
from tests.strategies import ALONE, GREEDY, Sketch, chips, choices, networks


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Draw what each instruction waits for: few or many, near or far."""
    count = draw(st.integers(1, 60))
    most, far = draw(st.integers(0, 4)), draw(st.integers(1, 60))
    return [
        tuple(sorted(draw(st.sets(st.integers(max(0, i - far), i - 1), max_size=most)) if i else ()))
        for i in range(count)
    ]


@settings(max_examples=150)
@given(graphs(), st.data())
def test_it_is_the_relation_of_the_graph_whatever_the_chains_are_made_of(
    after: list[tuple[int, ...]], data: st.DataObject
) -> None:
    milestones = sorted(data.draw(st.sets(st.integers(0, len(after) - 1))))
    order, pairs = Order(after, milestones), oracle.Pairs(after)
    for second in range(len(after)):
        for first in range(len(after)):
            assert order.before(first, second) == pairs.before(first, second), (first, second)


def spoilt(program: Program, data: st.DataObject) -> Program:
    """Take waits away, move groups, swap the turns of instructions that may be."""
    instructions: list[Any] = list(program.instructions)
    for _ in range(data.draw(st.integers(0, 4))):
        i = data.draw(st.integers(0, len(instructions) - 1))
        each, kind = instructions[i], data.draw(st.sampled_from(["wait", "groups", "copy", "release", "more"]))
        if kind == "wait" and each.after:
            gone = data.draw(st.sampled_from(each.after))
            instructions[i] = replace(each, after=tuple(j for j in each.after if j != gone))
        elif kind == "more" and i:
            instructions[i] = replace(each, after=tuple(sorted({*each.after, data.draw(st.integers(0, i - 1))})))
        elif kind == "groups" and isinstance(each, Write | Activate):
            by = data.draw(st.integers(-2, 2))
            instructions[i] = replace(each, groups=tuple((first + by, last + by) for first, last in each.groups))
        elif kind == "copy" and isinstance(each, Write | Activate):
            instructions[i] = replace(each, copy=0)
        elif kind == "release" and isinstance(each, Activate):
            instructions[i] = replace(each, release=not each.release)
    return replace(program, instructions=tuple(instructions))


@settings(max_examples=60)
@given(networks, chips(), st.sampled_from(ALONE), choices("residency"), st.data())
def test_programs_whole_and_spoilt_break_the_rules_that_they_break_group_by_group(
    network: Network, chip: Chip, schedule: str, residency: str, data: st.DataObject
) -> None:
    if data.draw(st.booleans()):
        chip = chip.override({"buffer.banks": [64]}, source="law: tensors live in main memory")
    whole = mho.compile(network, chip, GREEDY.with_(schedule=schedule, residency=residency))
    program = spoilt(whole, data)
    facts = Facts(program)
    if list(shape_rules(facts)):
        return
    assert list(_holding(facts)) == list(oracle.holding(facts))
    views = facts.views
    assert list(_spills(facts, views)) == list(oracle.spills(facts, views))
    found = violations(program)
    facts.__dict__["order"] = oracle.Pairs([each.after for each in program.instructions])
    assert found == _by(facts)


def _by(facts: Facts) -> tuple[Any, ...]:
    from mho.program.legality import buffer_rules, flow_rules, group_rules

    return tuple(each for rules in (group_rules, flow_rules, buffer_rules) for each in rules(facts))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.sampled_from([0.0, 0.25, 1.0, 1.5, 3.0])), max_size=30)
)
def test_an_overload_is_found_where_every_origin_is_tried(jobs: list[tuple[int, int, float]]) -> None:
    starts = np.array([start for start, _, _ in jobs], dtype=np.float64)
    ends = starts + np.array([lasts for _, lasts, _ in jobs])
    demand = np.array([work for _, _, work in jobs])
    slack = 1e-9 * max(float(ends.max(initial=0.0)), 1e-30)
    assert overload(starts, ends, demand, slack) == oracle.overload(starts, ends, demand, slack)


@cache
def deep(layers: int, order: str, schedule: str) -> Program:
    """Compile a chain of layers, each of several times the chip."""
    sketch = Sketch(0, (1, 6, 24))
    last = before = sketch.layers[0]
    for _ in range(layers):
        last, before = sketch.linear(last, 24), last
        if before is not sketch.layers[0]:
            last = sketch.elementwise(last, before)
    values = {
        "array.rows": 4,
        "array.columns": 16,
        "group.arrays": 1,
        "tile.groups": 1,
        "tiles": 7,
        "layer_order": order,
    }
    chip = Chip.load("aras").override(values, source="law: growth")
    return mho.compile(sketch.network(), chip, GREEDY.with_(schedule=schedule, residency="never"))


@pytest.mark.parametrize("order", ["sequential", "dataflow"])
@pytest.mark.parametrize("schedule", ["naive", "overlap"])
def test_what_it_keeps_and_walks_grows_with_the_program(order: str, schedule: str) -> None:
    for layers in (10, 40, 160):
        program = deep(layers, order, schedule)
        facts = Facts(program)
        assert not tuple(_by(facts))
        count = len(program.instructions)
        assert facts.order.walked <= count
        kept = {id(places) for table in (facts.order._seen, facts.order._next) for places in table}
        assert len(kept) * CHAINS <= 2 * CHAINS * count
    assert len(deep(160, order, schedule).instructions) > 2000
