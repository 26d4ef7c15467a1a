"""A whole recommender on one chip: its tables in arrays that add up rows, its dense part a program in the tiles that are left.

A batch of queries goes through the tables, then through the dense part; while the dense part computes one batch, the tables serve
the next. So a batch takes the sum of both times, and batches follow each other as fast as the slower of the two (schema
mho.whole/1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.engineering import count, quantity
from mho.errors import MappingError, OptionError
from mho.files.outcome import MeasuredOutcome
from mho.machine.functional import execute
from mho.machine.lookup import reduce
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.service import Service, serve, weight_bits
from mho.machine.recommender.recommender import Recommender
from mho.machine.report import Report, simulate
from mho.machine.verify import verify
from mho.mapping.embedding import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.network.zoo.recommenders import OUTPUT
from mho.number.coded import QuantisedNetwork
from mho.program import Program
from mho.shown import Columns
from mho.version import __version__

SCHEMA = "mho.whole/1"
Compile = Callable[[QuantisedNetwork, Chip], Program]


@dataclass(frozen=True, eq=False, repr=False)
class Whole(MeasuredOutcome):
    """The costs of a recommender: `service` of its tables, `dense` of the dense part for one batch. Times in s, energies in J.

    `verified`: what comparing with the integer reference found, None where that was not asked.
    """

    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "version", "recommender", "batch", "verified", "latency_s", "batch_s", "interval_s", "queries_per_s", "energy_per_query_j",
        "area_m2", "notes", "tables", "dense",
    )  # fmt: skip

    recommender: Recommender
    service: Service
    dense: Report
    verified: str | None = None

    def headline(self) -> str:
        """Say what ran where."""
        content = self.content
        chip = content["tables"]["chip"]["name"]
        return f"Whole: {content['recommender']['name']} on {chip}, batches of {content['batch']} queries"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return time and energy of both parts together."""
        content = self.content
        return (
            ("latency", quantity(content["latency_s"], "s")),
            ("queries", f"{count(content['queries_per_s'])}/s"),
            ("energy", f"{quantity(content['energy_per_query_j']['total'], 'J')} per query"),
            ("executed", content["verified"] or "no"),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `parts`, and `dense.layers`, `tables.energy` ... of each part."""
        joules, seconds = self.content["energy_per_query_j"], self.content["batch_s"]
        return {
            "parts": lambda: {
                "part": list(seconds),
                "seconds_per_batch": list(seconds.values()),
                "energy_per_query_j": [joules[name] for name in seconds],
            },
            **{f"dense.{name}": table for name, table in self.dense.frames().items()},
            **{f"tables.{name}": table for name, table in self.service.frames().items()},
        }

    @classmethod
    def _parts(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        tables, dense = Service.from_dict(content["tables"]), Report.from_dict(content["dense"])
        return {"service": tables, "dense": dense, "verified": content["verified"]}

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
        """Mean time of the tables for a whole batch; what is left of the trace at its end, a smaller batch, is not in it."""
        return float(self.service.batch_s[: self.service.queries // self.batch].mean())

    @property
    def latency_s(self) -> float:
        """Mean time from a whole batch's start to its scores."""
        return self.tables_s + self.dense.latency_s

    @property
    def interval_s(self) -> float:
        """Mean time between whole batches: that of the slower part."""
        return max(self.tables_s, self.dense.latency_s)

    @property
    def queries_per_s(self) -> float:
        """Queries scored a second."""
        return self.batch / self.interval_s

    def energy_j(self) -> dict[str, float]:
        """Return the energy of a query by part: `tables` and `dense`."""
        return {"tables": self.service.energy_j / self.service.queries, "dense": self.dense.energy_j / self.batch}

    def area_m2(self) -> dict[str, float]:
        """Return areas: `tables`, the tiles in use and their share of groups, and `chip`, the whole chip that both parts are on."""
        return {"tables": sum(self.service.area_m2.values()), "chip": self.service.chip.roll_up().area_m2.total}

    def notes(self) -> tuple[str, ...]:
        """Return what is assumed of both parts together, and of each."""
        own = (
            "batches are pipelined: tables and dense part work on different ones; what lies between them (scaling a bag's "
            "integers to the dense part's input) takes no time or energy",
            "each part's leakage is counted over its own time: tiles that wait for the other part are taken as switched off, the "
            "chip's own parts are counted with both, and main memory with the dense part",
            f"{self.recommender.name}: {self.recommender.origin}",
        )
        return tuple(dict.fromkeys((*own, *self.service.notes(), *self.dense.notes())))

    def _content(self) -> dict[str, Any]:
        """Return everything: `Service.to_dict` of the tables, `Report.to_dict` of the dense part."""
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
            "batch_s": {"tables": self.tables_s, "dense": self.dense.latency_s},
            "interval_s": self.interval_s,
            "queries_per_s": self.queries_per_s,
            "energy_per_query_j": {"total": sum(energy.values()), **energy},
            "area_m2": self.area_m2(),
            "notes": list(self.notes()),
            "tables": self.service.to_dict(),
            "dense": self.dense.to_dict(),
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
    say: Callable[[str], None] = lambda text: None,
) -> Whole:
    """Serve a trace by the tables of a recommender, and compile and simulate its dense part for the same batches.

    `compiling` turns the dense part for a batch into a program for the tiles that the tables leave. `placed`: the tile of each
    instance of the layout, see `Seats`. `verified`: so many of the first queries, in whole batches, are executed from cells to
    scores and compared with the integer reference. Raises OptionError for a trace of other tables, or of fewer queries than a
    batch; MappingError where the tables fill the chip.
    """
    check_tables(recommender, trace)
    check_batch(trace, batch)
    say("serving the look-ups")
    service = serve(trace, layout, chip, dimension=recommender.part.width, batch=batch, placed=placed)
    tiles = chip.tiles - service.seats.tiles
    if tiles < 1:
        raise MappingError(
            f"the tables take all {chip.tiles} tiles of chip {chip.name!r}; none is left for the dense part"
        )
    remainder = chip.override({"tiles": tiles}, source="tiles that the tables leave", name=f"{chip.name} (dense part)")
    say("compiling the dense part")
    dense = recommender.for_batch(batch)
    program = compiling(dense, remainder)
    text = None
    if verified:
        say("executing look-ups and dense part, and the integer reference")
        text = compare(recommender, trace, service.seats, program, batch, verified)
    say("simulating the dense part")
    return Whole(recommender, service, simulate(program, verified=text), text)


