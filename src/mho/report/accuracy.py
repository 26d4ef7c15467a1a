"""How accurate a program is on a chip, as a person should see it: accuracies and intervals, remedies, chips, layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from mho.engineering import count
from mho.explore.accuracy import decibels
from mho.mapping.told import integers_said
from mho.report.sections import Bar, Bars, Figures, Listing, Notes, Section, Sentence, Table, Tone, View, synthetic

if TYPE_CHECKING:
    from mho.explore.accuracy import Accuracy
    from mho.machine.analog.signals import LayerSignal
    from mho.machine.analog.spec import Analog
    from mho.machine.resolution import Resolution

MARKED = 3
"""Layers marked as the noisiest."""
SHOWN = 24
"""Layers shown in a terminal, before the quieter ones are left out."""
REMEDIES = "What would help, each tried on the same few samples"
UNCERTAINTY = (
    "Two things are uncertain. Over chips: how far the mean of the chips drawn is from that of all chips of this kind "
    "(Student's t over the seeds); more seeds narrow it. Over samples: how far these samples are from all samples like them "
    "(Wilson's binomial interval); more samples narrow it."
)


def points(share: float | None, digits: int = 2) -> str:
    """Write a share as a percentage: 91.62 %; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def half_points(half: float | None) -> str:
    """Write half an interval in percentage points: ± 0.31; nothing where there is none."""
    return "" if half is None else f"± {100 * half:.2f}"


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


def value(given: Any) -> str:
    """Write the value of a parameter: 6, 0.05, full."""
    return f"{given:g}" if isinstance(given, float) else str(given)


def snr(layer: LayerSignal) -> str:
    """Write a layer's signal-to-noise ratio: 23.4 dB, or exact."""
    ratio = decibels(layer)
    if ratio is not None:
        return f"{ratio:.1f} dB"
    return "exact" if layer.noise == 0 else "no signal"


def loudness(layer: LayerSignal) -> float:
    """Order layers by their noise: the lowest signal-to-noise ratio first, exact ones last."""
    return -math.inf if layer.noise and not layer.signal else layer.snr_db


def noisiest(layers: Sequence[LayerSignal]) -> list[str]:
    """Return the names of the noisiest layers, the noisiest first, none that is exact."""
    noisy = sorted((layer for layer in layers if layer.noise), key=loudness)
    return [layer.name for layer in noisy[:MARKED]]


def about(judged: Mapping[str, Any], seeds: Sequence[int] = (), most: str = "") -> list[str]:
    """Say on what samples, weights, schedule and chips an accuracy rests, of which the data are given."""
    chips = f" · {len(seeds)} chip{'s' * (len(seeds) != 1)} (seeds {seeds[0]} to {seeds[-1]})" if seeds else ""
    return [
        f"{most}{judged['samples']} samples: {judged['data']}",
        f"weights: {judged['weights_origin']} · schedule {judged['schedule']}{chips} · mho {judged['version']}",
    ]


def notes_of(notes: Sequence[str]) -> Notes:
    """Return notes, of which a terminal leaves out citations: assumptions are told wherever a result rests on them."""
    brief = [note for note in notes if ", source: " not in note or ", source: assumption:" in note]
    hidden = len(notes) - len(brief)
    if hidden:
        brief.append(f"{hidden} citations of the device: mho devices NAME, --json, --out")
    return Notes(notes=notes, brief=brief)


def listing(analog: Mapping[str, Any]) -> Listing:
    """Return the analog side as it would stand in a file."""
    text = yaml.safe_dump(dict(analog), sort_keys=False, allow_unicode=True).rstrip()
    return Listing(title="Analog side, all values in effect", text=text, where="page")


def converters(resolved: Resolution, analog: Analog) -> Sentence:
    """Say what the converters resolve, as a condition where they fall short."""
    if resolved.complete:
        return Sentence(str(resolved), "soft")
    rounds = "At full range they round sums; where that costs accuracy, what would help is tried below."
    return Sentence(f"{resolved}. {rounds if analog.adc.range == 'full' else ''}".rstrip(), "warn")


def _accuracies(evaluation: Accuracy) -> Figures:
    rows = []
    if evaluation.in_float is not None:
        rows.append(("float network", points(evaluation.in_float), "the model as it was given"))
    rows.append((integers_said(evaluation.notes), points(evaluation.in_integers), "the same program on an ideal chip"))
    spread, strong = evaluation.over_seeds, len(rows)
    if spread.deviation is None:
        alone = "one chip drawn" if evaluation.draws else "all chips are alike: nothing is drawn"
        rows.append(("on the chip", points(evaluation.accuracy), alone))
    else:
        chips = (
            f"mean of {len(evaluation.seeds)} chips, standard deviation {100 * spread.deviation:.2f}, "
            f"worst {points(min(evaluation.accuracies))}, best {points(max(evaluation.accuracies))}"
        )
        rows.append(("on the chip", points(evaluation.accuracy), chips))
        of_all = "the mean of all chips of this kind, on these samples"
        rows.append(("  95 % over chips", interval(evaluation.seed_interval), of_all))
    like = f"these chips, on all samples like these {evaluation.samples}"
    rows += [
        ("  95 % over samples", interval(evaluation.sample_interval), like),
        ("agreement", points(evaluation.agreement), "of the answers are those of the integers, right or wrong"),
        ("ADC clipped", rate(evaluation.clip_rate), "of all conversions"),
    ]
    return Figures(title="Accuracy", rows=rows, remark=UNCERTAINTY, tones={strong: "strong"})


