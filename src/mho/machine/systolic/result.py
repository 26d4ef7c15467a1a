"""What a run on a systolic array gives: records by layer, and totals that are their sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mho.engineering import quantity
from mho.files.outcome import MeasuredOutcome
from mho.machine.bill import LEAKAGE, Bill, Charge, Price
from mho.machine.record import model_record
from mho.machine.systolic.folds import Dataflow, Folding
from mho.machine.systolic.spec import COMPONENTS, EVENTS, Systolic
from mho.network.graph import Network
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.baseline/1"
KINDS = ("compute", "memory", "static")


@dataclass(frozen=True, eq=False)
class Record:
    """One layer: how its product is carried out (None: not on the array), times in s, bytes of main memory, energy in J.

    `work_s` is that of the array and the vector unit, `memory_s` that of the traffic, `seconds` the longer of the two, or their
    sum where traffic is not hidden.
    `events` are numbers of events by (event, kind), `energy` joules by (component, kind).
    """

    name: str
    kind: str
    folding: Folding | None
    macs: int
    work_s: float
    memory_s: float
    seconds: float
    memory_bytes: float
    events: Mapping[tuple[str, str], float]
    energy: Mapping[tuple[str, str], float]

    @property
    def cycles(self) -> int:
        """Cycles of the array."""
        return 0 if self.folding is None else self.folding.cycles

    @property
    def energy_j(self) -> float:
        """Energy of the layer."""
        return sum(self.energy.values())

    def to_dict(self, units: int) -> dict[str, Any]:
        """Return the record, ready for JSON; `units` multiply-accumulate units would be busy all the time at utilisation 1."""
        folding = self.folding
        return {
            "name": self.name,
            "kind": self.kind,
            "macs": self.macs,
            "cycles": self.cycles,
            "utilisation": self.macs / (units * self.cycles) if self.cycles else 0.0,
            "outer_loop": None if folding is None else folding.outer,
            "pieces": None if folding is None else folding.pieces,
            **{key: getattr(self, key) for key in ("work_s", "memory_s", "seconds", "memory_bytes", "energy_j")},
        }


@dataclass(frozen=True)
class Totals:
    """Sums over all layers: time in s, energy in J."""

    latency_s: float
    energy_j: float

    @classmethod
    def of(cls, records: Iterable[Record]) -> Totals:
        """Sum records."""
        listed = tuple(records)
        return cls(sum(record.seconds for record in listed), sum(record.energy_j for record in listed))


@dataclass(frozen=True, eq=False, repr=False)
class Run(MeasuredOutcome):
    """The costs of one inference of a network on a systolic array.

    result = mho.machine.systolic.run(network, "tpu-like", "best")
    result.latency_s, result.energy_j          the two numbers most asked for
    result.to_dict()                           everything, ready for JSON

    `totals` holds time and energy for each dataflow that was tried, with products of two activations "ideal" and on the
    "array"; `records` and all else are those of `dataflow` with what the systolic array's file says of products.
    """

    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "mho_version", "model", "systolic", "dataflow", "latency_s", "latency_without_overlap_s", "throughput_per_s",
        "utilisation", "energy_j", "memory_bytes", "memory_bound_s", "totals", "layers", "notes",
    )  # fmt: skip

    network: Network
    systolic: Systolic
    dataflow: Dataflow
    records: tuple[Record, ...]
    totals: Mapping[Dataflow, Mapping[Any, Totals]]
    uncertainty: Mapping[str, Any] | None = None
    """What `mho.machine.uncertainty` found, where it was asked."""

    def headline(self) -> str:
        """Say what ran where."""
        content = self.content
        return f"Run: {content['model']['name']} on {content['systolic']['name']}, what stays in the array: {content['dataflow']}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return time, energy and area."""
        content = self.content
        return (
            ("latency", quantity(content["latency_s"], "s")),
            ("energy", quantity(content["energy_j"]["total"], "J")),
            ("area", quantity(content["systolic"]["area_m2"]["total"], "m²")),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers`, `energy` in J and `area` in m2 by component."""
        energy, area = self.content["energy_j"]["by_component"], self.content["systolic"]["area_m2"]["by_component"]
        return {
            "layers": lambda: columns(self.content["layers"]),
            "energy": lambda: columns({"component": name, "energy_j": joules} for name, joules in energy.items()),
            "area": lambda: columns({"component": name, "area_m2": value} for name, value in area.items()),
        }

    @property
    def latency_s(self) -> float:
        """Time of one inference."""
        return self.totals[self.dataflow][self.systolic.spec.products].latency_s

    @property
    def energy_j(self) -> float:
        """Energy of one inference."""
        return self.totals[self.dataflow][self.systolic.spec.products].energy_j

    @cached_property
    def bill(self) -> Bill:
        """All that energy is paid for, counted apart from what it costs (`bill @ systolic`); layers are places in `records`."""
        charges = []
        for place, record in enumerate(self.records):
            layer = np.array([place])
            for (event, kind), number in record.events.items():
                if number:
                    charges.append(Charge(layer, Price(EVENTS[event][0], event), kind, np.array([number])))
            for component, watts in self.systolic.leakage_w.items():
                if watts and record.seconds:
                    powered = np.array([record.seconds * self.systolic.count(component)])
                    charges.append(Charge(layer, Price(component, LEAKAGE), "static", powered))
        return Bill.of(charges, ())

    @property
    def latency_without_overlap_s(self) -> float:
        """Time of one inference if the array stood still whenever main memory is at work: single buffers."""
        return sum(record.work_s + record.memory_s for record in self.records)

    @property
    def throughput_per_s(self) -> float:
        """Samples per second, one inference after another."""
        return self.network.batch / self.latency_s

    @property
    def memory_bytes(self) -> float:
        """Bytes moved from and to main memory."""
        return sum(record.memory_bytes for record in self.records)

    @property
    def utilisation(self) -> float:
        """Multiply-accumulates on the array over what its units could do in the whole time."""
        possible = self.latency_s * self.systolic.spec.frequency_hz * self.systolic.units
        return sum(record.macs for record in self.records) / possible

    def energy_by_component(self) -> dict[str, float]:
        """Sum joules by component, those of no energy included."""
        return self._energy_by(0, COMPONENTS)

    def energy_by_kind(self) -> dict[str, float]:
        """Sum joules by kind: compute, memory, static."""
        return self._energy_by(1, KINDS)

    def _energy_by(self, place: int, names: Iterable[str]) -> dict[str, float]:
        sums = dict.fromkeys(names, 0.0)
        for record in self.records:
            for key, joules in record.energy.items():
                sums[key[place]] += joules
        return sums

    def notes(self) -> tuple[str, ...]:
        """Return every assumption of the systolic array, which the numbers rest on."""
        return self.systolic.notes

    def _content(self) -> dict[str, Any]:
        """Return everything (schema mho.baseline/1, documented in docs/baseline.md)."""
        systolic = self.systolic
        return {
            "schema": SCHEMA,
            "mho_version": __version__,
            "model": model_record(self.network),
            "systolic": {
                "name": systolic.name,
                "digest": systolic.digest,
                **systolic.spec.model_dump(mode="json"),
                "components": {component: use.name for component, use in systolic.uses.items()},
                "area_m2": {"total": sum(systolic.area_m2.values()), "by_component": dict(systolic.area_m2)},
                "leakage_w": {"total": sum(systolic.leakage_w.values()), "by_component": dict(systolic.leakage_w)},
            },
            "dataflow": self.dataflow,
            "latency_s": self.latency_s,
            "latency_without_overlap_s": self.latency_without_overlap_s,
            "throughput_per_s": self.throughput_per_s,
            "utilisation": self.utilisation,
            "energy_j": {
                "total": self.energy_j,
                "by_component": self.energy_by_component(),
                "by_kind": self.energy_by_kind(),
            },
            "memory_bytes": self.memory_bytes,
            "memory_bound_s": sum(record.seconds for record in self.records if record.memory_s > record.work_s),
            "totals": {
                dataflow: {products: asdict(total) for products, total in by_products.items()}
                for dataflow, by_products in self.totals.items()
            },
            "layers": [record.to_dict(systolic.units) for record in self.records],
            "notes": list(self.notes()),
            **({} if self.uncertainty is None else {"uncertainty": self.uncertainty}),
        }
