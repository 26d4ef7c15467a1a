"""The evaluation of SME (arXiv 2103.01705), of which the abstract is at hand: arrays, accuracy, time and energy, and why."""

from __future__ import annotations

from typing import Any

import mho
from mho.studies.printed import Paper
from mho.studies.real import check_data, chosen
from mho.studies.rows import Study
from mho.studies.sme.accuracy import accuracy, curve
from mho.studies.sme.chips import dense, squeezing
from mho.studies.sme.cost import cost, layers
from mho.studies.sme.crossbars import crossbars, planes, windows
from mho.studies.sme.forms import beyond as write_beyond
from mho.studies.sme.forms import cells, forms
from mho.studies.sme.load import STAGES
from mho.studies.sme.measure import ALIKE, COUNTED, Curve, Measured, counts, grid_accuracy, networks
from mho.studies.sme.measure import windows as count_windows
from mho.studies.sme.measure_cost import beyond, costs
from mho.studies.sme.measure_forms import cells as count_cells
from mho.studies.sme.measure_forms import forms as judge_forms
from mho.studies.sme.origin import origin
from mho.studies.work import Work

TITLE = "SME, its evaluation measured again"

ASSUMPTIONS = (
    "of the paper only the abstract is at hand: its baselines, array sizes, cells, signs and times are not known, and "
    "ours are named",
    "arrays of 128 x 128 cells of one bit, 8 bits a weight; the chip is ISAAC's parts with an index memory and row "
    "shifts beside each array (preset sme)",
    "networks of the zoo have seeded weights: their arrays follow from sizes and from bits of weights that nobody "
    "trained; no accuracy is told of them",
    "a file with codes of its own (QDQ) keeps its codes of activations; weights are recoded from its integers",
    "of real networks some are left out, one is counted alone, and of those of most layers windows are not judged, to keep the "
    "study to an hour",
    "what rounding goes by are calibration samples, other than those that judge, except for networks of which there "
    "are none (words)",
)


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper where that says something."""
    check_data(work)
    held = Measured(work)
    names = networks(work)
    real = {each.name for each in chosen(work)}
    judged = real - set(COUNTED)
    found: dict[str, Any] = {}
    bits: dict[str, Any] = {}
    judgements: dict[str, Any] = {}
    bases: dict[str, Any] = {}
    points: dict[str, Any] = {}
    prices: dict[str, Any] = {}
    least: dict[str, Any] = {}
    best: dict[str, float] = {}
    others: dict[str, Any] = {}
    outside: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for name in names:
        found[name] = counts(work, held, name)
        bits[name] = count_windows(work, held, name)
        few = None
        if name in judged:
            drawn = Curve(work, held.loaded(name))
            if name not in ALIKE:
                judgements[name] = grid_accuracy(work, held, name)
                others[name] = judge_forms(work, held.loaded(name))
            bases[name], points[name], least[name] = drawn.base(), drawn.points(), drawn.best()
            best[name] = found[name]["dense"] / least[name]["arrays"]
            if not (work.has(f"{name}: time and energy") and work.has(f"{name}: beyond the chip")):
                few = drawn.coded(least[name]["picks"])
            outside[name] = beyond(work, name, held.quantised(name), few)
        inside[name] = count_cells(work, held, name)
        prices[name] = costs(work, name, held.quantised(name), few)
    seeded = [name for name in names if name not in real and name != STAGES]
    chapters = [crossbars(found, seeded), windows(found, bits, seeded), planes(bits), cells(inside)]
    if judgements:
        chapters += [accuracy(judgements), curve(found, bases, points, least), forms(others, found, judgements)]
    chapters += [origin(found, bits, best, compared=not work.settings.quick), layers(found, prices), cost(prices)]
    if outside:
        chapters.append(write_beyond(outside))
    return Study(
        "sme",
        mho.__version__,
        Paper("mho.studies.sme").citation,
        {chip.name: chip.digest for chip in (squeezing(), dense())},
        {"quick": work.settings.quick, "networks": list(names), "seeded": seeded},
        ASSUMPTIONS,
        tuple(chapter.finished() for chapter in chapters),
        tuple(row for chapter in chapters for row in chapter.rows.values()),
    )
