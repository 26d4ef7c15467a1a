"""What the lower bound (`program/bound.py`, docs/bound.md) needs to know of a mapped network and a chip."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import LayerMapping, Mapping
from mho.mapping.combination import SUM_BYTES
from mho.network.graph import Network
from mho.network.layers import Constant, Input, MatrixLayer
from mho.program.brought import least_brought
from mho.program.operands import buffer_rate, input_bytes, result_bytes, result_seconds
from mho.program.work import CodedTensors, index_bytes, layer_seconds, transfer_bytes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Workload:
    """What must be done, per matrix layer in order: blocks, windows, the time of a window (one, or an array). Times in s."""

    blocks: FloatArray
    windows: FloatArray
    groups: int
    write_s: float
    window_s: float | FloatArray
    sequential: bool
    resident: bool
    before_s: float = 0.0
    """Time that must pass before the first matrix layer may compute, whatever is written: its input arriving."""
    other_s: float = 0.0
    """On a sequential chip, time after the first matrix layer's start in which none computes: vector layers behind it in
    the network's order, the combining of each, and the last layer's output leaving."""
    weight_transfer_s: float = 0.0
    """Time that the memory needs for every weight that is written, and every coefficient, once."""
    vector_s: float = 0.0
    """Time that the vector unit works in all."""
    least_s: FloatArray | None = None
    """The least time of any window of each layer, where they differ and `window_s` is that of the average, shape (layers,)."""
    fetch_s: FloatArray | None = None
    """Time that the memory needs for the coefficients of each layer, where they come in every inference, shape (layers,)."""
    ahead_s: float = 0.0
    """Time that the memory needs for as many coefficients as their buffer holds."""
    owners: IntArray | None = None
    """For each layer the one whose blocks it uses (a place in these arrays, its own or an earlier one), shape (layers,); None:
    every layer has blocks of its own."""
    port_s: FloatArray | None = None
    """Time that ports need for what each layer's windows move, shape (layers,); None: none."""
    input_s: FloatArray | None = None
    """Of that, the time that the global buffer's port needs for the inputs, shape (layers,)."""
    uneven: FloatArray | None = None
    """For each layer how many times the inputs of an average block the largest one has; infinite where a share of the block windows
    may have any share of the inputs. Shape (layers,)."""
    gaps_s: FloatArray | None = None
    """`other_s`, told after which layer it passes, shape (layers,)."""
    ports: MappingType[str, float] = field(default_factory=dict)
    """Time that ports need for all that they move, by name."""

    def __post_init__(self) -> None:
        """Refuse chips without groups, layers without blocks or windows, and negative times."""
        if (
            self.groups < 1
            or not np.all(self.blocks >= 1)
            or not np.all(self.windows >= 1)
            or len(self.blocks) != len(self.windows)
        ):
            raise ValueError("a demand needs groups, and for each layer blocks and windows, all positive")
        if np.any(self.owner > np.arange(len(self.blocks))) or np.any(self.owner[self.owner] != self.owner):
            raise ValueError("a layer of a demand uses its own blocks or those of an earlier layer that has its own")
        times = (
            self.write_s,
            *self.each_s,
            self.before_s,
            self.other_s,
            self.weight_transfer_s,
            self.vector_s,
            *self.held_s,
        )
        if not all(time >= 0 for time in times):
            raise ValueError("a demand has no negative times")

    @cached_property
    def each_s(self) -> FloatArray:
        """The time of a window of each layer, shape (layers,)."""
        return np.broadcast_to(np.asarray(self.window_s, dtype=np.float64), self.blocks.shape)

    @cached_property
    def floor_s(self) -> FloatArray:
        """The time that every window of each layer takes at the least, shape (layers,)."""
        return self.each_s if self.least_s is None else np.minimum(self.least_s, self.each_s)

    @cached_property
    def owner(self) -> IntArray:
        """The layer whose blocks each layer uses, shape (layers,)."""
        return np.arange(len(self.blocks)) if self.owners is None else self.owners

    @cached_property
    def held_s(self) -> FloatArray:
        """The time that ports hold each layer up for at the least, shape (layers,)."""
        return np.zeros(len(self.blocks)) if self.port_s is None else self.port_s

    @property
    def shares(self) -> bool:
        """True if any layers share blocks."""
        return bool(np.any(self.owner != np.arange(len(self.blocks))))

    def different(self, first: int = 0) -> float:
        """Count the blocks that the layers from `first` on use, those that they share once."""
        _, places = np.unique(self.owner[first:], return_index=True)
        return float(np.sum(self.blocks[first:][places]))

    @cached_property
    def work(self) -> FloatArray:
        """The time of each layer on one copy, shape (layers,)."""
        return self.windows * self.each_s


