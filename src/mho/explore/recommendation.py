"""What a recommender's look-ups gain: its own trace, grouped and copied by its history, served beside the naive mapping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from mho.chip import Chip
from mho.engineering import ratio
from mho.errors import OptionError, choices
from mho.explore.designs import DESIGNS, NAIVE, OWN, Design, Request, design, steps
from mho.explore.exploration import Exploration
from mho.machine.lookup.arrivals import Arrivals, OpenService, open_service
from mho.machine.lookup.service import Service
from mho.machine.robustness import robust
from mho.mapping.embedding.storage import Seating
from mho.network.trace import Statistics, Trace, Unseen, align, describe, read, statistics
from mho.shown import Columns, columns
from mho.strategy import Strategy, cited

SCHEMA = "mho.recommendation/1"
COMPARED = (NAIVE, "frequency", "nmars", "recross", OWN)
BUDGET = 1.25
AREAS = ("equal", "own")
"""Whether every design may take as much area, or each as much as it comes with."""


@dataclass(frozen=True)
class Taken:
    """The time (s) and energy (J) that serving the test takes after one idea more: its `name`, and what it `says`."""

    name: str
    says: str
    seconds: float
    energy_j: float


@dataclass(frozen=True)
class Gain:
    """One idea, and the factors by which it lowers time and energy; a factor below 1 raises them."""

    name: str
    says: str
    time: float
    energy: float

    @classmethod
    def of(cls, name: str, says: str, before: Taken | Service, after: Taken | Service) -> Gain:
        """Return what was gained from one to the other."""
        return cls(name, says, ratio_of(before.seconds, after.seconds), ratio_of(before.energy_j, after.energy_j))


def ratio_of(before: float, after: float) -> float:
    """Return before / after; a trace whose bags are all empty takes nothing, by any design."""
    return before / after if after else 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Served:
    """Designs made from a history, each with what it took to serve the test.

    `statistics` are of the history; `unseen`: how much of the test the history never looks up. `taken`: from the naive mapping of
    one copy to the design mho, what each idea more takes; empty where that design was not asked for. `open`: what queries wait that
    come one by one, by design, and `sure`: how sure the gains in energy are; empty where that was not asked for.
    """

    request: Request
    test: Trace
    statistics: Statistics
    unseen: Unseen
    designs: Mapping[str, Design]
    services: Mapping[str, Service]
    taken: tuple[Taken, ...] = ()
    open: Mapping[str, OpenService] = field(default_factory=dict)
    sure: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def against(self) -> str:
        """The design that the others are told against."""
        return _against(self.designs)

    @cached_property
    def chosen(self) -> str:
        """The design of the least time x energy on the test; of equal ones the first."""
        return min(self.services, key=lambda name: self.services[name].seconds * self.services[name].energy_j)

    @property
    def papers(self) -> tuple[str, ...]:
        """The keys of the papers that it rests on: of the designs' techniques, and of the figures of the chip."""
        techniques = (key for design in self.designs.values() for key in design.strategy.papers)
        sources = {origin.source for origin in self.request.chip.provenance.values()}
        return tuple(dict.fromkeys((*techniques, *cited(sources))))

    @property
    def synthetic(self) -> bool:
        """True where history or test was made up."""
        return self.request.history.synthetic or self.test.synthetic

    @cached_property
    def seating(self) -> Seating:
        """The seat of each row in the chosen design, rows by what the trace's file calls them."""
        history = self.request.history
        ids = tuple(history.original(table) for table in range(len(history.rows)))
        return Seating(self.designs[self.chosen].layout, history.names, ids, self.services[self.chosen].seats.tile)

    def gain(self, name: str) -> dict[str, float]:
        """Return time, energy and activations of the design `against` over those of a design; more than 1 is better."""
        this, other = self.services[name], self.services[self.against]
        gain = Gain.of(name, "", other, this)
        return {"time": gain.time, "energy": gain.energy, "activations": ratio_of(other.activations, this.activations)}

    @cached_property
    def split(self) -> tuple[Gain, ...]:
        """The gain that each idea brings to the design mho, over the naive mapping of one copy; their product is the whole gain."""
        return tuple(Gain.of(after.name, after.says, before, after) for before, after in pairwise(self.taken))

    @property
    def whole(self) -> Gain:
        """The gain of the design mho over the naive mapping of one copy."""
        return Gain.of("all", f"{OWN} over {self.taken[0].says}", self.taken[0], self.taken[-1])

    @property
    def copied(self) -> Gain | None:
        """The gain that copies alone bring to the naive mapping in the same area, where that was served."""
        if not (self.taken and self.request.equal and NAIVE in self.services):
            return None
        says = "what copies in the same area bring where rows stay in the order of their ids"
        return Gain.of(NAIVE, says, self.taken[0], self.services[NAIVE])

    def notes(self) -> tuple[str, ...]:
        """Return every assumption and synthetic input, each once; what is not true of all designs says of which."""
        by_note: dict[str, list[str]] = {}
        for name in self.designs:
            for note in (*self.services[name].notes(), *self.designs[name].notes):
                by_note.setdefault(note, []).append(name)
        everywhere = [note for note, names in by_note.items() if len(names) == len(self.designs)]
        rest = [f"{', '.join(names)}: {note}" for note, names in by_note.items() if len(names) < len(self.designs)]
        first = [f"synthetic: {self.request.history.origin}"] if self.request.history.synthetic else []
        if len(self.designs) > 1:
            first.append(
                f"{self.chosen} is chosen because it takes the least time x energy on the test, of these designs"
            )
        first += self._areas()
        return (*first, *everywhere, *rest)

    def _areas(self) -> list[str]:
        """Say how areas compare, and where copies stop short of the budget."""
        notes = []
        if self.request.equal and len(self.designs) > 1:
            notes.append(
                "areas are equal: every design takes as many arrays, busy groups copied by load where it has no copies of its own"
            )
        elif len({design.layout.instances for design in self.designs.values()}) > 1:
            notes.append("areas differ: each design takes as many arrays as it comes with")
        budget, most = self.request.budget, self.request.most
        allowed = budget * self.request.least_groups
        if allowed >= most + 1:
            notes.append(
                f"the area budget of {budget:g} allows {allowed:.6g} copies; they stop at {most}, as many as the chip has seats "
                "for, or as the history ever asks for"
            )
        return notes

    def content(self) -> dict[str, Any]:
        """Return everything as data; of each design its service as `Service.to_dict` gives it."""
        request, test = self.request, self.test
        return {
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
                "grouping": request.strategy.grouping.name,
                "areas": AREAS[0] if request.equal else AREAS[1],
            },
            "against": self.against,
            "chosen": self.chosen,
            "designs": {
                name: {
                    **self.services[name].to_dict(),
                    "says": each.says,
                    "gain": self.gain(name),
                    "open": self.open[name].to_dict() if self.open else None,
                    "sure": dict(self.sure[name]) if self.sure else None,
                    "design_notes": list(each.notes),
                }
                for name, each in self.designs.items()
            },
            "split": None
            if not self.taken
            else {
                "taken": [asdict(taken) for taken in self.taken],
                "gains": [asdict(gain) for gain in self.split],
                "whole": asdict(self.whole),
                "copied": asdict(self.copied) if self.copied else None,
            },
            "notes": list(self.notes()),
        }


