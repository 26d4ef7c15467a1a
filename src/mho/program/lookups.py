"""The program of a run of bags: which rows of which arrays are driven together, for whom, and in which order.

Two interpreters read it: one for time and energy (machine/lookup), one for values, from the rows that the layout put into the
arrays. `check` proves on its own that every look-up is served exactly once, from a wordline that holds its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mho.chip.lookup import Reading
from mho.errors import ProgramError
from mho.mapping.embedding import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.program.shares import Shares, shares

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Lookups:
    """Activations in the order in which they are issued.

    Activation a drives wordlines[starts[a]:starts[a + 1]] of instance instances[a] for bag bags[a]; each of them serves a
    look-up of the trace, `lookups`. Batch b is made of activations batches[b] up to batches[b + 1]; it starts when the one before
    it has ended. `starts` and `batches` int64, `bags`, `lookups` int64, `instances`, `wordlines` int32.
    """

    trace: Trace
    seats: Seats
    reading: Reading
    starts: Ints
    lookups: Ints
    wordlines: Places
    bags: Ints
    instances: Places
    batches: Ints
    bag_batches: Ints
    """Batch b serves bags bag_batches[b] up to bag_batches[b + 1]."""

    @property
    def layout(self) -> Layout:
        """Which rows the instances hold."""
        return self.seats.layout

    @property
    def activations(self) -> int:
        """Number of activations."""
        return len(self.bags)

    @cached_property
    def sizes(self) -> Ints:
        """Rows that each activation drives."""
        return np.diff(self.starts)

    @cached_property
    def sent(self) -> npt.NDArray[np.bool_]:
        """Which activations end a partial sum: all but those after which their array goes on with the same bag.

        An array adds consecutive activations for one bag up in its output register, and only the last sum leaves it.
        """
        order = np.argsort(self.instances, kind="stable")
        on = (np.diff(self.instances[order]) == 0) & (np.diff(self.bags[order]) == 0)
        sent = np.ones(self.activations, dtype=np.bool_)
        sent[order[:-1][on]] = False
        return sent

    @cached_property
    def parts(self) -> Ints:
        """Partial sums of each bag."""
        return np.bincount(self.bags[self.sent], minlength=self.trace.bags)

    @cached_property
    def shares(self) -> Shares:
        """What each tile adds up of each bag, and where bags are merged."""
        batch = np.repeat(np.arange(len(self.bag_batches) - 1), np.diff(self.bag_batches))
        turns = np.arange(self.trace.bags) - self.bag_batches[batch]
        tiles = self.seats.tile[self.instances]
        return shares(self.bags, tiles, self.sent, turns, number=self.trace.bags, used=self.seats.tiles)

    @cached_property
    def loads(self) -> Ints:
        """Activations of each instance."""
        return np.bincount(self.instances, minlength=self.layout.instances)

    def check(self) -> None:
        """Raise ProgramError unless every look-up of every bag is served exactly once, and by its own row.

        No activation drives a wordline twice, or more rows than the ADCs can add up; no batch serves another batch's bags, and none
        a part of a query.
        """
        trace, layout = self.trace, self.layout
        if len(self.instances) != self.activations or len(self.starts) != self.activations + 1:
            raise ProgramError("activations need an instance, a bag and a start each")
        if len(self.wordlines) != len(self.lookups) or self.lookups.min(initial=0) < 0:
            raise ProgramError("every wordline that is driven serves a look-up, 0 or above")
        if self.instances.min(initial=0) < 0 or self.instances.max(initial=0) >= layout.instances:
            raise ProgramError(f"instances are 0 to {layout.instances - 1}")
        served = np.bincount(self.lookups, minlength=trace.lookups)
        if len(self.lookups) != trace.lookups or (served != 1).any():
            place = int((served != 1).argmax())
            raise ProgramError(f"look-up {place} is served {served[place]} times instead of once")
        if self.starts[0] != 0 or self.starts[-1] != trace.lookups or (self.sizes < 1).any():
            raise ProgramError("every activation drives at least one row, and all together serve all look-ups")
        if self.sizes.max(initial=0) > self.reading.most_rows:
            raise ProgramError(
                f"an activation drives {self.sizes.max()} rows; the ADCs add up {self.reading.most_rows}"
            )
        which = np.repeat(np.arange(self.activations), self.sizes)
        bag = np.searchsorted(trace.offsets, self.lookups, side="right") - 1
        group = np.searchsorted(layout.first, self.instances, side="right") - 1
        driven = layout.starts[group][which] + self.wordlines
        for wrong, text in (
            (bag != self.bags[which], "serves a look-up of another bag"),
            ((self.wordlines < 0) | (driven >= layout.starts[group + 1][which]), "drives a wordline that holds no row"),
        ):
            if wrong.any():
                raise ProgramError(f"activation {which[wrong.argmax()]} {text}")
        wrong = layout.members[driven] != trace.flat[self.lookups]
        if wrong.any():
            raise ProgramError(f"activation {which[wrong.argmax()]} drives a wordline that holds another row")
        twice = np.sort(which * layout.height + self.wordlines)
        if (np.diff(twice) == 0).any():
            raise ProgramError("an activation drives a wordline twice")
        for cuts, all_of in ((self.batches, self.activations), (self.bag_batches, trace.bags)):
            if len(cuts) != len(self.batches) or cuts[0] != 0 or cuts[-1] != all_of or (np.diff(cuts) < 0).any():
                raise ProgramError("every activation and every bag belongs to a batch, one batch after another")
        inner = self.bag_batches[1:-1]
        if (np.diff(self.bag_batches) < 1).any() or (trace.queries[inner - 1] == trace.queries[inner]).any():
            raise ProgramError("a batch has a whole query or more")
        batch = np.repeat(np.arange(len(self.batches) - 1), np.diff(self.batches))
        if ((self.bags < self.bag_batches[batch]) | (self.bags >= self.bag_batches[batch + 1])).any():
            raise ProgramError("a batch serves bags of another one")
