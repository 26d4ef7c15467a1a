"""Which instructions have certainly ended, for every inference of a round, when another one starts for the first of them.

Where inferences come in rounds (`Stream.batch`), instructions of a segment happen for each of them, all others of the body once.
For every round r let S(i) be when i starts for the first time in it, and A(i) when it has ended for all inferences of it. Then

- S(i) comes after S(j) where i waits for j, of its own inference: each start of i does;
- S(i) comes after A(j) where i waits for what happens once, j: `again` says of how many rounds before;
- S(w) of what happens once comes after the end of what it waits for, j, for the last inference, and so after the ends for that
  inference of all that j waits for; of these, after A where an instruction ends in one inference after it has in the one before.

What is found so has ended for the round itself, or for the one before; waits further back are not looked at. Sets of instructions
are the bits of a number; those that are the same are one object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mho.program.program import Program


class Rounds:
    """The order that what happens once a round enforces.

    `once[i]`: i happens once a round; `ends(i)`: what ends before i does, in its own inference, both in segments; `recurs(i)`: i of
    the inference before ends before it does.
    """

    def __init__(
        self,
        program: Program,
        once: Sequence[bool],
        ends: Callable[[int], Sequence[int]],
        recurs: Callable[[int], bool],
    ) -> None:
        assert program.stream is not None
        self._once, self._ends, self._recurs = once, ends, recurs
        self._whole: dict[tuple[int, bool], int] = {}
        count = len(program.instructions)
        again: dict[int, list[int]] = {}
        for i, place, distance in program.stream.again:
            if distance == 1 and (once[i] or once[place]):
                again.setdefault(i, []).append(place)
        self._now, self._before = [0] * count, [0] * count
        for known in (self._now, self._before):
            for i in range(program.setup, count):
                ended = 0
                for place in program.instructions[i].after:
                    if place >= program.setup:
                        whole = once[i] or once[place]
                        ended = _joined(ended, self._done(place, known) if whole else known[place])
                for place in again.get(i, ()) if known is self._before else ():
                    ended = _joined(ended, self._done(place, self._now))
                known[i] = ended

    def ended(self, first: int, second: int, rounds: int) -> bool:
        """Return True if `first` has ended for all inferences of so many rounds before when `second` starts for any of one."""
        if rounds > 1 and self._once[first]:
            return False
        # What happens for every inference has ended for all before, too.
        earlier = rounds and not self._once[first]
        known = self._now[second] if not rounds or earlier else 0
        known |= self._before[second] if rounds else 0
        return bool(known >> first & 1)

    def missing(self, wanted: int, second: int, rounds: int) -> int:
        """Return which of a set of instructions may not have ended; `rounds` is 0 or 1."""
        return wanted & ~(self._before if rounds else self._now)[second]

    def _done(self, place: int, known: list[int]) -> int:
        """Return what has ended when an instruction has for the last inference of a round; of the round before, if `known` is."""
        now = known is self._now
        if (place, now) not in self._whole:
            ended = 0
            for each in self._walk(place):
                ended = _joined(ended, known[each])
            if now:
                for each in self._walk(place):
                    ended |= int(self._once[each] or self._recurs(each)) << each
            self._whole[place, now] = ended
        return self._whole[place, now]

    def _walk(self, place: int) -> Sequence[int]:
        """Return what has ended for an inference when an instruction has: itself alone, if it happens once a round."""
        seen, waiting = {place}, [] if self._once[place] else [place]
        while waiting:
            for other in self._ends(waiting.pop()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return sorted(seen)


def _joined(one: int, other: int) -> int:
    """Return a union, as one of the two objects where that is enough."""
    both = one | other
    return one if both == one else other if both == other else both
