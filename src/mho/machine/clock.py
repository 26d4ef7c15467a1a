"""The event loop of `timing` in compiled code: instructions as flows over channels that they share max-min fairly.

An instruction lasts a time of its own, or longer where a channel that its bytes pass cannot keep up. One that no channel holds up
is an event of known time in a heap. Where flows together ask for more of a channel than it gives, the rates of all flows that
overloaded channels tie together are worked out anew whenever one of them starts or ends; nobody else is touched.

Rates are max-min fair by progressive filling (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): those of all flows rise
together, in byte/s of `share`, until a flow has what it asks for or one of its channels is full.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Uses = tuple[Integers, Integers, Floats]
Heap = list[tuple[float, int, int]]

FREE, VECTOR_UNIT = range(2)
"""What an instruction must have to itself: nothing, or the vector unit, which serves one after another."""

CRUMB = 1e-9
"""By how much, as a share, sums of rates may exceed a channel: rounding, not load."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _followers(first: int, last: int, after_starts: Integers, after: Integers) -> Any:
    """Return what instructions [first, last) wait for among themselves: how many, and who waits for each."""
    count = last - first
    waiting = np.zeros(count, dtype=np.int64)
    begins = np.zeros(count + 1, dtype=np.int64)
    for i in range(first, last):
        for e in range(after_starts[i], after_starts[i + 1]):
            if after[e] >= first:
                waiting[i - first] += 1
                begins[after[e] - first + 1] += 1
    begins = np.cumsum(begins)
    filled = begins.copy()
    followers = np.zeros(begins[count], dtype=np.int64)
    for i in range(first, last):
        for e in range(after_starts[i], after_starts[i + 1]):
            if after[e] >= first:
                other = after[e] - first
                followers[filled[other]] = i
                filled[other] += 1
    return waiting, begins, followers


@njit(cache=True)  # type: ignore[untyped-decorator]
def _released(
    ended: Integers, first: int, waiting: Integers, begins: Integers, followers: Integers, ready: Integers
) -> int:
    """Note that instructions have ended: set those in `ready` that waited for them last, and return how many."""
    count = 0
    for i in ended:
        for e in range(begins[i - first], begins[i - first + 1]):
            follower = followers[e]
            waiting[follower - first] -= 1
            if not waiting[follower - first]:
                ready[count] = follower
                count += 1
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
def fill(
    flows: Integers, channels: Integers, wish: Floats, share: Floats, uses: Uses, rates: Floats, rate: Floats
) -> None:
    """Set the rates of flows in byte/s of their `share`: max-min fair over these channels, none above its wish.

    `uses`: for each flow where its channels start, then channels and bytes. Channels that are not named hold nobody up.
    """
    starts, channel, size = uses
    place = np.full(len(rates), -1, np.int64)
    place[channels] = np.arange(len(channels))
    # Of each channel what is left, what a byte/s more of everybody's share takes of it, and by how many uses.
    left, slope, members = rates[channels], np.zeros(len(channels)), np.zeros(len(channels), np.int64)
    for i in flows:
        rate[i] = -1.0
        for e in range(starts[i], starts[i + 1]):
            if place[channel[e]] >= 0:
                slope[place[channel[e]]] += size[e] / share[i]
                members[place[channel[e]]] += 1
    order = flows[np.argsort(wish[flows], kind="mergesort")]
    level, at = 0.0, 0
    while at < len(order):
        if rate[order[at]] >= 0.0:
            at += 1
            continue
        full, fullest = np.inf, -1
        for k in range(len(channels)):
            if members[k] and left[k] < full * slope[k]:
                full, fullest = left[k] / slope[k], k
        # Either the next flow has what it asks for, or all that pass the fullest channel stay where they are.
        alone = wish[order[at]] <= full
        level = max(level, min(full, wish[order[at]]))
        for i in order[at : at + 1] if alone else order[at:]:
            stops = alone
            for e in range(starts[i], starts[i + 1]):
                stops = stops or place[channel[e]] == fullest
            if stops and rate[i] < 0.0:
                rate[i] = min(level, wish[i])
                for e in range(starts[i], starts[i + 1]):
                    k = place[channel[e]]
                    if k >= 0:
                        left[k] = max(left[k] - rate[i] * size[e] / share[i], 0.0)
                        slope[k] -= size[e] / share[i]
                        members[k] -= 1


