"""A lower bound on the interval of any legal stream of a network on a chip. The arguments are in docs/bound.md.

It knows nothing of the schedules: only, of each weight, the blocks b, the windows M of each layer that uses it and the time t of
one, the chip's groups G, its vector unit and its memory. Latency is not bounded: it may be of many intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mho.chip import Chip
from mho.mapping import Mapping
from mho.network.graph import Network
from mho.network.layers import Constant, Embedding, Input
from mho.program.bound import Bound
from mho.program.operands import buffer_rate, input_bytes, result_bytes
from mho.program.work import CodedTensors, transfer_bytes, vector_seconds, write_bytes

HALVINGS = 100
CLOSE = 1e-12
"""Relative difference of times that count as equal: the same products, summed in another order."""


@dataclass(frozen=True)
class Served:
    """A weight: its blocks, and of each layer that uses it the windows of an inference and the time of one in s."""

    blocks: int
    windows: tuple[int, ...]
    window_s: tuple[float, ...]

    @property
    def work_s(self) -> float:
        """The time that a block is busy for in every inference, all its copies together."""
        return sum(count * each for count, each in zip(self.windows, self.window_s, strict=True))

    def share_s(self, copies: int) -> float:
        """Return the least time that the busiest of so many copies is busy for, in every inference, whole windows.

        Layers may leave what does not go into all copies alike to different ones.
        """
        fullest = max(-(-count // copies) * each for count, each in zip(self.windows, self.window_s, strict=True))
        return max(fullest, -(-sum(self.windows) // copies) * min(self.window_s), self.work_s / copies)

    def whole(self, interval_s: float) -> float:
        """Return the fewest copies that are busy no longer than an interval; infinity where none are."""
        low, high = 0, sum(self.windows)
        if self.share_s(high) > interval_s * (1 + CLOSE):
            return math.inf
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.share_s(middle) <= interval_s * (1 + CLOSE) else (middle, high)
        return high


def crossing_bytes(network: Network, coded: CodedTensors) -> float:
    """Return the bytes that every inference has to bring onto the chip and to take away: inputs, looked-up rows, outputs."""
    moved = sum(
        transfer_bytes(layer, network, coded) * (isinstance(layer, Input) + (layer.name in network.results))
        for layer in network.layers
        if not isinstance(layer, Constant)
    )
    return moved + sum(layer.size for layer in network.layers if isinstance(layer, Embedding))


def interval_bound(
    network: Network, mapping: Mapping, chip: Chip, *, coded: CodedTensors, batch: int | None = None
) -> Bound:
    """Bound the interval of any legal stream of a mapped network on a chip, in s.

    `batch`: of a stream that may write weights again, at most once for each so many inferences. None: of one whose weights stay
    where a copy of each fits the chip, and else are written as often as it likes.
    """
    weights = [
        Served(users[0].count, tuple(user.windows for user in users), tuple(user.window_s for user in users))
        for users in mapping.users.values()
    ]
    running = [layer for layer in network.layers if not isinstance(layer, Input | Constant)]
    moved = crossing_bytes(network, coded)
    stays = batch is None and sum(weight.blocks for weight in weights) <= chip.groups
    arguments = group_arguments(weights, chip.groups, stays=stays) if weights and not mapping.combining else {}
    arguments["vector unit"] = sum(vector_seconds(layer, network, chip) for layer in running)
    arguments["memory"] = moved / chip.memory.bandwidth
    passed = float(result_bytes(network, coded).sum())
    passed += sum(input_bytes(layer, network, chip, coded) for layer in mapping.layers)
    arguments["port of the global buffer"] = passed / buffer_rate(chip)
    if batch is not None and weights and not mapping.combining:
        arguments["groups, with writes"] = written_interval(weights, chip.groups, batch, chip.least_array_write_time_s)
        fetched = sorted(
            write_bytes(weight.blocks, (block, block + 1), chip)
            for weight in mapping.weights
            for block in range(weight.blocks.count)
        )
        # At most as many blocks stay as there are groups, at best those that are most to fetch.
        fetched = fetched[: max(0, len(fetched) - chip.groups)]
        arguments["memory, with writes"] = (math.fsum(fetched) / batch + moved) / chip.memory.bandwidth
    return Bound(max(arguments.values()), arguments)


def written_interval(weights: Sequence[Served], groups: int, batch: int, write_s: float) -> float:
    """Return the least interval in s of rounds of B inferences in which a block is written once or more, or stays.

    With w the work of a block in an inference and P = B T the time of a round, its copies take a group for write_s + B w or longer
    where they are written, for P and for B w where one stays; all blocks have no more than G P.
    """

    def fits(interval_s: float) -> bool:
        taken = sum(
            weight.blocks * min(write_s / batch + weight.work_s, max(interval_s, weight.work_s)) for weight in weights
        )
        return taken <= groups * interval_s

    longest = sum(weight.blocks * (write_s / batch + weight.work_s) for weight in weights) / groups
    return _least(fits, longest)


def group_arguments(weights: Sequence[Served], groups: int, *, stays: bool) -> dict[str, float]:
    """Return what groups allow, by argument, in s; those on copies only where weights stay, for which one copy of each must fit."""
    work = sum(weight.blocks * weight.work_s for weight in weights)
    arguments = {"groups": work / groups}
    if not stays:
        return arguments
    longest = max(weight.work_s for weight in weights)
    arguments["copies"] = _least(
        lambda interval_s: sum(weight.blocks * max(1.0, weight.work_s / interval_s) for weight in weights) <= groups,
        longest,
    )
    arguments["whole copies"] = _least(
        lambda interval_s: sum(weight.blocks * weight.whole(interval_s) for weight in weights) <= groups, longest
    )
    return arguments


def _least(fits: Callable[[float], bool], longest: float) -> float:
    """Return the least time, up to rounding and from below, that fits; `longest` does, and what fits goes on to."""
    low, high = 0.0, longest
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if high - low <= CLOSE * high:
            break
        low, high = (low, middle) if fits(middle) else (middle, high)
    return low
