"""mho trace: what a trace of embedding look-ups is like; and making, converting and filtering traces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mho.cli.options import given
from mho.cli.outputs import Target, progress
from mho.cli.trace_options import MakingOptions, ReadingOptions
from mho.errors import OptionError, OutputError
from mho.shown import Columns, columns

if TYPE_CHECKING:
    from rich.console import Console

    from mho.network.trace import Statistics, Trace, Unseen

EPILOG = (
    "mho trace clicks.parquet --query session --row item --compact --save clicks.npz\n\n"
    "mho trace ratings.dat --query 1 --row 2 --time 4\n\n"
    "mho trace baskets.txt --basket\n\n"
    "mho trace ml1m.npz --bag user --row item --history 0.8\n\n"
    "mho trace --synthetic --queries 100000 --rows 1000000 --mean-length 40 --popularity reuse --community-size 64 "
    "--cohesion 0.5 --save made.npz"
)


def trace(
    file: Path | None = None,
    *,
    rows: Any = None,
    reading: ReadingOptions,
    synthetic: bool = False,
    making: MakingOptions,
    minimum_frequency: int | None = None,
    minimum_length: int | None = None,
    history: float | None = None,
    seed: int = 0,
    save: Path | None = None,
    target: Target,
) -> None:
    """Tell what a trace of embedding look-ups is like: lengths, popularity, what occurs together. Convert, filter, make up.

    Where nothing is changed, saved or split, the file is read chunk by chunk.

    Exit code: 0 done, 2 a mistake in what was asked, 130 interrupted.
    """
    _check(file, synthetic, reading, making)
    target.check()
    from mho.network.trace import describe, statistics
    from mho.network.trace.trace import check_save

    if save is not None:
        try:
            check_save(save)
        except OutputError as error:
            raise OutputError(f"--save {error}") from None
    unseen = None
    with progress(target.quiet) as say:
        whole = synthetic or save is not None or history is not None or minimum_frequency or minimum_length
        if file is not None and not whole:
            from mho.network.trace import stream

            say(f"reading {file}")
            result = statistics(stream(file, rows=rows, **reading.given()), seed)
        else:
            say("making a trace up" if file is None else f"reading {file}")
            changed = _changed(_given(file, rows, reading, making, seed), minimum_frequency, minimum_length)
            say("measuring")
            result = statistics(changed, seed)
            unseen = None if history is None else describe(*changed.split(history))
            if save is not None:
                changed.save(save)
    data = result.to_dict() | ({} if unseen is None else {"unseen": {"history": history, **asdict(unseen)}})
    if not target.emit(data, lambda: _by_reuse(result)):
        from mho.report.console import terminal

        console = terminal(highlight=False)
        _show(result, console, unseen, history)
        if save is not None:
            console.print(f"\nwritten to {save}", markup=False, soft_wrap=True)


def _check(file: Path | None, synthetic: bool, reading: ReadingOptions, making: MakingOptions) -> None:
    """Refuse what does not go together."""
    if (file is None) != synthetic:
        raise OptionError("give either a trace's FILE or --synthetic")
    group, meant = (reading, "a FILE, not for --synthetic") if synthetic else (making, "--synthetic")
    for option, there in given(group).items():
        if there:
            raise OptionError(f"{option} is for {meant}")
    if making.cohesion is not None and making.community_size is None:
        raise OptionError("--cohesion needs --community-size")


def _given(file: Path | None, rows: Any, reading: ReadingOptions, making: MakingOptions, seed: int) -> Trace:
    from mho.network.trace import Communities, read, synthesise

    if file is not None:
        return read(file, rows=rows, **reading.given())
    tables = rows or (10_000,)
    means = making.mean_length or (10.0,)
    company = None
    if making.community_size is not None:
        company = Communities(making.community_size, 0.5 if making.cohesion is None else making.cohesion)
    return synthesise(
        making.queries or 10_000,
        tables,
        means * len(tables) if len(means) == 1 else means,
        popularity=making.popularity or "zipf",
        communities=company,
        lengths=making.lengths or "geometric",
        distinct=making.distinct,
        seed=seed,
    )


def _changed(given: Trace, frequency: int | None, length: int | None) -> Trace:
    from mho.network import trace as traces

    if frequency is not None:
        given = traces.minimum_frequency(given, frequency)
    return given if length is None else traces.minimum_length(given, length)


def _by_reuse(result: Statistics) -> Columns:
    """Return a row for each bin of how often rows are looked up, with its shares of the rows and of the look-ups."""
    return columns(asdict(reuse_bin) for reuse_bin in result.reuse)


def _show(result: Statistics, console: Console, unseen: Unseen | None, history: float | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from mho.engineering import count, percent

    console.print(Text(result.origin, style="bold"))
    if result.synthetic:
        console.print(Text("made up, not measured", style="yellow"))
    company = result.cooccurrence
    lengths = ", ".join(f"{value} for {share} %" for share, value in result.length_percentiles.items())
    law = result.power_law
    lines = [
        ("tables", count(len(result.rows)), f"of {count(sum(result.rows))} rows, {count(result.distinct)} looked up"),
        ("queries", count(result.queries), ""),
        ("bags", count(result.bags), f"{count(result.empty_bags)} of them empty"),
        ("look-ups", count(result.lookups), f"{count(result.repeats)} of a row that its bag had already"),
        ("bag length", f"{result.length_mean:.1f}", f"up to {lengths}; at most {result.length_max}"),
        *(
            (f"top {percent(share, 1)} of rows", percent(part, 1), "of the look-ups")
            for share, part in result.head.items()
        ),
    ]
    if law is not None:
        about = f"counts from {law.least} on ({percent(law.share, 1)} of rows), distance {law.distance:.3f}"
        lines.append(("power law, exponent", f"{law.alpha:.2f}", about))
    if company.lift is None:
        lines.append(("lift of pairs", "none", "no pair of one bag has both rows elsewhere"))
    else:
        about = f"± {company.error:.2g}; 1: rows occur together by chance; popular pairs: {company.popular_lift:.2f}"
        lines.append(("lift of pairs", f"{company.lift:.2f}", about))
    if unseen is not None and history is not None:
        about = f"of look-ups after the first {percent(history, 1)} of queries: rows never seen before"
        lines.append(("unseen", percent(unseen.lookups, 1), about))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(style="dim")
    for line in lines:
        grid.add_row(*line)
    console.print(grid)
    table = Table("looked up", box=None, pad_edge=False, header_style="bold")
    table.add_column("rows", justify="right")
    table.add_column("look-ups", justify="right")
    for reuse_bin in result.reuse:
        if reuse_bin.rows:
            name = _times(reuse_bin.above + 1, reuse_bin.to)
            table.add_row(name, percent(reuse_bin.rows, 1), percent(reuse_bin.lookups, 1))
    console.print()
    console.print(table)


def _times(first: int, last: int | None) -> str:
    """Say how often: from `first` to `last` times, or without end."""
    if last is None:
        return f"{first} times or more"
    return f"{first} to {last}" if last > first else {1: "once", 2: "twice"}.get(first, f"{first} times")
