"""A recommendation in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.engineering import percent
from mho.explore.recommendation import Recommendation
from mho.report.recommend_page import energies, measures, modes, split_lines, split_verdict, trace_lines

GAP = 3
"""Characters between two columns."""
Lines = list[tuple[str, list[str]]]


def show(found: Recommendation, console: Console) -> None:
    """Print the trace, the table of designs, ADC modes, energy by component, and the notes."""
    request = found.request
    line = Text()
    for words, style in (
        (found.chosen, "bold"), (" on ", ""), (request.chip.name, "bold"),
        (f"   rows of {request.dimension} features, batches of {request.batch}, area budget {request.budget:g}", "dim"),
    ):  # fmt: skip
        line.append(words, style=style)
    console.print(line)
    for what, origin in (("history", request.history.origin), ("test", found.test.origin)):
        console.print(Text(f"{what}: {origin}", style="dim"))
    if found.synthetic:
        console.print(Text("SYNTHETIC: this trace was made up, not measured; so is every number below.", "bold yellow"))
    _section(console, "Trace", _told(trace_lines(found)))
    heads = list(found.designs)
    for table in _tables(measures(found), heads, found.chosen, console.width - 2):
        _section(console, "Designs   each made from the history, serving the test", table)
    _section(console, "What they are", _named([(name, each.says) for name, each in found.designs.items()]))
    if found.taken:
        _section(console, "Where the gain comes from   times less than the step before", _split(found))
    shares = modes(found)
    lines = [
        (part, [percent(amounts[at], 1.0) for _, amounts in shares.amounts]) for at, part in enumerate(shares.parts)
    ]
    for table in _tables(lines, heads, found.chosen, console.width - 2):
        _section(console, "ADC modes   share of activations", table)
    joules = energies(found)
    lines = [
        (part, [percent(amounts[at], sum(amounts)) for _, amounts in joules.amounts])
        for at, part in enumerate(joules.parts)
    ]
    for table in _tables(lines, heads, found.chosen, console.width - 2):
        _section(console, "Energy by component", table)
    _section(console, "Notes", _notes(_own(found)))


def _own(found: Recommendation) -> list[str]:
    """Return the notes but for those of the chip, which are many and no news; say where they are."""
    chip = found.request.chip
    own = [note for note in found.notes() if note not in chip.notes]
    left = len(found.notes()) - len(own)
    return [*own, f"{left} assumptions of chip {chip.name}: in recommend.html (--out), or --json"] if left else own


def _section(console: Console, title: str, body: RenderableType) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(Padding(body, (0, 0, 0, 2), expand=False))


def _named(lines: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", style="dim")
    for name, says in lines:
        grid.add_row(Text(name), Text(says))
    return grid


def _split(found: Recommendation) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for head, justify in (("", "left"), ("time", "right"), ("energy", "right"), ("", "left")):
        table.add_column(head, justify=justify, no_wrap=head != "" or not table.columns)  # type: ignore[arg-type]
    for name, time, energy, says in split_lines(found):
        style = "bold" if name == "together" else ""
        table.add_row(Text(name, style), Text(time, style), Text(energy, style), Text(says, "dim"))
    return Group(table, Text(f"\n{split_verdict(found)}"))


def _told(lines: list[tuple[str, str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold", style="dim")
    for what, number, remark in lines:
        grid.add_row(Text(what), Text(number), Text(remark))
    return grid


def _tables(lines: Lines, heads: list[str], chosen: str, width: int) -> Iterator[Table]:
    """Lay designs out side by side; those that do not fit the width make a further table."""
    left = max((len(what) for what, _ in lines), default=0)
    widths = [max(len(head), *(len(numbers[at]) for _, numbers in lines)) for at, head in enumerate(heads)]
    at = 0
    while at < len(heads):
        last, used = at, left
        while last < len(heads) and (last == at or used + GAP + widths[last] <= width):
            used += GAP + widths[last]
            last += 1
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
        table.add_column("", no_wrap=True)
        for head in heads[at:last]:
            table.add_column(Text(head), justify="right", no_wrap=True, style="bold" if head == chosen else "")
        for what, numbers in lines:
            table.add_row(Text(what), *map(Text, numbers[at:last]))
        yield table
        at = last


def _notes(notes: list[str]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for note in notes:
        grid.add_row("·", Text(note, style="yellow" if "synthetic" in note else "dim"))
    return grid
