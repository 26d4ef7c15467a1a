"""Where values sit: matrices cut into blocks, a block for each group of arrays."""

from mho.mapping.basis import Basis
from mho.mapping.blocks import Blocks, Drive, Totals, Turn
from mho.mapping.budget import frontier, mixed
from mho.mapping.dense import Dense, DenseBlocks
from mho.mapping.digits import DigitBlocks, Digits
from mho.mapping.mapper import Mapper, Packed, map_network, mapped_by
from mho.mapping.mapping import LayerMapping, Mapping, WeightMapping
from mho.mapping.reading import Conversion
from mho.mapping.shape import GroupShape
from mho.mapping.squeezed import Squeezed
from mho.number.frontier import Frontier

__all__ = [
    "Basis",
    "Blocks",
    "Conversion",
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
    "Packed",
    "Squeezed",
    "Totals",
    "Turn",
    "WeightMapping",
    "frontier",
    "map_network",
    "mapped_by",
    "mixed",
]
