"""Mappers: the choices of stage mapping, each of which cuts the weights of a network into blocks.

@choice("mapping", "mine")
class Mine(Mapper):
    "Says in a sentence what it does."

    def cut(self, layer, network, chip, bits): ...      the blocks of one layer

The class line registers it: strategies, the command line and explorations know it from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any, ClassVar

from mho.chip import Chip
from mho.errors import NumberError
from mho.mapping.blocks import Blocks
from mho.mapping.coding import check_codes
from mho.mapping.mapping import LayerMapping, Mapping, WeightMapping, map_layers
from mho.mapping.reading import ChipBits, Conversion, Readings, driven_inputs
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import BasisPlan
from mho.number.bits import ALL_BYTES, BYTES, Bits, LayerBits
from mho.number.coded import QuantisedNetwork
from mho.number.sampled import Sampled
from mho.once import known
from mho.strategy.choice import Choice, built, setting
from mho.strategy.precise import Precise
from mho.strategy.strategy import Strategy

PACKINGS = ("diagonal", "separate")


def most_weight_bits(subject: Sampled, strategy: Strategy) -> int:
    """Return the bits of the widest weight of a network, as it is coded or is to be; 8 at the least."""
    try:
        bits = strategy.get(Precise).bits_of(subject.net) if subject.quantised is None else subject.quantised.bits
    except NumberError:  # Bits that a network cannot have are the coding's to refuse.
        return BYTES.weights
    return max((BYTES.weights, *(each.weights for each in bits.values())))


class Mapper(Choice):
    """A way to map a network, which every choice of stage mapping is."""

    stage = "mapping"
    whole: ClassVar[bool] = True
    """True if the cells of a weight hold its code as it is."""
    streams: ClassVar[bool] = False
    """True if layers need coefficients that come from main memory while they are computed."""

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits) -> Blocks:
        """Return the blocks of a layer that owns its weights."""
        raise NotImplementedError

    def demand(self, network: Network | QuantisedNetwork, chip: Chip) -> None:
        """Raise MappingError for a network, or a chip, that it maps no layer of, or onto."""

    def mapped(
        self,
        network: Network | QuantisedNetwork,
        chip: Chip,
        bits: Bits = ALL_BYTES,
        conversion: Conversion | None = None,
        basis: BasisPlan | None = None,
    ) -> Mapping:
        """Return where the weights of a network sit, and how they are read. Raises MappingError where a group cannot hold a block,
        or cells a code.

        `bits`: of the layers of a network without codes; those of codes are their own. `conversion`: the bits of conversions; None
        for those that the chip's ADCs have. `basis`: that which weights are to be combinations of, None for none.
        """
        self.demand(network, chip)
        net = network.network if isinstance(network, QuantisedNetwork) else network
        bits_of = network.bits if isinstance(network, QuantisedNetwork) else bits
        readings = Readings(chip, conversion or ChipBits())
        owners, common = self.shared(network, chip, basis)

        def cut(layer: MatrixLayer) -> Blocks:
            blocks = self.cut(layer, network, chip, bits_of.get(layer.name, BYTES))
            if isinstance(network, QuantisedNetwork):
                check_codes(layer.name, network.matrices[layer.name].codes, blocks.shape.coding)
            return blocks

        def read(layer: MatrixLayer, index: int, weight: WeightMapping) -> LayerMapping:
            return self.driven(layer, index, weight, network, bits_of.get(layer.name, BYTES), readings, basis)

        return map_layers(self.name, net, owners, cut, read, common)

    def shared(
        self, network: Network | QuantisedNetwork, chip: Chip, basis: BasisPlan | None
    ) -> tuple[Map[str, str], Map[str, Blocks]]:
        """Return for each layer the one whose blocks it drives, or the name of blocks that are common to layers; and these."""
        return network.owners, {}

    def driven(
        self,
        layer: MatrixLayer,
        index: int,
        weight: WeightMapping,
        network: Network | QuantisedNetwork,
        bits: LayerBits,
        readings: Readings,
        basis: BasisPlan | None,
    ) -> LayerMapping:
        """Return how a layer of these bits, which has a place in network.layers, drives the blocks of a weight."""
        readout = readings.of(weight.blocks, *driven_inputs(layer, network, readings.chip, bits))
        return LayerMapping(index, layer.name, layer.windows, weight.run, weight.blocks, bits, readout)


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


def mapped_by(strategy: Strategy, network: Network | QuantisedNetwork, chip: Chip) -> Mapping:
    """Map a network as the strategy's coding, mapping and conversion say. Raises MappingError where a group cannot hold a block."""
    coding, net = strategy.get(Precise), network.network if isinstance(network, QuantisedNetwork) else network
    bits = ALL_BYTES if isinstance(network, QuantisedNetwork) else coding.bits_of(network)
    mapper, conversion, basis = strategy.get(Mapper), strategy.get(Conversion), coding.basis_of(net, chip)
    if basis is not None:
        return mapper.mapped(network, chip, bits, conversion, basis)
    # A chip that is sized to a network has other tiles than the one that it is sized from, and nothing else: blocks stay.
    asked = (mapper, conversion, coding, chip.spec.model_copy(update={"tiles": 1}))
    last = known(network).get(mapped_by)
    if last is not None and last[0] == asked:
        found: Mapping = last[1]
        return found.on(chip)
    mapping = mapper.mapped(network, chip, bits, conversion)
    known(network)[mapped_by] = asked, mapping
    return mapping


__all__ = ["PACKINGS", "Mapper", "Packed", "map_network", "mapped_by", "most_weight_bits"]
