"""What a network asks of a chip that holds a part of it at a time: its matrix layers in order, and what lies between them.

A layer larger than the chip counts as several, each some of its blocks, which are numbered output column by output column. A layer
that has the weight of another is counted by itself: that it finds its blocks written is not counted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.mapping import LayerMapping
from mho.mapping.blocks import Run
from mho.network.layers import Constant, Embedding, Input, Layer
from mho.network.types import element_bytes
from mho.program.work import buffer_bytes, flow, layer_seconds, sources, transfer_bytes, write_bytes
from mho.schedule.builder import Task

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SHARES = 4
"""A layer larger than the chip is cut into parts of this share of it."""


@dataclass(frozen=True)
class Room:
    """What a chip offers: its groups, the time of a write in s, the main memory's bytes a second, and bytes of the buffer that
    rows between running layers leave free.
    """

    groups: int
    write_s: float
    bandwidth: float
    buffer_bytes: float

    def __post_init__(self) -> None:
        """Refuse a chip of nothing."""
        if self.groups < 1 or self.bandwidth <= 0 or self.write_s < 0 or self.buffer_bytes < 0:
            raise ValueError(f"segments need groups, a memory and no negative times or sizes, not {self}")


@dataclass(frozen=True, eq=False)
class Portions:
    """The matrix layers of a network in order, and what is between them: arrays of shape (layers,), two of them one longer.

    `groups` that a copy of each fills; `windows` of `window_s` each; `write_bytes` of one copy. `lead`: the share of its rows that
    are there before the next layer on the longest way through the network begins; 0 beside that way. `vector_s` and `moved_bytes`:
    what the vector unit and the network's own inputs and outputs take, of an inference, from each to the next. `crossing`: bytes of
    the tensors that are there before each and read from it on, of an inference; 0 at the ends. `place`: the first of network.layers
    from each cut on.
    """

    groups: Integers
    windows: Integers
    window_s: Floats
    write_bytes: Floats
    lead: Floats
    vector_s: Floats
    moved_bytes: Floats
    crossing: Floats
    place: Integers

    def __post_init__(self) -> None:
        """Refuse arrays of other lengths, and what is no work."""
        count = len(self.groups)
        lengths = {len(values) for name, values in vars(self).items() if name not in ("crossing", "place")}
        if not count or lengths != {count} or {len(self.crossing), len(self.place)} != {count + 1}:
            raise ValueError("portions need arrays of one length, and crossing bytes and places one more")
        if (
            (self.groups < 1).any()
            or (self.windows < 1).any()
            or min(float(each.min()) for each in self._amounts()) < 0
        ):
            raise ValueError("portions need groups and windows, and no negative times or bytes")

    def _amounts(self) -> Iterator[Floats]:
        yield from (self.window_s, self.write_bytes, self.lead, self.vector_s, self.moved_bytes, self.crossing)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.groups)


def portions_of(task: Task) -> tuple[Portions, Room]:
    """Return what a task's layers ask, and the chip's room."""
    network, chip, cuts = task.network, task.chip, cut_layers(task)
    crossing = _crossing(task)
    places, before = [], 0
    for layer, (first, _) in cuts:
        # Between two matrix layers the network is cut where least crosses, as late as possible, and in the midst of one before it.
        spot = range(before, layer.index + 1)
        within = first > layer.run[0]
        places.append(
            layer.index if within else min(reversed(spot), key=lambda place: crossing[place]) if before else 0
        )
        before = layer.index + 1
    places.append(len(network.layers))
    leads = dict(zip((layer.index for layer in task.mapping.layers), _leads(task), strict=True))
    crosses = crossing[places]
    crosses[[0, -1]] = 0.0
    portions = Portions(
        groups=np.array([last - first for _, (first, last) in cuts], dtype=np.int64),
        windows=np.array([layer.windows for layer, _ in cuts], dtype=np.int64),
        window_s=np.array([layer.window_s for layer, _ in cuts]),
        write_bytes=np.array([write_bytes(layer.blocks, layer.within(blocks), chip) for layer, blocks in cuts]),
        lead=np.array([leads[layer.index] * (last == layer.run[1]) for layer, (_, last) in cuts]),
        vector_s=_between(layer_seconds(network, chip), places),
        moved_bytes=_between(_moved(task), places),
        crossing=crosses,
        place=np.array(places, dtype=np.int64),
    )
    free = max(0.0, sum(chip.buffer.banks) - _rings(task, portions))
    return portions, Room(chip.groups, chip.array_write_time_s, chip.memory.bandwidth, free)


def cut_layers(task: Task) -> list[tuple[LayerMapping, Run]]:
    """Return the matrix layers in order, each with its blocks; one larger than the chip several times, with a part of them."""
    found = []
    for layer in task.mapping.layers:
        many = 1 if layer.count <= task.chip.groups else -(-layer.count // max(1, task.chip.groups // SHARES))
        bounds = [layer.run[0] + layer.count * number // many for number in range(many + 1)]
        found += [(layer, blocks) for blocks in pairwise(bounds)]
    return found


def _between(values: Floats, places: Sequence[int]) -> Floats:
    """Return the sums of values from each place to the next."""
    return np.array([float(values[first:last].sum()) for first, last in pairwise(places)])


def _moved(task: Task) -> Floats:
    """Return the bytes of an inference that each layer moves between chip and memory, whatever the schedule, shape (layers,)."""
    network = task.network
    moved = np.zeros(len(network.layers))
    for place, layer in enumerate(network.layers):
        if isinstance(layer, Input):
            moved[place] += transfer_bytes(layer, network, task.coded)
        if isinstance(layer, Embedding):
            moved[place] += layer.size
        if layer.name in network.results:
            moved[place] += transfer_bytes(layer, network, task.coded)
    return moved


def _crossing(task: Task) -> Floats:
    """Return the bytes that are there before each layer and read from it on, of an inference, shape (layers + 1,).

    A view counts as what it shows; what the buffer does not store by itself, real numbers on their way, in full.
    """
    network = task.network
    stored, source = buffer_bytes(network, task.coded), sources(network)
    last = dict.fromkeys(range(len(network.layers)), -1)
    for place, layer in enumerate(network.layers):
        if not layer.moves_only:
            for name in layer.inputs:
                last[source[name]] = place
    crossing = np.zeros(len(network.layers) + 1)
    for place, until in last.items():
        layer = network.layers[place]
        if until > place and not isinstance(layer, Constant):
            size = stored.get(layer.name, layer.size * element_bytes(network.types[layer.name]))
            crossing[place + 1 : until + 1] += size
    return crossing


def _leads(task: Task) -> list[float]:
    """Return for each matrix layer the share of its rows before the next one on the longest way through the network begins."""
    network, rows = task.network, flow(task.network)
    places = {layer.index: number for number, layer in enumerate(task.mapping.layers)}
    index = {layer.name: place for place, layer in enumerate(network.layers)}
    begins, came, shares = np.zeros(len(places)), [-1] * len(places), np.zeros(len(places))

    def asked(layer: Layer, last: int, seen: dict[str, int]) -> None:
        """Note the rows of matrix layers that rows of a layer until `last` need."""
        for operand, name in enumerate(layer.inputs):
            needed = rows.needs(layer.name, operand, 0, last)[1]
            if needed > seen.get(name, 0):
                seen[name] = needed
                if index[name] not in places:
                    asked(network.by_name[name], needed, seen)

    for place, number in places.items():
        seen: dict[str, int] = {}
        asked(network.layers[place], 1, seen)
        for name, needed in seen.items():
            other = places.get(index[name])
            if other is not None and begins[other] + needed / rows.rows(name) > begins[number]:
                begins[number] = begins[other] + needed / rows.rows(name)
                came[number], shares[number] = other, needed / rows.rows(name)
    leads = np.zeros(len(places))
    number = int(begins.argmax())
    while came[number] >= 0:
        leads[came[number]] = shares[number]
        number = came[number]
    return [float(lead) for lead in leads]


def _rings(task: Task, portions: Portions) -> float:
    """Estimate the bytes of rows between the layers of the segment that needs most.

    Of each tensor there are as many rows as a row of a reader needs, one and a 32nd of all more that are made meanwhile, and all
    twice where a row needs all.
    """
    network, rows = task.network, flow(task.network)
    sizes = np.zeros(len(network.layers) + 1)
    source, stored = sources(network), buffer_bytes(network, task.coded)
    for layer in network.layers:
        for operand, name in enumerate(layer.inputs):
            maker = network.layers[source[name]]
            size, count = stored.get(maker.name, 0), rows.rows(name)
            middle = rows.rows(layer.name) // 2
            first, last = rows.needs(layer.name, operand, middle, middle + 1)
            kept = min(2.0, (last - first + 1) / count + 1 / 32) if last - first < count else 2.0
            sizes[source[name]] = max(sizes[source[name]], size * kept)
    until = np.concatenate([[0.0], np.cumsum(sizes)])
    filled = np.concatenate([[0], np.cumsum(portions.groups)])
    ends = np.searchsorted(filled, filled[:-1] + task.chip.groups, side="right") - 1
    return float((until[portions.place[ends]] - until[portions.place[:-1]]).max())
