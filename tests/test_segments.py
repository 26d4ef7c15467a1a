"""Networks that a chip cannot hold, in segments: plans against every other, their bound, and their own words."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mho
from mho.chip import Chip
from mho.mapping import mapped_by
from mho.network.graph import Network
from mho.network.layers import Constant
from mho.program.work import buffer_bytes, coded_tensors, layer_seconds, write_bytes
from mho.schedule.builder import Task
from mho.schedule.interval import Held, least_interval
from mho.schedule.portions import Portions, Room, portions_of
from mho.schedule.segments import (
    LEVELS,
    Segment,
    least_period,
    plan_segments,
)
from mho.strategy import Strategy
from tests.strategies import GREEDY, chips, networks

CLOSE = 1 + 1e-9
sizes = st.integers(0, 40).map(float)


@st.composite
def cases(draw: st.DrawFn, most: int = 4, groups: int = 9) -> tuple[Portions, Room, int]:
    """Draw some portions, a chip that holds each of them, and a batch."""
    count = draw(st.integers(1, most))
    room = Room(
        draw(st.integers(2, groups)),
        draw(st.integers(0, 20)) / 1.0,
        draw(st.sampled_from([0.5, 4.0, 100.0])),
        draw(sizes),
    )

    def each(values: st.SearchStrategy[float], length: int = count) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=length, max_size=length)))

    blocks = each(st.integers(1, min(4, room.groups)))
    portions = Portions(
        layer=np.arange(count),
        first=np.zeros(count, dtype=np.int64),
        last=blocks,
        windows=each(st.integers(1, 7)),
        window_s=each(st.sampled_from([0.1, 1.0, 1.0, 3.0])),
        write_bytes=each(sizes),
        lead=each(st.sampled_from([0.0, 0.25, 1.0])),
        vector_s=each(st.sampled_from([0.0, 0.0, 2.0])),
        moved_bytes=each(st.sampled_from([0.0, 0.0, 5.0])),
        crossing=np.concatenate([[0.0], each(sizes, count - 1), [0.0]]),
        place=np.arange(count + 1),
    )
    return portions, room, draw(st.sampled_from([1, 2, 3, 8, 32]))


def held(portions: Portions, first: int, last: int) -> list[Held]:
    """Return portions as weights for whose copies `least_interval` stands."""
    return [
        Held(int(portions.groups[each]), (int(portions.windows[each]),), (float(portions.window_s[each]),))
        for each in range(first, last)
    ]


def floor_s(portions: Portions, room: Room, batch: int, first: int, last: int) -> tuple[float, float]:
    """Return the least interval that vector unit and memory allow a segment, and the bytes that a batch of it moves."""
    over = [
        batch * portions.crossing[cut] * (batch * portions.crossing[cut] > room.buffer_bytes)
        for cut in (first, last)
        if cut not in (0, len(portions))
    ]
    moved = batch * float(portions.moved_bytes[first:last].sum()) + sum(over)
    return max(float(portions.vector_s[first:last].sum()), moved / batch / room.bandwidth), moved


def tried(portions: Portions, room: Room, batch: int, first: int, last: int) -> list[tuple[int, float, float, float]]:
    """Return of every choice of copies of a segment that fits its groups, its run in s, and the bytes written and moved."""
    weights, found = held(portions, first, last), set()
    least, moved = floor_s(portions, room, batch, first, last)
    for copies in product(*(range(1, max(weight.windows) + 1) for weight in weights)):
        if sum(weight.groups * count for weight, count in zip(weights, copies, strict=True)) > room.groups:
            continue
        interval = max([least, *(weight.busy_s(count) for weight, count in zip(weights, copies, strict=True))])
        fewest = [weight.copies(interval) or 1 for weight in weights]
        busy = [weight.busy_s(count) for weight, count in zip(weights, fewest, strict=True)]
        fill = sum(lead * each for lead, each in zip(portions.lead[first:last], busy[:-1], strict=False))
        need = sum(weight.groups * count for weight, count in zip(weights, fewest, strict=True))
        written = float(portions.write_bytes[first:last] @ np.array(fewest))
        found.add((need, batch * interval + fill, written, moved))
    return sorted(found)


def least_of_all(portions: Portions, room: Room, batch: int) -> float:
    """Return the shortest period of all cuts, copies and choices of hidden writes, the first write not hidden."""
    count, best = len(portions), np.inf
    for number in range(count):
        for cuts in combinations(range(1, count), number):
            ranges = list(pairwise([0, *cuts, count]))
            for segments in product(*(tried(portions, room, batch, *each) for each in ranges)):
                write = [max(room.write_s, written / room.bandwidth) for _, _, written, _ in segments]
                # Each pair stands for itself, so that the better of both is taken.
                period = write[0] + segments[-1][1]
                for (need, run, _, moved), (other, _, written, _), alone in zip(
                    segments, segments[1:], write[1:], strict=False
                ):
                    beside = max(run, room.write_s, (written + moved) / room.bandwidth)
                    period += min(run + alone, beside if need + other <= room.groups else np.inf)
                best = min(best, period)
    return float(best)


def unhidden_first(segments: tuple[Segment, ...]) -> float:
    """Return the period of segments whose first is written after the last has run."""
    first, last = segments[0], segments[-1]
    saved = first.hidden
    total = sum(each.phase_s for each in segments)
    if not saved:
        return total
    beside = last.phase_s - (0 if last.hidden else last.write_s)
    return total - beside + last.run_s + first.write_s


@settings(max_examples=150)
@given(cases())
def test_no_other_cuts_copies_or_hidden_writes_are_shorter(case: tuple[Portions, Room, int]) -> None:
    portions, room, batch = case
    plan = plan_segments(portions, room, batch)
    assert isclose(unhidden_first(plan.segments), least_of_all(portions, room, batch), rel_tol=1e-9)
    assert plan.period_s <= unhidden_first(plan.segments) * CLOSE


@settings(max_examples=300)
@given(cases(most=9, groups=40), st.integers(1, LEVELS))
def test_no_plan_is_shorter_than_the_bound_and_fewer_levels_find_none_shorter(
    case: tuple[Portions, Room, int], levels: int
) -> None:
    portions, room, batch = case
    plan = plan_segments(portions, room, batch)
    assert plan.period_s * CLOSE >= least_period(portions, room, batch)
    assert unhidden_first(plan_segments(portions, room, batch, levels).segments) * CLOSE >= unhidden_first(
        plan.segments
    )


@settings(max_examples=200)
@given(cases(most=9, groups=40))
def test_a_plan_is_what_it_says(case: tuple[Portions, Room, int]) -> None:
    portions, room, batch = case
    plan = plan_segments(portions, room, batch)
    cuts = [each.first for each in plan.segments] + [plan.segments[-1].last]
    assert cuts == sorted(set(cuts)) and cuts[0] == 0 and cuts[-1] == len(portions)
    assert isclose(plan.period_s, sum(each.phase_s for each in plan.segments))
    for each in plan.segments:
        groups = portions.groups[each.first : each.last] @ np.array(each.copies)
        assert groups == each.groups and each.start >= 0 and each.start + each.groups <= room.groups
        least, moved = floor_s(portions, room, batch, each.first, each.last)
        interval, copies = least_interval(held(portions, each.first, each.last), each.groups, least)
        assert isclose(interval, each.interval_s, rel_tol=1e-9) and copies == each.copies
        assert isclose(moved, each.moved_bytes, abs_tol=1e-9)
        assert each.run_s * CLOSE >= batch * each.interval_s and each.fill_s >= -1e-9
        assert each.phase_s * CLOSE >= each.run_s and each.write_s >= room.write_s
    for before, after in zip(plan.segments, plan.segments[1:] + plan.segments[:1], strict=True):
        if after.hidden:
            apart = before.start + before.groups <= after.start or after.start + after.groups <= before.start
            assert apart and len(plan.segments) > 1


@given(cases())
def test_what_no_chip_holds_and_no_batch_is_refused(case: tuple[Portions, Room, int]) -> None:
    portions, room, _ = case
    small = Room(1, room.write_s, room.bandwidth, room.buffer_bytes)
    if portions.groups.max() > 1:
        with pytest.raises(ValueError, match="fills more than all 1 groups"):
            plan_segments(portions, small, 1)
    with pytest.raises(ValueError, match="a batch has 1 inference or more, not 0"):
        plan_segments(portions, room, 0)
    with pytest.raises(ValueError, match="arrays of one length"):
        Portions(**(vars(portions) | {"lead": np.zeros(len(portions) + 1)}))
    with pytest.raises(ValueError, match="segments need groups"):
        Room(0, 1.0, 1.0, 1.0)


def task_of(network: Network, chip: Chip, strategy: Strategy = GREEDY) -> Task:
    """Return what a schedule plans for, in data-flow order; nothing stays."""
    mapping = mapped_by(strategy, network, chip)
    return Task(chip, network, mapping, (), False, coded_tensors(network, None, mapping.layers), None, strategy)


@settings(max_examples=40)
@given(networks, chips(), st.sampled_from([1, 2, 8, 64]))
def test_portions_hold_every_block_and_second_of_a_network_once(network: Network, chip: Chip, share: int) -> None:
    task = task_of(network, chip, GREEDY.with_({"coding.symmetric": bool(chip.coding.least_code)}))
    if not task.mapping.layers:
        return
    portions, room = portions_of(task, share)
    assert room.groups == chip.groups and room.buffer_bytes <= sum(chip.buffer.banks)
    for number, layer in enumerate(task.mapping.layers):
        mine = portions.layer == number
        assert [*portions.first[mine], layer.count] == [0, *portions.last[mine]]
        assert isclose(
            portions.write_bytes[mine].sum(), write_bytes(layer.blocks, (0, layer.count), chip), rel_tol=1e-9
        )
        assert (portions.windows[mine] == layer.windows).all()
    assert isclose(portions.vector_s.sum(), layer_seconds(network, chip).sum(), rel_tol=1e-9, abs_tol=1e-18)
    assert (portions.groups <= chip.groups).all()
    assert (np.diff(portions.place) >= 0).all() and portions.place[-1] == len(network.layers)


def test_what_crosses_a_cut_is_made_before_and_read_after() -> None:
    """ResNet-20, whose every tensor is stored: counted anew at each cut between layers, through views."""
    network = mho.zoo.load("resnet20")
    task = task_of(network, Chip.load("aras").override({"tiles": 8}, source="test"))
    portions, _ = portions_of(task, 1)
    stored = buffer_bytes(network, task.coded)
    maker = {layer.name: layer.name for layer in network.layers}
    for layer in network.layers:
        if layer.moves_only:
            maker[layer.name] = maker[layer.inputs[0]]
    seen = 0
    for number in range(1, len(portions)):
        if portions.first[number]:
            continue
        cut = portions.place[number]
        made = {maker[each.name] for each in network.layers[:cut] if not isinstance(each, Constant)}
        read = {maker[name] for each in network.layers[cut:] if not each.moves_only for name in each.inputs}
        assert portions.crossing[number] == sum(stored[name] for name in made & read)
        seen += 1
    assert seen == len(task.mapping.layers) - 1


@pytest.fixture(scope="module")
def resnet50() -> Network:
    return mho.zoo.load("resnet50")
