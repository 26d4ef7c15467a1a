"""Chips in the terminal: the presets, and one chip with what its components add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mho.chip import Chip
from mho.chip.describe import full_column
from mho.engineering import quantity, scaled

SCALED = ("m", "s", "J", "W", "Hz", "m2", "byte/s", "elements/s", "macs/s")
"""Units of overrides, whose values are SI, that are easier to read with a prefix."""

HOW_TO_CHANGE = (
    "change a value by --set KEY=VALUE, in SI units (--set array.adc_period_s=2e-9); "
    "take a component's costs from another technology by --set components.adc=adc-survey"
)


def chip_record(chip: Chip) -> dict[str, Any]:
    """Return what `chip_table` shows of a chip, in SI units."""
    rolled = chip.roll_up()
    return {
        "chip": chip.name,
        "arrays": chip.arrays,
        "weights": chip.groups * chip.array.rows * chip.group_columns,
        "window_s": chip.window_time_s,
        "write_s": chip.array_write_time_s,
        "area_m2": rolled.area_m2.total,
        "peak_power_w": rolled.peak_power_w.total,
        "description": chip.description,
        "digest": chip.digest,
    }


def chip_table(chips: Sequence[Chip]) -> Table:
    """Return the table of `mho chips`: a chip a row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("chip", "arrays", "weights", "window", "write", "area", "peak power"):
        table.add_column(name, justify="left" if name == "chip" else "right", no_wrap=True)
    for chip in chips:
        known = chip_record(chip)
        table.add_row(
            chip.name,
            f"{known['arrays']:,}",
            f"{known['weights'] / 1e6:.2f} M",
            quantity(known["window_s"], "s"),
            quantity(known["write_s"], "s"),
            quantity(known["area_m2"], "m²"),
            quantity(known["peak_power_w"], "W"),
        )
    return table


def list_chips(chips: Sequence[Chip], console: Console) -> None:
    """Print chips, one a row, then what each is."""
    console.print(chip_table(chips))
    console.print()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for chip in chips:
        table.add_row(chip.name, Text(chip.description))
    console.print(table)


def _components(content: dict[str, Any]) -> Table:
    """Return area, peak power and leakage of each component, and their sums."""
    table = Table(
        title="what the components add up to",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("component", no_wrap=True)
    table.add_column("node", justify="right", no_wrap=True)
    for name in ("area", "peak power", "leakage"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("costs of", overflow="fold")
    area, power, leakage = (content[key] for key in ("area_m2", "peak_power_w", "leakage_w"))
    for component in sorted(area["by_component"], key=lambda name: -area["by_component"][name]):
        table.add_row(
            component,
            _node(content, component),
            quantity(area["by_component"][component], "m²"),
            quantity(power["by_component"][component], "W"),
            quantity(leakage["by_component"][component], "W"),
            content["components"].get(component, ""),
        )
    table.add_section()
    table.add_row(
        "total", "", quantity(area["total"], "m²"), quantity(power["total"], "W"), quantity(leakage["total"], "W")
    )
    return table


def _node(content: dict[str, Any], component: str) -> str:
    """Write the node that a component's figures are of, marked where it is not the chip's."""
    node = content["component_nodes_m"].get(component)
    if node is None:
        return ""
    text = f"{node * 1e9:g} nm"
    return text if node == content["node"] else f"[yellow]{text}[/]"


def _value(value: Any, unit: str) -> str:
    """Write a value as the file gives it; equal neighbours of a list are counted."""
    if isinstance(value, float) and unit in SCALED and not 1e-3 <= abs(value) < 1e4:
        digits, prefixed = scaled(value, unit.replace("m2", "m²"), digits=6)
        return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {prefixed}"
    if not isinstance(value, tuple | list):
        return f"{value} {unit}".strip()
    runs = [(each, len(list(same))) for each, same in groupby(value)]
    return " + ".join(f"{count} x {each}" if count > 1 else str(each) for each, count in runs) + f" {unit}"


def show_chip(chip: Chip, console: Console) -> None:
    """Print a chip: each value with its unit and source, then area, power and leakage rolled up, then the notes."""
    content = chip.describe()
    console.print(f"[bold]{chip.name}[/]  {chip.description}", highlight=False)
    console.print(f"digest {chip.digest[:16]}", style="dim", highlight=False)
    console.print()
    console.print(chip_table([chip]))
    console.print()
    words, style = full_array(chip)
    console.print(Text(words, style=style))
    console.print()
    table = Table(title="specification", title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("key", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("source", justify="right", no_wrap=True)
    sources: dict[str, int] = {}
    for key, origin in chip.provenance.items():
        number = sources.setdefault(origin.source, len(sources) + 1)
        table.add_row(key, _value(origin.value, origin.unit), f"[{number}]".replace("[", r"\["))
    console.print(table)
    console.print()
    console.print(HOW_TO_CHANGE, style="dim", highlight=False)
    console.print()
    console.print(_components(content))
    console.print()
    console.print("sources", style="bold")
    console.print(hanging((f"[{number}]", text) for text, number in sources.items()))
    console.print()
    console.print("notes", style="bold")
    console.print(hanging(("-", note) for note in chip.notes))


def full_array(chip: Chip) -> tuple[str, str]:
    """Say what the largest sum of a full array asks of its ADCs, and in which colour: amber where they fall short."""
    array = chip.array
    largest, needed = full_column(chip)
    held = f"{array.rows} rows of {array.cell_bits}-bit cells, {array.coding}, {array.dac_bits}-bit input steps"
    told = f"a full column sums up to {largest}, for which an ADC needs {needed} bits ({held}); those of this chip have"
    if needed <= array.adc_bits:
        return f"{told} {array.adc_bits}", "green"
    return f"{told} {array.adc_bits}: they cannot resolve every sum (mho accuracy tells what that costs)", "yellow"


def hanging(items: Iterable[tuple[str, str]]) -> Table:
    """Return marked texts, wrapped beside their marks."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for mark, text in items:
        table.add_row(Text(mark), Text(text))
    return table
