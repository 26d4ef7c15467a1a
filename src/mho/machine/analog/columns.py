"""From the cells of a block to the columns that its ADCs see, as integers.

What the ADC sees of a cell is a *weight* in levels: its conductance as programmed and through the wires, less the
pedestal where a reference column takes that away, and for a differential pair the difference of two. Weights are
rounded to a fixed point, 2^-shift of a level (shift 0 for exact levels, else as fine as fits two bytes): then all
sums are exact integers whatever the order, the batch, the kernel or the processor, and the same seed gives the same
answer everywhere.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.machine.analog.reference import Common, common_noise, reference_columns
from mho.machine.analog.sensing import FloatArray, Sensing
from mho.machine.analog.spec import Analog
from mho.machine.analog.wires import Wiring
from mho.machine.analog.wires_fast import effective
from mho.machine.fabric import Content, StoredBlock
from mho.mapping import GroupShape

LARGEST = 127 * 256 + 127
"""Weights in fixed point fit two signed bytes."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a block: `weights` int16 (slices, height, width), in 2^-shift of a level.

    `significance` (slices,): what a level of each slice counts for. `inverted` (slices, width): columns whose value is
    (L - 1) x sum of inputs less what is converted. `pedestal`: levels that the ADC sees of a cell at level 0. `gain` and `offset`
    float32 (slices, width): the errors of the columns' ADCs, gain 1 and offset 0 for none. `read_variance` (slices, height,
    width), or None: the variance of a cell's read noise, in level^2. `mirrored`: the second half of the rows are those of the
    first, driven the other way. `common`: the read noise of reference columns, or None.
    """

    weights: npt.NDArray[np.int16]
    shift: int
    significance: FloatArray
    inverted: npt.NDArray[np.bool_]
    highest: int
    pedestal: float
    gain: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    read_variance: FloatArray | None
    mirrored: bool = False
    common: Common | None = None

    @property
    def accurate(self) -> bool:
        """Say whether the ADCs are free of errors of their own."""
        return bool((self.gain == 1).all() and (self.offset == 0).all())

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.weights.nbytes + (0 if self.read_variance is None else self.read_variance.nbytes)

    def linear(self) -> FloatArray:
        """Return the weights (height, width) of the product that the block computes where nothing is converted with loss.

        The coding's base is not in them: off the diagonal of a packed block it does not count.
        """
        factor = self.significance[:, None] * np.where(self.inverted, -1.0, 1.0)
        rows = self.weights.shape[1] // (1 + self.mirrored)
        seen = np.einsum("sw,shw->hw", factor, self.weights[:, :rows].astype(np.float64))
        linear = np.asarray(seen * 2.0**-self.shift + self.per_input())
        return np.concatenate([linear, -linear]) if self.mirrored else linear

    def input_sums(self, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return the sum of the inputs of each window (windows,), those that drive rows the other way subtracted."""
        rows = self.weights.shape[1] // (1 + self.mirrored)
        sums: npt.NDArray[np.int64] = x[:, :rows].sum(axis=1, dtype=np.int64) - x[:, rows:].sum(axis=1, dtype=np.int64)
        return sums

    def rows_of(self, rows: npt.NDArray[np.intp] | None, mirrored: bool) -> Columns:
        """Return them for some of the rows (None: all), and for inputs that drive rows either way."""
        if rows is None and not mirrored:
            return self
        chosen = slice(None) if rows is None else rows
        weights, variance = self.weights[:, chosen], self.read_variance
        variance = None if variance is None else np.ascontiguousarray(variance[:, chosen])
        if mirrored:
            weights = np.concatenate([weights, -weights], axis=1)
            variance = None if variance is None else np.concatenate([variance, variance], axis=1)
        common = None if self.common is None else self.common.rows_of(chosen, mirrored)
        weights = np.ascontiguousarray(weights)
        return replace(self, weights=weights, read_variance=variance, mirrored=mirrored, common=common)

    def only(self, columns: slice | npt.NDArray[np.intp]) -> Columns:
        """Return some of the columns, by their places in the block."""
        return replace(
            self,
            weights=np.ascontiguousarray(self.weights[:, :, columns]),
            inverted=self.inverted[:, columns],
            gain=np.ascontiguousarray(self.gain[:, columns]),
            offset=np.ascontiguousarray(self.offset[:, columns]),
            read_variance=None
            if self.read_variance is None
            else np.ascontiguousarray(self.read_variance[:, :, columns]),
            common=None if self.common is None else self.common.only(columns),
        )

    def per_input(self) -> FloatArray:
        """Return what each unit of input adds to the columns beside what is converted, shape (width,)."""
        return np.asarray(
            self.significance @ np.where(self.inverted, self.highest + self.pedestal, -self.pedestal), dtype=np.float64
        )


