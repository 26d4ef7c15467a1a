"""Outputs put into passes in which no two use the same vector, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)  # type: ignore[untyped-decorator]
def put(masks: Any, left: Any, counts: Any) -> int:
    """Put outputs, whose vectors are the set bits of masks uint64 (outputs, words), each into the first pass that has them left.

    `left` uint64 (outputs, words): what each pass has left, all at first; `counts` int64 (outputs,): the outputs in each. Both are
    changed. Returns the number of passes. Outputs without vectors are left out.
    """
    used = 0
    words = masks.shape[1]
    for output in range(len(masks)):
        empty = True
        for word in range(words):
            if masks[output, word] != np.uint64(0):
                empty = False
        if empty:
            continue
        place = used
        for candidate in range(used):
            fits = True
            for word in range(words):
                if masks[output, word] & ~left[candidate, word] != np.uint64(0):
                    fits = False
                    break
            if fits:
                place = candidate
                break
        used = max(used, place + 1)
        for word in range(words):
            left[place, word] &= ~masks[output, word]
        counts[place] += 1
    return used
