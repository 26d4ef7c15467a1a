"""What all parts come to: how many figures were compared, how far off they are, and what is still to be held against."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from mho.studies.chapter import Chapter
from mho.studies.rows import Row
from mho.studies.silicon.paper import PAPER

GIVEN = "Given"
"""How the note of a figure begins that a constant was set by."""
FROZEN = "Frozen"
"""How the note of a figure begins that is predicted, and of which nothing is known yet."""


def off(row: Row) -> float:
    """Return the factor by which a figure is off, whichever way."""
    assert row.ratio is not None
    return max(row.ratio, 1 / row.ratio)


def summary(chapters: Sequence[Chapter]) -> Chapter:
    """Count the figures of all parts."""
    chapter, labels = PAPER.chapter("summary"), PAPER.labels("summary")
    members = []
    for part in (*chapters, None):
        rows = [row for each in (chapters if part is None else (part,)) for row in each.rows.values()]
        held = [row for row in rows if row.ratio and not row.note.startswith(GIVEN)]
        name = "all" if part is None else part.title.partition(":")[0]
        members.append(name)
        counted = {
            "compared": ("figures", float(len(held))),
            "within": ("figures", float(sum(not row.differs for row in held))),
            "open": ("figures", float(sum(row.paper is None and row.note.startswith(FROZEN) for row in rows))),
        }
        if held:
            counted |= {
                "middle": ("times", statistics.median(map(off, held))),
                "furthest": ("times", max(map(off, held))),
            }
        for quantity, (unit, value) in counted.items():
            chapter.add(quantity, name, f"{labels[quantity]}, {name}", unit, value)
    chapter.table("How far off", "part", members, labels)
    return chapter
