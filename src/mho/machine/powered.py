"""What of a chip is powered when: all of it always, but for what its file says is switched off (`unused`, `external_io`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.machine.streaming import StreamTiming
from mho.machine.timing import Timing
from mho.machine.usage import usage
from mho.program import Program
from mho.program.columns import columns

Floats = npt.NDArray[np.float64]
LINKS = "external_io"


def powered(program: Program) -> tuple[dict[str, int], int]:
    """Return how many instances of each component are powered all the time, and how many links only while data cross them.

    All of the chip, main memory included, banks left out; where what is unused is gated, what the program uses of it.
    """
    chip = program.chip
    count = usage(program).count if chip.spec.unused == "gated" else chip.costs.count
    always = {role: count(role) for role in chip.leakage_w if chip.costs.may_leak(role)}
    links = always.pop(LINKS, 0) if chip.spec.external_io == "when_used" else 0
    return always, links


def crossing_s(program: Program, timing: Timing, first: int, last: int, until: Floats) -> Floats:
    """Return for how long instructions [first, last) have moved data on or off the chip until each time, in s, shape of `until`.

    A write fetches its level changes as long as it lasts; times in which several move data count once.
    """
    moving = np.arange(first, last)[_moved(program)[first:last]]
    return _covered_s(timing.starts[moving], timing.ends[moving], until)


def steady_crossing_s(program: Program, stream: StreamTiming) -> float:
    """Return for how long data cross the links in an interval of the steady stream, in s: of all inferences that are under way."""
    moving = _moved(program)[program.setup :]
    edges = stream.starts[[stream.watched.start, stream.watched.stop]].min(axis=1)
    begun, ended = _covered_s(stream.starts[:, moving].ravel(), stream.ends[:, moving].ravel(), edges)
    return float(ended - begun) / len(stream.watched)


def _moved(program: Program) -> npt.NDArray[np.bool_]:
    """Return which instructions move data on or off the chip, shape (instructions,)."""
    table = columns(program)
    return np.asarray(table.moved_bytes + table.order_bytes + table.size > 0)


def _covered_s(starts: Floats, ends: Floats, until: Floats) -> Floats:
    """Return for how long any of some stretches has lasted until each time, in s, shape of `until`."""
    lasting = ends > starts
    starts, ends = starts[lasting], ends[lasting]
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    # Of each stretch what no earlier one has covered.
    covered = np.concatenate([[-np.inf], ends])
    starts = np.maximum(starts, covered[:-1])
    lasted = np.concatenate([[0.0], np.cumsum(ends - starts)])
    begun = np.searchsorted(starts, until, side="right")
    # Of those that have begun, at most the last is not over.
    return np.asarray(lasted[begun] - np.maximum(covered[begun] - until, 0.0))
