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
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.machine.analog.spec import Analog
from mho.machine.analog.wires import Wiring
from mho.machine.analog.wires_fast import effective
from mho.machine.fabric import Content, Held
from mho.mapping import GroupShape

FloatArray = npt.NDArray[np.float64]
LARGEST = 127 * 256 + 127
"""Weights in fixed point fit two signed bytes."""
ADC_ERRORS = 0x0ADC
"""What the draws of ADCs are keyed by."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a block: `weights` int16 (slices, height, width), in 2^-shift of a level.

    `significance` (slices,): what a level of each slice counts for. `inverted` (slices, width), or None: columns whose value is
    (L - 1) x sum of inputs less what is converted. `pedestal`: levels that the ADC sees of a cell at level 0. `gain` and `offset`
    float32 (slices, width): the errors of the columns' ADCs, gain 1 and offset 0 for none. `read_variance` (slices, height,
    width), or None: the variance of a cell's read noise, in level^2.
    """

    weights: npt.NDArray[np.int16]
    shift: int
    significance: FloatArray
    inverted: npt.NDArray[np.bool_] | None
    highest: int
    pedestal: float
    gain: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    read_variance: FloatArray | None

    @property
    def accurate(self) -> bool:
        """Whether the ADCs have no errors of their own."""
        return bool((self.gain == 1).all() and (self.offset == 0).all())

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.weights.nbytes + (0 if self.read_variance is None else self.read_variance.nbytes)

    def linear(self) -> FloatArray:
        """Return the weights (height, width) of the product that the block computes where nothing is converted with loss.

        The coding's base is not in them: off the diagonal of a packed block it does not count.
        """
        factor = self.significance[:, None] * (1.0 if self.inverted is None else np.where(self.inverted, -1.0, 1.0))
        seen = np.einsum("sw,shw->hw", np.broadcast_to(factor, self.gain.shape), self.weights.astype(np.float64))
        return np.asarray(seen * 2.0**-self.shift + self.per_input())

    def only(self, columns: slice | npt.NDArray[np.intp]) -> Columns:
        """Return some of the columns, by their places in the block."""
        return replace(
            self,
            weights=np.ascontiguousarray(self.weights[:, :, columns]),
            inverted=None if self.inverted is None else self.inverted[:, columns],
            gain=np.ascontiguousarray(self.gain[:, columns]),
            offset=np.ascontiguousarray(self.offset[:, columns]),
            read_variance=None
            if self.read_variance is None
            else np.ascontiguousarray(self.read_variance[:, :, columns]),
        )

    def per_input(self) -> FloatArray:
        """Return what each unit of input adds to the columns beside what is converted, shape (width,)."""
        added = np.zeros(self.gain.shape[1])
        for k, significance in enumerate(self.significance):
            flips = np.zeros(self.gain.shape[1], dtype=bool) if self.inverted is None else self.inverted[k]
            added += significance * np.where(flips, self.highest + self.pedestal, -self.pedestal)
        return added


