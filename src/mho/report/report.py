"""What a program costs, as data: the report, schema mho.report/1 (documented in docs/report.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mho.engineering import quantity, ratio
from mho.errors import OptionError
from mho.machine.cells import wear
from mho.machine.changes import Wear, WriteCount
from mho.machine.endurance import MAXIMUM, CellWrites, Endurance, addressed_writes, changed_writes
from mho.machine.endurance import endurance as lifetimes
from mho.machine.energy import KINDS, Account, account
from mho.machine.expected import EXPECTED_NOTE
from mho.machine.losses import Losses
from mho.machine.occupancy import Occupancy, occupancy
from mho.machine.resolution import Resolution, resolution
from mho.machine.timing import Timing, time_program
from mho.machine.verify import Verification
from mho.mapping import map_network
from mho.network.layers import Constant, MatrixLayer
from mho.program import Activate, Combine, Program, Vector, Write
from mho.program.bound import Bound, lower_bound
from mho.program.work import coded_tensors
from mho.shown import Columns, Shown, columns
from mho.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "mho.report/1"


@dataclass(frozen=True, eq=False, repr=False)
class Report(Shown):
    """All that the machine measured of one program.

    report = mho.simulate(program)
    report.latency_s, report.energy_j          the two numbers most asked for
    report.to_dict()                           everything, ready for JSON
    report.save("out")                         report.json, report.html and trace.json in a folder

    Energies are for one inference in steady state, in J; times in s, the inference starting at 0. `verified` is the
    result of executing the very same program, where that was done ("bit-exact on 1 sample"), else None; `losses` what the
    chip's own converters would make of the sums, where that was measured; `endurance` how long the cells live, where that was
    asked, else None.
    """

    program: Program
    timing: Timing
    worn: Wear
    account: Account
    bound: Bound
    occupancy: Occupancy
    verified: str | None = None
    endurance: Endurance | None = None
    losses: Losses | None = None

    @cached_property
    def resolution(self) -> Resolution:
        """Which sums the chip's converters resolve, layer by layer."""
        return resolution(self.program)

    @property
    def latency_s(self) -> float:
        """Time of one inference."""
        return self.timing.latency_s

    @property
    def bound_ratio(self) -> float | None:
        """Latency over its lower bound; None where the bound is 0, as for a network that only moves values."""
        return self.latency_s / self.bound.seconds if self.bound.seconds else None

    @property
    def throughput_per_s(self) -> float:
        """Samples per second, one inference after another."""
        return self.program.network.batch / self.timing.latency_s

    @property
    def energy_j(self) -> float:
        """Energy of one inference."""
        return self.account.total()

    def headline(self) -> str:
        """Say what ran where."""
        program = self.program
        return f"Report: {program.network.name} on {program.chip.name}, schedule {program.schedule}"

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return time, energy and area, and how far from the bound."""
        bound = f"{ratio(self.bound_ratio)} the lower bound" if self.bound_ratio else "no lower bound"
        return (
            ("latency", f"{quantity(self.latency_s, 's')}, {bound}"),
            ("energy", quantity(self.energy_j, "J")),
            ("area", quantity(self.program.chip.roll_up().area_m2.total, "m²")),
            ("weights", self.program.network.origin),
            ("executed", self.verified or "no"),
            ("converters", str(self.resolution)),
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `layers`, `energy` in J by component and kind, `area` in m2 by component."""
        sums: dict[tuple[str, str], float] = defaultdict(float)
        for entry in self.account.entries:
            sums[entry.component, entry.kind] += entry.joules
        area = self.program.chip.roll_up().area_m2.by_component
        return {
            "layers": lambda: columns(self.layers()),
            "energy": lambda: columns(
                {"component": component, "kind": kind, "energy_j": joules} for (component, kind), joules in sums.items()
            ),
            "area": lambda: columns({"component": name, "area_m2": value} for name, value in area.items()),
        }

    def notes(self) -> tuple[str, ...]:
        """Return every assumption and synthetic input, each once."""
        steady = "writes are counted in steady state: an inference finds the cells as the one before it left them; " + (
            "cell by cell" if self.worn.exact else "as expected values"
        )
        guessed = () if self.worn.exact else (EXPECTED_NOTE,)
        verified = (
            "this program was not executed"
            if self.verified is None
            else f"this very program was executed: {self.verified}"
        )
        lived = () if self.endurance is None else self.endurance.notes()
        return tuple(dict.fromkeys((verified, *self.program.notes, steady, *guessed, *lived)))

    def arrays(self) -> dict[str, int]:
        """Return the arrays that one copy of each layer uses, and those of a dense mapping of the network on this chip."""
        mapping = self.program.mapping
        dense = mapping
        if mapping.kind != "dense":
            dense = map_network(self.program.network, self.program.chip, packing=mapping.packing)
        return {"used": mapping.arrays, "dense": dense.arrays}

    def layers(self) -> list[dict[str, Any]]:
        """Return one record a layer (constants left out), in order."""
        return layer_records(self.program, self.timing, self.account, self.resolution)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data (schema mho.report/1)."""
        network, chip = self.program.network, self.program.chip
        rolled = chip.roll_up()
        setup = range(self.program.setup)
        per_level = chip.pulses_per_level
        inference = [count for i, count in self.worn.counts.items() if i >= self.program.setup]
        prepared = [self.worn.counts[i] for i in setup]
        kinds = self.account.by("kind")
        components = self.account.by("component")
        changed, addressed = changed_writes(self.worn), addressed_writes(self.program)
        return {
            "schema": SCHEMA,
            "version": __version__,
            "model": {
                "name": network.name,
                "layers": len(network.matrix_layers),
                "weights": network.weights,
                "macs": network.macs,
                "weights_origin": network.origin,
                "batch": network.batch,
            },
            "chip": {"name": chip.name, "digest": chip.digest},
            "schedule": self.program.schedule,
            "options": dict(self.program.options),
            "verified": self.verified,
            "converters": {
                **self.resolution.to_dict(),
                "measured": None if self.losses is None else self.losses.to_dict(),
            },
            "latency_s": self.latency_s,
            "throughput_per_s": self.throughput_per_s,
            "lower_bound_s": self.bound.seconds,
            "bound_ratio": self.bound_ratio,
            "bound_arguments_s": dict(self.bound.arguments),
            "setup": {
                "latency_s": self.timing.setup_s,
                "energy_j": self.account.setup_j,
                "cells": sum(count.changed for count in prepared),
                "pulses": sum(count.steps for count in prepared) * per_level,
            },
            "energy_j": {
                "total": sum(components.values()),
                "by_component": components,
                "by_kind": {kind: kinds.get(kind, 0.0) for kind in KINDS},
            },
            "area_m2": {"total": rolled.area_m2.total, "by_component": dict(rolled.area_m2.by_component)},
            "writes": {
                "addressed": sum(count.addressed for count in inference),
                "cells": sum(count.changed for count in inference),
                "pulses": sum(count.steps for count in inference) * per_level,
                "skip_ratio": skip_ratio(inference),
                "per_cell_mean": changed.mean,
                "per_cell_max": changed.most,
                "per_cell_levelled": changed.levelled,
                "addressed_per_cell_mean": addressed.mean,
                "addressed_per_cell_max": addressed.most,
                "addressed_per_cell_levelled": addressed.levelled,
            },
            "endurance": None if self.endurance is None else endurance_record(self.endurance),
            "groups": {
                "total": chip.groups,
                "peak": self.occupancy.peak,
                "mean_occupancy": self.occupancy.mean,
            },
            "arrays": self.arrays(),
            "memory": {
                "bandwidth_bytes_per_s": chip.memory.bandwidth,
                "busy_fraction": self.timing.memory_busy_s / self.latency_s,
            },
            "layers": self.layers(),
            "sources": source_texts(chip),
            "notes": list(self.notes()),
        }

    def save(self, folder: str | Path) -> None:
        """Write report.json, report.html and trace.json into a folder, made if need be. OutputError where that fails."""
        from mho.report.files import save_report

        save_report(self, folder)


def source_texts(chip: Any) -> Mapping[str, str]:
    """Return the source of each component's cost."""
    return {part.component: part.source for part in chip.roll_up().parts}


