"""What groups ask of the ports of their tiles. No time waits for these ports: how far they would reach is told instead.

Each activation moves its bytes through the tile buffer and the port to the network (as counted in `machine/energy.py`) evenly over
the time that it takes, and so does each write; the blocks of a run are taken to be alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.activations import activation_events
from mho.machine.timing import Timing
from mho.program import Program
from mho.program.columns import ACTIVATE, WRITE, columns

Floats = npt.NDArray[np.float64]


def busiest_ports(program: Program, timing: Timing) -> dict[str, float]:
    """Return the most bytes a second that a tile's groups ask of its `tile_buffer` and `noc` ports together at any time.

    As shares of what the port can move, a width each clock cycle; above 1 it would hold them up.
    """
    chip, table = program.chip, columns(program)
    activations, writes = table.of(ACTIVATE), table.of(WRITE)
    counts = activation_events(program, activations)
    changed, orders = table.moved_bytes[writes], table.order_bytes[writes]
    places = np.concatenate([activations, writes])
    moved = {
        "tile_buffer": (np.concatenate([counts["tile_buffer_byte"], 2 * changed + orders]), chip.tile.buffer_port_bits),
        "noc": (np.concatenate([counts["noc_byte"], changed + orders]), chip.tile.noc_port_bits),
    }
    return {
        port: _most(program, timing, places, size) * 8 / bits / chip.frequency_hz
        for port, (size, bits) in moved.items()
    }


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
