"""What it costs to serve a trace of look-ups: time a batch and a query, energy by component, loads (schema mho.service/1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mho.chip import Chip
from mho.chip.lookup import Reading
from mho.chip.readout import early_note
from mho.errors import OptionError, TraceError
from mho.files.outcome import MeasuredOutcome
from mho.machine.bill import Bill
from mho.machine.cells import wear
from mho.machine.energy import account
from mho.machine.lookup.chunks import CHUNK, chunks
from mho.machine.lookup.dispatch import dispatch
from mho.machine.lookup.energy import MEMORY_NOTE, READ_NOTE, bill, energy
from mho.machine.lookup.timing import FREE_NOTE, RESULT_BYTES, BatchTimes, time_lookups
from mho.machine.record import setup_record
from mho.machine.timing import time_program
from mho.mapping.embedding import Layout
from mho.mapping.embedding.seats import Seats
from mho.network.trace import Trace
from mho.program.tables import filling
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.service/1"
LONGEST = 1 << 16
"""Look-ups of a bag that sums hold where a trace comes in parts and nothing else is said."""

FloatArray = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Service(MeasuredOutcome, BatchTimes):
    """The measurements of a trace that was served by a layout on a chip. Energies in J, areas in m2.

    Times are those of `BatchTimes`; batches follow each other without overlap.
    """

    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "version", "trace", "chip", "layout", "batch", "batch_s", "query_s", "seconds", "lookups_per_s", "lower_bound_s",
        "bound_ratio", "activations", "load", "utilisation", "energy_j", "area_m2", "setup", "notes",
    )  # fmt: skip

    seats: Seats
    reading: Reading
    batch: int
    lookups: int
    bags: int
    origin: str
    synthetic: bool

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `energy` in J by component and kind, `area` in m2 by component, `batches` in s.

        A service that was read back has the `area` alone: its data hold sums of the others.
        """
        area = self.content["area_m2"]["by_component"]
        tables: dict[str, Callable[[], Columns]] = {
            "area": lambda: columns({"component": name, "area_m2": value} for name, value in area.items())
        }
        if self.read_back:
            return tables
        return {
            "energy": lambda: columns(
                {"component": component, "kind": kind, "energy_j": joules}
                for (component, kind), joules in self.energy.items()
            ),
            **tables,
            "batches": lambda: {"seconds": self.batch_s.tolist(), "lower_bound_s": self.bound_s.tolist()},
        }

    def headline(self) -> str:
        """Say what was served where, in a line."""
        trace, content = self.content["trace"], self.content
        done = f"{trace['queries']} queries, {trace['lookups']} look-ups in {content['seconds']:.4g} s"
        return f"Service({done} and {content['energy_j']['total']:.4g} J, on {content['chip']['name']!r})"

    @property
    def layout(self) -> Layout:
        """The layout that served."""
        return self.seats.layout

    @property
    def chip(self) -> Chip:
        """The chip that it was on."""
        return self.seats.chip

    @property
    def queries(self) -> int:
        """Queries served."""
        return len(self.query_s)

    @property
    def seconds(self) -> float:
        """Time of all batches."""
        return float(self.batch_s.sum())

    @property
    def activations(self) -> int:
        """Activations of all instances."""
        return self.counted.activations

    @cached_property
    def energy(self) -> Mapping[tuple[str, str], float]:
        """Joules by component and kind ("compute", "static")."""
        return energy(self.counted, self.seats, self.reading, RESULT_BYTES)

    @cached_property
    def bill(self) -> Bill:
        """All that energy is paid for, counted apart from what it costs (`bill @ chip`)."""
        return bill(self.counted, self.seats, self.reading, RESULT_BYTES)

    @property
    def energy_j(self) -> float:
        """Energy of all batches."""
        return sum(self.energy.values())

    @cached_property
    def area_m2(self) -> Mapping[str, float]:
        """Area by component of what is in use."""
        return self.seats.area_m2()

    @property
    def copies_m2(self) -> float:
        """Area of the copies beyond the first of each group: of all but what the chip has once, their share of the instances."""
        once = sum(part.area_m2 * part.total for part in self.chip.roll_up().parts if part.level == "chip")
        return (sum(self.area_m2.values()) - once) * (1 - self.layout.groups / self.layout.instances)

    @cached_property
    def setup(self) -> Mapping[str, float]:
        """What writing all instances takes, once: time in s, energy in J, cells that change, and pulses."""
        seats = self.seats
        if self.chip.write_latency != "worst_case":
            worst = self.chip.override({"write_latency": "worst_case"}, source="numbers of rows are not known")
            seats = replace(seats, chip=worst)
        program = filling(seats)
        timing, worn = time_program(program), wear(program)
        return setup_record(program, timing, worn, account(program, timing, worn))

    def modes(self) -> dict[int, int]:
        """Return activations by the bits that their ADCs resolved, the fewest first."""
        bits = self.reading.bits
        counts = {int(b): int(self.counted.by_rows[bits == b].sum()) for b in np.unique(bits[1:])}
        return {b: count for b, count in counts.items() if count}

    def utilisation(self) -> dict[str, float]:
        """Return the share of the time in which arrays, ADCs, ports and adders are busy: the mean, and the busiest of each."""
        shares: dict[str, float] = {}
        for name, busy in (
            ("arrays", self.array_busy_s),
            ("adcs", self.adc_busy_s),
            ("ports", self.port_busy_s),
            ("adders", self.adder_busy_s),
        ):
            shares[f"{name}_mean"] = float(busy.mean() / self.seconds) if self.seconds else 0.0
            shares[f"{name}_most"] = float(busy.max() / self.seconds) if self.seconds else 0.0
        return shares

    def notes(self) -> tuple[str, ...]:
        """Return every assumption and synthetic input, each once."""
        layout = self.layout
        upper = "" if self.chip.write_latency == "worst_case" else ", and writes to last as long as any could"
        notes = [
            f"synthetic: {self.origin}" if self.synthetic else f"look-ups from {self.origin}",
            "batches follow each other without overlap; all queries of a batch are there when it starts",
            "rows are addressed by group and wordline; whoever sends queries has renumbered its ids once",
            "tables are written into the cells once, before anything is served: that is set-up, and in no other figure; numbers of "
            f"rows are taken as independent, normal around their middle{upper}",
        ]
        if layout.options.get("synthetic"):
            notes.append("synthetic: the layout was made from a history that was made up")
        modes = "fixed" if self.chip.lookup is None else self.chip.lookup.adc_modes
        early = () if modes == "fixed" else (early_note(self.chip.array),)
        return tuple(dict.fromkeys((*notes, *early, READ_NOTE, FREE_NOTE, MEMORY_NOTE, *self.chip.notes)))

    def _content(self) -> dict[str, Any]:
        """Return everything but single batches and queries."""
        layout = self.layout
        return {
            "schema": SCHEMA,
            "version": __version__,
            "trace": {
                "origin": self.origin,
                "synthetic": self.synthetic,
                "queries": self.queries,
                "bags": self.bags,
                "lookups": self.lookups,
                "rows": layout.rows,
            },
            "chip": {"name": self.chip.name, "digest": self.chip.digest},
            "layout": {
                "method": layout.method,
                "options": dict(layout.options),
                "height": layout.height,
                "dimension": self.seats.dimension,
                "groups": layout.groups,
                "instances": layout.instances,
                "area_ratio": layout.area_ratio,
                "tiles": self.seats.tiles,
            },
            "batch": self.batch,
            "batch_s": spread(self.batch_s),
            "query_s": spread(self.query_s),
            "seconds": self.seconds,
            "lookups_per_s": self.lookups / self.seconds if self.seconds else 0.0,
            "lower_bound_s": float(self.bound_s.sum()),
            "bound_ratio": self.seconds / float(self.bound_s.sum()) if self.seconds else 1.0,
            "activations": self._activations(),
            "load": {"mean": float(self.loads.mean()), "most": int(self.loads.max())},
            "utilisation": self.utilisation(),
            "energy_j": self._energy(),
            "setup": dict(self.setup),
            "area_m2": {
                "total": sum(self.area_m2.values()),
                "copies": self.copies_m2,
                "by_component": dict(self.area_m2),
            },
            "notes": list(self.notes()),
        }

    def _activations(self) -> dict[str, Any]:
        return {
            "total": self.activations,
            "per_bag": self.activations / max(self.bags, 1),
            "rows_mean": self.lookups / self.activations if self.activations else 0.0,
            "by_rows": {str(n): int(count) for n, count in enumerate(self.counted.by_rows) if count},
            "by_bits": {str(bits): count for bits, count in self.modes().items()},
            "partial_sums": self.counted.parts,
            "crossed": self.counted.crossed,
        }

    def _energy(self) -> dict[str, Any]:
        components: dict[str, float] = {}
        kinds: dict[str, float] = {}
        for (component, kind), joules in self.energy.items():
            components[component] = components.get(component, 0.0) + joules
            kinds[kind] = kinds.get(kind, 0.0) + joules
        return {
            "total": sum(components.values()),
            "per_query": self.energy_j / self.queries if self.queries else 0.0,
            "by_component": dict(sorted(components.items(), key=lambda item: -item[1])),
            "by_kind": kinds,
        }


