"""What a sweep is over, and what it comes to: names of axes with their units, places on an axis, and a sentence that concludes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mho.chip.spec import ChipSpec
from mho.machine.analog.devices.reader import keys
from mho.quantity import marks
from mho.report import accuracy_text as text

if TYPE_CHECKING:
    from mho.machine.sweep import Sweep

UNITS = {
    "adc.bits": "bits", "adc.effective_bits": "bits", "adc.limit": "levels x input steps", "adc.percentile": "%",
    "adc.offset_error": "steps of the ADC", "age_s": "s", "writes": "writes a cell",
    "wires.row_ohm": "ohm a segment", "wires.column_ohm": "ohm a segment",
}  # fmt: skip
"""Units of the keys of an analog file; a key that is not here has none."""
OF_DEVICE = {"S": "S", "s": "s", "range": "as a share"}
"""Units of a device's keys by those of its bare values."""
LOSS = 0.01
"""Accuracy that a point of a sweep may lose and still count as good: one point of a hundred."""
CLOSEST = 0.3
"""The least distance of neighbours over the mean distance: closer ones are told apart on a logarithmic axis only."""


def unit(key: str) -> str:
    """Return the unit of a swept parameter, as bare values of it are meant; nothing where it has none."""
    head, _, tail = key.partition(".")
    if head == "device":
        known = keys()
        return OF_DEVICE.get((known[tail].unit or "") if tail in known else "", "")
    if head != "chip":
        return UNITS.get(key, "")
    mark = marks(ChipSpec).get(tail)
    return "" if mark is None else mark.unit or ""


def axis(key: str) -> str:
    """Name an axis: "adc.bits in bits"."""
    told = unit(key)
    return f"{key} {told}" if told.startswith("as ") else f"{key} in {told}" if told else key


def places(values: Sequence[Any]) -> tuple[list[float], str]:
    """Return where values stand on an axis from 0 to 1, and a word on it where it is not plain: numbers at their distances,
    logarithms of them where these are too uneven, and words, or numbers down to 0 over decades, evenly spaced.
    """
    count = len(values)
    even = [(place + 0.5) / count for place in range(count)]
    if not all(isinstance(value, int | float) for value in values):
        return even, ""
    if count == 1:
        return even, ""
    for scaled, word in ((values, ""), ([math.log(v) if v > 0 else -math.inf for v in values], "logarithmic axis")):
        low, high = min(scaled), max(scaled)
        gaps = [b - a for a, b in pairwise(sorted(scaled))]
        if math.isfinite(low) and min(gaps) >= CLOSEST * (high - low) / (count - 1):
            return [0.04 + 0.92 * (value - low) / (high - low) for value in scaled], word
    return even, "values evenly spaced, not to scale"


def uneven(values: Sequence[Any]) -> bool:
    """Say whether numbers are at uneven distances, so that a table of equal cells is not to scale."""
    if len(values) < 3 or not all(isinstance(value, int | float) for value in values):
        return False
    gaps = [b - a for a, b in pairwise(values)]
    return bool(max(gaps) - min(gaps) > 1e-9 * max(abs(gap) for gap in gaps))


def conclusion(found: Sweep) -> str:
    """Say in a sentence or two where the accuracy stays within a point of the 8-bit integers, and how sure that is."""
    good = [each.accuracy >= each.in_integers - LOSS for each in found.evaluations]
    ordered = sorted(found.points, key=lambda point: point[1].accuracy)
    least, most = (f"{text.points(each.accuracy)} at {text.headline(at)}" for at, each in (ordered[0], ordered[-1]))
    best = ordered[-1][1]
    reference = {each.in_integers for each in found.evaluations}
    goal = "one point of the 8-bit integers" + (f", {text.points(reference.pop())}" if len(reference) == 1 else "")
    if all(good):
        said = f"Everywhere here accuracy stays within {goal}; the least is {least}."
    elif not any(good):
        said = f"Nowhere here does accuracy come within {goal}; the most is {most}."
    elif len(found.over) == 1:
        said = f"{_where(found, good)} accuracy is within {goal}; the least is {least}."
    else:
        said = f"At {sum(good)} of {len(good)} points accuracy is within {goal}; the most is {most}, the least {least}."
    low, high = best.sample_interval
    half = (high - low) / 2
    if half > LOSS:
        said += f" {best.samples} samples leave ± {100 * half:.1f} points open, too much to be sure of one; more samples narrow it."
    return said


def _where(found: Sweep, good: Sequence[bool]) -> str:
    """Say at which values of one parameter points are good: "From adc.bits 7 on", "Up to age_s 3600", "At adc.bits 5, 7"."""
    ((key, values),) = found.over
    if all(isinstance(value, int | float) for value in values):
        ranked = sorted(zip(values, good, strict=True))
        flags = [flag for _, flag in ranked]
        count = sum(flags)
        if flags == [False] * (len(flags) - count) + [True] * count:
            return f"From {key} {text.value(ranked[-count][0])} on"
        if flags == [True] * count + [False] * (len(flags) - count):
            return f"Up to {key} {text.value(ranked[count - 1][0])}"
    return f"At {key} {', '.join(text.value(value) for value, flag in zip(values, good, strict=True) if flag)}"
