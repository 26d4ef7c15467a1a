"""The tables of a network in a mapping: bundles of their rows as blocks, and the layers whose bags look them up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mho.errors import MappingError
from mho.mapping.blocks import Run
from mho.mapping.embedding.bundles import BundleBlocks
from mho.mapping.mapping import Mapping, WeightMapping
from mho.network.graph import Network
from mho.network.layers import EmbeddingBag
from mho.number.coded import TABLES
from mho.shown import Shown


@dataclass(frozen=True, eq=False, repr=False)
class TableMapping(Shown):
    """Bundles of rows as the mapping's blocks from number `first` on; `layers` are the places in network.layers of those whose
    tables they hold, in order: rows are counted through them.
    """

    layers: tuple[int, ...]
    first: int
    blocks: BundleBlocks

    @property
    def run(self) -> Run:
        """The run of the mapping's blocks, half-open."""
        return self.first, self.first + self.blocks.count


def bags_of(network: Network) -> dict[int, EmbeddingBag]:
    """Return the layers of a network that add up rows, by their places."""
    return {place: layer for place, layer in enumerate(network.layers) if isinstance(layer, EmbeddingBag)}


def with_tables(mapping: Mapping, network: Network, blocks: BundleBlocks) -> Mapping:
    """Return a mapping whose last blocks hold the tables of a network. MappingError where bundles are not of their rows."""
    bags = bags_of(network)
    widths = sorted({layer.table.shape[1] for layer in bags.values()})
    if widths != [blocks.columns]:
        raise MappingError(f"arrays are laid out for rows of {blocks.columns} features, tables have {widths}")
    rows = sum(layer.table.shape[0] for layer in bags.values())
    if rows != blocks.rows:
        raise MappingError(f"the layout is of {blocks.rows} rows, the tables of {network.name} have {rows}")
    first = mapping.count
    weights = (*mapping.weights, WeightMapping(TABLES, first, blocks))
    return replace(mapping, weights=weights, tables=TableMapping(tuple(bags), first, blocks))
