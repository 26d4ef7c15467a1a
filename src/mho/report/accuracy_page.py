"""Accuracy as pages that need nothing but themselves, and the files of an evaluation and of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mho.files.writing import save_texts
from mho.report import accuracy_text as text
from mho.report import finding_text, heat_map, layer_plot, sweep_text
from mho.report.sheets import Page, Sheet, as_json

if TYPE_CHECKING:
    from mho.machine.evaluation import Evaluation
    from mho.machine.finding import Finding
    from mho.machine.sweep import Sweep

UNCERTAINTY = (
    "Two things are uncertain. Over chips: how far the mean of the chips drawn is from that of all chips of this kind "
    "(Student's t over the seeds); more seeds narrow it. Over samples: how far these samples are from all samples like them "
    "(Wilson's binomial interval); more samples narrow it."
)


def _listing(analog: Mapping[str, Any]) -> tuple[str, str]:
    text = yaml.safe_dump(dict(analog), sort_keys=False, allow_unicode=True).rstrip()
    return "Analog side, all values in effect", text


def _about(found: Evaluation, version: str) -> str:
    chips = len(found.seeds)
    program = found.program
    return (
        f"{found.samples} samples: {found.data} · weights: {program.network.origin} · schedule {program.schedule} · "
        f"{chips} {'chip' if chips == 1 else 'chips'} (seeds {found.seeds[0]} to {found.seeds[-1]}) · mho {version}"
    )


def evaluation_page(found: Evaluation) -> str:
    """Return the page of an evaluation."""
    content = found.to_dict()
    sheets = [Sheet("Accuracy", (), text.rows(found), UNCERTAINTY, told=True)]
    if found.remedies:
        sheets.append(Sheet(text.REMEDIES, (), text.remedies(found), told=True))
    if len(found.seeds) > 1:
        by_seed = zip(found.seeds, found.accuracies, found.agreeing, strict=True)
        lines = [
            (str(seed), text.points(share), text.points(agreeing / found.samples)) for seed, share, agreeing in by_seed
        ]
        sheets.append(Sheet("Chip by chip", ("seed", "accuracy", "agreement"), lines))
    return Page(
        f"{found.program.network.name} on {found.program.chip.name}{text.side(found)}",
        _about(found, content["version"]),
        found.program.network.origin,
        sheets,
        found.notes,
        amber=[] if found.resolution.complete else [str(found.resolution)],
        after=[layer_plot.draw(found)] if found.layers else [],
        listing=_listing(content["analog"]),
    ).render()


def sweep_page(found: Sweep) -> str:
    """Return the page of a sweep."""
    content = found.to_dict()
    first = found.evaluations[0]
    heads = (
        *(sweep_text.axis(key) for key, _ in found.over), "accuracy", "95 % over chips", "95 % over samples", "worst chip",
        "agreement", "ADC clipped", "chips",
    )  # fmt: skip
    lines = [
        (
            *(text.value(value) for value in values.values()),
            text.points(each.accuracy),
            text.interval(each.seed_interval),
            text.interval(each.sample_interval),
            text.points(min(each.accuracies)),
            text.points(each.agreement),
            text.rate(each.clip_rate),
            str(len(each.seeds)),
        )
        for values, each in found.points
    ]
    return Page(
        f"{first.program.network.name}: accuracy over {' and '.join(key for key, _ in found.over)}",
        _about(max(found.evaluations, key=lambda each: len(each.seeds)), content["version"]),
        first.program.network.origin,
        [Sheet("Point by point", heads, lines, UNCERTAINTY)],
        found.notes,
        said=sweep_text.conclusion(found),
        before=[heat_map.draw(found)],
        listing=_listing(content["analog"]),
    ).render()


def finding_page(found: Finding) -> str:
    """Return the page of a finding."""
    program, content = found.program, found.to_dict()
    about = (
        f"up to {found.samples} samples: {found.data} · weights: {program.network.origin} · schedule {program.schedule} · "
        f"mho {content['version']}"
    )
    return Page(
        f"{program.network.name} on {program.chip.name}: how far {found.parameter.key} may go",
        about,
        program.network.origin,
        [Sheet("Value by value", finding_text.HEADS, finding_text.rows(found), told=True)],
        found.notes,
        said=found.sentence,
        amber=[] if found.boundary.decided else [finding_text.undecided(found)],
        listing=_listing(content["analog"]),
    ).render()


def save_evaluation(found: Evaluation, folder: Path) -> tuple[Path, ...]:
    """Write accuracy.json, accuracy.html and layers.svg into a folder, all or none; OutputError names the path."""
    texts = {"accuracy.json": as_json(found.to_dict()), "accuracy.html": evaluation_page(found)}
    if found.layers:
        texts["layers.svg"] = layer_plot.draw(found)
    return save_texts(texts, folder)


def save_sweep(found: Sweep, folder: Path) -> tuple[Path, ...]:
    """Write sweep.json, sweep.html and sweep.svg into a folder, all or none; OutputError names the path."""
    return save_texts(
        {"sweep.json": as_json(found.to_dict()), "sweep.html": sweep_page(found), "sweep.svg": heat_map.draw(found)},
        folder,
    )


def save_finding(found: Finding, folder: Path) -> tuple[Path, ...]:
    """Write finding.json and finding.html into a folder, both or neither; OutputError names the path."""
    return save_texts({"finding.json": as_json(found.to_dict()), "finding.html": finding_page(found)}, folder)
