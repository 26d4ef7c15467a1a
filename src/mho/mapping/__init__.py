"""Where values sit: matrices cut into blocks, a block for each group of arrays."""

from mho.mapping.blocks import Blocks, Drive, Totals, Turn
from mho.mapping.budget import Frontier, frontier, mixed
from mho.mapping.choose import Dense, Mapper, Squeezed, map_network
from mho.mapping.dense import DenseBlocks
from mho.mapping.digits import DigitBlocks, Digits
from mho.mapping.mapping import LayerMapping, Mapping, WeightMapping
from mho.mapping.shape import GroupShape

__all__ = [
    "Blocks",
    "Dense",
    "DenseBlocks",
    "DigitBlocks",
    "Digits",
    "Drive",
    "Frontier",
    "GroupShape",
    "LayerMapping",
    "Mapper",
    "Mapping",
    "Squeezed",
    "Totals",
    "Turn",
    "WeightMapping",
    "frontier",
    "map_network",
    "mixed",
]
