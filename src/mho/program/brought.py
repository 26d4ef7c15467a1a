"""Which share of the inputs that windows ask for is brought to their groups: all, or what a tile has not kept from earlier ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.program.columns import ACTIVATE, columns
from mho.program.once import once
from mho.program.program import Program

Floats = npt.NDArray[np.float64]


@once
def brought(program: Program) -> Floats:
    """Return the share for each instruction, shape (instructions,): 1 where the chip fetches inputs for every window.

    Where it fetches them once, each activation brings what its own windows ask for, what they share once.
    """
    table = columns(program)
    share = np.ones(len(table.kind))
    if program.chip.tile.input_fetch is None:
        return share
    activations = table.of(ACTIVATE)
    for index in np.unique(table.layer[activations]).tolist():
        layer, own = program.network.layers[index], activations[table.layer[activations] == index]
        if isinstance(layer, MatrixLayer) and program.mapping.by_index[index].combination is None:
            first, last = table.first_window[own], table.last_window[own]
            share[own] = layer.inputs_kept(first, last) / ((last - first) * layer.rows)
    return share


def least_brought(network: Network, chip: Chip, index: int, *, combined: bool) -> float:
    """Return the share of a layer's inputs that comes at the least, whatever the activations."""
    layer = network.layers[index]
    if chip.tile.input_fetch is None or combined or not isinstance(layer, MatrixLayer):
        return 1.0
    return layer.distinct_inputs / (layer.windows * layer.rows)
