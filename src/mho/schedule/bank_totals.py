"""What states cost with each of a tensor's bundles of banks, in compiled code: most of the time that choosing banks takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Integers = npt.NDArray[np.int64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def totals(
    left: Integers, cost: Integers, begins: Integers, codes: Integers, prices: Integers, guard: int, never: int
) -> Integers:
    """Return the least cost of shape (begins, bundles), of the states from each of `begins` on up to the next.

    It is `never` where a bundle takes more banks than are left. `left`, shape (sets, states): the banks that are free beside each
    set of tensors, with the bits of `guard`, which a difference keeps where it is not below zero. `codes` and `prices`, shape
    (bundles,): the banks of each bundle, and what it adds.
    """
    table = np.full((len(begins), len(codes)), never)
    for lot in range(len(begins)):
        row = table[lot]
        for state in range(begins[lot], begins[lot + 1] if lot + 1 < len(begins) else len(cost)):
            for bundle in range(len(codes)):
                fits = True
                for each in range(len(left)):
                    fits &= (left[each, state] - codes[bundle]) & guard == guard
                if fits:
                    row[bundle] = min(row[bundle], cost[state] + prices[bundle])
    return table
