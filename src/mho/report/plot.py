"""Charts as SVG that needs nothing else, reads on light and on dark paper, and is the same for the same numbers.

Everything is placed from the numbers alone: widths grow with the labels, which never overlap. Colours of kinds of energy are
those of the page. Names are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from mho.engineering import count, percent, quantity, scaled, shortened
from mho.report import sections as see
from mho.report.axis_scale import AxisScale
from mho.report.plot_columns import draw_columns
from mho.report.plot_scatter import draw_scatter
from mho.report.plot_tracks import draw_tracks
from mho.report.svg import KINDS, PALETTE, colour, label, legend, opened, rectangle, round_step, rule, width_of

ROW, FIELD = 26.0, 460.0
"""Height of a bar with what is around it, and width of the field that bars lie in."""
LONGEST = 40
"""Letters of a name, before it is cut in its middle."""
WIDTH, HEIGHT = 560.0, 270.0
"""Of a chart of lines or spans."""
LEFT, RIGHT, TOP, BOTTOM = 64.0, 18.0, 64.0, 46.0
CELL_WIDTH, CELL_HEIGHT, LEGEND = 92.0, 46.0, 118.0
MARK = "#c2452d"
SERIES = ("#8a8f98", "#2f6fb5")
"""Before, and after."""


def draw(chart: see.Chart) -> str:
    """Draw a chart."""
    drawers: dict[type, Callable[..., Iterator[str]]] = {
        see.Bars: _bars, see.Columns: draw_columns, see.Lines: _lines, see.HeatMap: _heat_map, see.Spans: _spans,
        see.Tracks: draw_tracks, see.Scatter: draw_scatter,
    }  # fmt: skip
    return "\n".join([*drawers[type(chart)](chart), "</svg>"]) + "\n"


def _nothing(title: str) -> Iterator[str]:
    yield from opened(WIDTH, 84, title)
    yield label(WIDTH / 2, 58, "nothing to show", "soft", "middle")


def _heading(chart: see.Bars | see.Lines | see.HeatMap, width: float, height: float) -> Iterator[str]:
    """Begin a drawing with what stands under its title."""
    yield from opened(max(width, width_of(chart.about) + 28), height, chart.title)
    if chart.about:
        yield label(14, 42, chart.about, "soft small")


def _kinds(chart: see.Bars) -> dict[str, str]:
    """Return the colour of each kind of piece, in their order; those of one nameless kind go by the bar's tone."""
    kinds = [kind for kind in dict.fromkeys(kind for bar in chart.bars for kind in bar.pieces) if kind]
    if chart.ordered:
        # The palest of the scale would be lost on white.
        return {kind: colour(0.15 + 0.85 * at / max(len(kinds) - 1, 1))[0] for at, kind in enumerate(kinds)}
    rest = iter(PALETTE)
    return {kind: KINDS[kind] if kind in KINDS else next(rest, PALETTE[-1]) for kind in kinds}


def _bars(chart: see.Bars) -> Iterator[str]:
    names = [shortened(bar.name, LONGEST) for bar in chart.bars]
    ends = [bar.end or quantity(bar.length, chart.unit) for bar in chart.bars]
    marks = [bar.mark for bar in chart.bars if bar.mark is not None]
    lengths = [bar.length for bar in chart.bars]
    if not any(lengths):
        yield from _nothing(chart.title)
        return
    low, high = min((0.0, *lengths)), max((0.0, *lengths, *(mark for mark, _ in marks)))
    left = 24 + max(map(width_of, names))
    beside = max(width_of(text) for text in (chart.beside, *(bar.beside for bar in chart.bars)))
    right = max(map(width_of, ends)) + 16 + (beside and beside + 14)
    kinds = _kinds(chart)
    width = max(left + FIELD + right, width_of(chart.title) * 1.2 + 28)
    keys, at = legend(
        [*kinds.items(), *((words, MARK) for words in dict.fromkeys(words for _, words in marks))], width, 46
    )
    top = (at + 22 if keys else 62.0 if chart.about else 40.0) + (18 if chart.beside else 0)
    bottom = top + ROW * len(names)

    def x(value: float) -> float:
        return left + FIELD * (value - low) / (high - low)

    yield from _heading(chart, width, bottom + 34)
    yield from keys
    step = round_step(high - low, 5)
    for tick in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield rule(x(step * tick), top, x(step * tick), bottom)
        zero = scaled(high, chart.unit)[1]
        yield label(
            x(step * tick),
            bottom + 18,
            _amount(step * tick, chart.unit) if tick else f"0 {zero}",
            "soft small",
            "middle",
        )
    if chart.beside:
        yield label(width - 14, top - 6, chart.beside, "soft small", "end")
    for place, (bar, name, end) in enumerate(zip(chart.bars, names, ends, strict=True)):
        y = top + ROW * place
        yield label(left - 8, y + 17, name, "", "end")
        yield from _pieces(bar, y, x, kinds, chart.unit)
        yield label(max(x(bar.length), x(0)) + 7, y + 17, end, "soft small halo")
        yield label(width - 14, y + 17, bar.beside, "soft small", "end") if bar.beside else ""


