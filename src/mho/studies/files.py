"""What a study leaves in a folder: study.json, study.html, study.md, and a plot an SVG."""

from __future__ import annotations

from pathlib import Path

from mho.files.text import json_text
from mho.files.writing import write_text
from mho.report.plot import draw
from mho.studies.layout import drawing
from mho.studies.page import html, markdown
from mho.studies.rows import Study


def as_json(study: Study) -> str:
    """Return study.json."""
    return json_text(study.to_dict(), indent=1) + "\n"


def plots(study: Study) -> dict[str, str]:
    """Return the SVG of each plot by its id."""
    return {plot.id: draw(drawing(plot, study)) for part in study.parts for plot in part.plots}


def save(study: Study, folder: Path, *, title: str, head: str) -> list[Path]:
    """Write a study into a folder that is there; return the paths. Everything is rendered before anything is written."""
    texts = {"study.json": as_json(study), "study.html": html(study, title=title)}
    texts["study.md"] = markdown(study, title=title, head=head, image=lambda plot: f"{plot}.svg")
    texts |= {f"{name}.svg": text for name, text in plots(study).items()}
    paths = []
    for name, text in texts.items():
        write_text(folder / name, text)
        paths.append(folder / name)
    return paths
