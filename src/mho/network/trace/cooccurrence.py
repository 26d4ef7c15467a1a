"""How strongly rows occur together: the lift of pairs of one bag, each judged by the other bags.

Draw a look-up, then another row of its bag: a pair (a, b). In the other bags let c(a) be the bags that hold a, m(a, b) the sum of
1 / (L - 1) over those that hold both, L being the distinct rows of a bag, and C the sum of L. Were the rows of a bag drawn one by
one, each in proportion to c, m would be c(a) c(b) / C on average. The lift of the pair is m over this, and that of the trace the
mean over pairs: 1 where rows occur together only as often as their popularity makes them, more where they keep company.
Since a pair's own bag does not count, a trace of chance has no lift, however short. Lift: Brin, Motwani, Ullman, Tsur, Dynamic
itemset counting, SIGMOD 1997 (there called interest); here with bags weighted so that each look-up counts the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from mho.network.trace.pieces import sorted_distinct

PAIRS = 20_000
"""Pairs drawn."""

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cooccurrence:
    """`lift` of the pairs drawn and its standard error, None where no pair's rows occur elsewhere; `popular_lift` is the sum of
    all m over the sum of all that was expected, in which popular pairs count most; `pairs` drawn, of them `judged` by other bags.
    """

    lift: float | None
    error: float | None
    popular_lift: float | None
    pairs: int
    judged: int


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _meet(a: Integers, b: Integers, own: Integers, starts: Integers, bags: Integers, lengths: Integers) -> Reals:
    """Return m(a, b) without the own bag: both rows' bags rise, and are walked along together."""
    sums = np.zeros(len(a))
    for i in range(len(a)):
        left, right = starts[a[i]], starts[b[i]]
        left_end, right_end = starts[a[i] + 1], starts[b[i] + 1]
        while left < left_end and right < right_end:
            if bags[left] < bags[right]:
                left += 1
            elif bags[left] > bags[right]:
                right += 1
            else:
                if bags[left] != own[i]:
                    sums[i] += 1.0 / (lengths[bags[left]] - 1)
                left += 1
                right += 1
    return sums


def cooccurrence(lengths: Integers, flat: npt.NDArray[np.int32], rows: int, seed: int = 0) -> Cooccurrence:
    """Measure bags of `lengths` look-ups that follow each other in `flat`, of `rows` rows; a row twice in a bag counts once."""
    keys = sorted_distinct(np.repeat(np.arange(len(lengths)), lengths) * rows + flat)
    bag, row = keys // rows, keys % rows
    lengths = np.bincount(bag, minlength=len(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    partnered = np.flatnonzero(lengths[bag] > 1)
    if not len(partnered):
        return Cooccurrence(None, None, None, 0, 0)
    generator = np.random.default_rng(seed)
    samples = partnered[generator.integers(0, len(partnered), PAIRS)]
    own = bag[samples]
    place = samples - offsets[own]
    # Another place of the same bag, each as likely.
    other = offsets[own] + (place + 1 + generator.integers(0, lengths[own] - 1)) % lengths[own]
    a, b = row[samples], row[other]
    # Bags of one row hold no pair; they count neither in c nor in C.
    bag, row = bag[partnered], row[partnered]
    order = np.argsort(row, kind="stable")
    counts = np.bincount(row, minlength=rows)
    starts = np.concatenate([[0], np.cumsum(counts)])
    met = _meet(a, b, own, starts, bag[order], lengths)
    expected = (counts[a] - 1) * (counts[b] - 1) / np.maximum(len(partnered) - lengths[own], 1)
    judged = expected > 0
    count = int(judged.sum())
    if not count:
        return Cooccurrence(None, None, None, PAIRS, 0)
    lifts = met[judged] / expected[judged]
    error = float(lifts.std() / np.sqrt(count))
    return Cooccurrence(float(lifts.mean()), error, float(met.sum() / expected.sum()), PAIRS, count)
