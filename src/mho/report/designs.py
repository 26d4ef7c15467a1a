"""The designs of an exploration, as a page needs them: figures with their units, the front, ranks, and columns of plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mho.engineering import count, quantity
from mho.explore.exploration import NOT_FIGURES, objective_of
from mho.explore.front import ranks
from mho.report.svg import DISTINCT, colour

MOST = 20_000
"""Designs that a page draws at most; those of the front always are."""
PREFIXED = ("s", "J", "m²", "W", "J s")
"""Units that take a prefix; before any other stands a plain number."""
SHADES = 16
"""Colours of the scale that a page has."""
SIGNIFICANT = 6
"""Digits of a figure on a page, of which three are told."""

TOLD = {*NOT_FIGURES, "differs", "verified", "command", "report"}
"""Fields of a record that are no figures."""

Record = Mapping[str, Any]
"""A point of an exploration."""


@dataclass(frozen=True)
class Figure:
    """A figure of every design: its name and field, its unit, and whether more of it is better."""

    name: str
    field: str
    unit: str
    more: bool

    @classmethod
    def of_field(cls, field: str) -> Figure:
        """Return the figure that a field of a record bears, that of one network of several too."""
        aim, (_, _, network) = objective_of(field), field.partition(":")
        return cls.of_aim({**aim.to_dict(), "field": field}, network)

    @classmethod
    def of_aim(cls, aim: Record, network: str = "") -> Figure:
        """Return the figure that an aim or a limit is on."""
        network = network or aim["field"].partition(":")[2]
        name = aim["name"].replace("_", " ") + (f" of {network}" if network else "")
        return cls(name, aim["field"], aim["unit"], aim["more"])

    @property
    def most(self) -> str:
        """What the best of it is called."""
        return "most" if self.more else "least"

    @property
    def none(self) -> str:
        """What it is where there is no value: a lifetime without one has no end."""
        return "no end" if self.unit == "years" else "–"

    def of(self, record: Record) -> float | None:
        """Return it of a record; None where the record has none that is finite."""
        value = record.get(self.field)
        return float(value) if value is not None and math.isfinite(value) else None

    def say(self, value: float | None) -> str:
        """Write a value of it: 1.20 ms, 73.0 mm², 0.512 TOPS/W."""
        if value is None:
            return self.none
        return quantity(value, self.unit) if self.unit in PREFIXED else f"{count(value)} {self.unit}".rstrip()

    def told(self, record: Record) -> str:
        """Write it of a record."""
        return self.say(self.of(record))

    def cost(self, record: Record) -> float:
        """Return what is better where it is less; where the record has none, of what has no end or cannot be told."""
        value = self.of(record)
        return (
            -math.inf if value is None and self.more else math.inf if value is None else -value if self.more else value
        )


@dataclass(frozen=True)
class Designs:
    """What an exploration holds: the points that are told one by one, those that can be had, and which are best."""

    content: Mapping[str, Any]

    @cached_property
    def aims(self) -> Sequence[Figure]:
        """What the search was after, in its order."""
        return [Figure.of_aim(aim) for aim in self.content["aims"]]

    @property
    def limits(self) -> Sequence[Record]:
        """The limits that designs are to keep."""
        return self.content.get("limits") or ()

    @cached_property
    def figures(self) -> Sequence[Figure]:
        """The aims, and what else is told of the points."""
        return [*self.aims, *self._others(self.compiled, self.aims)]

    @cached_property
    def in_full(self) -> Sequence[Figure]:
        """What is told of the designs that were measured in full alone."""
        return self._others(self.measured.values(), self.figures)

    def _others(self, records: Iterable[Record], known: Sequence[Figure]) -> list[Figure]:
        names = {figure.field for figure in known} | TOLD
        fields = dict.fromkeys(
            field for record in records for field, value in record.items() if value is not None and field not in names
        )
        return [Figure.of_field(field) for field in fields]

    @property
    def points(self) -> Sequence[Record]:
        """The designs that are told one by one, in the order in which they were asked for."""
        points: Sequence[Record] = self.content["points"]
        return points

    @property
    def tried(self) -> int:
        """How many designs were tried, those that are not told one by one too."""
        return int(self.content.get("judged", len(self.points)))

    @cached_property
    def refused(self) -> int:
        """How many of them cannot be compiled."""
        reasons = self.content.get("refused")
        return len(self.points) - len(self.compiled) if reasons is None else sum(each["count"] for each in reasons)

    @cached_property
    def measured(self) -> Mapping[int, Record]:
        """What the designs of the front have in full, by number."""
        return {record["number"]: record for record in self.content.get("measured") or ()}

    @property
    def base(self) -> Record:
        """What chip and strategy have as they stand; nothing where they cannot be compiled."""
        base = self.content.get("base") or {}
        return base if base.get("refused") is None else {}

    @cached_property
    def compiled(self) -> Sequence[Record]:
        """The points that can be compiled."""
        return [point for point in self.points if point.get("refused") is None]

    @cached_property
    def kept(self) -> Sequence[Record]:
        """Those that keep every limit."""
        return [point for point in self.compiled if not point.get("breaks")]

    @cached_property
    def ranks(self) -> Mapping[int, int]:
        """The Pareto rank of each that is kept, by its number: 1 is the front, 2 that of the rest, and so on."""
        if not self.kept:
            return {}
        found = ranks([[aim.cost(point) for aim in self.aims] for point in self.kept])
        return {point["number"]: int(rank) + 1 for point, rank in zip(self.kept, found, strict=True)}

    @cached_property
    def front(self) -> Sequence[Record]:
        """Those that no other beats, by the first aim."""
        front = [point for point in self.kept if self.ranks[point["number"]] == 1]
        return sorted(front, key=lambda point: [aim.cost(point) for aim in self.aims])

    def best(self, aim: Figure) -> Record | None:
        """Return the first of the best of an aim among those kept."""
        return min(self.kept, key=aim.cost, default=None)

    @cached_property
    def axes(self) -> Mapping[str, Sequence[Any]]:
        """The values of each parameter: those of the space, and what points have besides."""
        space = self.content.get("space") or {}
        axes = {key: {_hashed(value): value for value in values} for key, values in space.get("axes", {}).items()}
        for point in self.points:
            for key, value in point["values"].items():
                axes.setdefault(key, {}).setdefault(_hashed(value), value)
        return {key: list(values.values()) for key, values in axes.items()}

    @cached_property
    def varied(self) -> Sequence[str]:
        """The parameters of more than one value; all where there is none."""
        return [key for key, values in self.axes.items() if len(values) > 1] or list(self.axes)

    def limited(self, limit: Record) -> Sequence[Figure]:
        """Return the figures that a limit is on: several where each network has its own."""
        return [figure for figure in self.figures if figure.field.partition(":")[0] == limit["field"]]

    def excess(self, point: Record) -> float:
        """Return by how much a point exceeds its limits: the sum over them, relative to each."""
        found = [
            (limit_of(limit), figure.of(point), "at_least" in limit)
            for limit in self.limits
            for figure in self.limited(limit)
        ]
        beyond = [
            (bound, bound - value if least else value - bound) for bound, value, least in found if value is not None
        ]
        return sum(max(0.0, over) / (abs(bound) or 1.0) for bound, over in beyond)

    @cached_property
    def nearest(self) -> Record | None:
        """The design that exceeds the limits by least, where none keeps them."""
        return None if self.kept else min(self.compiled, key=self.excess, default=None)


def limit_of(limit: Record) -> float:
    """Return the value of a limit."""
    return float(limit["at_least"] if "at_least" in limit else limit["at_most"])


def limit_said(limit: Record) -> str:
    """Write a limit: area at most 60.0 mm²."""
    figure = Figure.of_aim({**limit, "more": "at_least" in limit})
    return f"{figure.name} {'at least' if figure.more else 'at most'} {figure.say(limit_of(limit))}"


def chosen(values: Record) -> str:
    """Write the parameters of a design: tiles=96, array.adcs=8."""
    return ", ".join(f"{key}={written(value)}" for key, value in values.items())


def written(value: Any) -> str:
    """Write the value of a parameter as short as it is: 96, 1.92e+10, overlap."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return str(value) if isinstance(value, float) and float(short) != value else short


