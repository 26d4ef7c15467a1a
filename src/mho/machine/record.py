"""What a report says as JSON-ready data, part by part (schema mho.report/1, documented in docs/report.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mho.chip import Chip
from mho.machine.bill import KINDS, Account
from mho.machine.changes import Wear, WriteCount
from mho.machine.endurance import CellWrites, Endurance, addressed_writes, changed_writes
from mho.machine.energy import most_held_bytes
from mho.machine.ports import busiest_ports
from mho.machine.resolution import Resolution
from mho.machine.timing import Timing
from mho.machine.usage import usage
from mho.mapping import LayerMapping, map_network
from mho.mapping.combination import Combination
from mho.mapping.told import weight_bits
from mho.network.graph import Network
from mho.network.layers import Constant, MatrixLayer
from mho.program import Program
from mho.program.columns import ACTIVATE, COMBINE, FETCH, GATHER, VECTOR, WRITE, columns, round_of


def model_record(network: Network) -> dict[str, Any]:
    """Return what the network is."""
    return {
        "name": network.name,
        "layers": len(network.matrix_layers),
        "weights": network.weights,
        "macs": network.macs,
        "weights_origin": network.origin,
        "batch": network.batch,
    }


def setup_record(program: Program, timing: Timing, worn: Wear, booked: Account) -> dict[str, Any]:
    """Return what the setup takes, once: time in s, energy in J, and what it writes."""
    counts = [count for i, count in worn.counts.items() if i < program.setup]
    return {
        "latency_s": timing.setup_s,
        "energy_j": booked.setup_j,
        "cells": sum(count.changed for count in counts),
        "pulses": sum(count.steps for count in counts) * program.chip.pulses_per_level,
    }


def energy_record(booked: Account) -> dict[str, Any]:
    """Return the energy of an inference in J: in all, by component (largest first) and by kind."""
    components, kinds = booked.by("component"), booked.by("kind")
    return {
        "total": sum(components.values()),
        "by_component": components,
        "by_kind": {kind: kinds.get(kind, 0.0) for kind in KINDS},
    }


def area_record(chip: Chip) -> dict[str, Any]:
    """Return the chip's area in m2, in all and by component."""
    area = chip.roll_up().area_m2
    return {"total": area.total, "by_component": dict(area.by_component)}


def leakage_record(chip: Chip) -> dict[str, Any]:
    """Return what the whole chip leaks in W, in all and by component."""
    leakage = chip.roll_up().leakage_w
    return {"total": leakage.total, "by_component": dict(leakage.by_component)}


def in_use_record(program: Program, timing: Timing) -> dict[str, Any]:
    """Return what of its chip a program uses: units of what there are, area in m2 and leakage in W by component."""
    chip, used = program.chip, usage(program)
    units = {
        "tiles": (used.tiles, chip.tiles),
        "groups": (used.groups, chip.groups),
        "arrays": (used.arrays, chip.arrays),
        "banks": (len(used.banks), len(chip.buffer.banks)),
        "buffer_bytes": (most_held_bytes(program, timing), chip.buffer.capacity),
    }
    area, leakage = used.of("area"), used.of("leakage")
    return {
        **{name: count for name, (count, _) in units.items()},
        "of": {name: whole for name, (_, whole) in units.items()},
        "ports": busiest_ports(program, timing),
        "area_m2": {"total": math.fsum(area.values()), "arrays": used.arrays_m2, "by_component": dict(area)},
        "leakage_w": {"total": math.fsum(leakage.values()), "by_component": dict(leakage)},
    }


def writes_record(program: Program, worn: Wear) -> dict[str, Any]:
    """Return the writes of an inference: in all, and per cell in either way of counting (see `endurance`)."""
    counts = [count for i, count in worn.counts.items() if i >= program.setup]
    changed, addressed = changed_writes(worn), addressed_writes(program)
    sums = {
        "addressed": sum(count.addressed for count in counts),
        "cells": sum(count.changed for count in counts),
        "pulses": sum(count.steps for count in counts) * program.chip.pulses_per_level,
    }
    # Weights are written once a round.
    batch = round_of(program)
    return {
        **(sums if batch == 1 else {name: total / batch for name, total in sums.items()}),
        "skip_ratio": skip_ratio(counts),
        "per_cell_mean": changed.mean,
        "per_cell_max": changed.most,
        "per_cell_levelled": changed.levelled,
        "addressed_per_cell_mean": addressed.mean,
        "addressed_per_cell_max": addressed.most,
        "addressed_per_cell_levelled": addressed.levelled,
    }


def skip_ratio(counts: Sequence[WriteCount]) -> float | None:
    """Return the share of the cells addressed that keep their level (ARAS section V-C), None where none is addressed."""
    addressed = sum(count.addressed for count in counts)
    return 1 - sum(count.changed for count in counts) / addressed if addressed else None


def endurance_record(lifetimes: Endurance) -> dict[str, Any]:
    """Return lifetimes in years, in either way of counting writes; None where no inference writes."""

    def years(writes: CellWrites) -> dict[str, float | None]:
        by_cell = {"mean": writes.mean, "worst": writes.most, "levelled": writes.levelled}
        in_years = {f"years_{cell}": lifetimes.years(count) if count else None for cell, count in by_cell.items()}
        return {**in_years, "levelling_gain": writes.gain}

    return {
        "cycles": lifetimes.cycles,
        "rate_per_s": lifetimes.rate_per_s,
        "reached_per_s": lifetimes.reached_per_s,
        "attainable": lifetimes.attainable,
        "exact": lifetimes.exact,
        "changed": years(lifetimes.changed),
        "addressed": years(lifetimes.addressed),
    }


