"""The evaluation of SME (arXiv 2103.01705), of which the abstract is at hand: arrays, accuracy, time and energy, and why."""

from __future__ import annotations

from typing import Any

from mho.studies.real import check_data, chosen
from mho.studies.rows import Study
from mho.studies.sme.accuracy import accuracy, curve
from mho.studies.sme.chips import dense, squeezing
from mho.studies.sme.cost import cost, layers
from mho.studies.sme.crossbars import crossbars, planes, windows
from mho.studies.sme.forms import beyond as write_beyond
from mho.studies.sme.forms import cells, forms
from mho.studies.sme.load import STAGES, StudiedNetwork
from mho.studies.sme.measure import ALIKE, COUNTED, CodingCurve, counts, grid_accuracy, networks
from mho.studies.sme.measure import windows as count_windows
from mho.studies.sme.measure_cost import beyond, costs
from mho.studies.sme.measure_forms import FORMS, form_accuracy
from mho.studies.sme.measure_forms import cells as count_cells
from mho.studies.sme.origin import origin
from mho.studies.sme.paper import PAPER
from mho.studies.work import Work


def parts(work: Work) -> tuple[str, ...]:
    """Return the networks, which may be measured side by side."""
    check_data(work)
    return networks(work)


def measure_part(work: Work, name: str) -> dict[str, Any]:
    """Measure one network: what each chapter shows of it, by name."""
    subject = StudiedNetwork(work, name)
    measured: dict[str, Any] = {"arrays": counts(subject), "windows": count_windows(subject)}
    few = None
    if subject.is_real and name not in COUNTED:
        drawn = CodingCurve(subject)
        if name not in ALIKE:
            measured |= {
                "accuracy": grid_accuracy(subject),
                "forms": {form: form_accuracy(subject, form) for form in FORMS},
            }
        measured |= {"base": drawn.base(), "points": drawn.points(), "least": drawn.best()}
        few = measured["least"]["picks"]
        measured["beyond"] = beyond(subject, few)
    return {**measured, "cells": count_cells(subject), "cost": costs(subject, few)}


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper where that says something."""
    check_data(work)
    names = networks(work)
    real = {network.name for network in chosen(work)}
    measured = {name: measure_part(work, name) for name in names}

    def of(key: str) -> dict[str, Any]:
        return {name: by_chapter[key] for name, by_chapter in measured.items() if key in by_chapter}

    arrays, bits, judgements, points, prices = (of(key) for key in ("arrays", "windows", "accuracy", "points", "cost"))
    least, outside = of("least"), of("beyond")
    best = {name: arrays[name]["dense"] / least[name]["arrays"] for name in least}
    seeded = [name for name in names if name not in real and name != STAGES]
    chapters = [crossbars(arrays, seeded), windows(arrays, bits, seeded), planes(bits), cells(of("cells"))]
    if judgements:
        chapters += [
            accuracy(judgements),
            curve(arrays, of("base"), points, least),
            forms(of("forms"), arrays, judgements),
        ]
    chapters += [origin(arrays, bits, best, compared=not work.settings.quick), layers(arrays, prices), cost(prices)]
    if outside:
        chapters.append(write_beyond(outside))
    chips = {chip.name: chip.digest for chip in (squeezing(), dense())}
    settings = {"quick": work.settings.quick, "networks": list(names), "seeded": seeded}
    return PAPER.study("sme", chips, settings, chapters)