def _remedies(evaluation: Accuracy) -> Figures:
    """Lay out what was tried against the losses of converters: changes, how many samples are right, whether that is enough."""
    rows = []
    tones: dict[int, Tone] = {}
    for number, remedy in enumerate(evaluation.remedies or ()):
        words = (
            "keeps the accuracy"
            if remedy.enough
            else f"{remedy.right_in_integers} in {integers_said(evaluation.notes)}"
        )
        if remedy.changes.get("adc.bits") == "ideal":
            words += "; so the converters are the reason" if remedy.enough else "; so other losses remain"
        rows.append((str(remedy), f"{remedy.right} of {remedy.samples}", words))
        tones[number] = "good" if remedy.enough else ""
    return Figures(title=REMEDIES, rows=rows, tones=tones)


def layers(evaluation: Accuracy, most: int | None = None) -> Bars:
    """Draw the signal-to-noise ratio of each layer in the order of execution, of the `most` noisiest where there are more."""
    loudest, marked = sorted(evaluation.layers, key=loudness), noisiest(evaluation.layers)
    chosen = {layer.name for layer in loudest[:most]}
    known = [ratio for layer in evaluation.layers if (ratio := decibels(layer)) is not None]
    title = f"{evaluation.subject.model} on {evaluation.chip['name']}: signal-to-noise ratio of each layer, in dB"
    if most is not None:
        chips = "" if len(evaluation.seeds) == 1 else f", {len(evaluation.seeds)} chips together"
        which = f"the {most} noisiest of {len(evaluation.layers)}, " if len(evaluation.layers) > most else ""
        title = f"Layers   signal-to-noise ratio, ADC clipped, conversions; {which}in their order{chips}"
    bars = []
    for layer in evaluation.layers:
        if layer.name not in chosen:
            continue
        ratio = decibels(layer)
        length = max(known, default=10.0) if layer.noise == 0 else 0.0 if ratio is None else ratio
        tone: Tone = "bad" if layer.name in marked else "good" if layer.noise == 0 else ""
        beside = rate(layer.clip_rate) if most is None else f"{rate(layer.clip_rate)}  {count(layer.conversions)}"
        bars.append(Bar(layer.name, {"": length}, snr(layer), beside, tone))
    sums = "against the exact sums of the inputs that the layer really got; the lowest are marked"
    return Bars(
        title=title,
        bars=bars,
        unit="dB",
        about=sums,
        beside="ADC clipped",
        where="page" if most is None else "terminal",
    )


def side(evaluation: Accuracy) -> str:
    """Write the name of the analog side, where it was given one."""
    unnamed = type(evaluation.analog).model_fields["name"].default
    return "" if evaluation.analog.name == unnamed else f", {evaluation.analog.name}"


def view(evaluation: Accuracy) -> View:
    """Return the view of an evaluation."""
    subject = evaluation.subject
    sections: list[Section] = [_accuracies(evaluation)]
    if evaluation.remedies:
        sections.append(_remedies(evaluation))
    if len(evaluation.seeds) > 1:
        by_seed = zip(evaluation.seeds, evaluation.accuracies, evaluation.agreeing, strict=True)
        lines = [(str(seed), points(share), points(agreeing / evaluation.samples)) for seed, share, agreeing in by_seed]
        sections.append(Table(title="Chip by chip", heads=("seed", "accuracy", "agreement"), lines=lines, where="page"))
    if evaluation.layers:
        sections += [layers(evaluation), layers(evaluation, SHOWN)]
    condition = [] if evaluation.resolved else [Sentence(evaluation.converters["text"], "warn", "page")]
    return View(
        f"{subject.model} on {evaluation.chip['name']}{side(evaluation)}",
        (*sections, listing(evaluation.analog.to_dict()), notes_of(evaluation.notes)),
        about({**subject.to_dict(), "version": evaluation.version}, evaluation.seeds),
        (*synthetic(subject.weights_origin), *condition),
    )


def files(evaluation: Accuracy) -> dict[str, Bars]:
    """Return what is also written as files of its own."""
    return {"layers.svg": layers(evaluation)} if evaluation.layers else {}
