"""A whole recommender in the terminal: its two parts and their sum."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.engineering import count
from mho.report.terminal import converters
from mho.report.whole import Whole
from mho.report.whole_page import part_lines


def summary(whole: Whole, console: Console) -> None:
    """Print what a whole recommender takes, laid out for 80 columns or more."""
    service, dense = whole.service, whole.dense
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
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in ("part", "time of a batch", "energy of a query", "what"):
        table.add_column(head, justify="left" if head in ("part", "what") else "right")
    for cells in part_lines(whole):
        table.add_row(*cells, style="bold" if cells[0] == "both" else "")
    console.print()
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    console.print()
    console.print(Text("Notes", style="bold"))
    for note in whole.notes():
        console.print(Padding(Text(f"- {note}"), (0, 0, 0, 2)))
