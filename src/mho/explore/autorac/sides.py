"""The joint search held against searches of one side after the other, of the same budget: by the hypervolume of their fronts.

    joint         model, bits and chip together
    model first   models at 8 bits by log loss and products, as searches without a chip go, then chips for those of the front
    chip alone    chips for hand-made models at 8 bits (`forms`)

Each may train so many models a little and judge so many designs. The volume is of what a front dominates, in nats and decades of
time, energy and area, up to a point that all share: the costs of what a search without a chip came to, NASRec's network at 8 bits
on the chip as it is, and the log loss of a model that knows nothing but how often records are clicked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mho.explore.autorac.closed import ClosedJudge
from mho.explore.autorac.forms import forms
from mho.explore.autorac.judge import AIMS
from mho.explore.autorac.learning import Judged, Learner
from mho.explore.autorac.space import JointSpace
from mho.explore.autorac.task import Task
from mho.explore.front import hypervolume
from mho.network.zoo.interaction.genotype import Genotype
from mho.network.zoo.interaction.nasrec import nasrec
from mho.network.zoo.interaction.space import ModelSpace

REFERENCE = "kdd-full"
BARE: Mapping[str, Any] = {"tiles": "fit", "schedule": "overlap"}
"""What a chip that is not searched has."""
HALF = 0.5
"""Share of its budget that the search of models first gives to these."""


@dataclass(frozen=True)
class Sides:
    """Searches of one side after the other, beside a joint one that is done."""

    task: Task
    joint: Learner

    def told(self) -> dict[str, Any]:
        """Search, and return the fronts and their volumes as JSON has them."""
        reference = self._reference()
        fronts = {"joint": self.joint.front(), "model first": self._model_first(), "chip alone": self._chip_alone()}
        volumes = {name: volume(front, reference) for name, front in fronts.items()}
        better = max(each for name, each in volumes.items() if name != "joint")
        return {
            "reference": dict(zip(AIMS, reference, strict=True)),
            "network": REFERENCE,
            "volumes": volumes,
            "ratio": volumes["joint"] / better if better else None,
            "fronts": {name: [each.costs for each in front] for name, front in fronts.items()},
        }

    def _at_eight(self) -> ModelSpace:
        models = self.task.space.models
        assert isinstance(models, ModelSpace)
        return replace(models, weight_bits=(8,), input_bits=(8,))

    def _model_first(self) -> list[Judged]:
        """Search models by log loss and products, then chips for them."""
        task = self.task
        bare = {key: (value,) for key, value in BARE.items()}
        learner = task.learner(JointSpace(self._at_eight(), bare))
        learner.aims = lambda design: (design.log_loss, float(self._products(design.model)))
        first = int(HALF * task.budget)
        learner.budget = first
        learner.learn()
        models = self._sparing(learner)
        learner.polish(models, task.space.axes, task.budget - first)
        return learner.front()

    def _sparing(self, learner: Learner) -> list[Genotype]:
        """Return the trained models that none dominates in log loss and products, from the least loss on."""
        chosen, least = list[Genotype](), float("inf")
        for loss, products, key in sorted(
            (loss, self._products(learner.models[key]), key) for key, loss in learner.losses.items()
        ):
            del loss
            if products < least:
                chosen.append(learner.models[key])
                least = products
        return chosen

    def _chip_alone(self) -> list[Judged]:
        """Search chips for hand-made models."""
        task, models = self.task, self._at_eight()
        learner = task.learner(JointSpace(models, task.space.axes))
        begun = forms(models)[: task.tries]
        learner.train(begun)
        learner.polish(begun, task.space.axes, task.budget)
        return learner.front()

    def _products(self, model: Genotype) -> int:
        matrices = model.matrices(self.task.clicks.fields, self.task.usual.dimension)
        return sum(matrix.outputs * matrix.rows * matrix.windows for matrix in matrices)

    def _reference(self) -> tuple[float, ...]:
        judge: ClosedJudge = self.joint.costs
        told = judge(nasrec(REFERENCE), BARE)
        return self.joint.worst, told.latency_s, told.energy_j, told.area_m2


def volume(front: Sequence[Judged], reference: Sequence[float]) -> float:
    """Return the hypervolume of a front: nats times decades of time, energy and area below a reference."""
    below = [each.costs for each in front if all(a < b for a, b in zip(each.costs, reference, strict=True))]
    if not below:
        return 0.0
    costs = np.asarray(below)
    scaled = np.concatenate([costs[:, :1], np.log10(costs[:, 1:])], axis=1)
    return float(hypervolume(scaled, (reference[0], *np.log10(reference[1:]).tolist())))


__all__ = ["Sides", "volume"]