def _amount(value: float, unit: str) -> str:
    """Write a tick of an axis of bars."""
    return (
        percent(value, 1.0)
        if unit == "%"
        else quantity(value, unit, 2)
        if unit in ("s", "J", "m²")
        else f"{value:g} {unit}"
    )


def _pieces(bar: see.Bar, y: float, x: Callable[[float], float], kinds: dict[str, str], unit: str) -> Iterator[str]:
    start = 0.0
    for kind, value in bar.pieces.items():
        tip = f"{bar.name}{f', {kind}' if kind else ''}: {_amount(value, unit) if kind or not bar.end else bar.end}"
        a, b = sorted((x(start), x(start + value)))
        tip += f", {bar.beside}" if bar.beside else ""
        yield rectangle(
            a, y + 5, b - a, 16, kinds.get(kind, "#2f6fb5"), tip, {"bad": "noisy", "good": "exact"}.get(bar.tone, "")
        )
        start += value
    if bar.mark is not None:
        tip = escape(f"{bar.mark[1]}: {_amount(bar.mark[0], unit)}")
        yield f'<path d="M{x(bar.mark[0]):.1f} {y + 2:.1f}v22" stroke="{MARK}" stroke-width="2"><title>{tip}</title></path>'


def _lines(chart: see.Lines) -> Iterator[str]:
    known = [series for series in chart.series if series.points]
    if not known:
        yield from _nothing(chart.title)
        return
    colours = SERIES[-len(chart.series) :] if len(chart.series) <= len(SERIES) else PALETTE
    fills = dict(zip((series.name for series in chart.series), colours, strict=False))
    apart = max((width_of(text) + 16 for _, text in chart.across.ticks), default=0.0)
    places = sorted(at for at, _ in chart.across.ticks)
    closest = min((b - a for a, b in pairwise(places)), default=1.0)
    right = RIGHT if chart.reference is None else 24 + width_of(chart.reference[1])
    width = max(WIDTH, LEFT + right + apart / closest, width_of(chart.about) + 28)
    keys, at = legend(list(fills.items()) if len(fills) > 1 or not chart.about else [], width, 46)
    floor = HEIGHT + (at - 46)
    x, y = AxisScale(chart.across, LEFT, width - right), AxisScale(chart.up, floor - BOTTOM, at + 18)
    yield from _heading(chart, width, floor)
    yield from keys
    for tick in y.ticks(6):
        yield rule(LEFT, y(tick), width - right, y(tick))
        yield label(LEFT - 6, y(tick) + 4, count(tick) if chart.up.log else f"{tick:g}", "soft small", "end")
    for tick, text in chart.across.ticks or [(tick, count(tick)) for tick in x.ticks(7) if tick == int(tick)]:
        yield rule(x(tick), y.end, x(tick), y.start)
        yield label(x(tick), y.start + 16, text, "soft small", "middle")
    if chart.reference is not None:
        value, name = chart.reference
        yield f'<line class="reference" x1="{LEFT}" x2="{width - right:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield label(width - right + 6, y(value) + 4, name, "soft small")
    for series in known:
        yield from _series(series, fills[series.name], x, y)
    for mark in chart.marks:
        yield f'<circle fill="{MARK}" cx="{x(mark.x):.1f}" cy="{y(mark.y):.1f}" r="5"/>'
        yield label(x(mark.x) - 8, y(mark.y) - 10, mark.tip, "small halo", "end")
    yield label((LEFT + width - right) / 2, floor - 10, chart.across.title, "soft small", "middle")
    yield label(14, (y.start + y.end) / 2, chart.up.title, "soft small", "middle", turned=True)


def _series(series: see.Series, stroke: str, x: AxisScale, y: AxisScale) -> Iterator[str]:
    # The line goes along the axis, in whatever order the values were given.
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in sorted(series.points))
    if len(series.points) > 1:
        yield f'<polyline fill="none" stroke="{stroke}" stroke-width="2.2" points="{path}"/>'
    for a, interval in zip((a for a, _ in series.points), series.intervals, strict=False):
        if interval is not None:
            low, high = map(y, interval)
            yield f'<line stroke="{stroke}" stroke-width="2" x1="{x(a):.1f}" x2="{x(a):.1f}" y1="{high:.1f}" y2="{low:.1f}"/>'
    if series.labels or len(series.points) == 1:
        for place, (a, b) in enumerate(series.points):
            tip = f"<title>{escape(series.tips[place])}</title>" if series.tips else ""
            yield f'<circle fill="{stroke}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4.5">{tip}</circle>'
            yield label(x(a), y(b) - 9, series.labels[place], "small halo", "middle") if series.labels else ""


