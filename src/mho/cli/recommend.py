"""mho recommend: what a recommender's own look-ups gain by grouping and copying its rows, and where each row sits then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import options as use
from mho.cli.inputs import load_chip
from mho.cli.outputs import check_outputs, emit, progress
from mho.cli.trace_options import CHANGING, READING, ReadingOptions, share
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.network.trace import Trace

EPILOG = (
    "mho recommend ml1m.npz --bag user --row item --compact --out out/movies\n\n"
    "mho recommend clicks.parquet --query session --row item --compact --minimum-frequency 10 --budget 1.5 --json -\n\n"
    "mho recommend january.npz --test february.npz --design recross --design mho"
)
SPLITTING, SERVING = "History and test", "Serving"
SHARE, ORDERS = 0.8, ("time", "seed")


budget = use.number(1, 1e12)
"""Reads an area budget."""


TraceFile = Annotated[
    Path,
    typer.Argument(metavar="TRACE", help="A trace: .npz, .parquet, or text such as CSV (docs/trace.md)."),
]
Rows = Annotated[
    Any,
    typer.Option(
        parser=use.wholes(1),
        metavar="N[,N...]",
        rich_help_panel=READING,
        help="Rows of each table; if not given, as the file says or up to the highest looked up.",
    ),
]
MinimumFrequency = Annotated[
    int | None,
    typer.Option(
        "--minimum-frequency",
        "--least-frequency",
        parser=use.whole(1),
        metavar="N",
        rich_help_panel=CHANGING,
        help="Leave out rows looked up less often, in history and test together.",
    ),
]
Test = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=SPLITTING,
        help="A trace of its own to test on, read in the same way; TRACE is then history as a whole.",
    ),
]
History = Annotated[
    float | None,
    typer.Option(
        parser=share(open_end=True),
        metavar="SHARE",
        rich_help_panel=SPLITTING,
        help=f"The share of the queries that designs are made from, the others being the test; else {SHARE}.",
    ),
]
SplitBy = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SPLITTING,
        help="Whether history is the first queries (time), or drawn at random with --seed (seed).",
    ),
]
Chip = Annotated[
    str,
    typer.Option(
        "--chip",
        metavar="CHIP",
        rich_help_panel=use.CHIP,
        help="A preset with a part lookup (see mho chips), or a chip's .yaml file.",
    ),
]
Dimension = Annotated[
    int,
    typer.Option(
        parser=use.whole(1, 65_536), metavar="N", rich_help_panel=SERVING, help="Features of a row, of 8 bits each."
    ),
]
Batch = Annotated[
    int, typer.Option(parser=use.whole(1), metavar="N", rich_help_panel=SERVING, help="Queries served at once.")
]
Area = Annotated[
    float | None,
    typer.Option(
        "--budget",
        parser=budget,
        metavar="X",
        rich_help_panel=SERVING,
        help="The most area, over the least that holds every row: what is beyond 1 goes into copies; else 1.25.",
    ),
]
Areas = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SERVING,
        help="equal: every design takes the area of --budget, those without copies of their own by copying busy groups. own: "
        "each design as it comes.",
    ),
]
Grouping = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SERVING,
        help="How the design mho groups rows: fast, refine, or best, which takes minutes; else refine.",
    ),
]
Designs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SERVING,
        help="A design to compare: naive, frequency, nmars, nmars-copies, nmars-whole, recross or mho. May be repeated; "
        "else all but nmars-copies and nmars-whole.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=use.whole(0, use.SEEDS), metavar="N", help="Of the design mho, and of --split-by seed; else 0."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=use.OUTPUT,
        help="Write recommend.html, recommend.json and layout.npz (where each row sits) there.",
    ),
]


@dataclass(frozen=True)
class SplitOptions:
    """Which queries are history, and which are the test."""

    test: Test = None
    history: History = None
    split_by: SplitBy = "time"

    def check(self) -> None:
        """Refuse what does not go together."""
        if self.split_by not in ORDERS:
            raise OptionError(f"--split-by is {' or '.join(ORDERS)}, not {self.split_by!r}")
        if self.test is not None and (self.history is not None or self.split_by != ORDERS[0]):
            given = "--history" if self.history is not None else "--split-by"
            raise OptionError(f"{given} splits TRACE; with --test the whole of it is history")


@dataclass(frozen=True)
class DesignOptions:
    """Which designs serve the test, and how."""

    dimension: Dimension = 64
    batch: Batch = 256
    area: Area = None
    areas: Areas = "equal"
    grouping: Grouping = None
    design: Designs = None
    seed: Seed = None

    def names(self, split_by: str) -> tuple[str, ...]:
        """Return the designs; refuse options that none of them takes."""
        from mho.explore.designs import COPYING
        from mho.explore.recommendation import AREAS, COMPARED, OWN, check_designs

        names = check_designs(self.design or COMPARED, self.areas)
        if self.grouping is not None and OWN not in names:
            raise OptionError(f"--grouping is for the design {OWN}, which is not asked for")
        if self.seed is not None and OWN not in names and split_by != "seed":
            raise OptionError(f"--seed is for the design {OWN}, which is not asked for, and for --split-by seed")
        if self.area is not None and self.areas != AREAS[0] and not set(names) & set(COPYING):
            raise OptionError(f"--budget is for designs with copies ({', '.join(COPYING)}), none of which is asked for")
        return names


def recommend(
    trace: TraceFile,
    *,
    rows: Rows = None,
    reading: ReadingOptions,
    minimum_frequency: MinimumFrequency = None,
    split: SplitOptions,
    chip: Chip = "recross",
    overrides: use.Override = None,
    serving: DesignOptions,
    out: Out = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Read a trace of look-ups, group and copy its rows by its history, and serve the rest with each design.

    Tells time, energy, area and load of each, side by side, in equal areas, and what each idea of the design mho brings. Designs
    see the history alone.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    from mho.explore.recommendation import BUDGET, GROUPING
    from mho.explore.recommendation import recommend as recommended

    check_outputs(json_to=json_to, csv_to=csv_to, out=out)
    split.check()
    names = serving.names(split.split_by)
    on = load_chip(chip, overrides)
    with progress(quiet="-" in (json_to, csv_to)) as say:
        say(f"reading {trace}")
        known, asked = _read(trace, split.test, rows, reading, minimum_frequency)
        found = recommended(
            known,
            asked,
            history=SHARE if split.history is None else split.history,
            split_seed=(serving.seed or 0) if split.split_by == "seed" else None,
            chip=on,
            dimension=serving.dimension,
            batch=serving.batch,
            budget=BUDGET if serving.area is None else serving.area,
            grouping=serving.grouping or GROUPING,
            designs=names,
            areas=serving.areas,
            seed=serving.seed or 0,
            say=say,
        )
        written: tuple[Path, ...] = ()
        if out is not None:
            say(f"writing {out}")
            from mho.report.views import save

            written = save(found, out)
    if not emit(found.to_dict(), json_to, csv_to, found.frame("designs")):
        from mho.report.console import terminal
        from mho.report.views import show

        console = terminal(highlight=False)
        show(found, console)
        if written:
            console.print(f"\nwritten to {', '.join(map(str, written))}", markup=False, soft_wrap=True)


def _read(
    path: Path, test: Path | None, rows: Any, reading: ReadingOptions, least: int | None
) -> tuple[Trace, Trace | None]:
    """Read the trace, and the test where it has a file of its own."""
    from mho.network.trace import align, join, minimum_frequency, read

    known = read(path, rows=rows, **reading.given())
    if test is None:
        return (known if least is None else minimum_frequency(known, least)), None
    # Each file knows of its tables only the rows that it looks up, or those up to the highest.
    known, asked = align(known, read(test, rows=rows, **reading.given()))
    if least is None:
        return known, asked
    last = int(known.queries[-1]) if known.bags else 0
    behind = asked.queries - int(asked.queries[0]) + last + 1 if asked.bags else asked.queries
    kept = minimum_frequency(join((known, replace(asked, queries=behind))), least)
    cut = int((kept.queries <= last).sum())
    return (
        replace(kept.select(slice(0, cut)), origin=f"{known.origin}, rows seen {least} times or more"),
        replace(kept.select(slice(cut, kept.bags)), origin=f"{asked.origin}, rows seen {least} times or more"),
    )
