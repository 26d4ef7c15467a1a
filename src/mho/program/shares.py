"""What each tile adds up of a bag before it sends it on, and which tile merges the bag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Shares:
    """A *share* is the sum of a bag's partial sums of one tile.

    `of` int64 (activations,): the share that an activation's partial sum goes into, -1 where its array goes on with the bag.
    `sizes` int64 (shares,): its partial sums. `home` int32 (bags,): the tile that merges a bag, -1 where it has no look-up: the
    one with most of its partial sums; of equal ones the first, counted round from the bag's place in its batch. `counts` int64
    (bags,): shares of each bag.
    """

    of: Ints
    sizes: Ints
    home: Places
    counts: Ints


def shares(bags: Ints, tiles: Places, sent: npt.NDArray[np.bool_], turns: Ints, *, number: int, used: int) -> Shares:
    """Return the shares of activations for `bags` in `tiles` (activations,), of `number` bags and `used` tiles.

    `sent`: which activations end a partial sum. `turns` (bags,): the place of each bag in its batch.
    """
    of = np.full(len(bags), -1, dtype=np.int64)
    keys, of[sent], sizes = np.unique(bags[sent] * used + tiles[sent], return_inverse=True, return_counts=True)
    bag, tile = np.divmod(keys, used)
    # The share that a bag is merged at comes last, and is what stays of those that are written to its place.
    order = np.lexsort((-((tile - turns[bag]) % used), sizes, bag))
    home = np.full(number, -1, dtype=np.int32)
    home[bag[order]] = tile[order]
    return Shares(of, sizes, home, np.bincount(bag, minlength=number))
