"""The free groups of a chip, each remembered with the instruction that used it last."""

from __future__ import annotations

from bisect import insort

from mho.program.instructions import Groups


class GroupPool:
    """Free groups as disjoint ranges, lowest first, so that the same demands always get the same groups."""

    def __init__(self, groups: int) -> None:
        self._ranges: list[tuple[int, int, int]] = [(0, groups, -1)]
        self.free = groups

    def take(self, count: int) -> tuple[Groups, tuple[int, ...]]:
        """Take `count` groups; return them and the instructions that must have ended before they are written."""
        if count > self.free:
            raise ValueError(f"{count} groups asked for, {self.free} free")
        taken: list[tuple[int, int]] = []
        users: dict[int, None] = {}
        used = 0
        self.free -= count
        while count:
            first, last, user = self._ranges[used]
            end = min(last, first + count)
            if taken and taken[-1][1] == first:
                taken[-1] = (taken[-1][0], end)
            else:
                taken.append((first, end))
            if user >= 0:
                users[user] = None
            count -= end - first
            if end == last:
                used += 1
            else:
                self._ranges[used] = (end, last, user)
        del self._ranges[:used]
        return tuple(taken), tuple(sorted(users))

    def give(self, groups: Groups, user: int) -> None:
        """Give groups back, last used by instruction `user`."""
        for first, last in groups:
            insort(self._ranges, (first, last, user))
            self.free += last - first
