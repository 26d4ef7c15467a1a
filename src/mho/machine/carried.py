"""What channels carry over time, worked out in compiled code from when instructions start and end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from mho.machine.clock import enter, fill, new_flows

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def carried(
    lasts: Floats,
    share: Floats,
    use_starts: Integers,
    use_channel: Integers,
    use_bytes: Floats,
    rates: Floats,
    starts: Floats,
    ends: Floats,
    times: Floats,
    watched: Integers,
) -> Floats:
    """Return what `watched` channels carry from each of `times` to the next, in byte/s, where these are all starts and ends.

    Shape (watched, times); instructions as `clock` takes them. What takes no time at all does not show.
    """
    flows, every = new_flows(share, use_starts, use_channel, use_bytes, rates), np.arange(len(rates))
    lasting = np.flatnonzero((ends > starts) & (np.diff(use_starts) > 0))
    begun, active = lasting[np.argsort(starts[lasting], kind="mergesort")], np.zeros(len(lasting), np.int64)
    heap = [(0.0, 0, 0)]
    for i in lasting:
        enter(flows, i, lasts[i], 0.0, heap)
    out, count, at = np.zeros((len(watched), len(times))), 0, 0
    for t in range(len(times)):
        still = 0
        for k in range(count):
            if ends[active[k]] > times[t]:
                active[still] = active[k]
                still += 1
        count = still
        while at < len(begun) and starts[begun[at]] <= times[t]:
            active[count] = begun[at]
            count, at = count + 1, at + 1
        under_way = active[:count]
        fill(under_way, every, flows.wish, share, (use_starts, use_channel, use_bytes), rates, flows.fresh)
        for i in under_way:
            for e in range(use_starts[i], use_starts[i + 1]):
                for k in range(len(watched)):
                    if use_channel[e] == watched[k]:
                        out[k, t] += flows.fresh[i] * use_bytes[e] / share[i]
    return out
