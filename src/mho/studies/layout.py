"""The tables and plots of a study as sections, with the sentences that its rows carry as numbered notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mho.engineering import plain
from mho.report import sections as see
from mho.studies.numbers import NATS, SCALED, figure
from mho.studies.rows import Plot, Row, Study, StudyPart, StudyTable


@dataclass
class Laid:
    """The tables of a part, and its notes from number 1 on."""

    sheets: list[see.Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def cell(self, row: Row, unit: str) -> str:
        """Write our figure of a row, and the number of its note where it has one; equal notes are one."""
        text = figure(row.ours, unit)
        if not row.note:
            return text
        if row.note not in self.notes:
            self.notes.append(row.note)
        return f"{text} [{self.notes.index(row.note) + 1}]"


def paper_text(row: Row, unit: str | None = None) -> str:
    """Write the paper's figure, marked where it is derived, in the row's unit or with another text in its place."""
    text = figure(row.paper, row.unit if unit is None else unit)
    return f"≈ {text}" if row.derived else text


def ratio_text(row: Row) -> str:
    """Write ours / the paper's."""
    return "–" if row.ratio is None else plain(row.ratio)


def _columns(table: StudyTable, study: Study) -> list[bool]:
    """Say of each column whether the paper gives any of its figures."""
    columns = [[cells[place] for _, cells in table.lines] for place in range(len(table.columns))]
    return [any(cell is not None and study.by_id[cell].paper is not None for cell in column) for column in columns]


def _sheet(table: StudyTable, study: Study, laid: Laid) -> see.Table:
    given = _columns(table, study)
    heads = [table.head]
    for name, paper in zip(table.columns, given, strict=True):
        heads += [name, "paper", "ours / paper"] if paper else [name]
    lines = []
    for label, ids in table.lines:
        cells = [label]
        for row_id, paper in zip(ids, given, strict=True):
            if row_id is None:
                cells += [""] * (3 if paper else 1)
                continue
            row = study.by_id[row_id]
            # A unit without a prefix is the same all over a column: its head or the title tells it.
            unit = row.unit if row.unit in (*SCALED, NATS) else ""
            cells.append(laid.cell(row, unit))
            if paper:
                cells += [paper_text(row, unit), ratio_text(row)]
        lines.append(tuple(cells))
    return see.Table(title=table.title, heads=heads, lines=lines)


def listed(rows: Iterable[Row], laid: Laid | None = None) -> see.Table:
    """Lay out rows one under the other."""
    lines = [
        (
            row.quantity,
            row.network or "–",
            figure(row.ours, row.unit) if laid is None else laid.cell(row, row.unit),
            paper_text(row),
            ratio_text(row),
        )
        for row in rows
    ]
    return see.Table(heads=("quantity", "network", "ours", "paper", "ours / paper"), lines=lines, names=2)


def lay_out(study: Study, part: StudyPart) -> Laid:
    """Lay out a part: its tables, then a list of the rows that stand in none of them."""
    laid = Laid()
    shown: set[str] = set()
    for table in part.tables:
        laid.sheets.append(_sheet(table, study, laid))
        shown.update(table.ids)
    rest = [row for row in study.of(part) if row.id not in shown]
    if rest:
        laid.sheets.append(listed(rest, laid))
    return laid


def drawing(plot: Plot, study: Study) -> see.Columns:
    """Return a plot with the figures of its rows: heights are ours, marks the paper's."""
    columns = []
    for bar in plot.bars:
        pieces = {piece: study.by_id[row].ours for piece, row in bar.pieces}
        marked = bar.mark if bar.mark is not None else bar.pieces[0][1] if len(bar.pieces) == 1 else None
        mark = None if marked is None else study.by_id[marked].paper
        columns.append(see.Column(bar.group, bar.label, pieces, mark))
    return see.Columns(title=plot.title, columns=columns, axis=plot.axis, reference=plot.reference)
