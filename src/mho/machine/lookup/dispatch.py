"""The dispatcher: from the bags of a trace to activations, each on the copy of its group that is free first.

Rows of a bag that stand in one group are one activation, but for rows that a bag looks up twice, and for more rows than the ADCs
can add up: these take activations of their own. Within a batch activations are issued query by query, and each goes to the copy
that has been given least time so far, of equal ones the first.
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


def _runs(changed: npt.NDArray[np.bool_]) -> Ints:
    """Return the place of each entry in its run; a run begins where `changed` is true, as it is at first."""
    places = np.arange(len(changed))
    return places - np.maximum.accumulate(np.where(changed, places, 0))


def _activations(place: Ints, height: int, most: int) -> tuple[Ints, Ints]:
    """Cut look-ups into activations, of at most `most` rows: return the order of look-ups, and where activations start in it.

    `place`: for each look-up its bag and group, as one number, times the height of groups, and its wordline. A row that a bag looks
    up for the n-th time goes into the n-th turn.
    """
    order = np.argsort(place, kind="stable").astype(np.int64)
    place = place[order]
    turn = _runs(np.diff(place, prepend=-1) != 0)
    if turn.any():
        again = np.lexsort((turn, place // height))
        order, place, turn = order[again], place[again], turn[again]
    begins = (np.diff(place // height, prepend=-1) != 0) | (np.diff(turn, prepend=0) != 0)
    return order, np.flatnonzero(_runs(begins) % most == 0)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _copies(batches: Ints, starts: Ints, groups: Places, first: Ints, seconds: Times, instances: Places) -> None:
    """Choose the copy of each activation."""
    busy_s = np.zeros(first[-1], dtype=np.float64)
    for b in range(len(batches) - 1):
        for a in range(batches[b], batches[b + 1]):
            best = first[groups[a]]
            for instance in range(best + 1, first[groups[a] + 1]):
                if busy_s[instance] < busy_s[best]:
                    best = instance
            busy_s[best] += seconds[starts[a + 1] - starts[a]]
            instances[a] = best
        for a in range(batches[b], batches[b + 1]):
            busy_s[instances[a]] = 0.0


def dispatch(trace: Trace, seats: Seats, reading: Reading, batch: int) -> Lookups:
    """Return the program of a trace in batches of `batch` queries; the last may be smaller.

    Raises OptionError for a batch below 1, for a trace of other rows than the layout's, for a `reading` of another chip or
    dimension than the seats', and for weights that it has too few bits for.
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
    lookups, starts = _activations(
        (bag_of * layout.groups + group) * layout.height + wordline, layout.height, reading.most_rows
    )
    bags, groups = bag_of[lookups[starts]], group[lookups[starts]]
    starts = np.append(starts, trace.lookups)
    begins = np.flatnonzero(np.concatenate([[True], np.diff(trace.queries) != 0])) if trace.bags else np.zeros(0, int)
    bag_batches = np.concatenate([begins[::batch], [trace.bags]]).astype(np.int64)
    batches = np.searchsorted(bags, bag_batches).astype(np.int64)
    instances = np.empty(len(bags), dtype=np.int32)
    _copies(batches, starts, groups, layout.first, reading.seconds, instances)
    return Lookups(
        trace, seats, reading, starts, lookups, wordline[lookups], bags, instances, batches, bag_batches
    )  # fmt: skip
