"""The files of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mho.files.text import json_text
from mho.files.writing import save_texts
from mho.report.html import render_html
from mho.report.trace import render_trace

if TYPE_CHECKING:
    from mho.machine.report import Report


def save_report(report: Report, folder: str | Path) -> None:
    """Write report.json, report.html and trace.json into a folder, which is made if need be.

    Everything is rendered before anything is written. Raises OutputError naming the path where the folder
    cannot be made or written; then no file of ours is left, and no folder that we made.
    """
    texts = {
        "report.json": json_text(report.to_dict(), indent=2) + "\n",
        "report.html": render_html(report),
        "trace.json": render_trace(report),
    }
    save_texts(texts, folder)
