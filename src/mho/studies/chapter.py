"""A part of a study while it is being made: rows are added one by one, then laid out in tables and plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mho.studies.numbers import counted
from mho.studies.rows import TOLERANCE, Plot, PlotBar, Row, StudyPart, StudyTable, mean

Measured = Mapping[str, Mapping[str, Any]]
"""What was measured of each network, by its name."""


def why(ours: float | None, paper: float | None, *, higher: str = "", lower: str = "") -> str:
    """Return the sentence for the side on which ours lies, and none within a tenth of the paper's figure.

    Where the side has no sentence the note stays empty, and Row refuses the difference: a reason that was written for
    another result is not given.
    """
    if ours is None or paper is None or abs(ours - paper) <= TOLERANCE * abs(paper):
        return ""
    return higher if ours > paper else lower


class Chapter:
    """Collects the rows, tables and plots of one part. Rows are called series/member, the part's id standing before."""

    def __init__(self, part: str, title: str, source: str, text: str) -> None:
        """Name the part, say where it is in the paper, and what was measured."""
        self.part, self.title, self.source, self.text = part, title, source, text
        self.rows: dict[str, Row] = {}
        self._tables: list[StudyTable] = []
        self._plots: list[Plot] = []

    def add(
        self,
        series: str,
        member: str,
        quantity: str,
        unit: str,
        ours: float | None,
        *,
        paper: float | None = None,
        note: str = "",
        network: str | None = None,
    ) -> None:
        """Add a row; see `Row` for what is refused."""
        identity = f"{self.part}/{series}/{member}"
        if identity in self.rows:
            raise ValueError(f"row {identity} is there already")
        self.rows[identity] = Row(identity, quantity, unit, network, paper, ours, note)

    def ours(self, series: str, members: Iterable[str]) -> list[float | None]:
        """Return our figures of a series, a member each."""
        return [self.rows[f"{self.part}/{series}/{member}"].ours for member in members]

    def mean(
        self,
        series: str,
        members: Sequence[str],
        quantity: str,
        unit: str,
        *,
        paper: float | None = None,
        because: Mapping[str, str] | None = None,
        absent: str = "",
    ) -> float | None:
        """Add the mean of a series over networks, and return it. `because` says why it differs (see `why`), `absent` why it is
        missing where a figure is.
        """
        ours = mean(self.ours(series, members))
        note = absent if ours is None else why(ours, paper, **because or {})
        over = f"{quantity}, mean of {counted(len(members), 'network')}"
        self.add(series, "mean", over, unit, ours, paper=paper, note=note)
        return ours

    def id(self, series: str, member: str) -> str | None:
        """Return a row's id, None where there is no such row."""
        identity = f"{self.part}/{series}/{member}"
        return identity if identity in self.rows else None

    def table(
        self,
        title: str,
        head: str,
        members: Sequence[str],
        columns: Mapping[str, str],
        labels: Mapping[str, str] | None = None,
        *,
        turned: bool = False,
    ) -> None:
        """Lay out rows: a line a member, a column a series (series to head). Lines and columns of nothing are left out.

        `turned`: a line a series, a column a member; for series of which the paper gives the mean alone.
        """
        series = {name: label for name, label in columns.items() if any(self.id(name, member) for member in members)}
        shown = [member for member in members if any(self.id(name, member) for name in series)]
        named = {member: (labels or {}).get(member, member) for member in shown}
        if turned and series:
            lines = tuple((label, tuple(self.id(name, member) for member in named)) for name, label in series.items())
            self._tables.append(StudyTable(title, head, tuple(named.values()), lines))
        elif series:
            lines = tuple((label, tuple(self.id(name, member) for name in series)) for member, label in named.items())
            self._tables.append(StudyTable(title, head, tuple(series.values()), lines))

    def tables(self, titles: Mapping[str, str], head: str, members: Sequence[str], columns: Mapping[str, str]) -> None:
        """Lay out a table for each kind of figure (kind to title), whose columns are the series kind/column."""
        for kind, title in titles.items():
            self.table(title, head, members, {f"{kind}/{column}": label for column, label in columns.items()})

    def plot(
        self,
        name: str,
        title: str,
        axis: str,
        members: Sequence[str],
        series: Mapping[str, str],
        reference: float | None = None,
        pieces: Sequence[str] = (),
    ) -> None:
        """Draw bars: a group a member, a bar a series (series to label); with `pieces` stacked ones, of the series series/piece."""
        bars = []
        for member in members:
            for key, label in series.items():
                stack = {piece: self.id(f"{key}/{piece}", member) for piece in pieces} or {label: self.id(key, member)}
                drawn = tuple((piece, row) for piece, row in stack.items() if row is not None)
                if drawn:
                    bars.append(PlotBar(member, label, drawn, self.id(key, member) if pieces else None))
        if bars:
            self._plots.append(Plot(name, title, axis, tuple(bars), reference=reference))

    def finished(self) -> StudyPart:
        """Return the part."""
        return StudyPart(self.part, self.title, self.source, self.text, tuple(self._tables), tuple(self._plots))
