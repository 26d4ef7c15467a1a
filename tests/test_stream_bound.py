"""The bound on the interval of streams, against every way to deal windows to copies in tiny cases, and against what is compiled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mho.machine.streaming import time_stream
from mho.program.stream_bound import Served, group_arguments, interval_bound
from tests.test_legality_streams import NAMES, program

CLOSE = 1 + 1e-9


def dealings(windows: int, copies: int) -> Iterator[tuple[int, ...]]:
    """Yield every number of windows that each of some copies may serve."""
    if copies == 1:
        yield (windows,)
        return
    for own in range(windows + 1):
        yield from ((own, *rest) for rest in dealings(windows - own, copies - 1))


def shortest(weight: Served, copies: int, inferences: int = 1) -> float:
    """Return the least time of the busiest copy, whatever copy each window of so many inferences goes to."""
    loads = {(0.0,) * copies}
    for count, each in zip(weight.windows, weight.window_s, strict=True):
        loads = {
            tuple(sorted(load + own * each for load, own in zip(before, dealt, strict=True)))
            for before in loads
            for dealt in dealings(count * inferences, copies)
        }
    return min(max(load) for load in loads)


def best(weights: list[Served], groups: int, inferences: int = 1) -> float:
    """Return the least interval of any choice of copies."""
    most = [range(1, groups // weight.blocks + 1) for weight in weights]
    fitting = [
        copies
        for copies in itertools.product(*most)
        if sum(weight.blocks * count for weight, count in zip(weights, copies, strict=True)) <= groups
    ]
    known = {
        (place, count): shortest(weight, count, inferences) / inferences
        for place, weight in enumerate(weights)
        for count in {copies[place] for copies in fitting}
    }
    return min(max(known[place, count] for place, count in enumerate(copies)) for copies in fitting)


@st.composite
def served(draw: st.DrawFn, layers: int = 2) -> Served:
    """A weight of few blocks and windows."""
    uses = draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=layers))
    return Served(draw(st.integers(1, 2)), tuple(m for m, _ in uses), tuple(float(t) for _, t in uses))


@given(st.lists(served(), min_size=1, max_size=3), st.integers(0, 3))
def test_no_way_to_deal_windows_beats_the_bound(weights: list[Served], more: int) -> None:
    """Alike in every inference, no shorter than `whole copies`; differently in two, than `copies`."""
    groups = sum(weight.blocks for weight in weights) + more
    arguments = group_arguments(weights, groups, stays=True)
    assert arguments["groups"] <= arguments["copies"] * CLOSE
    assert arguments["copies"] <= arguments["whole copies"] * CLOSE
    assert arguments["whole copies"] <= best(weights, groups) * CLOSE
    assert arguments["copies"] <= best(weights, groups, inferences=2) * CLOSE


@given(st.lists(served(layers=1), min_size=1, max_size=3), st.integers(0, 4))
def test_the_bound_is_reached_where_layers_share_no_weights(weights: list[Served], more: int) -> None:
    groups = sum(weight.blocks for weight in weights) + more
    assert group_arguments(weights, groups, stays=True)["whole copies"] * CLOSE >= best(weights, groups)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 40))
def test_one_weight_by_hand(blocks: int, windows: int, groups: int) -> None:
    """Copies that fit, and the windows of the fullest of them."""
    arguments = group_arguments([Served(blocks, (windows,), (1.0,))], groups, stays=blocks <= groups)
    assert arguments["groups"] == pytest.approx(blocks * windows / groups)
    assert ("copies" in arguments) == ("whole copies" in arguments) == (blocks <= groups)
    if blocks <= groups:
        assert arguments["copies"] == pytest.approx(blocks * windows / groups)
        assert arguments["whole copies"] == pytest.approx(-(-windows // min(groups // blocks, windows)))


def test_layers_that_share_a_weight_may_leave_their_rests_to_different_copies() -> None:
    """Two layers of one window on two copies: each takes one."""
    assert group_arguments([Served(1, (1, 1), (1.0, 1.0))], 2, stays=True)["whole copies"] == pytest.approx(1.0)
    assert group_arguments([Served(1, (2, 1), (1.0, 3.0))], 2, stays=True)["whole copies"] == pytest.approx(3.0)


@pytest.mark.parametrize("name", NAMES)
def test_streams_keep_the_bound_and_reach_it(name: str) -> None:
    made = program(name)
    assert made.stream is not None
    bound = interval_bound(made.network, made.mapping, made.chip, coded=made.coded)
    assert bound.seconds == max(bound.arguments.values())
    assert bound.seconds <= made.stream.interval_s * CLOSE
    assert bound.seconds <= time_stream(made).interval_s * CLOSE
    assert made.stream.interval_s <= bound.seconds * CLOSE


def test_a_chip_too_small_for_all_weights_has_no_copies_that_stay() -> None:
    made = program("images")
    small = made.chip.override({"tiles": 1, "tile.groups": 1}, source="law")
    bound = interval_bound(made.network, made.mapping, small, coded=made.coded)
    assert set(bound.arguments) == {"groups", "vector unit", "memory", "port of the global buffer"}
    whole = interval_bound(made.network, made.mapping, made.chip, coded=made.coded)
    assert bound.arguments["groups"] == pytest.approx(whole.arguments["groups"] * made.chip.groups)


def test_a_slow_memory_and_a_slow_vector_unit_bound_the_interval() -> None:
    made = program("images")
    slow = made.chip.override({"memory.bandwidth": 1e3, "vector.elements_per_s": 1e3}, source="law")
    bound = interval_bound(made.network, made.mapping, slow, coded=made.coded)
    # Codes of one byte come, real numbers of four leave.
    assert bound.arguments["memory"] == pytest.approx((2 * 8 * 8 + 4 * 4 * 3 * 3) / 1e3)
    elements = sum(layer.size for layer in made.network.layers[1:])
    assert bound.arguments["vector unit"] == pytest.approx(elements / 1e3)
