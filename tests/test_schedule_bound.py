"""The lower bound against the true optimum of tiny cases, found by trying every schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, product
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.program.bound import bound_of
from mho.program.demand import Workload
from mho.program.turnover import turnover_bound
from mho.schedule.evaluate import planned_end, room

Layers = tuple[tuple[int, int], ...]
Held = tuple[int, int] | None
"""What a group holds: a block, by its place among all blocks, and the time units until it is written; None: nothing."""


def optimum(
    layers: Layers,
    groups: int,
    write: int,
    *,
    sequential: bool = True,
    resident: bool = False,
    before: int = 0,
    other: int = 0,
    owners: tuple[int, ...] | None = None,
    port: int | None = None,
    limit: int = 60,
) -> int | None:
    """Return the least time, in windows, in which any legal schedule runs `layers` of (blocks, windows); None beyond `limit`.

    A breadth-first search over everything that a chip can do in one time unit: each group goes on writing, starts to
    write any block that still has windows to serve, computes one window, or waits. Sequential: only blocks of the first
    unfinished layer compute; else any may. Resident: groups may hold any blocks at the start. Nothing computes in the first
    `before` units, nor in `other` units after the first that computes. `owners`: for each layer the one whose blocks it uses.
    `port`: of so many blocks the inputs of a window arrive in a unit.
    """
    owner = [index for index, (blocks, _) in enumerate(layers) for _ in range(blocks)]
    first = [owner.index(index) for index in range(len(layers))]
    used = [block - first[index] + first[owners[index] if owners else index] for block, index in enumerate(owner)]
    windows = tuple(layers[index][1] for index in owner)
    contents: list[Held] = [None, *((block, 0) for block in sorted(set(used)))] if resident else [None]
    frontier = {(windows, held, other, 0) for held in combinations_with_replacement(contents, groups)}
    seen = set(frontier)
    for time in range(1, limit + 1):
        following = set()
        for left, held, idle, _ in frontier:
            current = next((owner[block] for block, count in enumerate(left) if count), None)
            for chosen in product(*(list(_choices(content, left, write, used)) for content in held)):
                computed = [block for block, _ in chosen if block is not None]
                if computed and (time <= before or (sequential and any(owner[block] != current for block in computed))):
                    continue
                if port is not None and len(computed) > port:
                    continue
                rest = list(left)
                for block in computed:
                    rest[block] = max(rest[block] - 1, 0)
                after = idle - (1 if idle and not computed and left != windows else 0)
                if not any(rest) and not after:
                    return time
                # The time counts as part of the state only while it decides what may be done.
                kept = tuple(sorted((content for _, content in chosen), key=lambda content: content or (-1, 0)))
                state = (tuple(rest), kept, after, min(time, before))
                # What cannot end in time, even if each group computed a window in every unit left, is not followed.
                if sum(rest) <= groups * (limit - time) and state not in seen:
                    seen.add(state)
                    following.add(state)
        frontier = following
    return None


def _choices(content: Held, left: tuple[int, ...], write: int, used: list[int]) -> Iterator[tuple[int | None, Held]]:
    """Yield what a group may do in a time unit: the layer's block that it serves, if it computes, and what it holds at the end.

    `used` says which block each layer's block really is.
    """
    if content is not None and content[1] > 0:
        yield None, (content[0], content[1] - 1)
        return
    yield None, content
    for block in sorted({used[block] for block, count in enumerate(left) if count}):
        yield None, (block, write - 1)
    for block, count in enumerate(left):
        if content is not None and count and used[block] == content[0]:
            yield block, content


def demand(
    layers: Layers,
    groups: int,
    write: float,
    *,
    sequential: bool = True,
    resident: bool = False,
    before: float = 0.0,
    other: float = 0.0,
    owners: tuple[int, ...] | None = None,
    port: int | None = None,
) -> Workload:
    blocks, windows = np.array(layers, dtype=float).T
    times = float(write), 1.0, sequential, resident, float(before), float(other)
    passing = blocks * windows / port if port else np.zeros(len(blocks))
    return Workload(
        blocks, windows, groups, *times, owners=None if owners is None else np.array(owners),
        port_s=passing, input_s=passing, uneven=np.ones(len(blocks)), ports={"port": float(passing.sum())},
    )  # fmt: skip


tiny = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 4)), min_size=1, max_size=3).map(tuple)
tiniest = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=2).map(tuple)
few = settings(max_examples=60)


def holds(layers: Layers, groups: int, write: int, **others: Any) -> None:
    """Assert that the bound is not above the true optimum: no schedule ends in fewer whole windows."""
    found = bound_of(demand(layers, groups, write, **others))
    fewer = ceil(found.seconds - 1e-9) - 1
    assert optimum(layers, groups, write, limit=fewer, **others) is None, found.arguments


@few
@given(layers=tiny, groups=st.integers(1, 2), write=st.integers(1, 3))
def test_no_schedule_of_a_tiny_case_beats_the_bound(layers: Layers, groups: int, write: int) -> None:
    holds(layers, groups, write)


@few
@given(layers=tiny, groups=st.integers(1, 2), write=st.integers(1, 3))
def test_no_schedule_beats_the_bound_where_groups_are_written_before(layers: Layers, groups: int, write: int) -> None:
    """Resident: the groups may hold anything at the start, whether or not the whole network fits them."""
    holds(layers, groups, write, resident=True)


@few
@given(
    layers=tiny, groups=st.integers(1, 2), write=st.integers(1, 3), sequential=st.booleans(), resident=st.booleans(),
    port=st.integers(1, 2), other=st.integers(0, 2),
)  # fmt: skip
def test_no_schedule_beats_the_bound_where_a_port_feeds_few_blocks_at_once(
    layers: Layers, groups: int, write: int, sequential: bool, resident: bool, port: int, other: int
) -> None:
    others = {"sequential": sequential, "resident": resident, "port": port, "other": other if sequential else 0}
    holds(layers, groups, write, **others)


def test_bound_is_met_where_a_port_feeds_one_block_at_a_time() -> None:
    """Two blocks, four windows each, a write of two units: the port brings inputs eight times, however many copies there are."""
    assert bound_of(demand(((2, 4),), 8, 2, port=1)).seconds == 2 + 8


@few
@given(
    blocks=st.integers(1, 2),
    windows=st.lists(st.integers(1, 3), min_size=2, max_size=3),
    own=st.none() | st.tuples(st.integers(1, 2), st.integers(1, 2)),
    at=st.integers(0, 3),
    groups=st.integers(1, 2),
    write=st.integers(1, 3),
    sequential=st.booleans(),
    resident=st.booleans(),
)
def test_no_schedule_beats_the_bound_where_layers_share_blocks(
    blocks: int,
    windows: list[int],
    own: tuple[int, int] | None,
    at: int,
    groups: int,
    write: int,
    sequential: bool,
    resident: bool,
) -> None:
    """Two or three layers that share blocks, and perhaps one of its own somewhere among them."""
    layers = [(blocks, each) for each in windows]
    shared = [True] * len(layers)
    if own is not None:
        layers.insert(at, own)
        shared.insert(at, False)
    first = shared.index(True)
    owners = tuple(first if each else place for place, each in enumerate(shared))
    holds(tuple(layers), groups, write, sequential=sequential, resident=resident, owners=owners)


@few
@given(layers=tiniest, groups=st.integers(1, 2), write=st.integers(1, 2), resident=st.booleans())
def test_no_schedule_beats_the_bound_where_layers_may_run_at_once(
    layers: Layers, groups: int, write: int, resident: bool
) -> None:
    holds(layers, groups, write, sequential=False, resident=resident)


@few
@given(
    layers=tiniest,
    groups=st.integers(1, 2),
    write=st.integers(1, 3),
    before=st.integers(0, 4),
    other=st.integers(0, 3),
    resident=st.booleans(),
)
def test_no_schedule_beats_the_bound_where_the_input_comes_late_and_others_take_time(
    layers: Layers, groups: int, write: int, before: int, other: int, resident: bool
) -> None:
    holds(layers, groups, write, before=before, other=other, resident=resident)


@settings(few, max_examples=25)
@given(layers=tiniest, groups=st.integers(1, 2), write=st.integers(1, 3))
def test_search_finds_what_must_be(layers: Layers, groups: int, write: int) -> None:
    """More freedom never costs time: layers at once, groups written before; and times apart from computing add up."""
    plain = optimum(layers, groups, write)
    assert optimum(layers, groups, write, limit=plain) == plain
    assert optimum(layers, groups, write, limit=plain - 1) is None
    assert optimum(layers, groups, write, resident=True) <= plain
    assert optimum(layers, groups, write, sequential=False) <= plain
    assert plain <= optimum(layers, groups, write, before=write + 1) <= plain + 1
    assert plain <= optimum(layers, groups, write, other=2) <= plain + 2


def test_bound_is_met_where_writing_and_computing_cannot_overlap() -> None:
    # One group: write, compute, write, compute.
    layers = ((1, 3), (1, 2))
    assert optimum(layers, 1, 2) == 9
    assert bound_of(demand(layers, 1, 2)).seconds == 9


def test_search_finds_that_a_copy_pays() -> None:
    # Two groups, one block of 8 windows: written twice at once, each copy serves four windows.
    assert optimum(((1, 8),), 2, 1) == 1 + 4


def closed(need: Workload) -> float:
    """Return the largest argument but that of turnover: the best of some stretches' lengths, it is valid, not monotone."""
    arguments = bound_of(need).arguments
    return max(seconds for name, seconds in arguments.items() if name != "turnover of groups")


