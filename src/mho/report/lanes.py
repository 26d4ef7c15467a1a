"""Intervals laid into lanes, so that those which overlap never share one."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def lanes(intervals: Sequence[tuple[int, int]]) -> list[int]:
    """Return a lane for each interval [start, end): the fewest lanes in which no two intervals overlap.

    An interval may begin where another of its lane ends. Instants (start = end) that fall together share one.
    """
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    chosen = [0] * len(intervals)
    used = 0
    for i in sorted(range(len(intervals)), key=lambda i: (*intervals[i], i)):
        start, end = intervals[i]
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            free.append(used)
            used += 1
        chosen[i] = heapq.heappop(free)
        heapq.heappush(busy, (end, chosen[i]))
    return chosen
