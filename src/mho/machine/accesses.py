"""What passes through the global buffer, tensor by tensor, and what a byte of each tensor costs there.

Bytes are counted for the tensor that they belong to, since a byte costs more in a large bank than in a small one. A
tensor's bytes lie in its banks, those that cost least to read and write first filled to the brim, so that at most the last
one is filled in part. All its bytes being accessed alike, each is charged the mean over the bytes that lie there, weighted
by how many lie in each bank. What of a partly stored tensor is streamed from main memory passes through the same banks at
the same price. What passes through without any bank of its own is charged what the largest bank costs
(`chip.energy_per_event`), since where it passes is not said: views of nothing stored, tensors that found no room at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mho.network.graph import Network
from mho.network.layers import Embedding
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, LOAD, STORE, VECTOR, columns, counted
from mho.program.once import once
from mho.program.work import CodedTensors, operand_width, sources

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

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


@dataclass(frozen=True, eq=False)
class _Operands:
    """Tensors that a network's layers read from the buffer and write to it, if all tensors live there.

    source: the layer whose values each layer shows; given: that of its first input, and `width` the bytes of an element of it;
    written: bytes of its result, 0 where none is written as it is computed. Layer i of the vector unit reads
    `size[starts[i] : starts[i + 1]]` bytes of `tensor[...]` likewise.
    """

    source: Integers
    given: Integers
    width: Floats
    written: Floats
    starts: Integers
    tensor: Integers
    size: Floats


@once
def _operands(network: Network, coded: CodedTensors) -> _Operands:
    """Return what layers read and write; an embedding writes nothing, as its rows went into the buffer when they were loaded."""
    shown = sources(network)
    read = [() if layer.moves_only else layer.inputs for layer in network.layers]
    widths = {layer.name: float(layer.size * operand_width(network, layer.name, coded)) for layer in network.layers}
    names = [name for inputs in read for name in inputs]
    return _Operands(
        np.array([shown[layer.name] for layer in network.layers], dtype=np.int64),
        np.array([shown[layer.inputs[0]] if layer.inputs else NOWHERE for layer in network.layers], dtype=np.int64),
        np.array(
            [
                float(operand_width(network, layer.inputs[0], coded)) if layer.inputs else 0.0
                for layer in network.layers
            ],
            dtype=np.float64,
        ),
        np.array(
            [0 if layer.moves_only or isinstance(layer, Embedding) else widths[layer.name] for layer in network.layers],
            dtype=np.float64,
        ),
        np.concatenate([[0], np.cumsum([len(inputs) for inputs in read], dtype=np.int64)]),
        np.array([shown[name] for name in names], dtype=np.int64),
        np.array([widths[name] for name in names], dtype=np.float64),
    )


FLOWS = ((READ, "compute"), (WRITE, "memory"), (READ, "memory"), (READ, "compute"), (WRITE, "compute"))
"""Event and kind of energy of what passes: inputs of activations, loads, stores, operands of the vector unit, results."""


def passages(program: Program) -> tuple[Integers, Integers, Integers, Floats]:
    """Return what passes through the buffer: which of FLOWS, the instruction, the tensor (NOWHERE: of none that has banks), bytes.

    In the order of instructions, of each its reads before its result. An activation reads the inputs that the blocks of its run
    share once for each window; a layer of the vector unit its operands once; a result is written once, and once more whatever is
    loaded. What an embedding looks up went into the buffer as it was loaded. What has no place in the buffer (token indices, real
    outputs) goes past it.
    """
    table, operands, layers = columns(program), _operands(program.network, program.coded), len(program.network.layers)
    in_buffer = np.zeros(layers + 1, dtype=np.bool_)
    in_buffer[[use.layer for use in program.buffers]] = True
    activations, loads, stores, vectors, results = (
        table.of(*kinds) for kinds in ((ACTIVATE,), (LOAD,), (STORE,), (VECTOR,), (COMBINE, VECTOR))
    )
    read = (table.runs["inputs"] * table.windows)[activations] * operands.width[table.layer[activations]]
    for layer in program.mapping.combining:
        # A part of a layer has as many inputs as rows of the basis that it drives.
        assert layer.combination is not None
        read[table.layer[activations] == layer.index] *= layer.combination.driven_share
    inputs, computed = operands.given[table.layer[activations]], table.layer[vectors]
    which = counted(operands.starts[computed], operands.starts[computed + 1] - operands.starts[computed])
    reads = np.repeat(vectors, operands.starts[computed + 1] - operands.starts[computed])
    flows = (
        (activations, inputs, read),
        (loads, operands.source[table.layer[loads]], table.size[loads]),
        (stores, operands.source[table.layer[stores]], table.size[stores]),
        (reads, operands.tensor[which], operands.size[which]),
        (results, operands.source[table.layer[results]], operands.written[table.layer[results]]),
    )
    flow = np.repeat(np.arange(len(flows)), [len(places) for places, _, _ in flows])
    places, tensors, sizes = (np.concatenate(side) for side in zip(*flows, strict=True))
    tensors = np.where(in_buffer[tensors], tensors, NOWHERE)
    counts = (sizes > 0) & ((flow == 0) | (tensors != NOWHERE))
    order = np.flatnonzero(counts)[np.argsort(places[counts], kind="stable")]
    return flow[order], places[order], tensors[order], sizes[order]


def count_accesses(program: Program, first: int, last: int) -> dict[Access, float]:
    """Count the bytes that instructions [first, last) read from and write to the global buffer (see `passages`)."""
    flow, places, tensors, sizes = passages(program)
    here = slice(*np.searchsorted(places, (first, last)))
    flow, layer, tensors, sizes = flow[here], columns(program).layer[places[here]], tensors[here], sizes[here]
    keys = (layer * len(FLOWS) + flow) * (len(program.network.layers) + 1) + tensors
    _, begins, which = np.unique(keys, return_index=True, return_inverse=True)
    sums, rank = np.bincount(which, sizes, len(begins)), np.argsort(begins)
    begins = begins[rank]
    totals = zip(*(side.tolist() for side in (layer[begins], flow[begins], tensors[begins], sums[rank])), strict=True)
    return {Access(layer, *FLOWS[flow], tensor): size for layer, flow, tensor, size in totals}


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
    remaining = size
    for bank in sorted(chosen, key=lambda bank: (read_j[bank] + write_j[bank], bank)):
        here = min(remaining, banks[bank])
        read, write, remaining = read + here * read_j[bank], write + here * write_j[bank], remaining - here
    return read / (size - remaining), write / (size - remaining)


def access_prices(program: Program) -> dict[int, dict[str, float]]:
    """Return for each tensor that has a place in the buffer the J of a byte read and written; for NOWHERE, of any other."""
    chip = program.chip
    banks = chip.buffer.banks, chip.costs.bank_read_j, chip.costs.bank_write_j
    prices = {use.layer: byte_prices(use.size - use.spilled, use.banks, *banks) for use in program.buffers}
    prices[NOWHERE] = chip.energy_per_event[READ], chip.energy_per_event[WRITE]
    return {tensor: {READ: read, WRITE: write} for tensor, (read, write) in prices.items()}
