"""Drawings of a recommendation, as SVG that needs nothing else: falling curves, histograms, stacked bars, spans of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from mho.engineering import count, percent, quantity
from mho.report.recommend_page import Curve, Histogram, Stack
from mho.report.svg import colour, label, opened, round_step, width_of

WIDTH = 560.0
HEIGHT = 270.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 18.0, 34.0, 46.0
ROW = 30.0
SERIES = ("#8a8f98", "#2f6fb5")
"""Before, and after."""
PARTS = (
    "#2f6fb5", "#d9822b", "#3a9a78", "#8a63b8", "#c2452d", "#5fa8d3",
    "#c9a227", "#7a8b3c", "#b5668f", "#4f5d8a", "#9c6b45", "#8a8f98",
)  # fmt: skip
"""Parts of stacks; the last stands for all others."""


class Log:
    """A logarithmic axis from `low` to `high`, positive numbers, over pixels `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        if high < 2 * low:
            # So little apart, they would fill the axis with nothing to read them by.
            middle = math.sqrt(low * high)
            low, high = middle / 1.5, middle * 1.5
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self, most: int) -> list[float]:
        """Return round numbers within: powers of ten, of which some are left out beyond `most`, or also 2 and 5 times them."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        inside = [10.0**power for power in range(first, last + 1) if self._holds(10.0**power)]
        if len(inside) > most:
            return inside[:: -(-len(inside) // most)]
        finer = sorted(
            each * 10.0**power
            for power in range(first, last + 1)
            for each in (1, 2, 5)
            if self._holds(each * 10.0**power)
        )
        if len(finer) < 3:
            step = round_step(self.high - self.low, most)
            return [step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return finer if len(finer) <= most else inside

    def _holds(self, value: float) -> bool:
        return self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)


def _legend(entries: Sequence[tuple[str, str]], x: float, y: float) -> Iterator[str]:
    """Write names beside patches of their colours, in one line."""
    for name, fill in entries:
        yield f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="11" height="11" rx="2" fill="{fill}"/>'
        yield label(x + 16, y, name, "small")
        x += 34 + width_of(name)


def _nothing(title: str, why: str) -> str:
    return "\n".join([*opened(WIDTH, 70, title), label(WIDTH / 2, 40, why, "soft", "middle"), "</svg>"])


def curves(title: str, drawn: Sequence[Curve], across: str, up: str) -> str:
    """Draw curves over their ranks, both axes logarithmic."""
    known = [curve for curve in drawn if len(curve.ranks)]
    if not known:
        return _nothing(title, "nothing was looked up")
    x = Log(1.0, float(max(curve.ranks[-1] for curve in known)), LEFT, WIDTH - RIGHT)
    low, high = min(float(curve.values[-1]) for curve in known), max(float(curve.values[0]) for curve in known)
    y = Log(low, high, HEIGHT - BOTTOM, TOP)
    lines = opened(WIDTH, HEIGHT, title)
    for at in y.ticks(6):
        lines.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>')
        lines.append(label(LEFT - 6, y(at) + 4, count(at), "soft small", "end"))
    # There is no rank between two whole numbers.
    for at in (tick for tick in x.ticks(7) if float(tick).is_integer()):
        lines.append(f'<line class="rule" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        lines.append(label(x(at), HEIGHT - BOTTOM + 16, count(at), "soft small", "middle"))
    for curve, stroke in zip(drawn, SERIES[-len(drawn) :], strict=True):
        points = [(x(rank), y(value)) for rank, value in zip(curve.ranks.tolist(), curve.values.tolist(), strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        if len(points) == 1:
            lines.append(f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="4" fill="{stroke}"/>')
        elif points:
            lines.append(f'<polyline fill="none" stroke="{stroke}" stroke-width="2.2" points="{path}"/>')
    names = [
        f"{curve.name}: {count(curve.total)}" + (f", {count(curve.idle)} idle" if curve.idle else "") for curve in drawn
    ]
    lines += _legend(list(zip(names, SERIES[-len(drawn) :], strict=True)), LEFT, 18)
    lines.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, "soft small", "middle"))
    lines.append(label(14, (TOP + HEIGHT - BOTTOM) / 2, up, "soft small", "middle", turned=True))
    return "\n".join([*lines, "</svg>"])


def histogram(title: str, drawn: Histogram, across: str, up: str) -> str:
    """Draw shares side by side, bin by bin."""
    highest = max((share for _, shares in drawn.shares for share in shares), default=0.0)
    if not highest:
        return _nothing(title, "nothing was looked up")
    step = round_step(highest, 4)
    ceiling = step * math.ceil(highest / step - 1e-9)
    field, floor = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM
    each = field / len(drawn.bins)
    bar = min(each * 0.8 / len(drawn.shares), 44.0)
    colours = SERIES[-len(drawn.shares) :]

    def y(share: float) -> float:
        return floor - (floor - TOP) * share / ceiling

    lines = opened(WIDTH, HEIGHT, title)
    for number in range(round(ceiling / step) + 1):
        at = number * step
        lines.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>')
        lines.append(label(LEFT - 6, y(at) + 4, f"{100 * at:g} %", "soft small", "end"))
    for place, name in enumerate(drawn.bins):
        middle = LEFT + each * (place + 0.5)
        lines.append(label(middle, floor + 16, name, "soft small", "middle"))
        for number, ((design, shares), fill) in enumerate(zip(drawn.shares, colours, strict=True)):
            if not shares[place]:
                continue
            left = middle + bar * (number - len(drawn.shares) / 2)
            tip = escape(f"{design}, {name}: {percent(shares[place], 1.0)}")
            height = max(floor - y(shares[place]), 0.8)
            lines.append(
                f'<rect x="{left + 0.5:.1f}" y="{floor - height:.1f}" width="{bar - 1:.1f}" height="{height:.1f}" fill="{fill}">'
                f"<title>{tip}</title></rect>"
            )
    lines += _legend([(name, fill) for (name, _), fill in zip(drawn.shares, colours, strict=True)], LEFT, 18)
    lines.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, "soft small", "middle"))
    lines.append(label(14, (TOP + floor) / 2, up, "soft small", "middle", turned=True))
    return "\n".join([*lines, "</svg>"])


def merged(drawn: Stack) -> Stack:
    """Put parts beyond the colours that there are together, as "others"."""
    kept = len(PARTS) - 1
    if len(drawn.parts) <= kept:
        return drawn
    return Stack(
        (*drawn.parts[:kept], "others"),
        tuple((name, (*amounts[:kept], sum(amounts[kept:]))) for name, amounts in drawn.amounts),
        drawn.ends,
    )


def _keys(parts: Sequence[str], fills: Sequence[str], left: float, top: float) -> tuple[list[str], float]:
    """Write a legend of as many lines as it takes; return it and where it ends."""
    lines: list[str] = []
    x, y = left, top
    for part, fill in zip(parts, fills, strict=True):
        room = 30 + width_of(part)
        if x > left and x + room > WIDTH - 8:
            x, y = left, y + 18
        lines += _legend([(part, fill)], x, y)
        x += room
    return lines, y


def stack(title: str, drawn: Stack, told: Callable[[float], str], *, ordered: bool = False) -> str:
    """Draw a bar for each design, its parts one after the other; `told` writes an amount.

    `ordered`: the parts rise, and so do their colours; else each has one that tells it from the others.
    """
    drawn = drawn if ordered else merged(drawn)
    last = max(len(drawn.parts) - 1, 1)
    # The palest of the scale would be lost on white.
    fills = [colour(0.15 + 0.85 * at / last)[0] if ordered else PARTS[at] for at in range(len(drawn.parts))]
    names = [name for name, _ in drawn.amounts]
    most = max((sum(amounts) for _, amounts in drawn.amounts), default=0.0)
    if not most:
        return _nothing(title, "nothing was looked up")
    left = 22 + max(width_of(name) for name in names)
    right = 20 + max(width_of(end) for end in drawn.ends)
    keys, end = _keys(drawn.parts, fills, left, 20)
    top = end + 14
    lines = [*opened(WIDTH, top + ROW * len(names) + 6, title), *keys]
    for place, (name, amounts) in enumerate(drawn.amounts):
        y = top + ROW * place
        lines.append(label(left - 8, y + 18, name, "", "end"))
        x = left
        for part, amount, fill in zip(drawn.parts, amounts, fills, strict=True):
            width = (WIDTH - left - right) * amount / most
            if width > 0:
                tip = escape(f"{name}, {part}: {told(amount)} ({percent(amount, sum(amounts))})")
                lines.append(
                    f'<rect x="{x:.2f}" y="{y + 4:.1f}" width="{width:.2f}" height="20" fill="{fill}"><title>{tip}</title></rect>'
                )
            x += width
        lines.append(label(x + 7, y + 18, drawn.ends[place], "soft small"))
    return "\n".join([*lines, "</svg>"])


def spans(title: str, drawn: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Draw times on a logarithmic axis: a line from least to most, a box over the middle half, the median, the 99th percentile."""
    positive = [each for _, quantiles in drawn for each in quantiles if each > 0]
    if not positive:
        return _nothing(title, "nothing was looked up")
    left, top = 22 + max(width_of(name) for name, _ in drawn), 14.0
    x = Log(min(positive), max(positive), left + 6, WIDTH - 26)
    floor = top + ROW * len(drawn)
    lines = opened(WIDTH, floor + 44, title)
    for at in x.ticks(6):
        lines.append(f'<line class="rule" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{floor}"/>')
        lines.append(label(x(at), floor + 16, quantity(at, "s"), "soft small", "middle"))
    for place, (name, quantiles) in enumerate(drawn):
        y = top + ROW * (place + 0.5)
        least, low, middle, high, late, most = (x(max(each, x.low)) for each in quantiles)
        told = ("least", "lower quarter", "median", "upper quarter", "99th percentile", "most")
        pairs = zip(told, quantiles, strict=True)
        tip = escape(f"{name}: " + ", ".join(f"{what} {quantity(each, 's')}" for what, each in pairs))
        lines.append(label(left - 8, y + 4, name, "", "end"))
        lines.append(
            f"<g><title>{tip}</title>"
            f'<line stroke="{SERIES[0]}" stroke-width="2" x1="{least:.1f}" x2="{most:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<rect fill="{SERIES[1]}" x="{low:.1f}" y="{y - 8:.1f}" width="{max(high - low, 1.5):.1f}" height="16" rx="2"/>'
            f'<line stroke="#ffffff" stroke-width="2" x1="{middle:.1f}" x2="{middle:.1f}" y1="{y - 8:.1f}" y2="{y + 8:.1f}"/>'
            f'<circle fill="{PARTS[1]}" cx="{late:.1f}" cy="{y:.1f}" r="4"/></g>'
        )
    lines.append(label((left + WIDTH) / 2, floor + 36, "time of a batch", "soft small", "middle"))
    return "\n".join([*lines, "</svg>"])
