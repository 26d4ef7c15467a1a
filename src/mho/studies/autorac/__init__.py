"""AutoRAC measured again: recommender, bits and chip searched together, where the gain comes from, and why windows decide."""

from __future__ import annotations

from typing import Any

from mho.chip import Chip
from mho.explore.autorac.run import autorac
from mho.studies.autorac.chapters import (
    designs_chapter,
    factors_chapter,
    origin_chapter,
    sides_chapter,
    space,
    space_chapter,
)
from mho.studies.autorac.costs import CHIP, chip
from mho.studies.autorac.paper import PAPER
from mho.studies.autorac.search import LOGS, ladder, searched
from mho.studies.autorac.windows import windows, windows_chapter
from mho.studies.rows import Study
from mho.studies.work import Work


def logs(work: Work) -> tuple[str, ...]:
    """Return the logs that are searched: those whose file is in the folder of data; none when quick."""
    data = work.settings.data
    return (
        ()
        if data is None or work.settings.quick
        else tuple(name for name, log in LOGS.items() if (data / log.file).is_file())
    )


def parts(work: Work) -> tuple[str, ...]:
    """Return what may be measured side by side."""
    return "space", "windows", *logs(work)


def measure_part(work: Work, part: str) -> dict[str, Any]:
    """Measure one part."""
    if part == "space":
        return work.measure(part, space)
    if part == "windows":
        return work.measure(part, lambda: windows(work.settings.quick), chip(), windows)
    assert work.settings.data is not None
    log = LOGS[part]
    found = work.measure(
        part, lambda: searched(work, part), chip(), searched, autorac, work.settings.data / log.file, repr(log)
    )
    return {"found": found, "ladder": work.measure(f"{part}: origin", lambda: ladder(found), chip(), ladder, found)}


def study(work: Work) -> Study:
    """Measure everything, and set it beside what the abstract states."""
    names = logs(work)
    told = {name: measure_part(work, name) for name in names}
    found = {name: each["found"] for name, each in told.items()}
    chapters = []
    if found:
        chapters += [factors_chapter(found), origin_chapter({name: each["ladder"] for name, each in told.items()})]
        chapters.append(designs_chapter(found))
        compared = {name: each for name, each in found.items() if each["sides"] is not None}
        chapters += [sides_chapter(compared)] if compared else []
    chapters += [windows_chapter(measure_part(work, "windows")), space_chapter(measure_part(work, "space"))]
    searches = (
        "; ".join(f"{name} ({LOGS[name].said()})" for name in names)
        or "none: --data FOLDER holds ctr/census_income.npz, and it is not --quick"
    )
    settings = {"quick": work.settings.quick, "networks": list(names)}
    return PAPER.study("autorac", {CHIP: Chip.load(CHIP).digest}, settings, chapters, logs=searches)
