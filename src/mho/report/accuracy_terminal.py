"""Accuracy in a terminal: of one chip, and over a sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mho.engineering import count, shortened
from mho.machine.evaluation import decibels
from mho.report import accuracy_text as text
from mho.report import sweep_text

if TYPE_CHECKING:
    from mho.machine.analog.spec import Analog
    from mho.machine.evaluation import Evaluation
    from mho.machine.resolution import Resolution
    from mho.machine.sweep import Sweep, Value

SHOWN = 24
"""Layers shown, before the quieter ones are left out."""
BAR = 16
"""Characters of the longest bar."""


def show_evaluation(found: Evaluation, console: Console) -> None:
    """Print accuracies, layers and notes."""
    line = Text()
    program = found.program
    for words, style in (
        (program.network.name, "bold"), (" on ", ""), (program.chip.name, "bold"), (text.side(found), ""),
        (f"   {found.samples} samples: {found.data}", "dim"),
    ):  # fmt: skip
        line.append(words, style=style)
    console.print(line)
    _section(console, "Accuracy", _accuracies(found))
    if found.remedies:
        _section(console, text.REMEDIES, _remedies(found))
    _section(console, _layers_title(found), _layers(found))
    _section(console, "Notes", _bullets(found.notes))


def _section(console: Console, title: str, body: RenderableType) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(Padding(body, (0, 0, 0, 2), expand=False))


def _accuracies(found: Evaluation) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for what, number, remark in text.rows(found):
        strong = "bold" if what == "on the chip" else ""
        table.add_row(Text(what, style=strong), Text(number, style=strong), Text(remark))
    return table


def show_converters(resolved: Resolution, analog: Analog, console: Console) -> None:
    """Print what the converters resolve, amber where they fall short: before the long work."""
    if resolved.complete:
        console.print(Text(str(resolved), style="dim"))
        return
    rounds = "At full range they round sums; where that costs accuracy, what would help is tried below."
    console.print(Text(f"{resolved}. {rounds if analog.adc.range == 'full' else ''}".rstrip(), style="yellow"))


def _remedies(found: Evaluation) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for remedy, (changes, number, remark) in zip(found.remedies or (), text.remedies(found), strict=True):
        table.add_row(Text(changes, style="green" if remedy.enough else ""), Text(number), Text(remark))
    return table


def _layers_title(found: Evaluation) -> str:
    chips = "" if len(found.seeds) == 1 else f", {len(found.seeds)} chips together"
    if len(found.layers) > SHOWN:
        return f"Layers   the {SHOWN} noisiest of {len(found.layers)}, in their order{chips}"
    return f"Layers   in their order{chips}"


def _layers(found: Evaluation) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("layer", no_wrap=True)
    for head in ("SNR", "clipped", "conversions"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    loudest = sorted(found.layers, key=text.loudness)
    chosen = {layer.name for layer in loudest[:SHOWN]}
    marked = text.noisiest(found.layers)
    ratios = [ratio for layer in found.layers if (ratio := decibels(layer)) is not None]
    most = max((ratio for ratio in ratios if ratio > 0), default=1.0)
    for layer in found.layers:
        if layer.name not in chosen:
            continue
        ratio = decibels(layer)
        length = BAR if ratio is None and layer.noise == 0 else round(BAR * max(ratio or 0.0, 0.0) / most)
        bar = Text(
            "━" * length, style="red" if layer.name in marked else "green" if layer.noise == 0 else "dodger_blue1"
        )
        if layer.name in marked:
            bar.append(" noisiest" if layer.name == loudest[0].name else " noisy", style="red")
        name = Text(shortened(layer.name, 34))
        table.add_row(
            name, Text(text.snr(layer)), Text(text.rate(layer.clip_rate)), Text(count(layer.conversions)), bar
        )
    return table


def _bullets(notes: tuple[str, ...]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    # Assumptions are told wherever a result rests on them; citations fill pages.
    shown = [note for note in notes if ", source: " not in note or ", source: assumption:" in note]
    hidden = len(notes) - len(shown)
    for note in shown:
        table.add_row("·", Text(note, style="yellow" if "synthetic" in note else "dim"))
    if hidden:
        table.add_row("·", Text(f"{hidden} citations of the device: mho devices NAME, --json, --out", style="dim"))
    return table if notes else Group()


def show_sweep(found: Sweep, console: Console) -> None:
    """Print the table of a sweep: the first parameter down, the second across, and the notes."""
    first = found.evaluations[0]
    network, chips = first.program.network, max(len(each.seeds) for each in found.evaluations)
    head = Text()
    head.append(network.name, style="bold")
    head.append(f"   top-1 in %, ± half of the 95 % interval over {chips} chips   ")
    head.append(f"{first.samples} samples: {first.data}", style="dim")
    console.print(head)
    references = f"8-bit integers {text.points(first.in_integers)}"
    if first.in_float is not None:
        references = f"float {text.points(first.in_float)}, {references}"
    if len({each.in_integers for each in found.evaluations}) > 1:
        references += " at the first point"
    console.print(Text(references, style="dim"))
    _section(console, "Accuracy", _grid(found, _accuracy_cell, console.width))
    console.print()
    console.print(Padding(Text(sweep_text.conclusion(found)), (0, 0, 0, 2), expand=False))
    if any(each.clip_rate for each in found.evaluations):
        _section(console, "ADC clipped, of all conversions", _grid(found, _clip_cell, console.width))
    else:
        _section(console, "ADC clipped", Text("never, at any point"))
    _section(console, "Notes", _bullets(found.notes))


def _accuracy_cell(each: Evaluation) -> str:
    half = each.over_seeds.half
    return f"{100 * each.accuracy:.2f}" + ("" if half is None else f" ±{100 * half:.2f}"[:6].rstrip("."))


def _clip_cell(each: Evaluation) -> str:
    return text.rate(each.clip_rate)


def _grid(found: Sweep, cell: Callable[[Evaluation], str], width: int) -> RenderableType:
    """Lay out a number of every point; columns that do not fit the width make a further table."""
    (key, values), *rest = found.over
    across: tuple[Value | None, ...] = rest[0][1] if rest else (None,)
    numbers = [
        [cell(found.evaluations[row * len(across) + column]) for column in range(len(across))]
        for row in range(len(values))
    ]
    heads = [text.value(each) if rest else "" for each in across]
    widths = [max(len(heads[column]), *(len(row[column]) for row in numbers)) + 2 for column in range(len(across))]
    corner = f"{key} ↓   {rest[0][0]} →" if rest else key
    left = max(len(corner), *(len(text.value(each)) for each in values)) + 4
    tables: list[RenderableType] = []
    column = 0
    while column < len(across):
        last, used = column, left
        while last < len(across) and (last == column or used + widths[last] <= width):
            used += widths[last]
            last += 1
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
        table.add_column(Text(corner), no_wrap=True)
        for place in range(column, last):
            table.add_column(Text(heads[place]), justify="right", no_wrap=True)
        for row, each in enumerate(values):
            table.add_row(Text(text.value(each)), *(Text(number) for number in numbers[row][column:last]))
        tables.append(table)
        column = last
    return Group(*tables)
