"""Where activations live while a network runs on a systolic array, and what that moves to and from main memory.

The rule is that of mho's chips (`mho.schedule.buffer`), in bytes instead of banks: tensors that leave the vector unit are
8-bit codes that stay in the activation buffer from the layer that makes them to the last that reads them, views with what they
show. What finds no room goes through main memory: one store (none for a network input, which is there already), and a load by
each layer that reads it. Network inputs are loaded, outputs stored, and the rows that an embedding looks up loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mho.network.graph import Network
from mho.network.layers import Constant, Embedding, Input, Layer
from mho.program.work import CodedTensors, coded_tensors, sources, transfer_bytes


@dataclass(frozen=True)
class Buffered:
    """Per layer (its place in the network): bytes moved outside the matrix products, and bytes of buffer left free.

    `read` holds the places of the layers whose values a layer reads, one for each of its inputs.
    """

    coded: CodedTensors
    spilled: Mapping[int, int]
    free: tuple[int, ...]
    read: tuple[tuple[int, ...], ...]
    load_bytes: tuple[float, ...]
    """An input or an embedding: what it fetches."""
    store_bytes: tuple[float, ...]

    def stored(self, layer: Layer) -> bool:
        """Return whether a layer's output is a tensor of 8-bit codes in the buffer (or, spilled, in main memory)."""
        return layer.name in self.coded and not isinstance(layer, Constant)


def reside(network: Network, capacity: int) -> Buffered:
    """Place each tensor, in the order of layers, in what is free of `capacity` bytes."""
    coded, source = coded_tensors(network, None), sources(network)
    last = {i: i for i in range(len(network.layers))}
    for i, layer in enumerate(network.layers):
        for name in layer.inputs:
            last[source[name]] = max(last[source[name]], i)
    kept = {source[name] for name in network.results}
    last.update(dict.fromkeys(kept, len(network.layers)))
    resident: dict[int, int] = {}
    spilled: dict[int, int] = {}
    free: list[int] = []
    loads: list[float] = []
    stores: list[float] = []
    for i, layer in enumerate(network.layers):
        resident = {place: size for place, size in resident.items() if last[place] >= i}
        load = store = 0.0
        own = source[layer.name] == i and not isinstance(layer, Constant)
        if own and layer.name in coded:
            resident[i] = min(layer.size, capacity - sum(resident.values()))
            spilled[i] = layer.size - resident[i]
        size = transfer_bytes(layer, network, coded)
        over = spilled.get(i, 0)
        if isinstance(layer, Input):
            load = size - over
        elif isinstance(layer, Embedding):
            load = layer.size
        if own and not isinstance(layer, Input):
            store += over
        if layer.name in network.results:
            store += size - over
        free.append(capacity - sum(resident.values()))
        loads.append(load)
        stores.append(store)
    reads = tuple(tuple(source[name] for name in layer.inputs) for layer in network.layers)
    return Buffered(coded, spilled, tuple(free), reads, tuple(loads), tuple(stores))
