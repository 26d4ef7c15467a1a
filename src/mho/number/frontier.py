"""Which coding each part of a network takes: the least cost under a budget of error (the choice of x, S and planes per layer in
SME; ours).

What a part costs in each coding is counted; what it costs in accuracy is measured, part by part, as the change of the network's
first output on samples while all other parts stay as they are. Changes of several parts are taken to add up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.number.coded import QuantisedNetwork
from mho.number.reference import run_reference
from mho.number.walk import Inputs

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frontier:
    """The cost of each part of a network in each of its codings; errors are measured against the first of these.

    `costs` int64 and `errors` float64, shape (parts, codings): arrays of one copy, say; squared change of the network's first
    output over its variance, 0 where a coding saves nothing and was not measured. `names`: the parts, such as the layers that
    own the weights.
    """

    names: tuple[str, ...]
    costs: npt.NDArray[np.int64]
    errors: FloatArray

    def within(self, budget: float) -> tuple[int, ...]:
        """Return the coding of each part with the least cost found whose errors sum to at most `budget`.

        Steps from a coding to the next one on the lower convex hull of a part are taken in the order of cost saved per error,
        which is the best for the budget that the steps taken use up (Lagrange), and then as many more as still fit.
        Raises OptionError for a negative budget.
        """
        if not budget >= 0:
            raise OptionError(f"a budget of error is 0 or more, not {budget!r}")
        picks = [0] * len(self.names)
        used = 0.0
        stuck: set[int] = set()
        for part, coding, error in self._steps():
            if part in stuck:
                continue
            if used + error > budget:
                stuck.add(part)
                continue
            used += error
            picks[part] = coding
        return tuple(picks)

    def points(self) -> tuple[tuple[float, tuple[int, ...]], ...]:
        """Return the budgets at which a step more is taken, each with the codings of all parts; the first is 0."""
        picks = [0] * len(self.names)
        used = 0.0
        points = [(used, tuple(picks))]
        for part, coding, error in self._steps():
            used += error
            picks[part] = coding
            points.append((used, tuple(picks)))
        return tuple(points)

    def total(self, picks: Sequence[int]) -> tuple[int, float]:
        """Return the cost and the error of a choice of codings."""
        parts = np.arange(len(self.names))
        return int(self.costs[parts, list(picks)].sum()), float(self.errors[parts, list(picks)].sum())

    def _steps(self) -> Iterator[tuple[int, int, float]]:
        """Yield steps (part, coding, error added), the most cost saved per error first; those of a part in their order."""
        steps: list[tuple[float, int, int, int, float]] = []
        for part in range(len(self.names)):
            hull = _hull(self.costs[part], self.errors[part])
            for before, after in pairwise(hull):
                saved = int(self.costs[part, before] - self.costs[part, after])
                error = float(self.errors[part, after] - self.errors[part, before])
                steps.append((-saved / error if error > 0 else -np.inf, part, len(steps), after, error))
        for _, part, _, after, error in sorted(steps):
            yield part, after, error


def _hull(costs: npt.NDArray[np.int64], errors: FloatArray) -> list[int]:
    """Return the codings on the lower convex hull, from the first coding on: ever less cost for ever more error each."""
    hull = [0]
    order = sorted(range(1, len(costs)), key=lambda coding: (errors[coding], costs[coding]))
    for coding in order:
        if costs[coding] >= costs[hull[-1]]:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            # b stays if what it saves per error is more than what the step from it to the new one saves.
            saved, more = costs[a] - costs[b], costs[b] - costs[coding]
            if saved * (errors[coding] - errors[b]) > more * (errors[b] - errors[a]):
                break
            hull.pop()
        hull.append(coding)
    return hull


def first_output(coded: QuantisedNetwork, samples: Inputs) -> FloatArray:
    """Return the network's first output on samples, as the integer reference computes it."""
    return np.asarray(run_reference(coded, samples)[coded.network.outputs[0]], dtype=np.float64)


def changed(wanted: FloatArray, given: FloatArray) -> float:
    """Return the squared change of an output over its variance."""
    return float(np.square(given - wanted).mean()) / max(float(wanted.var()), sys.float_info.min)


def measured(
    first: QuantisedNetwork,
    names: Sequence[str],
    costs: npt.NDArray[np.int64],
    coding: Callable[[int, int], QuantisedNetwork],
    samples: Inputs,
    progress: Callable[[str], None] = lambda text: None,
) -> Frontier:
    """Measure every part of a network in each of its codings against `first`, which has the first coding in all parts.

    `coding(i, k)` is the network with part i alone in coding k. What saves nothing is never chosen, and not measured.
    """
    wanted = first_output(first, samples)
    errors = np.zeros(costs.shape)
    for i, name in enumerate(names):
        progress(f"{name}, {i + 1} of {len(names)}")
        for k in range(1, costs.shape[1]):
            if costs[i, k] < costs[i, 0]:
                errors[i, k] = changed(wanted, first_output(coding(i, k), samples))
    return Frontier(tuple(names), costs, errors)


__all__ = ["Frontier", "changed", "first_output", "measured"]