def skip_ratio(counts: list[WriteCount]) -> float | None:
    """Return the share of the cells addressed that keep their level (ARAS section V-C), None where none is addressed."""
    addressed = sum(count.addressed for count in counts)
    return 1 - sum(count.changed for count in counts) / addressed if addressed else None


def endurance_record(found: Endurance) -> dict[str, Any]:
    """Return lifetimes in years, in either way of counting writes; None where no inference writes."""

    def lived(writes: CellWrites) -> dict[str, float | None]:
        each = {"mean": writes.mean, "worst": writes.most, "levelled": writes.levelled}
        years = {f"years_{name}": found.years(count) if count else None for name, count in each.items()}
        return {**years, "levelling_gain": writes.gain}

    return {
        "cycles": found.cycles,
        "rate_per_s": found.rate_per_s,
        "reached_per_s": found.reached_per_s,
        "attainable": found.attainable,
        "exact": found.exact,
        "changed": lived(found.changed),
        "addressed": lived(found.addressed),
    }


def layer_records(program: Program, timing: Timing, booked: Account, resolved: Resolution) -> list[dict[str, Any]]:
    """Gather one record a layer: what it is, where and when it ran, what it cost, and what its sums ask of converters."""
    network = program.network
    sums = {layer.name: layer for layer in resolved.layers}
    energy = booked.by_layer()
    spans: dict[tuple[int, str], tuple[float, float]] = {}
    copies: dict[int, int] = {}
    for i, instruction in enumerate(program.instructions):
        phase = "write" if isinstance(instruction, Write) else "compute"
        if not isinstance(instruction, Write | Activate | Combine | Vector):
            continue
        if isinstance(instruction, Write | Activate):
            copies[instruction.layer] = max(copies.get(instruction.layer, 0), instruction.copy + 1)
        start, end = spans.get((instruction.layer, phase), (float("inf"), float("-inf")))
        spans[instruction.layer, phase] = min(start, float(timing.starts[i])), max(end, float(timing.ends[i]))
    records = []
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Constant):
            continue
        write = spans.get((index, "write"), (None, None))
        compute = spans.get((index, "compute"), (None, None))
        matrix = layer if isinstance(layer, MatrixLayer) else None
        mapped = program.mapping.by_index.get(index)
        # A layer that finds the blocks of another one written fills no groups itself.
        filled = copies[index] if mapped and write[0] is not None else 0
        records.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "k": matrix.rows if matrix else None,
                "n": matrix.columns if matrix else None,
                "matrices": matrix.groups if matrix else None,
                "windows": matrix.windows if matrix else None,
                "macs": getattr(layer, "macs", 0),
                "groups": mapped.blocks * filled if mapped else 0,
                "arrays": int(mapped.tiling.arrays.sum()) * filled if mapped else 0,
                "copies": copies[index] if mapped else 0,
                "weights_of": network.layers[mapped.owner].name if mapped and mapped.shares is not None else None,
                "write_start_s": write[0],
                "write_end_s": write[1],
                "compute_start_s": compute[0],
                "compute_end_s": compute[1],
                "energy_j": energy.get(index, 0.0),
                "largest_sum": sums[layer.name].largest if layer.name in sums else None,
                "adc_bits_needed": sums[layer.name].bits if layer.name in sums else None,
            }
        )
    return records


