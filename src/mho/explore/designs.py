"""Ways to serve look-ups side by side, each a strategy, on the same parts and in the same costs.

Naive and frequency mapping, nMARS, ReCross as published, and the strategy asked for. A `Design` is a layout made from a history,
and the chip that serves by it. All start from one chip with a part `lookup`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.errors import OptionError, choices
from mho.machine.lookup.service import Service, serve
from mho.mapping.embedding import Copies, Grouping, Layout, NewRows, Serving, TileOrder, group, replicate
from mho.mapping.embedding.replicate import ByLoad
from mho.mapping.embedding.seats import room
from mho.network.trace import Trace
from mho.strategy import TABLE_STAGES, Strategy
from mho.strategy.choice import built

OWN, NAIVE = "mho", "naive"
NMARS = (
    "assumption: of nMARS no description was at hand. An array reads one row at a time, its ADCs resolving one cell (as read mode "
    "does) and getting the number of the row, not a mask; reads for one bag are added up digitally beside the array, partial "
    "sums merged as in every other design; rows in order of their ids, one copy each"
)
NMARS_COPIES = (
    f"{NMARS}. Here busy groups of rows have copies, as ours have, which is no part of nMARS as far as we know"
)
NMARS_WHOLE = f"{NMARS}. Here each read is converted with the whole resolution, as by an ADC that cannot switch"
COPIED = "; busy groups copied into the same area as all others"
BY_ACTIVATIONS = ByLoad(load="activations")


@dataclass(frozen=True)
class NamedDesign:
    """A design by name: the preset of its strategy, what is changed of that, what it does in a sentence, and what is assumed."""

    says: str
    preset: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def strategy(self) -> Strategy:
        """The strategy of the preset, changed."""
        return Strategy.load(self.preset).with_(self.changes)


FIXED = {"reading": {"choice": "sums", "modes": "fixed"}}
DESIGNS: Mapping[str, NamedDesign] = MappingProxyType(
    {
        NAIVE: NamedDesign("rows in the order of their ids, ADCs of one resolution", "nmars", FIXED),
        "frequency": NamedDesign(
            "rows in the order of how often they are looked up, ADCs of one resolution",
            "nmars",
            {**FIXED, "grouping": "frequency"},
        ),
        "nmars": NamedDesign(
            "as we take nMARS to be: rows in the order of their ids, read one by one at the resolution of a cell",
            "nmars",
            notes=(NMARS,),
        ),
        "nmars-copies": NamedDesign(
            "nmars, with busy groups copied into the area that designs with copies have",
            "nmars",
            {"copies": BY_ACTIVATIONS},
            (NMARS_COPIES,),
        ),
        "nmars-whole": NamedDesign(
            "nmars, each row read at the whole resolution", "nmars", {"reading.modes": "fixed"}, (NMARS_WHOLE,)
        ),
        "recross": NamedDesign(
            "as ReCross is published: rows that occur together in one group (greedy), copies by the logarithm of how often "
            "groups are asked for, ADCs of two modes",
            "recross",
        ),
        OWN: NamedDesign(
            "mho's own: rows that occur together in one group (by --grouping), new rows scattered, copies by load, groups that "
            "bags touch together in one tile, ADCs of every mode",
            OWN,
        ),
    }
)
"""Every design by name. The strategy of the last is that of the request."""


@dataclass(frozen=True, eq=False)
class Design:
    """A layout on a chip, by name; `notes` are its assumptions. `placed`: the tile of each instance, None where they go round.

    `says`: what it does, in a sentence. `strategy`: what it was made by.
    """

    name: str
    layout: Layout
    chip: Chip
    notes: tuple[str, ...] = ()
    placed: npt.NDArray[np.int32] | None = None
    says: str = ""
    strategy: Strategy = field(default_factory=Strategy)

    def serve(self, trace: Trace, dimension: int, batch: int) -> Service:
        """Serve a trace of rows of `dimension` features in batches of `batch` queries."""
        return serve(trace, self.layout, self.chip, dimension=dimension, batch=batch, placed=self.placed)


@dataclass(frozen=True, eq=False)
class Request:
    """What all designs are made for: the history that they may see, a chip with a part `lookup`, the most area (instances over
    the fewest groups that hold every row; only designs with copies use it), queries a batch, features of a row, and the seed.
    `strategy`: that of the design mho. `equal`: designs that have no copies of their own get as many as the budget allows too, by
    load, so that all take the same area. StrategyError where the strategy cannot serve the history on the chip.
    """

    history: Trace
    chip: Chip
    budget: float = 1.25
    batch: int = 256
    dimension: int = 64
    seed: int = 0
    strategy: Strategy = field(default_factory=lambda: Strategy.load(OWN))
    equal: bool = False
    _layouts: dict[tuple[Any, ...], Layout] = field(default_factory=dict, repr=False)
    """Layouts made, by all that they depend on: variants of a request (`dataclasses.replace`) share them."""

    def __post_init__(self) -> None:
        """Refuse what the strategy cannot do."""
        self.strategy.check(self.history, self.chip)

    @property
    def most(self) -> int:
        """Instances that a layout may have whatever the budget: as many as the chip has seats, and as are ever asked for."""
        return min(room(self.chip, self.dimension), self.least_groups + self.history.lookups)

    @property
    def least_groups(self) -> int:
        """The fewest groups that hold every row once."""
        return -(-self.history.total_rows // self.chip.weight_rows)

    def mapped(self, grouping: str | Grouping) -> Layout:
        """Return a grouping as high as the arrays, without copies; each is made once."""
        choice = built("grouping", grouping, {})
        assert isinstance(choice, Grouping)
        key = self.history, self.chip.weight_rows, choice, self.seed
        if key not in self._layouts:
            self._layouts[key] = group(self.history, self.chip.weight_rows, choice, seed=self.seed)
        return self._layouts[key]

    def layout(self, strategy: Strategy) -> Layout:
        """Return the layout that a strategy makes, each once; no more instances than budget and chip allow."""
        kept = (self.history, self.chip, self.budget, self.batch, self.dimension, self.seed)
        key = (*kept, strategy.grouping, strategy.new_rows, strategy.copies)
        if key not in self._layouts:
            self._layouts[key] = self._copied(strategy)
        return self._layouts[key]

    def _copied(self, strategy: Strategy) -> Layout:
        layout = strategy.get(NewRows).moved(self.mapped(strategy.get(Grouping)), self.history)
        copies, loads = strategy.get(Copies), None
        if not copies.makes:
            return layout
        if copies.timed:
            chip = strategy.with_(modes="every").get(Serving).on(self.chip, OWN)
            loads = serve(self.history, layout, chip, dimension=self.dimension, batch=self.batch).array_busy_s
        return replicate(
            layout, self.history, self.budget, copies, batch=self.batch, loads=loads, most=max(self.most, 1)
        )

    def design(self, name: str, strategy: Strategy, says: str = "", notes: tuple[str, ...] = ()) -> Design:
        """Return what a strategy makes of the history on the chip."""
        layout, chip = self.layout(strategy), strategy.get(Serving).on(self.chip, name)
        placed = strategy.get(TileOrder).tiles(layout, self.history, chip, self.dimension, self.seed)
        return Design(name, layout, chip, notes, placed, says, strategy)


def copying() -> tuple[str, ...]:
    """Name the designs that put area into copies."""
    return tuple(name for name, known in DESIGNS.items() if known.strategy.get(Copies).makes)


def design(name: str, request: Request) -> Design:
    """Make a design by name; OptionError for an unknown one."""
    if name not in DESIGNS:
        raise OptionError(f"unknown design {name!r}; {choices(name, DESIGNS)}")
    known = DESIGNS[name]
    strategy = request.strategy if name == OWN else known.strategy
    says = known.says if strategy.with_(grouping=known.strategy.grouping) == known.strategy else said(strategy)
    if request.equal and not strategy.get(Copies).makes:
        strategy, says = strategy.with_(copies=BY_ACTIVATIONS), says + COPIED
    return request.design(name, strategy, says, known.notes)


def said(strategy: Strategy) -> str:
    """Say what a strategy that is not mho's own does with tables."""
    return f"as asked: {', '.join(f'{stage} {getattr(strategy, stage)}' for stage in TABLE_STAGES)}"


