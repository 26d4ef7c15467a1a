"""Which tile each instance sits in: the choices of stage seating, one of which goes by a history (ours).

Groups that bags touch together sit in one tile, so that fewer sums leave it. It is the grouping of rows again, a level up: what a
bag looks up are groups of rows, and what holds them are tiles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping.embedding.group import group
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.trace.trace import Trace
from mho.strategy.choice import Choice, choice

Tiles = npt.NDArray[np.int32]


class TileOrder(Choice):
    """A rule for the tile of each instance, which every choice of stage seating is."""

    stage = "seating"

    def tiles(self, layout: Layout, history: Trace, chip: Chip, dimension: int, seed: int) -> Tiles | None:
        """Return the tile of each instance, int32 (instances,); None where they go round the tiles (`Seats`)."""
        return None


@choice("seating", "round")
class Round(TileOrder):
    """Instances go round the tiles, one after another."""


@choice("seating", "together")
class Together(TileOrder):
    """Groups that bags of the history touch together sit in one tile, so that fewer sums leave it."""

    def tiles(self, layout: Layout, history: Trace, chip: Chip, dimension: int, seed: int) -> Tiles | None:
        """Group the groups."""
        seats = Seats(layout, chip, dimension)
        return seated(layout, history, seats.tiles, seats.per_tile, seed)


def tiles_touched(layout: Layout, history: Trace) -> Trace:
    """Return the bags of a history as bags of the groups that they touch, each once."""
    touched = layout.touched(history)
    groups_of_bag = np.bincount(touched // layout.groups, minlength=history.bags)
    offsets = np.concatenate([[0], np.cumsum(groups_of_bag)]).astype(np.int64)
    indices = (touched % layout.groups).astype(np.int32)
    tables = np.zeros(history.bags, dtype=np.int32)
    return Trace((layout.groups,), offsets, indices, tables, history.queries, history.origin)


def seated(layout: Layout, history: Trace, tiles: int, per_tile: int, seed: int = 0) -> Tiles:
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
