"""Bars in groups, single or stacked, as SVG that needs nothing else and reads on light and on dark paper.

One generator for all studies. Everything is placed from the numbers alone, so that equal studies give equal files. A bar's
value stands upright above it and the paper's figure is a diamond on it; widths grow with the labels, which never overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from mho.studies.numbers import plain
from mho.studies.rows import Bar, Plot, Study

HEIGHT = 230.0
"""Of the field that the bars stand in, in pixels."""
BAR, GAP, BETWEEN = 18.0, 4.0, 26.0
LEFT, RIGHT = 62.0, 18.0
LETTER = 6.6
"""Width to allow for a letter of 11 pixels."""
LINE = 18.0
NARROWEST = 420.0

COLOURS = ("#3b7fc4", "#d9822b", "#3a9a78", "#8a63b8", "#c25563", "#8a8f98", "#b09b2f", "#4fa3a5")
KINDS = {"compute": "#3b7fc4", "write": "#d9822b", "static": "#8a8f98", "memory": "#8a63b8"}
"""Kinds of energy have the colours that they have in reports."""

STYLE = (
    "svg.study{--ink:#1d2733;--soft:#5b6775;--rule:#dfe4ea;--ground:#ffffff;"
    'font:11px system-ui,"Segoe UI","Liberation Sans",sans-serif}'
    "@media (prefers-color-scheme:dark){svg.study{--ink:#e8edf2;--soft:#a3afbb;--rule:#333d48;--ground:#141a21}}"
    "svg.study .ground{fill:var(--ground)}svg.study text{fill:var(--ink)}svg.study .soft{fill:var(--soft)}"
    "svg.study .title{font-size:13px;font-weight:600}svg.study .rule{stroke:var(--rule)}svg.study .zero{stroke:var(--soft)}"
    "svg.study .reference{stroke:var(--soft);stroke-dasharray:5 4}"
    "svg.study .value{fill:var(--soft);paint-order:stroke;stroke:var(--ground);stroke-width:3px}"
    "svg.study .mark{fill:var(--ground);stroke:var(--ink);stroke-width:1.4}"
)


def width_of(text: str) -> float:
    """Pixels to allow for a text."""
    return LETTER * len(text)


@dataclass(frozen=True)
class Scale:
    """A vertical axis: ticks at round numbers, and where a value stands."""

    low: float
    high: float
    step: float
    top: float

    def y(self, value: float) -> float:
        """Return the height of a value on the page."""
        return self.top + HEIGHT * (self.high - value) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """The round numbers on the axis."""
        first, last = round(self.low / self.step), round(self.high / self.step)
        return [number * self.step for number in range(first, last + 1)]


def scale_of(values: Sequence[float], top: float, room: float) -> Scale:
    """Fit an axis to 0 and the values, with `room` pixels (at most half of the field) left above all of them."""
    low, high = min((0.0, *values)), max((0.0, *values))
    if low == high:
        high = 1.0
    raw = (high - low) / (1 - room / HEIGHT) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1.0, 2.0, 2.5, 5.0, 10.0) if each * power >= raw * (1 - 1e-9))
    below, above = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    while (above - high / step) * HEIGHT < room * (above - below):
        above += 1
    return Scale(below * step, above * step, step, top)


def _height(bar: Bar, study: Study) -> float | None:
    """Return the sum of a bar's pieces; None where one is missing."""
    values = [study.by_id[row].ours for _, row in bar.pieces]
    numbers = [value for value in values if value is not None]
    return math.fsum(numbers) if len(numbers) == len(values) else None


def _paper(bar: Bar, study: Study) -> float | None:
    """Return the paper's figure for a bar, if it gives one."""
    if bar.mark is not None:
        return study.by_id[bar.mark].paper
    return study.by_id[bar.pieces[0][1]].paper if len(bar.pieces) == 1 else None


def _distinct(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))


