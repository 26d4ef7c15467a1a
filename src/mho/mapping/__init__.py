"""Where values sit: matrices cut into blocks, a block for each group of arrays."""

from mho.mapping.budget import Frontier, frontier, mixed
from mho.mapping.choose import Dense, Mapper, Squeezed, map_network
from mho.mapping.mapping import LayerMapping, Mapping
from mho.mapping.pieces import Piece, Pieces
from mho.mapping.room import Room
from mho.mapping.tiling import Block, Tiling

__all__ = [
    "Block",
    "Dense",
    "Frontier",
    "LayerMapping",
    "Mapper",
    "Mapping",
    "Piece",
    "Pieces",
    "Room",
    "Squeezed",
    "Tiling",
    "frontier",
    "map_network",
    "mixed",
]
