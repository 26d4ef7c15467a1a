"""Is a program legal on its chip? A check that shares nothing with the schedules that made it.

What must hold, whatever the times that a machine finds, because the dependencies alone enforce it:

- `groups`: a block is read, by a layer that has its weights, only where its own write has ended and nothing has been written
  since; a group does one thing at a time; what was written in the setup is never overwritten, so that the next inference finds
  it; every window of a matrix layer goes through every block exactly once, before the layer is combined;
- `flow`: each layer is finished once, by the instruction meant for its kind, after those whose tensors it reads; on a chip
  of sequential layer order layers run one after the other, in the network's order; what crosses the memory has the right
  size and direction;
- `buffer`: every stored tensor has a place; two tensors share a bank only one after the other; what a bank cannot hold is
  stored in main memory, and loaded by each layer that reads it;
- `fetching`: the coefficients of a layer come once, before they are needed, and find room in their buffer.

Where windows flow by rows, or inferences overlap, `rows` and `streams` ask the same of rows instead of layers, and of any inference
beside any other, without counting inferences (`recurring`):

- rows are made once and in order, of all rows and all windows that they need, and moved once;
- what uses a group first in an inference comes after what used it last in the one before, or takes turns with it;
- no row of a ring is overwritten before all that read it have ended, and the rings in a bank find room there together.

Where inferences come in rounds, `segments` asks on, with the order that what happens once a round enforces (`rounds`):

- what is written finds its groups free of all inferences of the round, or the one before, and is there when any of them reads it;
- a tensor that segments load anew is stored before, whole, and read where it was loaded; its rows come when those before are done;
- rings share room only where no segment uses both, and the one's rows are made when all that uses the other has ended;
- what waits for a later segment waits for an earlier round.

No such program can wait for ever: `after` points back in it, and `again` to an earlier inference, or in segments an earlier round.

With the times that a machine measured (`times`), also: no instruction is shorter than the chip allows, none starts before
what it waits for has ended, and no memory, vector unit or port does more than it can. Of several inferences of a stream
(`overlapping`) no group does either.
"""

from __future__ import annotations

from collections.abc import Iterator

from mho.program.legality.buffer import buffer_rules
from mho.program.legality.facts import Facts, Violation
from mho.program.legality.fetching import fetching_rules
from mho.program.legality.flow import flow_rules
from mho.program.legality.groups import group_rules, shape_rules
from mho.program.legality.overlapping import stream_time_rules
from mho.program.legality.rows import Flowing, row_rules
from mho.program.legality.streams import stream_rules
from mho.program.legality.times import Times, time_rules
from mho.program.program import Program

__all__ = ["Violation", "time_violations", "violations"]


def violations(program: Program, times: tuple[Times, Times] | None = None) -> tuple[Violation, ...]:
    """Return every rule that the program breaks; `times` are measured starts and ends of its instructions, in s, shape
    (instructions,), or of a stream those of several inferences, shape (inferences, instructions of one).

    Structure first: where runs of blocks or groups are out of bounds, the rules that build on them are not looked at.
    """
    facts = Facts(program)
    broken = list(shape_rules(facts))
    if broken:
        return tuple(broken)
    for rules in (group_rules, flowing_rules if facts.flows else layer_rules, fetching_rules):
        broken.extend(rules(facts))
    return tuple(broken) if times is None else (*broken, *time_violations(program, times))


def time_violations(program: Program, times: tuple[Times, Times]) -> tuple[Violation, ...]:
    """Return the rules that measured times break (as for `violations`) of a program that is legal as written."""
    timed = stream_time_rules if program.stream is not None and times[0].ndim == 2 else time_rules
    return tuple(timed(program, *times))


def layer_rules(facts: Facts) -> Iterator[Violation]:
    """Check programs whose layers are made whole, one inference after another."""
    yield from flow_rules(facts)
    yield from buffer_rules(facts)


def flowing_rules(facts: Facts) -> Iterator[Violation]:
    """Check programs whose layers are made by rows, or whose inferences overlap."""
    flowing = Flowing(facts)
    yield from row_rules(facts, flowing)
    yield from stream_rules(facts, flowing)
