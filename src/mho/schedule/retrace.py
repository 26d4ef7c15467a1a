"""A plan's end after some layers' copies have changed: what `evaluate` gives, bit for bit, without following what is known.

Groups come free in the order in which they were taken, for no layer starts before the one before has ended. So the runs of blocks
of a plan are one list, each on groups of an earlier one, and a plan whose copies differ from some layer on begins with the same
runs: it is followed from there, over what was the list (`follow`); what a plan that is not taken has written over is put back
(`copy`).

How much later than a layer a plan ends at least is known behind the last change (`look_ahead`): all times are maxima of sums, so
the longest way from the end of a layer to that of the plan, over starts of layers and over groups that are used again, bounds it.
Following stops where that is past what may be taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.schedule.evaluate import NEVER, Instance

Integers = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

LAYER = np.dtype(
    [(name, np.int64) for name in ("blocks", "windows", "most", "writer", "until", "last", "left")]
    + [(name, np.float64) for name in ("window_s", "gap_s", "port_s", "serving_s", "passing_s", "later_s")]
)
"""A layer of an Instance. `most`: copies that fit the chip, too; `until`: the layer after the last that uses its blocks.

What follows from the copies: `left`, blocks in all, `serving_s`, in which they serve all windows, and `passing_s`, which the inputs
of a block take of the port of the global buffer, 0 where they hold nobody up. `later_s`: how much later a plan ends at least.
"""

RUN = np.dtype(
    [
        ("free_s", np.float64),
        ("groups", np.int64),
        ("parent", np.int64),
        ("longest_s", np.float64),
        ("last_s", np.float64),
    ]
)
"""A run of blocks: when its groups are free again, how many they are, and the run that had them before.

