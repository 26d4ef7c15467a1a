"""Time and energy of a network on a systolic array.

Time. Layers run one after another, each with work (cycles of the array, operations of the vector unit, the combining of its sums
among them) and traffic (bytes / memory bandwidth). What of the traffic holds the array up is a choice, `stalls`:

| stalls | a layer takes | inputs that a product loads |
|---|---|---|
| hidden | max(work, traffic) | what found no room on the chip |
| exposed | work + traffic | what found no room on the chip |
| refetched | work + traffic | all M K of each group, as copies that lie in main memory (im2col) |

`hidden`: buffers are double, so that main memory fills one half while the array works from the other, and the first part of a
layer comes while the layer before it ends. `exposed`: the array stands still whenever main memory is at work. `refetched`: so too,
and layers are taken one by one, as SCALE-Sim takes them: inputs come from main memory, window by window. Weights are loaded
in every inference, as chips of crossbars load theirs that do not fit. Of the ways to carry out a product (`foldings`), each layer
takes the one that is done first, then the one with the least traffic; the dataflow is one for the whole network, and "best" is the
one of least time.

Energy. Events are counted and each costs what the same event costs a chip of crossbars (`Systolic.energy_per_event`); every
joule is booked once, on a layer, a component and a kind. For a product of M x K by K x N, f_K, f_M and f_N being folds:

| event | weight | input | output |
|---|---|---|---|
| multiply-accumulates | M K N | M K N | M K N |
| inputs read from the activation buffer, bytes | M K f_N | M K pieces | M K f_N |
| weights read from the weight buffer, bytes | K N pieces | K N f_M | K N f_M |
| partial sums written to and read from the sum buffer, each | M N (f_K - 1) | M N (f_K - 1) | 0 |
| register bytes a multiply-accumulate | 1 + sum | 1 + sum | 2 + sum |
| register bytes to shift an operand in, or sums out | weights | inputs | sums |

A stationary operand on row r of its fold passes r registers on its way in, a finished sum as many on its way out. Cells that
hold nothing are not clocked. Every byte from main memory is written into a buffer, every byte to it read from one. Everything else
(element operations, operands read and results written) is counted as for a chip of crossbars (`mho.machine.energy`). All banks
and main memory leak all the time.

Products of two activations run on the array like layers whose weights lie in the activation buffer (`products: array`), or
take no time and cost their multiply-accumulates and operands alone (`products: ideal`), as preset `aras` has it. A run tells the
totals under both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Literal

from mho.errors import OptionError, choices
from mho.machine.systolic.folds import DATAFLOWS, Dataflow, Folding, Product, fold_counts, foldings
from mho.machine.systolic.residency import Buffered, reside
from mho.machine.systolic.result import Record, Run, Totals
from mho.machine.systolic.spec import EVENTS, Systolic
from mho.network.graph import Network
from mho.network.layers import Constant, Embedding, EmbeddingBag, Input, MatrixLayer, MatrixProduct
from mho.program.work import vector_operations

Products = Literal["ideal", "array"]
PRODUCTS: tuple[Products, ...] = ("ideal", "array")
BEST = "best"

Events = dict[tuple[str, str], float]
"""Event and kind ("compute" or "memory") to its number."""


def check_dataflow(dataflow: str) -> None:
    """Raise OptionError for a dataflow that is not known."""
    if dataflow != BEST and dataflow not in DATAFLOWS:
        raise OptionError(f"unknown dataflow {dataflow!r}; {choices(dataflow, (*DATAFLOWS, BEST))}")


def run(network: Network, systolic: Systolic | str = "tpu-like", dataflow: str = BEST) -> Run:
    """Return what an inference costs on a systolic array (or the preset or file so called).

    `dataflow` is "weight", "input" or "output" (what stays in the array), or "best": of the three the one that takes the
    least time for the whole network. Raises OptionError for another and for bags of rows, ChipError for a systolic array that is
    not known.
    """
    check_dataflow(dataflow)
    bag = next((layer for layer in network.layers if isinstance(layer, EmbeddingBag)), None)
    if bag is not None:
        raise OptionError(f"a systolic array adds up no rows of tables, as layer {bag.name!r} of {network.name} needs")
    if isinstance(systolic, str):
        systolic = Systolic.load(systolic)
    residency = reside(network, systolic.activation_bytes)
    chosen = systolic.spec.products
    tried = {
        flow: {products: _records(network, systolic, residency, flow, products) for products in PRODUCTS}
        for flow in DATAFLOWS
        if dataflow in (BEST, flow)
    }
    totals = {flow: {products: Totals.of(tried[flow][products]) for products in PRODUCTS} for flow in tried}
    best = min(tried, key=lambda flow: (totals[flow][chosen].latency_s, totals[flow][chosen].energy_j))
    return Run(network, systolic, best, tried[best][chosen], totals)


def _records(
    network: Network, systolic: Systolic, residency: Buffered, dataflow: Dataflow, products: Products
) -> tuple[Record, ...]:
    """Account for each layer that costs something."""
    return tuple(
        _record(network, i, systolic, residency, dataflow, products)
        for i, layer in enumerate(network.layers)
        # A view costs nothing where nothing of it is moved.
        if not isinstance(layer, Constant)
        and (not layer.moves_only or residency.load_bytes[i] or residency.store_bytes[i])
    )


def _record(
    network: Network, i: int, systolic: Systolic, residency: Buffered, dataflow: Dataflow, products: Products
) -> Record:
    layer, spec = network.layers[i], systolic.spec
    events: Events = defaultdict(float)
    folding: Folding | None = None
    loads, stores, macs = residency.load_bytes[i], residency.store_bytes[i], 0
    # Token indices and real outputs go past the buffer, as on a chip of crossbars.
    if residency.stored(layer):
        events["activation_buffer_write_byte", "memory"] += loads
        events["activation_buffer_read_byte", "memory"] += stores
    product = _product(network, i, systolic, residency, products)
    if product is not None:
        macs = product.macs
        folding = _choose(product, systolic, dataflow, loads + stores)
        _count_product(events, product, folding, systolic, dataflow, isinstance(layer, MatrixLayer))
    elif not layer.moves_only:
        fetched = sum(residency.spilled.get(place, 0) for place in set(residency.read[i]))
        events["activation_buffer_write_byte", "memory"] += fetched
        loads += fetched
        for name in layer.inputs:
            if residency.stored(network.by_name[name]):
                events["activation_buffer_read_byte", "compute"] += network.by_name[name].size
        if isinstance(layer, MatrixProduct):
            events["mac", "compute"] += layer.macs
    events["vector_element", "compute"] += vector_operations(layer, network)
    # What is loaded is in the buffer already.
    if residency.stored(layer) and not layer.moves_only and not isinstance(layer, Input | Embedding):
        events["activation_buffer_write_byte", "compute"] += layer.size
    moved = loads + stores + (0.0 if folding is None else folding.load_bytes + folding.sum_store_bytes)
    events["memory_byte", "memory"] += moved
    work = 0.0 if folding is None else folding.cycles / spec.frequency_hz
    if spec.vector.elements_per_s is not None:
        work += vector_operations(layer, network) / spec.vector.elements_per_s
    memory = moved / spec.memory.bandwidth
    seconds = _together(systolic, work, memory)
    energy: dict[tuple[str, str], float] = defaultdict(float)
    for (event, kind), number in events.items():
        if number:
            energy[EVENTS[event][0], kind] += number * systolic.energy_per_event[event]
    for component, watts in systolic.leakage_w.items():
        if watts and seconds:
            energy[component, "static"] += watts * seconds
    return Record(layer.name, layer.kind, folding, macs, work, memory, seconds, moved, events, energy)


def _product(network: Network, i: int, systolic: Systolic, residency: Buffered, products: Products) -> Product | None:
    """Describe what a layer does on the array, and what of its operands is in main memory; None where it is not there."""
    layer = network.layers[i]
    # Half of what is free keeps what another visit needs; the other half is being filled meanwhile.
    room = residency.free[i] / 2
    spilled = [float(residency.spilled.get(place, 0)) for place in residency.read[i]]
    if isinstance(layer, MatrixLayer):
        weights, kept = float(layer.groups * layer.rows * layer.columns), systolic.weight_bytes / 2
        if weights <= kept and _same_weights_before(network, i):
            weights = 0.0
        inputs = float(layer.groups * layer.windows * layer.rows) if systolic.spec.stalls == "refetched" else spilled[0]
        return Product(layer.groups, layer.windows, layer.rows, layer.columns, inputs, weights, room, kept)
    if isinstance(layer, MatrixProduct) and products == "array":
        *groups, windows, outputs = layer.shape
        return Product(math.prod(groups), windows, layer.inner, outputs, spilled[0], spilled[1], room / 2, room / 2)
    return None


def _same_weights_before(network: Network, i: int) -> bool:
    """Return whether the matrix layer before layer i has its weights, which then lie in the weight buffer still."""
    before = [layer.name for layer in network.layers[:i] if isinstance(layer, MatrixLayer)]
    return bool(before) and network.owners[before[-1]] == network.owners[network.layers[i].name]


def _together(systolic: Systolic, work_s: float, memory_s: float) -> float:
    """Return how long work and traffic of a layer take (module docstring)."""
    return max(work_s, memory_s) if systolic.spec.stalls == "hidden" else work_s + memory_s


def _choose(product: Product, systolic: Systolic, dataflow: Dataflow, moved: float) -> Folding:
    """Choose the way that is done first; of equals that with the least traffic; of equals the first, SCALE-Sim's."""
    spec = systolic.spec

    def cost(folding: Folding) -> tuple[float, float]:
        traffic = moved + (folding.load_bytes + folding.sum_store_bytes)
        return _together(systolic, folding.cycles / spec.frequency_hz, traffic / spec.memory.bandwidth), traffic

    return min(foldings(product, systolic.grid, dataflow), key=cost)


