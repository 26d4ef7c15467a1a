"""Designs over two figures as SVG: those that none beats are joined and stand out, coloured by a third figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from mho.engineering import count, scaled
from mho.report.axis_scale import AxisScale
from mho.report.sections import Axis, Dot, Scatter
from mho.report.svg import colour, diamond, label, opened, rectangle, rule, width_of

FIELD_WIDTH, FIELD_HEIGHT = 470.0, 300.0
LEFT, RIGHT, BOTTOM = 84.0, 24.0, 50.0
SCALE, STEPS = 14.0, 40
"""Width of the scale of colours, and the patches that it is made of."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom of words."""
PALEST = 0.12
"""Where on the scale colours begin: paler ones are lost on white."""


def tick(value: float, unit: str) -> str:
    """Write a tick of an axis, without zeros that say nothing: 2 ms, 0.5 mm², 20."""
    number, prefixed = scaled(value, unit) if unit else (count(value), "")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {prefixed}".rstrip()


def outline(dots: Sequence[Dot], larger: tuple[bool, bool]) -> list[tuple[float, float]]:
    """Return the corners of the stairs that part what some dot beats in both figures from what none does, from left to right."""
    turned = [(-dot.x if larger[0] else dot.x, -dot.y if larger[1] else dot.y) for dot in dots]
    stairs: list[tuple[float, float]] = []
    for x, y in sorted(turned):
        if not stairs or y < stairs[-1][1]:
            stairs += [(x, stairs[-1][1]), (x, y)] if stairs else [(x, y)]
    corners = [(-x if larger[0] else x, -y if larger[1] else y) for x, y in stairs]
    return corners[::-1] if larger[0] else corners


def draw_scatter(chart: Scatter) -> Iterator[str]:
    """Draw designs over two figures, but for the end of the drawing."""
    if not chart.dots and not chart.others:
        yield from opened(max(LEFT + FIELD_WIDTH + RIGHT, width_of(chart.empty) + 28), 84, chart.title)
        yield label(14, 58, chart.empty, "soft")
        return
    beside = _beside(chart)
    width = max(LEFT + FIELD_WIDTH + beside, width_of(chart.about) + 28, width_of(chart.title) * 1.2 + 28)
    top = 74.0
    x = AxisScale(chart.across, LEFT, width - beside)
    y = AxisScale(chart.up, top + FIELD_HEIGHT, top)
    yield from opened(width, top + FIELD_HEIGHT + BOTTOM, chart.title)
    yield label(14, 42, chart.about, "soft small") if chart.about else ""
    yield label(14, 62, chart.up.title, "soft small")
    yield from _grid(x, y, chart)
    yield '<g fill="#8a8f98" fill-opacity="0.45">'
    for a, b in chart.others:
        yield f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="2"/>'
    yield "</g>"
    yield from _limits(x, y, chart)
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in outline(chart.dots, chart.larger))
    yield f'<polyline class="rule zero" fill="none" stroke-width="1.4" points="{path}"/>' if path else ""
    shade = None if chart.shade is None else AxisScale(chart.shade, PALEST, 1.0)
    for dot in chart.dots:
        fill = colour(shade(dot.shade) if shade is not None and dot.shade is not None else 1.0)[0]
        tip = f"<title>{escape(dot.tip)}</title>" if dot.tip else ""
        place = f'cx="{x(dot.x):.1f}" cy="{y(dot.y):.1f}"'
        yield f'<circle fill="{fill}" stroke="var(--ink)" stroke-width="1.1" {place} r="5">{tip}</circle>'
    if chart.mark is not None and _within(x, chart.mark[0]) and _within(y, chart.mark[1]):
        yield diamond(x(chart.mark[0]), y(chart.mark[1]), chart.mark[2])
    if chart.shade is not None:
        yield from _shades(AxisScale(chart.shade, y.start, y.end), width - beside + RIGHT, top)


def _within(scale: AxisScale, value: float) -> bool:
    return scale.ends[0] <= value <= scale.ends[1]


def _beside(chart: Scatter) -> float:
    """Return the width of what stands right of the field: the scale of colours, with its ticks and its title."""
    if chart.shade is None:
        return RIGHT
    ticks = [tick(value, chart.shade.unit) for value in AxisScale(chart.shade, 0.0, 1.0).ticks(5)]
    widest = max(map(width_of, ticks), default=0.0)
    return 2 * RIGHT + max(SCALE + 8 + widest, width_of(chart.shade.title))


def _apart(places: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """Yield the labels of an axis that do not touch the one before."""
    end = -1e9
    for place, words in sorted(places):
        if place - width_of(words) / 2 > end + 6:
            end = place + width_of(words) / 2
            yield place, words


def _grid(x: AxisScale, y: AxisScale, chart: Scatter) -> Iterator[str]:
    for value in y.ticks(6):
        yield rule(x.start, y(value), x.end, y(value))
        yield label(x.start - 8, y(value) + 4, tick(value, chart.up.unit), "soft small", "end")
    ticks = x.ticks(7)
    for value in ticks:
        yield rule(x(value), y.end, x(value), y.start)
    for place, words in _apart([(x(value), tick(value, chart.across.unit)) for value in ticks]):
        yield label(place, y.start + 17, words, "soft small", "middle")
    yield label((x.start + x.end) / 2, y.start + 39, chart.across.title, "soft small", "middle")


def _limits(x: AxisScale, y: AxisScale, chart: Scatter) -> Iterator[str]:
    """Draw the limits that lie within the axes, each with its words along it where no other words are."""
    taken: list[Box] = []
    for axis, value, words in chart.limits:
        scale = x if axis == "across" else y
        if not _within(scale, value):
            continue
        at, wide = scale(value), width_of(words)
        if axis == "across":
            yield rule(at, y.end, at, y.start, "reference")
            lefts = [left for left in (at + 5, at - 5 - wide) if x.start < left and left + wide < x.end] or [at + 5]
            places = [(left, y.end + 14 + 16 * line) for line in range(4) for left in lefts]
        else:
            yield rule(x.start, at, x.end, at, "reference")
            heights = [height for height in (at - 5, at + 14) if y.end + 12 < height < y.start]
            places = [(left, height) for left in (x.end - 6 - wide, x.start + 6) for height in heights]
        boxes = [(left, height - 11, left + wide, height + 3) for left, height in places]
        left, height = next(
            (place for place, box in zip(places, boxes, strict=True) if not any(_touch(box, other) for other in taken)),
            places[0],
        )
        taken.append((left, height - 11, left + wide, height + 3))
        yield label(left, height, words, "small halo")


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _shades(scale: AxisScale, left: float, top: float) -> Iterator[str]:
    """Draw the scale of colours, dark on top, with its title above and its ticks beside."""
    axis: Axis = scale.axis
    each = FIELD_HEIGHT / STEPS
    for step in range(STEPS):
        share = PALEST + (1 - PALEST) * (1 - (step + 0.5) / STEPS)
        yield rectangle(left, top + each * step, SCALE, each + 0.5, colour(share)[0])
    for value in scale.ticks(5):
        yield label(left + SCALE + 8, scale(value) + 4, tick(value, axis.unit), "soft small")
    yield label(left, top - 12, axis.title, "soft small")
