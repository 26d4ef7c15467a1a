"""What scores are worth: log loss, area under the curve, and hits among the first ten."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mho.errors import NumberError

FloatArray = npt.NDArray[np.float64]


def chance(scores: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-score)): how likely the item is liked."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -scores)))


def log_loss(scores: FloatArray, labels: npt.NDArray[Any]) -> float:
    """Return the mean of -log(chance of what was the case), in nats; scores before the sigmoid, labels 0 or 1."""
    signs = np.where(_checked(scores, labels), 1.0, -1.0)
    return float(np.logaddexp(0.0, -signs * scores).mean())


def auc(scores: FloatArray, labels: npt.NDArray[Any]) -> float:
    """Return how often a liked query scores above one that is not, ties half: the area under the ROC curve."""
    liked = _checked(scores, labels)
    positives = int(liked.sum())
    negatives = len(liked) - positives
    if not positives or not negatives:
        raise NumberError("an area under the curve needs queries of both labels")
    ranks = rankdata(scores)
    return float((ranks[liked].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def hit_rate(scores: FloatArray, first: int = 10) -> float:
    """Return the share of lists (lists, candidates), the liked one last, whose liked one is among the `first`.

    Equal scores count against it (He et al. 2017, section 4.1, rank the held-out item among 99 others).
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise NumberError(f"hits are counted in scores (lists, candidates), not {scores.shape}")
    return float(((scores[:, :-1] >= scores[:, -1:]).sum(axis=1) < first).mean())


def _checked(scores: FloatArray, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
        raise NumberError(f"scores {scores.shape} and labels {labels.shape} must be equally many, at least one")
    if not np.isin(labels, (0, 1)).all():
        raise NumberError("labels are 0 or 1")
    return np.asarray(labels == 1)
