"""Rows that the history never looks up: the choices of stage new_rows, one of which scatters them over all groups (ours).

A grouping knows nothing of them and packs them together. But new rows are asked for in bursts, many bags at a time asking for those
next to each other, and the one array that holds them all would have a queue. In runs of a few neighbours they still share
activations, and their load is spread.
"""

from __future__ import annotations

import numpy as np

from mho.errors import OptionError
from mho.mapping.embedding.layout import Layout
from mho.network.trace.trace import Trace
from mho.strategy.choice import Choice, choice, setting

RUN = 8
"""Neighbours that stay together."""


class NewRows(Choice):
    """A rule for the rows that the history never looks up, which every choice of stage new_rows is."""

    stage = "new_rows"

    def moved(self, layout: Layout, history: Trace) -> Layout:
        """Return the layout with these rows where they are to be."""
        return layout


@choice("new_rows", "packed")
class Packed(NewRows):
    """Rows new to the history stay where the grouping has room for them."""


@choice("new_rows", "scattered")
class Scattered(NewRows):
    """Rows new to the history are scattered over the groups in runs of neighbours."""

    run: int = setting(
        default=RUN, least=1, most=2**31, option="run_length", help="Neighbours that stay together.", metavar="N"
    )

    def moved(self, layout: Layout, history: Trace) -> Layout:
        """Return the layout with the rows that the history never looks up scattered over its groups."""
        return scatter(layout, history, self.run)


def scatter(layout: Layout, history: Trace, run: int = RUN) -> Layout:
    """Return the layout with the rows that the history never looks up in runs of `run` neighbours, one after another in the groups
    whose least used rows are used least.

    Groups keep their sizes. Runs take the wordlines of these rows, which go where runs came from. A layout of which
    the history looks up every row, or none, is returned as it is. Raises OptionError for a run
    below 1, and for a history of other rows.
    """
    if isinstance(run, bool) or not isinstance(run, int) or run < 1:
        raise OptionError(f"a run is a whole number of rows from 1, not {run!r}")
    if history.total_rows != layout.rows:
        raise OptionError(f"the history has {history.total_rows} rows, the layout {layout.rows}")
    counts = np.bincount(history.flat, minlength=layout.rows)
    idle = np.flatnonzero(counts == 0)
    if not len(idle) or len(idle) == layout.rows:
        return layout
    sizes = np.diff(layout.starts)
    group = layout.group
    # Runs go to the groups that have least to lose by it: as many as there are runs, or all, more than once.
    runs = -(-len(idle) // run)
    share = -(-runs // layout.groups) * run
    order = np.lexsort((np.arange(layout.rows), counts, group))
    rank = np.arange(layout.rows) - np.repeat(layout.starts[:-1], sizes)
    least = rank < share
    loss = np.bincount(group[order[least]], weights=counts[order[least]], minlength=layout.groups)
    chosen = np.sort(np.argsort(loss, kind="stable")[: -(-runs * run // share)])
    # Those give up their rows that are looked up least, and all groups their idle ones.
    given_up = np.zeros(layout.rows, dtype=np.bool_)
    given_up[order] = (least & np.isin(group[order], chosen)) | (counts[order] == 0)
    free = np.bincount(group[given_up], minlength=layout.groups)
    new = np.where(given_up, -1, group)
    turn = 0
    for low in range(0, len(idle), run):
        rows = idle[low : low + run]
        while len(rows):
            for _ in range(len(chosen)):
                place = int(chosen[turn])
                turn = (turn + 1) % len(chosen)
                if free[place] >= len(rows):
                    break
            else:
                # Nowhere is room for the whole run: where there is most.
                place = int(free.argmax())
            fitting, rows = rows[: free[place]], rows[free[place] :]
            new[fitting] = place
            free[place] -= len(fitting)
    # Rows that were given up stay where they were as far as there is room left, the most frequent first.
    cold = np.flatnonzero(given_up & (counts > 0))
    cold = cold[np.lexsort((cold, -counts[cold], group[cold]))]
    among = np.arange(len(cold)) - np.searchsorted(group[cold], group[cold])
    stay = among < free[group[cold]]
    new[cold[stay]] = group[cold[stay]]
    free -= np.bincount(group[cold[stay]], minlength=layout.groups)
    new[np.sort(cold[~stay])] = np.repeat(np.arange(layout.groups), free)
    moved = Layout.of(new, layout.height, layout.method, {**layout.options, "run": run})
    return moved.with_copies(layout.copies)