@given(
    layers=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 500)), min_size=1, max_size=12).map(tuple),
    groups=st.integers(1, 64),
    write=st.floats(0, 1000),
)
def test_bound_falls_with_more_groups_and_rises_with_write_time(layers: Layers, groups: int, write: float) -> None:
    base = closed(demand(layers, groups, 0))
    slow, more = (closed(demand(layers, count, write)) for count in (groups, groups + 1))
    assert slow >= base * (1 - 1e-9)
    assert more <= slow * (1 + 1e-9)


@given(
    layers=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 500)), min_size=1, max_size=12).map(tuple),
    groups=st.integers(1, 64),
    sequential=st.booleans(),
)
def test_less_to_do_never_raises_the_bound(layers: Layers, groups: int, sequential: bool) -> None:
    once = closed(demand(layers, groups, 50.0, sequential=sequential))
    assert closed(demand(layers, groups, 50.0, sequential=sequential, resident=True)) <= once
    assert closed(demand(layers, groups, 50.0, sequential=False)) <= once
    assert closed(demand(layers, groups, 50.0, sequential=sequential, before=70.0, other=9.0)) >= once


def test_bound_is_met_where_weights_stay_and_nothing_can_be_shared() -> None:
    assert optimum(((1, 4),), 1, 3, resident=True) == 4
    assert bound_of(demand(((1, 4),), 1, 3, resident=True)).seconds == 4


