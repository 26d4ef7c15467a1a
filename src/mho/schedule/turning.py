"""Streams of networks that a chip holds a part of at a time: planned in segments, spilled, and timed (docs/stream.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mho.errors import MappingError
from mho.machine.streaming import time_stream
from mho.mapping.blocks import Run
from mho.program.operands import buffer_rate, input_bytes, result_bytes
from mho.program.work import flow
from mho.schedule.body import Body, Part
from mho.schedule.builder import InstructionBuilder, Task
from mho.schedule.interval import CLOSE
from mho.schedule.portions import Portions, cut_layers, portions_of
from mho.schedule.segments import Segment, period_s, plan_segments
from mho.schedule.settled import placed, rings_kept, roomy, settled
from mho.schedule.spills import crossings, staying

HASTE = 1e-3
"""Part of a planned interval at which rounds are begun to see how fast they can follow one another."""
MOST = 10_000
"""Instructions of a body for which pieces are made larger where that costs least time."""


def in_segments(task: Task, pieces: int, batch: int) -> InstructionBuilder:
    """Return the stream of a network that the chip holds a part of at a time, in rounds of `batch` inferences.

    MappingError where rows find no room.
    """
    portions, room = portions_of(task)
    segments = plan_segments(portions, room, batch)
    if len(segments) == 1:
        raise MappingError(
            f"{task.network.name} has no segments: the chip holds it, and nothing is gained by writing it again"
        )
    parts = []
    cuts = cut_layers(task)
    for segment in segments:
        held: dict[int, tuple[Run, int]] = {}
        for (layer, (begin, end)), copies in zip(cuts[segment.first : segment.last], segment.copies, strict=True):
            # Blocks of one layer that are there together are driven together.
            before = held[layer.index][0][0] if layer.index in held else begin
            held[layer.index] = (before, end), copies
        first, last = int(portions.place[segment.first]), int(portions.place[segment.last])
        stays = placed((index, blocks, copies) for index, (blocks, copies) in held.items())
        parts.append(Part(first, last, stays, pieces))
    made = _held_back(task, parts, segments, portions, batch)
    assert made.stream is not None
    made.stream = replace(made.stream, interval_s=time_stream(task.program(made)).interval_s)
    return made


def _held_back(
    task: Task, parts: Sequence[Part], segments: Sequence[Segment], portions: Portions, batch: int
) -> InstructionBuilder:
    """Return the stream whose tensors stay between parts where that saves most time, and there is room beside running rows."""
    found, ported_s = crossings(task, parts), port_s(task)
    least_s = np.array([_least_s(segment, portions) for segment in segments])
    least_s = np.maximum(least_s, [float(ported_s[part.first : part.last].sum()) for part in parts])
    own = np.array([float(portions.moved_bytes[each.first : each.last].sum()) for each in segments])
    haste_s, bandwidth = HASTE * period_s(segments) / batch, task.chip.memory.bandwidth

    fine: set[int] = set()

    def body(stays: Sequence[float]) -> tuple[Body, list[float]]:
        # Whole rows stay.
        firsts = {each.maker: int(stay * each.rows + CLOSE) for each, stay in zip(found, stays, strict=True)}
        out = {each.maker: 1 - firsts[each.maker] / each.rows for each in found}
        moved = own + sum((out[each.maker] * each.size * np.array(each.moved) for each in found), np.zeros(len(parts)))
        spilled = {each.maker: firsts[each.maker] for each in found if firsts[each.maker] < each.rows}
        return _body(task, parts, segments, spilled, fine), np.maximum(least_s, moved / bandwidth).tolist()

    # What rows between running layers take is known when they have been timed; those of larger pieces take more.
    buffer_bytes, none = sum(task.chip.buffer.banks), [0.0] * len(found)
    while True:
        bare, paces_s = body(none)
        rings = rings_kept(bare, roomy(bare, (), haste_s, batch, paces_s)[0])
        tight = {
            number
            for number, (part, made) in enumerate(zip(parts, bare.parts, strict=True))
            if made.pieces < part.pieces
            and sum(r.short.bytes for r in rings.values() if r.first <= number <= r.last) > buffer_bytes
        }
        if tight <= fine:
            break
        fine |= tight
    there = np.array([[ring.first <= part <= ring.last for part in range(len(parts))] for ring in rings.values()])
    taken = np.array([min(ring.rows, 2 * ring.least) * float(ring.row_bytes) for ring in rings.values()])
    sizes = dict(zip((index for index, _ in rings), taken[:, None] * there, strict=True))
    loaded = np.array([sizes[each.maker] for each in found]).reshape(-1, len(parts))
    for share in (1.0, 0.9, 0.75, 0.5, 0.0):
        room = share * buffer_bytes - (taken @ there)
        stays = staying(found, batch, room, loaded, least_s, own, bandwidth)
        try:
            here, paces_s = body(stays)
            return settled(here, (), haste_s, batch, paces_s)
        except MappingError as error:
            refused = error
    raise MappingError(
        f"{refused}; a round of fewer inferences (--round) keeps fewer rows" if batch > 1 else f"{refused}"
    )


def _least_s(segment: Segment, portions: Portions) -> float:
    """Return the least interval of a segment by its copies and the vector unit, in s."""
    here = slice(segment.first, segment.last)
    busy_s = -(-portions.windows[here] // np.array(segment.copies)) * portions.window_s[here]
    return max(float(busy_s.max()), float(portions.vector_s[here].sum()))


def _body(
    task: Task, parts: Sequence[Part], segments: Sequence[Segment], spilled: Mapping[int, int], fine: Set[int]
) -> Body:
    """Return the body of parts, in so few pieces that it has no more than `MOST` instructions, where that can be.

    Those of parts `fine` are as many as they may be.

    With n pieces a layer a part begins and ends about T / n a layer later than if they were endless, T its interval; with half of
    them another T / n, for n instructions less of each kind. So pieces become fewer where T / n^2 is least.
    """
    rows, layers = flow(task.network), task.network.layers
    most = [
        max(rows.rows(layers[index].name) for index in (*range(part.first, part.last), *part.ahead)) for part in parts
    ]
    pieces = [min(part.pieces, count) for part, count in zip(parts, most, strict=True)]

    def made() -> Body:
        here = [replace(part, pieces=n) for part, n in zip(parts, pieces, strict=True)]
        first = Body(task, here, spilled)
        return Body(task, here, spilled, first.unread) if first.unread else first

    body = made()
    while len(body.instructions) > MOST:
        costs = [
            segment.interval_s / count**2 if count > 1 and number not in fine else math.inf
            for number, (segment, count) in enumerate(zip(segments, pieces, strict=True))
        ]
        if min(costs) == math.inf:
            break
        number = costs.index(min(costs))
        pieces[number] = -(-pieces[number] // 2)
        body = made()
    return body


def port_s(task: Task) -> npt.NDArray[np.float64]:
    """Return the time in s that the port of the global buffer needs for each layer, shape (layers,)."""
    passed = result_bytes(task.network, task.coded).copy()
    for layer in task.mapping.layers:
        passed[layer.index] += input_bytes(layer, task.network, task.chip, task.coded)
    seconds: npt.NDArray[np.float64] = passed / buffer_rate(task.chip)
    return seconds
