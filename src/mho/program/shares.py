"""What each tile adds up of a bag before it sends it on, and which tile merges the bag."""

from __future__ import annotations

from dataclasses import dataclass

import numba
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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _shares(
    order: Ints, bags: Ints, tiles: Places, sent: npt.NDArray[np.bool_], turns: Ints, used: int, of: Ints, sizes: Ints,
    home: Places, counts: Ints,
) -> int:  # fmt: skip
    last = np.full(used, -1, dtype=np.int64)
    share = np.zeros(used, dtype=np.int64)
    seen = np.zeros(used, dtype=np.int32)
    made = 0
    low = 0
    while low < len(order):
        bag = bags[order[low]]
        high = low
        touched = 0
        while high < len(order) and bags[order[high]] == bag:
            act = order[high]
            high += 1
            if not sent[act]:
                continue
            tile = tiles[act]
            if last[tile] != bag:
                last[tile] = bag
                share[tile] = made
                seen[touched] = tile
                touched += 1
                made += 1
            of[act] = share[tile]
            sizes[share[tile]] += 1
        best = -1
        for i in range(touched):
            tile = seen[i]
            more = 0 if best < 0 else sizes[share[tile]] - sizes[share[best]]
            if best < 0 or more > 0 or (more == 0 and (tile - turns[bag]) % used < (best - turns[bag]) % used):
                best = tile
        home[bag] = best
        counts[bag] = touched
        low = high
    return made


def shares(bags: Ints, tiles: Places, sent: npt.NDArray[np.bool_], turns: Ints, *, number: int, used: int) -> Shares:
    """Return the shares of activations for `bags` in `tiles` (activations,), of `number` bags and `used` tiles.

    `sent`: which activations end a partial sum. `turns` (bags,): the place of each bag in its batch.
    """
    order = np.argsort(bags, kind="stable").astype(np.int64)
    of, sizes = np.full(len(bags), -1, dtype=np.int64), np.zeros(len(bags), dtype=np.int64)
    home, counts = np.full(number, -1, dtype=np.int32), np.zeros(number, dtype=np.int64)
    made = _shares(order, bags, tiles, sent, turns, used, of, sizes, home, counts)
    return Shares(of, sizes[:made].copy(), home, counts)
