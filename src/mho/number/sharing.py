"""Layers that share a weight: what is done to its codes is done for all of them.

The first of them in network order owns the weight (`Network.owners`). A weight is coded, shifted and recoded once, by that layer's
name; the others take its codes and keep biases of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mho.errors import NumberError, choices
from mho.network.graph import Network

if TYPE_CHECKING:
    from mho.number.coded import QuantisedMatrix
    from mho.number.squeeze import Squeeze

Asked = TypeVar("Asked")


def same_shifts(one: Squeeze | None, other: Squeeze | None) -> bool:
    """Return whether the rows of two layers of one shape are stored shifted alike."""
    if one is None or other is None:
        return one is other
    return one is other or (one.tile == other.tile and np.array_equal(one.shifts, other.shifts))


def tied(network: Network, matrices: Mapping[str, QuantisedMatrix]) -> dict[str, QuantisedMatrix]:
    """Return the matrices with the codes of each layer that shares its weight taken from the layer that owns it; biases stay."""
    tied: dict[str, QuantisedMatrix] = {}
    for name, owner in network.owners.items():
        own, given = tied.get(owner, matrices[owner]), matrices[name]
        same = given.bias is own.bias or (
            given.bias is not None and own.bias is not None and np.array_equal(given.bias, own.bias)
        )
        # One object where nothing differs: a network unrolled over many steps then holds its weights once.
        tied[name] = own if same else replace(own, bias=given.bias)
    return tied


def tied_squeezes(network: Network, squeezes: Mapping[str, Squeeze]) -> dict[str, Squeeze]:
    """Return the shifts of rows of each layer, those of layers that share a weight taken from the layer that owns it."""
    return {name: squeezes[owner] for name, owner in network.owners.items() if owner in squeezes}


def by_owner(network: Network, asked: Asked | Mapping[str, Asked]) -> dict[str, Asked]:
    """Return what is asked of each layer that owns its weights, by name, in network order: one thing of all, or some by name.

    Raises NumberError for a name that is no matrix layer, or one that uses the weights of another.
    """
    names = [layer.name for layer in network.weighted]
    if not isinstance(asked, Mapping):
        return dict.fromkeys(names, asked)
    for name in asked:
        owner = network.owners.get(name)
        if owner is None:
            raise NumberError(f"{network.name} has no matrix layer {name!r}: {choices(name, network.owners)}")
        if owner != name:
            raise NumberError(
                f"layer {name!r} uses the weights of layer {owner!r}: name that one, which stands for both"
            )
    return {name: asked[name] for name in names if name in asked}


__all__ = ["by_owner", "same_shifts", "tied", "tied_squeezes"]
