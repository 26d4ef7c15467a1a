"""A chip as plain data for people and other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mho.chip.chip import Chip


def describe(chip: Chip) -> dict[str, Any]:
    """Return schema, name, digest, quantities, costs, totals, notes and sources, safe for JSON."""
    total = chip.roll_up()
    return {
        "schema": chip.raw["schema"],
        "name": chip.name,
        "description": chip.description,
        "digest": chip.digest,
        **chip.spec.model_dump(mode="json"),
        "components": {role: use.name for role, use in chip.uses.items()},
        "derived": {
            "groups": chip.groups,
            "arrays": chip.arrays,
            "cells": chip.cells,
            "weights": chip.arrays * chip.array.rows * chip.array_weights_per_row,
            "buffer_capacity": chip.buffer.capacity,
            "cells_per_weight": chip.cells_per_weight,
            "conversions_per_step": chip.conversions_per_step,
            "step_time_s": chip.step_time_s,
            "window_time_s": chip.window_time_s,
            "array_write_time_s": chip.array_write_time_s,
        },
        "energy_per_event_j": dict(chip.energy_per_event),
        "area_m2": total.area_m2.to_dict(),
        "peak_power_w": total.peak_power_w.to_dict(),
        "write_power_w": total.write_power_w.to_dict(),
        "leakage_w": total.leakage_w.to_dict(),
        "notes": list(chip.notes),
        "sources": {
            **{key: found.source for key, found in chip.provenance.items()},
            **{f"components.{role}": "; ".join(use.source_texts) for role, use in chip.uses.items()},
        },
    }
