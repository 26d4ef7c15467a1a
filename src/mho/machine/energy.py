"""What a program costs: events counted from its instructions, each with the chip's energy for one such event.

Every joule is booked once, on a layer, a component and a kind; totals are sums of these entries and nothing else. Kinds:
`compute` (arrays, converters, registers, buffers, vector unit), `write` (cell pulses and the registers and wires that
bring them), `memory` (main memory), `static` (leakage over the time that things are powered).

Counting rules, for one window through a run of blocks with s input-bit steps:
- rows are driven in each array that uses them; every used array is read, and of it the used columns only are sampled,
  converted and shift-added, each step, and its unit column where it has one; a pair of columns is converted once, by a
  conversion that takes its share of a whole one's energy where it resolves fewer bits;
- rows that are not driven together take turns: columns are sampled and converted in each, while all turns together drive and
  read the array once; steps of several pulses drive and read it once a pulse;
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
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.machine.accesses import access_prices, count_accesses
from mho.machine.changes import Wear
from mho.machine.combining import combined_events
from mho.machine.powered import crossing_s, powered_w
from mho.machine.timing import Timing
from mho.network.graph import Network
from mho.network.layers import Input
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, LOAD, STORE, VECTOR, WRITE, columns
from mho.program.instructions import members
from mho.program.once import once
from mho.program.work import operations, sources
from mho.shown import Shown

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

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
    """All energy of one inference, and that of the setup, once, with what leaks while it lasts (no bank is on then).

    Entries are columns, shape (entries,): `layer`, `component` and `kind` (places in `components` and KINDS), `joules`.
    """

    layer: Integers
    component: Integers
    kind: Integers
    joules: Floats
    components: tuple[str, ...]
    setup_j: float

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, one by one."""
        table = (self.layer.tolist(), self.component.tolist(), self.kind.tolist(), self.joules.tolist())
        return tuple(
            Entry(layer, self.components[component], KINDS[kind], joules)
            for layer, component, kind, joules in zip(*table, strict=True)
        )

    def total(self) -> float:
        """Return joules in all."""
        return float(self.joules.sum())

    def by(self, key: str) -> dict[str, float]:
        """Sum joules by "component" or "kind", largest first."""
        names, places = {"component": (self.components, self.component), "kind": (KINDS, self.kind)}[key]
        sums = np.bincount(places, self.joules, len(names)).tolist()
        booked = set(places.tolist())
        named = [(name, total) for place, (name, total) in enumerate(zip(names, sums, strict=True)) if place in booked]
        return dict(sorted(named, key=lambda item: -item[1]))

    def by_layer(self) -> dict[int, float]:
        """Sum joules by layer."""
        layers, places = np.unique(self.layer, return_inverse=True)
        return dict(zip(layers.tolist(), np.bincount(places, self.joules, len(layers)).tolist(), strict=True))


Events = dict[tuple[int, str, str], float]
Counts = dict[tuple[str, str], Floats]
"""By event and kind how many of each layer, shape (layers,)."""


def _beyond(program: Program, activations: Integers) -> Integers:
    """Count what blocks whose columns are not in place ask for beyond those in place, shape (4, activations).

    Arrays read and rows driven in them in the steps of a plain input, then the same in those by which shifted inputs prolong it.
    """
    table = columns(program)
    beyond = np.zeros((4, len(table.kind)), dtype=np.int64)
    orders: dict[int, tuple[int, ...]] = {}
    for number in table.of(WRITE, ACTIVATE).tolist() if table.order_bytes.any() else ():
        blocks, (first, _) = program.mapping.located((int(table.first_block[number]), int(table.last_block[number])))
        written, across = table.kind[number] == WRITE, table.ordered(number)[1]
        for index, group in enumerate(members(table.ranges_of(number))):
            if written:
                orders[group] = across[index] if across else ()
            elif orders.get(group):
                beyond[:, number] += blocks.reads(first + index, orders[group]) - blocks.reads(first + index)
    return beyond[:, activations]


def activation_events(program: Program, activations: Integers) -> dict[str, Floats]:
    """Count the events of windows through written blocks, by event, for each of these activations."""
    chip, table = program.chip, columns(program)
    runs = {name: counts[activations] for name, counts in table.runs.items()}
    late = {name: counts[activations] for name, counts in table.late.items()}
    beyond = _beyond(program, activations)
    read = _readings(program)[:, table.layer[activations]]
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
    index = table.index_bytes[activations]
    windows = table.windows[activations]
    counts = {
        "dac_drive": drives * chip.coding.cell_rows,
        "array_read": arrays,
        "sample_hold": sampled,
        "adc_conversion": converted * share,
        "shift_add": converted,
        "tile_buffer_byte": 2 * rows * input_bytes,
        "input_register_byte": driving * input_bytes,
        "noc_byte": rows * input_bytes + runs["sums"] * sum_bytes,
        "output_register_byte": (runs["updates"] * steps + late["sums"] * passes) * sum_bytes,
        "accumulate": runs["sums"],
        "index_byte": index,
        "row_shift": runs["shifted"] * (index > 0),
    }
    events = {event: (count * windows).astype(np.float64) for event, count in counts.items()}
    if not program.mapping.combining:
        return events
    return combined_events(program, activations, events, rows * input_bytes * windows)


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


