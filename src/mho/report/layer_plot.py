"""Layers as a drawing: the signal-to-noise ratio of each, and how often its ADCs clipped. SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from mho.engineering import shortened
from mho.machine.evaluation import decibels
from mho.report import accuracy_text as text
from mho.report.svg import label, opened, round_step, width_of

if TYPE_CHECKING:
    from mho.machine.evaluation import Evaluation

ROW = 19.0
FIELD = 430.0
TOP = 64.0
RIGHT = 190.0
LONGEST = 40
"""Letters of a layer's name, before it is cut in its middle."""


def draw(found: Evaluation) -> str:
    """Draw every layer in the order of execution."""
    return "\n".join(_parts(found)) + "\n"


def _parts(found: Evaluation) -> Iterator[str]:
    names = [shortened(layer.name, LONGEST) for layer in found.layers]
    left = 24 + max((width_of(name) for name in names), default=60.0)
    ratios = [decibels(layer) for layer in found.layers]
    known = [ratio for ratio in ratios if ratio is not None]
    step = round_step(max(max(known, default=0.0), -min(known, default=0.0), 10.0), 5)
    low = min(0.0, step * (min(known, default=0.0) // step))
    high = step * (-(-max(known, default=step) // step) or 1)
    width, height = left + FIELD + RIGHT, TOP + ROW * len(names) + 34
    marked = text.noisiest(found.layers)

    def x(ratio: float) -> float:
        return left + FIELD * (ratio - low) / (high - low)

    title = f"{found.program.network.name} on {found.program.chip.name}: signal-to-noise ratio of each layer, in dB"
    yield from opened(width, height, title)
    yield label(14, 24, title, "title")
    yield label(
        14, 42, "against the exact sums of the inputs that the layer really got; the lowest are marked", "soft small"
    )
    yield label(width - 16, TOP - 8, "ADC clipped", "soft small", "end")
    for tick in range(round((high - low) / step) + 1):
        at = low + step * tick
        yield f'<line class="rule" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{height - 28:.1f}"/>'
        yield label(x(at), height - 12, f"{at:g}", "soft small", "middle")
    for number, (layer, ratio) in enumerate(zip(found.layers, ratios, strict=True)):
        y = TOP + ROW * (number + 0.5)
        kind = "noisy" if layer.name in marked else "exact" if layer.noise == 0 else "mark"
        end = left + FIELD if layer.noise == 0 else x(low if ratio is None else ratio)
        start = x(max(low, 0.0))
        tip = (
            f"{layer.name}: {text.snr(layer)}, clipped {text.rate(layer.clip_rate)} of {layer.conversions} conversions"
        )
        yield label(left - 8, y + 4, names[number], "small", "end")
        yield (
            f'<rect class="{kind}" x="{min(start, end):.1f}" y="{y - 6:.1f}" width="{max(abs(end - start), 1.0):.1f}" height="12" '
            f'rx="2"><title>{escape(tip)}</title></rect>'
        )
        yield label(max(start, end) + 7, y + 4, text.snr(layer), "soft small")
        yield label(width - 16, y + 4, text.rate(layer.clip_rate), "soft small", "end")
    yield "</svg>"
