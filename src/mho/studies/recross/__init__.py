"""The evaluation of ReCross (arXiv 2509.10627), of which the abstract is at hand: groups, copies, modes, time and energy."""

from __future__ import annotations

from mho.explore.designs import NMARS, NMARS_COPIES, NMARS_WHOLE
from mho.studies.recross.against import against, ideas, processors
from mho.studies.recross.likeness import groups, law, sweeps, traces
from mho.studies.recross.load import PRODUCTION, chip, names
from mho.studies.recross.measure import Traces, designs, grouping, likeness
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


def measure_part(work: Work, name: str) -> None:
    """Measure one trace; what is timed on this processor is left to be measured alone."""
    held = Traces(work)
    if name == MADE_UP:
        measure_law(work, held)
        return
    likeness(work, name)
    for each in (grouping, designs, measure_ideas, *((measure_sweeps,) if name in swept(work) else ())):
        each(work, held, name)


def swept(work: Work) -> tuple[str, ...]:
    """Return the traces that are swept."""
    return () if work.settings.quick else tuple(name for name in SWEPT if name in names(work))


def study(work: Work) -> Study:
    """Measure everything, and set it beside the paper where that says something."""
    held, measured = Traces(work), names(work)
    real = tuple(name for name in measured if name != PRODUCTION)
    alike = {name: likeness(work, name) for name in measured}
    grouped = {name: grouping(work, held, name) for name in measured}
    made = {name: designs(work, held, name) for name in measured}
    chapters = [
        traces(alike),
        groups(grouped),
        against(made, real),
        ideas({name: measure_ideas(work, held, name) for name in measured}),
        processors({name: measure_processors(work, name) for name in measured}, made),
    ]
    if not work.settings.quick:
        chapters.append(law(measure_law(work, held)))
        chapters.append(sweeps({name: measure_sweeps(work, held, name) for name in swept(work)}))
    settings = {"quick": work.settings.quick, "networks": list(measured), "seeded": [PRODUCTION]}
    taken = {"nmars": NMARS, "nmars_copies": NMARS_COPIES, "nmars_whole": NMARS_WHOLE}
    return PAPER.study("recross", {"recross": chip().digest}, settings, chapters, **taken)
