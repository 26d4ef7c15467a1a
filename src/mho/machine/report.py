"""What a program costs: the report, whose parts are measured when they are first asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any, ClassVar

from mho.engineering import quantity, ratio
from mho.errors import OptionError, ProgramError
from mho.files.outcome import Outcome
from mho.machine import record
from mho.machine.bill import Account, Bill
from mho.machine.breakdown import SPANS, Breakdown, breakdown
from mho.machine.cells import wear
from mho.machine.changes import Wear
from mho.machine.endurance import MAXIMUM, Endurance, checked_positive, endurance
from mho.machine.energy import bill
from mho.machine.expected import expected_note
from mho.machine.gathering import program_bound, served
from mho.machine.losses import Losses
from mho.machine.occupancy import Occupancy, occupancy
from mho.machine.ports import ports_record
from mho.machine.resolution import Resolution, resolution
from mho.machine.rounds import memory_busy_s
from mho.machine.service import Service
from mho.machine.steady import period_s
from mho.machine.stream_record import stream_record, stream_said
from mho.machine.streaming import StreamTiming, time_stream
from mho.machine.timing import Timing, check_timed, time_program
from mho.machine.verify import Verification
from mho.mapping.told import basis_said, bits_record, bits_said
from mho.network.trace import Trace
from mho.program import Program
from mho.program.bound import Bound
from mho.program.columns import GATHER, round_of
from mho.program.columns import columns as instruction_columns
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.report/1"
STEADY = (
    "a stream: energy, throughput, lifetimes and how busy the memory is are those of an inference in the steady state, which has "
    "an interval to itself; latency, ports, occupancy, timeline and trace are those of one inference alone"
)
"""What the figures of a stream are of."""
ROUNDS = (
    "a stream in segments: what is written once for all inferences of a round counts in equal parts for each; latency alone is "
    "that of one inference for which everything is written"
)
"""What is added of one whose weights do not stay."""


class Report(Outcome):
    """One design measured: a program and its costs on the machine.

    report = mho.simulate(program)
    report.latency_s, report.energy_j          the two numbers most asked for
    report.lifetimes(1e9)                      how long the cells live that survive so many writes
    report.to_dict()                           everything, ready for JSON
    mho.save(report, "out")                    report.json, report.html and trace.json in a folder
    mho.Report.load("out/report.json")         its figures again

    Each part (`timing`, `worn`, `account`, `bound`, `occupancy`, `breakdown`, `resolution`) is measured when it is first asked for,
    once: whoever asks for the latency alone waits for the timing alone. Energies are of one inference in steady state, in J; times
    in s, the inference starting at 0. `verified` is the result of executing the very same program, where that was done
    ("bit-exact on 1 sample"), else None; `losses` what the chip's own converters would make of the sums, where that was
    measured; `endurance` how long the cells live, where that was asked, else None; `uncertainty` how sure it is.

    A report that was read back (`from_dict`, `load`) holds the figures and not the program: its data, tables and headline numbers
    are those of the report that was written, and what needs the program raises ProgramError.
    """

    schema: ClassVar[str] = SCHEMA

    def __init__(
        self,
        program: Program,
        *,
        verified: str | None = None,
        losses: Losses | None = None,
        lifetime: tuple[float, float | str] | None = None,
        rate_per_s: float | None = None,
    ) -> None:
        self._program: Program | None = program
        self.verified = verified
        self.losses = losses
        self._lifetime = lifetime
        self._rate_per_s = rate_per_s
        self.uncertainty: Mapping[str, Any] | None = None
        self._content: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Report:
        """Return the report that `to_dict` gave as data. Raises OptionError where it is no report, or one of another version."""
        schema = content.get("schema") if isinstance(content, Mapping) else None
        if schema != SCHEMA:
            raise OptionError(f"this is no report: its schema is {schema!r}, not {SCHEMA!r}")
        if set(content) - LATER != set(FIELDS) - LATER:
            odd = sorted((set(content) ^ set(FIELDS)) - LATER)
            raise OptionError(
                f"a report has the fields that docs/report.md lists; lacking or unknown here: {', '.join(odd)}"
            )
        report = cls.__new__(cls)
        report._program, report.verified, report.losses = None, content["verified"], None
        report._lifetime, report._rate_per_s, report.uncertainty = None, None, content.get("uncertainty")
        report._content = deepcopy(dict(content))
        return report

    @property
    def program(self) -> Program:
        """The program that was measured. Raises ProgramError for a report that was read back."""
        if self._program is None:
            raise ProgramError(
                "a report that was read back holds figures, not the program that they are of; mho.simulate(program) measures it"
            )
        return self._program

    @property
    def timing(self) -> Timing:
        """When each instruction happens."""
        return time_program(self.program)

    @property
    def worn(self) -> Wear:
        """Return what writing does to the cells."""
        return wear(self.program)

    @cached_property
    def bill(self) -> Bill:
        """All that energy is paid for, counted apart from what it costs."""
        return bill(self.program, self.timing, self.worn)

    @cached_property
    def account(self) -> Account:
        """All energy, entry by entry."""
        return self.bill @ self.program.chip

    @cached_property
    def bound(self) -> Bound:
        """A time that no legal schedule of this network on this chip can beat."""
        return program_bound(self.program)

    @cached_property
    def occupancy(self) -> Occupancy:
        """Return how many groups are in use over time."""
        return occupancy(self.program, self.timing)

    @cached_property
    def breakdown(self) -> Breakdown:
        """Return where the time of an inference goes, layer by layer."""
        return breakdown(self.program, self.timing)

    @cached_property
    def resolution(self) -> Resolution:
        """Return which sums the chip's converters resolve, layer by layer."""
        return resolution(self.program)

    @property
    def stream(self) -> StreamTiming | None:
        """The steady state of a stream; None of a program that runs one inference after another."""
        return None if self.program.stream is None else time_stream(self.program)

    @cached_property
    def service(self) -> Service | None:
        """How long requests wait that arrive at random; None where `simulate` was not given their rate, or there is no stream."""
        if self._program is None or self._rate_per_s is None or self.stream is None:
            return None
        return Service(self.stream.interval_s, self.stream.longest_s, self._rate_per_s)

    @cached_property
    def endurance(self) -> Endurance | None:
        """Return how long the cells live; None where `simulate` was not asked for it."""
        return None if self._program is None or self._lifetime is None else self.lifetimes(*self._lifetime)

    def lifetimes(self, cycles: float, rate: float | str = MAXIMUM) -> Endurance:
        """Return how long cells live that survive `cycles` writes, at `rate` inferences per second or "max" (see `endurance`)."""
        return endurance(self.program, self.worn, period_s(self.program), cycles, rate)

    @property
    def latency_s(self) -> float:
        """Time of one inference, alone on its chip."""
        return float(self.field("latency_s"))

    @property
    def bound_ratio(self) -> float | None:
        """Latency over its lower bound; None where the bound is 0, as for a network that only moves values."""
        bound_s = self.field("lower_bound_s")
        return self.latency_s / bound_s if bound_s else None

    @property
    def throughput_per_s(self) -> float:
        """Samples per second: one inference after another, or as a stream goes on."""
        return float(self.field("throughput_per_s"))

    @property
    def energy_j(self) -> float:
        """Energy of one inference, of a stream in its steady state."""
        return float(self.field("energy_j")["total"])

    def headline(self) -> str:
        """Say what ran where."""
        return (
            f"Report: {self.field('model')['name']} on {self.field('chip')['name']}, schedule {self.field('schedule')}"
        )

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return time, energy and area, and how far from the bound."""
        bound = f"{ratio(self.bound_ratio)} the lower bound" if self.bound_ratio else "no lower bound"
        stream = self.field("stream")
        return (
            ("latency", f"{quantity(self.latency_s, 's')}, {bound}"),
            *((("stream", stream_said(stream)),) if stream else ()),
            ("energy", quantity(self.energy_j, "J")),
            ("area", quantity(self.field("area_m2")["total"], "m²")),
            ("weights", self.field("model")["weights_origin"]),
            *((("bits", bits_said(bits)),) if (bits := self.field("model").get("bits")) else ()),
            *(
                (("basis", f"{basis['vectors']} vectors: {basis_said(basis)}"),)
                if (basis := self.field("basis"))
                else ()
            ),
            ("executed", self.verified or "no"),
            ("converters", self.field("converters")["text"]),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers`, `energy` in J by component and kind, `area` by component, with leakage, whole and in use,
        and `time`: where it goes, by layer.

        A report that was read back has no `energy`: its data hold sums by component and by kind, not by both.
        """
        energy = {} if self._program is None else {"energy": self._energy_frame}
        time = {"time": self._time_frame} if self._content is None or "time" in self._content else {}
        return {"layers": lambda: columns(self.layers()), **energy, "area": self._area_frame, **time}

    def _area_frame(self) -> Columns:
        whole, leakage, in_use = self.field("area_m2"), self.field("leakage_w"), self.field("in_use")
        sums = {"area_m2": whole, "in_use_m2": in_use["area_m2"], "leakage_w": leakage, "in_use_w": in_use["leakage_w"]}
        return columns(
            {"component": name, **{key: each["by_component"][name] for key, each in sums.items()}}
            for name in whole["by_component"]
        )

    def _time_frame(self) -> Columns:
        return columns(
            {"layer": each["layer"], **{f"{of}_{part}": s for of in SPANS for part, s in each[of].items()}}
            for each in self.field("time")["layers"]
        )

    def _energy_frame(self) -> Columns:
        sums: dict[tuple[str, str], float] = defaultdict(float)
        for entry in self.account.entries:
            sums[entry.component, entry.kind] += entry.joules
        return columns(
            {"component": component, "kind": kind, "energy_j": joules} for (component, kind), joules in sums.items()
        )

    def notes(self) -> tuple[str, ...]:
        """Return every assumption and synthetic input, each once."""
        return tuple(self.field("notes"))

    def _notes(self) -> list[str]:
        steady = "writes are counted in steady state: an inference finds the cells as the one before it left them; " + (
            "cell by cell" if self.worn.exact else "as expected values"
        )
        expected = () if self.worn.exact else (expected_note(self.program.mapping),)
        flowing = (STEADY, ROUNDS)[: (self.program.stream is not None) + (round_of(self.program) > 1)]
        verified = (
            "this program was not executed"
            if self.verified is None
            else f"this very program was executed: {self.verified}"
        )
        lifetimes = () if self.endurance is None else self.endurance.notes()
        papers = f"papers that this rests on: {', '.join(self.program.papers)} (mho run --cite prints them)"
        return list(dict.fromkeys((verified, *self.program.notes, steady, *flowing, *expected, *lifetimes, papers)))

    def layers(self) -> list[dict[str, Any]]:
        """Return one record a layer (constants left out), in order."""
        records: list[dict[str, Any]] = self.field("layers")
        return records

    def field(self, name: str) -> Any:
        """Return one field of the report's data. Raises OptionError for one that there is not."""
        if name not in FIELDS:
            raise OptionError(f"a report has no field {name!r}; docs/report.md lists them")
        return FIELDS[name](self) if self._content is None else deepcopy(self._content.get(name))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data (schema mho.report/1)."""
        told = {name: self.field(name) for name in FIELDS}
        return {name: value for name, value in told.items() if value is not None or name not in LATER}


FIELDS: Mapping[str, Callable[[Report], Any]] = {
    "schema": lambda report: SCHEMA,
    "version": lambda report: __version__,
    "model": lambda report: {
        **record.model_record(report.program.network),
        "bits": bits_record(report.program.network, report.program.mapping),
    },
    "chip": lambda report: {"name": report.program.chip.name, "digest": report.program.chip.digest},
    "schedule": lambda report: report.program.schedule,
    "strategy": lambda report: report.program.strategy.to_dict(),
    "verified": lambda report: report.verified,
    "converters": lambda report: {
        **report.resolution.to_dict(),
        "measured": None if report.losses is None else report.losses.to_dict(),
    },
    "latency_s": lambda report: report.timing.latency_s,
    "throughput_per_s": lambda report: report.program.network.batch / period_s(report.program),
    "lower_bound_s": lambda report: report.bound.seconds,
    "bound_ratio": lambda report: report.bound_ratio,
    "bound_arguments_s": lambda report: dict(report.bound.arguments),
    "setup": lambda report: record.setup_record(report.program, report.timing, report.worn, report.account),
    "energy_j": lambda report: record.energy_record(report.account),
    "area_m2": lambda report: record.area_record(report.program.chip),
    "leakage_w": lambda report: record.leakage_record(report.program.chip),
    "in_use": lambda report: record.in_use_record(report.program, report.timing),
    "writes": lambda report: record.writes_record(report.program, report.worn),
    "endurance": lambda report: None if report.endurance is None else record.endurance_record(report.endurance),
    "groups": lambda report: {
        "total": report.program.chip.groups,
        "peak": report.occupancy.peak,
        "mean_occupancy": report.occupancy.mean,
    },
    "arrays": lambda report: record.arrays_record(report.program),
    "basis": lambda report: record.basis_record(report.program),
    "stream": lambda report: (
        None if report.stream is None else stream_record(report.program, report.timing, report.service)
    ),
    "memory": lambda report: {
        "bandwidth_bytes_per_s": report.program.chip.memory.bandwidth,
        "busy_fraction": memory_busy_s(report.program, report.timing) / period_s(report.program),
    },
    "ports": lambda report: ports_record(report.program, report.timing),
    "time": lambda report: report.breakdown.to_dict(report.program),
    "uncertainty": lambda report: report.uncertainty,
    "layers": lambda report: record.layer_records(report.program, report.timing, report.account, report.resolution),
    "papers": lambda report: list(report.program.papers),
    "sources": lambda report: {part.component: part.source for part in report.program.chip.roll_up().parts},
    "notes": lambda report: report._notes(),
}
"""The fields of a report's data in order, each with how it is measured."""
LATER = frozenset({"basis", "ports", "stream", "time", "uncertainty"})
"""Fields that data may lack, or leave out where there is nothing to tell: what was written before is read as ever."""


