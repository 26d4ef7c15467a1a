"""What training would make of a searched model, told at a small part of its cost, with a supernet trained on the same clicks.

    shared   the model's part of the supernet's weights as it stands
    tuned    that part and the supernet's tables, trained on for a few steps
    warm     fresh weights and the supernet's tables, for as many steps
    short    fresh weights and fresh tables, for as many steps

Each is the log loss of records to choose by, scale and bias of the logit refitted on others of them. docs/rank.md says how well
each ranks. A `Scorer` is what a search hands to its workers: where the supernet and the clicks lie, read once in each process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.network.clicks import Clicks
from mho.network.zoo.interaction import Genotype
from mho.plugins import Registry
from mho.training.searched.alone import Alone
from mho.training.searched.predictor import Predictor
from mho.training.searched.refit import refitted_loss
from mho.training.searched.supernet import Supernet

FITTED, JUDGED = 2048, 4096
"""Records to choose by on which scale and bias are fitted, and those that judge."""
SHARE = 0.06
"""Of a whole training's steps that a score may take."""
Score = Callable[[Supernet, Genotype], float]


def _chosen(supernet: Supernet) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], int]:
    """Draw the records that scores are of: ids, labels, and on how many of them logits are refitted."""
    x, y = supernet.clicks.valid
    order = np.random.default_rng([supernet.seed, 11]).permutation(len(y))[: FITTED + JUDGED]
    return x[order], y[order], min(FITTED, len(order) // 3)


def _shared(supernet: Supernet, model: Genotype) -> float:
    x, y, fitted_on = _chosen(supernet)
    return refitted_loss(supernet.logits(model, x), y, fitted_on)


def _trained(supernet: Supernet, model: Genotype, *, tables: bool, weights: bool) -> float:
    alone = Alone(
        model, supernet.clicks, supernet.budget, supernet.seed,
        tables=supernet.tables.detach() if tables else None,
        weights=supernet.part(model) if weights else None,
    )  # fmt: skip
    alone.train(supernet.budget.steps(supernet.clicks, SHARE))
    x, y, fitted_on = _chosen(supernet)
    return refitted_loss(alone.logits(x, hasty=True), y, fitted_on)


SCORES: Registry[Score] = Registry(
    "score",
    {
        "shared": _shared,
        "tuned": lambda supernet, model: _trained(supernet, model, tables=True, weights=True),
        "warm": lambda supernet, model: _trained(supernet, model, tables=True, weights=False),
        "short": lambda supernet, model: _trained(supernet, model, tables=False, weights=False),
    },
)
UNTRAINED = ("short",)
"""Scores that use nothing of a supernet but how it would be trained."""
DEFAULT = "warm"
"""The one that ranked best the twelve models of docs/rank.md that scores are chosen by."""


@dataclass(frozen=True)
class Scorer:
    """A score that processes can be handed: `supernet` and `clicks` are files, read once in each of them.

    Scorer("supernet.safetensors", "clicks.npz")(model)     a log loss; lower is better
    With a `predictor` the score is one of its features, and what it predicts is returned. Raises OptionError for unknown scores.
    """

    supernet: str | Path
    clicks: str | Path
    score: str = DEFAULT
    predictor: Predictor | None = None

    def __post_init__(self) -> None:
        """Check the score."""
        if self.score not in SCORES:
            raise OptionError(f"unknown score {self.score!r}; {choices(self.score, SCORES)}")

    def __call__(self, model: Genotype) -> float:
        """Score a model."""
        supernet = _loaded(str(self.supernet), str(self.clicks))
        score = SCORES[self.score](supernet, model)
        return score if self.predictor is None else self.predictor(model, score)


@lru_cache(maxsize=1)
def _loaded(supernet: str, clicks: str) -> Supernet:
    return Supernet.load(supernet, Clicks.load(clicks))


__all__ = ["DEFAULT", "SCORES", "UNTRAINED", "Score", "Scorer"]
