"""What activations ask of a chip: events of arrays, converters, registers, tile buffers and network.

Counting rules, for one window through a run of blocks with s input-bit steps:
- rows are driven in each array that uses them; every used array is read, and of it the used columns only are sampled,
  converted and shift-added, each step, and its unit column where it has one; a pair of columns is converted once, by a
  conversion that takes its share of a whole one's energy where it resolves fewer bits;
- rows that are not driven together take turns: columns are sampled and converted in each, while all turns together drive and
  read the array once; steps of several pulses drive and read it once a pulse;
- inputs: those that blocks of the run share are read from the global buffer once; each group gets its rows over the network
  on chip into the tile buffer (written and read: two accesses) and, array by array, into the input registers; where tiles keep
  them (`tile.input_fetch: once`), what windows of an activation share (on a basis, of all in the tile) is read, sent and written
  once, and read from the tile's buffer for each window;
- blocks of digits: each window reads their index once, and shifts the inputs of shifted rows; rows are driven, and columns
  converted, turn by turn, in as many steps more as rows of different shifts ask for;
- partial sums: one a used output and block, updated in the output register each step, and each window sent over the
  network and added once in the accumulator.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.machine.combining import combined_events
from mho.once import once
from mho.program import Program
from mho.program.brought import brought
from mho.program.columns import ACTIVATE, WRITE, columns
from mho.program.instructions import members

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def _beyond(program: Program, activations: Integers) -> Floats:
    """Count what blocks whose columns are not in place ask for beyond those in place, shape (4, activations).

    Arrays read and rows driven in them in the steps of a plain input, then the same in those by which shifted inputs prolong it:
    of one window, the mean of those of an activation where several copies, each in places of its own, have windows in turn.
    """
    table = columns(program)
    beyond = np.zeros((4, len(table.kind)))
    orders: dict[int, tuple[int, ...]] = {}
    for number in table.of(WRITE, ACTIVATE).tolist() if table.order_bytes.any() else ():
        blocks, (first, last) = program.mapping.located((int(table.first_block[number]), int(table.last_block[number])))
        written, across = table.kind[number] == WRITE, table.ordered(number)[1]
        turns = np.arange(table.first_window[number], table.last_window[number]) % table.copies[number]
        shares = np.bincount(turns, minlength=table.copies[number]) / max(len(turns), 1)
        for index, group in enumerate(members(table.ranges_of(number))):
            if written:
                orders[group] = across[index] if across else ()
            elif orders.get(group):
                copy, block = divmod(index, last - first)
                more = blocks.reads(first + block, orders[group]) - blocks.reads(first + block)
                beyond[:, number] += more * shares[copy]
    return beyond[:, activations]


def activation_events(program: Program, activations: Integers) -> dict[str, Floats]:
    """Count the events of windows through written blocks, by event, for each of these activations."""
    chip, table = program.chip, columns(program)
    runs = {name: counts[activations] for name, counts in table.runs.items()}
    late = {name: counts[activations] for name, counts in table.late.items()}
    beyond = _beyond(program, activations)
    read = _readings(program)[:, table.layer[activations]]
    index, kept = table.index_bytes[activations], brought(program)[activations]
    windows = table.windows[activations]
    counts = window_events(chip, runs, late, beyond, read, kept) | {
        "index_byte": index,
        "row_shift": runs["shifted"] * (index > 0),
    }
    events = {event: (count * windows).astype(np.float64) for event, count in counts.items()}
    if not program.mapping.combining:
        return events
    rows, input_bytes = runs["rows"] * read[7], read[6]
    return combined_events(program, activations, events, kept * rows * input_bytes * windows)


def window_events(
    chip: Chip,
    runs: Mapping[str, Integers],
    late: Mapping[str, Integers],
    beyond: Integers | Floats,
    read: Floats,
    kept: Floats | float,
) -> dict[str, Floats]:
    """Count the events of one window through runs of blocks, by event, for each of them.

    runs, late: the totals over each run by name (`mapping.blocks.Totals`); beyond: as `_beyond`, shape (4, runs); read: what
    reading the blocks asks for, as `_readings`, shape (8, runs); kept: the share of inputs that is brought.
    """
    steps, pulses, passes, cells, share, sum_bytes, input_bytes, driven = read
    # Of the rows of a basis, those that a part of a layer has.
    rows, driving = runs["rows"] * driven, (runs["drives"] + beyond[1]) * driven
    # Of one window: what happens in the steps of a plain input, and in those by which shifted inputs prolong it.
    arrays = (runs["arrays"] + beyond[0]) * pulses + (late["arrays"] + beyond[2]) * passes
    drives = driving * pulses + (late["drives"] + beyond[3]) * passes
    # A unit column is sampled and converted with those of the weights, a pair of columns sampled in two and converted once.
    units = (runs["readings"] + beyond[0]) * steps + (late["arrays"] + beyond[2]) * passes
    sampled = (runs["columns"] * steps + late["columns"] * passes) * cells + units * chip.unit_columns
    converted = sampled / chip.coding.columns_at_once
    return {
        "dac_drive": drives * chip.coding.cell_rows,
        "array_read": arrays,
        "sample_hold": sampled,
        "adc_conversion": converted * share,
        "shift_add": converted,
        "tile_buffer_byte": (1 + kept) * rows * input_bytes,
        "input_register_byte": driving * input_bytes,
        "noc_byte": kept * rows * input_bytes + runs["sums"] * sum_bytes,
        "output_register_byte": (runs["updates"] * steps + late["sums"] * passes) * sum_bytes,
        "accumulate": runs["sums"],
    }


@once
def _readings(program: Program) -> Floats:
    """Return, for each layer of the network, what reading its blocks for one input vector asks for, shape (8, layers).

    Input steps and pulses of a turn, passes, columns of cells of a place, the share of a whole conversion that one takes, the bytes
    of a partial sum, those of an input, and the share of rows that is driven.
    """
    different: dict[tuple[object, ...], tuple[float, ...]] = {}
    rows, layers = [], program.mapping.layers
    for layer in layers:
        read, bits, coding = layer.readout, layer.bits, layer.blocks.shape.coding
        driven = 1.0 if layer.combination is None else layer.combination.driven_share
        key = id(read), bits, coding.cell_columns, driven
        if key not in different:
            different[key] = (
                read.steps, read.pulses, len(read.passes), coding.cell_columns, float(read.share),
                program.chip.sum_bytes(bits.inputs, bits.weights), bits.inputs / 8, driven,
            )  # fmt: skip
        rows.append(different[key])
    table = np.zeros((8, len(program.network.layers)))
    table[:, [layer.index for layer in layers]] = np.array(rows, dtype=np.float64).reshape(-1, 8).T
    return table
