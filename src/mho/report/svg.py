"""What all drawings share: a style that reads on light and on dark paper, widths of text, colours, and the simplest shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

LETTER = 6.8
"""Width to allow for a letter of 12 pixels."""

STYLE = (
    "svg.drawing{--ink:#1d2733;--soft:#5b6775;--rule:#dfe4ea;--ground:#ffffff;--mark:#2f6fb5;--noisy:#c2452d;--exact:#3a9a78;"
    'font:12px system-ui,"Segoe UI","Liberation Sans",sans-serif;font-variant-numeric:tabular-nums}'
    "@media (prefers-color-scheme:dark){svg.drawing{--ink:#e8edf2;--soft:#a3afbb;--rule:#333d48;--ground:#141a21;"
    "--mark:#7fb2e8;--noisy:#f08a72;--exact:#6cc7a5}}"
    "html.light svg.drawing{--ink:#1d2733;--soft:#5b6775;--rule:#dfe4ea;--ground:#ffffff;--noisy:#c2452d;--exact:#3a9a78}"
    "svg.drawing .ground{fill:var(--ground)}svg.drawing text{fill:var(--ink)}svg.drawing .soft{fill:var(--soft)}"
    "svg.drawing .title{font-size:14px;font-weight:600}svg.drawing .rule{stroke:var(--rule)}svg.drawing .zero{stroke:var(--soft)}"
    "svg.drawing .large{font-size:13px;font-weight:600}svg.drawing .small{font-size:11px}"
    "svg.drawing .halo{paint-order:stroke;stroke:var(--ground);stroke-width:3px}"
    "svg.drawing .light{fill:#ffffff}svg.drawing .dark{fill:#14202c}"
    "svg.drawing .noisy{fill:var(--noisy)}svg.drawing .exact{fill:var(--exact)}"
    "svg.drawing .paper{fill:var(--ground);stroke:var(--ink);stroke-width:1.4}"
    "svg.drawing .reference{stroke:var(--soft);stroke-dasharray:5 4}"
)

KINDS = {"compute": "#2f6fb5", "write": "#d9822b", "static": "#8a8f98", "memory": "#8a63b8"}
"""Colours of kinds of energy, as the style of the page has them."""
PALETTE = (
    "#2f6fb5", "#d9822b", "#3a9a78", "#8a63b8", "#c2452d", "#5fa8d3",
    "#c9a227", "#7a8b3c", "#b5668f", "#4f5d8a", "#9c6b45", "#8a8f98",
)  # fmt: skip
"""Colours that tell others apart; the last stands for all that are left."""
DISTINCT = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
"""Colours that colour-blind readers tell apart too, without the yellow, which is lost on white.

Source: M. Okabe and K. Ito, "Color Universal Design", 2008.
"""
SCALE = ((0xFB, 0xEF, 0xD5), (0xF2, 0xC4, 0x8D), (0xC9, 0x8F, 0x8A), (0x77, 0x6A, 0x9E), (0x25, 0x3C, 0x78))
"""From low to high, each darker than the one before, so that the order survives a black and white print."""


def width_of(text: str) -> float:
    """Return the pixels to allow for a text."""
    return LETTER * len(text)


def colour(share: float) -> tuple[str, bool]:
    """Return the colour at a place on the scale, from 0 to 1, and whether light text stands out on it."""
    place = min(max(share, 0.0), 1.0) * (len(SCALE) - 1)
    low = min(math.floor(place), len(SCALE) - 2)
    mixed = [a + (b - a) * (place - low) for a, b in zip(SCALE[low], SCALE[low + 1], strict=True)]
    # The text of higher contrast by relative luminance (WCAG 2.1): white below 0.18.
    linear = [(c / 255 / 12.92) if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in mixed]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#" + "".join(f"{round(c):02x}" for c in mixed), luminance < 0.18


def opened(width: float, height: float, title: str) -> list[str]:
    """Begin a drawing, wide enough for its title."""
    width = max(width, width_of(title) * 1.2 + 28)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return [
        f'<svg class="drawing" xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}" rx="6"/>',
        label(14, 22, title, "title"),
    ]


def label(x: float, y: float, text: str, kind: str = "", anchor: str = "start", turned: bool = False) -> str:
    """Write a text at a place."""
    place = f'transform="translate({x:.1f} {y:.1f}) rotate(-90)"' if turned else f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text class="{kind}" {place} text-anchor="{anchor}">{escape(text)}</text>'


def rectangle(x: float, y: float, width: float, height: float, fill: str, tip: str = "", kind: str = "") -> str:
    """Fill a rectangle, by the class `kind` where one is given, with a text for the pointer."""
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.2f}" height="{height:.2f}"'
    paint = f'class="{kind}"' if kind else f'fill="{fill}"'
    return f"<rect {size} {paint}><title>{escape(tip)}</title></rect>" if tip else f"<rect {size} {paint}/>"


def rule(x: float, y: float, to_x: float, to_y: float, kind: str = "rule") -> str:
    """Draw a straight line."""
    return f'<line class="{kind}" x1="{x:.1f}" x2="{to_x:.1f}" y1="{y:.1f}" y2="{to_y:.1f}"/>'


def diamond(x: float, y: float, tip: str = "") -> str:
    """Draw the mark of a paper's figure."""
    inside = f"<title>{escape(tip)}</title>" if tip else ""
    corners = f"M{x:.1f} {y - 5:.1f}L{x + 5:.1f} {y:.1f}L{x:.1f} {y + 5:.1f}L{x - 5:.1f} {y:.1f}Z"
    return f'<path class="paper" d="{corners}">{inside}</path>'


def legend(entries: Sequence[tuple[str, str]], width: float, top: float) -> tuple[list[str], float]:
    """Write names beside patches of their colours, in lines that fit; return them and where the last line stands.

    A mark stands beside a name without a colour.
    """
    shapes: list[str] = []
    x, y = 14.0, top
    for name, fill in entries:
        if x > 14 and x + width_of(name) + 34 > width:
            x, y = 14.0, y + 18
        shapes.append(rectangle(x, y - 9, 10, 10, fill) if fill else diamond(x + 5, y - 4))
        shapes.append(label(x + 16, y, name, "small"))
        x += width_of(name) + 34
    return shapes, y


def round_step(span: float, parts: int, steps: Sequence[float] = (1.0, 2.0, 5.0, 10.0)) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) that cuts a span into at most so many parts."""
    raw = span / parts
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in steps if step * power >= raw * (1 - 1e-9))
