"""Where tensors live in the global buffer: which banks, from which layer to which.

Every tensor gets banks of its own (ARAS section V-A: a bank never serves a layer's input and its output at once), the
smallest set of free ones that a greedy choice finds. What finds no room lives in main memory and is fetched by every
layer that reads it (ARAS section V-A: larger layers are processed in parts).
"""

from __future__ import annotations

from collections.abc import Sequence

from mho.network.graph import Network
from mho.network.layers import Constant
from mho.program.program import BufferUse
from mho.program.work import sources


def choose_banks(size: int, free: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Choose free banks (bytes, number) that hold `size` bytes with little to spare; all of them if they do not suffice."""
    rest = size
    chosen: list[tuple[int, int]] = []
    for bank in sorted(free, reverse=True):
        if bank[0] <= rest:
            chosen.append(bank)
            rest -= bank[0]
    if rest > 0:
        fitting = [bank for bank in free if bank not in chosen and bank[0] >= rest]
        if fitting:
            chosen.append(min(fitting))
            rest -= chosen[-1][0]
    # The last bank may make smaller ones unnecessary.
    for bank in sorted(chosen):
        if bank[0] <= -rest:
            chosen.remove(bank)
            rest += bank[0]
    return tuple(sorted(number for _, number in chosen))


def place_tensors(
    network: Network, coded: frozenset[str], banks: Sequence[int], layer_order: str
) -> tuple[BufferUse, ...]:
    """Give each stored tensor banks from the layer that makes it to the last that reads it, both included.

    A layer that only moves values is a view of its input: it takes no banks and prolongs its input's life. In a chip of
    data-flow order a bank is only taken over by a layer that depends on all readers of the tensor before.
    """
    source = sources(network)
    readers: dict[int, int] = {}
    before: list[int] = []
    place = {layer.name: i for i, layer in enumerate(network.layers)}
    for i, layer in enumerate(network.layers):
        # Sets of layers as bits: those that have certainly finished when this one starts, and those that read a tensor.
        if layer_order == "sequential":
            before.append((1 << i) - 1)
        else:
            before.append(0)
            for name in layer.inputs:
                before[i] |= before[place[name]] | 1 << place[name]
        for name in layer.inputs:
            readers[source[name]] = readers.get(source[name], 0) | 1 << i
    for name in network.outputs:
        # Kept for good: nothing says when whoever reads the outputs has read them.
        readers[source[name]] = readers.get(source[name], 0) | 1 << len(network.layers)
    holder: dict[int, int] = {}
    uses: list[BufferUse] = []
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Constant) or source[layer.name] != i or layer.name not in coded:
            continue
        free = [
            (size, number)
            for number, size in enumerate(banks)
            if number not in holder or not (readers.get(holder[number], 0) | 1 << holder[number]) & ~before[i]
        ]
        chosen = choose_banks(layer.size, free)
        spilled = max(0, layer.size - sum(banks[number] for number in chosen))
        holder.update(dict.fromkeys(chosen, i))
        last = min(max(readers.get(i, 0).bit_length() - 1, i), len(network.layers) - 1)
        uses.append(BufferUse(i, layer.size, chosen, spilled, last))
    return tuple(uses)
