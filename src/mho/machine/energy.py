"""What a program costs: events counted from its instructions, each with the chip's energy for one such event.

Every joule is booked once, on a layer, a component and a kind; totals are sums of these entries and nothing else. Kinds:
`compute` (arrays, converters, registers, buffers, vector unit), `write` (cell pulses and the registers and wires that
bring them), `memory` (main memory), `static` (leakage over the time that things are powered).

What windows through blocks ask for is counted in `machine/activations.py`.
What passes through the global buffer is counted tensor by tensor (machine/accesses.py), since the price of a byte depends on
the banks that it lies in. A transfer passes through it where its tensor lives there; what does not (token indices, real
outputs) goes straight between the vector unit and main memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mho.machine.accesses import BUFFER, bank_shares, count_accesses
from mho.machine.activations import activation_events
from mho.machine.bill import LEAKAGE, Account, Bill, Charge, Price
from mho.machine.changes import Wear
from mho.machine.gathering import gather_events
from mho.machine.powered import LINKS, crossing_s, powered, steady_crossing_s
from mho.machine.rounds import ring_bytes, ring_parts
from mho.machine.streaming import time_stream
from mho.machine.timing import Timing
from mho.network.graph import Network
from mho.network.layers import Input
from mho.once import once
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, GATHER, LOAD, STORE, VECTOR, WRITE, columns, made
from mho.program.work import operations, sources

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WHOLE = -1
"""The layer of what is charged for the chip as a whole."""

Events = dict[tuple[int, str, str], float]
Counts = dict[tuple[str, str], Floats]
"""By event and kind how many of each layer, shape (layers,)."""


def _counts(program: Program, worn: Wear, first: int, last: int) -> Counts:
    """Count the events of instructions [first, last) outside the global buffer, by event and kind, layer by layer.

    What happens once a round counts as the part of it that an inference has.
    """
    table, layers = columns(program), len(program.network.layers)

    def here(*kinds: int) -> Integers:
        places = table.of(*kinds)
        return places[(places >= first) & (places < last)]

    def by_layer(places: Integers, counts: Floats) -> Floats:
        weighted = counts * table.per_inference[places]
        return np.bincount(table.layer[places], weighted, layers).astype(np.float64, copy=False)

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
        ("vector_element", "compute"): by_layer(results, operated[table.layer[results]] * table.share[results]),
        ("matrix_mac", "compute"): by_layer(results, products[table.layer[results]] * table.share[results]),
        ("memory_byte", "memory"): changed + orders + moved,
        ("noc_byte", "memory"): moved,
        ("coefficient_write_byte", "memory"): by_layer(here(FETCH), table.size[here(FETCH)].astype(np.float64)),
        ("noc_byte", "write"): changed + orders,
        ("write_register_byte", "write"): changed,
        ("tile_buffer_byte", "write"): 2 * changed + orders,
        ("cell_pulse", "write"): by_layer(writes, pulses),
    }
    gathers = here(GATHER)
    for event, count in (gather_events(program) if len(gathers) else {}).items():
        counts[event, "compute"] = counts.get((event, "compute"), np.zeros(layers)) + by_layer(
            gathers, np.full(len(gathers), count)
        )
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
    loads, (results, layers) = table.of(LOAD), made(program)
    # Of several loads the first counts, of several other instructions the last: where places repeat, the last one is kept.
    first = loads[inputs[table.layer[loads]] & (loads >= program.setup)][::-1]
    ends[table.layer[first]] = timing.ends[first]
    body = results >= program.setup
    ends[layers[body]] = timing.ends[results[body]]
    return ends


def _static(program: Program, timing: Timing) -> list[Charge]:
    """Charge leakage: what is powered over the whole inference (`powered`), links and banks while they are.

    The inference is divided among the layers at the times at which they are finished, so that every moment is booked
    once; what comes after the last (its output leaving) is the last one's. Inferences of a stream share the time: each is charged
    an interval, which is divided in the same proportions, with links as long as data cross them then, and banks all along.
    """
    ends = finished_s(program, timing)
    finished = np.flatnonzero(~np.isnan(ends))
    order = finished[np.argsort(ends[finished], kind="stable")]
    until = ends[order]
    until[-1:] = timing.latency_s
    lasting = np.diff(until, prepend=0.0)
    always, links = powered(program)
    stream = None if program.stream is None else time_stream(program)
    if stream is not None:
        lasting *= stream.interval_s / timing.latency_s
    charges = [_powered(order, component, lasting * count) for component, count in always.items()]
    if links:
        crossed = crossing_s(program, timing, program.setup, len(program.instructions), until)
        crossing = np.diff(crossed, prepend=0.0)
        if stream is not None and crossing.any():
            crossing *= steady_crossing_s(program, stream) / crossed[-1]
        charges.append(_powered(order, LINKS, links * crossing))
    return [*charges, *_banks(program, timing)]


def _powered(layers: Integers, component: str, seconds: Floats, bank: int = 0) -> Charge:
    return Charge(layers, Price(component, LEAKAGE, bank), "static", seconds)


def _banks(program: Program, timing: Timing) -> Iterator[Charge]:
    """Charge the seconds of the buffer's banks: each as long as the tensor that has it is held; one with rings all the time, shared
    by their bytes and the parts of the network that they are there for.
    """
    if program.chip.buffer.in_tiles:
        return  # They are the tile buffers, whose leakage is charged there.
    sizes = program.chip.buffer.banks
    seconds: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    if program.stream is None:
        durations = held_s(program, timing)
        for use in program.buffers:
            for bank in use.banks:
                seconds[sizes[bank]][use.layer] += durations[use.layer]
    else:
        kept, interval_s = ring_bytes(program).sum(axis=0).tolist(), time_stream(program).interval_s
        for use, (first, last) in zip(program.buffers, ring_parts(program), strict=True):
            for bank, part in zip(use.banks, use.parts, strict=True):
                seconds[sizes[bank]][use.layer] += interval_s * (1 + last - first) * part / kept[bank]
    for size, by_layer in seconds.items():
        layers = np.fromiter(by_layer, dtype=np.int64, count=len(by_layer))
        yield _powered(layers, BUFFER, np.fromiter(by_layer.values(), dtype=np.float64, count=len(by_layer)), size)


def held_s(program: Program, timing: Timing) -> dict[int, float]:
    """Return for how long the tensor of each layer that has a place in the buffer is held, in s."""
    begins, freed = _held(program, timing)
    return {use.layer: float(freed[use.layer] - begins[use.layer]) for use in program.buffers}


def most_held_bytes(program: Program, timing: Timing) -> int:
    """Return the most bytes of tensors that are held in the buffer at once; of a stream, those of its rings."""
    if program.stream is not None:
        return int(ring_bytes(program).sum(axis=1).max(initial=0))
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
    results, layers = made(program)
    np.minimum.at(begins, layers, timing.starts[results])
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


def bill(program: Program, timing: Timing, worn: Wear) -> Bill:
    """Count all that a program is charged for."""
    component, kept = program.chip.costs.event_component, bank_shares(program)

    def charges(first: int, last: int) -> list[Charge]:
        found = []
        for (event, kind), counts in _counts(program, worn, first, last).items():
            happened = np.flatnonzero(counts)
            if len(happened):
                found.append(Charge(happened, Price(component[event], event), kind, counts[happened]))
        passed: dict[tuple[Price, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for access, size in count_accesses(program, first, last).items():
            for bank, share in kept[access.tensor].items():
                passed[Price(component[access.event], access.event, bank), access.kind][access.layer] += size * share
        for (price, kind), by_layer in passed.items():
            layers = np.fromiter(by_layer, dtype=np.int64, count=len(by_layer))
            found.append(Charge(layers, price, kind, np.fromiter(by_layer.values(), np.float64, len(by_layer))))
        return found

    setup: list[Charge] = charges(0, program.setup) if program.setup else []
    always, links = powered(program)
    whole = np.array([WHOLE])
    setup += [_powered(whole, component, np.array([count * timing.setup_s])) for component, count in always.items()]
    if links and program.setup:
        crossed = crossing_s(program, timing, 0, program.setup, np.zeros(1))
        setup.append(_powered(whole, LINKS, links * crossed))
    return Bill.of([*charges(program.setup, len(program.instructions)), *_static(program, timing)], setup)


def account(program: Program, timing: Timing, worn: Wear) -> Account:
    """Book all energy of a program at the prices of its own chip."""
    return bill(program, timing, worn) @ program.chip