class Flows(NamedTuple):
    """What the clock knows of instructions as flows, and of channels.

    Of each instruction: `share`, the bytes in which its rate is told; where its uses start; `wish`, its rate where nothing holds it
    up; `rate`, what was `left` at the time `since`; its `finish` at this rate; its place among the `slow` ones, that do not have
    their wish, or -1; the `version` of what the heap says of it. Of each use, an instruction's of a channel: channel, bytes,
    `owner`, and its neighbours in the list of all uses of the channel under way, from `head` on. Of each channel: its rate, what
    is asked of it (`demand`) by how many uses, and whether that is too much (`over`). `dirty`: channels whose flows must be looked
    at; `tied` and `fresh`: flows being looked at, and their new rates. `counts`: of those in `slow` and in `dirty`.
    """

    share: Floats
    starts: Integers
    channel: Integers
    size: Floats
    rates: Floats
    wish: Floats
    rate: Floats
    left: Floats
    since: Floats
    finish: Floats
    slow: Integers
    place: Integers
    version: Integers
    owner: Integers
    following: Integers
    before: Integers
    head: Integers
    demand: Floats
    uses: Integers
    over: Flags
    dirty: Integers
    is_dirty: Flags
    tied: Integers
    is_tied: Flags
    fresh: Floats
    counts: Integers


@njit(cache=True)  # type: ignore[untyped-decorator]
def new_flows(share: Floats, starts: Integers, channel: Integers, size: Floats, rates: Floats) -> Flows:
    """Return the state in which nothing is under way."""
    count, uses, channels = len(share), len(channel), len(rates)
    owner = np.zeros(uses, np.int64)
    for i in range(count):
        owner[starts[i] : starts[i + 1]] = i
    return Flows(
        share, starts, channel, size, rates,
        np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count),
        np.zeros(count, np.int64), np.full(count, -1, np.int64), np.zeros(count, np.int64),
        owner, np.full(uses, -1, np.int64), np.full(uses, -1, np.int64),
        np.full(channels, -1, np.int64), np.zeros(channels), np.zeros(channels, np.int64), np.zeros(channels, np.bool_),
        np.zeros(channels, np.int64), np.zeros(channels, np.bool_),
        np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count), np.zeros(2, np.int64),
    )  # fmt: skip


@njit(cache=True)  # type: ignore[untyped-decorator]
def _note(flows: Flows, channel: int) -> None:
    """Note that the flows of a channel must be looked at."""
    if not flows.is_dirty[channel]:
        flows.is_dirty[channel] = True
        flows.dirty[flows.counts[1]] = channel
        flows.counts[1] += 1


@njit(cache=True)  # type: ignore[untyped-decorator]
def enter(flows: Flows, i: int, lasts: float, now: float, heap: Heap) -> None:
    """Start an instruction at full speed."""
    starts, share = flows.starts, flows.share[i]
    wish = share / lasts if lasts > 0 else np.inf
    if lasts <= 0:
        for e in range(starts[i], starts[i + 1]):
            wish = min(wish, flows.rates[flows.channel[e]] * share / flows.size[e])
    if starts[i] == starts[i + 1] or wish == np.inf:
        heapq.heappush(heap, (now + lasts, i, flows.version[i]))
        return
    flows.wish[i] = flows.rate[i] = wish
    flows.left[i], flows.since[i] = share, now
    for e in range(starts[i], starts[i + 1]):
        channel = flows.channel[e]
        flows.demand[channel] += flows.size[e] * wish / share
        flows.uses[channel] += 1
        flows.following[e], flows.before[e] = flows.head[channel], -1
        if flows.head[channel] >= 0:
            flows.before[flows.head[channel]] = e
        flows.head[channel] = e
        if flows.demand[channel] > flows.rates[channel] * (1 + CRUMB):
            flows.over[channel] = True
            _note(flows, channel)
    heapq.heappush(heap, (now + (lasts if lasts > 0 else share / wish), i, flows.version[i]))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _leave(flows: Flows, i: int) -> None:
    """Take an instruction that has ended off its channels."""
    if flows.rate[i] == 0.0:
        return
    for e in range(flows.starts[i], flows.starts[i + 1]):
        channel, following, before = flows.channel[e], flows.following[e], flows.before[e]
        if flows.over[channel]:
            _note(flows, channel)
        if before >= 0:
            flows.following[before] = following
        else:
            flows.head[channel] = following
        if following >= 0:
            flows.before[following] = before
        flows.uses[channel] -= 1
        flows.demand[channel] -= flows.size[e] * flows.wish[i] / flows.share[i]
        if not flows.uses[channel]:
            # Sums of floats leave crumbs behind.
            flows.demand[channel] = 0.0
    _hasten(flows, i)
    flows.rate[i] = 0.0


@njit(cache=True)  # type: ignore[untyped-decorator]
def _hasten(flows: Flows, i: int) -> None:
    """Take an instruction out of those that do not have their wish, if it is one."""
    place = flows.place[i]
    if place >= 0:
        flows.counts[0] -= 1
        other = flows.slow[flows.counts[0]]
        flows.slow[place], flows.place[other] = other, place
        flows.place[i] = -1


