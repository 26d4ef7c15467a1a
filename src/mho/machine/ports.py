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
    passed, rates = passed_bytes(program), channel_rates(program.chip)
    return {
        CHANNELS[kind]: _most(program, timing, users := np.flatnonzero(passed[kind]), passed[kind, users])
        / float(rates[kind])
        for kind in (TILE_BUFFER, NOC)
    }


def ports_record(program: Program, timing: Timing) -> dict[str, Any]:
    """Return for each kind of port its bytes and how busy the busiest was in an inference, and the layers that were held up.

    Of a layer `held_s` is by how much its longest activation, its combining and what else it does outside the crossbars last longer
    than by themselves, and `port` what takes longest for all that it moves.
    """
    table, passed, rates = columns(program), passed_bytes(program), channel_rates(program.chip)
    layers, inference = len(program.network.layers), slice(program.setup, None)
    record: dict[str, Any] = {}
    for kind in (GLOBAL_BUFFER, NOC, TILE_BUFFER):
        moved = busiest = float(passed[kind, inference].sum())
        if kind != GLOBAL_BUFFER:
            users = np.flatnonzero(passed[kind])
            tiles, user, groups = tiles_of(program, users[users >= program.setup])
            busiest = float(np.bincount(tiles, passed[kind, user] * groups / table.group_counts[user]).max(initial=0.0))
        busy = busiest / rates[kind] / timing.latency_s if timing.latency_s else 0.0
        record[CHANNELS[kind]] = {"bytes": moved, "busy_fraction": float(busy)}
    longer = np.maximum(timing.ends - timing.starts - program_tasks(program).lasts, 0.0)
    held = np.zeros(layers)
    activations, others = table.of(ACTIVATE), table.of(COMBINE, VECTOR)
    np.maximum.at(held, table.layer[activations], longer[activations])
    np.add.at(held, table.layer[others], longer[others])
    takes = np.zeros((len(CHANNELS), layers))
    both = np.concatenate([activations, others])
    for kind in range(MEMORY + 1, len(CHANNELS)):
        used = 1.0 if kind == GLOBAL_BUFFER else np.maximum(table.group_counts[both] / program.chip.tile.groups, 1.0)
        np.add.at(takes[kind], table.layer[both], passed[kind, both] / rates[kind] / used)
    slowest = takes.argmax(axis=0)
    record["held_up"] = [
        {"layer": program.network.layers[layer].name, "port": CHANNELS[slowest[layer]], "held_s": float(held[layer])}
        for layer in np.flatnonzero(held > HELD * timing.latency_s).tolist()
    ]
    return record


def _most(program: Program, timing: Timing, places: npt.NDArray[np.int64], size: Floats) -> float:
    """Return the most bytes a second of any tile, where the instructions `places` move `size` bytes each, shared by groups."""
    table = columns(program)
    lasts = timing.ends[places] - timing.starts[places]
    moving = (lasts > 0) & (size > 0)
    places = places[moving]
    rate = np.zeros(len(table.kind))
    rate[places] = size[moving] / lasts[moving] / table.group_counts[places]
    groups, users = table.groups(places)
    tiles = np.tile(groups // program.chip.tile.groups, 2)
    times = np.concatenate([timing.ends[users], timing.starts[users]])
    # Tile by tile and in the order of time; what ends at a time does so before what begins then.
    order = np.lexsort((times, tiles))
    return float(np.cumsum(np.concatenate([-rate[users], rate[users]])[order]).max(initial=0.0))
