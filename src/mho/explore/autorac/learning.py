"""A joint search that learns from models trained a little: rounds of evolving by what a predictor foresees, and of training picks.

What a model will be worth is known of those that were trained, and foreseen of others, by a line through what they are made of
(`Predictor`), fitted anew in each round. Evolution asks for designs by that and by closed formulas of the chip; of the front that
it ends with, the models that nobody trained yet are trained, from the least foreseen loss on. So where the line errs to the good,
training finds out, and only models that were trained are on the front that is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from mho.errors import OptionError
from mho.explore.autorac.closed import ClosedJudge
from mho.explore.autorac.evolution import Evolution
from mho.explore.autorac.forms import forms
from mho.explore.autorac.judge import AIMS, JointJudge, Score
from mho.explore.autorac.space import JointSpace, Listed
from mho.explore.front import Front, non_dominated
from mho.explore.judge import Progress
from mho.explore.records import Records
from mho.explore.search_base import Trial
from mho.explore.space import Value
from mho.explore.walk import Found, Walk
from mho.explore.workers import Executor, each
from mho.files.store import Store, key_of
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.space import Indices, ModelSpace
from mho.training.searched.predictor import Predictor

ROUNDS = 4
"""Times that evolution is followed by training."""
FIRST, FORMS = 0.6, 0.75
"""Share of the trainings that come before the first round, and of these the share that are forms; others are drawn at random."""
BEGUN, CHIPS = 48, 4
"""Designs that a round begins with at most, and chips that are drawn for each model in the first."""


T = TypeVar("T")


@dataclass(frozen=True)
class Judged:
    """A design by its model, the values of its chip, and its figures; `number`: in which order it was asked for."""

    number: int
    model: Genotype
    values: dict[str, Value]
    log_loss: float
    latency_s: float
    energy_j: float
    area_m2: float
    unresolved: int
    """Matrices whose sums the converters do not resolve: a design that has any is not on a front."""

    @property
    def costs(self) -> tuple[float, ...]:
        """What is minimised, in the order of AIMS."""
        return tuple(getattr(self, aim) for aim in AIMS)

    @property
    def product(self) -> float:
        """Time times energy times area: one number to choose by where log losses count as equal."""
        return self.latency_s * self.energy_j * self.area_m2


Aims = Callable[[Judged], tuple[float, ...]]


def all_aims(design: Judged) -> tuple[float, ...]:
    """Return all that is minimised."""
    return design.costs


def front_of(designs: Iterable[Judged]) -> list[Judged]:
    """Return the designs that none dominates of those that compute exactly, one of equal figures, in the order they came in."""
    listed = [design for design in designs if not design.unresolved]
    front = Front(len(AIMS))
    for place, design in enumerate(listed):
        front.add(place, design.costs)
    seen: dict[tuple[float, ...], Judged] = {}
    for place in sorted(front.numbers.tolist()):
        seen.setdefault(listed[place].costs, listed[place])
    return list(seen.values())


@dataclass(frozen=True)
class Foreseen:
    """The log loss of a model: what training told, else what a predictor foresees; `known`: by the keys of models."""

    known: tuple[tuple[str, float], ...]
    predictor: Predictor | None

    def __call__(self, model: Genotype) -> float:
        """Return it. OptionError where nothing tells it."""
        told = dict(self.known).get(model.key())
        if told is not None:
            return told
        if self.predictor is None:
            raise OptionError("a model that was not trained has no loss, where none are foreseen")
        return self.predictor(model)


@dataclass
class Learner:
    """A search of a joint space, in which at most `tries` models are trained by `little`, and `budget` designs are judged.

    `told`: the digest of what losses rest on. `worst`: the loss of a model that knows nothing, to which losses are cut before a
    predictor is fitted. `aims`: what evolution minimises.
    """

    space: JointSpace
    costs: ClosedJudge
    little: Score
    told: str
    kept: Store
    worst: float
    tries: int
    budget: int
    seed: int
    behind: int
    workers: int | Executor
    progress: Progress
    aims: Aims = all_aims
    losses: dict[str, float] = field(default_factory=dict, init=False)
    """Log losses of the models that were trained a little, by their keys."""
    models: dict[str, Genotype] = field(default_factory=dict, init=False)
    designs: list[Judged] = field(default_factory=list, init=False)
    """The designs that were judged, those of models that were not trained as they were foreseen."""
    refused: int = field(default=0, init=False)
    keys: list[str] = field(default_factory=list, init=False)
    """Of records in the store, in an order that workers do not change."""

    def learn(self) -> None:
        """Train models and judge designs, round by round."""
        assert isinstance(self.space.models, ModelSpace)
        self.train(self._first(self.space.models))
        for number in range(ROUNDS):
            share = self.budget * (number + 1) // ROUNDS - self.budget * number // ROUNDS
            score = Foreseen(tuple(self.losses.items()), self._predictor())
            found = self.evolve(self.space, score, asdict(score), share, self.seed + number, self._begun(number))
            left = (self.tries - len(self.losses)) // (ROUNDS - number)
            self.train(self._untrained(found)[:left])

    def walk(self, score: Score, rests: Any) -> None:
        """Judge designs by a score of any model instead, which is taken at its word."""
        for design in self.evolve(self.space, score, rests, self.budget, self.seed, (), self.workers):
            self.losses[design.model.key()] = design.log_loss

    def front(self) -> list[Judged]:
        """Return the designs that none dominates, of models of which a loss is known, at that."""
        told = ((design, self.losses.get(design.model.key())) for design in self.designs)
        return front_of(replace(design, log_loss=loss) for design, loss in told if loss is not None)

    def polish(self, models: Sequence[Genotype], axes: Mapping[str, Sequence[Value]], budget: int) -> None:
        """Search chips of these axes for models of which a loss is known."""
        space = JointSpace(Listed(tuple(models)), axes, self.space.when)
        known = {model.key(): self.losses[model.key()] for model in models}
        start = []
        if axes == self.space.axes:
            begun = [design for design in self.front() if design.model.key() in known]
            start = [space.indices(design.model, design.values) for design in _spread(begun, BEGUN)]
        score = Foreseen(tuple(known.items()), None)
        self.evolve(space, score, asdict(score), budget, self.seed + ROUNDS, start)

    def train(self, models: Sequence[Genotype]) -> None:
        """Train models a little, each unless it is known."""
        missing: list[Genotype] = []
        for model in models:
            self.keys.append(self._key(model))
            if self.kept.get(self._key(model), ("log_loss",)) is None:
                missing.append(model)
        for done, (model, loss) in enumerate(zip(missing, each(self.little, missing, self.workers), strict=False)):
            self.kept.put(self._key(model), {"log_loss": min(loss, 1e3) if math.isfinite(loss) else 1e3})
            self.progress("training models a little", len(self.losses) + done + 1, self.tries)
        for model in models:
            record = self.kept.get(self._key(model), ("log_loss",))
            assert record is not None
            self.losses[model.key()], self.models[model.key()] = float(record["log_loss"]), model

    def evolve(
        self,
        space: JointSpace,
        score: Score,
        rests: Any,
        budget: int,
        seed: int,
        start: Sequence[Indices],
        workers: int | Executor = 1,
    ) -> list[Judged]:
        """Judge so many designs by a score, which rests on `rests`, as an evolution asks for them.

        One worker is this process: where the score is at hand, formulas take less time than other processes to begin.
        """
        judge = JointJudge(replace(self.costs, space=space), score, json.dumps([self.told, rests], sort_keys=True))

        def told(found: Found) -> Judged | None:
            if found.record["refused"] is not None:
                return None
            figures = {aim: float(found.record[aim]) for aim in AIMS}
            unresolved, number = int(found.record["unresolved"]), first + found.number
            model, values = space.model(found.indices), space.chip_values(found.indices)
            return Judged(number, model, values, **figures, unresolved=unresolved)

        def trial(found: Found) -> Trial:
            if (design := told(found)) is None:
                return Trial(found.indices, None)
            return Trial(found.indices, self.aims(design), design.unresolved)

        first, made = len(self.designs) + self.refused, list[Judged]()
        search = Evolution.of(space, budget, seed, start)
        walk = Walk(space, search, judge, Records(self.kept, judge), trial, budget, workers, self.behind)
        for found in walk:
            if (design := told(found)) is not None:
                made.append(design)
            self.progress("judging designs", found.number + 1, budget)
        self.refused += len(walk.designs) - len(made)
        self.keys += walk.keys()
        self.designs += made
        return made

    def _first(self, space: ModelSpace) -> list[Genotype]:
        """Return the models to begin with: forms, narrow and wide ones, and some drawn at random."""
        count = max(3, round(FIRST * self.tries))
        found = {model.key(): model for model in _evenly(forms(space), max(2, int(FORMS * count)))}
        draw = Random(f"learner {self.seed}")
        for _ in range(100 * count):
            if len(found) >= count:
                break
            model = space.genotype(space.drawn(draw))
            found.setdefault(model.key(), model)
        return list(found.values())

    def _begun(self, number: int) -> list[Indices]:
        """Return designs to begin a round with: trained models on drawn chips, later the front as it is known by then."""
        if number:
            return [self.space.indices(each.model, each.values) for each in _spread(self.front(), BEGUN)]
        draw, found = Random(f"chips {self.seed}"), []
        for model in self.models.values():
            for _ in range(CHIPS):
                chip = self.space.chip_values(self.space.drawn(draw))
                found.append(self.space.indices(model, chip))
        return found

    def _predictor(self) -> Predictor:
        fields, dimension = self.costs.fields, self.costs.dimension
        losses = [min(self.losses[key], self.worst) for key in self.models]
        return Predictor.fit([*self.models.values()], losses, fields, dimension)

    def _untrained(self, designs: Sequence[Judged]) -> list[Genotype]:
        """Return the models of a round's front that were not trained, from the least foreseen loss on."""
        designs = [design for design in designs if not design.unresolved]
        costs = [self.aims(design) for design in designs]
        front = [each for each, kept in zip(designs, non_dominated(costs), strict=True) if kept] if costs else []
        best: dict[str, Judged] = {}
        for one in sorted(front, key=lambda one: (one.log_loss, one.number)):
            if one.model.key() not in self.losses:
                best.setdefault(one.model.key(), one)
        return [one.model for one in best.values()]

    def _key(self, model: Genotype) -> str:
        return key_of(__name__, "little", self.told, model.record())


def _spread(designs: Sequence[Judged], most: int) -> list[Judged]:
    """Return so many designs at the most, spread evenly over the order of log loss."""
    return _evenly(sorted(designs, key=lambda each: (each.log_loss, each.product, each.number)), most)


def _evenly(ordered: Sequence[T], most: int) -> list[T]:
    """Return so many of a list at the most, evenly spread, its ends among them."""
    if len(ordered) <= most:
        return list(ordered)
    return [ordered[round(place * (len(ordered) - 1) / max(most - 1, 1))] for place in range(most)]


__all__ = ["ROUNDS", "Foreseen", "Judged", "Learner", "front_of"]
