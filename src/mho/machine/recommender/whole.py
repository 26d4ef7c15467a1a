"""A whole recommender on one chip, as one program: its tables in arrays that add up rows, its dense part in the tiles that are
left.

A batch of queries is gathered from the tables, then goes through the dense part; while the dense part computes one batch, the
tables serve the next, as the timing interpreter finds (`machine/batches.py`). Schema mho.whole/3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.engineering import count, quantity
from mho.errors import OptionError
from mho.files.outcome import MeasuredOutcome
from mho.machine.batches import behind, follow_batches
from mho.machine.bill import KINDS, Bill
from mho.machine.gathering import batches, reading
from mho.machine.lookup.arrivals import Arrivals, OpenService, open_service
from mho.machine.lookup.service import Service
from mho.machine.recommender.joined import joined
from mho.machine.recommender.recommender import Recommender
from mho.machine.report import Report, simulate
from mho.machine.uncertainty import uncertainty
from mho.machine.verify import verify
from mho.mapping.embedding import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.layers import Input
from mho.network.trace import Trace
from mho.network.trace.padded import longest_bags, padded
from mho.network.zoo.recommenders import OUTPUT
from mho.number import run_reference
from mho.number.coded import QuantisedNetwork
from mho.program import Program
from mho.shown import Columns
from mho.version import __version__

SCHEMA = "mho.whole/3"
Compile = Callable[[QuantisedNetwork, Seats], Program]


@dataclass(frozen=True, eq=False, repr=False)
class Whole(MeasuredOutcome):
    """The costs of a recommender: `report` of its one program, for a batch, and `service` of its tables alone. Times in s, energies
    in J.

    `verified`: what comparing with the integer reference found, `waiting`: queries that come one by one, `draws_seed`: the seed of
    the draws that tell how sure it is; None where not asked.
    """

    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "version", "recommender", "batch", "verified", "latency_s", "batch_s", "interval_s", "queries_per_s", "energy_per_query_j",
        "setup", "area_m2", "notes", "open", "tables", "program",
    )  # fmt: skip

    recommender: Recommender
    service: Service
    report: Report
    verified: str | None = None
    waiting: OpenService | None = None
    draws_seed: int | None = None

    def headline(self) -> str:
        """Say what ran where."""
        content = self.content
        chip = content["tables"]["chip"]["name"]
        return f"Whole: {content['recommender']['name']} on {chip}, batches of {content['batch']} queries"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return time and energy of both parts together."""
        content = self.content
        setup = content["setup"]
        return (
            ("latency", quantity(content["latency_s"], "s")),
            ("queries", f"{count(content['queries_per_s'])}/s"),
            ("energy", f"{quantity(content['energy_per_query_j']['total'], 'J')} per query"),
            ("set-up", f"{quantity(setup['latency_s'], 's')} and {quantity(setup['energy_j'], 'J')}, once"),
            ("executed", content["verified"] or "no"),
            *(() if self.waiting is None else (("one by one", self.waiting.headline()),)),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `parts`, and `program.layers`, `tables.energy` ... of the program, and of the tables alone."""
        joules, seconds = self.content["energy_per_query_j"], self.content["batch_s"]
        return {
            "parts": lambda: {
                "part": list(seconds),
                "seconds_per_batch": list(seconds.values()),
                "energy_per_query_j": [joules[name] for name in seconds],
            },
            **{f"program.{name}": table for name, table in self.report.frames().items()},
            **{f"tables.{name}": table for name, table in self.service.frames().items()},
        }

    @classmethod
    def _parts(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        tables, report = Service.from_dict(content["tables"]), Report.from_dict(content["program"])
        waiting = None if content["open"] is None else OpenService.from_dict(content["open"])
        known = {"verified": content["verified"], "waiting": waiting, "uncertainty": content.get("uncertainty")}
        return {"service": tables, "report": report, **known}

    @property
    def right(self) -> bool:
        """Say whether executing was exact; True where it was not verified."""
        return self.verified is None or self.verified.startswith("bit-exact")

    @property
    def batch(self) -> int:
        """Queries of a batch."""
        return self.service.batch

    @property
    def tables_s(self) -> float:
        """Mean time for which a batch is gathered."""
        return float(self.service.batch_s.mean())

    @property
    def dense_s(self) -> float:
        """Mean time from then to its scores, with the dense part to itself."""
        return self.latency_s - self.tables_s

    @property
    def latency_s(self) -> float:
        """Mean time from a batch's start to its scores, with the chip to itself."""
        return self.report.latency_s

    @cached_property
    def interval_s(self) -> float:
        """Mean time between batches that follow one another as closely as they can."""
        return follow_batches(self.report.program).interval_s

    @property
    def queries_per_s(self) -> float:
        """Queries scored a second."""
        return self.batch / self.interval_s

    @property
    def chip(self) -> Chip:
        """The chip that it is on."""
        return self.service.chip

    @cached_property
    def bill(self) -> Bill:
        """All that a query is paid for (`bill @ chip`): its share of a batch, and of what leaks from one batch to the next."""
        batch = self.report.bill
        share = np.where(batch.kind == KINDS.index("static"), self.interval_s / self.latency_s, 1.0) / self.batch
        return replace(batch, count=batch.count * share)

    @cached_property
    def uncertainty(self) -> Mapping[str, Any] | None:
        """How sure the energy of a query and the area of the chip are; None where that was not asked."""
        return None if self.draws_seed is None else uncertainty(self, seed=self.draws_seed)

    def energy_j(self) -> dict[str, float]:
        """Return the energy of a query: of gathering (`tables`), of all else that is done (`dense`), and what the chip leaks from
        one batch to the next (`static`).
        """
        tables = self.report.program.mapping.tables
        assert tables is not None
        joules = {"tables": 0.0, "dense": 0.0, "static": 0.0}
        for entry in self.report.account.entries:
            gathered = entry.layer in tables.layers
            joules["static" if entry.kind == "static" else "tables" if gathered else "dense"] += entry.joules
        joules["static"] *= self.interval_s / self.latency_s
        return {part: total / self.batch for part, total in joules.items()}

    def area_m2(self) -> dict[str, float]:
        """Return areas: `tables`, the tiles in use and their share of groups, and `chip`, the whole chip that both parts are on."""
        return {"tables": sum(self.service.area_m2.values()), "chip": self.service.chip.roll_up().area_m2.total}

    def notes(self) -> tuple[str, ...]:
        """Return what is assumed of both parts together, and of each."""
        own = (
            "batches are pipelined: tables and dense part work on different ones; each takes one batch after another, and sums of "
            "rows wait in their tiles until they are read",
            "energy of a query: what the whole chip, main memory included, leaks between two batches is counted once",
            f"{self.recommender.name}: {self.recommender.origin}",
        )
        return tuple(dict.fromkeys((*own, *self.service.notes(), *self.report.notes())))

    def _content(self) -> dict[str, Any]:
        """Return everything: `Service.to_dict` of the tables, `Report.to_dict` of the program."""
        energy = self.energy_j()
        return {
            "schema": SCHEMA,
            "version": __version__,
            "recommender": {
                "name": self.recommender.name,
                "origin": self.recommender.origin,
                "synthetic": self.recommender.synthetic,
                "tables": dict(zip(self.recommender.names, self.recommender.rows, strict=True)),
            },
            "batch": self.batch,
            "verified": self.verified,
            "latency_s": self.latency_s,
            "batch_s": {"tables": self.tables_s, "dense": self.dense_s},
            "interval_s": self.interval_s,
            "queries_per_s": self.queries_per_s,
            "energy_per_query_j": {"total": sum(energy.values()), **energy},
            "setup": self.report.field("setup"),
            "area_m2": self.area_m2(),
            "notes": list(self.notes()),
            "open": None if self.waiting is None else self.waiting.to_dict(),
            "tables": self.service.to_dict(),
            "program": self.report.to_dict(),
            **({} if self.uncertainty is None else {"uncertainty": self.uncertainty}),
        }


def run_whole(
    recommender: Recommender,
    trace: Trace,
    layout: Layout,
    chip: Chip,
    compiling: Compile,
    *,
    batch: int,
    placed: npt.NDArray[np.int32] | None = None,
    verified: int = 0,
    arrivals: Arrivals | None = None,
    seed: int = 0,
    uncertainty: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Whole:
    """Make one program of a recommender for batches of a trace, and simulate it as it serves them; those at the end that fill no
    batch are left out.

    `compiling` turns the recommender as one network, and the seats of its tables, into a program. `placed`: the tile of each
    instance of the layout, see `Seats`. `verified`: so many of the first queries, in whole batches, are executed from cells to
    scores and compared with the integer reference. `arrivals`: queries of whole batches come one by one as well, drawn by `seed`;
    the dense part takes a batch that is not full as long as a full one. `uncertainty`: how sure energy and area are is told, by
    draws of `seed`. Raises OptionError for a trace of other tables, or of fewer queries than a batch; MappingError
    where the tables fill the chip.
    """
    check_tables(recommender, trace)
    check_batch(trace, batch)
    seats = Seats(layout, chip, recommender.part.width, placed)
    say("compiling tables and dense part")
    whole = joined(recommender, batch, longest_bags(trace), weighted=trace.weights is not None)
    program = compiling(whole, seats)
    text = None
    if verified:
        say("executing look-ups and dense part, and the integer reference")
        text = compare(recommender, trace, program, verified)
    say("serving the look-ups, and simulating the program")
    program = program.with_bags(first_queries(trace, batch * (_queries(trace) // batch)))
    service, report, waiting = service_of(program, seats), simulate(program, verified=text), None
    if arrivals is not None:
        say("queries come one by one")
        assert program.bags is not None
        waiting = open_service(program.bags, service, arrivals, behind=behind(program, report.timing.ends), seed=seed)
    return Whole(recommender, service, report, text, waiting, seed if uncertainty else None)


def service_of(program: Program, seats: Seats) -> Service:
    """Return what a program's tables do by themselves for the bags that it serves."""
    bags, times = program.bags, batches(program)
    assert bags is not None
    return Service(
        **vars(times), seats=seats, reading=reading(program, bags), batch=program.network.batch, lookups=bags.lookups,
        bags=bags.bags, origin=bags.origin, synthetic=bags.synthetic,
    )  # fmt: skip


def _queries(trace: Trace) -> int:
    return len(np.unique(trace.queries))


def first_queries(trace: Trace, number: int) -> Trace:
    """Return the bags of the first queries."""
    begins = np.flatnonzero(np.diff(trace.queries, prepend=trace.queries[0] - 1))
    return trace if number >= len(begins) else trace.select(slice(0, int(begins[number])))


def check_tables(recommender: Recommender, trace: Trace) -> None:
    """Raise OptionError where a trace looks up other tables than the recommender's."""
    if trace.rows != recommender.rows:
        raise OptionError(
            f"{trace.origin}: tables of {trace.rows} rows are not those of {recommender.name}: {recommender.rows}"
        )


def check_batch(trace: Trace, batch: int) -> None:
    """Raise OptionError for a trace that does not fill a batch: programs are made for whole ones."""
    queries = _queries(trace)
    if batch < 1 or queries < batch:
        raise OptionError(f"{trace.origin}: {queries} queries do not fill a batch of {batch}; take a smaller batch")


def compare(recommender: Recommender, trace: Trace, program: Program, queries: int) -> str:
    """Execute the first queries from the cells that hold tables and weights; say whether vectors and scores are exact."""
    batch = program.network.batch
    whole = min(queries, _queries(trace)) // batch * batch
    if not whole:
        raise OptionError(
            f"verifying takes a whole batch of {batch} queries; {min(queries, _queries(trace))} were to be"
        )
    some = first_queries(trace, whole)
    inputs = padded(some, [layer.shape[1] for layer in program.network.inputs if _is_rows(layer)])
    found = verify(program, inputs)
    if found.illegal:
        return str(found)
    assert program.quantised is not None
    wrong = {name: number for name, number, _ in found.mismatches}
    # What the program is held against is itself held against the recommender's parts.
    expected = run_reference(program.quantised, inputs)[OUTPUT][:, 0]
    wanted = recommender.predict(recommender.reduce(some))
    scores = max(wrong.get(OUTPUT, 0), int((expected != wanted).sum()))
    sums = sum(wrong.get(name, 0) for name in program.quantised.tables)
    if wrong or scores:
        features = sum(table.dimension for table in recommender.tables)
        return f"not exact: {sums} of {whole * features} features and {scores} of {whole} scores differ"
    return (
        f"bit-exact on {whole} queries, vectors and scores, and legal, {found.resolution.condition} of the dense part"
    )


def _is_rows(layer: Input) -> bool:
    """Return whether an input holds rows that are looked up, and not what they count for."""
    return layer.name.endswith(".rows")
