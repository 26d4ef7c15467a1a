"""How accuracies are written: the same words in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mho.machine.evaluation import decibels

if TYPE_CHECKING:
    from mho.machine.analog.signals import LayerSignal
    from mho.machine.evaluation import Evaluation

OVER_SEEDS = "over chips"
OVER_SAMPLES = "over samples"
MARKED = 3
"""Layers marked as the noisiest."""


def points(share: float | None, digits: int = 2) -> str:
    """Write a share as a percentage: 91.62 %; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def half_points(half: float | None, digits: int = 2) -> str:
    """Write half an interval in percentage points: ± 0.31; nothing where there is none."""
    return "" if half is None else f"± {100 * half:.{digits}f}"


def interval(ends: Sequence[float] | None, digits: int = 2) -> str:
    """Write an interval: 90.84 to 92.36 %; a dash where there is none."""
    return "–" if ends is None else f"{100 * ends[0]:.{digits}f} to {100 * ends[1]:.{digits}f} %"


def rate(share: float) -> str:
    """Write how often an ADC clipped: never, < 0.001 %, 0.012 %, 3.4 %."""
    if share == 0:
        return "never"
    for digits in (1, 2, 3):
        if 100 * share >= 10.0 ** (1 - digits) * (1 - 1e-9):
            return f"{100 * share:.{digits}f} %"
    return "< 0.001 %"


def snr(layer: LayerSignal) -> str:
    """Write a layer's signal-to-noise ratio: 23.4 dB, or exact."""
    found = decibels(layer)
    if found is not None:
        return f"{found:.1f} dB"
    return "exact" if layer.noise == 0 else "no signal"


def loudness(layer: LayerSignal) -> float:
    """Order layers by their noise: the lowest signal-to-noise ratio first, exact ones last."""
    return -math.inf if layer.noise and not layer.signal else layer.snr_db


def noisiest(layers: Sequence[LayerSignal], how_many: int = MARKED) -> set[str]:
    """Return the names of the noisiest layers, none that is exact."""
    noisy = sorted((layer for layer in layers if layer.noise), key=loudness)
    return {layer.name for layer in noisy[:how_many]}


def value(given: Any) -> str:
    """Write the value of a parameter: 6, 0.05, full."""
    return f"{given:g}" if isinstance(given, float) else str(given)


def rows(found: Evaluation) -> list[tuple[str, str, str]]:
    """Return what is known of the accuracies: what, how much, and a remark in plain words."""
    lines = []
    if found.in_float is not None:
        lines.append(("float network", points(found.in_float), "the model as it was given"))
    lines.append(("8-bit integers", points(found.in_integers), "the same program on an ideal chip"))
    spread = found.over_seeds
    chips = len(found.seeds)
    if spread.deviation is None:
        alone = "one chip drawn" if found.draws else "all chips are alike: nothing is drawn"
        lines.append(("on the chip", points(found.accuracy), alone))
    else:
        least, most = min(found.accuracies), max(found.accuracies)
        lines.append(
            (
                "on the chip",
                points(found.accuracy),
                f"mean of {chips} chips, standard deviation {100 * spread.deviation:.2f}, "
                f"worst {points(least)}, best {points(most)}",
            )
        )
        lines.append(
            (
                f"  95 % {OVER_SEEDS}",
                interval(found.seed_interval),
                "the mean of all chips of this kind, on these samples",
            )
        )
    lines.append(
        (
            f"  95 % {OVER_SAMPLES}",
            interval(found.sample_interval),
            f"these chips, on all samples like these {found.samples}",
        )
    )
    lines.append(("agreement", points(found.agreement), "of the answers are those of the integers, right or wrong"))
    lines.append(("ADC clipped", rate(found.clip_rate), "of all conversions"))
    return lines


def side(found: Evaluation) -> str:
    """Write the name of the analog side, where it was given one."""
    unnamed = type(found.analog).model_fields["name"].default
    return "" if found.analog.name == unnamed else f", {found.analog.name}"


def headline(values: Mapping[str, Any]) -> str:
    """Write the values of a point of a sweep: adc.bits 6, age_s 0."""
    return ", ".join(f"{key} {value(given)}" for key, given in values.items())


def remedies(found: Evaluation) -> list[tuple[str, str, str]]:
    """Return what was tried against the losses of converters: changes, how many samples are right, and whether that is enough."""
    lines = []
    for remedy in found.remedies or ():
        words = "keeps the accuracy" if remedy.enough else f"{remedy.right_in_integers} in 8-bit integers"
        if remedy.changes.get("adc.bits") == "ideal":
            words += "; so the converters are the reason" if remedy.enough else "; so other losses remain"
        lines.append((str(remedy), f"{remedy.right} of {remedy.samples}", words))
    return lines


REMEDIES = "What would help, each tried on the same few samples"
