"""Other ways to serve look-ups, on the same parts and in the same costs: naive and frequency mapping, nMARS, ReCross as published.

A `Design` is a layout made from a history, and the chip that serves by it. All start from one chip with a part `lookup`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import ChipError, OptionError, choices
from mho.machine.lookup.service import Service, serve
from mho.mapping.embedding import METHODS, Layout, group, replicate, scatter, seated
from mho.mapping.embedding.seats import Seats, room
from mho.network.trace import Trace

READS = {"lookup.most_rows": 1, "lookup.adc_modes": "switch"}
NMARS = (
    "assumption: of nMARS no description was at hand. An array reads one row at a time, its ADCs resolving one cell (as read mode "
    "does) and getting the number of the row, not a mask; reads for one bag are added up digitally beside the array, partial "
    "sums merged as in every other design; rows in order of their ids, one copy each"
)
NMARS_COPIES = (
    f"{NMARS}. Here busy groups of rows have copies, as ours have, which is no part of nMARS as far as we know"
)
NMARS_WHOLE = f"{NMARS}. Here each read is converted with the whole resolution, as by an ADC that cannot switch"


@dataclass(frozen=True, eq=False)
class Design:
    """A layout on a chip, by name; `notes` are its assumptions. `placed`: the tile of each instance, None where they go round.

    `says`: what it does, in a sentence.
    """

    name: str
    layout: Layout
    chip: Chip
    notes: tuple[str, ...] = ()
    placed: npt.NDArray[np.int32] | None = None
    says: str = ""

    def serve(self, trace: Trace, dimension: int, batch: int) -> Service:
        """Serve a trace of rows of `dimension` features in batches of `batch` queries."""
        return serve(trace, self.layout, self.chip, dimension=dimension, batch=batch, placed=self.placed)


@dataclass(frozen=True, eq=False)
class Request:
    """What all designs are made for: the history that they may see, a chip with a part `lookup`, the most area (instances over
    the fewest groups that hold every row; only designs with copies use it), queries a batch, features of a row, and the seed.
    `grouping`: the method by which the design mho groups rows (`mho.mapping.embedding.group`). `equal`: designs that have no
    copies of their own get as many as the budget allows too, by load, so that all take the same area.
    """

    history: Trace
    chip: Chip
    budget: float = 1.25
    batch: int = 256
    dimension: int = 64
    seed: int = 0
    grouping: str = "refine"
    equal: bool = False
    _layouts: dict[tuple[Trace, int, str, int], Layout] = field(default_factory=dict, repr=False)
    """Groupings made, by all that they depend on: variants of a request (`dataclasses.replace`) share them."""

    def __post_init__(self) -> None:
        """Refuse a chip that cannot switch."""
        if self.chip.lookup is None:
            raise ChipError(f"chip {self.chip.name!r} has no part lookup; the preset recross has one")
        if self.grouping not in METHODS:
            raise OptionError(f"unknown grouping {self.grouping!r}; {choices(self.grouping, METHODS)}")

    def mapped(self, method: str) -> Layout:
        """Return a grouping as high as the arrays, without copies; each is made once."""
        key = self.history, self.chip.array.rows, method, self.seed
        if key not in self._layouts:
            self._layouts[key] = group(self.history, self.chip.array.rows, method=method, seed=self.seed)
        return self._layouts[key]

    @property
    def most(self) -> int:
        """Instances that a layout may have whatever the budget: as many as the chip has seats, and as are ever asked for."""
        return min(room(self.chip, self.dimension), self.least_groups + self.history.lookups)

    @property
    def least_groups(self) -> int:
        """The fewest groups that hold every row once."""
        return -(-self.history.total_rows // self.chip.array.rows)

    def by_load(self, method: str) -> Layout:
        """Return a grouping with copies of groups within the budget, by how often each is activated in the history."""
        return replicate(
            self.mapped(method), self.history, self.budget, "load", batch=self.batch, most=max(self.most, 1)
        )

    def simple(self, method: str) -> Layout:
        """Return a grouping without copies, or, where areas are equal, with those that the budget allows."""
        return self.by_load(method) if self.equal else self.mapped(method)

    def copied(self, method: str, rule: str, *, scattered: bool = False) -> Layout:
        """Return a grouping with copies of groups within the budget, by a rule.

        With `scattered`, as the design mho: rows new to the history are scattered first, and copies go by the time for which
        groups are busy when the history is served, with an ADC of every mode.
        """
        layout, loads = self.mapped(method), None
        if scattered:
            layout = scatter(layout, self.history)
            chip = self.with_modes("every")
            loads = serve(self.history, layout, chip, dimension=self.dimension, batch=self.batch).busy_s
        return replicate(layout, self.history, self.budget, rule, batch=self.batch, loads=loads, most=self.most)

    def placed(self, layout: Layout, chip: Chip) -> npt.NDArray[np.int32]:
        """Return the tile of each instance: groups that the history's bags touch together in one tile."""
        seats = Seats(layout, chip, self.dimension)
        return seated(layout, self.history, seats.tiles, seats.per_tile, self.seed)

    def varied(self, name: str, values: Mapping[str, Any]) -> Chip:
        """Return the chip with other values of its part `lookup`."""
        return self.chip.override(values, source=f"the design {name}", name=f"{self.chip.name} ({name})")

    def with_modes(self, modes: str) -> Chip:
        """Return the chip with ADCs that switch between other modes."""
        return self.varied(f"ADC {modes}", {"lookup.adc_modes": modes})


