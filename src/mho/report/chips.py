"""Chips, as a person should see them: the presets, and one chip with what its components add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from mho.chip import Chip
from mho.chip.describe import full_column
from mho.engineering import quantity, scaled
from mho.report.sections import Listing, Notes, Sentence, Table, View

SCALED = ("m", "s", "J", "W", "Hz", "m2", "byte/s", "elements/s", "macs/s")
"""Units of overrides, whose values are SI, that are easier to read with a prefix."""

HOW_TO_CHANGE = (
    "change a value by --set KEY=VALUE, in SI units (--set array.adc_period_s=2e-9); "
    "take a component's costs from another technology by --set components.adc=adc-survey"
)


def chip_record(chip: Chip) -> dict[str, Any]:
    """Return what a table shows of a chip, in SI units."""
    rolled = chip.roll_up()
    return {
        "chip": chip.name,
        "arrays": chip.arrays,
        "weights": chip.groups * chip.weight_rows * chip.group_columns,
        "window_s": chip.window_time_s,
        "write_s": chip.array_write_time_s,
        "area_m2": rolled.area_m2.total,
        "peak_power_w": rolled.peak_power_w.total,
        "description": chip.description,
        "digest": chip.digest,
    }


def _table(chips: Sequence[Chip]) -> Table:
    """Lay out chips, one a line."""
    units = {"window_s": "s", "write_s": "s", "area_m2": "m²", "peak_power_w": "W"}
    lines = []
    for record in map(chip_record, chips):
        figures = [quantity(record[key], unit) for key, unit in units.items()]
        lines.append((record["chip"], f"{record['arrays']:,}", f"{record['weights'] / 1e6:.2f} M", *figures))
    return Table(heads=("chip", "arrays", "weights", "window", "write", "area", "peak power"), lines=lines)


def presets(chips: Sequence[Chip]) -> View:
    """Return the view of `mho chips`: chips, one a line, then what each is."""
    about = Table(heads=("", ""), lines=[(chip.name, chip.description) for chip in chips], prose=True)
    return View("chips", (_table(chips), about))


def _components(content: dict[str, Any]) -> Table:
    """Lay out area, peak power and leakage of each component, and their sums."""
    area, power, leakage = (content[key] for key in ("area_m2", "peak_power_w", "leakage_w"))

    def figures(pick: Any) -> tuple[str, str, str]:
        return quantity(pick(area), "m²"), quantity(pick(power), "W"), quantity(pick(leakage), "W")

    names = sorted(area["by_component"], key=lambda name: -area["by_component"][name])
    lines = [
        (
            name,
            _node(content, name),
            *figures(lambda sums, name=name: sums["by_component"][name]),
            content["components"].get(name, ""),
        )
        for name in names
    ]
    nodes = [content["component_nodes_m"].get(name) for name in names]
    return Table(
        title="what the components add up to",
        heads=("component", "node", "area", "peak power", "leakage", "costs of"),
        lines=[*lines, ("total", "", *figures(lambda sums: sums["total"]), "")],
        prose=True,
        tones={
            **{number: "warn" for number, node in enumerate(nodes) if node not in (None, content["node"])},
            len(lines): "strong",
        },
    )


def _node(content: dict[str, Any], component: str) -> str:
    """Write the node that a component's figures are of."""
    node = content["component_nodes_m"].get(component)
    return "" if node is None else f"{node * 1e9:g} nm"


def _value(value: Any, unit: str) -> str:
    """Write a value as the file gives it; equal neighbours of a list are counted."""
    if isinstance(value, float) and unit in SCALED and not 1e-3 <= abs(value) < 1e4:
        digits, prefixed = scaled(value, unit.replace("m2", "m²"), digits=6)
        return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {prefixed}"
    if not isinstance(value, tuple | list):
        return f"{value} {unit}".strip()
    runs = [(each, len(list(same))) for each, same in groupby(value)]
    return " + ".join(f"{count} x {each}" if count > 1 else str(each) for each, count in runs) + f" {unit}"


def sourced(values: Sequence[tuple[str, str, str]], title: str) -> tuple[Table, Notes]:
    """Lay out keys and values with numbers of their sources, and these."""
    sources: dict[str, int] = {}
    lines = [(key, f"[{sources.setdefault(source, len(sources) + 1)}]", value) for key, value, source in values]
    table = Table(title=title, heads=("key", "source", "value"), lines=lines, prose=True)
    return table, Notes(title="sources", notes=list(sources), numbered=True)


def view(chip: Chip) -> View:
    """Return the view of a chip: each value with its source, area, power and leakage rolled up, and notes."""
    origins = chip.provenance.items()
    table, sources = sourced([(key, _value(o.value, o.unit), o.source) for key, o in origins], "specification")
    return View(
        chip.name,
        (
            _table([chip]),
            table,
            Listing(text=HOW_TO_CHANGE),
            _components(chip.describe()),
            sources,
            Notes(title="notes", notes=chip.notes),
        ),
        (chip.description, f"digest {chip.digest[:16]}"),
        [full_array(chip)],
    )


def full_array(chip: Chip) -> Sentence:
    """Say what the largest sum of a full array asks of its ADCs, as a condition where they fall short."""
    array = chip.array
    largest, needed = full_column(chip)
    cell = chip.coding.cell_text.replace(" ", "-").removesuffix("s")
    conditions = f"{chip.weight_rows} rows of {cell} cells, {array.coding}, {array.dac_bits}-bit input steps"
    demand = f"a full column sums up to {largest}, for which an ADC needs {needed} bits ({conditions}); those of this chip have"
    if needed <= array.adc_bits:
        return Sentence(f"{demand} {array.adc_bits}", "good")
    return Sentence(
        f"{demand} {array.adc_bits}: they cannot resolve every sum (mho accuracy tells what that costs)", "warn"
    )