def demand(
    network: Network, mapping: Mapping, chip: Chip, *, resident: bool, coded: CodedTensors, fetched: bool = True
) -> Workload:
    """Gather what the bound needs; `fetched`: coefficients come in every inference."""
    sequential = chip.spec.layer_order == "sequential"
    running = [index for index, layer in enumerate(network.layers) if not isinstance(layer, Input | Constant)]
    seconds = result_seconds(network, chip, coded)
    working = layer_seconds(network, chip) > 0
    moved = 0.0 if resident else sum(_fetched(layer, chip) for layer in mapping.first_users)
    sizes = [0 if layer.combination is None else layer.combination.size for layer in mapping.layers]
    moved += sum(sizes) * fetched
    place = {layer.index: at for at, layer in enumerate(mapping.layers)}
    gaps = np.zeros(len(mapping.layers))
    if sequential and mapping.layers:
        starts = np.array(list(place))
        behind = np.array([index for index in running if index >= starts[0]])
        np.add.at(gaps, np.searchsorted(starts, behind, side="right") - 1, seconds[behind])
    leaving = 0.0
    if sequential and running and network.layers[running[-1]].name in network.results:
        leaving = transfer_bytes(network.layers[running[-1]], network, coded) / chip.memory.bandwidth
        gaps[-1:] += leaving
    port_s, input_s, ports = _ports(network, mapping, chip, coded, written=not resident)
    return Workload(
        np.array([layer.count for layer in mapping.layers], dtype=np.float64),
        np.array([layer.windows for layer in mapping.layers], dtype=np.float64),
        chip.groups,
        chip.least_array_write_time_s,
        np.array([layer.window_s for layer in mapping.layers], dtype=np.float64),
        sequential,
        resident,
        _first_input_s(network, chip, coded),
        float(gaps.sum()) if mapping.layers else leaving,
        moved / chip.memory.bandwidth,
        float(sum(seconds[index] for index in running if working[index])),
        np.array([_least_window_s(layer) for layer in mapping.layers]) if mapping.combining else None,
        np.array(sizes) / chip.memory.bandwidth if mapping.combining and fetched else None,
        (0 if chip.spec.basis is None else chip.spec.basis.buffer_bytes) / chip.memory.bandwidth,
        np.array([place[mapping.users[layer.run][0].index] for layer in mapping.layers], dtype=np.int64),
        port_s,
        input_s,
        np.array([_unevenness(layer, chip) for layer in mapping.layers]),
        gaps,
        ports,
    )


def _ports(
    network: Network, mapping: Mapping, chip: Chip, coded: CodedTensors, *, written: bool
) -> tuple[FloatArray, FloatArray, dict[str, float]]:
    """Return the least time that ports need for each layer's windows, the global buffer's for their inputs, and all for everything.

    Whatever the schedule, each window reads the inputs of all blocks once at the least; every group gets its rows into the buffer
    of its tile and out again, and sends its sums. Of ports of tiles, all together are counted.
    """
    into = np.array([input_bytes(layer, network, chip, coded) for layer in mapping.layers])
    rows, sums, kept = np.zeros(len(into)), np.zeros(len(into)), np.ones(len(into))
    for at, layer in enumerate(mapping.layers):
        total, combination = layer.blocks.totals((0, layer.count)), layer.combination
        driven = 1.0 if combination is None else combination.driven_share
        kept[at] = least_brought(network, chip, layer.index)
        rows[at] = layer.windows * total.rows * driven * layer.bits.inputs / 8
        each = total.sums * chip.sum_bytes(layer.bits.inputs, layer.bits.weights)
        sums[at] = layer.windows * (each if combination is None else SUM_BYTES * combination.outputs)
    clock, changes = chip.frequency_hz / 8, sum(_fetched(layer, chip) for layer in mapping.first_users) * written
    noc = (kept * rows + sums) / (chip.tiles * chip.tile.noc_port_bits * clock)
    tiles = (1 + kept) * rows / (chip.tiles * chip.tile.buffer_port_bits * clock)
    input_s = into / buffer_rate(chip)
    ports = {
        "global buffer port": float((into.sum() + result_bytes(network, coded).sum()) / buffer_rate(chip)),
        "network ports of tiles": float(noc.sum()) + changes / (chip.tiles * chip.tile.noc_port_bits * clock),
        "buffer ports of tiles": float(tiles.sum()) + 2 * changes / (chip.tiles * chip.tile.buffer_port_bits * clock),
    }
    return np.maximum(np.maximum(noc, tiles), input_s), input_s, {name: s for name, s in ports.items() if s}


def _unevenness(layer: LayerMapping, chip: Chip) -> float:
    """Return how many times the rows of an average block the highest has, infinite where inputs drive rows of different numbers, or
    where some windows find more of theirs kept than others.
    """
    heights = layer.blocks.heights
    even = layer.blocks.evenly_read and chip.tile.input_fetch is None
    return float(heights.max() * len(heights) / heights.sum()) if even else np.inf


def _least_window_s(layer: LayerMapping) -> float:
    """Return the time that any window of a layer takes at the least, in s."""
    shortest = 0.0 if layer.combination is None else float(layer.combination.part_s.min())
    return max(layer.driven_s, shortest)


def _fetched(layer: LayerMapping, chip: Chip) -> float:
    """Return the bytes to be fetched to write a layer once: what its cells change by, no more than its weights' own cells."""
    cells = layer.blocks.occupied * layer.blocks.shape.cells
    return cells * chip.write_bits_per_cell / 8 + index_bytes(layer.blocks, (0, layer.count), chip)


def _first_input_s(network: Network, chip: Chip, coded: CodedTensors) -> float:
    """Return how long the smallest input takes to arrive that the first matrix layer depends on; 0 where there is none."""
    needed: dict[str, float] = {}
    for layer in network.layers:
        if isinstance(layer, Input):
            needed[layer.name] = transfer_bytes(layer, network, coded) / chip.memory.bandwidth
        elif any(name in needed for name in layer.inputs):
            needed[layer.name] = min(needed[name] for name in layer.inputs if name in needed)
        if isinstance(layer, MatrixLayer):
            return needed.get(layer.name, 0.0)
    return 0.0
