"""The papers, measured again: each study gives every table and figure of a paper's evaluation, ours beside the paper's.

A study uses mho as anybody would: networks, chips, mho.compile, mho.simulate. docs/studies.md says how one is written.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from mho.errors import OptionError, choices
from mho.files.writing import check_folder
from mho.studies.files import save
from mho.studies.rows import SCHEMA, Row, Study
from mho.studies.work import Settings, Work

STUDIES = {"aras": "mho.studies.aras", "recross": "mho.studies.recross", "sme": "mho.studies.sme"}
"""Name to the module of a study, which has a TITLE and `study(work) -> Study`."""

HEAD = "{what}, measured by `mho study {name}`. {paper}."
WHAT = "Every table and figure of the paper's evaluation"
"""What a study measures, where its module does not say otherwise (WHAT)."""


def _module(name: str) -> Any:
    if name not in STUDIES:
        raise OptionError(f"unknown study {name!r}; {choices(name, STUDIES)}")
    return import_module(STUDIES[name])


def title(name: str) -> str:
    """Return a study's title; OptionError for a name that is none."""
    return str(_module(name).TITLE)


def run(
    name: str,
    folder: str | Path,
    *,
    quick: bool = False,
    data: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Study:
    """Run a study and write study.json, study.html, study.md and its plots into a folder, made if need be.

    `quick` takes the smallest networks alone. `data` is the folder of real weights and samples; without it what needs them is
    left out, and said to be. `say` is told what is being measured. An interrupted study goes on from where it was when it is
    run again with the same folder and settings, and gives the same files. Raises OptionError for a study or a folder of data
    that does not exist, OutputError where the folder cannot be written.
    """
    module = _module(name)
    if data is not None and not Path(data).is_dir():
        raise OptionError(f"--data {data}: {'is no folder' if Path(data).exists() else 'no such folder'}")
    folder = Path(folder)
    check_folder(folder)
    work = Work(name, Settings(quick, None if data is None else Path(data)), folder, say)
    found: Study = module.study(work)
    say("writing the results")
    folder.mkdir(parents=True, exist_ok=True)
    save(
        found,
        folder,
        title=module.TITLE,
        head=HEAD.format(what=getattr(module, "WHAT", WHAT), name=name, paper=found.paper),
    )
    work.finished()
    return found


__all__ = ["SCHEMA", "STUDIES", "Row", "Settings", "Study", "Work", "run", "save", "title"]
