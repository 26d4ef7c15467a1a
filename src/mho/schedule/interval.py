"""The least interval at which a chip that holds a network can take inferences, and the copies of each weight that it takes.

Weight l fills b_l groups a copy, and serves M windows of t of each layer that uses it, dealt to c copies in turn. Where every
inference deals them alike, a copy is busy for ceil(M / c) t of each, so that an interval T needs

    sum over the layers of ceil(M / c) t <= T      and      sum over the weights of b c <= G,

G the groups of the chip. The left side of the second grows as T shrinks, so the least T is found by bisection, exactly: it is a
sum of such products. Where no layers share a weight, no schedule of whole copies that deals the windows of all inferences alike
can have a shorter interval (docs/bound.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
CLOSE = 1e-12
"""Relative difference of times that are taken to be equal: sums of the same products in another order."""

SURE = 1e-9
"""Relative difference of times that is more than rounding, whatever has been taken from them."""


@dataclass(frozen=True)
class Held:
    """One weight: the groups that a copy fills, and of each layer that uses it the windows and the time of one in s."""

    groups: int
    windows: tuple[int, ...]
    window_s: tuple[float, ...]

    @cached_property
    def work_s(self) -> float:
        """The time that a single copy works in one inference."""
        return self.busy_s(1)

    def busy_s(self, copies: int) -> float:
        """Return for how long the busiest of so many copies works in one inference."""
        return sum(-(-count // copies) * each for count, each in zip(self.windows, self.window_s, strict=True))

    def quicker(self, copies: int) -> int:
        """Return the fewest copies of which the busiest serves fewer windows of some layer; 0 where there are none."""
        turns = [(count, -(-count // copies)) for count in self.windows]
        return min((-(-count // (each - 1)) for count, each in turns if each > 1), default=0)

    def copies(self, interval_s: float) -> int | None:
        """Return the fewest copies that work no longer than an interval; None where none suffice."""
        most = max(self.windows)
        if self.busy_s(most) > interval_s * (1 + CLOSE):
            return None
        low, high = 0, most
        if len(self.windows) == 1 and self.window_s[0] > 0:
            turns = int(interval_s * (1 + CLOSE) / self.window_s[0])
            return -(-most // turns) if turns else most
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.busy_s(middle) <= interval_s * (1 + CLOSE) else (middle, high)
        return high


def copies_for(weights: Sequence[Held], groups: int, interval_s: float) -> tuple[int, ...] | None:
    """Return the fewest copies of each weight with which an interval can be kept; None where the chip has not the groups."""
    found = []
    for weight in weights:
        copies = weight.copies(interval_s)
        if copies is None:
            return None
        groups -= weight.groups * copies
        if groups < 0:
            return None
        found.append(copies)
    return tuple(found)


def least_interval(weights: Sequence[Held], groups: int, floor_s: float = 0.0) -> tuple[float, tuple[int, ...]]:
    """Return the least interval, no shorter than `floor_s`, in s, and the fewest copies of each weight that it takes.

    ValueError where a copy of each does not fit.
    """
    high = max([floor_s, *(weight.busy_s(1) for weight in weights)])
    best = copies_for(weights, groups, high)
    if best is None:
        raise ValueError("the chip does not hold a copy of each weight")
    low = floor_s
    found = copies_for(weights, groups, floor_s) if floor_s > 0 else None
    if found is not None:
        return floor_s, found
    while True:
        # What these copies really take is the next candidate, at once; anything less is shorter by more than rounding.
        high = max([floor_s, *(weight.busy_s(copies) for weight, copies in zip(weights, best, strict=True))])
        if high - low <= 4 * CLOSE * high:
            return high, best
        middle = min((low + high) / 2, high * (1 - 2 * CLOSE))
        found = copies_for(weights, groups, middle)
        best, low = (best, middle) if found is None else (found, low)


def spare_copies(weights: Sequence[Held], copies: Sequence[int], groups: int) -> tuple[int, ...]:
    """Return copies with those added that fit into the groups that are left, each where it takes most time off a weight's own.

    They shorten the way of an inference through the chip, not the interval.
    """
    found = list(copies)
    left = groups - sum(weight.groups * count for weight, count in zip(weights, copies, strict=True))

    def step(place: int) -> tuple[float, int]:
        """Return the time saved a group by the fewest copies more that save any, and how many these are."""
        weight, now = weights[place], found[place]
        busy, best, more = weight.busy_s(now), (0.0, 0), now
        most = min(max(weight.windows), now + left // weight.groups)
        # As many turns in more groups save less a group; and with so many copies none saves more than equal shares do, whose gain
        # falls.
        while 0 < (more := weight.quicker(more)) <= most:
            groups_more = (more - now) * weight.groups
            if (busy - weight.work_s / more) / groups_more < best[0] * (1 - SURE):
                break
            saved = (busy - weight.busy_s(more)) / groups_more
            if saved > best[0] * (1 + CLOSE):
                best = saved, more - now
        return best

    gains = [step(place) for place in range(len(weights))]
    while left:
        place = max(range(len(weights)), key=lambda place: gains[place][0])
        if not gains[place][1]:
            break
        found[place] += gains[place][1]
        left -= gains[place][1] * weights[place].groups
        # What others would take stays the best of what fits, as long as it fits itself.
        for other, (_, more) in enumerate(gains):
            if other == place or more * weights[other].groups > left:
                gains[other] = step(other)
    return tuple(found)