class Recommendation(Exploration):
    """Ways to serve look-ups, compared: a record is a design, made from a history, with what it took to serve the test.

    Where it was measured here, all that `Served` has can be asked of it too: found.services["mho"].loads
    """

    schema = SCHEMA
    within = "designs"
    needs = (
        "version", "synthetic", "history", "test", "options", "against", "chosen", "designs", "split", "notes",
    )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        """Return what was measured."""
        served = self.__dict__.get("measured")
        return super().__getattr__(name) if served is None else getattr(served, name)

    @property
    def records(self) -> tuple[Mapping[str, Any], ...]:
        """The records of the designs, each with its name."""
        return tuple({"design": name, **content} for name, content in self.content["designs"].items())

    def headline(self) -> str:
        """Say what was compared, in a line."""
        return f"Recommendation({', '.join(self.content['designs'])}; chosen: {self.content['chosen']})"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return by how many times less time and energy the chosen design takes than the one that it is told against."""
        gain = self.content["designs"][self.content["chosen"]]["gain"]
        return tuple((f"{what} of {self.content['against']} / this", ratio(gain[what])) for what in ("time", "energy"))

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `designs`, each with its time, energy, area, activations and gain."""
        return {
            "designs": lambda: columns(
                {
                    "design": record["design"],
                    "chosen": record["design"] == self.content["chosen"],
                    "seconds": record["seconds"],
                    "energy_j": record["energy_j"]["total"],
                    "area_m2": record["area_m2"]["total"],
                    "activations": record["activations"]["total"],
                    "groups": record["layout"]["groups"],
                    "instances": record["layout"]["instances"],
                    "gain": record["gain"],
                }
                for record in self.records
            )
        }


