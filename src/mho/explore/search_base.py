"""What every way to choose designs has: numbers that stand for designs, a walk through all of them, and the form of its answers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from mho.errors import OptionError, choices

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
    """Chooses designs. Raises OptionError for axes without values, and for an unknown variant."""

    sizes: Sequence[int]
    """How many values each axis has."""
    allows: Callable[[Indices], bool]
    """Whether a combination may be asked for."""
    budget: int
    """How many designs will be asked for."""
    seed: int = 0
    ordered: Sequence[bool] = ()
    """Whether neighbouring values of each axis are alike; without it, those of all are."""
    variant: str = ""
    """One of the class's `variants`; without it, the first."""
    by: ClassVar[str] = ""
    learns: ClassVar[bool] = True
    """Whether what designs came to decides what is asked for."""
    variants: ClassVar[tuple[str, ...]] = ("",)

    def __post_init__(self) -> None:
        """Refuse what is no space."""
        self.sizes = tuple(self.sizes)
        self.ordered = tuple(self.ordered) or (True,) * len(self.sizes)
        if not self.sizes or min(self.sizes) < 1 or len(self.ordered) != len(self.sizes):
            raise OptionError(f"a search has one or more axes of at least one value, not {self.sizes}")
        self.variant = self.variant or self.variants[0]
        if self.variant not in self.variants:
            allowed = choices(self.variant, self.variants) if all(self.variants) else "it has no variants"
            raise OptionError(f"search {self.by} has no variant {self.variant!r}; {allowed}")
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


__all__ = ["MOST_REFUSED", "Indices", "Search", "Shuffled", "Trial"]
