"""How large the sum of a column can be: what its cells can hold together by mapping and coding alone, and what they do hold.

A sum counts level x input steps: that of a column whose rows are all driven highest is the sum of its cells' levels times
2^dac_bits - 1. What a column *can* hold depends on the rows of the fullest block, the levels of a cell and the coding; of squeezed
layers, on the rows of each piece and the bits that its digits may have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.mapping.coding import block_levels
from mho.mapping.mapping import LayerMapping
from mho.mapping.pieces import Pieces
from mho.mapping.room import Room
from mho.number.coded import QuantisedMatrix


@dataclass(frozen=True)
class Fullest:
    """The most `levels` that a column can hold together, and the most `rows` that are driven at once."""

    levels: int
    rows: int


def fullest(mapped: LayerMapping, room: Room) -> Fullest:
    """Return what the fullest column of a layer can hold, whatever its weights."""
    tiling = mapped.tiling
    if isinstance(tiling, Pieces):
        pieces = [piece for index in range(tiling.blocks) for piece in tiling.block(index).pieces]
        levels = max((piece.height * int(piece.masks.max(initial=0)) for piece in pieces), default=0)
        return Fullest(levels, int(tiling.heights.max(initial=0)))
    rows = min(tiling.rows, tiling.group_rows)
    driven = rows * tiling.packed
    # Columns are inverted by what all rows of their block could hold, also where few of them hold weights.
    return Fullest(room.coding.fullest(rows, driven), driven)


def held_levels(mapped: LayerMapping, matrix: QuantisedMatrix, room: Room) -> int:
    """Return the most levels that the weights of a layer make any column hold together; of pairs, the fuller one."""
    tiling, most = mapped.tiling, 0
    for index in range(tiling.blocks):
        if isinstance(tiling, Pieces):
            for piece in tiling.block(index).pieces:
                most = max(most, int(piece.digits(matrix.centred).sum(axis=0, dtype=np.uint32).max(initial=0)))
            continue
        levels, _ = block_levels(mapped.laid(matrix, index, room.coding.base), room.coding)
        most = max(most, int(levels.sum(axis=0, dtype=np.uint32).max(initial=0)))
    return most


__all__ = ["Fullest", "fullest", "held_levels"]
