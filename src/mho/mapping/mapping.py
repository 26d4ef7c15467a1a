"""Where the weights of a network sit: the blocks of a mapping, and for each matrix layer the run of them that it drives.

Blocks belong to the mapping, which numbers them one weight after another; layers refer to them. Layers of one weight refer to the
same run, and a program writes runs of blocks, whoever reads them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mho.chip import Chip
from mho.chip.readout import Readout
from mho.mapping.blocks import Blocks, Fullest, Run
from mho.mapping.combination import Combination, FloatArray, IntArray
from mho.mapping.grid import CellGrid, grid_of
from mho.mapping.shape import GroupShape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.bits import LayerBits
from mho.shown import Shown

if TYPE_CHECKING:
    from mho.mapping.embedding.tables import TableMapping

Owners = Map[str, str]


@dataclass(frozen=True, repr=False)
class WeightMapping(Shown):
    """The blocks that hold one weight: the mapping's from number `first` on. `name` is the layer whose codes they hold."""

    name: str
    first: int
    blocks: Blocks

    @property
    def run(self) -> Run:
        """The run of the mapping's blocks, half-open."""
        return self.first, self.first + self.blocks.count

    def within(self, run: Run) -> Run:
        """Return a run of the mapping's blocks as a run of `blocks`."""
        return run[0] - self.first, run[1] - self.first


@dataclass(frozen=True, repr=False)
class LayerMapping(Shown):
    """The run of the mapping's blocks that one matrix layer drives, and how it does: as `blocks`, which are numbered from 0.

    `index` is its place in network.layers, `windows` the input vectors of its blocks (batch included; of a basis, those of all
    parts of the layer), `bits` those of the codes in cells and of inputs, and `readout` how one input vector is driven and
    converted. `combination`: what becomes of the sums of a basis; None where they are those of the layer.
    """

    index: int
    name: str
    windows: int
    run: Run
    blocks: Blocks
    bits: LayerBits
    readout: Readout
    combination: Combination | None = None

    @property
    def steps(self) -> int:
        """Input steps that one input vector takes."""
        return self.readout.all_steps

    @property
    def window_s(self) -> float:
        """Time in s that one input vector takes: of arrays, or of the lanes that combine its sums meanwhile; of a layer
        on a basis on average over its parts.
        """
        return self.driven_s if self.combination is None else max(self.driven_s, self.combination.window_s)

    @property
    def driven_s(self) -> float:
        """Time in s that arrays take for one input vector by themselves: none where columns are merged, as long as that takes, or
        where the vectors are unit vectors.
        """
        combination = self.combination
        alone = combination is not None and (combination.merging is not None or combination.numbers.units)
        return 0.0 if alone else self.readout.window_s

    def lasting_s(self, first: IntArray, last: IntArray) -> FloatArray:
        """Return the time in s that ranges of input vectors [first, last) take."""
        if self.combination is None:
            return np.asarray((last - first) * self.window_s)
        return np.asarray(np.maximum((last - first) * self.driven_s, self.combination.lasting_s(first, last)))

    def fullest(self) -> Fullest:
        """Return what is converted together at most, whatever the weights: the fullest column, or so many that are merged."""
        column = self.blocks.fullest()
        merged = 1 if self.combination is None else self.combination.most_merged
        return column if merged == 1 else Fullest(column.levels * merged, column.rows)

    @property
    def count(self) -> int:
        """Groups that one copy fills."""
        return self.blocks.count

    def within(self, run: Run) -> Run:
        """Return a run of the mapping's blocks as a run of `blocks`."""
        return run[0] - self.run[0], run[1] - self.run[0]


Cut = Callable[[MatrixLayer], Blocks]
"""Cuts a layer into blocks."""
Read = Callable[[MatrixLayer, int, WeightMapping], LayerMapping]
"""Returns how a layer, which has a place in network.layers, drives the blocks of a weight."""


