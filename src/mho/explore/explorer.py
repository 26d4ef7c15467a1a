"""mho.explore: a space searched, every design screened, those of the front measured in full."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.chip import Chip
from mho.errors import MhoError, OptionError, StrategyError, choices
from mho.explore.evaluation import SEEDS
from mho.explore.exploration import Exploration, objective_of
from mho.explore.judge import Progress
from mho.explore.measuring import SAVED, VERIFIED, Measuring, Whole, differs, whole
from mho.explore.objectives import ALWAYS, BY_SAMPLES, Limit, Objective, objectives
from mho.explore.pace import Pace
from mho.explore.parameters import fits
from mho.explore.records import Records
from mho.explore.screening import OVER, Judge, Subject
from mho.explore.search import begin
from mho.explore.space import Space, Value
from mho.explore.standing import check_standing, standing
from mho.explore.tables import kind_of, write_tables
from mho.explore.tally import Tally
from mho.explore.walk import BEHIND, UNLEARNT, Found, Walk
from mho.explore.workers import Executor, finished
from mho.files.store import Store
from mho.machine.analog import Analog
from mho.network.graph import Network
from mho.number import QuantisedNetwork, Sampled
from mho.strategy import Strategy

if TYPE_CHECKING:
    from mho.network.samples import Samples

MEASURED = 100
"""Designs of the front that are measured in full, where nothing else is asked for; of more, some spread evenly."""
VARIANTS = 64
"""Variants of a network that are loaded, at the most."""

Model = Network | QuantisedNetwork | Sampled
Loader = Callable[..., Model]


def explore(
    network: Model | Loader | Mapping[str, Model | Loader],
    chip: Chip | str | Path,
    space: Space | Mapping[str, Sequence[Value]],
    *,
    strategy: Strategy | str | None = None,
    minimise: Sequence[str] = ALWAYS,
    limits: Sequence[Limit | str] = (),
    over: str = "sum",
    budget: int | None = None,
    search: str | None = None,
    seed: int = 0,
    behind: int | None = None,
    samples: Samples | None = None,
    analog: Analog | None = None,
    seeds: int = SEEDS,
    endurance: float | None = None,
    measure: int = MEASURED,
    measuring: Measuring | None = None,
    store: Store | str | Path | None = None,
    workers: int | Executor = 1,
    progress: Progress | None = None,
) -> Exploration:
    """Search a space for the designs that none beats.

        found = mho.explore(network, "aras", {"tiles": [48, 96], "schedule": ["aras", "adaptive"]}, store="x.jsonl")
        found = mho.explore(network, chip, space, minimise=["time", "area"], limits=["area=60"], budget=500, workers=4)
        found.front(), found.best("time"), found.frame("points")

    network: one, several by name, or for keys such as network.sequence what loads one (`lambda **keys: mho.zoo.load("bert-base",
    **keys)`). minimise, limits: objectives by their names (`mho.explore.OBJECTIVES`); one of which more is better is maximised.
    over: "sum", "worst" or "each" of several networks. budget: the most designs that are judged; without it all of the space are,
    and search is "grid", else "front"; seed and behind (4 of a search that learns) say which designs are asked for when (see
    `Walk`). samples, with labels, give accuracy on the analog side. measure: so many designs of the front are measured in full, and
    `measuring` says how far. store keeps what is finished, by all that it rests on: values, chip, strategy, network and the code
    that computes them. workers: processes, or a cluster; they change no result. progress is told what is being done.

    Every value is checked before anything is compiled; a design that cannot be compiled stays, with the reason. Raises OptionError,
    ChipError, StrategyError and AnalogError for what no design can be.
    """
    run = Run(
        space=space if isinstance(space, Space) else Space(space),
        chip=chip if isinstance(chip, Chip) else Chip.load(chip),
        aims=objectives(minimise),
        limits=tuple(each if isinstance(each, Limit) else Limit.read(each) for each in limits),
        search=search or ("grid" if budget is None else "front"),
        kept=store if isinstance(store, Store) else Store(store),
        progress=progress or (lambda what, done, total: None),
        budget=budget, seed=seed, behind=behind, workers=workers,
    )  # fmt: skip
    run.check(over, samples, endurance, measure)
    named: Mapping[str, Any] = network if isinstance(network, Mapping) else {"": network}
    subjects = tuple(run.subject(name, model) for name, model in named.items())
    judge = Judge(
        subjects, run.space, run.chip, Strategy.of(strategy), analog or Analog(), run.judged_by(samples), over, samples, seeds,
        endurance,
    )  # fmt: skip
    run.check_values(judge)
    return run.explored(judge, measure, measuring or Measuring())


@dataclass(frozen=True, kw_only=True)
class Run:
    """An exploration under way: the space, what its designs are judged by, and how they are asked for."""

    space: Space
    chip: Chip
    aims: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    budget: int | None
    search: str
    seed: int
    behind: int | None
    workers: int | Executor
    kept: Store
    progress: Progress

    @property
    def most(self) -> int:
        """The most designs that are judged."""
        size = len(self.space)
        return size if self.budget is None else min(self.budget, size)

    @property
    def distance(self) -> int:
        """How many designs may be under way. OptionError for an unknown search."""
        learns = begin(self.search, (1,), lambda indices: True, 1).learns
        return self.behind or (BEHIND if learns else UNLEARNT)

    def check(self, over: str, samples: Samples | None, endurance: float | None, measure: int) -> None:
        """Refuse what contradicts itself. OptionError."""
        if over not in OVER:
            raise OptionError(f"unknown way {over!r} to take several networks together; {choices(over, OVER)}")
        limited = [limit.objective.name for limit in self.limits]
        twice = next((name for place, name in enumerate(limited) if name in limited[:place]), None)
        if twice is not None:
            raise OptionError(f"objective {twice} is given two limits")
        wanted = (*(aim.name for aim in self.aims), *limited)
        if samples is None:
            if any(axis.part == "analog" for axis in self.space.parts):
                raise OptionError("keys of analog change the accuracy alone: give samples with labels")
            unknown = next((name for name in wanted if name in BY_SAMPLES), None)
            if unknown is not None:
                raise OptionError(f"objective {unknown} needs samples with labels")
        if endurance is None and "lifetime" in wanted:
            raise OptionError("objective lifetime needs the endurance of cells: how many writes one survives")
        for name, least, number in (("budget", 1, self.budget), ("behind", 1, self.behind), ("measure", 0, measure)):
            if number is not None and number < least:
                raise OptionError(f"{name} is at least {least}, not {number}")
        if isinstance(self.workers, int) and self.workers < 1:
            raise OptionError(f"there is at least one worker, not {self.workers}")
        if isinstance(self.workers, int) and self.workers > self.distance:
            raise OptionError(
                f"{self.workers} workers would wait for one another: at most {self.distance} designs are under way; "
                f"behind={self.workers} or more lets as many be, of which the search then learns later"
            )
        self.space.conditions(self.chip)

    def judged_by(self, samples: Samples | None) -> tuple[str, ...]:
        """Return the objectives that are told of every design."""
        analog = samples is not None and any(axis.part == "analog" for axis in self.space.parts)
        names = [*ALWAYS, *(aim.name for aim in self.aims), *(limit.objective.name for limit in self.limits)]
        return tuple(dict.fromkeys([*names, *(["accuracy"] if analog else [])]))

    def subject(self, name: str, model: Any) -> Subject:
        """Return a network in every variant that the space asks for. OptionError for what is none."""
        axes = [axis for axis in self.space.parts if axis.part == "network"]
        loads = callable(model) and not isinstance(model, Network | QuantisedNetwork | Sampled)
        if not axes:
            found = Sampled.of(model() if loads else model)
            return Subject(name or found.net.name, {(): found})
        if not loads:
            raise OptionError(f"{axes[0].key} needs a function that loads the network with it, not a network")
        if math.prod(len(axis.values) for axis in axes) > VARIANTS:
            raise OptionError(f"a network is loaded in at most {VARIANTS} variants; give fewer values of network keys")
        variants = {}
        for values in itertools.product(*(axis.values for axis in axes)):
            changes = dict(zip((axis.name for axis in axes), values, strict=True))
            variants[tuple(sorted(changes.items()))] = Sampled.of(model(**changes))
        return Subject(name or next(iter(variants.values())).net.name, {**variants, (): Sampled.of(model())})

    def check_values(self, judge: Judge) -> None:
        """Refuse values that no design can have, before anything is compiled; a value that others have to allow may stay."""
        for axis in self.space.parts:
            for value in axis.values if axis.part != "network" else ():
                try:
                    judge.designs({axis.key: value})
                except MhoError as error:
                    alone = axis.part == "chip" and not isinstance(error, StrategyError) and fits(axis.name, value)
                    if not alone:
                        raise

    def explored(self, judge: Judge, measure: int, measuring: Measuring) -> Exploration:
        """Walk, measure the front, and say what was found."""
        if measuring.sure:
            check_standing(judge, self.aims)
        records = Records(self.kept, judge)
        pace = Pace(self.most, self.progress)
        base, middle = (self._known(judge, records, values, pace) for values in ({}, self._middle()))
        tally = Tally(self.space, judge.fields, self.aims, self.limits)
        allows = self.space.allows(self.chip)
        search = begin(self.search, self.space.sizes, allows, self.most, self.seed, self.space.ordered)
        walk = Walk(self.space, search, judge, records, tally.trial, self.most, self.workers, self.distance)
        for found in walk:
            tally.add(found)
            pace.tell(len(tally), walk.judged, len(tally.front))
        front = [walk.found(number) for number in sorted(tally.front.numbers.tolist())]
        measured = self._measured(
            judge, tally, spread(front, measure, lambda found: tally.costs(found.record)), measuring
        )
        points = [tally.point(walk.found(number)) for number in tally.shown()]
        if measuring.folder is not None:
            kinds = {axis.key: kind_of(axis.values) for axis in self.space.parts}
            every = (tally.point(walk.found(number)) for number in range(len(tally)))
            write_tables(measuring.folder, every, kinds, judge.fields)
        in_full = self._full(judge, measuring)[1]
        self.kept.arrange(itertools.chain(walk.keys(), (in_full.key(walk.values(found.number)) for found in front)))
        return Exploration(
            {
                "networks": [subject.name for subject in judge.subjects],
                "chip": self.chip.name,
                "strategy": judge.strategy.to_dict(),
                "space": self.space.to_dict(self.chip),
                "aims": [{**objective_of(field).to_dict(), "field": field} for field in tally.aims],
                "limits": [limit.to_dict() for limit in self.limits],
                "over": judge.over,
                "search": {"by": self.search, "budget": self.most, "seed": self.seed, "behind": self.distance},
                "judged": len(tally),
                "base": base,
                "points": points,
                "measured": measured,
                "hypervolume": tally.hypervolume(middle),
                "importance": tally.importance(),
                "refused": sorted(tally.refused.values(), key=lambda entry: (-entry["count"], entry["reason"])),
                **({"standing": self._standing(judge, front)} if measuring.sure else {}),
                "notes": list(_notes(judge, len(tally), len(points), len(front), measured)),
            }
        )

    def _standing(self, judge: Judge, front: Sequence[Found]) -> list[dict[str, Any]]:
        """Tell which designs of the front stay on it whatever the constants."""
        self.progress("pricing the front", 0, 1)
        values = {found.number: self.space.values(found.indices) for found in front}
        return standing(judge, self.aims, values, {found.number: found.record for found in front})

    def _middle(self) -> dict[str, Value]:
        """Return the design in the middle of every axis, from which the hypervolume is told."""
        return self.space.values(tuple(size // 2 for size in self.space.sizes))

    def _known(self, judge: Judge, records: Records, values: Mapping[str, Value], pace: Pace) -> Mapping[str, Any]:
        """Return the record of a design that is judged here, before the search."""
        known = records.get(values)
        if known is None:
            with pace.trying():
                record = judge(values)
            known = records.put(values, record)
        return known

    def _full(self, judge: Judge, measuring: Measuring) -> tuple[Whole, Records]:
        """Return what measures a design in full, and where such designs are kept."""
        full = Whole(whole(judge), measuring.inputs, measuring.files)
        return full, Records(self.kept, full.judge, VERIFIED, *([SAVED] if measuring.files else []))

    def _measured(
        self, judge: Judge, tally: Tally, front: Sequence[Found], measuring: Measuring
    ) -> list[dict[str, Any]]:
        """Measure designs of the front in full; what is kept, and has its files, is not measured again."""
        full, records = self._full(judge, measuring)
        names = [subject.name for subject in judge.subjects]
        values = {found.number: self.space.values(found.indices) for found in front}
        kept = {n: records.get(of) if measuring.kept(n, names) else None for n, of in values.items()}
        tasks = [(number, values[number]) for number, record in kept.items() if record is None]
        for done, (_, (number, record, files)) in enumerate(finished(full, tasks, self.workers)):
            measuring.save(number, names, files)
            kept[number] = records.put(values[number], {**record, SAVED: number})
            self.progress("measuring the front in full", done + 1, len(tasks))
        lines = []
        for found in front:
            record = kept[found.number] or {}
            lines.append(
                {
                    "number": found.number,
                    **{name: value for name, value in record.items() if name not in (SAVED, "reason")},
                    "differs": None if record["refused"] else differs(record, found.record, tally.aims),
                    "command": measuring.command(values[found.number]) if measuring.command else None,
                    "report": [str(each / "report.html") for each in measuring.place(found.number, names)]
                    if measuring.files
                    else [],
                }
            )
        return lines


def spread(found: Sequence[Found], most: int, order: Callable[[Found], Any]) -> list[Found]:
    """Return designs, of more than `most` so many, evenly spread in an order; in the order of their numbers."""
    if len(found) <= most:
        return list(found)
    ordered = sorted(found, key=order)
    step = (len(ordered) - 1) / max(1, most - 1)
    return sorted((ordered[round(step * place)] for place in range(most)), key=lambda each: each.number)


def _notes(judge: Judge, judged: int, shown: int, front: int, measured: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what the figures rest on."""
    if judge.lean({}):
        far = max((line["differs"] for line in measured if line["differs"] is not None), default=None)
        said = (
            ""
            if far is None
            else f"; measured in full, as the strategy stands, designs of the front differ by at most {far:.2%}"
        )
        yield f"designs were screened with banks chosen greedily{said}"
    lossy = sum(any(line[name] for name in line if name.partition(":")[0] == "unresolved") for line in measured)
    if lossy:
        yield (
            f"converters of {lossy} of {len(measured)} designs of the front do not resolve every sum: what these compute is "
            "not exact; limit unresolved=0 leaves them out, samples with labels tell what it costs"
        )
    if len(measured) < front:
        yield f"of {front:,} designs on the front {len(measured):,} were measured in full"
    if shown < judged:
        yield f"{shown:,} of {judged:,} designs are told one by one: those of the front, and others spread evenly"
    if len(judge.subjects) > 1:
        ways = {
            "sum": "added over the networks; figures that cannot be added are those of the worst network",
            "worst": "those of the worst network",
            "each": "told of each network apart",
        }
        yield f"figures are {ways[judge.over]}"
    for subject in judge.subjects:
        for network in {each.net.origin: each.net for each in subject.variants.values()}.values():
            if "synthetic" in network.origin and network.has_values:
                yield f"weights of {subject.name} are synthetic ({network.origin}): of no trained network"


__all__ = ["MEASURED", "explore"]
