"""ARAS's replication: Algorithm 1 by itself, and the schedule that asks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mho
from mho.network.layers import Convolution
from mho.program import Write, violations
from mho.schedule.aras import Candidate, replication
from tests.strategies import GREEDY

candidates = st.lists(
    st.builds(
        Candidate,
        blocks=st.integers(1, 40),
        windows=st.integers(1, 5000),
        most=st.integers(1, 60),
    ),
    min_size=1,
    max_size=12,
)


def layer(blocks: int, windows: int) -> Candidate:
    return Candidate(blocks, windows, windows)


def test_a_layer_that_does_not_fit_is_written_in_part() -> None:
    """Algorithm 1, lines 2 and 3."""
    assert replication([layer(10, 100), layer(1, 100)], 9, 8000) == []


def test_a_layer_that_fits_alone_takes_what_is_left() -> None:
    """Algorithm 1, lines 4 and 5: 25 groups hold 10 blocks twice, and not 10 and 16 of the next."""
    assert replication([layer(10, 100), layer(16, 100)], 25, 8000) == [2]


def test_a_layer_without_copies_leaves_the_rest_free() -> None:
    assert replication([Candidate(10, 100), layer(16, 100)], 25, 8000) == [1]


def test_what_is_left_goes_to_the_slowest() -> None:
    """Algorithm 1, line 10: five groups more for 900, 300 and 100 windows."""
    given_out = replication([layer(1, 900), layer(1, 300), layer(1, 100)], 8, 8000)
    assert given_out == [5, 2, 1]


def test_the_last_layer_is_delayed_until_the_others_compute_within_a_write() -> None:
    """Lines 6 to 17: with all three, layers 2 and 3 take 600 / 2 + 200 windows; with two, the second 600 / 4."""
    three = [layer(1, 1000), layer(1, 600), layer(4, 200)]
    assert replication(three, 10, 500) == [4, 2, 1]
    assert replication(three, 10, 350) == [6, 4]
    # The first layer's own computing does not count.
    assert replication(three, 10, 100) == [10]


@given(candidates, st.integers(1, 100), st.integers(1, 10_000))
def test_replication_keeps_to_the_free_groups_and_its_stop(given_: list[Candidate], free: int, most: int) -> None:
    copies = replication(given_, free, most)
    used = sum(each.blocks * count for each, count in zip(given_, copies, strict=False))
    assert used <= free
    assert all(1 <= count <= each.most for each, count in zip(given_, copies, strict=False))
    assert (copies == []) == (given_[0].blocks > free)
    # What is left over is of use to no candidate.
    assert all(each.blocks > free - used for each, n in zip(given_, copies, strict=False) if n < each.most)
    if len(copies) > 1:
        computing = sum(-(-each.windows // n) for each, n in zip(given_[1:], copies[1:], strict=False))
        assert computing <= most


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_aras_speeds_convolutions_up(name: str) -> None:
    network = mho.zoo.load(name)
    plain, copied = (mho.compile(network, "aras", GREEDY.with_(schedule=schedule)) for schedule in ("overlap", "aras"))
    assert violations(copied) == ()
    assert mho.simulate(copied).latency_s < 0.6 * mho.simulate(plain).latency_s
    replicated = {each.layer for each in copied.instructions if isinstance(each, Write) and each.copy}
    assert replicated
    assert all(isinstance(network.layers[index], Convolution) for index in replicated)


def test_aras_does_nothing_for_a_network_without_convolutions() -> None:
    """ARAS section VII-B: networks of fully connected layers see no benefit."""
    network = mho.zoo.load("bert-base")
    plain, copied = (mho.compile(network, "aras", GREEDY.with_(schedule=schedule)) for schedule in ("overlap", "aras"))
    assert copied.instructions == plain.instructions


def test_where_everything_fits_all_groups_go_to_the_slowest() -> None:
    network = mho.zoo.load("resnet20")
    program = mho.compile(network, "aras", GREEDY.with_(schedule="aras"))
    assert program.setup == len([each for each in program.instructions if isinstance(each, Write)])
    assert violations(program) == ()
    plain = mho.compile(network, "aras", GREEDY.with_(schedule="overlap"))
    assert mho.simulate(program).latency_s < mho.simulate(plain).latency_s / 4
