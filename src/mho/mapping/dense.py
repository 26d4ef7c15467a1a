"""Dense mapping: every weight in ceil(weight bits / cell bits) adjacent cells of a row (ARAS section II-C; ISAAC).

With b-bit cells the weight code is written in base 2**b, the most significant digit in the leftmost cell.

A group of g arrays of R rows and C columns holds R x g * floor(C / cells per weight) weights (DESIGN section 5; ARAS Figure 3). A
K x N matrix is cut into ceil(K / R) x ceil(N / group columns) blocks; those at the edges are partial. Blocks are numbered matrix
by matrix, column block by column block, row block by row block, so that a run of blocks finishes whole outputs first.

Diagonal packing (ours): small matrices of a grouped or depthwise convolution stand along the diagonal of a block, as
many as fit in rows and in columns. Cells off the diagonal hold level 0, so they add nothing to any sum: exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.coding import Coding
from mho.errors import MappingError, StrategyError
from mho.mapping.blocks import Bytes, Drive, FloatArray, Fullest, IntArray, Run
from mho.mapping.mapper import Packed, most_weight_bits
from mho.mapping.shape import GroupShape, weights_shape
from mho.mapping.whole import WHOLE, WholeBlocks
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.bits import LayerBits
from mho.number.coded import QuantisedMatrix, QuantisedNetwork
from mho.number.sampled import Sampled
from mho.strategy.choice import choice
from mho.strategy.strategy import Strategy


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """The part of a layer that sits in one group: matrices [first, first + count) with count > 1 along the diagonal.

    `rows` and `columns` are the ranges within each of those matrices.
    """

    first: int
    count: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def height(self) -> int:
        """Rows of the group that are driven."""
        return self.count * (self.rows[1] - self.rows[0])

    @property
    def width(self) -> int:
        """Weight columns of the group that are used."""
        return self.count * (self.columns[1] - self.columns[0])

    @property
    def matrices(self) -> slice:
        """The matrices that it holds parts of."""
        return slice(self.first, self.first + self.count)

    def diagonal(self, values: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.generic]]:
        """Yield the rectangle of each matrix in values (height, width) of the block, as views."""
        height, width = self.height // self.count, self.width // self.count
        for i in range(self.count):
            yield values[i * height : (i + 1) * height, i * width : (i + 1) * width]


@dataclass(frozen=True)
class DenseBlocks(WholeBlocks):
    """Blocks of whole weights, cut for groups of this `shape`; `packed` matrices share a block."""

    matrices: int
    rows: int
    columns: int
    shape: GroupShape
    packed: int = 1
    evenly_read: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse empty sizes and packings that do not fit."""
        shape = self.shape
        sizes = (self.matrices, self.rows, self.columns, shape.rows, shape.columns, shape.per_array, self.packed)
        if min(sizes) < 1:
            raise ValueError(f"blocks need positive sizes, not {sizes}")
        if self.packed > 1 and (self.packed * self.rows > shape.rows or self.packed * self.columns > shape.columns):
            raise ValueError(f"{self.packed} matrices of {self.rows} x {self.columns} do not fit one group")

    @cached_property
    def row_blocks(self) -> int:
        """Blocks over the inputs of one matrix."""
        return -(-self.rows // self.shape.rows)

    @cached_property
    def column_blocks(self) -> int:
        """Blocks over the outputs of one matrix."""
        return -(-self.columns // self.shape.columns)

    @cached_property
    def count(self) -> int:
        """The number of blocks: groups that one copy fills."""
        return -(-self.matrices // self.packed) * self.row_blocks * self.column_blocks

    def block(self, index: int) -> DenseBlock:
        """Return block `index`, 0 <= index < count."""
        self.check(index)
        rest, row = divmod(index, self.row_blocks)
        unit, column = divmod(rest, self.column_blocks)
        first = unit * self.packed
        return DenseBlock(
            first,
            min(self.packed, self.matrices - first),
            (row * self.shape.rows, min((row + 1) * self.shape.rows, self.rows)),
            (column * self.shape.columns, min((column + 1) * self.shape.columns, self.columns)),
        )

    @cached_property
    def heights(self) -> IntArray:
        """Driven rows of each block, shape (count,)."""
        rows = np.full(self.row_blocks, self.shape.rows, dtype=np.int64)
        rows[-1] = self.rows - (self.row_blocks - 1) * self.shape.rows
        return np.tile(rows, self.count // self.row_blocks) * self._packed

    @cached_property
    def widths(self) -> IntArray:
        """Used weight columns of each block, shape (count,)."""
        columns = np.full(self.column_blocks, self.shape.columns, dtype=np.int64)
        columns[-1] = self.columns - (self.column_blocks - 1) * self.shape.columns
        units = -(-self.matrices // self.packed)
        return np.tile(np.repeat(columns, self.row_blocks), units) * self._packed

    @cached_property
    def _packed(self) -> IntArray:
        """Matrices in each block, shape (count,)."""
        units = -(-self.matrices // self.packed)
        counts = np.full(units, self.packed, dtype=np.int64)
        counts[-1] = self.matrices - (units - 1) * self.packed
        return np.repeat(counts, self.row_blocks * self.column_blocks)

    @cached_property
    def weights(self) -> IntArray:
        """Weights held by each block, shape (count,); they sum to matrices x rows x columns."""
        return self.heights * self.widths // self._packed

    @cached_property
    def fills(self) -> FloatArray:
        """Share of each block's places that hold weights, shape (count,): 1 but for diagonal blocks."""
        return self.weights / self.places

    @property
    def occupied(self) -> int:
        """Places that hold a weight."""
        return int(self.weights.sum())

    def inputs(self, run: Run, height: int) -> int:
        """Count inputs: a run of at least row_blocks blocks reads each input of its matrices once, a shorter one its own rows."""
        if self.packed > 1 or run[1] - run[0] < self.row_blocks:
            return height
        blocks_of_one = self.row_blocks * self.column_blocks
        return min(height, ((run[1] - 1) // blocks_of_one - run[0] // blocks_of_one + 1) * self.rows)

    def laid(self, index: int, matrix: QuantisedMatrix) -> Bytes:
        """Return the weight codes of a block as they sit in its group."""
        block = self.block(index)
        matrices = matrix.codes[block.matrices, slice(*block.rows), slice(*block.columns)]
        codes: Bytes = np.full((block.height, block.width), self.shape.coding.base, dtype=matrix.codes.dtype)
        for place, weights in zip(block.diagonal(codes), matrices, strict=True):
            place[...] = weights
        return codes

    def drives(self, index: int, x: Bytes) -> Iterator[Drive]:
        """Yield the inputs of a block's rows, matrix after matrix."""
        block = self.block(index)
        inputs = x[block.matrices, :, :, slice(*block.rows)]
        if block.count > 1:
            inputs = np.ascontiguousarray(inputs.transpose(1, 2, 0, 3))
        yield Drive(WHOLE[0], (inputs.reshape(x.shape[1] * x.shape[2], block.height),), block.width)

    def splice(self, index: int, number: int | None, sums: FloatArray, x: Bytes, out: FloatArray) -> None:
        """Add the sums of weight columns to the outputs that they belong to."""
        block = self.block(index)
        parts = sums.reshape(*x.shape[1:3], block.count, -1).transpose(2, 0, 1, 3)
        out[block.matrices, :, :, slice(*block.columns)] += parts

    def rectangle(self, index: int) -> tuple[int, slice, slice] | None:
        """Return where a block that shares its group with no other matrix sits."""
        block = self.block(index)
        return None if block.count > 1 else (block.first, slice(*block.rows), slice(*block.columns))

    def assembled(self, read: Iterable[tuple[int, FloatArray]], matrix: QuantisedMatrix) -> FloatArray | None:
        """Put the parts of each matrix together; None where noisy cells at level 0 lie between matrices of a diagonal."""
        weights = np.zeros((self.matrices, self.rows, self.columns))
        for index, values in read:
            block = self.block(index)
            inside = list(block.diagonal(values))
            if block.count > 1 and np.count_nonzero(values) != sum(map(np.count_nonzero, inside)):
                return None
            for m, part in enumerate(inside, start=block.first):
                weights[m, slice(*block.rows), slice(*block.columns)] = part + self.shape.coding.base
        return weights

    def fullest(self) -> Fullest:
        """Return the most levels of a column of the highest block, and its rows."""
        rows, most = min(self.rows, self.shape.rows), self.shape.rows_at_once
        driven = rows * self.packed
        # Columns are inverted by what all rows of their block could hold, also where few of them hold weights.
        coding = self.shape.coding
        levels = min(coding.fullest(rows if coding.inverts else min(rows, most), driven), most * coding.highest)
        return Fullest(levels, min(driven, most))


@lru_cache(maxsize=4096)
def dense_blocks(matrices: int, rows: int, columns: int, shape: GroupShape, pack: bool) -> DenseBlocks:
    """Return the blocks of a layer; equal layers share them, so that a deep network needs no more memory than a shallow one."""
    packed = 1
    if pack and matrices > 1 and rows <= shape.rows and columns <= shape.columns:
        packed = min(shape.rows // rows, shape.columns // columns, matrices)
    return DenseBlocks(matrices, rows, columns, shape, packed)


@choice("mapping", "dense", papers=("isaac",))
class Dense(Packed):
    """Whole weights side by side: each in as many adjacent cells of a row as its bits need."""

    def cut(self, layer: MatrixLayer, network: Network | QuantisedNetwork, chip: Chip, bits: LayerBits) -> DenseBlocks:
        """Return the blocks of a layer, which go by its shape alone. MappingError where an array cannot hold a single weight."""
        shape = weights_shape(chip, bits.weights)
        if shape.per_array < 1:
            raise MappingError(f"chip {chip.name}: {_too_narrow(chip, shape.coding)}; no group can hold a block")
        return dense_blocks(layer.groups, layer.rows, layer.columns, shape, self.packing == "diagonal")

    def refusals(self, subject: Sampled, chip: Chip, strategy: Strategy) -> Iterator[StrategyError]:
        """Refuse arrays that are too narrow for one weight."""
        widest = chip.coding_of(most_weight_bits(subject, strategy))
        if widest.cell_columns > chip.array.columns:
            yield self.refuse(_too_narrow(chip, widest), bound="array.columns")


def _too_narrow(chip: Chip, coding: Coding) -> str:
    return (
        f"one {coding.weight_bits}-bit weight needs {coding.cell_columns} cells of {coding.cell_text} side by "
        f"side, but an array of chip {chip.name} has {chip.array.columns} columns"
    )
