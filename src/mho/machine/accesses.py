"""What passes through the global buffer, tensor by tensor, and what a byte of each tensor costs there.

Bytes are counted for the tensor that they belong to, since a byte costs more in a large bank than in a small one. A
tensor's bytes lie in its banks, those that cost least to read and write first filled to the brim, so that at most the last
one is filled in part. All its bytes being accessed alike, each is charged the mean over the bytes that lie there, weighted
by how many lie in each bank. What of a partly stored tensor is streamed from main memory passes through the same banks at
the same price. What passes through without any bank of its own is charged what the largest bank costs
(`chip.energy_per_event`), since where it passes is not said: views of nothing stored, tensors that found no room at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from mho.network.layers import Embedding
from mho.program import Activate, Combine, Program, Transfer, Vector
from mho.program.work import operand_width, sources

READ = "global_buffer_read_byte"
WRITE = "global_buffer_write_byte"
NOWHERE = -1
"""Stands for the tensor where bytes belong to none that has banks."""


class Access(NamedTuple):
    """Bytes through the buffer: for which layer (its place in the network), event, kind of energy, and of which tensor.

    `tensor` is the layer that makes it, NOWHERE for one that has no place in the buffer.
    """

    layer: int
    event: str
    kind: str
    tensor: int


def count_accesses(program: Program, first: int, last: int) -> dict[Access, float]:
    """Count the bytes that instructions [first, last) read from and write to the global buffer.

    An activation reads the inputs that the blocks of its run share once for each window; a layer of the vector unit its
    operands once; a result is written once, and once more whatever is loaded. What an embedding looks up went into the
    buffer as it was loaded. What has no place in the buffer (token indices, real outputs) goes past it.
    """
    network = program.network
    held = {use.layer for use in program.buffers}
    shown = {name: source if source in held else NOWHERE for name, source in sources(network).items()}
    counts: dict[Access, float] = defaultdict(float)
    for instruction in program.instructions[first:last]:
        index = instruction.layer
        layer = network.layers[index]
        own = shown[layer.name]
        if isinstance(instruction, Activate):
            mapped = program.mapping.by_index[index]
            inputs = mapped.blocks.totals(mapped.within(instruction.blocks)).inputs
            windows = instruction.windows[1] - instruction.windows[0]
            counts[Access(index, READ, "compute", shown[layer.inputs[0]])] += inputs * windows
        elif isinstance(instruction, Transfer):
            if own != NOWHERE:
                event = WRITE if instruction.direction == "load" else READ
                counts[Access(index, event, "memory", own)] += instruction.size
        elif isinstance(instruction, Vector | Combine) and not layer.moves_only:
            if isinstance(instruction, Vector):
                for name in layer.inputs:
                    if shown[name] != NOWHERE:
                        size = network.by_name[name].size * operand_width(network, name)
                        counts[Access(index, READ, "compute", shown[name])] += size
            if own != NOWHERE and not isinstance(layer, Embedding):
                counts[Access(index, WRITE, "compute", own)] += layer.size * operand_width(network, layer.name)
    return {access: size for access, size in counts.items() if size}


def byte_prices(
    size: int, chosen: Sequence[int], banks: Sequence[int], read_j: Sequence[float], write_j: Sequence[float]
) -> tuple[float, float]:
    """Return the J of a byte read and of a byte written, of a tensor of `size` bytes in the `chosen` of all `banks`.

    `banks` are in bytes, the energies of each in J per byte. Bytes without room do not count: they pass through the same
    banks. Without any bank it is what the largest costs.
    """
    if not chosen or size <= 0:
        largest = max(range(len(banks)), key=banks.__getitem__)
        return read_j[largest], write_j[largest]
    read = write = 0.0
    left = size
    for bank in sorted(chosen, key=lambda bank: (read_j[bank] + write_j[bank], bank)):
        here = min(left, banks[bank])
        read, write, left = read + here * read_j[bank], write + here * write_j[bank], left - here
    return read / (size - left), write / (size - left)


def access_prices(program: Program) -> dict[int, dict[str, float]]:
    """Return for each tensor that has a place in the buffer the J of a byte read and written; for NOWHERE, of any other."""
    chip = program.chip
    banks = chip.buffer.banks, chip.costs.bank_read_j, chip.costs.bank_write_j
    prices = {use.layer: byte_prices(use.size - use.spilled, use.banks, *banks) for use in program.buffers}
    prices[NOWHERE] = chip.energy_per_event[READ], chip.energy_per_event[WRITE]
    return {tensor: {READ: read, WRITE: write} for tensor, (read, write) in prices.items()}
