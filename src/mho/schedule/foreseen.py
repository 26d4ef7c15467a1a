"""When a plan of the overlapping planner ends and how many instructions it has, to the last bit, without making it.

`planner` in numbers, for given copies, on any chip: layers that compute at once, a memory that cannot keep up, weights that stay.
Which groups are taken does not move the planned times, only how many are free, so that groups are counted here. Events at the same
time come in the order of their instructions, which are counted, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.network.layers import Embedding
from mho.program.work import index_bytes
from mho.schedule.builder import InstructionBuilder, Task

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Records = npt.NDArray[np.void]
Heap = list[tuple[float, int, int, int]]
"""Events: the time in s, the instruction, the piece or -1, and of a piece twice the layer it serves, odd where it frees its groups,
or -1 where it is written; else the step that ends.
"""

STEP = np.dtype([(name, np.int64) for name in ("layer", "waits", "loads", "own", "stores")] + [("seconds", np.float64)])
"""A step: its place among the matrix layers or -1, how many steps it waits for, the instructions that load what was spilled, that
it has itself and that store its result, and how long it lasts outside the crossbars, in s.
"""

LAYER = np.dtype(
    [
        (name, np.int64)
        for name in ("step", "writer", "first_user", "user_count", "blocks", "windows", "pinned", "cells")
    ]
    + [("window_s", np.float64), ("port_s", np.float64)]
)
"""A matrix layer: its step, the layer that its blocks are written for, where the users of its own begin, and where the sums of
the cells and of the bytes of the index over its blocks do.
"""

PIECE = np.dtype(
    [(name, np.int64) for name in ("number", "blocks", "waiting")] + [("ready_s", np.float64), ("rate", np.float64)]
)
"""A run of blocks of copy `number` bound to groups by one write; `rate`: what its write takes of the memory, in byte/s."""

STATE = np.dtype(
    [(name, np.int64) for name in ("first_piece", "pieces", "started", "begun", "gated", "served")]
    + [("started_s", np.float64), ("fed_s", np.float64)]
)
"""How far a layer is: the pieces of its blocks, how many of its users have started, when it did as which of them, and so on."""


class Plan(NamedTuple):
    """A task in numbers: steps with their `followers` from `follower_starts` on, layers with their `users`, those for which blocks
    are written, `writers`, and running sums of what writes fetch, from LAYER.cells on; `chip`: groups, the time of a write in s,
    the memory's byte/s, bits written of a cell, and whether the memory always keeps up and all weights stay.
    """

    steps: Records
    follower_starts: Integers
    followers: Integers
    layers: Records
    users: Integers
    writers: Integers
    cells: Integers
    index_bytes: Floats
    chip: tuple[int, float, float, int, bool, bool]


class Play(NamedTuple):
    """A plan as it is played: its layers' copies and states, pieces bound, and how many steps each step waits for.

    `counts`: the instructions, free groups and pieces so far.
    """

    copies: Integers
    state: Records
    pieces: Records
    missing: Integers
    counts: Integers


INSTRUCTIONS, FREE, PIECES = range(3)
"""Places in Play.counts."""


def plan_of(task: Task) -> Plan:
    """Put a task in numbers."""
    chip, mapped = task.chip, task.mapping.layers
    at = {layer.index: place for place, layer in enumerate(mapped)}
    place = {step: number for number, step in enumerate(task.steps)}
    users = [[at[user.index] for user in task.served.get(layer.index, ())] for layer in mapped]
    builder = InstructionBuilder(task)
    steps = [
        (at.get(step, -1), len(task.waits[step]), len(builder.spilled_inputs(step)),
         1 + isinstance(task.network.layers[step], Embedding), np.count_nonzero(builder.stored(step)), task.vector_time_s(step))
        for step in task.steps
    ]  # fmt: skip
    followers: list[list[int]] = [[] for _ in task.steps]
    for step, before in task.waits.items():
        for other in before:
            followers[place[other]].append(place[step])
    cells, index = [], []
    for layer in mapped:
        each = layer.blocks.places * layer.blocks.shape.cells
        cells.append(np.concatenate([[0], np.cumsum(each)]))
        indexed = chip.sparse is not None and not task.always_fed
        count = np.arange(layer.count + 1)
        index.append(np.array([index_bytes(layer.blocks, (0, n), chip) if indexed else 0.0 for n in count.tolist()]))
    first_user = np.cumsum([0, *map(len, users)])
    first_cells = np.cumsum([0, *map(len, cells)])
    layers = [
        (place[layer.index], at[task.writer[layer.index]], first_user[n], len(users[n]), layer.count, layer.windows,
         layer.run in task.pinned, first_cells[n], layer.window_s, task.port_s[layer.index])
        for n, layer in enumerate(mapped)
    ]  # fmt: skip
    return Plan(
        np.array(steps, dtype=STEP),
        np.cumsum([0, *map(len, followers)]),
        np.array([each for several in followers for each in several], dtype=np.int64),
        np.array(layers, dtype=LAYER),
        np.array([each for several in users for each in several], dtype=np.int64),
        np.array([at[layer.index] for layer in task.writers], dtype=np.int64),
        np.concatenate(cells),
        np.concatenate(index),
        (chip.groups, chip.array_write_time_s, chip.memory.bandwidth, chip.write_bits_per_cell, task.always_fed,
         task.resident),
    )  # fmt: skip


def foreseen(task: Task, plan: Plan, copies: Mapping[int, int]) -> tuple[float, int]:
    """Return when `Planner(task, copies).run()` ends, in s, and how many instructions it has."""
    counts = np.array([copies.get(layer.index, 1) for layer in task.mapping.layers], dtype=np.int64)
    pieces = np.zeros(int((plan.layers["blocks"] * counts).sum()), dtype=PIECE)
    state, sums = np.zeros(len(counts), dtype=STATE), np.array([0, plan.chip[0], 0])
    end_s = _played(plan, Play(counts, state, pieces, plan.steps["waits"].copy(), sums))
    return float(end_s), int(sums[INSTRUCTIONS])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _written_bytes(plan: Plan, layer: int, first: int, last: int) -> float:
    """Return the bytes that writing blocks [first, last) of a layer fetches."""
    at = plan.layers[layer].cells
    cells: float = (plan.cells[at + last] - plan.cells[at + first]) * plan.chip[3] / 8
    size: float = cells + (plan.index_bytes[at + last] - plan.index_bytes[at + first])
    return size


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fed(plan: Plan, layer: int, first: int, most: int, taken: float) -> int:
    """Count the blocks, at most `most`, with which writes fill the memory; 0 if it is full."""
    _, write_s, bandwidth, _, always_fed, _ = plan.chip
    if always_fed:
        return most
    left = bandwidth - taken
    if left <= 0.0:
        return 0
    if _written_bytes(plan, layer, first, first + most) / write_s <= left:
        return most
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if _written_bytes(plan, layer, first, first + middle + 1) / write_s < left:
            low = middle + 1
        else:
            high = middle
    return 1 + low


@njit(cache=True)  # type: ignore[untyped-decorator]
def _passing_s(plan: Plan, play: Play, user: int, blocks: int) -> float:
    """Return how long the inputs of so many blocks of a layer take to pass the port of the global buffer."""
    layer = plan.layers[user]
    serving = min(play.copies[layer.writer], layer.windows)
    passing: float = layer.port_s * min(blocks / (layer.blocks * serving), 1.0)
    return passing


@njit(cache=True)  # type: ignore[untyped-decorator]
def _windows(plan: Plan, play: Play, user: int, number: int) -> int:
    """Count the windows of a layer that one of its copies serves."""
    layer = plan.layers[user]
    copies, windows = play.copies[layer.writer], layer.windows
    count: int = windows * (number + 1) // copies - windows * number // copies
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _activate(plan: Plan, play: Play, at: int, user: int, heap: Heap) -> None:
    """Run a layer that has started through a piece."""
    layer, piece, state = plan.layers[user], play.pieces[at], play.state[user]
    windows = _windows(plan, play, user, piece.number)
    if windows == 0:
        return
    piece.waiting -= 1
    releases = piece.waiting == 0 and not plan.layers[layer.writer].pinned
    if not state.gated:
        state.gated = 1
        play.counts[INSTRUCTIONS] += plan.steps[layer.step].loads
    if piece.ready_s > state.started_s:
        state.fed_s = max(state.fed_s, piece.ready_s) + _passing_s(plan, play, user, piece.blocks)
    served_s = max(state.started_s, piece.ready_s) + windows * layer.window_s
    piece.ready_s = max(served_s, state.fed_s)
    heapq.heappush(heap, (piece.ready_s, play.counts[INSTRUCTIONS], at, 2 * user + releases))
    play.counts[INSTRUCTIONS] += 1


@njit(cache=True)  # type: ignore[untyped-decorator]
def _bound(plan: Plan, play: Play, writer: int, count: int, heap: Heap) -> None:
    """Note a bound piece, whose number and time are set, and run the layers through it that have started."""
    at, state, first = play.counts[PIECES], play.state[writer], plan.layers[writer].first_user
    piece = play.pieces[at]
    piece.blocks, piece.waiting = count, 0
    if state.pieces == 0:
        state.first_piece = at
    state.pieces += 1
    play.counts[PIECES] += 1
    play.counts[INSTRUCTIONS] += 1
    for user in plan.users[first : first + plan.layers[writer].user_count]:
        piece.waiting += _windows(plan, play, user, piece.number) > 0
    # Users run through it in the order in which they have started.
    for number in range(1, state.started + 1):
        for user in plan.users[first : first + plan.layers[writer].user_count]:
            if play.state[user].begun == number:
                _activate(plan, play, at, user, heap)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _bind(plan: Plan, play: Play, spot: Integers, now: float, taken: float, heap: Heap) -> float:
    """Bind free groups to the next blocks that are not yet written; return what writes under way take of the memory, in byte/s.

    `spot`: the next of the writers, of its copies and of its blocks.
    """
    _, write_s, bandwidth, _, always_fed, resident = plan.chip
    while play.counts[FREE] > 0 and spot[0] < len(plan.writers) and not resident:
        writer = plan.writers[spot[0]]
        layer, first = plan.layers[writer], spot[2]
        if layer.pinned or spot[1] == play.copies[writer]:
            spot[0] += 1
            spot[1] = 0
            continue
        count = _fed(plan, writer, first, min(play.counts[FREE], layer.blocks - first), taken)
        if count == 0:
            break
        play.counts[FREE] -= count
        piece = play.pieces[play.counts[PIECES]]
        piece.number, piece.ready_s = spot[1], now + write_s
        if not always_fed:
            size = _written_bytes(plan, writer, first, first + count)
            piece.ready_s, piece.rate = now + max(write_s, size / bandwidth), size / write_s
            taken += piece.rate
            heapq.heappush(heap, (piece.ready_s, play.counts[INSTRUCTIONS], play.counts[PIECES], -1))
        spot[2] += count
        if spot[2] == layer.blocks:
            spot[1] += 1
            spot[2] = 0
        _bound(plan, play, writer, count, heap)
    return taken


@njit(cache=True)  # type: ignore[untyped-decorator]
def _start(plan: Plan, play: Play, place: int, now: float, heap: Heap) -> None:
    """Start a step all of whose predecessors have finished."""
    step, counts = plan.steps[place], play.counts
    if step.layer < 0:
        counts[INSTRUCTIONS] += step.loads + step.own
        heapq.heappush(heap, (now + step.seconds, counts[INSTRUCTIONS] - 1, -1, place))
        counts[INSTRUCTIONS] += step.stores
        return
    blocks, state = play.state[plan.layers[step.layer].writer], play.state[step.layer]
    blocks.started += 1
    state.begun, state.started_s = blocks.started, now
    early, last = 0, blocks.first_piece + blocks.pieces
    for at in range(blocks.first_piece, last):
        if play.pieces[at].ready_s <= now:
            early += play.pieces[at].blocks
    state.fed_s = now + _passing_s(plan, play, step.layer, early)
    for at in range(blocks.first_piece, last):
        _activate(plan, play, at, step.layer, heap)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _finish(plan: Plan, play: Play, step: int, now: float, heap: Heap) -> None:
    """Start the steps that waited for one alone."""
    for follower in plan.followers[plan.follower_starts[step] : plan.follower_starts[step + 1]]:
        play.missing[follower] -= 1
        if play.missing[follower] == 0:
            _start(plan, play, follower, now, heap)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _serve(plan: Plan, play: Play, at: int, what: int, now: float, heap: Heap) -> None:
    """Free the groups of a piece that has served all its layers; finish a layer if the piece was its last."""
    piece, user = play.pieces[at], what // 2
    layer, state = plan.layers[user], play.state[user]
    play.counts[FREE] += piece.blocks if what % 2 else 0
    state.served += piece.blocks
    if state.served < layer.blocks * min(play.copies[layer.writer], layer.windows):
        return
    step = plan.steps[layer.step]
    combined = play.counts[INSTRUCTIONS]
    play.counts[INSTRUCTIONS] += 1 + step.stores
    if step.seconds > 0.0:
        heapq.heappush(heap, (now + step.seconds, combined, -1, layer.step))
    else:
        _finish(plan, play, layer.step, now, heap)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _played(plan: Plan, play: Play) -> float:
    """Play a plan; return its end in s."""
    heap, spot, end, taken = [(0.0, 0, 0, 0)], np.zeros(3, np.int64), 0.0, 0.0
    heap.pop()
    for writer in plan.writers:
        layer = plan.layers[writer]
        for number in range(play.copies[writer] if layer.pinned else 0):
            play.counts[FREE] -= 0 if plan.chip[5] else layer.blocks
            piece = play.pieces[play.counts[PIECES]]
            piece.number, piece.ready_s = number, 0.0
            _bound(plan, play, writer, layer.blocks, heap)
    taken = _bind(plan, play, spot, end, taken, heap)
    for step in np.flatnonzero(plan.steps["waits"] == 0):
        _start(plan, play, step, 0.0, heap)
    while len(heap):
        end = heap[0][0]
        # Groups that come free together are bound together, so that layers are not cut up without need.
        while len(heap) and heap[0][0] == end:
            _, _, at, what = heapq.heappop(heap)
            if at < 0:
                _finish(plan, play, what, end, heap)
            elif what < 0:
                taken -= play.pieces[at].rate
            else:
                _serve(plan, play, at, what, end, heap)
        taken = _bind(plan, play, spot, end, taken, heap)
    return end
