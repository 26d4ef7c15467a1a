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

from dataclasses import dataclass
from fractions import Fraction

import numba
import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.roles import ROLES
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


@dataclass(frozen=True, eq=False)
class BatchTimes:
    """What was measured. Times in s.

    `batch_s` (batches,): how long each batch took; `query_s` (queries,): each query, from the start of its batch.
    `array_busy_s` (instances,), `adc_busy_s` (sets,), `port_busy_s` and `adder_busy_s` (tiles,): in all batches together; an array
    is busy from settling to the end of its conversions, waiting for ADCs included. `bound_s` (batches,): no choice of copies
    could be faster. `crossed`: shares that went through a port.
    """

    batch_s: Times
    query_s: Times
    array_busy_s: Times
    adc_busy_s: Times
    port_busy_s: Times
    adder_busy_s: Times
    bound_s: Times
    crossed: int


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _push(times: Times, orders: Ints, items: Ints, size: int, time: float, order: int, item: int) -> None:
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if times[parent] < time or (times[parent] == time and orders[parent] < order):
            break
        times[at], orders[at], items[at] = times[parent], orders[parent], items[parent]
        at = parent
    times[at], orders[at], items[at] = time, order, item


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _pop(times: Times, orders: Ints, items: Ints, size: int) -> None:
    """Take the first away; `size` is the number before."""
    time, order, item = times[size - 1], orders[size - 1], items[size - 1]
    last = size - 1
    at = 0
    while True:
        child = 2 * at + 1
        if child >= last:
            break
        right = child + 1
        if right < last and (
            times[right] < times[child] or (times[right] == times[child] and orders[right] < orders[child])
        ):
            child = right
        if time < times[child] or (time == times[child] and order < orders[child]):
            break
        times[at], orders[at], items[at] = times[child], orders[child], items[child]
        at = child
    times[at], orders[at], items[at] = time, order, item


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _run(
    batches: Ints,
    sizes: Ints,
    bags: Ints,
    instances: Places,
    share: Ints,
    share_sizes: Ints,
    left: Ints,
    shares_left: Ints,
    home: Places,
    tile: Places,
    adc_set: Places,
    settle_s: float,
    convert_s: Times,
    port_s: float,
    adder_s: float,
    write_s: float,
    bag_done: Times,
    array_busy: Times,
    adc_busy: Times,
    port_busy: Times,
    adder_busy: Times,
) -> int:
    """Run all batches; fill in when each bag is done, counted from the start of its batch, and how long each part is busy.

    `left`: sums that each share waits for; `shares_left`: shares that each bag waits for; both are counted down. Events of
    activation a: 8 a settled, 8 a + 1 converted, 8 a + 2 added in its tile, 8 a + 3 through the port, 8 a + 4 added where the bag
    is merged.
    """
    arrays, sets, tiles = len(array_busy), len(adc_busy), len(port_busy)
    longest = 0
    for b in range(len(batches) - 1):
        longest = max(longest, batches[b + 1] - batches[b])
    # Queues are chains of activations of a batch, numbered from its first: heads and tails of each array, set, port and adder.
    following = np.full(longest, -1, dtype=np.int64)
    next_set = np.full(longest, -1, dtype=np.int64)
    next_port = np.full(longest, -1, dtype=np.int64)
    next_adder = np.full(longest, -1, dtype=np.int64)
    merging = np.zeros(longest, dtype=np.bool_)
    array_head, array_tail = np.full(arrays, -1, dtype=np.int64), np.full(arrays, -1, dtype=np.int64)
    set_head, set_tail = np.full(sets, -1, dtype=np.int64), np.full(sets, -1, dtype=np.int64)
    port_head, port_tail = np.full(tiles, -1, dtype=np.int64), np.full(tiles, -1, dtype=np.int64)
    adder_head, adder_tail = np.full(tiles, -1, dtype=np.int64), np.full(tiles, -1, dtype=np.int64)
    begun = np.zeros(longest, dtype=np.float64)
    times = np.empty(4 * longest + 4, dtype=np.float64)
    orders = np.empty(4 * longest + 4, dtype=np.int64)
    items = np.empty(4 * longest + 4, dtype=np.int64)
    crossed = 0
    for b in range(len(batches) - 1):
        low = batches[b]
        count = batches[b + 1] - low
        size = 0
        order = 0
        for a in range(count):
            following[a] = next_set[a] = next_port[a] = next_adder[a] = -1
            merging[a] = False
            array = instances[low + a]
            if array_head[array] < 0:
                array_head[array] = a
                begun[a] = 0.0
                _push(times, orders, items, size, settle_s, order, 8 * a)
                size += 1
                order += 1
            else:
                following[array_tail[array]] = a
            array_tail[array] = a
        while size:
            now, a, event = times[0], items[0] >> 3, items[0] & 7
            _pop(times, orders, items, size)
            size -= 1
            array = instances[low + a]
            at = tile[array]
            bag = bags[low + a]
            # Where the activation goes next: a port, or the adders of a tile.
            to_port, to_adder = False, -1
            if event == 0:
                s = adc_set[array]
                if set_head[s] < 0:
                    set_head[s] = a
                    _push(times, orders, items, size, now + convert_s[sizes[low + a]], order, 8 * a + 1)
                    size += 1
                    order += 1
                else:
                    next_set[set_tail[s]] = a
                set_tail[s] = a
            elif event == 1:
                s = adc_set[array]
                adc_busy[s] += convert_s[sizes[low + a]]
                array_busy[array] += now - begun[a]
                other = next_set[a]
                set_head[s] = other
                if other >= 0:
                    _push(times, orders, items, size, now + convert_s[sizes[low + other]], order, 8 * other + 1)
                    size += 1
                    order += 1
                other = following[a]
                array_head[array] = other
                if other >= 0:
                    begun[other] = now
                    _push(times, orders, items, size, now + settle_s, order, 8 * other)
                    size += 1
                    order += 1
                if share[low + a] >= 0:
                    to_port = at != home[bag] and share_sizes[share[low + a]] == 1
                    to_adder = -1 if to_port else at
            elif event == 3:
                port_busy[at] += port_s
                other = next_port[a]
                port_head[at] = other
                if other >= 0:
                    _push(times, orders, items, size, now + port_s, order, 8 * other + 3)
                    size += 1
                    order += 1
                merging[a] = True
                to_adder = home[bag]
            else:
                adding = at if event == 2 else home[bag]
                adder_busy[adding] += adder_s
                other = next_adder[a]
                next_adder[a] = -1
                adder_head[adding] = other
                if other >= 0:
                    _push(times, orders, items, size, now + adder_s, order, 8 * other + (4 if merging[other] else 2))
                    size += 1
                    order += 1
                if event == 2:
                    left[share[low + a]] -= 1
                    to_port = left[share[low + a]] == 0 and at != home[bag]
                if event == 4 or (at == home[bag] and left[share[low + a]] == 0):
                    shares_left[bag] -= 1
                    if not shares_left[bag]:
                        bag_done[bag] = now + write_s
            if to_port:
                crossed += 1
                if port_head[at] < 0:
                    port_head[at] = a
                    _push(times, orders, items, size, now + port_s, order, 8 * a + 3)
                    size += 1
                    order += 1
                else:
                    next_port[port_tail[at]] = a
                port_tail[at] = a
            if to_adder >= 0:
                if adder_head[to_adder] < 0:
                    adder_head[to_adder] = a
                    _push(times, orders, items, size, now + adder_s, order, 8 * a + (4 if merging[a] else 2))
                    size += 1
                    order += 1
                else:
                    next_adder[adder_tail[to_adder]] = a
                adder_tail[to_adder] = a
    return crossed


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _bounds(batches: Ints, sizes: Ints, groups: Places, copies: Places, seconds: Times, bounds: Times) -> None:
    """Fill in the time of the busiest group of each batch, its copies sharing the work evenly, and the longest activation's."""
    given = np.zeros(len(copies), dtype=np.float64)
    for b in range(len(batches) - 1):
        for a in range(batches[b], batches[b + 1]):
            given[groups[a]] += seconds[sizes[a]]
        for a in range(batches[b], batches[b + 1]):
            bounds[b] = max(bounds[b], given[groups[a]] / copies[groups[a]], seconds[sizes[a]])
        for a in range(batches[b], batches[b + 1]):
            given[groups[a]] = 0.0


def time_lookups(lookups: Lookups) -> BatchTimes:
    """Run a program of look-ups and measure it; it is not changed."""
    seats, reading, trace = lookups.seats, lookups.reading, lookups.trace
    chip, services = seats.chip, Services.of(lookups)
    done = np.zeros(trace.bags, dtype=np.float64)
    array_busy, adc_busy = np.zeros(lookups.layout.instances), np.zeros(seats.adc_sets)
    port_busy, adder_busy = np.zeros(seats.tiles), np.zeros(seats.tiles)
    settle_s, convert_s = reading.steps * chip.array.step_overhead_s, reading.steps * reading.conversion_s
    made = lookups.shares
    crossed = _run(
        lookups.batches,
        lookups.sizes,
        lookups.bags,
        lookups.instances,
        made.of,
        made.sizes,
        made.sizes.copy(),
        made.counts.copy(),
        made.home,
        seats.tile,
        seats.adc_set,
        settle_s,
        convert_s,
        services.port_s,
        services.adder_s,
        services.write_s,
        done,
        array_busy,
        adc_busy,
        port_busy,
        adder_busy,
    )
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
    return BatchTimes(batch_s, query_s, array_busy, adc_busy, port_busy, adder_busy, bound_s, int(crossed))
