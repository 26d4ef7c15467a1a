"""The tables of a part of a study as cells of text, with the sentences that its rows carry as numbered notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mho.studies.numbers import SCALED, figure, plain
from mho.studies.rows import Part, Row, Study, Table


@dataclass(frozen=True)
class Cell:
    """A text, and the number of the note that belongs to it (0: none)."""

    text: str
    note: int = 0


@dataclass(frozen=True)
class Sheet:
    """A table of text: heads, and lines of as many cells."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]


@dataclass
class Laid:
    """The tables of a part, and its notes from number 1 on."""

    sheets: list[Sheet] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def number(self, row: Row) -> int:
        """Return the number of a row's note, 0 where it has none; equal notes are one."""
        if not row.note:
            return 0
        if row.note not in self.notes:
            self.notes.append(row.note)
        return self.notes.index(row.note) + 1


def paper_text(row: Row, unit: str | None = None) -> str:
    """Write the paper's figure, marked where it is derived, in the row's unit or with another text in its place."""
    text = figure(row.paper, row.unit if unit is None else unit)
    return f"≈ {text}" if row.derived else text


def ratio_text(row: Row) -> str:
    """Write ours / the paper's."""
    return "–" if row.ratio is None else plain(row.ratio)


def _columns(table: Table, study: Study) -> list[bool]:
    """Say of each column whether the paper gives any of its figures."""
    columns = [[cells[place] for _, cells in table.lines] for place in range(len(table.columns))]
    return [any(each is not None and study.by_id[each].paper is not None for each in column) for column in columns]


def _sheet(table: Table, study: Study, laid: Laid) -> Sheet:
    given = _columns(table, study)
    heads = [table.head]
    for name, paper in zip(table.columns, given, strict=True):
        heads += [name, "paper", "ours / paper"] if paper else [name]
    lines = []
    for label, ids in table.lines:
        cells = [Cell(label)]
        for each, paper in zip(ids, given, strict=True):
            if each is None:
                cells += [Cell("")] * (3 if paper else 1)
                continue
            row = study.by_id[each]
            # A unit without a prefix is the same all over a column: its head or the title tells it.
            unit = row.unit if row.unit in SCALED else ""
            cells.append(Cell(figure(row.ours, unit), laid.number(row)))
            if paper:
                cells += [Cell(paper_text(row, unit)), Cell(ratio_text(row))]
        lines.append(tuple(cells))
    return Sheet(table.title, tuple(heads), tuple(lines))


def _listed(rows: Iterable[Row], laid: Laid) -> Sheet:
    lines = tuple(
        (
            Cell(row.quantity),
            Cell(row.network or "–"),
            Cell(figure(row.ours, row.unit), laid.number(row)),
            Cell(paper_text(row)),
            Cell(ratio_text(row)),
        )
        for row in rows
    )
    return Sheet("", ("quantity", "network", "ours", "paper", "ours / paper"), lines)


def lay_out(study: Study, part: Part) -> Laid:
    """Lay out a part: its tables, then a list of the rows that stand in none of them."""
    laid = Laid()
    shown: set[str] = set()
    for table in part.tables:
        laid.sheets.append(_sheet(table, study, laid))
        shown.update(table.ids)
    rest = [row for row in study.of(part) if row.id not in shown]
    if rest:
        laid.sheets.append(_listed(rest, laid))
    return laid
