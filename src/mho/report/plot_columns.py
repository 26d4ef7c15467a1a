"""Upright bars in groups, single or stacked, as SVG: a bar's value stands upright above it, a paper's figure is a diamond on it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mho.engineering import plain
from mho.report.sections import Column, Columns
from mho.report.svg import KINDS, PALETTE, diamond, label, legend, opened, rectangle, round_step, rule, width_of

HEIGHT = 230.0
"""Of the field that the bars stand in, in pixels."""
BAR, GAP, BETWEEN = 18.0, 4.0, 26.0
LEFT, RIGHT = 66.0, 18.0
NARROWEST = 420.0


@dataclass(frozen=True)
class VerticalScale:
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


def scale_of(values: Sequence[float], top: float, room: float) -> VerticalScale:
    """Fit an axis to 0 and the values, with `room` pixels (at most half of the field) left above all of them."""
    low, high = min((0.0, *values)), max((0.0, *values))
    if low == high:
        high = 1.0
    step = round_step((high - low) / (1 - room / HEIGHT), 5, (1.0, 2.0, 2.5, 5.0, 10.0))
    below, above = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    while (above - high / step) * HEIGHT < room * (above - below):
        above += 1
    return VerticalScale(below * step, above * step, step, top)


def _height(column: Column) -> float | None:
    """Return the sum of a bar's pieces; None where one is missing."""
    values = [value for value in column.pieces.values() if value is not None]
    return math.fsum(values) if len(values) == len(column.pieces) else None


class _Drawing:
    """One chart, being drawn."""

    def __init__(self, chart: Columns) -> None:
        self.chart, self.columns = chart, chart.columns
        self.groups = list(dict.fromkeys(column.group for column in self.columns))
        self.stacked = any(len(column.pieces) > 1 for column in self.columns)
        pieces = dict.fromkeys(piece for column in self.columns for piece in column.pieces)
        names = pieces if self.stacked else dict.fromkeys(column.label for column in self.columns)
        rest = iter(PALETTE * len(names))
        self.colours = {name: KINDS[name] if name in KINDS else next(rest) for name in names}
        self.heights = [_height(column) for column in self.columns]
        self.labels = ["" if height is None else plain(height) for height in self.heights]
        self.below = max((width_of(column.label) for column in self.columns), default=0.0) + 8 if self.stacked else 0.0
        self.widths = {group: self._group_width(group) for group in self.groups}
        least = max(NARROWEST, width_of(chart.title) * 1.25 + 30)
        self.width = max(LEFT + sum(self.widths.values()) + BETWEEN * len(self.groups) + RIGHT, least)
        marks = [column.mark for column in self.columns if column.mark is not None]
        entries = list(self.colours.items()) if len(self.colours) > 1 else []
        self.legend, at = legend(entries + [("the paper", "")] * bool(marks), self.width - RIGHT, 43)
        values = [value for value in (*self.heights, *marks, chart.reference) if value is not None]
        room = max((width_of(text) for text in self.labels), default=0.0) + 12
        self.scale = scale_of(values, at + 17 if self.legend else 42, room)
        self.height = self.scale.top + HEIGHT + self.below + 30

    def _group_width(self, group: str) -> float:
        number = sum(column.group == group for column in self.columns)
        return max(number * (BAR + GAP) - GAP, width_of(group) - BETWEEN + 12)

    def parts(self) -> Iterator[str]:
        yield from opened(self.width, self.height, self.chart.title)
        yield from self.legend
        end = self.width - RIGHT
        for tick in self.scale.ticks:
            yield rule(LEFT, self.scale.y(tick), end, self.scale.y(tick))
            yield label(LEFT - 6, self.scale.y(tick) + 4, plain(tick), "soft small", "end")
        yield label(14, self.scale.top + HEIGHT / 2, self.chart.axis, "soft small", "middle", turned=True)
        if self.chart.reference is not None:
            yield rule(LEFT, self.scale.y(self.chart.reference), end, self.scale.y(self.chart.reference), "reference")
        yield rule(LEFT, self.scale.y(0.0), end, self.scale.y(0.0), "zero")
        x = LEFT + BETWEEN / 2
        for group in self.groups:
            yield from self._group(group, x)
            x += self.widths[group] + BETWEEN

    def _group(self, group: str, left: float) -> Iterator[str]:
        numbers = [number for number, column in enumerate(self.columns) if column.group == group]
        x = left + (self.widths[group] - len(numbers) * (BAR + GAP) + GAP) / 2
        for number in numbers:
            yield from self._column(number, x)
            x += BAR + GAP
        yield label(left + self.widths[group] / 2, self.scale.top + HEIGHT + self.below + 18, group, "", "middle")

    def _column(self, number: int, x: float) -> Iterator[str]:
        column, height, y = self.columns[number], self.heights[number], self.scale.y
        middle, rise, fall = x + BAR / 2, 0.0, 0.0
        if height is None:
            yield label(middle, y(0.0) - 3, "–", "soft", "middle")
        else:
            for piece, value in column.pieces.items():
                amount = value or 0.0
                start = rise if amount >= 0 else fall
                top, bottom = y(max(start, start + amount)), y(min(start, start + amount))
                rise, fall = (rise + amount, fall) if amount >= 0 else (rise, fall + amount)
                tip = f"{column.group}, {column.label}" + (f", {piece}" if self.stacked else "") + f": {plain(amount)}"
                fill = self.colours[piece if self.stacked else column.label]
                yield rectangle(x, top, BAR, max(bottom - top, 0.0), fill, tip)
        start = y(rise) - 4
        if column.mark is not None:
            mark = y(column.mark)
            yield diamond(middle, mark, f"{column.group}, {column.label}, the paper: {plain(column.mark)}")
            # Above the bar, unless the mark is in the way: then above the mark.
            if start - width_of(self.labels[number]) - 9 < mark < start + 9:
                start = mark - 9
        if height is not None:
            yield label(middle + 4, start, self.labels[number], "soft small halo", "start", turned=True)
        if self.stacked:
            yield label(middle + 4, self.scale.top + HEIGHT + 6, column.label, "soft small halo", "end", turned=True)


def draw_columns(chart: Columns) -> Iterator[str]:
    """Draw upright bars, but for the end of the drawing."""
    yield from _Drawing(chart).parts()