def spread(values: FloatArray) -> dict[str, float]:
    """Return mean, median, 99th percentile and largest of times; zeros for none."""
    if not len(values):
        return {"mean": 0.0, "p50": 0.0, "p99": 0.0, "most": 0.0}
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return {"mean": float(values.mean()), "p50": p50, "p99": p99, "most": float(values.max())}


def serve(
    trace: Trace | Iterable[Trace],
    layout: Layout,
    chip: Chip | str = "recross",
    *,
    dimension: int = 64,
    batch: int = 256,
    placed: npt.NDArray[np.int32] | None = None,
    longest: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Service:
    """Serve a trace, or one that comes in parts, in batches of `batch` queries, and measure time and energy.

    Rows have `dimension` features of 8 bits. `placed`: the tile of each instance (see `Seats`); else they go round the tiles. A
    trace in parts is never held whole; the parts hold whole queries, each goes into batches of its own, the last of them smaller,
    and sums are as wide as bags of up to `longest` look-ups need (65,536 if not given; only for parts). Raises OptionError for what
    does not fit together, or is no trace, TraceError for a trace without bags, MappingError where the chip has no room.
    """
    _check(trace, layout, batch)
    if isinstance(chip, str):
        chip = Chip.load(chip)
    seats = Seats(layout, chip, dimension, placed)
    synthetic, whole = False, isinstance(trace, Trace)
    parts = (part for part in ([trace] if isinstance(trace, Trace) else trace) if part.bags)
    first = next(parts, None)
    if first is None:
        raise TraceError(f"{trace.origin if isinstance(trace, Trace) else 'trace'}: no bags to serve")
    if whole and longest is not None:
        raise OptionError("longest is for a trace in parts; of a whole one the longest bag is known")
    most = int(trace.lengths.max()) if isinstance(trace, Trace) else (LONGEST if longest is None else longest)
    reading = Reading(chip, dimension, weight_bits(first, known=whole), most)
    runs: list[BatchTimes] = []
    lookups = bags = 0
    for part in chunks(itertools.chain([first], parts), batch, CHUNK):
        if (part.weights is None) != (first.weights is None):
            raise OptionError("parts of a trace have weights all or none")
        synthetic |= part.synthetic
        runs.append(time_lookups(dispatch(part, seats, reading, batch)))
        lookups, bags = lookups + part.lookups, bags + part.bags
        if say is not None:
            say(f"served {bags:,} bags, {lookups:,} look-ups")
    return Service(
        **BatchTimes.joined(runs), seats=seats, reading=reading, batch=batch, lookups=lookups, bags=bags,
        origin=first.origin, synthetic=synthetic,
    )  # fmt: skip


def _check(trace: object, layout: object, batch: object) -> None:
    """Refuse what is of another kind altogether."""
    if isinstance(trace, str | Path) or not isinstance(trace, Trace | Iterable):
        raise OptionError(f"what is served is a Trace (mho.Trace.load reads a file) or parts of one, not {trace!r}")
    if not isinstance(layout, Layout):
        raise OptionError(f"rows sit by a Layout (mho.mapping.embedding.group makes one), not by {layout!r}")
    if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
        raise OptionError(f"a batch is a whole number of queries, at least 1 query, not {batch!r}")


def weight_bits(trace: Trace, *, known: bool) -> int:
    """Return the bits that stream the weights of look-ups: 1 without any; those of the largest, or 8 if not all are `known`."""
    if trace.weights is None:
        return 1
    return int(trace.weights.max(initial=1)).bit_length() if known else 8
