"""Blocks of digits: rows of a matrix, columns of cells that each hold one digit of one output's weights.

Input row i of a rectangle of digits through cell column j gives sum of x_i digit_ij, which counts `sign x 2^position` in the sum
of output `outputs[j]`. Digits are of magnitudes, in columns for the positive and for the negative weights apart, or of weights
less an offset that makes them all 0 or more; then what the offset adds, offset x (sum of the rectangle's inputs), is taken back on
the digital side, as a zero point is.

A block fills one group. Its rectangles that share a turn are driven together; a block of several turns is activated once in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.mapping.blocks import Blocks, Bytes, Drive, FloatArray, Fullest, IntArray, Late, Named, Run, Totals, Turn
from mho.mapping.shape import GroupShape
from mho.number.coded import QuantisedMatrix

POSITION_BITS = 3
"""Bits of an index entry that say which bit of a weight a digit begins at."""
SIGN_BITS = 1
LATE = ("arrays", "drives", "columns", "sums")
COUNTS = (
    "rows", "columns", "places", "arrays", "drives", "sums", "updates", "readings", "shifted", "entries",
    *(f"late_{name}" for name in LATE),
)  # fmt: skip
"""What is counted of each block; see `DigitBlocks._counts`."""


@dataclass(frozen=True, eq=False)
class Digits:
    """One rectangle of digits, at (`top`, `left`) in its block's group, driven in turn `turn`.

    `rows` intp (height,): which inputs of matrix `matrix` drive it. `shifts` uint8 (height,): by how much the digits of each row
    are stored shifted right, so that its input counts 2^shift. Of each column, shape (width,): `outputs` the output it
    belongs to, `signs` +1 or -1 for digits of positive or negative weights, 0 for digits of weights plus an offset, `positions` the
    first bit of its digit, `masks` the bits that the digit may have. `low`: magnitude bits that columns of offset weights cover.
    `offsets` int16 (width,): what was added to the weights of an offset column. `corrected` (outputs, offsets): those that this
    rectangle takes back (an output whose columns lie in two rectangles is corrected by one).
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

    @property
    def down(self) -> slice:
        """The rows of the group that it takes."""
        return slice(self.top, self.top + self.height)

    @property
    def across(self) -> slice:
        """The cell columns of the group that it takes."""
        return slice(self.left, self.left + self.width)

    @cached_property
    def sums(self) -> int:
        """Outputs that it gives a partial sum of."""
        return len(np.unique(self.outputs))

    @cached_property
    def late(self) -> int:
        """Input bits by which its steps are prolonged: rows of one shift are shifted behind the array instead, at no cost."""
        return int(self.shifts.max()) if len(self.shifts) and self.shifts.min() != self.shifts.max() else 0

    @property
    def behind(self) -> int:
        """Return the factor of its sums where all its rows are shifted alike: they are shifted behind the array."""
        return 1 if self.late or not self.height else 1 << int(self.shifts[0])

    @property
    def factors(self) -> IntArray:
        """Return the weight of each column's sum in its output, shape (width,)."""
        factors: IntArray = np.where(self.signs < 0, -1, 1).astype(np.int64) << self.positions
        return factors

    def of(self, weights: npt.NDArray[np.int16]) -> Bytes:
        """Return the digits, (height, width), of signed weights (matrices, K, N)."""
        shifted = weights[self.matrix][self.rows[:, None], self.outputs[None, :]] >> self.shifts[:, None]
        magnitude = np.abs(shifted)
        low = np.sign(shifted) * (magnitude & ((1 << self.low) - 1)) + self.offsets
        shown = np.where(self.signs == 0, low, np.where(np.sign(shifted) == self.signs, magnitude, 0))
        digits: Bytes = ((shown >> self.positions) & self.masks).astype(np.uint8)
        return digits

    def at(self, top: int, left: int, turn: int) -> Digits:
        """Return the same digits at another place and turn."""
        return replace(self, top=top, left=left, turn=turn)

    def add_sums(self, sums: FloatArray, x: Bytes, out: FloatArray) -> None:
        """Add what its columns give, (runs x windows, width), to `out` (matrices, runs, windows, N); x as for `Blocks.splice`."""
        # The columns of an output stand together. They are added one after another, so that no sum depends on its batch.
        begins = np.flatnonzero(np.diff(self.outputs, prepend=-1))
        outputs, counts = self.outputs[begins], np.diff(begins, append=self.width)
        factors, added = self.factors * float(self.behind), np.zeros((len(sums), len(outputs)))
        for digit in range(int(counts.max(initial=0))):
            which = np.flatnonzero(counts > digit)
            columns = begins[which] + digit
            added[:, which] += sums[:, columns] * factors[columns]
        out[self.matrix][:, :, outputs] += added.reshape(*x.shape[1:3], len(outputs))
        corrected, offsets = self.corrected
        if len(corrected):
            driven = x[self.matrix][:, :, self.rows].astype(np.int64) << self.shifts.astype(np.int64)
            out[self.matrix][:, :, corrected] -= driven.sum(axis=2)[..., None] * offsets.astype(np.int64)

    def add_weights(self, read: FloatArray, out: FloatArray) -> None:
        """Add the weights that its cells, read as (height, width), stand for to `out` (matrices, K, N)."""
        scaled = read * self.factors
        outputs, which = np.unique(self.outputs, return_inverse=True)
        weights = np.zeros((self.height, len(outputs)))
        np.add.at(weights.T, which, scaled.T)
        assert not len(np.setdiff1d(self.corrected[0], outputs))
        weights[:, np.searchsorted(outputs, self.corrected[0])] -= self.corrected[1]
        out[self.matrix][np.ix_(self.rows, outputs)] += weights * (1 << self.shifts.astype(np.int64))[:, None]


