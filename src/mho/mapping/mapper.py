"""Mappers: the choices of stage mapping, each of which cuts the weights of a network into blocks.

@choice("mapping", "mine")
class Mine(Mapper):
    "Says in a sentence what it does."

    def group(self, chip): ...                    what a group of arrays offers
    def cut(self, layer, network, chip): ...      the blocks of one layer

The class line registers it: strategies, the command line and explorations know it from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from mho.chip import Chip
from mho.mapping.blocks import Blocks
from mho.mapping.mapping import Mapping, map_layers
from mho.mapping.shape import GroupShape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.coded import QuantisedNetwork
from mho.strategy.choice import Choice, built, setting

PACKINGS = ("diagonal", "separate")


class Mapper(Choice):
    """A way to map a network, which every choice of stage mapping is."""

    stage = "mapping"
    whole: ClassVar[bool] = True
    """True if the cells of a weight hold its code as it is."""

    def group(self, chip: Chip) -> GroupShape:
        """Return what a group of the chip's arrays offers: rows, columns of places, and the cells of a place."""
        raise NotImplementedError

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip) -> Blocks:
        """Return the blocks of a layer that owns its weights."""
        raise NotImplementedError

    def mapped(self, network: Network | QuantisedNetwork, chip: Chip) -> Mapping:
        """Return where the weights of a network sit. Raises MappingError where a group cannot hold a block."""
        net = network.network if isinstance(network, QuantisedNetwork) else network

        def cut(layer: MatrixLayer) -> Blocks:
            return self.cut(layer, network, chip)

        return map_layers(self.name, net, network.owners, chip, cut, self.group(chip))


@dataclass(frozen=True)
class Packed(Mapper):
    """A mapper that can set several small matrices along the diagonal of one group."""

    packing: str = setting(
        default=PACKINGS[0],
        among=PACKINGS,
        help="Whether the small matrices of a grouped convolution share groups (on the diagonal) or have groups of their own.",
    )

    def idle(self, task: Any) -> Iterator[str]:
        """Say where no layer has matrices to pack."""
        if self.packing != PACKINGS[0] and all(layer.groups == 1 for layer in task.network.matrix_layers):
            yield f"packing {self.packing!r} changes nothing: no layer has several matrices that could share a group"


def map_network(
    network: Network | QuantisedNetwork, chip: Chip, *, mapping: str | Choice = "dense", **settings: object
) -> Mapping:
    """Map a network onto a chip.

    map_network(network, chip)                                  dense, small matrices of a grouped convolution packed diagonally
    map_network(network, chip, packing="separate")              settings of the choice, as a strategy has them
    map_network(quantised, chip, mapping="squeezed", turns=4)   by the bits of the weights

    Raises StrategyError for unknown names and settings out of range; MappingError where a group cannot hold a block, or where
    the network's weights are not known. Layers that have one weight, as the same codes, have the same blocks.
    """
    mapper = built("mapping", mapping, settings)
    assert isinstance(mapper, Mapper)
    return mapper.mapped(network, chip)


__all__ = ["PACKINGS", "Mapper", "Packed", "map_network"]
