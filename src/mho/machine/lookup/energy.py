"""What activations cost: events counted from how many rows each drives, each with the chip's energy for one such event.

Counting rules, for an activation of n rows whose features lie in A arrays:
- which rows are selected comes over the network on chip into the tile buffer (written and read) of each group that an instance
  takes, and into the input register of each array, in the fewest bytes: as a mask, a bit a row (a weight's bits where look-ups
  have weights), or as how many they are and the number of each (and its weight); arrays that only ever read one row need not be
  told how many;
- n rows are driven in each array and step. Current flows in driven rows only, so a read costs n / rows of `array_read`;
- columns that hold features are sampled, converted and shift-added in each step, pairs converted once, a unit column too; a
  conversion of fewer bits costs its share of a whole one (`Readout.share`), and an ADC that switches gets its mode written, one
  byte;
- the sum of an array is updated in the output register each step; of each bag one sum a tile goes through a port, but for the
  tile that merges it;
- a bag of p parts takes p - 1 additions a feature; its vector, 4 bytes a feature, is written to a tile buffer once.

Leakage: the parts of a tile by the share of tiles in use, those of the chip whole, over the time of all batches; main memory is
not used while look-ups are served, and is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from mho.chip.lookup import Reading
from mho.machine.bill import LEAKAGE, Bill, Charge, Price
from mho.mapping.embedding.seats import Seats
from mho.program.lookups import Lookups

READ_NOTE = "assumption: the energy of reading an array is that of its driven rows, 1 / rows of a whole read each"
MEMORY_NOTE = "main memory is not used while look-ups are served; what it draws is not counted"


@dataclass(frozen=True, eq=False)
class Counted:
    """The counts that energy follows from: `by_rows` int64 (most rows + 1,), the activations of n rows; partial sums; sums of
    tiles that went through a port; bags with any part at all; and seconds in which the chip was powered. Counts add up.
    """

    by_rows: npt.NDArray[np.int64]
    parts: int
    crossed: int
    served: int
    seconds: float

    @classmethod
    def of(cls, lookups: Lookups, crossed: int, seconds: float) -> Counted:
        """Count what a program did."""
        by_rows = np.bincount(lookups.sizes, minlength=lookups.reading.most_rows + 1)
        return cls(by_rows, int(lookups.sent.sum()), crossed, int(np.count_nonzero(lookups.parts)), seconds)

    def __add__(self, other: Counted) -> Counted:
        """Add the counts of two runs, one after the other."""
        return Counted(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counted)))

    @property
    def activations(self) -> int:
        """All activations."""
        return int(self.by_rows.sum())


def selection_bytes(reading: Reading) -> npt.NDArray[np.int64]:
    """Return the bytes that tell an array which n rows to drive, and with which weights, (most rows + 1,): a mask or a list."""
    rows, weight = reading.chip.weight_rows, reading.weight_bits
    number = max((rows - 1).bit_length(), 1)
    entry = number + (weight if weight > 1 else 0)
    only_reads = reading.chip.lookup is not None and min(reading.chip.lookup.most_rows, reading.chip.rows_at_once) == 1
    listed = np.arange(reading.most_rows + 1) * entry + (0 if only_reads else number)
    return np.asarray(-(-np.minimum(listed, rows * weight) // 8), dtype=np.int64)


def events(counted: Counted, seats: Seats, reading: Reading, result_bytes: int) -> dict[str, float]:
    """Return how often each event of the chip happened; `result_bytes` are those of one feature."""
    chip, steps = seats.chip, reading.steps
    bundle = seats.blocks.totals((0, seats.span))
    dimension, arrays = bundle.sums, bundle.arrays
    rows = np.arange(reading.most_rows + 1)
    activations = counted.activations
    driven = int(counted.by_rows @ rows) * steps * arrays
    columns = dimension * chip.coding.cell_columns + arrays * chip.unit_columns
    converted = columns // chip.coding.columns_at_once
    whole = float(counted.by_rows @ np.array(reading.shares, dtype=np.float64)) * steps
    selected = int(counted.by_rows @ selection_bytes(reading))
    counts = {
        "noc_byte": selected * seats.span + counted.crossed * dimension * reading.sum_bytes,
        "tile_buffer_byte": 2 * selected * seats.span + counted.served * dimension * result_bytes,
        "input_register_byte": selected * arrays,
        "dac_drive": driven * chip.coding.cell_rows,
        "array_read": driven / chip.weight_rows,
        "sample_hold": activations * steps * columns,
        "adc_conversion": whole * converted,
        "shift_add": activations * steps * converted,
        "output_register_byte": activations * steps * dimension * reading.sum_bytes,
        "accumulate": (counted.parts - counted.served) * dimension,
    }
    if "adc_mode_byte" in chip.energy_per_event and chip.costs.count("adc_mode"):
        counts["adc_mode_byte"] = activations * arrays * chip.array.adcs
    return counts | {event: counts[other] for event, other in chip.costs.followers.items() if other in counts}


def bill(counted: Counted, seats: Seats, reading: Reading, result_bytes: int) -> Bill:
    """Return all that energy is paid for, counted apart from what it costs; no layer is told apart."""
    chip, costs, everything = seats.chip, seats.chip.costs, np.array([-1])
    charges = [
        Charge(everything, Price(costs.event_component[event], event), "compute", np.array([float(count)]))
        for event, count in events(counted, seats, reading, result_bytes).items()
    ]
    share = seats.tiles / chip.tiles
    for component in chip.leakage_w:
        level = costs.level(component)
        if costs.may_leak(component) and level != "board":
            powered = counted.seconds * costs.count(component) * (1.0 if level == "chip" else share)
            charges.append(Charge(everything, Price(component, LEAKAGE), "static", np.array([powered])))
    return Bill.of(charges, ())


def energy(counted: Counted, seats: Seats, reading: Reading, result_bytes: int) -> dict[tuple[str, str], float]:
    """Return joules by component and kind, `compute` or `static`."""
    chip, costs = seats.chip, seats.chip.costs
    joules = {
        (chip.costs.event_component[event], "compute"): count * chip.energy_per_event[event]
        for event, count in events(counted, seats, reading, result_bytes).items()
    }
    share = seats.tiles / chip.tiles
    for component, watts in chip.leakage_w.items():
        level = costs.level(component)
        if watts and level != "board":
            joules[component, "static"] = watts * counted.seconds * (1.0 if level == "chip" else share)
    return joules
