"""Blocks of digits: rows of a matrix, columns of cells that each hold one digit of one output's weights.

A piece is a rectangle of cells: input row i of it through cell column j gives sum of x_i digit_ij, which counts
`sign x 2^position` in the sum of output `outputs[j]` (the splice). Digits are of magnitudes, in columns for the positive and
for the negative weights apart, or of weights less an offset that makes them all 0 or more; then what the offset adds, offset
x (sum of the piece's inputs), is taken back on the digital side, as a zero point is.

A block fills one group. Its pieces that share a turn are driven together; a block of several turns is activated once in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.mapping.tiling import Late, Totals

IntArray = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
POSITION_BITS = 3
"""Bits that say which bit of a weight a digit begins at."""
SIGN_BITS = 1


@dataclass(frozen=True, eq=False)
class Piece:
    """One rectangle of digits, at (`top`, `left`) in its block's group, driven in turn `turn`.

    `rows` intp (height,): which inputs of matrix `matrix` drive it. `shifts` uint8 (height,): by how much the digits of each row
    are stored shifted right, so that its input counts 2^shift. Of each column, shape (width,): `outputs` the output it
    belongs to, `signs` +1 or -1 for digits of positive or negative weights, 0 for digits of weights plus an offset, `positions` the
    first bit of its digit, `masks` the bits that the digit may have. `low`: magnitude bits that columns of offset weights cover.
    `offsets` int16 (width,): what was added to the weights of an offset column. `corrected` (outputs, offsets): those that this
    piece takes back (an output whose columns lie in two pieces is corrected by one).
    """

    matrix: int
    rows: npt.NDArray[np.intp]
    shifts: Bytes
    outputs: npt.NDArray[np.int32]
    signs: npt.NDArray[np.int8]
    positions: Bytes
    masks: Bytes
    low: int
    offsets: npt.NDArray[np.int16]
    corrected: tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]
    top: int = 0
    left: int = 0
    turn: int = 0

    @property
    def height(self) -> int:
        """Rows that it drives."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """Cell columns that it converts."""
        return len(self.outputs)

    @cached_property
    def sums(self) -> int:
        """Outputs that it gives a partial sum of."""
        return len(np.unique(self.outputs))

    @cached_property
    def late(self) -> int:
        """Input bits by which its steps are prolonged: rows of one shift are shifted behind the array instead, at no cost."""
        return int(self.shifts.max()) if len(self.shifts) and self.shifts.min() != self.shifts.max() else 0

    @property
    def factors(self) -> IntArray:
        """What a unit of each column's sum counts for in its output, shape (width,)."""
        factors: IntArray = np.where(self.signs < 0, -1, 1).astype(np.int64) << self.positions
        return factors

    def digits(self, weights: npt.NDArray[np.int16]) -> Bytes:
        """Return the digits of the piece, (height, width), of signed weights (matrices, K, N)."""
        part = weights[self.matrix][self.rows[:, None], self.outputs[None, :]] >> self.shifts[:, None]
        magnitude = np.abs(part)
        low = np.sign(part) * (magnitude & ((1 << self.low) - 1)) + self.offsets
        held = np.where(self.signs == 0, low, np.where(np.sign(part) == self.signs, magnitude, 0))
        digits: Bytes = ((held >> self.positions) & self.masks).astype(np.uint8)
        return digits

    def index_bits(self, index_bits: int, shift_bits: int) -> int:
        """Bits that say where its inputs come from and where its columns go."""
        return self.height * (index_bits + shift_bits) + self.width * (index_bits + POSITION_BITS + SIGN_BITS)

    def at(self, top: int, left: int, turn: int) -> Piece:
        """Return it elsewhere."""
        return replace(self, top=top, left=left, turn=turn)


@dataclass(frozen=True, eq=False)
class PieceBlock:
    """The pieces that share one group."""

    pieces: tuple[Piece, ...]

    @cached_property
    def height(self) -> int:
        """Rows of the group that are used."""
        return max(piece.top + piece.height for piece in self.pieces)

    @cached_property
    def width(self) -> int:
        """Cell columns of the group that are used."""
        return max(piece.left + piece.width for piece in self.pieces)

    @cached_property
    def turns(self) -> tuple[tuple[Piece, ...], ...]:
        """Its pieces turn by turn."""
        last = max(piece.turn for piece in self.pieces)
        return tuple(tuple(piece for piece in self.pieces if piece.turn == turn) for turn in range(last + 1))