@njit(cache=True)  # type: ignore[untyped-decorator]
def _settle(flows: Flows, now: float, heap: Heap) -> None:
    """Give flows their rates from now on: all that overloaded channels tie to what has started or ended."""
    tied = at = 0
    while at < flows.counts[1]:
        channel = flows.dirty[at]
        at += 1
        flows.over[channel] = flows.demand[channel] > flows.rates[channel] * (1 + CRUMB)
        e = flows.head[channel]
        while e >= 0:
            i = flows.owner[e]
            e = flows.following[e]
            if not flows.is_tied[i]:
                flows.is_tied[i] = True
                flows.tied[tied] = i
                tied += 1
                for use in range(flows.starts[i], flows.starts[i + 1]):
                    if flows.over[flows.channel[use]]:
                        _note(flows, flows.channel[use])
    dirty = flows.dirty[:at]
    uses = (flows.starts, flows.channel, flows.size)
    fill(flows.tied[:tied], dirty[flows.over[dirty]], flows.wish, flows.share, uses, flows.rates, flows.fresh)
    for i in flows.tied[:tied]:
        flows.is_tied[i] = False
        rate = flows.fresh[i]
        if rate == flows.rate[i]:
            continue
        flows.left[i] = max(flows.left[i] - (now - flows.since[i]) * flows.rate[i], 0.0)
        flows.since[i], flows.rate[i] = now, rate
        flows.finish[i] = now + flows.left[i] / rate
        if rate == flows.wish[i]:
            _hasten(flows, i)
            heapq.heappush(heap, (flows.finish[i], i, flows.version[i]))
        elif flows.place[i] < 0:
            flows.version[i] += 1
            flows.place[i] = flows.counts[0]
            flows.slow[flows.counts[0]] = i
            flows.counts[0] += 1
    flows.is_dirty[dirty] = False
    flows.counts[1] = 0


@njit(cache=True)  # type: ignore[untyped-decorator]
def _ending(flows: Flows, heap: Heap, ended: Integers) -> tuple[float, int]:
    """Return when the next instructions end, infinity where none is under way; set which in `ended`, and return how many."""
    while heap and flows.version[heap[0][1]] != heap[0][2]:
        heapq.heappop(heap)
    later = heap[0][0] if heap else np.inf
    slow = flows.slow[: flows.counts[0]]
    for i in slow:
        later = min(later, flows.finish[i])
    gone = 0
    for i in slow:
        if flows.finish[i] <= later:
            ended[gone] = i
            gone += 1
    while heap and heap[0][0] <= later:
        _, i, version = heapq.heappop(heap)
        if flows.version[i] == version:
            ended[gone] = i
            gone += 1
    return later, gone


@njit(cache=True)  # type: ignore[untyped-decorator]
def clock(
    first: int,
    last: int,
    after_starts: Integers,
    after: Integers,
    unit: npt.NDArray[np.int8],
    lasts: Floats,
    share: Floats,
    use_starts: Integers,
    use_channel: Integers,
    use_bytes: Floats,
    rates: Floats,
    starts: Floats,
    ends: Floats,
) -> Floats:
    """Interpret instructions [first, last) from time 0, those before having ended; set starts and ends in s.

    Instruction i waits for `after[after_starts[i] : after_starts[i + 1]]`, needs `unit` (FREE, VECTOR_UNIT) to itself, lasts no
    less than `lasts` in s, and moves `use_bytes[e]` through channel `use_channel[e]`, each at an even pace, for e in
    [use_starts[i], use_starts[i + 1]). `share`: bytes in which flows that share a channel have equal rates, unless they ask for
    less. `rates`: byte/s of the channels. Return the bytes moved through each, shape (channels,).
    """
    waiting, begins, followers = _followers(first, last, after_starts, after)
    flows, moved = new_flows(share, use_starts, use_channel, use_bytes, rates), np.zeros(len(rates))
    heap = [(0.0, 0, 0)]
    heap.pop()
    count = last - first
    ready, ended, queue = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    free = np.flatnonzero(waiting == 0)
    ready_count, served, queued, busy = len(free), 0, 0, False
    ready[:ready_count] = free + first
    now = 0.0
    while True:
        for i in np.sort(ready[:ready_count]):
            queue[queued] = i
            if unit[i] == VECTOR_UNIT:
                queued += 1
            else:
                starts[i] = now
                enter(flows, i, lasts[i], now, heap)
        if served < queued and not busy:
            starts[queue[served]] = now
            enter(flows, queue[served], lasts[queue[served]], now, heap)
            served, busy = served + 1, True
        if flows.counts[1]:
            _settle(flows, now, heap)
        now, gone = _ending(flows, heap, ended)
        if not gone:
            return moved
        for i in ended[:gone]:
            _leave(flows, i)
            busy = busy and unit[i] != VECTOR_UNIT
            for e in range(use_starts[i], use_starts[i + 1]):
                moved[use_channel[e]] += use_bytes[e]
        ends[ended[:gone]] = now
        ready_count = _released(ended[:gone], first, waiting, begins, followers, ready)
