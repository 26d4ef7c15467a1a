"""How the designs of an exploration are chosen: a search is asked for designs and told what they cost.

    search = begin("front", sizes=(4, 3), allows=lambda indices: True, budget=8, seed=0, ordered=(True, False))
    while (indices := search.ask()) is not None:
        search.tell(Trial(indices, costs=..., excess=0.0))

A design is the number of the value that it takes on each axis. A search never asks for a design twice, nor for one that `allows`
refuses; it says None when there is none left. What it asks for follows from its seed and the calls of `ask` and `tell` so far, and
from nothing else. Told later than asked, as with many workers, it chooses from what it knows.

SEARCHES are those that there are, by name. A plugin adds a class of its own: SEARCHES.add("mine", MySearch).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from mho.errors import OptionError, choices
from mho.explore.front import Front
from mho.plugins import Registry

Indices = tuple[int, ...]
MOST_REFUSED = 10_000_000
"""So many designs in a row that the conditions refuse, and a search says so instead of going on for hours."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a design came to: `costs`, less is better, None where it is refused (cannot be compiled); `excess`, 0 where all limits
    hold, else by how much they are exceeded, in sum and relative to each limit.
    """

    indices: Indices
    costs: tuple[float, ...] | None
    excess: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if self.costs is not None and (not self.costs or any(map(math.isnan, self.costs))):
            raise OptionError(f"costs of a design are one or more numbers, not {self.costs}")
        if not self.excess >= 0:
            raise OptionError(f"an excess is 0 or more, not {self.excess}")


class Shuffled:
    """The numbers 0 .. size - 1, each once, in an order that a seed decides; memory does not grow with their number.

    A Feistel network of four rounds on as many bits as the numbers have, walked until it is back in their range (J. Black,
    P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
        draw = Random(f"order {seed}")
        self._keys = tuple(draw.getrandbits(64) | 1 for _ in range(4))

    def __getitem__(self, place: int) -> int:
        """Return the number at a place, 0 .. size - 1."""
        if not 0 <= place < self.size:
            raise IndexError(place)
        place = self._once(place)
        while place >= self.size:
            place = self._once(place)
        return place

    def _once(self, number: int) -> int:
        mask = (1 << self._half) - 1
        left, right = number >> self._half, number & mask
        for key in self._keys:
            mixed = ((right + 1) * key) & (2**64 - 1)
            mixed = ((mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
            left, right = right, left ^ ((mixed >> 31) & mask)
        return left << self._half | right


@dataclass(eq=False)
class Search(ABC):
    """Chooses designs. Raises OptionError for axes without values."""

    sizes: Sequence[int]
    """How many values each axis has."""
    allows: Callable[[Indices], bool]
    """Whether a combination may be asked for."""
    budget: int
    """How many designs will be asked for."""
    seed: int = 0
    ordered: Sequence[bool] = ()
    """Whether neighbouring values of each axis are alike; without it, those of all are."""
    by: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse what is no space."""
        self.sizes = tuple(self.sizes)
        self.ordered = tuple(self.ordered) or (True,) * len(self.sizes)
        if not self.sizes or min(self.sizes) < 1 or len(self.ordered) != len(self.sizes):
            raise OptionError(f"a search has one or more axes of at least one value, not {self.sizes}")
        self.size = math.prod(self.sizes)
        self._shuffled = Shuffled(self.size, self.seed)
        self.rest = self._walk()

    @abstractmethod
    def ask(self) -> Indices | None:
        """Return the next design, never one asked for before; None where there is none left."""

    def tell(self, trial: Trial) -> None:
        """Take in what a design that was asked for came to; what does not learn has nothing to do."""
        return None

    def indices(self, number: int) -> Indices:
        """Return the design of a number, 0 .. size - 1; the last axis changes fastest."""
        reverse = []
        for size in reversed(self.sizes):
            number, index = divmod(number, size)
            reverse.append(index)
        return tuple(reversed(reverse))

    def number(self, indices: Indices) -> int:
        """Return the number of a design."""
        number = 0
        for index, size in zip(indices, self.sizes, strict=True):
            number = number * size + index
        return number

    def order(self, place: int) -> int:
        """Return the number of the design at a place of the walk through all: by the seed, evenly."""
        return self._shuffled[place]

    def _walk(self) -> Iterator[Indices]:
        """Yield every design that is allowed. OptionError where next to none is allowed."""
        refused = 0
        for place in range(self.size):
            indices = self.indices(self.order(place))
            refused = 0 if self.allows(indices) else refused + 1
            if not refused:
                yield indices
            elif refused == MOST_REFUSED:
                raise OptionError(
                    f"the conditions refuse {refused:,} designs in a row of {self.size:,}; state conditions that more designs "
                    "meet, or leave values out that cannot go together"
                )


class RandomSearch(Search):
    """Every design in an order drawn from the seed, so that any number of them are drawn evenly, none twice."""

    by = "random"

    def ask(self) -> Indices | None:
        """Return the next one."""
        return next(self.rest, None)


class GridSearch(RandomSearch):
    """Every design in the order of the axes' values, the last axis changing fastest."""

    by = "grid"

    def order(self, place: int) -> int:
        """Return the place."""
        return place


class FrontSearch(Search):
    """Changes one or two choices of a design that none dominates so far: to a neighbour on an ordered axis, to any value elsewhere.

    Designs that break a limit are changed while none is known that breaks none: those of least excess. Where nothing is known, or
    all changes were asked for, a design drawn evenly from the rest.
    """

    by = "front"
    START = 32
    """Designs that are drawn before any is changed."""
    TRIES = 64
    POOL = 8
    """Designs of least excess that are kept while no legal one is known."""

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        super().__post_init__()
        self._draw = Random(f"front {self.seed}")
        self._asked: set[int] = set()
        self._front: Front | None = None
        self._designs: dict[int, Indices] = {}
        self._least: list[tuple[float, int, Indices]] = []
        self._axes = [axis for axis, size in enumerate(self.sizes) if size > 1]

    def ask(self) -> Indices | None:
        """Return a change of a good design, or one of the rest."""
        indices = self._changed() if len(self._asked) >= self.START else None
        if indices is None:
            indices = next((rest for rest in self.rest if self.number(rest) not in self._asked), None)
        if indices is not None:
            self._asked.add(self.number(indices))
        return indices

    def tell(self, trial: Trial) -> None:
        """Keep the design if it may be changed to good ones."""
        if trial.costs is None:
            return
        number = self.number(trial.indices)
        if trial.excess > 0:
            self._least = sorted([*self._least, (trial.excess, number, trial.indices)])[: self.POOL]
            return
        if self._front is None:
            self._front = Front(len(trial.costs))
        if self._front.add(number, trial.costs):
            kept = {*self._front.numbers.tolist()}
            self._designs[number] = trial.indices
            self._designs = {key: design for key, design in self._designs.items() if key in kept}

    def _changed(self) -> Indices | None:
        good = [*self._designs.values()] or [indices for _, _, indices in self._least]
        legal = bool(self._designs)
        if not good or not self._axes:
            return None
        for _ in range(self.TRIES):
            # The front is even; of designs over a limit those of least excess come first.
            drawn = self._draw.random() if legal else self._draw.random() ** 2
            indices = list(good[int(drawn * len(good))])
            for axis in self._draw.sample(self._axes, min(self._draw.choice((1, 2)), len(self._axes))):
                indices[axis] = self._other(axis, indices[axis])
            made = tuple(indices)
            if self.number(made) not in self._asked and self.allows(made):
                return made
        return None

    def _other(self, axis: int, index: int) -> int:
        """Return another value of an axis: a neighbour where values are ordered."""
        size = self.sizes[axis]
        if not self.ordered[axis]:
            return (index + self._draw.randrange(1, size)) % size
        near = [other for other in (index - 1, index + 1) if 0 <= other < size]
        return self._draw.choice(near)


SEARCHES: Registry[type[Search]] = Registry(
    "search", {kind.by: kind for kind in (FrontSearch, GridSearch, RandomSearch)}
)
"""The searches by name."""


def begin(
    by: str,
    sizes: Sequence[int],
    allows: Callable[[Indices], bool],
    budget: int,
    seed: int = 0,
    ordered: Sequence[bool] = (),
) -> Search:
    """Return a new search of a name. OptionError for an unknown one, the nearest named."""
    if by not in SEARCHES:
        raise OptionError(f"unknown search {by!r}; {choices(by, SEARCHES)}")
    return SEARCHES[by](sizes, allows, budget, seed, ordered)


__all__ = ["SEARCHES", "FrontSearch", "GridSearch", "RandomSearch", "Search", "Trial", "begin"]
