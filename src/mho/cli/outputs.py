"""What a command leaves behind: JSON, tables, files that are known to be writable before the long work, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.errors import OptionError, OutputError, printable
from mho.files.text import json_text
from mho.shown import Columns, csv_text

if TYPE_CHECKING:
    from mho.report.sections import View

PROGRAM_SUFFIX = ".mho"
STANDARD_OUTPUT = "-"

Say = Callable[[str], None]


@contextmanager
def progress(quiet: bool) -> Iterator[Say]:
    """Show what is being done, on standard error where that is a terminal, until it is done."""
    from rich.markup import escape

    from mho.report.console import terminal

    console = terminal(stderr=True, quiet=quiet)
    with console.status("") as status:
        yield lambda text: status.update(f"{escape(printable(text))} ...")


@dataclass(frozen=True)
class Target:
    """The places that a result goes to as data: a table as CSV and everything as JSON, into files or to standard output."""

    csv_to: str | None = None
    json_to: str | None = None

    @property
    def quiet(self) -> bool:
        """True where standard output is taken by data."""
        return STANDARD_OUTPUT in (self.csv_to, self.json_to)

    def check(self, *, out: Path | None = None, save: Path | None = None) -> None:
        """Refuse, before the long work, what could not be written after it. OutputError names the path."""
        if self.json_to == self.csv_to == STANDARD_OUTPUT:
            raise OptionError("--json - and --csv - both take standard output; give one of them a file")
        from mho.files.writing import check_file, check_folder

        if save is not None and save.suffix != PROGRAM_SUFFIX:
            raise OptionError(f"--save {save}: the name of a program ends in {PROGRAM_SUFFIX}")
        files = [
            (option, Path(text), check_file)
            for option, text in (("--json", self.json_to), ("--csv", self.csv_to))
            if text is not None and text != STANDARD_OUTPUT
        ]
        taken: dict[Path, str] = {}
        for option, path, check in (("--out", out, check_folder), ("--save", save, check_file), *files):
            if path is None:
                continue
            if check is check_file and not path.parent.is_dir():
                raise OutputError(f"{option} {path}: cannot be written: there is no folder {path.parent}")
            try:
                check(path)
            except OutputError as error:
                raise OutputError(f"{option} {error}") from None
            if taken.setdefault(path.resolve(), option) != option:
                raise OptionError(
                    f"{taken[path.resolve()]} and {option} both write {path}; give one of them another file"
                )

    def emit(self, data: Mapping[str, Any], table: Callable[[], Columns]) -> bool:
        """Write JSON, and a table as CSV, where asked, files whole or not at all; say whether standard output was taken."""
        text = json_text(data, indent=2) + "\n"  # Whatever is shown of it: a result that is not finite is none.
        taken = self.json_to is not None and _write(text, self.json_to)
        return (self.csv_to is not None and _write(csv_text(table()), self.csv_to)) or taken

    def deliver(self, outcome: Any, table: str | None, *written: str, highlight: bool = False) -> None:
        """Write an outcome where asked, a table of it as CSV; else show it on the terminal, then say what was `written` where."""
        from mho.report.views import view

        self.present(
            outcome.to_dict(), lambda: outcome.frame(table), lambda: view(outcome), *written, highlight=highlight
        )

    def present(
        self,
        data: Mapping[str, Any],
        table: Callable[[], Columns],
        view: Callable[[], View],
        *written: str,
        highlight: bool = False,
    ) -> None:
        """Write data and their table where asked; else show a view on the terminal, then say what was `written` where."""
        if self.emit(data, table):
            return
        from mho.report.console import terminal
        from mho.report.terminal import render

        console = terminal(highlight=highlight)
        render(view(), console)
        for text in filter(None, written):
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _write(text: str, target: str) -> bool:
    if target == STANDARD_OUTPUT:
        # What is piped into a file or a program stays as it is.
        sys.stdout.write(printable(text, lines=True) if sys.stdout.isatty() else text)
        return True
    from mho.files.writing import write_text

    write_text(Path(target), text)
    return False


def print_papers(papers: Iterable[str], target: Target) -> None:
    """Print papers as BibTeX, on standard error where data take standard output."""
    from mho.strategy import bibtex

    stream = sys.stderr if target.quiet else sys.stdout
    stream.write(f"\n{bibtex(papers)}\n")
