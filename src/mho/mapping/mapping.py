"""Where the weights of a network sit: for each matrix layer its blocks, and the room that they fill."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping.layout import block_codes
from mho.mapping.pieces import Pieces
from mho.mapping.room import Room
from mho.mapping.tiling import Tiling
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.coded import QuantisedMatrix
from mho.shown import Shown
from mho.units import exact

Owners = Map[str, str]


@dataclass(frozen=True, repr=False)
class LayerMapping(Shown):
    """The blocks of one matrix layer.

    `index` is its place in network.layers, `windows` its input vectors (batch included), `steps` the input-bit steps that
    one of them takes, `window_s` the time in s that it takes. `shares` is the place of the earlier layer whose weights, and so
    whose blocks, it uses; None where it has blocks of its own.
    """

    index: int
    name: str
    windows: int
    tiling: Tiling | Pieces
    steps: int
    window_s: float
    shares: int | None = None

    @property
    def owner(self) -> int:
        """The place of the layer whose blocks it uses: its own, or that of an earlier layer."""
        return self.index if self.shares is None else self.shares

    @property
    def blocks(self) -> int:
        """Groups that one copy fills."""
        return self.tiling.blocks

    def laid(self, matrix: QuantisedMatrix, index: int, blank: int) -> npt.NDArray[np.uint8]:
        """Return what the places of block `index` hold, as codes of the room's coding, shape (height, width).

        `blank` is the code of a place where no weight sits.
        """
        if isinstance(self.tiling, Pieces):
            return self.tiling.laid(matrix.centred, index)
        return block_codes(matrix.codes, self.tiling, index, blank)


Cut = Callable[[MatrixLayer], tuple[Tiling | Pieces, int]]
"""Cuts a layer into blocks; returns them and the steps of a window."""


@dataclass(frozen=True, repr=False)
class Mapping(Shown):
    """Where the weights of a network sit: for each matrix layer its blocks, in groups of this `room`.

    Layers that share a weight share its blocks, which belong to the first of them. `kind`, `packing` and `turns` are the options
    used.
    """

    kind: str
    packing: str
    layers: tuple[LayerMapping, ...]
    room: Room
    turns: int = 1

    @cached_property
    def by_index(self) -> dict[int, LayerMapping]:
        """Layer mappings by the layer's place in network.layers."""
        return {layer.index: layer for layer in self.layers}

    @cached_property
    def by_name(self) -> dict[str, LayerMapping]:
        """Layer mappings by the layer's name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def owners(self) -> tuple[LayerMapping, ...]:
        """The layers that have blocks of their own, in order."""
        return tuple(layer for layer in self.layers if layer.shares is None)

    @cached_property
    def users(self) -> dict[int, tuple[LayerMapping, ...]]:
        """For each layer that has blocks the layers that use them, itself first."""
        users: dict[int, list[LayerMapping]] = {layer.index: [] for layer in self.owners}
        for layer in self.layers:
            users[layer.owner].append(layer)
        return {index: tuple(each) for index, each in users.items()}

    def most_copies(self, layer: LayerMapping) -> int:
        """Copies of a layer's blocks beyond which none would have a window to serve: the most windows of any user."""
        return max(1, *(each.windows for each in self.users[layer.owner]))

    @property
    def blocks(self) -> int:
        """Groups that the whole network fills, one copy of each block."""
        return sum(layer.blocks for layer in self.owners)

    @property
    def arrays(self) -> int:
        """Arrays that the whole network uses, one copy of each block."""
        return sum(int(layer.tiling.arrays.sum()) for layer in self.owners)


def window_time_s(chip: Chip, steps: int) -> float:
    """Return the time in s of a window that takes `steps` input-bit steps."""
    return float(steps * exact(chip.step_time_s))


def map_layers(network: Network, owners: Owners, chip: Chip, cut: Cut) -> tuple[LayerMapping, ...]:
    """Map every matrix layer: one that owns its weights as `cut` cuts it, the others with the blocks of their owner.

    `owners` names for each layer the one whose weights it has; `cut` returns blocks, and the steps of a window.
    """
    position = {layer.name: i for i, layer in enumerate(network.layers)}
    mapped: dict[str, LayerMapping] = {}
    for layer in network.matrix_layers:
        index, owner = position[layer.name], owners[layer.name]
        if owner == layer.name:
            tiling, steps = cut(layer)
            window_s = window_time_s(chip, steps)
            mapped[owner] = LayerMapping(index, owner, layer.windows, tiling, steps, window_s)
        else:
            shared = mapped[owner]
            mapped[layer.name] = replace(
                shared, index=index, name=layer.name, windows=layer.windows, shares=shared.index
            )
    return tuple(mapped.values())


__all__ = ["LayerMapping", "Mapping", "map_layers", "window_time_s"]
