"""How many coefficients the segments of each layer may have: asked for by layer, or the fewest under a budget of error (ours).

As bits are chosen (`budget`): each layer takes the number of least cost while the errors of all, each measured alone, sum to at
most the budget (`frontier`). Which samples judge the result is the user's to choose: others than these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from mho.errors import NumberError, OptionError
from mho.network.graph import Network
from mho.number.budget import few_samples
from mho.number.coded import QuantisedNetwork
from mho.number.frontier import changed, first_output, measured
from mho.number.sharing import tied
from mho.number.walk import Inputs


@dataclass(frozen=True)
class Fewest:
    """The fewest coefficients of each layer, of several numbers that are given, within an error.

    fit_basis(network, samples, nonzeros=Fewest(0.01))                 of 8, 16, 24 and 32 in a segment
    fit_basis(network, samples, nonzeros=Fewest(0.01, (16, 32, 48)))   of 16, 32 and 48

    `error`: the squared change of the network's first output over its variance, against the most in all layers, that the errors
    of all layers may sum to. A layer costs as many coefficients as it has. The network is fitted once for each number, and once
    more with those that are chosen. `progress` is told how far the work is.
    """

    error: float
    nonzeros: tuple[int, ...] = (8, 16, 24, 32)
    progress: Callable[[str], None] = field(default=lambda text: None, compare=False)

    def __post_init__(self) -> None:
        """Refuse errors below 0 and numbers that are none."""
        if not 0 <= self.error < np.inf:
            raise OptionError(f"a budget of error is 0 or more, not {self.error!r}")
        if not self.nonzeros or min(self.nonzeros) < 1:
            raise NumberError(f"a segment has at least 1 coefficient, not one of {self.nonzeros}")


Asked = int | Mapping[str, int] | Fewest


def by_layer(names: Collection[str], asked: int | Mapping[str, int]) -> dict[str, int]:
    """Return the most coefficients of a segment of each layer: one number, or by the first name or pattern that it matches.

    Raises NumberError where no pattern matches a layer, or one counts for none.
    """
    if not isinstance(asked, Mapping):
        return dict.fromkeys(names, asked)
    found: dict[str, int] = {}
    used: set[str] = set()
    for name in sorted(names):
        pattern = next((each for each in asked if name == each or fnmatchcase(name, each)), None)
        if pattern is None:
            raise NumberError(f"how many coefficients has layer {name!r}? * stands for all that no other pattern names")
        used.add(pattern)
        found[name] = asked[pattern]
    for pattern in asked:
        if pattern not in used:
            raise NumberError(
                f"{pattern!r} counts for no layer that is fitted: none has this name, or another pattern comes first"
            )
    return found


def most_of(asked: Asked) -> int:
    """Return the most coefficients that a segment of any layer may have."""
    if isinstance(asked, Fewest):
        return max(asked.nonzeros)
    return max(asked.values(), default=1) if isinstance(asked, Mapping) else asked


def within(
    fewest: Fewest,
    network: Network,
    samples: Inputs,
    fit: Callable[[int | Mapping[str, int]], QuantisedNetwork],
    seen: Callable[[QuantisedNetwork], QuantisedNetwork],
) -> QuantisedNetwork:
    """Return a network of as few coefficients as a budget of error leaves; see `Fewest`.

    `fit` fits it, always to the same basis, and `seen` is what a chip makes of that.
    """
    numbers = sorted(set(fewest.nonzeros), reverse=True)
    fitted = []
    for number in numbers:
        fewest.progress(f"at most {number} coefficients a segment")
        fitted.append(fit(number))
    few = few_samples(network, samples)
    coded, first = [seen(each) for each in fitted], fitted[0].basis
    assert first is not None
    layers = [layer for layer in network.weighted if layer.name in first.coefficients]
    costs = np.array([[_count(each, layer.name) for each in fitted] for layer in layers], dtype=np.int64)

    def coding(part: int, place: int) -> QuantisedNetwork:
        name = layers[part].name
        matrices = {**coded[0].matrices, name: coded[place].matrices[name]}
        return replace(coded[0], matrices=tied(network, matrices))

    names = [layer.name for layer in layers]
    table = measured(coded[0], names, costs, coding, few, fewest.progress)
    picks = table.within(fewest.error)
    chosen = fit({name: numbers[place] for name, place in zip(names, picks, strict=True)})
    error = changed(first_output(coded[0], few), first_output(seen(chosen), few))
    cost, summed = table.total(picks)
    note = (
        f"coefficients of a segment chosen layer by layer, at most {', '.join(map(str, numbers))}: {cost:,} in all, "
        f"{cost / max(int(costs[:, 0].sum()), 1):.2f} of those with the most; errors of layers alone sum to {summed:.3g} of the "
        f"output's variance (budget {fewest.error:g}), that of all together is {error:.3g}"
    )
    return replace(chosen, notes=(*chosen.notes, note))


def _count(fitted: QuantisedNetwork, name: str) -> int:
    """Count the coefficients of a layer."""
    assert fitted.basis is not None
    return int(fitted.basis.coefficients[name].counts.sum())


__all__ = ["Asked", "Fewest", "by_layer", "most_of", "within"]
