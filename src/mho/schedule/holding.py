"""Which shared blocks stay on a chip that cannot hold the whole network.

Blocks that several layers use may stay in their groups from the first of these layers to the last, or be written anew for each.
What stays takes groups from all that must be written meanwhile. So it is counted how often the chip's groups are filled while those
layers run: with F groups held of G, and S blocks of other layers to be written in what is left,

    S / (G - F)  where the blocks stay,   (S + F x layers) / G  where they do not

and they stay where that is not more. Blocks that save most writes are asked about first.
"""

from __future__ import annotations

import numpy as np

from mho.mapping import LayerMapping, Mapping
from mho.mapping.blocks import Run


def held_blocks(mapping: Mapping, groups: int, pinned: frozenset[Run] = frozenset()) -> frozenset[Run]:
    """Return the runs of blocks that stay until the last layer that drives them, on so many groups.

    Some group is always left for a layer whose blocks do not stay. Those that are `pinned` always take groups of their own.
    """
    groups -= sum(last - first for first, last in pinned)
    place = {layer.index: at for at, layer in enumerate(mapping.layers)}
    occupied = np.zeros(len(mapping.layers), dtype=np.int64)
    written = np.array([layer.count * (layer.run not in pinned) for layer in mapping.layers], dtype=np.int64)
    stay: set[Run] = set()
    shared = [layer for layer in mapping.first_users if len(mapping.users[layer.run]) > 1 and layer.run not in pinned]
    for layer in sorted(shared, key=lambda layer: (-_saved(mapping, layer), layer.index)):
        users = [place[user.index] for user in mapping.users[layer.run]]
        span = slice(users[0], users[-1] + 1)
        most = int(occupied[span].max()) + layer.count
        others = int(written[span].sum()) - layer.count * len(users)
        if most + (others > 0) <= groups and others * groups <= (others + layer.count * len(users)) * (groups - most):
            stay.add(layer.run)
            occupied[span] += layer.count
            written[users] = 0
    return frozenset(stay)


def _saved(mapping: Mapping, layer: LayerMapping) -> int:
    """Count the writes of blocks that are saved where a layer's blocks stay."""
    return layer.count * (len(mapping.users[layer.run]) - 1)
