"""What a program of look-ups computes: the reduced vector of each bag, from the levels that the layout put into the cells.

Rows hold signed integers of 8 bits, stored as code = value + 128 in the coding of the chip. An activation drives its wordlines with
the weights of its look-ups, DAC bits a step; each column of cells (or pair) gives a sum, which is converted with the mode's
resolution, in steps of one level; the digital side adds up significances, steps and the parts of a bag, and takes 128 x the sum of
the weights out, which it knows from the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import AnalogError, NumberError
from mho.machine.analog.columns import fixed_point
from mho.machine.analog.sensing import Sensing
from mho.machine.analog.spec import Analog
from mho.mapping.coding import block_levels
from mho.network.trace import Trace
from mho.number.coded import QuantisedMatrix
from mho.program.lookups import Ints, Lookups

FloatArray = npt.NDArray[np.float64]
Table = npt.NDArray[np.int8]
Levels = npt.NDArray[np.uint8]
Cells = Callable[[int], tuple[Levels, npt.NDArray[np.bool_] | None]]
"""The levels of an instance's cells, (rows, features, cells of a number), and which columns of cells are inverted."""
ZERO = 128
"""The code that stands for 0."""
CELLS = 1 << 22
"""Cells that are added up at once, at most, but for those of a single activation."""
READ = 0x0EAD
"""Key of the random draws of read noise."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """Reduced vectors (bags, features): int64, or float64 behind an ideal ADC and noisy cells. `clipped` of `conversions` sums did
    not fit the ADC's mode.
    """

    vectors: npt.NDArray[np.int64] | FloatArray
    clipped: int
    conversions: int


def reference(trace: Trace, table: Table) -> Ints:
    """Return sum over each bag's look-ups of weight x row, int64 (bags, features): an integer embedding_bag."""
    _check(trace, table)
    vectors = np.zeros((trace.bags, table.shape[1]), dtype=np.int64)
    bag = np.repeat(np.arange(trace.bags), trace.lengths)
    rows = table[trace.flat].astype(np.int64)
    np.add.at(vectors, bag, rows if trace.weights is None else rows * trace.weights[:, None])
    return vectors


def reduce(lookups: Lookups, table: Table, analog: Analog | None = None, cells: Cells | None = None) -> Reduced:
    """Execute a program of look-ups on tables of int8, (rows of all tables, features). With exact cells nothing is lost.

    `cells`: what each instance holds; None: the levels of its rows.

    `analog` (ADC of the chip or ideal, gain and offset errors, devices with all that they do) adds noise: each instance is
    programmed once. Raises NumberError for a table of another shape or type, AnalogError for what is not simulated here: wires,
    ADC ranges, bits and effective bits other than the modes', a digital pedestal.
    """
    trace, seats, reading = lookups.trace, lookups.seats, lookups.reading
    _check(trace, table)
    if table.shape[1] != seats.dimension:
        raise NumberError(f"a table of {table.shape[1]} features does not fit a program for {seats.dimension}")
    maker = _Maker(seats.chip, lookups, table, analog, cells)
    real = analog is not None and analog.adc.bits == "ideal"
    kind: type[np.float64] | type[np.int64] = np.float64 if real else np.int64
    vectors: npt.NDArray[Any] = np.zeros((trace.bags, seats.dimension), dtype=kind)
    clipped = conversions = 0
    sizes = lookups.sizes
    for array, acts in _pieces(lookups, maker):
        at = np.concatenate([np.arange(lookups.starts[a], lookups.starts[a + 1]) for a in acts.tolist()])
        cuts = np.concatenate([[0], np.cumsum(sizes[acts])[:-1]])
        served = lookups.lookups[at]
        weights = np.ones(len(at), dtype=np.int64) if trace.weights is None else trace.weights[served].astype(np.int64)
        bits = reading.bits[sizes[acts]]
        total = np.zeros((len(acts), seats.dimension), dtype=kind)
        for step in range(reading.steps):
            drive = weights >> (step * seats.chip.array.dac_bits) & reading.drive
            driven = np.add.reduceat(drive, cuts)
            sums = array.sums(lookups.wordlines[at], drive, cuts)
            codes, lost = array.convert(sums, bits)
            clipped += lost
            conversions += codes.size
            significance = 1 << step * seats.chip.array.dac_bits
            total += (array.combine(codes, driven) * significance).astype(kind)
        total -= (ZERO * np.add.reduceat(weights, cuts))[:, None]
        np.add.at(vectors, lookups.bags[acts], total)
    return Reduced(vectors, clipped, conversions)


def _check(trace: Trace, table: Table) -> None:
    if table.dtype != np.int8 or table.ndim != 2 or len(table) != trace.total_rows:
        raise NumberError(
            f"tables must be int8, ({trace.total_rows} rows, features), not {table.dtype} of shape {table.shape}"
        )


