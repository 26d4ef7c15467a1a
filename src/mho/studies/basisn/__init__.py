"""What BasisN (arXiv 2407.03738) claims, of which the abstract is at hand: costs by programs, rivals, write times, accuracy."""

from __future__ import annotations

from typing import Any

import mho
from mho.studies.basisn.accuracy import accuracy_chapter
from mho.studies.basisn.costs import area_chapter, costs_chapter, shares_chapter, winners_chapter
from mho.studies.basisn.designs import designs_chapter
from mho.studies.basisn.measure import chips, costs_of, networks, whole_of
from mho.studies.basisn.measure_designs import designs_of, places
from mho.studies.basisn.measure_exact import exact_of
from mho.studies.basisn.measure_real import NAME, check_data, real_of
from mho.studies.basisn.measure_varied import on_chips
from mho.studies.basisn.measure_writes import writes_of
from mho.studies.basisn.paper import PAPER
from mho.studies.basisn.targets import targets_chapter
from mho.studies.basisn.writes import writes_chapter
from mho.studies.rows import Study
from mho.studies.work import Work

REAL = f"{NAME}, real data"
WHOLE = "resnet50"
"""The network that is measured on the whole chips with all that the presets choose."""


def parts(work: Work) -> tuple[str, ...]:
    """Return the networks, and what is measured on real data; these may be measured side by side."""
    check_data(work)
    return (*networks(work), *([] if work.settings.data is None else [REAL]))


def measure_part(work: Work, name: str) -> dict[str, Any]:
    """Measure one network on every chip, or what needs real data."""
    if name == REAL:
        return real_of(work) | on_chips(work)
    costs = {arrays: costs_of(work, name, arrays) for arrays in chips(work)}
    writes = {arrays: writes_of(work, name, arrays) for arrays in chips(work)}
    designs = {f"{name}, {arrays}": designs_of(work, name, arrays) for arrays in places(work).get(name, ())}
    return {"costs": costs, "writes": writes, "designs": designs}


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper's limit and the rivals."""
    check_data(work)
    measured = {name: measure_part(work, name) for name in networks(work)}
    costs, writes = ({name: part[key] for name, part in measured.items()} for key in ("costs", "writes"))
    designs = {place: runs for part in measured.values() for place, runs in part["designs"].items()}
    chapters = [
        targets_chapter(costs, exact_of(work, costs), {} if work.settings.quick else whole_of(work, WHOLE)),
        winners_chapter(costs),
        shares_chapter(costs),
        writes_chapter(costs, writes),
        designs_chapter(designs),
        accuracy_chapter(real_of(work) | on_chips(work)),
        costs_chapter(costs),
        area_chapter(costs),
    ]
    settings = {"quick": work.settings.quick, "networks": list(costs), "arrays": list(chips(work))}
    digests = {chip.name: chip.digest for chip in map(mho.Chip.load, ("aras", "basisn"))}
    return PAPER.study("basisn", digests, settings, chapters)
