"""Designs of a joint space chosen by evolution: the young live, and what none dominates is kept.

Regularised evolution (Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019): of a population
whose oldest die, the best of a drawn few is changed. There are several costs here, so that the best is whichever fewest of the
others dominate, and parents come as often from an archive of the front, which does not age. A child is a change of one parent, or
of what two were crossed to; it is never a design that was asked for, by its canonical key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from mho.errors import OptionError
from mho.explore.autorac.space import JointSpace
from mho.explore.front import Front, ranks
from mho.explore.search_base import Indices, Search, Trial


@dataclass(eq=False)
class Evolution(Search):
    """Evolution on a joint space. `start`: designs to begin with, such as those of a one-sided search.

    Evolution.of(JointSpace(), budget=2000, seed=0)
    """

    space: JointSpace = field(default_factory=JointSpace)
    start: Sequence[Indices] = ()

    by = "evolution"
    POPULATION = 128
    """Designs that live, the latest (NASRec has 128)."""
    DRAWN = 64
    """Of these, those that are drawn to begin with."""
    TOURNAMENT = 16
    """Designs of which the best is a parent."""
    ARCHIVED = 0.5
    """The share of parents that come from the front."""
    CROSSED = 0.3
    """The share of children that have two parents."""
    TRIES = 200
    """Children that are tried for one that is new."""

    @classmethod
    def of(cls, space: JointSpace, budget: int, seed: int = 0, start: Sequence[Indices] = ()) -> Evolution:
        """Return a search of a space."""
        return cls(space.sizes, space.allows, budget, seed, space.ordered, space=space, start=tuple(start))

    def __post_init__(self) -> None:
        """Begin with nothing known. OptionError for a space of other sizes."""
        super().__post_init__()
        if tuple(self.sizes) != self.space.sizes:
            raise OptionError("an evolution has the sizes of its space")
        self._draw = Random(f"evolution {self.seed}")
        self._begin = iter(self.start)
        self._asked: set[str] = set()
        self._told = 0
        self._population: deque[tuple[int, Trial]] = deque(maxlen=self.POPULATION)
        self._front: Front | None = None
        self._kept: dict[int, Trial] = {}

    @property
    def front(self) -> tuple[Trial, ...]:
        """The designs that none dominates so far, in the order in which they were told."""
        return tuple(self._kept.values())

    def ask(self) -> Indices | None:
        """Return a design to begin with, one that is drawn, or a child; None where none that is new is found."""
        for indices in self._begin:
            if self.space.key(indices) not in self._asked:
                return self._noted(indices)
        for _ in range(self.TRIES):
            few = len(self._asked) < self.DRAWN or not self._population
            indices = self.space.drawn(self._draw) if few else self._child()
            if self.space.key(indices) not in self._asked:
                return self._noted(indices)
        return None

    def tell(self, trial: Trial) -> None:
        """Let a design live, unless it was refused, and keep it where none dominates it."""
        self._told += 1
        if trial.costs is None:
            return
        self._population.append((self._told, trial))
        if trial.excess > 0:
            return
        if self._front is None:
            self._front = Front(len(trial.costs))
        if self._front.add(self._told, trial.costs):
            self._kept[self._told] = trial
            self._kept = {number: self._kept[number] for number in self._front.numbers.tolist()}

    def _noted(self, indices: Indices) -> Indices:
        self._asked.add(self.space.key(indices))
        return indices

    def _child(self) -> Indices:
        parent = self._parent()
        if self._draw.random() < self.CROSSED:
            crossed = self.space.crossed(parent, self._parent(), self._draw)
            if self.space.key(crossed) not in self._asked:
                return crossed
            parent = crossed
        return self.space.mutated(parent, self._draw)

    def _parent(self) -> Indices:
        """Return one of the front, or the best of a few that live: of least excess, then dominated by fewest, then the youngest."""
        if self._kept and self._draw.random() < self.ARCHIVED:
            return self._draw.choice([*self._kept.values()]).indices
        few = self._draw.sample(range(len(self._population)), min(self.TOURNAMENT, len(self._population)))
        living = [self._population[place] for place in few]
        rank = ranks([trial.costs or () for _, trial in living]).tolist()
        rated = ((trial.excess, rank[place], -number, trial.indices) for place, (number, trial) in enumerate(living))
        return min(rated)[-1]


__all__ = ["Evolution"]
