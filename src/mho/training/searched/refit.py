"""What logits are worth whose scale is off: log loss with scale and bias refitted on other records (Platt 1999)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.recommender.scores import log_loss

FloatArray = npt.NDArray[np.float64]
STEPS = 25
RIDGE = 1e-6
"""Of the mean curvature, so that logits that are all alike can be fitted too."""


def refitted(logits: FloatArray, labels: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Return the scale, at least 0, and the bias of least log loss, by Newton's method from the middle of the logits."""
    spread = float(logits.std()) or 1.0
    x = np.stack([(logits - logits.mean()) / spread, np.ones_like(logits)], axis=1)
    rate = np.clip(labels.mean(), 1e-6, 1 - 1e-6)
    w = np.array([0.0, np.log(rate / (1 - rate))])
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -60, 60)))
        slope = x.T @ (chance - labels) / len(labels) + RIDGE * np.array([w[0], 0.0])
        curve = (x * (chance * (1 - chance))[:, None]).T @ x / len(labels) + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        w -= step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
    scale = max(w[0], 0.0)
    return scale / spread, w[1] - scale * float(logits.mean()) / spread


def refitted_loss(logits: FloatArray, labels: npt.NDArray[np.uint8], fitted_on: int) -> float:
    """Return the log loss of the records behind the first `fitted_on`, on which scale and bias are fitted."""
    scale, bias = refitted(logits[:fitted_on], labels[:fitted_on])
    return log_loss(scale * logits[fitted_on:] + bias, labels[fitted_on:])


__all__ = ["refitted", "refitted_loss"]
