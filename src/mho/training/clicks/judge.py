"""What a recommender is worth on clicks: log loss and area under the curve, in real numbers and in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mho.machine.recommender.recommender import CHUNK, RealRecommender, Recommender
from mho.machine.recommender.scores import auc, log_loss
from mho.network.clicks import Clicks
from mho.network.clicks.clicks import Part
from mho.network.zoo.recommenders import OUTPUT
from mho.number.walk import run_float


@dataclass(frozen=True)
class Worth:
    """Log loss (nats a record) and area under the ROC curve."""

    log_loss: float
    auc: float


def worth(scores: npt.NDArray[np.float64], part: Part) -> Worth:
    """Judge scores before the sigmoid by the labels of a fold."""
    return Worth(log_loss(scores, part.y), auc(scores, part.y))


def blind(part: Part) -> float:
    """Return the log loss of a score that knows how often records of the fold are clicked, and nothing of them."""
    share = float(part.y.mean())
    return log_loss(np.full(len(part.y), np.log(share / (1.0 - share))), part.y)


def judge(recommender: Recommender | RealRecommender, clicks: Clicks, fold: str) -> Worth:
    """Judge a recommender on a fold: by mho's integer arithmetic, or in real numbers (float64)."""
    part: Part = {"train": clicks.train, "valid": clicks.valid, "test": clicks.test}[fold]
    return worth(scores(recommender, part.x), part)


def scores(recommender: Recommender | RealRecommender, x: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Score records of one row a table: x (records, tables)."""
    parts = []
    for start in range(0, len(x), CHUNK):
        some = x[start : start + CHUNK]
        if isinstance(recommender, RealRecommender):
            tables = recommender.tables.values()
            rows = np.stack([table[some[:, at]] for at, table in enumerate(tables)], axis=1)
            parts.append(run_float(recommender.network, rows)[OUTPUT][:, 0])
        else:
            codes = [table.codes[some[:, at]] for at, table in enumerate(recommender.tables)]
            parts.append(recommender.predict(np.stack(codes, axis=1).astype(np.int64)))
    return np.concatenate(parts)


__all__ = ["Worth", "blind", "judge", "scores", "worth"]
