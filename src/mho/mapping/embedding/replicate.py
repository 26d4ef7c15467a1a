"""Copies of whole groups, so that the activations of a batch spread over them: how many each group gets within an area budget.

Every rule begins with one copy of each group and gives the copies that the budget leaves one by one, each to the group with
the largest weight per copy so far (of equal ones the first), which makes copies go with the weights:
    load    weight = activations of the group in the history (ours). No other copies within the budget have a smaller largest load
            (activations / copies): as long as the largest load is above the one wanted, its group needs another copy in any case.
    log     weight = log2(1 + activations per batch). ReCross (arXiv 2509.10627): copies go with the logarithm of a group's
            access frequency; its formula is not at hand, so this form of it is an assumption.
    even    all groups weigh the same.
    none    one copy each.
Groups that the history never touches get no further copy by load and log.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.mapping.embedding.area import instances_within
from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Trace

Loads = npt.NDArray[np.float64]

_WEIGHTS: dict[str, Callable[[Loads, float], Loads]] = {
    "log": lambda activations, batches: np.log2(1 + activations / batches),
    "load": lambda activations, batches: activations,
    "even": lambda activations, batches: np.ones(len(activations)),
    "none": lambda activations, batches: np.zeros(len(activations)),
}
RULES = tuple(_WEIGHTS)
MOST_INSTANCES = 1 << 24
"""Instances that copies are handed out to, at most: more than any chip has seats."""


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
        (-weight / held, g)
        for g, (weight, held) in enumerate(zip(weights.tolist(), copies.tolist(), strict=True))
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
    rule: str = "load",
    *,
    batch: int = 256,
    loads: Loads | None = None,
    most: int = MOST_INSTANCES,
) -> Layout:
    """Return the layout with more copies of its groups.

    `budget`: instances over the fewest groups that hold every row once, at most; `most`: instances, at most, such as a chip has
    seats for, but always one copy of each group. `rule`: see above. `batch`: bags that are
    served together, for rule "log". `loads` float (groups,), of at least 0: what each group is asked for, where that is not the
    number of its activations in the history, such as the time that they take. Copies that the layout has are taken back first.
    OptionError for an unknown rule, a batch below 1, a budget below one copy of each group, a history of other rows, or loads
    that are not one number for each group.
    """
    if rule not in _WEIGHTS:
        raise OptionError(f"unknown rule of copies {rule!r}; {choices(str(rule), RULES)}")
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
        raise OptionError(f"a batch is a whole number of bags from 1, not {batch!r}")
    single = layout.with_copies(np.ones(layout.groups, dtype=np.int32))
    more = max(min(instances_within(single, budget), most) - layout.groups, 0)
    touched = activations(single, history).astype(np.float64)
    if loads is not None:
        if rule not in ("log", "load"):
            raise OptionError(f"loads change nothing by rule {rule!r}")
        if loads.shape != touched.shape or not np.isfinite(loads).all() or loads.min(initial=0.0) < 0:
            raise OptionError(f"loads are a finite number from 0 for each of {layout.groups} groups")
        touched = loads
    weights = _WEIGHTS[rule](touched, max(history.bags / int(batch), 1.0))
    return single.with_copies(shared_out(weights, single.copies, more), rule=rule, budget=float(budget))
