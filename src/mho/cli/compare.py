"""mho compare: several schedules of one model on one chip, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mho.cli import options as use
from mho.cli.compiling import Compiling, opened
from mho.cli.inputs import ModelOptions, SampleOptions
from mho.cli.outputs import check_outputs, emit, progress, told
from mho.cli.strategy import STRATEGY, StrategyOptions, check_sampled

EPILOG = "mho compare resnet50 --schedule naive,overlap\n\nmho compare bert-base --sequence 64 --set tiles=48 --json -"


Schedules = Annotated[
    str,
    typer.Option(
        metavar="NAME,...",
        rich_help_panel=STRATEGY,
        help="Schedules, separated by commas. The others are compared with the first, and stand for the one of "
        "--strategy. mho run --help names them.",
    ),
]
Rounding = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=use.SAMPLES,
        help="Samples (.npz) that weights are rounded by, and their codings chosen. Only with --rounding output or --budget; "
        "no program is executed.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", rich_help_panel=use.OUTPUT, help="Write compare.html and compare.json there."),
]


def compare(
    model: use.Model,
    *,
    chip: use.ChipName = "aras",
    overrides: use.Override = None,
    reading: ModelOptions,
    schedule: Schedules = "naive,overlap,aras,adaptive",
    strategy: StrategyOptions,
    calibration: Rounding = None,
    key: use.Key = None,
    life: use.Lifetime,
    out: Out = None,
    csv_to: use.Csv = None,
    json_to: use.Json = None,
) -> None:
    """Compare schedules of one model on one chip: time, speed-up, energy, cell writes."""
    strategies = strategy.strategies("schedule", schedule)
    check_sampled({"--calibration": calibration is not None}, strategies[0], executed="")
    life.check()
    work = Compiling.of(model, reading, strategies, SampleOptions(None, calibration, key), executes=False)
    check_outputs(json_to=json_to, csv_to=csv_to, out=out)

    import mho
    from mho.report.comparison import Comparison
    from mho.report.views import save, show

    with progress(quiet="-" in (json_to, csv_to)) as say:
        loaded, subject, _ = opened(work, chip, overrides, None, say)
        reports = []
        for each in work.strategies:
            say(f"compiling and simulating: {each.schedule.name}")
            program = mho.compile(subject, loaded, each)
            reports.append(mho.simulate(program, endurance=life.endurance, rate=life.rate))
        compared = Comparison(tuple(reports))
        if out is not None:
            save(compared, out)
    if not emit(compared.to_dict(), json_to, csv_to, compared.frame()):
        written = f"written to {out / 'compare.html'} and compare.json" if out else ""
        told(lambda console: show(compared, console), written, highlight=True)
