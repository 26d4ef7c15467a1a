"""A mapping of one file and one line: blocks whose rows stand upside down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import DenseBlocks, Drive, Mapper
from mho.mapping.shape import weights_shape
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number import QuantisedMatrix, QuantisedNetwork
from mho.number.bits import LayerBits


class MirroredBlocks(DenseBlocks):
    """Blocks of whole weights, the last row first."""

    def laid(self, index: int, matrix: QuantisedMatrix) -> npt.NDArray[np.uint8]:
        """Return the codes of a block upside down."""
        return super().laid(index, matrix)[::-1]

    def drives(self, index: int, x: npt.NDArray[np.uint8]) -> Iterator[Drive]:
        """Yield the inputs of a block, the last row's first."""
        for drive in super().drives(index, x):
            yield replace(drive, inputs=tuple(np.ascontiguousarray(part[:, ::-1]) for part in drive.inputs))

    def assembled(
        self, read: Iterable[tuple[int, npt.NDArray[np.float64]]], matrix: QuantisedMatrix
    ) -> npt.NDArray[np.float64] | None:
        """Put blocks together that were read upside down."""
        return super().assembled(((index, values[::-1]) for index, values in read), matrix)


class Mirrored(Mapper):
    """Whole weights side by side, the last row first."""

    def cut(
        self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits
    ) -> MirroredBlocks:
        """Return the blocks of a layer."""
        return MirroredBlocks(layer.groups, layer.rows, layer.columns, weights_shape(chip, bits.weights))