def check_designs(names: Sequence[str], areas: str = AREAS[0]) -> tuple[str, ...]:
    """Refuse unknown designs, the same one twice, and none at all, and areas that are neither equal nor own, with OptionError."""
    if areas not in AREAS:
        raise OptionError(f"areas are {' or '.join(AREAS)}, not {areas!r}")
    if isinstance(names, str):
        raise OptionError(f"designs are several names, such as ({names!r},), not {names!r}")
    if not names:
        raise OptionError(f"name at least one design; known: {', '.join(DESIGNS)}")
    for name in names:
        if name not in DESIGNS:
            raise OptionError(f"unknown design {name!r}; {choices(name, DESIGNS)}")
        if list(names).count(name) > 1:
            raise OptionError(f"design {name!r} is named twice")
        if name == "nmars-copies" and areas == AREAS[0]:
            raise OptionError("design 'nmars-copies' is 'nmars' where areas are equal; it is for --areas own")
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
    strategy: Strategy | str | Path = OWN,
    designs: Sequence[str] = COMPARED,
    areas: str = AREAS[0],
    arrivals: Arrivals | None = None,
    uncertainty: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Recommendation:
    """Make designs (`mho.explore.DESIGNS`) from a trace's history and serve its rest, the test, with each.

    `history`: the share of the queries that designs may see, the first ones, or with `split_seed` ones drawn at random. With a
    `test` of its own, a trace or a file, the whole trace is history. `budget`: the most area, in instances of groups over the
    fewest groups that hold every row; `areas`: "equal", every design may take it, in copies of busy groups, or "own", each as much
    as it comes with; `dimension`: features of 8 bits of a row; `batch`: queries served at once; `strategy`: what the
    design mho does with tables, such as `Strategy.load("mho").with_(grouping="refine")`; `arrivals`: queries of the test that come
    at random, one by one, to each design; `uncertainty`: whether gains in energy are told under draws of published constants;
    `seed`: of groupings and arrivals, which draw.

    Rows of a test of its own are those of the history that are called alike. Raises OptionError for what is out of range,
    TraceError where history or test would be empty or are of other tables, or a file cannot be read, StrategyError for a strategy
    of networks and for a chip without a part `lookup`, MappingError where the chip has no room.
    """
    names = check_designs(designs, areas)
    _check(budget, batch, dimension, seed)
    on = Chip.load(chip) if isinstance(chip, str) else chip
    whole = trace if isinstance(trace, Trace) else read(trace)
    own = test if test is None or isinstance(test, Trace) else read(test)
    known, served_trace = whole.split(history, split_seed) if own is None else align(whole, own)
    request = Request(
        known, on, budget=budget, batch=batch, dimension=dimension, seed=seed, strategy=Strategy.of(strategy),
        equal=areas == AREAS[0],
    )  # fmt: skip
    say("counting what the history looks up")
    measured = statistics(known)
    unseen = describe(known, served_trace)
    drafts, services = _drafted(request, names, served_trace, say)
    taken = _steps(request, drafts, services, served_trace, say) if OWN in drafts else ()
    waited = {} if arrivals is None else _waits(services, served_trace, arrivals, seed, say)
    sure = _sure(services, seed, say) if uncertainty else {}
    served = Served(request, served_trace, measured, unseen, drafts, services, taken, waited, sure)
    return Recommendation(served.content(), served)


def _drafted(
    request: Request, names: Sequence[str], test: Trace, say: Callable[[str], None]
) -> tuple[dict[str, Design], dict[str, Service]]:
    """Make designs from the history, and serve the test with each."""
    drafts, services = {}, {}
    for name in names:
        say(f"{name}: grouping rows")
        drafts[name] = design(name, request)
        say(f"{name}: serving the test")
        services[name] = drafts[name].serve(test, request.dimension, request.batch)
    return drafts, services


def _sure(services: Mapping[str, Service], seed: int, say: Callable[[str], None]) -> Mapping[str, Mapping[str, Any]]:
    """Return how many times the energy of each design the one takes that others are told against, and how sure that is."""
    say("pricing")
    found = robust(services, seed=seed)
    return {name: found.factor(name, _against(services)) for name in services}


def _against(designs: Mapping[str, Any]) -> str:
    """Return the design that others are told against: naive, or the first where that was not asked for."""
    return NAIVE if NAIVE in designs else next(iter(designs))


def _waits(
    services: Mapping[str, Service], test: Trace, arrivals: Arrivals, seed: int, say: Callable[[str], None]
) -> Mapping[str, OpenService]:
    """Let the queries of the test come one by one to each design."""
    waited = {}
    for name, service in services.items():
        say(f"{name}: queries come one by one")
        waited[name] = open_service(test, service, arrivals, seed=seed)
    return waited


def _steps(
    request: Request,
    designs: Mapping[str, Design],
    services: Mapping[str, Service],
    test: Trace,
    say: Callable[[str], None],
) -> tuple[Taken, ...]:
    """Serve the test by each step from the naive mapping to the design mho, but for those that were served already."""
    known = {design.strategy: services[name] for name, design in designs.items()}
    taken = []
    for step in steps(request, designs[OWN]):
        if step.strategy not in known:
            say(f"{OWN}, step by step: {step.name}")
            known[step.strategy] = step.serve(test, request.dimension, request.batch)
        service = known[step.strategy]
        taken.append(Taken(step.name, step.says, service.seconds, service.energy_j))
    return tuple(taken)
