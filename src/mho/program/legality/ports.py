"""Rules on ports: neither that of the global buffer nor those of any tile move more, in any stretch of time, than they can."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from mho.network.layers import Constant, Embedding, MatrixLayer
from mho.program.brought import brought
from mho.program.columns import ACTIVATE, COMBINE, LOAD, STORE, VECTOR, WRITE, columns, counted
from mho.program.legality.facts import Violation
from mho.program.legality.overload import overload
from mho.program.program import Program
from mho.program.work import operand_width, sources

Times = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def port_rules(
    program: Program, places: Integers, starts: Times, ends: Times, fetched: Times, slack: float
) -> Iterator[Violation]:
    """Check measured starts and ends in s of instructions `places`, of one inference or several; `fetched`: the bytes that writes
    fetch, shape (instructions,).
    """
    chip = program.chip
    if not chip.buffer.in_tiles:
        demand = (buffer_bytes(program) * 8 / chip.buffer.port_bits / chip.frequency_hz)[places]
        used = demand > 0
        over = overload(starts[used], ends[used], demand[used], slack)
        if over is not None:
            yield _violation("the port of the global buffer", over)
    for name, moved, bits in (
        ("network port", network_bytes(program, fetched), chip.tile.noc_port_bits),
        ("buffer port", tile_buffer_bytes(program, fetched), chip.tile.buffer_port_bits),
    ):
        users = np.flatnonzero(moved[places] > 0)
        tiles, user, share = _by_tile(program, places, users)
        demand = moved[places[user]] * share * 8 / bits / chip.frequency_hz
        for tile in _crowded(tiles, starts[user], ends[user], demand):
            used = tiles == tile
            over = overload(starts[user[used]], ends[user[used]], demand[used], slack)
            if over is not None:
                yield _violation(f"the {name} of tile {tile}", over)


def _violation(name: str, over: tuple[float, float]) -> Violation:
    return Violation(-1, f"{name} does more than it can between {over[0]:.6g} s and {over[1]:.6g} s")


def buffer_bytes(program: Program) -> Times:
    """Count the bytes that instructions move through the global buffer: inputs window by window, operands, results, transfers."""
    table, network, source = columns(program), program.network, sources(program.network)
    stored = {use.layer for use in program.buffers}
    results, operands, inputs = (np.zeros(len(network.layers)) for _ in range(3))
    for index, layer in enumerate(network.layers):
        if layer.moves_only or isinstance(layer, Constant):
            continue
        if index in stored and not isinstance(layer, Embedding):
            results[index] = layer.size * operand_width(network, layer.name, program.coded)
        for name in layer.inputs:
            width = operand_width(network, name, program.coded)
            if isinstance(layer, MatrixLayer):
                inputs[index] = width
            elif source[name] in stored:
                operands[index] += network.by_name[name].size * width
    for part in program.mapping.combining:
        inputs[part.index] *= part.combination.driven_share if part.combination else 1.0
    moved = np.zeros(len(table.kind))
    activations, vectors, done, moves = (
        table.of(*kinds) for kinds in ((ACTIVATE,), (VECTOR,), (COMBINE, VECTOR), (LOAD, STORE))
    )
    moved[activations] = (table.runs["inputs"] * table.windows)[activations] * inputs[table.layer[activations]]
    moved *= brought(program)
    moved[done] = results[table.layer[done]] * table.share[done]
    moved[vectors] += operands[table.layer[vectors]] * table.share[vectors]
    lives = [source[network.layers[layer].name] in stored for layer in table.layer[moves].tolist()]
    moved[moves] = table.size[moves] * np.array(lives, dtype=np.float64)
    return moved


def _rows_bytes(program: Program) -> Times:
    """Count the bytes of the rows that activations bring into their groups."""
    table = columns(program)
    each = np.zeros(len(program.network.layers))
    for layer in program.mapping.layers:
        driven = 1.0 if layer.combination is None else layer.combination.driven_share
        each[layer.index] = layer.bits.inputs / 8 * driven
    rows: Times = table.runs["rows"] * table.windows * each[table.layer]
    return rows


def network_bytes(program: Program, fetched: Times) -> Times:
    """Count the bytes that instructions move through network ports of tiles: rows and partial sums, changes of cells and orders.

    Of layers on a basis, what lanes have added up, in 32 bits; their coefficients are left out.
    """
    table, chip = columns(program), program.chip
    each, lanes = np.zeros(len(program.network.layers)), np.zeros(len(program.network.layers))
    for layer in program.mapping.layers:
        if layer.combination is None:
            bits = layer.bits.inputs + layer.bits.weights + ceil(log2(chip.weight_rows))
            each[layer.index] = ceil(bits / 8)
        else:
            lanes[layer.index] = 4 * layer.combination.outputs
    moved: Times = _rows_bytes(program) * brought(program)
    moved += table.windows * (table.runs["sums"] * each[table.layer] + lanes[table.layer])
    moved[table.of(WRITE)] = fetched[table.of(WRITE)]
    return moved


def tile_buffer_bytes(program: Program, fetched: Times) -> Times:
    """Count the bytes that instructions move through buffer ports of tiles: in and out again, orders once."""
    table = columns(program)
    moved = (1 + brought(program)) * _rows_bytes(program)
    writes = table.of(WRITE)
    moved[writes] = 2 * fetched[writes] - table.order_bytes[writes]
    return moved


def _by_tile(program: Program, places: Integers, users: Integers) -> tuple[Integers, Integers, Times]:
    """Return tiles, beside each one of `users` that uses groups there, and the share of its groups that they are."""
    table, tiles = columns(program), program.chip.tiles
    groups, instruction = table.groups(np.unique(places[users]))
    keys, counts = np.unique(instruction * tiles + groups // program.chip.tile.groups, return_counts=True)
    instruction, tile = np.divmod(keys, tiles)
    first, last = (np.searchsorted(instruction, places[users], side=side) for side in ("left", "right"))
    which = counted(first, last - first)
    return tile[which], np.repeat(users, last - first), counts[which] / table.group_counts[instruction[which]]


def _crowded(tiles: Integers, starts: Times, ends: Times, demand: Times) -> list[int]:
    """Return the tiles in which more may be asked for at some time than there is: all others surely do no more than they can.

    If what is asked for, spread evenly over the time that it takes, never exceeds a port, no stretch of time has too much.
    """
    lasts = ends - starts
    instant = lasts <= 0
    rate = np.where(instant, 0.0, demand / np.where(instant, 1.0, lasts))
    times, places = np.concatenate([ends, starts]), np.tile(tiles, 2)
    order = np.lexsort((times, places))
    sums = np.cumsum(np.concatenate([-rate, rate])[order])
    over = places[order][sums > 1 + 1e-7]
    return sorted({*over.tolist(), *tiles[instant].tolist()})
