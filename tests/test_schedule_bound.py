"""The lower bound against the true optimum of tiny cases, found by trying every schedule."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.schedule import Demand, bound_of

Layers = tuple[tuple[int, int], ...]


def optimum(layers: Layers, groups: int, write: int, *, limit: int = 60) -> int:
    """Return the least time, in windows, in which any legal schedule runs `layers` of (blocks, windows) one after another.

    A breadth-first search over everything that a chip can do in one time unit: each group goes on writing, starts to
    write any block not needed in the past, computes one window of the current layer, or waits.
    """
    start = (0, (layers[0][1],) * layers[0][0], (None,) * groups)
    frontier = {start}
    seen = {start}
    for time in range(1, limit):
        following = set()
        for layer, left, held in frontier:
            options = []
            for content in held:
                if content is not None and content[2] > 0:
                    options.append([("write", content)])
                    continue
                choices: list[tuple[str, object]] = [("wait", content)]
                choices += [
                    ("write", (other, block, write))
                    for other in range(layer, len(layers))
                    for block in range(layers[other][0])
                ]
                if content is not None and content[0] == layer and left[content[1]] > 0:
                    choices.append(("compute", content))
                options.append(choices)
            for chosen in product(*options):
                rest = list(left)
                after = []
                for act, content in chosen:
                    if act == "write":
                        other, block, remaining = content
                        after.append((other, block, remaining - 1))
                    else:
                        after.append(content)
                        if act == "compute":
                            rest[content[1]] -= 1
                rest = [max(n, 0) for n in rest]
                current = layer
                if not any(rest):
                    current += 1
                    if current == len(layers):
                        return time
                    rest = [layers[current][1]] * layers[current][0]
                after = sorted(after, key=lambda content: (-1,) if content is None else content)
                state = (current, tuple(rest), tuple(after))
                if state not in seen:
                    seen.add(state)
                    following.add(state)
        frontier = following
    raise AssertionError("the search ran out of time units")


def demand(layers: Layers, groups: int, write: int) -> Demand:
    blocks, windows = np.array(layers, dtype=float).T
    return Demand(blocks, windows, groups, float(write), 1.0, sequential=True, resident=False)


@settings(max_examples=60, deadline=None)
@given(
    layers=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 4)), min_size=1, max_size=3).map(tuple),
    groups=st.integers(1, 2),
    write=st.integers(1, 3),
)
def test_no_schedule_of_a_tiny_case_beats_the_bound(layers: Layers, groups: int, write: int) -> None:
    assert bound_of(demand(layers, groups, write)).seconds <= optimum(layers, groups, write) + 1e-9


def test_bound_is_met_where_writing_and_computing_cannot_overlap() -> None:
    # One group: write, compute, write, compute.
    layers = ((1, 3), (1, 2))
    assert optimum(layers, 1, 2) == 9
    assert bound_of(demand(layers, 1, 2)).seconds == 9


def test_search_finds_that_a_copy_pays() -> None:
    # Two groups, one block of 8 windows: written twice at once, each copy serves four windows.
    assert optimum(((1, 8),), 2, 1) == 1 + 4


@given(
    layers=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 500)), min_size=1, max_size=12).map(tuple),
    groups=st.integers(1, 64),
    write=st.floats(0, 1000),
)
def test_bound_falls_with_more_groups_and_rises_with_write_time(layers: Layers, groups: int, write: float) -> None:
    base = bound_of(demand(layers, groups, 0)).seconds
    blocks, windows = np.array(layers, dtype=float).T
    slow = Demand(blocks, windows, groups, write, 1.0, sequential=True, resident=False)
    more = Demand(blocks, windows, groups + 1, write, 1.0, sequential=True, resident=False)
    assert bound_of(slow).seconds >= base * (1 - 1e-9)
    assert bound_of(more).seconds <= bound_of(slow).seconds * (1 + 1e-9)


@given(
    layers=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 500)), min_size=1, max_size=12).map(tuple),
    groups=st.integers(1, 64),
)
def test_staying_resident_never_raises_the_bound(layers: Layers, groups: int) -> None:
    blocks, windows = np.array(layers, dtype=float).T
    once = Demand(blocks, windows, groups, 50.0, 1.0, sequential=True, resident=False)
    stays = Demand(blocks, windows, groups, 50.0, 1.0, sequential=True, resident=True)
    assert bound_of(stays).seconds <= bound_of(once).seconds
