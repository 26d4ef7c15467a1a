"""The evaluation of ReCross (arXiv 2509.10627), of which the abstract is at hand: groups, copies, modes, time and energy."""

from __future__ import annotations

from typing import Any

from mho.explore.designs import NMARS, NMARS_COPIES, NMARS_WHOLE
from mho.studies.recross.against import against, ideas, processors
from mho.studies.recross.likeness import groups, law, sweeps, traces
from mho.studies.recross.load import PRODUCTION, chip, names
from mho.studies.recross.measure import StudiedTrace, designs, grouping, likeness
from mho.studies.recross.measure import ideas as measure_ideas
from mho.studies.recross.measure import law as measure_law
from mho.studies.recross.measure import processors as measure_processors
from mho.studies.recross.measure import sweeps as measure_sweeps
from mho.studies.recross.paper import PAPER
from mho.studies.rows import Study
from mho.studies.work import Work

MADE_UP = "made up"
SWEPT = ("gowalla", PRODUCTION)
"""The traces that are swept over array height, batch, area and port: the largest real one and the synthetic one."""


def parts(work: Work) -> tuple[str, ...]:
    """Return the traces, which may be measured side by side, and what is made up."""
    return (*names(work), *(() if work.settings.quick else (MADE_UP,)))


def measure_part(work: Work, name: str) -> dict[str, Any]:
    """Measure one trace; what is timed on this processor is left to be measured alone."""
    if name == MADE_UP:
        return measure_law(work)
    subject = StudiedTrace(work, name)
    measured = {"like": likeness(subject), "groups": grouping(subject), "designs": designs(subject)}
    measured["ideas"] = measure_ideas(subject)
    return {**measured, "sweeps": measure_sweeps(subject)} if name in swept(work) else measured


def swept(work: Work) -> tuple[str, ...]:
    """Return the traces that are swept."""
    return () if work.settings.quick else tuple(name for name in SWEPT if name in names(work))


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper where that says something."""
    measured = {name: measure_part(work, name) for name in names(work)}

    def of(key: str) -> dict[str, Any]:
        return {name: by_chapter[key] for name, by_chapter in measured.items() if key in by_chapter}

    designs, real = of("designs"), tuple(name for name in measured if name != PRODUCTION)
    timed = {name: measure_processors(StudiedTrace(work, name)) for name in measured}
    chapters = [
        traces(of("like")),
        groups(of("groups")),
        against(designs, real),
        ideas(of("ideas")),
        processors(timed, designs),
    ]
    if not work.settings.quick:
        chapters += [law(measure_law(work)), sweeps(of("sweeps"))]
    settings = {"quick": work.settings.quick, "networks": list(measured), "seeded": [PRODUCTION]}
    taken = {"nmars": NMARS, "nmars_copies": NMARS_COPIES, "nmars_whole": NMARS_WHOLE}
    return PAPER.study("recross", {"recross": chip().digest}, settings, chapters, **taken)
