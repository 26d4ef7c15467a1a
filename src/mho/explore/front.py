"""The best of many designs where several costs count: non-dominated front, Pareto ranks, hypervolume, importance of parameters.

    costs = np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0]])      a design a row, an aim a column; less is better
    non_dominated(costs)                                        [True, True, False]
    hypervolume(costs, (4.0, 5.0))                              7.0
    hypervolume(decades(costs, costs[2]), 0)                    in decades^2 from the last design

A design dominates another if it is at most as costly in every aim and less costly in one. Designs of equal costs do not dominate
each other, so all of them stay.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def _checked(costs: npt.ArrayLike) -> FloatArray:
    """Return costs as float64 (designs, aims). OptionError for another form, and for what is not a number."""
    array = np.asarray(costs, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise OptionError(f"costs are (designs, aims) with at least one aim, not an array of shape {array.shape}")
    if np.isnan(array).any():
        raise OptionError(f"costs are numbers, but design {int(np.isnan(array).any(axis=1).argmax())} has a NaN")
    return array


def non_dominated(costs: npt.ArrayLike) -> BoolArray:
    """Return which designs (designs, aims) no other dominates, bool (designs,), in O(designs x front).

    OptionError for costs that are not numbers.
    """
    array = _checked(costs)
    if not len(array):
        return np.zeros(0, dtype=np.bool_)
    unique, inverse = np.unique(array, axis=0, return_inverse=True)
    # Rows are in the order of their first aim, then the second ...: what is first cannot be dominated by what comes after.
    kept = np.zeros(len(unique), dtype=np.bool_)
    places = np.arange(len(unique))
    while len(places):
        first, places = places[0], places[1:]
        kept[first] = True
        places = places[(unique[places] < unique[first]).any(axis=1)]
    return kept[inverse.reshape(-1)]


def ranks(costs: npt.ArrayLike) -> IntArray:
    """Return the Pareto rank of each design (designs, aims), int64 (designs,): 0 on the front, 1 on that of the rest, and so on.

    By binary search among the fronts so far (efficient non-dominated sorting: Zhang et al., IEEE Trans. Evol. Comput. 19(2), 2015).
    OptionError for costs that are not numbers.
    """
    array = _checked(costs)
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    unique, inverse = np.unique(array, axis=0, return_inverse=True)
    fronts: list[Front] = []
    rank = np.zeros(len(unique), dtype=np.int64)
    for number, row in enumerate(unique):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if fronts[middle].dominates(row) else (low, middle)
        if low == len(fronts):
            fronts.append(Front(array.shape[1]))
        fronts[low].add(number, row)
        rank[number] = low
    return rank[inverse.reshape(-1)]


class Front:
    """The designs that none dominates of all that were added, one after another. Memory is that of the front alone.

    front = Front(aims=2)
    front.add(0, (3.0, 3.0))      True
    front.add(1, (2.0, 2.0))      True: it dominates design 0, which goes
    front.numbers                 [1]
    """

    def __init__(self, aims: int) -> None:
        if aims < 1:
            raise OptionError(f"a front has at least one aim, not {aims}")
        self._costs = np.empty((16, aims))
        self._numbers = np.empty(16, dtype=np.int64)
        self._size = 0

    def __len__(self) -> int:
        """Count the designs on the front."""
        return self._size

    @property
    def numbers(self) -> IntArray:
        """The numbers of the designs on the front, int64 (front,), in the order in which they were added."""
        return self._numbers[: self._size].copy()

    @property
    def costs(self) -> FloatArray:
        """Their costs, float64 (front, aims)."""
        return self._costs[: self._size].copy()

    def dominates(self, costs: npt.ArrayLike) -> bool:
        """Return True if a design on the front dominates these costs (aims,)."""
        point = self._point(costs)
        front = self._costs[: self._size]
        return bool(((front <= point).all(axis=1) & (front < point).any(axis=1)).any())

    def add(self, number: int, costs: npt.ArrayLike) -> bool:
        """Add a design with its costs (aims,), in O(front); return False if one on the front dominates it."""
        point = self._point(costs)
        if self.dominates(point):
            return False
        front = self._costs[: self._size]
        kept = ~((point <= front).all(axis=1) & (point < front).any(axis=1))
        size = int(kept.sum())
        if size < self._size:
            self._costs[:size] = front[kept]
            self._numbers[:size] = self._numbers[: self._size][kept]
        if size == len(self._costs):
            self._costs = np.concatenate([self._costs, np.empty_like(self._costs)])
            self._numbers = np.concatenate([self._numbers, np.empty_like(self._numbers)])
        self._costs[size], self._numbers[size], self._size = point, number, size + 1
        return True

    def _point(self, costs: npt.ArrayLike) -> FloatArray:
        point: FloatArray = _checked(np.reshape(np.asarray(costs, dtype=np.float64), (1, self._costs.shape[1])))[0]
        return point


def decades(costs: npt.ArrayLike, reference: npt.ArrayLike) -> FloatArray:
    """Return costs (designs, aims) in decades from those of a reference (aims,): -1 is ten times better, whatever the unit.

    Aims of which more is better are costs below 0; -1 is ten times more of them. OptionError where a cost and its reference do not
    have one sign, or are 0 or infinite: there are no decades between them.
    """
    array, base = _checked(costs), np.asarray(reference, dtype=np.float64)
    if base.shape != array.shape[1:]:
        raise OptionError(f"a reference has a cost for each of {array.shape[1]} aims, not the shape {base.shape}")
    ratio = np.divide(array, base, out=np.full_like(array, np.nan), where=(base != 0) & np.isfinite(base))
    if not ((ratio > 0) & np.isfinite(ratio)).all():
        raise OptionError("decades are between costs of one sign, neither 0 nor infinite")
    return np.log10(ratio) * np.sign(base)


def hypervolume(costs: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return the volume of all that is no better than a design (designs, aims) and better than the reference: exact.

    The reference has a cost for each aim, or one for all. A design that is not better than it in every aim adds nothing. Sorted
    sweeps for one to three aims; more by slices, each of which is a limited set of one aim less (While, Bradstreet, Barone:
    "A fast way of calculating exact hypervolumes", IEEE Trans. Evol. Comput. 16(1), 2012). OptionError for costs that are not
    numbers, or not finite where they count.
    """
    array = _checked(costs)
    extents = np.broadcast_to(np.asarray(reference, dtype=np.float64), array.shape[1:]) - array
    extents = extents[(extents > 0).all(axis=1)]
    if not np.isfinite(extents).all():
        raise OptionError("a hypervolume is of finite costs and a finite reference")
    return _volume(extents)