def _heat_map(chart: see.HeatMap) -> Iterator[str]:
    left = 40 + max(map(width_of, chart.rows))
    cell = max(CELL_WIDTH, *(width_of(head) + 14 for head in chart.columns))
    width, top = max(left + cell * len(chart.columns) + LEGEND, width_of(chart.across) + left + 14), 90.0
    # A turned name may be longer than the rows are high.
    field = CELL_HEIGHT * len(chart.rows)
    values = [cell.value for line in chart.cells for cell in line]
    low, high = min(values), max(values)
    yield from _heading(chart, width, top + max(field, width_of(chart.down)) + 22)
    yield label(left + cell * len(chart.columns) / 2, top - 26, chart.across, "soft", "middle")
    yield label(16, top + max(field, width_of(chart.down)) / 2, chart.down, "soft", "middle", turned=True)
    for place, head in enumerate(chart.columns):
        yield label(left + cell * (place + 0.5), top - 8, head, "", "middle")
    for number, (name, line) in enumerate(zip(chart.rows, chart.cells, strict=True)):
        y = top + CELL_HEIGHT * number
        yield label(left - 8, y + CELL_HEIGHT / 2 + 4, name, "", "end")
        for place, drawn in enumerate(line):
            x = left + cell * place
            fill, light = colour((drawn.value - low) / (high - low) if high > low else 0.5)
            ink = "light" if light else "dark"
            yield rectangle(x + 1, y + 1, cell - 2, CELL_HEIGHT - 2, fill, drawn.tip)
            # Nothing in a cell's text catches the pointer: the rectangle's title is shown.
            yield '<g pointer-events="none">'
            yield label(
                x + cell / 2, y + (21 if drawn.small else CELL_HEIGHT / 2 + 4), drawn.text, f"large {ink}", "middle"
            )
            yield label(x + cell / 2, y + 36, drawn.small, f"small {ink}", "middle") if drawn.small else ""
            yield "</g>"
    if high > low:
        yield from _scale_of_colours(left + cell * len(chart.columns) + 22, top, field, low, high)


def _scale_of_colours(x: float, top: float, height: float, low: float, high: float) -> Iterator[str]:
    steps = 40
    for step in range(steps):
        yield rectangle(x, top + height * step / steps, 14, height / steps + 0.5, colour(1 - (step + 0.5) / steps)[0])
    ticks = 2 if height < 2 * CELL_HEIGHT else 3 if height < 4 * CELL_HEIGHT else 5
    for tick in range(ticks):
        value = high - (high - low) * tick / (ticks - 1)
        yield label(x + 21, top + 5 + (height - 2) * tick / (ticks - 1), f"{value:.2f}", "soft small")


def _spans(chart: see.Spans) -> Iterator[str]:
    positive = [time for _, quantiles in chart.spans for time in quantiles if time > 0]
    if not positive:
        yield from _nothing(chart.title)
        return
    left, top = 22 + max(width_of(name) for name, _ in chart.spans), 40.0
    x = AxisScale(see.Axis("", min(positive), max(positive), log=True), left + 6, WIDTH - 26)
    floor = top + ROW * len(chart.spans)
    yield from opened(WIDTH, floor + 44, chart.title)
    for tick in x.ticks(6):
        yield rule(x(tick), top, x(tick), floor)
        yield label(x(tick), floor + 16, quantity(tick, "s"), "soft small", "middle")
    quantile_names = ("least", "lower quarter", "median", "upper quarter", "99th percentile", "most")
    for place, (name, quantiles) in enumerate(chart.spans):
        y = top + ROW * (place + 0.5)
        least, low, middle, high, late, most = (x(max(time, min(positive))) for time in quantiles)
        tip = f"{name}: " + ", ".join(
            f"{what} {quantity(time, 's')}" for what, time in zip(quantile_names, quantiles, strict=True)
        )
        yield label(left - 8, y + 4, name, "", "end")
        yield f'<line stroke="{SERIES[0]}" stroke-width="2" x1="{least:.1f}" x2="{most:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield rectangle(low, y - 8, max(high - low, 1.5), 16, SERIES[1], tip)
        yield f'<path stroke="#ffffff" stroke-width="2" d="M{middle:.1f} {y - 8:.1f}v16"/>'
        yield f'<circle fill="{PALETTE[0]}" cx="{late:.1f}" cy="{y:.1f}" r="4"/>'
    yield label((left + WIDTH) / 2, floor + 36, chart.across, "soft small", "middle")