def _counts(program: Program, worn: Wear, first: int, last: int) -> Counts:
    """Count the events of instructions [first, last) outside the global buffer, by event and kind, layer by layer."""
    table, layers = columns(program), len(program.network.layers)

    def here(*kinds: int) -> Integers:
        places = table.of(*kinds)
        return places[(places >= first) & (places < last)]

    def by_layer(places: Integers, counts: Floats) -> Floats:
        return np.bincount(table.layer[places], counts, layers).astype(np.float64, copy=False)

    activations, writes, moves, results = here(ACTIVATE), here(WRITE), here(LOAD, STORE, FETCH), here(VECTOR, COMBINE)
    counts: Counts = {
        (event, "compute"): by_layer(activations, count)
        for event, count in activation_events(program, activations).items()
    }
    changed = by_layer(writes, table.moved_bytes[writes])
    orders = by_layer(writes, table.order_bytes[writes])
    pulses = np.array([worn.counts[i].steps for i in writes.tolist()]) * program.chip.pulses_per_level
    moved = by_layer(moves, table.size[moves].astype(np.float64))
    operated, products = operations(program.network)
    # A layer that only moves values is not computed; a product of activations is one operation of the matrix unit each.
    counts |= {
        ("vector_element", "compute"): by_layer(results, operated[table.layer[results]]),
        ("matrix_mac", "compute"): by_layer(results, products[table.layer[results]]),
        ("memory_byte", "memory"): changed + orders + moved,
        ("noc_byte", "memory"): moved,
        ("coefficient_write_byte", "memory"): by_layer(here(FETCH), table.size[here(FETCH)].astype(np.float64)),
        ("noc_byte", "write"): changed + orders,
        ("write_register_byte", "write"): changed,
        ("tile_buffer_byte", "write"): 2 * changed + orders,
        ("cell_pulse", "write"): by_layer(writes, pulses),
    }
    for event, other in program.chip.costs.followers.items():
        counts |= {(event, kind): count for (counted, kind), count in list(counts.items()) if counted == other}
    return counts


def count_events(program: Program, worn: Wear, first: int, last: int) -> Events:
    """Count the events of instructions [first, last), by layer, event and kind; what does not happen is left out."""
    events: Events = defaultdict(float)
    for (event, kind), counts in _counts(program, worn, first, last).items():
        happened = np.flatnonzero(counts)
        for layer, count in zip(happened.tolist(), counts[happened].tolist(), strict=True):
            events[layer, event, kind] = count
    for access, size in count_accesses(program, first, last).items():
        events[access.layer, access.event, access.kind] += size
    return events


def finished_s(program: Program, timing: Timing) -> Floats:
    """Return when each layer was finished, in s: combined, computed or, for an input, first loaded; nan where it never is."""
    table = columns(program)
    ends = np.full(len(program.network.layers), np.nan)
    inputs = np.array([isinstance(layer, Input) for layer in program.network.layers])
    loads, results = table.of(LOAD), table.of(COMBINE, VECTOR)
    # Of several loads the first counts, of several other instructions the last: where places repeat, the last one is kept.
    first = loads[inputs[table.layer[loads]] & (loads >= program.setup)][::-1]
    ends[table.layer[first]] = timing.ends[first]
    results = results[results >= program.setup]
    ends[table.layer[results]] = timing.ends[results]
    return ends


def _static(program: Program, timing: Timing) -> Booked:
    """Book leakage: what is powered over the whole inference (`powered_w`), links and banks while they are.

    The inference is divided among the layers at the times at which they are finished, so that every moment is booked
    once; what comes after the last (its output leaving) is the last one's.
    """
    chip = program.chip
    ends = finished_s(program, timing)
    finished = np.flatnonzero(~np.isnan(ends))
    order = finished[np.argsort(ends[finished], kind="stable")]
    until = ends[order]
    until[-1:] = timing.latency_s
    lasting = np.diff(until, prepend=0.0)
    always, links = powered_w(program)
    booked: Booked = [(order, component, "static", watts * lasting) for component, watts in always.items() if watts]
    if links:
        crossed = crossing_s(program, timing, program.setup, len(program.instructions), until)
        booked.append((order, "external_io", "static", links * np.diff(crossed, prepend=0.0)))
    durations = held_s(program, timing)
    watts = [sum(chip.costs.bank_leakage_w[bank] for bank in use.banks) for use in program.buffers]
    layers = np.array([use.layer for use in program.buffers], dtype=np.int64)
    return [
        *booked,
        (layers, "global_buffer", "static", np.array(watts) * np.array([durations[i] for i in layers.tolist()])),
    ]


