"""Dense mapping: every weight in ceil(weight bits / cell bits) adjacent cells of a row (ARAS section II-C; ISAAC).

With b-bit cells the weight code is written in base 2**b, the most significant digit in the leftmost cell.
"""

from __future__ import annotations

from mho.chip import Chip
from mho.errors import MappingError
from mho.mapping.mapping import LayerMapping, Mapping, window_time_s
from mho.mapping.room import weights_room
from mho.mapping.tiling import tiling
from mho.network.graph import Network


def map_dense(network: Network, chip: Chip, packing: str) -> Mapping:
    """Cut every matrix layer into dense blocks. MappingError where a group cannot hold a single weight."""
    if chip.array_weights_per_row < 1:
        raise MappingError(
            f"chip {chip.name}: an array has {chip.array.columns} columns, but one {chip.weight_bits}-bit weight needs "
            f"{chip.cells_per_weight} cells of {chip.array.cell_bits} bits side by side; no group can hold a block"
        )
    position = {layer.name: i for i, layer in enumerate(network.layers)}
    steps = chip.steps_per_window
    window_s = window_time_s(chip, steps)
    cut = tuple(
        LayerMapping(
            position[layer.name],
            layer.name,
            layer.windows,
            tiling(
                layer.groups, layer.rows, layer.columns, chip.array.rows, chip.group_columns,
                chip.array_weights_per_row, packing == "diagonal",
            ),
            steps,
            window_s,
        )
        for layer in network.matrix_layers
    )  # fmt: skip
    return Mapping("dense", packing, cut, weights_room(chip))
