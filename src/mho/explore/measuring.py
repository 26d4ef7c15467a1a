"""Designs that a search ends with, measured in full: as the strategy stands, verified where asked, their reports kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.explore.records import Record
from mho.explore.screening import Judge
from mho.explore.space import Value
from mho.files.writing import save_files
from mho.machine.report import Report, simulate
from mho.machine.verify import verify

if TYPE_CHECKING:
    from mho.network.samples import Samples

Files = Mapping[str, str | bytes]
FOLDER = "designs"
"""Where the reports of designs lie within the folder of an exploration, a folder a number."""
VERIFIED, SAVED = "verified", "saved"
"""Fields of a record of a design that was measured, beside its figures."""


@dataclass(frozen=True)
class Measuring:
    """How the designs of the front are measured.

    inputs: samples on which their programs are executed and compared with the integer reference. folder, files: where the files go
    that `files` makes of each report. command: what reproduces a design, said of its values. sure: whether it is told which of them
    stay on the front under all published constants.
    """

    inputs: Samples | None = None
    folder: Path | None = None
    files: Callable[[Report], Files] | None = None
    command: Callable[[Mapping[str, Value]], str] | None = None
    sure: bool = False

    def place(self, number: int, names: Sequence[str]) -> tuple[Path, ...]:
        """Return where the reports of a design lie, within the folder: one a network."""
        home = Path(FOLDER) / str(number)
        return (home,) if len(names) == 1 else tuple(home / name for name in names)

    def kept(self, number: int, names: Sequence[str]) -> bool:
        """Return whether the reports of a design lie where they should."""
        if self.folder is None or self.files is None:
            return True
        folder = self.folder
        return all((folder / place / "report.html").is_file() for place in self.place(number, names))

    def save(self, number: int, names: Sequence[str], files: Sequence[Files]) -> None:
        """Write the files of a design's reports. OutputError names the path that cannot be written."""
        if self.folder is not None and self.files is not None:
            for place, content in zip(self.place(number, names), files, strict=True):
                save_files(content, self.folder / place)


@dataclass(frozen=True)
class Whole:
    """What measures a numbered design in full: its record, and the files of its reports."""

    judge: Judge
    inputs: Samples | None
    files: Callable[[Report], Files] | None

    def __call__(self, task: tuple[int, Mapping[str, Value]]) -> tuple[int, Record, tuple[Files, ...]]:
        """Return number, record and files."""
        number, values = task
        record, reports = self.judge.measured(values)
        said = []
        if self.inputs is not None:
            said = [str(verify(each.program, self.inputs.first(each.program.network.batch).inputs)) for each in reports]
            reports = tuple(
                simulate(each.program, verified=verdict, endurance=self.judge.endurance)
                for each, verdict in zip(reports, said, strict=True)
            )
        files = () if self.files is None else tuple(map(self.files, reports))
        return number, {**record, VERIFIED: "; ".join(said) or None}, files


def whole(judge: Judge) -> Judge:
    """Return what measures in full what a judge screens: its bound, what its converters resolve, and accuracy, too."""
    names = dict.fromkeys((*judge.objectives, "bound_ratio", "unresolved"))
    if judge.samples is not None:
        names |= dict.fromkeys(("accuracy", "accuracy_lost"))
    return replace(judge, objectives=tuple(names), whole=True)


def differs(record: Mapping[str, Any], screened: Mapping[str, Any], fields: Sequence[str]) -> float:
    """Return the largest difference of a figure in full from the screened one, as a share of it."""
    pairs = [(record[field], screened[field]) for field in fields]
    return max((abs(one - other) / abs(other) for one, other in pairs if one is not None and other), default=0.0)


__all__ = ["Measuring", "Whole", "differs", "whole"]