def arrays_record(program: Program) -> dict[str, int]:
    """Return the arrays that one copy of each layer uses, and those of a dense mapping of the network on this chip."""
    mapping = program.mapping
    dense = mapping
    if mapping.kind != "dense":
        dense = map_network(
            program.network, program.chip, packing=program.strategy.mapping.to_dict().get("packing", "diagonal")
        )
    return {"used": mapping.arrays, "dense": dense.arrays}


def basis_record(program: Program) -> dict[str, Any] | None:
    """Return what a program's basis is, how often it is there, and what its layers ask of it; None without one.

    `alone_s`: the time in s that conversions, lanes and the stream of coefficients would each take alone, summed over layers, whose
    input vectors are shared out evenly. What binds an inference is the stream, where it takes longer than the slower of the others
    layer by layer, since it runs ahead over layers; else the larger of these.
    """
    layers = [(layer, layer.combination) for layer in program.mapping.combining if layer.combination is not None]
    if not layers:
        return None
    copies, (first, combined), memory = _copies(program), layers[0], program.chip.memory.bandwidth
    instances = max(copies[layer.index] for layer, _ in layers)
    kept, fetched = _fetched(program)
    shares = {layer.index: math.ceil(layer.windows / max(instances, 1)) for layer, _ in layers}
    alone = {
        "arrays": math.fsum(shares[layer.index] * _driven_s(layer, each) for layer, each in layers),
        "lanes": math.fsum(0.0 if each.merging else shares[layer.index] * each.window_s for layer, each in layers),
        "stream": fetched / memory,
    }
    computing = math.fsum(shares[layer.index] * layer.window_s for layer, _ in layers)
    slower = "lanes" if alone["lanes"] > alone["arrays"] else "arrays"
    numbers, segments = combined.numbers, sum(each.parts * each.outputs for _, each in layers)
    coefficients = sum(int(each.counts.sum()) for _, each in layers)
    return {
        "combine": "merged" if combined.merging else "lanes",
        "units": numbers.units,
        "vectors": numbers.vectors,
        "elements": numbers.height,
        "levels": numbers.levels,
        "coefficient_bits": numbers.bits,
        "powers": numbers.powers,
        "most": numbers.nonzeros,
        "mean": coefficients / segments,
        "coefficients": coefficients,
        "kept_bytes": kept,
        "fetched_bytes": fetched,
        "input_vectors": sum(layer.windows for layer, _ in layers),
        "layers": len(layers),
        "own": len(program.mapping.layers) - len(layers),
        "instances": instances,
        "groups": first.count,
        "arrays": int(first.blocks.arrays.sum()),
        "lanes": combined.lanes,
        "alone_s": alone,
        "binds": "stream" if alone["stream"] > computing else slower,
    }


def _fetched(program: Program) -> tuple[int, int]:
    """Return the bytes of coefficients that are fetched once, in the setup, and in every inference."""
    table = columns(program)
    fetches = table.of(FETCH)
    once = fetches < program.setup
    return int(table.size[fetches[once]].sum()), int(table.size[fetches[~once]].sum())


def _driven_s(layer: LayerMapping, combination: Combination) -> float:
    """Return the time in s that arrays take for an input vector of a basis."""
    if combination.numbers.units:
        return 0.0
    return layer.window_s if combination.merging else layer.readout.window_s


def layer_records(program: Program, timing: Timing, booked: Account, resolved: Resolution) -> list[dict[str, Any]]:
    """Return one record a layer: what it is, where and when it ran, what it cost, and what its sums ask of converters."""
    network = program.network
    sums = {layer.name: layer for layer in resolved.layers}
    energy = booked.by_layer()
    spans, copies = _spans(program, timing), _copies(program)
    records = []
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Constant):
            continue
        write, compute = spans["write"][index], spans["compute"][index]
        matrix = layer if isinstance(layer, MatrixLayer) else None
        mapped = program.mapping.by_index.get(index)
        weight = program.mapping.weight_of(mapped.run[0]).name if mapped else layer.name
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
                "weight_bits": weight_bits(mapped) if mapped else None,
                "input_bits": mapped.bits.inputs if mapped else None,
                "adc_bits": mapped.readout.adc_bits if mapped else None,
                "macs": getattr(layer, "macs", 0),
                "groups": mapped.count * filled if mapped else 0,
                "arrays": int(mapped.blocks.arrays.sum()) * filled if mapped else 0,
                "copies": copies[index] if mapped else 0,
                "weights_of": weight if weight != layer.name else None,
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


def _spans(program: Program, timing: Timing) -> dict[str, list[tuple[float, float] | tuple[None, None]]]:
    """Return for each phase, "write" and "compute", when each layer is in it: first start and last end in s, None where never."""
    table, layers = columns(program), len(program.network.layers)
    spans: dict[str, list[tuple[float, float] | tuple[None, None]]] = {}
    for phase, kinds in (("write", (WRITE,)), ("compute", (ACTIVATE, GATHER, COMBINE, VECTOR))):
        places = table.of(*kinds)
        starts, ends = np.full(layers, np.inf), np.full(layers, -np.inf)
        np.minimum.at(starts, table.layer[places], timing.starts[places])
        np.maximum.at(ends, table.layer[places], timing.ends[places])
        both = zip(starts.tolist(), ends.tolist(), strict=True)
        spans[phase] = [(start, end) if start <= end else (None, None) for start, end in both]
    return spans


def _copies(program: Program) -> list[int]:
    """Return in how many copies each layer runs."""
    table = columns(program)
    copies = np.zeros(len(program.network.layers), dtype=np.int64)
    places = table.of(WRITE, ACTIVATE)
    np.maximum.at(copies, table.layer[places], table.copy[places] + table.copies[places])
    return copies.tolist()
