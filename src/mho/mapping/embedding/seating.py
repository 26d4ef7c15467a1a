"""Which tile each instance sits in, by a history (ours): groups that bags touch together in one tile, so that fewer sums leave it.

It is the grouping of rows again, a level up: what a bag looks up are groups of rows, and what holds them are tiles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.mapping.embedding.group import group
from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Trace


def tiles_touched(layout: Layout, history: Trace) -> Trace:
    """Return the bags of a history as bags of the groups that they touch, each once."""
    touched = layout.touched(history)
    groups_of_bag = np.bincount(touched // layout.groups, minlength=history.bags)
    offsets = np.concatenate([[0], np.cumsum(groups_of_bag)]).astype(np.int64)
    indices = (touched % layout.groups).astype(np.int32)
    tables = np.zeros(history.bags, dtype=np.int32)
    return Trace((layout.groups,), offsets, indices, tables, history.queries, history.origin)


def seated(layout: Layout, history: Trace, tiles: int, per_tile: int, seed: int = 0) -> npt.NDArray[np.int32]:
    """Return the tile of each instance, int32 (instances,): at most `per_tile` in each of `tiles`.

    First copies go where the groups sit that their bags touch too, with as many groups in each tile as in any other; each further
    copy, the busiest groups' first, to the tile with most room.
    """
    share = -(-layout.groups // tiles)
    placed = group(tiles_touched(layout, history), share, "refine", seed=seed)
    tile = np.empty(layout.instances, dtype=np.int32)
    of_group = np.empty(layout.groups, dtype=np.int32)
    of_group[placed.members] = np.repeat(np.arange(placed.groups), np.diff(placed.starts))
    tile[layout.first[:-1]] = of_group
    free = per_tile - np.bincount(of_group, minlength=tiles)
    further = np.ones(layout.instances, dtype=np.bool_)
    further[layout.first[:-1]] = False
    for instance in np.flatnonzero(further):
        chosen = int(free.argmax())
        tile[instance] = chosen
        free[chosen] -= 1
    return tile