def ablation(request: Request, *, published: bool) -> tuple[Design, ...]:
    """Return the designs from naive on in which one idea after another is added: groups, copies, modes.

    `published`: the ideas as ReCross has them, the last being `recross`; else those of mho, with tiles as a fourth, the last
    being `mho`.
    """
    last = DESIGNS["recross"].strategy if published else request.strategy
    groups = f"{last.grouping.name} groups"
    copies = f"{groups}, {last.copies.name} copies"
    strategies = added(
        DESIGNS[NAIVE].strategy,
        {
            groups: {"grouping": last.grouping},
            copies: {"new_rows": last.new_rows, "copies": last.copies},
            f"{copies}, ADC {last.get(Serving).modes}": {"reading": last.reading},
        },
    )
    steps = tuple(request.design(name, strategy) for name, strategy in strategies)
    return (design(NAIVE, request), *steps, *(() if published else (design(OWN, request),)))


def steps(request: Request, last: Design) -> tuple[Design, ...]:
    """Return the designs that lead from the naive mapping of one copy to `last`, the design mho, one idea added in each.

    Ideas that the strategy of `last` does not have are left out.
    """
    own, first = last.strategy, DESIGNS[NAIVE].strategy
    copies, reading, scattered = own.get(Copies), own.get(Serving), own.new_rows != first.new_rows
    by_activations = BY_ACTIVATIONS if copies.timed else copies
    ideas: Mapping[str, tuple[str, Mapping[str, Any]]] = {
        "grouping": (f"rows that occur together in one group ({own.grouping.name})", {"grouping": own.grouping}),
        "copies": (
            f"copies of busy groups, by {'their activations' if by_activations == BY_ACTIVATIONS else copies}",
            {"copies": by_activations},
        ),
        "new rows": (
            f"{'rows new to the history scattered, ' if scattered else ''}copies by {'busy time' if copies.timed else copies}",
            {"new_rows": own.new_rows, "copies": copies},
        ),
        "ADC modes": (
            "ADCs resolve no more bits than a sum may have" if reading.modes == "every" else f"reading {reading}",
            {"reading": reading},
        ),
        "tiles": ("groups that are touched together in one tile", {"seating": own.seating}),
    }
    designs = [replace(request.design(NAIVE, first), says="rows in the order of their ids, in one copy")]
    for name, strategy in added(first, {name: changes for name, (_, changes) in ideas.items()}):
        if strategy != designs[-1].strategy:
            step = last if strategy == own else request.design(name, strategy)
            designs.append(replace(step, name=name, says=ideas[name][0]))
    return tuple(designs)


def added(strategy: Strategy, ideas: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Strategy]]:
    """Yield each idea's name with the strategy that has it and all before it."""
    for name, changes in ideas.items():
        strategy = strategy.with_(changes)
        yield name, strategy
