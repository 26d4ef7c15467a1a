"""Accuracy over one or two parameters, as a person should see it: table, heat map or line, and the sentence that concludes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mho.chip.spec import ChipSpec
from mho.explore.intervals import student
from mho.machine.analog.devices.reader import keys
from mho.mapping.told import integers_said
from mho.quantity import marks
from mho.report.accuracy import UNCERTAINTY, about, half_points, interval, listing, notes_of, points, rate, value
from mho.report.sections import Axis, Cell, HeatMap, Lines, Section, Series, Table, View, synthetic
from mho.report.svg import round_step

if TYPE_CHECKING:
    from mho.explore.sweeps import Sweep

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


Point = Mapping[str, Any]
"""A record of a sweep."""


def mean(point: Point) -> float:
    """Return the mean accuracy over the chips of a point."""
    return float(point["accuracy"]["mean"])


def integers(point: Point) -> float:
    """Return the accuracy of the integers at a point."""
    return float(point["accuracy"]["integers"])


def half(point: Point) -> float | None:
    """Return half of the 95 % interval over chips; None where one chip is all."""
    return student(point["accuracy"]["by_seed"]).half


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
    unit_name = unit(key)
    return f"{key} {unit_name}" if unit_name.startswith("as ") else f"{key} in {unit_name}" if unit_name else key


def places(values: Sequence[Any]) -> tuple[list[float], str]:
    """Return where values stand on an axis from 0 to 1, and a word on it where it is not plain: numbers at their distances,
    logarithms of them where these are too uneven, and words, or numbers down to 0 over decades, evenly spaced.
    """
    count = len(values)
    even = [(place + 0.5) / count for place in range(count)]
    if count == 1 or not all(isinstance(each, int | float) for each in values):
        return even, ""
    for scaled, word in ((values, ""), ([math.log(v) if v > 0 else -math.inf for v in values], "logarithmic axis")):
        low, high = min(scaled), max(scaled)
        gaps = [b - a for a, b in pairwise(sorted(scaled))]
        if math.isfinite(low) and min(gaps) >= CLOSEST * (high - low) / (count - 1):
            return [0.04 + 0.92 * (each - low) / (high - low) for each in scaled], word
    return even, "values evenly spaced, not to scale"


def uneven(values: Sequence[Any]) -> bool:
    """Say whether numbers are at uneven distances, so that a table of equal cells is not to scale."""
    if len(values) < 3 or not all(isinstance(each, int | float) for each in values):
        return False
    gaps = [b - a for a, b in pairwise(values)]
    return bool(max(gaps) - min(gaps) > 1e-9 * max(abs(gap) for gap in gaps))


def conclusion(sweep: Sweep) -> str:
    """Say in a sentence or two where the accuracy stays within a point of the integers, and how sure that is."""
    reference = set(map(integers, sweep.records))
    # Where the integers themselves change (their bits, say), what is lost is told against the best of them.
    good = [mean(point) >= max(reference) - LOSS for point in sweep.records]
    ordered = sorted(sweep.records, key=mean)
    best = ordered[-1]
    alike = len(ordered) > 1 and mean(ordered[0]) == mean(best)
    least, most = (
        f"{points(mean(point))} at {'every point' if alike else headline(point['values'])}"
        for point in (ordered[0], best)
    )
    named = integers_said(sweep.content["notes"]) if len(reference) == 1 else "best integers"
    goal = f"one point of the {named}, {points(max(reference))}"
    if all(good):
        said = f"Everywhere here accuracy stays within {goal}; the least is {least}."
    elif not any(good):
        said = f"Nowhere here does accuracy come within {goal}; the most is {most}."
    elif len(sweep.over) == 1:
        said = f"{_where(sweep, good)} accuracy is within {goal}; the least is {least}."
    else:
        said = f"At {sum(good)} of {len(good)} points accuracy is within {goal}; the most is {most}, the least {least}."
    low, high = best["accuracy"]["interval_over_samples"]
    left = (high - low) / 2
    if left > LOSS:
        said += f" {sweep.content['samples']} samples leave ± {100 * left:.1f} points open, "
        said += "too much to be sure of one; more samples narrow it."
    return said


def _where(sweep: Sweep, good: Sequence[bool]) -> str:
    """Say at which values of one parameter points are good: "From adc.bits 7 on", "Up to age_s 3600", "At adc.bits 5, 7"."""
    ((key, values),) = sweep.over
    if all(isinstance(each, int | float) for each in values):
        ranked = sorted(zip(values, good, strict=True))
        flags = [flag for _, flag in ranked]
        count = sum(flags)
        if flags == [False] * (len(flags) - count) + [True] * count:
            return f"From {key} {value(ranked[-count][0])} on"
        if flags == [True] * count + [False] * (len(flags) - count):
            return f"Up to {key} {value(ranked[count - 1][0])}"
    return f"At {key} {', '.join(value(each) for each, flag in zip(values, good, strict=True) if flag)}"


def headline(values: Mapping[str, Any]) -> str:
    """Write the values of a point of a sweep: adc.bits 6, age_s 0."""
    return ", ".join(f"{key} {value(given)}" for key, given in values.items())


def _title(sweep: Sweep) -> str:
    return f"{sweep.content['model']} on {sweep.records[0]['chip']['name']}: top-1 accuracy in %"


def _remark(sweep: Sweep) -> str:
    """Say under a drawing what its numbers rest on."""
    content, chips = sweep.content, max(len(point["seeds"]) for point in sweep.records)
    known = [f"{content['samples']} samples"]
    if len(sweep.over) > 1 and any(uneven(values) for _, values in sweep.over):
        known.append("cells of one size, not to scale")
    if chips > 1:
        known.append(f"± half of the 95 % interval over {chips} chips")
    if content["accuracy"]["float"] is not None:
        known.append(f"float {100 * content['accuracy']['float']:.2f}")
    if len(reference := set(map(integers, sweep.records))) == 1:
        known.append(f"{integers_said(content['notes'])} {100 * reference.pop():.2f}")
    if "synthetic" in content["weights_origin"]:
        known.append("SYNTHETIC WEIGHTS")
    return " · ".join(known)


def _tip(point: Point) -> str:
    return (
        f"{headline(point['values'])}: {points(mean(point))} {half_points(half(point))}".rstrip()
        + f"; 95 % over samples {interval(point['accuracy']['interval_over_samples'])}"
        + f"; agreement {points(point['agreement'])}; ADC clipped {rate(point['clip_rate'])}"
    )


def _heat_map(sweep: Sweep) -> HeatMap:
    (down, rows), (across, columns) = sweep.over
    cells = [
        Cell(100 * mean(point), f"{100 * mean(point):.2f}", half_points(half(point)), _tip(point))
        for point in sweep.records
    ]
    return HeatMap(
        title=_title(sweep), about=_remark(sweep), down=axis(down), across=axis(across), where="page",
        rows=[value(each) for each in rows], columns=[value(each) for each in columns],
        cells=[cells[first : first + len(columns)] for first in range(0, len(cells), len(columns))],
    )  # fmt: skip


def _line(sweep: Sweep) -> Lines:
    ((key, values),) = sweep.over
    shares, scale = places(values)
    reference = 100 * integers(sweep.records[0])
    ends = [point["accuracy"]["interval_over_seeds"] for point in sweep.records]
    seen = [100 * end for pair, point in zip(ends, sweep.records, strict=True) for end in pair or [mean(point)]]
    seen.append(reference)
    step = round_step(max(max(seen) - min(seen), 1.0), 5)
    low, high = step * math.floor(min(seen) / step + 1e-9), step * math.ceil(max(seen) / step - 1e-9)
    series = Series(
        "accuracy",
        [(share, 100 * mean(point)) for share, point in zip(shares, sweep.records, strict=True)],
        [f"{100 * mean(point):.2f}" for point in sweep.records],
        [None if pair is None else (100 * pair[0], 100 * pair[1]) for pair in ends],
        [_tip(point) for point in sweep.records],
    )
    return Lines(
        title=_title(sweep), about=_remark(sweep), where="page", series=[series],
        across=Axis(f"{axis(key)} ({scale})" if scale else axis(key), 0.0, 1.0,
                    ticks=[(share, value(each)) for share, each in zip(shares, values, strict=True)]),
        up=Axis("accuracy in %", low, max(high, low + step)), reference=(reference, integers_said(sweep.content["notes"])),
    )  # fmt: skip


def drawing(sweep: Sweep) -> HeatMap | Lines:
    """Draw a sweep: the first parameter down, the second across; a line where there is one parameter."""
    return _heat_map(sweep) if len(sweep.over) > 1 else _line(sweep)


def files(sweep: Sweep) -> dict[str, HeatMap | Lines]:
    """Return what is also written as files of its own."""
    return {"sweep.svg": drawing(sweep)}


def _grid(sweep: Sweep, title: str, cells: Sequence[str]) -> Table:
    """Lay out a text of every point: the first parameter down, the second across."""
    (key, values), *rest = sweep.over
    across: tuple[Any, ...] = rest[0][1] if rest else ("",)
    corner = f"{key} ↓   {rest[0][0]} →" if rest else key
    lines = [(value(each), *cells[row * len(across) : (row + 1) * len(across)]) for row, each in enumerate(values)]
    return Table(title=title, heads=(corner, *(value(each) for each in across)), lines=lines, where="terminal")


def _grids(sweep: Sweep) -> list[Table]:
    def accuracy(point: Point) -> str:
        around = half(point)
        return f"{100 * mean(point):.2f}" + ("" if around is None else f" ±{100 * around:.2f}"[:6].rstrip("."))

    tables = [_grid(sweep, "Accuracy", [accuracy(point) for point in sweep.records])]
    if any(point["clip_rate"] for point in sweep.records):
        tables.append(
            _grid(sweep, "ADC clipped, of all conversions", [rate(point["clip_rate"]) for point in sweep.records])
        )
    return tables


def _points(sweep: Sweep) -> Table:
    heads = (
        *(axis(key) for key, _ in sweep.over), "accuracy", "95 % over chips", "95 % over samples", "worst chip",
        "agreement", "ADC clipped", "chips",
    )  # fmt: skip
    lines = [
        (
            *(value(given) for given in point["values"].values()), points(mean(point)),
            interval(point["accuracy"]["interval_over_seeds"]), interval(point["accuracy"]["interval_over_samples"]),
            points(point["accuracy"]["least"]), points(point["agreement"]), rate(point["clip_rate"]), str(len(point["seeds"])),
        )
        for point in sweep.records
    ]  # fmt: skip
    return Table(title="Point by point", heads=heads, lines=lines, remark=UNCERTAINTY, where="page")


def view(sweep: Sweep) -> View:
    """Return the view of a sweep."""
    content, seeds = sweep.content, max((point["seeds"] for point in sweep.records), key=len)
    sections: list[Section] = [drawing(sweep), *_grids(sweep), _points(sweep)]
    schedules = ", ".join(map(str, dict(sweep.over).get("strategy.schedule", (content["schedule"],))))
    return View(
        f"{content['model']}: accuracy over {' and '.join(key for key, _ in sweep.over)}",
        (*sections, listing(content["analog"]), notes_of(content["notes"])),
        (*about({**content, "schedule": schedules}, seeds), f"top-1 in %; {_remark(sweep)}"),
        synthetic(content["weights_origin"]),
        said=conclusion(sweep),
    )