def _pieces(lookups: Lookups, maker: _Maker) -> Iterator[tuple[_Array, Ints]]:
    """Yield the columns of each instance that is used with its activations, in order, as many at a time as memory is given to."""
    order = np.argsort(lookups.instances, kind="stable")
    ends = np.cumsum(lookups.loads)
    for instance in np.flatnonzero(lookups.loads):
        array = maker.array(int(instance))
        step = max(1, CELLS // (lookups.reading.most_rows * array.seen.shape[1]))
        for low in range(int(ends[instance] - lookups.loads[instance]), int(ends[instance]), step):
            yield array, order[low : min(low + step, int(ends[instance]))]


@dataclass(frozen=True, eq=False)
class _Array:
    """The columns of an instance: `seen` int (rows, features x slices), in 2^-shift of a level, and its ADCs."""

    seen: npt.NDArray[np.int64]
    shift: int
    significance: FloatArray
    highest: int
    inverted: npt.NDArray[np.bool_] | None
    base: int
    signed: bool
    ideal: bool
    gain: FloatArray
    offset: FloatArray
    variance: FloatArray | None
    noise: np.random.Generator

    def sums(self, wordlines: npt.NDArray[np.int32], drive: Ints, cuts: Ints) -> FloatArray:
        """Return the sum of each activation and column, in levels."""
        exact = np.add.reduceat(self.seen[wordlines] * drive[:, None], cuts, axis=0)
        sums = np.ldexp(exact.astype(np.float64), -self.shift)
        if self.variance is not None:
            spread = np.sqrt(np.add.reduceat(self.variance[wordlines] * np.square(drive)[:, None], cuts, axis=0))
            sums += spread * self.noise.standard_normal(sums.shape)
        return np.asarray(sums)

    def convert(self, sums: FloatArray, bits: Ints) -> tuple[FloatArray, int]:
        """Return the codes, in steps of one level, and how many clipped."""
        if self.ideal:
            return sums, 0
        wanted = np.rint(sums * self.gain + self.offset)
        top = (2.0 ** (bits - 1) if self.signed else 2.0**bits)[:, None] - 1
        codes = np.clip(wanted, -top if self.signed else 0.0, top)
        return codes, int(np.count_nonzero(codes != wanted))

    def combine(self, codes: FloatArray, driven: Ints) -> FloatArray:
        """Return sum over driven rows of drive x code, (activations, features)."""
        if self.inverted is not None:
            codes = np.where(self.inverted, self.highest * driven[:, None] - codes, codes)
        shaped = codes.reshape(len(codes), -1, len(self.significance))
        return np.asarray(shaped @ self.significance + self.base * driven[:, None])


class _Maker:
    """Makes the columns of instances from what the layout puts there."""

    def __init__(
        self, chip: Chip, lookups: Lookups, table: Table, analog: Analog | None, cells: Cells | None = None
    ) -> None:
        self.lookups = lookups
        self.cells = self._written if cells is None else cells
        codes = (table.astype(np.int16) + ZERO).astype(np.uint8)
        if codes.min(initial=ZERO) < chip.coding.least_code:
            raise NumberError(f"tables on a chip of coding {chip.coding.name} hold -127 to 127, not -128")
        self.matrix = QuantisedMatrix(codes[None], np.array(1.0), np.array(ZERO))
        self.analog = Analog(adc={"bits": "chip"}) if analog is None else analog  # type: ignore[arg-type]
        _refuse(self.analog)
        self.sensing = Sensing(chip, lookups.seats.blocks.shape, self.analog)
        self.sensing.check()

    def _written(self, instance: int) -> tuple[Levels, npt.NDArray[np.bool_] | None]:
        """Return the levels of an instance's rows, and which columns are inverted."""
        blocks = self.lookups.seats.blocks
        bundle = blocks.of_bundle(int(np.searchsorted(self.lookups.layout.first, instance, side="right")) - 1)
        return block_levels(np.hstack([blocks.laid(index, self.matrix) for index in bundle]), self.sensing.shape.coding)

    def array(self, instance: int) -> _Array:
        """Return an instance's columns."""
        sensing, device = self.sensing, self.analog.device
        coding = sensing.shape.coding
        levels, inverted = self.cells(instance)
        above = levels.astype(np.float64)
        if not device.exact:
            faults = sensing.faults(levels.shape, (instance,))
            above = sensing.programmed(levels, (instance, 0), faults=faults) - sensing.below
        seen, variance = sensing.seen(above)
        fixed, shift = fixed_point(seen, 0 if device.exact else None)
        features = np.arange(seen.shape[1])
        gain, offset = sensing.adc_errors(instance, features, -(-len(features) // sensing.shape.per_array))
        query = int(self.lookups.trace.queries[0])
        words = np.random.SeedSequence(self.analog.seed, spawn_key=(READ, instance, query))
        return _Array(
            fixed.reshape(len(levels), -1).astype(np.int64),
            shift,
            np.array(sensing.significance, dtype=np.float64),
            coding.highest,
            None if inverted is None else inverted.reshape(-1),
            coding.base,
            coding.pairs,
            self.analog.adc.bits == "ideal",
            gain.reshape(-1),
            offset.reshape(-1),
            None if variance is None else variance.reshape(len(levels), -1),
            np.random.Generator(np.random.Philox(words)),
        )


def _refuse(analog: Analog) -> None:
    """Refuse what is not simulated for look-ups."""
    for key, wrong, allowed in (
        ("wires", analog.wires is not None, "none"),
        ("pedestal", analog.pedestal != "analog", "analog"),
        ("adc.range", analog.adc.range != "full", "full"),
        ("adc.bits", analog.adc.bits not in ("chip", "ideal"), "chip or ideal; lookup.adc_modes says how many"),
        ("adc.effective_bits", analog.adc.effective_bits is not None, "none"),
    ):
        if wrong:
            raise AnalogError(f"{key}: not simulated for look-ups; allowed: {allowed}")


__all__ = ["Reduced", "Table", "reduce", "reference"]
