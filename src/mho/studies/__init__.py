"""The papers, measured again: each study gives every table and figure of a paper's evaluation, ours beside the paper's.

A study uses mho as anybody would: networks, chips, mho.compile, mho.simulate. docs/studies.md says how one is written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mho.errors import OptionError, choices
from mho.explore.workers import each
from mho.files.writing import check_folder
from mho.studies.files import save
from mho.studies.printed import Paper
from mho.studies.rows import SCHEMA, Row, Study
from mho.studies.work import NotMeasuredError, Settings, Standing, Work

STUDIES = {name: f"mho.studies.{name}" for name in ("aras", "autorac", "basisn", "recross", "silicon", "sme")}
"""Name to the module of a study, which has PAPER, `study(work) -> Study`, `parts(work)` and `measure_part(work, part)`."""


def _module(name: str) -> Any:
    if name not in STUDIES:
        raise OptionError(f"unknown study {name!r}; {choices(name, STUDIES)}")
    return import_module(STUDIES[name])


def title(name: str) -> str:
    """Return a study's title; OptionError for a name that is none."""
    paper: Paper = _module(name).PAPER
    return paper.title


def run(
    name: str,
    folder: str | Path,
    *,
    quick: bool = False,
    data: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    workers: int = 1,
) -> Study:
    """Run a study and write study.json, study.html, study.md and its plots into a folder, made if need be.

    `quick` takes the smallest networks alone. `data` is the folder of real weights and samples; without it what needs them is
    left out, and said to be. `say` is told what is being measured. What was measured before, with the same folder, is taken up
    where nothing that it rests on has changed. `workers`: processes that measure; their number changes no figure. Raises
    OptionError for a study or a folder of data that does not exist, OutputError where the folder cannot be written.
    """
    module, settings, folder = _module(name), _settings(quick, data), Path(folder)
    check_folder(folder)
    if workers > 1:
        tasks = [(name, settings, folder, part) for part in module.parts(Work(name, settings))]
        for part in each(_measured, tasks, workers):
            say(f"{part}: measured")
    work = Work(name, settings, folder, say)
    result: Study = module.study(work)
    say("writing the results")
    folder.mkdir(parents=True, exist_ok=True)
    paper: Paper = module.PAPER
    save(result, folder, title=paper.title, head=f"{paper.what}, measured by `mho study {name}`. {paper.citation}.")
    return result


def _measured(task: tuple[str, Settings, Path, str]) -> str:
    """Measure one part of a study in a process of its own, and return its name."""
    name, settings, folder, part = task
    _module(name).measure_part(Work(name, settings, folder), part)
    return part


def standing(name: str, folder: str | Path, *, quick: bool = False, data: str | Path | None = None) -> Standing:
    """Say which measurements in a folder are up to date, which something has changed under, and which are the first missing ones.

    Nothing is measured: of what changed the old values are taken, to see what is measured then.
    """
    work = Work(name, _settings(quick, data), Path(folder), measures=False)
    module = _module(name)
    for part in module.parts(work):
        with suppress(NotMeasuredError):
            module.measure_part(work, part)
    with suppress(NotMeasuredError):
        module.study(work)
    return Standing(*(list(dict.fromkeys(names)) for names in vars(work.standing).values()))


def _settings(quick: bool, data: str | Path | None) -> Settings:
    if data is not None and not Path(data).is_dir():
        raise OptionError(f"--data {data}: {'is no folder' if Path(data).exists() else 'no such folder'}")
    return Settings(quick, None if data is None else Path(data))


__all__ = ["SCHEMA", "STUDIES", "Row", "Settings", "Standing", "Study", "Work", "run", "save", "standing", "title"]