class Pieces:
    """A layer of `matrices` matrices of `rows` x `columns` as blocks of digits: what `Tiling` is to a dense layer.

    `bits` are those of a cell, `array_columns` the cell columns of one array, `dac_bits` those of the drivers.
    """

    def __init__(
        self, matrices: int, rows: int, columns: int, blocks: Sequence[PieceBlock], array_columns: int, dac_bits: int
    ) -> None:
        self.matrices, self.rows, self.columns = matrices, rows, columns
        self.array_columns, self.dac_bits = array_columns, dac_bits
        self._blocks = tuple(blocks)

    @property
    def blocks(self) -> int:
        """Blocks of one copy of the layer: the groups that it fills."""
        return len(self._blocks)

    def block(self, index: int) -> PieceBlock:
        """Return block `index`, 0 <= index < blocks."""
        if not 0 <= index < self.blocks:
            raise IndexError(f"block {index} of {self.blocks}")
        return self._blocks[index]

    @cached_property
    def heights(self) -> IntArray:
        """Used rows of each block, shape (blocks,)."""
        return np.array([block.height for block in self._blocks], dtype=np.int64)

    @cached_property
    def widths(self) -> IntArray:
        """Used cell columns of each block, shape (blocks,)."""
        return np.array([block.width for block in self._blocks], dtype=np.int64)

    @cached_property
    def places(self) -> IntArray:
        """Cells that writing each block sets, shape (blocks,)."""
        return self.heights * self.widths

    @cached_property
    def arrays(self) -> IntArray:
        """Arrays of the group that each block uses, shape (blocks,)."""
        return -(-self.widths // self.array_columns)

    def steps(self, base: int) -> int:
        """Input-bit steps of one window: `base` a turn, and more where rows of different shifts meet; of the slowest block."""
        return max(
            (
                sum(base + max(self.extra_steps(piece) for piece in turn) for turn in block.turns)
                for block in self._blocks
            ),
            default=base,
        )

    def extra_steps(self, piece: Piece) -> int:
        """Steps that a piece's shifted rows take beyond those of a plain input."""
        return -(-piece.late // self.dac_bits)

    @cached_property
    def _counts(self) -> IntArray:
        """For each block: rows, columns, sums, array reads, drives, the last four weighted by extra steps, and shifted rows."""
        found = np.zeros((self.blocks, 10), dtype=np.int64)
        for i, block in enumerate(self._blocks):
            for turn in block.turns:
                extra = max(self.extra_steps(piece) for piece in turn)
                columns = [array for piece in turn for array in self._arrays(piece)]
                arrays = len(set(columns))
                for piece in turn:
                    drives = piece.height * len(self._arrays(piece))
                    row = (piece.height, piece.width, piece.sums, 0, drives)
                    found[i, :5] += row
                    found[i, 5:9] += extra * np.array((piece.width, piece.sums, 0, drives))
                    found[i, 9] += int((piece.shifts > 0).sum())
                found[i, 3] += arrays
                found[i, 7] += extra * arrays
        return found

    def _arrays(self, piece: Piece, order: Sequence[int] = ()) -> range | set[int]:
        """Arrays of the group that a piece's columns lie in; `order` says where each column of the block sits, if not in place."""
        if order:
            return {place // self.array_columns for place in order[piece.left : piece.left + piece.width]}
        return range(piece.left // self.array_columns, -(-(piece.left + piece.width) // self.array_columns))

    def reads(self, index: int, order: Sequence[int] = ()) -> IntArray:
        """Count, for one window through a block whose columns sit in `order`: arrays read, rows driven in them, and both weighted
        by the steps that shifted rows add, shape (4,).
        """
        found = np.zeros(4, dtype=np.int64)
        for turn in self.block(index).turns:
            extra = max(self.extra_steps(piece) for piece in turn)
            held = [set(self._arrays(piece, order)) for piece in turn]
            arrays = len(set().union(*held))
            drives = sum(piece.height * len(each) for piece, each in zip(turn, held, strict=True))
            found += (arrays, drives, extra * arrays, extra * drives)
        return found

    def index_bits(self, blocks: tuple[int, int], index_bits: int, shift_bits: int) -> int:
        """Bits that tell the groups of a run of blocks where inputs come from and where columns go."""
        return sum(
            piece.index_bits(index_bits, shift_bits) for block in self._blocks[slice(*blocks)] for piece in block.pieces
        )

    @cached_property
    def _running(self) -> IntArray:
        """Running sums over blocks of `_counts`, places and arrays, before each block and at the end."""
        table = np.zeros((self.blocks + 1, 12), dtype=np.int64)
        np.cumsum(np.column_stack([self._counts, self.places, self.arrays]), axis=0, out=table[1:])
        return table

    def totals(self, blocks: tuple[int, int]) -> Totals:
        """Sum over the blocks [first, last); the distinct inputs are those of the rows that drive any of them."""
        found = (self._running[blocks[1]] - self._running[blocks[0]]).tolist()
        (
            rows,
            columns,
            sums,
            arrays,
            drives,
            late_columns,
            late_sums,
            late_arrays,
            late_drives,
            shifted,
            places,
            _,
        ) = found
        late = Late(late_arrays, late_drives, late_columns, late_sums)
        return Totals(
            blocks[1] - blocks[0], rows, columns, places, arrays, drives, self._distinct(blocks), sums, late, shifted
        )

    def one(self, index: int) -> Totals:
        """Return the totals of one block."""
        return self.totals((index, index + 1))

    def _distinct(self, blocks: tuple[int, int]) -> int:
        """Count the inputs that drive any of the blocks."""
        if blocks == (0, self.blocks):
            return self._all_inputs
        seen = np.zeros((self.matrices, self.rows), dtype=bool)
        for block in self._blocks[slice(*blocks)]:
            for piece in block.pieces:
                seen[piece.matrix, piece.rows] = True
        return int(seen.sum())

    @cached_property
    def _all_inputs(self) -> int:
        seen = np.zeros((self.matrices, self.rows), dtype=bool)
        for block in self._blocks:
            for piece in block.pieces:
                seen[piece.matrix, piece.rows] = True
        return int(seen.sum())

    def laid(self, weights: npt.NDArray[np.int16], index: int) -> Bytes:
        """Return the digits of a block as they sit in its group, (height, width), of signed weights (matrices, K, N)."""
        block = self.block(index)
        laid: Bytes = np.zeros((block.height, block.width), dtype=np.uint8)
        for piece in block.pieces:
            place = slice(piece.top, piece.top + piece.height), slice(piece.left, piece.left + piece.width)
            laid[place] = piece.digits(weights)
        return laid
