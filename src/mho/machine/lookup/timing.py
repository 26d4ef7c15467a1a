"""When the activations of a batch happen: queues at arrays, ADCs, ports and adders, event by event.

All queries of a batch are there when it starts, at time 0. An activation waits for its array, in the order of issue; the array
settles (`array.step_overhead_s`), holds its sums, and waits for its set of ADCs, first come, first served; while they
convert, it can take no other. Where the array goes on with the same bag, it keeps the sum and adds the next one to it. Else
the partial sum leaves the array. The adders of its tile add up what the bag has there, its share (`mho.program.shares`); the
tile with most of a bag merges it. A share of another tile, when its last sum has been added, goes through its tile's port to
that tile, and is added there; a share of one sum goes straight to the port. When all shares have been added, the bag's vector is
written to the tile's buffer. A query is done when its last bag is, a batch when its last query is.

Settling and converting of the steps of one activation are taken together: it settles for all of its steps, then converts for all.
Of events at one time the one that was known first comes first; arrays begin a batch in the order in which they are first driven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.roles import ROLES
from mho.machine.lookup.energy import Counted
from mho.program.lookups import Ints, Lookups, Places
from mho.units import exact

Times = npt.NDArray[np.float64]
FREE_NOTE = (
    "assumption: masks of rows reach arrays, and finished vectors leave the chip, in no time; "
    "only partial sums pass through ports"
)
RESULT_BYTES = 4
"""A feature of a finished vector is a sum of 32 bits."""


@dataclass(frozen=True)
class Services:
    """Times in s that one sum takes at its tile's port and at the adders, and that a finished vector takes to be written.

    A port moves `tile.noc_port_bits` each clock cycle, the adders of a tile (component `accumulator`) one sum each, the buffer
    `tile.buffer_port_bits`.
    """

    port_s: float
    adder_s: float
    write_s: float

    @classmethod
    def of(cls, lookups: Lookups) -> Services:
        """Compute them from the chip."""
        chip, dimension = lookups.seats.chip, lookups.seats.dimension

        def cycles(count: int) -> float:
            return float(Fraction(count) / exact(chip.frequency_hz))

        sent = 8 * dimension * lookups.reading.sum_bytes
        return cls(
            cycles(-(-sent // chip.tile.noc_port_bits)),
            cycles(-(-dimension // adders(chip))),
            cycles(-(-8 * dimension * RESULT_BYTES // chip.tile.buffer_port_bits)),
        )


def adders(chip: Chip) -> int:
    """Return the adders of a tile that merge partial sums."""
    return ROLES["accumulator"].count(chip)


@dataclass(frozen=True, eq=False, repr=False)
class BatchTimes:
    """The times that a run took, in s.

    `batch_s` (batches,): how long each batch took; `query_s` (queries,): each query, from the start of its batch. `bound_s`
    (batches,): no choice of copies could be faster. `loads` and `array_busy_s` (instances,), `adc_busy_s` (sets,), `port_busy_s`
    and `adder_busy_s` (tiles,): activations, and for how long each was busy, in all batches together; an array is busy from
    settling to the end of its conversions, waiting for ADCs included. `counted`: what energy follows from.
    """

    batch_s: Times
    query_s: Times
    bound_s: Times
    loads: Ints
    array_busy_s: Times
    adc_busy_s: Times
    port_busy_s: Times
    adder_busy_s: Times
    counted: Counted

    @classmethod
    def joined(cls, runs: Sequence[BatchTimes]) -> dict[str, Any]:
        """Return the fields for runs that follow each other: their times one after another, and all else summed."""
        columns = {field.name: [getattr(run, field.name) for run in runs] for field in fields(BatchTimes)}
        one_by_one = ("batch_s", "query_s", "bound_s")
        return {
            name: np.concatenate(column) if name in one_by_one else sum(column[1:], start=column[0])
            for name, column in columns.items()
        }


# Compiled functions take these tuples once a batch and unpack them; in the inner loop an array in a tuple would be counted anew
# at each use, which makes it five times slower.
class Activations(NamedTuple):
    """The activations of a program as columns: see `mho.program.lookups` and `mho.program.shares`."""

    batches: Ints
    sizes: Ints
    bags: Ints
    instances: Places
    share: Ints
    share_sizes: Ints
    home: Places


class Parts(NamedTuple):
    """The tile and the set of ADCs of each instance, and what each step takes in s."""

    tile: Places
    adc_set: Places
    settle_s: float
    convert_s: Times
    port_s: float
    adder_s: float
    write_s: float


class RunTimes(NamedTuple):
    """Times that a run fills in, in s: when each bag is done, from the start of its batch, and how long each part is busy.

    Counted down: `left`, sums that each share waits for, and `shares_left`, shares that each bag waits for.
    """

    bag_done: Times
    array_s: Times
    adc_s: Times
    port_s: Times
    adder_s: Times
    left: Ints
    shares_left: Ints


class Line(NamedTuple):
    """Queues at parts of one kind: the first and the last activation of each, or -1, and who follows each activation."""

    head: Ints
    tail: Ints
    following: Ints


class State(NamedTuple):
    """A batch that is under way; its activations are numbered from 0.

    `begun`: when each began at its array. `merging`: whether it waits to be added where its bag is merged. `times`, `keys`: the
    heap of known events; `known`: how many there are, and how many there were ever.
    """

    arrays: Line
    sets: Line
    ports: Line
    adders: Line
    begun: Times
    merging: npt.NDArray[np.bool_]
    times: Times
    keys: Ints
    known: Ints


SETTLED, CONVERTED, CROSSED, ADDED, MERGED = range(5)
"""Events of an activation. ADDED: in its tile; CROSSED: through the port; MERGED: added at its bag's home."""
KNOWN = 32
"""Bits of a heap's key below the number that says how early the event was known; they hold 8 x activation + what happens."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _push(times: Times, keys: Ints, count: Ints, time: float, activation: int, what: int) -> None:
    """Add an event to the heap, behind those of the same time."""
    at, key = count[0], (count[1] << KNOWN) | (8 * activation + what)
    while at > 0:
        parent = (at - 1) >> 1
        if times[parent] <= time:
            break
        times[at], keys[at] = times[parent], keys[parent]
        at = parent
    times[at], keys[at] = time, key
    count[0] += 1
    count[1] += 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _pop(times: Times, keys: Ints, count: Ints) -> None:
    """Take the first event away."""
    count[0] -= 1
    last = count[0]
    time, key = times[last], keys[last]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= last:
            break
        right = child + 1
        if right < last and (
            times[right] < times[child] or (times[right] == times[child] and keys[right] < keys[child])
        ):
            child = right
        if time < times[child] or (time == times[child] and key < keys[child]):
            break
        times[at], keys[at] = times[child], keys[child]
        at = child
    times[at], keys[at] = time, key


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _join(head: Ints, tail: Ints, following: Ints, part: int, activation: int) -> bool:
    """Queue an activation at a part; return True if nobody is before it."""
    free: bool = head[part] < 0
    if free:
        head[part] = activation
    else:
        following[tail[part]] = activation
    tail[part] = activation
    return free


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _leave(head: Ints, following: Ints, part: int, activation: int) -> int:
    """Let the first activation go from a part; return the next one, or -1."""
    other: int = following[activation]
    following[activation] = -1
    head[part] = other
    return other


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _batch(low: int, work: Activations, parts: Parts, run_times: RunTimes, state: State) -> int:
    """Let the events of a batch happen, whose first activation is `low`; return how many shares went through a port."""
    sizes, bags, instances, share, share_sizes, home = work[1:]
    tile_of, adc_set, settle_s, convert_s, port_s, adder_s, write_s = parts
    bag_done, array_busy, adc_busy, port_busy, adder_busy, left, shares_left = run_times
    arrays, sets, ports, adders, begun, merging, times, keys, count = state
    (array_head, _, array_next), (set_head, set_tail, set_next) = arrays, sets
    (port_head, port_tail, port_next), (adder_head, adder_tail, adder_next) = ports, adders
    crossed = 0
    while count[0]:
        now, a, what = times[0], (keys[0] & ((1 << KNOWN) - 1)) >> 3, keys[0] & 7
        _pop(times, keys, count)
        array, bag, its = instances[low + a], bags[low + a], share[low + a]
        tile, adcs, to_port, to_adder = tile_of[array], adc_set[array], False, -1
        if what == SETTLED:
            if _join(set_head, set_tail, set_next, adcs, a):
                _push(times, keys, count, now + convert_s[sizes[low + a]], a, CONVERTED)
        elif what == CONVERTED:
            adc_busy[adcs] += convert_s[sizes[low + a]]
            array_busy[array] += now - begun[a]
            other = _leave(set_head, set_next, adcs, a)
            if other >= 0:
                _push(times, keys, count, now + convert_s[sizes[low + other]], other, CONVERTED)
            other = _leave(array_head, array_next, array, a)
            if other >= 0:
                begun[other] = now
                _push(times, keys, count, now + settle_s, other, SETTLED)
            if its >= 0:
                to_port = tile != home[bag] and share_sizes[its] == 1
                to_adder = -1 if to_port else tile
        elif what == CROSSED:
            port_busy[tile] += port_s
            other = _leave(port_head, port_next, tile, a)
            if other >= 0:
                _push(times, keys, count, now + port_s, other, CROSSED)
            merging[a] = True
            to_adder = home[bag]
        else:
            adding = tile if what == ADDED else home[bag]
            adder_busy[adding] += adder_s
            other = _leave(adder_head, adder_next, adding, a)
            if other >= 0:
                _push(times, keys, count, now + adder_s, other, ADDED + merging[other])
            if what == ADDED:
                left[its] -= 1
                to_port = left[its] == 0 and tile != home[bag]
            if what == MERGED or (left[its] == 0 and tile == home[bag]):
                shares_left[bag] -= 1
                if not shares_left[bag]:
                    bag_done[bag] = now + write_s
        if to_port:
            crossed += 1
            if _join(port_head, port_tail, port_next, tile, a):
                _push(times, keys, count, now + port_s, a, CROSSED)
        # Not one condition: of that numba cannot tell the type.
        if to_adder >= 0:  # noqa: SIM102
            if _join(adder_head, adder_tail, adder_next, to_adder, a):
                _push(times, keys, count, now + adder_s, a, ADDED + merging[a])
    return crossed


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _line(parts: int, activations: int) -> Line:
    return Line(np.full(parts, -1), np.full(parts, -1), np.full(activations, -1))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _run(work: Activations, parts: Parts, run_times: RunTimes) -> int:
    """Run all batches, one after another; return how many shares went through a port."""
    longest = 0
    for b in range(len(work.batches) - 1):
        longest = max(longest, work.batches[b + 1] - work.batches[b])
    # Of each activation at most one event is known.
    state = State(
        _line(len(run_times.array_s), longest),
        _line(len(run_times.adc_s), longest),
        _line(len(run_times.port_s), longest),
        _line(len(run_times.adder_s), longest),
        np.zeros(longest, dtype=np.float64),
        np.zeros(longest, dtype=np.bool_),
        np.empty(longest, dtype=np.float64),
        np.empty(longest, dtype=np.int64),
        np.zeros(2, dtype=np.int64),
    )
    crossed = 0
    for b in range(len(work.batches) - 1):
        low = work.batches[b]
        state.known[1] = 0
        for a in range(work.batches[b + 1] - low):
            state.merging[a] = False
            if _join(state.arrays.head, state.arrays.tail, state.arrays.following, work.instances[low + a], a):
                state.begun[a] = 0.0
                _push(state.times, state.keys, state.known, parts.settle_s, a, SETTLED)
        crossed += _batch(low, work, parts, run_times, state)
    return crossed


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _bounds(batches: Ints, sizes: Ints, groups: Places, copies: Places, seconds: Times, bounds: Times) -> None:
    """Fill in the time of the busiest group of each batch, its copies sharing the work evenly, and the longest activation's."""
    busy_s = np.zeros(len(copies), dtype=np.float64)
    for b in range(len(batches) - 1):
        for a in range(batches[b], batches[b + 1]):
            busy_s[groups[a]] += seconds[sizes[a]]
        for a in range(batches[b], batches[b + 1]):
            bounds[b] = max(bounds[b], busy_s[groups[a]] / copies[groups[a]], seconds[sizes[a]])
        for a in range(batches[b], batches[b + 1]):
            busy_s[groups[a]] = 0.0


