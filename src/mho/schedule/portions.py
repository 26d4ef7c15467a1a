"""What a network asks of a chip that cannot hold it, in numbers: its matrix layers in order, cut into portions that fit, and what
lies between them.

A portion is a run of a layer's blocks. Layers are cut where whole outputs end, so that no partial sums are kept, while the blocks
that share outputs fill an eighth of the chip at most. Where they are more, they are cut among their rows, and the sums, 4 bytes an
output and window, count as bytes that cross the cut. A layer that has the weight of another is a portion of its own: that it finds
its blocks written is not counted on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.mapping import LayerMapping
from mho.network.layers import Constant, Embedding, Input, Layer
from mho.network.types import element_bytes
from mho.program.work import buffer_bytes, flow, layer_seconds, sources, transfer_bytes, write_bytes
from mho.schedule.builder import Task

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SUM_BYTES = 4
"""Bytes of a partial sum that is kept."""
SHARE = 32
"""Layers are cut into portions of at most this part of a chip's groups, as far as whole outputs allow it."""
WHOLE = 8
"""Outputs are kept whole whose blocks fill at most this part of a chip's groups."""


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
    """Runs of blocks in the network's order, and what is between them; arrays of shape (portions,), `crossing` one longer.

    `layer`: place in the mapping's layers, `first` and `last` its blocks; `windows` of `window_s` each; `write_bytes` of one copy.
    `lead`: the share of its rows that are there before the next layer on the longest way through the network begins; 0 beside that
    way, and where the next is another portion of the layer. `vector_s` and `moved_bytes`: what the vector unit and the network's
    own inputs and outputs take, of an inference, from each portion to the next. `crossing`: bytes of the tensors that are there
    before each portion and read from it on, of an inference; 0 at the ends. `place`: the first of network.layers from each cut on.
    """

    layer: Integers
    first: Integers
    last: Integers
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
        count = len(self.layer)
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

    @property
    def groups(self) -> Integers:
        """Groups that a copy of each fills."""
        return self.last - self.first

    def __len__(self) -> int:
        """Return the number of portions."""
        return len(self.layer)


def portions_of(task: Task, share: int = SHARE, whole: int = WHOLE) -> tuple[Portions, Room]:
    """Return a task's portions, of at most a chip's groups / `share` where whole outputs allow it, and the chip's room.

    Outputs are kept whole whose blocks fill at most groups / `whole`.
    """
    network, chip, layers = task.network, task.chip, task.mapping.layers
    seconds, moved = layer_seconds(network, chip), _moved(task)
    crossing = _crossing(task)
    places, before = [], 0
    for layer in layers:
        # Between two matrix layers the network is cut where least crosses, as late as possible.
        spot = range(before, layer.index + 1)
        places.append(min(reversed(spot), key=lambda place: crossing[place]) if before else 0)
        before = layer.index + 1
    places.append(len(network.layers))
    leads, runs, rows = _leads(task), [], []
    for number, mapped in enumerate(layers):
        shared, output = crossing[places[number]], network.layers[mapped.index].size
        for begin, end, sums in _cuts(mapped, max(1, chip.groups // share), max(1, chip.groups // whole)):
            # What follows a layer comes with the last of its portions, whose rows alone others wait for.
            ending = end == mapped.count
            part = slice(places[number], places[number + 1] if ending else places[number])
            runs.append((number, begin, end))
            rows.append(
                (
                    mapped.windows,
                    mapped.window_s,
                    write_bytes(mapped.blocks, (begin, end), chip),
                    leads[number] * ending,
                    seconds[part].sum(),
                    moved[part].sum(),
                    shared + output * begin / mapped.count + sums * SUM_BYTES,
                    places[number],
                )
            )
    windows, window_s, written, lead, vector_s, moved_bytes, crosses, place = np.array(rows, dtype=np.float64).T
    crosses[0] = 0.0
    layer, first, last = np.array(runs, dtype=np.int64).T
    portions = Portions(
        layer=layer,
        first=first,
        last=last,
        windows=windows.astype(np.int64),
        window_s=window_s,
        write_bytes=written,
        lead=lead,
        vector_s=vector_s,
        moved_bytes=moved_bytes,
        crossing=np.append(crosses, 0.0),
        place=np.append(place, len(network.layers)).astype(np.int64),
    )
    free = max(0.0, sum(chip.buffer.banks) - _rings(task, portions))
    return portions, Room(chip.groups, chip.array_write_time_s, chip.memory.bandwidth, free)


def _cuts(layer: LayerMapping, most: int, whole: int) -> Iterator[tuple[int, int, int]]:
    """Yield runs of a layer's blocks, and the partial sums of an inference that are kept before each.

    They are whole columns of outputs, at most `most` blocks if more than one, or parts of a column that has more than `whole`.
    """
    # Blocks of the same outputs are numbered one after another (`Blocks`); a kind that does not say how many has one for each.
    column = int(getattr(layer.blocks, "row_blocks", 1))
    if column > whole:
        pieces = -(-column // min(most, whole))
        widths = layer.blocks.widths
        for start in range(0, layer.count, column):
            ends = [start + column * piece // pieces for piece in range(pieces + 1)]
            for piece, (first, last) in enumerate(pairwise(ends)):
                yield first, last, int(widths[start]) * layer.windows if piece else 0
        return
    columns = -(-layer.count // column)
    pieces = -(-columns // max(1, most // column))
    ends = [min(layer.count, column * (columns * piece // pieces)) for piece in range(pieces)] + [layer.count]
    for first, last in pairwise(ends):
        yield first, last, 0


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
