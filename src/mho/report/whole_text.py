"""A whole recommender in the terminal: its two parts and their sum."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.report.engineering import count, quantity, ratio
from mho.report.terminal import converters
from mho.report.whole import Whole


def summary(whole: Whole, console: Console) -> None:
    """Print what a whole recommender takes, laid out for 80 columns or more."""
    service, dense, found = whole.service, whole.dense, whole.to_dict()
    line = Text()
    line.append(whole.recommender.name, style="bold")
    line.append(" on ")
    line.append(service.chip.name, style="bold")
    line.append(f": {count(service.queries)} queries, {count(service.lookups)} look-ups, in batches of {whole.batch}")
    console.print(line)
    if whole.verified is not None:
        console.print(Text(whole.verified, style="green" if whole.right else "red"))
    for words, style in converters(dense):
        console.print(Text(f"dense part: {words}", style=style))
    energy = whole.energy_j()
    spread = found["tables"]["batch_s"]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in ("part", "time of a batch", "energy of a query", "what"):
        table.add_column(head, justify="left" if head in ("part", "what") else "right")
    shape = found["tables"]["layout"]
    tiles = "1 tile" if shape["tiles"] == 1 else f"{shape['tiles']} tiles"
    table.add_row(
        "tables",
        quantity(whole.tables_s, "s"),
        quantity(energy["tables"], "J"),
        f"{shape['instances']} groups of rows in {tiles}, {shape['method']}; p99 {quantity(spread['p99'], 's')}",
    )
    table.add_row(
        "dense part",
        quantity(dense.latency_s, "s"),
        quantity(energy["dense"], "J"),
        f"{dense.program.schedule}, {ratio(dense.bound_ratio)} its lower bound",
    )
    table.add_row(
        "both",
        quantity(whole.latency_s, "s"),
        quantity(sum(energy.values()), "J"),
        f"{count(whole.queries_per_s)} queries/s, one batch after another every {quantity(whole.interval_s, 's')}",
        style="bold",
    )
    console.print()
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    console.print()
    console.print(Text("Notes", style="bold"))
    for note in whole.notes():
        console.print(Padding(Text(f"- {note}"), (0, 0, 0, 2)))
