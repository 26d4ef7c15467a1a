"""Which instructions have certainly ended when another starts: the order that dependencies enforce, in linear memory.

Whether one instruction reaches another is a question of a path. Two things spare the walk along it in all but rare cases:

- `after` itself: most rules ask about an instruction and one that it waits for;
- chains: instructions each of which waits, directly or not, for the one before it in its chain, such as those that finish one
  layer after another. For every instruction it is known how far it certainly comes after each chain, and from where on each
  chain certainly comes after it. Where some chain goes on from `first` no later than `second` has seen it, there is a path.

No chain shows that there is none, so that a walk backward from `second` decides; it turns back at instructions that stand
before `first`, or no deeper in the graph, and is done where a chain closes the path. A few chains hold: what no chain takes is
walked. The memory is a number an instruction and chain, whatever the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

CHAINS = 8
"""Chains at the most: more cost memory and time for every instruction, fewer ask for more walks."""

Places = tuple[int, ...]
"""A place on each chain."""


class Order:
    """The order that the dependencies of a program enforce.

    `after[i]` are the instructions, all before i, that instruction i waits for; `milestones` those that chains are made of, in
    ascending order. `walked` counts the instructions that walks have visited.
    """

    def __init__(self, after: Sequence[Sequence[int]], milestones: Sequence[int]) -> None:
        self.after = after
        self.walked = 0
        self._chain: dict[int, tuple[int, int]] = {}
        self._depth: list[int] = []
        self._seen = self._forward(self._passed(frozenset(milestones)))
        self._next = self._backward()
        self._waits: tuple[int, frozenset[int]] = (-1, frozenset())

    def _passed(self, milestones: frozenset[int]) -> frozenset[int]:
        """Return the milestones that some other comes after: what ends a path would end a chain for good."""
        passed: set[int] = set()
        for i in range(len(self.after) - 1, -1, -1):
            if i in milestones or i in passed:
                passed.update(self.after[i])
        return milestones & passed

    def _forward(self, milestones: frozenset[int]) -> list[Places]:
        """Make the chains; return for each instruction the last place of each chain that has ended when it ends, -1: none."""
        none: Places = (-1,) * CHAINS
        ends = [-1] * CHAINS
        seen: list[Places] = []
        for i, before in enumerate(self.after):
            places, depth = none, 0
            for other in before:
                if seen[other] is not places:
                    places = seen[other] if places is none else tuple(map(max, places, seen[other]))
                depth = max(depth, self._depth[other] + 1)
            if i in milestones:
                # A chain goes on from its end, where this comes after it; else an empty one begins.
                chain = next((c for c in range(CHAINS) if ends[c] == places[c]), None)
                if chain is not None:
                    ends[chain] += 1
                    self._chain[i] = chain, ends[chain]
                    places = (*places[:chain], ends[chain], *places[chain + 1 :])
            seen.append(places)
            self._depth.append(depth)
        return seen

    def _backward(self) -> list[Places]:
        """Return for each instruction the first place of each chain that starts only when it has ended, or is itself."""
        never: Places = (len(self.after),) * CHAINS
        following = [never] * len(self.after)
        for i in range(len(self.after) - 1, -1, -1):
            places = following[i]
            if i in self._chain:
                chain, place = self._chain[i]
                places = following[i] = (*places[:chain], place, *places[chain + 1 :])
            for other in self.after[i]:
                if following[other] is never:
                    following[other] = places
                elif following[other] is not places:
                    following[other] = tuple(map(min, following[other], places))
        return following

    def before(self, first: int, second: int) -> bool:
        """Return True if `first` has certainly ended when `second` starts."""
        if first >= second:
            return False
        if self._waits[0] != second:
            self._waits = second, frozenset(self.after[second])
        return first in self._waits[1] or self._linked(first, second) or self._walk(first, second)

    def _linked(self, first: int, second: int) -> bool:
        """Return True if a chain leads from `first` to `second`."""
        return any(map(int.__le__, self._next[first], self._seen[second]))

    def _walk(self, first: int, second: int) -> bool:
        """Look for a path backward from `second`."""
        waiting, visited, least = [second], {second}, self._depth[first]
        while waiting:
            self.walked += 1
            for other in self.after[waiting.pop()]:
                if other == first or (other > first and self._linked(first, other)):
                    return True
                if other > first and self._depth[other] > least and other not in visited:
                    visited.add(other)
                    waiting.append(other)
        return False