class Sized(Protocol):
    """An object that knows how many bytes it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""


Item = TypeVar("Item", bound=Sized)


class Kept(Generic[Item]):
    """Items by key: those that were used last, as many as `most` bytes hold, and one always."""

    def __init__(self, most: int) -> None:
        self.most, self._bytes = most, 0
        self._items: OrderedDict[Hashable, Item] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """Return the item of a key, made where it is not kept."""
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key]
        item = self._items[key] = make()
        self._bytes += item.nbytes
        while self._bytes > self.most and len(self._items) > 1:
            self._bytes -= self._items.popitem(last=False)[1].nbytes
        return item


class Maker:
    """Makes the columns of blocks in groups of `shape`, and keeps as many as `most` bytes hold."""

    def __init__(self, chip: Chip, shape: GroupShape, analog: Analog, most: int) -> None:
        self.sensing = Sensing(chip, shape, analog)
        self.sensing.check()
        self._kept: Kept[Columns] = Kept(most)
        self.exact = analog.device.exact and analog.wires is None
        self.alike = self.exact and not (analog.adc.gain_error or analog.adc.offset_error)

    def key(self, block: StoredBlock) -> tuple[object, ...]:
        """Return a key that differs between blocks whose columns may differ."""
        return block.key if self.alike else (*block.key, block.group, block.content.origin_digest)

    def columns(self, block: StoredBlock) -> Columns:
        """Return the columns of a block."""
        return self._kept.get(self.key(block), lambda: self._make(block))

    def _make(self, block: StoredBlock) -> Columns:
        sensing = self.sensing
        arrays = block.place.columns // block.place.shape.per_array
        references = reference_columns(sensing, block.group, int(arrays.max()) + 1) if sensing.reference else None
        if self.exact:
            above = block.levels.astype(np.float64)
        else:
            conductances = programmed(block.content, block.group, sensing)
            if sensing.analog.wires is not None:
                conductances = self._through_wires(conductances, block.content.grid.per_array, references)
            above = np.asarray(block.seen(conductances), dtype=np.float64) - sensing.below
        seen, variance = sensing.seen(above)
        common = None
        if references is not None:
            own = references[:, block.place.rows]
            seen = seen - (own[arrays] - sensing.below).T[:, :, None]
            common = common_noise(sensing, own, arrays)
        weights, shift = fixed_point(seen, 0 if self.exact and sensing.pedestal == 0 else None)
        converted = block.content.grid.per_array // (2 if sensing.pairs else 1)
        gain, offset = sensing.adc_errors(block.group, block.place.columns, sensing.chip.group.arrays, converted)
        return Columns(
            np.ascontiguousarray(weights.transpose(2, 0, 1)),
            shift,
            np.array(sensing.significance, dtype=np.float64),
            np.zeros(gain.T.shape, dtype=bool) if block.inverted is None else np.ascontiguousarray(block.inverted.T),
            sensing.shape.coding.highest,
            # What is subtracted lies on the grid on which every cell was rounded, or their rounding would add up.
            float(np.ldexp(np.rint(np.ldexp(sensing.pedestal, shift)), -shift)),
            np.ascontiguousarray(gain.T, dtype=np.float32),
            np.ascontiguousarray(offset.T, dtype=np.float32),
            None if variance is None else np.ascontiguousarray(variance.transpose(2, 0, 1)),
            common=common,
        )

    def _through_wires(self, whole: FloatArray, per_array: int, references: FloatArray | None) -> FloatArray:
        """Return the effective conductances of a group's cells, (rows, columns), of arrays of `per_array` columns; cells that were
        never written are off. `references`, the last columns of the arrays, are replaced by theirs.
        """
        chip, analog = self.sensing.chip, self.sensing.analog
        wires, device = analog.wires, analog.device
        assert wires is not None
        wiring = Wiring(wires.row_ohm, wires.column_ohm, wires.drive, wires.sense)
        siemens = (device.g_on_s - device.g_off_s) / (chip.levels - 1)
        result = np.empty_like(whole)
        rows, deep = len(whole), self.sensing.shape.coding.cell_rows
        for number, first in enumerate(range(0, whole.shape[1], per_array)):
            # The cells of a pair may lie in two rows of a column.
            tile = whole[:, first : first + per_array].reshape(rows, -1, deep).swapaxes(1, 2).reshape(deep * rows, -1)
            reference = () if references is None else references[number : number + 1]
            full = np.full((chip.array.rows, chip.array.columns + (references is not None)), self.sensing.below)
            full[: len(tile), : tile.shape[1]] = tile
            for cells in reference:
                full[:, -1] = cells
            conductances = effective(full * siemens, wiring, wires.method) / siemens
            for cells in reference:
                cells[:] = conductances[:, -1]
            seen = conductances[: len(tile), : tile.shape[1]].reshape(rows, deep, -1).swapaxes(1, 2)
            result[:, first : first + per_array] = seen.reshape(rows, -1)
        return result


def programmed(content: Content, group: int, sensing: Sensing) -> FloatArray:
    """Return what the cells of a group conduct as programmed, in levels, shape (rows, columns of cells).

    Each write draws for its block, and counts for the cells that it programmed last: keyed by group and instruction, so that
    nothing depends on when or how often it is asked for. A cell that is stuck is stuck for all writes. Cells that were never
    written are off.
    """
    result = np.full(content.levels.shape, sensing.below)
    faults = sensing.faults((content.grid.rows, content.grid.columns), (group,))
    for instruction, place in content.places.items():
        levels, stuck = place.weights(content.levels), place.weights(faults)
        drawn = sensing.programmed(levels, (group, instruction), faults=stuck).reshape(len(place.rows), -1)
        written = True if isinstance(content.origin, int) else content.origin[place.index] == instruction
        result[place.index] = np.where(written, drawn, result[place.index])
    return result


def fixed_point(values: FloatArray, shift: int | None) -> tuple[npt.NDArray[np.int16], int]:
    """Round values (height, width, slices) to integers of 2^-shift; None: as fine as two bytes and 32-bit sums allow."""
    if shift is None:
        largest = float(np.abs(values).max(initial=0.0))
        most = min(LARGEST, (2**31 - 1) // (255 * max(len(values), 1)))
        shift = 15 if largest <= most * 2.0**-15 else math.floor(math.log2(most / largest))
    return np.rint(np.ldexp(values, shift)).astype(np.int16), shift