def thinned(designs: Designs, most: int = MOST) -> Sequence[Record]:
    """Return what is drawn: all that compiled, or the front and evenly picked others, `most` in all where the front leaves room."""
    drawn = [point for point in designs.compiled if any(figure.of(point) is not None for figure in designs.figures)]
    if len(drawn) <= most:
        return drawn
    front = {point["number"] for point in designs.front}
    others = [point["number"] for point in drawn if point["number"] not in front]
    places = np.linspace(0, len(others), max(most - len(front), 0), endpoint=False).astype(int)
    shown = front | {others[place] for place in places}
    return [point for point in drawn if point["number"] in shown]


def _ordered(values: Sequence[Any]) -> Sequence[Any]:
    """Return values as they stand on an axis: numbers rising, others as they were given."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return sorted(values) if numbers else values


def page_data(designs: Designs, most: int = MOST) -> dict[str, Any]:
    """Return what the scripts of a page draw: columns over the designs drawn, and what is known of each column.

    `number`, `rank` (0: breaks a limit) and `breaks` (a bit a limit) of each; of an axis its values and the place of each design's
    among them, -1 where it has none; of a figure its values to six digits, null where there is none. `measured` are the figures of
    the full report by number, `base` those of chip and strategy as they stand, None where these cannot be had.
    """
    drawn = thinned(designs, most)
    names = list(dict.fromkeys(limit["name"] for limit in designs.limits))
    axes = []
    for key in designs.varied:
        values = _ordered(designs.axes[key])
        place = {_hashed(value): number for number, value in enumerate(values)}
        at = [place[_hashed(point["values"][key])] if key in point["values"] else -1 for point in drawn]
        words = not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        axes.append({"key": key, "values": [written(value) for value in values], "words": words, "at": at})
    figures = [
        {"name": one.name, "unit": one.unit, "more": one.more, "aim": one in designs.aims,
         "prefixed": one.unit in PREFIXED, "none": one.none, "values": [_short(one.of(point)) for point in drawn]}
        for one in designs.figures
    ]  # fmt: skip
    limits = [
        {"figure": designs.figures.index(figure), "bit": names.index(limit["name"]), "value": limit_of(limit),
         "words": limit_said(limit)}
        for limit in designs.limits for figure in designs.limited(limit)
    ]  # fmt: skip
    return {
        "number": [point["number"] for point in drawn],
        "rank": [designs.ranks.get(point["number"], 0) for point in drawn],
        "breaks": [sum(1 << names.index(name) for name in point.get("breaks") or ()) for point in drawn],
        "axes": axes, "figures": figures, "limits": limits, "left_out": designs.tried - designs.refused - len(drawn),
        "measured": {
            number: [_short(one.of(record)) for one in designs.figures] for number, record in designs.measured.items()
        },
        "base": [_short(one.of(designs.base)) for one in designs.figures] if designs.base else None,
        "scale": [colour(step / (SHADES - 1))[0] for step in range(SHADES)], "distinct": DISTINCT,
    }  # fmt: skip


def _hashed(value: Any) -> Any:
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else repr(value)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT}g}")
