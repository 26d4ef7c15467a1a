"""Copies of whole groups, so that the activations of a batch spread over them: the choices of stage copies.

Every rule but none begins with one copy of each group and gives the copies that the area budget leaves one by one, each to the
group with the largest weight per copy so far (of equal ones the first), which makes copies go with the weights. Groups that the
history never touches get no further copy.
"""

from __future__ import annotations

import heapq
import math
from fractions import Fraction
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError
from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Trace
from mho.strategy.choice import Choice, built, choice, setting

Loads = npt.NDArray[np.float64]

MOST_INSTANCES = 1 << 24
"""Instances that copies are handed out to, at most: more than any chip has seats."""


class Copies(Choice):
    """A rule for the number of copies of each group, which every choice of stage copies is."""

    stage = "copies"
    makes: ClassVar[bool] = True
    """True where a group may get more than one copy."""

    @property
    def timed(self) -> bool:
        """Say whether loads are the times for which groups are busy, not their activations."""
        return False

    def weights(self, loads: Loads, batches: float) -> Loads:
        """Return what groups weigh, of the loads of so many batches."""
        raise NotImplementedError


@choice("copies", "none")
class NoCopies(Copies):
    """One copy of each group."""

    makes: ClassVar[bool] = False

    def weights(self, loads: Loads, batches: float) -> Loads:
        """Return zeros: no group weighs anything."""
        return np.zeros(len(loads))


@choice("copies", "log", papers=("recross",))
class ByLogarithm(Copies):
    """Copies by the logarithm of how often a batch activates a group (ReCross; the formula is an assumption)."""

    # arXiv 2509.10627: copies go with the logarithm of a group's access frequency; its formula is not at hand.

    def weights(self, loads: Loads, batches: float) -> Loads:
        """Return log2(1 + activations of a batch)."""
        return np.log2(1 + loads / batches)


@choice("copies", "load")
class ByLoad(Copies):
    """Copies by load, so that the largest load of a copy is as small as the area allows."""

    # As long as the largest load is above the one wanted, its group needs another copy in any case.

    load: str = setting(
        default="time",
        among=("time", "activations"),
        help="What the load of a group is: the time for which it is busy as the history is served with ADCs of every mode, or its "
        "activations.",
    )

    @property
    def timed(self) -> bool:
        """Say whether it goes by time."""
        return self.load == "time"

    def weights(self, loads: Loads, batches: float) -> Loads:
        """Return the loads."""
        return loads


def instances_within(layout: Layout, budget: float) -> int:
    """Return the most instances that a budget allows; raise OptionError where the layout takes more, or for no number from 1."""
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not math.isfinite(budget) or budget < 1:
        raise OptionError(f"an area budget is a number from 1, not {budget!r}")
    # The decimal that was written, not the binary number next to it: 1.15 of 100 groups are 115.
    allowed = int(Fraction(str(float(budget))) * layout.least_groups)
    if allowed < layout.instances:
        raise OptionError(
            f"an area budget of {budget:g} is {allowed} groups, but the layout takes {layout.instances} "
            f"({layout.area_ratio:.4g}) already"
        )
    return allowed


def activations(layout: Layout, history: Trace) -> npt.NDArray[np.int64]:
    """Return how often a history activates each group: int64 (groups,).

    Once for each bag that touches it; where the bag has a row of it several times, as often as the most frequent of these.
    """
    if history.total_rows != layout.rows:
        raise OptionError(f"the history has {history.total_rows} rows, the layout {layout.rows}")
    group, wordline = layout.group[history.flat], layout.wordline[history.flat]
    bag = np.repeat(np.arange(history.bags, dtype=np.int64), history.lengths)
    places = np.sort((bag * layout.groups + group) * layout.height + wordline)
    begins = np.flatnonzero(np.diff(places, prepend=-1))
    repeats = np.diff(begins, append=len(places))
    touched = places[begins] // layout.height
    firsts = np.flatnonzero(np.diff(touched, prepend=-1))
    most = np.maximum.reduceat(repeats, firsts) if len(firsts) else repeats
    return np.bincount(touched[firsts] % layout.groups, most, layout.groups).astype(np.int64)


def shared_out(weights: Loads, copies: npt.NDArray[np.int32], more: int) -> npt.NDArray[np.int32]:
    """Return the copies of groups with `more` given out one by one, each to the largest weight per copy."""
    copies = copies.copy()
    heap = [
        (-weight / count, g)
        for g, (weight, count) in enumerate(zip(weights.tolist(), copies.tolist(), strict=True))
        if weight > 0
    ]
    heapq.heapify(heap)
    for _ in range(more if heap else 0):
        g = heap[0][1]
        copies[g] += 1
        heapq.heapreplace(heap, (-float(weights[g]) / int(copies[g]), g))
    return copies


def replicate(
    layout: Layout,
    history: Trace,
    budget: float,
    rule: str | Copies = "load",
    *,
    batch: int = 256,
    loads: Loads | None = None,
    most: int = MOST_INSTANCES,
) -> Layout:
    """Return the layout with more copies of its groups.

    `budget`: instances over the fewest groups that hold every row once, at most; `most`: instances, at most, such as a chip has
    seats for, but always one copy of each group. `rule`: a choice of stage copies. `batch`: bags that are served together, for
    rule "log". `loads` float (groups,), of at least 0: what each group is asked for, where that is not the number of its
    activations in the history, such as the time that they take. Copies that the layout has are taken back first. Raises
    OptionError for an unknown rule, a batch below 1, a budget below one copy of each group, a history of other rows, or loads
    that are not one number for each group.
    """
    copies = built("copies", rule, {})
    assert isinstance(copies, Copies)
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
        raise OptionError(f"a batch is a whole number of bags from 1, not {batch!r}")
    single = layout.with_copies(np.ones(layout.groups, dtype=np.int32))
    more = max(min(instances_within(single, budget), most) - layout.groups, 0)
    touched = activations(single, history).astype(np.float64)
    if loads is not None:
        if not copies.makes:
            raise OptionError(f"loads change nothing by rule {copies.name!r}")
        if loads.shape != touched.shape or not np.isfinite(loads).all() or loads.min(initial=0.0) < 0:
            raise OptionError(f"loads are a finite number from 0 for each of {layout.groups} groups")
        touched = loads
    weights = copies.weights(touched, max(history.bags / int(batch), 1.0))
    return single.with_copies(shared_out(weights, single.copies, more), rule=copies.name, budget=float(budget))
