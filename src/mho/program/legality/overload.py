"""Is more work done in any stretch of time than it has room for?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]


def overload(starts: Times, ends: Times, demand: Times, slack: float) -> tuple[float, float] | None:
    """Find a stretch of time in which more seconds of work are both begun and ended than it has."""
    order = np.argsort(ends, kind="stable")
    begun, ended, work = starts[order], ends[order], demand[order]
    origins = np.unique(begun)
    if not _crowded(begun, ended, work, origins, slack):
        return None
    for origin in origins:
        inside = begun >= origin - slack
        within = np.cumsum(np.where(inside, work, 0.0))
        over = inside & (within > (ended - origin) * (1 + 1e-6) + 2 * slack)
        if over.any():
            return float(origin), float(ended[over][0])
    return None


def _crowded(begun: Times, ended: Times, work: Times, origins: Times, slack: float) -> bool:
    """Return True if a stretch from one of the ascending `origins` has, or nearly has, more work than it takes.

    Work comes in the order in which it ends, and counts for every origin that it begins at or after. For each origin the work so
    far is kept with what is allowed at time 0 taken off, in pieces of a square root of them, each with what was added to all of
    it and its maximum: a step touches one piece and the list of pieces.
    """
    size = max(int(len(origins) ** 0.5), 1)
    pieces = -(-len(origins) // size)
    sums = np.full((pieces, size), -np.inf)
    sums.ravel()[: len(origins)] = origins * (1 + 1e-6)
    most, added = sums.max(axis=1, initial=-np.inf), np.zeros(pieces)
    reached = np.searchsorted(origins, begun + slack, side="right")
    for count, end, more in zip(reached.tolist(), ended.tolist(), work.tolist(), strict=True):
        piece, rest = divmod(count, size)
        added[:piece] += more
        fullest = (added[:piece] + most[:piece]).max(initial=-np.inf)
        if rest:
            sums[piece, :rest] += more
            most[piece] = sums[piece].max()
            fullest = max(fullest, sums[piece, :rest].max() + added[piece])
        if fullest > end * (1 + 1e-6) + slack:
            return True
    return False
