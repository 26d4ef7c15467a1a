"""Devices, as a person should see them: the presets, and one device with every value and its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mho.engineering import quantity
from mho.machine.analog.devices import Device
from mho.report.chips import sourced
from mho.report.sections import Listing, Table, View

HOW_TO_USE = (
    "take one by --set device=NAME, change it by --set device.KEY=VALUE, in mho accuracy and mho sweep: "
    "--set device=taox --set device.programming.sigma=0.05"
)


def record(device: Device) -> dict[str, Any]:
    """Return what a list shows of a device, in SI units; a limit that there is not is None."""

    def limit(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "name": device.name,
        "g_off_s": device.g_off_s,
        "g_on_s": device.g_on_s,
        "cell_bits": device.validity.cell_bits,
        "age_s": limit(device.validity.age_s),
        "writes": limit(device.validity.writes),
        "description": device.description,
    }


def presets(devices: Sequence[Device]) -> View:
    """Return the view of `mho devices`: devices, one a line, then what each is."""
    lines = []
    for device in devices:
        known = record(device)
        lines.append(
            (
                device.name,
                f"{quantity(device.g_off_s, 'S')} to {quantity(device.g_on_s, 'S')}",
                f"up to {known['cell_bits']}",
                "any" if known["age_s"] is None else f"up to {_age(known['age_s'])}",
                "any" if known["writes"] is None else f"up to {known['writes']:,.0f}",
            )
        )
    return View(
        "devices",
        (
            Table(heads=("device", "conductance", "bits a cell", "age", "writes a cell"), lines=lines),
            Table(heads=("", ""), lines=[(device.name, device.description) for device in devices], prose=True),
            Listing(text=f"mho devices NAME shows every value with its source; {HOW_TO_USE}"),
        ),
    )


def _age(seconds: float) -> str:
    for unit, length in (("year", 365.25 * 86400), ("day", 86400.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}{'s' * (seconds != length)}"
    return quantity(seconds, "s")


def view(device: Device) -> View:
    """Return the view of a device: each value with its unit and source."""
    rows = zip(*device.frame("values").values(), strict=True)
    table, sources = sourced([(key, f"{value} {unit}".strip(), source) for key, value, unit, source in rows], "values")
    return View(device.name, (table, Listing(text=HOW_TO_USE), sources), [device.description])
