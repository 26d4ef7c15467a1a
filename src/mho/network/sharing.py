"""Weights that layers share, kept shared while the network is simplified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mho.network.layers import Array, Layer, MatrixLayer


def reshared(before: Sequence[Layer], after: Sequence[Layer]) -> tuple[Layer, ...]:
    """Let layers that had one weight before folding have one still, where what was folded into it was the same."""
    origin = {layer.name: layer.weight.key for layer in before if isinstance(layer, MatrixLayer)}
    by_origin: dict[tuple[object, ...], list[Array]] = {}
    result: list[Layer] = []
    for layer in after:
        if isinstance(layer, MatrixLayer) and layer.name in origin:
            firsts = by_origin.setdefault(origin[layer.name], [])
            first = next((weight for weight in firsts if _same(weight, layer.weight)), None)
            if first is None:
                firsts.append(layer.weight)
            elif first is not layer.weight:
                layer = replace(layer, weight=first)
        result.append(layer)
    return tuple(result)


def _same(one: Array, other: Array) -> bool:
    """Return whether two weights are one, or known and equal."""
    if one.key == other.key:
        return True
    known = one.values is not None and other.values is not None and one.code is other.code
    return known and np.array_equal(np.asarray(one.values), np.asarray(other.values))
