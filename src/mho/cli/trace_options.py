"""The options of traces: how a file is read, and how a trace is made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from mho.cli import options as use

READING, MAKING, CHANGING = "Reading", "Synthetic", "Changing"

Word = str | None

MOST_ROWS = 1 << 27
"""The most rows of a table: those of `mho.network.trace`, which takes a while to import."""


def share(open_end: bool) -> Callable[[Any], float]:
    """Return a reader of shares: from 0 to 1, or, with `open_end`, between them."""

    def read(text: Any) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not (0 < number < 1 if open_end else 0 <= number <= 1):
            raise typer.BadParameter(f"must be a number {'between 0 and' if open_end else 'from 0 to'} 1, not {text!r}")
        return number

    return read


def numbers(text: Any) -> tuple[float, ...]:
    """Read mean lengths, separated by commas."""
    return tuple(use.number(1e-6, 1e6)(part) for part in str(text).split(","))


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is read; None: as where the option is not given."""

    query: Annotated[
        Word,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=READING,
            help="The column of the query (session, user): a name, or a number from 1 on; else query.",
        ),
    ] = None
    table: Annotated[
        Word,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=READING,
            help="The table's column; else table, where there is one. For .npz with --bag: the array.",
        ),
    ] = None
    row: Annotated[
        Word,
        typer.Option(
            metavar="COLUMN[,...]",
            rich_help_panel=READING,
            help="The row's column (item); else row. Several (C1,C2 or 15-40): each is a table, and without --query each line a "
            "query. For .npz with --bag: the array.",
        ),
    ] = None
    weight: Annotated[
        Word,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=READING,
            help="The weight's column; else weight, where there is one. For .npz with --bag: the array.",
        ),
    ] = None
    time: Annotated[
        Word,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=READING,
            help="Sort by this column, numbers or dates of ISO 8601: look-ups in a query, and queries by their first.",
        ),
    ] = None
    basket: Annotated[
        bool,
        typer.Option(
            "--basket",
            rich_help_panel=READING,
            help="Text: each line is a bag, its fields are rows; with --query N, but for the field that tells whose it is.",
        ),
    ] = False
    separator: Annotated[
        Word,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=READING,
            help="Text: what stands between fields, such as ;, :: or tab; else as its first lines show.",
        ),
    ] = None
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            rich_help_panel=READING,
            show_default=False,
            help="Text: whether the first line names columns; else as it looks.",
        ),
    ] = None
    skip_missing: Annotated[
        bool,
        typer.Option(
            "--skip-missing",
            rich_help_panel=READING,
            help="Leave out look-ups of which something is missing (empty, NULL, NA, NaN), instead of refusing the file.",
        ),
    ] = False
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            rich_help_panel=READING,
            help="A column to leave unread though it is called table or weight. May be repeated.",
        ),
    ] = None
    bag: Annotated[
        Word,
        typer.Option(
            metavar="ARRAY",
            rich_help_panel=READING,
            help=".npz: the array with the bag of each look-up, in any order, beside --row; else arrays offsets (or indptr) and "
            "indices.",
        ),
    ] = None
    compact: Annotated[
        bool,
        typer.Option(
            "--compact",
            rich_help_panel=READING,
            help="Renumber the rows that are looked up, from 0 on; ids that are text always are. Files keep what they were called.",
        ),
    ] = False

    def given(self) -> dict[str, Any]:
        """Return what was given, as `mho.network.trace.read` takes it."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given = {
            name: value
            for name, value in given.items()
            if value not in (None, False) or (name, value) == ("header", False)
        }
        if "ignore" in given:
            given["ignored"] = tuple(given.pop("ignore"))
        return given


@dataclass(frozen=True)
class MakingOptions:
    """What is made up; None where not given."""

    queries: Annotated[
        int | None,
        typer.Option(parser=use.whole(1, 10**8), metavar="N", rich_help_panel=MAKING, help="Queries; else 10000."),
    ] = None
    mean_length: Annotated[
        Any,
        typer.Option(
            parser=numbers,
            metavar="X[,X...]",
            rich_help_panel=MAKING,
            help="Mean look-ups of a bag, of each table; else 10.",
        ),
    ] = None
    lengths: Annotated[
        Word, typer.Option(metavar="NAME", rich_help_panel=MAKING, help="fixed, poisson or geometric; else geometric.")
    ] = None
    popularity: Annotated[
        Word,
        typer.Option(
            metavar="LAW",
            rich_help_panel=MAKING,
            help="uniform, zipf:EXPONENT, reuse (published by Meta), or reuse:FILE; else zipf:1.",
        ),
    ] = None
    community_size: Annotated[
        int | None,
        typer.Option(
            parser=use.whole(1),
            metavar="ROWS",
            rich_help_panel=MAKING,
            help="Rows that keep company; none if not given.",
        ),
    ] = None
    cohesion: Annotated[
        float | None,
        typer.Option(
            parser=share(open_end=False),
            metavar="SHARE",
            rich_help_panel=MAKING,
            help="Share of a bag's look-ups that are of one community; with --community-size; else 0.5.",
        ),
    ] = None
    distinct: Annotated[
        bool,
        typer.Option("--distinct", rich_help_panel=MAKING, help="Leave out a row that is drawn again in its bag."),
    ] = False

    def given(self) -> list[str]:
        """Return the options given, as they are written."""
        return [
            f"--{each.name.replace('_', '-')}" for each in fields(self) if getattr(self, each.name) not in (None, False)
        ]