def test_bound_is_met_where_the_input_comes_late() -> None:
    assert optimum(((1, 4),), 1, 2, before=5, other=3) == 5 + 4 + 3
    assert bound_of(demand(((1, 4),), 1, 2, before=5, other=3)).seconds == 5 + 4 + 3


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": 0},
        {"blocks": np.array([0.0, 1.0])},
        {"windows": np.array([1.0, 0.0])},
        {"windows": np.array([1.0])},
        {"write_s": -1.0},
        {"window_s": -1.0},
        {"before_s": -1.0},
        {"other_s": -1.0},
        {"weight_transfer_s": -1.0},
        {"vector_s": -1.0},
        {"write_s": float("nan")},
        {"blocks": np.array([float("nan"), 1.0])},
    ],
    ids=str,
)
def test_a_demand_that_means_nothing_is_refused(changes: dict[str, Any]) -> None:
    good = demand(((2, 3), (1, 4)), 2, 1)
    with pytest.raises(ValueError, match="a demand"):
        replace(good, **changes)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 400), st.integers(1, 8)), min_size=1, max_size=12),
    st.integers(8, 24),
    st.integers(1, 400),
    st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    st.sampled_from([0.0, 5.0, 100.0]),
)
def test_turnover_never_exceeds_a_plan_with_any_copies(
    layers: list[tuple[int, int, int]], groups: int, write: int, passing: float, gap: float
) -> None:
    blocks, windows, copies = (np.array(column, dtype=np.int64) for column in zip(*layers, strict=True))
    copies = np.minimum(copies, windows)
    fixed, alone = (0.0, groups, float(write), False), (np.arange(len(blocks)), np.ones(len(blocks), dtype=bool))
    port_s, gaps_s = blocks * windows * passing, np.full(len(blocks), gap)
    times = np.ones(len(blocks)), np.concatenate([[0.0], gaps_s[1:]]), port_s
    end_s, _ = planned_end(blocks, windows, *times, copies, alone, fixed, *room(groups))
    bound = turnover_bound(
        blocks.astype(float), windows.astype(float), groups=groups, start_s=write, write_s=write, window_s=1.0,
        port_s=port_s, gaps_s=gaps_s,
    )  # fmt: skip
    assert bound <= (end_s + gap) * (1 + 1e-9)


def test_turnover_is_tight_where_every_layer_fills_the_chip() -> None:
    """Nothing of the next layer can be written before the last has computed: n layers take n (W + t), of which t once counts."""
    full, single = np.full(5, 16.0), np.ones(5)
    bound = turnover_bound(full, single, groups=16, start_s=100.0, write_s=100.0, window_s=1.0)
    assert 5 * 100.0 <= bound <= 5 * 101.0


def test_turnover_of_a_write_that_takes_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="takes no time"):
        turnover_bound(np.ones(1), np.ones(1), groups=1, start_s=0.0, write_s=0.0, window_s=1.0)
