"""mho study: a paper's evaluation, measured again and set beside the paper's figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mho.cli.outputs import Target, progress

if TYPE_CHECKING:
    from mho.report.sections import View
    from mho.studies import Standing, Study

EPILOG = (
    "mho study aras --out aras --workers 2\n\nmho study aras --out aras --check\n\n"
    "mho study aras --out aras --data ../shared/data --json -"
)

MEASURED, NAMED = 20, 4
"""Rows shown where the paper gives no figure for any, and networks named then."""
DATA = "MHO_DATA"
"""The variable that names the folder of real data where --data is not given."""


def study(
    name: str,
    *,
    out: Path,
    quick: bool = False,
    data: Path | None = None,
    workers: int = 1,
    check: bool = False,
    target: Target,
) -> None:
    """Measure every table and figure of a paper's evaluation, and set them beside the paper's.

    Each difference of more than a tenth says why. Exit code: 0 done, 2 a mistake in what was asked.
    """
    target.check()
    if data is None and os.environ.get(DATA):
        data = Path(os.environ[DATA])

    from mho import studies

    if check:
        _print_standing(studies.standing(name, out, quick=quick, data=data))
        return
    with progress(target.quiet) as say:
        result = studies.run(name, out, quick=quick, data=data, say=say, workers=workers)
    shown, view = _shown(result)
    rest = len(result.rows) - shown
    left = f"{rest} more rows, and why each differs, in {out / 'study.html'}, study.md and study.json"
    target.present(result.to_dict(), lambda: result.frame("rows"), lambda: view, left)


def _print_standing(standing: Standing) -> None:
    """Say how many measurements are up to date, and name the others."""
    typer.echo(f"{len(standing.current)} measurements are up to date")
    for what, names in (("changed under", standing.changed), ("not measured yet", standing.missing)):
        if names:
            typer.echo(f"{len(names)} {what}:")
            typer.echo("\n".join(f"  {name}" for name in names))


def _networks(result: Study) -> str:
    names = sorted({row.network for row in result.rows if row.network is not None})
    return ", ".join(names) if 0 < len(names) <= NAMED else "these networks"


def _shown(result: Study) -> tuple[int, View]:
    """Return how many rows are shown, and them: those with a figure of the paper; where none has, the first measured."""
    from dataclasses import replace

    from mho.report.sections import View
    from mho.studies.layout import listed

    rows = [row for row in result.rows if row.paper is not None]
    title = f"{result.name}: what the paper gives a figure for"
    if not rows:
        rows = [row for row in result.rows if row.ours is not None][:MEASURED]
        title = f"{result.name}: the paper has no figure for {_networks(result)}; the first of what was measured"
    return len(rows), View(title, [replace(listed(rows), wrapped=True)])
