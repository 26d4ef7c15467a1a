"""Which coding each layer takes: the fewest arrays under a budget of error (the choice of x, S and planes per layer in SME; ours).

Given a network in several codings, each layer may take its weights from any of them. What that costs in arrays is counted by
mapping it; what it costs in accuracy is measured, layer by layer, as the change of the network's first output on samples while
all other layers stay as they are. Changes of several layers are taken to add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import MappingError, OptionError
from mho.mapping.mapper import map_network
from mho.number.coded import QuantisedNetwork
from mho.number.reference import run_reference
from mho.number.walk import Inputs

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frontier:
    """The cost of each weight of a network in each of its codings; errors are measured against the first of these.

    `arrays` int64 and `errors` float64, shape (layers, codings): arrays of one copy; squared change of the network's first output
    over its variance, 0 where a coding saves no arrays and was not measured. `names`: the layers
    that own the weights.
    """

    names: tuple[str, ...]
    arrays: npt.NDArray[np.int64]
    errors: FloatArray

    def within(self, budget: float) -> tuple[int, ...]:
        """Return the coding of each layer with the fewest arrays found whose errors sum to at most `budget`.

        Steps from a coding to the next one on the lower convex hull of a layer are taken in the order of arrays saved per error,
        which is the best for the budget that the steps taken use up (Lagrange), and then as many more as still fit.
        Raises OptionError for a negative budget.
        """
        if not budget >= 0:
            raise OptionError(f"a budget of error is 0 or more, not {budget!r}")
        picks = [0] * len(self.names)
        used = 0.0
        stuck: set[int] = set()
        for layer, coding, error in self._steps():
            if layer in stuck:
                continue
            if used + error > budget:
                stuck.add(layer)
                continue
            used += error
            picks[layer] = coding
        return tuple(picks)

    def points(self) -> tuple[tuple[float, tuple[int, ...]], ...]:
        """Return the budgets at which a step more is taken, each with the codings of all layers; the first is 0."""
        picks = [0] * len(self.names)
        used = 0.0
        points = [(used, tuple(picks))]
        for layer, coding, error in self._steps():
            used += error
            picks[layer] = coding
            points.append((used, tuple(picks)))
        return tuple(points)

    def total(self, picks: Sequence[int]) -> tuple[int, float]:
        """Return the arrays and the error of a choice of codings."""
        layers = np.arange(len(self.names))
        return int(self.arrays[layers, list(picks)].sum()), float(self.errors[layers, list(picks)].sum())

    def _steps(self) -> Iterator[tuple[int, int, float]]:
        """Yield steps (layer, coding, error added), the most arrays saved per error first; those of a layer in their order."""
        steps: list[tuple[float, int, int, int, float]] = []
        for layer in range(len(self.names)):
            hull = _hull(self.arrays[layer], self.errors[layer])
            for before, after in pairwise(hull):
                saved = int(self.arrays[layer, before] - self.arrays[layer, after])
                error = float(self.errors[layer, after] - self.errors[layer, before])
                steps.append((-saved / error if error > 0 else -np.inf, layer, len(steps), after, error))
        for _, layer, _, after, error in sorted(steps):
            yield layer, after, error


def _hull(arrays: npt.NDArray[np.int64], errors: FloatArray) -> list[int]:
    """Return the codings on the lower convex hull, from the first coding on: ever fewer arrays for ever more error each."""
    hull = [0]
    order = sorted(range(1, len(arrays)), key=lambda coding: (errors[coding], arrays[coding]))
    for coding in order:
        if arrays[coding] >= arrays[hull[-1]]:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            # b stays if what it saves per error is more than what the step from it to the new one saves.
            if (arrays[a] - arrays[b]) * (errors[coding] - errors[b]) > (arrays[b] - arrays[coding]) * (
                errors[b] - errors[a]
            ):
                break
            hull.pop()
        hull.append(coding)
    return hull


def frontier(
    codings: Sequence[QuantisedNetwork],
    chip: Chip,
    samples: Inputs,
    *,
    packing: str = "diagonal",
    turns: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Frontier:
    """Measure every weight of a network in each of its codings; the first is the one that the others are measured against.

    Outputs are those of the integer reference. MappingError where the codings are not of one network, or a chip cannot hold them.
    """
    if not codings:
        raise OptionError("a frontier needs codings of a network; none are given")
    first = codings[0]
    names = tuple(layer.name for layer in first.network.weighted)
    for coding in codings[1:]:
        if coding.network is not first.network:
            raise MappingError(f"a coding is of {coding.network.name}, but another network than the first coding's")

    def output(coded: QuantisedNetwork) -> FloatArray:
        return run_reference(coded, samples)[coded.network.outputs[0]]

    arrays = np.array(
        [
            [
                int(layer.blocks.arrays.sum())
                for layer in map_network(coded, chip, mapping="squeezed", packing=packing, turns=turns).weights
            ]
            for coded in codings
        ]
    ).T
    wanted = output(first)
    scale = max(float(wanted.var()), np.finfo(np.float64).tiny)
    errors = np.zeros(arrays.shape)
    for i, name in enumerate(names):
        progress(f"layer {name}, {i + 1} of {len(names)}")
        for k in range(1, len(codings)):
            # What saves nothing is never chosen.
            if arrays[i, k] >= arrays[i, 0]:
                continue
            picks = [k if j == i else 0 for j in range(len(names))]
            errors[i, k] = float(np.square(output(mixed(codings, picks)) - wanted).mean()) / scale
    return Frontier(names, arrays, errors)


def mixed(
    codings: Sequence[QuantisedNetwork], picks: Sequence[int], *, names: Sequence[str] | None = None
) -> QuantisedNetwork:
    """Return the first coding with each weight taken from the coding that `picks` names, one for each layer that owns one.

    A note counts the layers of each coding, by `names` of the codings where they are given, else by their numbers.
    Raises OptionError for picks or names that do not fit the codings.
    """
    first = codings[0]
    layers = [layer.name for layer in first.network.weighted]
    if len(picks) != len(layers) or not all(0 <= coding < len(codings) for coding in picks):
        raise OptionError(
            f"picks are one of {len(codings)} codings for each of {len(layers)} layers, not {tuple(picks)!r}"
        )
    called = [f"coding {k}" for k in range(len(codings))] if names is None else names
    if len(called) != len(codings):
        raise OptionError(f"{len(codings)} codings take as many names, not {len(called)}")
    by_owner = dict(zip(layers, picks, strict=True))
    chosen = {name: by_owner[owner] for name, owner in first.network.owners.items()}
    squeezes = {name: codings[k].squeezes[name] for name, k in chosen.items() if name in codings[k].squeezes}
    counted = ", ".join(f"{list(picks).count(k)} of {called[k]}" for k in sorted(set(picks)))
    return replace(
        first,
        matrices={name: codings[k].matrices[name] for name, k in chosen.items()},
        squeezes=squeezes,
        per_channel=any(codings[k].matrices[name].scale.ndim > 0 for name, k in chosen.items()),
        notes=(*first.notes, f"codings of layers chosen one by one: {counted}"),
    )
