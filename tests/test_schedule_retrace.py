"""Annealing follows plans only as far as it must, and ends where following each plan to its end would have ended."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.program.turnover import HALVINGS, STRETCHES, turnover_s
from mho.schedule.adaptive import OBJECTIVES
from mho.schedule.anneal import COLDEST, HOTTEST, PORTION, Annealer, Score, scored, uniform
from mho.schedule.evaluate import Instance, planned_end
from mho.schedule.evaluate import room as room_of_groups
from mho.schedule.retrace import copy, follow, layers_of, load, look_ahead, room

Integers = npt.NDArray[np.int64]


@st.composite
def instances(draw: st.DrawFn, layers: int = 12) -> Instance:
    """Layers in a row, some of which share their blocks, on a chip that holds any one of them."""
    count = draw(st.integers(2, layers))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    resident = draw(st.booleans())
    blocks, windows = rng.integers(1, 12, count), rng.integers(1, 200, count)
    writer, last = np.arange(count), np.ones(count, dtype=bool)
    if draw(st.booleans()):
        shared = int(rng.integers(1, count))
        writer[shared], last[shared - 1], blocks[shared] = shared - 1, False, blocks[shared - 1]
    return Instance(
        blocks, windows, rng.uniform(0.5, 2.0, count), rng.choice([0.0, 3.0], count),
        blocks * windows * rng.choice([0.0, 0.05, 0.4]) * rng.uniform(0, 1, count), windows.copy(), writer, last,
        float(rng.integers(0, 3)), int(blocks.sum()) * 3 if resident else int(rng.integers(24, 60)), float(rng.integers(1, 300)),
        resident,
    )  # fmt: skip


def plainly(annealer: Annealer, count: int) -> tuple[list[int], float, int]:
    """Anneal from the annealer's best, each plan followed from its first layer to its last."""
    given_, mode = annealer.given, annealer.score.mode
    copies, state, waiting = annealer.best.copy(), annealer.state.copy(), room_of_groups(annealer.given.groups)
    now = best = annealer.value
    chosen, work = copies.copy(), 0
    most = np.minimum(given_.most, np.maximum(given_.groups // given_.blocks, 1))
    for step in range(count):
        first, coldest = HOTTEST * annealer.value, COLDEST * annealer.value
        begin = step - step % PORTION
        high, low = (first * (coldest / first) ** (at / count) for at in (begin, min(begin + PORTION, count)))
        before = copies.copy()
        for _ in range(1 + (uniform(state) < 0.5) + (uniform(state) < 0.25)):
            layer = annealer.written[int(uniform(state) * len(annealer.written))]
            kind = uniform(state)
            by = 1 if kind < 0.4 else -1 if kind < 0.8 else int((uniform(state) - 0.5) * copies[layer])
            copies[layer] = min(max(copies[layer] + by, 1), most[layer])
        seconds, placed = planned_end(
            given_.blocks, given_.windows, given_.window_s, given_.gap_s, given_.port_s, copies, annealer.uses,
            annealer.fixed, *waiting,
        )  # fmt: skip
        work += placed
        score = scored(mode, seconds, *annealer.worth[1:], copies)
        heat = high * (low / high) ** ((step - begin) / (min(begin + PORTION, count) - begin))
        if score <= now or uniform(state) < math.exp((now - score) / heat):
            now = score
            if score < best:
                best, chosen = score, copies.copy()
        else:
            copies = before
    return [int(each) for each in chosen], best, work


@settings(max_examples=40)
@given(instances(), st.sampled_from(OBJECTIVES), st.integers(0, 2**31))
def test_annealing_ends_where_following_every_plan_to_its_end_would(
    given_: Instance, objective: str, seed: int
) -> None:
    """Bit for bit, and so the same copies; counted work is the runs of all plans, whether followed or known."""
    rng = np.random.default_rng(seed)
    score = Score(objective, float(rng.uniform(0, 2)), rng.uniform(0, 9, len(given_.blocks)), 50.0)
    for last in (False, True):
        annealer = Annealer(given_, score, np.ones(len(given_.blocks), dtype=np.int64), seed)
        copies, value, work = plainly(annealer, 600)
        begun = annealer.work
        annealer.run(600, lambda: False, last=last)
        assert (annealer.best.tolist(), annealer.value) == (copies, value)
        assert last or annealer.work - begun == work


@pytest.mark.parametrize("changed", [3, 20, 39])
def test_a_plan_that_is_past_what_may_be_taken_is_followed_no_further(changed: int) -> None:
    """Where computing binds, what comes after a layer is known: a slower layer is seen at once, whatever the layers behind."""
    ones = np.ones(40, dtype=np.int64)
    given_ = Instance(
        ones, 100 * ones, np.ones(40), np.zeros(40), np.zeros(40), 100 * ones, np.arange(40), np.ones(40, dtype=bool),
        0.0, 30, 1.0, False,
    )  # fmt: skip
    layers, copies, chip = layers_of(given_), 4 * ones, (0.0, 30, 1.0, False)
    (runs, marks), kept = room(layers, 30), room(layers, 30)
    for layer in range(40):
        load(layers, copies, layer)
    end_s, until, tail, _ = follow(layers, runs, marks, chip, 0, 40, np.inf)
    copy(runs, marks, *kept, 0, until, tail)
    look_ahead(layers, runs, marks, chip)
    copies[changed] = 2
    load(layers, copies, changed)
    assert follow(layers, runs, marks, chip, changed, changed, end_s * (1 + 1e-9))[:2] == (np.inf, changed + 1)


def _plain_turnover(
    layers: npt.NDArray[np.float64], groups: float, start_s: float, write_s: float, first_s: float
) -> float:
    """The turnover argument with every sum made anew: all layers, all numbers of copies, all prices, all ends."""

    def relaxed(begin: float, end: float, price: float) -> tuple[float, float]:
        least = used = 0.0
        for layer, (work, blocks, most, least_s) in enumerate(layers.tolist()):
            share = min(end, layer + 1.0) - max(begin, float(layer))
            if share <= 0.0:
                continue
            busy, fewest, floor = share * work, share * blocks, share * least_s
            if blocks == 0.0:
                least += floor
                continue
            fed = most if floor == 0.0 else busy / floor
            count = min(max(fed if price == 0.0 else min(math.sqrt(busy / price), fed), fewest), most)
            if share == 1.0:
                every = [*(copies * fewest for copies in range(1, math.floor(most / fewest) + 1)), most]
                count = every[0]
                if math.isfinite(price):
                    count = min(every, key=lambda each: max(busy / each, floor) + price * each)
            least, used = least + (max(busy / count, floor) + price * count), used + count
        return least, used

    def least_time(begin: float, end: float) -> float:
        if relaxed(begin, end, math.inf)[1] > groups * (1 + 1e-12):
            return math.inf
        bound, used = relaxed(begin, end, 0.0)
        low, high, scale = 0.0, 1.0, float(layers[int(begin) :, 0].max()) + 1e-300
        for _ in range(HALVINGS if used > groups else 0):
            middle = 0.5 * (low + high)
            price = scale * middle / (1.0 - middle)
            least, used = relaxed(begin, end, price)
            bound = max(bound, least - price * groups)
            low, high = (middle, high) if used > groups else (low, middle)
        return bound

    now, done, length = start_s, 0.0, first_s
    for _ in range(STRETCHES):
        if (left := least_time(done, len(layers))) <= length:
            return now + left
        low, high = done, float(len(layers))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if least_time(done, middle) <= length else (low, middle)
        now, done, length = now + length, high, write_s
    return now


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(8, 30), st.integers(1, 300), st.floats(0.1, 1.0), st.integers(0, 2**32))
def test_sums_that_ends_have_in_common_leave_the_turnover_bound_as_it_was(
    count: int, groups: int, write: int, first: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    blocks, windows = rng.integers(0, 8, count) * 1.0, rng.integers(1, 300, count) * 1.0
    work = blocks * windows * 0.7
    layers = np.stack(
        (work, blocks, np.maximum(work / 0.7, blocks), work * rng.choice([0.0, 0.03, 0.1], count)), axis=1
    )
    given_ = (layers, float(groups), 5.0, float(write), first * write)
    assert turnover_s(*given_) == _plain_turnover(*given_)
