"""A study as data: rows that set our figures beside a paper's, the same for every study (schema mho.study/1, docs/studies.md).

A row whose figure differs from the paper's by more than a tenth is refused unless it says why: the sentence is part of the
result, not a comment on it. What the paper does not give is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from mho.shown import Columns, Shown, columns

SCHEMA = "mho.study/1"
TOLERANCE = 0.1
"""Part of the paper's figure by which ours may differ without a word."""
DERIVED = "Paper's figure derived: "
"""How the note of a row begins whose paper figure is not printed in the paper but follows from what is."""


@dataclass(frozen=True)
class Row:
    """One quantity of one network (None: of the chip, or a mean): the paper's figure, ours, and why they differ.

    `id` is a path whose first part names the table or figure: "figure-14/speed-up/aras/vgg16". `paper` is None where the
    paper does not print the value, `ours` where it could not be measured; the note then says why.
    Raises ValueError for figures that are not finite, for a difference of more than a tenth that nothing explains, and for
    a figure of ours that is missing without a reason.
    """

    id: str
    quantity: str
    unit: str
    network: str | None
    paper: float | None
    ours: float | None
    note: str = ""

    def __post_init__(self) -> None:
        """Check what a row promises."""
        if not self.id or "/" not in self.id or not self.quantity:
            raise ValueError(f"row {self.id!r}: needs an id of the form part/name, and a quantity")
        for which, value in (("paper", self.paper), ("ours", self.ours)):
            if value is not None and not math.isfinite(value):
                raise ValueError(f"row {self.id}: {which} is {value}, which is no figure")
        if self.note != self.note.strip():
            raise ValueError(f"row {self.id}: its note begins or ends with blanks")
        if self.differs and not self.note:
            raise ValueError(
                f"row {self.id}: ours is {self.ours:.6g}, the paper's {self.paper:.6g}; more than a tenth needs a note"
            )
        if self.ours is None and not self.note:
            raise ValueError(f"row {self.id}: ours is missing, and no note says why")
        if self.derived and self.paper is None:
            raise ValueError(f"row {self.id}: its note derives a figure of the paper, but there is none")

    @property
    def ratio(self) -> float | None:
        """Ours / the paper's, where both are there and the paper's is not 0."""
        if self.paper is None or self.ours is None or self.paper == 0:
            return None
        return self.ours / self.paper

    @property
    def differs(self) -> bool:
        """True where ours is further from the paper's than a tenth of it."""
        if self.paper is None or self.ours is None:
            return False
        return abs(self.ours - self.paper) > TOLERANCE * abs(self.paper)

    @property
    def derived(self) -> bool:
        """True where the paper's figure is not printed in it, but follows from what is."""
        return self.note.startswith(DERIVED)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        content = asdict(self)
        note = content.pop("note")
        return {**content, "ratio": self.ratio, "note": note}


def _written(key: str) -> PlainSerializer:
    """Write pairs of a label and something as objects that call the second `key`."""
    return PlainSerializer(lambda pairs: [{"label": label, key: value} for label, value in pairs])


def _read(key: str) -> BeforeValidator:
    """Read pairs from such objects."""
    return BeforeValidator(lambda objects: [(each["label"], each[key]) for each in objects])


@dataclass(frozen=True)
class StudyTable:
    """Rows laid out in lines and columns; a cell is a row's id, or None."""

    title: str
    head: str
    columns: tuple[str, ...]
    lines: Annotated[tuple[tuple[str, tuple[str | None, ...]], ...], _written("rows"), _read("rows")]

    def __post_init__(self) -> None:
        """Refuse lines that are longer or shorter than the head."""
        for label, cells in self.lines:
            if len(cells) != len(self.columns):
                raise ValueError(f"table {self.title!r}: line {label!r} has {len(cells)} of {len(self.columns)} cells")

    @property
    def ids(self) -> tuple[str, ...]:
        """The rows that it shows."""
        return tuple(cell for _, cells in self.lines for cell in cells if cell is not None)


@dataclass(frozen=True)
class PlotBar:
    """A bar of a plot: it stands in a group, under a label, on pieces (what, row) that are stacked.

    `mark` is the row whose paper figure is drawn beside it; where it is None, that of the only piece.
    """

    group: str
    label: str
    pieces: Annotated[tuple[tuple[str, str], ...], _written("row"), _read("row")]
    mark: str | None = None


