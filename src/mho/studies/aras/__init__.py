"""The evaluation of ARAS (arXiv 2410.17931, Section VII), measured here and set beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mho
from mho.studies.aras.accuracy import accuracy
from mho.studies.aras.energy import energy
from mho.studies.aras.lifetime import lifetime
from mho.studies.aras.measure import Subject, costs, costs_of, papers, systolic_cost, systolic_costs, timed
from mho.studies.aras.measure_real import real_costs, real_costs_of
from mho.studies.aras.overheads import overheads
from mho.studies.aras.paper import PAPER
from mho.studies.aras.pulses import pulses
from mho.studies.aras.speed import speed
from mho.studies.aras.systolic import systolic_energy, systolic_speed
from mho.studies.real import check_data, chosen
from mho.studies.rows import Study
from mho.studies.work import Work

TITLE = "ARAS, its evaluation measured again"

ASSUMPTIONS = (
    "weights of the zoo's networks are seeded, hence synthetic: pulses, their energy and level changes of cells go by "
    "them, times "
    "do not",
    "networks that are known by shapes alone are timed only",
    "the paper's baseline is taken to be schedule overlap on preset aras-baseline, its full ARAS schedule aras on "
    "preset aras "
    "with bank selection and partial weight reuse",
    "Algorithm 1 is rebuilt from the text of Section V-B; its listing is lost in our copy of the paper",
    "the paper's figures are those of its text and tables; the bars of its Figures 13 to 17 are not in our copy",
)


def parts(work: Work) -> tuple[str, ...]:
    """Return the networks, which may be measured side by side."""
    check_data(work)
    return (*timed(work), *(real.name for real in chosen(work)))


def measure_part(work: Work, name: str) -> None:
    """Measure one network."""
    if name in timed(work):
        costs_of(work, name)
        systolic_cost(work, Subject(name))
    else:
        real_costs_of(work, next(real for real in chosen(work) if real.name == name))


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper."""
    check_data(work)
    found, arrays, real = costs(work), systolic_costs(work), real_costs(work)
    chapters = (
        pulses(work, found, real),
        speed(work, found),
        energy(work, found),
        lifetime(work, found),
        systolic_speed(work, found, arrays),
        systolic_energy(work, found, arrays),
        overheads(work, found),
        accuracy(work, real),
    )
    return Study(
        "aras",
        mho.__version__,
        PAPER.citation,
        _chips(found, arrays),
        {
            "quick": work.settings.quick,
            "networks": list(found),
            "means_over": list(papers(work)),
            "real_networks": list(real),
        },
        ASSUMPTIONS,
        tuple(chapter.finished() for chapter in chapters),
        tuple(row for chapter in chapters for row in chapter.rows.values()),
    )


def _chips(
    found: Mapping[str, Mapping[str, Mapping[str, Any]]], arrays: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Name the chips and their digests."""
    chips = {run["chip"]: run["digest"] for runs in found.values() for run in runs.values()}
    return {**dict(sorted(chips.items())), "tpu-like": next(iter(arrays.values()))["digest"]}
