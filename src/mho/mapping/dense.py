"""Dense mapping: every weight in ceil(weight bits / cell bits) adjacent cells of a row (ARAS section II-C; ISAAC).

With b-bit cells the weight code is written in base 2**b, the most significant digit in the leftmost cell.
"""

from __future__ import annotations

from mho.chip import Chip
from mho.errors import MappingError
from mho.mapping.mapping import Mapping, Owners, map_layers
from mho.mapping.room import weights_room
from mho.mapping.tiling import Tiling, tiling
from mho.network.graph import Network
from mho.network.layers import MatrixLayer


def map_dense(network: Network, chip: Chip, packing: str, owners: Owners) -> Mapping:
    """Cut every matrix layer that owns its weights into dense blocks; `owners` says which layers share them.

    MappingError where a group cannot hold a single weight.
    """
    if chip.array_weights_per_row < 1:
        raise MappingError(
            f"chip {chip.name}: an array has {chip.array.columns} columns, but one {chip.weight_bits}-bit weight needs "
            f"{chip.cells_per_weight} cells of {chip.array.cell_bits} bits side by side; no group can hold a block"
        )

    def cut(layer: MatrixLayer) -> tuple[Tiling, int]:
        return tiling(
            layer.groups, layer.rows, layer.columns, chip.array.rows, chip.group_columns, chip.array_weights_per_row,
            packing == "diagonal",
        ), chip.steps_per_window  # fmt: skip

    return Mapping("dense", packing, map_layers(network, owners, chip, cut), weights_room(chip))
