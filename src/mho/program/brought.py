"""Which share of the inputs that windows ask for is brought to their groups: all, or what a tile has not kept from earlier ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping.combination import Combination
from mho.network.graph import Network
from mho.network.layers import MatrixLayer
from mho.number.basis import segments
from mho.once import once
from mho.program.columns import ACTIVATE, columns
from mho.program.program import Program

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@once
def brought(program: Program) -> Floats:
    """Return the share for each instruction, shape (instructions,): 1 where the chip fetches inputs for every window.

    Where it fetches them once, each activation brings what its own windows ask for, what they share once. Of a layer on a basis,
    all activations in a tile bring what their windows ask for together, if the tile's buffer holds it.
    """
    table = columns(program)
    share = np.ones(len(table.kind))
    if program.chip.tile.input_fetch is None:
        return share
    activations = table.of(ACTIVATE)
    for index in np.unique(table.layer[activations]).tolist():
        layer, own = program.network.layers[index], activations[table.layer[activations] == index]
        if not isinstance(layer, MatrixLayer):
            continue
        mapped = program.mapping.by_index[index]
        if mapped.combination is None:
            first, last = table.first_window[own], table.last_window[own]
            share[own] = layer.inputs_kept(first, last) / ((last - first) * layer.rows)
        else:
            share[own] = _of_tiles(program, layer, mapped.combination, own, mapped.bits.inputs)
    return share


def _of_tiles(program: Program, layer: MatrixLayer, combination: Combination, own: Integers, input_bits: int) -> Floats:
    """Return the shares of activations of a layer on a basis: those in the same tiles keep inputs for one another."""
    table, chip, windows = columns(program), program.chip, combination.windows
    first, last = table.first_window[own], table.last_window[own]
    groups, users = table.groups(own)
    begins = np.searchsorted(users, own)
    ends = np.searchsorted(users, own, side="right") - 1
    homes = groups[begins] // chip.tile.groups * chip.tiles + groups[ends] // chip.tile.groups
    _, home = np.unique(homes, return_inverse=True)
    # Input vectors that follow one another in a tile are one run; of each run what lies in each part.
    order = np.lexsort((first, home))
    opens = np.ones(len(own), dtype=np.bool_)
    opens[1:] = (home[order][1:] != home[order][:-1]) | (first[order][1:] != last[order][:-1])
    run_first, run_home = first[order][opens], home[order][opens]
    run_last = last[order][np.append(np.flatnonzero(opens)[1:] - 1, len(own) - 1)]
    spans = (run_last - 1) // windows - run_first // windows + 1
    run = np.repeat(np.arange(len(spans)), spans)
    part = np.arange(len(run)) - np.repeat(np.cumsum(spans) - spans, spans) + np.repeat(run_first // windows, spans)
    begin = np.maximum(run_first[run] - part * windows, 0)
    end = np.minimum(run_last[run] - part * windows, windows)
    pieces = segments(layer.rows, combination.numbers.height)
    edges = np.array([[piece.start, piece.stop] for piece in pieces])[part % len(pieces)]
    asked, kept = np.zeros(home.max() + 1), np.zeros(home.max() + 1)
    np.add.at(asked, run_home[run], (end - begin) * (edges[:, 1] - edges[:, 0]))
    np.add.at(kept, run_home[run], layer.inputs_kept(begin, end, edges[:, 0], edges[:, 1]))
    fits = kept * input_bits / 8 <= chip.tile.buffer_bytes
    shares: Floats = np.where(fits, kept / asked, 1.0)[home]
    return shares


def least_brought(network: Network, chip: Chip, index: int) -> float:
    """Return the share of a layer's inputs that comes at the least, whatever the activations."""
    layer = network.layers[index]
    if chip.tile.input_fetch is None or not isinstance(layer, MatrixLayer):
        return 1.0
    return layer.distinct_inputs / (layer.windows * layer.rows)
