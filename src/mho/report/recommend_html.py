"""A recommendation as one page that needs nothing but itself, and as files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mho.engineering import percent, quantity
from mho.errors import OutputError
from mho.explore.recommendation import Recommendation
from mho.files.text import json_text
from mho.files.writing import save_texts
from mho.report import recommend_charts as charts
from mho.report import recommend_page as page

LAYOUT = "layout.npz"


def render(found: Recommendation) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("mho.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    chosen = found.chosen
    drawings = {
        "loads": charts.curves(
            "Activations of each instance", page.loads(found), "instances, the busiest first", "activations in the test"
        ),
        "expected": charts.curves(
            "Expected load", page.expected(found), f"groups and copies of {chosen}, the busiest first", "of 1000 bags"
        ),
        "groups": charts.histogram("Groups touched by a bag", page.groups_touched(found), "groups touched", "of bags"),
        "rows": charts.histogram(
            "Look-ups of an activation", page.rows_driven(found), "look-ups served at once", "of activations"
        ),
        "modes": charts.stack("ADC modes", page.modes(found), lambda share: percent(share, 1.0), ordered=True),
        "times": charts.spans("Times of batches", page.batch_times(found)),
        "energy": charts.stack("Energy of a query", page.energies(found), lambda joules: quantity(joules, "J")),
    }
    return environment.get_template("recommend.html.j2").render(
        content=found.to_dict(),
        pair=page.pair(found),
        cards=page.cards(found),
        lines=page.trace_lines(found),
        heads=list(found.designs),
        measures=page.measures(found),
        split=page.split_lines(found),
        verdict=page.split_verdict(found),
        layout=LAYOUT,
        example=_example(found),
        # Drawings are ours, and escape what they are given.
        drawings={name: Markup(drawing) for name, drawing in drawings.items()},
    )


def _example(found: Recommendation) -> str:
    """Return how the seat of the row that the history looks up most is asked for."""
    history = found.request.history
    row = int(np.bincount(history.flat, minlength=1).argmax())
    table = int(np.searchsorted(history.base, row, side="right")) - 1
    called = history.original(table)[row - int(history.base[table])].item()
    return repr(called) if len(history.rows) == 1 else f"{called!r}, {history.names[table]!r}"


def save(found: Recommendation, folder: Path) -> tuple[Path, ...]:
    """Write the files of a recommendation, all or none: see `Recommendation.save`."""
    texts = {
        "recommend.json": json_text(found.to_dict(), indent=2) + "\n",
        "recommend.html": render(found),
    }
    place = folder / LAYOUT
    if place.is_dir():
        raise OutputError(f"{place}: cannot be written: it is a folder")
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    fresh = [folder / name for name in texts if not (folder / name).exists()]
    written = save_texts(texts, folder)
    try:
        found.seating.save(place)
    except BaseException:
        for path in fresh:
            with contextlib.suppress(OSError):
                path.unlink()
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise
    return (*written, place)
