"""What a recommender's look-ups gain: its own trace, grouped and copied by its history, served beside the naive mapping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mho.baseline.lookup.designs import DESIGNS, Design, Request, design
from mho.chip import Chip
from mho.errors import OptionError, choices
from mho.mapping.embedding.storage import Seating
from mho.network.trace import Statistics, Trace, Unseen, align, describe, read, statistics
from mho.report.service import Service
from mho.shown import Columns, Shown, columns
from mho.version import __version__

SCHEMA = "mho.recommendation/1"
COMPARED = ("naive", "frequency", "nmars", "recross", "ours")
NAIVE = "naive"
BUDGET, GROUPING = 1.25, "refine"


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Shown):
    """Designs made from a history, each with what it took to serve the test.

    `statistics` are of the history; `unseen`: how much of the test the history never looks up.
    """

    request: Request
    test: Trace
    statistics: Statistics
    unseen: Unseen
    designs: Mapping[str, Design]
    services: Mapping[str, Service]

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `designs`, each with its time, energy, area, activations and gain."""
        return {
            "designs": lambda: columns(
                {
                    "design": name,
                    "chosen": name == self.chosen,
                    "seconds": each.seconds,
                    "energy_j": each.energy_j,
                    "area_m2": sum(each.area_m2.values()),
                    "activations": each.activations,
                    "groups": each.layout.groups,
                    "instances": each.layout.instances,
                    "gain": self.gain(name),
                }
                for name, each in self.services.items()
            )
        }

    def headline(self) -> str:
        """Say what was compared, in a line."""
        return f"Recommendation({', '.join(self.designs)}; chosen: {self.chosen})"

    @property
    def against(self) -> str:
        """The design that the others are told against: naive, or the first where that was not asked for."""
        return NAIVE if NAIVE in self.designs else next(iter(self.designs))

    @cached_property
    def chosen(self) -> str:
        """The design of the least time x energy on the test; of equal ones the first."""
        return min(self.services, key=lambda name: self.services[name].seconds * self.services[name].energy_j)

    @property
    def synthetic(self) -> bool:
        """Whether history or test was made up."""
        return self.request.history.synthetic or self.test.synthetic

    @cached_property
    def seating(self) -> Seating:
        """Where each row sits by the chosen design, rows by what the trace's file calls them."""
        history = self.request.history
        ids = tuple(history.original(table) for table in range(len(history.rows)))
        return Seating(self.designs[self.chosen].layout, history.names, ids, self.services[self.chosen].seats.tile)

    def gain(self, name: str) -> dict[str, float]:
        """Return time, energy and activations of the design `against` over those of a design; more than 1 is better."""
        ours, theirs = self.services[name], self.services[self.against]
        pairs = {
            "time": (theirs.seconds, ours.seconds),
            "energy": (theirs.energy_j, ours.energy_j),
            "activations": (theirs.activations, ours.activations),
        }
        # A trace whose bags are all empty takes nothing, by any design.
        return {what: before / after if after else 1.0 for what, (before, after) in pairs.items()}

    def notes(self) -> tuple[str, ...]:
        """Return every assumption and synthetic input, each once; what is not true of all designs says of which."""
        told: dict[str, list[str]] = {}
        for name, each in self.designs.items():
            for note in (*self.services[name].notes(), *each.notes):
                told.setdefault(note, []).append(name)
        everywhere = [note for note, names in told.items() if len(names) == len(self.designs)]
        rest = [f"{', '.join(names)}: {note}" for note, names in told.items() if len(names) < len(self.designs)]
        first = [f"synthetic: {self.request.history.origin}"] if self.request.history.synthetic else []
        if len(self.designs) > 1:
            first.append(
                f"{self.chosen} is chosen because it takes the least time x energy on the test, of these designs"
            )
        return (*first, *everywhere, *rest)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data; of each design its service as `Service.to_dict` gives it."""
        request, test = self.request, self.test
        return {
            "schema": SCHEMA,
            "version": __version__,
            "synthetic": self.synthetic,
            "history": {
                "origin": request.history.origin,
                "synthetic": request.history.synthetic,
                "statistics": self.statistics.to_dict(),
            },
            "test": {"origin": test.origin, "synthetic": test.synthetic, "unseen": asdict(self.unseen)},
            "options": {
                "chip": request.chip.name,
                "dimension": request.dimension,
                "batch": request.batch,
                "budget": request.budget,
                "seed": request.seed,
                "grouping": request.grouping,
            },
            "against": self.against,
            "chosen": self.chosen,
            "designs": {
                name: {**self.services[name].to_dict(), "gain": self.gain(name), "design_notes": list(each.notes)}
                for name, each in self.designs.items()
            },
            "notes": list(self.notes()),
        }

    def save(self, folder: str | Path) -> tuple[Path, ...]:
        """Write recommend.json, recommend.html and layout.npz into a folder, all or none, and return their paths.

        OutputError names the path that cannot be written; then no file of ours that was not there before is left.
        """
        from mho.baseline.lookup.html import save

        return save(self, Path(folder))


def check_designs(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse unknown designs, the same one twice, and none at all, with OptionError."""
    if isinstance(names, str):
        raise OptionError(f"designs are several names, such as ({names!r},), not {names!r}")
    if not names:
        raise OptionError(f"name at least one design; known: {', '.join(DESIGNS)}")
    for name in names:
        if name not in DESIGNS:
            raise OptionError(f"unknown design {name!r}; {choices(name, DESIGNS)}")
        if list(names).count(name) > 1:
            raise OptionError(f"design {name!r} is named twice")
    return tuple(names)


