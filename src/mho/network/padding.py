"""Padding of any mode, in front of and behind each axis; negative widths cut off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mho.errors import NetworkError, choices
from mho.network.builder import Builder
from mho.network.geometry import bounded

MODES = ("constant", "reflect", "edge", "wrap")
"""By a value; by mirroring at the edge element; by repeating it; by going round."""


def pad(
    builder: Builder, x: str, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
) -> str:
    """Append a padding. All modes but "constant" move values only (`Take`)."""
    if mode not in MODES:
        raise NetworkError(f"padding mode {mode!r} is not known; {choices(mode, MODES)}")
    for axis, (front, behind) in enumerate(zip(before, after, strict=True)):
        low, high = max(0, -front), max(0, -behind)
        if low or high:
            x = builder.slice(x, axis, low, builder.shape(x)[axis] - high, part="cut")
    widths = [(max(0, front), max(0, behind)) for front, behind in zip(before, after, strict=True)]
    if mode == "constant":
        return builder.pad(x, [front for front, _ in widths], [behind for _, behind in widths], value=value)
    wide = [axis for axis, width in enumerate(widths) if any(width)]
    for axis in wide:
        bounded(builder.shape(x)[axis] + sum(widths[axis]), "a padded axis")
        places = np.pad(np.arange(builder.shape(x)[axis]), widths[axis], mode=mode)  # type: ignore[call-overload]
        x = builder.take(x, axis, places.tolist(), None if axis == wide[-1] else f"axis_{axis}")
    return x
