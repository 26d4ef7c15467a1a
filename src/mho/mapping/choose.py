"""How a network can be mapped: the choices of stage mapping, and mapping by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.mapping.dense import map_dense
from mho.mapping.mapping import Mapping
from mho.mapping.squeezed import map_squeezed
from mho.network.graph import Network
from mho.number.coded import QuantisedNetwork
from mho.number.sampled import Sampled
from mho.strategy.choice import Choice, built, choice, setting
from mho.strategy.strategy import Strategy

PACKINGS = ("diagonal", "separate")
MOST_TURNS = 64
_PACKING = (
    "Whether the small matrices of a grouped convolution share groups (on the diagonal) or have groups of their own."
)


class Mapper(Choice):
    """A way to map a network: what every choice of stage mapping is."""

    stage = "mapping"
    whole: ClassVar[bool] = True
    """Whether the cells of a weight hold its code as it is."""

    packing: str

    def mapped(self, network: Network | QuantisedNetwork, chip: Chip) -> Mapping:
        """Return where the weights of a network sit. MappingError where a group cannot hold a block."""
        raise NotImplementedError

    def idle(self, task: Any) -> Iterator[str]:
        """Say where no layer has matrices to pack."""
        if self.packing != PACKINGS[0] and all(layer.groups == 1 for layer in task.network.matrix_layers):
            yield f"packing {self.packing!r} changes nothing: no layer has several matrices that could share a group"


@choice("mapping", "dense", papers=("isaac",))
class Dense(Mapper):
    """Whole weights side by side: each in as many adjacent cells of a row as its bits need."""

    packing: str = setting(default="diagonal", among=PACKINGS, help=_PACKING)

    def mapped(self, network: Network | QuantisedNetwork, chip: Chip) -> Mapping:
        """Return the dense mapping."""
        net = network.network if isinstance(network, QuantisedNetwork) else network
        return map_dense(net, chip, self.packing, network.owners)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse arrays that are too narrow for one weight."""
        if chip.array_weights_per_row < 1:
            yield self.refuse(
                f"one {chip.weight_bits}-bit weight needs {chip.cells_per_weight} cells of {chip.array.cell_bits} bits side by "
                f"side, but an array of chip {chip.name} has {chip.array.columns} columns",
                bound="array.columns",
            )


@choice("mapping", "squeezed", papers=("sme",), weighted=True)
class Squeezed(Mapper):
    """Digits of weights over columns of cells, with what is empty left out; blocks that leave room may share a group in turns."""

    whole = False
    packing: str = setting(default="diagonal", among=PACKINGS, help=_PACKING)
    turns: int = setting(
        default=1,
        least=1,
        most=MOST_TURNS,
        metavar="N",
        help="How many blocks that leave room may share a group and be activated in turn: fewer arrays, more time. For mapping "
        "squeezed.",
    )

    def mapped(self, network: Network | QuantisedNetwork, chip: Chip) -> Mapping:
        """Return the squeezed mapping. MappingError where the network's weights are not known."""
        if not isinstance(network, QuantisedNetwork):
            raise MappingError(
                f"mapping 'squeezed' goes by the bits of the weights, but {network.name} is known by shapes alone; "
                "load it with weights"
            )
        return map_squeezed(network, chip, self.packing, self.turns)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip without the parts that it needs."""
        if chip.sparse is None:
            yield self.refuse(
                f"chip {chip.name} has no index memory, which tells each array its inputs and outputs (key sparse)",
                bound="sparse",
                helps="take chip sme, or add the part",
            )
        elif self.turns > chip.sparse.turns:
            yield self.refuse(
                f"the index memories of chip {chip.name} hold the inputs of {chip.sparse.turns} turns (sparse.turns)",
                field="turns",
                bound="sparse.turns",
                helps="take fewer turns, or a chip with more",
            )
        if chip.coding.pairs:
            yield self.refuse(
                f"chip {chip.name} converts the difference of two columns at once (array.coding {chip.coding.name}), and each "
                "column of digits is converted by itself",
                bound="array.coding",
                helps="take coding offset, flipped or twos_complement",
            )


def map_network(
    network: Network | QuantisedNetwork, chip: Chip, *, mapping: str | Choice = "dense", **settings: object
) -> Mapping:
    """Map a network onto a chip.

    map_network(network, chip)                                  dense, small matrices of a grouped convolution packed diagonally
    map_network(network, chip, packing="separate")              settings of the choice, as a strategy has them
    map_network(quantised, chip, mapping="squeezed", turns=4)   by the bits of the weights

    StrategyError for unknown names and settings out of range; MappingError where a group cannot hold a block, or where the
    network's weights are not known. Layers that have one weight, as the same codes, have the same blocks.
    """
    mapper = built("mapping", mapping, settings)
    assert isinstance(mapper, Mapper)
    return mapper.mapped(network, chip)
