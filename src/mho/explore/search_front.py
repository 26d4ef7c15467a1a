"""Designs chosen by changing those that none dominates so far."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from mho.explore.front import FloatArray, Front
from mho.explore.search_base import Indices, Search, Trial
from mho.explore.surface import Surface


class FrontSearch(Search):
    """Changes a few choices of a design that none dominates so far: to a neighbour on an ordered axis, to any value elsewhere.

    Of many such changes, and changes of the best of them, it asks for the one that may gain most over the front and over what is
    under way, as guessed from the designs known (`Surface`, of logarithms of costs), in favour of those of which little is known;
    every tenth is drawn, whatever the guess. Designs that break a limit are changed while none is known that breaks none: those of
    least excess. Where nothing is known yet, or all changes were asked for, a design drawn evenly from the rest.
    """

    by = "front"
    ROUNDS = (4, 2, 2)
    """Choices that are changed at most: first of good designs, then of the best changes so far."""
    CHANGES = 64
    """Changed designs of each round."""
    BEST = 12
    """Changed designs that are changed again."""
    TRIES = 64
    """Changes that are tried for one that is new and allowed."""
    DRAWN = 0.1
    """The share of designs that are not chosen by their guessed costs."""
    DOUBTS = 2.0
    """By how many standard deviations costs are taken to be less than guessed."""
    KNOWN = 16
    """Designs that are built before guesses count."""
    POOL = 8
    """Designs of least excess that are kept while no legal one is known."""
    COMPARED = 512
    """Designs of the front, the latest, that gains are told by."""

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        super().__post_init__()
        self._draw = Random(f"front {self.seed}")
        self._axes = [axis for axis, size in enumerate(self.sizes) if size > 1]
        self._asked: set[int] = set()
        self._open: dict[int, Indices] = {}
        self._front: Front | None = None
        self._designs: dict[int, Indices] = {}
        self._least: list[tuple[float, int, Indices]] = []
        self._refused = Surface(self.sizes, self.ordered, 1)
        self._any_refused = self._any_excess = False

    def ask(self) -> Indices | None:
        """Return a change of a good design, or one of the rest."""
        indices = self._changed()
        if indices is None:
            indices = next((rest for rest in self.rest if self.number(rest) not in self._asked), None)
        if indices is not None:
            self._asked.add(self.number(indices))
            self._open[self.number(indices)] = indices
        return indices

    def tell(self, trial: Trial) -> None:
        """Learn from a design, and keep it if it may be changed to good ones."""
        number = self.number(trial.indices)
        self._open.pop(number, None)
        self._refused.add(trial.indices, (float(trial.costs is None),))
        self._any_refused |= trial.costs is None
        if trial.costs is None:
            return
        if self._front is None:
            self._front = Front(len(trial.costs))
            self._costs = Surface(self.sizes, self.ordered, len(trial.costs) + 1)
            self._unit = np.array([abs(cost) * 1e-3 if math.isfinite(cost) and cost else 1.0 for cost in trial.costs])
        figures = [*self._logarithms(np.array(trial.costs)), math.log1p(trial.excess)]
        if np.isfinite(figures).all():
            self._costs.add(trial.indices, figures)
        if trial.excess > 0:
            self._any_excess = True
            self._least = sorted([*self._least, (trial.excess, number, trial.indices)])[: self.POOL]
        # Not by its number in the space, which may be larger than any that numpy holds.
        elif self._front.add(place := self._refused.known, trial.costs):
            self._designs[place] = trial.indices
            self._designs = {kept: self._designs[kept] for kept in self._front.numbers.tolist()}

    def _logarithms(self, costs: FloatArray) -> FloatArray:
        """Return costs as logarithms, in the order of the costs, below 0 too: they are straight within 1/1000 of the first."""
        return np.arcsinh(costs / self._unit)  # type: ignore[no-any-return]

    def _changed(self) -> Indices | None:
        """Return a design that a change of a good one makes, None where there is no new one."""
        good = [*self._designs.values()] or [indices for _, _, indices in self._least]
        if not good or not self._axes:
            return None
        if self._costs.known < self.KNOWN or self._draw.random() < self.DRAWN:
            return next(iter(self._changes(good, 2, 1, set())), None)
        rated: list[tuple[float, Indices]] = []
        seen: set[Indices] = set()
        for most in self.ROUNDS:
            if made := self._changes(good, most, self.CHANGES, seen):
                seen.update(made)
                rated = sorted([*zip(self._gains(made).tolist(), made, strict=True), *rated], key=lambda each: -each[0])
                good = [indices for _, indices in rated[: self.BEST]]
        return rated[0][1] if rated else None

    def _changes(self, good: list[Indices], most: int, count: int, seen: set[Indices]) -> list[Indices]:
        """Return so many designs, or as many as are found soon, that are new and allowed, each a change of up to `most` choices."""
        found: dict[Indices, None] = {}
        for _ in range(max(2 * count, self.TRIES)):
            made = self._change(good, most)
            if made not in seen and made not in found and self.number(made) not in self._asked and self.allows(made):
                found[made] = None
                if len(found) == count:
                    break
        return [*found]

    def _change(self, good: list[Indices], most: int) -> Indices:
        """Return a good design with some choices changed."""
        # The front is even; of designs over a limit those of least excess come first.
        drawn = self._draw.random() if self._designs else self._draw.random() ** 2
        indices = list(good[int(drawn * len(good))])
        for axis in self._draw.choices(self._axes, k=self._draw.randint(1, most)):
            indices[axis] = self._other(axis, indices[axis])
        return tuple(indices)

    def _other(self, axis: int, index: int) -> int:
        """Return another value of an axis: a neighbour where values are ordered."""
        size = self.sizes[axis]
        if not self.ordered[axis]:
            return (index + self._draw.randrange(1, size)) % size
        near = [other for other in (index - 1, index + 1) if 0 <= other < size]
        return self._draw.choice(near)

    def _gains(self, designs: list[Indices]) -> FloatArray:
        """Return what designs gain, as guessed: by how much they are better, in the aim where they are it most, than each that is
        known or under way, less what they break limits by and are likely to be refused.
        """
        guessed = self._costs.guess(designs, self.DOUBTS, [*self._open.values()])
        gains = np.zeros(len(designs))
        if self._designs:
            assert self._front is not None
            others = self._logarithms(self._front.costs[-self.COMPARED :])
            if self._open:
                others = np.concatenate([others, self._costs.guess([*self._open.values()])[:, :-1]])
            gains = (others[:, None] - guessed[None, :, :-1]).max(axis=2).min(axis=0)
        if self._any_excess:
            gains = gains - 2.0 * np.maximum(guessed[:, -1], 0.0 if self._designs else -np.inf)
        if self._any_refused:
            gains = gains - 2.0 * np.maximum(self._refused.guess(designs)[:, 0] - 0.3, 0.0)
        return gains