def held_s(program: Program, timing: Timing) -> dict[int, float]:
    """Return for how long the tensor of each layer that has a place in the buffer is held, in s."""
    begins, freed = _held(program, timing)
    return {use.layer: float(freed[use.layer] - begins[use.layer]) for use in program.buffers}


def most_held_bytes(program: Program, timing: Timing) -> int:
    """Return the most bytes of tensors that are held in the buffer at once."""
    begins, freed = _held(program, timing)
    layers = np.array([use.layer for use in program.buffers], dtype=np.int64)
    sizes = np.array([use.size - use.spilled for use in program.buffers], dtype=np.int64)
    times = np.concatenate([freed[layers], begins[layers]])
    # What is freed at a time makes room for what begins then.
    order = np.argsort(times, kind="stable")
    return int(np.cumsum(np.concatenate([-sizes, sizes])[order]).max(initial=0))


def _held(program: Program, timing: Timing) -> tuple[Floats, Floats]:
    """Return from when and until when the tensor of each layer is held, in s, shape (layers,).

    From when its layer starts to compute until its last reader has finished, an output until the end.
    """
    network, table = program.network, columns(program)
    ends = np.nan_to_num(finished_s(program, timing))
    begins = np.full(len(ends), np.inf)
    working = np.arange(program.setup, len(table.kind))
    working = working[table.kind[working] != WRITE]
    np.minimum.at(begins, table.layer[working], timing.starts[working])
    begins[np.isinf(begins)] = 0.0
    readers, read = _reads(network)
    freed = ends.copy()
    freed[read] = 0.0
    np.maximum.at(freed, read, ends[readers])
    freed[[sources(network)[name] for name in network.results]] = timing.latency_s
    return begins, np.maximum(freed, begins)


@once
def _reads(network: Network) -> tuple[Integers, Integers]:
    """Return who reads what: layers, and beside each the layer whose values it reads."""
    shown = sources(network)
    pairs = [(i, shown[name]) for i, layer in enumerate(network.layers) for name in layer.inputs]
    readers, read = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return readers, read


Booked = list[tuple[Integers, str, str, Floats]]
"""Joules by layer: layers, the component, the kind, and J of each of the layers."""


def account(program: Program, timing: Timing, worn: Wear) -> Account:
    """Book all energy of a program."""
    chip = program.chip
    prices = access_prices(program)

    def entries(first: int, last: int) -> Booked:
        booked: Booked = []
        for (event, kind), counts in _counts(program, worn, first, last).items():
            happened = np.flatnonzero(counts)
            if len(happened):
                joules = counts[happened] * chip.energy_per_event[event]
                booked.append((happened, chip.costs.event_component[event], kind, joules))
        accesses: dict[tuple[str, str], tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
        for access, size in count_accesses(program, first, last).items():
            layers, joules_of = accesses[chip.costs.event_component[access.event], access.kind]
            layers.append(access.layer)
            joules_of.append(size * prices[access.tensor][access.event])
        for (component, kind), (layers, joules_of) in accesses.items():
            booked.append((np.array(layers, dtype=np.int64), component, kind, np.array(joules_of)))
        return booked

    setup = entries(0, program.setup) if program.setup else []
    inference = [*entries(program.setup, len(program.instructions)), *_static(program, timing)]
    always, links = powered_w(program)
    leaked = sum(always.values()) * timing.setup_s
    if links and program.setup:
        leaked += links * float(crossing_s(program, timing, 0, program.setup, np.zeros(1))[0])
    components = tuple(dict.fromkeys(component for _, component, _, _ in inference))
    lengths = [len(layers) for layers, _, _, _ in inference]
    return Account(
        np.concatenate([layers for layers, _, _, _ in inference]),
        np.repeat([components.index(component) for _, component, _, _ in inference], lengths),
        np.repeat([KINDS.index(kind) for _, _, kind, _ in inference], lengths),
        np.concatenate([joules for _, _, _, joules in inference]),
        components,
        float(sum(joules.sum() for _, _, _, joules in setup)) + leaked,
    )