From there to the plan's end, over groups that are used again: the longest way of any of its blocks, and that of its last block.
"""

MARK = np.dtype(
    [(name, np.int64) for name in ("head", "rest", "tail", "placed")] + [("end_s", np.float64), ("ready_s", np.float64)]
)
"""How far a plan is before a layer: the run whose groups are taken next, how many of those are left, how many runs there are and
how many were placed, the end of the layer before, and when the blocks of that were written.
"""


Chip = tuple[float, int, float, bool]
"""The time after the last layer's windows in s, the chip's groups, the time of a write in s, and whether all weights stay on it."""


def layers_of(given: Instance) -> Records:
    """Return an instance's layers."""
    layers = np.zeros(len(given.blocks), dtype=LAYER)
    for name in ("blocks", "windows", "window_s", "gap_s", "port_s", "writer", "last"):
        layers[name] = getattr(given, name)
    layers["most"] = np.minimum(given.most, np.maximum(given.groups // given.blocks, 1))
    np.maximum.at(layers["until"], given.writer, np.arange(1, len(layers) + 1))
    return layers


def room(layers: Records, groups: int) -> tuple[Records, Records]:
    """Make room for the runs and the marks of any copies: each run has a block at least."""
    runs = np.empty(int((layers["blocks"] * layers["most"]).sum()) + 1, dtype=RUN)
    marks = np.zeros(len(layers) + 1, dtype=MARK)
    runs[0] = 0.0, groups, -1, 0.0, 0.0
    marks[0] = 0, groups, 1, 0, 0.0, 0.0
    return runs, marks


@njit(cache=True)  # type: ignore[untyped-decorator]
def load(layers: Records, copies: Integers, place: int) -> None:
    """Work out anew what follows from the copies of a layer that blocks are written for, there and where they are used, too."""
    count = copies[place]
    for user in range(place, layers[place].until):
        layer = layers[user]
        if layer.writer == place:
            serving = (layer.windows + count - 1) // count * layer.window_s
            layer.left, layer.serving_s, layer.passing_s = layer.blocks * count, serving, 0.0
            if layer.port_s > serving:
                layer.passing_s = layer.port_s / (layer.blocks * min(count, layer.windows))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _follow_resident(
    layers: Records, marks: Records, chip: Chip, first: int, behind: int, limit_s: float
) -> tuple[float, int, int, int]:
    """Follow a plan of which all weights stay on the chip: no runs are placed, but the groups taken are counted."""
    after_s, groups, _, _ = chip
    end, taken, count = marks[first].end_s, 0 if first == 0 else marks[first].head, len(layers)
    for place in range(first, count):
        layer, mark = layers[place], marks[place + 1]
        if layer.writer == place:
            taken += layer.left
        end += layer.gap_s + max(layer.serving_s, layer.port_s)
        mark.end_s, mark.head, mark.placed = end, taken, count
        if place >= behind and end + layer.later_s > limit_s:
            return np.inf, place + 1, 0, count
    return end + after_s if taken <= groups else NEVER, count, 0, count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _early(runs: Records, head: int, rest: int, tail: int, most: int, until: float, write_s: float) -> int:
    """Count the groups, up to `most`, that are written by a time, of those from run `head` on, of which `rest` are left."""
    early = 0
    while head < tail and early < most and runs[head].free_s + write_s <= until:
        early += rest
        head += 1
        rest = runs[head].groups
    return min(early, most)


@njit(cache=True)  # type: ignore[untyped-decorator]
def follow(
    layers: Records, runs: Records, marks: Records, chip: Chip, first: int, behind: int, limit_s: float
) -> tuple[float, int, int, int]:
    """Follow a plan whose copies differ from layer `first` up to layer `behind`; return its planned end in s.

    That is inf where it is past `limit_s` by what is known of the layers behind. Further: how many layers were followed, how many
    runs there are by then, and how many were placed.
    """
    after_s, _, write_s, resident = chip
    if resident:
        resident_end: tuple[float, int, int, int] = _follow_resident(layers, marks, chip, first, behind, limit_s)
        return resident_end
    mark = marks[first]
    head, rest, tail, placed, end = mark.head, mark.rest, mark.tail, mark.placed, mark.end_s
    for place in range(first, len(layers)):
        layer = layers[place]
        started, left, written = end + layer.gap_s, layer.left, 0.0
        if layer.writer != place:
            # What has been written is used again, and given back as one run.
            end = max(started, marks[layer.writer + 1].ready_s) + max(layer.serving_s, layer.port_s)
            if layer.last:
                run = runs[tail]
                run.free_s, run.groups, run.parent = end, left, -1
                tail, placed = tail + 1, placed + 1
            left = 0
        serving, passing, fed = layer.serving_s, layer.passing_s, started
        if passing > 0 and left > 0:
            # Until when the port has to do with the inputs of blocks that are ready as the layer starts.
            fed += _early(runs, head, rest, tail, left, started, write_s) * passing
        while left > 0:
            if rest == 0:
                head += 1
                if head == tail:
                    return NEVER, place, tail, placed
                rest = runs[head].groups
            taken, written = min(left, rest), runs[head].free_s + write_s
            left, rest = left - taken, rest - taken
            end = max(started, written) + serving
            if passing > 0:
                if written > started:
                    fed = max(fed, written) + passing * taken
                end = max(end, fed)
            if layer.last:
                run = runs[tail]
                run.free_s, run.groups, run.parent = end, taken, head
                tail, placed = tail + 1, placed + 1
        mark = marks[place + 1]
        mark.head, mark.rest, mark.tail, mark.placed, mark.end_s, mark.ready_s = head, rest, tail, placed, end, written
        if place >= behind and end + layer.later_s > limit_s:
            return np.inf, place + 1, tail, placed
    return end + after_s, len(layers), tail, placed


@njit(cache=True)  # type: ignore[untyped-decorator]
def copy(
    runs: Records, marks: Records, into_runs: Records, into_marks: Records, first: int, until: int, tail: int
) -> None:
    """Make another plan the same from layer `first` up to layer `until` and up to run `tail`."""
    for run in range(marks[first].tail, tail):
        into, given = into_runs[run], runs[run]
        into.free_s, into.groups, into.parent = given.free_s, given.groups, given.parent
    for place in range(first + 1, until + 1):
        into_marks[place] = marks[place]


@njit(cache=True)  # type: ignore[untyped-decorator]
def look_ahead(layers: Records, runs: Records, marks: Records, chip: Chip) -> None:
    """Work out how much later than each layer a plan ends at least."""
    count = len(layers)
    # Of the run that is being taken at the end, the last block's group is not used again.
    open_run = marks[count].head if marks[count].rest > 0 else -1
    for place in range(marks[count].tail):
        run = runs[place]
        run.longest_s = run.last_s = -np.inf
    way, seen, most = -np.inf, -1, chip[0]
    for place in range(count - 1, -1, -1):
        layer, begin, end = layers[place], marks[place].tail, marks[place + 1].tail
        if begin < end:
            most = max(most, runs[end - 1].last_s)
        layer.later_s, way, through = most, -np.inf, chip[2] + layer.serving_s
        for number in range(end - 1, begin - 1, -1):
            run = runs[number]
            way, before = max(way, run.longest_s), runs[run.parent]
            before.longest_s = max(before.longest_s, through + max(most, run.longest_s))
            if run.parent != seen:
                seen = run.parent
                if seen != open_run:
                    before.last_s = through + max(most, run.last_s)
        most = layer.gap_s + max(max(layer.serving_s, layer.port_s) + most, layer.serving_s + way)