def check_tables(recommender: Recommender, trace: Trace) -> None:
    """Raise OptionError where a trace looks up other tables than the recommender's."""
    if trace.rows != recommender.rows:
        raise OptionError(
            f"{trace.origin}: tables of {trace.rows} rows are not those of {recommender.name}: {recommender.rows}"
        )


def check_batch(trace: Trace, batch: int) -> None:
    """Raise OptionError for a trace that does not fill a batch: the dense part is compiled for whole ones."""
    queries = len(np.unique(trace.queries))
    if batch < 1 or queries < batch:
        raise OptionError(f"{trace.origin}: {queries} queries do not fill a batch of {batch}; take a smaller batch")


def compare(recommender: Recommender, trace: Trace, seats: Seats, program: Program, batch: int, queries: int) -> str:
    """Execute the first queries from the cells that hold tables and weights; say whether vectors and scores are exact."""
    first = np.flatnonzero(np.diff(trace.queries, prepend=trace.queries[0] - 1))
    whole = min(queries, len(first)) // batch * batch
    if not whole:
        raise OptionError(f"verifying takes a whole batch of {batch} queries; {min(queries, len(first))} were to be")
    some = trace.select(slice(0, int(first[whole]) if whole < len(first) else trace.bags))
    reading = Reading(seats.chip, seats.dimension, weight_bits(trace, known=True), int(trace.lengths.max()))
    sums = reduce(dispatch(some, seats, reading, batch), np.concatenate([table.codes for table in recommender.tables]))
    wanted = recommender.reduce(some)
    vectors = np.zeros_like(wanted)
    query = np.unique(some.queries, return_inverse=True)[1]
    np.add.at(vectors, (query, some.tables), sums.vectors)
    inputs = recommender.vectors(vectors)
    starts = range(0, whole, batch)
    scores = np.concatenate([execute(program, inputs[start : start + batch])[OUTPUT][:, 0] for start in starts])
    expected = recommender.predict(wanted)
    dense = verify(program, inputs[:batch])
    if not dense.ok:
        return str(dense)
    wrong = int((vectors != wanted).any(axis=2).sum()), int((scores != expected).sum())
    if any(wrong):
        return f"not exact: {wrong[0]} of {vectors.shape[0] * vectors.shape[1]} vectors and {wrong[1]} of {whole} scores differ"
    return (
        f"bit-exact on {whole} queries, vectors and scores, and legal, {dense.resolution.condition} of the dense part"
    )