class Maker:
    """Makes the columns of blocks in groups of `shape`, and keeps as many as `kept` bytes hold."""

    def __init__(self, chip: Chip, shape: GroupShape, analog: Analog, kept: int) -> None:
        self.chip, self.shape = chip, shape
        self.analog = analog
        self.most = kept
        self._kept: OrderedDict[tuple[object, ...], Columns] = OrderedDict()
        self._bytes = 0
        device = analog.device
        device.check(chip.array.cell_bits, age_s=analog.age_s, writes=analog.writes)
        self.exact = device.exact and analog.wires is None
        self.below = device.pedestal(chip.array.cell_bits)
        self.pairs = shape.coding.pairs
        self.pedestal = 0.0 if self.pairs or analog.pedestal == "analog" else self.below
        self.errors = bool(analog.adc.gain_error or analog.adc.offset_error)

    @property
    def slices(self) -> int:
        """Columns that are converted for each weight."""
        return self.shape.cells // (2 if self.pairs else 1)

    def key(self, held: Held) -> tuple[object, ...]:
        """Return what tells blocks apart whose columns may differ."""
        if self.exact and not self.errors:
            return held.key
        return (*held.key, held.group, held.content.origin_digest)

    def columns(self, held: Held) -> Columns:
        """Return the columns of a block."""
        key = self.key(held)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = self._make(held)
        self._kept[key] = found
        self._bytes += found.nbytes
        while self._bytes > self.most and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return found

    def _make(self, held: Held) -> Columns:
        coding, analog = self.shape.coding, self.analog
        variance: FloatArray | None = None
        if self.exact:
            seen = held.levels.astype(np.float64)
            programmed = seen + self.below
        else:
            programmed = self._conductances(held)
            seen = programmed - self.below
        if not self.pairs:
            seen = seen + self.pedestal
        sigma = analog.device.read_sigma(programmed, self.chip.array.cell_bits)
        if np.any(sigma):
            variance = np.broadcast_to(np.square(sigma), programmed.shape)
        significance = np.array(coding.significance, dtype=np.float64)
        if self.pairs:
            seen = seen[..., 0::2] - seen[..., 1::2]
            significance = significance[0::2]
            variance = None if variance is None else variance[..., 0::2] + variance[..., 1::2]
        weights, shift = fixed_point(seen, 0 if self.exact and self.pedestal == 0 else None)
        gain, offset = self._adc_errors(held, len(significance))
        return Columns(
            np.ascontiguousarray(weights.transpose(2, 0, 1)),
            shift,
            significance,
            None if held.inverted is None else np.ascontiguousarray(held.inverted.T),
            coding.highest,
            # What is subtracted lies on the grid on which every cell was rounded, or their rounding would add up.
            float(np.ldexp(np.rint(np.ldexp(self.pedestal, shift)), -shift)),
            gain,
            offset,
            None if variance is None else np.ascontiguousarray(variance.transpose(2, 0, 1)),
        )

    def _conductances(self, held: Held) -> FloatArray:
        """Return what the cells of a block conduct, in levels, shape (height, width, cells)."""
        whole = programmed(held.content, held.group, self.analog, self.chip, self.shape)
        wires = self.analog.wires
        if wires is None:
            return np.asarray(held.seen(whole), dtype=np.float64)
        return np.asarray(held.seen(self._through_wires(whole)), dtype=np.float64)

    def _through_wires(self, whole: FloatArray) -> FloatArray:
        """Return the effective conductances of a group's cells, array by array; cells that were never written are off."""
        chip, wires, device = self.chip, self.analog.wires, self.analog.device
        assert wires is not None
        wiring = Wiring(wires.row_ohm, wires.column_ohm, wires.drive, wires.sense)
        siemens = (device.g_on_s - device.g_off_s) / (chip.levels - 1)
        per_array, cells = self.shape.per_array, self.shape.cells
        result = np.empty_like(whole)
        rows, columns = whole.shape[:2]
        for first in range(0, columns, per_array):
            part = whole[:, first : first + per_array]
            full = np.full((chip.array.rows, chip.array.columns), self.below)
            width = part.shape[1] * cells
            full[:rows, :width] = part.reshape(rows, width)
            found = effective(full * siemens, wiring, wires.method) / siemens
            result[:, first : first + per_array] = found[:rows, :width].reshape(part.shape)
        return result

    def _adc_errors(self, held: Held, slices: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return gain and offset of the ADC behind each column, drawn once for each ADC of the chip."""
        adc, array = self.analog.adc, self.chip.array
        width = len(held.place.columns)
        gain, offset = np.ones((slices, width), dtype=np.float32), np.zeros((slices, width), dtype=np.float32)
        if not self.errors:
            return gain, offset
        per_array = self.shape.per_array
        arrays, place = np.divmod(held.place.columns, per_array)
        sources = np.random.SeedSequence(self.analog.seed, spawn_key=(ADC_ERRORS, held.group))
        draws = np.random.Generator(np.random.Philox(sources)).standard_normal((2, self.chip.group.arrays, array.adcs))
        converted = per_array * slices
        for k in range(slices):
            which = (place * slices + k) * array.adcs // converted
            gain[k] = 1.0 + adc.gain_error * draws[0, arrays, which]
            offset[k] = adc.offset_error * draws[1, arrays, which]
        return gain, offset


def programmed(content: Content, group: int, analog: Analog, chip: Chip, shape: GroupShape) -> FloatArray:
    """Return what the cells of a group conduct as programmed, in levels, shape (rows, weight columns, cells).

    Each write draws for its block, and counts for the cells that it programmed last: keyed by group and instruction, so that
    nothing depends on when or how often it is asked for. A cell that is stuck is stuck for all writes. Cells that were never
    written are off.
    """
    device, bits = analog.device, chip.array.cell_bits
    faults = device.faults((shape.rows, shape.columns, shape.cells), (group,), seed=analog.seed, writes=analog.writes)
    result = np.full(content.levels.shape, device.pedestal(bits))
    for instruction, place in content.places.items():
        drawn = device.program(
            content.levels[place.index],
            bits,
            (group, instruction),
            seed=analog.seed,
            age_s=analog.age_s,
            writes=analog.writes,
            faults=faults[place.index],
        )
        if isinstance(content.origin, int):
            result[place.index] = drawn
        else:
            result[place.index] = np.where(content.origin[place.index] == instruction, drawn, result[place.index])
    return result


def fixed_point(values: FloatArray, shift: int | None) -> tuple[npt.NDArray[np.int16], int]:
    """Round values (height, width, slices) to integers of 2^-shift; None: as fine as two bytes and 32-bit sums allow."""
    if shift is None:
        largest = float(np.abs(values).max(initial=0.0))
        most = min(LARGEST, (2**31 - 1) // (255 * max(len(values), 1)))
        shift = 15 if largest <= most * 2.0**-15 else math.floor(math.log2(most / largest))
    return np.rint(np.ldexp(values, shift)).astype(np.int16), shift
