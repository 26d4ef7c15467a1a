"""Mapping a network by name."""

from __future__ import annotations

from mho.chip import Chip
from mho.errors import MappingError, OptionError, choices
from mho.mapping.dense import map_dense
from mho.mapping.mapping import Mapping
from mho.mapping.squeezed import map_squeezed
from mho.network.graph import Network
from mho.number.coded import QuantisedNetwork

PACKINGS = ("diagonal", "separate")
MAPPINGS = ("dense", "squeezed")
MOST_TURNS = 64


def map_network(
    network: Network | QuantisedNetwork,
    chip: Chip,
    *,
    mapping: str = "dense",
    packing: str = "diagonal",
    turns: int = 1,
) -> Mapping:
    """Map a network onto a chip.

    packing "diagonal" sets several small matrices of a grouped convolution along the diagonal of one group, "separate"
    gives each matrix groups of its own. mapping "squeezed" goes by the weights' bits, so that it takes a quantised
    network; up to `turns` of its blocks that leave room share a group, and are then activated one after another.

    Unknown names raise OptionError, as does a number of turns where nothing takes turns; MappingError where a group cannot
    hold a block, or where the network's weights are not known.

    Layers that have one weight, as the same codes, have the same blocks.
    """
    if mapping not in MAPPINGS:
        raise OptionError(f"unknown mapping {mapping!r}; {choices(mapping, MAPPINGS)}")
    if packing not in PACKINGS:
        raise OptionError(f"unknown packing {packing!r}; {choices(packing, PACKINGS)}")
    if isinstance(turns, bool) or not isinstance(turns, int) or not 1 <= turns <= MOST_TURNS:
        raise OptionError(f"turns is a whole number from 1 to {MOST_TURNS}, not {turns!r}")
    if mapping == "dense":
        if turns != 1:
            raise OptionError("turns is for mapping 'squeezed'; the blocks of a dense mapping have groups of their own")
        net = network.network if isinstance(network, QuantisedNetwork) else network
        return map_dense(net, chip, packing, network.owners)
    if not isinstance(network, QuantisedNetwork):
        raise MappingError(
            f"mapping 'squeezed' goes by the bits of the weights, but {network.name} is known by shapes alone; "
            "load it with weights"
        )
    return map_squeezed(network, chip, packing, turns)
