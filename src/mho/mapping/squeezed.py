"""Squeezed mapping: the digits of weights sliced over cell columns, what is empty left out, the rest packed (SME; packing ours).

How a layer's digits are laid out is told in `mapping/slicing.py`, how blocks share groups in `mapping/folding.py`.
"""

from __future__ import annotations

import numpy as np

from mho.chip import Chip
from mho.errors import MappingError
from mho.mapping.digits import DigitBlocks
from mho.mapping.mapping import Mapping, map_layers
from mho.mapping.shape import digits_shape
from mho.mapping.slicing import layer_blocks
from mho.network.layers import MatrixLayer
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from mho.number.squeeze import Squeeze

LARGEST = 255
"""The largest magnitude of a weight: a column's index entry tells 8 first bits of a digit apart (`digits.POSITION_BITS`)."""


def map_squeezed(quantised: QuantisedNetwork, chip: Chip, packing: str, turns: int) -> Mapping:
    """Map every matrix layer by the digits of its weights, those that layers share once.

    MappingError where the chip has no index memory, converts columns in pairs, or has no row registers that shift as far as the
    network asks; and for weights beyond 8 bits, or that are no multiples of the shifts of their rows.
    """
    shape = digits_shape(chip)
    if chip.sparse is None:
        raise MappingError(
            f"chip {chip.name} has no index memory, which tells each array its inputs and outputs (key sparse); mapping "
            "'squeezed' needs one: take preset sme, or add the part"
        )
    if chip.coding.pairs:
        raise MappingError(
            f"chip {chip.name} converts the difference of two columns at once (array.coding {chip.coding.name}); mapping "
            "'squeezed' converts each column of digits by itself: take coding offset, flipped or twos_complement"
        )
    if turns > chip.sparse.turns:
        raise MappingError(
            f"blocks are to share groups in {turns} turns, but the index memories of chip {chip.name} hold the inputs of "
            f"{chip.sparse.turns} (sparse.turns)"
        )

    def cut(layer: MatrixLayer) -> DigitBlocks:
        matrix, squeeze = quantised.matrices[layer.name], quantised.squeezes.get(layer.name)
        _check_weights(layer.name, matrix, squeeze)
        _check_shifts(layer.name, squeeze, chip)
        blocks = layer_blocks(matrix, squeeze, shape, packing, turns)
        return DigitBlocks(layer.groups, layer.rows, layer.columns, blocks, shape, chip.array.dac_bits)

    return map_layers("squeezed", packing, quantised.network, quantised.owners, chip, cut, shape, turns)


def _check_weights(name: str, matrix: QuantisedMatrix, squeeze: Squeeze | None) -> None:
    weights = matrix.centred
    largest = int(np.abs(weights.astype(np.int32)).max(initial=0))
    if largest > LARGEST:
        raise MappingError(
            f"layer {name!r} has integer weights (codes less their zero) up to {largest} in magnitude; mapping 'squeezed' "
            f"takes up to {LARGEST}, which have 8 bits"
        )
    if squeeze is None:
        return
    if squeeze.shifts.shape != (*weights.shape[:2], -(-weights.shape[2] // squeeze.tile)):
        raise MappingError(
            f"the row shifts of layer {name!r} have shape {squeeze.shifts.shape}, its weights {weights.shape}"
        )
    shifts = squeeze.by_output(weights.shape[2])
    if ((weights >> shifts) << shifts != weights).any():
        raise MappingError(
            f"layer {name!r} has weights that are no whole multiples of the shifts of their rows: they were changed after they "
            "were squeezed"
        )


def _check_shifts(name: str, squeeze: Squeeze | None, chip: Chip) -> None:
    assert chip.sparse is not None
    most = (1 << chip.sparse.shift_bits) - 1
    if squeeze is not None and int(squeeze.shifts.max(initial=0)) > most:
        raise MappingError(
            f"layer {name!r} has rows shifted by {int(squeeze.shifts.max())}, but the row registers of chip {chip.name} shift by "
            f"at most {most} (sparse.shift_bits)"
        )
