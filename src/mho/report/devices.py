"""Devices in the terminal: the presets, and one device with every value and its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mho.engineering import quantity
from mho.machine.analog.devices import Device
from mho.report.chips import hanging

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


def list_devices(devices: Sequence[Device], console: Console) -> None:
    """Print devices, one a row, then what each is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("device", no_wrap=True)
    for name in ("conductance", "bits a cell", "age", "writes a cell"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in devices:
        known = record(each)
        table.add_row(
            each.name,
            f"{quantity(each.g_off_s, 'S')} to {quantity(each.g_on_s, 'S')}",
            f"up to {known['cell_bits']}",
            "any" if known["age_s"] is None else f"up to {_age(known['age_s'])}",
            "any" if known["writes"] is None else f"up to {known['writes']:,.0f}",
        )
    console.print(table)
    console.print()
    console.print(_named((each.name, each.description) for each in devices))
    console.print()
    console.print(f"mho devices NAME shows every value with its source; {HOW_TO_USE}", style="dim", highlight=False)


def _age(seconds: float) -> str:
    for unit, length in (("year", 365.25 * 86400), ("day", 86400.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}{'s' * (seconds != length)}"
    return quantity(seconds, "s")


def _named(rows: Any) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def show_device(device: Device, console: Console) -> None:
    """Print a device: each value with its unit and source."""
    console.print(f"[bold]{device.name}[/]  {device.description}", highlight=False)
    console.print()
    values = device.frame("values")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("key", no_wrap=True)
    table.add_column("value", justify="right", overflow="fold")
    table.add_column("unit", no_wrap=True)
    table.add_column("source", justify="right", no_wrap=True)
    sources: dict[str, int] = {}
    for key, value, unit, source in zip(*values.values(), strict=True):
        number = sources.setdefault(source, len(sources) + 1)
        table.add_row(key, Text(str(value)), unit, Text(f"[{number}]"))
    console.print(table)
    console.print()
    console.print(HOW_TO_USE, style="dim", highlight=False)
    console.print()
    console.print("sources", style="bold")
    console.print(hanging((f"[{number}]", text) for text, number in sources.items()))
