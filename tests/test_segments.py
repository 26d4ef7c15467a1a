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
from mho.schedule.interval import Held
from mho.schedule.portions import Portions, Room, cut_layers, portions_of
from mho.schedule.segments import (
    least_period,
    period_s,
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
        groups=blocks,
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
    """Return the shortest period of all cuts and copies."""
    count, best = len(portions), np.inf
    for number in range(count):
        for cuts in combinations(range(1, count), number):
            times = []
            for each in pairwise([0, *cuts, count]):
                runs = tried(portions, room, batch, *each)
                took = (run + max(room.write_s, written / room.bandwidth) for _, run, written, _ in runs)
                times.append(min(took, default=np.inf))
            best = min(best, sum(times))
    return float(best)


@settings(max_examples=150)
@given(cases())
def test_no_other_cuts_or_copies_are_shorter(case: tuple[Portions, Room, int]) -> None:
    portions, room, batch = case
    assert isclose(period_s(plan_segments(portions, room, batch)), least_of_all(portions, room, batch), rel_tol=1e-9)


@settings(max_examples=200)
@given(cases(most=9, groups=40))
def test_a_plan_is_what_it_says_and_no_shorter_than_the_bound(case: tuple[Portions, Room, int]) -> None:
    portions, room, batch = case
    segments = plan_segments(portions, room, batch)
    assert period_s(segments) * CLOSE >= least_period(portions, room, batch)
    cuts = [each.first for each in segments] + [segments[-1].last]
    assert cuts == sorted(set(cuts)) and cuts[0] == 0 and cuts[-1] == len(portions)
    for each in segments:
        groups = portions.groups[each.first : each.last] @ np.array(each.copies)
        assert groups == each.groups <= room.groups
        weights = held(portions, each.first, each.last)
        least, moved = floor_s(portions, room, batch, each.first, each.last)
        assert tuple(weight.copies(each.interval_s) for weight in weights) == each.copies
        assert each.interval_s * CLOSE >= least and isclose(moved, each.moved_bytes, abs_tol=1e-9)
        assert each.run_s * CLOSE >= batch * each.interval_s and each.write_s >= room.write_s


@given(cases())
def test_what_no_chip_holds_and_no_batch_is_refused(case: tuple[Portions, Room, int]) -> None:
    portions, room, _ = case
    small = Room(1, room.write_s, room.bandwidth, room.buffer_bytes)
    if portions.groups.max() > 1:
        with pytest.raises(ValueError, match="a layer fills more than all 1 groups"):
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
@given(networks, chips())
def test_portions_hold_every_block_and_second_of_a_network_once(network: Network, chip: Chip) -> None:
    task = task_of(network, chip, GREEDY.with_({"coding.symmetric": bool(chip.coding.least_code)}))
    if not task.mapping.layers:
        return
    portions, room = portions_of(task)
    assert room.groups == chip.groups and room.buffer_bytes <= sum(chip.buffer.banks)
    cuts = cut_layers(task)
    for layer in task.mapping.layers:
        own = [number for number, (other, _) in enumerate(cuts) if other is layer]
        blocks = [cuts[number][1] for number in own]
        assert [first for first, _ in blocks] + [layer.run[1]] == [layer.run[0]] + [last for _, last in blocks]
        assert (len(own) == 1) == (layer.count <= chip.groups) or chip.groups == 1
        assert portions.groups[own].sum() == layer.count and portions.groups[own].max() <= chip.groups
        written = write_bytes(layer.blocks, (0, layer.count), chip)
        assert isclose(portions.write_bytes[own].sum(), written, rel_tol=1e-9)
        assert (portions.windows[own] == layer.windows).all()
    assert isclose(portions.vector_s.sum(), layer_seconds(network, chip).sum(), rel_tol=1e-9, abs_tol=1e-18)
    assert (np.diff(portions.place) >= 0).all() and portions.place[-1] == len(network.layers)


def test_what_crosses_a_cut_is_made_before_and_read_after() -> None:
    """ResNet-20, whose every tensor is stored: counted anew at each cut between layers, through views."""
    network = mho.zoo.load("resnet20")
    task = task_of(network, Chip.load("aras").override({"tiles": 8}, source="test"))
    portions, _ = portions_of(task)
    stored = buffer_bytes(network, task.coded)
    maker = {layer.name: layer.name for layer in network.layers}
    for layer in network.layers:
        if layer.moves_only:
            maker[layer.name] = maker[layer.inputs[0]]
    seen = 0
    for number in range(1, len(portions)):
        cut = portions.place[number]
        made = {maker[each.name] for each in network.layers[:cut] if not isinstance(each, Constant)}
        read = {maker[name] for each in network.layers[cut:] if not each.moves_only for name in each.inputs}
        assert portions.crossing[number] == sum(stored[name] for name in made & read)
        seen += 1
    assert seen == len(task.mapping.layers) - 1