COPIED = "; busy groups copied into the same area as all others"
SAYS = MappingProxyType(
    {
        "naive": "rows in the order of their ids, ADCs of one resolution",
        "frequency": "rows in the order of how often they are looked up, ADCs of one resolution",
        "nmars": "as we take nMARS to be: rows in the order of their ids, read one by one at the resolution of a cell",
        "nmars-copies": "nmars, with busy groups copied into the area that designs with copies have",
        "nmars-whole": "nmars, each row read at the whole resolution",
        "recross": "as ReCross is published: rows that occur together in one group (greedy), copies by the logarithm of how often "
        "groups are asked for, ADCs of two modes",
        "mho": "mho's own: rows that occur together in one group (by --grouping), new rows scattered, copies by load, groups that "
        "bags touch together in one tile, ADCs of every mode",
    }
)
"""What each design does, in a sentence."""


def _simple(name: str, request: Request, method: str, chip: Chip, notes: tuple[str, ...] = ()) -> Design:
    """Return a design that has no copies of its own."""
    says = SAYS[name] + (COPIED if request.equal else "")
    return Design(name, request.simple(method), chip, notes, says=says)


def naive(request: Request) -> Design:
    """Rows in order of their ids, one copy, ADCs of one resolution."""
    return _simple("naive", request, "id", request.with_modes("fixed"))


def frequency(request: Request) -> Design:
    """Rows sorted by how often they are looked up, one copy, ADCs of one resolution."""
    return _simple("frequency", request, "frequency", request.with_modes("fixed"))


def nmars(request: Request) -> Design:
    """One row at a time, at the resolution of a cell."""
    return _simple("nmars", request, "id", request.varied("nmars", READS), (NMARS,))


def nmars_copies(request: Request) -> Design:
    """The same with load-optimal copies of its groups of rows, in as much area as designs with copies may take."""
    chip = request.varied("nmars-copies", READS)
    return Design("nmars-copies", request.by_load("id"), chip, (NMARS_COPIES,), says=SAYS["nmars-copies"])


def nmars_whole(request: Request) -> Design:
    """One row at a time, at the whole resolution."""
    chip = request.varied("nmars-whole", {**READS, "lookup.adc_modes": "fixed"})
    return _simple("nmars-whole", request, "id", chip, (NMARS_WHOLE,))


def recross(request: Request) -> Design:
    """As published: greedy groups, log-scaled copies, an ADC of two modes."""
    return Design("recross", request.copied("greedy", "log"), request.with_modes("switch"), says=SAYS["recross"])


def own(request: Request) -> Design:
    """Groups refined on the history, rows new to it scattered, load-optimal copies, groups that are touched together in one tile,
    an ADC of every mode.
    """
    chip, layout = request.with_modes("every"), request.copied(request.grouping, "load", scattered=True)
    return Design("mho", layout, chip, (), request.placed(layout, chip), says=SAYS["mho"])


def ablation(request: Request, *, published: bool) -> tuple[Design, ...]:
    """Return the designs from naive on in which one idea after another is added: groups, copies, modes.

    `published`: the ideas as ReCross has them, the last being `recross`; else those of mho, with tiles as a fourth, the last
    being `mho`.
    """
    method, rule, modes = ("greedy", "log", "switch") if published else (request.grouping, "load", "every")
    fixed = request.with_modes("fixed")
    copied = request.copied(method, rule, scattered=not published)
    return (
        naive(request),
        Design(f"{method} groups", request.mapped(method), fixed),
        Design(f"{method} groups, {rule} copies", copied, fixed),
        Design(f"{method} groups, {rule} copies, ADC {modes}", copied, request.with_modes(modes)),
        *(() if published else (own(request),)),
    )


def steps(request: Request, last: Design) -> tuple[Design, ...]:
    """Return the designs that lead from the naive mapping of one copy to `last`, the design mho, one idea added in each."""
    fixed = request.with_modes("fixed")
    method = request.grouping
    return (
        replace(naive(replace(request, equal=False)), says="rows in the order of their ids, in one copy"),
        Design("grouping", request.mapped(method), fixed, says=f"rows that occur together in one group ({method})"),
        Design("copies", request.by_load(method), fixed, says="copies of busy groups, by their activations"),
        Design("new rows", last.layout, fixed, says="rows new to the history scattered, copies by busy time"),
        Design("ADC modes", last.layout, last.chip, says="ADCs resolve no more bits than a sum may have"),
        replace(last, name="tiles", says="groups that are touched together in one tile"),
    )


DESIGNS: Mapping[str, Callable[[Request], Design]] = MappingProxyType(
    {
        "naive": naive,
        "frequency": frequency,
        "nmars": nmars,
        "nmars-copies": nmars_copies,
        "nmars-whole": nmars_whole,
        "recross": recross,
        "mho": own,
    }
)
"""Every design by name."""


COPYING = ("nmars-copies", "recross", "mho")
"""Designs that put area into copies."""


def design(name: str, request: Request) -> Design:
    """Make a design by name; OptionError for an unknown one."""
    if name not in DESIGNS:
        raise OptionError(f"unknown design {name!r}; {choices(name, DESIGNS)}")
    return DESIGNS[name](request)
