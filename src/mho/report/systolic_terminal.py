"""A run on a systolic array in the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.engineering import count, percent, quantity, shortened
from mho.machine.systolic.account import PRODUCTS
from mho.machine.systolic.result import Run
from mho.network.layers import MatrixProduct

COSTLIEST = 10
"""Layers shown."""


def show_run(run: Run, console: Console) -> None:
    """Print what a run costs, laid out for 80 columns or more."""
    systolic = run.systolic
    head = Text()
    for word, style in ((run.network.name, "bold"), (" on ", ""), (systolic.name, "bold"), (", ", "")):
        head.append(word, style=style)
    head.append(f"{run.dataflow}-stationary", style="bold")
    console.print(head)
    about = (
        f"{count(len(run.network.matrix_layers))} matrix layers, {count(run.network.weights)} weights, "
        f"{count(run.network.macs)} MACs, batch {run.network.batch}"
    )
    console.print(Text(about, style="dim"))
    for title, body in (
        ("Time and energy", _figures(run)),
        ("Dataflows", _dataflows(run)),
        (f"Energy   {quantity(run.energy_j, 'J')} per inference", _energy(run)),
        (f"Slowest layers   {min(COSTLIEST, len(run.records))} of {len(run.records)}", _layers(run, console.width)),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, 2), expand=False))
    console.print()
    said = f"{count(len(run.notes()))} assumptions on {systolic.name}: --json -"
    console.print(Text(said, style="dim"))


def _figures(run: Run) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    bound = sum(record.seconds for record in run.records if record.memory_s > record.work_s)
    memory = f"{quantity(run.memory_bytes, 'B')} from and to main memory"
    for row in (
        ("time", quantity(run.latency_s, "s"), f"{count(run.throughput_per_s)} samples/s"),
        ("without overlap", quantity(run.latency_without_overlap_s, "s"), "if buffers were single, not double"),
        ("waiting for memory", percent(bound, run.latency_s), f"layers that memory bounds; {memory}"),
        ("array in use", percent(run.utilisation, 1.0), f"of {count(run.systolic.units)} multiply-accumulate units"),
        ("area", quantity(sum(run.systolic.area_m2.values()), "m²"), "array, buffers and vector unit"),
    ):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for place, title in enumerate(columns):
        table.add_column(title, justify="right" if place else "left", no_wrap=True)
    return table


def _dataflows(run: Run) -> Table:
    """Lay out each dataflow that was tried, with attention's products taking no time and on the array."""
    table = _table("stationary", "time", "samples/s", "energy", "products of two activations")
    has_products = any(record.kind == MatrixProduct.kind for record in run.records)
    for dataflow, totals in run.totals.items():
        for products in PRODUCTS if has_products else PRODUCTS[:1]:
            chosen = dataflow == run.dataflow and (not has_products or products == run.systolic.spec.products)
            told = {"ideal": "take no time", "array": "on the array"}[products] if has_products else "none"
            total = totals[products]
            table.add_row(
                f"{dataflow}{' *' if chosen else ''}",
                quantity(total.latency_s, "s"),
                count(run.network.batch / total.latency_s),
                quantity(total.energy_j, "J"),
                told,
            )
    return table


def _energy(run: Run) -> Table:
    table = _table("", "energy", "share")
    for sums in (run.energy_by_kind(), run.energy_by_component()):
        for name, joules in sorted(sums.items(), key=lambda item: -item[1]):
            table.add_row(name, quantity(joules, "J"), percent(joules, run.energy_j))
        table.add_section()
    return table


def _layers(run: Run, width: int) -> Table:
    table = _table("layer", "time", "array", "memory", "in use", "energy")
    for record in sorted(run.records, key=lambda each: -each.seconds)[:COSTLIEST]:
        table.add_row(
            Text(shortened(record.name, max(width - 52, 12))),
            quantity(record.seconds, "s"),
            quantity(record.work_s, "s"),
            quantity(record.memory_s, "s"),
            percent(record.macs, run.systolic.units * record.cycles) if record.cycles else "–",
            quantity(record.energy_j, "J"),
        )
    return table