def time_lookups(lookups: Lookups) -> BatchTimes:
    """Run a program of look-ups and measure it; it is not changed."""
    seats, reading, trace = lookups.seats, lookups.reading, lookups.trace
    chip, services = seats.chip, Services.of(lookups)
    settle_s, convert_s = reading.steps * chip.array.step_overhead_s, reading.steps * reading.conversion_s
    shares, instances = lookups.shares, lookups.instances
    run_times = RunTimes(
        np.zeros(trace.bags),
        np.zeros(lookups.layout.instances),
        np.zeros(seats.adc_sets),
        np.zeros(seats.tiles),
        np.zeros(seats.tiles),
        shares.sizes.copy(),
        shares.counts.copy(),
    )
    crossed = _run(
        Activations(lookups.batches, lookups.sizes, lookups.bags, instances, shares.of, shares.sizes, shares.home),
        Parts(seats.tile, seats.adc_set, settle_s, convert_s, services.port_s, services.adder_s, services.write_s),
        run_times,
    )
    done = run_times.bag_done
    begins = np.flatnonzero(np.concatenate([[True], np.diff(trace.queries) != 0])) if trace.bags else np.zeros(0, int)
    empty = np.zeros(0)
    query_s = np.maximum.reduceat(done, begins) if trace.bags else empty
    batch_s = np.maximum.reduceat(done, lookups.bag_batches[:-1]) if trace.bags else empty
    bound_s = np.zeros(len(lookups.batches) - 1)
    groups = (np.searchsorted(lookups.layout.first, lookups.instances, side="right") - 1).astype(np.int32)
    seconds = np.where(np.arange(len(convert_s)) > 0, settle_s + convert_s, 0.0)
    _bounds(lookups.batches, lookups.sizes, groups, lookups.layout.copies, seconds, bound_s)
    # After its last conversion a sum is still added, and before its first sum no adder has work. A bag has at least one sum of each
    # of its groups: as many as if all of its activations in a group were one array's.
    used = np.diff(lookups.batches) > 0
    if used.any():
        begins_at = lookups.batches[:-1][used]
        shortest = np.minimum.reduceat(seconds[lookups.sizes], begins_at)
        pairs = np.sort(lookups.bags * lookups.layout.groups + groups, kind="stable")
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        parts = np.diff(np.searchsorted(pairs, lookups.bag_batches * lookups.layout.groups))[used]
        merged = shortest + parts / seats.tiles * services.adder_s
        bound_s[used] = np.maximum(bound_s[used] + services.adder_s, merged) + services.write_s
    counted = Counted.of(lookups, int(crossed), float(batch_s.sum()))
    busy = run_times.array_s, run_times.adc_s, run_times.port_s, run_times.adder_s
    return BatchTimes(batch_s, query_s, bound_s, lookups.loads, *busy, counted)
