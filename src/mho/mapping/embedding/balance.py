"""An area budget split between copies of rows and copies of groups (ours): what makes batches of bags that were held out
shortest.

Copies of rows make bags touch fewer groups; copies of groups spread what is touched. The longest queue of a batch counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mho.errors import OptionError
from mho.mapping.embedding.area import instances_within
from mho.mapping.embedding.cover import cover
from mho.mapping.embedding.group import held_out
from mho.mapping.embedding.layout import Layout
from mho.mapping.embedding.replicate import replicate
from mho.mapping.embedding.spread import spread
from mho.network.trace.trace import Trace

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def longest_queue(layout: Layout, trace: Trace, batch: int = 256) -> float:
    """Return the mean over batches of consecutive bags of the most activations that an instance serves.

    The bags of a batch that touch a group are shared evenly among its copies: ceil(bags / copies).
    """
    if batch < 1:
        raise OptionError(f"a batch is a whole number of bags from 1, not {batch!r}")
    if not trace.bags:
        return 0.0
    group, _, _ = cover(layout, trace.offsets, trace.flat)
    bag = np.repeat(np.arange(trace.bags, dtype=np.int64), trace.lengths)
    once = np.unique(bag * layout.groups + group)
    cells, counts = np.unique(
        (once // layout.groups // batch) * layout.groups + once % layout.groups, return_counts=True
    )
    queues = -(-counts // layout.copies[cells % layout.groups])
    longest = np.zeros(-(-trace.bags // batch), dtype=np.int64)
    np.maximum.at(longest, cells // layout.groups, queues)
    return float(longest.mean())


def balance(
    layout: Layout,
    history: Trace,
    budget: float,
    rule: str = "load",
    *,
    batch: int = 256,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> Layout:
    """Return the layout with copies of rows and of groups within a budget.

    Of each share of what the budget leaves, extra groups are made (`spread`), of the rest copies of groups (`replicate`),
    from four fifths of the history; the share with the shortest batches of the rest of it (`longest_queue`; of equal ones the
    fewer groups touched) is taken for all of the history. The layout is taken as it is, with one copy of each group: where it
    was made from the same history, it knows the bags that are held out, for all shares alike. Errors as `spread` and
    `replicate`; OptionError for shares outside 0 to 1.
    """
    if not shares or any(not 0 <= share <= 1 for share in shares):
        raise OptionError(f"shares of a budget are numbers from 0 to 1, not {tuple(shares)!r}")
    single = layout.with_copies(np.ones(layout.groups, dtype=np.int32))
    extra = instances_within(single, budget) - single.instances
    known, unknown = held_out(history, seed)

    def made(share: float, bags: Trace) -> Layout:
        part = single.instances + int(share * extra)
        # As a ratio it names exactly so many groups.
        wide = spread(single, bags, float(part) / single.least_groups + 1e-12, seed=seed)
        return replicate(wide, bags, budget, rule, batch=batch)

    def cost(share: float) -> tuple[float, float, float]:
        found = made(share, known)
        touched = float(cover(found, unknown.offsets, unknown.flat)[2].sum())
        return longest_queue(found, unknown, batch), touched, share

    share = min(cost(share) for share in shares)[2] if unknown.bags else shares[0]
    found = made(share, history)
    return found.with_copies(found.copies, row_copies_share=share)
