"""A lower bound on the time of any legal schedule of a network on a chip. The argument is in docs/bound.md.

It knows nothing of the schedulers: only block counts b, windows M, the chip's G groups, the time W of one array write,
the time t of one window of a layer, and the memory bandwidth. It holds for every schedule in which each block is written at least
once in the inference (or, where the whole network stays resident, in which the first G writes are free), whatever the
copies, the order of writes and the cutting into parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import LayerMapping, Mapping
from mho.network.graph import Network
from mho.network.layers import Constant, Input, MatrixLayer
from mho.program.work import CodedTensors, index_bytes, transfer_bytes, vector_seconds

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PREFIXES = 64
"""How many prefixes of layers are tried at the most; each gives a valid bound by itself, so fewer only loosens it."""

TURNS = 256
"""How often a network may fill its chip for the turnover argument to be worked out: beyond, writing alone decides."""


@dataclass(frozen=True)
class Bound:
    """A lower bound in seconds, and the arguments that it is the largest of, by name."""

    seconds: float
    arguments: dict[str, float]


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
        times = (self.write_s, *self.each_s, self.before_s, self.other_s, self.weight_transfer_s, self.vector_s)
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
    running = [layer for layer in network.layers if not isinstance(layer, Input | Constant)]
    leaving = 0.0
    if running and running[-1].name in network.results:
        leaving = transfer_bytes(running[-1], network, coded) / chip.memory.bandwidth
    behind = 0.0
    if sequential and mapping.layers:
        first = mapping.layers[0].index
        later = {layer.name for layer in network.layers[first:]}
        behind = sum(vector_seconds(layer, network, chip) for layer in running if layer.name in later)
    moved = 0.0 if resident else sum(_fetched(layer, chip) for layer in mapping.first_users)
    sizes = [0 if layer.combination is None else layer.combination.size for layer in mapping.layers]
    moved += sum(sizes) * fetched
    place = {layer.index: at for at, layer in enumerate(mapping.layers)}
    return Workload(
        np.array([layer.count for layer in mapping.layers], dtype=np.float64),
        np.array([layer.windows for layer in mapping.layers], dtype=np.float64),
        chip.groups,
        chip.least_array_write_time_s,
        np.array([layer.window_s for layer in mapping.layers], dtype=np.float64),
        sequential,
        resident,
        _first_input_s(network, chip, coded),
        behind + (leaving if sequential else 0.0),
        moved / chip.memory.bandwidth,
        sum(vector_seconds(layer, network, chip) for layer in running),
        np.array([_least_window_s(layer) for layer in mapping.layers]) if mapping.combining else None,
        np.array(sizes) / chip.memory.bandwidth if mapping.combining and fetched else None,
        (0 if chip.spec.basis is None else chip.spec.basis.buffer_bytes) / chip.memory.bandwidth,
        np.array([place[mapping.users[layer.run][0].index] for layer in mapping.layers], dtype=np.int64),
    )


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


def _replicated(need: Workload, count: int, other_s: float = 0.0) -> float:
    """Bound the start of layer `count` (or the end of all) by the trade between copies and writes; see docs/bound.md.

    With c copies of a layer, computing lasts at least M t / c and the groups are busy for b (c W + M t). Minimising
    the larger of (sum of computing) and (busy group time / G) over all c between 1 and M is convex; its Pareto front
    is c = clip(x sqrt(M t / (b W)), 1, M), and the two sides cross in x (W is common to all layers, so x absorbs it).
    """
    # Layers that share blocks share their copies: their windows add up, and copies are of use up to the most windows of any.
    _, places, which = np.unique(need.owner[:count], return_index=True, return_inverse=True)
    blocks, work = need.blocks[places], np.bincount(which, need.work[:count])
    most = np.zeros(len(places))
    np.maximum.at(most, which, need.windows[:count])
    free = need.groups * need.write_s if need.resident else 0.0
    first = 0.0 if need.resident else need.write_s
    first = max(first, need.before_s) + other_s
    busy = float(np.sum(blocks * work))
    if need.write_s == 0.0:
        return max(first + float(np.sum(work / most)) if need.sequential else 0.0, busy / need.groups)
    slope = np.sqrt(work / blocks)

    def sides(x: float) -> tuple[float, float]:
        copies = np.clip(x * slope, 1.0, most)
        writing = float(np.sum(blocks * copies)) * need.write_s
        computing = first + float(np.sum(work / copies)) if need.sequential else 0.0
        return computing, (max(writing - free, 0.0) + busy) / need.groups

    low, high = 0.0, float(np.max(most / slope))
    if sides(high)[1] <= sides(high)[0]:
        return sides(high)[0]
    for _ in range(60):
        middle = 0.5 * (low + high)
        computing, grouped = sides(middle)
        low, high = (middle, high) if computing > grouped else (low, middle)
    # The crossing lies between: computing falls with x and busy time grows, so each side bounds it from its own end.
    return max(sides(high)[0], sides(low)[1])


def _least_compute(need: Workload) -> FloatArray:
    """Return for each layer a bound on its computing time: all groups share its block windows, none takes less than a window."""
    shares = need.blocks * need.windows / need.groups
    return np.maximum(np.maximum(np.ceil(shares), 1.0) * need.floor_s, shares * need.each_s)


def bound_of(need: Workload) -> Bound:
    """Bound the time of any legal schedule of `need`."""
    count = len(need.blocks)
    if not count:
        seconds = max(need.other_s, need.vector_s)
        return Bound(seconds, {"vector unit": seconds})
    arguments = {"compute and copies": _replicated(need, count, need.other_s)}
    if need.vector_s:
        arguments["vector unit"] = need.vector_s
    least = _least_compute(need)
    if not need.resident:
        rounds = int(np.ceil(need.different() / need.groups))
        arguments["rounds of writing"] = rounds * (need.write_s + float(need.floor_s.min()))
    if need.weight_transfer_s:
        arguments["memory bandwidth"] = need.weight_transfer_s + float(need.floor_s.min())
    if need.sequential:
        first = 0.0 if need.resident else need.write_s
        arguments["least compute"] = max(first, need.before_s) + float(np.sum(least)) + need.other_s
    if need.sequential and need.fetch_s is not None:
        arguments["coefficient buffer"] = _fetching(need, need.fetch_s, least) + need.other_s
    if need.sequential and not need.resident:
        # Where layers share blocks, a written block serves several layers, which the argument does not know of.
        if need.write_s > 0.0 and not need.shares and need.different() <= TURNS * need.groups:
            # Compiled code takes a while to import, and is of use here only.
            from mho.program.turnover import turnover_bound

            arguments["turnover of groups"] = turnover_bound(
                need.blocks,
                need.windows,
                groups=need.groups,
                start_s=max(need.write_s, need.before_s),
                write_s=need.write_s,
                window_s=need.each_s,
            )
        arguments["capacity"] = max((_after_prefix(need, least, k) for k in _prefixes(count)), default=0.0)
    return Bound(max(arguments.values()), arguments)


def _fetching(need: Workload, fetch_s: FloatArray, least: FloatArray) -> float:
    """Bound the end of the last layer by what may be fetched ahead: when a layer starts, its buffer holds all that has come for it
    and later ones. So what several layers in a row take of the memory, less a full buffer, passes from the start of the first to
    the end of the last.
    """
    count = len(fetch_s)
    until = np.concatenate([[0.0], np.cumsum(fetch_s)])
    starts = np.zeros(count + 1)
    starts[0] = need.before_s
    for layer in range(count):
        fetched = np.max(starts[: layer + 1] - until[: layer + 1]) + until[layer + 1] - need.ahead_s
        starts[layer + 1] = max(starts[layer] + least[layer], fetched)
    return float(starts[-1])


def _prefixes(count: int) -> list[int]:
    """Choose the layers whose start is bounded: all, or PREFIXES of them evenly spread."""
    return sorted({round(i) for i in np.linspace(1, count - 1, min(count - 1, PREFIXES))}) if count > 1 else []


def _after_prefix(need: Workload, least: FloatArray, count: int) -> float:
    """Bound the end by the start of layer `count` and what the chip cannot hold by then.

    When it starts, at most G blocks of it and later layers are written or being written; the others' writes start
    afterwards, and every group writes one at a time.
    """
    start = _replicated(need, count)
    rest = need.different(count) - need.groups
    computing = float(np.sum(least[count:]))
    if rest <= 0:
        return start + computing
    busy = rest * need.write_s + float(np.sum(need.blocks[count:] * need.work[count:]))
    rounds = float(np.ceil(rest / need.groups))
    return start + max(rounds * need.write_s + float(need.floor_s[count:].min()), computing, busy / need.groups)


def lower_bound(
    network: Network, mapping: Mapping, chip: Chip, *, resident: bool, coded: CodedTensors, fetched: bool = True
) -> Bound:
    """Bound the time of any legal schedule of a mapped network on a chip, in s.

    Where a basis stays and other layers are written: the larger bound of all layers where nothing need be written, and of those
    layers alone.
    """
    if resident or not mapping.combining:
        return bound_of(demand(network, mapping, chip, resident=resident, coded=coded, fetched=fetched))
    written = replace(mapping, layers=tuple(layer for layer in mapping.layers if layer.combination is None))
    computed = bound_of(demand(network, mapping, chip, resident=True, coded=coded, fetched=fetched))
    alone = bound_of(replace(demand(network, written, chip, resident=False, coded=coded), before_s=0.0))
    arguments = {**computed.arguments, **{f"{name}, layers that are written": s for name, s in alone.arguments.items()}}
    return Bound(max(arguments.values()), arguments)
