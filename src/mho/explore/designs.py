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


COPYING = ("nmars-copies", "recross", "mho")
"""Designs that put area into copies."""
COPIED = "; busy groups copied into the same area as all others"
FIXED = {"lookup.adc_modes": "fixed"}


@dataclass(frozen=True)
class Rival:
    """A design that is not mho's own: what it does, its layout, and the part `lookup` of its chip; `notes` are its assumptions."""

    says: str
    layout: Callable[[Request], Layout]
    lookup: Mapping[str, Any]
    notes: tuple[str, ...] = ()


RIVALS: Mapping[str, Rival] = MappingProxyType(
    {
        "naive": Rival(
            "rows in the order of their ids, ADCs of one resolution",
            lambda request: request.simple("id"), FIXED,
        ),
        "frequency": Rival(
            "rows in the order of how often they are looked up, ADCs of one resolution",
            lambda request: request.simple("frequency"), FIXED,
        ),
        "nmars": Rival(
            "as we take nMARS to be: rows in the order of their ids, read one by one at the resolution of a cell",
            lambda request: request.simple("id"), READS, (NMARS,),
        ),
        "nmars-copies": Rival(
            "nmars, with busy groups copied into the area that designs with copies have",
            lambda request: request.by_load("id"), READS, (NMARS_COPIES,),
        ),
        "nmars-whole": Rival(
            "nmars, each row read at the whole resolution",
            lambda request: request.simple("id"), {**READS, **FIXED}, (NMARS_WHOLE,),
        ),
        "recross": Rival(
            "as ReCross is published: rows that occur together in one group (greedy), copies by the logarithm of how often "
            "groups are asked for, ADCs of two modes",
            lambda request: request.copied("greedy", "log"), {"lookup.adc_modes": "switch"},
        ),
    }
)  # fmt: skip
"""Every other design by name."""
OWN_SAYS = (
    "mho's own: rows that occur together in one group (by --grouping), new rows scattered, copies by load, groups that bags "
    "touch together in one tile, ADCs of every mode"
)
DESIGNS = (*RIVALS, "mho")
"""The names of all designs."""


def own(request: Request) -> Design:
    """Return the design mho."""
    chip, layout = request.with_modes("every"), request.copied(request.grouping, "load", scattered=True)
    return Design("mho", layout, chip, (), request.placed(layout, chip), says=OWN_SAYS)


def design(name: str, request: Request) -> Design:
    """Make a design by name; OptionError for an unknown one."""
    if name not in DESIGNS:
        raise OptionError(f"unknown design {name!r}; {choices(name, DESIGNS)}")
    if name not in RIVALS:
        return own(request)
    rival = RIVALS[name]
    variant = name if len(rival.lookup) > 1 else f"ADC {rival.lookup['lookup.adc_modes']}"
    says = rival.says + (COPIED if request.equal and name not in COPYING else "")
    return Design(name, rival.layout(request), request.varied(variant, rival.lookup), rival.notes, says=says)


def ablation(request: Request, *, published: bool) -> tuple[Design, ...]:
    """Return the designs from naive on in which one idea after another is added: groups, copies, modes.

    `published`: the ideas as ReCross has them, the last being `recross`; else those of mho, with tiles as a fourth, the last
    being `mho`.
    """
    method, rule, modes = ("greedy", "log", "switch") if published else (request.grouping, "load", "every")
    fixed = request.with_modes("fixed")
    copied = request.copied(method, rule, scattered=not published)
    return (
        design("naive", request),
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
        replace(design("naive", replace(request, equal=False)), says="rows in the order of their ids, in one copy"),
        Design("grouping", request.mapped(method), fixed, says=f"rows that occur together in one group ({method})"),
        Design("copies", request.by_load(method), fixed, says="copies of busy groups, by their activations"),
        Design("new rows", last.layout, fixed, says="rows new to the history scattered, copies by busy time"),
        Design("ADC modes", last.layout, last.chip, says="ADCs resolve no more bits than a sum may have"),
        replace(last, name="tiles", says="groups that are touched together in one tile"),
    )
