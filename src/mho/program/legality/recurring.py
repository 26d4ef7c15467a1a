"""Which instructions have certainly ended when another starts or ends, where inferences overlap and copies take turns.

An instruction starts and ends once in every inference. What it waits for gives inequalities between these times, the same ones for
every inference n:

- its end comes after its start;
- its start comes after the end of what it waits for, of inference n (`after`) or of inference n - d (`again`);
- but where both drive the same copies, turns follow one another (`Activate`): its start then comes only after the start of the
  other, and its end after the end of the other, unless its windows take less time.

So `first` of inference n - d has certainly ended when `second` of inference n starts, for all n, where inequalities lead from the
one time to the other that go back d inferences together, no more and no less: a walk in a graph of two vertices an instruction,
whatever the number of inferences. A walk that goes back fewer inferences may go round a circle on its way, such as that from an
instruction to itself in the inference before. There is no circle that goes back no inference: `after` points back in the program.

Instructions of a kind and a layer, or those that drive the same blocks, are a chain where each waits for the one before, and often
the first for the last of the inference before. They end one after another, so that to find a later one is to find all. Most
questions are then about an instruction and one that it, or an earlier one of its chain, waits for. What is left is a search
backward; all of them together visit at most `LONGEST` vertices, and an order that takes longer to find counts as none.

Where inferences come in rounds, that is the order among instructions that happen for every inference; what happens once a round
`rounds` orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mho.program.instructions import Activate, Instruction, Transfer
from mho.program.legality.rounds import Rounds
from mho.program.program import Program

LONGEST = 2_000_000
"""Vertices that all searches for one program visit together at the most."""

START, END = 0, 1
Edges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Link:
    """The place of an instruction in a chain: which, where in it, its members, and whether it goes on in the next inference."""

    chain: int
    number: int
    members: list[int]
    recurs: bool


class Recurring:
    """The order that the dependencies of a program enforce within an inference and from one to another."""

    def __init__(self, program: Program) -> None:
        self.setup, self.stream = program.setup, program.stream
        self.visited = 0
        self._program = program
        count = len(program.instructions)
        self.batch, self.segment = _segments(program)
        self.once = [place >= self.setup and number < 0 for place, number in enumerate(self.segment)]
        # Vertex 2 i + START or END; each with the vertices that come before it, and how many inferences before.
        self._before: list[Edges] = [[] for _ in range(2 * count)]
        for i, instruction in enumerate(program.instructions):
            self._before[2 * i + END].append((2 * i + START, 0))
            for place in instruction.after:
                self._waits(i, place, 0)
        for i, place, distance in () if self.stream is None else self.stream.again:
            self._waits(i, place, distance)
        self._known: dict[tuple[int, int, int], bool] = {}
        self._links: dict[int, Link] = {}
        self._chain()
        self.rounds = Rounds(program, self.once, self._ends, self.recurs) if self.batch else None
        self.batch = self.batch or 1

    def before(self, first: int, second: int, distance: int = 0) -> bool:
        """Return True if `first` of `distance` inferences before has certainly ended when `second` starts.

        Where either happens once a round `distance` are rounds, and `first` must have ended for all inferences of that round.
        """
        if self._apart(first, second, distance) or self._rounded(first, second, distance):
            return True
        return self._leads(2 * second + START, 2 * first + END, distance)

    def ended(self, first: int, second: int, distance: int = 0) -> bool:
        """Return True if `first` of `distance` inferences before has certainly ended when `second` ends."""
        if self._apart(first, second, distance) or self._rounded(first, second, distance):
            return True
        return self._leads(2 * second + END, 2 * first + END, distance)

    def follows(self, first: int, second: int, distance: int = 0) -> bool:
        """Return True if `second` waits for `first`, which drives the very same copies, and finds each free when its turn comes.

        Either it goes on with the next windows of the same layer, or it begins with the first copy, and none of its windows takes
        less time: then it waits until the round of turns is over.
        """
        one, other = self._program.instructions[first], self._program.instructions[second]
        if not isinstance(one, Activate) or not isinstance(other, Activate) or not self._turns(first, second):
            return False
        if (one.groups, one.blocks, one.copy, one.copies) != (other.groups, other.blocks, other.copy, other.copies):
            return False
        if not distance and first not in other.after:
            return False
        if distance and (self.stream is None or (2 * first + START, distance) not in self._before[2 * second + START]):
            return False
        if not distance and one.layer == other.layer and one.windows[1] == other.windows[0]:
            return True
        return other.windows[0] % other.copies == 0 and self._window_s(other) >= self._window_s(one)

    def _apart(self, first: int, second: int, distance: int) -> bool:
        """Return True where inferences do not overlap, or an instruction belongs to none."""
        if self.stream is None:
            return distance > 0
        return first < self.setup <= second

    def recurs(self, place: int) -> bool:
        """Return True if an instruction of a segment ends in every inference after it has in the one before."""
        return self._leads(2 * place + END, 2 * place + END, 1)

    def _rounded(self, first: int, second: int, distance: int) -> bool:
        """Return True if what happens once a round lies between the two."""
        if self.rounds is None:
            return False
        if self.once[first] or self.once[second]:
            return self.rounds.ended(first, second, distance)
        # The end of all that an inference of the round so many before needs holds for those of earlier rounds, too.
        return self.segment[first] != self.segment[second] and self.rounds.ended(first, second, distance // self.batch)

    def _ends(self, place: int) -> list[int]:
        """Return what ends before an instruction does, in its own inference, waited for by itself."""
        edges = self._before[2 * place + START] + self._before[2 * place + END]
        return [vertex // 2 for vertex, back in edges if not back and vertex % 2 == END]

    def _window_s(self, activation: Activate) -> float:
        layer = self._program.mapping.by_index.get(activation.layer)
        return 0.0 if layer is None else layer.window_s

    def _turns(self, first: int, second: int) -> bool:
        """Return True if two instructions drive several copies, on some group both."""
        one, other = self._program.instructions[first], self._program.instructions[second]
        if not (isinstance(one, Activate) and isinstance(other, Activate)) or one.copies == 1 or other.copies == 1:
            return False
        return one.groups == other.groups or any(
            begin < last and first < end for begin, end in one.groups for first, last in other.groups
        )

    def _waits(self, i: int, place: int, distance: int) -> None:
        """Note what it says of the times of instruction i that it waits for another, where both happen for every inference."""
        if self.once[i] or self.once[place]:
            return
        if not self._turns(place, i):
            self._before[2 * i + START].append((2 * place + END, distance))
            return
        self._before[2 * i + START].append((2 * place + START, distance))
        one, other = self._program.instructions[place], self._program.instructions[i]
        assert isinstance(one, Activate) and isinstance(other, Activate)
        if one.layer == other.layer or self._window_s(other) >= self._window_s(one):
            self._before[2 * i + END].append((2 * place + END, distance))

    def _chain(self) -> None:
        """Find the chains of an inference."""
        kinds: dict[object, list[int]] = {}
        for i in range(self.setup, len(self._program.instructions)):
            kinds.setdefault(_kind(self._program.instructions[i]), []).append(i)
        chains: list[list[int]] = []
        for places in kinds.values():
            begun = len(chains)
            for i in places:
                if len(chains) > begun and self._next(chains[-1][-1], i, 0):
                    chains[-1].append(i)
                else:
                    chains.append([i])
        for chain, members in enumerate(chains):
            recurs = self._next(members[-1], members[0], 1)
            for number, i in enumerate(members):
                self._links[i] = Link(chain, number, members, recurs)

    def _next(self, first: int, second: int, distance: int) -> bool:
        """Return True if the second of two instructions waits for the first, and ends after it."""
        starts, ends = self._before[2 * second + START], self._before[2 * second + END]
        return (2 * first + END, distance) in starts or (2 * first + END, distance) in ends

    def _leads(self, source: int, target: int, distance: int) -> bool:
        """Return True if a walk leads from one vertex back to another, over so many inferences."""
        question = source, target, distance
        found = self._known.get(question)
        if found is None:
            found = self._near(*question) or self._along(*question) or self._search(*question)
            self._known[question] = found
        return found

    def _there(self, vertex: int, target: int, left: int) -> bool:
        """Return True if a vertex, with so many inferences left to go back, is the target, or a later end of its chain."""
        if vertex == target:
            return left == 0 or (left > 0 and target // 2 in self._links and self._links[target // 2].recurs)
        link, other = self._links.get(vertex // 2), self._links.get(target // 2)
        if link is None or other is None or link.chain != other.chain or vertex % 2 == START or target % 2 == START:
            return False
        return (left == 0 and link.number > other.number) or (left > 0 and link.recurs)

    def _along(self, source: int, target: int, distance: int) -> bool:
        """Return True if an earlier instruction of the chain waits for the target."""
        link = self._links.get(source // 2)
        if link is None:
            return False
        earlier = [(i, distance) for i in link.members[link.number :: -1]]
        if distance and link.recurs:
            earlier += [(i, distance - 1) for i in link.members[: link.number : -1]]
        return any(
            self._there(vertex, target, left - back)
            for i, left in earlier
            for vertex, back in self._before[2 * i + START]
        )

    def _near(self, source: int, target: int, distance: int) -> bool:
        """Return True if the walk is one step, or one more than one that is known."""
        known = self._known
        return any(
            self._there(vertex, target, distance - back) or known.get((vertex, target, distance - back), False)
            for vertex, back in self._before[source]
        )

    def _further(self, source: int, target: int, distance: int) -> Iterator[tuple[int, int]]:
        """Yield where a step leads from which the target may be reached: with no inference left, to nothing before it."""
        for vertex, back in self._before[source]:
            left = distance - back
            if left > 0 or (left == 0 and vertex // 2 >= target // 2):
                yield vertex, left

    def _search(self, source: int, target: int, distance: int) -> bool:
        """Look for a walk backward, those first that go back to other inferences and to instructions far before."""
        waiting = [(source, distance)]
        seen = {(source, distance)}
        while waiting and self.visited < LONGEST:
            self.visited += 1
            vertex, left = waiting.pop()
            if self._near(vertex, target, left):
                return True
            for step in self._further(vertex, target, left):
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
        return False


def _segments(program: Program) -> tuple[int, list[int]]:
    """Return how many inferences a round has, 0 without rounds, and the segment of each instruction; -1: none."""
    stream, count = program.stream, len(program.instructions)
    if stream is None or not stream.segments:
        return 0, [0 if place >= program.setup else -1 for place in range(count)]
    segment = [-1] * count
    for number, (first, last) in enumerate(stream.segments):
        segment[first:last] = [number] * (last - first)
    return stream.batch, segment


def _kind(instruction: Instruction) -> object:
    """Return what instructions of a chain have in common."""
    if isinstance(instruction, Activate):
        return instruction.blocks, instruction.groups
    return type(instruction), instruction.layer, instruction.direction if isinstance(instruction, Transfer) else ""
