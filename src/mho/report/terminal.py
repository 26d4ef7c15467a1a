"""Views in a terminal: what fits the width is one table, the rest makes further ones, and no number is ever cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.columns import Columns as SideBySide
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from mho.engineering import percent, quantity, shortened
from mho.report import sections as see

STYLES = {"": "", "strong": "bold", "soft": "dim", "good": "green", "bad": "red", "warn": "yellow"}
COLOURS = {"write": "dark_orange", "compute": "dodger_blue1", "static": "grey62", "memory": "medium_purple1"}
WIDE = 112
"""Columns from which on two charts of bars stand side by side."""
LONGEST = 30
"""Letters of what a number is, before it is wrapped."""
MOST = 10
"""Bars shown, before the rest is summed up."""
INDENT, GAP, LEAST = 2, 2, 12
"""Columns before a section, between two columns of a table, and of a name that is cut."""
PROSE = 24
"""Columns that the words at the end of a line take at the least."""


def render(view: see.View, console: Console) -> None:
    """Print a view, laid out for the console's width."""
    console.print(Text(view.title, style=STYLES[view.tone]))
    for words in view.about:
        console.print(Text(words, style="dim"))
    say(console, *(sentence for sentence in view.sentences if sentence.where != "page"))
    if view.said:
        console.print(Text(view.said, style="bold"))
    shown = [section for section in view.sections if section.where != "page"]
    for title, body in _bodies(shown, console.width):
        console.print()
        if title:
            console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, INDENT), expand=False))


def say(console: Console, *sentences: see.Sentence) -> None:
    """Print sentences in the colours that their tones have."""
    for sentence in sentences:
        console.print(Text(sentence.words, style=STYLES[sentence.tone]))


def _bodies(shown: Sequence[see.Section], width: int) -> Iterator[tuple[str, RenderableType]]:
    """Yield what is printed under each title; two charts of bars stand side by side where the width holds them."""
    left = list(shown)
    while left:
        section = left.pop(0)
        after = left[0] if left else None
        if width >= WIDE and isinstance(section, see.Bars) and isinstance(after, see.Bars):
            left.pop(0)
            pair = [Group(Text(bars.title, style="bold"), _bars(bars, 18)) for bars in (section, after)]
            yield "", SideBySide(pair, padding=(0, 4))
        elif (body := _body(section, width - INDENT)) is not None:
            yield section.title, body


def _body(section: see.Section, width: int) -> RenderableType | None:
    if isinstance(section, see.Figures):
        return _figures(section)
    if isinstance(section, see.Table):
        tables = [_table(section, some, width) for some in _fitting(section, width)]
        return Group(*tables) if section.lines else None
    if isinstance(section, see.Notes):
        return _notes(section)
    if isinstance(section, see.Bars):
        return _bars(section, 30)
    if isinstance(section, see.Listing):
        return Text(section.text)
    return None


def _figures(section: see.Figures) -> Grid:
    grid = Grid.grid(padding=(0, GAP))
    grid.add_column(overflow="fold", no_wrap=max((len(what) for what, _, _ in section.rows), default=0) <= LONGEST)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold", style="dim")
    for number, (what, amount, remark) in enumerate(section.rows):
        style = STYLES[section.tones.get(number, "")]
        grid.add_row(Text(what, style=style), Text(amount, style=style), Text(remark))
    return grid


def _widths(section: see.Table) -> list[int]:
    return [max(map(len, column)) for column in zip(section.heads, *section.lines, strict=True)]


def _fitting(section: see.Table, width: int) -> Iterator[list[int]]:
    """Yield the columns of each table that a width holds; the first ones, names, stand in all of them."""
    widths, names = _widths(section), list(range(section.names))
    if section.cut or section.wrapped:
        widths[0] = min(widths[0], LEAST)
    if section.prose:
        widths[-1] = min(widths[-1], PROSE)
    left = list(range(section.names, len(widths)))
    while left:
        some: list[int] = []
        used = sum(widths[name] + GAP for name in names)
        while left and (not some or used + widths[left[0]] <= width):
            used += widths[left[0]] + GAP
            some.append(left.pop(0))
        yield names + some


def _table(section: see.Table, columns: Sequence[int], width: int) -> Grid:
    widths = _widths(section)
    table = Grid(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), show_header=any(section.heads))
    last = len(section.heads) - 1
    for place in columns:
        words = (section.prose and place == last) or (section.wrapped and place == 0)
        table.add_column(
            Text(section.heads[place]),
            justify="left" if place < section.names or words else "right",
            no_wrap=not words,
            overflow="fold",
            style="bold" if place == section.chosen else "",
        )
    room = max(width - sum(widths[name] + GAP for name in columns[1:]), LEAST) if section.cut else widths[0]
    for number, line in enumerate(section.lines):
        style = STYLES[section.tones.get(number, "")]
        cells = [shortened(line[place], room) if place == 0 else line[place] for place in columns]
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _notes(section: see.Notes) -> RenderableType | None:
    grid = Grid.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    notes = section.notes if section.brief is None else section.brief
    for number, note in enumerate(notes, start=1):
        mark = f"[{number}]" if section.numbered else "·"
        grid.add_row(Text(mark), Text(note, style="yellow" if "synthetic" in note else "dim"))
    return grid if notes else None


def _bars(section: see.Bars, width: int) -> Grid:
    """Draw a bar of characters a name; of amounts, which add up, the smallest ones are summed up and shares told."""
    bars, add_up = list(section.bars), section.unit in ("J", "m²")
    if add_up and len(bars) > MOST + 1:
        rest = bars[MOST:]
        bars = [*bars[:MOST], see.Bar(f"{len(rest)} others", {"": sum(bar.length for bar in rest)})]
    total, most = sum(bar.length for bar in bars), max((bar.length for bar in bars), default=0.0)
    grid = Grid.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, min_width=14)
    for _ in ("amount", "share"):
        grid.add_column(justify="right", no_wrap=True, min_width=7)
    grid.add_column(no_wrap=True, min_width=width)
    for bar in bars:
        drawn, reached = Text(), 0
        for kind, value in bar.pieces.items():
            # Pieces meet at whole characters; the bar ends at an eighth of one.
            eighths = max(round(8 * width * value / most), 0) if most > 0 else 0
            end = reached + eighths
            blocks = "█" * (end // 8 - reached // 8)
            drawn.append(blocks, style=STYLES[bar.tone] or COLOURS.get(kind, "dodger_blue1"))
            reached = end
        drawn.append(
            ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[reached % 8], style=drawn.spans[-1].style if drawn.spans else ""
        )
        amount = Text(bar.end or quantity(bar.length, section.unit))
        share = percent(bar.length, total) if add_up else bar.beside
        grid.add_row(Text(shortened(bar.name, 22)), amount, Text(share), drawn)
    return grid
