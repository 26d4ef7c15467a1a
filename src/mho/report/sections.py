"""What a person should see of an outcome, as plain data: sections, which the terminal, the page and the plots render.

A view names its outcome and holds sections in their order. Nothing here knows of rich, HTML or SVG, and no renderer knows of
outcomes: an outcome is shown by one function that returns a `View` (`mho.report.views` says which).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["", "strong", "soft", "good", "bad", "warn"]
Place = Literal["both", "page", "terminal"]


@dataclass(frozen=True)
class Sentence:
    """Words and how they are meant: good and bad are verdicts, warn is a condition."""

    words: str
    tone: Tone = ""
    where: Place = "both"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section: where it is shown, and a remark that the page puts under the title."""

    title: str = ""
    remark: str = ""
    where: Place = "both"


@dataclass(frozen=True, kw_only=True)
class Figures(Section):
    """Numbers, each with what it is and a remark; as `cards` the page shows them large, on top."""

    rows: Sequence[tuple[str, str, str]]
    cards: bool = False
    tones: Mapping[int, Tone] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Table(Section):
    """Lines of cells: a name, then numbers; where `prose` is set the last column is words.

    `tones` are those of lines, `chosen` is a column that stands out. In the terminal names may be `cut` in their middle, or
    `wrapped`, where lines are too long for it; else columns that do not fit make a further table.
    """

    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    names: int = 1
    prose: bool = False
    cut: bool = False
    wrapped: bool = False
    chosen: int | None = None
    tones: Mapping[int, Tone] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Notes(Section):
    """Assumptions and remarks; `brief` are those that the terminal shows."""

    title: str = "Notes"
    notes: Sequence[str]
    brief: Sequence[str] | None = None
    numbered: bool = False


@dataclass(frozen=True, kw_only=True)
class Listing(Section):
    """A text that is shown as it is."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Group(Section):
    """Sections that belong together under one title."""

    sections: Sequence[Section]


@dataclass(frozen=True, kw_only=True)
class Timeline(Section):
    """What the scripts of a page draw: timeline, charts by layer, and the table of layers (`mho.report.timeline`)."""

    data: Mapping[str, Any]
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    timeline_notes: Sequence[str]
    time_note: str
    writes: bool


@dataclass(frozen=True)
class Bar:
    """A bar: its name, its pieces by kind, what stands at its end and right of all bars, and a mark with what it means."""

    name: str
    pieces: Mapping[str, float]
    end: str = ""
    beside: str = ""
    tone: Tone = ""
    mark: tuple[float, str] | None = None

    @property
    def length(self) -> float:
        """The sum of the pieces."""
        return sum(self.pieces.values())


@dataclass(frozen=True, kw_only=True)
class Bars(Section):
    """Bars that lie beside their names, values in `unit`; `ordered`: colours rise with the kinds."""

    bars: Sequence[Bar]
    unit: str
    about: str = ""
    beside: str = ""
    ordered: bool = False


@dataclass(frozen=True)
class Column:
    """An upright bar: it stands in a group, under a label, on pieces that are stacked; `mark` is the paper's figure."""

    group: str
    label: str
    pieces: Mapping[str, float | None]
    mark: float | None = None


@dataclass(frozen=True, kw_only=True)
class Columns(Section):
    """Upright bars in groups, single or stacked; `reference` is a value that is drawn as a line across."""

    columns: Sequence[Column]
    axis: str
    reference: float | None = None


@dataclass(frozen=True)
class Axis:
    """An axis: its title, from where to where, whether logarithmic, and ticks where these are given."""

    title: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[tuple[float, str]] = ()
    unit: str = ""


@dataclass(frozen=True)
class Series:
    """A line through points; at each there may be a label, an interval, and a text for the pointer."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    intervals: Sequence[tuple[float, float] | None] = ()
    tips: Sequence[str] = ()


@dataclass(frozen=True)
class Dot:
    """A point that stands out: where, the value that it is coloured by, and a text for the pointer."""

    x: float
    y: float
    shade: float | None = None
    tip: str = ""


@dataclass(frozen=True, kw_only=True)
class Lines(Section):
    """Lines over an axis; `reference` is a value of the upright axis with a name, `marks` are places, named by their tips."""

    series: Sequence[Series]
    across: Axis
    up: Axis
    about: str = ""
    reference: tuple[float, str] | None = None
    marks: Sequence[Dot] = ()


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: its value, two lines of text, and one for the pointer."""

    value: float
    text: str
    small: str
    tip: str


@dataclass(frozen=True, kw_only=True)
class HeatMap(Section):
    """Cells by row and column, coloured by their values."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    down: str
    across: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Spans(Section):
    """Spreads of times in s, a name with least, lower quarter, median, upper quarter, 99th percentile and most, on logarithms."""

    spans: Sequence[tuple[str, Sequence[float]]]
    across: str


@dataclass(frozen=True)
class Track:
    """When something is busy: its name, stretches (from, to, the number of a kind) in s, and what stands beside."""

    name: str
    stretches: Sequence[tuple[float, float, int]]
    beside: str = ""


@dataclass(frozen=True, kw_only=True)
class Tracks(Section):
    """Tracks over one stretch of time of `length_s`; `kinds` are what stretches are of, `beside` is what stands beside them."""

    tracks: Sequence[Track]
    length_s: float
    kinds: Sequence[str]
    about: str = ""
    beside: str = ""


@dataclass(frozen=True, kw_only=True)
class Scatter(Section):
    """Points over two axes whose values have units: `dots` stand out, joined where no other beats them in both, before `others`.

    `shade` is the axis of their colours. `mark` is a place that is set off, with a text for the pointer, where it lies within the
    axes. `limits` are values of the axis `across` or `up`, with words. `larger` says of the two axes whether more is better.
    Where there is no dot and no other, `empty` says why.
    """

    dots: Sequence[Dot]
    others: Sequence[tuple[float, float]]
    across: Axis
    up: Axis
    shade: Axis | None = None
    mark: tuple[float, float, str] | None = None
    limits: Sequence[tuple[Literal["across", "up"], float, str]] = ()
    larger: tuple[bool, bool] = (False, False)
    about: str = ""
    empty: str = "nothing to show"


Chart = Bars | Columns | Lines | HeatMap | Spans | Tracks | Scatter


@dataclass(frozen=True, kw_only=True)
class Designs(Section):
    """What the scripts of a page draw of many designs (`mho.report.designs`), and the drawing where none runs."""

    data: Mapping[str, Any]
    drawing: Scatter
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Candidate:
    """A design to choose: its number, what is told of it, the command that makes it again, and its reports: words, addresses."""

    number: int
    cells: Sequence[str]
    command: str = ""
    reports: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Candidates(Section):
    """Designs to choose from, a line each, whose commands can be copied."""

    heads: Sequence[str]
    candidates: Sequence[Candidate]


@dataclass(frozen=True)
class View:
    """An outcome as a person should see it: what it is, about what, verdicts and conditions, the sentence that it comes to.

    `tone` is that of the title.
    """

    title: str
    sections: Sequence[Section]
    about: Sequence[str] = ()
    sentences: Sequence[Sentence] = ()
    said: str = ""
    mark: str = ""
    tone: Tone = "strong"


def synthetic(origin: str) -> list[Sentence]:
    """Return the warning that weights are of no trained network, where they are not."""
    words = f"Weights are synthetic ({origin}): no trained network."
    return [Sentence(words, "warn")] if "synthetic" in origin else []
