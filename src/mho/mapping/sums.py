"""How large the sum of a column can be: what its cells can hold together by mapping and coding alone, and what they do hold.

A sum counts level x input steps: that of a column whose rows are all driven highest is the sum of its cells' levels times
2^dac_bits - 1. What a column *can* hold depends on the rows of the fullest block, the levels of a cell and the coding; of squeezed
layers, on the rows of each rectangle of digits and the bits that they may have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mho.mapping.blocks import Blocks
from mho.mapping.coding import block_levels
from mho.number.coded import QuantisedMatrix


@dataclass(frozen=True)
class Fullest:
    """The most `levels` that a column can hold together, and the most `rows` that are driven at once."""

    levels: int
    rows: int


def fullest(blocks: Blocks) -> Fullest:
    """Return what the fullest column of a layer's blocks can hold, whatever its weights."""
    return Fullest(*blocks.fullest())


def held_levels(blocks: Blocks, matrix: QuantisedMatrix) -> int:
    """Return the most levels that the weights of a layer make any column hold together; of pairs, the fuller one."""
    most = 0
    for index in range(blocks.count):
        levels, _ = block_levels(blocks.laid(index, matrix), blocks.shape.coding)
        for turn in blocks.turns(index):
            driven = levels[turn.rows] if turn.columns is None else levels[turn.rows][:, turn.columns]
            most = max(most, int(driven.sum(axis=0, dtype=np.uint32).max(initial=0)))
    return most


__all__ = ["Fullest", "fullest", "held_levels"]
