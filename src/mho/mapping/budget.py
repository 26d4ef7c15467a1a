"""Which coding each layer takes: the fewest arrays under a budget of error (the choice of x, S and planes per layer in SME; ours).

Given a network in several codings, each layer may take its weights from any of them. What that costs in arrays is counted by
mapping it; what it costs in accuracy is measured, layer by layer, as the change of the network's first output on samples while
all other layers stay as they are. Changes of several layers are taken to add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mho.chip import Chip
from mho.errors import MappingError, OptionError
from mho.mapping.mapper import map_network
from mho.number.coded import QuantisedNetwork
from mho.number.frontier import Frontier, measured
from mho.number.walk import Inputs


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
    for other in codings[1:]:
        if other.network is not first.network:
            raise MappingError(f"a coding is of {other.network.name}, but another network than the first coding's")

    arrays = np.array(
        [
            [
                int(layer.blocks.arrays.sum())
                for layer in map_network(coded, chip, mapping="squeezed", packing=packing, turns=turns).weights
            ]
            for coded in codings
        ],
        dtype=np.int64,
    ).T

    def coding(i: int, k: int) -> QuantisedNetwork:
        return mixed(codings, [k if j == i else 0 for j in range(len(names))])

    return measured(first, names, arrays, coding, samples, lambda text: progress(f"layer {text}"))


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
