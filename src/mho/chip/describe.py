"""A chip as plain data for people and other programs: what defines it, its digest, its assumptions, all that follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mho.chip.technology import Technology
from mho.quantity import digest_of
from mho.shown import Columns, columns

if TYPE_CHECKING:
    from mho.chip.chip import Chip


def definition(chip: Chip) -> dict[str, Any]:
    """Return everything that defines the chip, safe for JSON, technologies included: as `Chip.from_dict` takes it."""
    used: dict[str, Technology] = {}
    components: dict[str, set[str]] = {}
    for use in (each for chosen in chip.uses.values() for each in (chosen, *chosen.alternatives)):
        if use.technology is not None:
            used[use.technology.name] = use.technology
            components.setdefault(use.technology.name, set()).add(use.component_name)
    content: dict[str, Any] = json.loads(json.dumps(dict(chip.raw)))
    content["technologies"] = {key: json.loads(json.dumps(used[key].reduced(components[key]))) for key in sorted(used)}
    return content


def digest(chip: Chip) -> str:
    """Return the SHA-256 in hexadecimal of the quantities in SI units and of the figures of every component."""
    # The definitions are hashed, not the costs computed from them: exp and log differ in the last bit
    # over machines.
    content: dict[str, Any] = {
        "spec": chip.spec.to_dict(),
        # A role that the file does not name is as one that did not exist when the file was written.
        "components": {
            role: None if use.component is None else use.component.definition
            for role, use in chip.uses.items()
            if use.named
        },
    }
    if chip.spec.scaling is not None:
        # What is scaled depends on where it comes from.
        content["nodes"] = {role: use.technology.node for role, use in chip.uses.items() if use.technology is not None}
    return digest_of(content)


def assumptions(chip: Chip) -> tuple[str, ...]:
    """Return every assumption in effect, each once."""
    texts: dict[str, None] = {}
    for key, provenance in chip.provenance.items():
        if provenance.value == "ideal":
            texts[f"{key} is ideal (takes no time): {provenance.source.removeprefix('assumption:').strip()}"] = None
        elif provenance.assumed:
            texts[provenance.source] = None
    for use in chip.uses.values():
        if not use.named:
            texts[f"no component is named for {use.role}: it costs neither energy nor area"] = None
        texts.update(dict.fromkeys(text for text in use.source_texts if text.startswith("assumption:")))
        if chip.spec.scaling is not None and use.component is not None and use.component.scales is not None:
            texts[use.component.scales.source] = None
    texts.update(dict.fromkeys(chip.costs.notes))
    texts.update(dict.fromkeys(_narrow_ports(chip)))
    return tuple(texts)


def _narrow_ports(chip: Chip) -> Iterator[str]:
    """Say which ports of a tile hold its groups up where all of them take full input vectors at once."""
    rows, sums = chip.weight_rows * chip.input_bits / 8, chip.group_columns * chip.sum_bytes()
    vectors_per_s = chip.tile.groups / chip.window_time_s
    for key, size in (("noc_port_bits", rows + sums), ("buffer_port_bits", 2 * rows)):
        share = size * vectors_per_s * 8 / getattr(chip.tile, key) / chip.frequency_hz
        # Less than a percent is what widths are rounded by.
        if share > 1.01:
            yield (
                f"tile.{key}: the groups of a tile, all computing at full speed, ask {share:.1f} times of what this port gives; "
                "they wait for it"
            )


def _values(chip: Chip) -> list[dict[str, Any]]:
    """Return one record a value: key, value and unit as the file gives them, and the source."""
    return [
        {"key": key, "value": provenance.value, "unit": provenance.unit, "source": provenance.source}
        for key, provenance in chip.provenance.items()
    ]


def _components(chip: Chip) -> list[dict[str, Any]]:
    """Return one record a component: area, peak power and leakage of all of it, and whose costs they are."""
    total = chip.roll_up()
    return [
        {
            "component": name,
            "area_m2": area,
            "peak_power_w": total.peak_power_w.by_component[name],
            "leakage_w": total.leakage_w.by_component[name],
            "costs_of": chip.uses[name].name if name in chip.uses else None,
        }
        for name, area in total.area_m2.by_component.items()
    ]


def frames(chip: Chip) -> dict[str, Callable[[], Columns]]:
    """Return the chip's tables by name: `values` and `components`."""
    return {"values": lambda: columns(_values(chip)), "components": lambda: columns(_components(chip))}


def full_column(chip: Chip) -> tuple[int, int]:
    """Return the largest sum of a column of a full array, in level x input steps, and the bits of an ADC that resolves it."""
    largest = chip.coding.fullest(chip.weight_rows) * (2**chip.array.dac_bits - 1)
    return largest, chip.coding.adc_bits(largest)


def describe(chip: Chip) -> dict[str, Any]:
    """Return schema, name, digest, quantities, costs, totals, notes and sources, safe for JSON."""
    total = chip.roll_up()
    return {
        "schema": chip.raw["schema"],
        "name": chip.name,
        "description": chip.description,
        "digest": chip.digest,
        **chip.spec.to_dict(),
        "components": {role: use.name for role, use in chip.uses.items()},
        "component_nodes_m": dict(chip.costs.nodes),
        "derived": {
            "groups": chip.groups,
            "arrays": chip.arrays,
            "cells": chip.cells,
            "weights": chip.arrays * chip.weight_rows * chip.array_weights_per_row,
            "buffer_capacity": chip.buffer.capacity,
            "cells_per_weight": chip.cells_per_weight,
            "conversions_per_step": chip.readout.conversions,
            **dict(zip(("largest_sum", "adc_bits_needed"), full_column(chip), strict=True)),
            "step_time_s": chip.step_time_s,
            "window_time_s": chip.window_time_s,
            "array_write_time_s": chip.array_write_time_s,
            **({"index_bytes": chip.index_bytes} if chip.sparse else {}),
        },
        "energy_per_event_j": dict(chip.energy_per_event),
        "area_m2": total.area_m2.to_dict(),
        "peak_power_w": total.peak_power_w.to_dict(),
        "write_power_w": total.write_power_w.to_dict(),
        "leakage_w": total.leakage_w.to_dict(),
        "notes": list(chip.notes),
        "sources": {
            **{key: provenance.source for key, provenance in chip.provenance.items()},
            **{f"components.{role}": "; ".join(use.source_texts) for role, use in chip.uses.items()},
        },
    }
