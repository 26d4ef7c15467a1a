"""Dense mapping: every weight in ceil(weight bits / cell bits) adjacent cells of a row (ARAS section II-C; ISAAC).

With b-bit cells the weight code is written in base 2**b, the most significant digit in the leftmost cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mho.chip import Chip
from mho.errors import MappingError, OptionError, choices
from mho.mapping.tiling import Tiling, tiling
from mho.network.graph import Network


@dataclass(frozen=True)
class LayerMapping:
    """The blocks of one matrix layer. `index` is its place in network.layers, `windows` its input vectors (batch included)."""

    index: int
    name: str
    windows: int
    tiling: Tiling

    @property
    def blocks(self) -> int:
        """Groups that one copy fills."""
        return self.tiling.blocks


@dataclass(frozen=True)
class Mapping:
    """Where the weights of a network sit: for each matrix layer its blocks. `kind` and `packing` are the options used."""

    kind: str
    packing: str
    layers: tuple[LayerMapping, ...]

    @cached_property
    def by_index(self) -> dict[int, LayerMapping]:
        """Layer mappings by the layer's place in network.layers."""
        return {layer.index: layer for layer in self.layers}

    @property
    def blocks(self) -> int:
        """Groups that the whole network fills, one copy of each layer."""
        return sum(layer.blocks for layer in self.layers)


def map_dense(network: Network, chip: Chip, packing: str) -> Mapping:
    """Cut every matrix layer into dense blocks. MappingError where a group cannot hold a single weight."""
    if chip.array_weights_per_row < 1:
        raise MappingError(
            f"chip {chip.name}: an array has {chip.array.columns} columns, but one {chip.weight_bits}-bit weight needs "
            f"{chip.cells_per_weight} cells of {chip.array.cell_bits} bits side by side; no group can hold a block"
        )
    if packing not in PACKINGS:
        raise OptionError(f"unknown packing {packing!r}; {choices(packing, PACKINGS)}")
    position = {layer.name: i for i, layer in enumerate(network.layers)}
    cut = tuple(
        LayerMapping(
            position[layer.name],
            layer.name,
            layer.windows,
            tiling(
                layer.groups, layer.rows, layer.columns, chip.array.rows, chip.group_columns,
                chip.array_weights_per_row, packing == "diagonal",
            ),
        )
        for layer in network.matrix_layers
    )  # fmt: skip
    return Mapping("dense", packing, cut)


PACKINGS = ("diagonal", "separate")
MAPPINGS: dict[str, Callable[[Network, Chip, str], Mapping]] = {"dense": map_dense}


def map_network(network: Network, chip: Chip, *, mapping: str = "dense", packing: str = "diagonal") -> Mapping:
    """Map a network onto a chip.

    packing "diagonal" sets several small matrices of a grouped convolution along the diagonal of one group, "separate"
    gives each matrix groups of its own. Unknown names raise OptionError.
    """
    if mapping not in MAPPINGS:
        raise OptionError(f"unknown mapping {mapping!r}; {choices(mapping, MAPPINGS)}")
    return MAPPINGS[mapping](network, chip, packing)