def _count_product(
    events: Events, product: Product, folding: Folding, systolic: Systolic, dataflow: Dataflow, weights: bool
) -> None:
    """Count the events of a product in the array and its buffers (table in the module docstring)."""
    spec = systolic.spec
    row_folds, column_folds = fold_counts(product, systolic.grid, dataflow)
    m, k, n, groups = product.windows, product.inner, product.outputs, product.groups
    folds_k = 1 if dataflow == "output" else row_folds
    reads = {
        "weight": (column_folds, folding.pieces),
        "input": (folding.pieces, column_folds),
        "output": (column_folds, row_folds),
    }
    input_visits, operand_visits = reads[dataflow]
    operands = "weight_buffer" if weights else "activation_buffer"
    sums = float(groups * m * n * (folds_k - 1) * spec.sum_bytes)
    events["mac", "compute"] += product.macs
    events["activation_buffer_read_byte", "compute"] += groups * m * k * input_visits
    events[f"{operands}_read_byte", "compute"] += groups * k * n * operand_visits
    events["sum_buffer_write_byte", "compute"] += sums
    events["sum_buffer_read_byte", "compute"] += sums
    moving = spec.sum_bytes + (2 if dataflow == "output" else 1)
    events["register_byte", "compute"] += product.macs * moving
    # What stays in the array: (its rows, its columns, times it is shifted in, bytes).
    rows, columns, times, size = {
        "weight": (k, n, folding.pieces, 1),
        "input": (k, m, folding.pieces, 1),
        "output": (m, n, 1, spec.sum_bytes),
    }[dataflow]
    events["register_byte", "compute"] += groups * _hops(rows, spec.rows) * columns * times * size
    events["activation_buffer_write_byte", "memory"] += folding.input_load_bytes
    events[f"{operands}_write_byte", "memory"] += folding.operand_load_bytes
    events["sum_buffer_write_byte", "memory"] += folding.sum_load_bytes
    events["sum_buffer_read_byte", "memory"] += folding.sum_store_bytes


def _hops(length: int, rows: int) -> int:
    """Return the registers passed by one column of an operand so long, cut in folds of `rows`: 1 + 2 + ... in each."""
    whole, rest = divmod(length, rows)
    return whole * rows * (rows + 1) // 2 + rest * (rest + 1) // 2
