"""A lower bound on the time of any legal schedule of a network on a chip. The argument is in docs/bound.md.

It knows nothing of the schedulers: only block counts b, windows M, the chip's G groups, the time W of one array write,
the time t of one window of a layer, the memory bandwidth, and the bytes that must pass through ports (`program/demand.py`). It
holds for every schedule in which each block is written at least once in the inference (or, where the whole network stays resident,
in which the first G writes are free), whatever the copies, the order of writes and the cutting into parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.mapping import Mapping
from mho.network.graph import Network
from mho.program.demand import Workload, demand
from mho.program.work import CodedTensors

FloatArray = npt.NDArray[np.float64]
PREFIXES = 64
"""How many prefixes of layers are tried at the most; each gives a valid bound by itself, so fewer only loosens it."""

TURNS = 256
"""How often a network may fill its chip for the turnover argument to be worked out: beyond, writing alone decides."""


@dataclass(frozen=True)
class Bound:
    """A lower bound in seconds, and the arguments that it is the largest of, by name."""

    seconds: float
    arguments: dict[str, float]


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
    held = np.bincount(which, need.held_s[:count])
    # Copies beyond those that ports feed shorten nothing.
    most = np.maximum(np.minimum(most, work / np.maximum(held, 1e-300)), 1.0)
    if need.write_s == 0.0:
        computing = float(np.sum(np.maximum(work / most, held)))
        return max(first + computing if need.sequential else 0.0, busy / need.groups)
    slope = np.sqrt(work / blocks)

    def sides(x: float) -> tuple[float, float]:
        copies = np.clip(x * slope, 1.0, most)
        writing = float(np.sum(blocks * copies)) * need.write_s
        computing = first + float(np.sum(np.maximum(work / copies, held))) if need.sequential else 0.0
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
    return np.maximum(np.maximum(np.maximum(np.ceil(shares), 1.0) * need.floor_s, shares * need.each_s), need.held_s)


def bound_of(need: Workload) -> Bound:
    """Bound the time of any legal schedule of `need`."""
    count = len(need.blocks)
    if not count:
        seconds = max(need.other_s, need.vector_s)
        return Bound(max(seconds, *need.ports.values(), 0.0), {"vector unit": seconds, **need.ports})
    arguments = {"compute and copies": _replicated(need, count, need.other_s), **need.ports}
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
        arguments["coefficient buffer"] = _fetching(need, need.fetch_s, least)
    if need.sequential and not need.resident:
        # Where layers share blocks, a written block serves several layers, which the argument does not know of.
        if need.write_s > 0.0 and not need.shares and need.different() <= TURNS * need.groups:
            arguments["turnover of groups"] = _turned_over(need)
        arguments["capacity"] = max((_after_prefix(need, least, k) for k in _prefixes(count)), default=0.0)
    return Bound(max(arguments.values()), arguments)


def _turned_over(need: Workload) -> float:
    """Bound the end by the turnover of groups.

    A share of a layer's inputs goes with as large a share of its block windows where blocks have equal inputs; where they have not,
    with one that is smaller by `uneven`, if block windows are counted by their inputs. So both ways of counting are tried.
    """
    # Compiled code takes a while to import, and is of use here only.
    from mho.program.turnover import turnover_bound

    none = np.zeros(len(need.blocks))
    input_s = none if need.input_s is None else need.input_s
    uneven = none + np.inf if need.uneven is None else need.uneven
    even = uneven <= 1.0 + 1e-9
    known = np.isfinite(uneven) & (input_s * need.groups > need.work)

    def bound(counted: npt.NDArray[np.bool_]) -> float:
        return turnover_bound(
            need.blocks,
            need.windows,
            groups=need.groups,
            start_s=max(need.write_s, need.before_s),
            write_s=need.write_s,
            window_s=need.each_s / np.where(counted, uneven, 1.0),
            port_s=np.where(counted | even, input_s, 0.0),
            gaps_s=need.gaps_s,
        )

    plain = bound(none > 0)
    return max(plain, bound(known)) if np.any(known & ~even) else plain


def _fetching(need: Workload, fetch_s: FloatArray, least: FloatArray) -> float:
    """Bound the end of the last layer by what may be fetched ahead: when a layer starts, its buffer holds all that has come for it
    and later ones. So what several layers in a row take of the memory, less a full buffer, passes from the start of the first to
    the end of the last, and what lies between them passes meanwhile.
    """
    count = len(fetch_s)
    gaps = np.zeros(count) if need.gaps_s is None else need.gaps_s
    until = np.concatenate([[0.0], np.cumsum(fetch_s)])
    starts = np.zeros(count + 1)
    starts[0] = need.before_s
    for layer in range(count):
        fetched = np.max(starts[: layer + 1] - until[: layer + 1]) + until[layer + 1] - need.ahead_s
        starts[layer + 1] = max(starts[layer] + least[layer], fetched) + gaps[layer]
    return float(starts[-1])


def _prefixes(count: int) -> list[int]:
    """Choose the layers whose start is bounded: all, or PREFIXES of them evenly spread."""
    return sorted({round(i) for i in np.linspace(1, count - 1, min(count - 1, PREFIXES))}) if count > 1 else []


def _after_prefix(need: Workload, least: FloatArray, count: int) -> float:
    """Bound the end by the start of layer `count` and what the chip cannot hold by then.

    When it starts, at most G blocks of it and later layers are written or being written; the others' writes start
    afterwards, and every group writes one at a time.
    """
    gaps = np.zeros(len(need.blocks)) if need.gaps_s is None else need.gaps_s
    start = _replicated(need, count, float(gaps[:count].sum()))
    rest = need.different(count) - need.groups
    computing = float(np.sum(least[count:])) + float(gaps[count:].sum())
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
