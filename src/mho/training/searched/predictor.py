"""What a searched model's log loss will be, predicted from what it is made of, and from a score of it: ridge regression.

Fitted to a few models that were trained alone. How strongly coefficients are held to 0 is chosen by leaving each of these models
out in turn, which ridge regression tells without fitting again (Hastie, Tibshirani, Friedman 2009, equation 7.64).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.network.zoo.interaction import Genotype
from mho.network.zoo.interaction.description import DENSE, SPARSE

FloatArray = npt.NDArray[np.float64]
PENALTIES = np.geomspace(1e-2, 1e3, 26)
NAMES = (
    *DENSE, *SPARSE, "fm", "spread", "wide", "reads", "log of weights", "log of products", "bits of weights", "bits of inputs",
    "fewest bits of weights", "score reads vectors",
)  # fmt: skip
"""The features; numbers of operators and of merged outputs, and means over the model's matrices."""


def features(model: Genotype, fields: int, dimension: int) -> FloatArray:
    """Return the features of a model, in the order of NAMES; of the operators that its score rests on."""
    live = [getattr(model, what)[number - 1] for what, number in model.order]
    matrices = model.matrices(fields, dimension)
    names = [matrix.name for matrix in matrices]
    sizes = np.array([matrix.outputs * matrix.rows for matrix in matrices], dtype=np.float64)
    windows = np.array([matrix.windows for matrix in matrices])
    bits = np.array([matrix.bits for matrix in matrices], dtype=np.float64)
    reads = sum(
        len(getattr(each, "left", ())) + len(getattr(each, "vectors", getattr(each, "reads", ()))) for each in live
    )
    return np.array(
        [
            *(sum(each.kind == kind for each in live) for kind in (*DENSE, *SPARSE)),
            sum(name.endswith(".fm") for name in names),
            sum(name.startswith("spread") for name in names),
            float(model.wide),
            reads / max(len(live), 1),
            math.log(sizes.sum()),
            math.log((sizes * windows).sum()),
            *bits.mean(axis=0),
            bits[:, 0].min(),
            float(model.ends[1] > 0),
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True)
class Predictor:
    """A line through features, and through a score where it has one: `weights` in units of `deviations` from `means`."""

    fields: int
    dimension: int
    scored: bool
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    base: float
    error: float
    """Root of the mean square by which models left out were missed."""

    @classmethod
    def fit(
        cls,
        models: Sequence[Genotype],
        losses: Sequence[float],
        fields: int,
        dimension: int,
        scores: Sequence[float] | None = None,
    ) -> Predictor:
        """Fit to models trained alone, with `scores` of them where the score is to count. OptionError for fewer than three."""
        if len(models) < 3 or len(losses) != len(models) or (scores is not None and len(scores) != len(models)):
            raise OptionError(
                "a predictor is fitted to three or more models, a loss of each, and a score of each or of none"
            )
        x = np.stack([features(model, fields, dimension) for model in models])
        if scores is not None:
            x = np.concatenate([x, np.asarray(scores, dtype=np.float64)[:, None]], axis=1)
        y = np.asarray(losses, dtype=np.float64)
        means, deviations = x.mean(axis=0), x.std(axis=0)
        z = (x - means) / np.where(deviations > 0, deviations, 1.0)
        left, singular, right = np.linalg.svd(z, full_matrices=False)
        best: tuple[float, FloatArray] | None = None
        for penalty in PENALTIES:
            shrunk = singular**2 / (singular**2 + penalty)
            hat = (left * shrunk) @ left.T + 1.0 / len(y)
            missed = (y - hat @ (y - y.mean()) - y.mean()) / (1.0 - np.diag(hat)).clip(min=1e-9)
            error = float(np.sqrt(np.mean(missed**2)))
            if best is None or error < best[0]:
                best = error, right.T @ (singular / (singular**2 + penalty) * (left.T @ (y - y.mean())))
        assert best is not None
        return cls(
            fields, dimension, scores is not None, tuple(means.tolist()), tuple(deviations.tolist()),
            tuple(best[1].tolist()), float(y.mean()), best[0],
        )  # fmt: skip

    def __call__(self, model: Genotype, score: float | None = None) -> float:
        """Predict the log loss of a model. OptionError where a score is missing, or given for nothing."""
        if (score is not None) != self.scored:
            raise OptionError("this predictor was fitted " + ("with scores" if self.scored else "without scores"))
        x = features(model, self.fields, self.dimension)
        x = x if score is None else np.append(x, score)
        deviations = np.asarray(self.deviations)
        z = (x - np.asarray(self.means)) / np.where(deviations > 0, deviations, 1.0)
        return self.base + float(z @ np.asarray(self.weights))


__all__ = ["NAMES", "Predictor", "features"]