@dataclass(frozen=True, eq=False)
class DigitBlock:
    """The rectangles of digits that share one group."""

    parts: tuple[Digits, ...]

    @cached_property
    def height(self) -> int:
        """Rows of the group that are used."""
        return max(part.top + part.height for part in self.parts)

    @cached_property
    def width(self) -> int:
        """Cell columns of the group that are used."""
        return max(part.left + part.width for part in self.parts)

    @cached_property
    def turns(self) -> tuple[tuple[Digits, ...], ...]:
        """Return its rectangles turn by turn."""
        last = max(part.turn for part in self.parts)
        return tuple(tuple(part for part in self.parts if part.turn == turn) for turn in range(last + 1))


class DigitBlocks(Blocks):
    """Blocks of digits in groups of this `shape`; `dac_bits` are the bits of the drivers."""

    def __init__(
        self, matrices: int, rows: int, columns: int, blocks: Sequence[DigitBlock], shape: GroupShape, dac_bits: int
    ) -> None:
        self.matrices, self.rows, self.columns = matrices, rows, columns
        self.shape, self.dac_bits = shape, dac_bits
        self._blocks = tuple(blocks)

    @property
    def count(self) -> int:
        """The number of blocks: groups that one copy fills."""
        return len(self._blocks)

    def block(self, index: int) -> DigitBlock:
        """Return block `index`, 0 <= index < count."""
        self.check(index)
        return self._blocks[index]

    @cached_property
    def heights(self) -> IntArray:
        """Used rows of each block, shape (count,)."""
        return np.array([block.height for block in self._blocks], dtype=np.int64)

    @cached_property
    def widths(self) -> IntArray:
        """Used cell columns of each block, shape (count,)."""
        return np.array([block.width for block in self._blocks], dtype=np.int64)

    @property
    def fills(self) -> FloatArray:
        """Return 1 for each block: places without a digit are known from the weights alone, and count as full."""
        return np.ones(self.count)

    @property
    def occupied(self) -> int:
        """Cells that are set."""
        return int(self.places.sum())

    def slowest(self, plain: int) -> tuple[int, int]:
        """Return the turns of the slowest block, and the steps that meeting rows of different shifts add to them."""
        each = [
            (sum(map(self._turns, block.turns)), sum(self._turns(turn) * self._extra(turn) for turn in block.turns))
            for block in self._blocks
        ]
        return max(each, key=lambda slow: plain * slow[0] + slow[1], default=(1, 0))

    def _turns(self, parts: Sequence[Digits]) -> int:
        """Return how often columns are converted in a step for the rows of rectangles that share a turn."""
        return -(-sum(part.height for part in parts) // self.shape.rows_at_once)

    def converted(self) -> int:
        """Return the most columns of a turn, no more than an array has."""
        widths = (sum(part.width for part in parts) for block in self._blocks for parts in block.turns)
        return min(max(widths, default=1), self.shape.per_array)

    def _extra(self, turn: Sequence[Digits]) -> int:
        """Return the steps that shifted rows take beyond those of a plain input."""
        return max(-(-part.late // self.dac_bits) for part in turn)

    def _counts(self, index: int) -> dict[str, int]:
        """Count what one window asks of a block, as `Totals` and `Late` name it; `entries`: of columns, in its index."""
        counts = dict.fromkeys(COUNTS, 0) | {"places": int(self.places[index])}
        counts |= zip(("arrays", "drives", "late_arrays", "late_drives"), self.reads(index).tolist(), strict=True)
        for turn in self._blocks[index].turns:
            extra, often = self._extra(turn), self._turns(turn)
            for part in turn:
                counts["rows"] += part.height
                counts["shifted"] += int((part.shifts > 0).sum())
                counts["entries"] += part.width
                counts["columns"] += often * part.width
                counts["late_columns"] += often * extra * part.width
                counts["sums"] += part.sums
                counts["updates"] += often * part.sums
                counts["late_sums"] += often * extra * part.sums
            counts["readings"] += often * len(set().union(*map(self._arrays, turn)))
        return counts

    def _arrays(self, part: Digits, order: Sequence[int] = ()) -> range | set[int]:
        """Return the arrays of the group that columns lie in; `order` says where each column of the block sits, if not in place."""
        if order:
            return {place // self.shape.per_array for place in order[part.across]}
        return range(part.left // self.shape.per_array, -(-(part.left + part.width) // self.shape.per_array))

    def reads(self, index: int, order: Sequence[int] = ()) -> IntArray:
        """Count arrays read and rows driven in them, plain and prolonged; see `Blocks.reads`."""
        counts = np.zeros(4, dtype=np.int64)
        for turn in self.block(index).turns:
            extra = self._extra(turn)
            touched = [set(self._arrays(part, order)) for part in turn]
            arrays = len(set().union(*touched))
            drives = sum(part.height * len(of_part) for part, of_part in zip(turn, touched, strict=True))
            counts += (arrays, drives, extra * arrays, extra * drives)
        return counts

    def entries(self, index: int) -> tuple[int, int]:
        """Count entries: every row of every rectangle names an input, every column an output."""
        parts = self.block(index).parts
        return sum(part.height for part in parts), sum(part.width for part in parts)

    def named(self, index: int) -> tuple[Named, ...]:
        """Return the rows and columns of the rectangles of each turn."""
        return tuple(
            Named(
                _table([range(p.top, p.top + p.height), p.matrix, p.rows, p.shifts * (p.late > 0)] for p in parts),
                _table([range(p.left, p.left + p.width), p.matrix, p.outputs, p.factors * p.behind] for p in parts),
                _table([p.matrix, p.corrected[0], -p.corrected[1].astype(np.int64) * p.behind] for p in parts),
                len(parts),
            )
            for parts in self.block(index).turns
        )

    def index_bits(self, run: Run, index_bits: int, shift_bits: int) -> int:
        """Return the bits of the entries of a run of blocks: an input and a shift a row, an output, position and sign a column."""
        counts = self._counted(run)
        return counts["rows"] * (index_bits + shift_bits) + counts["entries"] * (index_bits + POSITION_BITS + SIGN_BITS)

    @cached_property
    def _running(self) -> IntArray:
        """Return running sums over blocks of their counts, before each block and at the end, shape (count + 1, len(COUNTS))."""
        table = np.zeros((self.count + 1, len(COUNTS)), dtype=np.int64)
        for index in range(self.count):
            counts = self._counts(index)
            table[index + 1] = [counts[name] for name in COUNTS]
        np.cumsum(table, axis=0, out=table)
        return table

    def _counted(self, run: Run) -> dict[str, int]:
        """Return the sums of the counts of a run of blocks, by name."""
        return dict(zip(COUNTS, (self._running[run[1]] - self._running[run[0]]).tolist(), strict=True))

    def totals(self, run: Run) -> Totals:
        """Sum over the blocks [first, last); the distinct inputs are those of the rows that drive any of them."""
        counts = self._counted(run)
        late = Late(**{name: counts.pop(f"late_{name}") for name in LATE})
        del counts["entries"]
        inputs = self._all_inputs if run == (0, self.count) else self._inputs(run)
        return Totals(blocks=run[1] - run[0], inputs=inputs, late=late, **counts)

    def _inputs(self, run: Run) -> int:
        """Count the inputs that drive any of the blocks."""
        seen = np.zeros((self.matrices, self.rows), dtype=bool)
        for block in self._blocks[slice(*run)]:
            for part in block.parts:
                seen[part.matrix, part.rows] = True
        return int(seen.sum())

    @cached_property
    def _all_inputs(self) -> int:
        return self._inputs((0, self.count))

    def turns(self, index: int) -> tuple[Turn, ...]:
        """Return the rows and the columns of the rectangles of each turn."""
        block = self.block(index)
        if len(block.turns) == 1:
            return (Turn(slice(None), None, max(part.late for part in block.parts)),)
        return tuple(
            Turn(
                np.concatenate([np.arange(part.top, part.top + part.height) for part in parts]),
                np.concatenate([np.arange(part.left, part.left + part.width) for part in parts]),
                max(part.late for part in parts),
            )
            for parts in block.turns
        )

    def laid(self, index: int, matrix: QuantisedMatrix) -> Bytes:
        """Return the digits of a block as they sit in its group."""
        block, weights = self.block(index), matrix.centred
        digits: Bytes = np.full((block.height, block.width), self.shape.coding.base, dtype=np.uint8)
        for part in block.parts:
            digits[part.down, part.across] = part.of(weights)
        return digits

    def drives(self, index: int, x: Bytes) -> Iterator[Drive]:
        """Yield the inputs of each turn; those of rows that are shifted otherwise than their neighbours are shifted to the left."""
        block, vectors = self.block(index), x.shape[1] * x.shape[2]
        for number, (turn, parts) in enumerate(zip(self.turns(index), block.turns, strict=True)):
            low: Bytes = np.zeros((vectors, block.height), dtype=np.uint8)
            high = np.zeros_like(low) if turn.late else None
            for part in parts:
                inputs = np.ascontiguousarray(x[part.matrix][:, :, part.rows]).reshape(vectors, part.height)
                if part.late and high is not None:
                    wide = inputs.astype(np.uint16) << part.shifts
                    high[:, part.down] = wide >> 8
                    inputs = (wide & 255).astype(np.uint8)
                low[:, part.down] = inputs
            width = sum(part.width for part in parts)
            yield Drive(turn, (low,) if high is None else (low, high), width, number)

    def splice(self, index: int, number: int | None, sums: FloatArray, x: Bytes, out: FloatArray) -> None:
        """Add the sums of a turn's digits to the outputs that they belong to, and take back what offsets add."""
        first = 0
        for part in self.block(index).turns[number or 0]:
            part.add_sums(sums[:, first : first + part.width], x, out)
            first += part.width

    def beside(self, matrix: QuantisedMatrix) -> IntArray:
        """Return the zero points of the weights: what the digital side knows as the zero of a code is no part of a digit."""
        return np.atleast_2d(matrix.zero)

    def assembled(self, read: Iterable[tuple[int, FloatArray]], matrix: QuantisedMatrix) -> FloatArray | None:
        """Put the digits together; None where a turn drives rows through cells of another rectangle that hold something."""
        weights = np.zeros((self.matrices, self.rows, self.columns))
        for index, values in read:
            for parts in self.block(index).turns:
                for part in parts:
                    if any(other is not part and values[other.down, part.across].any() for other in parts):
                        return None
                    part.add_weights(values[part.down, part.across], weights)
        return weights + np.broadcast_to(matrix.zero, (self.matrices, self.columns))[:, None, :]

    def fullest(self) -> Fullest:
        """Return the most levels of a rectangle's column, by the bits that digits may have, and the rows of the highest block."""
        parts = (part for block in self._blocks for part in block.parts)
        most = self.shape.rows_at_once
        levels = max((min(part.height, most) * int(part.masks.max(initial=0)) for part in parts), default=0)
        return Fullest(levels, min(int(self.heights.max(initial=0)), most))


def _table(parts: Iterable[Sequence[Any]]) -> IntArray:
    """Return columns of numbers, of each rectangle one after another, side by side."""
    return np.concatenate([np.stack(np.broadcast_arrays(*columns), axis=1).astype(np.int64) for columns in parts])
