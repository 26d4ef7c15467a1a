"""What a command leaves behind: JSON, files that are known to be writable before the long work, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mho.errors import OptionError, OutputError

PROGRAM_SUFFIX = ".mho"
STANDARD_OUTPUT = "-"

Say = Callable[[str], None]


@contextmanager
def progress(quiet: bool) -> Iterator[Say]:
    """Show what is being done, on standard error where that is a terminal, until it is done."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, quiet=quiet)
    with console.status("") as status:
        yield lambda text: status.update(f"{escape(text)} ...")


def emit(data: Mapping[str, Any], target: str | None) -> bool:
    """Write JSON where asked, a file whole or not at all; say whether standard output was taken by it."""
    if target is None:
        return False
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return True
    from mho.report.files import write_text

    write_text(Path(target), text)
    return False


def check_outputs(*, json_to: str | None = None, out: Path | None = None, save: Path | None = None) -> None:
    """Refuse, before the long work, what could not be written after it. OutputError names the path."""
    from mho.report.files import check_folder

    if save is not None and save.suffix != PROGRAM_SUFFIX:
        raise OptionError(f"--save {save}: the name of a program ends in {PROGRAM_SUFFIX}")
    if out is not None:
        check_folder(out)
    for option, path in (("--save", save), ("--json", None if json_to in (None, "-") else Path(str(json_to)))):
        if path is None:
            continue
        if path.is_dir():
            raise OutputError(f"{option} {path}: cannot be written: it is a folder")
        if not path.parent.is_dir():
            raise OutputError(f"{option} {path}: cannot be written: there is no folder {path.parent}")
        try:
            check_folder(path.parent)
        except OutputError as error:
            raise OutputError(f"{option} {path}: {error}") from None
