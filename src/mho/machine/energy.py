"""What a program costs: events counted from its instructions, each with the chip's energy for one such event.

Every joule is booked once, on a layer, a component and a kind; totals are sums of these entries and nothing else. Kinds:
`compute` (arrays, converters, registers, buffers, vector unit), `write` (cell pulses and the registers and wires that
bring them), `memory` (main memory), `static` (leakage over the time that things are powered).

Counting rules, for one window through a run of blocks with s input-bit steps:
- rows are driven in each array that uses them; every used array is read, and of it the used columns only are sampled,
  converted and shift-added, each step, and its unit column where it has one; a pair of columns is converted once;
- inputs: those that blocks of the run share are read from the global buffer once; each group gets its rows over the network
  on chip into the tile buffer (written and read: two accesses) and, array by array, into the input registers;
- blocks of digits: each window reads their index once, and shifts the inputs of shifted rows; rows are driven, and columns
  converted, turn by turn, in as many steps more as rows of different shifts ask for;
- partial sums: one a used output and block, updated in the output register each step, and each window sent over the
  network and added once in the accumulator.

What passes through the global buffer is counted tensor by tensor (machine/accesses.py), since the price of a byte depends on
the banks that it lies in. A transfer passes through it where its tensor lives there; what does not (token indices, real
outputs) goes straight between the vector unit and main memory.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mho.machine.accesses import access_prices, count_accesses
from mho.machine.changes import Wear
from mho.machine.timing import Timing
from mho.network.layers import Input, MatrixProduct
from mho.program import Activate, Combine, Program, Transfer, Vector, Write
from mho.program.instructions import members
from mho.program.work import index_bytes, order_bytes, sources, vector_operations, write_bytes
from mho.shown import Shown

KINDS = ("write", "compute", "static", "memory")


@dataclass(frozen=True, slots=True)
class Entry:
    """Joules of one component for one layer (its place in the network; -1: the chip as a whole) and kind."""

    layer: int
    component: str
    kind: str
    joules: float


@dataclass(frozen=True, eq=False, repr=False)
class Account(Shown):
    """All energy of one inference, and that of the setup, once, with what leaks while it lasts (no bank is on then)."""

    entries: tuple[Entry, ...]
    setup_j: float

    def total(self) -> float:
        """Return joules in all."""
        return sum(entry.joules for entry in self.entries)

    def by(self, key: str) -> dict[str, float]:
        """Sum joules by "component" or "kind", largest first."""
        sums: dict[str, float] = defaultdict(float)
        for entry in self.entries:
            sums[getattr(entry, key)] += entry.joules
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def by_layer(self) -> dict[int, float]:
        """Sum joules by layer."""
        sums: dict[int, float] = defaultdict(float)
        for entry in self.entries:
            sums[entry.layer] += entry.joules
        return dict(sums)


Events = dict[tuple[int, str, str], float]


Beyond = tuple[int, int, int, int]
"""Arrays read and rows driven in them in the steps of a plain input, then the same in those by which shifted inputs prolong it."""


def _spread(program: Program) -> dict[int, Beyond]:
    """For each activation of blocks whose columns are not in place: arrays that it reads, and rows that it drives in them,
    beyond those of blocks in place.
    """
    orders: dict[int, tuple[int, ...]] = {}
    beyond: dict[int, Beyond] = {}
    if not any(isinstance(each, Write) and each.columns for each in program.instructions):
        return beyond
    for number, instruction in enumerate(program.instructions):
        if not isinstance(instruction, Write | Activate):
            continue
        mapped = program.mapping.by_index[instruction.layer]
        first = mapped.within(instruction.blocks)[0]
        more = np.zeros(4, dtype=np.int64)
        for which, group in enumerate(members(instruction.groups)):
            index = first + which
            if isinstance(instruction, Write):
                orders[group] = instruction.columns[which] if instruction.columns else ()
            elif orders.get(group):
                more += mapped.blocks.reads(index, orders[group]) - mapped.blocks.reads(index)
        if isinstance(instruction, Activate):
            arrays, drives, late_arrays, late_drives = more.tolist()
            beyond[number] = arrays, drives, late_arrays, late_drives
    return beyond


def _activation(program: Program, instruction: Activate, beyond: Beyond, events: Events) -> None:
    """Count the events of windows through written blocks; `beyond` as from `_spread`."""
    chip, shape = program.chip, program.mapping.shape
    mapped = program.mapping.by_index[instruction.layer]
    run = mapped.within(instruction.blocks)
    totals = mapped.blocks.totals(run)
    late = totals.late
    windows = instruction.windows[1] - instruction.windows[0]
    base = chip.steps_per_window
    # Of one window: what happens in the steps of a plain input, and in those by which shifted inputs prolong it.
    arrays = (totals.arrays + beyond[0]) * base + late.arrays + beyond[2]
    drives = (totals.drives + beyond[1]) * base + late.drives + beyond[3]
    # A unit column is sampled and converted with those of the weights, a pair of columns sampled in two and converted once.
    sampled = (totals.columns * base + late.columns) * shape.cells + arrays * chip.unit_columns
    converted = sampled // 2 if shape.coding.pairs else sampled
    for event, count in {
        "dac_drive": drives,
        "array_read": arrays,
        "sample_hold": sampled,
        "adc_conversion": converted,
        "shift_add": converted,
        "tile_buffer_byte": 2 * totals.rows,
        "input_register_byte": totals.drives + beyond[1],
        "noc_byte": totals.rows + totals.sums * chip.partial_sum_bytes,
        "output_register_byte": (totals.sums * base + late.sums) * chip.partial_sum_bytes,
        "accumulate": totals.sums,
    }.items():
        events[instruction.layer, event, "compute"] += count * windows
    if index := index_bytes(mapped.blocks, run, chip):
        events[instruction.layer, "index_byte", "compute"] += index * windows
        events[instruction.layer, "row_shift", "compute"] += totals.shifted * windows


def _vector(program: Program, instruction: Vector | Combine, events: Events) -> None:
    """Count the operations of a layer in the vector unit."""
    network, index = program.network, instruction.layer
    layer = network.layers[index]
    if not layer.moves_only:
        events[index, "vector_element", "compute"] += vector_operations(layer, network)
        if isinstance(layer, MatrixProduct):
            events[index, "matrix_mac", "compute"] += layer.macs


def _write(program: Program, number: int, instruction: Write, worn: Wear, events: Events) -> None:
    """Count the events of a write: changes (and orders) fetched, brought to the group, and changes pulsed into cells."""
    size = write_bytes(*program.mapping.located(instruction.blocks), program.chip)
    orders = order_bytes(instruction, program.mapping.shape)
    events[instruction.layer, "memory_byte", "memory"] += size
    if orders:
        events[instruction.layer, "memory_byte", "memory"] += orders
        for event in ("noc_byte", "tile_buffer_byte"):
            events[instruction.layer, event, "write"] += orders
    for event in ("noc_byte", "write_register_byte"):
        events[instruction.layer, event, "write"] += size
    events[instruction.layer, "tile_buffer_byte", "write"] += 2 * size
    events[instruction.layer, "cell_pulse", "write"] += worn.counts[number].steps * program.chip.pulses_per_level


def count_events(program: Program, worn: Wear, first: int, last: int) -> Events:
    """Count the events of instructions [first, last), by layer, event and kind."""
    events = _count_elsewhere(program, worn, first, last)
    for access, size in count_accesses(program, first, last).items():
        events[access.layer, access.event, access.kind] += size
    return events


def _count_elsewhere(program: Program, worn: Wear, first: int, last: int) -> Events:
    """Count the events of instructions [first, last) outside the global buffer."""
    spread = _spread(program)
    events: Events = defaultdict(float)
    for number in range(first, last):
        instruction = program.instructions[number]
        if isinstance(instruction, Activate):
            _activation(program, instruction, spread.get(number, (0, 0, 0, 0)), events)
        elif isinstance(instruction, Write):
            _write(program, number, instruction, worn, events)
        elif isinstance(instruction, Transfer):
            events[instruction.layer, "memory_byte", "memory"] += instruction.size
            events[instruction.layer, "noc_byte", "memory"] += instruction.size
        else:
            _vector(program, instruction, events)
    for event, other in program.chip.costs.followers.items():
        for layer, counted, kind in list(events):
            if counted == other:
                events[layer, event, kind] = events[layer, other, kind]
    return events


def finished_s(program: Program, timing: Timing) -> dict[int, float]:
    """Return when each layer was finished, in s: combined, computed or, for an input, first loaded."""
    ends: dict[int, float] = {}
    for i in range(program.setup, len(program.instructions)):
        instruction = program.instructions[i]
        loaded = isinstance(instruction, Transfer) and isinstance(program.network.layers[instruction.layer], Input)
        if isinstance(instruction, Combine | Vector) or (loaded and instruction.layer not in ends):
            ends[instruction.layer] = float(timing.ends[i])
    return ends


def _static(program: Program, timing: Timing) -> list[Entry]:
    """Book leakage: what is always powered over the whole inference, banks while they hold a tensor.

    The inference is divided among the layers at the times at which they are finished, so that every moment is booked
    once; what comes after the last (its output leaving) is the last one's.
    """
    chip = program.chip
    ends = finished_s(program, timing)
    entries: list[Entry] = []
    before = 0.0
    order = sorted(ends.items(), key=lambda item: (item[1], item[0]))
    for place, (layer, end) in enumerate(order, start=1):
        until = timing.latency_s if place == len(order) else end
        for component, watts in chip.leakage_w.items():
            if watts:
                entries.append(Entry(layer, component, "static", watts * (until - before)))
        before = until
    held = held_s(program, timing)
    for use in program.buffers:
        watts = sum(chip.costs.bank_leakage_w[bank] for bank in use.banks)
        entries.append(Entry(use.layer, "global_buffer", "static", watts * held[use.layer]))
    return entries


def held_s(program: Program, timing: Timing) -> dict[int, float]:
    """Return for how long the tensor of each layer that has a place in the buffer is held, in s.

    From when its layer starts to compute until its last reader has finished, an output until the end.
    """
    network = program.network
    ends = finished_s(program, timing)
    begins = _begun_s(program, timing)
    shown = sources(network)
    freed: dict[int, float] = {}
    for i, reader in enumerate(network.layers):
        for name in reader.inputs:
            freed[shown[name]] = max(freed.get(shown[name], 0.0), ends.get(i, 0.0))
    freed.update({shown[name]: timing.latency_s for name in network.results})
    return {
        use.layer: max(freed.get(use.layer, ends.get(use.layer, 0.0)) - begins.get(use.layer, 0.0), 0.0)
        for use in program.buffers
    }


def _begun_s(program: Program, timing: Timing) -> dict[int, float]:
    """Return when each layer began to make its output, in s (its writes do not count)."""
    begins: dict[int, float] = {}
    for i in range(program.setup, len(program.instructions)):
        instruction = program.instructions[i]
        if not isinstance(instruction, Write):
            start = float(timing.starts[i])
            begins[instruction.layer] = min(begins.get(instruction.layer, start), start)
    return begins


def account(program: Program, timing: Timing, worn: Wear) -> Account:
    """Book all energy of a program."""
    chip = program.chip
    prices = access_prices(program)

    def entries(first: int, last: int) -> list[Entry]:
        events = _count_elsewhere(program, worn, first, last)
        booked = [
            Entry(layer, chip.costs.event_component[event], kind, count * chip.energy_per_event[event])
            for (layer, event, kind), count in events.items()
            if count
        ]
        for access, size in count_accesses(program, first, last).items():
            joules = size * prices[access.tensor][access.event]
            booked.append(Entry(access.layer, chip.costs.event_component[access.event], access.kind, joules))
        return booked

    setup = entries(0, program.setup)
    inference = entries(program.setup, len(program.instructions))
    leaked = sum(chip.leakage_w.values()) * timing.setup_s
    return Account(tuple(inference + _static(program, timing)), sum(entry.joules for entry in setup) + leaked)