def simulate(
    program: Program,
    *,
    verified: str | Verification | None = None,
    endurance: float | None = None,
    rate: float | str | None = None,
) -> Report:
    """Run a program on its chip's machine model: time, energy, area, writes, and how far from the bound.

    `verified` is mho.verify's result on the same program, or its text, to be shown in the report. `endurance`, the writes that a
    cell survives, asks for the cells' lifetime in years (ARAS section VII-D) at `rate` inferences per second, or "max", which
    it is where none is given: as fast as the program runs. OptionError for numbers that are not positive, and for a rate alone.
    """
    if not isinstance(program, Program):
        raise OptionError(f"simulate takes a Program, not {type(program).__name__}; mho.compile makes one")
    if endurance is None and rate is not None:
        raise OptionError("a rate is for lifetimes; without an endurance it changes nothing")
    worn = wear(program)
    timing = time_program(program, worn)
    lived = None
    if endurance is not None:
        lived = lifetimes(program, worn, timing.latency_s, endurance, MAXIMUM if rate is None else rate)
    coded = coded_tensors(program.network, program.quantised)
    resident = program.setup > 0
    bound = lower_bound(program.network, program.mapping, program.chip, resident=resident, coded=coded)
    booked, filled = account(program, timing, worn), occupancy(program, timing)
    losses = verified.losses if isinstance(verified, Verification) else None
    text = None if verified is None else str(verified)
    return Report(program, timing, worn, booked, bound, filled, text, lived, losses)
