"""Where the weights of a network sit: for each matrix layer its blocks, and the room that they fill."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.units import exact
from mho.mapping.layout import block_codes
from mho.mapping.pieces import Pieces
from mho.mapping.room import Room
from mho.mapping.tiling import Tiling
from mho.number.coded import QuantisedMatrix
from mho.shown import Shown


@dataclass(frozen=True, repr=False)
class LayerMapping(Shown):
    """The blocks of one matrix layer.

    `index` is its place in network.layers, `windows` its input vectors (batch included), `steps` the input-bit steps that
    one of them takes, `window_s` the time in s that it takes.
    """

    index: int
    name: str
    windows: int
    tiling: Tiling | Pieces
    steps: int
    window_s: float

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


@dataclass(frozen=True, repr=False)
class Mapping(Shown):
    """Where the weights of a network sit: for each matrix layer its blocks, in groups of this `room`.

    `kind`, `packing` and `turns` are the options used.
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

    @property
    def blocks(self) -> int:
        """Groups that the whole network fills, one copy of each layer."""
        return sum(layer.blocks for layer in self.layers)

    @property
    def arrays(self) -> int:
        """Arrays that the whole network uses, one copy of each layer."""
        return sum(int(layer.tiling.arrays.sum()) for layer in self.layers)


def window_time_s(chip: Chip, steps: int) -> float:
    """Return the time in s of a window that takes `steps` input-bit steps."""
    return float(steps * exact(chip.step_time_s))


__all__ = ["LayerMapping", "Mapping", "window_time_s"]
