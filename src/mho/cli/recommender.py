"""mho run dlrm --trace: a whole recommender, its tables served by a trace and its dense part compiled for the same batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.cli import options as use
from mho.cli.inputs import ModelOptions, load_chip
from mho.cli.outputs import emit, progress
from mho.cli.strategy import StrategyOptions
from mho.errors import OptionError

if TYPE_CHECKING:
    from mho.machine.recommender import Recommender
    from mho.network.trace import Trace
    from mho.report.whole import Whole

PANEL = "Recommender"
MODEL, CHIP = "dlrm", "recross"
BATCH, DIMENSION, BUDGET = 256, 16, 1.25
HISTORY, SEED = 0.8, 0


@dataclass(frozen=True)
class RecommenderOptions:
    """What a whole recommender is asked besides what any network is; None: not given."""

    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=PANEL,
            help="dlrm only: run it whole on this trace of look-ups (mho trace --help tells the formats): rows are grouped by a "
            "history of 80 % of the queries, the others are served in batches of --batch (else 256) on --chip (else recross).",
        ),
    ] = None
    dimension: Annotated[
        int | None,
        typer.Option(
            parser=use.whole(1), metavar="N", rich_help_panel=PANEL, help="With --trace: features of a row; else 16."
        ),
    ] = None
    table_area: Annotated[
        float | None,
        typer.Option(
            parser=use.positive,
            metavar="X",
            rich_help_panel=PANEL,
            help="With --trace: area of the tables with copies, over that without; else 1.25.",
        ),
    ] = None

    def check(self) -> None:
        """Refuse what changes nothing without a trace."""
        for option, value in (("--dimension", self.dimension), ("--table-area", self.table_area)):
            if self.trace is None and value is not None:
                raise OptionError(f"{option} is for --trace")


@dataclass(frozen=True)
class Asked:
    """What is run: everything that a whole recommender takes of `mho run`."""

    model: str
    chip: str
    overrides: list[str] | None
    reading: ModelOptions
    schedule: str
    strategy: StrategyOptions
    verify: bool
    whole: RecommenderOptions


def refuse(model: str, given: Mapping[str, bool]) -> None:
    """Refuse models that have no tables, and options that are for single networks."""
    if model != MODEL:
        raise OptionError(f"--trace is for {MODEL}, not {model}; trained tables come by --weights FILE.safetensors")
    for option, there in given.items():
        if there:
            raise OptionError(f"{option} is not for --trace")


def run_recommender(asked: Asked, *, out: Path | None, json_to: str | None) -> bool:
    """Run it and show what it takes; return whether it was found right, or not looked at."""
    from mho.baseline.lookup import Request
    from mho.network.trace import read, split
    from mho.report.whole import run_whole

    reading, options = asked.reading, asked.whole
    batch = BATCH if reading.batch == 1 else reading.batch
    seed = reading.seed or SEED
    assert options.trace is not None
    with progress(quiet=json_to == "-") as say:
        chip = load_chip(asked.chip, asked.overrides)
        asked.strategy.check_chip(chip)
        say(f"reading {options.trace}")
        trace = read(options.trace)
        recommender = _model(trace, reading, options.dimension, seed)
        history, test = split(trace, HISTORY, seed)
        say("grouping rows by the history")
        budget = BUDGET if options.table_area is None else options.table_area
        request = Request(history, chip, budget, batch, recommender.sizes.dimension, seed)
        layout = request.copied(request.grouping, "load", scattered=True)
        whole = run_whole(
            recommender,
            test,
            layout,
            chip,
            _compiling(asked, seed),
            batch=batch,
            verified=batch if asked.verify else 0,
            say=say,
        )
        if out is not None:
            say(f"writing {out}")
            _save(whole, out)
    if not emit(whole.to_dict(), json_to):
        from rich.console import Console

        from mho.report.whole_text import summary

        console = Console()
        summary(whole, console)
        if out is not None:
            text = f"written to {out / 'recommender.json'}; the dense part's report to {out / 'dense' / 'report.html'}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    return whole.right


def _model(trace: Trace, reading: ModelOptions, dimension: int | None, seed: int) -> Recommender:
    from mho.machine.recommender import open_recommender, seeded_recommender

    if reading.weights in (None, "seeded"):
        return seeded_recommender(trace, DIMENSION if dimension is None else dimension, seed)
    if reading.weights == "none":
        raise OptionError("--weights none gives shapes alone; with --trace give seeded or a file")
    if dimension is not None:
        raise OptionError(f"--dimension is for seeded tables; {reading.weights} has its own")
    return open_recommender(str(reading.weights))


def _compiling(asked: Asked, seed: int) -> Callable[[Any, Any], Any]:
    def compiling(network: Any, chip: Any) -> Any:
        searched = seed if asked.strategy.searches([asked.schedule]) else 0
        return asked.strategy.compile(network, chip, schedule=asked.schedule, seed=searched, samples=None)

    return compiling


def _save(whole: Whole, out: Path) -> None:
    import json

    from mho.report.files import write_text

    whole.dense.save(out / "dense")
    write_text(out / "recommender.json", json.dumps(whole.to_dict(), indent=2, allow_nan=False) + "\n")