def simulate(
    program: Program,
    *,
    bags: Trace | None = None,
    verified: str | Verification | None = None,
    endurance: float | None = None,
    rate: float | str | None = None,
) -> Report:
    """Return the report on a program on its chip's machine model: time, energy, area, writes, and how far from the bound. Nothing
    is measured yet but lifetimes and waits, where they are asked for: every part is when it is first asked for. `verified` is
    mho.verify's result on the same program, or its text, to be shown in the report. `endurance`, the writes that a cell survives,
    asks for the cells' lifetime in years (ARAS section VII-D) at `rate` inferences per second, or "max", which it is where none is
    given: as fast as the program runs. Of a stream, `rate` also asks how long requests wait that arrive at random at so many
    inferences per second (`Report.service`); of one in rounds of several it is for lifetimes alone. Raises OptionError for numbers
    that are not positive, for a rate alone where there is no stream, and for one that a stream cannot take. Raises ProgramError
    where the chip times writes by the levels of cells and the program has no weights.

    `bags`: of a program that gathers rows, those that it serves, whole batches; time and energy of gathering are the mean over
    these. ProgramError where such a program has none, or they are not of its tables (`Program.with_bags`).
    """
    if not isinstance(program, Program):
        raise OptionError(f"simulate takes a Program, not {type(program).__name__}; mho.compile makes one")
    program = program if bags is None else program.with_bags(bags)
    check_timed(program)
    if program.mapping.tables is not None and len(instruction_columns(program).of(GATHER)):
        served(program)
    if endurance is None and rate is not None and (program.stream is None or rate == MAXIMUM):
        raise OptionError(
            "a rate is for lifetimes, and for requests to a stream; without an endurance it changes nothing"
            if program.stream is None
            else f"at rate {MAXIMUM!r} requests to a stream wait without end; give a number, or an endurance"
        )
    losses = verified.losses if isinstance(verified, Verification) else None
    lifetime = None if endurance is None else (endurance, MAXIMUM if rate is None else rate)
    requests = None if program.stream is None or rate in (None, MAXIMUM) else checked_positive("the rate", rate)
    if requests is not None and round_of(program) > 1:
        if lifetime is None:
            raise OptionError(
                f"requests at a rate are not followed into rounds of {round_of(program)} inferences, which begin together; "
                "take rounds of 1, a chip that holds the network, or an endurance, whose lifetimes are of a rate"
            )
        requests = None
    told = None if verified is None else str(verified)
    report = Report(program, verified=told, losses=losses, lifetime=lifetime, rate_per_s=requests)
    # What makes no lifetime, and no service, is refused here, not where the report is read.
    if lifetime is not None:
        _ = report.endurance
    if requests is not None:
        _ = report.service
    return report
