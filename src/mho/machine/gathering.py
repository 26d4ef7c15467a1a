"""What a program's gathering of rows takes: the bags that it is given, dispatched to the instances where they are written.

Time and energy are those of look-ups (`machine/lookup`), batch by batch; a program that is timed takes the mean over its batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.chip.lookup import Reading
from mho.errors import ProgramError
from mho.machine.lookup.chunks import chunks
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.energy import events
from mho.machine.lookup.timing import RESULT_BYTES, BatchTimes, time_lookups
from mho.network.trace import Trace
from mho.once import once
from mho.program import Program
from mho.program.bound import Bound, lower_bound
from mho.program.columns import FETCH, GATHER, WRITE, columns
from mho.program.lookups import Lookups
from mho.program.tables import seats_of


def reading(program: Program, bags: Trace) -> Reading:
    """Return how rows are read for the bags of a trace: weights have the bits that these need, sums those of the longest bag."""
    seats = seats_of(program)
    weight_bits = 1 if bags.weights is None else int(bags.weights.max(initial=1)).bit_length()
    return Reading(seats.chip, seats.dimension, weight_bits, int(bags.lengths.max(initial=1)))


def dispatched(program: Program, bags: Trace) -> Lookups:
    """Return what a program's tables do for the bags of a trace, in its batches."""
    return dispatch(bags, seats_of(program), reading(program, bags), program.network.batch)


def served(program: Program) -> Trace:
    """Return the bags that a program serves. ProgramError where it was given none (`Program.with_bags`)."""
    if program.bags is None:
        raise ProgramError(
            f"how long {program.network.name} gathers rows follows from the bags that it serves: give a trace of them"
        )
    return program.bags


@once
def batches(program: Program) -> BatchTimes:
    """Return the times of a program's bags, batch by batch."""
    bags, batch = served(program), program.network.batch
    seats, read = seats_of(program), reading(program, bags)
    runs = [time_lookups(dispatch(part, seats, read, batch)) for part in chunks(iter([bags]), batch)]
    return BatchTimes(**BatchTimes.joined(runs))


def gathered_s(program: Program) -> npt.NDArray[np.float64]:
    """Return how long each batch of a program's bags is gathered, in s."""
    return batches(program).batch_s


@once
def gather_events(program: Program) -> dict[str, float]:
    """Return how often each event of the chip happens as the rows of a batch are gathered, the mean over the program's bags."""
    measured = batches(program)
    counts = events(measured.counted, seats_of(program), reading(program, served(program)), RESULT_BYTES)
    return {event: count / len(measured.batch_s) for event, count in counts.items()}


def program_bound(program: Program) -> Bound:
    """Return a time that no legal schedule of a program's network on its chip can beat, nor any choice of copies for its bags."""
    table = columns(program)
    written, fetched = (bool((table.of(kind) >= program.setup).any()) for kind in (WRITE, FETCH))
    bound = lower_bound(
        program.network, program.mapping, program.chip, resident=not written, coded=program.coded, fetched=fetched
    )
    if not len(table.of(GATHER)):
        return bound
    arguments = {**bound.arguments, "gathering of rows": float(batches(program).bound_s.mean())}
    return Bound(max(arguments.values()), arguments)
