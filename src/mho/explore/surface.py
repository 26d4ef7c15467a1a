"""What designs will come to, guessed from those that are known: Gaussian process regression over the numbers of their values.

The covariance of two designs is Matern's of smoothness 5/2 in their distance (C. E. Rasmussen, C. K. I. Williams, "Gaussian
Processes for Machine Learning", MIT Press 2006: equations 2.25, 2.26 and 4.17). An ordered axis spans a distance of 2, whatever its
values; two values of another axis are 1 apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mho.explore.front import FloatArray

LENGTH = 6.0
"""The distance over which figures change; log costs of chips are smooth over the whole of an axis."""
NOISE = 1e-5
"""What figures differ by beside that, in shares of their variance."""
MOST = 384
"""Designs that a guess rests on: the latest."""
STALE = 1.02
"""A guess is made anew when so many times as many designs are known; of many designs one more changes little."""
DIGITS = 9
"""Guesses are rounded to so many digits behind the point, so that the last bits of a machine's sums decide nothing."""


class Surface:
    """Guesses `outputs` figures of a design; memory and time do not grow with designs beyond MOST.

    surface = Surface(sizes=(4, 3), ordered=(True, False), outputs=2)
    surface.add((3, 0), (1.0, 0.5))
    surface.guess([(3, 0), (2, 0)])       float64 (2, outputs)
    """

    def __init__(self, sizes: Sequence[int], ordered: Sequence[bool], outputs: int) -> None:
        self._ordered = [axis for axis, size in enumerate(sizes) if ordered[axis] and size > 1]
        self._spans = np.array([2.0 / (sizes[axis] - 1) for axis in self._ordered])
        self._others = [axis for axis, size in enumerate(sizes) if not ordered[axis] and size > 1]
        self._designs: list[Sequence[int]] = []
        self._figures: list[Sequence[float]] = []
        self.known = self._fitted = 0
        self._base = np.zeros(outputs)
        self._rests_on = np.zeros((0, len(sizes)), dtype=np.int64)
        self._inverse: FloatArray = np.zeros((0, 0))
        self._weights: FloatArray = np.zeros((0, outputs))
        self._deviation: FloatArray = np.zeros(outputs)

    def add(self, design: Sequence[int], figures: Sequence[float]) -> None:
        """Learn the figures of a design."""
        self._designs = [*self._designs[1 - MOST :], design]
        self._figures = [*self._figures[1 - MOST :], figures]
        self.known += 1

    def guess(
        self, designs: Sequence[Sequence[int]], doubts: float = 0.0, beside: Sequence[Sequence[int]] = ()
    ) -> FloatArray:
        """Return the guessed figures of designs (designs, axes), less so many standard deviations, float64 (designs, outputs).

        beside: designs that will be known by then, so that there is less doubt near them. One design at least is known.
        """
        if self.known > self._fitted * STALE:
            self._fit()
        some = np.array(designs, dtype=np.int64)
        covariance = self._covariance(some, self._rests_on)
        guessed: FloatArray = self._base + covariance @ self._weights
        if doubts:
            left = 1.0 - np.einsum("dk,dk->d", covariance @ self._inverse, covariance)
            if len(beside):
                others = np.array(beside, dtype=np.int64)
                solved = self._covariance(others, self._rests_on) @ self._inverse
                between = self._covariance(some, others) - covariance @ solved.T
                among = self._covariance(others, others) - solved @ self._covariance(self._rests_on, others)
                among += NOISE * np.eye(len(others))
                left -= np.einsum("do,od->d", between, np.linalg.solve(among, between.T))
            guessed -= doubts * np.outer(np.sqrt(np.maximum(left, 0.0)), self._deviation)
        return np.round(guessed, DIGITS)

    def _fit(self) -> None:
        self._rests_on = np.array(self._designs, dtype=np.int64)
        figures = np.array(self._figures, dtype=np.float64)
        self._base = figures.mean(axis=0)
        covariance = self._covariance(self._rests_on, self._rests_on) + NOISE * np.eye(len(figures))
        self._inverse = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
        self._weights = self._inverse @ (figures - self._base)
        self._deviation = np.sqrt(np.maximum(((figures - self._base) * self._weights).mean(axis=0), 0.0))
        self._fitted = self.known

    def _covariance(self, some: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> FloatArray:
        """Return the covariance of each of some designs with each of others, float64 (some, others)."""
        left, right = some[:, self._ordered] * self._spans, others[:, self._ordered] * self._spans
        squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
        for axis in self._others:
            squares += some[:, axis, None] != others[:, axis]
        far = np.sqrt(5.0 * np.maximum(squares, 0.0)) / LENGTH
        covariance: FloatArray = (1.0 + far + far**2 / 3.0) * np.exp(-far)
        return covariance


__all__ = ["Surface"]
