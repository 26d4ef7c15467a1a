"""Rounding weights one input after the other, so that later weights make good the error of earlier ones.

What is minimised is the squared error of a layer's outputs, d' H d for a change d of an output's weights and H = mean of x x'
over its inputs. Rounding weight k by e moves the minimum of all weights not yet rounded: they take up - e U[k, j] / U[k, k],
where U' U = H^-1, U upper triangular (Hassibi and Stork, NIPS 1992; rows in one order for all outputs and updates in blocks:
Frantar et al., ICLR 2023). Outputs do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mho.number.moments import Moments

FloatArray = npt.NDArray[np.float64]
Rounding = Callable[[npt.NDArray[np.intp], int, FloatArray], FloatArray]
"""Rounds one row of every matrix: rows (groups,), the first output of the part of the row, its values (groups, outputs)."""

BLOCK = 64
"""Rows after which the error is carried to all rows that follow, by one product of matrices."""
WIDTH = 1024
"""Outputs that are rounded together, about: they bound the memory taken."""
DAMPING = 0.01
"""What is added to the diagonal of H, as a share of its mean: inputs that were never seen to differ may differ later."""


def rounded(
    target: FloatArray, rounding: Rounding, moments: Moments | None = None, *, tile: int = 1, damping: float = DAMPING
) -> FloatArray:
    """Round `target` (groups, K, N), in steps, row by row; returns what `rounding` gave, of the same shape.

    Without `moments` each row is rounded as it is. With them the error of each row is carried to the rows not yet rounded;
    rows of the largest mean squares of inputs come first. Rows whose input is always 0 are rounded as they are, because
    nothing correlates with them. Parts of rows that `rounding` is given start at multiples of `tile` outputs.
    """
    groups, K, N = target.shape
    step = tile * -(-WIDTH // tile)
    order = np.tile(np.arange(K), (groups, 1))
    factor: FloatArray | None = None
    if moments is not None:
        order = np.argsort(-np.diagonal(moments.second, axis1=1, axis2=2), axis=1, kind="stable")
        factor = factored(moments.second, order, damping)
    result = np.empty_like(target)
    for first in range(0, N, step):
        outputs = target[:, :, first : first + step]
        work = np.take_along_axis(outputs, order[:, :, None], axis=1)
        done = np.empty_like(work)
        for start in range(0, K, BLOCK):
            stop = min(start + BLOCK, K)
            errors = np.zeros((groups, stop - start, outputs.shape[2]))
            for k in range(start, stop):
                done[:, k] = rounding(order[:, k], first, work[:, k])
                if factor is not None:
                    error = (work[:, k] - done[:, k]) / factor[:, k, k, None]
                    work[:, k + 1 : stop] -= factor[:, k, k + 1 : stop, None] * error[:, None, :]
                    errors[:, k - start] = error
            if factor is not None and stop < K:
                work[:, stop:] -= np.matmul(factor[:, start:stop, stop:].transpose(0, 2, 1), errors)
        np.put_along_axis(result[:, :, first : first + step], order[:, :, None], done, axis=1)
    return result


def factored(second: FloatArray, order: npt.NDArray[np.intp], damping: float) -> FloatArray:
    """Return U (groups, K, K), upper triangular, with U' U = (H + damping)^-1, rows and columns of H in the given order."""
    damp = damped(second, damping)
    groups = np.arange(len(order))[:, None, None]
    inverse = np.linalg.inv(damp[groups, order[:, :, None], order[:, None, :]])
    return np.asarray(np.linalg.cholesky(inverse).transpose(0, 2, 1))


def damped(second: FloatArray, damping: float = DAMPING) -> FloatArray:
    """Return mean products (..., K, K) with a share of the mean of their diagonal added to it, 1 where that is 0."""
    mean = np.diagonal(second, axis1=-2, axis2=-1).mean(axis=-1)[..., None, None]
    return np.asarray(second + np.eye(second.shape[-1]) * np.where(mean > 0, damping * mean, 1.0))


__all__ = ["DAMPING", "Rounding", "damped", "factored", "rounded"]
