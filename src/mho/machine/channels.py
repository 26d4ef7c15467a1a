"""What a program asks of the channels of its chip: bytes of each instruction through memory and ports, as the clock takes them.

Bytes are those that energy is charged for. Channels:
- the main memory: what writes fetch, and transfers;
- the port of the global buffer: what passes through the buffer (`accesses.passages`). Where activations live in the tile buffers
  there is none, and reaching them there takes no time;
- of each tile the port to the network and the port of its buffer: what activations and writes move through them
  (`activations`, and for a write its changes and orders; the tile buffer is passed twice), shared evenly by the groups that an
  instruction names.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.machine.accesses import passages
from mho.machine.activations import activation_events
from mho.once import once
from mho.program import Program
from mho.program.columns import ACTIVATE, WRITE, columns, counted
from mho.program.operands import buffer_rate

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MEMORY, GLOBAL_BUFFER, NOC, TILE_BUFFER = range(4)
CHANNELS = ("memory", "global_buffer", "noc", "tile_buffer")
"""Kinds of channels: of the first two the chip has one, of the others every tile its own."""


class Tasks(NamedTuple):
    """The instructions of a program as arrays, in the order in which `clock.clock` takes them; see there."""

    after_starts: Integers
    after: Integers
    unit: npt.NDArray[np.int8]
    lasts: Floats
    share: Floats
    use_starts: Integers
    use_channel: Integers
    use_bytes: Floats
    rates: Floats

    def waiting(self, waits: Integers, before: Integers) -> Tasks:
        """Return the tasks where each of `waits` waits for the one beside it in `before`, and for nothing else."""
        order = np.argsort(waits, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(waits, minlength=len(self.unit)))])
        return self._replace(after_starts=starts, after=before[order])

    def repeated(self, first: int, times: int) -> Tasks:
        """Return the tasks from `first` on, so often one after another; they wait for nothing."""
        here, uses = slice(self.use_starts[first], None), np.diff(self.use_starts[first:])
        return Tasks(
            np.zeros(len(uses) * times + 1, dtype=np.int64),
            np.zeros(0, dtype=np.int64),
            np.tile(self.unit[first:], times),
            np.tile(self.lasts[first:], times),
            np.tile(self.share[first:], times),
            np.concatenate([[0], np.cumsum(np.tile(uses, times))]),
            np.tile(self.use_channel[here], times),
            np.tile(self.use_bytes[here], times),
            self.rates,
        )

    def idle(self, idle: npt.NDArray[np.bool_]) -> Tasks:
        """Return the tasks where some last no time and move nothing."""
        uses = np.diff(self.use_starts)
        kept = np.repeat(~idle, uses)
        return self._replace(
            lasts=np.where(idle, 0.0, self.lasts),
            share=np.where(idle, 0.0, self.share),
            unit=np.where(idle, 0, self.unit).astype(self.unit.dtype),
            use_starts=np.concatenate([[0], np.cumsum(np.where(idle, 0, uses))]),
            use_channel=self.use_channel[kept],
            use_bytes=self.use_bytes[kept],
        )

    def joined(self, lasts: Floats) -> Tasks:
        """Return the tasks, and behind them others that last so long, in s, and neither move anything nor wait."""
        count = len(lasts)
        return self._replace(
            after_starts=np.concatenate([self.after_starts, np.full(count, self.after_starts[-1])]),
            unit=np.concatenate([self.unit, np.zeros(count, dtype=self.unit.dtype)]),
            lasts=np.concatenate([self.lasts, lasts]),
            share=np.concatenate([self.share, np.zeros(count)]),
            use_starts=np.concatenate([self.use_starts, np.full(count, self.use_starts[-1])]),
        )


def channel_rates(chip: Chip) -> Floats:
    """Return the byte/s that a channel of each kind moves, shape (kinds,): a port its width each clock cycle."""
    tile = np.array([chip.tile.noc_port_bits, chip.tile.buffer_port_bits]) / 8 * chip.frequency_hz
    return np.concatenate([[chip.memory.bandwidth, buffer_rate(chip)], tile])


@once
def passed_bytes(program: Program) -> Floats:
    """Return the bytes that instructions move through channels of each kind, all tiles together, shape (kinds, instructions)."""
    table = columns(program)
    activations, writes = table.of(ACTIVATE), table.of(WRITE)
    events = activation_events(program, activations)
    passed = np.zeros((len(CHANNELS), len(table.kind)))
    changed, orders = table.moved_bytes, table.order_bytes
    passed[MEMORY] = changed + orders + table.size
    if not program.chip.buffer.in_tiles:
        _, places, _, sizes = passages(program)
        passed[GLOBAL_BUFFER] = np.bincount(places, sizes, len(table.kind))
    passed[NOC, activations] = events["noc_byte"]
    passed[NOC, writes] = (changed + orders)[writes]
    passed[TILE_BUFFER, activations] = events["tile_buffer_byte"]
    passed[TILE_BUFFER, writes] = (2 * changed + orders)[writes]
    return passed


def tiles_of(program: Program, places: Integers) -> tuple[Integers, Integers, Integers]:
    """Return the tiles in which instructions name groups, beside each the instruction, and how many groups it names there.

    Tiles of one instruction come in the order of its ranges, and more than once where several ranges reach into one.
    """
    table, size = columns(program), program.chip.tile.groups
    spans = table.range_starts[places + 1] - table.range_starts[places]
    begins, ends = table.ranges[counted(table.range_starts[places], spans)].T
    reached = (ends - 1) // size - begins // size + 1
    tiles, begins, ends = counted(begins // size, reached), np.repeat(begins, reached), np.repeat(ends, reached)
    groups = np.minimum(ends, (tiles + 1) * size) - np.maximum(begins, tiles * size)
    return tiles, np.repeat(np.repeat(places, spans), reached), groups


def tasks_of(program: Program, unit: npt.NDArray[np.int8], lasts: Floats) -> Tasks:
    """Return instructions that need `unit` and last at least `lasts`, in s, with all that they move.

    Channel 0 is the memory, channel 1 the port of the global buffer; ports of tiles follow that groups can ask too much of. In one
    channel flows have equal shares of what they move through the outermost that they pass: memory, global buffer, port of a tile
    (the busiest of theirs). So where no port is overloaded, the memory is shared as if there were none.
    """
    table, passed, ported = columns(program), passed_bytes(program), channel_rates(program.chip)
    channel, place, size = [], [], []
    for kind in (MEMORY, GLOBAL_BUFFER):
        place.append(np.flatnonzero(passed[kind]))
        channel.append(np.full(len(place[-1]), kind))
        size.append(passed[kind, place[-1]])
    share, kept = passed[MEMORY].copy(), [ported[:NOC]]
    share = np.where(share > 0, share, passed[GLOBAL_BUFFER])
    for kind in (NOC, TILE_BUFFER):
        users = np.flatnonzero(passed[kind])
        tiles, instruction, groups = tiles_of(program, users)
        moved = passed[kind, instruction] * groups / table.group_counts[instruction]
        most = np.zeros(len(share))
        np.maximum.at(most, instruction, moved)
        share = np.where(share > 0, share, most)
        crowded = _crowded(program, users, passed[kind], lasts, ported[kind])[tiles]
        numbers, which = np.unique(tiles[crowded], return_inverse=True)
        channel.append(sum(map(len, kept)) + which)
        place.append(instruction[crowded])
        size.append(moved[crowded])
        kept.append(np.full(len(numbers), ported[kind]))
    places = np.concatenate(place)
    order = np.argsort(places, kind="stable")
    use_starts = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(share)))])
    return Tasks(
        table.after_starts, table.after, unit, lasts, share,
        use_starts, np.concatenate(channel)[order], np.concatenate(size)[order], np.concatenate(kept),
    )  # fmt: skip


def _crowded(program: Program, users: Integers, passed: Floats, lasts: Floats, rate: float) -> npt.NDArray[np.bool_]:
    """Return of which tiles' ports the groups could ask too much, each doing the most that it ever does, bool (tiles,).

    A group does one thing at a time, so no other port ever holds anybody up.
    """
    chip, table = program.chip, columns(program)
    with np.errstate(divide="ignore"):
        asked = passed[users] / table.group_counts[users] / lasts[users]
    if asked.max(initial=0.0) * chip.tile.groups <= rate * (1 + 1e-9):
        return np.zeros(chip.tiles, dtype=np.bool_)
    groups, instruction = table.groups(users)
    each, most = np.zeros(len(passed)), np.zeros(chip.groups)
    each[users] = asked
    np.maximum.at(most, groups, each[instruction])
    over: npt.NDArray[np.bool_] = most.reshape(chip.tiles, chip.tile.groups).sum(axis=1) > rate * (1 + 1e-9)
    return over
