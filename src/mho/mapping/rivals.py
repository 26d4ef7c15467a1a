"""Two published ways to leave zeros out of crossbars, as counts on integer weight matrices.

compress_rows(matrices, cell_bits=2)          rows without a cell that is on left out, strip by strip (SRE)
pruned = prune(matrices, 0.9, 128, 16)        the weakest rows and columns of blocks as large as an array set to 0 (PIM-Prune)
pack_blocks(pruned.matrices, 128, 16)         arrays that are left when the rest moves together

Sources: T.-H. Yang et al., "Sparse ReRAM Engine: Joint Exploration of Activation and Weight Sparsity in Compressed Neural
Networks", ISCA 2019; C. Chu et al., "PIM-Prune: Fine-Grain DCNN Pruning for Crossbar-Based Process-In-Memory Architecture",
DAC 2020. Both are rebuilt from their ideas: operation units and the rows left out of their strips are SRE's, blocks as large as
a crossbar that lose rows and columns PIM-Prune's. What is said below to be an assumption is ours. Only weights count here; what
SRE saves by inputs that are 0 depends on the inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mho.errors import NumberError, OptionError, choices

Order = Literal["weight", "plane"]
ORDERS: tuple[Order, ...] = get_args(Order)
Segments = Literal["rows", "columns", "both"]
SEGMENTS: tuple[Segments, ...] = get_args(Segments)
Join = Literal["rows", "columns", "diagonal"]

Integers = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
CELLS = 1 << 24
"""Cells that are looked at in one go: bounds the memory that a large matrix takes."""


@dataclass(frozen=True)
class CompressedRows:
    """The strips of cell columns that matrices take without their empty rows.

    `strips` strips hold `kept_rows` rows in `crossbars` arrays, strips side by side, and in `stacked` arrays where strips also
    follow one another down a lane. `units`: operation units read in one step of the inputs' bits, for one window. `cycles`: the
    units of the fullest array, one a cycle. `index_bits`: which input each kept row takes. `dense_...`: with no row left out.
    """

    strips: int
    kept_rows: int
    crossbars: int
    stacked: int
    units: int
    cycles: int
    index_bits: int
    dense_crossbars: int
    dense_units: int
    dense_cycles: int

    def __post_init__(self) -> None:
        """Raise NumberError for counts that cannot be."""
        ordered = 0 <= self.stacked <= self.crossbars <= self.dense_crossbars
        if not ordered or not 0 <= self.cycles <= self.units <= self.dense_units or self.cycles > self.dense_cycles:
            raise NumberError(f"no compression of rows has such counts: {self}")


@dataclass(frozen=True, eq=False)
class Pruned:
    """Matrices (matrices, K, N) after pruning, in their integer type.

    `rows` (matrices, K, column blocks) and `columns` (matrices, row blocks, N): which rows and columns of which blocks are
    gone. `ratio`: the share of all weights that stood in them.
    """

    matrices: Integers
    rows: Mask
    columns: Mask
    ratio: float


@dataclass(frozen=True)
class PackedBlocks:
    """Arrays that pruned blocks take.

    `join`: what was moved together, "rows", "columns", or "diagonal" for small matrices that share arrays as they are.
    `index_bits`: which input each kept row takes, or which output each kept column gives. `least`: arrays that the kept rows
    and columns of all blocks would fill without a gap. `dense_crossbars`: arrays without a zero left out.
    """

    crossbars: int
    join: Join
    index_bits: int
    least: int
    dense_crossbars: int

    def __post_init__(self) -> None:
        """Raise NumberError for counts that cannot be."""
        if not 0 <= self.least <= self.crossbars <= self.dense_crossbars or self.index_bits < 0:
            raise NumberError(f"no blocks are packed so: {self}")


def compress_rows(
    matrices: Integers,
    *,
    rows: int = 128,
    columns: int = 128,
    cell_bits: int = 2,
    weight_bits: int = 8,
    unit_rows: int = 16,
    unit_columns: int = 16,
    order: Order = "weight",
) -> CompressedRows:
    """Count what signed weights (K, N) or (matrices, K, N) take with SRE's compression of rows.

    Weights are sign and magnitude in `weight_bits` bits, |w| <= 2^(weight_bits - 1) - 1. The magnitude lies as digits of
    `cell_bits` bits in cells of its own for either sign, so that a 0 is a cell that is off: SRE lives on these. Columns of cells
    stand in the `order` "weight" (all cells of an output, then the next output's; ISAAC's) or "plane" (a digit and sign of all
    outputs, then the next); which one SRE takes is an assumption either way. They are cut into strips of `unit_columns`, and of
    each strip the rows whose cells are all off are left out.

    An array of `rows` x `columns` cells has columns // unit_columns lanes. The highest strips stand side by side, one a lane, then
    the next highest; a set of strips is cut every `rows` rows and so takes ceil(its highest / rows) arrays. Strips of all matrices
    mix, since each has inputs of its own: an array reads one operation unit a cycle, at most `unit_rows` rows of one strip, and
    all arrays work at once. `stacked` is the least that any placing of whole rows in lanes could reach. An index is the number of
    the input among K, ceil(log2 K) bits (assumption: SRE may code differences in fewer).

    Raises NumberError for weights that are no such integers, OptionError for sizes and orders that are not known.
    """
    matrices = _checked(matrices)
    _positive(rows=rows, columns=columns, unit_rows=unit_rows, unit_columns=unit_columns, cell_bits=cell_bits)
    if not 2 <= weight_bits <= 16:
        raise OptionError(f"weight_bits is 2 to 16, sign included, not {weight_bits}")
    if unit_rows > rows or unit_columns > columns:
        raise OptionError(f"operation units of {unit_rows} x {unit_columns} do not fit arrays of {rows} x {columns}")
    if order not in ORDERS:
        raise OptionError(f"unknown order of columns {order!r}; {choices(order, ORDERS)}")
    most = (1 << (weight_bits - 1)) - 1
    if matrices.size and not (-most <= int(matrices.min()) and int(matrices.max()) <= most):
        raise NumberError(f"weights of {weight_bits} bits, sign and magnitude, are from {-most} to {most}")
    heights = _heights(matrices, unit_columns, cell_bits, weight_bits, order)
    inputs, lanes = matrices.shape[1], columns // unit_columns
    kept_rows = int(heights.sum())
    crossbars, units, cycles = _placed(heights, rows, lanes, unit_rows)
    dense = _placed(np.full_like(heights, inputs), rows, lanes, unit_rows)
    return CompressedRows(
        strips=heights.size,
        kept_rows=kept_rows,
        crossbars=crossbars,
        stacked=-(-kept_rows // (rows * lanes)),
        units=units,
        cycles=cycles,
        index_bits=kept_rows * _index_bits(inputs),
        dense_crossbars=dense[0],
        dense_units=dense[1],
        dense_cycles=dense[2],
    )


def prune(matrices: Integers, ratio: float, rows: int, columns: int, *, segments: Segments = "both") -> Pruned:
    """Set the weakest rows and columns of blocks of `rows` x `columns` weights to 0 until the share `ratio` of all is gone.

    A row of a block is `columns` weights of one input, a column `rows` weights of one output; at the edges they are shorter, so
    they are ranked by mean square. They go in that order, ranked once (assumption: the paper trains between steps), rows and
    columns as `segments` says, over all blocks of all matrices. Fewest possible go: without the last one the ratio is not reached.
    `columns` counts weights: the columns of an array by the cells of a weight.

    Raises NumberError for weights that are no integers, OptionError for a ratio outside 0 to 1, sizes and `segments`.
    """
    whole = _checked(matrices)
    _positive(rows=rows, columns=columns)
    if not 0.0 <= ratio <= 1.0:
        raise OptionError(f"ratio is from 0 to 1, not {ratio}")
    if segments not in SEGMENTS:
        raise OptionError(f"unknown segments {segments!r}; {choices(segments, SEGMENTS)}")
    square = np.square(whole, dtype=np.float64)
    row_starts, column_starts = np.arange(0, whole.shape[1], rows), np.arange(0, whole.shape[2], columns)
    widths, depths = np.diff(column_starts, append=whole.shape[2]), np.diff(row_starts, append=whole.shape[1])
    row_strength = np.add.reduceat(square, column_starts, axis=2) / widths
    column_strength = np.add.reduceat(square, row_starts, axis=1) / depths[:, None]
    ranked = [strength.reshape(-1) for strength in (row_strength, column_strength)]
    rank = np.full(sum(strength.size for strength in ranked), np.iinfo(np.int64).max)
    allowed = {
        "rows": slice(0, row_strength.size),
        "columns": slice(row_strength.size, None),
        "both": slice(None),
    }[segments]
    candidates = np.arange(len(rank))[allowed]
    rank[candidates[np.argsort(np.concatenate(ranked)[allowed], kind="stable")]] = np.arange(len(candidates))
    row_rank = rank[: row_strength.size].reshape(row_strength.shape)
    column_rank = rank[row_strength.size :].reshape(column_strength.shape)

    def gone(number: int) -> int:
        """Count the weights in the first so many segments, those in a row and a column once."""
        left_rows = np.add.reduceat((row_rank >= number).astype(np.int64), row_starts, axis=1)
        left_columns = np.add.reduceat((column_rank >= number).astype(np.int64), column_starts, axis=2)
        return whole.size - int((left_rows * left_columns).sum())

    wanted = math.ceil(ratio * whole.size - 1e-9 * whole.size)  # a ratio is a float: 0.7 x 10 must not ask for 8
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if gone(middle) >= wanted else (middle + 1, high)
    row_gone, column_gone = row_rank < low, column_rank < low
    hole = np.repeat(row_gone, widths, axis=2) | np.repeat(column_gone, depths, axis=1)
    pruned = np.where(hole, whole.dtype.type(0), whole).reshape(matrices.shape)
    return Pruned(pruned, row_gone, column_gone, gone(low) / whole.size)


def pack_blocks(matrices: Integers, rows: int, columns: int) -> PackedBlocks:
    """Count the arrays of `rows` x `columns` weights that (K, N) or (matrices, K, N) take without empty rows or columns of blocks.

    Of two ways the one with fewer arrays (assumption; the paper's reordering may do better, never better than `least`):
    - rows: blocks one above another give the same outputs, so their rows that are not empty move up and join;
    - columns: blocks side by side take the same inputs, so their columns that are not empty move left and join.
    An array drives all of its rows at once, so blocks that lost different rows and different columns cannot join both ways.
    Of matrices so small that p = min(rows // K, columns // N) > 1 fit, p share an array along its diagonal, empty ones left out.

    Raises NumberError for weights that are no integers, OptionError for sizes.
    """
    matrices = _checked(matrices)
    _positive(rows=rows, columns=columns)
    number, inputs, outputs = matrices.shape
    row_starts, column_starts = np.arange(0, inputs, rows), np.arange(0, outputs, columns)
    on = matrices != 0
    row_on = np.logical_or.reduceat(on, column_starts, axis=2)
    column_on = np.logical_or.reduceat(on, row_starts, axis=1)
    block_rows = np.add.reduceat(row_on.astype(np.int64), row_starts, axis=1)
    block_columns = np.add.reduceat(column_on.astype(np.int64), column_starts, axis=2)
    least = -(-int((block_rows * block_columns).sum()) // (rows * columns))
    packed = min(rows // inputs, columns // outputs)
    if packed > 1:
        used = int(on.any(axis=(1, 2)).sum())
        return PackedBlocks(-(-used // packed), "diagonal", 0, least, -(-number // packed))
    by_rows = int((-(-block_rows.sum(axis=1) // rows)).sum())
    by_columns = int((-(-block_columns.sum(axis=2) // columns)).sum())
    dense = number * len(row_starts) * len(column_starts)
    if by_columns < by_rows:
        return PackedBlocks(by_columns, "columns", int(column_on.sum()) * _index_bits(outputs), least, dense)
    return PackedBlocks(by_rows, "rows", int(row_on.sum()) * _index_bits(inputs), least, dense)


def _heights(matrices: Integers, width: int, cell_bits: int, weight_bits: int, order: Order) -> npt.NDArray[np.int64]:
    """Count, for each strip of `width` columns of cells, the rows with a cell that is on: int64 (matrices, strips)."""
    number, inputs, outputs = matrices.shape
    # The most significant digit first and the positive cell before the negative one, as in `chip.coding`.
    shifts = np.arange(0, weight_bits - 1, cell_bits)[::-1]
    total = outputs * len(shifts) * 2
    strips = -(-total // width)
    heights = np.zeros((number, strips), dtype=np.int64)
    step = max(1, CELLS // (number * inputs * width))
    for first in range(0, strips, step):
        last = min(first + step, strips)
        column = np.arange(first * width, min(last * width, total))
        if order == "weight":
            (output, cell) = np.divmod(column, len(shifts) * 2)
            (digit, sign) = np.divmod(cell, 2)
        else:
            (cell, output) = np.divmod(column, outputs)
            (digit, sign) = np.divmod(cell, 2)
        signed = matrices[:, :, output].astype(np.int32) * np.where(sign, -1, 1).astype(np.int32)
        on = ((np.maximum(signed, 0) >> shifts[digit]) & ((1 << cell_bits) - 1)) != 0
        row_on = np.logical_or.reduceat(on, np.arange(0, len(column), width), axis=2)
        heights[:, first:last] = row_on.sum(axis=1)
    return heights


def _placed(heights: npt.NDArray[np.int64], rows: int, lanes: int, unit_rows: int) -> tuple[int, int, int]:
    """Return the arrays of strips so high, the highest side by side first, their units, and the units of the fullest array."""
    ordered = np.sort(heights, axis=None)[::-1]
    # The first strip of each set is its highest.
    crossbars = int((-(-ordered[::lanes] // rows)).sum())
    full, rest = np.divmod(ordered, rows)
    units = int((full * -(-rows // unit_rows) + -(-rest // unit_rows)).sum())
    # No array is fuller than the first of the first set: each lane of it holds as much as any other.
    cycles = int((-(-np.minimum(ordered[:lanes], rows) // unit_rows)).sum())
    return crossbars, units, cycles


def _index_bits(number: int) -> int:
    """Return the bits that tell `number` things apart."""
    return (number - 1).bit_length()


def _checked(matrices: Integers) -> Integers:
    """Return integer matrices as (matrices, K, N)."""
    if not isinstance(matrices, np.ndarray) or matrices.dtype.kind not in "iu" or matrices.ndim not in (2, 3):
        given = f"{matrices.dtype} {matrices.shape}" if isinstance(matrices, np.ndarray) else type(matrices).__name__
        raise NumberError(f"weights are a numpy array of integers, (K, N) or (matrices, K, N), not {given}")
    if not matrices.size:
        raise NumberError(f"weights of shape {matrices.shape} are none")
    return matrices if matrices.ndim == 3 else matrices[None]


def _positive(**sizes: int) -> None:
    """Raise OptionError for a size that is no whole number above 0."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise OptionError(f"{name} is a whole number above 0, not {size!r}")
