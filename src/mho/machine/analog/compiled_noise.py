"""Conversions with noise of their own, compiled: products of bytes as in `compiled`, then noise and ADC, column by column.

For inputs of one bit a step, whose squares are themselves, so that the same masked rows give sums and their variances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from mho.machine.analog.compiled import NEVER, SPARE, TOGETHER, _clip_rows, _copy, _driven, _plane, _scratch
from mho.machine.analog.dot import LANES
from mho.machine.analog.noise import normal


@njit(cache=True)  # type: ignore[untyped-decorator]
def _products(
    rows: Any,
    count: Any,
    lower: Any,
    upper: Any,
    first: Any,
    vectors: Any,
    lows: Any,
    highs: Any,
    targets: Any,
    products: Any,
    more: Any,
) -> None:
    """Multiply rows with weights of two bytes: `products` (rows, 16 x vectors) in one row after another; `more` is scratch."""
    width = vectors * LANES
    data, stride, out = rows.ctypes.data, rows.strides[0], targets.ctypes.data
    products[: (count + SPARE) * width] = 0
    for r in range(count + SPARE):
        targets[r] = products.ctypes.data + r * width * 4
    _clip_rows(data, count, stride, lower, first, vectors, lows, highs, out)
    if upper.shape[0] > 0:
        more[: (count + SPARE) * width] = 0
        for r in range(count + SPARE):
            targets[r] = more.ctypes.data + r * width * 4
        _clip_rows(data, count, stride, upper, first, vectors, lows, highs, out)
        for j in range(count * width):
            products[j] += more[j] << 8


@njit(cache=True)  # type: ignore[untyped-decorator]
def noisy(
    x: Any, lower: Any, upper: Any, variance_lower: Any, variance_upper: Any, chunks: Any, gain: Any, offset: Any,
    floor: Any, unit: Any, variance_unit: Any, planes: Any, low: Any, high: Any, columns: Any, numbers: Any, key: Any,
    table: Any, sums: Any,
) -> Any:  # fmt: skip
    """Convert windows x (windows, height), one bit a step, each sum with its own noise; return how many clipped.

    Weights and variances are two signed bytes, packed; variances are in `variance_unit` levels^2, weights in `unit` levels. gain,
    offset float32 and floor float64 (vectors x 16,): the ADC, and the variance of its own noise. numbers: uint64
    (windows,), the number of each window's first conversion of its first step. Adds to sums, int32 (windows, vectors x 16).
    """
    windows = len(x)
    copies, words, rows, owner, targets, driven = _scratch(lower.shape[1], planes, TOGETHER)
    room = len(rows)
    lows, highs = np.full(room, -NEVER, np.int32), np.full(room, NEVER, np.int32)
    products, spread, more = (
        np.zeros(room * 64, dtype=np.int32), np.zeros(room * 64, dtype=np.int32), np.zeros(room * 64, dtype=np.int32)
    )  # fmt: skip
    idle = True
    for j in range(columns):
        idle &= offset[j] == 0 and floor[j] == 0
    clipped = 0
    for begin in range(0, windows, TOGETHER):
        together = min(TOGETHER, windows - begin)
        _copy(x, begin, together, copies)
        _driven(words, together, 1, planes, driven)
        for p in range(planes):
            count = _plane(words, together, idle, driven, p, 1, rows, owner, begin)
            scale, code_scale = 1.0 / (1 << p), np.int32(1 << p)
            for c in range(chunks.shape[0]):
                first, vectors = chunks[c]
                width = vectors * LANES
                _products(rows, count, lower, upper, first, vectors, lows, highs, targets, products, more)
                if variance_lower.shape[0] > 0:
                    _products(
                        rows, count, variance_lower, variance_upper, first, vectors, lows, highs, targets, spread, more
                    )
                last = min(width, columns - first * LANES)
                for r in range(count):
                    number = numbers[owner[r]] + np.uint64(p * columns + first * LANES)
                    target = sums[owner[r], first * LANES : first * LANES + width]
                    for j in range(last):
                        k = first * LANES + j
                        variance = floor[k] + spread[r * width + j] * scale * variance_unit
                        value = products[r * width + j] * scale
                        value += np.sqrt(variance) / unit * normal(number + np.uint64(j), key, table)
                        code = np.rint(np.float32(value) * gain[k] + offset[k])
                        kept = min(max(code, low), high)
                        clipped += code != kept
                        target[j] += np.int32(kept) * code_scale
    return clipped
