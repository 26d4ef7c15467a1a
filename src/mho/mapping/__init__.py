"""Where values sit: matrices cut into blocks, a block for each group of arrays."""

from mho.mapping.dense import MAPPINGS, LayerMapping, Mapping, map_network
from mho.mapping.tiling import Block, Tiling

__all__ = ["MAPPINGS", "Block", "LayerMapping", "Mapping", "Tiling", "map_network"]