def _volume(extents: FloatArray) -> float:
    """Return the volume of the union of boxes (boxes, aims), each from the origin to its extents."""
    if not len(extents):
        return 0.0
    aims = extents.shape[1]
    if aims == 1:
        return float(extents.max())
    if aims == 2:
        ordered = extents[np.argsort(-extents[:, 0], kind="stable")]
        heights = np.maximum.accumulate(ordered[:, 1])
        return float((ordered[:, 0] * np.diff(heights, prepend=0.0)).sum())
    extents = extents[non_dominated(-extents)]
    if aims == 3:
        return _swept(extents[np.argsort(-extents[:, 2], kind="stable")])
    # Box by box from the lowest in the last aim on: those after it are as high, so that what is new of it is a prism.
    extents = extents[np.argsort(extents[:, -1], kind="stable")]
    total = 0.0
    for place, (*sides, height) in enumerate(extents.tolist()):
        limited = np.minimum(extents[place + 1 :, :-1], sides)
        total += height * (float(np.prod(sides)) - _volume(limited))
    return total


def _swept(boxes: FloatArray) -> float:
    """Return the volume of boxes (boxes, 3), the highest first: the area of their union grows while the height goes down."""
    rights, tops = (
        [0.0],
        [np.inf],
    )  # The stairs of the union, from the left on; a wall on the left, the ground on the right.
    rights.append(np.inf)
    tops.append(0.0)
    area = volume = 0.0
    heights = [*boxes[:, 2].tolist(), 0.0]
    for (right, top), (height, below) in zip(boxes[:, :2].tolist(), pairwise(heights), strict=True):
        end = bisect_left(rights, right)
        if tops[end] < top:
            begin = end
            while tops[begin - 1] <= top:
                begin -= 1
            edges = [*rights[begin - 1 : end], right]
            area += sum(
                (after - before) * (top - stair)
                for (before, after), stair in zip(pairwise(edges), tops[begin : end + 1], strict=True)
            )
            rights[begin:end], tops[begin:end] = [right], [top]
        volume += area * (height - below)
    return volume


def importance(indices: npt.ArrayLike, costs: npt.ArrayLike) -> FloatArray:
    """Return how much each parameter decides of each aim, 0 to 1, float64 (parameters, aims).

    indices (designs, parameters): the number of the value that each design has of a parameter; costs (designs, aims).
    It is the share of the variance of the logarithm of a cost that the means of the designs of each value explain, less what as
    many values without effect would explain by chance (epsilon squared: T. L. Kelley, PNAS 21(9), 1935): a parameter without
    effect gets about 0, and 0 where that is negative. The cost itself is taken where it has no logarithm, being 0 or of both signs.

    Its condition: it describes these designs, not the space. Those of a search are not drawn evenly, they gather where costs are
    low: parameters that the search has settled explain little, and where two were changed together both get what one of them
    explains. So shares need not sum to 1; what only combinations of values explain is in none of them.
    OptionError for costs that are not finite numbers, and for other numbers of designs.
    """
    array, chosen = _checked(costs), np.asarray(indices, dtype=np.int64)
    if chosen.ndim != 2 or len(chosen) != len(array):
        raise OptionError(f"indices are ({len(array)} designs, parameters), not an array of shape {chosen.shape}")
    if not np.isfinite(array).all():
        raise OptionError("importance is told by finite costs")
    shares = np.zeros((chosen.shape[1], array.shape[1]))
    if len(array) < 2:
        return shares
    for aim, column in enumerate(array.T):
        if np.ptp(column) == 0:
            continue
        one_sign = (column > 0).all() or (column < 0).all()
        values = np.log(np.abs(column)) if one_sign else column
        values = values - values.mean()
        whole = float(values @ values)
        if not whole:
            continue
        for parameter in range(chosen.shape[1]):
            shares[parameter, aim] = _explained(chosen[:, parameter], values, whole)
    return shares


def _explained(chosen: IntArray, values: FloatArray, whole: float) -> float:
    """Return the corrected share of a sum of squares, `whole`, of values of mean 0 that groups of equal `chosen` explain."""
    _, group, counts = np.unique(chosen, return_inverse=True, return_counts=True)
    free = len(values) - len(counts)
    if free < 1 or len(counts) < 2:
        return 0.0
    means = np.bincount(group.reshape(-1), weights=values) / counts
    within = max(0.0, 1.0 - float(counts @ means**2) / whole)
    return min(1.0, max(0.0, 1.0 - within * (len(values) - 1) / free))


__all__ = ["Front", "decades", "hypervolume", "importance", "non_dominated", "ranks"]
