"""Sparse coefficients of a basis, compiled: orthogonal matching pursuit in reals, and descent in integers.

A target w is met in a metric A by coefficients c of basis vectors B: (w - B'c)' A (w - B'c) is least. All that enters is the
gram matrix B A B' and the projections B A w, so that a segment is as much work as it has basis vectors, whatever its height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.number.affine import SMALLEST
from mho.number.compensation import damped
from mho.number.moments import Moments
from mho.number.reproducible import product
from mho.number.triangular import made_good, solved, upper_factor

FloatArray = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.int64]
Form = tuple[int, slice, FloatArray, FloatArray]
"""The number of a segment, its rows, and the metric of its errors as basis x metric and as a gram of the basis."""

DEPENDENT = 1e-8
"""Share of a vector's square, below which what is left of it beside those chosen counts as nothing."""

FLOOR = 1e-9
"""Share of the mean square of inputs that is added to their covariance."""
PARTS = 8
"""Bits behind the point of elements that were read from cells."""
FACTORS = np.geomspace(1.0, 0.3, 9)
"""Scales that are tried, as shares of the one that lays the largest coefficient on the largest integer."""
AROUND = (0.5, 0.6, 0.72, 0.85, 1.0, 1.2)
"""Scales that are tried once more, with errors carried on, as shares of those chosen segment by segment."""
TRIED, SWEEPS, AGAIN = 2, 12, 4
"""Rounds of descent while scales are tried, and when they are chosen; how often all segments are gone through again."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def _solve(factor: Any, wanted: Any, chosen: Any, size: int, values: Any) -> None:
    """Solve L L' values = wanted[chosen] for the first `size`, forward and then back."""
    for i in range(size):
        term = wanted[chosen[i]]
        for j in range(i):
            term -= factor[i, j] * values[j]
        values[i] = term / factor[i, i]
    for i in range(size - 1, -1, -1):
        term = values[i]
        for j in range(i + 1, size):
            term -= factor[j, i] * values[j]
        values[i] = term / factor[i, i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def pursue(gram: Any, projections: Any, nonzeros: int) -> Any:
    """Return coefficients (n, N) of n targets, at most `nonzeros` each, of gram (N, N) and projections (n, N).

    Orthogonal matching pursuit: the vector that takes most of the error joins, then all chosen are fitted anew by least
    squares (Pati, Rezaiifar, Krishnaprasad, Asilomar 1993), by a Cholesky factor that grows row by row.
    """
    count, N = projections.shape
    coefficients = np.zeros((count, N))
    factor = np.zeros((nonzeros, nonzeros))
    for target in range(count):
        wanted = projections[target]
        left = wanted.copy()
        barred = np.zeros(N, dtype=np.bool_)
        chosen = np.zeros(nonzeros, dtype=np.int64)
        values = np.zeros(nonzeros)
        size = 0
        while size < nonzeros:
            best, most = -1, 0.0
            for m in range(N):
                if not barred[m] and gram[m, m] > 0.0:
                    taken = left[m] * left[m] / gram[m, m]
                    if taken > most:
                        best, most = m, taken
            if best < 0:
                break
            barred[best] = True
            rest = gram[best, best]
            for i in range(size):
                term = gram[chosen[i], best]
                for j in range(i):
                    term -= factor[i, j] * factor[size, j]
                factor[size, i] = term / factor[i, i]
                rest -= factor[size, i] ** 2
            if rest <= DEPENDENT * gram[best, best]:
                continue
            factor[size, size] = np.sqrt(rest)
            chosen[size] = best
            size += 1
            _solve(factor, wanted, chosen, size, values)
            left[:] = wanted
            for i in range(size):
                left -= values[i] * gram[chosen[i]]
        for i in range(size):
            coefficients[target, chosen[i]] = values[i]
    return coefficients


@njit(cache=True)  # type: ignore[untyped-decorator]
def descend(gram: Any, projections: Any, scale: Any, coefficients: Any, nonzeros: int, table: Any, sweeps: int) -> Any:
    """Improve integers `coefficients` (n, N), at most `nonzeros` of n, in place; returns the squares taken off (n,).

    `table`: which integers there are, as `nearest` makes it. Coefficients stand for scale (n,) times themselves. One after the
    other is taken out and the integer of whichever vector takes most of the error is put in its stead, until nothing changes or
    for `sweeps` rounds: the error never grows.
    What is returned is w'Aw less the squared error.
    """
    count, N = projections.shape
    taken, last = np.zeros(count), float(len(table) - 1)
    inverse = np.zeros(N)
    for m in range(N):
        if gram[m, m] > 0.0:
            inverse[m] = 1.0 / gram[m, m]
    for target in range(count):
        c, s = coefficients[target], scale[target]
        left = projections[target].copy()
        for i in range(N):
            if c[i] != 0:
                left -= s * c[i] * gram[i]
        for _ in range(sweeps):
            changed = False
            for place in range(N + 1):
                size = np.count_nonzero(c) if place == N else 0
                if (place < N and c[place] == 0) or size >= nonzeros:
                    continue
                old, most, best, value = 0, 0.0, -1, 0
                if place < N:
                    old = c[place]
                    left += s * old * gram[place]
                    most = s * old * (2 * left[place] - s * old * gram[place, place]) * (1 + 1e-12)
                    best, value = place, old
                    c[place] = 0
                for m in range(N):
                    # No integer takes more than the real number that is best.
                    if left[m] * left[m] * inverse[m] > most and c[m] == 0:
                        at = np.floor(2.0 * left[m] * inverse[m] / s) + len(table) // 2
                        v = table[int(min(max(at, 0.0), last))]
                        gain = s * v * (2 * left[m] - s * v * gram[m, m])
                        if gain > most:
                            best, value, most = m, v, gain
                if best >= 0:
                    c[best] = value
                    left -= s * value * gram[best]
                    changed = changed or best != place or value != old
            if not changed:
                break
        for i in range(N):
            if c[i] != 0:
                taken[target] += s * c[i] * (projections[target, i] + left[i])
    return taken


def nearest(allowed: IntegerArray) -> IntegerArray:
    """Return a table of the nearest of some integers, rising, whose middles are whole halves: of x at floor(2 x) + size // 2."""
    most = int(np.abs(allowed).max())
    middles = (np.arange(-2 * most - 1, 2 * most + 1) + 0.5) / 2
    return np.asarray(allowed[np.abs(middles[:, None] - allowed).argmin(axis=1)])


@dataclass(frozen=True, eq=False)
class Metric:
    """What the error d (K,) of an output's weights costs: d' H d. `matrix` H (K, K), and `upper` R, with R R' = H."""

    matrix: FloatArray
    upper: FloatArray

    @classmethod
    def of(cls, matrix: FloatArray) -> Metric:
        """Damp a covariance of inputs, and factor it."""
        damp = damped(matrix)
        return cls(damp, upper_factor(damp))


def asked_of(real: FloatArray, seen: Moments, wanted: Moments) -> list[tuple[FloatArray, Metric]]:
    """Return for each group the weights (K, N) to be met, of `real` (groups, K, N), and the metric of their errors.

    The metric is the covariance of the inputs as they are `seen`: biases make up for means. The weights are those whose outputs
    on these inputs lie nearest, by least squares, to the outputs of the real ones on the inputs that are `wanted`.
    """
    found = []
    for group, weights in enumerate(real):
        first, second = seen.first[group], seen.second[group]
        # Rounding in a difference of near numbers must not leave it indefinite.
        covariance = second - np.outer(first, first) + np.eye(len(first)) * (FLOOR * np.diagonal(second).mean())
        metric = Metric.of(covariance)
        if seen.beside is not None:
            missing = seen.beside[group] - np.outer(first, wanted.first[group]) - covariance
            weights = weights + solved(metric.upper, product(missing, weights))
        found.append((weights, metric))
    return found


class Pursuit:
    """One matrix (K, N) that is fitted to a basis, segment by segment.

    `elements` of the basis (vectors, height), integers or in whole 2^-PARTS; `allowed`: the integers that coefficients can be.
    """

    def __init__(
        self,
        target: FloatArray,
        metric: Metric,
        parts: list[slice],
        elements: FloatArray,
        allowed: IntegerArray,
        nonzeros: int,
    ) -> None:
        self.target, self.metric, self.parts, self.elements, self.nonzeros = target, metric, parts, elements, nonzeros
        self.digits = int(np.abs(elements).max()).bit_length() + (0 if np.all(elements % 1 == 0) else PARTS)
        self.most, self.table = int(allowed[-1]), nearest(allowed)
        self.coefficients = np.zeros((len(self.parts), len(self.elements), target.shape[1]), dtype=np.int64)
        self.scale = np.ones(target.shape[1])

    def run(self) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Choose scales, fit segment after segment, then go through all of them again."""
        self.choose_scales()
        self.in_order()
        forms = [self.alone(part) for part in self.parts]
        for _ in range(AGAIN):
            self.again(forms)
        return self.coefficients.astype(np.int8), self.scale

    def forms(self) -> Iterator[Form]:
        """Yield segments, and the metric of their errors where all that follow make up for them, as basis x metric and its gram."""
        for j, part in enumerate(self.parts):
            corner = self.metric.upper[part, part]
            basis = self.elements[:, : part.stop - part.start]
            projection = product(basis, product(corner, corner.T), self.digits)
            yield j, part, projection, product(basis, projection.T, self.digits)

    def choose_scales(self) -> None:
        """Choose each output's scale, of those tried, by the error of all its segments, each fitted by itself."""
        fits = [
            (gram, wanted, pursue(gram, wanted, self.nonzeros))
            for _, part, projection, gram in self.forms()
            for wanted in [np.ascontiguousarray(product(projection, self.target[part]).T)]
        ]
        largest = np.max([np.abs(real).max(axis=1) for _, _, real in fits], axis=0)
        base = np.where(largest > 0, largest / self.most, 1.0)
        taken = np.array([sum(self._integers(*fit, base * factor, TRIED)[1] for fit in fits) for factor in FACTORS])
        self.scale = np.maximum(base * FACTORS[taken.argmax(axis=0)], SMALLEST)

    def in_order(self) -> None:
        """Fit segment after segment with scales around those chosen, and keep for each output what leaves the least error."""
        start, forms = self.scale, list(self.forms())
        least, coefficients = np.full(len(start), np.inf), self.coefficients
        for factor in AROUND:
            scale = np.maximum(start * factor, SMALLEST)
            found, error = self.carried(forms, scale)
            left = (product(self.metric.upper.T, error) ** 2).sum(axis=0)
            better = left < least
            least, self.scale = np.where(better, left, least), np.where(better, scale, self.scale)
            coefficients = np.where(better, found, coefficients)
        self.coefficients = coefficients

    def carried(self, forms: list[Form], scale: FloatArray) -> tuple[IntegerArray, FloatArray]:
        """Fit segment after segment, each for what it can make good of those before; returns coefficients, and errors (K, N)."""
        error, upper, coefficients = np.zeros(self.target.shape), self.metric.upper, np.zeros_like(self.coefficients)
        for j, part, projection, gram in forms:
            missing = made_good(upper[part, part], product(upper[: part.start, part].T, error[: part.start]))
            wanted = np.ascontiguousarray(product(projection, self.target[part] + missing).T)
            integers, _ = self._integers(gram, wanted, pursue(gram, wanted, self.nonzeros), scale, SWEEPS)
            coefficients[j] = integers.T
            error[part] = self.target[part] - self._weights(part, coefficients[j]) * scale
        return coefficients, error

    def alone(self, part: slice) -> tuple[FloatArray, FloatArray]:
        """Return the metric of the errors of a segment where no other makes up for them, as basis x metric and its gram."""
        basis = self.elements[:, : part.stop - part.start]
        projection = product(basis, self.metric.matrix[part, part], self.digits)
        return projection, product(basis, projection.T, self.digits)

    def again(self, forms: list[tuple[FloatArray, FloatArray]]) -> None:
        """Fit each segment for what the others leave, then the scales for all of them; `forms` as `alone` gives them."""
        error = self.target - np.concatenate([self._part(j) for j in range(len(self.parts))])
        for j, (part, (projection, gram)) in enumerate(zip(self.parts, forms, strict=True)):
            basis = self.elements[:, : part.stop - part.start]
            left = product(basis, product(self.metric.matrix[part], error), self.digits)
            wanted = left + product(projection, self._part(j))
            integers = np.ascontiguousarray(self.coefficients[j].T)
            self._descend(gram, np.ascontiguousarray(wanted.T), self.scale, integers, SWEEPS)
            self.coefficients[j] = integers.T
            error[part] = self.target[part] - self._part(j)
        weights = (self.target - error) / self.scale
        weighed = product(self.metric.matrix, weights)
        square = (weights * weighed).sum(axis=0)
        fitted = (self.target * weighed).sum(axis=0)
        self.scale = np.where((square > 0) & (fitted > 0), fitted / np.where(square > 0, square, 1.0), self.scale)

    def _part(self, j: int) -> FloatArray:
        """Return the weights (rows of the segment, N) that its coefficients stand for."""
        return self._weights(self.parts[j], self.coefficients[j]) * self.scale

    def _weights(self, part: slice, coefficients: IntegerArray) -> FloatArray:
        """Return the integer weights (rows of the segment, N) of coefficients (vectors, N)."""
        return product(self.elements[:, : part.stop - part.start].T, coefficients.astype(np.float64), self.digits)

    def _integers(
        self, gram: FloatArray, wanted: FloatArray, real: FloatArray, scale: FloatArray, sweeps: int
    ) -> tuple[IntegerArray, FloatArray]:
        """Round coefficients (N, vectors) and let them descend; returns them and what they take off the error (N,)."""
        at = np.floor(2 * real / scale[:, None]) + len(self.table) // 2
        integers = self.table[np.clip(at, 0, len(self.table) - 1).astype(np.int64)]
        return integers, self._descend(gram, wanted, scale, integers, sweeps)

    def _descend(
        self, gram: FloatArray, wanted: FloatArray, scale: FloatArray, integers: IntegerArray, sweeps: int
    ) -> FloatArray:
        """Improve integers in place."""
        return np.asarray(descend(gram, wanted, scale, integers, self.nonzeros, self.table, sweeps))


__all__ = ["PARTS", "Metric", "Pursuit", "asked_of", "descend", "nearest", "pursue"]
