"""A sweep as a drawing: a heat map over two parameters, a line with intervals over one. SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from mho.report import accuracy_text as text
from mho.report import sweep_text
from mho.report.svg import colour, label, opened, round_step, width_of

if TYPE_CHECKING:
    from mho.machine.evaluation import Evaluation
    from mho.machine.sweep import Sweep

CELL_HEIGHT = 46.0
CELL_WIDTH = 92.0
TOP = 86.0
LEGEND = 118.0
FIELD = 260.0
"""Height of the field of a line."""
NARROWEST = 520.0
RIGHT = 104.0
"""What a line leaves free at its right, for the name of the reference."""


def draw(found: Sweep) -> str:
    """Draw a sweep: the first parameter down, the second across; a line where there is one parameter."""
    lines = _heat_map(found) if len(found.over) > 1 else _line(found)
    return "\n".join(lines) + "\n"


def _title(found: Sweep) -> str:
    first = found.evaluations[0]
    return f"{first.program.network.name} on {first.program.chip.name}: top-1 accuracy in %"


def _remark(found: Sweep) -> str:
    first = found.evaluations[0]
    chips = max(len(each.seeds) for each in found.evaluations)
    known = [f"{first.samples} samples"]
    if len(found.over) > 1 and any(sweep_text.uneven(values) for _, values in found.over):
        known.append("cells of one size, not to scale")
    if any(each.over_seeds.half is not None for each in found.evaluations):
        known.append(f"± half of the 95 % interval over {chips} chips")
    if first.in_float is not None:
        known.append(f"float {100 * first.in_float:.2f}")
    if len({each.in_integers for each in found.evaluations}) == 1:
        known.append(f"8-bit integers {100 * first.in_integers:.2f}")
    if "synthetic" in first.program.network.origin:
        known.append("SYNTHETIC WEIGHTS")
    return " · ".join(known)


def _tip(found: Sweep, place: int) -> str:
    values, each = found.points[place]
    half = text.half_points(each.over_seeds.half)
    parts = [f"{text.headline(values)}: {text.points(each.accuracy)} {half}".rstrip()]
    parts.append(f"95 % over samples {text.interval(each.sample_interval)}")
    parts.append(f"agreement {text.points(each.agreement)}; ADC clipped {text.rate(each.clip_rate)}")
    return "; ".join(parts)


def _heat_map(found: Sweep) -> Iterator[str]:
    (row_key, rows), (column_key, columns) = found.over
    names, heads = [text.value(each) for each in rows], [text.value(each) for each in columns]
    left = 40 + max(map(width_of, names))
    cell = max(CELL_WIDTH, *(width_of(head) + 14 for head in heads))
    width = max(left + cell * len(columns) + LEGEND, width_of(_remark(found)) + 28, NARROWEST)
    # A turned name may be longer than the rows are high.
    height = TOP + max(CELL_HEIGHT * len(rows), width_of(sweep_text.axis(row_key)) - 40) + 22
    shares = [each.accuracy for each in found.evaluations]
    low, high = min(shares), max(shares)
    yield from opened(width, height, _title(found))
    yield label(14, 24, _title(found), "title")
    yield label(14, 42, _remark(found), "soft small")
    across = sweep_text.axis(column_key)
    yield label(max(left + cell * len(columns) / 2, width_of(across) / 2), TOP - 24, across, "soft", "middle")
    yield label(20, TOP + CELL_HEIGHT * len(rows) / 2, sweep_text.axis(row_key), "soft", "middle", turned=True)
    for column, head in enumerate(heads):
        yield label(left + cell * (column + 0.5), TOP - 7, head, "", "middle")
    for row, name in enumerate(names):
        y = TOP + CELL_HEIGHT * row
        yield label(left - 8, y + CELL_HEIGHT / 2 + 4, name, "", "end")
        for column in range(len(columns)):
            place = row * len(columns) + column
            x = left + cell * column
            yield from _cell(found.evaluations[place], x, y, cell, low, high, _tip(found, place))
    yield from _legend(left + cell * len(columns) + 26, low, high, CELL_HEIGHT * len(rows))
    yield "</svg>"


def _cell(each: Evaluation, x: float, y: float, width: float, low: float, high: float, tip: str) -> Iterator[str]:
    fill, light = colour((each.accuracy - low) / (high - low) if high > low else 1.0)
    size = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{CELL_HEIGHT - 2:.1f}"'
    yield f'<rect {size} rx="3" fill="{fill}"><title>{escape(tip)}</title></rect>'
    ink, half = "light" if light else "dark", each.over_seeds.half
    middle = x + width / 2
    # Nothing in a cell's text catches the pointer: the rectangle's title is shown.
    yield '<g pointer-events="none">'
    yield label(
        middle,
        y + (CELL_HEIGHT / 2 + 4 if half is None else 21),
        f"{100 * each.accuracy:.2f}",
        f"large {ink}",
        "middle",
    )
    if half is not None:
        yield label(middle, y + 36, text.half_points(half), f"small {ink}", "middle")
    yield "</g>"


def _legend(x: float, low: float, high: float, height: float) -> Iterator[str]:
    """Draw the scale of colours from the lowest to the highest accuracy."""
    if high <= low:
        return
    steps = 40
    for step in range(steps):
        fill, _ = colour(1 - (step + 0.5) / steps)
        size = f'x="{x:.1f}" y="{TOP + height * step / steps:.2f}" width="14" height="{height / steps + 0.5:.2f}"'
        yield f'<rect {size} fill="{fill}"/>'
    ticks = 2 if height < 2 * CELL_HEIGHT else 3 if height < 4 * CELL_HEIGHT else 5
    for tick in range(ticks):
        share = high - (high - low) * tick / (ticks - 1)
        yield label(x + 21, TOP + 4 + (height - 2) * tick / (ticks - 1) + 1, f"{100 * share:.2f}", "soft small")


def _line(found: Sweep) -> Iterator[str]:
    ((key, values),) = found.over
    heads = [text.value(each) for each in values]
    apart = max(64.0, *(width_of(head) + 16 for head in heads))
    left = 64.0
    shares, scale = sweep_text.places(values)
    closest = min((b - a for a, b in pairwise(sorted(shares))), default=1.0)
    width = max(left + apart / closest + RIGHT, width_of(_remark(found)) + 28, NARROWEST)
    top = 66.0
    ends = [each.seed_interval or (each.accuracy, each.accuracy) for each in found.evaluations]
    first = found.evaluations[0]
    seen = [end for pair in ends for end in pair] + [first.in_integers]
    low, high = 100 * min(seen), 100 * max(seen)
    step = round_step(max(high - low, 1.0), 5)
    low, high = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    high = max(high, low + step)

    def y(share: float) -> float:
        return top + FIELD * (high - 100 * share) / (high - low)

    yield from opened(width, top + FIELD + 58, _title(found))
    yield label(14, 24, _title(found), "title")
    yield label(14, 42, _remark(found), "soft small")
    for tick in range(round((high - low) / step) + 1):
        share = (low + step * tick) / 100
        yield f'<line class="rule" x1="{left}" x2="{width - RIGHT:.1f}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
        yield label(left - 8, y(share) + 4, f"{100 * share:g}" if step >= 1 else f"{100 * share:.2f}", "soft", "end")
    at = y(first.in_integers)
    ends_at = f'x1="{left}" x2="{width - RIGHT:.1f}" y1="{at:.1f}" y2="{at:.1f}"'
    yield f'<line class="reference" {ends_at}/>'
    yield label(width - RIGHT + 6, at + 4, "8-bit integers", "soft small")
    places = [left + (width - left - RIGHT) * share for share in shares]
    # The line goes along the axis, in whatever order the values were given.
    along = sorted(zip(places, found.evaluations, strict=True), key=lambda point: point[0])
    path = " ".join(f"{x:.1f},{y(each.accuracy):.1f}" for x, each in along)
    yield f'<polyline class="line" points="{path}"/>'
    for number, (x, each, (least, most)) in enumerate(zip(places, found.evaluations, ends, strict=True)):
        if each.seed_interval is not None:
            yield f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{y(most):.1f}" y2="{y(least):.1f}"/>'
        tip = escape(_tip(found, number))
        yield f'<circle class="mark" cx="{x:.1f}" cy="{y(each.accuracy):.1f}" r="4.5"><title>{tip}</title></circle>'
        yield label(x + 8, y(each.accuracy) - 7, f"{100 * each.accuracy:.2f}", "small halo")
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{top + FIELD:.1f}" y2="{top + FIELD + 5:.1f}"/>'
        yield label(x, top + FIELD + 20, heads[number], "", "middle")
    named = f"{sweep_text.axis(key)} ({scale})" if scale else sweep_text.axis(key)
    yield label((left + width - RIGHT) / 2, top + FIELD + 42, named, "soft", "middle")
    yield "</svg>"
