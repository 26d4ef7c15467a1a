"""What is busy when, a row each, over one stretch of time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mho.engineering import quantity, shortened
from mho.report import sections as see
from mho.report.svg import PALETTE, label, legend, opened, rectangle, round_step, rule, width_of

ROW, BAR, FIELD = 15.0, 11.0, 640.0
"""Height of a row and of the bar in it, and width of the field that bars lie in."""
LONGEST = 34
"""Letters of a name, before it is cut in its middle."""


def draw_tracks(chart: see.Tracks) -> Iterator[str]:
    """Draw tracks; stretches of one kind have one colour, the last one that all are left with who find none of their own."""
    names = [shortened(track.name, LONGEST) for track in chart.tracks]
    left = 24 + max(map(width_of, names), default=0.0)
    right = 24 + max(map(width_of, (chart.beside, *(track.beside for track in chart.tracks))))
    width = max(left + FIELD + right, width_of(chart.about) + 28, width_of(chart.title) * 1.2 + 28)
    colours = [PALETTE[min(kind, len(PALETTE) - 1)] for kind in range(len(chart.kinds))]
    keys, at = legend(list(zip(chart.kinds, colours, strict=True)), width, 64 if chart.about else 46)
    top = at + 28
    bottom = top + ROW * len(names)

    def x(seconds: float) -> float:
        return left + FIELD * seconds / chart.length_s

    yield from opened(width, bottom + 30, chart.title)
    yield label(14, 42, chart.about, "soft small") if chart.about else ""
    yield from keys
    step = round_step(chart.length_s, 6)
    for tick in range(math.floor(chart.length_s / step + 1e-9) + 1):
        yield rule(x(step * tick), top, x(step * tick), bottom)
        yield label(x(step * tick), bottom + 16, quantity(step * tick, "s", 2) if tick else "0", "soft small", "middle")
    yield rule(x(chart.length_s), top, x(chart.length_s), bottom, "zero")
    if chart.beside:
        yield label(left + FIELD + right - 14, top - 6, chart.beside, "soft small", "end")
    for place, (track, name) in enumerate(zip(chart.tracks, names, strict=True)):
        y = top + ROW * place
        yield label(left - 8, y + 11, name, "small", "end")
        for begin, end, kind in track.stretches:
            tip = f"{track.name}, {chart.kinds[kind]}: {quantity(begin, 's')} to {quantity(end, 's')}"
            yield rectangle(x(begin), y + (ROW - BAR) / 2, x(end) - x(begin), BAR, colours[kind], tip)
        if track.beside:
            yield label(left + FIELD + right - 14, y + 11, track.beside, "soft small", "end")