class _Drawing:
    """One plot, being drawn."""

    def __init__(self, plot: Plot, study: Study) -> None:
        self.plot, self.study = plot, study
        self.groups = _distinct(bar.group for bar in plot.bars)
        self.stacked = any(len(bar.pieces) > 1 for bar in plot.bars)
        named = (
            (piece for bar in plot.bars for piece, _ in bar.pieces) if self.stacked else (b.label for b in plot.bars)
        )
        names = _distinct(named)
        rest = iter(COLOURS)
        self.colours = {name: KINDS[name] if name in KINDS else next(rest) for name in names}
        self.heights = [_height(bar, study) for bar in plot.bars]
        self.papers = [_paper(bar, study) for bar in plot.bars]
        self.labels = ["" if height is None else plain(height) for height in self.heights]
        room = max((width_of(label) for label in self.labels), default=0.0) + 12
        values = [value for value in (*self.heights, *self.papers) if value is not None]
        if plot.reference is not None:
            values.append(plot.reference)
        self.legend = [(name, colour) for name, colour in self.colours.items()] if len(self.colours) > 1 else []
        self.below = max((width_of(bar.label) for bar in plot.bars), default=0.0) + 8 if self.stacked else 0.0
        self.widths = {group: self._group_width(group) for group in self.groups}
        least = max(NARROWEST, width_of(plot.title) * 1.25 + 30)
        self.width = max(LEFT + sum(self.widths.values()) + BETWEEN * len(self.groups) + RIGHT, least)
        self.rows_of_legend = self._legend_rows()
        self.scale = scale_of(values, 34 + LINE * len(self.rows_of_legend) + 8, room)
        self.height = self.scale.top + HEIGHT + self.below + 30

    def _group_width(self, group: str) -> float:
        count = sum(bar.group == group for bar in self.plot.bars)
        return max(count * (BAR + GAP) - GAP, width_of(group) - BETWEEN + 12)

    def _legend_rows(self) -> list[list[tuple[str, str]]]:
        """Break the legend into lines that fit the width."""
        entries = list(self.legend)
        if any(paper is not None for paper in self.papers):
            entries.append(("the paper", ""))
        rows: list[list[tuple[str, str]]] = []
        used = self.width
        for name, colour in entries:
            need = width_of(name) + 34
            if used + need > self.width - LEFT - RIGHT:
                rows.append([])
                used = 0.0
            rows[-1].append((name, colour))
            used += need
        return rows

    def parts(self) -> Iterator[str]:
        yield (
            f'<svg class="study" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}" role="img" aria-label={quoteattr(self.plot.title)}>'
        )
        yield f"<style>{STYLE}</style>"
        yield f'<rect class="ground" width="{self.width:.0f}" height="{self.height:.0f}" rx="6"/>'
        yield f'<text class="title" x="14" y="22">{escape(self.plot.title)}</text>'
        yield from self._draw_legend()
        yield from self._draw_axis()
        x = LEFT + BETWEEN / 2
        for group in self.groups:
            yield from self._draw_group(group, x)
            x += self.widths[group] + BETWEEN
        yield "</svg>"

    def _draw_legend(self) -> Iterator[str]:
        for number, row in enumerate(self.rows_of_legend):
            x, y = LEFT, 34 + LINE * number + 9
            for name, colour in row:
                if colour:
                    yield f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2" fill="{colour}"/>'
                else:
                    yield _diamond(x + 5, y - 4)
                yield f'<text x="{x + 15:.1f}" y="{y:.1f}">{escape(name)}</text>'
                x += width_of(name) + 34

    def _draw_axis(self) -> Iterator[str]:
        end = self.width - RIGHT
        for tick in self.scale.ticks:
            y = self.scale.y(tick)
            yield f'<line class="rule" x1="{LEFT:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="soft" x="{LEFT - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{plain(tick)}</text>'
        middle = self.scale.top + HEIGHT / 2
        yield (
            f'<text class="soft" transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.plot.axis)}</text>"
        )
        if self.plot.reference is not None:
            y = self.scale.y(self.plot.reference)
            yield f'<line class="reference" x1="{LEFT:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        y = self.scale.y(0.0)
        yield f'<line class="zero" x1="{LEFT:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'

    def _draw_group(self, group: str, left: float) -> Iterator[str]:
        bars = [number for number, bar in enumerate(self.plot.bars) if bar.group == group]
        used = len(bars) * (BAR + GAP) - GAP
        x = left + (self.widths[group] - used) / 2
        for number in bars:
            yield from self._draw_bar(number, x)
            x += BAR + GAP
        y = self.scale.top + HEIGHT + self.below + 18
        yield f'<text x="{left + self.widths[group] / 2:.1f}" y="{y:.1f}" text-anchor="middle">{escape(group)}</text>'

    def _draw_bar(self, number: int, x: float) -> Iterator[str]:
        bar, height, paper = self.plot.bars[number], self.heights[number], self.papers[number]
        middle = x + BAR / 2
        tops = [self.scale.y(0.0)]
        if height is None:
            yield f'<text class="soft" x="{middle:.1f}" y="{self.scale.y(0.0) - 3:.1f}" text-anchor="middle">–</text>'
        else:
            rise = fall = 0.0
            for piece, row in bar.pieces:
                value = self.study.by_id[row].ours or 0.0
                start = rise if value >= 0 else fall
                y, end = self.scale.y(max(start, start + value)), self.scale.y(min(start, start + value))
                rise, fall = (rise + value, fall) if value >= 0 else (rise, fall + value)
                colour = self.colours[piece if self.stacked else bar.label]
                what = f"{bar.group}, {bar.label}" + (f", {piece}" if self.stacked else "") + f": {plain(value)}"
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{BAR:.1f}" height="{max(end - y, 0.0):.1f}" fill="{colour}">'
                    f"<title>{escape(what)}</title></rect>"
                )
            tops.append(self.scale.y(rise))
        start = min(tops) - 4
        if paper is not None:
            mark = self.scale.y(paper)
            yield _diamond(middle, mark, f"{bar.group}, {bar.label}, the paper: {plain(paper)}")
            # Above the bar, unless the mark is in the way: then above the mark.
            if start - width_of(self.labels[number]) - 9 < mark < start + 9:
                start = mark - 9
        if height is not None:
            yield _upright(middle + 4, start, self.labels[number], "start")
        if self.stacked:
            yield _upright(middle + 4, self.scale.top + HEIGHT + 6, bar.label, "end")


def _upright(x: float, y: float, text: str, anchor: str) -> str:
    place = f'transform="translate({x:.1f} {y:.1f}) rotate(-90)" text-anchor="{anchor}"'
    return f'<text class="value" {place}>{escape(text)}</text>'


def _diamond(x: float, y: float, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    corners = f"M{x:.1f} {y - 5:.1f}L{x + 5:.1f} {y:.1f}L{x:.1f} {y + 5:.1f}L{x - 5:.1f} {y:.1f}Z"
    return f'<path class="mark" d="{corners}">{inside}</path>'


def render(plot: Plot, study: Study) -> str:
    """Draw a plot of a study as SVG."""
    return "\n".join(_Drawing(plot, study).parts()) + "\n"
