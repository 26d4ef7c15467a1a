"""The dispatcher: from the bags of a trace to activations, each on the copy of its group that is free first.

Rows of a bag that stand in one group are one activation, but for
rows that a bag looks up twice, and for more rows than the ADCs can add up: these take activations of their own. Within a batch
activations are issued query by query, and each goes to the copy that has been given least time so far, of equal ones the first.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mho.chip.lookup import Reading
from mho.errors import OptionError
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.program.lookups import Ints, Lookups, Places

Times = npt.NDArray[np.float64]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _activations(
    order: Ints,
    bag_of: Ints,
    group: Places,
    wordline: Places,
    most: int,
    starts: Ints,
    lookups: Ints,
    bags: Ints,
    groups: Places,
) -> int:
    """Cut look-ups, sorted by bag, group and wordline, into activations; return how many there are."""
    total = len(order)
    made = 0
    out = 0
    low = 0
    while low < total:
        first = order[low]
        high = low
        # How often the most frequent row of this bag and group stands there.
        repeats = 1
        run = 0
        while high < total and bag_of[order[high]] == bag_of[first] and group[order[high]] == group[first]:
            run = run + 1 if high > low and wordline[order[high]] == wordline[order[high - 1]] else 1
            repeats = max(repeats, run)
            high += 1
        for turn in range(repeats):
            size = 0
            run = 0
            for i in range(low, high):
                run = run + 1 if i > low and wordline[order[i]] == wordline[order[i - 1]] else 1
                if run != turn + 1:
                    continue
                if size % most == 0:
                    starts[made] = out
                    bags[made] = bag_of[first]
                    groups[made] = group[first]
                    made += 1
                lookups[out] = order[i]
                out += 1
                size += 1
        low = high
    starts[made] = out
    return made


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _copies(batches: Ints, starts: Ints, groups: Places, first: Ints, seconds: Times, instances: Places) -> None:
    """Choose the copy of each activation."""
    given = np.zeros(first[-1], dtype=np.float64)
    for b in range(len(batches) - 1):
        for a in range(batches[b], batches[b + 1]):
            best = first[groups[a]]
            for instance in range(best + 1, first[groups[a] + 1]):
                if given[instance] < given[best]:
                    best = instance
            given[best] += seconds[starts[a + 1] - starts[a]]
            instances[a] = best
        for a in range(batches[b], batches[b + 1]):
            given[instances[a]] = 0.0


def dispatch(trace: Trace, seats: Seats, reading: Reading, batch: int) -> Lookups:
    """Return the program of a trace in batches of `batch` queries; the last may be smaller.

    OptionError for a batch below 1, for a trace of other rows than the layout's, for a `reading` of another chip or dimension than
    the seats', and for weights that it has too few bits for.
    """
    layout = seats.layout
    if batch < 1:
        raise OptionError(f"a batch has at least 1 query, not {batch}")
    if trace.total_rows != layout.rows:
        raise OptionError(f"the trace is of tables of {trace.total_rows} rows, the layout of {layout.rows}")
    largest = 1 if trace.weights is None else int(trace.weights.max(initial=1))
    if largest.bit_length() > reading.weight_bits:
        raise OptionError(
            f"weights of up to {largest} take {largest.bit_length()} bits; they are streamed as {reading.weight_bits}"
        )
    if trace.lengths.max(initial=0) > max(reading.longest, seats.chip.array.rows):
        raise OptionError(
            f"bags of up to {trace.lengths.max()} look-ups; sums are as wide as those of {reading.longest} need"
        )
    if (reading.chip, reading.dimension) != (seats.chip, seats.dimension):
        raise OptionError(
            f"arrays are seated for {seats.dimension} features on chip {seats.chip.name!r}, "
            f"but read for {reading.dimension} on {reading.chip.name!r}"
        )
    group, wordline = layout.group[trace.flat], layout.wordline[trace.flat]
    bag_of = np.repeat(np.arange(trace.bags, dtype=np.int64), trace.lengths)
    key = (bag_of * layout.groups + group) * layout.height + wordline
    order = np.argsort(key, kind="stable").astype(np.int64)
    starts = np.empty(trace.lookups + 1, dtype=np.int64)
    lookups, bags = np.empty(trace.lookups, dtype=np.int64), np.empty(trace.lookups, dtype=np.int64)
    groups = np.empty(trace.lookups, dtype=np.int32)
    made = _activations(order, bag_of, group, wordline, reading.most_rows, starts, lookups, bags, groups)
    starts, bags, groups = starts[: made + 1].copy(), bags[:made].copy(), groups[:made].copy()
    begins = np.flatnonzero(np.concatenate([[True], np.diff(trace.queries) != 0])) if trace.bags else np.zeros(0, int)
    bag_batches = np.concatenate([begins[::batch], [trace.bags]]).astype(np.int64)
    batches = np.searchsorted(bags, bag_batches).astype(np.int64)
    instances = np.empty(made, dtype=np.int32)
    _copies(batches, starts, groups, layout.first, reading.seconds, instances)
    return Lookups(
        trace, seats, reading, starts, lookups, wordline[lookups], bags, instances, batches, bag_batches
    )  # fmt: skip
