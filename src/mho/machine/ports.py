"""What ports did: how busy each was, what groups ask of those of their tiles at once, and which layers waited for which.

Instructions move their bytes (`channels`) evenly over the time that they take; the groups of one are taken to be alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mho.machine.channels import (
    CHANNELS,
    GLOBAL_BUFFER,
    MEMORY,
    NOC,
    TILE_BUFFER,
    channel_rates,
    passed_bytes,
    tiles_of,
)
from mho.machine.timing import Timing, program_tasks
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, VECTOR, columns

Floats = npt.NDArray[np.float64]
HELD = 1e-6
"""What share of its own time a layer must be held up for to count: less is rounding."""


def busiest_ports(program: Program, timing: Timing) -> dict[str, float]:
    """Return the most bytes a second that a tile's groups move through its `tile_buffer` and `noc` ports together at any time.

    As shares of what the port can move, a width each clock cycle.
    """
    passed, rates, kinds = passed_bytes(program), channel_rates(program.chip), [TILE_BUFFER, NOC]
    users = np.flatnonzero(passed[kinds].any(axis=0))
    most = _most(program, timing, users, passed[kinds][:, users])
    return {CHANNELS[kind]: each / float(rates[kind]) for kind, each in zip(kinds, most, strict=True)}


def ports_record(program: Program, timing: Timing) -> dict[str, Any]:
    """Return for each kind of port its bytes and how busy the busiest was in an inference, and the layers that were held up.

    Of a layer `held_s` is by how much its longest activation, its combining and what else it does outside the crossbars last longer
    than by themselves, and `port` what that is for: what takes longest for the inputs and sums of its windows, or for its results.
    """
    table, passed, rates = columns(program), passed_bytes(program), channel_rates(program.chip)
    layers = len(program.network.layers)
    record: dict[str, Any] = {}
    takes = np.zeros((len(CHANNELS), layers))
    for kind in range(MEMORY + 1, len(CHANNELS)):
        places = np.flatnonzero(passed[kind, program.setup :]) + program.setup
        sizes, tiles = passed[kind, places], np.zeros(len(places), dtype=np.int64)
        if kind != GLOBAL_BUFFER:
            tiles, places, groups = tiles_of(program, places)
            sizes = passed[kind, places] * groups / table.group_counts[places]
        busiest = float(np.bincount(tiles, sizes).max(initial=0.0))
        busy = busiest / rates[kind] / timing.latency_s if timing.latency_s else 0.0
        record[CHANNELS[kind]] = {"bytes": float(sizes.sum()), "busy_fraction": float(busy)}
        # Of each layer what the busiest tile moves for its windows.
        computing = table.kind[places] == ACTIVATE
        keys = table.layer[places[computing]] * program.chip.tiles + tiles[computing]
        different, which = np.unique(keys, return_inverse=True)
        moved = np.bincount(which, sizes[computing], len(different)) / rates[kind]
        np.maximum.at(takes[kind], different // program.chip.tiles, moved)
    longer = np.maximum(timing.ends - timing.starts - program_tasks(program).lasting_s, 0.0)
    longer[: program.setup] = 0.0
    windows, results = np.zeros(layers), np.zeros(layers)
    activations, others = table.of(ACTIVATE), table.of(COMBINE, VECTOR)
    np.maximum.at(windows, table.layer[activations], longer[activations])
    np.add.at(results, table.layer[others], longer[others])
    # What is no window passes the global buffer alone.
    held, slowest = windows + results, np.where(windows > results, takes.argmax(axis=0), GLOBAL_BUFFER)
    record["held_up"] = [
        {"layer": program.network.layers[layer].name, "port": CHANNELS[slowest[layer]], "held_s": float(held[layer])}
        for layer in np.flatnonzero(held > HELD * timing.latency_s).tolist()
    ]
    return record


def _most(program: Program, timing: Timing, places: npt.NDArray[np.int64], sizes: Floats) -> list[float]:
    """Return the most bytes a second of any tile, where the instructions `places` move bytes each, shared by groups.

    For each row of `sizes`, shape (kinds, places).
    """
    table = columns(program)
    # While the last windows of its copies end, an activation moves nothing any more.
    ends = timing.ends - program_tasks(program).tail_s
    lasts = ends[places] - timing.starts[places]
    moving = lasts > 0
    places = places[moving]
    rates = sizes[:, moving] / lasts[moving] / table.group_counts[places]
    # Tile by tile and in the order of time; what ends at a time does so before what begins then. Instructions are few beside the
    # groups that they name: they are put in order, and tiles, which are small numbers, then keep it.
    order = np.argsort(np.concatenate([ends[places], timing.starts[places]]), kind="stable")
    users = np.tile(places, 2)[order]
    groups, _ = table.groups(users)
    tiles = (groups // program.chip.tile.groups).astype(np.min_scalar_type(program.chip.tiles))
    by_tile = np.repeat(order, table.group_counts[users])[np.argsort(tiles, kind="stable")]
    return [float(np.cumsum(np.concatenate([-rate, rate])[by_tile]).max(initial=0.0)) for rate in rates]
