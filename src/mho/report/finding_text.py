"""How a finding is written: the values that were looked at, in order, in the terminal and on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mho.machine.finding import Finding, Probe

HEADS = ("value", "points lost", "95 % interval", "samples", "chips", "accuracy")
WORDS = {"within": "kept", "beyond": "lost", "open": "undecided"}
COLOURS = {"within": "green", "beyond": "red", "open": "yellow"}


def undecided(found: Finding) -> str:
    """Say that the samples do not decide, and what may; more chips only where chips differ."""
    drawn = any(probe.loss.chips > 1 for probe in found.boundary.probes)
    more = "more of them, or more chips (--seeds), may" if drawn else "more of them may"
    return f"The samples do not decide at every value that the answer rests on; {more}."


def rows(found: Finding) -> list[tuple[str, ...]]:
    """Return a row of texts for each value looked at, ascending."""
    return [_row(probe) for probe in _ascending(found)]


def _ascending(found: Finding) -> list[Probe]:
    return sorted(found.boundary.probes, key=lambda probe: probe.value)


def _row(probe: Probe) -> tuple[str, ...]:
    loss, value = probe.loss, f"{probe.value:g}"
    if loss.proven:
        return value, "0", "–", "–", "–", "exact, whatever the inputs"
    interval = f"{100 * loss.low:.2f} to {100 * loss.high:.2f}"
    # Not -0.00.
    return (
        value,
        f"{round(100 * loss.share, 2) + 0.0:.2f}",
        interval,
        str(loss.samples),
        str(loss.chips),
        WORDS[probe.side],
    )


def show_finding(found: Finding, console: Console) -> None:
    """Print what was found, the values that were looked at, and the notes."""
    program = found.program
    line = Text()
    for words, style in (
        (program.network.name, "bold"), (" on ", ""), (program.chip.name, "bold"),
        (f"   up to {found.samples} samples: {found.data}", "dim"),
    ):  # fmt: skip
        line.append(words, style=style)
    console.print(line)
    console.print(Text(found.sentence, style="bold"))
    if not found.boundary.decided:
        console.print(Text(undecided(found), style="yellow"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for head in HEADS[:-1]:
        # The key stands in the sentence above.
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column(HEADS[-1], overflow="fold", min_width=len("undecided"))
    for probe in _ascending(found):
        *numbers, words = _row(probe)
        table.add_row(*(Text(number) for number in numbers), Text(words, style=COLOURS[probe.side]))
    notes = Table.grid(padding=(0, 1))
    notes.add_column(no_wrap=True)
    notes.add_column(overflow="fold")
    for note in found.notes:
        notes.add_row("·", Text(note, style="yellow" if "synthetic" in note else "dim"))
    for title, body in (("Value by value", table), ("Notes", notes)):
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, 2), expand=False))
