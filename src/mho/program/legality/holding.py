"""What the groups of a chip hold as a program goes on, range by range: groups that were used alike are one range."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

Content = tuple[int, int]
"""What a range of groups holds: the copy, and the block of group g less g."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The instruction that wrote groups, what (None: they were only read), their last user, and whether they were released."""

    write: int
    content: Content | None
    user: int
    released: bool


class HeldRanges:
    """Ranges of groups, and what they hold. A group that no range covers has not been used."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ranges: list[tuple[int, int, Holding]] = []

    def within(self, first: int, last: int) -> Iterator[tuple[int, int, Holding | None]]:
        """Yield the ranges of groups [first, last) that hold the same, in order; None where they have not been used."""
        place = max(bisect_right(self._begins, first) - 1, 0)
        while first < last:
            if place == len(self._ranges):
                yield first, last, None
                return
            begin, end, holding = self._ranges[place]
            place += 1
            if end <= first:
                continue
            if first < begin:
                yield first, min(begin, last), None
                first = begin
            if first < last:
                yield first, min(end, last), holding
                first = end

    def set(self, first: int, last: int, holding: Holding) -> None:
        """Let groups [first, last) hold something."""
        self._replace(first, last, [(first, last, holding)])

    def used(self, first: int, last: int, user: int, release: bool) -> None:
        """Note an activation of groups [first, last), which may release them."""
        ranges = [
            (begin, end, Holding(-1, None, user, release))
            if holding is None
            else (begin, end, Holding(holding.write, holding.content, user, holding.released or release))
            for begin, end, holding in self.within(first, last)
        ]
        self._replace(first, last, ranges)

    def _replace(self, first: int, last: int, ranges: list[tuple[int, int, Holding]]) -> None:
        """Put ranges that cover [first, last) in the place of what is there."""
        low = max(bisect_right(self._begins, first) - 1, 0)
        while low < len(self._ranges) and self._ranges[low][1] <= first:
            low += 1
        high = bisect_left(self._begins, last)
        if low < high:
            before, after = self._ranges[low], self._ranges[high - 1]
            if before[0] < first:
                ranges = [(before[0], first, before[2]), *ranges]
            if after[1] > last:
                ranges = [*ranges, (last, after[1], after[2])]
        self._ranges[low:high] = ranges
        self._begins[low:high] = [begin for begin, _, _ in ranges]
