"""How the matrices of one layer are cut into blocks that each fill (a part of) one group of arrays.

Dense tiling (DESIGN section 5; ARAS section II-C, Figure 3): a group of g arrays of R rows and C columns holds
R x g * floor(C / cells per weight) weights. A K x N matrix is cut into ceil(K / R) x ceil(N / group columns) blocks;
those at the edges are partial. Blocks are numbered matrix by matrix, column block by column block, row block by row
block, so that a run of blocks finishes whole outputs first.

Diagonal packing (ours): small matrices of a grouped or depthwise convolution stand along the diagonal of a block, as
many as fit in rows and in columns. Cells off the diagonal hold level 0, so they add nothing to any sum: exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
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


@dataclass(frozen=True)
class Tiling:
    """`matrices` matrices of `rows` x `columns` cut for groups of `group_rows` x `group_columns` weights.

    `array_columns` is the number of weights in a row of one array; `packed` the matrices that share a block.
    """

    matrices: int
    rows: int
    columns: int
    group_rows: int
    group_columns: int
    array_columns: int
    packed: int = 1

    def __post_init__(self) -> None:
        """Refuse empty sizes and packings that do not fit."""
        sizes = (
            self.matrices,
            self.rows,
            self.columns,
            self.group_rows,
            self.group_columns,
            self.array_columns,
            self.packed,
        )
        if min(sizes) < 1:
            raise ValueError(f"a tiling needs positive sizes, not {sizes}")
        if self.packed > 1 and (
            self.packed * self.rows > self.group_rows or self.packed * self.columns > self.group_columns
        ):
            raise ValueError(f"{self.packed} matrices of {self.rows} x {self.columns} do not fit one group")

    @property
    def row_blocks(self) -> int:
        """Blocks over the inputs of one matrix."""
        return -(-self.rows // self.group_rows)

    @property
    def column_blocks(self) -> int:
        """Blocks over the outputs of one matrix."""
        return -(-self.columns // self.group_columns)

    @property
    def blocks(self) -> int:
        """Blocks of one copy of the layer: the groups that it fills."""
        return -(-self.matrices // self.packed) * self.row_blocks * self.column_blocks

    def block(self, index: int) -> Block:
        """Return block `index`, 0 <= index < blocks."""
        if not 0 <= index < self.blocks:
            raise IndexError(f"block {index} of {self.blocks}")
        rest, row = divmod(index, self.row_blocks)
        unit, column = divmod(rest, self.column_blocks)
        first = unit * self.packed
        return Block(
            first,
            min(self.packed, self.matrices - first),
            (row * self.group_rows, min((row + 1) * self.group_rows, self.rows)),
            (column * self.group_columns, min((column + 1) * self.group_columns, self.columns)),
        )

    @cached_property
    def heights(self) -> IntArray:
        """Driven rows of each block, shape (blocks,)."""
        rows = np.full(self.row_blocks, self.group_rows, dtype=np.int64)
        rows[-1] = self.rows - (self.row_blocks - 1) * self.group_rows
        return np.tile(rows, self.blocks // self.row_blocks) * self._counts

    @cached_property
    def widths(self) -> IntArray:
        """Used weight columns of each block, shape (blocks,)."""
        columns = np.full(self.column_blocks, self.group_columns, dtype=np.int64)
        columns[-1] = self.columns - (self.column_blocks - 1) * self.group_columns
        units = -(-self.matrices // self.packed)
        return np.tile(np.repeat(columns, self.row_blocks), units) * self._counts

    @cached_property
    def _counts(self) -> IntArray:
        """Matrices in each block."""
        units = -(-self.matrices // self.packed)
        counts = np.full(units, self.packed, dtype=np.int64)
        counts[-1] = self.matrices - (units - 1) * self.packed
        return np.repeat(counts, self.row_blocks * self.column_blocks)

    @cached_property
    def weights(self) -> IntArray:
        """Weights held by each block, shape (blocks,); they sum to matrices x rows x columns."""
        return self.heights * self.widths // self._counts

    @cached_property
    def places(self) -> IntArray:
        """Weight places that writing each block sets, shape (blocks,): its weights and, off a diagonal, zeros."""
        return self.heights * self.widths

    @cached_property
    def fills(self) -> npt.NDArray[np.float64]:
        """Share of each block's places that hold weights, shape (blocks,): 1 but for diagonal blocks."""
        return self.weights / self.places

    @cached_property
    def arrays(self) -> IntArray:
        """Arrays of the group that each block uses, shape (blocks,)."""
        return -(-self.widths // self.array_columns)

    @cached_property
    def _sums(self) -> list[tuple[int, int, int, int, int]]:
        """Running sums over blocks of (height, width, places, arrays, height x arrays), before each block and at the end."""
        table = np.zeros((self.blocks + 1, 5), dtype=np.int64)
        columns = (self.heights, self.widths, self.places, self.arrays, self.heights * self.arrays)
        np.cumsum(np.stack(columns, axis=1), axis=0, out=table[1:])
        return [(a, b, c, d, e) for a, b, c, d, e in table.tolist()]

    def totals(self, blocks: tuple[int, int]) -> Totals:
        """Sum over the blocks [first, last) in constant time."""
        before, until = self._sums[blocks[0]], self._sums[blocks[1]]
        height, width, places = until[0] - before[0], until[1] - before[1], until[2] - before[2]
        arrays, drives = until[3] - before[3], until[4] - before[4]
        count = blocks[1] - blocks[0]
        # A run of at least row_blocks blocks reads each input of its matrices once; a shorter one reads its own rows.
        distinct = height
        if self.packed == 1 and count >= self.row_blocks:
            each = self.row_blocks * self.column_blocks
            distinct = min(height, ((blocks[1] - 1) // each - blocks[0] // each + 1) * self.rows)
        return Totals(count, height, width, places, arrays, drives, distinct, width)


@dataclass(frozen=True, slots=True)
class Late:
    """What happens in steps beyond those of a plain input, each count times its number of such steps (see `Totals`)."""

    arrays: int = 0
    drives: int = 0
    columns: int = 0
    sums: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a run of blocks, of what one window asks for.

    rows: driven rows; columns: converted columns of places; places: places set by a write; arrays: arrays read; drives: rows
    driven, counted once for each array; inputs: distinct inputs that are read from the buffer; sums: partial sums; late: what
    prolonged inputs add; shifted: rows whose inputs are shifted.
    """

    blocks: int
    rows: int
    columns: int
    places: int
    arrays: int
    drives: int
    inputs: int
    sums: int
    late: Late = Late()
    shifted: int = 0


@lru_cache(maxsize=4096)
def tiling(
    matrices: int,
    rows: int,
    columns: int,
    group_rows: int,
    group_columns: int,
    array_columns: int,
    pack: bool,
) -> Tiling:
    """Return the tiling of a layer; equal layers share one, so that a deep network needs no more memory than a shallow one."""
    packed = 1
    if pack and matrices > 1 and rows <= group_rows and columns <= group_columns:
        packed = min(group_rows // rows, group_columns // columns, matrices)
    return Tiling(matrices, rows, columns, group_rows, group_columns, array_columns, packed)
