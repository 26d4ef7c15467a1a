"""The chips of the study: arrays of ARAS, so many as are said, and what combines the sums of a basis beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import mho

TILES = {1: (1, 1), 4: (1, 4), 16: (1, 16), 64: (4, 16), 100: (5, 20), 2304: (96, 24)}
"""Arrays of a chip to its tiles, and the arrays of a tile: no more than the 24 of ARAS's tiles."""
COLUMNS = 128
"""Vectors that an array holds, of elements of one cell."""
GROUP = 4
"""Arrays of a group of ARAS; a smaller chip has a smaller group."""
BATCH = 16
"""Windows of a batch of preset basisn."""
SUM_BITS = 18
"""Bits of a sum of preset basisn, sign included: 128 rows x 3 x 255."""
BATCHES = 2
"""Batches of windows that a product buffer holds."""
WIDER = {"basis.merging": "switches"}
"""What a chip needs beside to merge columns before its ADCs."""


def cut(chip: mho.Chip, arrays: int, group: int, **changes: Any) -> mho.Chip:
    """Return a chip of so many arrays, so many of which are a group; the buffers of the chip stay as they are."""
    tiles, each = TILES[arrays]
    keys = {"tiles": tiles, "tile.groups": each // group, "group.arrays": group, **changes}
    return chip.override(keys, source="study: arrays of the chip", name=f"{chip.name}-{arrays}-{group}")


@cache
def rewriting(arrays: int) -> mho.Chip:
    """Return ARAS of so many arrays, to which inputs come as to preset basisn: ports as wide, buffers as large."""
    basisn = mho.Chip.load("basisn")
    keys = {
        "buffer.port_bits": basisn.buffer.port_bits,
        "tile.buffer_bytes": basisn.tile.buffer_bytes,
        "tile.input_fetch": basisn.tile.input_fetch,
        "tile.noc_port_bits": basisn.tile.noc_port_bits,
    }
    return cut(mho.Chip.load("aras"), arrays, min(GROUP, arrays), **keys)


def holds(arrays: int, vectors: int) -> bool:
    """Say whether a chip of so many arrays holds a basis of so many vectors."""
    return vectors <= COLUMNS * arrays


def combining(arrays: int, vectors: int, changes: Mapping[str, Any] | None = None) -> mho.Chip:
    """Return preset basisn of so many arrays: a group is what the basis fills, its product buffer what its sums fill.

    So every group has the 64 lanes of the preset, and no array idles whatever the size of the basis. `changes` are made last.
    """
    batch = (changes or {}).get("basis.batch", BATCH)
    keys: dict[str, Any] = {"basis.product_bytes": BATCHES * batch * vectors * SUM_BITS // 8, **(changes or {})}
    return cut(mho.Chip.load("basisn"), arrays, -(-vectors // COLUMNS), **keys)