@dataclass(frozen=True)
class Plot:
    """Bars in groups, heights being our figures; where the paper gives one it is marked beside ours."""

    id: str
    title: str
    axis: str
    reference: float | None = field(default=None, kw_only=True)
    """A value that is drawn as a line across, such as 1 for a speed-up."""
    bars: tuple[PlotBar, ...]


@dataclass(frozen=True)
class StudyPart:
    """A table or figure of the paper: where it is, what was measured and how, and how it is shown."""

    id: str
    title: str
    source: str
    text: str
    tables: tuple[StudyTable, ...] = ()
    plots: tuple[Plot, ...] = ()


@dataclass(frozen=True, repr=False)
class Study(Shown):
    """The results of a study. `chips` maps the name of each chip to its digest; `settings` says how it was run.

    Raises ValueError where two rows have one id, a row belongs to no part, or a table or plot shows a row that is not there.
    """

    name: str
    version: str
    paper: str
    chips: Mapping[str, str]
    settings: Mapping[str, Any]
    assumptions: tuple[str, ...]
    parts: tuple[StudyPart, ...]
    rows: tuple[Row, ...]
    by_id: Mapping[str, Row] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Check that rows, parts, tables and plots belong together."""
        known = {row.id: row for row in self.rows}
        if len(known) != len(self.rows):
            twice = sorted({row.id for row in self.rows if sum(other.id == row.id for other in self.rows) > 1})
            raise ValueError(f"study {self.name}: rows with one id: {', '.join(twice)}")
        parts = [part.id for part in self.parts]
        if len(set(parts)) != len(parts):
            raise ValueError(f"study {self.name}: parts with one id")
        for row in self.rows:
            if row.id.split("/", 1)[0] not in parts:
                raise ValueError(f"study {self.name}: row {row.id} belongs to no part ({', '.join(parts)})")
        for part in self.parts:
            shown = [row_id for table in part.tables for row_id in table.ids]
            drawn = [bar for plot in part.plots for bar in plot.bars]
            shown += [row_id for bar in drawn for _, row_id in bar.pieces]
            shown += [bar.mark for bar in drawn if bar.mark is not None]
            for row_id in shown:
                if row_id not in known:
                    raise ValueError(f"study {self.name}: {part.id} shows a row {row_id!r} that is not there")
        object.__setattr__(self, "by_id", known)

    def headline(self) -> str:
        """Say which study it is, and how much it measured."""
        return f"Study: {self.name}, {len(self.rows)} rows in {len(self.parts)} parts; {self.paper}"

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `rows`, the paper's figures and those measured here."""
        return {"rows": lambda: columns(row.to_dict() for row in self.rows)}

    def of(self, part: StudyPart) -> tuple[Row, ...]:
        """Return the rows of a part."""
        return tuple(row for row in self.rows if row.id.split("/", 1)[0] == part.id)

    def to_dict(self) -> dict[str, Any]:
        """Return the study as JSON-ready data (schema mho.study/1)."""
        return {
            "schema": SCHEMA,
            "study": self.name,
            "version": self.version,
            "paper": self.paper,
            "chips": dict(self.chips),
            "settings": dict(self.settings),
            "assumptions": list(self.assumptions),
            "parts": PARTS.dump_python(self.parts, mode="json"),
            "rows": [row.to_dict() for row in self.rows],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Study:
        """Rebuild a study from `to_dict`, checked as when it was made; ValueError where it does not hold together."""
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema {content.get('schema')!r} is no study; allowed: {SCHEMA}")
        rows = []
        for record in content["rows"]:
            row = Row(*(record[column.name] for column in fields(Row)))
            if row.to_dict() != record:
                raise ValueError(f"row {row.id}: its ratio is {record['ratio']}, but ours / paper is {row.ratio}")
            rows.append(row)
        return cls(
            content["study"],
            content["version"],
            content["paper"],
            dict(content["chips"]),
            dict(content["settings"]),
            tuple(content["assumptions"]),
            PARTS.validate_python(content["parts"]),
            tuple(rows),
        )


PARTS = TypeAdapter(tuple[StudyPart, ...])
"""Reads and writes parts as JSON has them."""


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, or None where a value is missing: a mean over fewer networks is another quantity."""
    entries = list(values)
    numbers = [value for value in entries if value is not None]
    if not numbers or len(numbers) < len(entries):
        return None
    return math.fsum(numbers) / len(numbers)
