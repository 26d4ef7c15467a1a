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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mho.program import Program
from mho.program.brought import brought
from mho.program.columns import ACTIVATE, LOAD, STORE, VECTOR, columns, counted, made
from mho.program.operands import NOWHERE, operands

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BUFFER = "global_buffer"
READ = "global_buffer_read_byte"
WRITE = "global_buffer_write_byte"


class Access(NamedTuple):
    """Bytes through the buffer: for which layer (its place in the network), event, kind of energy, and of which tensor.

    `tensor` is the layer that makes it, NOWHERE for one that has no place in the buffer.
    """

    layer: int
    event: str
    kind: str
    tensor: int


FLOWS = ((READ, "compute"), (WRITE, "memory"), (READ, "memory"), (READ, "compute"), (WRITE, "compute"))
"""Event and kind of energy of what passes: inputs of activations, loads, stores, operands of the vector unit, results."""


def passages(program: Program) -> tuple[Integers, Integers, Integers, Floats]:
    """Return what passes through the buffer: which of FLOWS, the instruction, the tensor (NOWHERE: of none that has banks), bytes.

    In the order of instructions, of each its reads before its result. An activation reads the inputs that the blocks of its run
    share once for each window; a layer of the vector unit its operands once; a result is written once, and once more whatever is
    loaded. What an embedding looks up went into the buffer as it was loaded. What has no place in the buffer (token indices, real
    outputs) goes past it.
    """
    table, read_by, layers = columns(program), operands(program.network, program.coded), len(program.network.layers)
    in_buffer = np.zeros(layers + 1, dtype=np.bool_)
    in_buffer[[use.layer for use in program.buffers]] = True
    activations, loads, stores, vectors = (table.of(kind) for kind in (ACTIVATE, LOAD, STORE, VECTOR))
    results, making = made(program)
    read = (table.runs["inputs"] * table.windows)[activations] * read_by.width[table.layer[activations]]
    for layer in program.mapping.combining:
        # A part of a layer has as many inputs as rows of the basis that it drives.
        assert layer.combination is not None
        read[table.layer[activations] == layer.index] *= layer.combination.driven_share
    read *= brought(program)[activations]
    inputs, computed = read_by.given[table.layer[activations]], table.layer[vectors]
    which = counted(read_by.starts[computed], read_by.starts[computed + 1] - read_by.starts[computed])
    reads = np.repeat(vectors, read_by.starts[computed + 1] - read_by.starts[computed])
    flows = (
        (activations, inputs, read),
        (loads, read_by.source[table.layer[loads]], table.size[loads]),
        (stores, read_by.source[table.layer[stores]], table.size[stores]),
        (reads, read_by.tensor[which], read_by.size[which] * table.share[reads]),
        (results, read_by.source[making], read_by.written[making] * table.share[results]),
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
    flow, layer, tensors = flow[here], columns(program).layer[places[here]], tensors[here]
    sizes = sizes[here] * columns(program).per_inference[places[here]]
    keys = (layer * len(FLOWS) + flow) * (len(program.network.layers) + 1) + tensors
    _, begins, which = np.unique(keys, return_index=True, return_inverse=True)
    sums, rank = np.bincount(which, sizes, len(begins)), np.argsort(begins)
    begins = begins[rank]
    totals = zip(*(side.tolist() for side in (layer[begins], flow[begins], tensors[begins], sums[rank])), strict=True)
    return {Access(layer, *FLOWS[flow], tensor): size for layer, flow, tensor, size in totals}


def filled(
    size: int, chosen: Sequence[int], banks: Sequence[int], read_j: Sequence[float], write_j: Sequence[float]
) -> list[tuple[int, int]]:
    """Return which of all `banks` the bytes of a tensor of `size` lie in, and how many in each: the cheapest of the `chosen` first.

    `banks` are in bytes, the energies of each in J per byte. Bytes without room do not count: they pass through the same
    banks. Without any bank, all pass through the largest.
    """
    if not chosen or size <= 0:
        return [(max(range(len(banks)), key=banks.__getitem__), 1)]
    found, remaining = [], size
    for bank in sorted(chosen, key=lambda bank: (read_j[bank] + write_j[bank], bank)):
        here = min(remaining, banks[bank])
        if here:
            found.append((bank, here))
        remaining -= here
    return found


def byte_prices(
    size: int, chosen: Sequence[int], banks: Sequence[int], read_j: Sequence[float], write_j: Sequence[float]
) -> tuple[float, float]:
    """Return the J of a byte read and of a byte written, of a tensor of `size` bytes in `chosen` banks (see `filled`)."""
    found = filled(size, chosen, banks, read_j, write_j)
    whole = sum(here for _, here in found)
    read = sum(here * read_j[bank] for bank, here in found) / whole
    return read, sum(here * write_j[bank] for bank, here in found) / whole


def bank_shares(program: Program) -> dict[int, dict[int, float]]:
    """Return for each tensor that has a place in the buffer, and NOWHERE for any other, what share of its bytes lies in banks of
    which size, by their bytes.
    """
    chip = program.chip
    banks = chip.buffer.banks, chip.costs.bank_read_j, chip.costs.bank_write_j
    lies = {use.layer: filled(use.size - use.spilled, use.banks, *banks) for use in program.buffers}
    shares: dict[int, dict[int, float]] = {}
    for tensor, found in {**lies, NOWHERE: filled(0, (), *banks)}.items():
        whole, by_size = sum(here for _, here in found), shares.setdefault(tensor, {})
        for bank, here in found:
            by_size[banks[0][bank]] = by_size.get(banks[0][bank], 0.0) + here / whole
    return shares