@dataclass(frozen=True, repr=False)
class Mapping(Shown):
    """The places of a network's weights: their blocks, and the layers that drive them.

    The runs of two layers are the same or have no block in common. `kind` is the
    name of the choice that made it. `tables`: the blocks that hold rows of tables, for layers that add them up; None without such.
    """

    kind: str
    weights: tuple[WeightMapping, ...]
    layers: tuple[LayerMapping, ...]
    tables: TableMapping | None = None

    def on(self, chip: Chip) -> Mapping:
        """Return the same mapping on a chip that differs from its own in its number of tiles alone."""
        read = {id(layer.readout): replace(layer.readout, chip=chip) for layer in self.layers}
        layers = tuple(replace(layer, readout=read[id(layer.readout)]) for layer in self.layers)
        return Mapping(self.kind, self.weights, layers, self.tables)

    @cached_property
    def shapes(self) -> tuple[GroupShape, ...]:
        """The different shapes of groups that blocks are cut for, in the order of the weights."""
        return tuple(dict.fromkeys(weight.blocks.shape for weight in self.weights))

    @cached_property
    def grid(self) -> CellGrid:
        """The cells of a group that blocks may use, one that another may overwrite."""
        return grid_of(self.shapes)

    @cached_property
    def by_index(self) -> dict[int, LayerMapping]:
        """Layer mappings by the layer's place in network.layers."""
        return {layer.index: layer for layer in self.layers}

    @cached_property
    def by_name(self) -> dict[str, LayerMapping]:
        """Layer mappings by the layer's name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def users(self) -> dict[Run, tuple[LayerMapping, ...]]:
        """For each run of blocks the layers that drive it, in order."""
        users: dict[Run, list[LayerMapping]] = {}
        for layer in self.layers:
            users.setdefault(layer.run, []).append(layer)
        return {run: tuple(layers) for run, layers in users.items()}

    @cached_property
    def first_users(self) -> tuple[LayerMapping, ...]:
        """The layers that are the first to drive their blocks, in order."""
        return tuple(layers[0] for layers in self.users.values())

    @cached_property
    def combining(self) -> tuple[LayerMapping, ...]:
        """The layers that combine the sums of a basis, in order."""
        return tuple(layer for layer in self.layers if layer.combination is not None)

    @property
    def plain(self) -> bool:
        """True if every column that counts is driven and converted by itself: none is merged, none of a unit vector."""
        return not any(
            each.combination and (each.combination.merging or each.combination.numbers.units) for each in self.layers
        )

    @cached_property
    def _firsts(self) -> list[int]:
        return [weight.first for weight in self.weights]

    def weight_of(self, block: int) -> WeightMapping:
        """Return the weight that a block of the mapping holds."""
        return self.weights[bisect_right(self._firsts, block) - 1]

    def located(self, run: Run) -> tuple[Blocks, Run]:
        """Return the blocks that a run of one weight's blocks lies in, and the run in their own numbers."""
        weight = self.weight_of(run[0])
        return weight.blocks, weight.within(run)

    def most_copies(self, layer: LayerMapping) -> int:
        """Copies of a layer's blocks beyond which none would have a window to serve: the most windows of any user."""
        return max(1, *(user.windows for user in self.users[layer.run]))

    @property
    def count(self) -> int:
        """Groups that the whole network fills, one copy of each block."""
        return sum(weight.blocks.count for weight in self.weights)

    @property
    def arrays(self) -> int:
        """Arrays that the whole network uses, one copy of each block."""
        return sum(int(weight.blocks.arrays.sum()) for weight in self.weights)


def map_layers(
    kind: str, network: Network, owners: Owners, cut: Cut, read: Read, common: Map[str, Blocks] | None = None
) -> Mapping:
    """Map every matrix layer: one that owns its weights as `cut` cuts it, the others onto the blocks of their owner.

    `owners` names for each layer the one whose weights it has, or blocks that are `common` to layers, by a name that no layer
    has; `read` says how each layer drives its blocks.
    """
    position = {layer.name: i for i, layer in enumerate(network.layers)}
    weights: dict[str, WeightMapping] = {}
    layers: list[LayerMapping] = []
    first = 0
    for layer in network.matrix_layers:
        name, owner = layer.name, owners[layer.name]
        if owner not in weights:
            blocks = cut(layer) if owner == name else (common or {})[owner]
            weights[owner] = WeightMapping(owner, first, blocks)
            first = weights[owner].run[1]
        layers.append(read(layer, position[name], weights[owner]))
    return Mapping(kind, tuple(weights.values()), tuple(layers))


__all__ = ["LayerMapping", "Mapping", "WeightMapping", "map_layers"]
