"""Squeezed mapping: the digits of weights sliced over cell columns, what is empty left out, the rest packed (SME; packing ours).

How a layer's digits are laid out is told in `mapping/slicing.py`, how blocks share groups in `mapping/folding.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mho.chip import Chip
from mho.errors import MappingError, StrategyError
from mho.mapping.digits import DigitBlocks
from mho.mapping.mapper import Packed, most_weight_bits
from mho.mapping.shape import digits_shape
from mho.mapping.slicing import layer_blocks
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.bits import BYTES, LayerBits
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from mho.number.sampled import Sampled
from mho.number.squeeze import Squeeze
from mho.strategy.choice import choice, setting
from mho.strategy.strategy import Strategy

MOST_TURNS = 64
LARGEST = 255
"""The largest magnitude of a weight: a column's index entry tells 8 first bits of a digit apart (`digits.POSITION_BITS`)."""


@choice("mapping", "squeezed", papers=("sme",), weighted=True)
class Squeezed(Packed):
    """Digits of weights over columns of cells, with what is empty left out; blocks that leave room may share a group in turns."""

    whole = False
    turns: int = setting(
        default=1,
        least=1,
        most=MOST_TURNS,
        metavar="N",
        help="How many blocks that leave room may share a group and be activated in turn: fewer arrays, more time. For mapping "
        "squeezed.",
    )

    def demand(self, network: Network | QuantisedNetwork, chip: Chip) -> None:
        """Raise MappingError where the weights are not known, or the chip lacks what `refusals` names."""
        if not isinstance(network, QuantisedNetwork):
            raise MappingError(
                f"mapping 'squeezed' goes by the bits of the weights, but {network.name} is known by shapes alone; "
                "load it with weights"
            )
        for demanded, _, _, helps in self._lacking(chip):
            raise MappingError(f"mapping 'squeezed': {demanded}; {helps}")

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits) -> DigitBlocks:
        """Return the digits of a layer's weights.

        Raises MappingError where the chip has no row registers that shift as far as the layer asks, and for weights beyond 8 bits,
        or that are no multiples of the shifts of their rows.
        """
        assert isinstance(network, QuantisedNetwork)
        matrix, squeeze = network.matrices[layer.name], network.squeezes.get(layer.name)
        _check(layer.name, matrix, squeeze, chip)
        shape = digits_shape(chip)
        blocks = layer_blocks(matrix, squeeze, shape, self.packing, self.turns)
        return DigitBlocks(layer.groups, layer.rows, layer.columns, blocks, shape, chip.array.dac_bits)

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse a chip without the parts that it needs, and weights of more bits than planes can be of."""
        for demanded, field, bound, helps in self._lacking(chip):
            yield self.refuse(demanded, field=field, bound=bound, helps=helps)
        if (most := most_weight_bits(subject, strategy)) > BYTES.weights:
            yield self.refuse(f"takes weights of up to {BYTES.weights} bits, not {most}", bound="coding.bits")

    def _lacking(self, chip: Chip) -> Iterator[tuple[str, str, str, str]]:
        """Yield what the chip lacks: what is demanded, the field that demands it, what bounds it, and what would help."""
        if chip.sparse is None:
            yield (
                f"chip {chip.name} has no index memory, which tells each array its inputs and outputs (key sparse)",
                "", "sparse", "take chip sme, or add the part",
            )  # fmt: skip
        elif self.turns > chip.sparse.turns:
            yield (
                f"the index memories of chip {chip.name} hold the inputs of {chip.sparse.turns} turns (sparse.turns)",
                "turns", "sparse.turns", "take fewer turns, or a chip with more",
            )  # fmt: skip
        if chip.array.cell_levels is not None:
            yield (
                f"cells of chip {chip.name} have {chip.array.cell_levels} levels, and a digit of whole bits needs a power of two",
                "", "array.cell_levels", f"take cells of {chip.array.cell_bits - 1} or {chip.array.cell_bits} bits",
            )  # fmt: skip
        if chip.coding.pairs:
            yield (
                f"chip {chip.name} converts the difference of two columns at once (array.coding {chip.coding.name}), and each "
                "column of digits is converted by itself",
                "", "array.coding", "take coding offset, flipped or twos_complement",
            )  # fmt: skip


def _check(name: str, matrix: QuantisedMatrix, squeeze: Squeeze | None, chip: Chip) -> None:
    """Refuse weights beyond 8 bits, shifts of rows that are not those of the weights, and those beyond the chip's."""
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
    assert chip.sparse is not None
    most = (1 << chip.sparse.shift_bits) - 1
    if int(shifts.max(initial=0)) > most:
        raise MappingError(
            f"layer {name!r} has rows shifted by {int(shifts.max())}, but the row registers of chip {chip.name} shift by at most "
            f"{most} (sparse.shift_bits)"
        )