def _check(budget: float, batch: int, dimension: int, seed: int) -> None:
    numbers = (("batch", batch, 1), ("dimension", dimension, 1), ("seed", seed, 0))
    for what, number, least in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise OptionError(f"{what} is a whole number of at least {least}, not {number!r}")
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 1 <= budget < math.inf:
        raise OptionError(f"an area budget is a number from 1, not {budget!r}")


def recommend(
    trace: Trace | str | Path,
    test: Trace | str | Path | None = None,
    *,
    history: float = 0.8,
    split_seed: int | None = None,
    chip: Chip | str = "recross",
    dimension: int = 64,
    batch: int = 256,
    budget: float = BUDGET,
    grouping: str = GROUPING,
    designs: Sequence[str] = COMPARED,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Recommendation:
    """Make designs (`mho.baseline.lookup.DESIGNS`) from a trace's history and serve its rest, the test, with each.

    `history`: the share of the queries that designs may see, the first ones, or with `split_seed` ones drawn at random. With a
    `test` of its own, a trace or a file, the whole trace is history. `budget`: the most area, in instances of groups over the
    fewest groups that hold every row; `dimension`: features of 8 bits of a row; `batch`: queries served at once; `grouping`: how
    the design `ours` groups rows ("best" looks furthest, for minutes); `seed`: of groupings that draw.

    Rows of a test of its own are those of the history that are called alike. Raises OptionError for what is out of range,
    TraceError where history or test would be empty or are of other tables, or a file cannot be read, ChipError for a chip without
    a part `lookup`, MappingError where the chip has no room.
    """
    names = check_designs(designs)
    _check(budget, batch, dimension, seed)
    on = Chip.load(chip) if isinstance(chip, str) else chip
    whole = trace if isinstance(trace, Trace) else read(trace)
    if test is None:
        known, asked = whole.split(history, split_seed)
    else:
        known, asked = align(whole, test if isinstance(test, Trace) else read(test))
    request = Request(known, on, budget=budget, batch=batch, dimension=dimension, seed=seed, grouping=grouping)
    say("counting what the history looks up")
    found = statistics(known)
    unseen = describe(known, asked)
    made: dict[str, Design] = {}
    services: dict[str, Service] = {}
    for name in names:
        say(f"{name}: grouping rows")
        made[name] = design(name, request)
        say(f"{name}: serving the test")
        services[name] = made[name].serve(asked, dimension, batch)
    return Recommendation(request, asked, found, unseen, made, services)
