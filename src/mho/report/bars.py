"""Bars that lie beside their names, each of one piece or of several, as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from mho.engineering import quantity, scaled, shortened
from mho.report.svg import label, opened, round_step, width_of

ROW = 26.0
FIELD = 460.0
RIGHT = 96.0
LONGEST = 34
"""Letters of a name, before it is cut in its middle."""
COLOURS = {
    "": "#2f6fb5",
    "compute": "#2f6fb5",
    "write": "#d9822b",
    "static": "#8a8f98",
    "memory": "#8a63b8",
}
"""Kinds of energy have the colours that they have in reports."""


@dataclass(frozen=True)
class Bar:
    """A bar: its name, its pieces by kind, and a mark on it with what it means."""

    name: str
    pieces: Mapping[str, float]
    mark: tuple[float, str] | None = None

    @property
    def length(self) -> float:
        """What the pieces add up to."""
        return sum(self.pieces.values())


def draw(title: str, bars: Sequence[Bar], unit: str) -> str:
    """Draw bars under a title, values in `unit` (s, J)."""
    return "\n".join(_parts(title, bars, unit)) + "\n"


def _parts(title: str, bars: Sequence[Bar], unit: str) -> Iterator[str]:
    kinds = list(dict.fromkeys(kind for bar in bars for kind in bar.pieces if kind))
    marked = next((bar.mark[1] for bar in bars if bar.mark is not None), "")
    top = 66.0 if kinds or marked else 48.0
    left = 24 + max((width_of(shortened(bar.name, LONGEST)) for bar in bars), default=60.0)
    most = max((bar.length for bar in bars), default=0.0) or 1.0
    width, bottom = left + FIELD + RIGHT, top + ROW * len(bars)

    def x(value: float) -> float:
        return left + FIELD * value / most

    yield from opened(width, bottom + 34, title)
    yield label(14, 24, title, "title")
    at = 14.0
    for kind in kinds:
        yield f'<rect x="{at:.1f}" y="37" width="10" height="10" rx="2" fill="{COLOURS[kind]}"/>'
        yield label(at + 15, 46, kind, "soft small")
        at += width_of(kind) + 34
    if marked:
        yield f'<path d="M{at + 2:.1f} 35v14" stroke="#c2452d" stroke-width="2"/>'
        yield label(at + 10, 46, marked, "soft small")
    step = round_step(most, 5)
    prefix = scaled(most, unit)[1]
    for tick in range(int(most / step + 1e-9) + 1):
        yield f'<line class="rule" x1="{x(step * tick):.1f}" x2="{x(step * tick):.1f}" y1="{top}" y2="{bottom:.1f}"/>'
        told = quantity(step * tick, unit, 2) if tick else f"0 {prefix}"
        yield label(x(step * tick), bottom + 18, told, "soft small", "middle")
    for place, bar in enumerate(bars):
        yield from _bar(bar, top + ROW * place, left, x, unit)
    yield "</svg>"


def _bar(bar: Bar, y: float, left: float, x: Callable[[float], float], unit: str) -> Iterator[str]:
    yield label(left - 8, y + 17, shortened(bar.name, LONGEST), "", "end")
    start = 0.0
    for kind, value in bar.pieces.items():
        tip = escape(f"{bar.name}{f', {kind}' if kind else ''}: {quantity(value, unit)}")
        size = f'x="{x(start):.1f}" y="{y + 5:.1f}" width="{x(start + value) - x(start):.2f}" height="16"'
        yield f'<rect {size} fill="{COLOURS[kind]}"><title>{tip}</title></rect>'
        start += value
    if bar.mark is not None:
        tip = escape(f"{bar.mark[1]}: {quantity(bar.mark[0], unit)}")
        yield (
            f'<path d="M{x(bar.mark[0]):.1f} {y + 2:.1f}v22" stroke="#c2452d" stroke-width="2"><title>{tip}</title></path>'
        )
    yield label(x(bar.length) + 7, y + 17, quantity(bar.length, unit), "soft small")
