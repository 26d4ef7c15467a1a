"""Outcomes, shown: which module makes the view of what, in a terminal, as a page, and as the files that --out leaves.

    show(outcome, console)          prints it
    page(outcome)                   one HTML page that loads nothing
    save(outcome, "out")            the page, the data as JSON, and what else belongs to it: all or none

A module that shows an outcome has a function `view(outcome) -> View`, and `files(outcome)` where more than data and page is kept.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError
from mho.files.text import json_text
from mho.files.writing import save_files
from mho.report.sections import Chart

if TYPE_CHECKING:
    from rich.console import Console

    from mho.report.sections import View

VIEWS = {
    "Report": ("run", "report"),
    "Exploration": ("exploration", "explore"),
    "Advice": ("change", "advise"),
    "Autorac": ("autorac", "autorac"),
    "Comparison": ("comparison", "compare"),
    "Robust": ("robust", "robust"),
    "Accuracy": ("accuracy", "accuracy"),
    "Verification": ("verification", "verification"),
    "Sweep": ("sweep", "sweep"),
    "Finding": ("finding", "finding"),
    "Run": ("systolic", "baseline"),
    "Recommendation": ("recommendation", "recommend"),
    "Whole": ("recommender", "recommender"),
    "Chip": ("chips", "chip"),
    "Device": ("devices", "device"),
}
"""Class of an outcome to the module of this room that shows it, and to the name that its files have."""


def _module(outcome: object) -> tuple[Any, str]:
    kind = type(outcome).__name__
    if kind not in VIEWS:
        kept = f"; {kind}.save(path) keeps it" if hasattr(outcome, "save") else ""
        raise OptionError(f"there is no page of a {kind}{kept}; there is one of: {', '.join(VIEWS)}")
    module, name = VIEWS[kind]
    return import_module(f"mho.report.{module}"), name


def view(outcome: object) -> View:
    """Return what a person should see of an outcome; OptionError for what is none."""
    shown: View = _module(outcome)[0].view(outcome)
    return shown


def show(outcome: object, console: Console) -> None:
    """Print an outcome, laid out for the console's width."""
    from mho.report.terminal import render

    render(view(outcome), console)


def page(outcome: object) -> str:
    """Return an outcome as one page that needs nothing but itself."""
    from mho.report.page import render

    return render(view(outcome))


def files(outcome: Any) -> dict[str, str | bytes]:
    """Return the files of an outcome by their names: data, page, and what else belongs to it."""
    from mho.report.plot import draw

    module, name = _module(outcome)
    more: dict[str, Any] = module.files(outcome) if hasattr(module, "files") else {}
    return {
        f"{name}.json": json_text(outcome.to_dict(), indent=2) + "\n",
        f"{name}.html": page(outcome),
        **{name: draw(content) if isinstance(content, Chart) else content for name, content in more.items()},
    }


def save(outcome: Any, folder: str | Path) -> tuple[Path, ...]:
    """Write the files of an outcome into a folder, which is made if need be, and return their paths: all of them or none.

    Everything is rendered before anything is written. OutputError names the path that cannot be written; then no file of ours
    that was not there before is left, and no folder that we made.
    """
    return save_files(files(outcome), folder)
