"""Where the weights of a network sit: for each matrix layer its blocks, and the shape of the groups that they fill."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import cached_property

from mho.chip import Chip
from mho.mapping.blocks import Blocks
from mho.mapping.shape import GroupShape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
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
    blocks: Blocks
    steps: int
    window_s: float
    shares: int | None = None

    @property
    def owner(self) -> int:
        """The place of the layer whose blocks it uses: its own, or that of an earlier layer."""
        return self.index if self.shares is None else self.shares

    @property
    def count(self) -> int:
        """Groups that one copy fills."""
        return self.blocks.count


Cut = Callable[[MatrixLayer], Blocks]
"""Cuts a layer into blocks."""


@dataclass(frozen=True, repr=False)
class Mapping(Shown):
    """Where the weights of a network sit: for each matrix layer its blocks, in groups of this `shape`.

    Layers that share a weight share its blocks, which belong to the first of them. `kind`, `packing` and `turns` are the options
    used.
    """

    kind: str
    packing: str
    layers: tuple[LayerMapping, ...]
    shape: GroupShape
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
        return {index: tuple(layers) for index, layers in users.items()}

    def most_copies(self, layer: LayerMapping) -> int:
        """Copies of a layer's blocks beyond which none would have a window to serve: the most windows of any user."""
        return max(1, *(user.windows for user in self.users[layer.owner]))

    @property
    def count(self) -> int:
        """Groups that the whole network fills, one copy of each block."""
        return sum(layer.count for layer in self.owners)

    @property
    def arrays(self) -> int:
        """Arrays that the whole network uses, one copy of each block."""
        return sum(int(layer.blocks.arrays.sum()) for layer in self.owners)


def window_time_s(chip: Chip, steps: int) -> float:
    """Return the time in s of a window that takes `steps` input-bit steps."""
    return float(steps * exact(chip.step_time_s))


def map_layers(network: Network, owners: Owners, chip: Chip, cut: Cut) -> tuple[LayerMapping, ...]:
    """Map every matrix layer: one that owns its weights as `cut` cuts it, the others with the blocks of their owner.

    `owners` names for each layer the one whose weights it has.
    """
    position = {layer.name: i for i, layer in enumerate(network.layers)}
    mapped: dict[str, LayerMapping] = {}
    for layer in network.matrix_layers:
        index, owner = position[layer.name], owners[layer.name]
        if owner == layer.name:
            blocks = cut(layer)
            steps = blocks.steps(chip.steps_per_window)
            mapped[owner] = LayerMapping(index, owner, layer.windows, blocks, steps, window_time_s(chip, steps))
        else:
            shared = mapped[owner]
            mapped[layer.name] = replace(
                shared, index=index, name=layer.name, windows=layer.windows, shares=shared.index
            )
    return tuple(mapped.values())


__all__ = ["LayerMapping", "Mapping", "map_layers", "window_time_s"]
